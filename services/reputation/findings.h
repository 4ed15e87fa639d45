/* From what the store knows to what the verdict says (docs/wire.md, "reputation"): scores are added
 * here. */
#ifndef REP_FINDINGS_H
#define REP_FINDINGS_H

#include "store.h"

/* ignored: networks whose score counts as 0. Appends one map to *out. */
void rep_findings_pack(struct mw_pack *out, const struct rep_query *q, const struct rep_answer *a,
	const struct mw_net *ignored, size_t ignored_count);

#endif
