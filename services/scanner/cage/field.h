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
	size_t body; /* offset of the body in the entity */
	char type[MIME_TYPE_MAX];
	enum mime_encoding encoding;
	char name[MIME_NAME_MAX];
	char boundary[MIME_BOUNDARY_MAX];
	bool has_type;
	unsigned errors; /* bits of enum mime_error */
	bool ambiguous;
};

/* Read the header section of an entity. Never fails: what is not understood is noted in errors. */
void mime_head_read(struct mime_head *h, struct mw_octets entity, enum mime_reading reading);

#endif
