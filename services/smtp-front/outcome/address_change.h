/*
 * Whom passed mail is delivered to, when that is not the address it came for (decision.md 12):
 * addr_rewrite_maps_by_ccat, then an extension by addr_extension_maps_by_ccat. Local recipients
 * only. What would not fit RFC 5321 section 4.5.3.1, or makes no address, is left out and logged:
 * the mail goes to where it came for.
 */
#ifndef SMTP_ADDRESS_CHANGE_H
#define SMTP_ADDRESS_CHANGE_H

#include "transaction.h"

#define ADDRESS_LOCAL_MAX 64 /* octets, RFC 5321 section 4.5.3.1.1 */
#define ADDRESS_MAX 254	     /* octets: a path of 256 without its <> (section 4.5.3.1.3) */

/* deliver_to and ORCPT of all recipients that pass. */
void address_changes(struct txn *t);

/*
 * The address with that extension behind the first of the delimiters; an old one is replaced, or
 * stays in front of it. NULL, and *why_r: it cannot be.
 */
char *address_extend(struct smtp_arena *a, const char *addr, const char *extension,
	const char *delimiters, bool replace, const char **why_r);
/*
 * What "user@domain", "user@" (the old domain) or "@domain" (the old user) make of the address; an
 * extension stays where the new one has none. NULL, and *why_r: it cannot be.
 */
char *address_rewrite(struct smtp_arena *a, const char *addr, const char *to,
	const char *delimiters, const char **why_r);
/* ORCPT for an address (RFC 3461 section 4.2; beyond ASCII RFC 6533 section 3). NULL: it would be
 * longer than one may be, or no memory. */
char *address_orcpt(struct smtp_arena *a, const char *addr);

#endif
