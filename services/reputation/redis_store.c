#include "store.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/queue.h>

#include "answer.h"
#include "breaker.h"
#include "dsn.h"
#include "log.h"
#include "redis_conn.h"
#include "resolve.h"

#define RETRY_MS 50    /* between rounds through all servers, while the breaker is closed */
#define STEADY_MS 1000 /* a connection that stood so long is made again at once */

struct rep_op {
	TAILQ_ENTRY(rep_op) link;
	struct rep_store *store;
	const struct rep_query *query; /* or lesson, never both */
	const struct rep_lesson *lesson;
	rep_done *done;
	void *arg;
	struct rep_call *call; /* NULL: it waits for a connection */
	struct mw_timer *timer;
	unsigned sent; /* how often */
	uint64_t since_us;
};

/* What the settings say. */
struct store_conf {
	struct rep_dsn dsn;
	uint64_t timeout_ms, pause_ms;
	unsigned breaker_failures;
};

struct rep_store {
	struct mw_loop *loop;
	struct store_conf conf;
	struct rep_breaker breaker;
	struct rep_conn *conn;
	struct mw_timer *retry;
	size_t endpoint; /* where conn goes, or went */
	size_t tries;	 /* endpoints that failed since one was ready */
	unsigned address;
	bool was_ready; /* conn was, before it went */
	uint64_t ready_ms;
	bool said; /* that it cannot be reached: once an outage */
	char engine[64];
	TAILQ_HEAD(, rep_op) ops; /* all, oldest first */
	/* rep_store_probe's: the first word of a connection. */
	void (*heard)(void *arg, enum mw_rc rc, const char *why);
	void *heard_arg;
};

/* ------------------------------------------------------------------ one operation */

static void op_free(struct rep_op *op)
{
	TAILQ_REMOVE(&op->store->ops, op, link);
	if (op->call != NULL)
		rep_call_forget(op->call);
	mw_timer_destroy(&op->timer);
	free(op);
}

static void op_finish(struct rep_op *op, const char *failed, const struct rep_answer *answer)
{
	rep_done *done = op->done;
	void *arg = op->arg;

	op_free(op);
	done(arg, failed, answer);
}

/* Nobody waits for a server that is known to be away. */
static void fail_waiting(struct rep_store *s)
{
	struct rep_op *op = TAILQ_FIRST(&s->ops), *next;

	for (; op != NULL; op = next) {
		next = TAILQ_NEXT(op, link);
		if (op->call == NULL)
			op_finish(op, "redis_unavailable", NULL);
	}
}

/* Count a failure; when it is one too many, stop trying for a while. */
static void store_failed(struct rep_store *s)
{
	if (!rep_breaker_failed(&s->breaker))
		return;
	mw_log(MW_ERROR, "redis_breaker_open", "failures=%u pause_ms=%" PRIu64, s->breaker.failures,
		s->conf.pause_ms);
	fail_waiting(s);
}

/* Take the connection down; what is under way waits for the next one. */
static void store_drop(struct rep_store *s)
{
	rep_conn_destroy(&s->conn);
	mw_timer_start(s->retry, s->breaker.open ? s->conf.pause_ms : 0, 0);
}

static void op_too_late(void *arg)
{
	struct rep_op *op = arg;
	struct rep_store *s = op->store;
	bool sent = op->call != NULL;

	mw_log(MW_WARN, "redis_timeout", "op=%s sent=%u elapsed_ms=%" PRIu64,
		op->query != NULL ? "query" : "learn", op->sent,
		(mw_mono_us() - op->since_us) / 1000);
	op_finish(op, "redis_timeout", NULL);
	store_failed(s);
	/* Its reply may still come, or never: the stream behind it is of no more use to anybody
	 * (STYLE 6). */
	if (sent && s->conn != NULL)
		store_drop(s);
}

/* An error of the server's that says: not here, not now. Another server, or the same one later, may
 * do it. */
static bool error_is_of_server(struct mw_octets text)
{
	static const char *const words[] = { "READONLY", "LOADING", "MASTERDOWN", "NOAUTH",
		"NOREPLICAS", "MISCONF" };

	for (size_t i = 0; i < MW_COUNT(words); i++) {
		if (memmem(text.p, text.n, words[i], strlen(words[i])) != NULL)
			return true;
	}
	return false;
}

/* The others end this operation: what to call them in the verdict. */
static const char *error_name(struct mw_octets text)
{
	static const struct {
		const char *word, *name;
	} rows[] = {
		{ REP_BAD_DATA, "redis_bad_data" },
		{ "WRONGTYPE", "redis_bad_data" },
		{ "is not an integer", "redis_bad_data" },
		{ "would overflow", "redis_bad_data" },
		{ "OOM", "redis_out_of_memory" },
		{ "BUSY", "redis_busy" },
	};

	for (size_t i = 0; i < MW_COUNT(rows); i++) {
		if (memmem(text.p, text.n, rows[i].word, strlen(rows[i].word)) != NULL)
			return rows[i].name;
	}
	return "redis_error";
}

static void op_error(struct rep_op *op, struct mw_octets text)
{
	struct rep_store *s = op->store;
	char quoted[200];

	mw_quote_octets(quoted, sizeof(quoted), text.p, text.n);
	mw_log(MW_WARN, "redis_error", "op=%s text=%s", op->query != NULL ? "query" : "learn",
		quoted);
	if (!error_is_of_server(text)) {
		op_finish(op, error_name(text), NULL);
		return;
	}
	if (op->sent > 1)
		op_finish(op, "redis_error", NULL);
	s->endpoint = (s->endpoint + 1) % rep_dsn_endpoints(&s->conf.dsn);
	store_failed(s);
	store_drop(s);
}

static void op_answered(struct rep_op *op, struct mw_octets text)
{
	struct rep_answer answer = { 0 };
	enum mw_rc rc = MW_OK;

	if (op->query != NULL)
		rc = rep_answer_decode(text, op->query, &answer);
	else if (text.n != strlen(op->lesson->mail_id) ||
		 memcmp(text.p, op->lesson->mail_id, text.n) != 0)
		rc = MW_ERR_PROTO;
	if (rc != MW_OK) {
		mw_log(MW_ERROR, "redis_answer_refused", "op=%s why=%s",
			op->query != NULL ? "query" : "learn", mw_rc_name(rc));
		op_finish(op, rc == MW_ERR_NOMEM ? "no_memory" : "redis_bad_data", NULL);
		return;
	}
	rep_breaker_worked(&op->store->breaker);
	answer.elapsed_us = mw_mono_us() - op->since_us;
	op_finish(op, NULL, op->query != NULL ? &answer : NULL);
	rep_answer_fini(&answer);
}

static void op_replied(void *arg, const struct rep_reply *r)
{
	struct rep_op *op = arg;

	struct rep_store *s = op->store;

	op->call = NULL;
	if (r == NULL && op->sent > 1) {
		op_finish(op, "redis_gone", NULL);
		store_failed(s);
	} else if (r != NULL && r->is_error) {
		op_error(op, r->text);
	} else if (r != NULL) {
		op_answered(op, r->text);
	}
	/* Lost with its connection: it waits for the next one, and is sent once more. */
}

static void op_send(struct rep_op *op)
{
	struct rep_store *s = op->store;
	size_t sentinel;
	const struct rep_script_conf conf = {
		.penpals_ttl_s = rep_dsn_endpoint(&s->conf.dsn, s->endpoint, &sentinel)->ttl_s,
	};
	struct rep_args args;
	enum mw_rc rc;

	if (op->query != NULL) {
		struct rep_query q = *op->query;

		q.again = q.again || op->sent > 0;
		rc = rep_args_query(&args, &q, &conf);
	} else {
		rc = rep_args_learn(&args, op->lesson, &conf);
	}
	if (rc != MW_OK) {
		rep_args_fini(&args);
		op_finish(op, "no_memory", NULL);
		return;
	}
	op->call = rep_conn_call(s->conn, op->query != NULL ? REP_SCRIPT_QUERY : REP_SCRIPT_LEARN,
		&args, op_replied, op);
	if (op->call != NULL)
		op->sent++;
}

static enum mw_rc op_start(struct rep_store *s, const struct rep_query *q,
	const struct rep_lesson *l, uint64_t deadline_ms, rep_done *done, void *arg,
	struct rep_op **op_r)
{
	uint64_t now_ms = mw_mono_ms(), left_ms = deadline_ms > now_ms ? deadline_ms - now_ms : 0;
	struct rep_op *op = calloc(1, sizeof(*op));

	if (op == NULL)
		return MW_ERR_NOMEM;
	op->store = s;
	op->query = q;
	op->lesson = l;
	op->done = done;
	op->arg = arg;
	op->since_us = mw_mono_us();
	op->timer = mw_timer_new(s->loop, op_too_late, op);
	TAILQ_INSERT_TAIL(&s->ops, op, link);
	*op_r = op;
	if (s->breaker.open) {
		op_finish(op, "redis_unavailable", NULL);
		return MW_OK;
	}
	mw_timer_start(op->timer, left_ms < s->conf.timeout_ms ? left_ms : s->conf.timeout_ms, 0);
	if (rep_conn_is_ready(s->conn))
		op_send(op);
	return MW_OK;
}

enum mw_rc rep_store_query(struct rep_store *store, const struct rep_query *q, uint64_t deadline_ms,
	rep_done *done, void *arg, struct rep_op **op_r)
{
	return op_start(store, q, NULL, deadline_ms, done, arg, op_r);
}

enum mw_rc rep_store_learn(struct rep_store *store, const struct rep_lesson *l,
	uint64_t deadline_ms, rep_done *done, void *arg, struct rep_op **op_r)
{
	return op_start(store, NULL, l, deadline_ms, done, arg, op_r);
}

void rep_store_cancel(struct rep_store *store, struct rep_op **op_p)
{
	struct rep_op *op = *op_p;

	(void)store;
	*op_p = NULL;
	if (op != NULL)
		op_free(op);
}

/* ------------------------------------------------------------------ the connection */

static void conn_ready(void *arg)
{
	struct rep_store *s = arg;
	struct rep_op *op, *next;

	s->was_ready = true;
	s->ready_ms = mw_mono_ms();
	s->tries = 0;
	mw_strlcpy(s->engine, rep_conn_engine(s->conn), sizeof(s->engine));
	if (s->said || mw_log_wants(MW_DEBUG))
		mw_log(MW_INFO, "redis_connected", "engine=%s endpoint=%zu", mw_quote(s->engine),
			s->endpoint);
	s->said = false;
	if (rep_breaker_close(&s->breaker))
		mw_log(MW_INFO, "redis_breaker_closed", "endpoint=%zu", s->endpoint);
	for (op = TAILQ_FIRST(&s->ops); op != NULL && rep_conn_is_ready(s->conn); op = next) {
		next = TAILQ_NEXT(op, link);
		if (op->call == NULL)
			op_send(op);
	}
	if (s->heard != NULL)
		s->heard(s->heard_arg, MW_OK, "");
}

/* A connection that stood broke: the same server again, at once. One that never stood: the next in
 * the list. */
static void conn_gone(void *arg, enum rep_gone gone, const char *why)
{
	struct rep_store *s = arg;
	size_t endpoints = rep_dsn_endpoints(&s->conf.dsn);
	uint64_t wait_ms = 0;

	if (!s->said)
		mw_log(gone == REP_GONE_FAILED && s->was_ready ? MW_WARN : MW_ERROR,
			"redis_unreachable", "why=%s", mw_quote(why));
	s->said = true;
	rep_conn_destroy(&s->conn);
	if (!s->was_ready) {
		s->address++;
		s->endpoint = (s->endpoint + 1) % endpoints;
		if (++s->tries >= endpoints) {
			s->tries = 0;
			store_failed(s);
			wait_ms = s->breaker.open ? s->conf.pause_ms : RETRY_MS;
		}
	} else if (mw_mono_ms() - s->ready_ms < STEADY_MS) {
		wait_ms = RETRY_MS; /* a server that lets us in only to throw us out is not called
				       in a loop */
	}
	mw_timer_start(s->retry, wait_ms, 0);
	if (s->heard != NULL)
		s->heard(s->heard_arg, gone == REP_GONE_CLUSTER ? MW_ERR_CONF : MW_ERR_GONE, why);
}

static void store_connect(struct rep_store *s)
{
	const struct rep_conn_events events = { conn_ready, conn_gone, s };
	const struct rep_server *server;
	size_t sentinel;

	if (s->conn != NULL)
		return;
	s->was_ready = false;
	server = rep_dsn_endpoint(&s->conf.dsn, s->endpoint, &sentinel);
	s->conn = rep_conn_new(s->loop, server, sentinel, s->address, s->conf.timeout_ms, &events);
	if (s->conn == NULL)
		mw_timer_start(s->retry, s->conf.pause_ms, 0);
}

static void retry_now(void *arg)
{
	store_connect(arg);
}

/* ------------------------------------------------------------------ life */

static enum mw_rc conf_read(
	struct store_conf *c_r, const struct mw_conf *conf, struct mw_err *err_r)
{
	const char *server = mw_conf_text(conf, "redis.server");
	int64_t ttl_s = mw_conf_int(conf, "storage_redis_ttl");
	struct store_conf c = {
		.timeout_ms = (uint64_t)mw_conf_int(conf, "redis.timeout_ms"),
		.pause_ms = (uint64_t)mw_conf_int(conf, "redis.breaker_pause_ms"),
		.breaker_failures = (unsigned)mw_conf_int(conf, "redis.breaker_failures"),
	};
	enum mw_rc rc = rep_dsn_read(&c.dsn, mw_conf_val(conf, "storage_redis_dsn"), ttl_s, err_r);

	if (rc != MW_OK)
		return rc;
	if (c.dsn.count == 0 && server != NULL && server[0] != '\0') {
		if (!rep_place_parse(server, REP_REDIS_PORT, &c.dsn.servers[0].place))
			return mw_fail(err_r, MW_ERR_CONF,
				"redis.server=%s is not host:port, [IPv6]:port or the path of a "
				"Unix socket",
				mw_quote(server));
		c.dsn.servers[0].ttl_s = ttl_s;
		c.dsn.count = 1;
	}
	if (c.dsn.count == 0)
		return mw_fail(err_r, MW_ERR_CONF,
			"no storage: set storage_redis_dsn = { { server = \"127.0.0.1:6379\" } } "
			"or redis.server");
	*c_r = c;
	return MW_OK;
}

enum mw_rc rep_store_open(struct rep_store **store_r, struct mw_loop *loop,
	const struct mw_conf *conf, struct mw_err *err_r)
{
	struct rep_store *s = calloc(1, sizeof(*s));
	enum mw_rc rc;

	if (s == NULL)
		return mw_fail(err_r, MW_ERR_NOMEM, "no memory");
	TAILQ_INIT(&s->ops);
	rc = conf_read(&s->conf, conf, err_r);
	if (rc != MW_OK) {
		free(s);
		return rc;
	}
	s->loop = loop;
	s->breaker.most = s->conf.breaker_failures;
	s->retry = mw_timer_new(loop, retry_now, s);
	store_connect(s);
	*store_r = s;
	return MW_OK;
}

enum mw_rc rep_store_reload(
	struct rep_store *store, const struct mw_conf *conf, struct mw_err *err_r)
{
	struct store_conf fresh;
	enum mw_rc rc = conf_read(&fresh, conf, err_r);

	if (rc != MW_OK)
		return rc;
	rep_conn_destroy(&store->conn); /* it points into the settings; what it lost waits */
	store->conf = fresh;
	store->breaker = (struct rep_breaker){ .most = fresh.breaker_failures };
	store->endpoint = 0;
	store->tries = 0;
	store->said = false;
	mw_timer_start(store->retry, 0, 0);
	return MW_OK;
}

void rep_store_close(struct rep_store **store_p)
{
	struct rep_store *s = *store_p;

	*store_p = NULL;
	if (s == NULL)
		return;
	while (!TAILQ_EMPTY(&s->ops))
		op_free(TAILQ_FIRST(&s->ops));
	rep_conn_destroy(&s->conn);
	mw_timer_destroy(&s->retry);
	free(s);
}

bool rep_store_is_down(const struct rep_store *store)
{
	return store->said;
}

const char *rep_store_engine(const struct rep_store *store)
{
	return store->engine;
}

/* ------------------------------------------------------------------ the look at start */

struct probe {
	struct mw_loop *loop;
	enum mw_rc rc;
	char why[sizeof(((struct mw_err *)0)->text)];
	size_t left; /* endpoints that may yet serve */
};

static void probe_heard(void *arg, enum mw_rc rc, const char *why)
{
	struct probe *p = arg;

	mw_strlcpy(p->why, why, sizeof(p->why));
	p->rc = rc;
	if (rc == MW_ERR_GONE && --p->left > 0)
		return;
	mw_loop_stop(p->loop);
}

static void probe_too_late(void *arg)
{
	struct probe *p = arg;

	mw_loop_stop(p->loop);
}

enum mw_rc rep_store_probe(const struct mw_conf *conf, uint64_t wait_ms, struct mw_err *err_r)
{
	struct probe p = { .rc = MW_ERR_GONE, .why = "no answer yet", .loop = mw_loop_new() };
	struct mw_timer *timer;
	struct rep_store *s;
	enum mw_rc rc;

	if (p.loop == NULL)
		return mw_fail(err_r, MW_ERR_NOMEM, "no memory");
	rc = rep_store_open(&s, p.loop, conf, err_r);
	if (rc == MW_OK) {
		s->heard = probe_heard;
		s->heard_arg = &p;
		s->said = true; /* the caller says what was heard */
		p.left = rep_dsn_endpoints(&s->conf.dsn);
		timer = mw_timer_new(p.loop, probe_too_late, &p);
		mw_timer_start(timer, wait_ms, 0);
		mw_loop_run(p.loop);
		mw_timer_destroy(&timer);
		rep_store_close(&s);
		rc = p.rc == MW_OK ? MW_OK : mw_fail(err_r, p.rc, "%s", p.why);
	}
	/* A look-up in libuv's pool cannot be stopped and would write into a freed loop: leave that
	 * loop to it. */
	if (rep_lookups_running() == 0)
		mw_loop_destroy(&p.loop);
	return rc;
}
