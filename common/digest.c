#include "digest.h"

#include <openssl/evp.h>
#include <pthread.h>

static const EVP_MD *md5, *sha256;

/* Looking an algorithm up costs more than a small digest does. */
static void find_digests(void)
{
	md5 = EVP_MD_fetch(NULL, "MD5", NULL);
	sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
}

static bool digest(const EVP_MD *const *which, const void *p, size_t n, unsigned char *out)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	static _Thread_local EVP_MD_CTX *ctx; /* one a thread, for as long as the process lives */

	pthread_once(&once, find_digests);
	if (ctx == NULL)
		ctx = EVP_MD_CTX_new();
	return *which != NULL && ctx != NULL && EVP_DigestInit_ex2(ctx, *which, NULL) == 1 &&
	       EVP_DigestUpdate(ctx, p, n) == 1 && EVP_DigestFinal_ex(ctx, out, NULL) == 1;
}

bool mw_md5(const void *p, size_t n, unsigned char out[MW_MD5_OCTETS])
{
	return digest(&md5, p, n, out);
}

bool mw_sha256(const void *p, size_t n, unsigned char out[MW_SHA256_OCTETS])
{
	return digest(&sha256, p, n, out);
}

void mw_hex(const unsigned char *p, size_t n, char *out)
{
	static const char digits[] = "0123456789abcdef";

	for (; n > 0; n--, p++) {
		*out++ = digits[*p >> 4];
		*out++ = digits[*p & 15];
	}
	*out = '\0';
}

void mw_base64url(const unsigned char *p, size_t n, char *out)
{
	static const char alphabet[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

	for (; n >= 3; n -= 3, p += 3, out += 4) {
		uint32_t v = (uint32_t)p[0] << 16 | (uint32_t)p[1] << 8 | p[2];

		for (int i = 0; i < 4; i++)
			out[i] = alphabet[v >> (18 - 6 * i) & 63];
	}
	*out = '\0';
}
