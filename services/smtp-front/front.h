/* The front as a whole: what its rooms share. One per process. */
#ifndef SMTP_FRONT_H
#define SMTP_FRONT_H

#include "body.h"
#include "checks/dispatch.h"
#include "delivery/delivery.h"
#include "events.h"
#include "outcome/body_program.h"
#include "policy/policy.h"
#include "service.h"

struct txn;
struct intake;
struct policy_watch;
struct db;
struct dnsl;
struct clerk;

#define FRONT_POISON_MAX 1024		   /* mails remembered that killed two cages */
#define FRONT_POISON_MS (4u * 3600 * 1000) /* and for how long */

#define NOTIFY_VIRUSES_MAX 1024 /* names of viruses remembered that administrators know */
#define NOTIFY_ALIKE_MAX 10	/* mails like our own notices that are told of, in an hour */

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
	struct policy_set *leaving;  /* whose mails still use a database of store; NULL */
	struct policy_watch *watch;  /* files behind their tables */
	struct db *db;		     /* what databases say about recipients */
	struct db *store;	     /* where copies are rows; NULL: in no front that takes mail */
	struct dnsl *dnsl;	     /* what DNS lists say about clients */
	struct mw_down down;	     /* of the three, as the last alerts told */
	struct clerk *clerk;	     /* the quarantine's books */
	struct intake *intake;
	struct front_limits limits;
	struct txn *txns;     /* in flight, newest first */
	struct txn *learning; /* over, but for their learn job */
	size_t txn_count;
	uint64_t next_txn;
	struct body_programs programs;
	struct front_poison poison[FRONT_POISON_MAX];
	size_t poison_next, poison_count;
	struct {
		uint64_t seen[NOTIFY_VIRUSES_MAX];
		size_t next, count;
	} viruses; /* hashes of names that administrators know (outcome/notify_plan.c) */
	struct {
		uint64_t since_ms;
		unsigned count;
	} alike;		  /* mails like our own notices that were told of in this hour */
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
		uint64_t own[MW_OWN_COUNT][2]; /* mails of our own: sent; not sent */
	} stats;
};

/* Words for GET /metrics (report.c). */
void front_metrics(const struct front *f, struct mw_text *out);
/* The state snapshot, published while somebody listens (report.c). */
void front_publish_state(struct front *f);
/* Alerts about databases and DNS lists that went down or came back. */
void front_tell_down(struct front *f);
/* The last mail of a drain is over (main.c). */
void front_txn_over(struct front *f);

#endif
