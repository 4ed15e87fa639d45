/*
 * The quarantine's housekeeper: from time to time the folders are compared with the index, and what
 * is too old or too much is taken away. A thread with a low priority; of all processes that share a
 * QUARANTINEDIR one works at a time.
 */
#include <errno.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "clerk_priv.h"
#include "log.h"
#include "quarantine_audit.h"
#include "quarantine_scan.h"

#define TICK_MS 30000 /* between two looks whether something is due */
#define NICE 19
#define IOPRIO_WHO_PROCESS 1
#define IOPRIO_IDLE (3 << 13) /* linux/ioprio.h is not in every Debian's headers */

void clerk_step_back(void)
{
	/* Of this thread alone: with Linux an id of a thread will do (setpriority(2), NOTES). */
	setpriority(PRIO_PROCESS, (id_t)syscall(SYS_gettid), NICE);
	syscall(SYS_ioprio_set, IOPRIO_WHO_PROCESS, 0, IOPRIO_IDLE);
}

struct work {
	struct clerk *clerk;
	struct mw_qindex *index;
	char dir[CLERK_DIR_MAX], open_dir[CLERK_DIR_MAX];
	struct mw_qretention retention;
	unsigned per_second;
	uint64_t interval_ms;
	bool soon;
};

static bool go_on(void *arg)
{
	return !atomic_load(&((struct work *)arg)->clerk->stopping);
}

/* False: the process ends. */
static bool wait_for_work(struct work *w)
{
	struct clerk *c = w->clerk;
	struct timespec until;
	bool go;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += (time_t)((w->interval_ms < TICK_MS ? w->interval_ms : TICK_MS) / 1000);
	pthread_mutex_lock(&c->lock);
	while (!c->scan_soon && !atomic_load(&c->stopping) &&
		pthread_cond_timedwait(&c->rest, &c->lock, &until) != ETIMEDOUT)
		;
	w->soon = w->soon || c->scan_soon;
	c->scan_soon = false;
	mw_strlcpy(w->dir, c->dir, sizeof(w->dir));
	w->retention = c->retention;
	w->per_second = c->per_second;
	w->interval_ms = c->interval_ms;
	go = !atomic_load(&c->stopping);
	pthread_mutex_unlock(&c->lock);
	return go;
}

static void on_found(void *arg, const char *what, const char *path, const char *why)
{
	(void)arg;
	/* A process that died between a copy and its entry is no matter; damage is. */
	mw_log(strcmp(what, "damaged") == 0 ? MW_WARN : MW_DEBUG, "quarantine_differs",
		"what=%s file=%s why=%s", what, mw_quote(path), mw_quote(why));
}

static enum mw_rc scan(struct work *w, struct mw_err *err)
{
	uint64_t t = mw_mono_ms();
	struct mw_qscan s = {
		.index = w->index, .root = w->dir, .go_on = go_on, .found = on_found, .arg = w
	};
	enum mw_rc rc = mw_qscan_run(&s, err);

	if (s.added + s.dropped + s.damaged + s.strangers + s.temporaries + s.unreadable > 0)
		mw_log(MW_INFO, "quarantine_scan",
			"folders=%llu files=%llu added=%llu dropped=%llu damaged=%llu "
			"strangers=%llu unfinished=%llu unreadable=%llu ms=%llu",
			(unsigned long long)s.folders, (unsigned long long)s.files,
			(unsigned long long)s.added, (unsigned long long)s.dropped,
			(unsigned long long)s.damaged, (unsigned long long)s.strangers,
			(unsigned long long)s.temporaries, (unsigned long long)s.unreadable,
			(unsigned long long)(mw_mono_ms() - t));
	atomic_fetch_add(&w->clerk->scans, rc == MW_OK && !s.stopped);
	return rc;
}

static enum mw_rc sweep(struct work *w, struct mw_err *err)
{
	uint64_t t = mw_mono_ms();
	struct mw_qsweep s = { .index = w->index,
		.root = w->dir,
		.retention = &w->retention,
		.now_ms = mw_wall_ms(),
		.per_second = w->per_second,
		.go_on = go_on,
		.arg = w };
	char detail[128];
	enum mw_rc rc;

	if (mw_qretention_is_idle(&w->retention))
		return MW_OK;
	rc = mw_qsweep_run(&s, err);
	atomic_fetch_add(&w->clerk->expired, s.expired + s.over_quota);
	atomic_fetch_add(&w->clerk->octets, s.octets);
	if (s.expired + s.over_quota + s.failed == 0)
		return rc;
	snprintf(detail, sizeof(detail), "expired=%llu over_quota=%llu octets=%llu failed=%llu",
		(unsigned long long)s.expired, (unsigned long long)s.over_quota,
		(unsigned long long)s.octets, (unsigned long long)s.failed);
	mw_log(MW_INFO, "quarantine_sweep", "%s ms=%llu", detail,
		(unsigned long long)(mw_mono_ms() - t));
	if (mw_qaudit_write(w->dir,
		    &(struct mw_qaudit){ .action = "expire",
			    .who = "smtp-front",
			    .detail = detail,
			    .time_ms = mw_wall_ms() },
		    err) != MW_OK)
		mw_log(MW_WARN, "quarantine_audit", "why=%s", mw_quote(err->text));
	return rc;
}

static enum mw_rc open_index(struct work *w, struct mw_err *err)
{
	bool is_new = false;
	enum mw_rc rc;

	if (strcmp(w->dir, w->open_dir) != 0)
		mw_qindex_close(&w->index);
	mw_strlcpy(w->open_dir, w->dir, sizeof(w->open_dir));
	rc = w->index == NULL ? mw_qindex_open(&w->index, w->dir, MW_QINDEX_WRITE, err)
			      : mw_qindex_refresh(w->index, &is_new, err);
	w->soon = w->soon || is_new;
	/* Who was given what is for releases to know; copies go when their time has come. */
	if (rc == MW_OK && mw_qaudit_catch_up(w->dir, w->index, err) != MW_OK)
		mw_log(MW_WARN, "quarantine_audit", "why=%s", mw_quote(err->text));
	return rc;
}

/* Another process may have done it a moment ago. */
static bool is_due(struct work *w)
{
	uint64_t last = mw_qindex_meta(w->index, "housekeeping"), now = mw_wall_ms();

	return w->soon || last > now || last + w->interval_ms <= now;
}

static enum mw_rc do_what_is_due(struct work *w, struct mw_err *err)
{
	enum mw_rc rc = open_index(w, err);

	if (rc != MW_OK || !is_due(w))
		return rc;
	rc = scan(w, err);
	if (rc == MW_OK && go_on(w))
		rc = sweep(w, err);
	if (rc == MW_OK && go_on(w)) {
		rc = mw_qindex_set_meta(w->index, "housekeeping", mw_wall_ms(), err);
		w->soon = false;
	}
	return rc;
}

static void keep_house(struct work *w)
{
	struct mw_err err = { "" };
	enum mw_rc rc;
	int lock;

	if (w->dir[0] == '\0' || access(w->dir, W_OK | X_OK) != 0)
		return;
	lock = mw_quarantine_lock(w->dir, MW_QHOUSEKEEPER_LOCK, false);
	if (lock < 0)
		return; /* somebody else is at it; what is left to do is done the next time */
	rc = do_what_is_due(w, &err);
	/* One that is found broken on the way is made anew at once; no second time. */
	if (rc != MW_OK && w->index != NULL && mw_qindex_is_broken(w->index))
		rc = do_what_is_due(w, &err);
	close(lock);
	if (rc == MW_OK)
		return;
	mw_log(MW_WARN, "quarantine_housekeeping", "why=%s", mw_quote(err.text));
	mw_qindex_close(&w->index);
}

void *housekeeper_main(void *arg)
{
	struct work w = { .clerk = arg, .interval_ms = TICK_MS };

	clerk_step_back();
	while (wait_for_work(&w))
		keep_house(&w);
	mw_qindex_close(&w.index);
	return NULL;
}
