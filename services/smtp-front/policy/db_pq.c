/* PostgreSQL. The only file that knows libpq. */
#include "db_priv.h"

#include <errno.h>
#include <libpq-fe.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

#define CONNECT_SLICE_MS 100 /* how soon a connect sees that it is not wanted any more */
#define BATCH 32	     /* queries sent before the first answer is read */
#define PARAMS_MAX (DB_PARTS_MAX * DB_KEYS_MAX)
#define BYTEA_OID 17 /* pg_type.dat; libpq's headers do not have it */

/* What the server takes the parameters of a statement for; learned once a connection. */
struct pq_params {
	bool known;
	int *formats; /* 1: bytea, sent as it is; in text form a backslash would be an escape */
};

struct pq_conn {
	PGconn *pg;
	const struct db_conf *conf;
	bool broken; /* half of an answer has not been read */
	struct pq_params params[DB_CLAUSE_COUNT][DB_KEYS_MAX + 1];
	struct pq_params stored[DB_STATEMENT_COUNT];
};

/* ------------------------------------------------------------------ errors */

static enum mw_rc told(struct mw_err *err_r, enum mw_rc rc, const char *text)
{
	size_t n = text != NULL ? strcspn(text, "\n") : 0;

	return mw_fail(err_r, rc, "%.*s", n < 300 ? (int)n : 300, n > 0 ? text : "");
}

static enum mw_rc lost(const struct pq_conn *c, struct mw_err *err_r)
{
	return told(err_r, MW_ERR_GONE, PQerrorMessage(c->pg));
}

static enum mw_rc late(struct mw_err *err_r)
{
	return mw_fail(err_r, MW_ERR_TIMEOUT, "no answer in time");
}

/* SQLSTATE (PostgreSQL's appendix A): is it the query, the time or the server? */
static enum mw_rc refused(const struct pq_conn *c, const PGresult *result, struct mw_err *err_r)
{
	const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
	enum mw_rc rc = MW_ERR_PROTO;

	if (PQresultStatus(result) == PGRES_COMMAND_OK)
		return mw_fail(err_r, MW_ERR_PROTO, "the clause is not one that gives records");
	if (PQstatus(c->pg) == CONNECTION_BAD || state == NULL)
		rc = MW_ERR_GONE;
	else if (strcmp(state, "57014") == 0 || strcmp(state, "55P03") == 0)
		rc = MW_ERR_TIMEOUT; /* statement_timeout, lock_timeout */
	else if (strncmp(state, "08", 2) == 0 || strncmp(state, "57P", 3) == 0 ||
		 strncmp(state, "53", 2) == 0 || strncmp(state, "58", 2) == 0)
		rc = MW_ERR_GONE; /* connection, shutdown, out of resources, system error */
	return told(err_r, rc, PQresultErrorMessage(result));
}

/* ------------------------------------------------------------------ connecting */

static enum mw_rc finish_connect(
	struct pq_conn *c, const struct db_limit *limit, struct mw_err *err_r)
{
	PostgresPollingStatusType wants = PGRES_POLLING_WRITING;

	while (wants != PGRES_POLLING_OK) {
		struct pollfd p = { .fd = PQsocket(c->pg),
			.events = wants == PGRES_POLLING_READING ? POLLIN : POLLOUT };
		int left = db_limit_left_ms(limit, CONNECT_SLICE_MS), n;

		if (wants == PGRES_POLLING_FAILED || p.fd < 0)
			return lost(c, err_r);
		if (left == 0)
			return mw_fail(err_r, MW_ERR_TIMEOUT, "no connection in time");
		n = poll(&p, 1, left);
		if (n < 0 && errno != EINTR)
			return mw_fail(err_r, MW_ERR_GONE, "poll: %s", strerror(errno));
		if (n > 0)
			wants = PQconnectPoll(c->pg);
	}
	return MW_OK;
}

static PGconn *start_connect(const struct db_dsn *dsn)
{
	char port[8] = "";
	const char *names[] = { "dbname", "host", "port", "user", "password", "sslmode",
		"sslrootcert", "sslcert", "sslkey", "client_encoding", "application_name", NULL };
	const char *values[] = { dsn->database, dsn->host, port, dsn->user, dsn->password,
		dsn->sslmode, dsn->tls_ca, dsn->tls_cert, dsn->tls_key, "UTF8", "mailweir", NULL };

	if (dsn->port != 0)
		snprintf(port, sizeof(port), "%u", dsn->port);
	/* Empty values are libpq's own. */
	return PQconnectStartParams(names, values, 0);
}

static void pq_close(void **conn_p)
{
	struct pq_conn *c = *conn_p;

	*conn_p = NULL;
	for (size_t id = 0; id < DB_CLAUSE_COUNT; id++)
		for (size_t keys = 0; keys <= DB_KEYS_MAX; keys++)
			free(c->params[id][keys].formats);
	for (size_t id = 0; id < DB_STATEMENT_COUNT; id++)
		free(c->stored[id].formats);
	PQfinish(c->pg);
	free(c);
}

/* ------------------------------------------------------------------ the pipeline */

/* Send what is left to send, receive what is there, until a whole result is. */
static enum mw_rc wait_result(
	const struct pq_conn *c, const struct db_limit *limit, struct mw_err *err_r)
{
	for (;;) {
		int unsent = PQflush(c->pg), n, left;
		struct pollfd p = { .fd = PQsocket(c->pg) };

		if (unsent < 0)
			return lost(c, err_r);
		if (!PQisBusy(c->pg))
			return MW_OK;
		p.events = unsent > 0 ? POLLIN | POLLOUT : POLLIN;
		left = db_limit_left_ms(limit, INT32_MAX);
		if (left == 0)
			return late(err_r);
		n = poll(&p, 1, left);
		if (n < 0 && errno != EINTR)
			return mw_fail(err_r, MW_ERR_GONE, "poll: %s", strerror(errno));
		if (n > 0 && (p.revents & ~POLLOUT) != 0 && !PQconsumeInput(c->pg))
			return lost(c, err_r);
	}
}

/* The next result; *result_r NULL: those of one query have been read. */
static enum mw_rc next_result(const struct pq_conn *c, const struct db_limit *limit,
	PGresult **result_r, struct mw_err *err_r)
{
	enum mw_rc rc = wait_result(c, limit, err_r);

	if (rc == MW_OK)
		*result_r = PQgetResult(c->pg);
	return rc;
}

/* Read on to the answer to PQpipelineSync: the connection is clean then. */
static enum mw_rc read_to_sync(
	const struct pq_conn *c, const struct db_limit *limit, struct mw_err *err_r)
{
	for (;;) {
		PGresult *result = NULL;
		enum mw_rc rc = next_result(c, limit, &result, err_r);
		bool synced = result != NULL && PQresultStatus(result) == PGRES_PIPELINE_SYNC;

		PQclear(result);
		if (rc != MW_OK || synced)
			return rc;
		if (PQstatus(c->pg) == CONNECTION_BAD)
			return lost(c, err_r);
	}
}

/* A query that is refused spoils those behind it up to the sync, which is read here. */
static enum mw_rc read_refusal(const struct pq_conn *c, const PGresult *result,
	const struct db_limit *limit, struct mw_err *err_r)
{
	enum mw_rc rc = refused(c, result, err_r);
	struct mw_err ignored;

	if (rc == MW_ERR_PROTO && read_to_sync(c, limit, &ignored) != MW_OK)
		rc = MW_ERR_GONE;
	return rc;
}

/* The NULL behind a query's results. */
static enum mw_rc read_end(
	const struct pq_conn *c, const struct db_limit *limit, struct mw_err *err_r)
{
	PGresult *end = NULL;
	enum mw_rc rc = next_result(c, limit, &end, err_r);
	bool more = end != NULL;

	PQclear(end);
	return rc == MW_OK && more ? lost(c, err_r) : rc;
}

/* The one result of a command. *result_r is the caller's also on failure, may be NULL. */
static enum mw_rc read_command(const struct pq_conn *c, const struct db_limit *limit,
	PGresult **result_r, struct mw_err *err_r)
{
	enum mw_rc rc = next_result(c, limit, result_r, err_r);

	if (rc != MW_OK)
		return rc;
	if (*result_r == NULL)
		return lost(c, err_r);
	if (PQresultStatus(*result_r) != PGRES_COMMAND_OK)
		return read_refusal(c, *result_r, limit, err_r);
	return read_end(c, limit, err_r);
}

/* ------------------------------------------------------------------ statements */

/* Ask the server what it takes the parameters for. */
static enum mw_rc learn(struct pq_conn *c, const char *text, struct pq_params *params, size_t count,
	const struct db_limit *limit, struct mw_err *err_r)
{
	PGresult *parsed = NULL, *described = NULL;
	enum mw_rc rc;

	if (!PQsendPrepare(c->pg, "", text, 0, NULL) || !PQsendDescribePrepared(c->pg, "") ||
		!PQpipelineSync(c->pg))
		return lost(c, err_r);
	rc = read_command(c, limit, &parsed, err_r);
	if (rc == MW_OK)
		rc = read_command(c, limit, &described, err_r);
	if (rc == MW_OK)
		rc = read_to_sync(c, limit, err_r);
	if (rc == MW_OK && PQnparams(described) != (int)count)
		rc = mw_fail(err_r, MW_ERR_PROTO,
			"the server sees %d parameters, not %zu: has the clause some of its own?",
			PQnparams(described), count);
	if (rc == MW_OK) {
		params->formats = calloc(count + 1, sizeof(*params->formats));
		for (size_t i = 0; params->formats != NULL && i < count; i++)
			params->formats[i] = PQparamtype(described, (int)i) == BYTEA_OID;
		params->known = params->formats != NULL;
		rc = params->known ? MW_OK : MW_ERR_NOMEM;
	}
	PQclear(parsed);
	PQclear(described);
	return rc;
}

static enum mw_rc send_query(struct pq_conn *c, const struct db_item *item, struct mw_err *err_r)
{
	const struct db_clause *clause = c->conf->clauses[item->clause][DB_SYNTAX_PQ];
	const struct db_keys *k = &item->keys[DB_SQL];
	size_t count = db_clause_params(clause, k->count);
	const char *values[PARAMS_MAX];
	int lengths[PARAMS_MAX];

	db_clause_values(clause, k, item->args, item->arg_count, values);
	for (size_t i = 0; i < count; i++)
		lengths[i] = (int)strlen(values[i]);
	if (!PQsendQueryParams(c->pg, db_clause_text(clause, k->count), (int)count, NULL, values,
		    lengths, c->params[item->clause][k->count].formats, 0))
		return lost(c, err_r);
	return MW_OK;
}

static enum mw_rc put_cell(struct db_records *r, const PGresult *result, int row, int column)
{
	const char *name = PQfname(result, column);
	const char *value = PQgetvalue(result, row, column);
	size_t n = (size_t)PQgetlength(result, row, column);
	unsigned char *octets;
	enum mw_rc rc;

	if (PQgetisnull(result, row, column))
		return db_records_put(r, name, NULL, 0);
	if (PQftype(result, column) != BYTEA_OID)
		return db_records_put(r, name, value, n);
	octets = PQunescapeBytea((const unsigned char *)value, &n);
	if (octets == NULL)
		return MW_ERR_NOMEM;
	rc = db_records_put(r, name, octets, n);
	PQfreemem(octets);
	return rc;
}

static enum mw_rc take_record(struct db_records *r, const PGresult *result, struct mw_err *err_r)
{
	int columns = PQnfields(result);
	enum mw_rc rc = db_records_add(r, DB_SQL, (size_t)columns);

	for (int column = 0; column < columns && rc == MW_OK; column++)
		rc = put_cell(r, result, 0, column);
	if (rc == MW_ERR_LIMIT)
		mw_fail(err_r, rc, "an answer is too large");
	return rc;
}

/* Record by record: libpq would gather an answer of any size before it gave us the first. */
static enum mw_rc read_records(const struct pq_conn *c, struct db_records *r,
	const struct db_limit *limit, struct mw_err *err_r)
{
	ExecStatusType status = PGRES_SINGLE_TUPLE;
	enum mw_rc rc = MW_OK;

	if (!PQsetSingleRowMode(c->pg))
		return lost(c, err_r);
	while (rc == MW_OK && status == PGRES_SINGLE_TUPLE) {
		PGresult *result = NULL;

		rc = next_result(c, limit, &result, err_r);
		status = PQresultStatus(result);
		if (rc == MW_OK && result == NULL)
			rc = lost(c, err_r);
		else if (rc == MW_OK && status == PGRES_SINGLE_TUPLE)
			rc = take_record(r, result, err_r);
		else if (rc == MW_OK)
			rc = status == PGRES_TUPLES_OK ? read_end(c, limit, err_r)
						       : read_refusal(c, result, limit, err_r);
		PQclear(result);
	}
	return rc;
}

/* All sent before the first answer is read: one round trip. */
static enum mw_rc ask_batch(struct pq_conn *c, struct db_item *const *items, size_t count,
	const struct db_limit *limit, struct mw_err *err_r)
{
	enum mw_rc rc = MW_OK;

	for (size_t i = 0; i < count && rc == MW_OK; i++)
		rc = send_query(c, items[i], err_r);
	if (rc == MW_OK && !PQpipelineSync(c->pg))
		rc = lost(c, err_r);
	for (size_t i = 0; i < count && rc == MW_OK; i++)
		rc = read_records(c, items[i]->records, limit, err_r);
	return rc == MW_OK ? read_to_sync(c, limit, err_r) : rc;
}

static enum mw_rc pq_ask(void *conn, struct db_item *const *items, size_t count,
	const struct db_limit *limit, struct mw_err *err_r)
{
	struct pq_conn *c = conn;
	enum mw_rc rc = MW_OK;

	for (size_t i = 0; i < count && rc == MW_OK; i++) {
		const struct db_clause *clause = c->conf->clauses[items[i]->clause][DB_SYNTAX_PQ];
		size_t keys = items[i]->keys[DB_SQL].count;
		struct pq_params *params = &c->params[items[i]->clause][keys];

		if (!params->known)
			rc = learn(c, db_clause_text(clause, keys), params,
				db_clause_params(clause, keys), limit, err_r);
	}
	for (size_t at = 0; at < count && rc == MW_OK; at += BATCH)
		rc = ask_batch(
			c, items + at, count - at < BATCH ? count - at : BATCH, limit, err_r);
	/* Where a query was refused, what came behind it has been read; else it still comes. */
	c->broken = rc != MW_OK && rc != MW_ERR_PROTO;
	return rc;
}

/* A row that is selected, or a command. */
static enum mw_rc run_one(struct pq_conn *c, struct db_records *records,
	const struct db_limit *limit, struct mw_err *err_r)
{
	PGresult *result = NULL;
	enum mw_rc rc;

	if (!PQpipelineSync(c->pg))
		return lost(c, err_r);
	if (records != NULL) {
		rc = read_records(c, records, limit, err_r);
	} else {
		rc = read_command(c, limit, &result, err_r);
		PQclear(result);
	}
	return rc == MW_OK ? read_to_sync(c, limit, err_r) : rc;
}

/* A commit is on the disk, also where the server's default is that it need not be. */
static enum mw_rc set_synced(struct pq_conn *c, const struct db_limit *limit, struct mw_err *err_r)
{
	struct db_records *records = db_records_new();
	enum mw_rc rc = MW_ERR_NOMEM;

	if (records == NULL)
		return rc;
	if (PQsendQueryParams(c->pg,
		    "SELECT set_config('synchronous_commit', 'on', false)"
		    " WHERE current_setting('synchronous_commit') = 'off'",
		    0, NULL, NULL, NULL, NULL, 0))
		rc = run_one(c, records, limit, err_r);
	else
		rc = lost(c, err_r);
	db_records_unref(&records);
	return rc;
}

/* "?" becomes $1, $2 ... */
static void number_params(const char *text, char *out, size_t size)
{
	unsigned number = 0;
	size_t n = 0;

	for (; *text != '\0' && n + 4 < size; text++)
		if (*text == '?')
			n += (size_t)snprintf(out + n, size - n, "$%u", ++number);
		else
			out[n++] = *text;
	out[n] = '\0';
}

static enum mw_rc pq_execute(void *conn, enum db_statement id, const struct db_value *values,
	size_t count, struct db_records *records, const struct db_limit *limit,
	struct mw_err *err_r)
{
	struct pq_conn *c = conn;
	char text[1024], numbers[DB_VALUES_MAX][32];
	const char *octets[DB_VALUES_MAX];
	int lengths[DB_VALUES_MAX];
	enum mw_rc rc = MW_OK;

	number_params(db_statement_text(id, DB_SYNTAX_PQ), text, sizeof(text));
	if (count > 0 && !c->stored[id].known)
		rc = learn(c, text, &c->stored[id], count, limit, err_r);
	for (size_t i = 0; i < count && rc == MW_OK; i++) {
		const struct db_value *v = &values[i];

		octets[i] = v->type == DB_V_NULL			  ? NULL
			    : v->type == DB_V_INT || v->type == DB_V_REAL ? numbers[i]
									  : v->p;
		if (v->type == DB_V_INT)
			snprintf(numbers[i], sizeof(numbers[i]), "%lld", (long long)v->number);
		else if (v->type == DB_V_REAL)
			snprintf(numbers[i], sizeof(numbers[i]), "%.6g", v->real);
		lengths[i] = (int)v->n;
	}
	if (rc == MW_OK && !PQsendQueryParams(c->pg, text, (int)count, NULL, octets, lengths,
				   c->stored[id].formats, 0))
		rc = lost(c, err_r);
	if (rc == MW_OK)
		rc = run_one(c, records, limit, err_r);
	c->broken = rc != MW_OK;
	return rc;
}

/* The server itself ends what we have given up; no start-up packet option, which poolers refuse. */
static enum mw_rc set_limits(struct pq_conn *c, const struct db_limit *limit, struct mw_err *err_r)
{
	PGresult *result = NULL;
	char text[80];
	enum mw_rc rc;

	snprintf(text, sizeof(text), "SET statement_timeout = %llu",
		(unsigned long long)c->conf->timeout_ms);
	if (PQsetnonblocking(c->pg, 1) != 0 || !PQenterPipelineMode(c->pg) ||
		!PQsendQueryParams(c->pg, text, 0, NULL, NULL, NULL, NULL, 0) ||
		!PQpipelineSync(c->pg))
		return lost(c, err_r);
	rc = read_command(c, limit, &result, err_r);
	PQclear(result);
	if (rc == MW_OK)
		rc = read_to_sync(c, limit, err_r);
	return rc == MW_OK && c->conf->writes ? set_synced(c, limit, err_r) : rc;
}

static void ignore_notice(void *arg, const PGresult *result)
{
	(void)arg;
	(void)result; /* libpq's own would go to stderr, past our log */
}

static enum mw_rc pq_connect(const struct db_conf *conf, const struct db_dsn *dsn,
	const struct db_limit *limit, void **conn_r, struct mw_err *err_r)
{
	struct pq_conn *c = calloc(1, sizeof(*c));
	void *conn = c;
	enum mw_rc rc;

	if (c == NULL)
		return MW_ERR_NOMEM;
	c->conf = conf;
	c->pg = start_connect(dsn);
	if (c->pg == NULL)
		rc = MW_ERR_NOMEM;
	else if (PQstatus(c->pg) == CONNECTION_BAD)
		rc = lost(c, err_r);
	else
		rc = finish_connect(c, limit, err_r);
	if (rc == MW_OK) {
		PQsetNoticeReceiver(c->pg, ignore_notice, NULL);
		rc = set_limits(c, limit, err_r);
	}
	if (rc != MW_OK)
		pq_close(&conn);
	else
		*conn_r = conn;
	return rc;
}

static int pq_socket(void *conn)
{
	return PQsocket(((struct pq_conn *)conn)->pg);
}

static bool pq_usable(void *conn)
{
	const struct pq_conn *c = conn;

	return !c->broken && PQstatus(c->pg) == CONNECTION_OK;
}

const struct db_backend db_backend_pq = {
	.syntax = DB_SYNTAX_PQ,
	.connect = pq_connect,
	.socket = pq_socket,
	.usable = pq_usable,
	.ask = pq_ask,
	.execute = pq_execute,
	.close = pq_close,
};
