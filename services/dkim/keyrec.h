/* DKIM key records (RFC 6376 section 3.6.1): from the TXT records of a name to the one key for a
 * signature. */
#ifndef DKIMSVC_KEYREC_H
#define DKIMSVC_KEYREC_H

#include "resolver.h"
#include "sigscan.h"

#define DKIMSVC_KEY_OCTETS_MAX                                                                     \
	1024 /* a record and its NUL; libopendkim's buffer. A 4096-bit RSA key takes 780 */

struct dkimsvc_key {
	bool usable;
	enum dkimsvc_result as; /* when not usable: the result of every signature that needs it */
	const char *why;	/* and the reason, static text */
	bool testing;		/* t=y */
	char text[DKIMSVC_KEY_OCTETS_MAX];
};

/* Choose the key for signatures by alg from the TXT records of its name. Never fails: *key_r tells
 * why there is none. */
void dkimsvc_key_choose(
	const struct mw_dns_answer *txt, enum dkimsvc_alg alg, struct dkimsvc_key *key_r);

#endif
