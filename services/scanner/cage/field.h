/*
 * The three fields that say what an entity is: Content-Type, Content-Transfer-Encoding,
 * Content-Disposition, with their parameters in every dress they come in: quoted strings, comments,
 * RFC 2231 pieces and percent octets, RFC 2047 words in names.
 */
#ifndef SCAN_FIELD_H
#define SCAN_FIELD_H

#include "mime.h"

/* What the header of one entity says. */
struct mime_head {
	size_t body;	/* offset of the body in the text */
	bool delimited; /* a delimiter came before the empty line: there is no body */
	char type[MIME_TYPE_MAX];
	enum mime_encoding encoding;
	bool encoding_junk; /* something behind its word */
	char name[MIME_NAME_MAX];
	char boundary[MIME_BOUNDARY_MAX];
	bool has_type, bad_type; /* Content-Type says one; says something that is none */
	bool ambiguous, forms_cut;
	unsigned errors;	 /* bits of enum mime_error */
	unsigned choices_met;	 /* bits of enum mime_choice */
	struct mime_names names; /* last: its text is not cleared */
};

/* How to read it. */
struct mime_how {
	unsigned choices;
	bool crlf; /* lines end so, and a bare LF is odd */
	/* Is the line at that offset, which begins with two dashes, a delimiter? */
	bool (*is_delimiter)(void *arg, size_t line);
	void *arg;
};

/* Read the header section that begins at `from`. Never fails: what is not understood is noted. */
void mime_head_read(
	struct mime_head *h, struct mw_octets text, size_t from, const struct mime_how *how);

#endif
