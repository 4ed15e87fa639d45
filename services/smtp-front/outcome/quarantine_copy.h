/*
 * A quarantine copy read back: the envelope that quarantine.c (or amavisd) wrote on top, and where
 * the original begins. The original may begin with fields of the same names, written by whoever
 * wanted to be released to somebody else: the envelope ends at X-Quarantine-ID.
 */
#ifndef SMTP_QUARANTINE_COPY_H
#define SMTP_QUARANTINE_COPY_H

#include "base.h"

struct quarantine_copy {
	struct mw_octets file;	 /* borrowed; CRLF line ends */
	struct mw_octets id;	 /* without <> */
	struct mw_octets sender; /* "<a@example.com>", as it stands */
	size_t envelope;	 /* octets of the envelope's fields */
	size_t original;	 /* offset of the mail itself */
};

/* False: it is no quarantine copy. */
bool quarantine_copy_read(struct mw_octets file, struct quarantine_copy *c_r);
/* The next recipient behind *at (0 at first), of those that were blocked or of all. False: none. */
bool quarantine_copy_rcpt(
	const struct quarantine_copy *c, bool blocked, size_t *at, struct mw_octets *value_r);

#endif
