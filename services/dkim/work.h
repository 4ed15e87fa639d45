/*
 * Crypto off the loop: a function on libuv's thread pool whose job may be taken away at any time.
 *
 * The octets it reads belong to the job, and are gone once its ticket is cancelled. So cancelling
 * waits until the function has let go of them; it looks at *stop between pieces, which bounds that
 * wait to about a millisecond.
 */
#ifndef DKIMSVC_WORK_H
#define DKIMSVC_WORK_H

#include <stdatomic.h>
#include "loop.h"

struct dkimsvc_work {
	uv_work_t req;
	uv_sem_t left; /* posted when run has returned */
	atomic_bool stop;
	bool cancelled;
	uint64_t cpu_us;				 /* that run took */
	void (*run)(void *arg, const atomic_bool *stop); /* in a thread of the pool */
	void (*after)(void *arg, bool cancelled);	 /* in the loop, always, last */
	void *arg;
};

/* False: not started, after will not come. w lives until after. */
bool dkimsvc_work_start(struct dkimsvc_work *w, struct mw_loop *loop,
	void (*run)(void *arg, const atomic_bool *stop), void (*after)(void *arg, bool cancelled),
	void *arg);
/* When this returns run will not touch anything any more; after comes later, with cancelled true.
 */
void dkimsvc_work_cancel(struct dkimsvc_work *w);

#endif
