/*
 * Quarantine: one gzip file a mail, under its final name only when it is whole and on disk. The
 * work (compression, fsync) runs on libuv's pool; the reply to the client waits for it.
 */
#ifndef SMTP_QUARANTINE_H
#define SMTP_QUARANTINE_H

#include "transaction.h"

struct quarantine_job;

/* The file's name for the mail's blocking category, or NULL: not to be kept. poison: folder
 * poison/. */
const char *quarantine_name(struct txn *t);
/*
 * Keep a copy under QUARANTINEDIR/name, with the envelope on top as amavisd writes it. done() is
 * called once from the loop; name is relative and lives in the arena. NULL: no memory.
 */
struct quarantine_job *quarantine_keep(struct txn *t, const char *name,
	void (*done)(void *arg, enum mw_rc rc, const char *error), void *arg);
/* The transaction is gone: the copy is finished or not, nobody is told. Sets *job_p to NULL. */
void quarantine_forget(struct quarantine_job **job_p);

#endif
