#include "crypt.h"

#define AT_ONCE (1u << 30) /* OpenSSL counts in int */

bool crypt_hash(EVP_MD_CTX *ctx, const EVP_MD *kind, const struct crypt_piece *pieces, size_t count,
	unsigned char *out)
{
	EVP_MD_CTX *own = ctx == NULL ? EVP_MD_CTX_new() : NULL, *c = ctx != NULL ? ctx : own;
	bool ok = c != NULL && EVP_DigestInit_ex(c, kind, NULL) == 1;

	for (size_t i = 0; i < count && ok; i++)
		ok = pieces[i].n == 0 || EVP_DigestUpdate(c, pieces[i].p, pieces[i].n) == 1;
	ok = ok && EVP_DigestFinal_ex(c, out, NULL) == 1;
	EVP_MD_CTX_free(own);
	return ok;
}

static const EVP_CIPHER *cipher_of(size_t key_n, bool chained)
{
	if (key_n == 32)
		return chained ? EVP_aes_256_cbc() : EVP_aes_256_ecb();
	if (key_n == 24)
		return chained ? EVP_aes_192_cbc() : EVP_aes_192_ecb();
	return chained ? EVP_aes_128_cbc() : EVP_aes_128_ecb();
}

bool crypt_aes(bool encrypt, const unsigned char *key, size_t key_n, const unsigned char *iv,
	const unsigned char *in, size_t n, unsigned char *out)
{
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	bool ok =
		ctx != NULL &&
		EVP_CipherInit_ex(ctx, cipher_of(key_n, iv != NULL), NULL, key, iv, encrypt) == 1 &&
		EVP_CIPHER_CTX_set_padding(ctx, 0) == 1;

	for (size_t at = 0; at < n && ok;) {
		size_t some = n - at < AT_ONCE ? n - at : AT_ONCE;
		int made = 0;

		ok = EVP_CipherUpdate(ctx, out + at, &made, in + at, (int)some) == 1;
		at += some;
	}
	EVP_CIPHER_CTX_free(ctx);
	return ok;
}
