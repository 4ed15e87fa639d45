/*
 * Short types of content, as amavisd calls them: "exe", "exe-ms", "zip", "asc" ... They are what
 * banned rules speak of. What most mail consists of is known by our own table of magic numbers and
 * a look at the first octets; for the rest libmagic is asked, with what is slow or needs files
 * switched off: the only file that knows it.
 */
#ifndef SCAN_TYPES_H
#define SCAN_TYPES_H

#include "base.h"

#define TYPES_MAX 4		      /* short types of one content */
#define TYPES_TEXT_OCTETS (64 * 1024) /* that text is looked at */
#define TYPES_MAGIC_OCTETS                                                                         \
	1024 /* that libmagic is shown: with more it takes longer, and knows no more */

struct types; /* libmagic with its data */

/* Load the data: before a cage is forked, so that all share it. NULL, and *err_r says why. */
struct types *types_open(struct mw_err *err_r);
void types_close(struct types **t_p);
/*
 * A list that ends with NULL, for ever; never empty: "dat" when nobody knows. t NULL: by our own
 * table alone.
 */
const char *const *types_of(struct types *t, struct mw_octets octets);

#endif
