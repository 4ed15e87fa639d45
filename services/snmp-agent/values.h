/* The values of all objects: counters fed by mail records, gauges worked out from the fronts' state
 * snapshots. */
#ifndef SNMPSVC_VALUES_H
#define SNMPSVC_VALUES_H

#include "events.h"
#include "objects.h"

#define SNMPSVC_FRONTS_MAX 64  /* whose gauges are summed up */
#define SNMPSVC_AGE_SLOTS 22   /* objects 2.2.1 to 2.2.22 */
#define SNMPSVC_WORKERS_MAX 64 /* of a front, remembered to notice that one vanished */

/* What one front's latest snapshot adds to the gauges. */
struct snmpsvc_front {
	char endpoint[MW_ENDPOINT_MAX];
	uint64_t busy, idle, by_activity[5]; /* transfer, decode, virus, spam, other */
	uint64_t by_age[SNMPSVC_AGE_SLOTS];
	size_t worker_count;
	struct {
		char name[MW_NAME_MAX];
		bool draining;
	} workers[SNMPSVC_WORKERS_MAX];
};

struct snmpsvc_values {
	uint64_t v[SNMPSVC_OBJECTS]; /* by index into snmpsvc_objects */
	char descr[128], contact[256], name[256], location[256];
	uint64_t started_ms; /* mw_mono_ms */
	size_t front_count;
	struct snmpsvc_front fronts[SNMPSVC_FRONTS_MAX];
	size_t first_proc; /* index of procGone: those behind it stand in the order of their OIDs */
};

void snmpsvc_values_init(struct snmpsvc_values *vs, uint64_t now_ms);
void snmpsvc_values_mail(struct snmpsvc_values *vs, const struct mw_record *r);
void snmpsvc_values_state(
	struct snmpsvc_values *vs, const char *endpoint, const struct mw_state *s);
/* The front is down: its gauges go. */
void snmpsvc_values_down(struct snmpsvc_values *vs, const char *endpoint);
/* Text of a TEXT object. */
const char *snmpsvc_values_text(const struct snmpsvc_values *vs, size_t object);
/* Value as SNMP shows it: wrapped, scaled. */
uint64_t snmpsvc_values_number(const struct snmpsvc_values *vs, size_t object, uint64_t now_ms);

#endif
