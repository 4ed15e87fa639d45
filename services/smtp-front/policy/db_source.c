/*
 * A thread's connection to a source: made when it is wanted, kept, given up when it is dead or its
 * settings are old. The list of databases is tried in order; one that cannot be reached is left
 * alone for a while, by all threads, so that mails do not wait for it one after the other.
 */
#include "db_priv.h"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include "log.h"

static const char *setting_of(const struct db_conf *conf, enum db_source source)
{
	return source == DB_LDAP ? "default_ldap"
	       : conf->writes	 ? "storage_sql_dsn"
				 : "lookup_sql_dsn";
}

bool db_limit_over(const struct db_limit *limit)
{
	return atomic_load_explicit(limit->cancelled, memory_order_relaxed) ||
	       mw_mono_ms() >= limit->until_ms;
}

int db_limit_left_ms(const struct db_limit *limit, int most)
{
	uint64_t now = mw_mono_ms();

	if (atomic_load_explicit(limit->cancelled, memory_order_relaxed) || now >= limit->until_ms)
		return 0;
	return limit->until_ms - now < (uint64_t)most ? (int)(limit->until_ms - now) : most;
}

/* ------------------------------------------------------------------ health */

static bool may_try(struct db *db, const struct db_health *h)
{
	bool may;

	pthread_mutex_lock(&db->lock);
	may = mw_mono_ms() >= h->again_ms;
	pthread_mutex_unlock(&db->lock);
	return may;
}

/* It could not be reached, or died under a connection that was just made. Told once, not for every
 * mail. */
static void note_down(
	struct db *db, struct db_health *h, const struct db_dsn *dsn, const struct mw_err *err)
{
	uint64_t pause = DB_BACKOFF_LEAST_MS;
	bool tell;

	pthread_mutex_lock(&db->lock);
	if (mw_mono_ms() <
		h->again_ms) { /* another thread was first: one failure, not one a thread */
		pthread_mutex_unlock(&db->lock);
		return;
	}
	for (unsigned i = 0; i < h->failures && pause < DB_BACKOFF_MOST_MS; i++)
		pause *= 2;
	if (pause > DB_BACKOFF_MOST_MS)
		pause = DB_BACKOFF_MOST_MS;
	h->failures++;
	h->again_ms = mw_mono_ms() + pause;
	tell = !h->told;
	h->told = true;
	pthread_mutex_unlock(&db->lock);
	if (tell)
		mw_log(MW_WARN, db->writes ? "storage_db_down" : "lookup_db_down",
			"database=%s error=%s", dsn->shown, mw_quote(err->text));
}

static void note_up(struct db *db, struct db_health *h, const struct db_dsn *dsn)
{
	bool tell;

	pthread_mutex_lock(&db->lock);
	tell = h->told;
	h->told = false;
	h->failures = 0;
	h->again_ms = 0;
	pthread_mutex_unlock(&db->lock);
	atomic_fetch_add(&db->connects, 1);
	mw_log(tell ? MW_INFO : MW_DEBUG,
		db->writes ? tell ? "storage_db_back" : "storage_db_connected"
		: tell	   ? "lookup_db_back"
			   : "lookup_db_connected",
		"database=%s", dsn->shown);
}

void db_down(struct db *db, struct mw_down *down)
{
	const struct db_conf *conf = db->conf;

	if (conf == NULL)
		return;
	pthread_mutex_lock(&db->lock);
	for (int source = 0; source < DB_SOURCE_COUNT; source++)
		for (size_t i = 0; i < conf->sources[source].count; i++)
			if (conf->health[source][i].told)
				mw_down_add(down, conf->sources[source].dsns[i].shown);
	pthread_mutex_unlock(&db->lock);
}

/* ------------------------------------------------------------------ connections */

void db_link_close(struct db_thread *t, struct db_link *link)
{
	int fd;

	if (link->backend == NULL)
		return;
	pthread_mutex_lock(&t->db->lock);
	fd = link->wake_fd;
	link->wake_fd = -1;
	pthread_mutex_unlock(&t->db->lock);
	if (fd >= 0)
		close(fd);
	link->backend->close(&link->conn);
	link->backend = NULL;
	db_conf_unref(&link->conf);
}

/*
 * A descriptor of our own for its socket: it can be shut down from the loop's thread without fear
 * that the library closed its own meanwhile, and that the number is somebody else's.
 */
static void keep_wake_fd(struct db_thread *t, struct db_link *link)
{
	int fd = link->backend->socket(link->conn);

	if (fd >= 0)
		fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	pthread_mutex_lock(&t->db->lock);
	link->wake_fd = fd;
	pthread_mutex_unlock(&t->db->lock);
}

/* Takes the place of the connection that is there, if one is, once it has been made. */
static enum mw_rc connect_one(struct db_thread *t, enum db_source source, struct db_conf *conf,
	size_t index, const struct db_limit *limit, struct mw_err *err_r)
{
	struct db_link *link = &t->links[source];
	const struct db_dsn *dsn = &conf->sources[source].dsns[index];
	const struct db_backend *backend = db_backend_of(dsn->driver);
	struct db_limit own = *limit;
	void *conn = NULL;
	enum mw_rc rc;

	if (own.until_ms > mw_mono_ms() + conf->connect_ms)
		own.until_ms = mw_mono_ms() + conf->connect_ms;
	rc = backend->connect(conf, dsn, &own, &conn, err_r);
	if (rc != MW_OK)
		return rc;
	db_link_close(t, link);
	link->backend = backend;
	link->conn = conn;
	link->conf = db_conf_ref(conf);
	link->index = index;
	link->since_ms = mw_mono_ms();
	keep_wake_fd(t, link);
	return MW_OK;
}

/*
 * Was it the database's fault? A mail that was cancelled, or had little time left, says nothing of
 * it; but one that waited for long does, or a silent database would be tried by every mail.
 */
static bool is_to_blame(const struct db_conf *conf, const struct db_limit *limit, uint64_t began_ms)
{
	if (!db_limit_over(limit))
		return true;
	return !atomic_load(limit->cancelled) && mw_mono_ms() - began_ms >= conf->connect_ms / 2;
}

/* MW_ERR_GONE: none of the list can be reached now; MW_ERR_TIMEOUT: the request's time is up. */
static enum mw_rc connect_any(struct db_thread *t, enum db_source source, struct db_conf *conf,
	const struct db_limit *limit, struct mw_err *err_r)
{
	struct db_source_conf *list = &conf->sources[source];
	struct mw_err why = { "all of the list are left alone for a moment after failures" };

	for (size_t i = 0; i < list->count; i++) {
		struct db_health *h = &conf->health[source][i];
		struct mw_err own = { "" };
		uint64_t began_ms = mw_mono_ms();

		if (!may_try(t->db, h))
			continue;
		if (connect_one(t, source, conf, i, limit, &own) == MW_OK) {
			note_up(t->db, h, &list->dsns[i]);
			return MW_OK;
		}
		if (is_to_blame(conf, limit, began_ms))
			note_down(t->db, h, &list->dsns[i], &own);
		if (db_limit_over(limit))
			return mw_fail(err_r, MW_ERR_TIMEOUT, "%s: time was up in a connect",
				list->dsns[i].shown);
		mw_fail(&why, MW_ERR_GONE, "%.200s: %.280s", list->dsns[i].shown, own.text);
	}
	return mw_fail(err_r, MW_ERR_GONE, "no database of %s can be reached: %.400s",
		setting_of(conf, source), why.text);
}

/* One thread at a time, so that the others go on. */
static bool begin_probe(struct db *db, struct db_health *h)
{
	bool may;

	pthread_mutex_lock(&db->lock);
	may = !h->probed && mw_mono_ms() >= h->again_ms;
	h->probed = h->probed || may;
	pthread_mutex_unlock(&db->lock);
	return may;
}

static void end_probe(struct db *db, struct db_health *h)
{
	pthread_mutex_lock(&db->lock);
	h->probed = false;
	pthread_mutex_unlock(&db->lock);
}

void db_source_fail_back(struct db_thread *t, enum db_source source)
{
	struct db_link *link = &t->links[source];
	struct db_conf *conf = link->conf;
	struct db_limit limit = { UINT64_MAX, &t->db->stopping };
	struct mw_err err = { "" };

	if (link->backend == NULL || link->index == 0 ||
		mw_mono_ms() - link->since_ms < conf->failback_ms)
		return;
	link->since_ms = mw_mono_ms(); /* if it is in vain: again after that time */
	for (size_t i = 0; i < link->index; i++) {
		struct db_health *h = &conf->health[source][i];
		const struct db_dsn *dsn = &conf->sources[source].dsns[i];
		bool made;

		if (!begin_probe(t->db, h))
			continue;
		db_conf_ref(conf); /* the old connection's goes with it */
		made = connect_one(t, source, conf, i, &limit, &err) == MW_OK;
		if (made)
			note_up(t->db, h, dsn);
		else
			note_down(t->db, h, dsn, &err);
		end_probe(t->db, h);
		db_conf_unref(&conf);
		if (made)
			return;
		conf = link->conf;
	}
}

/*
 * Nobody speaks on an idle connection: what can be read is its end, or a last word before it. A
 * request that was cancelled as it ended may have shut it down as well.
 */
static bool is_silent(const struct db_link *link)
{
	struct pollfd p = { .fd = link->wake_fd, .events = POLLIN };

	return link->wake_fd < 0 || poll(&p, 1, 0) == 0;
}

/* The link is of these settings, and alive as far as can be told. *fresh_r: it has just been made.
 */
static enum mw_rc link_ready(struct db_thread *t, enum db_source source, struct db_conf *conf,
	const struct db_limit *limit, bool *fresh_r, struct mw_err *err_r)
{
	struct db_link *link = &t->links[source];

	if (link->backend != NULL &&
		(link->conf != conf || !is_silent(link) || !link->backend->usable(link->conn)))
		db_link_close(t, link);
	*fresh_r = link->backend == NULL;
	return *fresh_r ? connect_any(t, source, conf, limit, err_r) : MW_OK;
}

void db_source_warm(struct db_thread *t, enum db_source source, struct db_conf *conf)
{
	struct db_limit limit = { mw_mono_ms() + conf->connect_ms * DB_ENDPOINTS_MAX,
		&t->db->stopping };
	struct mw_err err;
	bool fresh;

	if (conf->sources[source].count > 0)
		link_ready(t, source, conf, &limit, &fresh, &err);
}

/* ------------------------------------------------------------------ asking */

static void cut_all(struct db_item *const *items, size_t count, enum db_source source)
{
	for (size_t i = 0; i < count; i++) {
		size_t n = 0;

		/* Records of SQL stand before those of LDAP. */
		while (n < items[i]->records->count &&
			items[i]->records->records[n].source != source)
			n++;
		db_records_cut(items[i]->records, n);
	}
}

static bool is_dead(enum mw_rc rc)
{
	return rc == MW_ERR_GONE || rc == MW_ERR_TIMEOUT;
}

enum mw_rc db_source_ask(struct db_thread *t, enum db_source source, struct db_conf *conf,
	struct db_item *const *items, size_t count, const struct db_limit *limit,
	struct mw_err *err_r)
{
	struct db_link *link = &t->links[source];
	struct db_source_conf *list = &conf->sources[source];
	enum mw_rc rc = MW_ERR_GONE;

	/* A kept connection may have died since; then each of the list may. Selecting twice does no
	 * harm. */
	for (size_t attempt = 0; attempt <= list->count && rc == MW_ERR_GONE; attempt++) {
		size_t index;
		bool fresh;

		rc = link_ready(t, source, conf, limit, &fresh, err_r);
		if (rc != MW_OK)
			return rc;
		index = link->index;
		/* It may have been cancelled while there was no socket yet to wake the thread by.
		 */
		rc = db_limit_over(limit)
			     ? MW_ERR_TIMEOUT
			     : link->backend->ask(link->conn, items, count, limit, err_r);
		if (!is_dead(rc))
			break;
		db_link_close(t, link);
		atomic_fetch_add(&t->db->lost, 1);
		cut_all(items, count, source);
		if (db_limit_over(limit))
			rc = mw_fail(err_r, MW_ERR_TIMEOUT, "%s: no answer in time",
				list->dsns[index].shown);
		else if (fresh)
			note_down(t->db, &conf->health[source][index], &list->dsns[index], err_r);
	}
	return rc;
}

/* What failed half-way is forgotten by its database with the connection. */
enum mw_rc db_source_work(struct db_thread *t, struct db_conf *conf, struct db_work *w,
	const struct db_limit *limit, struct mw_err *err_r)
{
	struct db_link *link = &t->links[DB_SQL];
	struct db_source_conf *list = &conf->sources[DB_SQL];
	enum mw_rc rc = MW_ERR_GONE;

	for (size_t attempt = 0; attempt <= list->count && rc == MW_ERR_GONE; attempt++) {
		struct db_session s = { .limit = limit, .err_r = err_r };
		size_t index;
		bool fresh;

		rc = link_ready(t, DB_SQL, conf, limit, &fresh, err_r);
		if (rc != MW_OK)
			return rc;
		index = link->index;
		s.backend = link->backend;
		s.conn = link->conn;
		rc = w->run(w, &s);
		if (rc == MW_OK)
			break;
		db_link_close(t, link);
		atomic_fetch_add(&t->db->lost, 1);
		if (rc == MW_ERR_GONE && fresh)
			note_down(t->db, &conf->health[DB_SQL][index], &list->dsns[index], err_r);
		if (rc == MW_ERR_GONE && db_limit_over(limit))
			rc = mw_fail(err_r, MW_ERR_TIMEOUT, "%s: no answer in time",
				list->dsns[index].shown);
	}
	return rc;
}
