/*
 * The live state: what the fronts tell, kept in bounded memory, to be shown by json.c and
 * metrics.c. No socket and no clock in here: now_ms is of a clock that never jumps, wall_ms is the
 * time of day.
 */
#ifndef STATUSSVC_LIVE_H
#define STATUSSVC_LIVE_H

#include "counts.h"
#include "events.h"

struct statussvc_front {
	char endpoint[MW_ENDPOINT_MAX];
	bool up;
	uint64_t changed_ms; /* when it came or went */
	bool has_state;
	uint64_t state_ms; /* when the snapshot came */
	struct mw_state
		state; /* tasks and workers are our own copy; none while the front is down */
};

struct statussvc_alert {
	uint64_t wall_ms, incarnation, sequence;
	char event[64], text[256]; /* printable ASCII */
};

struct statussvc_live {
	size_t max_fronts, front_count;
	struct statussvc_front *fronts;
	uint64_t keep_front_ms;
	uint64_t fronts_over; /* what was told of fronts that there is no room for */
	size_t max_alerts, alert_count, alert_next;
	struct statussvc_alert *alerts; /* a ring */
	uint64_t alerts_seen, records_lost;
	uint64_t started_ms;
	struct statussvc_counts counts;
};

/* MW_OK or MW_ERR_NOMEM. */
enum mw_rc statussvc_live_init(struct statussvc_live *l, size_t max_fronts, size_t max_alerts,
	uint64_t keep_front_ms, uint64_t now_ms);
void statussvc_live_fini(struct statussvc_live *l);

/* The snapshot is copied; the front counts as up from now on. */
void statussvc_live_state(
	struct statussvc_live *l, const char *endpoint, const struct mw_state *s, uint64_t now_ms);
void statussvc_live_front(struct statussvc_live *l, const char *endpoint, bool up, uint64_t now_ms);
void statussvc_live_alert(struct statussvc_live *l, uint64_t incarnation, uint64_t sequence,
	const char *event, struct mw_octets text, uint64_t wall_ms);
void statussvc_live_gap(struct statussvc_live *l, uint64_t from, uint64_t to);
/* Forget fronts that have been down for keep_front_ms. */
void statussvc_live_expire(struct statussvc_live *l, uint64_t now_ms);
/* The nth alert, latest first; NULL behind the last. */
const struct statussvc_alert *statussvc_live_alert_at(const struct statussvc_live *l, size_t n);
size_t statussvc_live_fronts_up(const struct statussvc_live *l);

/* A worker as all fronts together see it. */
struct statussvc_worker {
	const struct mw_state_worker *latest; /* as told by the front that heard of it last */
	uint64_t seen_ms_ago, since_ms, done;
	unsigned fronts;
	size_t kind_count;
	struct {
		const char *kind;
		uint32_t slots, busy; /* over all fronts: a worker divides its slots among them */
	} kinds[MW_KINDS_MAX];
};

/*
 * Workers of all fronts that are up, by service and name. *workers_r is malloc'ed, points into *l,
 * and is NULL when *count_r is 0. MW_OK or MW_ERR_NOMEM.
 */
enum mw_rc statussvc_live_workers(const struct statussvc_live *l, uint64_t now_ms,
	struct statussvc_worker **workers_r, size_t *count_r);

/* Text from outside as printable ASCII, other octets as "?", cut to what fits. */
void statussvc_clean(char *dst, size_t size, struct mw_octets text);

#endif
