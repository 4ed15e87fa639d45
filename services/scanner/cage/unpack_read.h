/*
 * What all that is read through libarchive has in common: one layer of compression, one member's
 * octets, and what an error means.
 */
#ifndef SCAN_UNPACK_READ_H
#define SCAN_UNPACK_READ_H

#include <archive.h>

#include "container.h"
#include "feed.h"
#include "grow.h"

/* What the reader said of a member whose octets it gave. */
struct remarks {
	bool warned;  /* that they are damaged, or in a way that it cannot undo */
	uint64_t end; /* offset behind the last of them; a hole may stand before it */
};

/*
 * Exactly one layer of compression: left to bid, libarchive takes off as many as it sees, and what
 * stands behind the inner one's end is lost. A tar in there is a member like any other: the reader
 * of tar would stop at its end, or go on over any number of zeros, without asking the budget.
 * False: no memory.
 */
bool unpack_filter(struct archive *a, int filter);
/* Behind feed_open, with such a filter. CONTAINER_BROKEN: these octets are not of that kind. */
enum container_end unpack_began(struct archive *a, const struct feed *feed);
/* Unpack the member at hand into g, within the budget. */
enum container_end unpack_member(
	struct archive *a, struct feed *feed, struct grow *g, struct remarks *remarks);
/*
 * What an error of the reader means. A window or dictionary beyond the cage's memory is a limit of
 * ours, no fault of the archive.
 */
enum container_end unpack_fault(struct archive *a, const struct feed *feed);

#endif
