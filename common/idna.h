/* Domains of letters beyond ASCII. The only file that knows libidn2. */
#ifndef MW_IDNA_H
#define MW_IDNA_H

#include "base.h"

#define MW_IDNA_MAX 256 /* octets of a domain of A-labels and its NUL */

/* True when no octet is above 0x7f. */
bool mw_is_ascii(const void *p, size_t n);
/*
 * The domain as A-labels (RFC 5891, UTS #46 non-transitional), lower case. False, and *buf
 * untouched, when it is none: then nothing is known about it, and it may hold any octet. Allocates,
 * unless the domain is ASCII.
 */
bool mw_idna_to_ascii(const char *domain, char buf[MW_IDNA_MAX]);

#endif
