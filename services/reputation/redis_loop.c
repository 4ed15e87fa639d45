#include "redis_loop.h"

#include <stdlib.h>

struct rep_link {
	redisAsyncContext *ac;
	struct mw_fd *fd;
	int events; /* watched now */
	void (*gone)(void *arg, const char *why);
	void *arg;
	bool busy; /* ready() is running: it frees the link if it ends meanwhile */
	bool over;
	const char *why; /* ours for cutting it off; NULL: hiredis's */
};

/* hiredis's own functions but for arrays. Not in the link: the reader uses them once more after
 * cleanup. */
static redisReplyObjectFunctions functions;
static void *(*default_create_array)(const redisReadTask *task, int items);

/* hiredis allocates what an array's header claims (gigabytes for ten octets) before a single item
 * is there. */
static void *create_array(const redisReadTask *task, int items)
{
	return items > REP_REPLY_ITEMS_MAX ? NULL : default_create_array(task, items);
}

static void watch(struct rep_link *l, int events)
{
	if (events == l->events)
		return;
	l->events = events;
	mw_fd_watch(l->fd, events);
}

static void add_read(void *data)
{
	struct rep_link *l = data;

	watch(l, l->events | MW_READABLE);
}

static void del_read(void *data)
{
	struct rep_link *l = data;

	watch(l, l->events & ~MW_READABLE);
}

static void add_write(void *data)
{
	struct rep_link *l = data;

	watch(l, l->events | MW_WRITABLE);
}

static void del_write(void *data)
{
	struct rep_link *l = data;

	watch(l, l->events & ~MW_WRITABLE);
}

/* hiredis calls this last, when the context's own memory is still there and its callbacks have all
 * been called. */
static void cleanup(void *data)
{
	struct rep_link *l = data;

	mw_fd_destroy(&l->fd);
	if (l->gone != NULL)
		l->gone(l->arg, l->why != NULL	    ? l->why
				: l->ac->c.err != 0 ? l->ac->c.errstr
						    : "closed");
	l->over = true;
	if (!l->busy)
		free(l);
}

static void ready(void *arg, int events)
{
	struct rep_link *l = arg;

	l->busy = true;
	if ((events & MW_READABLE) != 0) {
		if (l->ac->c.reader->len > REP_REPLY_OCTETS_MAX) {
			l->why = "a reply beyond the limit of 1 MiB";
			redisAsyncFree(l->ac);
		} else {
			redisAsyncHandleRead(l->ac);
		}
	}
	if (!l->over && (events & MW_WRITABLE) != 0)
		redisAsyncHandleWrite(l->ac);
	l->busy = false;
	if (l->over)
		free(l);
}

struct rep_link *rep_link_new(struct mw_loop *loop, redisAsyncContext *ac,
	void (*gone)(void *arg, const char *why), void *arg)
{
	struct rep_link *l = calloc(1, sizeof(*l));

	if (l == NULL)
		return NULL;
	l->fd = mw_fd_new(loop, ac->c.fd, ready, l);
	if (l->fd == NULL) {
		free(l);
		return NULL;
	}
	l->ac = ac;
	l->gone = gone;
	l->arg = arg;
	if (default_create_array == NULL) {
		default_create_array = ac->c.reader->fn->createArray;
		functions = *ac->c.reader->fn;
		functions.createArray = create_array;
	}
	ac->c.reader->fn = &functions;
	ac->ev.data = l;
	ac->ev.addRead = add_read;
	ac->ev.delRead = del_read;
	ac->ev.addWrite = add_write;
	ac->ev.delWrite = del_write;
	ac->ev.cleanup = cleanup;
	return l;
}

void rep_link_forget(struct rep_link *link)
{
	link->gone = NULL;
}
