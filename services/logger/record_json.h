/* One mail record, alert or gap as one line of JSON. Fields: README.md. */
#ifndef LOGSVC_RECORD_JSON_H
#define LOGSVC_RECORD_JSON_H

#include "json.h"
#include "record.h"

/* Appended to *out, without a line end; out->failed tells of no memory. */
void logsvc_mail_json(struct mw_text *out, const struct mw_record *r);

struct logsvc_note {
	const char *host;
	uint64_t time_ms, incarnation, sequence;
};
void logsvc_alert_json(
	struct mw_text *out, const struct logsvc_note *n, const char *event, struct mw_octets text);
/* Records from..to of that incarnation are missing; why: "replay" (the front has them no more),
 * "queue" (ours was full). */
void logsvc_gap_json(struct mw_text *out, const struct logsvc_note *n, uint64_t from, uint64_t to,
	uint64_t missing, const char *why);

/* Names of the top-level fields, in the order written; for the test that they are sorted. */
const char *logsvc_mail_field(size_t i);

#endif
