/* The two threads of the quarantine's books. Nobody else includes this. */
#ifndef SMTP_CLERK_PRIV_H
#define SMTP_CLERK_PRIV_H

#include <pthread.h>
#include <stdatomic.h>
#include <sys/queue.h>

#include "clerk.h"
#include "quarantine_sweep.h"

#define CLERK_DIR_MAX 256

enum clerk_kind { CLERK_KEPT, CLERK_RELEASED, CLERK_FIND };

/* An entry to be written: texts are the job's own. */
struct clerk_job {
	TAILQ_ENTRY(clerk_job) queue;
	enum clerk_kind kind;
	struct mw_qentry e;
	struct mw_text texts;
	char mail_id[65], who[MW_QINDEX_WHO_MAX];
	bool audited;
	struct clerk_ask *ask;
};
TAILQ_HEAD(clerk_jobs, clerk_job);

/* Of the loop's thread until it is queued, then of the clerk's until it is in `answered`. */
struct clerk_ask {
	struct clerk_job job;
	struct clerk_found found;
	void (*done)(void *arg, struct clerk_found *found); /* NULL: forgotten */
	void *arg;
};

struct clerk_claim {
	char mail_id[65]; /* "": free */
	int lock;	  /* -1: no folder to share */
	bool claimed;
	unsigned writing; /* jobs that say who has got it */
};

struct clerk {
	struct mw_loop *loop;
	uv_async_t *wake;
	pthread_mutex_t lock;
	pthread_cond_t work, rest; /* of the clerk; of the housekeeper */
	pthread_cond_t pause;	   /* the clerk's before it tries again: only the end ends it */
	pthread_t clerk, housekeeper;
	bool has_clerk, has_housekeeper;
	atomic_bool stopping;
	/* under the lock */
	struct clerk_jobs entries, asks, answered;
	size_t entry_count, ask_count, entry_limit;
	char dir[CLERK_DIR_MAX];
	struct mw_qretention retention;
	unsigned per_second;
	uint64_t interval_ms;
	bool scan_soon; /* entries were dropped, or the index is new */
	struct clerk_claim claims[CLERK_CLAIMS_MAX];
	/* counted by whoever does it */
	atomic_ullong indexed, dropped, expired, octets, scans;
};

void *housekeeper_main(void *arg);
void clerk_scan_soon(struct clerk *c);
/* Of the clerk's threads, when they are over. */
void clerk_unclaim_all(struct clerk *c);
/* From the queueing of a job CLERK_RELEASED until it is written. */
void clerk_claim_writing(struct clerk *c, const char *mail_id);
void clerk_claim_written(struct clerk *c, const char *mail_id);
/* Low priority of this thread for processor and disk, where the system has it. */
void clerk_step_back(void);

#endif
