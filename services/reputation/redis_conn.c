#include "redis_conn.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "log.h"
#include "redis_loop.h"
#include "resolve.h"

#define LOOKUP_MS 5000 /* for a name; the resolver's own patience is about that */
#define SHA_TEXT 41    /* 40 hexadecimal digits and the NUL */
#define WHY_MAX 320

/* One script call, from its sending to its reply; also the handshake's commands, which have no
 * done. */
struct rep_call {
	struct rep_conn *conn; /* NULL: it was destroyed, hiredis has yet to say so */
	struct rep_call *next, **prev_p;
	const struct step *step; /* of the handshake; NULL: a script call */
	enum rep_script script;
	struct rep_args args;
	char keys_text[24];
	bool repeated; /* sent with its source already */
	void (*done)(void *arg, const struct rep_reply *r);
	void *arg;
};

struct rep_conn {
	struct mw_loop *loop;
	const struct rep_server *server;
	struct rep_conn_events events;
	struct mw_timer *timer;
	struct rep_lookup *lookup;
	redisAsyncContext *ac;
	struct rep_link *link;
	struct rep_call *calls;
	struct rep_place place; /* where this one goes to now */
	bool at_sentinel;	/* place is a sentinel, asked for the master */
	bool begun, ready, over;
	unsigned address;
	unsigned steps_left;
	uint64_t timeout_ms;
	char sha[REP_SCRIPT_COUNT][SHA_TEXT];
	char engine[64];
};

/* ------------------------------------------------------------------ ends */

static void call_unlink(struct rep_call *c)
{
	if (c->conn == NULL)
		return;
	*c->prev_p = c->next;
	if (c->next != NULL)
		c->next->prev_p = c->prev_p;
	c->conn = NULL;
}

static void call_free(struct rep_call *c)
{
	call_unlink(c);
	rep_args_fini(&c->args);
	free(c);
}

/* Say what became of it, once. */
static void call_answer(struct rep_call *c, const struct rep_reply *r)
{
	void (*done)(void *arg, const struct rep_reply *r) = c->done;

	c->done = NULL;
	if (done != NULL)
		done(c->arg, r);
}

/* Let go of the context: hiredis frees it, now or when its callback returns. */
static void drop_context(struct rep_conn *conn)
{
	redisAsyncContext *ac = conn->ac;

	if (conn->link != NULL)
		rep_link_forget(conn->link);
	conn->link = NULL;
	conn->ac = NULL;
	while (conn->calls != NULL) {
		struct rep_call *c = conn->calls;

		call_unlink(c); /* it is freed when hiredis calls it back with nothing */
		call_answer(c, NULL);
	}
	if (ac != NULL)
		redisAsyncFree(ac);
}

/* The connection is done for. It may be gone when this returns: touch nothing after. */
static void conn_over(struct rep_conn *conn, enum rep_gone gone, const char *fmt, ...)
	MW_PRINTF(3, 4);
static void conn_over(struct rep_conn *conn, enum rep_gone gone, const char *fmt, ...)
{
	char place[REP_HOST_MAX + 16], text[WHY_MAX], why[WHY_MAX + REP_HOST_MAX + 32];
	va_list ap;

	if (conn->over)
		return;
	conn->over = true;
	conn->ready = false;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	snprintf(why, sizeof(why), "%s%s: %s", conn->at_sentinel ? "sentinel " : "",
		rep_place_format(&conn->place, place, sizeof(place)), text);
	mw_timer_stop(conn->timer);
	rep_lookup_forget(&conn->lookup);
	drop_context(conn);
	conn->events.gone(conn->events.arg, gone, why);
}

static void link_gone(void *arg, const char *why)
{
	struct rep_conn *conn = arg;

	conn->link = NULL;
	conn->ac = NULL;
	conn_over(conn, REP_GONE_FAILED, "%s", why);
}

static void too_late(struct rep_conn *conn)
{
	conn_over(conn, REP_GONE_TIMEOUT, "no answer within %" PRIu64 " ms",
		conn->lookup != NULL ? (uint64_t)LOOKUP_MS : conn->timeout_ms);
}

/* ------------------------------------------------------------------ sending */

static void replied(redisAsyncContext *ac, void *reply, void *data);

static struct rep_call *call_new(struct rep_conn *conn, const struct step *step)
{
	struct rep_call *c = calloc(1, sizeof(*c));

	if (c == NULL)
		return NULL;
	c->step = step;
	c->conn = conn;
	c->next = conn->calls;
	if (c->next != NULL)
		c->next->prev_p = &c->next;
	c->prev_p = &conn->calls;
	conn->calls = c;
	return c;
}

static bool call_send(struct rep_call *c, const char *command, const char *script)
{
	rep_args_head(&c->args, command, script, c->keys_text);
	return redisAsyncCommandArgv(c->conn->ac, replied, c, (int)c->args.count, c->args.argv,
		       c->args.argv_len) == REDIS_OK;
}

struct rep_call *rep_conn_call(struct rep_conn *conn, enum rep_script script,
	struct rep_args *args_p, void (*done)(void *arg, const struct rep_reply *r), void *arg)
{
	struct rep_call *c = conn->ready ? call_new(conn, NULL) : NULL;

	if (c == NULL) {
		rep_args_fini(args_p);
		return NULL;
	}
	c->args = *args_p;
	memset(args_p, 0, sizeof(*args_p));
	c->script = script;
	snprintf(c->keys_text, sizeof(c->keys_text), "%zu", c->args.keys);
	if (!call_send(c, "EVALSHA", conn->sha[script])) {
		call_free(c);
		return NULL;
	}
	c->done = done;
	c->arg = arg;
	return c;
}

void rep_call_forget(struct rep_call *call)
{
	call->done = NULL;
}

/* ------------------------------------------------------------------ handshake: one row a command
 */

static bool text_has(const redisReply *r, const char *word)
{
	return r->str != NULL && memmem(r->str, r->len, word, strlen(word)) != NULL;
}

/* Value of a line "name:value" of INFO into buf. */
static bool info_value(const redisReply *r, const char *name, char *buf, size_t size)
{
	const char *p = r->str, *end = r->str + r->len, *line_end;
	size_t name_len = strlen(name);

	for (; p < end; p = line_end + 1) {
		line_end = memchr(p, '\n', (size_t)(end - p));
		if (line_end == NULL)
			line_end = end;
		if ((size_t)(line_end - p) > name_len && memcmp(p, name, name_len) == 0 &&
			p[name_len] == ':') {
			size_t n = (size_t)(line_end - p) - name_len - 1;

			if (n > 0 && p[name_len + n] == '\r')
				n--;
			return mw_strncpy(buf, size, p + name_len + 1, n) &&
			       mw_is_printable(buf, strlen(buf));
		}
	}
	return false;
}

/* Each returns false when the connection is over (and perhaps gone). */

static bool refused(struct rep_conn *conn, const char *command, const redisReply *r)
{
	conn_over(conn, REP_GONE_REFUSED, "%s: %s", command,
		r->type == REDIS_REPLY_ERROR
			? mw_quote_octets((char[120]){ 0 }, 120, r->str, r->len)
			: "not the reply expected");
	return false;
}

static bool after_auth(struct rep_conn *conn, const redisReply *r)
{
	/* A server without a password: it serves, the setting is just superfluous. */
	if (r->type == REDIS_REPLY_ERROR && !text_has(r, "no password is set") &&
		!text_has(r, "without any password configured"))
		return refused(conn, "AUTH", r);
	return true;
}

static bool after_select(struct rep_conn *conn, const redisReply *r)
{
	return r->type == REDIS_REPLY_STATUS || refused(conn, "SELECT", r);
}

static bool after_setname(struct rep_conn *conn, const redisReply *r)
{
	(void)conn;
	(void)r;
	return true; /* a name for CLIENT LIST: nothing depends on it */
}

static bool after_info(struct rep_conn *conn, const redisReply *r)
{
	char value[32];

	if (r->type != REDIS_REPLY_STRING)
		return text_has(r, "NOAUTH") ? refused(conn, "INFO", r)
					     : true; /* an ACL may keep it from us */
	if (info_value(r, "cluster_enabled", value, sizeof(value)) && strcmp(value, "1") == 0) {
		conn_over(conn, REP_GONE_CLUSTER,
			"is a Redis Cluster: keys of one message lie in several slots there; use a "
			"standalone server or Sentinel");
		return false;
	}
	if (info_value(r, "redis_mode", value, sizeof(value)) && strcmp(value, "sentinel") == 0) {
		conn_over(conn, REP_GONE_REFUSED,
			"is a Sentinel: name it in sentinels = { ... }, with master");
		return false;
	}
	if (info_value(r, "role", value, sizeof(value)) && strcmp(value, "slave") == 0) {
		conn_over(conn, REP_GONE_FAILED, "is a replica, which takes no writes");
		return false;
	}
	if (info_value(r, "valkey_version", value, sizeof(value)))
		snprintf(conn->engine, sizeof(conn->engine), "valkey %s", value);
	else if (info_value(r, "redis_version", value, sizeof(value)))
		snprintf(conn->engine, sizeof(conn->engine), "redis %s", value);
	return true;
}

static bool after_load(struct rep_conn *conn, enum rep_script script, const redisReply *r)
{
	if (r->type != REDIS_REPLY_STRING || r->len != SHA_TEXT - 1 ||
		!mw_is_printable(r->str, r->len))
		return refused(conn, "SCRIPT LOAD", r);
	return mw_strncpy(conn->sha[script], SHA_TEXT, r->str, r->len);
}

static bool after_load_query(struct rep_conn *conn, const redisReply *r)
{
	return after_load(conn, REP_SCRIPT_QUERY, r);
}

static bool after_load_learn(struct rep_conn *conn, const redisReply *r)
{
	return after_load(conn, REP_SCRIPT_LEARN, r);
}

/* A sentinel told where the master is; defined below, as it begins another connection. */
static bool after_sentinel(struct rep_conn *conn, const redisReply *r);

enum step_arg { ARG_NONE, ARG_PASSWORD, ARG_DB, ARG_NAME, ARG_QUERY, ARG_LEARN, ARG_MASTER };

static const struct step {
	const char *words[2];
	enum step_arg arg;
	bool (*after)(struct rep_conn *conn, const redisReply *r);
} master_steps[] = {
	{ { "AUTH" }, ARG_PASSWORD, after_auth },
	{ { "SELECT" }, ARG_DB, after_select },
	{ { "CLIENT", "SETNAME" }, ARG_NAME, after_setname },
	{ { "INFO" }, ARG_NONE, after_info },
	{ { "SCRIPT", "LOAD" }, ARG_QUERY, after_load_query },
	{ { "SCRIPT", "LOAD" }, ARG_LEARN, after_load_learn },
}, sentinel_steps[] = {
	{ { "SENTINEL", "GET-MASTER-ADDR-BY-NAME" }, ARG_MASTER, after_sentinel },
};

/* The step's argument; buf holds what has to be printed first. NULL: none. */
static const char *step_argument(
	const struct rep_conn *conn, enum step_arg arg, char *buf, size_t size)
{
	switch (arg) {
	case ARG_PASSWORD:
		return conn->server->password;
	case ARG_DB:
		snprintf(buf, size, "%" PRId64, conn->server->db_id);
		return buf;
	case ARG_NAME:
		snprintf(buf, size, "mailweir[%ld]", (long)getpid());
		return buf;
	case ARG_QUERY:
		return rep_script_source[REP_SCRIPT_QUERY];
	case ARG_LEARN:
		return rep_script_source[REP_SCRIPT_LEARN];
	case ARG_MASTER:
		return conn->server->master;
	case ARG_NONE:
		break;
	}
	return NULL;
}

static bool step_wanted(const struct rep_conn *conn, const struct step *s)
{
	return s->arg != ARG_PASSWORD || conn->server->password[0] != '\0';
}

static bool step_send(struct rep_conn *conn, const struct step *s)
{
	const char *argv[3];
	size_t lens[3];
	char buf[40];
	int count = 0;
	const char *arg = step_argument(conn, s->arg, buf, sizeof(buf));
	struct rep_call *c = call_new(conn, s);

	if (c == NULL)
		return false;
	for (size_t i = 0; i < MW_COUNT(s->words) && s->words[i] != NULL; i++)
		argv[count++] = s->words[i];
	if (arg != NULL)
		argv[count++] = arg;
	for (int i = 0; i < count; i++)
		lens[i] = strlen(argv[i]);
	if (redisAsyncCommandArgv(conn->ac, replied, c, count, argv, lens) == REDIS_OK)
		return true;
	call_free(c);
	return false;
}

/* All of it at once: one round trip. */
static bool handshake_begin(struct rep_conn *conn)
{
	const struct step *steps = conn->at_sentinel ? sentinel_steps : master_steps;
	size_t count = conn->at_sentinel ? MW_COUNT(sentinel_steps) : MW_COUNT(master_steps);

	conn->steps_left = 0;
	for (size_t i = 0; i < count; i++) {
		if (!step_wanted(conn, &steps[i]))
			continue;
		if (!step_send(conn, &steps[i]))
			return false;
		conn->steps_left++;
	}
	return true;
}

static void step_done(struct rep_conn *conn, const struct step *step, const redisReply *r)
{
	if (!step->after(conn, r) || --conn->steps_left > 0)
		return;
	mw_timer_stop(conn->timer);
	conn->ready = true;
	conn->events.ready(conn->events.arg);
}

/* ------------------------------------------------------------------ replies */

/* The server has forgotten the script: send its source along. False: it cannot be sent. */
static bool call_repeat(struct rep_call *c)
{
	if (c->repeated || c->conn == NULL)
		return false;
	c->repeated = true;
	mw_log(MW_INFO, "redis_script_reloaded", "script=%s", rep_script_name[c->script]);
	return call_send(c, "EVAL", rep_script_source[c->script]);
}

static void call_done(struct rep_call *c, const redisReply *r)
{
	struct rep_reply reply = { .is_error = r->type != REDIS_REPLY_STRING };

	if (r->type == REDIS_REPLY_STRING || r->type == REDIS_REPLY_ERROR)
		reply.text = mw_octets_of(r->str, r->len);
	else
		reply.text = mw_octets_of_text("a reply of a type that the script never gives");
	call_answer(c, &reply);
}

static void replied(redisAsyncContext *ac, void *reply, void *data)
{
	struct rep_call *c = data;
	const redisReply *r = reply;
	struct rep_conn *conn = c->conn;
	const struct step *step = c->step;

	(void)ac;
	if (conn != NULL && r == NULL)
		conn->ready = false; /* hiredis is taking it down: nobody may send any more */
	if (r != NULL && step == NULL && r->type == REDIS_REPLY_ERROR && text_has(r, "NOSCRIPT") &&
		call_repeat(c))
		return; /* it lives on, as the same call */
	if (step == NULL) {
		if (r == NULL)
			call_answer(c, NULL);
		else
			call_done(c, r);
		call_free(c);
		return;
	}
	call_free(c);
	if (conn != NULL && r != NULL)
		step_done(conn, step, r);
}

/* ------------------------------------------------------------------ connecting */

static void connected(const redisAsyncContext *ac, int status)
{
	(void)ac;
	(void)status; /* a failure is told by link_gone; setting this is what makes hiredis watch
			 for it */
}

static void connect_to(struct rep_conn *conn, const char *host)
{
	redisAsyncContext *ac = conn->place.port == 0 ? redisAsyncConnectUnix(conn->place.host)
						      : redisAsyncConnect(host, conn->place.port);

	if (ac == NULL) {
		conn_over(conn, REP_GONE_FAILED, "no memory");
		return;
	}
	if (ac->err != 0) {
		char text[128];

		mw_strlcpy(text, ac->errstr, sizeof(text));
		redisAsyncFree(ac);
		conn_over(conn, REP_GONE_FAILED, "%s", text);
		return;
	}
	conn->link = rep_link_new(conn->loop, ac, link_gone, conn);
	if (conn->link == NULL) {
		redisAsyncFree(ac);
		conn_over(conn, REP_GONE_FAILED, "cannot be watched");
		return;
	}
	conn->ac = ac;
	redisAsyncSetConnectCallback(ac, connected);
	if (!handshake_begin(conn))
		conn_over(conn, REP_GONE_FAILED, "cannot be spoken to");
}

static void place_resolved(void *arg, const struct mw_ip *ips, size_t count, const char *why)
{
	struct rep_conn *conn = arg;
	char text[MW_IP_TEXT_MAX];

	conn->lookup = NULL;
	if (count == 0) {
		conn_over(conn, REP_GONE_FAILED, "%s", why);
		return;
	}
	mw_timer_start(conn->timer, conn->timeout_ms, 0);
	connect_to(conn, mw_ip_format(&ips[conn->address % count], text));
}

/* Go to conn->place: numeric at once, names by way of the resolver. */
static void approach(struct rep_conn *conn)
{
	struct mw_ip ip;

	if (conn->place.port == 0 || strchr(conn->place.host, '%') != NULL ||
		mw_ip_parse(conn->place.host, &ip)) {
		mw_timer_start(conn->timer, conn->timeout_ms, 0);
		connect_to(conn, conn->place.host);
		return;
	}
	conn->lookup = rep_lookup_start(conn->loop, conn->place.host, place_resolved, conn);
	mw_timer_start(conn->timer, conn->lookup != NULL ? LOOKUP_MS : 0, 0);
}

static bool after_sentinel(struct rep_conn *conn, const redisReply *r)
{
	struct rep_place place = { .port = 0 };
	char host[REP_HOST_MAX], port[8], text[REP_HOST_MAX + 16];

	if (r->type == REDIS_REPLY_NIL) {
		conn_over(conn, REP_GONE_REFUSED, "knows no master %s",
			mw_quote(conn->server->master));
		return false;
	}
	if (r->type != REDIS_REPLY_ARRAY || r->elements != 2 ||
		r->element[0]->type != REDIS_REPLY_STRING ||
		r->element[1]->type != REDIS_REPLY_STRING)
		return refused(conn, "SENTINEL", r);
	if (!mw_strncpy(host, sizeof(host), r->element[0]->str, r->element[0]->len) ||
		!mw_strncpy(port, sizeof(port), r->element[1]->str, r->element[1]->len) ||
		host[0] == '/')
		return refused(conn, "SENTINEL", r);
	snprintf(text, sizeof(text), strchr(host, ':') != NULL ? "[%s]:%s" : "%s:%s", host, port);
	if (!rep_place_parse(text, 0, &place) || place.port == 0)
		return refused(conn, "SENTINEL", r);
	drop_context(conn);
	conn->place = place;
	conn->at_sentinel = false;
	approach(conn);
	return false; /* not ready by this */
}

/* ------------------------------------------------------------------ life */

/* The timer's first use is to begin, so that nothing is called back before rep_conn_new has
 * returned. */
static void timer_fired(void *arg)
{
	struct rep_conn *conn = arg;

	if (conn->begun) {
		too_late(conn);
		return;
	}
	conn->begun = true;
	approach(conn);
}

struct rep_conn *rep_conn_new(struct mw_loop *loop, const struct rep_server *server,
	size_t sentinel, unsigned address, uint64_t timeout_ms,
	const struct rep_conn_events *events)
{
	struct rep_conn *conn = calloc(1, sizeof(*conn));

	if (conn == NULL)
		return NULL;
	conn->loop = loop;
	conn->server = server;
	conn->events = *events;
	conn->timeout_ms = timeout_ms;
	conn->address = address;
	conn->at_sentinel = server->sentinel_count > 0;
	conn->place = conn->at_sentinel ? server->sentinels[sentinel % server->sentinel_count]
					: server->place;
	conn->timer = mw_timer_new(loop, timer_fired, conn);
	mw_timer_start(conn->timer, 0, 0);
	return conn;
}

void rep_conn_destroy(struct rep_conn **conn_p)
{
	struct rep_conn *conn = *conn_p;

	*conn_p = NULL;
	if (conn == NULL)
		return;
	conn->over = true;
	conn->ready = false;
	rep_lookup_forget(&conn->lookup);
	drop_context(conn);
	mw_timer_destroy(&conn->timer);
	free(conn);
}

bool rep_conn_is_ready(const struct rep_conn *conn)
{
	return conn != NULL && conn->ready;
}

const char *rep_conn_engine(const struct rep_conn *conn)
{
	return conn->ready ? conn->engine : "";
}
