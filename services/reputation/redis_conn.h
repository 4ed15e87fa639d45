/*
 * One connection to one Redis or Valkey server: name look-up, the sentinels' word where there are
 * any, connecting, AUTH, SELECT, a look at what kind of server it is, loading the scripts; then
 * calls of them. A connection that failed once is done for: its owner destroys it and makes
 * another.
 */
#ifndef REP_REDIS_CONN_H
#define REP_REDIS_CONN_H

#include "dsn.h"
#include "loop.h"
#include "script_args.h"

struct rep_conn;
struct rep_call;

enum rep_gone {
	REP_GONE_FAILED,  /* it could not be made, or broke */
	REP_GONE_TIMEOUT, /* it was not ready in time */
	REP_GONE_CLUSTER, /* a cluster: it can never serve */
	REP_GONE_REFUSED, /* wrong password, database or rights */
};

struct rep_conn_events {
	/* Calls can be made. */
	void (*ready)(void *arg);
	/* It failed; every call has had its answer (lost). Destroy it, now or later. why is a
	 * sentence for the log. */
	void (*gone)(void *arg, enum rep_gone gone, const char *why);
	void *arg;
};

/* What came back: text is the string, or the error's text. */
struct rep_reply {
	bool is_error;
	struct mw_octets text;
};

/*
 * Begin. server, events->arg live longer than it; sentinel and address choose one of several (taken
 * modulo how many there are). timeout_ms: for what follows the look-up, to ready. Never calls back
 * before it returns. NULL: no memory.
 */
struct rep_conn *rep_conn_new(struct mw_loop *loop, const struct rep_server *server,
	size_t sentinel, unsigned address, uint64_t timeout_ms,
	const struct rep_conn_events *events);
/* Calls under way are told that they are lost. gone is not called. */
void rep_conn_destroy(struct rep_conn **conn_p);
bool rep_conn_is_ready(const struct rep_conn *conn);
/* "redis 7.0.15", "valkey 8.0.1"; "" before ready. */
const char *rep_conn_engine(const struct rep_conn *conn);

/*
 * Call a script; args_p is taken and emptied. done is called once, never before this returns: r is
 * NULL when the connection went (then nobody knows whether it was done). A script the server has
 * forgotten (restart, SCRIPT FLUSH) is sent along once more. NULL when it cannot be sent; args_p is
 * emptied then too.
 */
struct rep_call *rep_conn_call(struct rep_conn *conn, enum rep_script script,
	struct rep_args *args_p, void (*done)(void *arg, const struct rep_reply *r), void *arg);
/* done is not called any more. */
void rep_call_forget(struct rep_call *call);

#endif
