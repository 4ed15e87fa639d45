/*
 * Copies that are rows of amavisd's tables (quarantine_sql.c), read back: found by mail_id, listed,
 * marked as released, taken away. amavisd's own rows are as good. A database that is slow or gone
 * is an error, never "there is no such mail".
 */
#ifndef SMTP_QUARANTINE_STORED_H
#define SMTP_QUARANTINE_STORED_H

#include "front.h"
#include "quarantine_index.h"

#define STORED_ROWS_MAX 1000  /* of one answer */
#define STORED_LOOK_MAX 20000 /* rows that a search looks at, the newest */
#define STORED_ANY (-1)	      /* partition_tag: whichever has it */

struct txn;
struct stored_job;

/* A mail, as the index has those that are files; path is "sql:PARTITION_TAG". */
struct stored_row {
	struct mw_qentry e;
	int64_t partition;
	const char *released; /* recipients whom it was released to (msgrcpt.rs), a line each */
	struct mw_text texts; /* what those point to */
};

struct stored_got {
	/*
	 * MW_OK. MW_ERR_GONE: there is no such mail; MW_ERR_CONF: several partitions have it, or a
	 * text is too short; MW_ERR_PROTO: a piece is missing; MW_ERR_LIMIT: it is too long;
	 * MW_AGAIN: front.held_octets; MW_ERR_IO: the database did not answer; MW_ERR_NOMEM.
	 */
	enum mw_rc rc;
	struct mw_err err;	 /* what a client may be told */
	struct stored_row *rows; /* gone after the callback */
	size_t count;
	struct smtp_body *body; /* of a load: the callee may take it (set it to NULL) */
	bool eight_bit;
};

#define STORED_ADDRESS_MAX 255 /* octets of an address in amavisd's tables */

/* An address as the rows have it: cut, and UTF-8. NULL: no memory. */
const char *stored_address(struct smtp_arena *a, const char *address);

/* Is there a database to ask at all? */
bool stored_is_set_up(const struct front *f);

/* done() is called once from the loop. NULL: too many wait, or no memory. */
struct stored_job *stored_load(struct front *f, const char *mail_id, int64_t partition,
	uint64_t limit, void (*done)(void *arg, struct stored_got *got), void *arg);
/* Newest first; of the query paths mean nothing, and at most STORED_ROWS_MAX come. */
struct stored_job *stored_find(struct front *f, const struct mw_qquery *query,
	void (*done)(void *arg, struct stored_got *got), void *arg);
/* All rows of a mail but its addresses. */
struct stored_job *stored_drop(struct front *f, const char *mail_id, int64_t partition,
	void (*done)(void *arg, struct stored_got *got), void *arg);
/* Nobody waits: done() is not called. Sets *job_p to NULL. */
void stored_forget(struct stored_job **job_p);

/*
 * t, a release of a mail that is rows, is over: msgrcpt says who has got it. Nobody waits, but for
 * whoever would release it next: t's claim lasts until then.
 */
void stored_released(struct txn *t);

#endif
