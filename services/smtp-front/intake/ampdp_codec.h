/*
 * AM.PDP's framing, memory to memory (docs/am-pdp.md): lines "name=value" or "name: value", ended
 * by CRLF or LF, %hh for octets that may not stand there; an empty line ends a request or a reply.
 * Nothing here knows what the names mean.
 */
#ifndef SMTP_AMPDP_CODEC_H
#define SMTP_AMPDP_CODEC_H

#include "text.h"

#define AMPDP_LINE_MAX 16384	     /* octets of a line: a path of 4096, each octet as %hh */
#define AMPDP_REQUEST_MAX (1u << 20) /* octets of a request, as they come */
#define AMPDP_LINES_MAX                                                                            \
	4096 /* lines of a request: smtpd_recipient_limit's most, and the others                   \
	      */

/* Where reading stands. Zeroed at first; fini frees and zeroes. */
struct ampdp_reader {
	char *line; /* the beginning of a line that is not whole yet */
	size_t n, cap;
	size_t octets, lines; /* of this request */
};

/*
 * One attribute, decoded, without NULs; gone after the call. A line without separator has the value
 * "". NULL: taken; otherwise why the request is refused, a static text.
 */
typedef const char *ampdp_take(void *arg, const char *name, const char *value);

/*
 * Feed octets as they come. 1: the empty line was seen, the next octet begins another request.
 * 0: more is wanted. -1: refused, *why_r is a static text and the reader can only be dropped.
 * *used_r: octets used up, all of them unless the request ended before.
 */
int ampdp_feed(struct ampdp_reader *r, const char *p, size_t n, size_t *used_r, ampdp_take *take,
	void *arg, const char **why_r);
/* Octets of a request have come that is not whole. */
bool ampdp_reader_is_inside(const struct ampdp_reader *r);
void ampdp_reader_fini(struct ampdp_reader *r);

/* One line of a reply: the fields, each encoded, joined by single blanks. */
void ampdp_put(struct mw_text *out, const char *name, const struct mw_octets *fields, size_t count);
/* The same with one field. */
void ampdp_put_text(struct mw_text *out, const char *name, const char *value);
/* The empty line. */
void ampdp_put_end(struct mw_text *out);

#endif
