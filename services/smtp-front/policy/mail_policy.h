/* Which banks a mail loads on top of its socket's, and when (policy-and-lookups 2); what is said
 * about its recipients. */
#ifndef SMTP_MAIL_POLICY_H
#define SMTP_MAIL_POLICY_H

#include "db_records.h"
#include "transaction.h"

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

/* What a database (NULL: none), else the tables, say about a recipient, into its fields. */
void mail_policy_recipient(
	const struct policy *p, struct txn_rcpt *r, const struct db_records *records);
/*
 * The same for all of t's, databases asked once for the mail. known: at once or later, never after
 * the mail's end; failed: why it cannot be known, and must not go on; NULL. Asked again, under
 * another policy, databases are not, unless that reads addresses otherwise.
 */
void mail_policy_recipients(struct txn *t, void (*known)(struct txn *t, const char *failed));

/* Let go of what was kept to ask again; at the mail's end. */
void mail_policy_forget(struct txn *t);

#endif
