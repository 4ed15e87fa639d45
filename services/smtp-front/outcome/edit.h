/*
 * Header edits of passed mail (decision.md 10): what goes on top, what of the original stays, for
 * whom. Recipients with equal edits form a cluster and share one delivery. The original is never
 * copied: what stays are slices of it.
 */
#ifndef SMTP_EDIT_H
#define SMTP_EDIT_H

#include <time.h>

#include "transaction.h"

/* Fills t->clusters from the recipients that pass. MW_OK or MW_ERR_NOMEM. */
enum mw_rc edit_clusters(struct txn *t);
/* One cluster of all recipients: the mail's octets from an offset on, as they are, fields on top.
 */
enum mw_rc edit_nothing(struct txn *t, const char *fields, size_t from);

/* The fields that we may add (edit.c's rules), top-down; a name may come several times. */
#define EDIT_FIELDS 11
struct edit_verdict {
	const char *field;
	bool added;
	const char *why; /* or why not */
};
/* For a recipient of a decided mail, whether it passes or not: what a person asks about. */
void edit_verdicts(
	const struct txn *t, const struct txn_rcpt *r, struct edit_verdict verdicts[EDIT_FIELDS]);
/* That field of the original does not go on. */
bool edit_removes(const struct txn *t, const struct mw_field *f);

/* A field of the original that goes: the index-th of its name, whatever its case; the first is 1.
 */
struct edit_removal {
	struct mw_octets name;
	unsigned index;
};
/*
 * The fields that go, for who edits by name and index (AM.PDP), the last one first: taking one away
 * changes no other's index. *list_r lives in the arena. MW_OK or MW_ERR_NOMEM.
 */
enum mw_rc edit_removals(struct txn *t, struct edit_removal **list_r, size_t *count_r);
/*
 * When the original's first line begins with a blank it would go on what stands above it: then the
 * last field above it becomes one that nobody trusts.
 */
void edit_guard(const struct txn *t, struct mw_text *out);
#define EDIT_GUARD_FIELD                                                                           \
	"X-Amavis-Alert: BAD HEADER SECTION, the first line begins with white space\r\n"
/* Our Received field (RFC 5321 section 4.4), and a date as header fields have it. */
void edit_received(const struct txn *t, struct mw_text *out);
const char *edit_date(time_t second);
/* The final header section of a cluster in one piece, for the sign job. */
enum mw_rc edit_final_header(struct txn *t, struct txn_cluster *c);

#endif
