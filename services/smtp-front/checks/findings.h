/* Findings of workers, from their maps into struct findings. A map that lies about its shape counts
 * as a failed check. */
#ifndef SMTP_FINDINGS_H
#define SMTP_FINDINGS_H

#include "transaction.h"

/* Read one kind's findings into t->found; what is kept is copied into the transaction's arena. */
enum mw_rc findings_take(struct txn *t, enum dispatch_kind kind, struct mw_octets map);

#endif
