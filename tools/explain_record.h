/* mailweir explain MAIL_ID: what was decided about a mail, from the records that the logger keeps.
 */
#ifndef TOOLS_EXPLAIN_RECORD_H
#define TOOLS_EXPLAIN_RECORD_H

#include "log.h"
#include "record.h"
#include "tools.h"

/* id: a mail_id or a Message-ID. Prints; returns the exit code. */
int explain_record(const struct mw_conf *conf, const char *id, bool json);
/* One record as a line of JSON. */
void explain_record_json(const struct mw_record *r);

#endif
