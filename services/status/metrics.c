/* The live state as Prometheus text. Workers are summed by service and kind: their names change
 * with each start. */
#include "views.h"

#include <inttypes.h>
#include <stdlib.h>

static void family(struct mw_text *out, const char *name, const char *type, const char *help)
{
	mw_text_addf(out, "# HELP mailweir_%s %s\n# TYPE mailweir_%s %s\n", name, help, name, type);
}

static void plain(
	struct mw_text *out, const char *name, const char *type, const char *help, uint64_t v)
{
	family(out, name, type, help);
	mw_text_addf(out, "mailweir_%s %" PRIu64 "\n", name, v);
}

static void totals(struct mw_text *out, const struct statussvc_live *l)
{
	const struct statussvc_counts *c = &l->counts;

	family(out, "mails_total", "counter",
		"Mails by contents and by each action that a recipient got");
	for (unsigned cc = 0; cc < MW_CC_COUNT; cc++)
		for (unsigned a = 0; a < MW_ACT_COUNT; a++)
			if (c->matrix[cc][a] > 0)
				mw_text_addf(out,
					"mailweir_mails_total{content=\"%s\",action=\"%s\"} "
					"%" PRIu64 "\n",
					mw_ccat_name(MW_CCAT(cc, 0)),
					mw_action_name((enum mw_action)a), c->matrix[cc][a]);
	plain(out, "mails_aborted_total", "counter", "Mails given a 4xx before a decision",
		c->aborted);
	plain(out, "mail_octets_total", "counter", "Octets of mails", c->octets);
	plain(out, "recipients_total", "counter", "Recipients of mails", c->recipients);
	plain(out, "poison_total", "counter", "Mails set aside as poison", c->poison);
	plain(out, "quarantined_total", "counter", "Mails put into quarantine", c->quarantined);
	plain(out, "alerts_total", "counter", "Alerts from fronts", l->alerts_seen);
	plain(out, "records_lost_total", "counter", "Mail records that could not be had again",
		l->records_lost);
}

static void latency(struct mw_text *out, const struct statussvc_counts *c)
{
	uint64_t below = 0;

	family(out, "mail_seconds", "histogram", "Time from MAIL to the reply to the final dot");
	for (unsigned i = 0; i < STATUSSVC_METRIC_BUCKETS; i++) {
		below += c->metric[i];
		mw_text_addf(out, "mailweir_mail_seconds_bucket{le=\"%g\"} %" PRIu64 "\n",
			(double)statussvc_metric_ms[i] / 1000.0, below);
	}
	below += c->metric[STATUSSVC_METRIC_BUCKETS];
	mw_text_addf(out, "mailweir_mail_seconds_bucket{le=\"+Inf\"} %" PRIu64 "\n", below);
	mw_text_addf(out,
		"mailweir_mail_seconds_sum %.6f\nmailweir_mail_seconds_count %" PRIu64 "\n",
		(double)c->sections[STATUSSVC_TOTAL].wall_us / 1e6, below);
	family(out, "section_seconds_total", "counter", "Time spent in each part of a mail's path");
	for (int s = 0; s < STATUSSVC_SECTION_COUNT; s++)
		mw_text_addf(out, "mailweir_section_seconds_total{section=\"%s\"} %.6f\n",
			statussvc_section_name((enum statussvc_section)s),
			(double)c->sections[s].wall_us / 1e6);
	family(out, "section_cpu_seconds_total", "counter",
		"CPU time spent there, where it is known");
	for (int s = 0; s < STATUSSVC_SECTION_COUNT; s++)
		mw_text_addf(out, "mailweir_section_cpu_seconds_total{section=\"%s\"} %.6f\n",
			statussvc_section_name((enum statussvc_section)s),
			(double)c->sections[s].cpu_us / 1e6);
}

static uint64_t front_up(const struct statussvc_front *f)
{
	return f->up;
}

static uint64_t front_sessions(const struct statussvc_front *f)
{
	return f->state.sessions;
}

static uint64_t front_in_flight(const struct statussvc_front *f)
{
	return f->state.in_flight;
}

static uint64_t front_held(const struct statussvc_front *f)
{
	return f->state.held_octets;
}

static void fronts(struct mw_text *out, const struct statussvc_live *l)
{
	static const struct {
		const char *name, *help;
		uint64_t (*value)(const struct statussvc_front *f);
		bool needs_state;
	} gauges[] = {
		{ "front_up", "1 while the front answers", front_up, false },
		{ "front_sessions", "SMTP sessions", front_sessions, true },
		{ "front_in_flight", "Mails in flight", front_in_flight, true },
		{ "front_held_octets", "Octets of the mails in flight", front_held, true },
	};

	for (size_t g = 0; g < MW_COUNT(gauges); g++) {
		family(out, gauges[g].name, "gauge", gauges[g].help);
		for (size_t i = 0; i < l->front_count; i++) {
			const struct statussvc_front *f = &l->fronts[i];

			if (gauges[g].needs_state && !(f->up && f->has_state))
				continue;
			mw_text_addf(out, "mailweir_%s{", gauges[g].name);
			mw_text_add_label(out, "front", f->endpoint);
			mw_text_addf(out, "} %" PRIu64 "\n", gauges[g].value(f));
		}
	}
}

static void queues(struct mw_text *out, const struct statussvc_live *l)
{
	family(out, "queue_waiting", "gauge", "Jobs waiting for a worker");
	for (size_t i = 0; i < l->front_count; i++) {
		const struct statussvc_front *f = &l->fronts[i];

		for (size_t q = 0; f->up && q < f->state.queue_count; q++) {
			mw_text_add(out, "mailweir_queue_waiting{");
			mw_text_add_label(out, "front", f->endpoint);
			mw_text_add(out, ",");
			mw_text_add_label(out, "kind", f->state.queues[q].kind);
			mw_text_addf(out, "} %" PRIu32 "\n", f->state.queues[q].waiting);
		}
	}
}

/* Sums by service and kind; more distinct ones than this are of no house of ours and left out. */
#define SUMS_MAX 32
struct sum {
	const char *service, *kind;
	uint64_t workers, slots, busy;
};

static struct sum *sum_at(struct sum *sums, size_t *count, const char *service, const char *kind)
{
	for (size_t i = 0; i < *count; i++)
		if (strcmp(sums[i].service, service) == 0 && strcmp(sums[i].kind, kind) == 0)
			return &sums[i];
	if (*count == SUMS_MAX)
		return NULL;
	sums[*count] = (struct sum){ .service = service, .kind = kind };
	return &sums[(*count)++];
}

static void sum_line(struct mw_text *out, const char *name, const struct sum *s, uint64_t v)
{
	mw_text_addf(out, "mailweir_%s{", name);
	mw_text_add_label(out, "service", s->service);
	mw_text_add(out, ",");
	mw_text_add_label(out, "kind", s->kind);
	mw_text_addf(out, "} %" PRIu64 "\n", v);
}

static void workers(struct mw_text *out, const struct statussvc_live *l, uint64_t now_ms)
{
	struct statussvc_worker *list;
	struct sum sums[SUMS_MAX], *s;
	size_t count, n = 0;

	if (statussvc_live_workers(l, now_ms, &list, &count) != MW_OK)
		out->failed = true;
	for (size_t i = 0; i < count; i++) {
		for (size_t k = 0; k < list[i].kind_count; k++) {
			s = sum_at(sums, &n, list[i].latest->service, list[i].kinds[k].kind);
			if (s == NULL)
				continue;
			s->workers++;
			s->slots += list[i].kinds[k].slots;
			s->busy += list[i].kinds[k].busy;
		}
	}
	family(out, "workers", "gauge", "Live workers");
	for (size_t i = 0; i < n; i++)
		sum_line(out, "workers", &sums[i], sums[i].workers);
	family(out, "worker_slots", "gauge", "Jobs that they take at once");
	for (size_t i = 0; i < n; i++)
		sum_line(out, "worker_slots", &sums[i], sums[i].slots);
	family(out, "worker_busy", "gauge", "Jobs that they have in hand");
	for (size_t i = 0; i < n; i++)
		sum_line(out, "worker_busy", &sums[i], sums[i].busy);
	free(list);
}

void statussvc_metrics(struct mw_text *out, const struct statussvc_live *l, uint64_t now_ms)
{
	totals(out, l);
	latency(out, &l->counts);
	fronts(out, l);
	queues(out, l);
	workers(out, l, now_ms);
}
