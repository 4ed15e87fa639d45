#include "dispatch_priv.h"

#include <stdlib.h>

#include "log.h"

#define TICK_MS 100 /* grain of time limits and of noticing silence */
#define STALL_MS                                                                                   \
	1000 /* a tick that comes later than this: it was us who slept (SIGSTOP, a paused machine) \
	      */

const char *const dispatch_kind_names[JOB_KINDS] = {
	[JOB_AUTH] = "auth",
	[JOB_SCAN] = "scan",
	[JOB_REPUTATION] = "reputation",
	[JOB_SPAM] = "spam",
	[JOB_SIGN] = "sign",
	[JOB_LEARN] = "learn",
};

/* Which setting bounds one attempt of a kind. */
static const char *const time_settings[JOB_KINDS] = {
	[JOB_AUTH] = "checks.auth_timeout",
	[JOB_SCAN] = "checks.scan_timeout",
	[JOB_REPUTATION] = "checks.reputation_timeout",
	[JOB_SPAM] = "checks.spam_timeout",
	[JOB_SIGN] = "checks.sign_timeout",
	[JOB_LEARN] = "checks.reputation_timeout",
};

/* ------------------------------------------------------------------ lists and the table of jobs */

void job_list_init(struct job_list *l)
{
	*l = (struct job_list){ .last_p = &l->first };
}

static void list_append(struct job_list *l, struct dispatch_job *j)
{
	j->next = NULL;
	j->prev_p = l->last_p;
	*l->last_p = j;
	l->last_p = &j->next;
	l->count++;
}

static void list_push_front(struct job_list *l, struct dispatch_job *j)
{
	j->next = l->first;
	j->prev_p = &l->first;
	if (l->first != NULL)
		l->first->prev_p = &j->next;
	else
		l->last_p = &j->next;
	l->first = j;
	l->count++;
}

static void list_remove(struct job_list *l, struct dispatch_job *j)
{
	*j->prev_p = j->next;
	if (j->next != NULL)
		j->next->prev_p = j->prev_p;
	else
		l->last_p = j->prev_p;
	l->count--;
}

static struct dispatch_job **bucket(struct dispatch *d, uint64_t id)
{
	return &d->buckets[id % JOB_BUCKETS];
}

/* Nobody waits for it, but its worker still holds it. */
static bool is_ghost(const struct dispatch_job *j)
{
	return j->done == NULL;
}

struct dispatch_job *dispatch_find(struct dispatch *d, uint64_t id)
{
	struct dispatch_job *j = *bucket(d, id);

	while (j != NULL && (j->id != id || is_ghost(j)))
		j = j->hash_next;
	return j;
}

static void hash_add(struct dispatch *d, struct dispatch_job *j)
{
	j->hash_next = *bucket(d, j->id);
	*bucket(d, j->id) = j;
}

static void job_free(struct dispatch *d, struct dispatch_job *j)
{
	struct dispatch_job **p = bucket(d, j->id);

	while (*p != j)
		p = &(*p)->hash_next;
	*p = j->hash_next;
	free(j);
}

/* ------------------------------------------------------------------ ends of a job */

static void job_unlink(struct dispatch *d, struct dispatch_job *j)
{
	struct dispatch_worker *w = j->worker;

	if (w == NULL) {
		list_remove(&d->waiting[j->kind], j);
		return;
	}
	list_remove(&w->jobs, j);
	w->kinds[j->kind].busy--;
	j->worker = NULL;
	d->stats.outstanding--;
	if (w->draining)
		worker_drained(w);
}

static void job_drop(struct dispatch *d, struct dispatch_job *j)
{
	job_unlink(d, j);
	job_free(d, j);
}

static void job_end(struct dispatch *d, struct dispatch_job *j, struct dispatch_result *r)
{
	void (*done)(void *arg, const struct dispatch_result *result) = j->done;
	void *arg = j->arg;

	r->attempts = j->attempt;
	r->wait_us = (j->sent_us != 0 ? j->sent_us : mw_mono_us()) - j->submitted_us;
	d->stats.failed[j->kind] += r->status == MW_FAILED;
	job_drop(d, j);
	done(arg, r);
}

static void job_fail(struct dispatch *d, struct dispatch_job *j, const char *reason, bool poison)
{
	struct dispatch_result r = { .status = MW_FAILED, .poison = poison };

	mw_strlcpy(r.reason, reason, sizeof(r.reason));
	if (j->worker != NULL)
		mw_strlcpy(r.worker, j->worker->hello.worker, sizeof(r.worker));
	mw_log_as(j->voice, MW_WARN, "check_failed", "log_id=%s kind=%s attempt=%u reason=%s",
		j->what->log_id, dispatch_kind_names[j->kind], j->attempt, mw_quote(reason));
	job_end(d, j, &r);
}

/* Back to the head of its queue, for another worker. */
static void job_again(struct dispatch *d, struct dispatch_job *j)
{
	mw_strlcpy(j->avoid, j->worker->hello.worker, sizeof(j->avoid));
	job_unlink(d, j);
	j->attempt++;
	j->sent_us = 0;
	list_push_front(&d->waiting[j->kind], j);
	d->stats.redispatched++;
}

/* ------------------------------------------------------------------ giving jobs out */

/* Fewest outstanding first; whoever did not bring it to an end before comes last. */
static bool is_better(const struct dispatch_job *j, const struct dispatch_worker *a,
	const struct dispatch_worker *b)
{
	bool a_failed = strcmp(a->hello.worker, j->avoid) == 0,
	     b_failed = strcmp(b->hello.worker, j->avoid) == 0;

	return a_failed != b_failed ? b_failed : a->jobs.count < b->jobs.count;
}

/* The list is turned after each use, so that ties go round. */
static struct dispatch_worker *best_worker(struct dispatch *d, const struct dispatch_job *j)
{
	struct dispatch_worker *best = NULL;

	for (struct dispatch_worker *w = d->workers; w != NULL; w = w->next)
		if (!w->dead && !w->draining && !w->blocked &&
			w->kinds[j->kind].busy < w->kinds[j->kind].slots &&
			(best == NULL || is_better(j, w, best)))
			best = w;
	return best;
}

static void turn_behind(struct dispatch *d, struct dispatch_worker *w)
{
	struct dispatch_worker **p = &d->workers;

	if (w->next == NULL)
		return;
	while (*p != w)
		p = &(*p)->next;
	*p = w->next;
	while (*p != NULL)
		p = &(*p)->next;
	*p = w;
	w->next = NULL;
}

static void worker_holds(struct dispatch *d, struct dispatch_job *j, struct dispatch_worker *w)
{
	j->worker = w;
	list_append(&w->jobs, j);
	w->kinds[j->kind].busy++;
	d->stats.outstanding++;
}

static void job_sent(
	struct dispatch *d, struct dispatch_job *j, struct dispatch_worker *w, uint64_t now_ms)
{
	list_remove(&d->waiting[j->kind], j);
	j->sent_us = mw_mono_us();
	j->attempt_until_ms = now_ms + d->time_limit_ms[j->kind];
	worker_holds(d, j, w);
	turn_behind(d, w);
}

void dispatch_run(struct dispatch *d, enum dispatch_kind kind)
{
	uint64_t now = mw_mono_ms();

	while (d->waiting[kind].first != NULL) {
		struct dispatch_job *j = d->waiting[kind].first;
		struct dispatch_worker *w = best_worker(d, j);
		enum mw_rc rc;

		if (w == NULL)
			return;
		rc = worker_send(w, j, now);
		if (rc == MW_OK)
			job_sent(d, j, w, now);
		else if (rc != MW_AGAIN) { /* no memory for the header: better one failed check than
					      a stuck queue */
			job_fail(d, j, mw_rc_name(rc), false);
			return;
		}
	}
}

void dispatch_run_all(struct dispatch *d)
{
	for (int kind = 0; kind < JOB_KINDS; kind++)
		dispatch_run(d, (enum dispatch_kind)kind);
}

static void run_soon(void *arg)
{
	dispatch_run_all(arg);
}

struct dispatch_job *dispatch_submit(struct dispatch *d, enum dispatch_kind kind,
	const struct mw_job *what, const struct dispatch_part *parts, size_t part_count,
	uint64_t deadline_ms, void (*done)(void *arg, const struct dispatch_result *result),
	void *arg)
{
	struct dispatch_job *j;

	if (d->waiting[kind].count >= d->queue_limit || part_count > MW_JOB_PARTS_MAX) {
		d->stats.dropped++;
		return NULL;
	}
	j = calloc(1, sizeof(*j));
	if (j == NULL)
		return NULL;
	j->id = d->incarnation << 32 | d->next_id++;
	j->kind = kind;
	j->attempt = 1;
	j->deadline_ms = deadline_ms;
	j->submitted_us = mw_mono_us();
	j->what = what;
	for (size_t i = 0; i < part_count; i++)
		j->parts[j->part_count++] = parts[i];
	j->done = done;
	j->arg = arg;
	hash_add(d, j);
	d->stats.jobs[kind]++;
	list_append(&d->waiting[kind], j);
	/* All jobs of one mail go out in one turn of the loop; and done() never runs inside submit.
	 */
	mw_timer_start(d->soon, 0, 0);
	return j;
}

void dispatch_speak_as(struct dispatch_job *job, const struct mw_log_voice *voice)
{
	job->voice = voice;
}

void dispatch_cancel(struct dispatch *d, struct dispatch_job **job_p)
{
	struct dispatch_job *j = *job_p;

	*job_p = NULL;
	if (j == NULL)
		return;
	if (j->worker == NULL) {
		job_drop(d, j);
		return;
	}
	/* Its octets are the PUSH's by now. The slot stays taken: else who hangs up early could
	 * fill the worker. */
	j->done = NULL;
	j->arg = NULL;
	j->what = NULL;
	j->attempt_until_ms = j->deadline_ms;
}

/* ------------------------------------------------------------------ what comes back */

/* The worker has let go of it: this attempt and those before, which it takes for the same job. */
static bool ghosts_end(
	struct dispatch *d, const struct dispatch_worker *w, const struct mw_verdict *v)
{
	struct dispatch_job *next;
	bool any = false;

	for (struct dispatch_job *j = *bucket(d, v->job); j != NULL; j = next) {
		next = j->hash_next;
		if (j->id == v->job && is_ghost(j) && j->worker == w && j->attempt <= v->attempt) {
			job_drop(d, j);
			any = true;
		}
	}
	return any;
}

void dispatch_verdict(struct dispatch *d, struct dispatch_worker *w, const struct mw_verdict *v)
{
	struct dispatch_job *j = dispatch_find(d, v->job);
	struct dispatch_result r = { .status = v->status,
		.wall_us = v->wall_us,
		.cpu_us = v->cpu_us,
		.findings = v->findings };
	enum dispatch_kind kind;

	if (ghosts_end(d, w, v))
		mw_timer_start(d->soon, 0, 0);
	if (j == NULL || j->attempt != v->attempt || j->worker != w) {
		d->stats.late++;
		return; /* taken away before, or from another life of ours */
	}
	kind = j->kind;
	if (strcmp(v->kind, dispatch_kind_names[kind]) != 0) {
		job_fail(d, j, "verdict of another kind", false);
	} else if (v->status == MW_FAILED && strcmp(v->reason, MW_REASON_CAGE_DIED) == 0 &&
		   ++j->cage_deaths < DISPATCH_CAGE_DEATHS) {
		job_again(d, j);
	} else if (v->status == MW_FAILED) {
		job_fail(d, j, v->reason, j->cage_deaths >= DISPATCH_CAGE_DEATHS);
	} else {
		mw_strlcpy(r.reason, v->reason, sizeof(r.reason));
		mw_strlcpy(r.worker, w->hello.worker, sizeof(r.worker));
		job_end(d, j, &r);
	}
	dispatch_run(d, kind);
}

void dispatch_give_back(struct dispatch *d, struct dispatch_worker *w)
{
	/* From the youngest, so that the oldest ends up first in its queue. */
	while (w->jobs.first != NULL) {
		struct dispatch_job *j = w->jobs.first;

		while (j->next != NULL)
			j = j->next;
		if (is_ghost(j))
			job_drop(d, j);
		else if (++j->worker_deaths >= DISPATCH_WORKER_DEATHS)
			job_fail(d, j, "its workers died", false);
		else
			job_again(d, j);
	}
	mw_timer_start(d->soon, 0, 0);
}

/* ------------------------------------------------------------------ time */

/* The first job of a list whose time is up. A job's end may end others: walks begin anew after
 * each. */
static struct dispatch_job *first_late(struct job_list *l, uint64_t now_ms)
{
	struct dispatch_job *j = l->first;

	while (j != NULL && now_ms < j->deadline_ms &&
		(j->worker == NULL || now_ms < j->attempt_until_ms))
		j = j->next;
	return j;
}

/* The worker may be at it still: its slot stays taken until it answers, or as long again. */
static void leave_ghost(struct dispatch *d, const struct dispatch_job *j, uint64_t now_ms)
{
	struct dispatch_job *ghost = calloc(1, sizeof(*ghost));

	if (ghost == NULL)
		return; /* the slot is free too early */
	ghost->id = j->id;
	ghost->kind = j->kind;
	ghost->attempt = j->attempt;
	ghost->deadline_ms = ghost->attempt_until_ms = now_ms + d->time_limit_ms[j->kind];
	hash_add(d, ghost);
	worker_holds(d, ghost, j->worker);
}

static void take_away(struct dispatch *d, struct dispatch_worker *w, uint64_t now_ms)
{
	struct dispatch_job *j;

	while ((j = first_late(&w->jobs, now_ms)) != NULL) {
		if (is_ghost(j)) {
			job_drop(d, j);
			continue;
		}
		leave_ghost(d, j, now_ms);
		if (now_ms >= j->deadline_ms || ++j->timeouts >= DISPATCH_TIMEOUTS)
			job_fail(d, j, "timeout", false);
		else
			job_again(d, j);
	}
}

static void end_waiting(struct dispatch *d, enum dispatch_kind kind, uint64_t now_ms)
{
	struct dispatch_job *j;

	while ((j = first_late(&d->waiting[kind], now_ms)) != NULL)
		job_fail(d, j, "no worker took it in time", false);
}

static void say_full(struct dispatch *d)
{
	const char *kind = dispatch_full(d);

	if (kind != NULL && !d->full_said)
		mw_publish_alert(d->pub, "back_pressure", "queue of %s jobs is at its limit of %zu",
			kind, d->queue_limit);
	d->full_said = kind != NULL;
}

static void tick(void *arg)
{
	struct dispatch *d = arg;
	uint64_t now = mw_mono_ms(), gap = now - d->ticked_ms;

	d->ticked_ms = now;
	if (gap > STALL_MS)
		workers_excuse(d, gap, now);
	for (struct dispatch_worker *w = d->workers; w != NULL; w = w->next)
		take_away(d, w, now);
	workers_tick(d, now);
	for (int kind = 0; kind < JOB_KINDS; kind++)
		end_waiting(d, (enum dispatch_kind)kind, now);
	dispatch_run_all(d);
	say_full(d);
}

/* ------------------------------------------------------------------ life and state */

void dispatch_configure(struct dispatch *d, const struct mw_conf *conf)
{
	d->queue_limit = (size_t)mw_conf_int(conf, "checks.queue_limit");
	d->max_workers = (unsigned)mw_conf_int(conf, "pipeline.max_workers");
	if (d->max_workers > d->most_workers) {
		mw_log(MW_WARN, "max_workers_kept",
			"pipeline.max_workers=%u kept=%u: more needs a restart", d->max_workers,
			d->most_workers);
		d->max_workers = d->most_workers;
	}
	for (int kind = 0; kind < JOB_KINDS; kind++)
		d->time_limit_ms[kind] = (uint64_t)mw_conf_int(conf, time_settings[kind]) * 1000;
}

enum mw_rc dispatch_open(struct dispatch **d_r, struct mw_zctx *z, struct mw_loop *loop,
	const struct mw_conf *conf, const char *verdicts_endpoint, uint64_t incarnation,
	struct mw_publisher *pub, struct mw_err *err_r)
{
	struct dispatch *d = calloc(1, sizeof(*d));
	enum mw_rc rc;

	if (d == NULL)
		return mw_fail(err_r, MW_ERR_NOMEM, "no memory for the dispatcher");
	d->z = z;
	d->loop = loop;
	d->pub = pub;
	d->incarnation = incarnation;
	for (int kind = 0; kind < JOB_KINDS; kind++)
		job_list_init(&d->waiting[kind]);
	d->most_workers = (unsigned)mw_conf_int(conf, "pipeline.max_workers");
	dispatch_configure(d, conf);
	d->tick = mw_timer_new(loop, tick, d);
	d->soon = mw_timer_new(loop, run_soon, d);
	rc = workers_open(d, verdicts_endpoint, err_r);
	if (rc != MW_OK) {
		dispatch_close(&d);
		return rc;
	}
	d->ticked_ms = mw_mono_ms();
	mw_timer_start(d->tick, TICK_MS, TICK_MS);
	*d_r = d;
	return MW_OK;
}

void dispatch_close(struct dispatch **d_p)
{
	struct dispatch *d = *d_p;

	*d_p = NULL;
	if (d == NULL)
		return;
	mw_timer_destroy(&d->tick);
	mw_timer_destroy(&d->soon);
	workers_close(d);
	for (size_t i = 0; i < JOB_BUCKETS; i++)
		while (d->buckets[i] != NULL) { /* nobody waits: transactions are gone before us */
			struct dispatch_job *j = d->buckets[i];

			d->buckets[i] = j->hash_next;
			free(j);
		}
	free(d);
}

const char *dispatch_full(const struct dispatch *d)
{
	for (int kind = 0; kind < JOB_LEARN;
		kind++) /* learn is dropped at its limit: nobody waits for it */
		if (d->waiting[kind].count >= d->queue_limit)
			return dispatch_kind_names[kind];
	return NULL;
}

struct dispatch_stats dispatch_stats(const struct dispatch *d)
{
	struct dispatch_stats s = d->stats;

	s.workers = d->worker_count;
	for (int kind = 0; kind < JOB_KINDS; kind++)
		s.waiting[kind] = d->waiting[kind].count;
	return s;
}

static void worker_state(const struct dispatch_worker *w, struct mw_state_worker *s, uint64_t now)
{
	mw_strlcpy(s->service, w->hello.service, sizeof(s->service));
	mw_strlcpy(s->worker, w->hello.worker, sizeof(s->worker));
	mw_strlcpy(s->address, w->address, sizeof(s->address));
	mw_strlcpy(s->software, w->hello.software, sizeof(s->software));
	mw_strlcpy(s->engine, w->engine, sizeof(s->engine));
	s->seen_ms_ago = now - w->seen_ms;
	s->since_ms = now - w->since_ms;
	s->done = w->done;
	s->load_permille = w->load_permille;
	s->draining = w->draining;
	for (int kind = 0; kind < JOB_KINDS && s->kind_count < MW_KINDS_MAX; kind++)
		if (w->kinds[kind].slots > 0 || w->kinds[kind].busy > 0) {
			size_t i = s->kind_count++;

			mw_strlcpy(s->kinds[i].kind, dispatch_kind_names[kind],
				sizeof(s->kinds[i].kind));
			s->kinds[i].slots = w->kinds[kind].slots;
			s->kinds[i].busy = w->kinds[kind].busy;
		}
}

void dispatch_state(const struct dispatch *d, struct mw_state *s)
{
	uint64_t now = mw_mono_ms();

	for (int kind = 0; kind < JOB_KINDS; kind++) {
		mw_strlcpy(s->queues[kind].kind, dispatch_kind_names[kind],
			sizeof(s->queues[kind].kind));
		s->queues[kind].waiting = (uint32_t)d->waiting[kind].count;
		s->queues[kind].most = (uint32_t)d->queue_limit;
	}
	s->queue_count = JOB_KINDS;
	s->workers = calloc(d->worker_count + 1, sizeof(*s->workers));
	for (struct dispatch_worker *w = d->workers; w != NULL && s->workers != NULL; w = w->next)
		if (!w->dead && s->worker_count < d->worker_count)
			worker_state(w, &s->workers[s->worker_count++], now);
}
