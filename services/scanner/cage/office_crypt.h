/*
 * Encrypted office documents of the XML kind ([MS-OFFCRYPTO]): a compound file with the streams
 * EncryptionInfo and EncryptedPackage; agile encryption (2.3.4.10 on) and standard encryption
 * (2.3.4.5 on), with AES.
 */
#ifndef SCAN_OFFICE_CRYPT_H
#define SCAN_OFFICE_CRYPT_H

#include "doc.h"

enum office_crypt {
	OFFICE_OPEN,   /* *out has the package, a zip; asks for a password */
	OFFICE_SHOWN,  /* the same, with the password that Excel tries without asking */
	OFFICE_LOCKED, /* no password that was tried fits, or trying costs too much, or a way that
			  nobody here knows */
	OFFICE_CUT,
	OFFICE_NO_MEMORY
};

enum office_crypt office_decrypt(struct mw_octets info, struct mw_octets package,
	struct passwords *passwords, struct budget *budget, struct doc_buf *out);

#endif
