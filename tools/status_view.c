#include "status_view.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define BAR_MOST 35
#define OLD_TASK_MS 30000
#define SILENT_MS 3000 /* a worker that says nothing for so long is taken for dead by its front */

/* ------------------------------------------------------------------ lines */

static void add(struct status_view *v, enum status_look look, const char *fmt, ...) MW_PRINTF(3, 4);
static void add(struct status_view *v, enum status_look look, const char *fmt, ...)
{
	struct status_line *line;
	va_list args;

	if (v->count == v->cap) {
		size_t cap = v->cap == 0 ? 64 : v->cap * 2;
		struct status_line *bigger = realloc(v->lines, cap * sizeof(*bigger));

		if (bigger == NULL) {
			v->failed = true;
			return;
		}
		v->lines = bigger;
		v->cap = cap;
	}
	line = &v->lines[v->count++];
	line->look = look;
	va_start(args, fmt);
	vsnprintf(line->text, v->width + 1, fmt, args);
	va_end(args);
	for (char *p = line->text; *p != '\0'; p++)
		if (!mw_is_printable(p, 1))
			*p = '?';
}

void status_view_fini(struct status_view *v)
{
	free(v->lines);
	*v = (struct status_view){ 0 };
}

/* ------------------------------------------------------------------ values */

static const char *text_of(const json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));

	return s != NULL ? s : "";
}

static int64_t int_of(const json_t *o, const char *key)
{
	return json_integer_value(json_object_get(o, key));
}

static int64_t ms_of(const json_t *o, const char *key)
{
	double ms = json_number_value(json_object_get(o, key));

	return ms > 0 && ms < 1e15 ? (int64_t)(ms + 0.5) : 0;
}

const char *status_octets(char buf[16], int64_t octets)
{
	static const char units[] = " KMGTPE";
	double n = octets > 0 ? (double)octets : 0;
	unsigned unit = 0;

	for (; n >= 999.5 && unit < sizeof(units) - 2; unit++)
		n /= 1024;
	if (unit == 0)
		snprintf(buf, 16, "%.0f", n);
	else
		snprintf(buf, 16, "%.*f%c", n < 9.95 ? 1 : 0, n, units[unit]);
	return buf;
}

const char *status_duration(char buf[16], int64_t ms)
{
	int64_t s = ms / 1000;

	if (ms < 0)
		snprintf(buf, 16, "-");
	else if (ms < 1000)
		snprintf(buf, 16, "%dms", (int)ms);
	else if (s < 60)
		snprintf(buf, 16, "%d.%ds", (int)s, (int)(ms % 1000 / 100));
	else if (s < 3600)
		snprintf(buf, 16, "%d:%02d", (int)(s / 60), (int)(s % 60));
	else if (s < 86400)
		snprintf(buf, 16, "%d:%02d:%02d", (int)(s / 3600), (int)(s / 60 % 60),
			(int)(s % 60));
	else if (s < 86400LL * 10000)
		snprintf(buf, 16, "%dd%02dh", (int)(s / 86400), (int)(s / 3600 % 24));
	else
		snprintf(buf, 16, "long");
	return buf;
}

const char *status_bar(char *buf, size_t most, int64_t age_ms, char letter)
{
	int64_t seconds = age_ms > 0 ? age_ms / 1000 : 0;
	size_t n = seconds < (int64_t)most ? (size_t)seconds : most;

	for (size_t i = 0; i < n; i++)
		buf[i] = i % 10 == 9 ? ':' : letter;
	if (seconds > (int64_t)most && most > 0)
		buf[most - 1] = '>';
	buf[n] = '\0';
	return buf;
}

/* { "Clean": 3, "Spam": 1 } as "Clean 3 Spam 1". */
static const char *counts_of(char *buf, size_t size, const json_t *o)
{
	const char *key;
	json_t *value;
	size_t n = 0;

	buf[0] = '\0';
	json_object_foreach((json_t *)o, key, value)
	{
		if (n < size)
			n += (size_t)snprintf(buf + n, size - n, " %s %" JSON_INTEGER_FORMAT, key,
				json_integer_value(value));
	}
	return n > 0 ? buf : " none";
}

/* ------------------------------------------------------------------ the head */

struct sums {
	int64_t fronts, up, sessions, in_flight, held;
};

static struct sums sum_fronts(const json_t *state)
{
	struct sums sum = { 0 };
	json_t *f;
	size_t i;

	json_array_foreach(json_object_get(state, "fronts"), i, f)
	{
		sum.fronts++;
		sum.up += json_is_true(json_object_get(f, "up"));
		sum.sessions += int_of(f, "sessions");
		sum.in_flight += int_of(f, "in_flight");
		sum.held += int_of(f, "held_octets");
	}
	return sum;
}

static void add_first(struct status_view *v, const json_t *state)
{
	struct sums sum = sum_fronts(state);
	time_t seconds = (time_t)(int_of(state, "time_ms") / 1000);
	char clock[16] = "--:--:--", held[16];
	struct tm tm;

	if (localtime_r(&seconds, &tm) != NULL)
		strftime(clock, sizeof(clock), "%H:%M:%S", &tm);
	add(v, sum.up == sum.fronts && sum.up > 0 ? STATUS_GOOD : STATUS_BAD,
		"mailweir %s  fronts %" PRId64 "/%" PRId64 " up  workers %zu  sessions %" PRId64
		"  in flight %" PRId64 "  held %s",
		clock, sum.up, sum.fronts, json_array_size(json_object_get(state, "workers")),
		sum.sessions, sum.in_flight, status_octets(held, sum.held));
}

static void add_rates(struct status_view *v, const json_t *state)
{
	const json_t *totals = json_object_get(state, "totals"),
		     *rates = json_object_get(state, "rates");
	const json_t *minute = json_object_get(rates, "minute"),
		     *ms = json_object_get(minute, "latency_ms");
	char size[16], p50[16], p95[16], p99[16], buf[256];

	add(v, STATUS_PLAIN,
		"last minute: %" PRId64 " mails %s  p50 %s p95 %s p99 %s  total: %" PRId64
		" mails, %" PRId64 " aborted",
		int_of(minute, "mails"), status_octets(size, int_of(minute, "octets")),
		status_duration(p50, ms_of(ms, "p50")), status_duration(p95, ms_of(ms, "p95")),
		status_duration(p99, ms_of(ms, "p99")), int_of(totals, "mails"),
		int_of(totals, "aborted"));
	add(v, STATUS_PLAIN, "contents:%s",
		counts_of(buf, sizeof(buf), json_object_get(minute, "content")));
	add(v, STATUS_PLAIN, "actions:%s",
		counts_of(buf, sizeof(buf), json_object_get(minute, "action")));
}

static void add_front_troubles(struct status_view *v, const json_t *state)
{
	json_t *f, *q;
	char age[16];
	size_t i, k;

	json_array_foreach(json_object_get(state, "fronts"), i, f)
	{
		const char *name = text_of(f, "front")[0] != '\0' ? text_of(f, "front")
								  : text_of(f, "endpoint");

		if (!json_is_true(json_object_get(f, "up")))
			add(v, STATUS_BAD, "front %s is down for %s", name,
				status_duration(age, int_of(f, "since_ms")));
		json_array_foreach(json_object_get(f, "queues"), k,
			q) if (int_of(q, "waiting") > 0) add(v, STATUS_WARN,
			"front %s: %" PRId64 " of at most %" PRId64 " %s jobs wait for a worker",
			name, int_of(q, "waiting"), int_of(q, "most"), text_of(q, "kind"));
	}
}

/* ------------------------------------------------------------------ tables */

/* Columns get what a narrow terminal can give; a wide one gives more to names. */
static int spare(const struct status_view *v, unsigned divisor, int most)
{
	int n = v->width > 80 ? (int)((v->width - 80) / divisor) : 0;

	return n < most ? n : most;
}

static void add_task(struct status_view *v, const json_t *t)
{
	int task_width = 16 + spare(v, 4, 8), client_width = 16 + spare(v, 2, 23), used;
	int64_t age = int_of(t, "age_ms");
	char bar[BAR_MOST + 1], age_text[16], size[16];
	const char *letter = text_of(t, "state");
	size_t bar_most;

	used = task_width + 1 + 8 + 1 + 11 + 1 + client_width + 1 + 6 + 1;
	bar_most = (int)v->width > used ? v->width - (unsigned)used : 0;
	if (bar_most > BAR_MOST)
		bar_most = BAR_MOST;
	add(v, age > OLD_TASK_MS ? STATUS_WARN : STATUS_PLAIN, "%-*.*s %8s %-11.11s %-*.*s %6s %s",
		task_width, task_width, text_of(t, "task"), status_duration(age_text, age),
		text_of(t, "states"), client_width, client_width, text_of(t, "client"),
		status_octets(size, int_of(t, "size")),
		status_bar(
			bar, bar_most, age, letter[0] > ' ' && letter[0] < 0x7f ? letter[0] : '='));
}

static int by_age(const void *a, const void *b)
{
	int64_t x = int_of(*(json_t *const *)a, "age_ms"),
		y = int_of(*(json_t *const *)b, "age_ms");

	return x < y ? 1 : x > y ? -1 : 0;
}

static void add_tasks(struct status_view *v, const json_t *tasks, size_t most)
{
	size_t count = json_array_size(tasks);
	json_t **oldest = calloc(count + 1, sizeof(*oldest)), *t;
	size_t i;

	if (oldest == NULL) {
		v->failed = true;
		return;
	}
	json_array_foreach(tasks, i, t) oldest[i] = t;
	qsort(oldest, count, sizeof(*oldest), by_age);
	add(v, STATUS_TITLE, "%-*s %8s %-11s %-*s %6s", 16 + spare(v, 4, 8), "TASK", "AGE",
		"STATES", 16 + spare(v, 2, 23), "CLIENT", "SIZE");
	for (i = 0; i < count && i < most; i++)
		add_task(v, oldest[i]);
	if (count > most)
		add(v, STATUS_PLAIN, "... %zu younger ones", count - most);
	free(oldest);
}

static void add_worker(struct status_view *v, const json_t *w)
{
	int64_t ago = int_of(w, "seen_ms_ago");
	bool draining = json_is_true(json_object_get(w, "draining"));
	int name_width = 18 + spare(v, 4, 14);
	char kinds[128] = "", seen[16];
	size_t i, n = 0;
	json_t *k;

	json_array_foreach(json_object_get(w, "kinds"), i, k) if (n < sizeof(kinds)) n +=
		(size_t)snprintf(kinds + n, sizeof(kinds) - n, "%s%s %" PRId64 "/%" PRId64,
			i > 0 ? " " : "", text_of(k, "kind"), int_of(k, "busy"),
			int_of(k, "slots"));
	add(v, draining || ago > SILENT_MS ? STATUS_WARN : STATUS_PLAIN,
		"%-10.10s %-*.*s %-24s %3" PRId64 "%% %5s %s%s", text_of(w, "service"), name_width,
		name_width, text_of(w, "worker"), kinds, int_of(w, "load_permille") / 10,
		status_duration(seen, ago), draining ? "draining " : "", text_of(w, "engine"));
}

static void add_workers(struct status_view *v, const json_t *workers, size_t most)
{
	size_t count = json_array_size(workers), i;
	json_t *w;

	add(v, STATUS_TITLE, "%-10s %-*s %-24s %4s %5s %s", "SERVICE", 18 + spare(v, 4, 14),
		"WORKER", "BUSY/SLOTS", "LOAD", "SEEN", "ENGINE");
	json_array_foreach(workers, i, w) if (i < most) add_worker(v, w);
	if (count > most)
		add(v, STATUS_PLAIN, "... %zu more", count - most);
	if (count == 0)
		add(v, STATUS_BAD, "no worker: mail waits, then gets 451");
}

static void add_alerts(struct status_view *v, const json_t *alerts, size_t most)
{
	char clock[16] = "--:--:--";
	struct tm tm;
	json_t *a;
	size_t i;

	if (json_array_size(alerts) == 0 || most == 0)
		return;
	add(v, STATUS_TITLE, "ALERTS");
	json_array_foreach(alerts, i, a)
	{
		time_t seconds = (time_t)(int_of(a, "time_ms") / 1000);

		if (i == most)
			break;
		if (localtime_r(&seconds, &tm) != NULL)
			strftime(clock, sizeof(clock), "%H:%M:%S", &tm);
		add(v, STATUS_WARN, "%s %s: %s", clock, text_of(a, "event"), text_of(a, "text"));
	}
}

/* ------------------------------------------------------------------ all of it */

/* How many rows each table gets when there are not enough for all; titles and "... more" lines are
 * counted too. */
struct share {
	size_t tasks, workers, alerts;
};

static struct share share_rows(size_t tasks, size_t workers, size_t alerts, size_t rows)
{
	struct share s = { tasks, workers,
		alerts < STATUS_ALERTS_SHOWN ? alerts : STATUS_ALERTS_SHOWN };
	size_t fixed = 2 + (s.alerts > 0 ? 1 : 0); /* titles */
	size_t left;

	if (rows < 16)
		s.alerts = 0;
	left = rows > fixed + s.alerts ? rows - fixed - s.alerts : 0;
	if (tasks + (workers > 0 ? workers : 1) <= left)
		return s;
	left = left > 2 ? left - 2 : 0; /* for the lines that say how many are left out */
	s.workers = workers < left / 2 ? workers : left / 2;
	s.tasks = tasks < left - s.workers ? tasks : left - s.workers;
	s.workers = workers < left - s.tasks ? workers : left - s.tasks;
	return s;
}

void status_view_build(struct status_view *v, const json_t *state, const char *trouble,
	unsigned width, unsigned rows)
{
	const json_t *tasks = json_object_get(state, "tasks"),
		     *workers = json_object_get(state, "workers");
	const json_t *alerts = json_object_get(state, "alerts");
	struct share s = { SIZE_MAX, SIZE_MAX, json_array_size(alerts) };

	v->count = 0;
	v->width = width < STATUS_WIDTH_LEAST  ? STATUS_WIDTH_LEAST
		   : width > STATUS_WIDTH_MOST ? STATUS_WIDTH_MOST
					       : width;
	if (trouble != NULL)
		add(v, STATUS_BAD, "%s", trouble);
	if (state == NULL)
		return;
	add_first(v, state);
	add_rates(v, state);
	add_front_troubles(v, state);
	if (rows > 0)
		s = share_rows(json_array_size(tasks), json_array_size(workers),
			json_array_size(alerts), rows > v->count ? rows - v->count : 0);
	add_tasks(v, tasks, s.tasks);
	add_workers(v, workers, s.workers);
	add_alerts(v, alerts, s.alerts);
	if (rows > 0 && v->count > rows)
		v->count = rows;
}
