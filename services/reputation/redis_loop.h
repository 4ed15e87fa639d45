/*
 * hiredis on our event loop: the hooks of an asynchronous context, served by common/loop.h. Written
 * for hiredis 0.14, whose onDisconnect is silent about connections that never came to be; `gone`
 * here is not.
 */
#ifndef REP_REDIS_LOOP_H
#define REP_REDIS_LOOP_H

#include <hiredis/async.h>

#include "loop.h"

#define REP_REPLY_OCTETS_MAX                                                                       \
	(1024 * 1024)		 /* of one reply, unread: a server that says more is cut off */
#define REP_REPLY_ITEMS_MAX 1024 /* of one array in a reply */

struct rep_link;

/*
 * Serve ac from the loop. gone is called once, when hiredis has freed ac or is about to: for an
 * error, an end of stream, a reply beyond the limits above, or redisAsyncFree. ac must not be
 * touched from then on. NULL when the descriptor cannot be watched: then ac is still the caller's.
 */
struct rep_link *rep_link_new(struct mw_loop *loop, redisAsyncContext *ac,
	void (*gone)(void *arg, const char *why), void *arg);
/* Do not call gone any more. The link frees itself with its context. */
void rep_link_forget(struct rep_link *link);

#endif
