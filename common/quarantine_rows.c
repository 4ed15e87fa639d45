/* Rows of the quarantine's index: written and taken out. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

#include "quarantine_index_priv.h"

#define ID_BITS 20   /* below the time in ms */
#define ID_TRIES 100 /* of ids in one millisecond; then the next one is as good */

static const char *const class_names[MW_QCLASSES] = { "other", "clean", "mta", "oversized", "badh",
	"spammy", "spam", "unchecked", "banned", "virus", "poison" };

const char *mw_qclass_name(unsigned class)
{
	return class < MW_QCLASSES ? class_names[class] : class_names[0];
}

int mw_qclass_of_name(const char *name)
{
	for (unsigned i = 0; i < MW_QCLASSES; i++)
		if (mw_ieq(class_names[i], name))
			return (int)i;
	return -1;
}

/* ------------------------------------------------------------------ folders */

/* "a/b/c.gz" is "a/b" and "c.gz". False: longer than we know. */
static bool split(const char *path, char folder[MW_QINDEX_PATH_MAX], const char **name_r)
{
	const char *slash = strrchr(path, '/');

	*name_r = slash != NULL ? slash + 1 : path;
	return mw_strncpy(folder, MW_QINDEX_PATH_MAX, path,
		       slash != NULL ? (size_t)(slash - path) : 0) &&
	       strlen(path) < MW_QINDEX_PATH_MAX;
}

/* -1: none, or err_r says why. */
static int64_t folder_id(struct mw_qindex *q, const char *folder, bool make, struct mw_err *err_r)
{
	sqlite3_stmt *s = mw_qindex_stmt(q, QS_FOLDER, err_r);
	int64_t id = -1;

	if (s == NULL)
		return -1;
	mw_qindex_bind_text(s, 1, folder);
	if (sqlite3_step(s) == SQLITE_ROW)
		id = sqlite3_column_int64(s, 1);
	sqlite3_reset(s);
	if (id >= 0 || !make || (s = mw_qindex_stmt(q, QS_FOLDER_ID, err_r)) == NULL)
		return id;
	mw_qindex_bind_text(s, 1, folder);
	if (sqlite3_step(s) == SQLITE_ROW)
		id = sqlite3_column_int64(s, 0);
	else
		mw_qindex_failed(q, sqlite3_errcode(q->lite), err_r);
	sqlite3_reset(s);
	return id;
}

/* ------------------------------------------------------------------ recipients */

static enum mw_rc one_rcpt(struct mw_qindex *q, sqlite3_stmt *s, const char *p, size_t n,
	int64_t copy, struct mw_err *err_r)
{
	sqlite3_bind_text(s, 1, p, (int)n, SQLITE_STATIC);
	sqlite3_bind_int64(s, 2, copy);
	return mw_qindex_step(q, s, err_r);
}

/* Each address, and each domain of one. */
static enum mw_rc each_rcpt(
	struct mw_qindex *q, enum qstmt id, const char *rcpts, int64_t copy, struct mw_err *err_r)
{
	enum mw_rc rc = MW_OK;

	for (const char *p = rcpts; *p != '\0' && rc == MW_OK;) {
		size_t n = strcspn(p, "\n");
		sqlite3_stmt *s = mw_qindex_stmt(q, id, err_r);
		const char *at;

		if (s == NULL)
			return MW_ERR_GONE;
		rc = one_rcpt(q, s, p, n, copy, err_r);
		if (rc == MW_OK && (at = memrchr(p, '@', n)) != NULL)
			rc = one_rcpt(q, s, at, n - (size_t)(at - p), copy, err_r);
		p += n + (p[n] == '\n');
	}
	return rc;
}

/* Those that are indexed: whole lines, within the limits. */
static size_t rcpts_length(const char *rcpts)
{
	size_t at = 0, count = 0;

	while (rcpts[at] != '\0' && count < MW_QINDEX_RCPTS_MAX) {
		size_t n = strcspn(rcpts + at, "\n");

		if (at + n > MW_QINDEX_RCPTS_OCTETS_MAX)
			break;
		at += n + (rcpts[at + n] == '\n');
		count++;
	}
	return at > 0 && rcpts[at - 1] == '\n' ? at - 1 : at;
}

/* ------------------------------------------------------------------ copies */

/* The row of a path; *id_r 0: none. *released_r: to be freed by sqlite3_free, NULL: not released.
 */
static enum mw_rc find_path(struct mw_qindex *q, int64_t folder, const char *name, int64_t *id_r,
	int64_t *released_r, char **by_r, struct mw_err *err_r)
{
	sqlite3_stmt *s = mw_qindex_stmt(q, QS_FIND_PATH, err_r);
	int code;

	*id_r = 0;
	if (s == NULL)
		return MW_ERR_GONE;
	sqlite3_bind_int64(s, 1, folder);
	mw_qindex_bind_text(s, 2, name);
	code = sqlite3_step(s);
	if (code == SQLITE_ROW) {
		*id_r = sqlite3_column_int64(s, 0);
		*released_r = sqlite3_column_int64(s, 1);
		if (sqlite3_column_type(s, 2) != SQLITE_NULL)
			*by_r = sqlite3_mprintf("%s", mw_qindex_text(s, 2));
		code = SQLITE_DONE;
	}
	sqlite3_reset(s);
	return code == SQLITE_DONE ? MW_OK : mw_qindex_failed(q, code, err_r);
}

/*
 * Is the same file indexed already by whoever kept it? A copy's fields know no secret_id and no
 * log_id, so that a scan which had looked before the row was there would take them away.
 */
static enum mw_rc has_fuller(struct mw_qindex *q, const struct mw_qentry *e, int64_t folder,
	const char *name, bool *is_r, struct mw_err *err_r)
{
	sqlite3_stmt *s;
	int code;

	*is_r = false;
	if (e->secret_id[0] != '\0' || e->log_id[0] != '\0')
		return MW_OK;
	s = mw_qindex_stmt(q, QS_FULLER, err_r);
	if (s == NULL)
		return MW_ERR_GONE;
	sqlite3_bind_int64(s, 1, folder);
	mw_qindex_bind_text(s, 2, name);
	mw_qindex_bind_text(s, 3, e->mail_id);
	sqlite3_bind_int64(s, 4, (int64_t)e->size);
	code = sqlite3_step(s);
	*is_r = code == SQLITE_ROW;
	sqlite3_reset(s);
	return code == SQLITE_ROW || code == SQLITE_DONE ? MW_OK : mw_qindex_failed(q, code, err_r);
}

static enum mw_rc drop_id(struct mw_qindex *q, int64_t id, struct mw_err *err_r)
{
	sqlite3_stmt *s = mw_qindex_stmt(q, QS_DROP, err_r);
	char *rcpts = NULL;
	enum mw_rc rc;

	if (s == NULL)
		return MW_ERR_GONE;
	sqlite3_bind_int64(s, 1, id);
	if (sqlite3_step(s) == SQLITE_ROW)
		rcpts = sqlite3_mprintf("%s", mw_qindex_text(s, 0));
	rc = mw_qindex_step(q, s, err_r);
	if (rc == MW_OK && rcpts != NULL)
		rc = each_rcpt(q, QS_RCPT_DROP, rcpts, id, err_r);
	sqlite3_free(rcpts);
	return rc;
}

static uint64_t hash_of(const char *text)
{
	uint64_t h = 14695981039346656037u; /* FNV-1a */

	for (; *text != '\0'; text++)
		h = (h ^ (unsigned char)*text) * 1099511628211u;
	return h;
}

/* Cut where no character of UTF-8 is torn. */
static int cut(const char *text)
{
	size_t n = strnlen(text, MW_QINDEX_TEXT_MAX + 1);

	if (n > MW_QINDEX_TEXT_MAX)
		for (n = MW_QINDEX_TEXT_MAX; n > 0 && ((unsigned char)text[n] & 0xc0) == 0x80;)
			n--;
	return (int)n;
}

static int add_row(struct mw_qindex *q, sqlite3_stmt *s, const struct mw_qentry *e, int64_t folder,
	const char *name)
{
	char type[2] = { e->quar_type, '\0' };

	sqlite3_bind_int64(s, 1, e->id);
	sqlite3_bind_int64(s, 2, folder);
	mw_qindex_bind_text(s, 3, name);
	mw_qindex_bind_text(s, 4, e->mail_id);
	mw_qindex_bind_text(s, 5, e->secret_id);
	mw_qindex_bind_text(s, 6, e->log_id);
	sqlite3_bind_text(s, 7, type, -1, SQLITE_TRANSIENT);
	sqlite3_bind_int64(s, 8, e->ccat);
	sqlite3_bind_int64(s, 9, e->class < MW_QCLASSES ? e->class : 0);
	if (e->has_score)
		sqlite3_bind_int64(s, 10, e->score_milli);
	else
		sqlite3_bind_null(s, 10);
	sqlite3_bind_int64(s, 11, (int64_t)e->size);
	sqlite3_bind_text(s, 12, e->sender, cut(e->sender), SQLITE_STATIC);
	sqlite3_bind_text(s, 13, e->rcpts, (int)rcpts_length(e->rcpts), SQLITE_STATIC);
	sqlite3_bind_text(s, 14, e->subject, cut(e->subject), SQLITE_STATIC);
	if (e->released_ms != 0) {
		sqlite3_bind_int64(s, 15, (int64_t)e->released_ms);
		mw_qindex_bind_text(s, 16, e->released_by);
	} else {
		sqlite3_bind_null(s, 15);
		sqlite3_bind_null(s, 16);
	}
	sqlite3_step(s);
	return sqlite3_reset(s) == SQLITE_OK ? SQLITE_OK : sqlite3_extended_errcode(q->lite);
}

static enum mw_rc add(struct mw_qindex *q, struct mw_qentry *e, int64_t folder, const char *name,
	struct mw_err *err_r)
{
	sqlite3_stmt *s = mw_qindex_stmt(q, QS_ADD, err_r);
	uint64_t salt = hash_of(e->path);
	char kept[MW_QINDEX_RCPTS_OCTETS_MAX + 1];
	int code = SQLITE_CONSTRAINT_PRIMARYKEY;

	if (s == NULL)
		return MW_ERR_GONE;
	/* Times that no clock shows stay within what an id can say. */
	if (e->time_ms >> (62 - ID_BITS) != 0)
		e->time_ms = mw_wall_ms();
	for (int i = 0; i < ID_TRIES &&
			(code == SQLITE_CONSTRAINT_PRIMARYKEY || code == SQLITE_CONSTRAINT_ROWID);
		i++) {
		e->id = (int64_t)(e->time_ms << ID_BITS | (salt >> 20 & (MW_BIT(ID_BITS) - 1)));
		salt = salt * 6364136223846793005u + 1442695040888963407u;
		code = add_row(q, s, e, folder, name);
	}
	if (code != SQLITE_OK)
		return mw_qindex_failed(q, code, err_r);
	mw_strncpy(kept, sizeof(kept), e->rcpts, rcpts_length(e->rcpts));
	return each_rcpt(q, QS_RCPT_ADD, kept, e->id, err_r);
}

enum mw_rc mw_qindex_put(struct mw_qindex *q, const struct mw_qentry *given, struct mw_err *err_r)
{
	struct mw_qentry e = *given;
	char folder[MW_QINDEX_PATH_MAX], by[MW_QINDEX_WHO_MAX];
	const char *name;
	int64_t parent, id = 0, released = 0;
	char *released_by = NULL;
	bool is_fuller;
	enum mw_rc rc;

	if (!split(e.path, folder, &name) || *name == '\0')
		return mw_fail(err_r, MW_ERR_LIMIT, "a path that is too long");
	parent = folder_id(q, folder, true, err_r);
	if (parent < 0)
		return MW_ERR_IO;
	rc = has_fuller(q, &e, parent, name, &is_fuller, err_r);
	if (rc != MW_OK || is_fuller)
		return rc;
	rc = find_path(q, parent, name, &id, &released, &released_by, err_r);
	if (rc == MW_OK && id != 0)
		rc = drop_id(q, id, err_r);
	if (released != 0) {
		e.released_ms = (uint64_t)released;
		e.released_by = released_by != NULL ? released_by : "";
	} else if ((e.released_ms = mw_qindex_was_released(q, e.mail_id, NULL, by)) != 0) {
		e.released_by = by; /* it was told before the file was found */
	}
	if (rc == MW_OK)
		rc = add(q, &e, parent, name, err_r);
	sqlite3_free(released_by);
	return rc;
}

enum mw_rc mw_qindex_drop(struct mw_qindex *q, const char *path, struct mw_err *err_r)
{
	char folder[MW_QINDEX_PATH_MAX], *by = NULL;
	int64_t parent, id = 0, released;
	const char *name;
	enum mw_rc rc;

	if (!split(path, folder, &name) || (parent = folder_id(q, folder, false, err_r)) < 0)
		return MW_OK;
	rc = find_path(q, parent, name, &id, &released, &by, err_r);
	sqlite3_free(by);
	return rc == MW_OK && id != 0 ? drop_id(q, id, err_r) : rc;
}

/* ------------------------------------------------------------------ releases, numbers */

enum mw_rc mw_qindex_released(struct mw_qindex *q, const char *mail_id, const char *rcpt,
	const char *who, uint64_t time_ms, struct mw_err *err_r)
{
	sqlite3_stmt *s = mw_qindex_stmt(q, QS_RELEASED, err_r);
	enum mw_rc rc;

	if (s == NULL)
		return MW_ERR_GONE;
	mw_qindex_bind_text(s, 1, mail_id);
	mw_qindex_bind_text(s, 2, rcpt);
	sqlite3_bind_int64(s, 3, (int64_t)time_ms);
	mw_qindex_bind_text(s, 4, who);
	rc = mw_qindex_step(q, s, err_r);
	if (rc != MW_OK || (s = mw_qindex_stmt(q, QS_RELEASED_COPY, err_r)) == NULL)
		return rc != MW_OK ? rc : MW_ERR_GONE;
	mw_qindex_bind_text(s, 1, mail_id);
	sqlite3_bind_int64(s, 2, (int64_t)time_ms);
	mw_qindex_bind_text(s, 3, who);
	return mw_qindex_step(q, s, err_r);
}

uint64_t mw_qindex_was_released(
	struct mw_qindex *q, const char *mail_id, const char *rcpt, char by_r[MW_QINDEX_WHO_MAX])
{
	sqlite3_stmt *s =
		mw_qindex_stmt(q, rcpt != NULL ? QS_WAS_RELEASED : QS_WAS_RELEASED_ANY, NULL);
	uint64_t time_ms = 0;

	by_r[0] = '\0';
	if (s == NULL)
		return 0;
	mw_qindex_bind_text(s, 1, mail_id);
	if (rcpt != NULL)
		mw_qindex_bind_text(s, 2, rcpt);
	if (sqlite3_step(s) == SQLITE_ROW) {
		time_ms = (uint64_t)sqlite3_column_int64(s, 0);
		mw_strlcpy(by_r, mw_qindex_text(s, 1), MW_QINDEX_WHO_MAX);
	}
	sqlite3_reset(s);
	return time_ms;
}

uint64_t mw_qindex_meta(struct mw_qindex *q, const char *name)
{
	sqlite3_stmt *s = mw_qindex_stmt(q, QS_META, NULL);
	uint64_t value = 0;

	if (s == NULL)
		return 0;
	mw_qindex_bind_text(s, 1, name);
	if (sqlite3_step(s) == SQLITE_ROW)
		value = (uint64_t)sqlite3_column_int64(s, 0);
	sqlite3_reset(s);
	return value;
}

enum mw_rc mw_qindex_set_meta(
	struct mw_qindex *q, const char *name, uint64_t value, struct mw_err *err_r)
{
	sqlite3_stmt *s = mw_qindex_stmt(q, QS_META_SET, err_r);

	if (s == NULL)
		return MW_ERR_GONE;
	mw_qindex_bind_text(s, 1, name);
	sqlite3_bind_int64(s, 2, (int64_t)value);
	return mw_qindex_step(q, s, err_r);
}

/* ------------------------------------------------------------------ for the scan */

int64_t mw_qindex_folder_mtime(struct mw_qindex *q, const char *folder)
{
	sqlite3_stmt *s = mw_qindex_stmt(q, QS_FOLDER, NULL);
	int64_t mtime = -1;

	if (s == NULL)
		return -1;
	mw_qindex_bind_text(s, 1, folder);
	if (sqlite3_step(s) == SQLITE_ROW)
		mtime = sqlite3_column_int64(s, 0);
	sqlite3_reset(s);
	return mtime;
}

enum mw_rc mw_qindex_set_folder(
	struct mw_qindex *q, const char *folder, int64_t mtime_ns, struct mw_err *err_r)
{
	sqlite3_stmt *s = mw_qindex_stmt(q, QS_FOLDER_SET, err_r);

	if (s == NULL)
		return MW_ERR_GONE;
	mw_qindex_bind_text(s, 1, folder);
	sqlite3_bind_int64(s, 2, mtime_ns);
	return mw_qindex_step(q, s, err_r);
}

enum mw_rc mw_qindex_add_folder(struct mw_qindex *q, const char *folder, struct mw_err *err_r)
{
	return folder_id(q, folder, true, err_r) >= 0 ? MW_OK : MW_ERR_IO;
}

/* One answer row by row; the statement is made for it. */
static enum mw_rc rows(struct mw_qindex *q, const char *sql, const char *key,
	bool (*row)(void *arg, sqlite3_stmt *s), void *arg, struct mw_err *err_r)
{
	sqlite3_stmt *s = NULL;
	int code = q->lite != NULL ? sqlite3_prepare_v2(q->lite, sql, -1, &s, NULL) : SQLITE_MISUSE;

	if (code == SQLITE_OK && key != NULL)
		mw_qindex_bind_text(s, 1, key);
	while (code == SQLITE_OK || code == SQLITE_ROW) {
		code = sqlite3_step(s);
		if (code == SQLITE_ROW && !row(arg, s))
			code = SQLITE_DONE;
	}
	sqlite3_finalize(s);
	return code == SQLITE_DONE ? MW_OK : mw_qindex_failed(q, code, err_r);
}

struct named {
	bool (*folder)(void *arg, const char *folder);
	bool (*name)(void *arg, const char *name, const char *mail_id);
	void *arg;
};

static bool folder_row(void *arg, sqlite3_stmt *s)
{
	struct named *n = arg;

	return n->folder(n->arg, mw_qindex_text(s, 0));
}

static bool name_row(void *arg, sqlite3_stmt *s)
{
	struct named *n = arg;

	return n->name(n->arg, mw_qindex_text(s, 0), mw_qindex_text(s, 1));
}

enum mw_rc mw_qindex_folders(struct mw_qindex *q, bool (*row)(void *arg, const char *folder),
	void *arg, struct mw_err *err_r)
{
	struct named n = { .folder = row, .arg = arg };

	return rows(q, "SELECT path FROM folders ORDER BY path", NULL, folder_row, &n, err_r);
}

enum mw_rc mw_qindex_names(struct mw_qindex *q, const char *folder,
	bool (*row)(void *arg, const char *name, const char *mail_id), void *arg,
	struct mw_err *err_r)
{
	struct named n = { .name = row, .arg = arg };

	return rows(q,
		"SELECT name, mail_id FROM copies WHERE folder = (SELECT id FROM folders WHERE "
		"path = "
		"?) AND quar_type IN ('F', 'Z', 'B') ORDER BY name",
		folder, name_row, &n, err_r);
}

struct releases {
	bool (*row)(void *arg, const char *rcpt, const char *who, uint64_t time_ms);
	void *arg;
};

static bool release_row(void *arg, sqlite3_stmt *s)
{
	struct releases *r = arg;

	return r->row(r->arg, mw_qindex_text(s, 0), mw_qindex_text(s, 1),
		(uint64_t)sqlite3_column_int64(s, 2));
}

enum mw_rc mw_qindex_releases(struct mw_qindex *q, const char *mail_id,
	bool (*row)(void *arg, const char *rcpt, const char *who, uint64_t time_ms), void *arg,
	struct mw_err *err_r)
{
	struct releases r = { row, arg };

	return rows(q, "SELECT rcpt, who, time FROM releases WHERE mail_id = ?", mail_id,
		release_row, &r, err_r);
}

static bool no_row(void *arg, sqlite3_stmt *s)
{
	(void)arg;
	(void)s;
	return true;
}

/* Its files have been taken out before. */
enum mw_rc mw_qindex_drop_folder(struct mw_qindex *q, const char *folder, struct mw_err *err_r)
{
	return rows(q,
		"DELETE FROM folders WHERE path = ? AND NOT EXISTS (SELECT 1 FROM copies WHERE "
		"copies.folder = folders.id)",
		folder, no_row, NULL, err_r);
}

static bool check_row(void *arg, sqlite3_stmt *s)
{
	*(bool *)arg = strcmp(mw_qindex_text(s, 0), "ok") == 0;
	return *(bool *)arg;
}

enum mw_rc mw_qindex_check(struct mw_qindex *q, struct mw_err *err_r)
{
	bool whole = false;
	enum mw_rc rc = rows(q, "PRAGMA quick_check(1)", NULL, check_row, &whole, err_r);

	if (rc == MW_OK && whole)
		rc = rows(q, "SELECT count(*) FROM words", NULL, no_row, NULL, err_r);
	if (rc == MW_OK && !whole)
		rc = mw_qindex_failed(q, SQLITE_CORRUPT, err_r);
	return rc;
}

bool mw_qindex_is_stranger(struct mw_qindex *q, const char *path, uint64_t size, int64_t mtime_ns)
{
	sqlite3_stmt *s = mw_qindex_stmt(q, QS_STRANGER, NULL);
	bool known = false;

	if (s == NULL)
		return false;
	mw_qindex_bind_text(s, 1, path);
	sqlite3_bind_int64(s, 2, (int64_t)size);
	sqlite3_bind_int64(s, 3, mtime_ns);
	known = sqlite3_step(s) == SQLITE_ROW;
	sqlite3_reset(s);
	return known;
}

enum mw_rc mw_qindex_set_stranger(struct mw_qindex *q, const char *path, uint64_t size,
	int64_t mtime_ns, struct mw_err *err_r)
{
	sqlite3_stmt *s = mw_qindex_stmt(q, QS_STRANGER_SET, err_r);

	if (s == NULL)
		return MW_ERR_GONE;
	mw_qindex_bind_text(s, 1, path);
	sqlite3_bind_int64(s, 2, (int64_t)size);
	sqlite3_bind_int64(s, 3, mtime_ns);
	return mw_qindex_step(q, s, err_r);
}
