/* Encrypted members of zip: PKWARE's traditional cipher and WinZip's AES, undone with a password.
 */
#ifndef SCAN_ZIP_CRYPT_H
#define SCAN_ZIP_CRYPT_H

#include "grow.h"
#include "zip_head.h"

/* What a member's extra field 0x9901 says; strength 0: it is not AES. */
struct zip_aes {
	unsigned strength; /* 1: 128 bits, 2: 192, 3: 256 */
	unsigned version;  /* 2: the CRC is not told */
	uint16_t method;   /* of the octets when they are plain */
};
struct zip_aes zip_aes_of(const struct zip_head *h);

enum zip_key {
	ZIP_KEY_WRONG, /* for certain */
	ZIP_KEY_FITS,  /* plain is what the octets are, or (1 in 256, traditional) nonsense */
	ZIP_KEY_NO_MEMORY
};
/* Try one password on a member's octets; ZIP_KEY_FITS: *plain has them. */
enum zip_key zip_decrypt(const struct zip_head *h, struct mw_octets packed,
	struct mw_octets password, struct grow *plain);

#endif
