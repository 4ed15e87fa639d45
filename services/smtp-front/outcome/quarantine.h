/*
 * Quarantine: gzip files, each under its final name only when it is whole and on disk. The
 * work (compression, fsync) runs on libuv's pool; the reply to the client waits for it.
 */
#ifndef SMTP_QUARANTINE_H
#define SMTP_QUARANTINE_H

#include "transaction.h"

struct quarantine_job;

#define QUARANTINE_COPIES_MAX 16 /* of one mail; who wants another shares the first */

/*
 * Which copies are to be kept, t->copies (none: nothing is), and which is whose: those blocked
 * recipients whose category has a method and who have a folder. Poison: one, in folder poison/.
 * MW_OK or MW_ERR_NOMEM.
 */
enum mw_rc quarantine_plan(struct txn *t);
/*
 * Keep t->copies[t->copy_at] under QUARANTINEDIR/name, with the envelope on top as amavisd writes
 * it. done() is called once from the loop; name is relative and lives in the arena. NULL: no
 * memory.
 */
struct quarantine_job *quarantine_keep(struct txn *t, const char *name,
	void (*done)(void *arg, enum mw_rc rc, const char *error), void *arg);
/* The transaction is gone: the copy is finished or not, nobody is told. Sets *job_p to NULL. */
void quarantine_forget(struct quarantine_job **job_p);

#endif
