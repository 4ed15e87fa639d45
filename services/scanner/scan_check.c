#include "scan_check.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "av_check.h"
#include "log.h"
#include "pool.h"

#define FILES_MAX 100000 /* leaves of one mail that other scanners are given */
#define RESERVE_MS 50	 /* of the job's time, for the verdict to get back */

struct scan {
	struct mw_loop *loop;
	struct pool *pool;
	struct avs *avs, *coming; /* at work; being tested after a reload */
	struct scan_job *jobs;
	char engine[96];
};

/* What a job needs when others than libclamav look at its mail, or may have to. */
struct beside {
	struct avc_told told[AVC_LISTS];
	unsigned list; /* at hand */
	struct avs_scan *at;
	struct mw_octets leaves; /* mapped */
	struct avs_file *files;	 /* leaves, then the mail itself */
	size_t file_count;
	/* what the cage said */
	unsigned char *findings;
	size_t findings_n;
	enum mw_status status;
	char reason[MW_REASON_MAX];
	uint64_t cpu_us;
	bool engine_failed;
};

struct scan_job {
	struct pool_job pool; /* first: the pool gives it back */
	struct scan *scan;
	struct mw_ticket *ticket; /* NULL: libclamav is given the test file */
	struct avs *avs;	  /* held */
	bool in_pool;
	uint64_t deadline_ms;
	struct mw_octets test; /* borrowed by pool.parts */
	struct beside *b;      /* NULL: libclamav alone */
	struct scan_job *next, **prev_p;
};

/* ------------------------------------------------------------------ begin and end of a job */

static struct scan_job *job_new(struct scan *s, struct avs *a)
{
	struct scan_job *j = calloc(1, sizeof(*j));

	if (j == NULL)
		return NULL;
	j->scan = s;
	j->avs = avs_hold(a);
	j->pool.leaves_fd = -1;
	j->prev_p = &s->jobs;
	j->next = s->jobs;
	if (j->next != NULL)
		j->next->prev_p = &j->next;
	s->jobs = j;
	return j;
}

static void leaves_close(struct beside *b)
{
	if (b->leaves.p != NULL)
		munmap((void *)b->leaves.p, b->leaves.n);
	b->leaves = mw_octets_of(NULL, 0);
	free(b->files);
	b->files = NULL;
	b->file_count = 0;
}

static void job_free(struct scan_job *j)
{
	if (j->b != NULL) {
		avs_scan_cancel(&j->b->at);
		leaves_close(j->b);
		free(j->b->findings);
		free(j->b);
	}
	if (j->in_pool)
		pool_cancel(j->scan->pool, &j->pool);
	if (j->pool.leaves_fd >= 0)
		close(j->pool.leaves_fd);
	*j->prev_p = j->next;
	if (j->next != NULL)
		j->next->prev_p = j->prev_p;
	avs_release(&j->avs);
	free(j);
}

static void job_answer(struct scan_job *j, enum mw_status status, const char *reason,
	uint64_t cpu_us, struct mw_octets findings)
{
	struct mw_verdict v = { .status = status, .cpu_us = cpu_us, .findings = findings };
	struct mw_ticket *ticket = j->ticket;

	mw_strlcpy(v.reason, reason, sizeof(v.reason));
	mw_worker_done(ticket, &v);
	job_free(j);
}

static void job_fail(struct scan_job *j, const char *reason)
{
	job_answer(j, MW_FAILED, reason, 0, mw_octets_of(NULL, 0));
}

/* ------------------------------------------------------------------ the verdict of all together */

static void job_answer_whole(struct scan_job *j, unsigned lists)
{
	struct beside *b = j->b;
	struct mw_octets findings = mw_octets_of(b->findings, b->findings_n);
	bool drop = b->engine_failed;
	enum mw_status status = b->status;
	struct mw_pack merged;

	if (status == MW_LIMIT && drop && avc_limits(findings, true) == 0)
		status = MW_DONE; /* it was cut short by nothing but an engine that others stand for
				   */
	mw_pack_init(&merged);
	avc_merge(&merged, findings, avs_builtin_name(j->avs), b->told, lists, drop);
	if (merged.failed)
		job_fail(j, "no_memory");
	else
		job_answer(j, status, status == MW_LIMIT ? b->reason : "", b->cpu_us,
			mw_octets_of(merged.p, merged.n));
	mw_pack_fini(&merged);
}

static void job_finish(struct scan_job *j)
{
	struct beside *b = j->b;
	unsigned lists = b->list + 1;
	char why[MW_REASON_MAX], reason[MW_REASON_MAX + 24];
	bool answered = false;

	for (unsigned l = 0; l < lists; l++)
		answered = answered || avc_answered(&b->told[l]);
	if (answered && b->findings != NULL) {
		job_answer_whole(j, lists);
		return;
	}
	avc_why(why, sizeof(why), b->told, lists, avs_builtin_name(j->avs));
	snprintf(reason, sizeof(reason), "virus scanners failed: %s", why);
	job_fail(j, reason);
}

/* ------------------------------------------------------------------ list by list */

static void list_begin(struct scan_job *j);

static void list_end(struct scan_job *j)
{
	struct beside *b = j->b;
	bool listed;
	const char *why;

	if (!avc_answered(&b->told[b->list]) && b->list == 0 &&
		(avs_others(j->avs, true) || (avs_builtin(j->avs, true, &listed, &why), listed))) {
		b->list = 1;
		mw_log(MW_WARN, "av_scanners_backup",
			"job=%s text=\"no scanner of av_scanners "
			"gave a verdict\"",
			j->ticket->job->log_id);
		list_begin(j);
		return;
	}
	job_finish(j);
}

static void others_done(void *arg, const struct avs_result *r)
{
	struct scan_job *j = arg;

	j->b->at = NULL;
	j->b->told[j->b->list].others = *r;
	list_end(j);
}

static void others_ask(struct scan_job *j)
{
	struct beside *b = j->b;
	const struct avc_told *t = &b->told[b->list];
	uint64_t until = j->deadline_ms > RESERVE_MS ? j->deadline_ms - RESERVE_MS : 0;

	if (!avs_others(j->avs, b->list == 1) ||
		(avs_first_stops(j->avs) && t->builtin_asked && t->builtin == AVS_INFECTED)) {
		list_end(j);
		return;
	}
	mw_worker_phase(j->ticket, "scanners");
	b->at = avs_scan_start(
		j->avs, b->list == 1, b->files, b->file_count, until, others_done, j);
	if (b->at == NULL)
		job_fail(j, "no_memory");
}

/* libclamav, where it is in the list and works, and whatever of the leaves is not at hand yet. */
static void list_begin(struct scan_job *j)
{
	struct beside *b = j->b;
	struct avc_told *t = &b->told[b->list];
	bool backup = b->list == 1, others = avs_others(j->avs, backup), listed;
	uint64_t now = mw_mono_ms(), left = j->deadline_ms > now ? j->deadline_ms - now : 0;
	const char *why;

	j->pool.virus = avs_builtin(j->avs, backup, &listed, &why);
	t->builtin_asked = listed;
	if (listed && !j->pool.virus) {
		t->builtin = AVS_FAILED;
		mw_strlcpy(t->builtin_why, why, sizeof(t->builtin_why));
	}
	if (!j->pool.virus && b->files != NULL) {
		others_ask(j);
		return;
	}
	if (!j->pool.virus && !others) {
		list_end(j); /* nobody is left to ask */
		return;
	}
	leaves_close(b);
	j->pool.want_leaves = others;
	/* A third of the time is for those who come behind the cage. */
	j->pool.deadline_ms = others ? now + left / 3 * 2 : j->deadline_ms;
	j->in_pool = true;
	pool_submit(j->scan->pool, &j->pool);
}

/* ------------------------------------------------------------------ what the cage said */

static size_t count_leaves(struct mw_octets rest)
{
	struct mw_octets path, octets;
	size_t n = 0;
	int rc;

	while ((rc = scan_leaf_next(&rest, &path, &octets)) > 0)
		n++;
	return rc == 0 && n <= FILES_MAX ? n : SIZE_MAX;
}

static void add_file(
	struct beside *b, struct mw_octets path, const struct mw_octets *pieces, size_t count)
{
	struct avs_file *f = &b->files[b->file_count];

	*f = (struct avs_file){ .path = path };
	for (size_t i = 0; i < count; i++) {
		f->pieces[f->piece_count++] = pieces[i];
		f->octets += pieces[i].n;
	}
	b->file_count += f->octets > 0;
}

/* Leaves first: a find is then told with the part that it stands in, not with the whole mail. */
static enum mw_rc take_leaves(struct scan_job *j)
{
	struct beside *b = j->b;
	struct mw_octets rest, path, octets;
	enum mw_rc rc = scan_leaves_map(j->pool.leaves_fd, &b->leaves);
	size_t n = rc == MW_OK ? count_leaves(b->leaves) : SIZE_MAX;

	close(j->pool.leaves_fd);
	j->pool.leaves_fd = -1;
	if (n == SIZE_MAX)
		return rc != MW_OK ? rc : MW_ERR_PROTO;
	b->files = calloc(n + 1, sizeof(*b->files));
	if (b->files == NULL)
		return MW_ERR_NOMEM;
	rest = b->leaves;
	while (scan_leaf_next(&rest, &path, &octets) > 0)
		add_file(b, path, &octets, 1);
	add_file(b, mw_octets_of_text("message"), j->pool.parts, j->pool.part_count);
	return MW_OK;
}

static bool keep_findings(struct beside *b, const struct scan_result *r)
{
	unsigned char *copy = malloc(r->findings.n + 1);

	if (copy == NULL)
		return false;
	if (r->findings.n > 0)
		memcpy(copy, r->findings.p, r->findings.n);
	free(b->findings);
	b->findings = copy;
	b->findings_n = r->findings.n;
	b->status = r->status;
	b->cpu_us += r->cpu_us;
	mw_strlcpy(b->reason, r->reason, sizeof(b->reason));
	return true;
}

static void take_engine(struct scan_job *j, const struct scan_result *r)
{
	struct avc_told *t = &j->b->told[j->b->list];

	j->b->engine_failed = false;
	if (!j->pool.virus)
		return;
	t->builtin = avc_builtin(r->engine, r->findings);
	avs_builtin_told(j->avs, t->builtin, r->cpu_us);
	j->b->engine_failed = t->builtin == AVS_FAILED;
	if (j->b->engine_failed)
		mw_strlcpy(t->builtin_why, r->reason, sizeof(t->builtin_why));
}

static void beside_done(struct scan_job *j, const struct scan_result *r)
{
	bool only_engine = r->status == MW_FAILED && r->engine == SCAN_ENGINE_FAILED;

	take_engine(j, r);
	if (r->status == MW_FAILED && !only_engine) {
		job_answer(j, MW_FAILED, r->reason, r->cpu_us, mw_octets_of(NULL, 0));
		return;
	}
	if (!only_engine && !keep_findings(j->b, r)) {
		job_fail(j, "no_memory");
		return;
	}
	if (j->pool.want_leaves && take_leaves(j) != MW_OK)
		job_fail(j, "the cage's list of leaves cannot be read");
	else
		others_ask(j);
}

/* libclamav was given the test file. */
static void test_done(struct scan_job *j, const struct scan_result *r)
{
	bool found = avc_viruses(r->findings) > 0;
	char why[AVS_WHY_MAX];

	mw_strlcpy(why, r->status == MW_FAILED ? r->reason : "", sizeof(why));
	avs_builtin_tested(j->avs, found, why);
	job_free(j);
}

static void job_done(void *arg, struct pool_job *job, const struct scan_result *r)
{
	struct scan_job *j = (struct scan_job *)job;

	(void)arg;
	j->in_pool = false;
	if (j->ticket == NULL)
		test_done(j, r);
	else if (j->b != NULL)
		beside_done(j, r);
	else {
		if (job->virus)
			avs_builtin_told(j->avs, avc_builtin(r->engine, r->findings), r->cpu_us);
		job_answer(j, r->status, r->reason, r->cpu_us, r->findings);
	}
}

static void job_started(void *arg, struct pool_job *job)
{
	struct scan_job *j = (struct scan_job *)job;

	(void)arg;
	if (j->ticket != NULL)
		mw_worker_phase(j->ticket, "scan");
}

/* Signatures that do not know the test file are no scanner; what they know else is tested as any
 * scanner is. */
static void engine_changed(void *arg, const struct scan_engine *e)
{
	struct scan *s = arg;

	avs_builtin_changed(s->avs, e->eicar);
	if (s->coming != NULL)
		avs_builtin_changed(s->coming, e->eicar);
}

static const struct pool_ops calls = {
	.done = job_done, .started = job_started, .changed = engine_changed
};

/* ------------------------------------------------------------------ tests, and being ready */

static void test_builtin(void *arg, struct avs *a)
{
	struct scan *s = arg;
	struct scan_job *j = job_new(s, a);

	if (j == NULL) {
		avs_builtin_tested(a, false, "no memory");
		return;
	}
	j->test = avs_test_file();
	j->pool.parts = &j->test;
	j->pool.part_count = 1;
	j->pool.virus = true;
	j->pool.deadline_ms = UINT64_MAX;
	j->in_pool = true;
	pool_submit(s->pool, &j->pool);
}

/* All scanners of the newest settings were tried: from here on they are asked. */
static void scanners_ready(void *arg, struct avs *a)
{
	struct scan *s = arg;

	if (a != s->coming)
		return; /* those that are at work already, or that nobody waits for any more */
	avs_close(&s->avs);
	s->avs = s->coming;
	s->coming = NULL;
	mw_log(MW_INFO, "av_scanners_changed", "state=%s", mw_quote(avs_state(s->avs)));
}

static const struct avs_ops scanners_calls = { .test_builtin = test_builtin,
	.ready = scanners_ready };

/* ------------------------------------------------------------------ the check */

static enum mw_rc scan_open(
	void **state_r, struct mw_loop *loop, const struct mw_conf *conf, struct mw_err *err)
{
	struct scan *s = calloc(1, sizeof(*s));
	enum mw_rc rc;

	*state_r = s;
	if (s == NULL)
		return mw_fail(err, MW_ERR_NOMEM, "no memory");
	s->loop = loop;
	rc = avs_open(&s->avs, loop, conf, &scanners_calls, s, err);
	return rc == MW_OK ? pool_open(&s->pool, loop, conf, &calls, s, err) : rc;
}

static void scan_close(void **state_p)
{
	struct scan *s = *state_p;

	*state_p = NULL;
	if (s == NULL)
		return;
	while (s->jobs != NULL)
		job_free(s->jobs);
	avs_close(&s->coming);
	avs_close(&s->avs);
	pool_close(&s->pool);
	free(s);
}

static unsigned scan_slots(const void *state)
{
	const struct scan *s = state;
	unsigned cages = pool_slots(s->pool);

	return cages > 0 && avs_ready(s->avs) ? cages + avs_slots(s->avs) : 0;
}

static const char *scan_engine(const void *state)
{
	struct scan *s = (struct scan *)state;

	snprintf(s->engine, sizeof(s->engine), "%s%s", pool_engine(s->pool), avs_state(s->avs));
	return s->engine;
}

static bool alone(const struct scan *s)
{
	bool listed, usable;
	const char *why;

	usable = avs_builtin(s->avs, false, &listed, &why);
	return usable && !avs_others(s->avs, false) && !avs_others(s->avs, true);
}

static enum mw_rc scan_start(void *state, const struct mw_job *job, struct mw_ticket *ticket)
{
	struct scan *s = state;
	struct scan_job *j = job_new(s, s->avs);

	if (j == NULL)
		return MW_ERR_NOMEM;
	j->ticket = ticket;
	j->deadline_ms = j->pool.deadline_ms = job->deadline_ms;
	j->pool.parts = job->parts;
	j->pool.part_count = job->part_count;
	j->pool.virus = mw_map_bool(job->orders, "virus", true);
	j->pool.decode = mw_map_bool(job->orders, "decode", true);
	j->pool.tell_parts = mw_map_bool(job->orders, "parts", false);
	j->pool.digests = mw_map_bool(job->orders, "digests", false);
	ticket->user = j;
	mw_worker_phase(ticket, "wait");
	if (!j->pool.virus || alone(s)) {
		j->in_pool = true;
		pool_submit(s->pool, &j->pool);
		return MW_OK;
	}
	j->b = calloc(1, sizeof(*j->b));
	if (j->b == NULL) {
		job_free(j);
		return MW_ERR_NOMEM;
	}
	list_begin(j);
	return MW_OK;
}

static void scan_cancel(void *state, struct mw_ticket *ticket)
{
	(void)state;
	job_free(ticket->user);
}

static enum mw_rc scan_reload(void *state, const struct mw_conf *conf, struct mw_err *err)
{
	struct scan *s = state;
	struct avs *fresh;
	enum mw_rc rc = avs_open(&fresh, s->loop, conf, &scanners_calls, s, err);

	if (rc == MW_OK)
		rc = pool_reload(s->pool, conf, err);
	if (rc != MW_OK) {
		avs_close(&fresh);
		return rc;
	}
	avs_close(&s->coming);
	s->coming = fresh;
	if (avs_ready(fresh))
		scanners_ready(s, fresh);
	return MW_OK;
}

static void scan_down(const void *state, struct mw_down *down)
{
	const struct scan *s = state;

	avs_down(s->avs, down);
	if (pool_slots(s->pool) == 0)
		mw_down_add(down, "cages");
}

static enum mw_rc scan_inspect(
	const struct mw_conf *conf, struct mw_text *warnings, struct mw_err *err)
{
	struct avs_conf c;
	enum mw_rc rc = avs_conf_read(&c, conf, err);

	if (rc == MW_OK)
		avs_conf_warn(&c, warnings);
	avs_conf_fini(&c);
	return rc;
}

static void scan_metrics(const void *state, struct mw_text *out)
{
	const struct scan *s = state;

	avs_metrics(s->avs, out);
	pool_metrics(s->pool, out);
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
	.down = scan_down,
	.inspect = scan_inspect,
	.metrics = scan_metrics,
};
