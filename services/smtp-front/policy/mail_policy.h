/* Which banks a mail loads on top of its socket's, and when (policy-and-lookups 2); what is said
 * about its recipients. */
#ifndef SMTP_MAIL_POLICY_H
#define SMTP_MAIL_POLICY_H

#include "db_fields.h"
#include "transaction.h"

/* What loads banks, in the order of the mail's path. */
enum mail_bank_rule {
	MAIL_BANK_OF_SOCKET,  /* interface_policy */
	MAIL_BANK_OF_CLIENT,  /* client_ipaddr_policy, or mynetworks and MYNETS */
	MAIL_BANK_ASKED,      /* by AM.PDP's client */
	MAIL_BANK_OF_USER,    /* originating, and a local sender: MYUSERS */
	MAIL_BANK_OF_AUTHOR,  /* author_to_policy_bank_maps: signatures */
	MAIL_BANK_OF_VIRUS,   /* virus_name_to_policy_bank_maps */
	MAIL_BANK_OF_MESSAGE, /* anything else that it is */
};

/*
 * At MAIL: banks by the original client's address, those that the client asks for (AM.PDP; NULL:
 * none; ones that are not there are told in the log and passed over), MYUSERS for our users' mail.
 * False: a bank cannot be loaded; it was told, and the mail must not go on without it.
 */
bool mail_policy_begin(struct txn *t, const char *asked);
/*
 * Load these banks, comma-separated, on top of the mail's; NULL: none. False as above. What was
 * asked about recipients before stays as it was: call it first, or ask again.
 */
bool mail_policy_load(struct txn *t, const char *banks);
/* The same, and this rule is why. */
bool mail_policy_load_by(struct txn *t, enum mail_bank_rule rule, const char *banks);

/* What a database (NULL: none), else the tables, say about a recipient, into its fields. */
void mail_policy_recipient(
	const struct policy *p, struct txn_rcpt *r, const struct db_records *records);
/* Who said a recipient's value of a setting: of a database, of tables, or nobody. */
struct mail_policy_said {
	const char *setting; /* "spam_kill_level_maps" */
	const char *dflt;    /* the setting that counts where nobody says anything; NULL: false */
	enum { MAIL_SAID_BY_NOBODY, MAIL_SAID_BY_DATABASE, MAIL_SAID_BY_TABLE } by;
	const struct db_field *field; /* of a database */
	const struct db_record *record;
	struct mw_lookup_result table; /* of tables */
	enum mw_value_type type;       /* what r has: a flag, or thousandths */
	bool yes;
	int32_t milli;
};
/*
 * For explain: the i-th setting that recipients have. r is as mail_policy_recipient left it, p and
 * records are those that it was given; what said_r has is theirs. False: there are no more.
 */
bool mail_policy_say(const struct policy *p, const struct txn_rcpt *r,
	const struct db_records *records, size_t i, struct mail_policy_said *said_r);

/*
 * Settles all of t's recipients, databases asked once for the mail. known: at once or later, never
 * after the mail's end; failed: why it cannot be known, and must not go on; NULL.
 * Asked again, under another policy, databases are not, unless that reads addresses otherwise.
 */
void mail_policy_recipients(struct txn *t, void (*known)(struct txn *t, const char *failed));

/* Let go of what was kept to ask again; at the mail's end. */
void mail_policy_forget(struct txn *t);

#endif
