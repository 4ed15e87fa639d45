#include "db_priv.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "log.h"

/* ------------------------------------------------------------------ one request */

/* The items that the source has something to say about. */
static size_t select_items(struct db_request *r, enum db_source source, struct db_item **chosen)
{
	size_t count = 0;

	for (size_t i = 0; i < r->count; i++) {
		struct db_item *item = &r->items[i];

		if (!item->cached && db_source_answers(r->conf, source, item->clause))
			chosen[count++] = item;
	}
	return count;
}

static enum mw_rc make_records(struct db_request *r)
{
	for (size_t i = 0; i < r->count; i++) {
		struct db_item *item = &r->items[i];

		if (item->cached)
			continue;
		item->records = db_records_new();
		if (item->records == NULL)
			return MW_ERR_NOMEM;
	}
	return MW_OK;
}

static enum mw_rc run(struct db_thread *t, struct db_request *r)
{
	struct db_item **chosen;
	enum mw_rc rc;

	if (r->work != NULL)
		return db_source_work(t, r->conf, r->work, &r->limit, &r->err);
	chosen = smtp_arena_array(&r->arena, r->count, sizeof(*chosen));
	rc = chosen != NULL ? make_records(r) : MW_ERR_NOMEM;

	for (int source = 0; source < DB_SOURCE_COUNT && rc == MW_OK; source++) {
		size_t count = select_items(r, source, chosen);

		if (count > 0)
			rc = db_source_ask(t, source, r->conf, chosen, count, &r->limit, &r->err);
	}
	return rc;
}

/* ------------------------------------------------------------------ threads */

/* NULL: it is over. */
static struct db_request *next_request(struct db_thread *t)
{
	struct db *db = t->db;
	struct db_request *r;

	pthread_mutex_lock(&db->lock);
	while (TAILQ_EMPTY(&db->waiting) && !atomic_load(&db->stopping))
		pthread_cond_wait(&db->work, &db->lock);
	r = atomic_load(&db->stopping) ? NULL : TAILQ_FIRST(&db->waiting);
	if (r != NULL) {
		TAILQ_REMOVE(&db->waiting, r, queue);
		db->waiting_count--;
		db->running_count++;
		r->state = DB_RUNS;
		t->running = r;
	}
	pthread_mutex_unlock(&db->lock);
	return r;
}

static void request_ended(struct db_thread *t, struct db_request *r)
{
	struct db *db = t->db;

	pthread_mutex_lock(&db->lock);
	t->running = NULL;
	db->running_count--;
	r->state = DB_ENDED;
	TAILQ_INSERT_TAIL(&db->ended, r, queue);
	pthread_mutex_unlock(&db->lock);
	uv_async_send(db->wake);
}

static struct db_conf *current_conf(struct db *db)
{
	struct db_conf *conf;

	pthread_mutex_lock(&db->lock);
	conf = db_conf_ref(db->conf);
	pthread_mutex_unlock(&db->lock);
	return conf;
}

static void for_all_backends(bool begin)
{
	for (int driver = 0; driver < DB_DRIVER_COUNT; driver++) {
		const struct db_backend *b = db_backend_of(driver);
		void (*call)(void) = begin ? b->thread_begin : b->thread_end;

		if (call != NULL)
			call();
	}
}

static void *thread_main(void *arg)
{
	struct db_thread *t = arg;
	struct db_conf *conf = current_conf(t->db);
	struct db_request *r;

	for_all_backends(true);
	for (int source = 0; source < DB_SOURCE_COUNT; source++)
		db_source_warm(t, source, conf);
	db_conf_unref(&conf);
	while ((r = next_request(t)) != NULL) {
		r->rc = db_limit_over(&r->limit) ? MW_ERR_TIMEOUT : run(t, r);
		request_ended(t, r);
		for (int source = 0; source < DB_SOURCE_COUNT; source++)
			db_source_fail_back(t, source);
	}
	for (int source = 0; source < DB_SOURCE_COUNT; source++)
		db_link_close(t, &t->links[source]);
	for_all_backends(false);
	return NULL;
}

void db_thread_interrupt(struct db *db, const struct db_request *r)
{
	for (size_t i = 0; i < db->thread_count; i++) {
		struct db_thread *t = db->threads[i];

		if (t->running != r)
			continue;
		for (int source = 0; source < DB_SOURCE_COUNT; source++)
			if (t->links[source].wake_fd >= 0)
				shutdown(t->links[source].wake_fd, SHUT_RDWR);
	}
}

static bool start_one(struct db *db)
{
	struct db_thread *t = calloc(1, sizeof(*t));
	char name[16];

	if (t == NULL)
		return false;
	t->db = db;
	for (int source = 0; source < DB_SOURCE_COUNT; source++)
		t->links[source].wake_fd = -1;
	if (pthread_create(&t->id, NULL, thread_main, t) != 0) {
		free(t);
		return false;
	}
	snprintf(name, sizeof(name), "%s-%u", db->writes ? "storage" : "lookup",
		(unsigned)(db->thread_count % 1000));
	pthread_setname_np(t->id, name);
	pthread_mutex_lock(&db->lock);
	db->threads[db->thread_count++] = t;
	pthread_mutex_unlock(&db->lock);
	return true;
}

enum mw_rc db_threads_start(struct db *db, unsigned wanted, struct mw_err *err_r)
{
	sigset_t all, old;

	/* Signals are the loop's. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	while (db->thread_count < wanted && start_one(db))
		;
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (db->thread_count == 0)
		return mw_fail(err_r, MW_ERR_NOMEM, "%s.threads: the system gives no thread",
			db->writes ? "storage" : "lookup");
	if (db->thread_count < wanted)
		mw_log(MW_WARN, "lookup_threads", "threads=%zu wanted=%u", db->thread_count,
			wanted);
	return MW_OK;
}

void db_threads_stop(struct db *db)
{
	struct db_request *r;

	pthread_mutex_lock(&db->lock);
	atomic_store(&db->stopping, true);
	for (size_t i = 0; i < db->thread_count; i++) {
		r = db->threads[i]->running;
		if (r == NULL)
			continue;
		atomic_store(&r->cancelled, true);
		db_thread_interrupt(db, r);
	}
	pthread_cond_broadcast(&db->work);
	pthread_mutex_unlock(&db->lock);
	for (size_t i = 0; i < db->thread_count; i++) {
		pthread_join(db->threads[i]->id, NULL);
		free(db->threads[i]);
	}
	db->thread_count = 0;
}
