/* Whether a folder of signatures changed: names, sizes and times of its files, put together in one
 * number. */
#ifndef SCAN_SIGNATURES_H
#define SCAN_SIGNATURES_H

#include "base.h"

struct signatures {
	uint64_t print;
	bool looked;
};

/* Look at the folder (it need not exist). True when it differs from what the last look saw; the
 * first look never. */
bool signatures_look(struct signatures *s, const char *folder);

#endif
