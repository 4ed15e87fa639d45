/*
 * All names that an entity declares, in all forms that some reader saves a file under. Names make
 * no readings: each form is one more for the rules about banned names.
 */
#ifndef SCAN_NAMES_H
#define SCAN_NAMES_H

#include "charset.h"

/*
 * A name as the field has it (quotes and RFC 2231's percent octets undone), of that charset:
 * decoded, the likeliest form first; as octets; and as it is. Of each with a NUL also what stands
 * before it.
 */
void mime_names_add(
	struct mime_names *names, const struct mime_text *name, enum mime_charset charset);
/* What else readers make of a parameter's value: without its comments, up to a blank, with the text
 * behind its quotes. */
void mime_names_add_raw(struct mime_names *names, struct mw_octets raw);
/* The likeliest form alone. */
void mime_name_decode(
	const struct mime_text *name, enum mime_charset charset, struct mime_text *out);

#endif
