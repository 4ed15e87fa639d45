#include "counts.h"

static const char *const section_names[STATUSSVC_SECTION_COUNT] = { "receiving", "checks", "decode",
	"virus", "spam", "penpals", "sending", "total" };

const uint32_t statussvc_metric_ms[STATUSSVC_METRIC_BUCKETS] = { 1, 2, 5, 10, 20, 50, 100, 200, 500,
	1000, 5000, 20000, 60000, 300000 };

const char *statussvc_section_name(enum statussvc_section section)
{
	return section_names[section];
}

unsigned statussvc_bucket_of(uint64_t us)
{
	unsigned octave;

	if (us < 1u << STATUSSVC_LOW_BITS)
		return 0;
	octave = 63 - (unsigned)__builtin_clzll(us) - STATUSSVC_LOW_BITS;
	if (octave >= STATUSSVC_OCTAVES)
		return STATUSSVC_BUCKETS - 1;
	/* The three bits below the first one say which eighth of the octave it is. */
	return octave * STATUSSVC_STEPS + (unsigned)((us >> (octave + STATUSSVC_LOW_BITS - 3)) & 7);
}

uint64_t statussvc_bucket_end(unsigned bucket)
{
	unsigned octave = bucket / STATUSSVC_STEPS, step = bucket % STATUSSVC_STEPS;

	return (uint64_t)(STATUSSVC_STEPS + step + 1) << (octave + STATUSSVC_LOW_BITS - 3);
}

void statussvc_counts_init(struct statussvc_counts *c)
{
	*c = (struct statussvc_counts){ 0 };
	c->seconds.span_ms = 1000;
	c->minutes.span_ms = 60 * 1000;
}

/* Major category of a record; what this program does not know counts as the catch-all. */
static unsigned content_of(const struct mw_record *r)
{
	unsigned major = r->ccat / 10;

	return major < MW_CC_COUNT ? major : MW_CC_CATCHALL;
}

/* MW_BIT() of each action that some recipient got. */
static unsigned actions_of(const struct mw_record *r)
{
	unsigned bits = 0;

	for (size_t i = 0; i < r->rcpt_count; i++)
		if ((unsigned)r->rcpts[i].action < MW_ACT_COUNT)
			bits |= MW_BIT(r->rcpts[i].action);
	return bits;
}

static void add_sections(
	struct statussvc_counts *c, const struct mw_record *r, uint64_t *total_us_r)
{
	for (size_t i = 0; i < r->elapsed_count; i++) {
		const struct mw_record_elapsed *e = &r->elapsed[i];

		for (int s = 0; s < STATUSSVC_SECTION_COUNT; s++) {
			if (!mw_octets_ieq(e->section, section_names[s]))
				continue;
			c->sections[s].count++;
			c->sections[s].wall_us += e->wall_us;
			c->sections[s].cpu_us += e->cpu_us;
			if (s == STATUSSVC_TOTAL)
				*total_us_r = e->wall_us;
		}
	}
}

static void add_metric(struct statussvc_counts *c, uint64_t us)
{
	unsigned i = 0;

	while (i < STATUSSVC_METRIC_BUCKETS && us > statussvc_metric_ms[i] * 1000ull)
		i++;
	c->metric[i]++;
}

static void add_to_ring(struct statussvc_ring *ring, const struct mw_record *r, unsigned actions,
	uint64_t total_us, uint64_t now_ms)
{
	uint64_t span = now_ms / ring->span_ms;
	struct statussvc_cell *cell = &ring->cells[span % STATUSSVC_SPANS];

	if (cell->span != span)
		*cell = (struct statussvc_cell){ .span = span };
	cell->mails++;
	cell->octets += r->size;
	cell->content[content_of(r)]++;
	for (unsigned a = 0; a < MW_ACT_COUNT; a++)
		cell->action[a] += (actions & MW_BIT(a)) != 0;
	if (total_us == UINT64_MAX)
		return;
	cell->latency[statussvc_bucket_of(total_us)]++;
	if (total_us > cell->latency_max_us)
		cell->latency_max_us = total_us;
}

void statussvc_counts_mail(struct statussvc_counts *c, const struct mw_record *r, uint64_t now_ms)
{
	uint64_t total_us = UINT64_MAX; /* not told */
	unsigned actions = actions_of(r);

	if (r->aborted) {
		c->aborted++;
		return;
	}
	c->mails++;
	c->octets += r->size;
	c->recipients += r->rcpt_count;
	c->poison += r->poison;
	c->quarantined += r->quarantine.n > 0;
	for (unsigned a = 0; a < MW_ACT_COUNT; a++)
		c->matrix[content_of(r)][a] += (actions & MW_BIT(a)) != 0;
	add_sections(c, r, &total_us);
	if (total_us != UINT64_MAX)
		add_metric(c, total_us);
	add_to_ring(&c->seconds, r, actions, total_us, now_ms);
	add_to_ring(&c->minutes, r, actions, total_us, now_ms);
}

const struct statussvc_cell *statussvc_ring_cell(
	const struct statussvc_ring *ring, uint64_t now_ms, unsigned ago)
{
	uint64_t span = now_ms / ring->span_ms;
	const struct statussvc_cell *cell;

	if (ago >= STATUSSVC_SPANS || ago > span)
		return NULL;
	cell = &ring->cells[(span - ago) % STATUSSVC_SPANS];
	return cell->span == span - ago && cell->mails > 0 ? cell : NULL;
}

void statussvc_ring_sum(
	const struct statussvc_ring *ring, uint64_t now_ms, struct statussvc_cell *sum_r)
{
	*sum_r = (struct statussvc_cell){ 0 };
	for (unsigned ago = 0; ago < STATUSSVC_SPANS; ago++) {
		const struct statussvc_cell *cell = statussvc_ring_cell(ring, now_ms, ago);

		if (cell == NULL)
			continue;
		sum_r->mails += cell->mails;
		sum_r->octets += cell->octets;
		for (unsigned i = 0; i < MW_CC_COUNT; i++)
			sum_r->content[i] += cell->content[i];
		for (unsigned i = 0; i < MW_ACT_COUNT; i++)
			sum_r->action[i] += cell->action[i];
		for (unsigned i = 0; i < STATUSSVC_BUCKETS; i++)
			sum_r->latency[i] += cell->latency[i];
		if (cell->latency_max_us > sum_r->latency_max_us)
			sum_r->latency_max_us = cell->latency_max_us;
	}
}

uint64_t statussvc_cell_latencies(const struct statussvc_cell *cell)
{
	uint64_t n = 0;

	for (unsigned i = 0; i < STATUSSVC_BUCKETS; i++)
		n += cell->latency[i];
	return n;
}

uint64_t statussvc_cell_percentile_us(const struct statussvc_cell *cell, unsigned permille)
{
	uint64_t n = statussvc_cell_latencies(cell), below = 0, end;

	if (n == 0)
		return 0;
	for (unsigned i = 0; i < STATUSSVC_BUCKETS; i++) {
		below += cell->latency[i];
		if (below * 1000 < n * permille)
			continue;
		end = statussvc_bucket_end(i);
		return end < cell->latency_max_us ? end : cell->latency_max_us;
	}
	return cell->latency_max_us;
}
