/*
 * The cages of one scanner, and the jobs that wait for one. Two generations of holders at most: the
 * one at work, and one that is loading newer signatures beside it.
 *
 * What becomes of a job whose cage ends:
 *   by its own fault (SIGSEGV, SIGABRT, SIGSYS, exit ...), or killed because its time was up
 *                                              failed, MW_REASON_CAGE_DIED: the mail is suspect
 *   by a SIGKILL that was not ours (an operator, the kernel short of memory)
 *                                              another cage, once; the second time as above
 *   because the holder died                    another cage, as often as that happens
 */
#ifndef SCAN_POOL_H
#define SCAN_POOL_H

#include "cage/proto.h"
#include "conf.h"
#include "loop.h"
#include "text.h"

struct pool;

/* One job in the pool's hands. The caller fills the first part and keeps it all until done or
 * cancelled. */
struct pool_job {
	const struct mw_octets *parts; /* the message, borrowed */
	size_t part_count;
	uint64_t deadline_ms;
	bool virus, decode, tell_parts, digests;
	bool want_leaves; /* the decoded leaves, too: leaves_fd, when it is done */
	void *user;
	/* the pool's own */
	uint64_t id;
	unsigned kills;
	struct cage *cage; /* NULL: waiting */
	int leaves_fd; /* -1, or a memfd of scan_leaf_next()'s records, the caller's when done */
	struct pool_job *next, *prev;
};

struct pool_ops {
	/* Its verdict; the job is the caller's again. r->findings is borrowed for the call. */
	void (*done)(void *arg, struct pool_job *job, const struct scan_result *r);
	void (*started)(void *arg, struct pool_job *job); /* a cage has it */
	/* These signatures are at work from now on. */
	void (*changed)(void *arg, const struct scan_engine *e);
};

/* Starts the first holder and waits until it has loaded the signatures and a cage is there. */
enum mw_rc pool_open(struct pool **p_r, struct mw_loop *loop, const struct mw_conf *conf,
	const struct pool_ops *ops, void *arg, struct mw_err *err_r);
void pool_close(struct pool **p_p);
void pool_submit(struct pool *p, struct pool_job *job);
/* The caller has no use for it any more: forget it. A cage that is at it is killed if it does not
 * end soon. */
void pool_cancel(struct pool *p, struct pool_job *job);
/* How many jobs may be given at once; 0 while no signatures are loaded for longer than a restart
 * takes. */
unsigned pool_slots(const struct pool *p);
/* Engine and signatures, "" before the first holder is ready. */
const char *pool_engine(const struct pool *p);
/* Cages and what became of them, for GET /metrics. */
void pool_metrics(const struct pool *p, struct mw_text *out);
/* Settings were read again, or there may be new signatures: load them beside, then change over. */
enum mw_rc pool_reload(struct pool *p, const struct mw_conf *conf, struct mw_err *err_r);

#endif
