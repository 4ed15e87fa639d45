/* The live state as one JSON object. The only file that includes <jansson.h>. */
#include "views.h"

#include <jansson.h>
#include <stdlib.h>

/* Every addition may run out of memory: one sticky flag, asked at the end. */
struct doc {
	bool failed;
	const struct statussvc_live *l;
	uint64_t now_ms;
};

/* Takes value, also when it could not be added. */
static void put(struct doc *d, json_t *object, const char *key, json_t *value)
{
	if (json_object_set_new_nocheck(object, key, value) != 0)
		d->failed = true;
}

static void append(struct doc *d, json_t *array, json_t *value)
{
	if (json_array_append_new(array, value) != 0)
		d->failed = true;
}

static void put_int(struct doc *d, json_t *object, const char *key, uint64_t v)
{
	put(d, object, key, json_integer(v <= INT64_MAX ? (json_int_t)v : INT64_MAX));
}

static void put_ms(struct doc *d, json_t *object, const char *key, uint64_t us)
{
	put(d, object, key, json_real((double)us / 1000.0));
}

static void put_text(struct doc *d, json_t *object, const char *key, const char *s)
{
	char clean[MW_ENDPOINT_MAX];

	statussvc_clean(clean, sizeof(clean), mw_octets_of_text(s));
	put(d, object, key, json_string(clean));
}

static void put_bool(struct doc *d, json_t *object, const char *key, bool v)
{
	put(d, object, key, json_boolean(v));
}

static json_t *totals(struct doc *d)
{
	const struct statussvc_counts *c = &d->l->counts;
	json_t *o = json_object();

	put_int(d, o, "mails", c->mails);
	put_int(d, o, "aborted", c->aborted);
	put_int(d, o, "octets", c->octets);
	put_int(d, o, "recipients", c->recipients);
	put_int(d, o, "poison", c->poison);
	put_int(d, o, "quarantined", c->quarantined);
	put_int(d, o, "alerts", d->l->alerts_seen);
	put_int(d, o, "records_lost", d->l->records_lost);
	put_int(d, o, "snapshots_dropped", d->l->fronts_over);
	return o;
}

/* { "Clean": { "PASS": 10 }, ... }: what never happened is left out. */
static json_t *mails_by_content(struct doc *d)
{
	json_t *o = json_object();

	for (unsigned cc = 0; cc < MW_CC_COUNT; cc++) {
		json_t *row = json_object();

		for (unsigned a = 0; a < MW_ACT_COUNT; a++)
			if (d->l->counts.matrix[cc][a] > 0)
				put_int(d, row, mw_action_name((enum mw_action)a),
					d->l->counts.matrix[cc][a]);
		if (json_object_size(row) > 0)
			put(d, o, mw_ccat_name(MW_CCAT(cc, 0)), row);
		else
			json_decref(row);
	}
	return o;
}

static json_t *latency(struct doc *d, const struct statussvc_cell *sum)
{
	json_t *o = json_object();

	put_int(d, o, "count", statussvc_cell_latencies(sum));
	put_ms(d, o, "p50", statussvc_cell_percentile_us(sum, 500));
	put_ms(d, o, "p95", statussvc_cell_percentile_us(sum, 950));
	put_ms(d, o, "p99", statussvc_cell_percentile_us(sum, 990));
	put_ms(d, o, "max", sum->latency_max_us);
	return o;
}

static json_t *rate(struct doc *d, const struct statussvc_ring *ring)
{
	json_t *o = json_object(), *content = json_object(), *action = json_object();
	struct statussvc_cell sum;

	statussvc_ring_sum(ring, d->now_ms, &sum);
	for (unsigned i = 0; i < MW_CC_COUNT; i++)
		if (sum.content[i] > 0)
			put_int(d, content, mw_ccat_name(MW_CCAT(i, 0)), sum.content[i]);
	for (unsigned i = 0; i < MW_ACT_COUNT; i++)
		if (sum.action[i] > 0)
			put_int(d, action, mw_action_name((enum mw_action)i), sum.action[i]);
	put_int(d, o, "mails", sum.mails);
	put_int(d, o, "octets", sum.octets);
	put(d, o, "content", content);
	put(d, o, "action", action);
	put(d, o, "latency_ms", latency(d, &sum));
	return o;
}

static json_t *history(struct doc *d)
{
	json_t *array = json_array();

	for (unsigned ago = STATUSSVC_SPANS; ago > 0; ago--) {
		const struct statussvc_cell *cell =
			statussvc_ring_cell(&d->l->counts.minutes, d->now_ms, ago - 1);

		append(d, array, json_integer(cell != NULL ? (json_int_t)cell->mails : 0));
	}
	return array;
}

static json_t *queues(struct doc *d, const struct mw_state *s)
{
	json_t *array = json_array();

	for (size_t i = 0; i < s->queue_count; i++) {
		json_t *o = json_object();

		put_text(d, o, "kind", s->queues[i].kind);
		put_int(d, o, "waiting", s->queues[i].waiting);
		put_int(d, o, "most", s->queues[i].most);
		append(d, array, o);
	}
	return array;
}

static json_t *front(struct doc *d, const struct statussvc_front *f)
{
	json_t *o = json_object();

	put_text(d, o, "endpoint", f->endpoint);
	put_bool(d, o, "up", f->up);
	put_int(d, o, "since_ms", d->now_ms - f->changed_ms);
	if (!f->has_state)
		return o;
	put_int(d, o, "age_ms", d->now_ms - f->state_ms);
	put_text(d, o, "front", f->state.front);
	put_text(d, o, "host", f->state.host);
	put_text(d, o, "software", f->state.software);
	put_int(d, o, "mails_done", f->state.mails_done);
	put_int(d, o, "uptime_ms", f->state.uptime_ms);
	if (!f->up)
		return o;
	put_int(d, o, "sessions", f->state.sessions);
	put_int(d, o, "in_flight", f->state.in_flight);
	put_int(d, o, "tasks_told", f->state.task_count);
	put_int(d, o, "held_octets", f->state.held_octets);
	put(d, o, "queues", queues(d, &f->state));
	return o;
}

static json_t *fronts(struct doc *d)
{
	json_t *array = json_array();

	for (size_t i = 0; i < d->l->front_count; i++)
		append(d, array, front(d, &d->l->fronts[i]));
	return array;
}

static json_t *task(struct doc *d, const struct statussvc_front *f, const struct mw_state_task *t)
{
	const char letter[2] = { t->letter, '\0' };
	json_t *o = json_object();

	put_text(d, o, "task", t->log_id);
	put_text(d, o, "front", f->state.front);
	put_int(d, o, "age_ms", t->age_ms + (d->now_ms - f->state_ms));
	put_text(d, o, "state", letter);
	put_text(d, o, "states", t->states);
	put_int(d, o, "size", t->size);
	put_text(d, o, "client", t->client_ip);
	put_text(d, o, "detail", t->detail);
	return o;
}

static json_t *tasks(struct doc *d)
{
	json_t *array = json_array();

	for (size_t i = 0; i < d->l->front_count; i++) {
		const struct statussvc_front *f = &d->l->fronts[i];

		for (size_t t = 0; t < f->state.task_count; t++)
			append(d, array, task(d, f, &f->state.tasks[t]));
	}
	return array;
}

static json_t *worker(struct doc *d, const struct statussvc_worker *w)
{
	json_t *o = json_object(), *kinds = json_array();

	put_text(d, o, "service", w->latest->service);
	put_text(d, o, "worker", w->latest->worker);
	put_text(d, o, "address", w->latest->address);
	put_text(d, o, "software", w->latest->software);
	put_text(d, o, "engine", w->latest->engine);
	put_int(d, o, "seen_ms_ago", w->seen_ms_ago);
	put_int(d, o, "since_ms", w->since_ms);
	put_int(d, o, "done", w->done);
	put_int(d, o, "load_permille", w->latest->load_permille);
	put_bool(d, o, "draining", w->latest->draining);
	put_int(d, o, "fronts", w->fronts);
	for (size_t i = 0; i < w->kind_count; i++) {
		json_t *k = json_object();

		put_text(d, k, "kind", w->kinds[i].kind);
		put_int(d, k, "slots", w->kinds[i].slots);
		put_int(d, k, "busy", w->kinds[i].busy);
		append(d, kinds, k);
	}
	put(d, o, "kinds", kinds);
	return o;
}

static json_t *workers(struct doc *d)
{
	json_t *array = json_array();
	struct statussvc_worker *list;
	size_t count;

	if (statussvc_live_workers(d->l, d->now_ms, &list, &count) != MW_OK)
		d->failed = true;
	for (size_t i = 0; i < count; i++)
		append(d, array, worker(d, &list[i]));
	free(list);
	return array;
}

static json_t *alerts(struct doc *d)
{
	const struct statussvc_alert *a;
	json_t *array = json_array();

	for (size_t i = 0; (a = statussvc_live_alert_at(d->l, i)) != NULL; i++) {
		json_t *o = json_object();

		put_int(d, o, "time_ms", a->wall_ms);
		put_text(d, o, "event", a->event);
		put_text(d, o, "text", a->text);
		/* As text: a random number of 64 bits is no longer exact in JavaScript. */
		put(d, o, "incarnation",
			json_sprintf("%016llx", (unsigned long long)a->incarnation));
		put_int(d, o, "sequence", a->sequence);
		append(d, array, o);
	}
	return array;
}

static int add_octets(const char *p, size_t n, void *out)
{
	mw_text_add_octets(out, p, n);
	return ((struct mw_text *)out)->failed ? -1 : 0;
}

enum mw_rc statussvc_json(
	struct mw_text *out, const struct statussvc_live *l, uint64_t now_ms, uint64_t wall_ms)
{
	struct doc d = { .l = l, .now_ms = now_ms };
	json_t *root = json_object(), *rates = json_object();

	put_text(&d, root, "version", MW_VERSION);
	put_int(&d, root, "time_ms", wall_ms);
	put_int(&d, root, "uptime_ms", now_ms - l->started_ms);
	put_int(&d, root, "fronts_up", statussvc_live_fronts_up(l));
	put(&d, root, "totals", totals(&d));
	put(&d, root, "mails", mails_by_content(&d));
	put(&d, rates, "minute", rate(&d, &l->counts.seconds));
	put(&d, rates, "hour", rate(&d, &l->counts.minutes));
	put(&d, root, "rates", rates);
	put(&d, root, "history", history(&d));
	put(&d, root, "fronts", fronts(&d));
	put(&d, root, "tasks", tasks(&d));
	put(&d, root, "workers", workers(&d));
	put(&d, root, "alerts", alerts(&d));
	if (d.failed || json_dump_callback(
				root, add_octets, out, JSON_COMPACT | JSON_REAL_PRECISION(9)) != 0)
		d.failed = true;
	json_decref(root);
	return d.failed ? MW_ERR_NOMEM : MW_OK;
}
