#include "scan_check.h"

#include <stdlib.h>

#include "pool.h"

static void job_done(void *arg, struct pool_job *job, const struct scan_result *r)
{
	struct mw_verdict v = { .status = r->status, .cpu_us = r->cpu_us, .findings = r->findings };

	(void)arg;
	mw_strlcpy(v.reason, r->reason, sizeof(v.reason));
	mw_worker_done(job->user, &v);
	free(job);
}

static void job_started(void *arg, struct pool_job *job)
{
	(void)arg;
	mw_worker_phase(job->user, "scan");
}

static const struct pool_ops calls = { .done = job_done, .started = job_started };

static enum mw_rc scan_open(
	void **state_r, struct mw_loop *loop, const struct mw_conf *conf, struct mw_err *err)
{
	return pool_open((struct pool **)state_r, loop, conf, &calls, NULL, err);
}

static void scan_close(void **state_p)
{
	pool_close((struct pool **)state_p);
}

static unsigned scan_slots(const void *state)
{
	return pool_slots(state);
}

static const char *scan_engine(const void *state)
{
	return pool_engine(state);
}

static enum mw_rc scan_start(void *state, const struct mw_job *job, struct mw_ticket *ticket)
{
	struct pool_job *p = calloc(1, sizeof(*p));

	if (p == NULL)
		return MW_ERR_NOMEM;
	p->parts = job->parts;
	p->part_count = job->part_count;
	p->deadline_ms = job->deadline_ms;
	p->virus = mw_map_bool(job->orders, "virus", true);
	p->decode = mw_map_bool(job->orders, "decode", true);
	p->user = ticket;
	ticket->user = p;
	mw_worker_phase(ticket, "wait");
	pool_submit(state, p);
	return MW_OK;
}

static void scan_cancel(void *state, struct mw_ticket *ticket)
{
	struct pool_job *p = ticket->user;

	pool_cancel(state, p);
	free(p);
}

static enum mw_rc scan_reload(void *state, const struct mw_conf *conf, struct mw_err *err)
{
	return pool_reload(state, conf, err);
}

const struct mw_check scan_check = {
	.kind = "scan",
	.slots_of = scan_slots,
	.open = scan_open,
	.start = scan_start,
	.cancel = scan_cancel,
	.engine = scan_engine,
	.reload = scan_reload,
	.close = scan_close,
};
