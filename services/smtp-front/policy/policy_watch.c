#include "policy_watch.h"

#include <stdlib.h>
#include <uv.h>

struct policy_watch {
	struct mw_loop *loop;
	struct mw_timer *timer;
	struct policy_set *const *current;
	uv_work_t work;
	struct policy_set *set; /* held while it is looked at; NULL: nothing runs */
	struct mw_lookup_news *news;
	bool closed;
};

static void look(uv_work_t *work)
{
	struct policy_watch *w = work->data;

	w->news = mw_lookup_files_look(w->set->files);
}

static void looked(uv_work_t *work, int status)
{
	struct policy_watch *w = work->data;

	(void)status;
	mw_lookup_files_apply(w->set->files, &w->news);
	policy_set_unref(&w->set);
	if (w->closed)
		free(w);
}

static void tick(void *arg)
{
	struct policy_watch *w = arg;

	if (w->set != NULL || mw_lookup_files_count((*w->current)->files) == 0)
		return;
	w->set = policy_set_ref(*w->current);
	w->work.data = w;
	if (uv_queue_work(mw_loop_uv(w->loop), &w->work, look, looked) != 0)
		policy_set_unref(&w->set);
}

struct policy_watch *policy_watch_new(
	struct mw_loop *loop, struct policy_set *const *set_p, uint64_t every_ms)
{
	struct policy_watch *w = calloc(1, sizeof(*w));

	if (w == NULL)
		return NULL;
	w->loop = loop;
	w->current = set_p;
	w->timer = mw_timer_new(loop, tick, w);
	policy_watch_every(w, every_ms);
	return w;
}

void policy_watch_every(struct policy_watch *w, uint64_t every_ms)
{
	mw_timer_start(w->timer, every_ms, every_ms);
}

void policy_watch_destroy(struct policy_watch **w_p)
{
	struct policy_watch *w = *w_p;

	*w_p = NULL;
	if (w == NULL)
		return;
	mw_timer_destroy(&w->timer);
	w->closed = true;
	if (w->set == NULL)
		free(w);
}
