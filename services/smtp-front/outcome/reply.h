/*
 * What the client is told (decision.md 8): one reply for all recipients, and one for each where the
 * protocol has that. A 2xx stands for recipients who have the mail, whose mail policy threw away,
 * or of whom the sender was told by a notification of ours; never for anything else.
 */
#ifndef SMTP_OUTCOME_REPLY_H
#define SMTP_OUTCOME_REPLY_H

#include "transaction.h"

/*
 * Sets t->reply_case, t->reply_code and t->reply (whole text, "250 2.0.0 ..."), from the
 * recipients' codes, and each recipient's r->told.
 */
void outcome_reply(struct txn *t);
/*
 * Before that, when the next hop's results are there: the sender of r has to be told by a
 * notification of ours what became of it, because no reply will: a bounce, or a refusal among
 * others' deliveries where there is one reply for all. Who tells sets r->dsn; where it stays
 * DSN_NONE the reply is a 5xx as if there were no notifications.
 */
bool reply_needs_dsn(const struct txn *t, const struct txn_rcpt *r);
/* What the client hears when it is for a recipient that it does not know that others have to wait.
 */
const char *reply_later(struct txn *t);

#endif
