#include "budget.h"

#include <malloc.h>

/* Of the time of a job this part is kept for the raw mail, which is always scanned. */
#define RAW_SHARE 5
#define RAW_MOST_MS 10000
#define MEMORY_STEP (4u << 20) /* the heap is looked at whenever so many octets came out */

const char *const scan_limit_words[SCAN_LIMIT_COUNT] = {
	[SCAN_LIMIT_DEPTH] = "depth",
	[SCAN_LIMIT_PARTS] = "parts",
	[SCAN_LIMIT_OCTETS] = "octets",
	[SCAN_LIMIT_RATIO] = "ratio",
	[SCAN_LIMIT_TIME] = "time",
	[SCAN_LIMIT_ENGINE] = "engine",
	[SCAN_LIMIT_READINGS] = "readings",
	[SCAN_LIMIT_MEMORY] = "memory",
};

static uint64_t times(uint64_t a, uint64_t b)
{
	uint64_t r;

	return __builtin_mul_overflow(a, b, &r) ? UINT64_MAX : r;
}

/* What this process had on its heap, big blocks too, when it was first asked: the engine, before
 * any mail. */
static uint64_t heap(bool beyond_first)
{
	static uint64_t first;
	struct mallinfo2 m = mallinfo2();
	uint64_t now = m.uordblks + m.hblkhd;

	if (first == 0)
		first = now > 0 ? now : 1;
	return !beyond_first ? first : now > first ? now - first : 0;
}

static void set_time(struct budget *b, uint64_t deadline_ms)
{
	uint64_t now = mw_mono_ms(), left = deadline_ms > now ? deadline_ms - now : 0,
		 share = left / RAW_SHARE;

	b->end_ms = deadline_ms;
	b->deadline_ms = deadline_ms - (share < RAW_MOST_MS ? share : RAW_MOST_MS);
}

void budget_open(struct budget *b, const struct budget_conf *conf, uint64_t message_octets,
	uint64_t deadline_ms)
{
	uint64_t least = times(message_octets, conf->min_factor),
		 most = times(message_octets, conf->max_factor);

	b->levels = (unsigned)conf->max_levels;
	b->files = (unsigned)conf->max_files;
	b->by_ratio = most < conf->max_quota;
	b->octets = b->by_ratio ? most : conf->max_quota;
	if (b->octets < least)
		b->octets = least;
	if (b->octets < conf->min_quota)
		b->octets = conf->min_quota;
	b->memory = conf->memory != 0 ? conf->memory : UINT64_MAX;
	b->unseen = 0;
	heap(false);
	set_time(b, deadline_ms);
	b->met = 0;
}

bool budget_level(struct budget *b, unsigned level)
{
	if (level <= b->levels)
		return true;
	b->met |= MW_BIT(SCAN_LIMIT_DEPTH);
	return false;
}

bool budget_file(struct budget *b)
{
	if (b->files > 0) {
		b->files--;
		return true;
	}
	b->met |= MW_BIT(SCAN_LIMIT_PARTS);
	return false;
}

bool budget_memory(struct budget *b, uint64_t held)
{
	if (held < MEMORY_STEP || b->memory == UINT64_MAX || heap(true) <= b->memory)
		return true;
	budget_no_memory(b);
	return false;
}

static bool within_memory(struct budget *b, uint64_t n)
{
	b->unseen += n;
	if (b->unseen < MEMORY_STEP)
		return true;
	b->unseen = 0;
	return budget_memory(b, MEMORY_STEP);
}

bool budget_octets(struct budget *b, uint64_t n)
{
	if (n <= b->octets) {
		b->octets -= n;
		return within_memory(b, n);
	}
	b->met |= MW_BIT(b->by_ratio ? SCAN_LIMIT_RATIO : SCAN_LIMIT_OCTETS);
	return false;
}

bool budget_time(struct budget *b)
{
	if (mw_mono_ms() < b->deadline_ms)
		return true;
	b->met |= MW_BIT(SCAN_LIMIT_TIME);
	return false;
}

static uint64_t ms_until(uint64_t when)
{
	uint64_t now = mw_mono_ms();

	return now < when ? when - now : 0;
}

uint64_t budget_ms_left(const struct budget *b)
{
	return ms_until(b->deadline_ms);
}

uint64_t budget_ms_in_all(const struct budget *b)
{
	return ms_until(b->end_ms);
}

void budget_no_memory(struct budget *b)
{
	b->met |= MW_BIT(SCAN_LIMIT_MEMORY);
}

bool budget_burst(const struct budget *b)
{
	return (b->met & (MW_BIT(SCAN_LIMIT_PARTS) | MW_BIT(SCAN_LIMIT_OCTETS) |
				 MW_BIT(SCAN_LIMIT_RATIO) | MW_BIT(SCAN_LIMIT_MEMORY) |
				 MW_BIT(SCAN_LIMIT_TIME))) != 0;
}
