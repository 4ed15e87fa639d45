#include "score.h"

#include <math.h>

#define SCORE_SCALE 0.9
#define SCORE_GROWTH 0.36
#define SCORE_HAM_DECAY 6.0
#define SCORE_LEAST_MILLI 50

#define HOUR_S 3600.0
#define TTL_NEW_H 3.0
#define TTL_GROWTH 2.2
#define TTL_MOST_H 80.0
#define TTL_SPREAD 0.2
#define FOUR_UNIFORM_DEVIATION 0.577 /* sqrt(4 / 12): of the sum of four uniform numbers */

int64_t rep_score_milli(const struct rep_counts *c)
{
	double s = (double)c->s, h = (double)c->h, b = (double)c->b, n = (double)c->n;
	int64_t milli;

	n = fmax(n, s + h + b);
	if (n <= 0 || s + b <= 0)
		return 0;
	milli = llround(1000 * SCORE_SCALE * pow(n, SCORE_GROWTH) * exp(-SCORE_HAM_DECAY * h / n));
	return milli < SCORE_LEAST_MILLI ? 0 : milli;
}

double rep_ttl_base_s(uint64_t n)
{
	if (n >= REP_TTL_STEPS)
		return TTL_MOST_H * HOUR_S;
	return (TTL_NEW_H + (n == 0 ? 0 : pow((double)n, TTL_GROWTH))) * HOUR_S;
}

double rep_ttl_factor(const uint32_t uniform[4])
{
	double sum = 0;

	for (int i = 0; i < 4; i++)
		sum += (double)uniform[i] / (double)UINT32_MAX;
	return 1 + TTL_SPREAD * (sum - 2) / FOUR_UNIFORM_DEVIATION;
}
