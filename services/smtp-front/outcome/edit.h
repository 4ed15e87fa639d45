/*
 * Header edits of passed mail (decision.md 10): what goes on top (edit_fields.c), what of the
 * original goes or is changed (edit_remove.c, edit_subject.c, edit_repair.c), for whom
 * (edit_cluster.c). Recipients with equal edits and the same next hop form a cluster and share one
 * delivery. The original is not copied: what stays are slices of it, of a header section that needs
 * repairs slices of its repaired copy.
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
/* The same of a mail that leaves the quarantine as itself: claims that others trust when they are
 * ours go here, too, as they would have gone when it came. MW_OK, MW_ERR_LIMIT (of a header
 * section) or MW_ERR_NOMEM. */
enum mw_rc edit_claims(struct txn *t, const char *fields, size_t from);

/* The fields that we may add (edit_fields.c's rules), top-down; a name may come several times. */
enum edit_field {
	EDIT_HOLD,
	EDIT_CHECKER,
	EDIT_QUARANTINE_ID,
	EDIT_MODIFIED,
	EDIT_SCANNED,
	EDIT_INFECTED,
	EDIT_BANNED,
	EDIT_BADH,
	EDIT_UNCHECKED,
	EDIT_NO_SCORE,
	EDIT_SPAM_FLAG,
	EDIT_SPAM_SCORE,
	EDIT_SPAM_LEVEL,
	EDIT_SPAM_STATUS,
	EDIT_SPAM_REPORT,
	EDIT_PENPALS,
	EDIT_RESULTS,
	EDIT_AMBIGUITY,
	EDIT_SUBJECT, /* changed in its place; added where the mail has none */
	EDIT_RECEIVED,
	EDIT_CATEGORY,
	EDIT_FIELDS
};
struct edit_verdict {
	const char *field;
	bool added;
	const char *why; /* or why not */
};
/* For a recipient of a decided mail, whether it passes or not: what a person asks about. */
void edit_verdicts(
	const struct txn *t, const struct txn_rcpt *r, struct edit_verdict verdicts[EDIT_FIELDS]);
/*
 * allowed_added_header_fields as bits of enum edit_field: those that are never added, whatever the
 * mail is. err_r: a name that nobody knows, a value that is neither true nor false.
 */
enum mw_rc edit_fields_off(const struct mw_conf *conf, uint32_t *off_r, struct mw_err *err_r);
#define EDIT_SIGNATURE_OFF MW_BIT(EDIT_FIELDS) /* among them: DKIM-Signature */

/* That field of the original does not go on to r. */
bool edit_removes(const struct txn *t, const struct txn_rcpt *r, const struct mw_field *f);

/* What is to be done to a field of the original: the index-th of its name, whatever its case; the
 * first is 1. */
struct edit_change {
	struct mw_octets name;
	unsigned index;
	struct mw_octets field; /* the whole new field with its CRLF; empty: it goes */
};
/*
 * The same for who edits by name and index (AM.PDP), for the recipients of one cluster: first the
 * changes, then the fields that go, the last one first, so that taking one away changes no other's
 * index. *list_r lives in the arena. MW_OK or MW_ERR_NOMEM.
 */
enum mw_rc edit_changes(
	struct txn *t, const struct txn_cluster *c, struct edit_change **list_r, size_t *count_r);
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
/*
 * The header section for a program that takes LF for a line's end: what may be repaired is, and
 * octets CR that end no line go whatever the settings say, for a line of them would be empty to it.
 * *section_p: as edit_repair's. MW_OK or MW_ERR_NOMEM.
 */
enum mw_rc edit_repair_for_program(struct txn *t, struct mw_octets *section_p);
/* The final header section of a cluster in one piece, for the sign job. */
enum mw_rc edit_final_header(struct txn *t, struct txn_cluster *c);

#endif
