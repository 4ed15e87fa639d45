/*
 * Octets that come from a file or a database become a mail's body: every LF behind a CR, the last
 * line ended, within a limit. Not on the loop: a thread that reads calls it.
 */
#ifndef SMTP_MAIL_FILL_H
#define SMTP_MAIL_FILL_H

#include "batch_smtp.h"
#include "front.h"

#define MAIL_FILL_OCTETS 65536 /* at once, at most */

struct mail_fill {
	uint64_t limit;		/* octets of the mail, CRLF line ends counted */
	bool unwraps;		/* batch SMTP (common/batch_smtp.h) becomes what is in it */
	struct smtp_body *body; /* whoever takes it sets this to NULL */
	/* MW_OK; MW_ERR_LIMIT: more octets than the limit; MW_AGAIN: all mails together hold
	 * front.held_octets; MW_ERR_PROTO: batch SMTP that has no end; MW_ERR_IO, MW_ERR_NOMEM. */
	enum mw_rc rc;
	struct mw_err err;
	bool eight_bit; /* an octet above 0x7f is in it */
	/* its own */
	bool begun, in_batch;
	struct mw_batch batch;
	struct mw_text unwrapped;
	unsigned char last, out[2 * MAIL_FILL_OCTETS];
};

/* limit and unwraps are kept, everything else begins anew; hint: octets that are expected. */
void mail_fill_begin(struct mail_fill *l, struct smtp_body_pool *bodies, size_t hint);
/* n at most MAIL_FILL_OCTETS. False: l->rc is not MW_OK. */
bool mail_fill_take(struct mail_fill *l, const unsigned char *p, size_t n);
/* The mail's end: the body is sealed, or l->rc says why not. */
void mail_fill_end(struct mail_fill *l);
void mail_fill_fini(struct mail_fill *l);

#endif
