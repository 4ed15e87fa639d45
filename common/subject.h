/* Subjects for people: RFC 2047 encoded words decoded into UTF-8, bounded. */
#ifndef MW_SUBJECT_H
#define MW_SUBJECT_H

#include "base.h"
#include "text.h"

#define MW_SUBJECT_MAX 8192	 /* octets of the raw field that are looked at */
#define MW_SUBJECT_WORDS_MAX 128 /* encoded words decoded; further ones stay as they are */

/* Trim, decode and append to *out. What cannot be decoded (unknown charset, broken word) stays as
 * it is. */
void mw_subject_decode(struct mw_octets raw, struct mw_text *out);

#endif
