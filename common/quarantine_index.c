/* The file itself: opened, made, found broken, set aside. Its rows are in quarantine_rows.c. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "log.h"
#include "quarantine_index_priv.h"

#define INDEX_LOCK ".index.lock"
#define INDEX_VERSION 1
#define BUSY_MS                                                                                    \
	10000 /* another process's batch takes milliseconds; its checkpoint may take more          \
	       */
#define CACHE_KIB 16384
#define WAL_PAGES 2000 /* between two checkpoints: 8 MiB */
#define WAL_OCTETS_MAX (64 << 20)

/*
 * id is the time in ms with 20 bits below it that keep ids apart: newest first is the order of the
 * table itself and of every index, so a list of the newest 50 reads 50 rows whatever it asks for.
 * Parts of texts are found by their trigrams,
 * domains as "@example.org" beside the addresses.
 */
static const char schema[] =
	"CREATE TABLE folders(id INTEGER PRIMARY KEY, path TEXT NOT NULL UNIQUE, mtime INTEGER NOT "
	"NULL DEFAULT -1);"
	"CREATE TABLE copies(id INTEGER PRIMARY KEY, folder INTEGER NOT NULL, name TEXT NOT NULL,"
	" mail_id TEXT NOT NULL, secret_id TEXT NOT NULL, log_id TEXT NOT NULL, quar_type TEXT NOT "
	"NULL,"
	" ccat INTEGER NOT NULL, class INTEGER NOT NULL, score INTEGER, size INTEGER NOT NULL,"
	" sender TEXT NOT NULL, rcpts TEXT NOT NULL, subject TEXT NOT NULL, released INTEGER, "
	"released_by TEXT);"
	"CREATE UNIQUE INDEX copies_file ON copies(folder, name);"
	"CREATE INDEX copies_mail_id ON copies(mail_id);"
	"CREATE INDEX copies_class ON copies(class);"
	"CREATE INDEX copies_sender ON copies(sender COLLATE NOCASE);"
	"CREATE INDEX copies_domain ON copies(substr(sender, instr(sender, '@')) COLLATE NOCASE);"
	"CREATE INDEX copies_released ON copies(released) WHERE released IS NOT NULL;"
	"CREATE TABLE rcpts(rcpt TEXT NOT NULL COLLATE NOCASE, id INTEGER NOT NULL, PRIMARY "
	"KEY(rcpt, id)) WITHOUT ROWID;"
	"CREATE VIRTUAL TABLE words USING fts5(sender, rcpts, subject, content='copies', "
	"content_rowid='id', tokenize='trigram');"
	"CREATE TABLE releases(mail_id TEXT NOT NULL, rcpt TEXT NOT NULL COLLATE NOCASE, time "
	"INTEGER NOT NULL, who TEXT NOT NULL,"
	" PRIMARY KEY(mail_id, rcpt)) WITHOUT ROWID;"
	"CREATE TABLE totals(class INTEGER PRIMARY KEY, entries INTEGER NOT NULL, octets INTEGER "
	"NOT NULL);"
	"CREATE TABLE meta(name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;"
	"CREATE TABLE strangers(path TEXT PRIMARY KEY, size INTEGER NOT NULL, mtime INTEGER NOT "
	"NULL) WITHOUT ROWID;"
	"CREATE TRIGGER copies_added AFTER INSERT ON copies BEGIN"
	" INSERT INTO words(rowid, sender, rcpts, subject) VALUES (new.id, new.sender, new.rcpts, "
	"new.subject);"
	" INSERT INTO totals VALUES (new.class, 1, new.size)"
	"  ON CONFLICT(class) DO UPDATE SET entries = entries + 1, octets = octets + "
	"excluded.octets; END;"
	"CREATE TRIGGER copies_dropped AFTER DELETE ON copies BEGIN"
	" INSERT INTO words(words, rowid, sender, rcpts, subject) VALUES ('delete', old.id, "
	"old.sender, old.rcpts, old.subject);"
	" UPDATE totals SET entries = entries - 1, octets = octets - old.size WHERE class = "
	"old.class; END;"
	"CREATE TRIGGER copies_changed AFTER UPDATE OF class, size ON copies BEGIN"
	" UPDATE totals SET entries = entries - 1, octets = octets - old.size WHERE class = "
	"old.class;"
	" INSERT INTO totals VALUES (new.class, 1, new.size)"
	"  ON CONFLICT(class) DO UPDATE SET entries = entries + 1, octets = octets + "
	"excluded.octets; END;";

/* ------------------------------------------------------------------ failing */

enum mw_rc mw_qindex_failed(struct mw_qindex *q, int code, struct mw_err *err_r)
{
	enum mw_rc rc = MW_ERR_IO;

	switch (code & 0xff) {
	case SQLITE_CORRUPT: /* those of FTS5 as well */
	case SQLITE_NOTADB:
	case SQLITE_ERROR: /* no such table: not the file that we made */
	case SQLITE_MISMATCH:
		q->broken = true;
		rc = MW_ERR_GONE;
		break;
	case SQLITE_NOMEM:
		rc = MW_ERR_NOMEM;
		break;
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
	case SQLITE_INTERRUPT:
		rc = MW_ERR_TIMEOUT;
		break;
	default:
		break;
	}
	return mw_fail(err_r, rc, "%.200s: %.250s", q->path,
		q->lite != NULL ? sqlite3_errmsg(q->lite) : sqlite3_errstr(code));
}

bool mw_qindex_is_broken(const struct mw_qindex *q)
{
	return q->broken;
}

/* ------------------------------------------------------------------ locks */

/* A file of root's would lock out the service whose folder it is. */
static void give_to_owner(const char *dir, int fd, const char *path)
{
	struct stat st;

	if (geteuid() == 0 && stat(dir, &st) == 0 && st.st_uid != 0 &&
		fchown(fd, st.st_uid, st.st_gid) != 0)
		mw_log(MW_WARN, "quarantine_index", "file=%s why=%s", mw_quote(path),
			mw_quote(strerror(errno)));
}

int mw_quarantine_lock(const char *dir, const char *name, bool wait)
{
	char path[MW_QINDEX_PATH_MAX + 64];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0640);
	if (fd >= 0)
		give_to_owner(dir, fd, path);
	if (fd >= 0 && flock(fd, wait ? LOCK_EX : LOCK_EX | LOCK_NB) != 0) {
		int why = errno;

		close(fd);
		errno = why;
		fd = -1;
	}
	return fd;
}

/* ------------------------------------------------------------------ opening */

static void close_file(struct mw_qindex *q)
{
	for (size_t i = 0; i < QS_COUNT; i++) {
		sqlite3_finalize(q->statements[i]);
		q->statements[i] = NULL;
	}
	sqlite3_close(q->lite);
	q->lite = NULL;
	q->inside = false;
}

static bool look(const struct mw_qindex *q, struct stat *st_r)
{
	return stat(q->path, st_r) == 0;
}

static int run(struct mw_qindex *q, const char *sql)
{
	return sqlite3_exec(q->lite, sql, NULL, NULL, NULL);
}

/* The number that "PRAGMA name" says; -1: it says nothing. */
static int64_t pragma(struct mw_qindex *q, const char *sql)
{
	sqlite3_stmt *s = NULL;
	int64_t value = -1;

	if (sqlite3_prepare_v2(q->lite, sql, -1, &s, NULL) == SQLITE_OK &&
		sqlite3_step(s) == SQLITE_ROW)
		value = sqlite3_column_int64(s, 0);
	sqlite3_finalize(s);
	return value;
}

/* Made with its owner before SQLite opens it: what SQLite lays beside it gets the same one. */
static void make_file(const struct mw_qindex *q)
{
	int fd = open(q->path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0640);

	if (fd < 0)
		return; /* SQLite says why */
	give_to_owner(q->dir, fd, q->path);
	close(fd);
}

/*
 * Whoever closes a file in WAL mode last takes NAME-wal away by its name; by then that may be
 * another file's, which was made in place of one that is set aside. So it stays.
 */
static int settle(struct mw_qindex *q)
{
	char sql[256];
	int keep = 1, code;

	sqlite3_busy_timeout(q->lite, BUSY_MS);
	sqlite3_file_control(q->lite, NULL, SQLITE_FCNTL_PERSIST_WAL, &keep);
	sqlite3_db_config(q->lite, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
	sqlite3_db_config(q->lite, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 1, NULL);
	snprintf(sql, sizeof(sql),
		"PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA cache_size = -%d; "
		"PRAGMA wal_autocheckpoint = %d; PRAGMA journal_size_limit = %d;%s",
		CACHE_KIB, WAL_PAGES, WAL_OCTETS_MAX,
		q->mode == MW_QINDEX_READ ? "PRAGMA query_only = 1;" : "");
	code = run(q, sql);
	return code;
}

/* Ours, and of this version: MW_OK. */
static enum mw_rc open_file(struct mw_qindex *q, bool make, struct mw_err *err_r)
{
	struct stat st;
	bool there = look(q, &st);
	int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | (make ? SQLITE_OPEN_CREATE : 0);
	int code;

	q->broken = false;
	if (!there && !make)
		return mw_fail(err_r, MW_ERR_GONE, "%s: %s", q->path, strerror(errno));
	if (make)
		make_file(q);
	code = sqlite3_open_v2(q->path, &q->lite, flags, NULL);
	if (code == SQLITE_OK)
		code = settle(q);
	if (code == SQLITE_OK && make && pragma(q, "PRAGMA user_version") == 0) {
		code = run(q, "BEGIN IMMEDIATE");
		if (code == SQLITE_OK)
			code = run(q, schema);
		if (code == SQLITE_OK)
			code = run(q, "PRAGMA user_version = 1; COMMIT");
	}
	if (code == SQLITE_OK && pragma(q, "PRAGMA user_version") != INDEX_VERSION)
		code = SQLITE_NOTADB;
	if (code == SQLITE_OK && look(q, &st)) {
		q->device = st.st_dev;
		q->inode = st.st_ino;
		return MW_OK;
	}
	return mw_qindex_failed(q, code != SQLITE_OK ? code : SQLITE_CANTOPEN, err_r);
}

/* With its companions: they would be taken for the next one's. */
static void set_aside(const struct mw_qindex *q)
{
	static const char *const parts[] = { "-wal", "-shm", "" };
	char from[sizeof(q->path) + 8], to[sizeof(q->path) + 16];

	for (size_t i = 0; i < MW_COUNT(parts); i++) {
		snprintf(from, sizeof(from), "%s%s", q->path, parts[i]);
		snprintf(to, sizeof(to), "%s.broken%s", q->path, parts[i]);
		if (rename(from, to) != 0)
			unlink(from);
	}
}

/* Under the lock: who comes second finds the new file. */
static enum mw_rc make_anew(struct mw_qindex *q, bool *new_r, struct mw_err *err_r)
{
	int lock = mw_quarantine_lock(q->dir, INDEX_LOCK, true);
	struct stat st;
	bool there = look(q, &st);
	enum mw_rc rc;

	if (lock < 0)
		return mw_fail(err_r, MW_ERR_IO, "%s/" INDEX_LOCK ": %s", q->dir, strerror(errno));
	rc = there ? open_file(q, false, err_r) : MW_ERR_GONE;
	if (rc != MW_OK && (q->broken || !there)) {
		close_file(q);
		if (there)
			mw_log(MW_WARN, "quarantine_index_set_aside", "file=%s why=%s hint=\"%s\"",
				mw_quote(q->path), mw_quote(err_r->text),
				"it is made anew from the copies");
		set_aside(q);
		rc = open_file(q, true, err_r);
		*new_r = rc == MW_OK;
	}
	close(lock);
	return rc;
}

enum mw_rc mw_qindex_open(
	struct mw_qindex **q_r, const char *dir, enum mw_qindex_mode mode, struct mw_err *err_r)
{
	struct mw_qindex *q = calloc(1, sizeof(*q));
	bool is_new = false;
	enum mw_rc rc;

	*q_r = NULL;
	if (q == NULL)
		return mw_fail(err_r, MW_ERR_NOMEM, "out of memory");
	q->mode = mode;
	mw_strlcpy(q->dir, dir, sizeof(q->dir));
	snprintf(q->path, sizeof(q->path), "%s/" MW_QINDEX_FILE, q->dir);
	rc = open_file(q, false, err_r);
	if (rc == MW_ERR_GONE && mode == MW_QINDEX_WRITE) {
		close_file(q);
		rc = make_anew(q, &is_new, err_r);
	}
	if (rc != MW_OK)
		mw_qindex_close(&q);
	*q_r = q;
	return rc;
}

void mw_qindex_close(struct mw_qindex **q_p)
{
	struct mw_qindex *q = *q_p;

	*q_p = NULL;
	if (q == NULL)
		return;
	close_file(q);
	free(q);
}

enum mw_rc mw_qindex_refresh(struct mw_qindex *q, bool *new_r, struct mw_err *err_r)
{
	bool was_broken = q->broken, is_new = false;
	struct stat st;
	enum mw_rc rc;

	if (new_r != NULL)
		*new_r = false;
	if (q->lite != NULL && !q->broken && look(q, &st) && st.st_dev == q->device &&
		st.st_ino == q->inode)
		return MW_OK;
	close_file(q);
	if (q->mode == MW_QINDEX_READ)
		return open_file(q, false, err_r);
	/* Another may have made it anew meanwhile: then ours is no more the broken one. */
	if (was_broken && look(q, &st) && st.st_dev == q->device && st.st_ino == q->inode) {
		int lock = mw_quarantine_lock(q->dir, INDEX_LOCK, true);

		if (lock >= 0 && look(q, &st) && st.st_dev == q->device && st.st_ino == q->inode) {
			mw_log(MW_WARN, "quarantine_index_set_aside", "file=%s hint=\"%s\"",
				mw_quote(q->path), "it is broken and is made anew from the copies");
			set_aside(q);
		}
		if (lock >= 0)
			close(lock);
	}
	rc = make_anew(q, &is_new, err_r);
	if (new_r != NULL)
		*new_r = is_new;
	return rc;
}

/* ------------------------------------------------------------------ statements */

static const char *const statements[QS_COUNT] = {
	[QS_FIND_PATH] =
		"SELECT id, released, released_by FROM copies WHERE folder = ? AND name = ?",
	[QS_FULLER] = ("SELECT 1 FROM copies WHERE folder = ? AND name = ? AND mail_id = ? AND "
		       "size = ? AND (secret_id <> '' OR log_id <> '')"),
	[QS_ADD] = ("INSERT INTO copies(id, folder, name, mail_id, secret_id, log_id, quar_type, "
		    "ccat, class, score, size, sender, "
		    "rcpts, subject, released, released_by) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, "
		    "?, ?, ?, ?, ?, ?)"),
	[QS_DROP] = "DELETE FROM copies WHERE id = ? RETURNING rcpts",
	[QS_RCPT_ADD] = "INSERT OR IGNORE INTO rcpts(rcpt, id) VALUES (?, ?)",
	[QS_RCPT_DROP] = "DELETE FROM rcpts WHERE rcpt = ? AND id = ?",
	[QS_FOLDER] = "SELECT mtime, id FROM folders WHERE path = ?",
	[QS_FOLDER_ID] = "INSERT INTO folders(path) VALUES (?) RETURNING id",
	[QS_FOLDER_SET] = ("INSERT INTO folders(path, mtime) VALUES (?1, ?2) ON CONFLICT(path) DO "
			   "UPDATE SET mtime = ?2"),
	[QS_RELEASED] =
		"INSERT OR REPLACE INTO releases(mail_id, rcpt, time, who) VALUES (?, ?, ?, ?)",
	[QS_RELEASED_COPY] = "UPDATE copies SET released = ?2, released_by = ?3 WHERE mail_id = ?1",
	[QS_WAS_RELEASED] = "SELECT time, who FROM releases WHERE mail_id = ? AND rcpt = ?",
	[QS_WAS_RELEASED_ANY] =
		"SELECT time, who FROM releases WHERE mail_id = ? ORDER BY time DESC LIMIT 1",
	[QS_META] = "SELECT value FROM meta WHERE name = ?",
	[QS_META_SET] = "INSERT OR REPLACE INTO meta(name, value) VALUES (?, ?)",
	[QS_STRANGER] = "SELECT 1 FROM strangers WHERE path = ? AND size = ? AND mtime = ?",
	[QS_STRANGER_SET] = "INSERT OR REPLACE INTO strangers(path, size, mtime) VALUES (?, ?, ?)",
};

sqlite3_stmt *mw_qindex_stmt(struct mw_qindex *q, enum qstmt id, struct mw_err *err_r)
{
	sqlite3_stmt **s = &q->statements[id];

	if (q->lite == NULL) {
		mw_fail(err_r, MW_ERR_GONE, "%s is not open", q->path);
		return NULL;
	}
	if (*s == NULL) {
		int code = sqlite3_prepare_v3(
			q->lite, statements[id], -1, SQLITE_PREPARE_PERSISTENT, s, NULL);

		if (code != SQLITE_OK) {
			mw_qindex_failed(q, code, err_r);
			return NULL;
		}
	}
	sqlite3_reset(*s);
	return *s;
}

enum mw_rc mw_qindex_step(struct mw_qindex *q, sqlite3_stmt *s, struct mw_err *err_r)
{
	int code;

	do
		code = sqlite3_step(s);
	while (code == SQLITE_ROW);
	sqlite3_reset(s);
	return code == SQLITE_DONE ? MW_OK : mw_qindex_failed(q, code, err_r);
}

void mw_qindex_bind_text(sqlite3_stmt *s, int at, const char *text)
{
	sqlite3_bind_text(s, at, text != NULL ? text : "", -1, SQLITE_STATIC);
}

const char *mw_qindex_text(sqlite3_stmt *s, int column)
{
	const char *text = (const char *)sqlite3_column_text(s, column);

	return text != NULL ? text : "";
}

static enum mw_rc order(struct mw_qindex *q, const char *sql, struct mw_err *err_r)
{
	int code = q->lite != NULL ? run(q, sql) : SQLITE_MISUSE;

	return code == SQLITE_OK ? MW_OK : mw_qindex_failed(q, code, err_r);
}

enum mw_rc mw_qindex_begin(struct mw_qindex *q, struct mw_err *err_r)
{
	enum mw_rc rc = order(q, "BEGIN IMMEDIATE", err_r);

	q->inside = rc == MW_OK;
	return rc;
}

void mw_qindex_rollback(struct mw_qindex *q)
{
	if (q->inside && q->lite != NULL)
		run(q, "ROLLBACK");
	q->inside = false;
}

enum mw_rc mw_qindex_commit(struct mw_qindex *q, struct mw_err *err_r)
{
	enum mw_rc rc;

	/* A full disk, among others, rolls back by itself; COMMIT would call that an error of SQL.
	 */
	if (q->lite != NULL && sqlite3_get_autocommit(q->lite))
		rc = mw_fail(err_r, MW_ERR_IO, "%.200s: it was rolled back", q->path);
	else
		rc = order(q, "COMMIT", err_r);
	if (rc != MW_OK)
		mw_qindex_rollback(q);
	q->inside = false;
	return rc;
}
