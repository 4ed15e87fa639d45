/* Replies as they go over the wire. Memory to memory. */
#ifndef SMTP_ANSWER_H
#define SMTP_ANSWER_H

#include "text.h"

/*
 * Add a reply given as one text, "250 2.0.0 words". Words that are too long for a line of 512
 * octets (RFC 5321 section 4.5.3.1.5) or hold LF become a multi-line reply (4.2.1), code and
 * enhanced code on each line.
 */
void smtp_answer(struct mw_text *out, const char *text);

#endif
