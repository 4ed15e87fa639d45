/*
 * The writing side of the databases (storage_sql_dsn): works that run a few statements each, over a
 * connection of a thread's own, within a time limit. A work is a transaction: when it is given up
 * half-way its connection is closed and the database forgets what was done. Threads, queue, limits
 * and failover are those of lookups (db.h), of an object of its own.
 */
#ifndef SMTP_DB_STORE_H
#define SMTP_DB_STORE_H

#include "db.h"

/* amavisd's tables (README.sql): their names and columns are known here alone. */
enum db_statement {
	DB_BEGIN,
	DB_COMMIT,
	DB_ADDRESS_PUT, /* partition_tag, email, domain; nothing when it is there */
	DB_ADDRESS_GET, /* partition_tag, email: id */
	DB_MAIL_PUT,	/* in the order of its columns (db_store.c) */
	DB_RCPT_PUT,
	DB_CHUNK_PUT, /* partition_tag, mail_id, chunk_ind, mail_text */
	/* What is kept, read back: quarantine_stored.c has their columns. */
	DB_MAIL_GET,  /* mail_id */
	DB_MAILS_GET, /* time_num from, and before; how many, and behind how many: newest first */
	DB_MAILS_GET_OLDEST, /* the same, oldest first */
	DB_RCPTS_GET,	     /* partition_tag, mail_id */
	DB_CHUNK_COUNT,	     /* partition_tag, mail_id */
	DB_CHUNK_GET,	     /* partition_tag, mail_id, chunk_ind */
	DB_RCPT_RELEASED,    /* partition_tag, mail_id, partition_tag, email */
	DB_CHUNKS_DROP,	     /* partition_tag, mail_id */
	DB_RCPTS_DROP,
	DB_MAIL_DROP,
	DB_STATEMENT_COUNT
};

#define DB_VALUES_MAX 24 /* of a statement */

enum db_value_type { DB_V_NULL, DB_V_TEXT, DB_V_OCTETS, DB_V_INT, DB_V_REAL };

/* Text has to be UTF-8, with a NUL behind it and none in it. Borrowed. */
struct db_value {
	enum db_value_type type;
	const void *p;
	size_t n;
	int64_t number;
	double real;
};

/* A connection, while a work runs. */
struct db_session;
/*
 * Run a statement. records, which may be NULL, gets what it answers. MW_ERR_GONE, MW_ERR_TIMEOUT,
 * MW_ERR_PROTO, MW_ERR_LIMIT, MW_ERR_NOMEM: err of db_session_err() says why, and the work is over.
 */
enum mw_rc db_run(struct db_session *s, enum db_statement id, const struct db_value *values,
	size_t count, struct db_records *records);
struct mw_err *db_session_err(struct db_session *s);
/* SQLite: one writer at a time. */
bool db_session_is_exclusive(const struct db_session *s);

struct db_work {
	/*
	 * In a thread. MW_ERR_GONE: nothing has been done, and another connection is tried; after
	 * that it runs from its beginning. What failed otherwise is over.
	 */
	enum mw_rc (*run)(struct db_work *w, struct db_session *s);
	/* On the loop; once, whatever became of it. */
	void (*destroy)(struct db_work *w);
};

/* MW_ERR_CONF: which setting cannot be; needed: some method wants a database. */
enum mw_rc db_store_settings_check(const struct mw_conf *conf, bool needed, struct mw_err *err_r);
/* As db_new(); the object is for db_store_do(), db_reload(), db_cancel(), db_metrics(),
 * db_destroy(). */
enum mw_rc db_store_new(
	struct mw_loop *loop, const struct mw_conf *conf, struct db **db_r, struct mw_err *err_r);
/*
 * MW_OK: done is called once from the loop (its answers mean nothing), unless *request_r is
 * cancelled before; the work is still there meanwhile. Else w has been destroyed: MW_ERR_LIMIT
 * (storage.queue_limit), MW_ERR_GONE (no database is set up), MW_ERR_NOMEM. wait_ms 0:
 * storage.timeout alone.
 */
enum mw_rc db_store_do(struct db *db, struct db_work *w, uint64_t wait_ms,
	void (*done)(
		void *arg, enum mw_rc rc, struct db_records *const *answers, const char *error),
	void *arg, struct db_request **request_r);

#endif
