/*
 * The mail record: the whole truth about one message, as told by smtp-front when it is over. JSON
 * fields, SNMP counters and metrics are derived from it, and from nothing else, by tables in the
 * subscribers.
 *
 * Wire form: docs/wire.md, "mail". Encoded by the front from its own data through this struct;
 * decoded by subscribers with everything borrowed from the frame, arrays in an arena of the
 * record's own. Text that came from the mail or the client is octets: it may hold anything, whoever
 * prints it escapes it.
 */
#ifndef MW_RECORD_H
#define MW_RECORD_H

#include "wire.h"

#define MW_RECORD_VERSION 1
#define MW_RECORD_LIST_MAX 2048	       /* items in any list of a record; more is MW_ERR_LIMIT */
#define MW_RECORD_TEXT_MAX (32 * 1024) /* octets of one text; the encoder cuts */
#define MW_RECORD_ITEM_MAX 1024	       /* octets of one text in a list or row; the encoder cuts */
#define MW_RECORD_FRAME_MAX                                                                        \
	(1984u * 1024) /* octets of a record, below what event sockets take; the encoder cuts */

struct mw_list {
	size_t count;
	const struct mw_octets *items;
};

/* Contents categories (decision.md 2), major; minors as there. */
enum mw_ccat {
	MW_CC_CATCHALL = 0,
	MW_CC_CLEAN = 1, /* minor 1: tag level */
	MW_CC_MTA = 2,	 /* minor 1 temporary, 2 rejected */
	MW_CC_OVERSIZED = 3,
	MW_CC_BADH = 4,
	MW_CC_SPAMMY = 5,    /* minor 1: tag3 */
	MW_CC_SPAM = 6,	     /* kill */
	MW_CC_UNCHECKED = 7, /* minor 1 encrypted, 2 over limits, 3 ambiguous, 4 not
			     scored */
	MW_CC_BANNED = 8,
	MW_CC_VIRUS = 9,
	MW_CC_COUNT
};
/* A category as one number: major * 10 + minor. */
#define MW_CCAT(major, minor) ((major)*10 + (minor))
/* Display name as in JSON's content_type: "Clean", "CleanTag", "UncheckedOverLimits" ... Falls back
 * to the major's. */
const char *mw_ccat_name(unsigned ccat);

/* What happened to one recipient: JSON "action". */
enum mw_action {
	MW_ACT_PASS,
	MW_ACT_REJECT,
	MW_ACT_DISCARD,
	MW_ACT_BOUNCE,
	MW_ACT_TEMPFAIL,
	MW_ACT_COUNT
};
const char *mw_action_name(enum mw_action action); /* "PASS" ... */

/* A mail that came, or one of our own on behalf of another (mail_id_parent). */
enum mw_own {
	MW_OWN_NONE,
	MW_OWN_DSN,    /* a delivery status notification */
	MW_OWN_NOTICE, /* to an administrator or a recipient */
	MW_OWN_COPY,   /* for a quarantine that is a mailbox */
	MW_OWN_COUNT
};
const char *mw_own_name(enum mw_own own); /* "dsn", "notice", "copy"; "mail" */

struct mw_record_check {
	struct mw_octets kind, worker;
	bool ran; /* false: skipped, and reason says why */
	enum mw_status status;
	struct mw_octets reason;
	uint32_t attempts;
	uint64_t wait_us; /* in the front's queue and on the way */
	uint64_t wall_us, cpu_us;
};

struct mw_record_test {
	struct mw_octets name;
	int32_t milli;
};

struct mw_record_av {
	struct mw_octets scanner, name;
};

/* A part or member, as far as they were told and fit. */
struct mw_record_part {
	uint32_t parent;	/* number of the part it lies in, from 1; 0: none */
	struct mw_octets place; /* "1/2" of MIME's entities */
	struct mw_octets type, name, attributes; /* declared; letters as in docs/wire.md */
	uint64_t size;
	struct mw_octets digest; /* SHA-256, 32 octets; empty: not known */
};

/* "receiving", "checks", "decode", "virus", "spam", "penpals", "sending", "total": wall and, where
 * known, CPU time. */
struct mw_record_elapsed {
	struct mw_octets section;
	uint64_t wall_us, cpu_us;
};

/* What a recipient's treatment came from: a setting's value, and who said it: a line of the
 * settings, an entry of a table, a database. */
struct mw_record_said {
	struct mw_octets name, value, by;
};

enum mw_dsn { MW_DSN_NONE, MW_DSN_SENT, MW_DSN_SUPPRESSED, MW_DSN_COUNT };

struct mw_record_rcpt {
	struct mw_octets addr;
	bool is_local;
	enum mw_action action;
	struct mw_octets smtp_response; /* "250 2.0.0 from MTA(smtp:[127.0.0.1]:10025): 250 2.0.0
					   Ok: queued as X" */
	struct mw_octets queued_as;
	bool has_score;
	int32_t score_milli;
	bool bypass_virus, bypass_banned, bypass_spam;
	unsigned ccat_main, ccat_blocking; /* MW_CCAT(); blocking 0: not blocked */
	struct mw_octets mail_id_related;
	int64_t penpals_age_s; /* -1: no pen pal */
	bool tagged;	       /* delivered with a visible mark */
	bool delivered;	       /* the next hop took it */
	/* For who asks why: settings that mattered (none: not told for this recipient), all
	 * categories as octets of MW_CCAT(), the destiny's name, and which of `edits` it got. */
	size_t said_count;
	const struct mw_record_said *said;
	struct mw_octets ccats, destiny;
	int32_t cluster;	      /* -1: not delivered */
	struct mw_octets deliver_to;  /* where it went instead of addr; empty: to addr */
	enum mw_dsn dsn;	      /* whether we have told the sender */
	struct mw_octets banned_part; /* the first that is: "(?#)'s comment:type,.type,name" */
	struct mw_octets banned_key, banned_comment; /* of the rule that says so */
	struct mw_list banned_paths; /* of all: what they lie in, and they themselves */
};

struct mw_record {
	uint64_t incarnation,
		sequence; /* of the publisher: set by mw_publisher, not by the front */
	/* identity and time */
	struct mw_octets host, log_id, mail_id, mail_id_parent;
	uint64_t time_ms; /* wall clock of reception's start */
	struct mw_list policy_banks;
	bool originating;
	/* connection */
	struct mw_octets src_ip, dst_ip, client_ip, client_name, helo, protocol, queue_id;
	uint32_t src_port, dst_port, client_port;
	struct mw_list ip_trace, ip_proto_trace;
	/* envelope and header; header texts are raw: unfolded, not decoded */
	struct mw_octets mail_from, sender, subject, message_id, user_agent;
	struct mw_list author, to_addr, cc_addr, references, attached_file_names;
	uint64_t size;
	bool is_auto, is_mlist, is_bulk, is_bounce;
	/* results */
	unsigned ccat; /* blocking, else main; of the message as a whole */
	size_t check_count;
	const struct mw_record_check *checks;
	bool has_score;
	int32_t score_milli;
	int32_t ip_repu_milli; /* part of the score that IP reputation gave */
	size_t test_count;
	const struct mw_record_test *tests;
	size_t av_count;
	const struct mw_record_av *av;
	struct mw_octets quarantine, quar_type; /* first location; F, Z ... */
	struct mw_list quarantines;		/* all */
	uint64_t quarantine_octets;
	struct mw_list dkim_valid_sig, dkim_new_sig;
	struct mw_octets dkim_author_sig;
	uint32_t dkim_signatures; /* verified, whatever the result */
	bool penpals_asked, poison;
	struct mw_octets reply; /* what the client was told */
	bool aborted;		/* the client was told 4xx before a decision: record is partial */
	size_t rcpt_count;
	const struct mw_record_rcpt *rcpts;
	size_t elapsed_count;
	const struct mw_record_elapsed *elapsed;
	/* deliveries: SNMP outMsgs, outConn */
	uint32_t out_msgs, out_msgs_failed, out_msgs_rejected;
	uint64_t out_octets;
	bool out_lmtp;
	uint32_t conn_new, conn_quit, conn_reuse, conn_reuse_fail;
	/* For who asks why: when the settings in force were read, for each policy bank what loaded
	 * it, for each group of recipients what was added on top and how much was taken away. */
	uint64_t settings_ms;
	struct mw_list bank_rules, edits;
	enum mw_own own;
	bool header_checked, banned_checked;
	size_t part_count;
	const struct mw_record_part *parts;
	struct mw_list bad_header; /* what the header section breaks, as amavisd tells it */
};

/* Appends to *b; *b->failed tells of no memory. What is too long is cut (limits above), so that the
 * result can be read. */
void mw_record_encode(struct mw_pack *b, const struct mw_record *r);

/* What a recipient's result is called in actions_performed and in the SNMP status groups. */
enum mw_outcome {
	MW_OUT_ACCEPTED, /* 2xx, delivery is left to the caller */
	MW_OUT_RELAYED,	 /* the next hop took it, unmarked */
	MW_OUT_RELAYED_TAGGED,
	MW_OUT_DISCARDED,
	MW_OUT_NO_BOUNCE, /* not delivered, and no notification was sent */
	MW_OUT_BOUNCED,
	MW_OUT_REJECTED,
	MW_OUT_TEMPFAILED,
	MW_OUT_COUNT
};
enum mw_outcome mw_record_outcome(const struct mw_record_rcpt *rcpt);

enum mw_direction {
	MW_DIR_INBOUND,
	MW_DIR_OUTBOUND,
	MW_DIR_INTERNAL,
	MW_DIR_OPENRELAY,
	MW_DIR_COUNT
};
enum mw_direction mw_record_direction(const struct mw_record *r, const struct mw_record_rcpt *rcpt);
/* "RelayedInbound,Quarantined": status words, sorted, each joined with its direction; all there are
 * fit. Returns their octets. */
#define MW_ACTIONS_MAX 1024
size_t mw_record_actions(const struct mw_record *r, char by, char text[MW_ACTIONS_MAX]);
/* The section's row, or NULL: it did not run. */
const struct mw_record_elapsed *mw_record_section(const struct mw_record *r, const char *section);
/* True when a check of that kind ran. */
bool mw_record_ran(const struct mw_record *r, const char *kind);

/* Everything of *r_r borrows from frame and from *arena_r, which mw_record_fini frees. MW_OK,
 * MW_ERR_PROTO, MW_ERR_LIMIT or MW_ERR_NOMEM; *r_r untouched and *arena_r NULL unless MW_OK. */
struct mw_record_arena;
enum mw_rc mw_record_decode(
	struct mw_octets frame, struct mw_record *r_r, struct mw_record_arena **arena_r);
void mw_record_fini(struct mw_record_arena **arena_p);

#endif
