/*
 * Lists of senders in databases: the wblist of SQL users (sql_clause.sel_wblist), and LDAP's
 * amavisBlacklistSender and amavisWhitelistSender (docs/policy-databases.md, "Lists of senders").
 */
#ifndef SMTP_MAIL_SENDERS_H
#define SMTP_MAIL_SENDERS_H

#include "transaction.h"

/* Addresses that are looked for in lists: the envelope's and From's. */
#define MAIL_SENDERS_MAX 20
#define MAIL_SENDERS_QUESTIONS_MAX 20000 /* users of a mail's recipients, by its senders */

/* The envelope's sender, "" too, and those of From, each once; they live as long as the mail. */
size_t mail_senders_of(struct txn *t, const char *senders[MAIL_SENDERS_MAX]);

/*
 * Ask databases about the senders, for all recipients together; mail_policy_recipients() comes
 * before. known: at once or later, as there.
 */
void mail_senders_ask(struct txn *t, void (*known)(struct txn *t, const char *failed));

/* What was said about a recipient and its senders so far. */
struct mail_senders_said {
	bool found; /* a list has the sender, or is neutral: those that come later are not asked */
	bool white, black;
	bool has_milli;
	int64_t milli; /* soft points, all together */
};

/* True: there is something to hear about anybody. */
bool mail_senders_any(const struct txn *t);
/*
 * What databases say of the sender-th of mail_senders_of(), to a recipient, SQL before LDAP.
 * Adds to *said.
 */
void mail_senders_hear(struct txn *t, size_t rcpt, size_t sender, struct mail_senders_said *said);

/* Let go of the answers; at the mail's end. */
void mail_senders_forget(struct txn *t);

#endif
