/* Which banks a mail loads on top of its socket's, and when (policy-and-lookups 2); what is said
 * about its recipients. */
#ifndef SMTP_MAIL_POLICY_H
#define SMTP_MAIL_POLICY_H

#include "db_fields.h"
#include "transaction.h"

/* What loads banks, in the order of the mail's path. */
enum mail_bank_rule {
	MAIL_BANK_OF_SOCKET, /* interface_policy */
	MAIL_BANK_OF_CLIENT, /* client_ipaddr_policy, or mynetworks and MYNETS */
	MAIL_BANK_ASKED,     /* by AM.PDP's client */
	MAIL_BANK_OF_USER,   /* originating, and a local sender: MYUSERS */
	MAIL_BANK_OF_AUTHOR, /* author_to_policy_bank_maps: signatures */
	MAIL_BANK_OF_VIRUS,  /* virus_name_to_policy_bank_maps */
	MAIL_BANK_OF_HOOK,   /* hooks.new */
};

/*
 * Before mail_policy_begin: what DNS lists say of the client. MW_OK: there is nothing to wait for.
 * MW_AGAIN: ready comes from the loop, unless the mail ends before. MW_ERR_NOMEM.
 */
enum mw_rc mail_policy_ready(struct txn *t, void (*ready)(struct txn *t));
/* Why the mail cannot have a policy now: a list that must be known has not answered. */
bool mail_policy_is_undecided(const struct txn *t);
/*
 * At MAIL: banks by the original client's address, those that the client asks for (AM.PDP; NULL:
 * none; ones that are not there are told in the log and passed over), MYUSERS for our users' mail.
 * False: a bank cannot be loaded, or it is undecided which; it was told, and the mail must not go
 * on.
 */
bool mail_policy_begin(struct txn *t, const char *asked);
/*
 * Load these banks, comma-separated, on top of the mail's, by that rule; NULL: none. False as
 * above. What was asked about recipients before stays as it was: call it first, or ask again.
 */
bool mail_policy_load(struct txn *t, enum mail_bank_rule rule, const char *banks);

/*
 * What each of t's recipients has of its own, databases asked once for the mail. known: at once or
 * later, never after the mail's end; failed: why it cannot be known, and must not go on; NULL.
 * Asked again, under another policy, databases are not, unless that reads addresses otherwise.
 */
void mail_policy_recipients(struct txn *t, void (*known)(struct txn *t, const char *failed));

/* What databases said of a recipient when they were asked last; NULL: nothing. */
const struct db_records *mail_policy_answer(const struct txn *t, size_t rcpt);
/* Let go of what was kept to ask again; at the mail's end. */
void mail_policy_forget(struct txn *t);

#endif
