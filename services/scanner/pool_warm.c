#include <stdio.h>

#include "pool_priv.h"

#define WARM_MS 10000	/* for the mail of no meaning */
#define PATIENT_MS 1000 /* new signatures wait so long for a moment in which no mail does */
#define COMING_MS                                                                                  \
	10000 /* then one warm cage must do: memory may not suffice for all of two generations */

void pool_warm_open(struct pool *p)
{
	uint32_t x = 1;
	size_t n = mw_strlcpy((char *)p->warm_octets, "Subject: warm\r\n\r\n", POOL_WARM_OCTETS);

	/* Letters at random reach all of the engine's tables (a linear congruential generator). */
	for (size_t i = n; i < POOL_WARM_OCTETS; i++) {
		x = x * 1664525 + 1013904223;
		p->warm_octets[i] = i % 64 == 63 ? '\n' : (unsigned char)('!' + (x >> 24) % 94);
	}
	p->warm_part = mw_octets_of(p->warm_octets, POOL_WARM_OCTETS);
	p->warm_job = (struct pool_job){ .parts = &p->warm_part,
		.part_count = 1,
		.virus = true,
		.decode = true,
		.leaves_fd = -1 };
}

/* While mails wait the cages have better to do; but new signatures must come to work, however many
 * mails there are. */
static bool is_wanted(const struct pool *p, const struct cage *c, uint64_t now)
{
	if (c->keeper == p->coming)
		return p->first == NULL ||
		       (p->coming_since_ms != 0 && now - p->coming_since_ms > PATIENT_MS);
	return c->keeper == p->current && p->first == NULL;
}

void pool_warm(struct pool *p, uint64_t now)
{
	struct cage *cold = NULL;
	enum mw_rc rc;

	for (struct cage *c = p->cages; c != NULL; c = c->next) {
		if (c->warming)
			return;
		if (c->turn_count == 0 && !c->ended && !c->warm && is_wanted(p, c, now))
			cold = c;
	}
	if (cold == NULL)
		return;
	p->warm_job.deadline_ms = now + WARM_MS;
	rc = pool_turn_give(cold, &p->warm_job);
	/* One that is gone is told dead soon, as with any job, and must not count as warm until
	 * then; one that is merely in want takes its first mail cold. */
	if (rc == MW_ERR_GONE) {
		cold->ended = true;
		cold->ended_ms = now;
	} else {
		cold->warm = rc != MW_OK;
	}
}

bool pool_warm_enough(const struct pool *p, uint64_t now)
{
	unsigned warm = 0;

	if (p->current == NULL)
		return true;
	for (const struct cage *c = p->cages; c != NULL; c = c->next)
		warm += c->keeper == p->coming && c->warm && !c->ended;
	/* None at all: they die of their first mail, or are refused everything. The old ones stay
	 * at work. */
	return warm >= p->settings.cage.cages || (warm > 0 && now - p->coming_since_ms > COMING_MS);
}
