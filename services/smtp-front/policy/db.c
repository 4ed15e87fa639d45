#include "db_priv.h"

#include <stdlib.h>

/* ------------------------------------------------------------------ requests */

/* The thread that had it is done with it, or no thread has seen it. */
static void request_free(struct db_request **r_p)
{
	struct db_request *r = *r_p;

	*r_p = NULL;
	for (size_t i = 0; r->items != NULL && i < r->count; i++)
		db_records_unref(&r->items[i].records);
	if (r->work != NULL)
		r->work->destroy(r->work);
	smtp_arena_fini(&r->arena);
	db_conf_unref(&r->conf);
	free(r);
}

/* Everything that the answer depends on, so that a mail with other arguments has another answer. */
static bool make_cache_key(struct smtp_arena *a, struct db_item *item)
{
	struct mw_text key = { 0 };
	const struct db_keys *k = item->keys;
	unsigned char *copy;

	mw_text_addf(&key, "%d", (int)item->clause);
	mw_text_add_octets(&key, k->localpart, strlen(k->localpart) + 1);
	for (int source = 0; source < DB_SOURCE_COUNT; source++) {
		for (size_t i = 0; i < k[source].count; i++)
			mw_text_add_octets(&key, k[source].keys[i], strlen(k[source].keys[i]) + 1);
		mw_text_add_octets(&key, "", 1);
	}
	for (size_t i = 0; i < item->arg_count; i++)
		mw_text_add_octets(&key, item->args[i], strlen(item->args[i]) + 1);
	copy = key.failed ? NULL : smtp_arena_get(a, key.n);
	if (copy != NULL)
		item->cache_key = mw_octets_of(memcpy(copy, key.p, key.n), key.n);
	mw_text_fini(&key);
	return copy != NULL;
}

static enum mw_rc fill_item(struct db_request *r, const struct db_ask *ask,
	const struct db_query *q, struct db_item *item)
{
	enum mw_rc rc = MW_OK;

	item->clause = q->clause;
	item->arg_count = q->arg_count < DB_ARGS_MAX ? q->arg_count : DB_ARGS_MAX;
	for (size_t i = 0; i < item->arg_count; i++) {
		item->args[i] = smtp_arena_copy(&r->arena, q->args[i], strlen(q->args[i]));
		if (item->args[i] == NULL)
			return MW_ERR_NOMEM;
	}
	for (int source = 0; source < DB_SOURCE_COUNT && rc == MW_OK; source++) {
		struct db_notation how = {
			.delimiter = ask->delimiter,
			.case_sensitive = ask->case_sensitive,
			.no_at_means_domain =
				source == DB_SQL ? r->conf->sql_no_at : r->conf->ldap_no_at,
			.local = q->local,
			.brackets_for_null = source == DB_LDAP,
		};

		if (db_source_answers(r->conf, source, q->clause) || source == DB_SQL)
			rc = db_keys_make(&r->arena, q->address, &how, &item->keys[source]);
	}
	if (rc == MW_OK && !make_cache_key(&r->arena, item))
		rc = MW_ERR_NOMEM;
	return rc;
}

static enum mw_rc fill_request(struct db_request *r, const struct db_ask *ask)
{
	uint64_t wait_ms = r->conf->timeout_ms;
	enum mw_rc rc = MW_OK;

	if (ask->wait_ms > 0 && ask->wait_ms < wait_ms)
		wait_ms = ask->wait_ms;
	atomic_init(&r->cancelled, false);
	r->limit = (struct db_limit){ mw_mono_ms() + wait_ms, &r->cancelled };
	r->done = ask->done;
	r->arg = ask->arg;
	r->items = smtp_arena_array(&r->arena, ask->count, sizeof(*r->items));
	if (r->items == NULL)
		return MW_ERR_NOMEM;
	r->count = ask->count;
	for (size_t i = 0; i < ask->count && rc == MW_OK; i++)
		rc = fill_item(r, ask, &ask->queries[i], &r->items[i]);
	return rc;
}

static struct db_records *known_answer(struct db *db, struct db_item *item)
{
	if (!db_source_answers(db->conf, DB_SQL, item->clause) &&
		!db_source_answers(db->conf, DB_LDAP, item->clause))
		return db_records_ref(db->nothing);
	return db_cache_get(db->cache, item->cache_key, mw_mono_ms());
}

/* True: all of them. */
static bool take_from_cache(struct db *db, struct db_request *r)
{
	size_t known = 0;

	for (size_t i = 0; i < r->count; i++) {
		r->items[i].records = known_answer(db, &r->items[i]);
		r->items[i].cached = r->items[i].records != NULL;
		known += r->items[i].cached;
	}
	db->stats.queries += r->count;
	db->stats.cached += known;
	return known == r->count;
}

/* ------------------------------------------------------------------ answers */

/* Nobody waits for it any more. True: no thread has it or is about to, so that it is the caller's
 * to free. */
static bool abandon(struct db_request *r)
{
	struct db *db = r->db;
	enum db_request_state state;

	TAILQ_REMOVE(&db->pending, r, pending);
	r->done = NULL;
	pthread_mutex_lock(&db->lock);
	state = r->state;
	if (state == DB_WAITS) {
		TAILQ_REMOVE(&db->waiting, r, queue);
		db->waiting_count--;
	} else if (state == DB_RUNS) {
		atomic_store(&r->cancelled, true);
		db_thread_interrupt(db, r);
	}
	pthread_mutex_unlock(&db->lock);
	return state == DB_WAITS;
}

static void keep_answers(struct db *db, const struct db_request *r)
{
	uint64_t now = mw_mono_ms();

	if (r->rc != MW_OK || r->conf != db->conf)
		return; /* what failed is asked again; what was read by old settings is not kept */
	for (size_t i = 0; i < r->count; i++)
		if (!r->items[i].cached)
			db_cache_put(db->cache, r->items[i].cache_key, r->items[i].records, now);
}

static void give_answers(struct db_request *r)
{
	struct db *db = r->db;
	struct db_records **answers = NULL;

	TAILQ_REMOVE(&db->pending, r, pending);
	if (r->rc == MW_OK) {
		answers = smtp_arena_array(&r->arena, r->count + 1, sizeof(*answers));
		for (size_t i = 0; answers != NULL && i < r->count; i++)
			answers[i] = r->items[i].records;
		if (answers == NULL)
			r->rc = MW_ERR_NOMEM;
	}
	if (r->rc == MW_ERR_TIMEOUT)
		db->stats.timeouts++;
	else if (r->rc != MW_OK)
		db->stats.failures++;
	r->done(r->arg, r->rc, answers,
		r->rc == MW_OK		 ? ""
		: r->err.text[0] != '\0' ? r->err.text
					 : mw_rc_name(r->rc));
}

/* Threads have ended requests. */
static void on_wake(uv_async_t *wake)
{
	struct db *db = wake->data;
	struct db_requests ended = TAILQ_HEAD_INITIALIZER(ended);
	struct db_request *r;

	pthread_mutex_lock(&db->lock);
	TAILQ_CONCAT(&ended, &db->ended, queue);
	pthread_mutex_unlock(&db->lock);
	while ((r = TAILQ_FIRST(&ended)) != NULL) {
		TAILQ_REMOVE(&ended, r, queue);
		keep_answers(db, r);
		if (r->done != NULL) /* else it was abandoned: the cache still has gained by it */
			give_answers(r);
		request_free(&r);
	}
}

/* ------------------------------------------------------------------ time limits */

static void arm(struct db *db, uint64_t until_ms)
{
	uint64_t now = mw_mono_ms();

	if (db->timer_ms != 0 && db->timer_ms <= until_ms)
		return;
	db->timer_ms = until_ms;
	mw_timer_start(db->timer, until_ms > now ? until_ms - now : 1, 0);
}

static struct db_request *find_late(struct db *db, uint64_t now)
{
	struct db_request *r;

	TAILQ_FOREACH(r, &db->pending, pending)
	{
		bool ended;

		if (r->limit.until_ms > now)
			continue;
		pthread_mutex_lock(&db->lock);
		ended = r->state == DB_ENDED;
		pthread_mutex_unlock(&db->lock);
		if (!ended) /* else its answer is on its way */
			return r;
	}
	return NULL;
}

static void on_time(void *arg)
{
	struct db *db = arg;
	uint64_t now = mw_mono_ms();
	struct db_request *r;

	db->timer_ms = 0;
	/* From the start each time: done may cancel others. */
	while ((r = find_late(db, now)) != NULL) {
		void (*done)(void *, enum mw_rc, struct db_records *const *, const char *) =
			r->done;
		void *done_arg = r->arg;
		bool ours;

		db->stats.timeouts++;
		ours = abandon(r);
		done(done_arg, MW_ERR_TIMEOUT, NULL, "no answer within the time limit");
		if (ours) /* only now: the argument may be the request's own work */
			request_free(&r);
	}
	TAILQ_FOREACH(r, &db->pending, pending)
	if (r->limit.until_ms > now)
		arm(db, r->limit.until_ms);
}

/* ------------------------------------------------------------------ asking */

static enum mw_rc enqueue(struct db *db, struct db_request *r)
{
	bool full;

	pthread_mutex_lock(&db->lock);
	full = db->waiting_count >= db->conf->queue_limit;
	if (!full) {
		TAILQ_INSERT_TAIL(&db->waiting, r, queue);
		db->waiting_count++;
		pthread_cond_signal(&db->work);
	}
	pthread_mutex_unlock(&db->lock);
	if (full) {
		db->stats.refused++;
		return MW_ERR_LIMIT;
	}
	TAILQ_INSERT_TAIL(&db->pending, r, pending);
	arm(db, r->limit.until_ms);
	return MW_OK;
}

static void hand_over(struct db_request *r, struct db_records **answers)
{
	for (size_t i = 0; i < r->count; i++) {
		answers[i] = r->items[i].records;
		r->items[i].records = NULL;
	}
}

enum mw_rc db_ask(struct db *db, const struct db_ask *ask, struct db_records **answers,
	struct db_request **request_r)
{
	struct db_request *r;
	enum mw_rc rc;

	if (ask->count > DB_QUERIES_MAX)
		return MW_ERR_LIMIT;
	r = calloc(1, sizeof(*r));
	if (r == NULL)
		return MW_ERR_NOMEM;
	r->db = db;
	r->conf = db_conf_ref(db->conf);
	rc = fill_request(r, ask);
	if (rc == MW_OK)
		db->stats.requests++;
	if (rc == MW_OK && take_from_cache(db, r)) {
		hand_over(r, answers);
	} else if (rc == MW_OK) {
		rc = enqueue(db, r);
		if (rc == MW_OK) {
			*request_r = r;
			return MW_AGAIN;
		}
	}
	request_free(&r);
	return rc;
}

enum mw_rc db_enqueue_work(
	struct db *db, const struct db_ask *ask, struct db_work *w, struct db_request **request_r)
{
	struct db_request *r = calloc(1, sizeof(*r));
	enum mw_rc rc = MW_ERR_NOMEM;

	if (r == NULL) {
		w->destroy(w);
		return rc;
	}
	r->db = db;
	r->conf = db_conf_ref(db->conf);
	r->work = w;
	rc = fill_request(r, ask);
	if (rc == MW_OK) {
		db->stats.requests++;
		rc = enqueue(db, r);
	}
	if (rc == MW_OK)
		*request_r = r;
	else
		request_free(&r);
	return rc;
}

void db_cancel(struct db_request **request_p)
{
	struct db_request *r = *request_p;

	*request_p = NULL;
	if (r == NULL)
		return;
	r->db->stats.cancelled++;
	if (abandon(r))
		request_free(&r);
}

/* ------------------------------------------------------------------ the object */

static void free_wake(uv_handle_t *h)
{
	free(h);
}

static bool open_wake(struct db *db)
{
	db->wake = calloc(1, sizeof(*db->wake));
	if (db->wake != NULL && uv_async_init(mw_loop_uv(db->loop), db->wake, on_wake) != 0) {
		free(db->wake);
		db->wake = NULL;
	}
	if (db->wake != NULL)
		db->wake->data = db;
	return db->wake != NULL;
}

static struct db_cache *cache_for(const struct db_conf *conf)
{
	return db_cache_new(conf->cache_ms, conf->cache_entries, conf->cache_octets);
}

static enum mw_rc open_db(struct mw_loop *loop, const struct mw_conf *conf,
	enum mw_rc (*read_conf)(const struct mw_conf *, struct db_conf **, struct mw_err *),
	struct db **db_r, struct mw_err *err_r)
{
	struct db *db = calloc(1, sizeof(*db));
	enum mw_rc rc;

	if (db == NULL)
		return MW_ERR_NOMEM;
	db->loop = loop;
	db->read_conf = read_conf;
	db->writes = read_conf == db_store_conf_new;
	TAILQ_INIT(&db->pending);
	TAILQ_INIT(&db->waiting);
	TAILQ_INIT(&db->ended);
	pthread_mutex_init(&db->lock, NULL);
	pthread_cond_init(&db->work, NULL);
	db_mysql_library_open();
	db_ldap_library_open();
	rc = read_conf(conf, &db->conf, err_r);
	if (rc == MW_OK) {
		db->cache = cache_for(db->conf);
		db->nothing = db_records_new();
		db->timer = mw_timer_new(loop, on_time, db);
		if (db->cache == NULL || db->nothing == NULL || !open_wake(db))
			rc = MW_ERR_NOMEM;
	}
	if (rc == MW_OK && db_enabled(db))
		rc = db_threads_start(db, db->conf->threads, err_r);
	if (rc != MW_OK)
		db_destroy(&db);
	else
		*db_r = db;
	return rc;
}

enum mw_rc db_new(
	struct mw_loop *loop, const struct mw_conf *conf, struct db **db_r, struct mw_err *err_r)
{
	return open_db(loop, conf, db_conf_new, db_r, err_r);
}

enum mw_rc db_store_new(
	struct mw_loop *loop, const struct mw_conf *conf, struct db **db_r, struct mw_err *err_r)
{
	return open_db(loop, conf, db_store_conf_new, db_r, err_r);
}

static void free_all(struct db_requests *list)
{
	struct db_request *r;

	while ((r = TAILQ_FIRST(list)) != NULL) {
		TAILQ_REMOVE(list, r, queue);
		request_free(&r);
	}
}

void db_destroy(struct db **db_p)
{
	struct db *db = *db_p;

	*db_p = NULL;
	if (db == NULL)
		return;
	db_threads_stop(db);
	free_all(&db->waiting);
	free_all(&db->ended);
	if (db->wake != NULL)
		uv_close((uv_handle_t *)db->wake, free_wake);
	if (db->timer != NULL)
		mw_timer_destroy(&db->timer);
	db_cache_destroy(&db->cache);
	db_records_unref(&db->nothing);
	db_conf_unref(&db->conf);
	pthread_cond_destroy(&db->work);
	pthread_mutex_destroy(&db->lock);
	free(db);
}

enum mw_rc db_reload(struct db *db, const struct mw_conf *conf, struct mw_err *err_r)
{
	struct db_conf *old = db->conf, *fresh = NULL;
	struct db_cache *cache = NULL;
	enum mw_rc rc = db->read_conf(conf, &fresh, err_r);

	if (rc == MW_OK) {
		cache = cache_for(fresh);
		rc = cache != NULL ? MW_OK : MW_ERR_NOMEM;
	}
	if (rc == MW_OK && (fresh->sources[DB_SQL].count > 0 || fresh->sources[DB_LDAP].count > 0))
		rc = db_threads_start(db, fresh->threads, err_r);
	if (rc != MW_OK) {
		db_cache_destroy(&cache);
		db_conf_unref(&fresh);
		return rc;
	}
	pthread_mutex_lock(&db->lock);
	db->conf = fresh;
	pthread_mutex_unlock(&db->lock);
	db_conf_unref(&old);
	db_cache_destroy(&db->cache);
	db->cache = cache;
	return MW_OK;
}

bool db_enabled(const struct db *db)
{
	return db->conf->sources[DB_SQL].count > 0 || db->conf->sources[DB_LDAP].count > 0;
}

bool db_knows_senders(const struct db *db)
{
	return db_source_answers(db->conf, DB_SQL, DB_SEL_WBLIST);
}

bool db_failure_defers(const struct db *db)
{
	return db->conf->defers;
}

bool db_trims(const struct db *db)
{
	return db->conf->trims;
}
