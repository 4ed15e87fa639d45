/*
 * Batch SMTP (RFC 2442) read back: a file of what a client would say. Out comes what a quarantine
 * file has: the envelope as X-Envelope-From and X-Envelope-To, then the mail, with its doubled dots
 * undone (RFC 5321 section 4.5.2). The first mail only; what stands behind it does not count.
 */
#ifndef MW_BATCH_SMTP_H
#define MW_BATCH_SMTP_H

#include "text.h"

#define MW_BATCH_LINE_MAX 4096		       /* octets of a command */
#define MW_BATCH_COMMANDS_OCTETS_MAX (1 << 20) /* and of all before the mail */

/* All zero at first. */
struct mw_batch {
	bool in_mail, over;
	bool inside;	  /* of a line of the mail */
	bool dot, dot_cr; /* a line's first dot, and the CR behind it, are held back */
	size_t octets;	  /* of commands so far */
	struct mw_text line, sender, rcpts;
};

/* The first octets of a file: is it batch SMTP? A copy of another kind begins with a field. */
bool mw_batch_begins(struct mw_octets file);
/* Append to *out what these octets bring. 1: the mail is whole; 0: more is wanted; -1: that is no
 * batch SMTP, or beyond its bounds (or out->failed). */
int mw_batch_feed(struct mw_batch *b, struct mw_octets in, struct mw_text *out);
void mw_batch_fini(struct mw_batch *b);

#endif
