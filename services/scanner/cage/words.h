/*
 * RFC 2047 words. It forbids them in parameters; every mail program writes and reads them there,
 * and not all in the same way.
 */
#ifndef SCAN_WORDS_H
#define SCAN_WORDS_H

#include "charset.h"

/* Bits of ways. */
enum {
	MIME_WORDS_CONVERT = 1, /* by their charset; else: octets as they are */
	MIME_WORDS_LITTLE = 2,	/* an order that is not told is the small end first */
	MIME_WORDS_JOIN = 4,	/* neighbours of one charset and encoding are decoded as one */
	MIME_WORDS_WAYS = 8
};

/*
 * in, with its words decoded, into *out; blanks between two words vanish. False: it has none, *out
 * is not touched. *matter_r: the ways that may make a difference.
 */
bool mime_words_decode(
	const struct mime_text *in, unsigned ways, struct mime_text *out, unsigned *matter_r);

#endif
