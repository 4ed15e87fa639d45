/*
 * The quarantine's books, kept by a thread of their own: what was kept and released goes into the
 * index (common/quarantine_index.h) in batches, and what a mail_id stands for is looked up.
 * Nobody's reply waits for an entry: what the queue has no room for, or a crash loses, is found
 * again by the housekeeper, another thread, which also takes away what is too old.
 */
#ifndef SMTP_CLERK_H
#define SMTP_CLERK_H

#include "conf.h"
#include "loop.h"
#include "quarantine_index.h"

struct txn;
struct clerk;
struct clerk_ask;

#define CLERK_COPIES_MAX 32  /* of one mail_id */
#define CLERK_CLAIMS_MAX 256 /* mails being released at once */

struct clerk_release {
	const char *rcpt, *who;
	uint64_t time_ms;
};

/* What is known of a mail_id; gone after the callback unless it is taken. */
struct clerk_found {
	bool known; /* the index could be asked */
	size_t count;
	char *paths[CLERK_COPIES_MAX]; /* of copies whose file says that it has this id */
	char *rcpts; /* blocked ones of all of them, all where no copy names any; a line each */
	size_t release_count;
	struct clerk_release *releases;
	struct mw_text texts; /* what those point to */
};

/* An index that cannot be had is no reason not to start: it is said in the log. MW_ERR_CONF:
 * quarantine.retention. */
enum mw_rc clerk_new(
	struct clerk **c_r, struct mw_loop *loop, const struct mw_conf *conf, struct mw_err *err_r);
/* New settings. MW_ERR_CONF: the old ones stay. */
enum mw_rc clerk_configure(struct clerk *c, const struct mw_conf *conf, struct mw_err *err_r);
/* What is queued is written first. NULL: nothing to do. */
void clerk_destroy(struct clerk **c_p);

/* A copy of t is synced: path, below QUARANTINEDIR. */
void clerk_kept(struct clerk *c, const struct txn *t, const char *path);
/* t, a mail out of the quarantine, is over: who has got it is written down. */
void clerk_released(struct clerk *c, const struct txn *t);

/* done() is called once from the loop. NULL: no memory, or too many wait. */
struct clerk_ask *clerk_find(struct clerk *c, const char *mail_id,
	void (*done)(void *arg, struct clerk_found *found), void *arg);
void clerk_forget(struct clerk_ask **ask_p);
void clerk_found_fini(struct clerk_found *f);

/*
 * One release of a mail at a time, of all fronts that share a QUARANTINEDIR. False: it is being
 * released, or too many are, or nobody knows.
 */
bool clerk_claim(struct clerk *c, const char *mail_id);
void clerk_unclaim(struct clerk *c, const char *mail_id);

/* Lines for GET /metrics. */
void clerk_metrics(struct clerk *c, struct mw_text *out);

#endif
