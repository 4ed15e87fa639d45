/*
 * The octets between DATA and its end: a filter fed with any cuts. Only CRLF.CRLF ends the data
 * (RFC 5321 section 4.1.1.4); a leading dot is taken off (4.5.2). A bare LF is kept in the octets
 * but remembered, so that the whole mail can be refused once it has been read to its true end: what
 * we and the next hop split differently is a smuggled mail.
 */
#ifndef SMTP_DATA_H
#define SMTP_DATA_H

#include "base.h"

struct smtp_data {
	unsigned char state;
	bool bare_lf; /* an LF without CR was seen */
	bool dots;    /* a leading dot was taken off: the way out has to put it back */
};

void smtp_data_init(struct smtp_data *d);

/*
 * Take from p..p+n. keep() is called with runs of message octets, in order; its error ends the
 * call. Returns 1 when the end was seen, 0 when more is wanted, -1 when keep() failed (*rc_r says
 * why). *used_r: octets taken from p; after 1 the rest is the next command.
 */
int smtp_data_feed(struct smtp_data *d, const unsigned char *p, size_t n, size_t *used_r,
	enum mw_rc (*keep)(void *arg, const unsigned char *p, size_t n), void *arg,
	enum mw_rc *rc_r);

#endif
