/* Domains of letters beyond ASCII. The only file that knows libidn2. */
#ifndef MW_IDNA_H
#define MW_IDNA_H

#include "base.h"
#include "text.h"

#define MW_IDNA_MAX 256 /* octets of a domain of A-labels and its NUL */

/* True when no octet is above 0x7f. */
bool mw_is_ascii(const void *p, size_t n);
/*
 * The domain as A-labels (RFC 5891, UTS #46 non-transitional), lower case. False, and *buf
 * untouched, when it is none: then nothing is known about it, and it may hold any octet. Allocates,
 * unless the domain is ASCII.
 */
bool mw_idna_to_ascii(const char *domain, char buf[MW_IDNA_MAX]);
/* For people: the domain with its A-labels as letters, UTF-8, appended. False, and nothing is: it
 * has none, or none that mean anything. */
bool mw_idna_to_unicode(const char *domain, struct mw_text *out);

#endif
