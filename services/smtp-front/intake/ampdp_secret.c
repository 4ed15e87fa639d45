#include "ampdp_secret.h"

#include <openssl/evp.h>

#define SECRET_MAX 128	 /* octets of what is encoded */
#define MAIL_ID_LEAST 10 /* letters: of fewer somebody could guess the rest */

/* -1: no letter of base64. */
static int value_of(char c)
{
	return c >= 'A' && c <= 'Z'   ? c - 'A'
	       : c >= 'a' && c <= 'z' ? c - 'a' + 26
	       : c >= '0' && c <= '9' ? c - '0' + 52
	       : c == '-' || c == '+' ? 62
	       : c == '_' || c == '/' ? 63
				      : -1;
}

/* Without padding, or with it. False: that is no base64, or too much of it. */
static bool decode(const char *text, unsigned char out[SECRET_MAX], size_t *n_r)
{
	unsigned bits = 0, word = 0;
	size_t n = 0;

	for (; *text != '\0' && *text != '='; text++) {
		int value = value_of(*text);

		if (value < 0 || n == SECRET_MAX)
			return false;
		word = word << 6 | (unsigned)value;
		bits += 6;
		if (bits >= 8) {
			bits -= 8;
			out[n++] = (unsigned char)(word >> bits);
		}
	}
	*n_r = n;
	return text[strspn(text, "=")] == '\0' && n > 0;
}

bool ampdp_secret_is_of(const char *secret_id, struct mw_octets mail_id)
{
	unsigned char secret[SECRET_MAX], digest[16 + 2] = { 0 };
	unsigned differs = 0, n_digest;
	size_t n;

	if (!decode(secret_id, secret, &n) || mail_id.n < MAIL_ID_LEAST || mail_id.n > 22 ||
		EVP_Digest(secret, n, digest, &n_digest, EVP_md5(), NULL) != 1)
		return false;
	for (size_t i = 0; i < mail_id.n; i++) {
		size_t bit = i * 6;
		unsigned two = (unsigned)digest[bit / 8] << 8 | digest[bit / 8 + 1];

		/* All letters, whatever came before: no time tells how many were right. */
		differs |= (unsigned)(value_of((char)mail_id.p[i]) ^
				      (int)(two >> (10 - bit % 8) & 63));
	}
	return differs == 0;
}
