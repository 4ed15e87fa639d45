/* Names become addresses on libuv's thread pool: the loop never waits for a resolver. */
#ifndef REP_RESOLVE_H
#define REP_RESOLVE_H

#include "ip.h"
#include "loop.h"

#define REP_ADDRESSES_MAX 8 /* of one name; more are not tried */

struct rep_lookup;

/* count 0: the name has no address, and why says so. */
typedef void rep_resolved(void *arg, const struct mw_ip *ips, size_t count, const char *why);

/* Never calls back before it returns. NULL when memory ran out. */
struct rep_lookup *rep_lookup_start(
	struct mw_loop *loop, const char *host, rep_resolved *done, void *arg);
/* done is not called any more; a look-up under way ends by itself. */
void rep_lookup_forget(struct rep_lookup **lookup_p);
/* Look-ups under way, forgotten ones included: their loop must not be destroyed. */
unsigned rep_lookups_running(void);

#endif
