/* Replies of the next hop, from any cuts of octets (RFC 5321 section 4.2). Memory to memory. */
#ifndef SMTP_REPLY_H
#define SMTP_REPLY_H

#include "base.h"

#define SMTP_REPLY_MAX 4096 /* octets of text kept of one reply; the rest is read and dropped */
#define SMTP_REPLY_LINES_MAX 100 /* lines of one reply */
#define SMTP_REPLY_LINE_MAX 4096 /* octets of one line; RFC 5321 4.5.3.1.5 says 512 */

struct smtp_reply {
	unsigned code; /* 200..599 */
	char text[SMTP_REPLY_MAX +
		  1]; /* lines without code, joined by LF; printable ASCII, the rest as '?' */
	size_t text_n;
	/* parser's own */
	char line[SMTP_REPLY_LINE_MAX];
	size_t line_n;
	unsigned lines;
	bool reset; /* the next octet begins a new reply */
};

void smtp_reply_init(struct smtp_reply *r);
/* Feed octets: 1 a reply is whole (*used_r says how many octets it took), 0 more wanted, -1 not
 * SMTP. */
int smtp_reply_feed(struct smtp_reply *r, const char *p, size_t n, size_t *used_r);
/* The enhanced code that begins the text ("2.1.5"), or one made of the class and dflt (".1.0") in
 * buf. */
const char *smtp_reply_enhanced(const struct smtp_reply *r, const char *dflt, char buf[16]);

#endif
