/*
 * Charsets in which the ASCII of a name is not ASCII: UTF-16, UTF-32, UTF-7, the ISO-2022 family,
 * HZ, EBCDIC. Of all others the octets are passed on as they are: rules about names look at their
 * ASCII. There is no iconv in a cage: it loads its modules from files, when it first needs them.
 */
#ifndef SCAN_CHARSET_H
#define SCAN_CHARSET_H

#include "mime.h"

/* Text of a field, decoded or not; there is always a NUL behind it, and there may be some in it.
 * No decoding of ours makes more than three octets of two. */
#define MIME_TEXT_MAX (MIME_FIELD_MAX / 2 * 3)
struct mime_text {
	size_t n;
	char text[MIME_TEXT_MAX];
};

enum mime_charset {
	MIME_CHARSET_OCTETS,
	MIME_CHARSET_UTF16, /* with a byte order mark, or in an order that readers do not agree on
			     */
	MIME_CHARSET_UTF16_BIG,
	MIME_CHARSET_UTF16_LITTLE,
	MIME_CHARSET_UTF32,
	MIME_CHARSET_UTF32_BIG,
	MIME_CHARSET_UTF32_LITTLE,
	MIME_CHARSET_UTF7,
	MIME_CHARSET_ISO2022, /* what is not ASCII becomes `?`, one for each character */
	MIME_CHARSET_HZ,
	MIME_CHARSET_EBCDIC /* likewise */
};

static inline void mime_text_clear(struct mime_text *t)
{
	t->n = 0;
	t->text[0] = '\0';
}

/* What does not fit is dropped. */
static inline void mime_text_add(struct mime_text *t, unsigned char c)
{
	if (t->n < sizeof(t->text) - 1)
		t->text[t->n++] = (char)c;
	t->text[t->n] = '\0';
}

static inline void mime_text_copy(struct mime_text *to, const struct mime_text *from)
{
	to->n = from->n;
	memcpy(to->text, from->text, from->n + 1);
}

/* By its name, in any case, with dashes or without, a language (RFC 2231 section 5) dropped. */
enum mime_charset mime_charset_of(const char *name, size_t n);
/* Has it an order that only a mark, or a guess, tells? */
bool mime_charset_has_orders(enum mime_charset charset);
/* Append octets of that charset as UTF-8. little: the order where none is told. */
void mime_charset_add(
	enum mime_charset charset, bool little, struct mw_octets octets, struct mime_text *to);

#endif
