/* The live state as others read it: JSON (README.md says what each field means) and Prometheus
 * text. */
#ifndef STATUSSVC_VIEWS_H
#define STATUSSVC_VIEWS_H

#include "live.h"
#include "text.h"

/* Append one JSON object. MW_OK or MW_ERR_NOMEM, then *out is not to be used. */
enum mw_rc statussvc_json(
	struct mw_text *out, const struct statussvc_live *l, uint64_t now_ms, uint64_t wall_ms);
void statussvc_metrics(struct mw_text *out, const struct statussvc_live *l, uint64_t now_ms);

#endif
