/* What of a message other engines are to look at: each leaf, archive and member, appended to the
 * memfd that the scanner gave (proto.h says how). */
#ifndef SCAN_LEAVES_H
#define SCAN_LEAVES_H

#include "proto.h"

struct leaves {
	int fd;	       /* -1: nobody wants them */
	uint64_t left; /* octets that may still be written */
	bool cut;      /* something is missing */
};

void leaves_add(struct leaves *l, const char *path, struct mw_octets octets);

#endif
