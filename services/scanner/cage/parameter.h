/*
 * Parameters of MIME's fields, in every dress they come in: quoted strings, comments, RFC 2231
 * pieces and percent octets, RFC 2047 words in names; all forms of a boundary that readers may take
 * it for. What field.c needs of them, and nobody else.
 *
 * A value is walked over by the book, and, where it may make a difference, once more as readers do
 * that know no comments and take a comma, or nothing at all, for a semicolon.
 */
#ifndef SCAN_PARAMETER_H
#define SCAN_PARAMETER_H

#include "field.h"

/* A cursor over a field's value. */
struct mime_scan {
	const unsigned char *p, *end;
};

static inline bool mime_is_blank(unsigned char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static inline unsigned char mime_lower(unsigned char c)
{
	return c >= 'A' && c <= 'Z' ? (unsigned char)(c + 32) : c;
}

/* Skip blanks and comments, which nest (RFC 5322 section 3.2.2). */
void mime_skip_blanks(struct mime_scan *s);

/* A field's value, and where its parameters begin by the book: behind the type and a semicolon. */
struct mime_field {
	struct mw_octets value;
	size_t rest;
};

/*
 * The name that parameter `name` gives into buf, and all its forms into h->names. That a plain one
 * stands beside pieces, for old readers, is usual.
 */
void mime_take_name(struct mime_head *h, const struct mime_field *f, const char *name, char *buf,
	size_t size, unsigned choices);
/* The boundary, in the form that choices says, into h->boundary; "" when there is none. */
void mime_take_boundary(struct mime_head *h, const struct mime_field *f, unsigned choices);
/* A field that is a name as a whole. */
void mime_take_whole_name(struct mime_head *h, struct mw_octets value);

#endif
