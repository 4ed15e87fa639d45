#include "rep_check.h"

#include <stdlib.h>

#include "findings.h"
#include "log.h"
#include "orders.h"

#define PROBE_MS 1500 /* at start, to learn whether the server can ever serve */

struct rep_service {
	unsigned users; /* kinds of job that opened it */
	struct rep_store *store;
	unsigned slots;
	size_t ignored_count;
	struct mw_net *ignored;
};

/* Both kinds of this process; the worker opens them one after the other. */
static struct rep_service *the_service;

struct rep_task {
	struct rep_service *service;
	struct mw_ticket *ticket;
	struct rep_orders orders;
	struct rep_op *op;
};

static void task_free(struct rep_task *t)
{
	rep_orders_fini(&t->orders);
	free(t);
}

/* ------------------------------------------------------------------ answers */

static void task_answer(struct rep_task *t, struct mw_verdict *v)
{
	struct mw_ticket *ticket = t->ticket;

	mw_worker_done(ticket, v);
	task_free(t);
}

static void task_failed(struct rep_task *t, const char *failed)
{
	struct mw_verdict v = { .status = MW_FAILED };

	mw_strlcpy(v.reason, failed, sizeof(v.reason));
	task_answer(t, &v);
}

static void query_done(void *arg, const char *failed, const struct rep_answer *answer)
{
	struct rep_task *t = arg;
	struct mw_verdict v = { .status = MW_DONE };
	struct mw_pack findings;

	if (failed != NULL) {
		task_failed(t, failed);
		return;
	}
	mw_pack_init(&findings);
	rep_findings_pack(&findings, &t->orders.query, answer, t->service->ignored,
		t->service->ignored_count);
	if (findings.failed) {
		mw_pack_fini(&findings);
		task_failed(t, mw_rc_name(MW_ERR_NOMEM));
		return;
	}
	v.findings = mw_octets_of(findings.p, findings.n);
	if (t->orders.cut || answer->cut) {
		v.status = MW_LIMIT;
		mw_strlcpy(v.reason,
			t->orders.cut ? "too_many_addresses" : "too_many_correspondents",
			sizeof(v.reason));
	}
	task_answer(t, &v);
	mw_pack_fini(&findings);
}

static void lesson_done(void *arg, const char *failed, const struct rep_answer *answer)
{
	struct rep_task *t = arg;
	struct mw_verdict v = { .status = t->orders.cut ? MW_LIMIT : MW_DONE };

	(void)answer;
	if (failed != NULL) {
		task_failed(t, failed);
		return;
	}
	if (t->orders.cut)
		mw_strlcpy(v.reason, "too_many_addresses", sizeof(v.reason));
	task_answer(t, &v);
}

/* ------------------------------------------------------------------ jobs */

static struct rep_task *task_new(struct rep_service *s, struct mw_ticket *ticket)
{
	struct rep_task *t = calloc(1, sizeof(*t));

	if (t == NULL)
		return NULL;
	t->service = s;
	t->ticket = ticket;
	ticket->user = t;
	mw_worker_phase(ticket, "redis");
	return t;
}

static enum mw_rc task_refused(
	struct rep_task *t, const struct mw_job *job, enum mw_rc rc, const struct mw_err *err)
{
	mw_log(MW_WARN, "job_refused", "job=%llu log_id=%s kind=%s why=%s",
		(unsigned long long)job->job, mw_quote(job->log_id), job->kind,
		mw_quote(err->text));
	task_free(t);
	return rc;
}

static enum mw_rc query_start(void *state, const struct mw_job *job, struct mw_ticket *ticket)
{
	struct rep_service *s = state;
	struct rep_task *t = task_new(s, ticket);
	struct mw_err err = { "" };
	enum mw_rc rc;

	if (t == NULL)
		return MW_ERR_NOMEM;
	rc = rep_orders_query(&t->orders, job, &err);
	if (rc == MW_OK)
		rc = rep_store_query(
			s->store, &t->orders.query, job->deadline_ms, query_done, t, &t->op);
	return rc == MW_OK ? rc : task_refused(t, job, rc, &err);
}

static enum mw_rc lesson_start(void *state, const struct mw_job *job, struct mw_ticket *ticket)
{
	struct rep_service *s = state;
	struct rep_task *t = task_new(s, ticket);
	struct mw_err err = { "" };
	enum mw_rc rc;

	if (t == NULL)
		return MW_ERR_NOMEM;
	rc = rep_orders_lesson(&t->orders, job, s->ignored, s->ignored_count, &err);
	if (rc == MW_OK)
		rc = rep_store_learn(
			s->store, &t->orders.lesson, job->deadline_ms, lesson_done, t, &t->op);
	return rc == MW_OK ? rc : task_refused(t, job, rc, &err);
}

static void task_cancel(void *state, struct mw_ticket *ticket)
{
	struct rep_service *s = state;
	struct rep_task *t = ticket->user;

	if (t == NULL)
		return;
	ticket->user = NULL;
	rep_store_cancel(s->store, &t->op);
	task_free(t);
}

/* ------------------------------------------------------------------ settings and life */

static enum mw_rc ignored_read(
	const struct mw_conf *conf, struct mw_net **nets_r, size_t *count_r, struct mw_err *err_r)
{
	const char *const *items;
	size_t count = mw_conf_list(conf, "ip_repu_ignore_networks", &items);
	struct mw_net *nets = calloc(count + 1, sizeof(*nets));

	if (nets == NULL)
		return mw_fail(err_r, MW_ERR_NOMEM, "no memory");
	for (size_t i = 0; i < count; i++) {
		if (!mw_net_parse(items[i], &nets[i])) {
			free(nets);
			return mw_fail(err_r, MW_ERR_CONF,
				"ip_repu_ignore_networks: %s is not an address, NET/LENGTH or "
				"NET/MASK",
				mw_quote(items[i]));
		}
	}
	*nets_r = nets;
	*count_r = count;
	return MW_OK;
}

static void service_free(struct rep_service *s)
{
	rep_store_close(&s->store);
	free(s->ignored);
	free(s);
}

static enum mw_rc service_new(struct rep_service **s_r, struct mw_loop *loop,
	const struct mw_conf *conf, struct mw_err *err_r)
{
	struct rep_service *s = calloc(1, sizeof(*s));
	enum mw_rc rc;

	if (s == NULL)
		return mw_fail(err_r, MW_ERR_NOMEM, "no memory");
	s->slots = (unsigned)mw_conf_int(conf, "reputation.slots");
	rc = ignored_read(conf, &s->ignored, &s->ignored_count, err_r);
	if (rc == MW_OK) {
		rc = rep_store_probe(conf, PROBE_MS, err_r);
		if (rc == MW_ERR_GONE) {
			/* Mail does not need it: we serve, and say failed until it is there. */
			mw_log(MW_WARN, "redis_not_there_yet", "why=%s", mw_quote(err_r->text));
			rc = MW_OK;
		}
	}
	if (rc == MW_OK)
		rc = rep_store_open(&s->store, loop, conf, err_r);
	if (rc != MW_OK) {
		service_free(s);
		return rc;
	}
	*s_r = s;
	return MW_OK;
}

static enum mw_rc check_open(
	void **state_r, struct mw_loop *loop, const struct mw_conf *conf, struct mw_err *err_r)
{
	enum mw_rc rc = the_service != NULL ? MW_OK : service_new(&the_service, loop, conf, err_r);

	if (rc != MW_OK)
		return rc;
	the_service->users++;
	*state_r = the_service;
	return MW_OK;
}

static void check_close(void **state_p)
{
	struct rep_service *s = *state_p;

	*state_p = NULL;
	if (s == NULL || --s->users > 0)
		return;
	the_service = NULL;
	service_free(s);
}

static enum mw_rc check_reload(void *state, const struct mw_conf *conf, struct mw_err *err_r)
{
	struct rep_service *s = state;
	struct mw_net *ignored = NULL;
	size_t ignored_count = 0;
	enum mw_rc rc = ignored_read(conf, &ignored, &ignored_count, err_r);

	if (rc == MW_OK)
		rc = rep_store_reload(s->store, conf, err_r);
	if (rc != MW_OK) {
		free(ignored);
		return rc;
	}
	free(s->ignored);
	s->ignored = ignored;
	s->ignored_count = ignored_count;
	s->slots = (unsigned)mw_conf_int(conf, "reputation.slots");
	return MW_OK;
}

static unsigned check_slots(const void *state)
{
	const struct rep_service *s = state;

	return s->slots;
}

static const char *check_engine(const void *state)
{
	const struct rep_service *s = state;

	return rep_store_engine(s->store);
}

static void check_down(const void *state, struct mw_down *down)
{
	const struct rep_service *s = state;

	if (rep_store_is_down(s->store))
		mw_down_add(down, "redis");
}

const struct mw_check rep_checks[REP_CHECKS] = {
	{
		.kind = "reputation",
		.slots_of = check_slots,
		.open = check_open,
		.start = query_start,
		.cancel = task_cancel,
		.engine = check_engine,
		.down = check_down,
		.reload = check_reload, /* for both: they share what it renews */
		.close = check_close,
	},
	{
		.kind = "learn",
		.slots_of = check_slots,
		.open = check_open,
		.start = lesson_start,
		.cancel = task_cancel,
		.close = check_close,
	},
};
