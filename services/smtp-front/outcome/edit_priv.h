/* What the files of the header edits share: edit_cluster.c (the whole), edit_fields.c,
 * edit_remove.c, edit_subject.c, edit_repair.c, edit_fold.c. Nobody else includes this. */
#ifndef SMTP_EDIT_PRIV_H
#define SMTP_EDIT_PRIV_H

#include "edit.h"

#define EDIT_LINE_MAX 998 /* octets without CRLF: RFC 5322 section 2.1.1 */

/* ------------------------------------------------------------------ edit_fold.c */

#define EDIT_FOLD_AT 78 /* columns: RFC 5322 section 2.1.1 */

/*
 * A field that may be folded only where its writer says so: lines are filled as far as they go.
 * Each part begins with the blank that becomes its fold's.
 */
struct edit_fold {
	struct mw_text *out;
	size_t line, part; /* where they begin */
};
struct edit_fold edit_fold_begin(struct mw_text *out);
void edit_fold_here(struct edit_fold *f); /* before each part but the first */
void edit_fold_end(struct edit_fold *f);  /* and the CRLF */
/* The field that begins at `from`, not yet ended: folded before blanks where it is too long, and
 * ended. What has no blank in EDIT_LINE_MAX octets is cut. */
void edit_fold_words(struct mw_text *out, size_t from);

/* Text from outside in a header field: no line may end there, nothing may be hidden. */
void edit_add_safe(struct mw_text *out, struct mw_octets s);
/* Thousandths as amavisd writes numbers: 5, 2.5, -0.005. */
void edit_add_score(struct mw_text *out, int64_t milli);

/* ------------------------------------------------------------------ edit_fields.c */

/* Everything of ours on top for one recipient. NULL: no memory. first: the octets that will stand
 * below (edit_guard); has_subject: among them is one, so none is added. */
char *edit_fields(struct txn *t, const struct txn_rcpt *r, const char *tag, bool has_subject,
	struct mw_octets first);

/* ------------------------------------------------------------------ edit_remove.c */

/* The same as edit_removes for a field of another index of this mail's header section. */
bool edit_removes_of(
	const struct txn *t, const struct mw_header *h, bool spam_goes, const struct mw_field *f);

/* ------------------------------------------------------------------ edit_subject.c */

#define EDIT_SUBJECTS_MAX 8   /* Subject fields of one mail that are changed; RFC 5322 allows one */
#define EDIT_SUBJECT_MAX 8192 /* octets of an old subject; what is behind them is cut off */
#define EDIT_SUBJECT_TAG_MAX 600 /* octets of a tag with its macros filled in */

/* The tag of r's categories as the settings have it: the first of them that is not empty; "". */
const char *edit_subject_raw(const struct txn *t, const struct txn_rcpt *r);
/* The same with its macros filled in, for a local recipient: clean UTF-8. NULL: no memory. */
const char *edit_subject_tag(struct txn *t, const struct txn_rcpt *r);
/* Something comes in front of the subject: the tag, or what hooks put there. */
static inline bool edit_changes_subject(const struct txn *t, const char *tag)
{
	return *tag != '\0' || (t->hooked != NULL && t->hooked->subject_prefix != NULL);
}
/* The whole new field; f NULL: there was none. Appends, with CRLF. */
void edit_add_subject(const struct txn *t, const char *tag, const struct mw_header *h,
	const struct mw_field *f, struct mw_text *out);

/* ------------------------------------------------------------------ edit_repair.c */

/*
 * What is wrong with a header section and may be repaired (allow_fixing_*): *section_p is then a
 * repaired copy, in the arena; else the octets as they are. MW_OK or MW_ERR_NOMEM.
 */
enum mw_rc edit_repair(struct txn *t, struct mw_octets *section_p);

#endif
