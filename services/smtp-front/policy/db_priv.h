/*
 * What the files of the database lookups share: db_conf.c (settings), db.c (requests, on the loop),
 * db_thread.c (threads and their connections), db_pq.c, db_mysql.c, db_sqlite.c and db_ldap.c (one
 * library each). Nobody else includes this.
 */
#ifndef SMTP_DB_PRIV_H
#define SMTP_DB_PRIV_H

#include <pthread.h>
#include <stdatomic.h>
#include <sys/queue.h>

#include "db.h"
#include "db_cache.h"
#include "db_dsn.h"
#include "db_store.h"

#define DB_THREADS_MAX 64
/* A database that could not be reached is left alone for so long, twice as long each time more. */
#define DB_BACKOFF_LEAST_MS 250
#define DB_BACKOFF_MOST_MS 5000

/* ---- settings; never changed once made, shared by requests and threads ---- */

struct db_ldap_conf {
	char base[512], filter[2048], key_attribute[64]; /* the filter's "(attribute=%m)" */
	char bind_dn[512], bind_password[512];
	int scope, deref; /* libldap's */
	bool start_tls;
	int verify, protocol_least; /* libldap's; protocol_least 0: the library's */
	char ca_file[300], ca_path[300], cert[300], key[300];
	uint64_t timeout_ms;
};

struct db_source_conf {
	size_t count; /* 0: the source is off */
	struct db_dsn dsns[DB_ENDPOINTS_MAX];
};

/* Of one database of a list, guarded by the lock of struct db. */
struct db_health {
	unsigned failures; /* since it was last reached */
	uint64_t again_ms; /* not before */
	bool told;	   /* that it is down */
	bool probed;	   /* a thread that uses another looks whether it is back */
};

struct db_conf {
	atomic_uint refs;
	struct db_source_conf sources[DB_SOURCE_COUNT];
	struct db_health health[DB_SOURCE_COUNT][DB_ENDPOINTS_MAX];
	struct db_clause *clauses[DB_CLAUSE_COUNT][DB_SYNTAX_COUNT]; /* NULL: switched off */
	struct db_ldap_conf ldap;
	bool writes; /* of storage_sql_dsn: its connections may write */
	bool sql_no_at, ldap_no_at, defers, trims;
	unsigned threads;
	size_t queue_limit, cache_entries, cache_octets;
	uint64_t timeout_ms, connect_ms, cache_ms, failback_ms;
};

enum mw_rc db_conf_new(const struct mw_conf *conf, struct db_conf **conf_r, struct mw_err *err_r);
/* The same of the settings for the writing side (db_store.h). */
enum mw_rc db_store_conf_new(
	const struct mw_conf *conf, struct db_conf **conf_r, struct mw_err *err_r);
struct db_conf *db_conf_ref(struct db_conf *conf);
void db_conf_unref(struct db_conf **conf_p);
/* The source is set up and has something to say where that clause is asked for. */
bool db_source_answers(const struct db_conf *conf, enum db_source source, enum db_clause_id clause);
/* default_ldap (db_ldap_conf.c). */
enum mw_rc db_ldap_conf_read(const struct mw_val *table, struct db_ldap_conf *ldap_r,
	struct db_source_conf *servers_r, struct mw_err *err_r);

/* ---- time ---- */

/* Until when an operation of a backend is wanted at all. */
struct db_limit {
	uint64_t until_ms; /* of mw_mono_ms */
	atomic_bool *cancelled;
};
bool db_limit_over(const struct db_limit *limit);
/* Milliseconds that are left, 0 to most. */
int db_limit_left_ms(const struct db_limit *limit, int most);

/* ---- requests ---- */

struct db_item {
	enum db_clause_id clause;
	size_t arg_count;
	const char *args[DB_ARGS_MAX];
	struct db_keys keys[DB_SOURCE_COUNT];
	struct mw_octets cache_key;
	bool cached;
	struct db_records *records;
};

enum db_request_state { DB_WAITS, DB_RUNS, DB_ENDED };

struct db_request {
	struct db *db;
	struct db_conf *conf;
	struct smtp_arena arena; /* everything of the items but their records */
	size_t count;
	struct db_item *items;
	struct db_work *work; /* in place of items; NULL */
	struct db_limit limit;
	atomic_bool cancelled; /* nobody waits any more: the limit's */
	/* the loop's */
	void (*done)(
		void *arg, enum mw_rc rc, struct db_records *const *answers, const char *error);
	void *arg;
	TAILQ_ENTRY(db_request) pending;
	/* guarded by the lock */
	enum db_request_state state;
	TAILQ_ENTRY(db_request) queue; /* waits, or has ended and the loop has not seen it */
	/* the thread's until it has ended */
	enum mw_rc rc;
	struct mw_err err;
};
TAILQ_HEAD(db_requests, db_request);

/* ---- backends ---- */

/*
 * A kind of database. What it is asked for runs in a thread and may block, within the limit as far
 * as its library lets it. MW_ERR_GONE: the connection is dead; MW_ERR_TIMEOUT: the time is up, or
 * the request was cancelled; either way the connection is closed next. MW_ERR_PROTO: the database
 * refused, the connection is as good as before.
 */
struct db_backend {
	enum db_syntax syntax; /* not used for LDAP */
	/* limit: of the connect alone. */
	enum mw_rc (*connect)(const struct db_conf *conf, const struct db_dsn *dsn,
		const struct db_limit *limit, void **conn_r, struct mw_err *err_r);
	/* The socket that the thread may be woken by, by shutting it down; -1: has none. */
	int (*socket)(void *conn);
	/* The connection has been idle: false when it is known to be of no use any more. */
	bool (*usable)(void *conn);
	/* One after the other or all at once: the records are added to items[i]->records. */
	enum mw_rc (*ask)(void *conn, struct db_item *const *items, size_t count,
		const struct db_limit *limit, struct mw_err *err_r);
	/* One of the writing side's; those without values may be BEGIN or COMMIT. */
	enum mw_rc (*execute)(void *conn, enum db_statement id, const struct db_value *values,
		size_t count, struct db_records *records, const struct db_limit *limit,
		struct mw_err *err_r);
	void (*close)(void **conn_p);
	/* Of the thread that uses the backend; may be NULL. */
	void (*thread_begin)(void);
	void (*thread_end)(void);
};
extern const struct db_backend db_backend_pq, db_backend_mysql, db_backend_sqlite, db_backend_ldap;
const struct db_backend *db_backend_of(enum db_driver driver);
/* Libraries that want to be set up before there are threads. */
void db_mysql_library_open(void);
void db_ldap_library_open(void);

/* What a statement is in that kind of database. */
const char *db_statement_text(enum db_statement id, enum db_syntax syntax);
/* Put a work into the queue; ask has the rest. */
enum mw_rc db_enqueue_work(
	struct db *db, const struct db_ask *ask, struct db_work *w, struct db_request **request_r);

struct db_session {
	const struct db_backend *backend;
	void *conn;
	const struct db_limit *limit;
	struct mw_err *err_r;
};

/* ---- threads ---- */

/* A thread's connection to one source. */
struct db_link {
	const struct db_backend *backend; /* NULL: none */
	void *conn;
	struct db_conf *conf; /* that it was made with */
	size_t index;	      /* in the source's list */
	uint64_t since_ms;
	int wake_fd; /* a descriptor of ours for its socket, guarded by the lock; -1: none */
};

struct db_thread {
	struct db *db;
	pthread_t id;
	struct db_request *running; /* guarded by the lock */
	struct db_link links[DB_SOURCE_COUNT];
};

struct db {
	struct mw_loop *loop;
	enum mw_rc (*read_conf)(
		const struct mw_conf *conf, struct db_conf **conf_r, struct mw_err *err_r);
	struct db_conf *conf;
	bool writes; /* of storage_sql_dsn */
	struct db_cache *cache;
	struct db_records *nothing; /* the answer when no database is set up */
	struct db_requests pending; /* somebody waits for them */
	struct mw_timer *timer;
	uint64_t timer_ms; /* when it fires; 0: it does not */
	uv_async_t *wake;
	struct db_stats stats;
	/* threads */
	size_t thread_count;
	struct db_thread *threads[DB_THREADS_MAX];
	atomic_bool stopping;
	atomic_uint_fast64_t connects, lost;
	pthread_mutex_t lock;
	pthread_cond_t work;
	/* guarded by the lock */
	struct db_requests waiting, ended;
	size_t waiting_count, running_count;
};

/* As many as are wanted; those that are there stay. MW_ERR_NOMEM: there is not one. */
enum mw_rc db_threads_start(struct db *db, unsigned wanted, struct mw_err *err_r);
void db_threads_stop(struct db *db);
/* With the lock held: make the thread that works on it stop. */
void db_thread_interrupt(struct db *db, const struct db_request *r);
/* db_source.c: ask one source for the items that have not been cached, failing over along its list.
 */
enum mw_rc db_source_ask(struct db_thread *t, enum db_source source, struct db_conf *conf,
	struct db_item *const *items, size_t count, const struct db_limit *limit,
	struct mw_err *err_r);
/* The same for a work, which is the writing side's. */
enum mw_rc db_source_work(struct db_thread *t, struct db_conf *conf, struct db_work *w,
	const struct db_limit *limit, struct mw_err *err_r);
/* Connect, so that the first mail does not wait for it. */
void db_source_warm(struct db_thread *t, enum db_source source, struct db_conf *conf);
/* Between two requests: when the connection has long been to another than the first database of the
 * list, look whether a better one is back, and only then give up what works. */
void db_source_fail_back(struct db_thread *t, enum db_source source);
void db_link_close(struct db_thread *t, struct db_link *link);

#endif
