/* Replies of AM.PDP (docs/am-pdp.md): a mail that is over, or a request that cannot be served. */
#ifndef SMTP_AMPDP_ANSWER_H
#define SMTP_AMPDP_ANSWER_H

#include "ampdp_request.h"
#include "transaction.h"

/*
 * t is over. Whoever delivers is told what to change; 4xx is always tempfail, so that nobody takes
 * a mail for discarded that is only late. Out of memory: tempfail, too.
 */
void ampdp_answer(struct mw_text *out, struct txn *t, const struct ampdp_request *q);
/* Without a decision: 4xx or 5xx. log_id may be NULL. */
void ampdp_answer_failure(struct mw_text *out, const char *log_id, unsigned code,
	const char *enhanced, const char *text);
/* The first lines of every reply. */
void ampdp_answer_head(struct mw_text *out, const char *log_id);
/* setreply from a reply's whole text, "554 5.7.0 Reject"; of several lines the first. NULL: there
 * was no memory for it, 451. */
void ampdp_answer_setreply(struct mw_text *out, const char *reply);

#endif
