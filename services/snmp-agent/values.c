#include "values.h"

#include <stdio.h>

/* From 2.1.1 on, in the order of the table. */
enum { GONE, ALL, IDLE, BUSY, ACTIVITY, AGES = ACTIVITY + 5 };

/* amavisd's slots of 2.2: a mail counts in all up to its age. */
static const uint64_t age_ms[SNMPSVC_AGE_SLOTS] = { 0, 100, 200, 500, 1000, 2000, 4000, 8000, 15000,
	30000, 60000, 120000, 240000, 480000, 900000, 1800000, 3600000, 7200000, 14400000, 28800000,
	54000000, 108000000 };

void snmpsvc_values_init(struct snmpsvc_values *vs, uint64_t now_ms)
{
	*vs = (struct snmpsvc_values){ .started_ms = now_ms,
		.first_proc = snmpsvc_object_named("procGone") };
	(void)snprintf(vs->descr, sizeof(vs->descr), "mailweir %s", MW_VERSION);
	vs->v[snmpsvc_object_named("sysServices")] = 64; /* applications, RFC 3418 */
}

void snmpsvc_values_mail(struct snmpsvc_values *vs, const struct mw_record *r)
{
	for (size_t i = 0; i < SNMPSVC_OBJECTS; i++)
		vs->v[i] += snmpsvc_measure(&snmpsvc_objects[i], r);
}

/* ------------------------------------------------------------------ gauges */

static void sum_up(struct snmpsvc_values *vs)
{
	uint64_t *proc = &vs->v[vs->first_proc];

	memset(proc + 1, 0, (AGES + SNMPSVC_AGE_SLOTS - 1) * sizeof(*proc));
	for (size_t f = 0; f < vs->front_count; f++) {
		const struct snmpsvc_front *front = &vs->fronts[f];

		proc[ALL] += front->busy + front->idle;
		proc[IDLE] += front->idle;
		proc[BUSY] += front->busy;
		for (size_t i = 0; i < MW_COUNT(front->by_activity); i++)
			proc[ACTIVITY + i] += front->by_activity[i];
		for (size_t i = 0; i < SNMPSVC_AGE_SLOTS; i++)
			proc[AGES + i] += front->by_age[i];
	}
}

static size_t activity_of(char letter)
{
	switch (letter) {
	case 'm':
	case 'd':
	case 'F':
		return 0;
	case 'D':
		return 1;
	case 'V':
		return 2;
	case 'S':
		return 3;
	default:
		return 4;
	}
}

static struct snmpsvc_front *front_named(struct snmpsvc_values *vs, const char *endpoint)
{
	for (size_t i = 0; i < vs->front_count; i++)
		if (strcmp(vs->fronts[i].endpoint, endpoint) == 0)
			return &vs->fronts[i];
	if (vs->front_count == SNMPSVC_FRONTS_MAX)
		return NULL;
	vs->fronts[vs->front_count] = (struct snmpsvc_front){ 0 };
	mw_strlcpy(vs->fronts[vs->front_count].endpoint, endpoint, sizeof(vs->fronts[0].endpoint));
	return &vs->fronts[vs->front_count++];
}

/* Workers of the last snapshot that are not in this one, and did not say goodbye. */
static uint64_t vanished(const struct snmpsvc_front *front, const struct mw_state *s)
{
	uint64_t n = 0;

	for (size_t i = 0; i < front->worker_count; i++) {
		size_t k = 0;

		while (k < s->worker_count &&
			strcmp(s->workers[k].worker, front->workers[i].name) != 0)
			k++;
		n += k == s->worker_count && !front->workers[i].draining ? 1 : 0;
	}
	return n;
}

static void remember_workers(struct snmpsvc_front *front, const struct mw_state *s)
{
	front->idle = 0;
	front->worker_count = 0;
	for (size_t i = 0; i < s->worker_count; i++) {
		const struct mw_state_worker *w = &s->workers[i];

		for (size_t k = 0; k < w->kind_count; k++)
			if (w->kinds[k].slots > w->kinds[k].busy)
				front->idle += w->kinds[k].slots - w->kinds[k].busy;
		if (front->worker_count == SNMPSVC_WORKERS_MAX)
			continue;
		mw_strlcpy(front->workers[front->worker_count].name, w->worker,
			sizeof(front->workers[0].name));
		front->workers[front->worker_count++].draining = w->draining;
	}
}

void snmpsvc_values_state(struct snmpsvc_values *vs, const char *endpoint, const struct mw_state *s)
{
	struct snmpsvc_front *front = front_named(vs, endpoint);

	if (front == NULL)
		return;
	vs->v[vs->first_proc + GONE] += vanished(front, s);
	remember_workers(front, s);
	front->busy = s->in_flight > s->task_count ? s->in_flight : s->task_count;
	memset(front->by_activity, 0, sizeof(front->by_activity));
	memset(front->by_age, 0, sizeof(front->by_age));
	for (size_t i = 0; i < s->task_count; i++) {
		front->by_activity[activity_of(s->tasks[i].letter)]++;
		for (size_t k = 1; k < SNMPSVC_AGE_SLOTS && s->tasks[i].age_ms >= age_ms[k]; k++)
			front->by_age[k]++;
	}
	front->by_age[0] = front->busy;
	/* Of those that the snapshot only counts nothing else is known. */
	front->by_activity[4] += front->busy - s->task_count;
	sum_up(vs);
}

void snmpsvc_values_down(struct snmpsvc_values *vs, const char *endpoint)
{
	for (size_t i = 0; i < vs->front_count; i++) {
		if (strcmp(vs->fronts[i].endpoint, endpoint) != 0)
			continue;
		vs->fronts[i] = vs->fronts[--vs->front_count];
		break;
	}
	sum_up(vs);
}

/* ------------------------------------------------------------------ as shown */

const char *snmpsvc_values_text(const struct snmpsvc_values *vs, size_t object)
{
	const struct {
		const char *name, *text;
	} texts[] = {
		{ "sysDescr", vs->descr },
		{ "sysContact", vs->contact },
		{ "sysName", vs->name },
		{ "sysLocation", vs->location },
	};

	for (size_t i = 0; i < MW_COUNT(texts); i++)
		if (strcmp(texts[i].name, snmpsvc_objects[object].name) == 0)
			return texts[i].text;
	return "";
}

uint64_t snmpsvc_values_number(const struct snmpsvc_values *vs, size_t object, uint64_t now_ms)
{
	uint64_t v = vs->v[object];

	switch (snmpsvc_objects[object].type) {
	case SNMPSVC_TICKS:
		return (now_ms - vs->started_ms) / 10 % (1ull << 32);
	case SNMPSVC_C32:
		return v % (1ull << 32); /* agents expect a wrap, not saturation */
	case SNMPSVC_GAUGE:
		return v < UINT32_MAX ? v : UINT32_MAX; /* RFC 2578 section 7.1.7 */
	case SNMPSVC_INTERVAL:
		return v / 10000 % (1ull << 31);
	default:
		return v;
	}
}
