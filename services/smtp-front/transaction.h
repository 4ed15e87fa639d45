/*
 * One mail, from MAIL FROM to the record of what happened. transaction.c calls the rooms in the
 * order of the mail's path; each room fills its part of this struct and does not call back up.
 */
#ifndef SMTP_TRANSACTION_H
#define SMTP_TRANSACTION_H

#include "front.h"
#include "header.h"
#include "intake/facts.h"
#include "intake/smtp_command.h"
#include "log.h"

struct txn;
struct db_request;
struct db_records;
struct db_answered;

/* Where an admin's Lua function may have a say (docs/hooks.md). */
enum hook_point {
	HOOK_NEW,
	HOOK_CHECKS,
	HOOK_BEFORE_SEND,
	HOOK_AFTER_SEND,
	HOOK_MAIL_DONE,
	HOOK_POINTS
};

/* Who waits for the end of a mail: a session of SMTP or LMTP, a request of AM.PDP. */
struct txn_client {
	/*
	 * The mail is over: t's recipients have their codes and replies, t->reply speaks for all.
	 * t is whole during the call and not the client's any more after it. False: the client
	 * cannot be told.
	 */
	bool (*over)(struct txn_client *client, const struct txn *t);
	/* It can be told of each recipient by itself (LMTP, AM.PDP): one recipient's refusal stops
	 * nobody else's mail. */
	bool per_rcpt;
	/* It delivers by itself what passes, with our edits: our path ends with the decision
	 * (AM.PDP). */
	bool delivers;
};

/* Where a mail comes from, as its session knows; copied by txn_new. */
struct txn_origin {
	const char *helo, *peer_ip, *local_ip, *protocol;
	const char *tls; /* "TLSv1.3 with cipher ..."; "" or NULL: plaintext */
	unsigned peer_port, local_port;
	const struct smtp_xforward *xforward; /* NULL: none was said for this mail */
	struct policy_set *set;
	const struct policy *policy; /* the socket's; mail_policy_begin adds the mail's own */
};

/* Why a check did not run; NULL: it ran, or will. */
enum check_state { CHECK_SKIPPED, CHECK_WAITING, CHECK_OVER };

struct txn_check {
	struct txn *txn;
	enum dispatch_kind kind;
	enum check_state state;
	const char *skipped; /* why, for the record */
	struct dispatch_job *job;
	struct mw_job what;
	struct mw_pack orders;
	enum mw_status status;
	bool poison;
	char reason[MW_REASON_MAX], worker[MW_NAME_MAX];
	unsigned attempts;
	uint64_t wait_us, wall_us, cpu_us;
};

struct finding_virus {
	struct mw_octets scanner, name;
};

struct finding_signature {
	struct mw_octets d, s, a, b, result, reason;
	int64_t bits;
	bool expired, testing;
};

/* What the checks found, in the words of the decision; filled by checks/findings.c from
 * hostile-proof maps. */
struct findings {
	size_t virus_count;
	struct finding_virus *viruses;
	size_t encrypted, limit_count;
	bool ambiguous;
	struct mw_list names;
	struct mw_octets limits; /* words, comma-separated, for people */
	uint64_t decode_us, virus_us;
	size_t signature_count;
	struct finding_signature *signatures;
	bool has_spam;
	int32_t spam_milli;
	size_t test_count;
	struct mw_record_test *tests;
	struct mw_octets autolearn;
	int32_t ip_milli; /* after threshold and cap */
	struct mw_octets ip_worst;
	struct mw_octets sign_fields;
	struct mw_list signed_domains;
};

/* What hooks have done to the mail: filled by policy/hooks*.c, in the arena, within the limits of
 * policy/hooks_priv.h. */
struct txn_hooked {
	struct hook_said {
		bool called, failed;
		uint64_t wall_us; /* nothing else runs meanwhile: its CPU time, nearly */
		const char *text; /* what it did, or why it failed; printable */
	} said[HOOK_POINTS];
	/* findings */
	size_t test_count;
	struct mw_record_test *tests;
	int32_t milli; /* sum of the tests for all recipients */
	size_t virus_count;
	struct finding_virus *viruses; /* not yet among those of the scan */
	bool unchecked;
	const char *unchecked_why; /* printable */
	/* edits */
	size_t edit_count, edit_octets;
	const char *fields; /* on top of the mail, CRLF-terminated; "" */
	size_t removed_count;
	const char **removed;	    /* names of fields that go */
	const char *subject_prefix; /* NULL: none */
};

#define TXN_CCATS_MAX 9

struct txn_rcpt {
	const char *addr;
	struct smtp_rcpt_params params;
	/* Hooks: the client does not know it; it is taken off; the address that the client gave,
	 * NULL: it is addr. */
	bool added, removed;
	const char *given;
	int32_t hook_milli;
	/* policy */
	bool is_local, bypass_virus, bypass_spam, bypass_banned;
	int32_t tag_milli, tag2_milli, kill_milli;
	uint64_t size_limit;		       /* 0: none of its own */
	const struct next_hops *route;	       /* NULL: the mail's */
	const char *no_route;		       /* why nobody knows where to; NULL */
	enum mw_destiny destinies[CCAT_SLOTS]; /* by enum ccat_slot, as the next two */
	bool loves[CCAT_SLOTS];
	const char *folders[CCAT_SLOTS]; /* "": QUARANTINEDIR; NULL: not to be kept */
	/* decision */
	unsigned ccats[TXN_CCATS_MAX]; /* MW_CCAT(), most important first */
	size_t ccat_count;
	unsigned ccat_blocking; /* 0: not blocked */
	enum mw_destiny destiny;
	bool has_score, tag, tag2, kill;
	int32_t score_milli;
	int64_t penpals_age_s; /* -1: none */
	int32_t penpals_milli;
	struct mw_octets mail_id_related;
	/* what became of it */
	unsigned code;	   /* 0: not over */
	const char *reply; /* "250 2.0.0 from MTA(...): ..." or our own */
	bool from_next_hop, delivered, tagged;
	enum mw_action action;
	int cluster; /* -1: not to be delivered */
	int copy;    /* of t->copies; -1: none is kept for this one */
};

/* Recipients with equal edits and the same next hop share one delivery. */
struct txn_cluster {
	const struct next_hops *route; /* theirs */
	const char *fields;	       /* ours, on top, CRLF-terminated */
	struct mw_octets signature;    /* above those; from the sign worker */
	struct mw_octets *pieces;      /* of the original's header section and body that stay */
	size_t piece_count;
	char *header; /* for the sign job: the final header section in one piece, malloc'ed */
	struct smtp_body *header_owner;
	struct delivery_rcpt *rcpts;
	size_t *rcpt_index;
	size_t rcpt_count;
	struct delivery_mail mail;
};

enum txn_phase { TXN_ENVELOPE, TXN_DATA, TXN_CHECKS, TXN_KEEP, TXN_SIGN, TXN_DELIVER, TXN_OVER };

struct txn {
	struct front *front;
	struct txn_client *client; /* NULL: it is gone */
	bool per_rcpt, client_delivers;
	bool released;		       /* out of the quarantine: no checks, no record of its own */
	const struct next_hops *route; /* where to; its owner is the policy */
	struct policy_set *set;
	const struct policy *policy;
	struct txn *next, **prev_p;
	struct smtp_arena arena;
	enum txn_phase phase;
	bool learning; /* over for the client; only its learn job is still out */
	char log_id[MW_NAME_MAX], mail_id[MW_NAME_MAX];
	char states[16]; /* letters of amavisd's status display, as they came */
	uint64_t time_ms, start_us, data_us, dot_us, checks_us, sending_us;
	uint64_t cpu_receiving_us, cpu_checks_us, cpu_sending_us;
	uint64_t deadline_ms, checks_deadline_ms;
	/* envelope and client */
	const char *sender;
	struct smtp_mail_params params; /* of MAIL */
	struct smtp_xforward xforward;
	bool has_xforward;
	const char *helo, *peer_ip, *local_ip, *protocol;
	const char *tls; /* "" is plaintext */
	unsigned peer_port, local_port;
	const char *client_ip; /* of the original client; NULL: unknown */
	unsigned client_port;
	bool originating;
	unsigned char bank_rules[POLICY_BANKS_MAX]; /* enum mail_bank_rule of policy->banks */
	/* NULL, or who wants to hear what databases said of each recipient, while it is there. */
	void (*hears)(struct txn *t, size_t rcpt, const struct db_records *records);
	struct txn_rcpt *rcpts;
	size_t rcpt_count, rcpt_cap, rcpt_octets;
	size_t added_count; /* recipients that hooks have added; they stand last */
	struct mw_pack rcpts_packed;
	/* octets */
	struct smtp_body *body;
	bool dots;
	struct mw_header header;
	struct facts facts;
	/* checks */
	struct txn_check checks[JOB_KINDS];
	unsigned checks_waiting;
	bool auth_first;	      /* alone: it decides which banks the rest goes by */
	struct dnsl_ask *lists;	      /* DNS lists, about the client; NULL: none */
	void (*ready)(struct txn *t); /* who goes on when they have answered */
	bool undecided;		      /* one that must be known has not */
	struct db_request *asking;    /* databases, about the recipients */
	struct db_answered *answered; /* what they said, for when it is asked again */
	void (*known)(struct txn *t, const char *failed); /* who goes on when they have answered */
	struct findings found;
	struct txn_hooked *hooked; /* NULL: no hook was called */
	bool poison, poison_known;
	/* outcome */
	const char *check_failure; /* NULL, or why the mail is tempfailed: "virus check FAILED:
				      reason" */
	struct txn_cluster *clusters;
	size_t cluster_count, cluster_at;
	const struct next_hop *hops; /* policy's, or the arena's where * was filled in */
	struct delivery_run *run;
	const char **copies; /* in quarantine: files, relative to QUARANTINEDIR */
	size_t copy_count, copy_at;
	bool quarantined; /* all of them are kept */
	uint64_t quarantine_octets;
	struct quarantine_job *keeping;
	unsigned reply_code;
	const char *reply;
	uint32_t conn_new;
};

/* A transaction at MAIL FROM; origin and sender are copied. NULL: no memory. */
struct txn *txn_new(struct front *f, struct txn_client *client, const struct txn_origin *origin,
	const char *sender);
/* True when no further recipient is taken: smtpd_recipient_limit, or addresses that would not fit a
 * job's header. */
bool txn_is_full(const struct txn *t);
/* True when so many more, of so many octets together, would still be within those limits. */
bool txn_has_room(const struct txn *t, size_t rcpts, size_t octets);
/* Add a recipient; addr and what params point to are in t's arena. MW_OK or MW_ERR_NOMEM. */
enum mw_rc txn_add_rcpt(struct txn *t, const char *addr, const struct smtp_rcpt_params *params);
/* The final dot was seen: from here on the transaction runs by itself and ends with client->over().
 */
void txn_run(struct txn *t);
/*
 * The same for a mail that was checked and kept before: its octets from an offset on, fields on top
 * (in the arena), go that way without further checks, and no record is
 * written.
 */
void txn_forward(struct txn *t, const struct next_hops *route, const char *fields, size_t from);
/*
 * The client went away or gave up. Before the final dot of a delivery nothing is delivered and the
 * client keeps the mail; after it the transaction finishes without anybody to tell.
 */
void txn_abandon(struct txn **t_p);
/* End of everything: also from txn_run's end. */
void txn_destroy(struct txn **t_p);
/* What the whole body's header section says: t->header, facts, client_ip. MW_OK, MW_ERR_LIMIT or
 * MW_ERR_NOMEM. */
enum mw_rc txn_read(struct txn *t);
/* t->hops: those of the route, with * filled in for this mail. False: why it cannot go there. */
bool txn_find_hops(struct txn *t, const struct next_hops *route, const char **why_r);
/* A line about a mail obeys its policy: level, and syslog's name and facility. */
#define txn_log(t, level, ...) mw_log_as(&(t)->policy->voice, level, __VA_ARGS__)

/* Enter a state of the status display. */
void txn_state(struct txn *t, char letter);
/* Mails whose deadline is long over although every step has its own (a disk that hangs): 451. Every
 * second. */
void txn_tick(struct front *f);
/* All transactions, at the process's end. */
void txn_destroy_all(struct front *f);

#endif
