/* Steps of the path that two of its files share: transaction.c and transaction_delivery.c. Nobody
 * else includes this. */
#ifndef SMTP_TRANSACTION_PRIV_H
#define SMTP_TRANSACTION_PRIV_H

#include "transaction.h"

/* Everything that goes wrong on our side: 451, the client keeps the mail (decision.md 17). */
void txn_defer(struct txn *t, const char *why);
/* Deliver the next cluster, or go on when there is none. */
void txn_deliver(struct txn *t);
/* The mail is over: tell the client, record, let go. */
void txn_reply(struct txn *t);

#endif
