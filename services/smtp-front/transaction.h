/*
 * One mail, from MAIL FROM to the record of what happened. transaction.c calls the rooms in the
 * order of the mail's path; each room fills its part of this struct and does not call back up.
 */
#ifndef SMTP_TRANSACTION_H
#define SMTP_TRANSACTION_H

#include "digest.h"
#include "front.h"
#include "header.h"
#include "intake/facts.h"
#include "intake/smtp_command.h"
#include "log.h"

struct txn;
struct db_request;
struct db_records;
struct db_answered;
struct mail_senders;
struct own_mail;
struct notify;
struct body_form;
struct body_job;

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

/* A node of the tree of parts. Names and types come from outside: any octets but NUL. */
struct finding_part {
	size_t parent; /* number of what it lies in, from 1; 0: nothing. Less than its own number */
	struct mw_octets placement, type; /* "1/2", "text/plain"; empty: a member of an archive */
	struct mw_list names, types; /* declared, in all forms; of content: ".exe", ".exe-ms" */
	struct mw_octets attributes; /* letters of U C B D S L */
	uint64_t size;
	struct mw_octets digest; /* SHA-256 of its octets; empty: not known */
	bool leaf;		 /* nothing lies in it */
};

/* What the checks found, in the words of the decision; filled by checks/findings.c from
 * hostile-proof maps. */
struct findings {
	size_t virus_count;
	struct finding_virus *viruses;
	size_t encrypted, limit_count;
	bool broken; /* something that holds files could not be read whole */
	bool ambiguous;
	struct mw_list names, content; /* content: words on documents, as "macros" */
	bool has_tree;		       /* the parts were told, all of them */
	size_t part_count;
	struct finding_part *parts;
	struct mw_octets limits;      /* words, comma-separated, for people */
	struct mw_octets mime_errors; /* the same; without what was wrong with archives */
	uint64_t decode_us, virus_us;
	size_t signature_count;
	struct finding_signature *signatures;
	bool has_spam;
	int32_t spam_milli;
	size_t test_count;
	struct mw_record_test *tests;
	struct mw_octets autolearn;
	struct mw_octets report; /* of the spam check, outcome/spam_report.h */
	size_t av_test_count;	 /* viruses that are points, not infections */
	struct mw_record_test *av_tests;
	int32_t av_milli;
	bool fakes_sender; /* a virus that does: who the envelope names did not send it */
	int32_t ip_milli;  /* after threshold and cap */
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

/* What header fields break (decision.md 5), in the order of the header section. */
struct header_findings {
	size_t count;
	const char **texts; /* printable */
	unsigned minors;    /* a bit for each minor category of MW_CC_BADH */
};

/* How all recipients stand together, which decides on the reply (outcome/reply.c). */
enum reply_case {
	CASE_NOBODY,
	CASE_UNFINISHED,
	CASE_TEMPFAILED,
	CASE_DISCARDED,
	CASE_REFUSED,
	CASE_UNTOLD, /* some, and no notification has told the sender of them */
	CASE_PASSED, /* to some at least; of the others the sender knows */
	CASE_COUNT
};

/* Whether the sender was told of a recipient's fate by a notification of ours. */
enum txn_dsn { DSN_NONE, DSN_SENT, DSN_SUPPRESSED };

#define TXN_CCATS_MAX 24

struct txn_rcpt {
	const char *addr;
	struct smtp_rcpt_params params;
	/* Hooks: the client does not know it; it is taken off; the address that the client gave,
	 * NULL: it is addr. */
	bool added, removed;
	const char *given;
	const char *deliver_to; /* NULL: addr */
	int32_t hook_milli;
	/* policy */
	bool is_local, bypass_virus, bypass_spam, bypass_banned, bypass_header;
	/* RCPT_NO_LEVEL: nobody has set it */
	int32_t tag_milli, tag2_milli, tag3_milli, kill_milli;
	/* from which score something is not done: kept, told to the admin, to the sender */
	int32_t quarantine_cutoff_milli, admin_cutoff_milli, dsn_cutoff_milli,
		credible_dsn_cutoff_milli;
	uint64_t size_limit;		       /* 0: none of its own */
	const struct next_hops *route;	       /* NULL: the mail's */
	struct body_form *form;		       /* of its mail; NULL: as received */
	const char *no_route;		       /* why nobody knows where to; NULL */
	enum mw_destiny destinies[CCAT_SLOTS]; /* by enum ccat_slot, as the next two */
	bool loves[CCAT_SLOTS];
	/* Where its copies go: a name of amavisd's for QUARANTINEDIR, a folder below it, an
	 * address, or "%a", its own; NULL: not to be kept */
	const char *keep_to[CCAT_SLOTS], *archive_to;
	const char *subject_tags[CCAT_SLOTS]; /* of exactly these; "", NULL: none */
	bool spam_fields_go;		      /* X-Spam-* that the mail brings */
	/* banned parts: what the first rule that says so matched; NULL and false: nothing */
	bool banned, banned_discards; /* discards: its value asks for no notification */
	const char *banned_part, *banned_key, *banned_comment;
	const char *const *banned_paths; /* of all parts that are, BANNED_PATHS_MAX at most */
	size_t banned_count;		 /* of banned_paths */
	const char *banned_rulenames;	 /* of a database; NULL: it says nothing */
	/* decision */
	unsigned ccats[TXN_CCATS_MAX]; /* MW_CCAT(), most important first */
	size_t ccat_count;
	unsigned ccat_blocking; /* 0: not blocked */
	enum mw_destiny destiny;
	bool has_score, tag, tag2, tag3, kill;
	bool white, black;  /* the sender is listed, for this one */
	bool has_wbl_milli; /* it has points there */
	int32_t wbl_milli;
	int32_t score_milli;
	int64_t penpals_age_s; /* -1: none */
	int32_t penpals_milli;
	struct mw_octets mail_id_related;
	/* what became of it */
	unsigned code;	   /* 0: not over */
	const char *reply; /* "250 2.0.0 from MTA(...): ..." or our own */
	const char *told;  /* what the client hears of this one (LMTP); NULL: that it failed */
	bool from_next_hop, delivered, tagged;
	const char *body_modified; /* how, for X-Amavis-Modified; NULL: it is as received */
	enum mw_action action;
	enum txn_dsn dsn;
	bool dsn_known; /* the next hop tells the sender what he wants to know */
	bool dsn_warns; /* delivered, and the sender is told why it nearly was not */
	int cluster;	/* -1: not to be delivered */
	int copy;	/* of t->copies; -1: none is kept for this one */
};

/* As the client, and the mail's sender, know it. */
static inline const char *txn_rcpt_given(const struct txn_rcpt *r)
{
	return r->given != NULL ? r->given : r->addr;
}

/* A copy of the mail, in the quarantine or the archive: one for each method and place. */
struct txn_copy {
	const struct quarantine_method *method;
	const struct next_hops *route; /* of one that is mailed */
	const char *folder;	       /* of a file: below QUARANTINEDIR, "" is that itself */
	const char **to;	       /* whom it is for, as *_quarantine_to has it, each once */
	size_t to_count;
	bool archive;	  /* kept for whoever it went to, not from somebody */
	const char *name; /* file below QUARANTINEDIR or path, first address, mail_id; NULL: not
			     yet */
	char type;	  /* amavisd's quar_type: F, Z, B, M, L, Q */
};

/* Recipients with equal edits and the same next hop share one delivery. */
struct txn_cluster {
	const struct next_hops *route; /* theirs */
	const struct body_form *form;  /* theirs; NULL: as received */
	const char *fields;	       /* ours, on top, CRLF-terminated */
	const char *tag;	       /* in front of the subject; "" */
	bool spam_fields_go;	       /* there are some that do */
	struct mw_octets signature;    /* above those; from the sign worker */
	struct mw_octets *pieces;      /* of the original's header section and body that stay */
	size_t piece_count;
	char *header; /* for the sign job: the final header section in one piece, malloc'ed */
	struct smtp_body *header_owner;
	struct delivery_rcpt *rcpts;
	size_t *rcpt_index;
	size_t rcpt_count, rcpt_cap;
	struct delivery_mail mail;
};

enum txn_phase { TXN_ENVELOPE, TXN_DATA, TXN_CHECKS, TXN_KEEP, TXN_SIGN, TXN_DELIVER, TXN_OVER };

struct txn {
	struct front *front;
	struct txn_client *client; /* NULL: it is gone */
	bool per_rcpt, client_delivers;
	bool released;	      /* out of the quarantine: no checks, no record of its own */
	struct own_mail *own; /* NULL, or a mail of our own: no checks or hooks; whose it is, while
				 t->client is there */
	enum mw_own own_kind;
	char parent_mail_id[MW_NAME_MAX]; /* of the mail that it is about, or released from; "" */
	const char *released_by;	  /* then: who wants it; printable */
	bool claimed;			  /* nobody else may release that one meanwhile */
	const char *tail;		  /* octets behind those of the mail; NULL */
	bool is_report;			  /* nobody gets it: it is shown to somebody */
	bool is_stored;			  /* that one is rows of the database, */
	int64_t stored_in;		  /* in that partition */
	void (*rescanned)(struct txn *t); /* then: who goes on when it was scanned; NULL */
	const struct next_hops *route;	  /* where to; its owner is the policy */
	struct policy_set *set;
	const struct policy *policy;
	struct txn *next, **prev_p;
	struct smtp_arena arena;
	enum txn_phase phase;
	bool learning; /* over for the client; only its learn job is still out */
	char log_id[MW_NAME_MAX], mail_id[MW_NAME_MAX];
	char secret_id[MW_NAME_MAX]; /* whoever knows it may have the mail released */
	char states[16];	     /* letters of amavisd's status display, as they came */
	uint64_t time_ms, start_us, data_us, dot_us, checks_us, sending_us, edit_us, deliver_us;
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
	unsigned char body_digest[MW_MD5_OCTETS]; /* for %b; made when a text asks first */
	bool has_body_digest;
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
	struct mail_senders *senders; /* what they said of senders; NULL: nothing */
	void (*known)(struct txn *t, const char *failed); /* who goes on when they have answered */
	struct findings found;
	struct header_findings badh;
	bool header_checked, banned_checked; /* those checks were made */
	bool tree_ordered;		     /* of the scan: all parts, or it is limited */
	unsigned ccats[TXN_CCATS_MAX];	     /* of the mail as a whole, as those of a recipient */
	size_t ccat_count;
	struct txn_hooked *hooked; /* NULL: no hook was called */
	bool poison, poison_known;
	/* outcome */
	bool deferred;		   /* its end came without a decision: the client sends it again */
	const char *check_failure; /* NULL, or why the mail is tempfailed: "virus check FAILED:
				      reason" */
	struct body_form *forms;   /* other than the one that was received */
	struct body_job *body_job; /* a program that makes one */
	void (*formed)(struct txn *t, enum mw_rc rc); /* who goes on when all are made */
	const char *disclaimer_option;
	struct txn_cluster *clusters;
	size_t cluster_count, cluster_at;
	const struct next_hop *hops; /* policy's, or the arena's where * was filled in */
	struct delivery_run *run;
	struct notify *telling;	 /* of others, of the sender */
	bool tells_new_virus;	 /* others: somebody wants to hear of those */
	struct txn_copy *copies; /* those of the archive stand last */
	size_t copy_count, copy_at;
	bool quarantined; /* all of them are kept, and one from somebody */
	uint64_t quarantine_octets;
	struct quarantine_job *keeping;
	enum reply_case reply_case;
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
 * written. as_itself: they are the mail that its reader sees, and not a part of another: without
 * what it claims in our name.
 */
void txn_forward(struct txn *t, const struct next_hops *route, const char *fields, size_t from,
	bool as_itself);
/* All recipients of such a mail have a reply already: nothing is sent. */
void txn_release_nothing(struct txn *t);
/*
 * Before that: its octets from an offset on are scanned with the signatures of today, whatever its
 * recipients bypass. done() is told by t->checks[JOB_SCAN] and t->found, and may end t.
 */
void txn_rescan(struct txn *t, size_t from, void (*done)(struct txn *t));
/*
 * The same for a mail of our own (outcome/own_mail.c): until t->deadline_ms, signed where that is
 * wanted and there is a key; a record is written. It may be over before this returns.
 */
void txn_send_own(struct txn *t, const char *fields, size_t from, bool sign);
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
