/* Files behind lookup tables, looked at in turn: changed ones are read on libuv's pool, while mail
 * runs, and swapped in the loop. */
#ifndef SMTP_POLICY_WATCH_H
#define SMTP_POLICY_WATCH_H

#include "loop.h"
#include "policy.h"

struct policy_watch;

/* set_p: where the policies of new mail are found at any time. NULL: no memory. */
struct policy_watch *policy_watch_new(
	struct mw_loop *loop, struct policy_set *const *set_p, uint64_t every_ms);
/* After a reload: another interval. */
void policy_watch_every(struct policy_watch *w, uint64_t every_ms);
/* What runs on the pool still ends in the loop, and frees itself there. */
void policy_watch_destroy(struct policy_watch **w_p);

#endif
