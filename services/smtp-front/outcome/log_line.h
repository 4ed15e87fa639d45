/* The classic log lines of a mail, as amavisd writes them, and of each recipient; where its time
 * went. */
#ifndef SMTP_LOG_LINE_H
#define SMTP_LOG_LINE_H

#include "record.h"

struct txn;

/* When the mail is over and its record is made. A mail that was deferred before it was decided on
 * has none: it comes again. */
void log_line(struct txn *t, const struct mw_record *r);
/* The timing report of log_level 2. */
void log_timing(const struct txn *t, const struct mw_record *r);

#endif
