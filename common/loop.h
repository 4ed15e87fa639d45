/*
 * The event loop of every Mailweir process: libuv, with ZeroMQ sockets and plain descriptors in it.
 *
 * A ZeroMQ socket's descriptor is edge-triggered: after every send and receive ZMQ_EVENTS has to be
 * asked again, or a wake-up is lost for ever. That is done here, once, before each poll (loop.c):
 * users only give a callback that receives until MW_AGAIN or until it has done its fair share
 * (MW_BATCH).
 *
 * Nothing here is thread-safe: one loop, one thread. Memory for watches is the caller's, by
 * _init/_fini pairs, and must live until _fini has been called; _fini may be called from a
 * callback, its own included.
 */
#ifndef MW_LOOP_H
#define MW_LOOP_H

#include <uv.h>
#include "base.h"

/* How many messages a readiness callback takes before it lets others run. */
#define MW_BATCH 64

struct mw_loop;
struct mw_loop *mw_loop_new(void);
void mw_loop_destroy(struct mw_loop **loop_p);
/* Run until mw_loop_stop(). */
void mw_loop_run(struct mw_loop *loop);
void mw_loop_stop(struct mw_loop *loop);
/* The libuv loop inside, for smtp-front's streams and libuv's thread pool. */
uv_loop_t *mw_loop_uv(struct mw_loop *loop);
/* Time the loop woke up; cheap; milliseconds of mw_mono_ms's clock. */
uint64_t mw_loop_now_ms(const struct mw_loop *loop);

/* ---- timers: fires once after ms, then every `every_ms` when that is not 0 ---- */
struct mw_timer;
struct mw_timer *mw_timer_new(struct mw_loop *loop, void (*fire)(void *arg), void *arg);
void mw_timer_start(struct mw_timer *t, uint64_t ms, uint64_t every_ms);
void mw_timer_stop(struct mw_timer *t);
void mw_timer_destroy(struct mw_timer **t_p);

/* ---- plain descriptors (not owned; destroy the watch before closing the descriptor) ---- */
enum { MW_READABLE = 1, MW_WRITABLE = 2 };
struct mw_fd;
/* events: what is ready; an error or hang-up is reported as readable, so that a read tells which.
 */
struct mw_fd *mw_fd_new(
	struct mw_loop *loop, int fd, void (*ready)(void *arg, int events), void *arg);
/* Watch for these (0: none). */
void mw_fd_watch(struct mw_fd *w, int events);
void mw_fd_destroy(struct mw_fd **w_p);

/* ---- ZeroMQ sockets (not owned; destroy the watch before closing the socket) ---- */
struct mw_zwatch;
/* readable: call zmq_msg_recv(..., ZMQ_DONTWAIT) up to MW_BATCH times, and mw_zwatch_drained when
 * there was nothing left. writable may be NULL. */
struct mw_zwatch *mw_zwatch_new(struct mw_loop *loop, void *zsock, void (*readable)(void *arg),
	void (*writable)(void *arg), void *arg);
/* Ask for the writable callback: it comes once, when the socket takes at least one more message. */
void mw_zwatch_want_write(struct mw_zwatch *w);
/* Call after using the socket outside of its callbacks (a send from elsewhere). */
void mw_zwatch_touched(struct mw_zwatch *w);
/*
 * Said by a readable callback whose last receive was MW_AGAIN: such a receive has heard all that
 * ZeroMQ's threads had to say, so ZMQ_EVENTS, two system calls, need not be asked once more.
 */
void mw_zwatch_drained(struct mw_zwatch *w);
/* No callbacks until resumed, and no turns of the loop for what waits at the socket: for a reader
 * that is full. */
void mw_zwatch_pause(struct mw_zwatch *w);
void mw_zwatch_resume(struct mw_zwatch *w);
void mw_zwatch_destroy(struct mw_zwatch **w_p);

/* ---- child processes and signals ---- */
struct mw_signal;
struct mw_signal *mw_signal_new(
	struct mw_loop *loop, int signum, void (*fire)(void *arg, int signum), void *arg);
void mw_signal_destroy(struct mw_signal **s_p);

#endif
