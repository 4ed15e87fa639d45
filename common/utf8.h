/* UTF-8 as RFC 3629 section 4 has it: no long forms, no surrogates, nothing above U+10FFFF. */
#ifndef MW_UTF8_H
#define MW_UTF8_H

#include "base.h"

#define MW_UTF8_MOST 4 /* octets of a character */

/* For mw_utf8_read: what is beyond ASCII. */
size_t mw_utf8_read_more(const unsigned char *p, size_t n, uint32_t *c_r);

/* Octets of the character that begins the n octets at p, and which it is; 0: none does. */
static inline size_t mw_utf8_read(const unsigned char *p, size_t n, uint32_t *c_r)
{
	if (n == 0 || p[0] >= 0x80)
		return mw_utf8_read_more(p, n, c_r);
	*c_r = p[0];
	return 1;
}

/* The same for who does not ask which. */
static inline size_t mw_utf8_length(const unsigned char *p, size_t n)
{
	uint32_t c;

	return mw_utf8_read(p, n, &c);
}

/* Put the character down as UTF-8. Its octets; 0: there is no such character. */
size_t mw_utf8_write(char to[MW_UTF8_MOST], uint32_t c);

#endif
