/*
 * What each recipient has of its own: one table of questions (rcpt_policy.c), each with a kind, the
 * field that its answer goes to, a database's column that is asked first, and lookup tables in an
 * order that was found out when the policy was compiled (rcpt_compile.c): those by category for
 * exactly this one, those for its major, the plain *_maps, those for CC_CATCHALL. The first that
 * says something decides. What answers the same for everybody is a default, and no lookup at all.
 */
#ifndef SMTP_RCPT_POLICY_H
#define SMTP_RCPT_POLICY_H

#include "ccat.h"
#include "conf.h"
#include "lookup.h"
#include "outcome/quarantine_method.h"

struct txn;
struct txn_rcpt;
struct policy;
struct policy_set;
struct db_records;

enum rcpt_ask {
	ASK_LOCAL,
	ASK_BYPASS_VIRUS,
	ASK_BYPASS_SPAM,
	ASK_BYPASS_BANNED,
	ASK_BYPASS_HEADER,
	ASK_TAG,
	ASK_TAG2,
	ASK_TAG3,
	ASK_KILL,
	ASK_QUARANTINE_CUTOFF,
	ASK_ADMIN_CUTOFF,
	ASK_DSN_CUTOFF,
	ASK_CREDIBLE_DSN_CUTOFF,
	ASK_SIZE,
	ASK_NEXT_HOP,
	ASK_SPAM_FIELDS_GO,
	ASK_ARCHIVE,
	ASK_DESTINY, /* and those behind it by enum ccat_slot */
	ASK_LOVES = ASK_DESTINY + CCAT_SLOTS,
	ASK_QUARANTINE = ASK_LOVES + CCAT_SLOTS,
	ASK_SUBJECT_TAG = ASK_QUARANTINE + CCAT_SLOTS,
	RCPT_ASKS = ASK_SUBJECT_TAG + CCAT_SLOTS
};

/* A level that nobody has set: no score reaches it, and every score is to be seen. */
#define RCPT_NO_LEVEL INT32_MIN

#define RCPT_MAPS_MAX 4 /* exact, major, plain, catch-all */

struct policy_ask {
	unsigned count; /* of maps, which say something to some */
	const struct mw_lookup *maps[RCPT_MAPS_MAX];
	struct mw_value dflt; /* where they do not */
	const char *place;    /* the same as a place to be kept at, see struct txn_rcpt */
	const char *said_by;  /* the setting that dflt comes from; NULL or "": of none */
};

/* What a policy's settings say by category, for exactly one. */
struct policy_by_ccat {
	struct mw_lookup *destinies, *lovers, *quarantine_to, *subject_tags; /* NULL: nothing */
	bool has_destiny;
	enum mw_destiny destiny;		     /* of final_destiny_by_ccat */
	struct quarantine_method *quarantine_method; /* NULL: not said */
};

/* From p's settings; the plain maps are compiled already. err_r names what cannot be. */
enum mw_rc rcpt_policy_compile(
	const struct policy_set *set, struct policy *p, struct mw_err *err_r);
void rcpt_policy_fini(struct policy *p);
/* A value of *_quarantine_to as struct txn_rcpt has it. False: none that could be one. */
bool rcpt_policy_place(const char *text, const char **place_r);
/* The folder below QUARANTINEDIR that a place (struct txn_rcpt) is; "": QUARANTINEDIR itself, also
 * for what is an address. */
const char *rcpt_policy_folder(const char *place);
/* The last step of that: p->usual and what has to be asked, from p->asks. */
enum mw_rc rcpt_policy_prepare(struct policy *p, struct mw_err *err_r);
/* What texts of a plain *_maps setting may be, or NULL: see struct mw_lookup_options. */
enum mw_rc (*rcpt_policy_check(const struct policy *p, const char *setting))(
	const char *text, struct mw_err *err_r);

/*
 * All answers about r, into its fields: of a database's records (NULL: none), else of t's policy.
 * May be called again, for other banks say other things.
 */
void rcpt_policy_resolve(struct txn *t, struct txn_rcpt *r, const struct db_records *records);
/* Who said a recipient's value of a setting: of a database, of tables, or nobody. */
struct rcpt_said {
	const char *name;    /* amavisd's, without _maps */
	const char *setting; /* of the tables, or of what counts where they say nothing; NULL */
	enum {
		RCPT_SAID_BY_NOBODY,
		RCPT_SAID_BY_DATABASE,
		RCPT_SAID_BY_TABLE,
		RCPT_SAID_BY_CONSTANT
	} by;
	const struct db_field *field; /* of a database */
	const struct db_record *record;
	struct mw_lookup_result table; /* of tables */
	char value[MW_LOOKUP_TEXT_MAX +
		   8]; /* true, 6.31, "D_REJECT", null: as JSON but for escapes */
};
/*
 * For explain: the i-th question, answered as rcpt_policy_resolve left r, of the same records.
 * False: there are no more. name NULL: it is not told of.
 */
bool rcpt_policy_say(struct txn *t, const struct txn_rcpt *r, const struct db_records *records,
	size_t i, struct rcpt_said *said_r);
/* The same for one question. False: it is not told of. */
bool rcpt_policy_say_of(struct txn *t, const struct txn_rcpt *r, const struct db_records *records,
	enum rcpt_ask ask, struct rcpt_said *said_r);
/*
 * True, before the mail is there: of that size it would be rejected for this recipient, whatever a
 * database may say (so never where there is one).
 */
bool rcpt_policy_too_large(struct txn *t, const char *addr, uint64_t size);

#endif
