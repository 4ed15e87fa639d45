/* The one record of what happened to a mail, as an event; and the front's own figures. */
#ifndef SMTP_REPORT_H
#define SMTP_REPORT_H

#include "transaction.h"

/* Publish the mail record of a finished (or aborted) transaction. */
void report_mail(struct txn *t, bool aborted);

#endif
