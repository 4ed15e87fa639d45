/*
 * Header edits of passed mail (decision.md 10): what goes on top, what of the original stays, for
 * whom. Recipients with equal edits form a cluster and share one delivery. The original is never
 * copied: what stays are slices of it.
 */
#ifndef SMTP_EDIT_H
#define SMTP_EDIT_H

#include "transaction.h"

/* Fills t->clusters from the recipients that pass. MW_OK or MW_ERR_NOMEM. */
enum mw_rc edit_clusters(struct txn *t);
/*
 * When the original's first line begins with a blank it would go on what stands above it: then the
 * last field above it becomes one that nobody trusts.
 */
void edit_guard(const struct txn *t, struct mw_text *out);
/* The final header section of a cluster in one piece, for the sign job. */
enum mw_rc edit_final_header(struct txn *t, struct txn_cluster *c);

#endif
