#include "work.h"

static void in_pool(uv_work_t *req)
{
	struct dkimsvc_work *w = req->data;
	uint64_t before = mw_cpu_us();

	if (!atomic_load(&w->stop))
		w->run(w->arg, &w->stop);
	w->cpu_us = mw_cpu_us() - before;
	uv_sem_post(&w->left);
}

static void in_loop(uv_work_t *req, int status)
{
	struct dkimsvc_work *w = req->data;

	(void)status; /* UV_ECANCELED is our own doing, and then cancelled is set */
	uv_sem_destroy(&w->left);
	w->after(w->arg, w->cancelled);
}

bool dkimsvc_work_start(struct dkimsvc_work *w, struct mw_loop *loop,
	void (*run)(void *arg, const atomic_bool *stop), void (*after)(void *arg, bool cancelled),
	void *arg)
{
	w->run = run;
	w->after = after;
	w->arg = arg;
	w->cancelled = false;
	w->cpu_us = 0;
	w->req.data = w;
	atomic_init(&w->stop, false);
	if (uv_sem_init(&w->left, 0) != 0)
		return false;
	if (uv_queue_work(mw_loop_uv(loop), &w->req, in_pool, in_loop) != 0) {
		uv_sem_destroy(&w->left);
		return false;
	}
	return true;
}

void dkimsvc_work_cancel(struct dkimsvc_work *w)
{
	w->cancelled = true;
	atomic_store(&w->stop, true);
	if (uv_cancel((uv_req_t *)&w->req) != 0)
		uv_sem_wait(&w->left);
}
