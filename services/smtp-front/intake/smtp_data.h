/*
 * The octets of a mail as they come in, a filter fed with any cuts. After DATA only CRLF.CRLF ends
 * them (RFC 5321 section 4.1.1.4) and a leading dot is taken off (4.5.2); in BDAT's chunks (RFC
 * 3030 section 2) nothing ends them but the count, and dots are text.
 *
 * What we and the next hop split differently is a smuggled mail. So an LF without CR is either
 * remembered, for the whole mail to be refused once it has been read to its true end, or made a
 * CRLF; and a lone dot that only a bare CR or a NUL hides is found by smtp_data_hides_dot().
 */
#ifndef SMTP_DATA_H
#define SMTP_DATA_H

#include "base.h"

struct smtp_data {
	unsigned char state;
	bool normalise; /* a bare LF becomes CRLF; set before the first octet */
	bool chunks;	/* BDAT: no dots, no end; set before the first octet */
	bool bare_lf;	/* an LF without CR was seen */
	bool odd;	/* a CR without LF or a NUL was seen: smtp_data_hides_dot() has to look */
	bool dots;	/* lines may begin with a dot: the way out has to double it */
};

typedef enum mw_rc smtp_data_keep_fn(void *arg, const unsigned char *p, size_t n);

void smtp_data_init(struct smtp_data *d);

/*
 * Take from p..p+n. keep() is called with runs of message octets, in order; its error ends the
 * call. Returns 1 when the end was seen, 0 when more is wanted, -1 when keep() failed (*rc_r says
 * why). *used_r: octets taken from p; after 1 the rest is the next command.
 */
int smtp_data_feed(struct smtp_data *d, const unsigned char *p, size_t n, size_t *used_r,
	smtp_data_keep_fn *keep, void *arg, enum mw_rc *rc_r);

/* After the last chunk: a mail that does not end with CRLF gets one, for the dot that ends it on
 * its way out. size: octets kept so far. */
enum mw_rc smtp_data_last(struct smtp_data *d, size_t size, smtp_data_keep_fn *keep, void *arg);

/*
 * Whether a server that takes a lone CR for a line end, or leaves NULs out, would see a line of one
 * dot, the end of the mail: what stands between two CRs or LFs is one dot, beside NULs, and is not
 * a dot behind an LF (that one is doubled on the way out).
 */
bool smtp_data_hides_dot(struct mw_octets mail);

#endif
