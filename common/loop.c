#include "loop.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>
#include <zmq.h>

/* Rounds a ZeroMQ socket gets in one turn of the loop before plain descriptors and timers have
 * their turn. */
#define ZWATCH_ROUNDS 4
/* How long an ending loop waits for what its thread pool is at (an fsync, a look-up), which nobody
 * can cut short. */
#define CLOSE_TURNS 5000
#define CLOSE_TURN_US 1000

struct mw_zwatch {
	struct mw_loop *loop;
	void *zsock;
	void (*readable)(void *arg);
	void (*writable)(void *arg);
	void *arg;
	uv_poll_t poll;
	struct mw_zwatch *next, **prev_p;
	bool touched, want_write, paused, dead;
};

struct mw_loop {
	uv_loop_t uv;
	uv_prepare_t prepare;
	uv_idle_t idle; /* runs while a socket still has work: the poll must not sleep then */
	struct mw_zwatch *watches;
	struct mw_zwatch *next; /* the walk's next step, moved on when that one is destroyed */
	bool idling;
};

static void *must(void *p)
{
	if (p == NULL)
		abort(); /* watches are made at start or at a peer's coming; see STYLE: no memory at
			    start-up ends us */
	return p;
}

static void zwatch_run(struct mw_zwatch *w)
{
	for (int round = 0; round < ZWATCH_ROUNDS && w->touched && !w->paused && !w->dead;
		round++) {
		int events = 0;
		size_t size = sizeof(events);

		w->touched = false;
		if (zmq_getsockopt(w->zsock, ZMQ_EVENTS, &events, &size) != 0) {
			w->touched = errno == EINTR; /* not asked yet: the edge would be lost */
			return;
		}
		if ((events & ZMQ_POLLIN) != 0) {
			w->touched = true; /* ask again, unless it says that it read all */
			w->readable(w->arg);
		}
		if (!w->dead && !w->paused && w->want_write && (events & ZMQ_POLLOUT) != 0) {
			w->want_write = false;
			w->touched = true;
			w->writable(w->arg);
		}
	}
}

static void idle_nothing(uv_idle_t *idle)
{
	(void)idle;
}

static void before_poll(uv_prepare_t *prepare)
{
	struct mw_loop *loop = prepare->data;
	bool more = false;

	for (struct mw_zwatch *w = loop->watches; w != NULL; w = loop->next) {
		loop->next = w->next;
		if (w->touched && !w->paused)
			zwatch_run(w);
	}
	/* A callback may have touched a socket that the walk had passed. */
	for (struct mw_zwatch *w = loop->watches; w != NULL && !more; w = w->next)
		more = w->touched && !w->paused;
	if (more && !loop->idling)
		uv_idle_start(&loop->idle, idle_nothing);
	else if (!more && loop->idling)
		uv_idle_stop(&loop->idle);
	loop->idling = more;
}

struct mw_loop *mw_loop_new(void)
{
	struct mw_loop *loop = calloc(1, sizeof(*loop));

	if (loop == NULL)
		return NULL;
	if (uv_loop_init(&loop->uv) != 0) {
		free(loop);
		return NULL;
	}
	uv_prepare_init(&loop->uv, &loop->prepare);
	uv_idle_init(&loop->uv, &loop->idle);
	loop->prepare.data = loop;
	uv_prepare_start(&loop->prepare, before_poll);
	uv_unref((uv_handle_t *)&loop->prepare);
	return loop;
}

void mw_loop_destroy(struct mw_loop **loop_p)
{
	struct mw_loop *loop = *loop_p;
	int rc;

	*loop_p = NULL;
	if (loop == NULL)
		return;
	uv_close((uv_handle_t *)&loop->prepare, NULL);
	uv_close((uv_handle_t *)&loop->idle, NULL);
	/* Close callbacks of handles that were destroyed in the last turn still have memory to
	 * free. */
	for (int i = 0; (rc = uv_loop_close(&loop->uv)) == UV_EBUSY && i < CLOSE_TURNS; i++)
		if (uv_run(&loop->uv, UV_RUN_NOWAIT) != 0)
			usleep(CLOSE_TURN_US);
	if (rc == 0)
		free(loop); /* else a thread of the pool still signals it: its memory is left to the
			       process's end */
}

void mw_loop_run(struct mw_loop *loop)
{
	uv_run(&loop->uv, UV_RUN_DEFAULT);
}

void mw_loop_stop(struct mw_loop *loop)
{
	uv_stop(&loop->uv);
}

uv_loop_t *mw_loop_uv(struct mw_loop *loop)
{
	return &loop->uv;
}

uint64_t mw_loop_now_ms(const struct mw_loop *loop)
{
	return uv_now(&loop->uv);
}

/* ------------------------------------------------------------------ timers */

struct mw_timer {
	uv_timer_t uv;
	void (*fire)(void *arg);
	void *arg;
};

static void timer_fired(uv_timer_t *uv)
{
	struct mw_timer *t = uv->data;

	t->fire(t->arg);
}

struct mw_timer *mw_timer_new(struct mw_loop *loop, void (*fire)(void *arg), void *arg)
{
	struct mw_timer *t = must(calloc(1, sizeof(*t)));

	uv_timer_init(&loop->uv, &t->uv);
	t->uv.data = t;
	t->fire = fire;
	t->arg = arg;
	return t;
}

void mw_timer_start(struct mw_timer *t, uint64_t ms, uint64_t every_ms)
{
	uv_timer_start(&t->uv, timer_fired, ms, every_ms);
}

void mw_timer_stop(struct mw_timer *t)
{
	uv_timer_stop(&t->uv);
}

static void free_data(uv_handle_t *h)
{
	free(h->data);
}

void mw_timer_destroy(struct mw_timer **t_p)
{
	struct mw_timer *t = *t_p;

	*t_p = NULL;
	if (t != NULL)
		uv_close((uv_handle_t *)&t->uv, free_data);
}

/* ------------------------------------------------------------------ plain descriptors */

struct mw_fd {
	uv_poll_t uv;
	void (*ready)(void *arg, int events);
	void *arg;
};

static void fd_ready(uv_poll_t *uv, int status, int events)
{
	struct mw_fd *w = uv->data;
	int ready = 0;

	if (status < 0 || (events & (UV_READABLE | UV_DISCONNECT)) != 0)
		ready |= MW_READABLE;
	if ((events & UV_WRITABLE) != 0)
		ready |= MW_WRITABLE;
	w->ready(w->arg, ready);
}

struct mw_fd *mw_fd_new(
	struct mw_loop *loop, int fd, void (*ready)(void *arg, int events), void *arg)
{
	struct mw_fd *w = must(calloc(1, sizeof(*w)));

	if (uv_poll_init(&loop->uv, &w->uv, fd) != 0) {
		free(w);
		return NULL;
	}
	w->uv.data = w;
	w->ready = ready;
	w->arg = arg;
	return w;
}

void mw_fd_watch(struct mw_fd *w, int events)
{
	int uv = 0;

	if ((events & MW_READABLE) != 0)
		uv |= UV_READABLE | UV_DISCONNECT;
	if ((events & MW_WRITABLE) != 0)
		uv |= UV_WRITABLE;
	if (uv == 0)
		uv_poll_stop(&w->uv);
	else
		uv_poll_start(&w->uv, uv, fd_ready);
}

void mw_fd_destroy(struct mw_fd **w_p)
{
	struct mw_fd *w = *w_p;

	*w_p = NULL;
	if (w != NULL) {
		uv_poll_stop(&w->uv);
		uv_close((uv_handle_t *)&w->uv, free_data);
	}
}

/* ------------------------------------------------------------------ ZeroMQ sockets */

static void zwatch_woken(uv_poll_t *uv, int status, int events)
{
	struct mw_zwatch *w = uv->data;

	(void)status;
	(void)events;
	w->touched = true;
}

struct mw_zwatch *mw_zwatch_new(struct mw_loop *loop, void *zsock, void (*readable)(void *arg),
	void (*writable)(void *arg), void *arg)
{
	struct mw_zwatch *w = must(calloc(1, sizeof(*w)));
	int fd = -1;
	size_t size = sizeof(fd);

	if (zmq_getsockopt(zsock, ZMQ_FD, &fd, &size) != 0 ||
		uv_poll_init(&loop->uv, &w->poll, fd) != 0) {
		free(w);
		return NULL;
	}
	w->loop = loop;
	w->zsock = zsock;
	w->readable = readable;
	w->writable = writable;
	w->arg = arg;
	w->touched = true; /* what came before the watch gives no edge */
	w->poll.data = w;
	uv_poll_start(&w->poll, UV_READABLE, zwatch_woken);
	w->next = loop->watches;
	if (w->next != NULL)
		w->next->prev_p = &w->next;
	w->prev_p = &loop->watches;
	loop->watches = w;
	return w;
}

void mw_zwatch_want_write(struct mw_zwatch *w)
{
	w->want_write = true;
	w->touched = true;
}

void mw_zwatch_touched(struct mw_zwatch *w)
{
	w->touched = true;
}

void mw_zwatch_drained(struct mw_zwatch *w)
{
	/* Room to send may have been told in the same breath. */
	w->touched = w->want_write;
}

void mw_zwatch_pause(struct mw_zwatch *w)
{
	if (!w->paused)
		uv_poll_stop(&w->poll); /* its descriptor stays readable until it is asked */
	w->paused = true;
}

void mw_zwatch_resume(struct mw_zwatch *w)
{
	if (!w->paused)
		return;
	w->paused = false;
	w->touched = true;
	uv_poll_start(&w->poll, UV_READABLE, zwatch_woken);
}

void mw_zwatch_destroy(struct mw_zwatch **w_p)
{
	struct mw_zwatch *w = *w_p;

	*w_p = NULL;
	if (w == NULL)
		return;
	w->dead = true;
	w->touched = false;
	if (w->loop->next == w)
		w->loop->next = w->next;
	*w->prev_p = w->next;
	if (w->next != NULL)
		w->next->prev_p = w->prev_p;
	uv_poll_stop(&w->poll);
	uv_close((uv_handle_t *)&w->poll, free_data);
}

/* ------------------------------------------------------------------ signals */

struct mw_signal {
	uv_signal_t uv;
	void (*fire)(void *arg, int signum);
	void *arg;
};

static void signal_fired(uv_signal_t *uv, int signum)
{
	struct mw_signal *s = uv->data;

	s->fire(s->arg, signum);
}

struct mw_signal *mw_signal_new(
	struct mw_loop *loop, int signum, void (*fire)(void *arg, int signum), void *arg)
{
	struct mw_signal *s = must(calloc(1, sizeof(*s)));

	uv_signal_init(&loop->uv, &s->uv);
	s->uv.data = s;
	s->fire = fire;
	s->arg = arg;
	uv_signal_start(&s->uv, signal_fired, signum);
	uv_unref((uv_handle_t *)&s->uv);
	return s;
}

void mw_signal_destroy(struct mw_signal **s_p)
{
	struct mw_signal *s = *s_p;

	*s_p = NULL;
	if (s != NULL)
		uv_close((uv_handle_t *)&s->uv, free_data);
}
