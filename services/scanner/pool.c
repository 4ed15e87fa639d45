#include "pool.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "log.h"
#include "pool_priv.h"

#define TICK_MS 100
#define LOOK_MS 20	   /* after a mail had to wait */
#define DOWN_MS 2000	   /* a holder that is away so long is told to the fronts by slots = 0 */
#define RESTART_MIN_MS 100 /* between two starts of a holder that does not last, doubling */
#define RESTART_MAX_MS 5000
#define LASTING_MS 5000	     /* a holder that lived so long is started again at once */
#define ORPHAN_MS 2000	     /* a cage's socket is closed and its holder says nothing */
#define HOLDER_GRACE_MS 3000 /* a holder that does not do what it is told is killed */
#define LOADS_ENDED_MAX 6    /* each doubles the time until the next one */
#define AGAIN_MAX_MS 3600000 /* but it is no longer than that */
#define OUTSIDE_KILLS_MAX 2  /* SIGKILLs from outside before a mail is suspected */
#define SIGKILL_NUMBER 9

/* ------------------------------------------------------------------ the queue */

void pool_enqueue(struct pool *p, struct pool_job *job, bool head)
{
	job->cage = NULL;
	job->prev = head ? NULL : p->last;
	job->next = head ? p->first : NULL;
	*(job->next != NULL ? &job->next->prev : &p->last) = job;
	*(job->prev != NULL ? &job->prev->next : &p->first) = job;
}

static void dequeue(struct pool *p, struct pool_job *job)
{
	*(job->next != NULL ? &job->next->prev : &p->last) = job->prev;
	*(job->prev != NULL ? &job->prev->next : &p->first) = job->next;
	job->next = job->prev = NULL;
}

static void close_leaves(struct pool_job *job)
{
	if (job->leaves_fd >= 0)
		close(job->leaves_fd);
	job->leaves_fd = -1;
}

static void answer(struct pool *p, struct pool_job *job, enum mw_status status, const char *reason)
{
	struct scan_result r = { .status = status };

	mw_strlcpy(r.reason, reason, sizeof(r.reason));
	close_leaves(job);
	p->ops->done(p->arg, job, &r);
}

/* ------------------------------------------------------------------ one cage */

static struct cage *cage_find(const struct pool *p, const struct keeper *k, uint64_t serial)
{
	for (struct cage *c = p->cages; c != NULL; c = c->next)
		if (c->keeper == k && c->born.serial == serial)
			return c;
	return NULL;
}

static void cage_close(struct cage *c)
{
	mw_fd_destroy(&c->watch);
	if (c->fd >= 0)
		close(c->fd);
	c->fd = -1;
}

/* It ends by itself, and its death is told; who does not is seen to by free_orphans(). */
static void cage_leave(struct cage *c)
{
	cage_close(c);
	c->ended = true;
	c->ended_ms = mw_mono_ms();
}

static void cage_free(struct cage *c)
{
	cage_close(c);
	*c->prev_p = c->next;
	if (c->next != NULL)
		c->next->prev_p = c->prev_p;
	free(c);
}

static void change_over(struct pool *p);

/* Mails wait for cages that had only just begun: some may turn out to take their time. */
static void look_again(struct pool *p)
{
	p->looking = true;
	mw_timer_start(p->look, LOOK_MS, 0);
}

/* Hand out waiting jobs as long as there are cages for them. */
static void feed(struct pool *p)
{
	uint64_t now = mw_mono_ms();
	struct cage *c;

	change_over(p);
	pool_turns_free(p, now);
	while (p->first != NULL && (c = pool_turn_for(p, p->first, now)) != NULL) {
		struct pool_job *job = p->first;
		enum mw_rc rc = pool_turn_give(c, job);

		if (rc == MW_AGAIN)
			break; /* until one of its turns is over */
		if (rc == MW_ERR_GONE) {
			c->ended = true; /* its death will be told */
			c->ended_ms = now;
			continue;
		}
		dequeue(p, job); /* only now: a cage that was gone leaves it at the head */
		if (rc != MW_OK)
			answer(p, job, MW_FAILED, mw_rc_name(rc));
	}
	pool_warm(p, now);
	if (p->look != NULL && !p->looking && (p->first != NULL || pool_turns_behind(p)))
		look_again(p);
}

/* ------------------------------------------------------------------ verdicts and deaths */

/* A cage that does not keep to the protocol is in somebody else's hands. */
static void cage_distrust(struct cage *c, const char *why)
{
	mw_log(MW_ERROR, "cage_distrusted", "pid=%llu why=%s", (unsigned long long)c->born.pid,
		why);
	c->killed = true;
	keeper_kill_cage(c->keeper, c->born.serial);
	cage_leave(c);
}

static void cage_result(struct cage *c, struct mw_octets m)
{
	struct pool *p = c->pool;
	struct pool_job *job;
	struct scan_result r;

	if (scan_result_decode(m, &r) != MW_OK) {
		cage_distrust(c, "bad_result");
		return;
	}
	if (c->turn_count == 0 || r.id != c->turns[0].id) {
		cage_distrust(c, "unasked_result");
		return;
	}
	c->warming = false;
	c->warm = true;
	/* It ends, or is about to be ended, and will not look at what stands behind. Closed before
	 * its verdict is told, which may bring the next job at once: nobody gives it one. */
	if (r.worn || c->killed) {
		pool_turns_take_back(c);
		c->turn_count = 1;
	}
	if (r.worn)
		cage_leave(c);
	job = pool_turn_over(c);
	if (job != NULL)
		p->ops->done(p->arg, job, &r);
	if (c->turn_count == 0 && c->keeper != p->current && c->keeper != p->coming && c->fd >= 0)
		cage_leave(c); /* of the old signatures */
}

/* Read what is there, up to the last verdict: a cage has nothing to say after it, and should it
 * speak or end all the same, the descriptor stays readable. */
static void cage_ready(void *arg, int events)
{
	struct cage *c = arg;
	struct pool *p = c->pool;

	(void)events;
	do {
		size_t n = 0;
		int fd = -1;
		enum mw_rc rc;

		if (c->fd < 0)
			break;
		rc = scan_recv(c->fd, p->in, sizeof(p->in), &n, &fd);
		if (rc == MW_AGAIN)
			break;
		if (fd >= 0)
			close(fd);
		if (rc == MW_OK) {
			cage_result(c, mw_octets_of(p->in, n));
		} else {
			cage_leave(c);
		}
	} while (c->turn_count > 0);
	feed(p);
}

/* The job of a cage that is no more. blame: the job itself may be what killed it. */
static void job_orphaned(struct pool *p, struct pool_job *job, bool blame, bool outside)
{
	if (outside && ++job->kills >= OUTSIDE_KILLS_MAX)
		blame = true;
	if (blame)
		answer(p, job, MW_FAILED, MW_REASON_CAGE_DIED);
	else
		pool_enqueue(p, job, true);
}

/* The jobs of a cage that is no more: the first one it may have been at, the others it was not. */
static void cage_orphans(struct cage *c, bool blame, bool outside)
{
	struct pool *p = c->pool;
	struct pool_job *job = c->turn_count > 0 ? c->turns[0].job : NULL;

	pool_turns_take_back(c);
	cage_free(c);
	if (job != NULL)
		job_orphaned(p, job, blame, outside);
}

static void bury(struct cage *c, const struct scan_died *d)
{
	struct pool_job *job = c->turn_count > 0 ? c->turns[0].job : NULL;
	/* A worn cage ends after its verdict: a job that it still has came too late, and it never
	 * looked at it. It may lie, though, so that counts like a death from outside. */
	bool worn = d->signal == 0 && d->code == CAGE_EXIT_WORN,
	     outside = (d->signal == SIGKILL_NUMBER || worn) && !d->ours && !c->killed;

	c->pool->deaths++;
	c->pool->deaths_at_work += job != NULL;
	if (job != NULL)
		mw_log(MW_WARN, "cage_died_at_work",
			"pid=%llu job=%llu signal=%llu code=%llu by=%s",
			(unsigned long long)c->born.pid, (unsigned long long)job->id,
			(unsigned long long)d->signal, (unsigned long long)d->code,
			d->ours || c->killed ? "us"
			: worn		     ? "wear"
			: outside	     ? "others"
					     : "itself");
	cage_orphans(c, !outside, outside);
}

/* ------------------------------------------------------------------ holders */

static const struct keeper_ops keeper_calls;

static bool start_holder(struct pool *p, struct mw_err *err)
{
	p->broken[0] = '\0';
	p->coming = keeper_start(
		p->loop, p->settings.program, &p->settings.cage, &keeper_calls, p, err);
	p->holders++;
	signatures_look(
		&p->signatures, p->settings.cage.database); /* what it loads is at least this new */
	return p->coming != NULL;
}

static void holder_engine(void *arg, struct keeper *k, const struct scan_engine *e)
{
	struct pool *p = arg;

	if (k != p->coming)
		return;
	p->coming_engine = *e;
	mw_log(e->project ? MW_WARN : MW_INFO, "engine_loaded",
		"holder=%d engine=%s signatures=%llu load_ms=%llu project_signatures=%d%s",
		keeper_pid(k), mw_quote(e->text), (unsigned long long)e->signatures,
		(unsigned long long)e->load_ms, e->project,
		e->project ? " text=\"no ClamAV signatures in scanner.clamav_database: only the "
			     "EICAR test file is found\""
			   : "");
}

static void holder_broken(void *arg, struct keeper *k, const char *text)
{
	struct pool *p = arg;

	mw_strlcpy(p->broken, text, sizeof(p->broken));
	mw_log(MW_ERROR, "engine_broken", "holder=%d error=%s", keeper_pid(k), mw_quote(text));
}

/* The old signatures: busy cages go after their mail, idle ones one by one. */
static void retire(struct pool *p, struct keeper *k)
{
	bool any = false;

	keeper_drain(k);
	for (const struct cage *c = p->cages; c != NULL; c = c->next)
		any = any || c->keeper == k;
	if (p->leaving != NULL)
		keeper_release(p->leaving); /* of a generation before: its mails are sent again */
	p->leaving = any ? k : NULL;
	if (!any)
		keeper_release(k);
}

/* One a tick: its memory is taken down in the kernel, some milliseconds of a core, and all of them
 * at once would keep mails from every core. */
static void let_one_go(struct pool *p)
{
	for (struct cage *c = p->cages; c != NULL && p->leaving != NULL; c = c->next)
		if (c->keeper == p->leaving && c->turn_count == 0 && c->fd >= 0) {
			cage_leave(c);
			return;
		}
}

static void make_current(struct pool *p, struct keeper *k)
{
	struct keeper *old = p->current;

	p->current = k;
	p->coming = NULL;
	p->coming_since_ms = 0;
	p->loads_ended = 0;
	p->engine = p->coming_engine;
	p->down_since_ms = 0;
	p->ops->changed(p->arg, &p->engine);
	if (old != NULL)
		retire(p, old);
}

static void change_over(struct pool *p)
{
	if (p->coming_since_ms != 0 && pool_warm_enough(p, mw_mono_ms()))
		make_current(p, p->coming);
}

static void holder_born(void *arg, struct keeper *k, const struct scan_born *b, int fd)
{
	struct pool *p = arg;
	struct cage *c = k == p->coming || k == p->current ? calloc(1, sizeof(*c)) : NULL;

	if (c == NULL) {
		close(fd); /* it ends at once */
		return;
	}
	*c = (struct cage){ .pool = p, .keeper = k, .born = *b, .fd = fd };
	c->watch = mw_fd_new(p->loop, fd, cage_ready, c);
	mw_fd_watch(c->watch, MW_READABLE);
	c->prev_p = &p->cages;
	c->next = p->cages;
	if (c->next != NULL)
		c->next->prev_p = &c->next;
	p->cages = c;
	if (k == p->coming && p->coming_since_ms == 0)
		p->coming_since_ms = mw_mono_ms();
	feed(p);
}

static void leaving_is_done(struct pool *p)
{
	if (p->leaving == NULL)
		return;
	for (struct cage *c = p->cages; c != NULL; c = c->next)
		if (c->keeper == p->leaving)
			return;
	keeper_release(p->leaving);
	p->leaving = NULL;
}

static void holder_died(void *arg, struct keeper *k, const struct scan_died *d)
{
	struct pool *p = arg;
	struct cage *c = cage_find(p, k, d->serial);

	if (c == NULL)
		return;
	cage_ready(c, MW_READABLE); /* its last verdict may still be on the way */
	bury(c, d);
	leaving_is_done(p);
	feed(p);
}

static void plan_restart(struct pool *p, const struct keeper *k)
{
	uint64_t now = mw_mono_ms(), delay = 0;

	if (now - keeper_started_ms(k) >= LASTING_MS)
		p->quick_ends = 0;
	else if (p->quick_ends++ > 0) {
		delay = RESTART_MIN_MS;
		for (unsigned i = 2; i < p->quick_ends && delay < RESTART_MAX_MS; i++)
			delay *= 2;
	}
	p->restart_at_ms = now + (delay < RESTART_MAX_MS ? delay : RESTART_MAX_MS);
}

/* Its cages die with it, and none of their mails is to blame. */
static void free_cages_of(struct pool *p, const struct keeper *k)
{
	struct cage *next;

	for (struct cage *c = p->cages; c != NULL; c = next) {
		if (c->keeper == k && c->turn_count > 0)
			cage_ready(c, MW_READABLE); /* a last verdict */
		next = c->next;
		if (c->keeper == k)
			cage_orphans(c, false, false);
	}
}

/* The new signatures are not to blame: whoever loaded them was ended, by the kernel short of memory
 * or by us for being late. */
static void load_again(struct pool *p)
{
	uint64_t delay = p->settings.check_interval_ms << p->loads_ended;

	p->loads_ended += p->loads_ended < LOADS_ENDED_MAX;
	delay = delay < AGAIN_MAX_MS ? delay : AGAIN_MAX_MS;
	mw_log(MW_ERROR, "engine_not_loaded",
		"again_ms=%llu text=\"the signatures before it stay at work\"",
		(unsigned long long)delay);
	p->reload_wanted = true;
	p->restart_at_ms = mw_mono_ms() + delay;
}

static void holder_gone(void *arg, struct keeper *k)
{
	struct pool *p = arg;

	if (k == p->leaving)
		p->leaving = NULL;
	if (k == p->coming) {
		p->coming = NULL;
		p->coming_since_ms = 0;
		if (p->broken[0] == '\0' && p->current != NULL)
			load_again(p);
	}
	if (k == p->current) {
		p->current = NULL;
		p->down_since_ms = mw_mono_ms();
	}
	free_cages_of(p, k);
	if (p->current == NULL && p->coming == NULL)
		plan_restart(p, k);
	feed(p);
}

static const struct keeper_ops keeper_calls = {
	.engine = holder_engine,
	.broken = holder_broken,
	.born = holder_born,
	.died = holder_died,
	.gone = holder_gone,
};

/* ------------------------------------------------------------------ the tick */

static void kill_late_cages(struct pool *p, uint64_t now)
{
	for (struct cage *c = p->cages; c != NULL; c = c->next) {
		if (c->turn_count == 0 || now < c->kill_at_ms)
			continue;
		if (now - c->kill_at_ms > HOLDER_GRACE_MS)
			keeper_kill(c->keeper); /* it was asked to end that cage and did not: it
						   hangs itself */
		if (c->killed || c->ended)
			continue;
		mw_log(MW_WARN, "cage_hangs", "pid=%llu job=%llu", (unsigned long long)c->born.pid,
			(unsigned long long)c->turns[0].id);
		c->killed = true;
		keeper_kill_cage(c->keeper, c->born.serial);
	}
}

/* Its socket is closed, yet nobody says how it died: do not wait for ever, and blame nobody. It may
 * live on, by somebody else's will: then it is in the place of another one. */
static void free_orphans(struct pool *p, uint64_t now)
{
	struct cage *next;

	for (struct cage *c = p->cages; c != NULL; c = next) {
		next = c->next;
		if (!c->ended || now - c->ended_ms < ORPHAN_MS)
			continue;
		keeper_kill_cage(c->keeper, c->born.serial);
		cage_orphans(c, false, true);
	}
	leaving_is_done(p); /* who says nothing now may say it of cages that nobody knows */
}

static void look_at_signatures(struct pool *p, uint64_t now)
{
	if (now >= p->look_at_ms) {
		p->look_at_ms = now + p->settings.check_interval_ms;
		if (signatures_look(&p->signatures, p->settings.cage.database)) {
			mw_log(MW_INFO, "signatures_changed", "folder=%s",
				mw_quote(p->settings.cage.database));
			p->reload_wanted = true;
			p->loads_ended = 0;
			if (p->current != NULL)
				p->restart_at_ms = now; /* the others had to wait, not these */
		}
	}
}

static void start_wanted(struct pool *p, uint64_t now)
{
	struct mw_err err = { "" };
	bool needed = p->current == NULL || p->reload_wanted;

	if (!needed || p->coming != NULL || now < p->restart_at_ms)
		return;
	p->reload_wanted = false;
	if (!start_holder(p, &err)) {
		mw_log(MW_ERROR, "holder_start", "error=%s", mw_quote(err.text));
		p->restart_at_ms = now + RESTART_MAX_MS;
	}
}

static void look(void *arg)
{
	struct pool *p = arg;

	p->looking = false;
	feed(p);
}

static void tick(void *arg)
{
	struct pool *p = arg;
	uint64_t now = mw_mono_ms();

	kill_late_cages(p, now);
	free_orphans(p, now);
	let_one_go(p);
	if (p->coming != NULL &&
		now - keeper_started_ms(p->coming) > p->settings.engine_timeout_ms) {
		mw_log(MW_ERROR, "engine_timeout", "holder=%d limit_ms=%llu", keeper_pid(p->coming),
			(unsigned long long)p->settings.engine_timeout_ms);
		keeper_kill(p->coming);
	}
	look_at_signatures(p, now);
	start_wanted(p, now);
	feed(p);
}

/* ------------------------------------------------------------------ for the check */

enum mw_rc pool_open(struct pool **p_r, struct mw_loop *loop, const struct mw_conf *conf,
	const struct pool_ops *ops, void *arg, struct mw_err *err)
{
	struct pool *p = calloc(1, sizeof(*p));
	uint64_t until;
	enum mw_rc rc;

	*p_r = p;
	if (p == NULL)
		return mw_fail(err, MW_ERR_NOMEM, "no memory");
	p->loop = loop;
	p->ops = ops;
	p->arg = arg;
	pool_warm_open(p);
	rc = scan_settings_read(&p->settings, conf, err);
	if (rc != MW_OK)
		return rc;
	if (!start_holder(p, err))
		return MW_ERR_IO;
	until = mw_mono_ms() + p->settings.engine_timeout_ms;
	while (p->current == NULL && mw_mono_ms() < until)
		if (!keeper_wait(p->coming, until - mw_mono_ms()))
			return mw_fail(err, MW_ERR_CONF, "%s",
				p->broken[0] != '\0' ? p->broken
						     : "mailweir-cage ended before it had loaded "
						       "the signatures");
	if (p->current == NULL)
		return mw_fail(
			err, MW_ERR_TIMEOUT, "signatures not loaded within scanner.engine_timeout");
	p->look_at_ms = mw_mono_ms() + p->settings.check_interval_ms;
	p->tick = mw_timer_new(loop, tick, p);
	mw_timer_start(p->tick, TICK_MS, TICK_MS);
	p->look = mw_timer_new(loop, look, p);
	return MW_OK;
}

void pool_close(struct pool **p_p)
{
	struct pool *p = *p_p;

	*p_p = NULL;
	if (p == NULL)
		return;
	mw_timer_destroy(&p->look);
	mw_timer_destroy(&p->tick);
	while (p->cages != NULL)
		cage_free(p->cages);
	keeper_destroy_all(p);
	free(p);
}

void pool_submit(struct pool *p, struct pool_job *job)
{
	job->id = ++p->ids;
	job->leaves_fd = -1;
	job->kills = 0;
	pool_enqueue(p, job, false);
	feed(p);
}

void pool_cancel(struct pool *p, struct pool_job *job)
{
	close_leaves(job);
	if (job->cage != NULL)
		pool_turn_cancel(job->cage, job);
	else
		dequeue(p, job);
}

unsigned pool_slots(const struct pool *p)
{
	bool down = p->current == NULL && mw_mono_ms() - p->down_since_ms > DOWN_MS;

	return down ? 0 : pool_turns_all(p);
}

const char *pool_engine(const struct pool *p)
{
	return p->engine.text;
}

enum mw_rc pool_reload(struct pool *p, const struct mw_conf *conf, struct mw_err *err)
{
	struct scan_settings fresh;
	enum mw_rc rc = scan_settings_read(&fresh, conf, err);

	if (rc != MW_OK)
		return rc;
	p->settings = fresh;
	p->reload_wanted = true;
	p->restart_at_ms = 0;
	return MW_OK;
}

void pool_metrics(const struct pool *p, struct mw_text *out)
{
	unsigned cages = 0, busy = 0, waiting = 0;

	for (const struct cage *c = p->cages; c != NULL; c = c->next) {
		cages += !c->killed && !c->ended;
		busy += c->turn_count > 0;
	}
	for (const struct pool_job *j = p->first; j != NULL; j = j->next)
		waiting++;
	mw_text_addf(out, "mailweir_cages %u\nmailweir_cages_at_work %u\n", cages, busy);
	mw_text_addf(out, "mailweir_cages_mails_waiting %u\n", waiting);
	mw_text_addf(out,
		"mailweir_cages_ended_total %llu\nmailweir_cages_ended_at_work_total %llu\n",
		(unsigned long long)p->deaths, (unsigned long long)p->deaths_at_work);
	mw_text_addf(
		out, "mailweir_cages_engine_loads_total %llu\n", (unsigned long long)p->holders);
}
