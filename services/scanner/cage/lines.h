/* Where lines end, for whom: mail's lines end with CRLF; most readers take a bare LF for a line
 * end, some a bare CR, some neither (enum mime_choice). */
#ifndef SCAN_LINES_H
#define SCAN_LINES_H

#include "mime.h"

/* The same as below where a bare CR ends a line, too. */
size_t mime_line_next_cr(struct mw_octets text, size_t i, bool bare_lf);

/* Offset behind the line end of the line at i; text.n when it has none. It looks at no octets much
 * beyond that: whoever goes from line to line walks over the text once. */
static inline size_t mime_line_next(struct mw_octets text, size_t i, unsigned choices)
{
	const unsigned char *lf;

	if ((choices & MW_BIT(MIME_CHOOSE_CR)) != 0)
		return mime_line_next_cr(text, i, (choices & MW_BIT(MIME_CHOOSE_LF)) == 0);
	lf = i < text.n ? memchr(text.p + i, '\n', text.n - i) : NULL;
	if ((choices & MW_BIT(MIME_CHOOSE_LF)) != 0)
		while (lf != NULL && (lf == text.p + i || lf[-1] != '\r'))
			lf = memchr(lf + 1, '\n', (size_t)(text.p + text.n - lf - 1));
	return lf != NULL ? (size_t)(lf + 1 - text.p) : text.n;
}

/* n without the line end in front of offset n. */
static inline size_t mime_line_trim(struct mw_octets text, size_t n, unsigned choices)
{
	if (n > 0 && text.p[n - 1] == '\n') {
		n--;
		return n > 0 && text.p[n - 1] == '\r' ? n - 1 : n;
	}
	if ((choices & MW_BIT(MIME_CHOOSE_CR)) != 0 && n > 0 && text.p[n - 1] == '\r')
		n--;
	return n;
}

#endif
