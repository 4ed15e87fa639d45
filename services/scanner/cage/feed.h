/*
 * What libarchive reads from: octets in memory, a few at a time. It asks for more in the midst of
 * what nobody else can stop: of decoding what is only to be passed over, of collecting a link's
 * target or a name that has no end. So each time it is looked whether there is time left, and,
 * while it reads what members' octets are not counted for, memory.
 */
#ifndef SCAN_FEED_H
#define SCAN_FEED_H

#include <archive.h>

#include "budget.h"

struct feed {
	struct mw_octets ahead; /* these come before o; nobody goes back to them */
	struct mw_octets o;	/* not copied: they outlive the reading */
	size_t at;
	struct budget *budget;
	unsigned
		head_pieces; /* given since a header of the archive or a member began; 0: in none */
	bool stopped;	     /* a limit was met, whatever libarchive makes of it */
};

/* What libarchive is asked for next: a header, or a member's octets, which who takes them counts.
 */
void feed_head(struct feed *f);
void feed_octets(struct feed *f);
/* Open a, whose formats and filters are chosen. True: it can be read on from. */
bool feed_open(struct feed *f, struct archive *a);

#endif
