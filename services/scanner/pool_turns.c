#include <string.h>
#include <unistd.h>

#include "pool_priv.h"

#define YOUNG_MS 10	     /* a mail that takes longer takes its time: none is to wait for it */
#define LONG_MS 86400000     /* a deadline that is further away is none */
#define CANCEL_GRACE_MS 1000 /* for a cage whose mail nobody wants any more */

/* ------------------------------------------------------------------ sending */

static uint64_t octets_of(const struct pool_job *job)
{
	uint64_t n = 0;

	for (size_t i = 0; i < job->part_count; i++)
		n += job->parts[i].n;
	return n;
}

/* When the cage is to stop by itself: early enough for its verdict to get back in time. */
static uint64_t until(const struct pool_job *job, uint64_t now)
{
	uint64_t left = job->deadline_ms > now ? job->deadline_ms - now : 0, margin;

	left = left < LONG_MS ? left : LONG_MS;
	margin = left / 10;
	margin = margin < 50 ? 50 : margin > 1000 ? 1000 : margin;
	return now + (left > margin ? left - margin : 1);
}

/* Where the job's leaves are to go, before the job itself. One that was another cage's is done for:
 * who knows what stands in it. */
static enum mw_rc send_leaves(const struct cage *c, struct pool_job *job)
{
	struct mw_pack b;
	enum mw_rc rc = MW_OK;

	if (job->leaves_fd >= 0)
		close(job->leaves_fd);
	job->leaves_fd = -1;
	if (!job->want_leaves)
		return MW_OK;
	job->leaves_fd = scan_leaves_new();
	if (job->leaves_fd < 0)
		return MW_ERR_IO;
	mw_pack_init(&b);
	scan_number_encode(&b, SCAN_MSG_LEAVES, job->id);
	rc = b.failed ? MW_ERR_NOMEM
		      : scan_send(c->fd, mw_octets_of(b.p, b.n), NULL, 0, job->leaves_fd);
	mw_pack_fini(&b);
	return rc;
}

static enum mw_rc send_order(
	const struct cage *c, const struct pool_job *job, const struct scan_order *o)
{
	bool inside = o->size <= SCAN_INLINE_MAX;
	int fd = inside ? -1 : scan_seal(job->parts, job->part_count);
	struct mw_pack b;
	enum mw_rc rc;

	if (!inside && fd < 0)
		return MW_ERR_IO;
	mw_pack_init(&b);
	scan_order_encode(&b, o);
	rc = b.failed ? MW_ERR_NOMEM
		      : scan_send(c->fd, mw_octets_of(b.p, b.n), job->parts,
				inside ? job->part_count : 0, fd);
	mw_pack_fini(&b);
	if (fd >= 0)
		close(fd);
	return rc;
}

static enum mw_rc send_job(const struct cage *c, struct pool_job *job, const struct scan_order *o)
{
	enum mw_rc rc = send_leaves(c, job);

	if (rc == MW_OK)
		rc = send_order(c, job, o);
	/* An idle cage has read all: its socket cannot be full. */
	return rc == MW_AGAIN && c->turn_count == 0 ? MW_ERR_IO : rc;
}

/* ------------------------------------------------------------------ turns */

static void begin(struct cage *c, uint64_t now)
{
	const struct turn *t = &c->turns[0];
	const struct pool *p = c->pool;
	uint64_t most = now + p->settings.scan_timeout_ms,
		 end = t->until_ms < most ? t->until_ms : most;

	c->begun_ms = now;
	if (t->job == NULL && !c->warming)
		end = now + CANCEL_GRACE_MS;
	c->kill_at_ms = (end > now ? end : now) + p->settings.cage_grace_ms;
	if (t->job != NULL)
		p->ops->started(p->arg, t->job);
}

enum mw_rc pool_turn_give(struct cage *c, struct pool_job *job)
{
	const struct pool *p = c->pool;
	uint64_t now = mw_mono_ms();
	struct scan_order o = { .id = job->id,
		.until_ms = until(job, now),
		.most_ms = p->settings.scan_timeout_ms,
		.size = octets_of(job),
		.virus = job->virus,
		.decode = job->decode,
		.parts = job->tell_parts,
		.digests = job->digests };
	enum mw_rc rc = send_job(c, job, &o);

	if (rc != MW_OK)
		return rc;
	c->warming = job == &p->warm_job;
	c->turns[c->turn_count++] = (struct turn){ .id = job->id,
		.job = c->warming ? NULL : job, /* nobody asked for it */
		.until_ms = o.until_ms };
	if (!c->warming)
		job->cage = c;
	if (c->turn_count == 1)
		begin(c, now);
	return MW_OK;
}

struct pool_job *pool_turn_over(struct cage *c)
{
	struct pool_job *job = c->turns[0].job;

	c->turn_count--;
	memmove(c->turns, c->turns + 1, c->turn_count * sizeof(c->turns[0]));
	if (job != NULL)
		job->cage = NULL;
	if (c->turn_count > 0)
		begin(c, mw_mono_ms());
	return job;
}

void pool_turn_cancel(struct cage *c, struct pool_job *job)
{
	uint64_t soon = mw_mono_ms() + CANCEL_GRACE_MS;

	job->cage = NULL;
	for (unsigned i = 0; i < c->turn_count; i++)
		if (c->turns[i].job == job)
			c->turns[i].job = NULL;
	if (c->turns[0].job == NULL && c->kill_at_ms > soon)
		c->kill_at_ms = soon;
}

void pool_turns_take_back(struct cage *c)
{
	for (unsigned i = c->turn_count; i-- > 1;) {
		struct pool_job *job = c->turns[i].job;

		c->turns[i].job = NULL;
		if (job != NULL)
			pool_enqueue(c->pool, job, true);
	}
}

/* ------------------------------------------------------------------ whose turn */

static bool at_hand(const struct pool *p, const struct cage *c)
{
	return c->keeper == p->current && !c->ended && !c->killed;
}

static bool takes_its_time(const struct cage *c, uint64_t now)
{
	return now - c->begun_ms > YOUNG_MS;
}

/* A small mail that nobody but the cage looks at. */
static bool may_stand_behind(const struct pool_job *job)
{
	return !job->want_leaves && octets_of(job) <= SCAN_INLINE_MAX;
}

struct cage *pool_turn_for(struct pool *p, const struct pool_job *job, uint64_t now)
{
	struct cage *warm = NULL, *cold = NULL, *busy = NULL;
	unsigned quick = 0;

	for (struct cage *c = p->cages; c != NULL; c = c->next) {
		if (!at_hand(p, c))
			continue;
		if (c->turn_count == 0) {
			*(c->warm ? &warm : &cold) = c;
		} else if (!takes_its_time(c, now)) {
			quick++;
			if (c->turn_count < CAGE_TURNS && !c->warming &&
				(busy == NULL || c->turn_count < busy->turn_count))
				busy = c;
		}
	}
	if (quick >= p->settings.cores && may_stand_behind(job))
		return busy;
	return warm != NULL ? warm : cold;
}

static bool any_idle(const struct pool *p)
{
	for (const struct cage *c = p->cages; c != NULL; c = c->next)
		if (at_hand(p, c) && c->turn_count == 0)
			return true;
	return false;
}

void pool_turns_free(struct pool *p, uint64_t now)
{
	if (!any_idle(p))
		return;
	for (struct cage *c = p->cages; c != NULL; c = c->next)
		if (c->turn_count > 1 && takes_its_time(c, now))
			pool_turns_take_back(c);
}

bool pool_turns_behind(const struct pool *p)
{
	for (const struct cage *c = p->cages; c != NULL; c = c->next)
		if (c->turn_count > 1)
			return true;
	return false;
}

unsigned pool_turns_all(const struct pool *p)
{
	uint64_t cages = p->settings.cage.cages, cores = p->settings.cores;

	return (unsigned)(cages + (cores < cages ? cores : cages) * (CAGE_TURNS - 1));
}
