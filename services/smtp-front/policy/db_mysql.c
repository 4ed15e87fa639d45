/*
 * MariaDB and MySQL. The only file that knows libmariadb.
 *
 * Its calls block, with time-outs of whole seconds that begin again at each piece: who waits is
 * answered by db.c's own clock, and a thread that is wanted elsewhere is woken by its socket.
 */
#include "db_priv.h"

#include <errmsg.h>
#include <mysql.h>
#include <mysqld_error.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

#define COLUMNS_MAX 512
#define SMALL_OCTETS 128 /* of a value that is had without asking twice */
#define PARAMS_MAX (DB_PARTS_MAX * DB_KEYS_MAX)
/* MariaDB's (10.1 on): a statement ran longer than max_statement_time, a client was killed. */
#ifndef ER_STATEMENT_TIMEOUT
#define ER_STATEMENT_TIMEOUT 1969
#endif
#ifndef ER_CONNECTION_KILLED
#define ER_CONNECTION_KILLED 1927
#endif
#define MYSQL_ER_QUERY_TIMEOUT 3024 /* MySQL's name for the first */

struct maria_conn {
	MYSQL *my;
	const struct db_conf *conf;
	bool broken; /* it has been shut down */
	MYSQL_STMT *statements[DB_CLAUSE_COUNT][DB_KEYS_MAX + 1];
	MYSQL_STMT *stored[DB_STATEMENT_COUNT];
};

/* Where the values of one row come to; a longer one is asked for again. */
struct maria_row {
	unsigned columns;
	MYSQL_BIND binds[COLUMNS_MAX];
	unsigned long lengths[COLUMNS_MAX];
	my_bool nulls[COLUMNS_MAX];
	char octets[COLUMNS_MAX][SMALL_OCTETS];
};

void db_mysql_library_open(void)
{
	/* Counts nothing and may be called again: only the first does something. */
	mysql_library_init(0, NULL, NULL);
}

static void maria_thread_begin(void)
{
	mysql_thread_init();
}

static void maria_thread_end(void)
{
	mysql_thread_end();
}

/* ------------------------------------------------------------------ errors */

static enum mw_rc failed(
	unsigned code, const char *text, const struct db_limit *limit, struct mw_err *err_r)
{
	enum mw_rc rc = MW_ERR_PROTO;

	switch (code) {
	case ER_STATEMENT_TIMEOUT:
	case MYSQL_ER_QUERY_TIMEOUT:
	case ER_LOCK_WAIT_TIMEOUT:
		rc = MW_ERR_TIMEOUT;
		break;
	case ER_SERVER_SHUTDOWN:
	case ER_CONNECTION_KILLED:
	case ER_QUERY_INTERRUPTED:
	case ER_NORMAL_SHUTDOWN:
	case ER_OUT_OF_RESOURCES:
	case ER_CON_COUNT_ERROR:
		rc = MW_ERR_GONE;
		break;
	case CR_OUT_OF_MEMORY:
		rc = MW_ERR_NOMEM;
		break;
	default:
		if (code >= CR_MIN_ERROR && code <= CR_MAX_ERROR) /* the library's own: the link */
			rc = db_limit_over(limit) ? MW_ERR_TIMEOUT : MW_ERR_GONE;
		break;
	}
	return mw_fail(err_r, rc, "%u: %.300s", code, text);
}

static enum mw_rc statement_failed(
	MYSQL_STMT *s, const struct db_limit *limit, struct mw_err *err_r)
{
	return failed(mysql_stmt_errno(s), mysql_stmt_error(s), limit, err_r);
}

/* ------------------------------------------------------------------ connecting */

static unsigned seconds_of(uint64_t ms)
{
	return (unsigned)((ms + 999) / 1000);
}

static void set_options(MYSQL *my, const struct db_conf *conf, const struct db_dsn *dsn)
{
	unsigned connect_s = seconds_of(conf->connect_ms), wait_s = seconds_of(conf->timeout_ms);
	my_bool on = 1, off = 0, verify = dsn->tls_verify;

	mysql_options(my, MYSQL_OPT_CONNECT_TIMEOUT, &connect_s);
	mysql_options(my, MYSQL_OPT_READ_TIMEOUT, &wait_s);
	mysql_options(my, MYSQL_OPT_WRITE_TIMEOUT, &wait_s);
	mysql_options(my, MYSQL_OPT_RECONNECT, &off);
	mysql_options(my, MYSQL_SET_CHARSET_NAME, "utf8mb4");
	/* A server must not be able to ask us for files. */
	mysql_options(my, MYSQL_OPT_LOCAL_INFILE, &(unsigned){ 0 });
	mysql_options(my, MYSQL_REPORT_DATA_TRUNCATION, &on);
	mysql_options(my, MYSQL_OPT_SSL_ENFORCE, dsn->tls ? &on : &off);
	mysql_options(my, MYSQL_OPT_SSL_VERIFY_SERVER_CERT, &verify);
	if (!dsn->tls)
		return;
	if (dsn->tls_ca[0] != '\0')
		mysql_options(my, MYSQL_OPT_SSL_CA, dsn->tls_ca);
	if (dsn->tls_cert[0] != '\0')
		mysql_options(my, MYSQL_OPT_SSL_CERT, dsn->tls_cert);
	if (dsn->tls_key[0] != '\0')
		mysql_options(my, MYSQL_OPT_SSL_KEY, dsn->tls_key);
}

/* The server itself ends what we have given up. MySQL has another name for it, and refuses this. */
static void set_statement_limit(struct maria_conn *c)
{
	char text[80];
	uint64_t ms = c->conf->timeout_ms;

	snprintf(text, sizeof(text), "SET SESSION max_statement_time=%llu.%03llu",
		(unsigned long long)(ms / 1000), (unsigned long long)(ms % 1000));
	if (mysql_query(c->my, text) == 0)
		return;
	snprintf(text, sizeof(text), "SET SESSION max_execution_time=%llu", (unsigned long long)ms);
	mysql_query(c->my, text);
}

static void maria_close(void **conn_p)
{
	struct maria_conn *c = *conn_p;

	*conn_p = NULL;
	for (size_t id = 0; id < DB_CLAUSE_COUNT; id++)
		for (size_t keys = 0; keys <= DB_KEYS_MAX; keys++)
			if (c->statements[id][keys] != NULL)
				mysql_stmt_close(c->statements[id][keys]);
	for (size_t id = 0; id < DB_STATEMENT_COUNT; id++)
		if (c->stored[id] != NULL)
			mysql_stmt_close(c->stored[id]);
	mysql_close(c->my);
	free(c);
}

static const char *or_null(const char *s)
{
	return *s != '\0' ? s : NULL;
}

static enum mw_rc maria_connect(const struct db_conf *conf, const struct db_dsn *dsn,
	const struct db_limit *limit, void **conn_r, struct mw_err *err_r)
{
	struct maria_conn *c = calloc(1, sizeof(*c));
	enum mw_rc rc = MW_OK;

	if (c == NULL)
		return MW_ERR_NOMEM;
	c->conf = conf;
	c->my = mysql_init(NULL);
	if (c->my == NULL) {
		free(c);
		return MW_ERR_NOMEM;
	}
	set_options(c->my, conf, dsn);
	if (mysql_real_connect(c->my, or_null(dsn->host), dsn->user, dsn->password, dsn->database,
		    dsn->port, or_null(dsn->socket), 0) == NULL)
		rc = failed(mysql_errno(c->my), mysql_error(c->my), limit, err_r);
	else
		set_statement_limit(c);
	*conn_r = c;
	if (rc != MW_OK)
		maria_close(conn_r);
	return rc;
}

static int maria_socket(void *conn)
{
	return (int)mysql_get_socket(((struct maria_conn *)conn)->my);
}

static bool maria_usable(void *conn)
{
	return !((struct maria_conn *)conn)->broken;
}

/* ------------------------------------------------------------------ one query */

/* Prepared once a connection and number of keys. */
static enum mw_rc statement_for(struct maria_conn *c, const struct db_item *item, MYSQL_STMT **s_r,
	const struct db_limit *limit, struct mw_err *err_r)
{
	const struct db_clause *clause = c->conf->clauses[item->clause][DB_SYNTAX_MYSQL];
	size_t keys = item->keys[DB_SQL].count;
	MYSQL_STMT **place = &c->statements[item->clause][keys], *s;
	const char *text = db_clause_text(clause, keys);
	enum mw_rc rc = MW_OK;

	if (*place == NULL) {
		s = mysql_stmt_init(c->my);
		if (s == NULL)
			return MW_ERR_NOMEM;
		if (mysql_stmt_prepare(s, text, strlen(text)) != 0)
			rc = statement_failed(s, limit, err_r);
		else if (mysql_stmt_param_count(s) != db_clause_params(clause, keys))
			rc = mw_fail(err_r, MW_ERR_PROTO,
				"the server sees %lu parameters, not %zu: quotes in the clause?",
				mysql_stmt_param_count(s), db_clause_params(clause, keys));
		if (rc != MW_OK) {
			mysql_stmt_close(s);
			return rc;
		}
		*place = s;
	}
	*s_r = *place;
	return MW_OK;
}

static enum mw_rc execute(struct maria_conn *c, const struct db_item *item, MYSQL_STMT *s,
	const struct db_limit *limit, struct mw_err *err_r)
{
	const struct db_clause *clause = c->conf->clauses[item->clause][DB_SYNTAX_MYSQL];
	const struct db_keys *k = &item->keys[DB_SQL];
	size_t count = db_clause_params(clause, k->count);
	const char *values[PARAMS_MAX];
	unsigned long lengths[PARAMS_MAX];
	MYSQL_BIND *binds = calloc(count + 1, sizeof(*binds));
	enum mw_rc rc = MW_OK;

	if (binds == NULL)
		return MW_ERR_NOMEM;
	db_clause_values(clause, k, item->args, item->arg_count, values);
	for (size_t i = 0; i < count; i++) {
		lengths[i] = strlen(values[i]);
		binds[i].buffer_type = MYSQL_TYPE_STRING;
		binds[i].buffer = (void *)(uintptr_t)values[i]; /* the library's API has no const */
		binds[i].buffer_length = lengths[i];
		binds[i].length = &lengths[i];
	}
	if (mysql_stmt_bind_param(s, binds) != 0 || mysql_stmt_execute(s) != 0)
		rc = statement_failed(s, limit, err_r);
	free(binds);
	return rc;
}

static enum mw_rc put_value(struct db_records *r, MYSQL_STMT *s, const struct maria_row *row,
	unsigned column, const char *name)
{
	unsigned long n = row->lengths[column];
	MYSQL_BIND bind = row->binds[column];
	char *octets;
	enum mw_rc rc;

	if (row->nulls[column])
		return db_records_put(r, name, NULL, 0);
	if (n <= SMALL_OCTETS)
		return db_records_put(r, name, row->octets[column], n);
	if (n > DB_RECORDS_OCTETS_MAX)
		return MW_ERR_LIMIT;
	octets = malloc(n);
	if (octets == NULL)
		return MW_ERR_NOMEM;
	bind.buffer = octets;
	bind.buffer_length = n;
	rc = mysql_stmt_fetch_column(s, &bind, column, 0) == 0 ? db_records_put(r, name, octets, n)
							       : MW_ERR_PROTO;
	free(octets);
	return rc;
}

static enum mw_rc take_rows(struct db_records *r, MYSQL_STMT *s, MYSQL_RES *meta,
	struct maria_row *row, const struct db_limit *limit, struct mw_err *err_r)
{
	const MYSQL_FIELD *fields = mysql_fetch_fields(meta);
	enum mw_rc rc = MW_OK;
	int got;

	while (rc == MW_OK && (got = mysql_stmt_fetch(s)) != MYSQL_NO_DATA) {
		if (got != 0 && got != MYSQL_DATA_TRUNCATED)
			return statement_failed(s, limit, err_r);
		rc = db_records_add(r, DB_SQL, row->columns);
		for (unsigned i = 0; i < row->columns && rc == MW_OK; i++)
			rc = put_value(r, s, row, i, fields[i].name);
	}
	if (rc == MW_ERR_LIMIT)
		mw_fail(err_r, rc, "an answer is too large");
	return rc;
}

static enum mw_rc take_records(
	struct db_records *r, MYSQL_STMT *s, const struct db_limit *limit, struct mw_err *err_r)
{
	MYSQL_RES *meta = mysql_stmt_result_metadata(s);
	struct maria_row *row = NULL;
	enum mw_rc rc = MW_ERR_NOMEM;

	if (meta == NULL)
		return mw_fail(err_r, MW_ERR_PROTO, "the clause is not one that gives records");
	if (mysql_num_fields(meta) > COLUMNS_MAX)
		rc = mw_fail(err_r, MW_ERR_LIMIT, "more than %d columns", COLUMNS_MAX);
	else
		row = calloc(1, sizeof(*row));
	if (row != NULL) {
		row->columns = mysql_num_fields(meta);
		for (unsigned i = 0; i < row->columns; i++) {
			row->binds[i].buffer_type = MYSQL_TYPE_STRING;
			row->binds[i].buffer = row->octets[i];
			row->binds[i].buffer_length = SMALL_OCTETS;
			row->binds[i].length = &row->lengths[i];
			row->binds[i].is_null = &row->nulls[i];
		}
		if (mysql_stmt_bind_result(s, row->binds) != 0)
			rc = statement_failed(s, limit, err_r);
		else
			rc = take_rows(r, s, meta, row, limit, err_r);
	}
	free(row);
	mysql_free_result(meta);
	return rc;
}

/* The library reads what is left to its end, whenever that may be: not of an answer that is too
 * large. The server is told by a reset: behind an orderly end its thread would wait a minute for
 * room in our closed window, with the table locked. */
static void give_up(struct maria_conn *c)
{
	const struct linger reset = { .l_onoff = 1 };
	int fd = (int)mysql_get_socket(c->my);

	setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
	shutdown(fd, SHUT_RDWR);
	c->broken = true;
}

static enum mw_rc ask_one(struct maria_conn *c, const struct db_item *item,
	const struct db_limit *limit, struct mw_err *err_r)
{
	MYSQL_STMT *s = NULL;
	enum mw_rc rc = statement_for(c, item, &s, limit, err_r);

	if (rc == MW_OK)
		rc = execute(c, item, s, limit, err_r);
	if (rc == MW_OK)
		rc = take_records(item->records, s, limit, err_r);
	if (rc == MW_ERR_LIMIT)
		give_up(c);
	if (s != NULL && mysql_stmt_free_result(s) != 0 && rc == MW_OK)
		rc = statement_failed(s, limit, err_r);
	return rc;
}

static enum mw_rc maria_ask(void *conn, struct db_item *const *items, size_t count,
	const struct db_limit *limit, struct mw_err *err_r)
{
	enum mw_rc rc = MW_OK;

	for (size_t i = 0; i < count && rc == MW_OK; i++)
		rc = db_limit_over(limit) ? MW_ERR_TIMEOUT : ask_one(conn, items[i], limit, err_r);
	return rc;
}

/* ------------------------------------------------------------------ the writing side */

static MYSQL_BIND bind_of(const struct db_value *v, unsigned long *length)
{
	MYSQL_BIND b = { .buffer = (void *)(uintptr_t)v->p, .buffer_length = v->n };

	*length = v->n;
	b.length = length;
	switch (v->type) {
	case DB_V_TEXT:
		b.buffer_type = MYSQL_TYPE_STRING;
		break;
	case DB_V_OCTETS:
		b.buffer_type = MYSQL_TYPE_BLOB;
		break;
	case DB_V_INT:
		b.buffer_type = MYSQL_TYPE_LONGLONG;
		b.buffer = (void *)(uintptr_t)&v->number;
		break;
	case DB_V_REAL:
		b.buffer_type = MYSQL_TYPE_DOUBLE;
		b.buffer = (void *)(uintptr_t)&v->real;
		break;
	default:
		b.buffer_type = MYSQL_TYPE_NULL;
		break;
	}
	return b;
}

static enum mw_rc maria_execute(void *conn, enum db_statement id, const struct db_value *values,
	size_t count, struct db_records *records, const struct db_limit *limit,
	struct mw_err *err_r)
{
	struct maria_conn *c = conn;
	const char *text = db_statement_text(id, DB_SYNTAX_MYSQL);
	MYSQL_STMT *s = c->stored[id];
	MYSQL_BIND binds[DB_VALUES_MAX];
	unsigned long lengths[DB_VALUES_MAX];
	enum mw_rc rc = MW_OK;

	if (count == 0) /* START TRANSACTION is none that can be prepared */
		return mysql_query(c->my, text) == 0
			       ? MW_OK
			       : failed(mysql_errno(c->my), mysql_error(c->my), limit, err_r);
	if (s == NULL) {
		s = c->stored[id] = mysql_stmt_init(c->my);
		if (s == NULL)
			return MW_ERR_NOMEM;
		if (mysql_stmt_prepare(s, text, strlen(text)) != 0)
			return statement_failed(s, limit, err_r);
	}
	for (size_t i = 0; i < count; i++)
		binds[i] = bind_of(&values[i], &lengths[i]);
	if (mysql_stmt_bind_param(s, binds) != 0 || mysql_stmt_execute(s) != 0)
		return statement_failed(s, limit, err_r);
	if (records != NULL)
		rc = take_records(records, s, limit, err_r);
	if (rc == MW_ERR_LIMIT)
		give_up(c);
	if (mysql_stmt_free_result(s) != 0 && rc == MW_OK)
		rc = statement_failed(s, limit, err_r);
	return rc;
}

const struct db_backend db_backend_mysql = {
	.syntax = DB_SYNTAX_MYSQL,
	.connect = maria_connect,
	.socket = maria_socket,
	.usable = maria_usable,
	.ask = maria_ask,
	.execute = maria_execute,
	.close = maria_close,
	.thread_begin = maria_thread_begin,
	.thread_end = maria_thread_end,
};
