#include "budget.h"

const char *const scan_limit_words[SCAN_LIMIT_COUNT] = {
	[SCAN_LIMIT_DEPTH] = "depth",
	[SCAN_LIMIT_PARTS] = "parts",
	[SCAN_LIMIT_OCTETS] = "octets",
	[SCAN_LIMIT_RATIO] = "ratio",
	[SCAN_LIMIT_TIME] = "time",
	[SCAN_LIMIT_ENGINE] = "engine",
};

static uint64_t times(uint64_t a, uint64_t b)
{
	uint64_t r;

	return __builtin_mul_overflow(a, b, &r) ? UINT64_MAX : r;
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
	b->deadline_ms = deadline_ms;
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

bool budget_octets(struct budget *b, uint64_t n)
{
	if (n <= b->octets) {
		b->octets -= n;
		return true;
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

uint64_t budget_ms_left(const struct budget *b)
{
	uint64_t now = mw_mono_ms();

	return now < b->deadline_ms ? b->deadline_ms - now : 0;
}
