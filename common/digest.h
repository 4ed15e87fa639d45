/* Digests where a protocol, a file's name or a record wants them: nothing here keeps a secret safe.
 */
#ifndef MW_DIGEST_H
#define MW_DIGEST_H

#include "base.h"

#define MW_MD5_OCTETS 16
#define MW_SHA256_OCTETS 32

/* RFC 1321. False: libcrypto does not do it (a FIPS provider). */
bool mw_md5(const void *p, size_t n, unsigned char out[MW_MD5_OCTETS]);
/* FIPS 180-4. False: libcrypto does not do it, or has no memory. */
bool mw_sha256(const void *p, size_t n, unsigned char out[MW_SHA256_OCTETS]);
/* Lower-case, terminated. */
void mw_hex(const unsigned char *p, size_t n, char *out);
/* Base64url without padding (RFC 4648 section 5): 4 characters for 3 octets, terminated. n is a
 * multiple of 3. */
void mw_base64url(const unsigned char *p, size_t n, char *out);

#endif
