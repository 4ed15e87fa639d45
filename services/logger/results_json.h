/* The fields of the main event that are worked out: results, recipients, checks, tests, elapsed. */
#ifndef LOGSVC_RESULTS_JSON_H
#define LOGSVC_RESULTS_JSON_H

#include "json.h"
#include "record.h"

/* Writes the top-level field of that name, if the record gives rise to it. */
void logsvc_result_json(struct logsvc_json *j, const char *name, const struct mw_record *r);

#endif
