#include "db_priv.h"

void db_stats(struct db *db, struct db_stats *stats_r)
{
	*stats_r = db->stats;
	stats_r->connects = atomic_load(&db->connects);
	stats_r->lost = atomic_load(&db->lost);
	pthread_mutex_lock(&db->lock);
	stats_r->waiting = db->waiting_count;
	stats_r->running = db->running_count;
	pthread_mutex_unlock(&db->lock);
	stats_r->cache_entries = db_cache_entries(db->cache);
	stats_r->cache_octets = db_cache_octets(db->cache);
}

static void metric(const struct db *db, struct mw_text *out, const char *name, uint64_t value)
{
	mw_text_addf(out, "mailweir_front_%s_%s %llu\n", db->writes ? "storage" : "lookup", name,
		(unsigned long long)value);
}

void db_metrics(struct db *db, struct mw_text *out)
{
	struct db_stats s;

	db_stats(db, &s);
	metric(db, out, "requests_total", s.requests);
	metric(db, out, "queries_total", s.queries);
	metric(db, out, "cached_total", s.cached);
	metric(db, out, "refused_total", s.refused);
	metric(db, out, "timeouts_total", s.timeouts);
	metric(db, out, "failures_total", s.failures);
	metric(db, out, "cancelled_total", s.cancelled);
	metric(db, out, "connects_total", s.connects);
	metric(db, out, "connections_lost_total", s.lost);
	metric(db, out, "waiting", s.waiting);
	metric(db, out, "running", s.running);
	metric(db, out, "cache_entries", s.cache_entries);
	metric(db, out, "cache_octets", s.cache_octets);
}
