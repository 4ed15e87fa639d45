/* Hashes and block ciphers of OpenSSL, as the readers of encrypted documents need them. */
#ifndef SCAN_CRYPT_H
#define SCAN_CRYPT_H

#include <openssl/evp.h>

#include "base.h"

#define CRYPT_BLOCK 16
#define CRYPT_HASH_MOST 64 /* SHA-512 */

struct crypt_piece {
	const void *p;
	size_t n;
};

/* Hash pieces, one behind the other. out has room for CRYPT_HASH_MOST octets or the hash's, and may
 * be one of the pieces. ctx: for many in a row; NULL: one of its own. False: no memory. */
bool crypt_hash(EVP_MD_CTX *ctx, const EVP_MD *kind, const struct crypt_piece *pieces, size_t count,
	unsigned char *out);
/*
 * AES over whole blocks, without padding; key_n: 16, 24 or 32. iv: chained from there; NULL: each
 * block by itself. in and out may be the same. False: no memory.
 */
bool crypt_aes(bool encrypt, const unsigned char *key, size_t key_n, const unsigned char *iv,
	const unsigned char *in, size_t n, unsigned char *out);

#endif
