/* Subjects for people: RFC 2047 encoded words decoded into UTF-8, bounded. */
#ifndef LOGSVC_SUBJECT_H
#define LOGSVC_SUBJECT_H

#include "base.h"
#include "text.h"

#define LOGSVC_SUBJECT_MAX 8192 /* octets of the raw field that are looked at */
#define LOGSVC_WORDS_MAX 128	/* encoded words decoded; further ones stay as they are */

/* Trim, decode and append to *out. What cannot be decoded (unknown charset, broken word) stays as
 * it is. */
void logsvc_subject_decode(struct mw_octets raw, struct mw_text *out);
/* ASCII letters rotated by 13, in place. */
void logsvc_rot13(char *p, size_t n);

#endif
