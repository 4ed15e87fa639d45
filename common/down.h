/* What a process depends on and cannot have at the moment, by name: a worker tells its fronts in
 * alive, a front turns what changed into alerts. */
#ifndef MW_DOWN_H
#define MW_DOWN_H

#include "base.h"

#define MW_DOWN_MAX 16
#define MW_DOWN_NAME_MAX 64 /* with the NUL */

struct mw_down {
	size_t count;
	char names[MW_DOWN_MAX][MW_DOWN_NAME_MAX]; /* printable ASCII */
};

/* A name that is too long is cut, what is not printable ASCII becomes '?', and one that is there
 * already, or does not fit any more, is left out. */
void mw_down_add(struct mw_down *d, const char *name);
bool mw_down_has(const struct mw_down *d, const char *name);

#endif
