/* SQLite 3: a file of this host, opened for reading. The only file that knows libsqlite3. */
#include "db_priv.h"

#include <sqlite3.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>

#define PARAMS_MAX (DB_PARTS_MAX * DB_KEYS_MAX)
#define PROGRESS_STEPS 1000	    /* of its machine between two looks at the clock */
#define OPENS_MAX 3		    /* of a file that is replaced each time */
#define BUSY_PAUSE_NS (5 * 1000000) /* another process writes: look again after */

struct lite_conn {
	sqlite3 *lite;
	const struct db_conf *conf;
	const struct db_limit *limit; /* of what runs now */
	char path[512];
	dev_t device;
	ino_t inode;
	sqlite3_stmt *statements[DB_CLAUSE_COUNT][DB_KEYS_MAX + 1];
	sqlite3_stmt *stored[DB_STATEMENT_COUNT];
};

static enum mw_rc failed(const struct lite_conn *c, int code, struct mw_err *err_r)
{
	enum mw_rc rc = MW_ERR_PROTO;

	switch (code & 0xff) {
	case SQLITE_INTERRUPT: /* by our own hand: the time is up */
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		rc = MW_ERR_TIMEOUT;
		break;
	case SQLITE_NOMEM:
		rc = MW_ERR_NOMEM;
		break;
	case SQLITE_TOOBIG:
		rc = MW_ERR_LIMIT;
		break;
	case SQLITE_IOERR:
	case SQLITE_CANTOPEN:
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
	case SQLITE_PERM:
	case SQLITE_AUTH:
	case SQLITE_PROTOCOL:
		rc = MW_ERR_GONE;
		break;
	default:
		break;
	}
	return mw_fail(err_r, rc, "%d: %.300s", code,
		c->lite != NULL ? sqlite3_errmsg(c->lite) : sqlite3_errstr(code));
}

/* Not 0: stop. */
static int on_progress(void *arg)
{
	return db_limit_over(((struct lite_conn *)arg)->limit);
}

/* Not 0: try again. */
static int on_busy(void *arg, int tries)
{
	const struct timespec pause = { 0, BUSY_PAUSE_NS };

	(void)tries;
	if (db_limit_over(((struct lite_conn *)arg)->limit))
		return 0;
	nanosleep(&pause, NULL);
	return 1;
}

static void lite_close(void **conn_p)
{
	struct lite_conn *c = *conn_p;

	*conn_p = NULL;
	for (size_t id = 0; id < DB_CLAUSE_COUNT; id++)
		for (size_t keys = 0; keys <= DB_KEYS_MAX; keys++)
			sqlite3_finalize(c->statements[id][keys]);
	for (size_t id = 0; id < DB_STATEMENT_COUNT; id++)
		sqlite3_finalize(c->stored[id]);
	sqlite3_close(c->lite);
	free(c);
}

/* Of the file that has the name now. */
static bool look(const struct lite_conn *c, dev_t *device_r, ino_t *inode_r)
{
	struct stat st;

	if (stat(c->path, &st) != 0)
		return false;
	*device_r = st.st_dev;
	*inode_r = st.st_ino;
	return true;
}

/* Is it still the file that was there before it was opened? */
static bool is_in_place(const struct lite_conn *c)
{
	dev_t device;
	ino_t inode;

	return look(c, &device, &inode) && device == c->device && inode == c->inode;
}

/*
 * Opened for writing where its rights allow that, since a reader of a file in WAL mode writes its
 * share of the index; query_only then forbids what is left to forbid. MW_AGAIN: it was replaced
 * meanwhile.
 */
static enum mw_rc open_file(struct lite_conn *c, struct mw_err *err_r)
{
	bool there = look(c, &c->device, &c->inode);
	int code = sqlite3_open_v2(
		c->path, &c->lite, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);

	if (code == SQLITE_OK) {
		sqlite3_progress_handler(c->lite, PROGRESS_STEPS, on_progress, c);
		sqlite3_limit(c->lite, SQLITE_LIMIT_LENGTH, DB_RECORDS_OCTETS_MAX);
		/* EXTRA: the folder is synced, too, once the journal is gone from it; else the
		 * journal may be there again after a power cut, and undo what was told kept. */
		if (c->conf->writes)
			sqlite3_busy_handler(c->lite, on_busy, c); /* it must not be left out */
		code = sqlite3_exec(c->lite,
			c->conf->writes ? "PRAGMA synchronous=EXTRA" : "PRAGMA query_only=1", NULL,
			NULL, NULL);
		/* The first that reads the file: what is no database is known here. One that
		 * somebody writes to just now is one. */
		if (code == SQLITE_OK)
			code = sqlite3_exec(
				c->lite, "SELECT count(*) FROM sqlite_master", NULL, NULL, NULL);
		if (code == SQLITE_BUSY && !c->conf->writes)
			code = SQLITE_OK;
		sqlite3_busy_handler(c->lite, on_busy, c);
	}
	if (code != SQLITE_OK)
		return failed(c, code, err_r);
	if (!there || !is_in_place(c))
		return mw_fail(err_r, MW_AGAIN, "it was replaced while it was opened");
	return MW_OK;
}

static enum mw_rc lite_connect(const struct db_conf *conf, const struct db_dsn *dsn,
	const struct db_limit *limit, void **conn_r, struct mw_err *err_r)
{
	enum mw_rc rc = MW_AGAIN;

	for (int tries = 0; tries < OPENS_MAX && rc == MW_AGAIN; tries++) {
		struct lite_conn *c = calloc(1, sizeof(*c));

		if (c == NULL)
			return MW_ERR_NOMEM;
		c->conf = conf;
		c->limit = limit;
		mw_strlcpy(c->path, dsn->database, sizeof(c->path));
		rc = open_file(c, err_r);
		*conn_r = c;
		if (rc != MW_OK)
			lite_close(conn_r);
	}
	return rc == MW_AGAIN ? MW_ERR_GONE : rc;
}

static int lite_socket(void *conn)
{
	(void)conn;
	return -1;
}

/* The admin may have put another file in its place: the one that is open has no name any more. */
static bool lite_usable(void *conn)
{
	return is_in_place(conn);
}

static enum mw_rc statement_for(
	struct lite_conn *c, const struct db_item *item, sqlite3_stmt **s_r, struct mw_err *err_r)
{
	const struct db_clause *clause = c->conf->clauses[item->clause][DB_SYNTAX_SQLITE];
	size_t keys = item->keys[DB_SQL].count;
	sqlite3_stmt **place = &c->statements[item->clause][keys];
	int code = SQLITE_OK;

	if (*place == NULL)
		code = sqlite3_prepare_v3(c->lite, db_clause_text(clause, keys), -1,
			SQLITE_PREPARE_PERSISTENT, place, NULL);
	if (code != SQLITE_OK)
		return failed(c, code, err_r);
	if (*place == NULL || sqlite3_column_count(*place) == 0)
		return mw_fail(err_r, MW_ERR_PROTO, "the clause is not one that gives records");
	if (sqlite3_bind_parameter_count(*place) != (int)db_clause_params(clause, keys))
		return mw_fail(err_r, MW_ERR_PROTO,
			"SQLite sees %d parameters, not %zu: quotes in the clause?",
			sqlite3_bind_parameter_count(*place), db_clause_params(clause, keys));
	*s_r = *place;
	return MW_OK;
}

static enum mw_rc bind_values(
	struct lite_conn *c, const struct db_item *item, sqlite3_stmt *s, struct mw_err *err_r)
{
	const struct db_clause *clause = c->conf->clauses[item->clause][DB_SYNTAX_SQLITE];
	const struct db_keys *k = &item->keys[DB_SQL];
	size_t count = db_clause_params(clause, k->count);
	const char *values[PARAMS_MAX];

	db_clause_values(clause, k, item->args, item->arg_count, values);
	for (size_t i = 0; i < count; i++) {
		/* The values outlive the statement's run. */
		int code = sqlite3_bind_text(s, (int)i + 1, values[i], -1, SQLITE_STATIC);

		if (code != SQLITE_OK)
			return failed(c, code, err_r);
	}
	return MW_OK;
}

static enum mw_rc put_row(struct db_records *r, sqlite3_stmt *s)
{
	int columns = sqlite3_column_count(s);
	enum mw_rc rc = db_records_add(r, DB_SQL, (size_t)columns);

	for (int i = 0; i < columns && rc == MW_OK; i++) {
		bool null = sqlite3_column_type(s, i) == SQLITE_NULL;
		/* A blob stays as it is; the text first, its octets then (sqlite3_column_bytes). */
		const void *value = null ? NULL
				    : sqlite3_column_type(s, i) == SQLITE_BLOB
					    ? sqlite3_column_blob(s, i)
					    : sqlite3_column_text(s, i);
		int n = sqlite3_column_bytes(s, i);

		if (!null && value == NULL && n > 0)
			return MW_ERR_NOMEM;
		rc = db_records_put(r, sqlite3_column_name(s, i),
			null		? NULL
			: value != NULL ? value
					: "",
			null ? 0 : (size_t)n);
	}
	return rc;
}

static enum mw_rc ask_one(struct lite_conn *c, const struct db_item *item, struct mw_err *err_r)
{
	sqlite3_stmt *s = NULL;
	enum mw_rc rc = statement_for(c, item, &s, err_r);
	int code = SQLITE_DONE;

	if (rc == MW_OK)
		rc = bind_values(c, item, s, err_r);
	while (rc == MW_OK && (code = sqlite3_step(s)) == SQLITE_ROW) {
		rc = put_row(item->records, s);
		if (rc == MW_ERR_LIMIT)
			mw_fail(err_r, rc, "an answer is too large");
	}
	if (rc == MW_OK && code != SQLITE_DONE)
		rc = failed(c, code, err_r);
	if (s != NULL) {
		sqlite3_reset(s);
		sqlite3_clear_bindings(s);
	}
	return rc;
}

static enum mw_rc lite_ask(void *conn, struct db_item *const *items, size_t count,
	const struct db_limit *limit, struct mw_err *err_r)
{
	struct lite_conn *c = conn;
	enum mw_rc rc = MW_OK;

	c->limit = limit;
	for (size_t i = 0; i < count && rc == MW_OK; i++)
		rc = db_limit_over(limit) ? MW_ERR_TIMEOUT : ask_one(c, items[i], err_r);
	return rc;
}

static int bind_value(sqlite3_stmt *s, int i, const struct db_value *v)
{
	switch (v->type) {
	case DB_V_TEXT: /* the values outlive the statement's run */
		return sqlite3_bind_text(s, i, v->p, (int)v->n, SQLITE_STATIC);
	case DB_V_OCTETS:
		return sqlite3_bind_blob(s, i, v->p, (int)v->n, SQLITE_STATIC);
	case DB_V_INT:
		return sqlite3_bind_int64(s, i, v->number);
	case DB_V_REAL:
		return sqlite3_bind_double(s, i, v->real);
	default:
		return sqlite3_bind_null(s, i);
	}
}

static enum mw_rc lite_execute(void *conn, enum db_statement id, const struct db_value *values,
	size_t count, struct db_records *records, const struct db_limit *limit,
	struct mw_err *err_r)
{
	struct lite_conn *c = conn;
	sqlite3_stmt **place = &c->stored[id], *s;
	enum mw_rc rc = MW_OK;
	int code = SQLITE_OK;

	c->limit = limit;
	if (*place == NULL)
		code = sqlite3_prepare_v3(c->lite, db_statement_text(id, DB_SYNTAX_SQLITE), -1,
			SQLITE_PREPARE_PERSISTENT, place, NULL);
	s = *place;
	for (size_t i = 0; i < count && code == SQLITE_OK; i++)
		code = bind_value(s, (int)i + 1, &values[i]);
	if (code != SQLITE_OK)
		return failed(c, code, err_r);
	while (rc == MW_OK && (code = sqlite3_step(s)) == SQLITE_ROW)
		if (records != NULL)
			rc = put_row(records, s);
	if (rc == MW_ERR_LIMIT)
		mw_fail(err_r, rc, "an answer is too large");
	if (rc == MW_OK && code != SQLITE_DONE)
		rc = failed(c, code, err_r);
	sqlite3_reset(s);
	sqlite3_clear_bindings(s);
	return rc;
}

const struct db_backend db_backend_sqlite = {
	.syntax = DB_SYNTAX_SQLITE,
	.connect = lite_connect,
	.socket = lite_socket,
	.usable = lite_usable,
	.ask = lite_ask,
	.execute = lite_execute,
	.close = lite_close,
};
