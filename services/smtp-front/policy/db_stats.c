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

static void metric(struct mw_text *out, const char *name, uint64_t value)
{
	mw_text_addf(out, "mailweir_front_lookup_%s %llu\n", name, (unsigned long long)value);
}

void db_metrics(struct db *db, struct mw_text *out)
{
	struct db_stats s;

	db_stats(db, &s);
	metric(out, "requests_total", s.requests);
	metric(out, "queries_total", s.queries);
	metric(out, "cached_total", s.cached);
	metric(out, "refused_total", s.refused);
	metric(out, "timeouts_total", s.timeouts);
	metric(out, "failures_total", s.failures);
	metric(out, "cancelled_total", s.cancelled);
	metric(out, "connects_total", s.connects);
	metric(out, "connections_lost_total", s.lost);
	metric(out, "waiting", s.waiting);
	metric(out, "running", s.running);
	metric(out, "cache_entries", s.cache_entries);
	metric(out, "cache_octets", s.cache_octets);
}
