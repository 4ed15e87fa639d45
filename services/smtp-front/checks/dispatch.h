/*
 * The dispatcher: who does which job, and what happens when that one dies.
 *
 * Each kind has one bounded FIFO of waiting jobs. A job goes to the live worker of its kind with
 * the fewest outstanding jobs and a free slot; ties go round. A worker's death gives its jobs back
 * to the head of the queue with attempt + 1; an attempt that outlives its time limit is taken away;
 * late verdicts are ignored. A slot stays taken as long as the worker may be at the job, waited for
 * or not. Every job that is not cancelled ends in exactly one call of its done(), never from inside
 * dispatch_submit().
 */
#ifndef SMTP_DISPATCH_H
#define SMTP_DISPATCH_H

#include "body.h"
#include "conf.h"
#include "events.h"
#include "log.h"
#include "loop.h"
#include "wire.h"
#include "zsock.h"

enum dispatch_kind { JOB_AUTH, JOB_SCAN, JOB_REPUTATION, JOB_SPAM, JOB_SIGN, JOB_LEARN, JOB_KINDS };
extern const char *const dispatch_kind_names[JOB_KINDS];

/* After this many deaths of a cage a mail is poison; of workers, the check is failed (bystanders
 * are innocent). */
#define DISPATCH_CAGE_DEATHS 2
#define DISPATCH_WORKER_DEATHS 4
/* Attempts taken away for time before the check counts as failed. */
#define DISPATCH_TIMEOUTS 2

/* One run of octets of the message: borrowed by ZeroMQ through a reference to its owner. */
struct dispatch_part {
	struct mw_octets octets;
	struct smtp_body *owner;
};

struct dispatch_result {
	enum mw_status status;
	bool poison; /* failed because two cages died on it */
	char reason[MW_REASON_MAX];
	char worker[MW_NAME_MAX];
	unsigned attempts;
	uint64_t wait_us, wall_us, cpu_us;
	struct mw_octets findings; /* valid during the call only */
};

struct dispatch;
struct dispatch_job;

enum mw_rc dispatch_open(struct dispatch **d_r, struct mw_zctx *z, struct mw_loop *loop,
	const struct mw_conf *conf, const char *verdicts_endpoint, uint64_t incarnation,
	struct mw_publisher *pub, struct mw_err *err_r);
void dispatch_close(struct dispatch **d_p);
/* New limits after a reload. */
void dispatch_configure(struct dispatch *d, const struct mw_conf *conf);

/*
 * what: envelope, ids, orders; borrowed until done() (kind, job, attempt and deadline are filled in
 * here). deadline_ms: mw_mono_ms() clock, for all attempts together. NULL: the kind's queue is
 * full, or no memory.
 */
struct dispatch_job *dispatch_submit(struct dispatch *d, enum dispatch_kind kind,
	const struct mw_job *what, const struct dispatch_part *parts, size_t part_count,
	uint64_t deadline_ms, void (*done)(void *arg, const struct dispatch_result *result),
	void *arg);
/* Lines about it are said so; voice lives as long as the job. */
void dispatch_speak_as(struct dispatch_job *job, const struct mw_log_voice *voice);
/* Nobody waits any more: done() is not called. Sets *job_p to NULL. */
void dispatch_cancel(struct dispatch *d, struct dispatch_job **job_p);

/* The kind whose queue is at its limit, or NULL: new mail is refused early then. */
const char *dispatch_full(const struct dispatch *d);
/* Fill workers and queues of the state snapshot; s->workers is allocated. */
void dispatch_state(const struct dispatch *d, struct mw_state *s);
struct dispatch_stats {
	uint64_t jobs[JOB_KINDS], failed[JOB_KINDS], redispatched, late, dropped;
	size_t workers, waiting[JOB_KINDS], outstanding;
};
struct dispatch_stats dispatch_stats(const struct dispatch *d);

#endif
