/*
 * A quarantine copy read back: the envelope that quarantine.c (or amavisd) wrote on top, and where
 * the original begins. The original may begin with fields of the same names, written by whoever
 * wanted to be released to somebody else: the envelope ends at X-Quarantine-ID.
 */
#ifndef MW_QUARANTINE_COPY_H
#define MW_QUARANTINE_COPY_H

#include "base.h"

struct mw_quarantine_copy {
	struct mw_octets file;	 /* borrowed; CRLF line ends */
	struct mw_octets id;	 /* without <> */
	struct mw_octets sender; /* "<a@example.com>", as it stands */
	size_t envelope;	 /* octets of the envelope's fields */
	size_t original;	 /* offset of the mail itself */
};

/* False: it is no quarantine copy. */
bool mw_quarantine_copy_read(struct mw_octets file, struct mw_quarantine_copy *c_r);
/* The next recipient behind *at (0 at first), of those that were blocked or of all. False: none. */
bool mw_quarantine_copy_rcpt(
	const struct mw_quarantine_copy *c, bool blocked, size_t *at, struct mw_octets *value_r);
/*
 * The next field of that name behind *at (0 at first): of those that stand between the envelope and
 * the original, or of the original's. The value is raw, with its folds and its line end.
 */
bool mw_quarantine_copy_field(const struct mw_quarantine_copy *c, bool original, const char *name,
	size_t *at, struct mw_octets *value_r);

#endif
