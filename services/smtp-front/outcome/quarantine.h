/*
 * Copies of a mail: of what is kept from recipients or marked (the quarantine), and of all mail
 * (the archive). Each goes one way of a table (quarantine.c): a file of its own or a mail. The
 * reply to the client waits for all of them; one that fails defers the mail.
 */
#ifndef SMTP_QUARANTINE_H
#define SMTP_QUARANTINE_H

#include "transaction.h"

struct quarantine_job;

#define QUARANTINE_COPIES_MAX 16 /* of one mail; who wants another shares the first */

/*
 * Which copies are to be kept, t->copies (none: nothing is), and which is whose: of recipients
 * whose blocking category has a method and who have a place; of those whom nothing blocks the same
 * by their main one. Then those of the archive. Poison: one, in folder poison/. MW_OK or
 * MW_ERR_NOMEM.
 */
enum mw_rc quarantine_plan(struct txn *t);
/*
 * Keep them all, one after the other. done() is called once from the loop, when all are safe or one
 * of them could not be kept. MW_ERR_NOMEM or MW_ERR_LIMIT: not even begun.
 */
enum mw_rc quarantine_keep(struct txn *t, struct quarantine_job **job_r,
	void (*done)(void *arg, enum mw_rc rc, const char *error), void *arg);
/* The transaction is gone: the copy is finished or not, nobody is told. Sets *job_p to NULL. */
void quarantine_forget(struct quarantine_job **job_p);
/*
 * A release of the copy t->copies[at] is for r: it is kept from r. Of one that is nobody's of the
 * blocked ones (the archive's, one by the sender, one of whom nothing blocks), for all of those.
 */
bool quarantine_is_kept_from(const struct txn *t, size_t at, const struct txn_rcpt *r);
/* Some copy is not the archive's. */
bool quarantine_keeps_from_somebody(const struct txn *t);

#endif
