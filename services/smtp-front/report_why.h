/*
 * The part of the mail record for who asks why: which setting, of which line, mattered for a
 * recipient; what loaded the policy banks; what was edited. Told of decisions.recipients
 * recipients, for it costs a look into their tables again.
 */
#ifndef SMTP_REPORT_WHY_H
#define SMTP_REPORT_WHY_H

#include "transaction.h"

/* Fills what r has of it but for its recipients; in the arena. */
void report_why(struct txn *t, struct mw_record *r);
/* The same of the i-th recipient. */
void report_why_rcpt(struct txn *t, size_t i, struct mw_record_rcpt *out);

#endif
