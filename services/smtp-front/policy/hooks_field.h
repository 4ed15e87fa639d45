/* Header fields that hooks write: names and values are checked, values folded or encoded, so that
 * nothing but one field comes of them. */
#ifndef SMTP_HOOKS_FIELD_H
#define SMTP_HOOKS_FIELD_H

#include "base.h"
#include "text.h"

#define HOOK_FIELD_NAME_MAX 76
#define HOOK_PREFIX_MAX 200 /* octets before a subject, of all that hooks put there */

/* RFC 5322 section 2.2: printable ASCII but for the colon. */
bool hook_field_name(const char *name, size_t n);
/*
 * Append "Name: value\r\n" to *out, folded (section 2.2.3). Text that is not ASCII becomes RFC
 * 2047's encoded words unless utf8 says that it may stand there (RFC 6532). What is wrong with the
 * value, or NULL.
 */
const char *hook_field_print(
	const char *name, const char *value, size_t n, bool utf8, struct mw_text *out);

#endif
