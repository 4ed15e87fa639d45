/* One cage: takes a job from its socket, works, answers, until the socket ends. Runs in a forked
 * child of the holder. */
#ifndef SCAN_CAGE_H
#define SCAN_CAGE_H

#include "av.h"
#include "box.h"
#include "types.h"

/* Never returns. path: its folder; sock: its end of the socket pair; parent: the holder's pid. */
_Noreturn void cage_run(const struct scan_conf *conf, struct av *av, struct types *types,
	const char *path, int sock, int parent);

#endif
