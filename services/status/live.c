#include "live.h"

#include <stdlib.h>

#include "log.h"

enum mw_rc statussvc_live_init(struct statussvc_live *l, size_t max_fronts, size_t max_alerts,
	uint64_t keep_front_ms, uint64_t now_ms)
{
	*l = (struct statussvc_live){
		.max_fronts = max_fronts,
		.max_alerts = max_alerts,
		.keep_front_ms = keep_front_ms,
		.started_ms = now_ms,
	};
	statussvc_counts_init(&l->counts);
	l->fronts = calloc(max_fronts, sizeof(*l->fronts));
	l->alerts = calloc(max_alerts, sizeof(*l->alerts));
	if (l->fronts != NULL && l->alerts != NULL)
		return MW_OK;
	statussvc_live_fini(l);
	return MW_ERR_NOMEM;
}

static void drop_snapshot(struct statussvc_front *f)
{
	free(f->state.tasks);
	free(f->state.workers);
	f->state.tasks = NULL;
	f->state.workers = NULL;
	f->state.task_count = 0;
	f->state.worker_count = 0;
}

void statussvc_live_fini(struct statussvc_live *l)
{
	for (size_t i = 0; i < l->front_count; i++)
		drop_snapshot(&l->fronts[i]);
	free(l->fronts);
	free(l->alerts);
	*l = (struct statussvc_live){ 0 };
}

void statussvc_clean(char *dst, size_t size, struct mw_octets text)
{
	size_t n = text.n < size - 1 ? text.n : size - 1;

	for (size_t i = 0; i < n; i++)
		dst[i] = mw_is_printable(text.p + i, 1) ? (char)text.p[i] : '?';
	dst[n] = '\0';
}

static void remove_front(struct statussvc_live *l, size_t i)
{
	drop_snapshot(&l->fronts[i]);
	l->front_count--;
	memmove(&l->fronts[i], &l->fronts[i + 1], (l->front_count - i) * sizeof(l->fronts[0]));
}

/* A front that is up has a better claim to room than one that is only remembered. */
static bool make_room(struct statussvc_live *l)
{
	for (size_t i = 0; i < l->front_count && l->front_count == l->max_fronts; i++)
		if (!l->fronts[i].up)
			remove_front(l, i);
	return l->front_count < l->max_fronts;
}

static struct statussvc_front *front_at(
	struct statussvc_live *l, const char *endpoint, uint64_t now_ms)
{
	struct statussvc_front *f;

	for (size_t i = 0; i < l->front_count; i++)
		if (strcmp(l->fronts[i].endpoint, endpoint) == 0)
			return &l->fronts[i];
	if (!make_room(l)) {
		if (l->fronts_over++ == 0)
			mw_log(MW_WARN, "fronts_over_limit",
				"endpoint=%s status.max_fronts=%zu: raise it to see them all",
				mw_quote(endpoint), l->max_fronts);
		return NULL;
	}
	f = &l->fronts[l->front_count++];
	*f = (struct statussvc_front){ .changed_ms = now_ms };
	mw_strlcpy(f->endpoint, endpoint, sizeof(f->endpoint));
	return f;
}

/* *copy_r: NULL when there are none. */
static bool copy_array(void **copy_r, const void *items, size_t count, size_t size)
{
	*copy_r = NULL;
	if (count == 0)
		return true;
	*copy_r = malloc(count * size);
	if (*copy_r == NULL)
		return false;
	memcpy(*copy_r, items, count * size);
	return true;
}

void statussvc_live_state(
	struct statussvc_live *l, const char *endpoint, const struct mw_state *s, uint64_t now_ms)
{
	struct statussvc_front *f = front_at(l, endpoint, now_ms);
	void *tasks = NULL, *workers = NULL;

	if (f == NULL)
		return;
	if (!copy_array(&tasks, s->tasks, s->task_count, sizeof(*s->tasks)) ||
		!copy_array(&workers, s->workers, s->worker_count, sizeof(*s->workers))) {
		free(tasks);
		mw_log(MW_ERROR, "snapshot_lost", "endpoint=%s reason=no_memory",
			mw_quote(endpoint));
		return; /* the one before stays, and its age tells */
	}
	drop_snapshot(f);
	f->state = *s;
	f->state.tasks = tasks;
	f->state.workers = workers;
	f->has_state = true;
	f->state_ms = now_ms;
	if (!f->up)
		f->changed_ms = now_ms;
	f->up = true;
}

void statussvc_live_front(struct statussvc_live *l, const char *endpoint, bool up, uint64_t now_ms)
{
	struct statussvc_front *f = front_at(l, endpoint, now_ms);

	if (f == NULL)
		return;
	if (f->up != up)
		f->changed_ms = now_ms;
	f->up = up;
	if (!up)
		drop_snapshot(f); /* what it had in hand is not known any more */
}

void statussvc_live_alert(struct statussvc_live *l, uint64_t incarnation, uint64_t sequence,
	const char *event, struct mw_octets text, uint64_t wall_ms)
{
	struct statussvc_alert *a = &l->alerts[l->alert_next];

	*a = (struct statussvc_alert){
		.wall_ms = wall_ms, .incarnation = incarnation, .sequence = sequence
	};
	statussvc_clean(a->event, sizeof(a->event), mw_octets_of_text(event));
	statussvc_clean(a->text, sizeof(a->text), text);
	l->alert_next = (l->alert_next + 1) % l->max_alerts;
	if (l->alert_count < l->max_alerts)
		l->alert_count++;
	l->alerts_seen++;
}

const struct statussvc_alert *statussvc_live_alert_at(const struct statussvc_live *l, size_t n)
{
	if (n >= l->alert_count)
		return NULL;
	return &l->alerts[(l->alert_next + l->max_alerts - 1 - n) % l->max_alerts];
}

void statussvc_live_gap(struct statussvc_live *l, uint64_t from, uint64_t to)
{
	if (to >= from)
		l->records_lost += to - from + 1;
}

void statussvc_live_expire(struct statussvc_live *l, uint64_t now_ms)
{
	for (size_t i = l->front_count; i > 0; i--) {
		const struct statussvc_front *f = &l->fronts[i - 1];

		if (!f->up && now_ms - f->changed_ms >= l->keep_front_ms)
			remove_front(l, i - 1);
	}
}

size_t statussvc_live_fronts_up(const struct statussvc_live *l)
{
	size_t up = 0;

	for (size_t i = 0; i < l->front_count; i++)
		up += l->fronts[i].up;
	return up;
}

/* ------------------------------------------------------------------ workers over all fronts */

struct seen_worker {
	const struct mw_state_worker *w;
	uint64_t age_ms; /* of the snapshot */
};

static int by_name(const void *a, const void *b)
{
	const struct mw_state_worker *x = ((const struct seen_worker *)a)->w,
				     *y = ((const struct seen_worker *)b)->w;
	int by_service = strcmp(x->service, y->service);

	return by_service != 0 ? by_service : strcmp(x->worker, y->worker);
}

static void merge_kinds(struct statussvc_worker *to, const struct mw_state_worker *w)
{
	for (size_t i = 0; i < w->kind_count; i++) {
		size_t k = 0;

		while (k < to->kind_count && strcmp(to->kinds[k].kind, w->kinds[i].kind) != 0)
			k++;
		if (k == MW_KINDS_MAX)
			continue; /* fronts that disagree about one worker's kinds */
		if (k == to->kind_count) {
			to->kinds[k].kind = w->kinds[i].kind;
			to->kind_count++;
		}
		to->kinds[k].slots += w->kinds[i].slots;
		to->kinds[k].busy += w->kinds[i].busy;
	}
}

static void merge_worker(struct statussvc_worker *to, const struct seen_worker *seen)
{
	uint64_t ago = seen->w->seen_ms_ago + seen->age_ms;

	if (to->latest == NULL || ago < to->seen_ms_ago) {
		to->latest = seen->w;
		to->seen_ms_ago = ago;
	}
	if (seen->w->since_ms > to->since_ms)
		to->since_ms = seen->w->since_ms;
	if (seen->w->done > to->done)
		to->done = seen->w->done;
	to->fronts++;
	merge_kinds(to, seen->w);
}

static size_t collect(const struct statussvc_live *l, uint64_t now_ms, struct seen_worker *seen)
{
	size_t n = 0;

	for (size_t i = 0; i < l->front_count; i++) {
		const struct statussvc_front *f = &l->fronts[i];

		for (size_t w = 0; w < f->state.worker_count; w++)
			seen[n++] =
				(struct seen_worker){ &f->state.workers[w], now_ms - f->state_ms };
	}
	return n;
}

enum mw_rc statussvc_live_workers(const struct statussvc_live *l, uint64_t now_ms,
	struct statussvc_worker **workers_r, size_t *count_r)
{
	struct statussvc_worker *merged = NULL;
	struct seen_worker *seen = NULL;
	size_t total = 0, n = 0;

	*workers_r = NULL;
	*count_r = 0;
	for (size_t i = 0; i < l->front_count; i++)
		total += l->fronts[i].state.worker_count;
	if (total == 0)
		return MW_OK;
	seen = calloc(total, sizeof(*seen));
	merged = calloc(total, sizeof(*merged));
	if (seen == NULL || merged == NULL) {
		free(seen);
		free(merged);
		return MW_ERR_NOMEM;
	}
	total = collect(l, now_ms, seen);
	qsort(seen, total, sizeof(*seen), by_name);
	for (size_t i = 0; i < total; i++) {
		if (i > 0 && by_name(&seen[i - 1], &seen[i]) != 0)
			n++;
		merge_worker(&merged[n], &seen[i]);
	}
	free(seen);
	*workers_r = merged;
	*count_r = n + 1;
	return MW_OK;
}
