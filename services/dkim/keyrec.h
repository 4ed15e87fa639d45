/* DKIM key records (RFC 6376 section 3.6.1): from the TXT records of a name to the one key for a
 * signature. */
#ifndef DKIMSVC_KEYREC_H
#define DKIMSVC_KEYREC_H

#include "sigscan.h"

#define DKIMSVC_TXT_RECORDS_MAX                                                                    \
	16 /* TXT records of one name that are looked at; more: no usable key */
#define DKIMSVC_KEY_OCTETS_MAX                                                                     \
	1024 /* a record and its NUL; libopendkim's buffer. A 4096-bit RSA key takes 780 */

/* What came of looking a name up. */
enum dkimsvc_dns {
	DKIMSVC_DNS_FOUND,
	DKIMSVC_DNS_ABSENT, /* the name or its TXT records do not exist: for sure */
	DKIMSVC_DNS_FAILED  /* no answer, no valid answer, no time left: who knows */
};

struct dkimsvc_txt {
	enum dkimsvc_dns state;
	const char *why; /* of FAILED: static text */
	size_t count;
	struct mw_octets records[DKIMSVC_TXT_RECORDS_MAX]; /* RDATA as on the wire: length octet,
							      octets, ... */
	bool too_many;
};

struct dkimsvc_key {
	bool usable;
	enum dkimsvc_result as; /* when not usable: the result of every signature that needs it */
	const char *why;	/* and the reason, static text */
	bool testing;		/* t=y */
	char text[DKIMSVC_KEY_OCTETS_MAX];
};

/* Choose the key for signatures by alg. Never fails: *key_r tells why there is none. */
void dkimsvc_key_choose(
	const struct dkimsvc_txt *txt, enum dkimsvc_alg alg, struct dkimsvc_key *key_r);

#endif
