/* Mails that killed two cages are not offered to a third: the last FRONT_POISON_MAX of them are
 * remembered for FRONT_POISON_MS. */
#ifndef SMTP_POISON_H
#define SMTP_POISON_H

#include "transaction.h"

bool poison_is_known(const struct txn *t);
/* Two cages died on it: told in the log and by an alert, too. */
void poison_remember(struct txn *t);

#endif
