#include "clerk.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "clerk_find.h"
#include "clerk_priv.h"
#include "log.h"
#include "quarantine.h"
#include "quarantine_audit.h"
#include "subject.h"
#include "transaction.h"

#define BATCH_MAX 200 /* entries between two commits */
#define ASKS_MAX 1000 /* look-ups that wait */
#define RETRY_S 1     /* after the disk or another process stood in the way */
#define RETRIES_MAX 5 /* then a batch is left to the housekeeper */

/* ------------------------------------------------------------------ jobs */

static void job_fini(struct clerk_job *j)
{
	mw_text_fini(&j->texts);
}

static void job_free(struct clerk_job *j)
{
	job_fini(j);
	free(j);
}

static void free_all(struct clerk_jobs *jobs)
{
	struct clerk_job *j;

	while ((j = TAILQ_FIRST(jobs)) != NULL) {
		TAILQ_REMOVE(jobs, j, queue);
		job_free(j);
	}
}

void clerk_scan_soon(struct clerk *c)
{
	pthread_mutex_lock(&c->lock);
	c->scan_soon = true;
	pthread_cond_signal(&c->rest);
	pthread_mutex_unlock(&c->lock);
}

static void add_entry(struct clerk *c, struct clerk_job *j)
{
	bool room;

	pthread_mutex_lock(&c->lock);
	/* A release is in no file but the audit's, so that it is never left out. There are few:
	 * each had to be looked up, behind those that are queued already. */
	room = j->kind == CLERK_RELEASED || c->entry_count < c->entry_limit;
	if (room) {
		/* A release goes before the look-ups that come after it: they have to know of it.
		 */
		if (j->kind == CLERK_RELEASED)
			TAILQ_INSERT_TAIL(&c->asks, j, queue);
		else
			TAILQ_INSERT_TAIL(&c->entries, j, queue);
		c->entry_count++;
		pthread_cond_signal(&c->work);
	} else {
		c->scan_soon = true;
	}
	pthread_mutex_unlock(&c->lock);
	if (!room) {
		atomic_fetch_add(&c->dropped, 1);
		job_free(j);
	}
}

/* Texts are added one after the other, NUL included; what points to them is set at the end. */
static size_t add_text(struct mw_text *t, const void *p, size_t n)
{
	size_t at = t->n;

	for (size_t i = 0; i < n; i++)
		mw_text_add_octets(t, ((const char *)p)[i] != '\0' ? (const char *)p + i : " ", 1);
	mw_text_add_octets(t, "", 1);
	return at;
}

static void add_rcpts(struct mw_text *out, const struct txn *t)
{
	bool first = true;

	for (size_t i = 0; i < t->rcpt_count; i++) {
		const struct txn_rcpt *r = &t->rcpts[i];

		if (t->poison ? r->removed : !quarantine_is_kept_from(t, t->copy_at, r))
			continue;
		mw_text_addf(out, "%s%s", first ? "" : "\n", r->addr);
		first = false;
	}
	mw_text_add_octets(out, "", 1);
}

/* The first of those whom the copy is kept from says why; else of those whom it is kept for. */
static const struct txn_rcpt *whose(const struct txn *t)
{
	const struct txn_rcpt *best = t->rcpt_count > 0 ? &t->rcpts[0] : NULL;
	unsigned most = 0;

	for (size_t i = 0; i < t->rcpt_count; i++) {
		const struct txn_rcpt *r = &t->rcpts[i];
		unsigned rank = (r->copy == (int)t->copy_at ? 2 : 0) +
				(quarantine_is_kept_from(t, t->copy_at, r) ? 1 : 0);

		if (rank > most) {
			most = rank;
			best = r;
		}
	}
	return best;
}

/* An archive has copies of all mail, and all for as long: they are clean, whatever the mail was, as
 * archive-* files are when the index is made anew. */
static unsigned ccat_of(const struct txn *t, const struct txn_rcpt *r)
{
	if (t->copies[t->copy_at].archive)
		return MW_CCAT(MW_CC_CLEAN, 0);
	if (r == NULL)
		return 0;
	return r->ccat_blocking != 0 ? r->ccat_blocking : r->ccats[0];
}

void clerk_kept(struct clerk *c, const struct txn *t, const char *path)
{
	struct clerk_job *j = c != NULL ? calloc(1, sizeof(*j)) : NULL;
	const struct txn_rcpt *r = whose(t);
	size_t subject, sender, log_id, mail_id, secret, rcpts;
	struct mw_text *x;

	if (j == NULL)
		return;
	x = &j->texts;
	add_text(x, path, strlen(path));
	mail_id = add_text(x, t->mail_id, strlen(t->mail_id));
	secret = add_text(x, t->secret_id, strlen(t->secret_id));
	log_id = add_text(x, t->log_id, strlen(t->log_id));
	sender = add_text(x, t->sender, strlen(t->sender));
	subject = add_text(x, t->facts.subject.p, t->facts.subject.n);
	rcpts = x->n;
	add_rcpts(x, t);
	if (x->failed) {
		clerk_scan_soon(c);
		job_free(j);
		return;
	}
	j->kind = CLERK_KEPT;
	j->e = (struct mw_qentry){ .path = x->p,
		.mail_id = x->p + mail_id,
		.secret_id = x->p + secret,
		.log_id = x->p + log_id,
		.sender = x->p + sender,
		.subject = x->p + subject,
		.rcpts = x->p + rcpts,
		.released_by = "",
		.quar_type = t->copies[t->copy_at].type,
		.time_ms = t->time_ms,
		.ccat = ccat_of(t, r),
		.has_score = r != NULL && r->has_score,
		.score_milli = r != NULL ? r->score_milli : 0 };
	j->e.class =
		t->poison && !t->copies[t->copy_at].archive ? MW_QCLASS_POISON : j->e.ccat / 10;
	add_entry(c, j);
}

void clerk_released(struct clerk *c, const struct txn *t)
{
	for (size_t i = 0; c != NULL && i < t->rcpt_count; i++) {
		struct clerk_job *j;

		if (!t->rcpts[i].delivered)
			continue;
		txn_log(t, MW_INFO, "released", "log_id=%s parent_mail_id=%s rcpt=%s who=%s",
			t->log_id, mw_quote(t->parent_mail_id), mw_quote(t->rcpts[i].addr),
			mw_quote(t->released_by));
		j = calloc(1, sizeof(*j));
		if (j == NULL)
			return;
		j->kind = CLERK_RELEASED;
		j->e.time_ms = mw_wall_ms();
		mw_strlcpy(j->mail_id, t->parent_mail_id, sizeof(j->mail_id));
		mw_strlcpy(j->who, t->released_by, sizeof(j->who));
		mw_text_add(&j->texts, t->rcpts[i].addr);
		clerk_claim_writing(c, j->mail_id);
		add_entry(c, j);
	}
}

/* ------------------------------------------------------------------ the clerk's thread */

struct books {
	struct clerk *clerk;
	struct mw_qindex *index;
	bool knows_releases; /* those that audit.log has */
	char dir[CLERK_DIR_MAX];
};

/* The folder of now. False: there is none, nothing is kept in files. */
static bool has_folder(struct books *b)
{
	char dir[CLERK_DIR_MAX];

	pthread_mutex_lock(&b->clerk->lock);
	mw_strlcpy(dir, b->clerk->dir, sizeof(dir));
	pthread_mutex_unlock(&b->clerk->lock);
	if (strcmp(dir, b->dir) != 0)
		mw_qindex_close(&b->index);
	mw_strlcpy(b->dir, dir, sizeof(b->dir));
	return *dir != '\0';
}

/* Open, and as whole as audit.log is (knows_releases); false: not to be had, and that is said. */
static bool open_books(struct books *b)
{
	struct mw_err err;
	bool is_new = false;
	enum mw_rc rc;

	if (b->index == NULL) {
		is_new = true; /* nobody knows how much it lacks */
		rc = mw_qindex_open(&b->index, b->dir, MW_QINDEX_WRITE, &err);
	} else {
		rc = mw_qindex_refresh(b->index, &is_new, &err);
	}
	if (rc != MW_OK) {
		mw_log(MW_WARN, "quarantine_index", "why=%s", mw_quote(err.text));
		mw_qindex_close(&b->index);
		return false;
	}
	b->knows_releases = mw_qaudit_catch_up(b->dir, b->index, &err) == MW_OK;
	if (!b->knows_releases)
		mw_log(MW_WARN, "quarantine_audit", "why=%s", mw_quote(err.text));
	if (is_new)
		clerk_scan_soon(b->clerk);
	return true;
}

/* Decoded here: the mail's path has no time for it. */
static enum mw_rc put_decoded(struct books *b, struct clerk_job *j, struct mw_err *err)
{
	const char *raw = j->e.subject;
	struct mw_text subject = { 0 };
	enum mw_rc rc;

	mw_subject_decode(mw_octets_of_text(raw), &subject);
	for (size_t i = 0; i < subject.n; i++)
		if (subject.p[i] == '\0')
			subject.p[i] = ' ';
	j->e.subject = subject.p != NULL && !subject.failed ? subject.p : raw;
	rc = mw_qindex_put(b->index, &j->e, err);
	j->e.subject = raw;
	mw_text_fini(&subject);
	return rc;
}

static enum mw_rc write_kept(struct books *b, struct clerk_job *j, struct mw_err *err)
{
	char path[MW_QINDEX_PATH_MAX + CLERK_DIR_MAX];
	struct stat st;

	if (j->e.quar_type == 'F' || j->e.quar_type == 'Z' || j->e.quar_type == 'B') {
		snprintf(path, sizeof(path), "%s/%s", b->dir, j->e.path);
		if (stat(path, &st) != 0)
			return MW_OK; /* taken away already */
		j->e.size = (uint64_t)st.st_size;
	}
	return put_decoded(b, j, err);
}

/* Releases that audit.log has are read from there whenever the books are opened. */
static enum mw_rc write_one(struct books *b, struct clerk_job *j, struct mw_err *err)
{
	if (j->kind == CLERK_KEPT)
		return write_kept(b, j, err);
	return j->audited ? MW_OK
			  : mw_qindex_released(
				    b->index, j->mail_id, j->texts.p, j->who, j->e.time_ms, err);
}

static bool is_written(const struct clerk_jobs *batch)
{
	const struct clerk_job *j;

	TAILQ_FOREACH(j, batch, queue)
	if (!j->audited)
		return false;
	return true;
}

static enum mw_rc write_batch(struct books *b, struct clerk_jobs *batch, struct mw_err *err)
{
	struct clerk_job *j;
	enum mw_rc rc;

	if (is_written(batch))
		return MW_OK;
	rc = mw_qindex_begin(b->index, err);
	TAILQ_FOREACH(j, batch, queue)
	{
		if (rc != MW_OK)
			break;
		rc = write_one(b, j, err);
	}
	if (rc == MW_OK)
		rc = mw_qindex_commit(b->index, err);
	else
		mw_qindex_rollback(b->index);
	return rc;
}

/* The truth of releases is the file, each once; the index is made of it. */
static void write_audit(struct books *b, const struct clerk_jobs *batch)
{
	struct clerk_job *j;
	struct mw_err err;

	TAILQ_FOREACH(j, batch, queue)
	{
		const struct mw_qaudit a = { "release", j->mail_id, NULL, j->who, j->texts.p,
			j->e.time_ms };

		if (j->kind != CLERK_RELEASED || j->audited)
			continue;
		j->audited = mw_qaudit_write(b->dir, &a, &err) == MW_OK;
		if (!j->audited)
			mw_log(MW_ERROR, "quarantine_audit", "mail_id=%s who=%s why=%s",
				mw_quote(j->mail_id), mw_quote(j->who), mw_quote(err.text));
	}
}

/* New work does not end it: under load the tries would be over in no time. */
static void wait_to_retry(struct clerk *c)
{
	struct timespec until;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += RETRY_S;
	pthread_mutex_lock(&c->lock);
	while (!atomic_load(&c->stopping) &&
		pthread_cond_timedwait(&c->pause, &c->lock, &until) != ETIMEDOUT)
		;
	pthread_mutex_unlock(&c->lock);
}

/* Whoever asks next reads them. */
static void end_claims(struct clerk *c, const struct clerk_jobs *batch)
{
	const struct clerk_job *j;

	TAILQ_FOREACH(j, batch, queue)
	if (j->kind == CLERK_RELEASED)
		clerk_claim_written(c, j->mail_id);
}

static void write_entries(struct books *b, struct clerk_jobs *batch, size_t count)
{
	struct clerk *c = b->clerk;
	struct mw_err err = { "" };
	bool done = false, folder = true;

	for (int i = 0; i < RETRIES_MAX && !done && (folder = has_folder(b)); i++) {
		bool open;

		write_audit(b, batch);
		open = open_books(b);
		done = open && write_batch(b, batch, &err) == MW_OK;
		if (!done && open)
			mw_log(MW_WARN, "quarantine_index", "why=%s", mw_quote(err.text));
		if (!done && atomic_load(&c->stopping))
			break;
		if (!done && !(open && mw_qindex_is_broken(b->index)))
			wait_to_retry(c);
	}
	/* Without a folder there are no books: rows say themselves who has got them, and the log.
	 */
	if (folder)
		atomic_fetch_add(done ? &c->indexed : &c->dropped, count);
	if (folder && !done)
		clerk_scan_soon(c);
	end_claims(c, batch);
	free_all(batch);
}

/* Whatever waits: a look-up first, for somebody waits for that. */
static bool next_work(
	struct clerk *c, struct clerk_job **ask_r, struct clerk_jobs *batch, size_t *n)
{
	struct clerk_job *j;

	*ask_r = NULL;
	*n = 0;
	TAILQ_INIT(batch);
	pthread_mutex_lock(&c->lock);
	while (TAILQ_EMPTY(&c->asks) && TAILQ_EMPTY(&c->entries) && !atomic_load(&c->stopping))
		pthread_cond_wait(&c->work, &c->lock);
	while (*n < BATCH_MAX && (j = TAILQ_FIRST(&c->asks)) != NULL && j->kind == CLERK_RELEASED) {
		TAILQ_REMOVE(&c->asks, j, queue);
		TAILQ_INSERT_TAIL(batch, j, queue);
		c->entry_count--;
		++*n;
	}
	if (*n == 0 && (*ask_r = TAILQ_FIRST(&c->asks)) != NULL) {
		TAILQ_REMOVE(&c->asks, *ask_r, queue);
		c->ask_count--;
	}
	while (*ask_r == NULL && TAILQ_EMPTY(&c->asks) && *n < BATCH_MAX &&
		(j = TAILQ_FIRST(&c->entries)) != NULL) {
		TAILQ_REMOVE(&c->entries, j, queue);
		TAILQ_INSERT_TAIL(batch, j, queue);
		c->entry_count--;
		++*n;
	}
	pthread_mutex_unlock(&c->lock);
	return *ask_r != NULL || *n > 0;
}

static void answer(struct books *b, struct clerk_job *j)
{
	struct clerk *c = b->clerk;
	bool folder = has_folder(b), open = folder && open_books(b) && b->knows_releases;

	if (folder)
		clerk_look_up(b->dir, open ? b->index : NULL, j->mail_id, &j->ask->found);
	pthread_mutex_lock(&c->lock);
	TAILQ_INSERT_TAIL(&c->answered, j, queue);
	pthread_mutex_unlock(&c->lock);
	uv_async_send(c->wake);
}

static void *clerk_main(void *arg)
{
	struct books b = { .clerk = arg };
	struct clerk_jobs batch;
	struct clerk_job *ask;
	size_t n;

	while (next_work(arg, &ask, &batch, &n)) {
		if (ask != NULL)
			answer(&b, ask);
		else
			write_entries(&b, &batch, n);
	}
	mw_qindex_close(&b.index);
	return NULL;
}

/* ------------------------------------------------------------------ look-ups, the loop's side */

struct clerk_ask *clerk_find(struct clerk *c, const char *mail_id,
	void (*done)(void *arg, struct clerk_found *found), void *arg)
{
	struct clerk_ask *a = c != NULL ? calloc(1, sizeof(*a)) : NULL;
	bool room;

	if (a == NULL)
		return NULL;
	a->done = done;
	a->arg = arg;
	a->job.kind = CLERK_FIND;
	a->job.ask = a;
	mw_strlcpy(a->job.mail_id, mail_id, sizeof(a->job.mail_id));
	pthread_mutex_lock(&c->lock);
	room = c->has_clerk && c->ask_count < ASKS_MAX;
	if (room) {
		TAILQ_INSERT_TAIL(&c->asks, &a->job, queue);
		c->ask_count++;
		pthread_cond_signal(&c->work);
	}
	pthread_mutex_unlock(&c->lock);
	if (room)
		return a;
	free(a);
	return NULL;
}

void clerk_forget(struct clerk_ask **ask_p)
{
	struct clerk_ask *a = *ask_p;

	*ask_p = NULL;
	if (a != NULL)
		a->done = NULL;
}

static void ask_free(struct clerk_ask *a)
{
	clerk_found_fini(&a->found);
	free(a);
}

static void on_answered(uv_async_t *wake)
{
	struct clerk *c = wake->data;
	struct clerk_job *j;

	for (;;) {
		pthread_mutex_lock(&c->lock);
		j = TAILQ_FIRST(&c->answered);
		if (j != NULL)
			TAILQ_REMOVE(&c->answered, j, queue);
		pthread_mutex_unlock(&c->lock);
		if (j == NULL)
			return;
		if (j->ask->done != NULL)
			j->ask->done(j->ask->arg, &j->ask->found);
		ask_free(j->ask);
	}
}

/* ------------------------------------------------------------------ life */

enum mw_rc clerk_configure(struct clerk *c, const struct mw_conf *conf, struct mw_err *err_r)
{
	struct mw_qretention retention;
	enum mw_rc rc = mw_qretention_from(conf, &retention, err_r);

	if (rc != MW_OK)
		return rc;
	pthread_mutex_lock(&c->lock);
	mw_strlcpy(c->dir, mw_conf_text(conf, "QUARANTINEDIR"), sizeof(c->dir));
	c->retention = retention;
	c->per_second = (unsigned)mw_conf_int(conf, "quarantine.expire_rate");
	c->interval_ms = (uint64_t)mw_conf_int(conf, "quarantine.scan_interval") * 1000;
	c->entry_limit = (size_t)mw_conf_int(conf, "quarantine.index_queue");
	c->scan_soon = true;
	pthread_cond_signal(&c->rest);
	pthread_mutex_unlock(&c->lock);
	return MW_OK;
}

static void start_threads(struct clerk *c)
{
	sigset_t all, old;

	/* Signals are the loop's. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	c->has_clerk = pthread_create(&c->clerk, NULL, clerk_main, c) == 0;
	c->has_housekeeper = pthread_create(&c->housekeeper, NULL, housekeeper_main, c) == 0;
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (c->has_clerk)
		pthread_setname_np(c->clerk, "clerk");
	if (c->has_housekeeper)
		pthread_setname_np(c->housekeeper, "housekeeper");
	if (!c->has_clerk || !c->has_housekeeper)
		mw_log(MW_WARN, "quarantine_threads", "hint=\"%s\"",
			"the system gives no thread: the quarantine is not indexed");
}

enum mw_rc clerk_new(
	struct clerk **c_r, struct mw_loop *loop, const struct mw_conf *conf, struct mw_err *err_r)
{
	struct clerk *c = calloc(1, sizeof(*c));
	uv_async_t *wake = calloc(1, sizeof(*wake));
	pthread_condattr_t attr;
	enum mw_rc rc;

	if (c == NULL || wake == NULL) {
		free(c);
		free(wake);
		return mw_fail(err_r, MW_ERR_NOMEM, "no memory");
	}
	pthread_mutex_init(&c->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&c->work, &attr);
	pthread_cond_init(&c->rest, &attr);
	pthread_cond_init(&c->pause, &attr);
	pthread_condattr_destroy(&attr);
	TAILQ_INIT(&c->entries);
	TAILQ_INIT(&c->asks);
	TAILQ_INIT(&c->answered);
	c->loop = loop;
	c->wake = wake;
	wake->data = c;
	uv_async_init(mw_loop_uv(loop), wake, on_answered);
	uv_unref((uv_handle_t *)wake);
	*c_r = c;
	rc = clerk_configure(c, conf, err_r);
	if (rc == MW_OK)
		start_threads(c);
	return rc;
}

static void wake_closed(uv_handle_t *h)
{
	free(h);
}

void clerk_destroy(struct clerk **c_p)
{
	struct clerk *c = *c_p;
	struct clerk_job *j;

	*c_p = NULL;
	if (c == NULL)
		return;
	pthread_mutex_lock(&c->lock);
	atomic_store(&c->stopping, true);
	pthread_cond_broadcast(&c->work);
	pthread_cond_broadcast(&c->rest);
	pthread_cond_broadcast(&c->pause);
	pthread_mutex_unlock(&c->lock);
	if (c->has_clerk)
		pthread_join(c->clerk, NULL);
	if (c->has_housekeeper)
		pthread_join(c->housekeeper, NULL);
	while ((j = TAILQ_FIRST(&c->answered)) != NULL) {
		TAILQ_REMOVE(&c->answered, j, queue);
		ask_free(j->ask);
	}
	free_all(&c->entries);
	clerk_unclaim_all(c);
	uv_close((uv_handle_t *)c->wake, wake_closed);
	pthread_mutex_destroy(&c->lock);
	pthread_cond_destroy(&c->work);
	pthread_cond_destroy(&c->rest);
	pthread_cond_destroy(&c->pause);
	free(c);
}

void clerk_metrics(struct clerk *c, struct mw_text *out)
{
	if (c == NULL)
		return;
	mw_text_addf(out,
		"mailweir_quarantine_indexed_total %llu\n"
		"mailweir_quarantine_index_dropped_total %llu\n"
		"mailweir_quarantine_expired_total %llu\n"
		"mailweir_quarantine_expired_octets_total %llu\n"
		"mailweir_quarantine_scans_total %llu\n",
		atomic_load(&c->indexed), atomic_load(&c->dropped), atomic_load(&c->expired),
		atomic_load(&c->octets), atomic_load(&c->scans));
}
