/*
 * The worker loop that scanner, dkim and reputation share (DESIGN: dispatcher's other half).
 *
 * It binds one PULL for jobs, says hello to every front over a DEALER each, sends alive every 500
 * ms whatever the checks do, starts checks and returns their verdicts, remembers verdicts for a
 * while (a job that comes again after a front's hiccup is answered from memory), divides its slots
 * among its fronts, and drains on SIGTERM. A check is started and answers later, from any callback
 * of the loop; the loop never waits for one.
 */
#ifndef MW_WORKER_H
#define MW_WORKER_H

#include "conf.h"
#include "loop.h"
#include "text.h"
#include "wire.h"

/* One job in a check's hands. The job and what it borrows live until mw_worker_done(). */
struct mw_ticket {
	const struct mw_job *job;
	void *check_state; /* of the check that has it (mw_check.open's *state_r) */
	void *user;	   /* the check's own, NULL at start */
};

struct mw_check {
	const char *kind; /* [a-z0-9_]+: the kind of job it takes; the key in logs and counters */
	unsigned slots;	  /* jobs of this kind at once; 0: ask slots_of */
	unsigned (*slots_of)(const void *state);
	/* Called once, before the sockets; settings are checked already. *state_r may stay NULL. */
	enum mw_rc (*open)(void **state_r, struct mw_loop *loop, const struct mw_conf *conf,
		struct mw_err *err_r);
	/* Return at once with MW_OK; answer later by mw_worker_done, from any callback of the loop
	 * (or before returning). Any other rc becomes MW_FAILED with mw_rc_name(rc) as its reason.
	 */
	enum mw_rc (*start)(void *state, const struct mw_job *job, struct mw_ticket *ticket);
	/* Its time is up or the front took it away: forget the ticket, do not answer any more. */
	void (*cancel)(void *state, struct mw_ticket *ticket);
	/* Engine and signature version for hello, alive and the status view; may be NULL. */
	const char *(*engine)(const void *state);
	/* Settings were read again (SIGHUP); NULL: nothing to do. On error the old ones stay. */
	enum mw_rc (*reload)(void *state, const struct mw_conf *conf, struct mw_err *err_r);
	void (*close)(void **state_p); /* also after a failed open; sets *state_p to NULL */
	/* Name what the check needs and cannot have now, for the fronts' alerts; may be NULL. */
	void (*down)(const void *state, struct mw_down *down);
	/* --check, nothing is open: as mw_service_ops.check, of this check's own settings. May be
	 * NULL. */
	enum mw_rc (*inspect)(
		const struct mw_conf *conf, struct mw_text *warnings, struct mw_err *err_r);
	/* Its own lines for GET /metrics; may be NULL. */
	void (*metrics)(const void *state, struct mw_text *out);
};

/*
 * Answer a job. Only status, reason, cpu_us and findings of *v are read (job, attempt, kind and
 * wall_us are the loop's); findings are copied. The ticket is gone afterwards. v->findings empty:
 * packed as an empty map.
 */
void mw_worker_done(struct mw_ticket *ticket, const struct mw_verdict *v);
/* The same for a check that could not run. */
void mw_worker_failed(struct mw_ticket *ticket, const char *reason);
/* What the check is at, for alive and the status view: a word of [a-z0-9_]. Static text. */
void mw_worker_phase(struct mw_ticket *ticket, const char *phase);

/* A whole service: arguments, settings, engine, sockets, `ready` line, loop, drain. Returns main's
 * exit code. */
int mw_worker_main(
	int argc, char **argv, const char *service, const struct mw_check *checks, size_t count);

#endif
