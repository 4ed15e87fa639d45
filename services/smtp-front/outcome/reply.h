/* One SMTP reply for many recipients (decision.md 8): the first rule that applies. */
#ifndef SMTP_OUTCOME_REPLY_H
#define SMTP_OUTCOME_REPLY_H

#include "transaction.h"

/* Sets t->reply_code and t->reply (whole text, "250 2.0.0 ..."), from the recipients' codes. */
void outcome_reply(struct txn *t);

#endif
