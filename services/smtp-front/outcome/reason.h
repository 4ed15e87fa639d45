/* Why a recipient is blocked, as its reply says it: smtp_reason_by_ccat, or a text of our own. */
#ifndef SMTP_REASON_H
#define SMTP_REASON_H

#include "transaction.h"

#define REASON_MAX 450 /* octets; what is longer is cut */

/* "id=LOGID - INFECTED: Eicar-Test"; printable, of the mail's arena; never NULL. */
const char *reason_text(struct txn *t, const struct txn_rcpt *r, unsigned ccat);

#endif
