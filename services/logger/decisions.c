/* The only file of the logger that includes <sqlite3.h>. */
#include "decisions.h"

#include <limits.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include "decision_store.h"
#include "log.h"

#define BATCH_RECORDS 2000
#define BATCH_OCTETS (8u * 1024 * 1024)
#define BATCH_MS 200 /* records of so long share a transaction, and its sync */
#define RETRY_MS 1000
#define SWEEP_MS 60000
#define SWEEP_RECORDS 5000	 /* in one go: the next batch waits for it */
#define SWEEP_OCTETS_RECORDS 500 /* where their octets are too many: no more than has to go */
#define DAY_MS (24ull * 3600 * 1000)

struct logsvc_decisions {
	struct mw_loop *loop;
	struct logsvc_lines *lines;
	struct logsvc_cursor cursor;
	struct mw_timer *timer;
	uv_work_t work;
	bool running, failing;
	uint64_t days, entries, octets, sweep_at_ms;
	uint64_t batch_ms; /* BATCH_MS; 0 once the process ends */
	/* of the work on the pool, which alone touches them while it runs */
	char path[PATH_MAX];
	sqlite3 *db;
	dev_t device; /* of the file that is open */
	ino_t inode;
	sqlite3_stmt *insert, *sweep, *measure;
	const struct logsvc_line *first;
	size_t count;
	bool sweeping, more_to_sweep;
	char error[256];
};

/* ------------------------------------------------------------------ the file; on the pool */

static bool failed(struct logsvc_decisions *d, const char *what)
{
	snprintf(d->error, sizeof(d->error), "%.100s: %.140s", what,
		d->db != NULL ? sqlite3_errmsg(d->db) : "out of memory");
	return false;
}

static void close_file(struct logsvc_decisions *d)
{
	sqlite3_finalize(d->insert);
	sqlite3_finalize(d->sweep);
	sqlite3_finalize(d->measure);
	d->insert = d->sweep = d->measure = NULL;
	sqlite3_close(d->db);
	d->db = NULL;
}

/* A file that is none any more, or of another version, is put aside: records come and go anyway. */
static bool put_aside(struct logsvc_decisions *d)
{
	char aside[PATH_MAX + 8], journal[PATH_MAX + 8];
	static const char *const tails[] = { "-wal", "-shm" };

	close_file(d);
	snprintf(aside, sizeof(aside), "%s.bad", d->path);
	for (size_t i = 0; i < MW_COUNT(tails); i++) {
		snprintf(journal, sizeof(journal), "%s%s", d->path, tails[i]);
		(void)remove(journal);
	}
	return rename(d->path, aside) == 0;
}

static bool is_damaged(int rc)
{
	rc &= 0xff;
	return rc == SQLITE_CORRUPT || rc == SQLITE_NOTADB;
}

static bool is_broken(int rc)
{
	return is_damaged(rc) || (rc & 0xff) == SQLITE_ERROR;
}

static int try_open(struct logsvc_decisions *d)
{
	int rc = sqlite3_open_v2(d->path, &d->db,
		SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, NULL);

	if (rc == SQLITE_OK)
		rc = sqlite3_busy_timeout(d->db, 5000);
	if (rc == SQLITE_OK)
		rc = sqlite3_exec(d->db, MW_DECISIONS_SCHEMA, NULL, NULL, NULL);
	if (rc == SQLITE_OK)
		rc = sqlite3_prepare_v2(d->db, MW_DECISIONS_INSERT, -1, &d->insert, NULL);
	if (rc == SQLITE_OK)
		rc = sqlite3_prepare_v2(d->db, MW_DECISIONS_SWEEP, -1, &d->sweep, NULL);
	if (rc == SQLITE_OK)
		rc = sqlite3_prepare_v2(d->db, MW_DECISIONS_OCTETS, -1, &d->measure, NULL);
	return rc;
}

static bool begin_anew(struct logsvc_decisions *d)
{
	if (!put_aside(d))
		return false;
	mw_log(MW_WARN, "decisions_put_aside",
		"path=%s effect=\"a new file is begun; the old one is beside it\"",
		mw_quote(d->path));
	return true;
}

static bool open_file(struct logsvc_decisions *d)
{
	int rc = try_open(d);
	struct stat st;

	if (is_broken(rc) && begin_anew(d))
		rc = try_open(d);
	if (rc == SQLITE_OK && stat(d->path, &st) == 0) {
		d->device = st.st_dev;
		d->inode = st.st_ino;
		return true;
	}
	failed(d, d->path);
	close_file(d);
	return false;
}

static bool insert(struct logsvc_decisions *d, const struct logsvc_line *line)
{
	const struct logsvc_mail *m = line->mail;
	int rc;

	sqlite3_bind_text(d->insert, 1, m->mail_id, -1, SQLITE_STATIC);
	sqlite3_bind_text(d->insert, 2, m->message_id, -1, SQLITE_STATIC);
	sqlite3_bind_int64(d->insert, 3, (sqlite3_int64)m->time_ms);
	sqlite3_bind_int64(d->insert, 4, (sqlite3_int64)line->incarnation);
	sqlite3_bind_int64(d->insert, 5, (sqlite3_int64)line->sequence);
	sqlite3_bind_blob64(d->insert, 6, m->frame, m->frame_n, SQLITE_STATIC);
	rc = sqlite3_step(d->insert);
	sqlite3_reset(d->insert);
	return rc == SQLITE_DONE;
}

static bool is_large(struct logsvc_decisions *d)
{
	bool large = sqlite3_step(d->measure) == SQLITE_ROW &&
		     (uint64_t)sqlite3_column_int64(d->measure, 0) > d->octets;

	sqlite3_reset(d->measure);
	return large;
}

static bool sweep(struct logsvc_decisions *d)
{
	uint64_t now = mw_wall_ms(), age = d->days * DAY_MS;
	bool large = is_large(d);
	int rc;

	sqlite3_bind_int64(d->sweep, 1, (sqlite3_int64)(now > age ? now - age : 0));
	sqlite3_bind_int64(d->sweep, 2, (sqlite3_int64)d->entries);
	sqlite3_bind_int64(d->sweep, 3, large ? SWEEP_OCTETS_RECORDS : SWEEP_RECORDS);
	sqlite3_bind_int(d->sweep, 4, large);
	rc = sqlite3_step(d->sweep);
	sqlite3_reset(d->sweep);
	d->more_to_sweep = rc == SQLITE_DONE && sqlite3_changes(d->db) > 0;
	return rc == SQLITE_DONE;
}

static bool exec(struct logsvc_decisions *d, const char *sql)
{
	return sqlite3_exec(d->db, sql, NULL, NULL, NULL) == SQLITE_OK;
}

/* Somebody may take the file away, or put another one in its place: nobody would ever read what is
 * written to the old one. */
static bool is_in_place(const struct logsvc_decisions *d)
{
	struct stat st;

	return stat(d->path, &st) == 0 && st.st_dev == d->device && st.st_ino == d->inode;
}

static bool write_batch(struct logsvc_decisions *d)
{
	const struct logsvc_line *line = d->first;

	if (d->db != NULL && !is_in_place(d))
		close_file(d);
	if (d->db == NULL && !open_file(d))
		return false;
	if (!exec(d, "BEGIN IMMEDIATE"))
		return failed(d, "begin");
	for (size_t i = 0; i < d->count; i++, line = line->next)
		if (line->mail != NULL && !insert(d, line))
			return failed(d, "insert");
	if (d->sweeping && !sweep(d))
		return failed(d, "sweep");
	return exec(d, "COMMIT") || failed(d, "commit");
}

static void on_pool(uv_work_t *work)
{
	struct logsvc_decisions *d = work->data;

	d->error[0] = '\0';
	d->more_to_sweep = false;
	if (write_batch(d) || d->db == NULL)
		return;
	/* Afresh: the file may be another one by then, or has to be. */
	if (is_damaged(sqlite3_errcode(d->db)))
		begin_anew(d);
	else
		close_file(d);
}

/* ------------------------------------------------------------------ the loop */

static void result(struct logsvc_decisions *d)
{
	bool good = d->error[0] == '\0';

	if (!good && !d->failing)
		mw_log(MW_ERROR, "decisions_not_written",
			"why=%s waiting=%llu effect=\"retried every second\"", mw_quote(d->error),
			(unsigned long long)d->cursor.waiting);
	if (good && d->failing)
		mw_log(MW_INFO, "decisions_written_again", "path=%s skipped=%llu",
			mw_quote(d->path), (unsigned long long)d->cursor.skipped);
	d->failing = !good;
	/* Beside other outputs it may lose while it cannot be written, so that a full disk here
	 * does not end the log; but not what the pool reads. */
	d->cursor.lossy = d->failing && d->lines->cursor_count > 1;
	for (size_t i = 0; good && i < d->count; i++)
		logsvc_cursor_next(d->lines, &d->cursor);
	if (good && d->sweeping)
		d->sweep_at_ms = mw_mono_ms() + (d->more_to_sweep ? BATCH_MS : SWEEP_MS);
	d->count = 0;
}

static void written(uv_work_t *work, int status)
{
	struct logsvc_decisions *d = work->data;

	d->running = false;
	if (status != 0)
		snprintf(d->error, sizeof(d->error), "the pool's work was cancelled");
	result(d);
	mw_timer_start(d->timer, d->failing ? RETRY_MS : d->batch_ms, 0);
}

static void choose(struct logsvc_decisions *d)
{
	size_t octets = 0;

	d->first = d->cursor.at;
	d->count = 0;
	for (const struct logsvc_line *l = d->first;
		l != NULL && d->count < BATCH_RECORDS && octets < BATCH_OCTETS; l = l->next) {
		octets += l->mail != NULL ? l->mail->frame_n : 0;
		d->count++;
	}
	d->sweeping = mw_mono_ms() >= d->sweep_at_ms;
}

static void run(void *arg)
{
	struct logsvc_decisions *d = arg;

	if (d->running)
		return;
	choose(d);
	if (d->count == 0 && !d->sweeping) {
		mw_timer_start(d->timer, SWEEP_MS, 0);
		return;
	}
	d->work.data = d;
	d->cursor.lossy = false;
	d->running = uv_queue_work(mw_loop_uv(d->loop), &d->work, on_pool, written) == 0;
	if (!d->running)
		mw_timer_start(d->timer, RETRY_MS, 0);
}

static void more(void *arg, struct logsvc_line *line)
{
	struct logsvc_decisions *d = arg;

	if (!d->running && !d->failing && d->cursor.at == line)
		mw_timer_start(d->timer, d->batch_ms, 0);
}

/* Nothing is under way: only while it fails, and waits for the next try, are lines skipped. */
static void before_skip(void *arg)
{
	(void)arg;
}

/* ------------------------------------------------------------------ life */

void logsvc_decisions_reload(struct logsvc_decisions *d, const struct mw_conf *conf)
{
	d->days = (uint64_t)mw_conf_int(conf, "decisions.days");
	d->entries = (uint64_t)mw_conf_int(conf, "decisions.entries");
	d->octets = (uint64_t)mw_conf_int(conf, "decisions.octets");
}

enum mw_rc logsvc_decisions_open(struct logsvc_decisions **d_r, struct mw_loop *loop,
	struct logsvc_lines *lines, const struct mw_conf *conf, const char *instance,
	struct mw_err *err_r)
{
	struct logsvc_decisions *d = calloc(1, sizeof(*d));
	const char *folder = mw_conf_text(conf, "logger.state_dir");

	*d_r = NULL;
	if (d == NULL)
		return mw_fail(err_r, MW_ERR_NOMEM, "no memory for decisions");
	(void)mkdir(folder, 0750);
	if ((size_t)snprintf(d->path, sizeof(d->path), "%s/" MW_DECISIONS_FILE, folder, instance) >=
		sizeof(d->path)) {
		free(d);
		return mw_fail(err_r, MW_ERR_CONF, "logger.state_dir: too long");
	}
	logsvc_decisions_reload(d, conf);
	if (!open_file(d)) {
		mw_fail(err_r, MW_ERR_IO, "decisions.store: %s", d->error);
		free(d);
		return MW_ERR_IO;
	}
	d->loop = loop;
	d->lines = lines;
	d->batch_ms = BATCH_MS;
	d->cursor = (struct logsvc_cursor){
		.name = "decisions", .more = more, .before_skip = before_skip, .arg = d
	};
	logsvc_lines_add_cursor(lines, &d->cursor);
	d->timer = mw_timer_new(loop, run, d);
	mw_timer_start(d->timer, d->batch_ms, 0);
	*d_r = d;
	return MW_OK;
}

void logsvc_decisions_hurry(struct logsvc_decisions *d)
{
	d->batch_ms = 0;
	if (!d->running && !d->failing)
		mw_timer_start(d->timer, 0, 0);
}

bool logsvc_decisions_failing(const struct logsvc_decisions *d)
{
	return d->failing;
}

void logsvc_decisions_close(struct logsvc_decisions **d_p)
{
	struct logsvc_decisions *d = *d_p;

	*d_p = NULL;
	if (d == NULL)
		return;
	while (d->running)
		(void)uv_run(mw_loop_uv(d->loop), UV_RUN_ONCE);
	mw_timer_destroy(&d->timer);
	close_file(d);
	free(d);
}
