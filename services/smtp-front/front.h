/* The front as a whole: what its rooms share. One per process. */
#ifndef SMTP_FRONT_H
#define SMTP_FRONT_H

#include "body.h"
#include "checks/dispatch.h"
#include "delivery/delivery.h"
#include "events.h"
#include "policy/policy.h"
#include "service.h"

struct txn;
struct intake;
struct policy_watch;
struct db;
struct dnsl;

#define FRONT_POISON_MAX 1024		   /* mails remembered that killed two cages */
#define FRONT_POISON_MS (4u * 3600 * 1000) /* and for how long */

struct front_poison {
	uint64_t digest, at_ms;
};

struct front_limits {
	size_t line_octets;
	unsigned errors, commands, sessions, sessions_per_client;
};

struct front {
	struct mw_service *service;
	struct mw_loop *loop;
	struct mw_zctx z;
	uint64_t incarnation, started_ms;
	struct mw_publisher *pub;
	struct dispatch *dispatch;
	struct delivery *delivery;
	struct smtp_body_pool bodies;
	struct policy_set *policies; /* of new mail; mails in flight keep theirs */
	struct policy_watch *watch;  /* files behind their tables */
	struct db *db;		     /* what databases say about recipients */
	struct dnsl *dnsl;	     /* what DNS lists say about clients */
	struct intake *intake;
	struct front_limits limits;
	struct txn *txns;     /* in flight, newest first */
	struct txn *learning; /* over, but for their learn job */
	size_t txn_count;
	uint64_t next_txn;
	struct front_poison poison[FRONT_POISON_MAX];
	size_t poison_next, poison_count;
	uint64_t bare_lf_told_ms; /* 0: never */
	struct mw_timer *state_timer;
	struct delivery_stats told; /* as of the last mail record */
	bool draining;
	uint64_t drain_until_ms; /* mails still being received at TERM have until then; 0: not
				    draining */
	struct {
		uint64_t calls, failed, us;
	} hooks[5]; /* by enum hook_point */
	struct {
		uint64_t mails, passed, rejected, discarded, tempfailed, aborted, bare_lf, sessions,
			refused, tls_in, tls_in_failed;
	} stats;
};

/* Words for GET /metrics (report.c). */
void front_metrics(const struct front *f, struct mw_text *out);
/* The state snapshot, published while somebody listens (report.c). */
void front_publish_state(struct front *f);
/* The last mail of a drain is over (main.c). */
void front_txn_over(struct front *f);

#endif
