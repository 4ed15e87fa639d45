/* One zip archive being given out: what zip.c (which members there are) and zip_member.c (their
 * octets) share. */
#ifndef SCAN_ZIP_WALK_H
#define SCAN_ZIP_WALK_H

#include "container.h"
#include "grow.h"
#include "zip_head.h"

struct zip_walk {
	const struct container_job *job;
	struct mw_octets o;
	struct grow out, plain; /* a member unpacked; decrypted */
	unsigned folders;	/* given so far */
	bool listed;		/* there is a directory */
	bool ambiguous, broken;
};

/* A member to be given out: how each kind of reader finds it. */
struct zip_view {
	const struct zip_head *central; /* NULL: no directory lists it */
	const struct zip_head *local;	/* NULL: the directory points at nothing */
};

/*
 * Give one member out under every reading; *end_r: where the shortest of its readings ends.
 * CONTAINER_WHOLE, or why the walk has to stop; what is broken is noted in w.
 */
enum container_end zip_give(struct zip_walk *w, const struct zip_view *v, size_t *end_r);

#endif
