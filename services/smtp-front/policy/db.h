/*
 * Lookups in SQL and LDAP: what databases say about the addresses of a mail.
 *
 * One object for the whole front, used from the loop's thread alone. Its own threads (setting
 * lookup.threads) speak with the databases, each over connections of its own that it keeps, so that
 * a database that is slow or gone holds up the mails that wait for it and nothing else. A mail asks
 * once for all of its addresses. Every answer is kept for lookup.cache_time, also that there is
 * nothing; what is there is answered at once, without a thread.
 *
 * No lookup takes longer than lookup.timeout, whatever a database or its library does. A failed one
 * is never an empty one: the mail is deferred unless the admin has said otherwise
 * (db_failure_defers).
 */
#ifndef SMTP_DB_H
#define SMTP_DB_H

#include "conf.h"
#include "db_clause.h"
#include "db_fields.h"
#include "db_records.h"
#include "down.h"
#include "loop.h"
#include "text.h"

#define DB_QUERIES_MAX 4000 /* of one request: twice the recipients that a mail may have */

enum db_clause_id { DB_SEL_POLICY, DB_SEL_WBLIST, DB_CLAUSE_COUNT };

struct db_query {
	const char *address;	  /* without brackets; "" is the null sender */
	bool local;		  /* by the static tables: bare users are keys too */
	enum db_clause_id clause; /* sel_policy is asked of LDAP as well, where that is enabled */
	size_t arg_count;
	const char *args[DB_ARGS_MAX]; /* for the clause's "?" */
};

/* All of it is copied. */
struct db_ask {
	const struct db_query *queries;
	size_t count;
	const char *delimiter; /* recipient_delimiter; NULL: none */
	bool case_sensitive;   /* localpart_is_case_sensitive */
	uint64_t wait_ms;      /* the mail's own time; 0: lookup.timeout alone */
	/*
	 * rc MW_OK: answers has a place for each query, in their order and never NULL; they are
	 * lent, db_records_ref() keeps one. Else answers is NULL and error says why, for a log
	 * line: MW_ERR_TIMEOUT, MW_ERR_GONE (no database could be reached), MW_ERR_PROTO (one
	 * refused the query), MW_ERR_LIMIT (an answer larger than db_records.h allows),
	 * MW_ERR_NOMEM.
	 */
	void (*done)(
		void *arg, enum mw_rc rc, struct db_records *const *answers, const char *error);
	void *arg;
};

struct db;
struct db_request;

/* What db_new and db_reload would say of the settings, without a thread or a connection: --check.
 */
enum mw_rc db_settings_check(const struct mw_conf *conf, struct mw_err *err_r);

/* MW_ERR_CONF: which setting cannot be. Without databases in the settings no thread is started. */
enum mw_rc db_new(
	struct mw_loop *loop, const struct mw_conf *conf, struct db **db_r, struct mw_err *err_r);
/*
 * Waits for the threads: as long as a library of a database stays in a connect, so for
 * the end of the process. Requests in flight are never answered.
 */
void db_destroy(struct db **db_p);
/*
 * Other settings from now on. Requests in flight end with those that they began with; the cache is
 * emptied. More threads start at once, fewer are for the next start. On failure all stays.
 */
enum mw_rc db_reload(struct db *db, const struct mw_conf *conf, struct mw_err *err_r);

/* True when there is a database to ask. */
bool db_enabled(const struct db *db);
/* True when SQL is asked for lists of senders (sql_clause.sel_wblist). */
bool db_knows_senders(const struct db *db);
/* Setting lookup.failure: a mail whose lookup failed is deferred; false: it goes on as if no
 * database were set up. */
bool db_failure_defers(const struct db *db);
/* Setting trim_trailing_space_in_lookup_result_fields. */
bool db_trims(const struct db *db);

/*
 * MW_OK: the cache had it all, or no database is set up: answers has a reference of the caller's
 * for each query, done is not called. MW_AGAIN: done will be called once, from the loop, unless
 * *request_r is cancelled before; answers is untouched. Else the request was not taken:
 * MW_ERR_LIMIT (lookup.queue_limit requests wait, or too many queries, or an address that is too
 * long), MW_ERR_NOMEM.
 */
enum mw_rc db_ask(struct db *db, const struct db_ask *ask, struct db_records **answers,
	struct db_request **request_r);
/* done will not be called; *request_p becomes NULL. A thread that works on it is freed for others.
 */
void db_cancel(struct db_request **request_p);

struct db_stats {
	uint64_t requests;	     /* the cached and the refused ones among them */
	uint64_t queries, cached;    /* addresses asked for; answered by the cache */
	uint64_t refused;	     /* at the queue's limit */
	uint64_t timeouts, failures; /* requests that ended so; failures without the timeouts */
	uint64_t cancelled;
	uint64_t connects, lost; /* connections made; ended by their database or our time limit */
	size_t waiting, running; /* requests now */
	size_t cache_entries, cache_octets;
};
void db_stats(struct db *db, struct db_stats *stats_r);
/* Names the databases of the settings that could not be reached when they were last needed. */
void db_down(struct db *db, struct mw_down *down);
/* The same for GET /metrics. */
void db_metrics(struct db *db, struct mw_text *out);

#endif
