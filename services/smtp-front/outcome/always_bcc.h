/*
 * always_bcc: a further recipient of every mail that somebody gets, by the mail's category. It is
 * one that hooks could have added: the client is never told of it, NOTIFY=NEVER keeps the sender
 * from hearing of it, and when it does not get the mail nobody does, so that the client tries
 * again.
 */
#ifndef SMTP_ALWAYS_BCC_H
#define SMTP_ALWAYS_BCC_H

#include "transaction.h"

/* MW_OK, also when there is none to add, or MW_ERR_NOMEM. */
enum mw_rc always_bcc(struct txn *t);
/* Which address of always_bcc's, or dsn_bcc's, is this mail's, by its categories; NULL: none. */
const char *always_bcc_address(const struct txn *t, const struct policy_bcc *bcc);

#endif
