#include "worker.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "curve.h"
#include "endpoint.h"
#include "log.h"
#include "service.h"
#include "zsock.h"

#define TICK_MS 100
#define ALIVE_MS 500	    /* a front takes 3 s of silence for death */
#define FRONTS_MAX 64	    /* fronts one worker serves */
#define MEMORY_VERDICTS 256 /* finished jobs whose verdict is kept for a front that asks again */
#define MEMORY_OCTETS (4u << 20) /* of those verdicts together */
#define MEMORY_MS 60000		 /* and for so long */
#define DRAIN_MS 60000		 /* jobs that take longer are left to another worker */
#define REFUSED_MS 5000		 /* a refused worker asks again: other workers may have left */
#define UNWELCOME_MS 5000 /* libzmq never tries again after a refused CURVE handshake: we do */
#define DRAIN_SILENCE_MS                                                                           \
	2000		 /* a draining worker's alive is answered; a front that does not is gone */
#define TICKETS_MAX 4096 /* jobs held, whatever the fronts send */

struct front {
	struct mw_worker *worker;
	struct mw_front_address address;
	void *dealer;
	struct mw_zwatch *watch;
	uint64_t incarnation; /* 0: not welcomed */
	uint64_t heard_ms, opened_ms, hello_from_ms;
	bool bye_said, bye_got;
};

/* A job in hand: what the check sees, and the frames it borrows from. */
struct ticket {
	struct mw_ticket pub; /* first: checks give us its address */
	struct mw_worker *worker;
	const struct mw_check *check;
	struct mw_job job;
	zmq_msg_t frames[1 + MW_JOB_PARTS_MAX];
	size_t frame_count;
	uint64_t started_us;
	const char *phase;
	struct ticket *next, **prev_p;
};

struct remembered {
	uint64_t job, at_ms;
	bool sent;
	struct mw_pack frame; /* the whole verdict */
};

struct kind {
	const struct mw_check *check;
	void *state;
	unsigned slots;
	bool open;
};

struct mw_worker {
	const char *service;
	char name[MW_NAME_MAX];
	struct mw_service *skeleton;
	struct mw_zctx z;
	struct mw_finder *finder;
	void *jobs;
	struct mw_zwatch *jobs_watch;
	char endpoint[MW_ENDPOINT_MAX];
	struct kind kinds[MW_KINDS_MAX];
	size_t kind_count;
	struct front *fronts[FRONTS_MAX];
	size_t front_count;
	struct ticket *tickets;
	size_t ticket_count;
	struct remembered memory[MEMORY_VERDICTS];
	size_t memory_next, memory_octets;
	struct mw_timer *tick;
	unsigned ticks;
	uint64_t done, bad_jobs, late_jobs, failed_jobs, again;
	uint64_t cpu_us_before, cpu_at_us;
	uint32_t load_permille;
	uint64_t drain_from_ms; /* 0: not draining */
};

static struct kind *kind_of(struct mw_worker *w, const char *name)
{
	for (size_t i = 0; i < w->kind_count; i++)
		if (strcmp(w->kinds[i].check->kind, name) == 0)
			return &w->kinds[i];
	return NULL;
}

static const char *engine_text(const struct mw_worker *w)
{
	for (size_t i = 0; i < w->kind_count; i++)
		if (w->kinds[i].check->engine != NULL) {
			const char *text = w->kinds[i].check->engine(w->kinds[i].state);

			if (text != NULL && *text != '\0')
				return text;
		}
	return "";
}

/* Slots this front may use: what there is, divided among the fronts that welcomed us. */
static size_t share_slots(struct mw_worker *w, struct mw_kind_slots *out)
{
	unsigned fronts = 0;

	for (size_t i = 0; i < w->front_count; i++)
		fronts += w->fronts[i]->incarnation != 0;
	for (size_t i = 0; i < w->kind_count; i++) {
		struct kind *k = &w->kinds[i];

		if (k->check->slots_of != NULL)
			k->slots = k->check->slots_of(k->state);
		mw_strlcpy(out[i].kind, k->check->kind, sizeof(out[i].kind));
		out[i].slots =
			fronts > 1 && k->slots > 0 ? (k->slots + fronts - 1) / fronts : k->slots;
	}
	return w->kind_count;
}

/* ------------------------------------------------------------------ towards the fronts */

static enum mw_rc front_send(struct front *f, const struct mw_pack *b)
{
	enum mw_rc rc = MW_ERR_NOMEM;

	if (f->dealer == NULL)
		return MW_ERR_GONE;
	if (!b->failed)
		rc = mw_zsend(f->dealer, b->p, b->n, false);
	mw_zwatch_touched(f->watch);
	return rc;
}

static void front_hello(struct front *f)
{
	struct mw_worker *w = f->worker;
	struct mw_hello hello = { .pid = (uint64_t)getpid() };
	struct mw_pack b;

	mw_strlcpy(hello.service, w->service, sizeof(hello.service));
	mw_strlcpy(hello.worker, w->name, sizeof(hello.worker));
	mw_strlcpy(hello.endpoint, w->endpoint, sizeof(hello.endpoint));
	if (w->z.curve != NULL)
		mw_strlcpy(hello.key, mw_curve_public(w->z.curve), sizeof(hello.key));
	mw_strlcpy(hello.software, MW_VERSION, sizeof(hello.software));
	mw_strlcpy(hello.engine, engine_text(w), sizeof(hello.engine));
	hello.kind_count = share_slots(w, hello.kinds);
	mw_pack_init(&b);
	mw_hello_encode(&b, &hello);
	front_send(f, &b); /* MW_AGAIN: not connected yet, the next tick says it again */
	mw_pack_fini(&b);
}

static void front_alive(struct front *f)
{
	struct mw_worker *w = f->worker;
	struct mw_alive *alive = calloc(1, sizeof(*alive));
	uint64_t now_us = mw_mono_us();
	struct mw_pack b;

	if (alive == NULL)
		return; /* the next one comes in 500 ms */
	alive->incarnation = f->incarnation;
	alive->done = w->done;
	alive->load_permille = w->load_permille;
	mw_strlcpy(alive->engine, engine_text(w), sizeof(alive->engine));
	alive->kind_count = share_slots(w, alive->kinds);
	for (struct ticket *t = w->tickets; t != NULL && alive->held_count < MW_HELD_MAX;
		t = t->next) {
		struct mw_held *h;

		if (t->job.job >> 32 != (f->incarnation & UINT32_MAX))
			continue;
		h = &alive->held[alive->held_count++];
		h->job = t->job.job;
		h->attempt = t->job.attempt;
		mw_strlcpy(h->phase, t->phase, sizeof(h->phase));
		h->age_ms = (uint32_t)((now_us - t->started_us) / 1000);
	}
	for (size_t i = 0; i < w->kind_count; i++)
		if (w->kinds[i].check->down != NULL)
			w->kinds[i].check->down(w->kinds[i].state, &alive->down);
	mw_pack_init(&b);
	mw_alive_encode(&b, alive);
	front_send(f, &b);
	mw_pack_fini(&b);
	free(alive);
}

/* Unsaid while there is no connection: nobody is there to answer it, and the tick says it again. */
static void front_bye(struct front *f)
{
	struct mw_pack b;

	mw_pack_init(&b);
	mw_plain_encode(&b, MW_FRAME_BYE, "");
	f->bye_said = front_send(f, &b) == MW_OK;
	mw_pack_fini(&b);
}

/* A front that has heard our bye has yet to say that no more jobs are on their way. */
static bool front_is_awaited(const struct front *f, uint64_t now_ms)
{
	uint64_t drain_ms = f->worker->drain_from_ms;
	uint64_t since = f->heard_ms > drain_ms ? f->heard_ms : drain_ms;

	return f->incarnation != 0 && f->bye_said && !f->bye_got &&
	       now_ms - since < DRAIN_SILENCE_MS;
}

static bool drained(const struct mw_worker *w, uint64_t now_ms)
{
	if (now_ms - w->drain_from_ms >= DRAIN_MS)
		return true;
	if (w->ticket_count > 0)
		return false;
	for (size_t i = 0; i < w->front_count; i++)
		if (front_is_awaited(w->fronts[i], now_ms))
			return false;
	return true;
}

static void leave_when_drained(struct mw_worker *w, uint64_t now_ms)
{
	if (w->drain_from_ms != 0 && drained(w, now_ms))
		mw_service_stop(w->skeleton);
}

/* Verdicts that found no connection go out once the same front is back. */
static void front_resend(struct front *f)
{
	struct mw_worker *w = f->worker;

	for (size_t i = 0; i < MEMORY_VERDICTS; i++) {
		struct remembered *m = &w->memory[i];

		if (m->frame.n > 0 && !m->sent && m->job >> 32 == (f->incarnation & UINT32_MAX))
			m->sent = front_send(f, &m->frame) == MW_OK;
	}
}

static void front_frame(struct front *f, struct mw_octets frame)
{
	struct mw_welcome welcome;
	char why[MW_REASON_MAX] = "";

	switch (mw_frame_type(frame)) {
	case MW_FRAME_WELCOME:
		if (mw_welcome_decode(frame, &welcome) != MW_OK)
			break;
		if (f->incarnation != welcome.incarnation) {
			f->bye_said = f->bye_got = false; /* that was another life's */
			mw_log(MW_INFO, "front_welcome", "front=%s incarnation=%llx software=%s",
				f->address.door[MW_DOOR_VERDICTS],
				(unsigned long long)welcome.incarnation, welcome.software);
		}
		f->incarnation = welcome.incarnation;
		front_resend(f);
		front_alive(f);
		if (f->worker->drain_from_ms != 0) /* it met us when we were leaving already */
			front_bye(f);
		return;
	case MW_FRAME_WHO:
		f->incarnation = 0;
		f->opened_ms = mw_mono_ms();
		front_hello(f);
		return;
	case MW_FRAME_BYE:
		f->bye_got = true;
		leave_when_drained(f->worker, mw_mono_ms());
		return;
	case MW_FRAME_REFUSED:
		mw_plain_decode(frame, why, sizeof(why));
		f->hello_from_ms = mw_mono_ms() + REFUSED_MS;
		mw_log(MW_WARN, "front_refused", "front=%s why=%s",
			f->address.door[MW_DOOR_VERDICTS], mw_quote(why));
		return;
	default:
		break;
	}
	mw_log(MW_WARN, "front_bad_frame", "front=%s octets=%zu", f->address.door[MW_DOOR_VERDICTS],
		frame.n);
}

static void front_readable(void *arg)
{
	struct front *f = arg;
	zmq_msg_t msg;

	for (int i = 0; i < MW_BATCH; i++) {
		enum mw_rc rc = mw_zrecv(f->dealer, &msg);

		if (rc == MW_AGAIN)
			mw_zwatch_drained(f->watch);
		if (rc != MW_OK)
			return;
		f->heard_ms = mw_mono_ms();
		front_frame(f, mw_zoctets(&msg));
		mw_zdrain(f->dealer, &msg);
		zmq_msg_close(&msg);
	}
}

static void front_close(struct front *f)
{
	mw_zwatch_destroy(&f->watch);
	mw_zsock_close(&f->dealer);
}

static bool front_open(struct front *f)
{
	struct mw_worker *w = f->worker;
	const char *endpoint = f->address.door[MW_DOOR_VERDICTS];
	struct mw_err err = { "no descriptor" };

	f->opened_ms = mw_mono_ms();
	f->dealer = mw_zsock_new(&w->z, MW_Z_VERDICTS_DEALER, &err);
	if (f->dealer != NULL && mw_zsock_connect(&w->z, f->dealer, endpoint, NULL, &err) == MW_OK)
		f->watch = mw_zwatch_new(w->skeleton->loop, f->dealer, front_readable, NULL, f);
	if (f->watch != NULL)
		return true;
	mw_log(MW_ERROR, "front_connect", "front=%s %s", endpoint, err.text);
	mw_zsock_close(&f->dealer);
	return false;
}

static void front_destroy(struct front **f_p)
{
	struct front *f = *f_p;

	*f_p = NULL;
	front_close(f);
	free(f);
}

static void front_came(void *arg, const struct mw_front_address *a)
{
	struct mw_worker *w = arg;
	struct front *f;

	if (w->front_count == FRONTS_MAX) {
		mw_log(MW_WARN, "front_limit", "front=%s limit=%d", a->door[MW_DOOR_VERDICTS],
			FRONTS_MAX);
		return;
	}
	f = calloc(1, sizeof(*f));
	if (f == NULL)
		return;
	f->worker = w;
	f->address = *a;
	if (!front_open(f))
		front_destroy(&f);
	else
		w->fronts[w->front_count++] = f;
}

static void front_gone(void *arg, const struct mw_front_address *a)
{
	struct mw_worker *w = arg;

	for (size_t i = 0; i < w->front_count; i++)
		if (strcmp(w->fronts[i]->address.door[MW_DOOR_VERDICTS],
			    a->door[MW_DOOR_VERDICTS]) == 0) {
			front_destroy(&w->fronts[i]);
			w->fronts[i] = w->fronts[--w->front_count];
			return;
		}
}

/* ------------------------------------------------------------------ jobs in, verdicts out */

static struct remembered *remembered(struct mw_worker *w, uint64_t job)
{
	for (size_t i = 0; i < MEMORY_VERDICTS; i++)
		if (w->memory[i].frame.n > 0 && w->memory[i].job == job)
			return &w->memory[i];
	return NULL;
}

static void forget(struct mw_worker *w, struct remembered *m)
{
	w->memory_octets -= m->frame.n;
	mw_pack_fini(&m->frame);
}

static void send_verdict(struct mw_worker *w, const struct mw_verdict *v)
{
	struct remembered *m = remembered(w, v->job);
	struct mw_pack b;

	mw_pack_init(&b);
	mw_verdict_encode(&b, v);
	if (b.failed) {
		mw_pack_fini(&b);
		return; /* the front's time limit moves the job elsewhere */
	}
	if (m == NULL) {
		m = &w->memory[w->memory_next];
		w->memory_next = (w->memory_next + 1) % MEMORY_VERDICTS;
	}
	forget(w, m);
	*m = (struct remembered){ .job = v->job, .at_ms = mw_mono_ms(), .frame = b };
	w->memory_octets += b.n;
	for (size_t i = 0; i < w->front_count && !m->sent; i++)
		if ((w->fronts[i]->incarnation & UINT32_MAX) == v->job >> 32)
			m->sent = front_send(w->fronts[i], &b) == MW_OK;
	/* Oldest first, keep the memory within its bound; what was just sent may go too. */
	for (size_t i = 0; i < MEMORY_VERDICTS && w->memory_octets > MEMORY_OCTETS; i++)
		forget(w, &w->memory[(w->memory_next + i) % MEMORY_VERDICTS]);
}

static void ticket_free(struct ticket *t)
{
	*t->prev_p = t->next;
	if (t->next != NULL)
		t->next->prev_p = t->prev_p;
	t->worker->ticket_count--;
	mw_zwatch_resume(t->worker->jobs_watch); /* there is room again */
	for (size_t i = 0; i < t->frame_count; i++)
		zmq_msg_close(&t->frames[i]);
	free(t);
}

void mw_worker_done(struct mw_ticket *ticket, const struct mw_verdict *given)
{
	struct ticket *t = (struct ticket *)ticket;
	struct mw_verdict v = *given;

	v.job = t->job.job;
	v.attempt = t->job.attempt;
	mw_strlcpy(v.kind, t->check->kind, sizeof(v.kind));
	if (!mw_is_printable(v.reason, strnlen(v.reason, sizeof(v.reason))))
		mw_strlcpy(v.reason, "unprintable reason", sizeof(v.reason));
	v.wall_us = mw_mono_us() - t->started_us;
	t->worker->done++;
	t->worker->failed_jobs += v.status == MW_FAILED;
	send_verdict(t->worker, &v);
	ticket_free(t);
}

void mw_worker_failed(struct mw_ticket *ticket, const char *reason)
{
	struct mw_verdict v = { .status = MW_FAILED };

	mw_strlcpy(v.reason, reason, sizeof(v.reason));
	mw_worker_done(ticket, &v);
}

void mw_worker_phase(struct mw_ticket *ticket, const char *phase)
{
	((struct ticket *)ticket)->phase = phase;
}

static void ticket_find_check(struct ticket *t)
{
	static const struct mw_check unknown = { .kind = "unknown" };
	struct kind *k = kind_of(t->worker, t->job.kind);

	t->check = k != NULL ? k->check : &unknown;
	t->pub.check_state = k != NULL ? k->state : NULL;
}

/* Hand one job to its check. Failing to start becomes MW_FAILED here and nowhere else. */
static void ticket_start(struct ticket *t)
{
	enum mw_rc rc = MW_ERR_UNKNOWN_KIND;

	ticket_find_check(t);
	if (mw_mono_ms() >= t->job.deadline_ms) {
		t->worker->late_jobs++;
		rc = MW_ERR_TIMEOUT; /* answered without us: work on it would delay the next */
	} else if (t->check->start != NULL) {
		rc = t->check->start(t->pub.check_state, &t->job, &t->pub);
	}
	if (rc != MW_OK)
		mw_worker_failed(&t->pub, mw_rc_name(rc));
}

/* The front waits for it, and its slot is taken until it hears of it. */
static void ticket_refuse(struct ticket *t)
{
	struct mw_octets header = mw_zoctets(&t->frames[0]);

	t->worker->bad_jobs++;
	mw_log(MW_WARN, "bad_job", "frames=%zu header_octets=%zu", t->frame_count, header.n);
	if (mw_job_name_decode(header, &t->job) != MW_OK) {
		ticket_free(t); /* nobody to answer to: the front's time limit ends it */
		return;
	}
	ticket_find_check(t);
	mw_worker_failed(&t->pub, "job not understood");
}

/* All frames of one job. MW_AGAIN: none there. One that is not understood is refused here: NULL. */
static enum mw_rc ticket_receive(struct mw_worker *w, struct ticket **t_r)
{
	struct ticket *t = calloc(1, sizeof(*t));
	enum mw_rc rc;
	bool more;

	*t_r = NULL;
	if (t == NULL)
		return MW_ERR_NOMEM;
	rc = mw_zrecv(w->jobs, &t->frames[0]);
	if (rc != MW_OK) {
		free(t);
		return rc;
	}
	t->frame_count = 1;
	more = mw_zmore(&t->frames[0]);
	while (more && t->frame_count <= MW_JOB_PARTS_MAX &&
		mw_zrecv(w->jobs, &t->frames[t->frame_count]) == MW_OK)
		more = mw_zmore(&t->frames[t->frame_count++]);
	if (more)
		mw_zdrain(w->jobs, &t->frames[t->frame_count - 1]);
	t->worker = w;
	t->phase = "start";
	t->started_us = mw_mono_us();
	t->prev_p = &w->tickets;
	t->next = w->tickets;
	if (t->next != NULL)
		t->next->prev_p = &t->next;
	w->tickets = t;
	w->ticket_count++;
	if (more || mw_job_decode(mw_zoctets(&t->frames[0]), mw_mono_ms(), &t->job) != MW_OK) {
		ticket_refuse(t);
		return MW_OK;
	}
	for (size_t i = 1; i < t->frame_count; i++)
		t->job.parts[t->job.part_count++] = mw_zoctets(&t->frames[i]);
	t->pub.job = &t->job;
	*t_r = t;
	return MW_OK;
}

/* The same job once more, with a new attempt: answered from memory, or by the one that is at work.
 */
static bool seen_before(struct mw_worker *w, struct ticket *t)
{
	struct remembered *m = remembered(w, t->job.job);
	struct mw_verdict v;

	for (struct ticket *old = w->tickets; old != NULL; old = old->next)
		if (old != t && old->job.job == t->job.job) {
			old->job.attempt = t->job.attempt;
			ticket_free(t);
			return true;
		}
	if (m == NULL || mw_verdict_decode(mw_octets_of(m->frame.p, m->frame.n), &v) != MW_OK ||
		v.status == MW_FAILED)
		return false; /* a failure is worth another try */
	v.attempt = t->job.attempt;
	w->again++;
	{
		/* Its findings borrow from the memory that send_verdict replaces. */
		struct mw_pack copy;

		mw_pack_init(&copy);
		mw_pack_raw(&copy, v.findings);
		v.findings = mw_octets_of(copy.p, copy.n);
		if (!copy.failed)
			send_verdict(w, &v);
		mw_pack_fini(&copy);
	}
	ticket_free(t);
	return true;
}

static void jobs_readable(void *arg)
{
	struct mw_worker *w = arg;

	for (int i = 0; i < MW_BATCH; i++) {
		struct ticket *t;
		enum mw_rc rc;

		if (w->ticket_count >= TICKETS_MAX) {
			mw_zwatch_pause(w->jobs_watch);
			return;
		}
		rc = ticket_receive(w, &t);
		if (rc == MW_AGAIN)
			mw_zwatch_drained(w->jobs_watch);
		if (rc != MW_OK)
			return;
		if (t != NULL && !seen_before(w, t))
			ticket_start(t);
	}
}

/* ------------------------------------------------------------------ the tick */

static void cancel_late(struct mw_worker *w, uint64_t now_ms)
{
	for (struct ticket *t = w->tickets; t != NULL;) {
		if (now_ms < t->job.deadline_ms) {
			t = t->next;
			continue;
		}
		w->late_jobs++;
		if (t->check->cancel != NULL)
			t->check->cancel(t->pub.check_state, &t->pub);
		mw_worker_failed(&t->pub, mw_rc_name(MW_ERR_TIMEOUT));
		t = w->tickets; /* what one leaves free may have been the end of another one, too */
	}
}

static void measure_load(struct mw_worker *w)
{
	struct rusage self;
	uint64_t now = mw_mono_us(), cpu;

	getrusage(RUSAGE_SELF, &self);
	cpu = (uint64_t)(self.ru_utime.tv_sec + self.ru_stime.tv_sec) * 1000000 +
	      (uint64_t)(self.ru_utime.tv_usec + self.ru_stime.tv_usec);
	if (w->cpu_at_us != 0 && now > w->cpu_at_us)
		w->load_permille =
			(uint32_t)((cpu - w->cpu_us_before) * 1000 / (now - w->cpu_at_us));
	w->cpu_us_before = cpu;
	w->cpu_at_us = now;
}

static void tick(void *arg)
{
	struct mw_worker *w = arg;
	uint64_t now = mw_mono_ms();
	bool alive = w->ticks++ % (ALIVE_MS / TICK_MS) == 0;

	cancel_late(w, now);
	if (alive)
		measure_load(w);
	for (size_t i = 0; i < w->front_count; i++) {
		struct front *f = w->fronts[i];

		if (f->incarnation == 0 && now - f->opened_ms > UNWELCOME_MS) {
			front_close(f);
			front_open(f);
		}
		if (f->dealer == NULL)
			continue; /* no socket left: the next round tries again */
		if (f->incarnation == 0 && w->drain_from_ms == 0 && now >= f->hello_from_ms)
			front_hello(f);
		else if (f->incarnation != 0 && alive)
			front_alive(f);
		if (f->incarnation != 0 && w->drain_from_ms != 0 && !f->bye_said)
			front_bye(f);
	}
	for (size_t i = 0; i < MEMORY_VERDICTS; i++)
		if (w->memory[i].frame.n > 0 && now - w->memory[i].at_ms > MEMORY_MS)
			forget(w, &w->memory[i]);
	leave_when_drained(w, now);
}

/* ------------------------------------------------------------------ life */

static enum mw_rc open_jobs(struct mw_worker *w, struct mw_err *err_r)
{
	const char *listen = mw_conf_text(w->skeleton->conf, "pipeline.jobs_listen");
	char endpoint[MW_ENDPOINT_MAX];
	enum mw_rc rc;

	if (listen != NULL && *listen != '\0')
		mw_strlcpy(endpoint, listen, sizeof(endpoint));
	else if (mw_endpoint_is_tcp(mw_conf_text(w->skeleton->conf, "pipeline.front")))
		mw_strlcpy(endpoint, "tcp://*:*", sizeof(endpoint));
	else /* libzmq silently takes over a path in use: the name is this process's alone */
		snprintf(endpoint, sizeof(endpoint), "ipc://%s/job-%s",
			mw_conf_text(w->skeleton->conf, "pipeline.run_dir"), w->name);
	w->jobs = mw_zsock_new(&w->z, MW_Z_JOBS_PULL, err_r);
	if (w->jobs == NULL)
		return MW_ERR_IO;
	rc = mw_zsock_bind(&w->z, w->jobs, endpoint, err_r);
	if (rc != MW_OK)
		return rc;
	rc = mw_zsock_last_endpoint(w->jobs, w->endpoint, sizeof(w->endpoint));
	w->jobs_watch = mw_zwatch_new(w->skeleton->loop, w->jobs, jobs_readable, NULL, w);
	return rc == MW_OK && w->jobs_watch != NULL
		       ? MW_OK
		       : mw_fail(err_r, MW_ERR_IO, "%s: no descriptor", endpoint);
}

static enum mw_rc worker_open(void *arg, struct mw_service *s, struct mw_err *err_r)
{
	struct mw_worker *w = arg;
	uint32_t random;
	enum mw_rc rc;

	w->skeleton = s;
	mw_random(&random, sizeof(random));
	snprintf(w->name, sizeof(w->name), "%.12s-%d-%08x", w->service, (int)getpid(), random);
	for (size_t i = 0; i < w->kind_count; i++) {
		struct kind *k = &w->kinds[i];

		k->open = true;
		rc = k->check->open != NULL ? k->check->open(&k->state, s->loop, s->conf, err_r)
					    : MW_OK;
		if (rc != MW_OK)
			return rc;
		k->slots = k->check->slots;
	}
	rc = mw_zctx_open(&w->z, w->service, s->conf, s->loop, FRONTS_MAX + 8, err_r);
	if (rc == MW_OK)
		rc = open_jobs(w, err_r);
	if (rc != MW_OK)
		return rc;
	w->finder = mw_finder_new(s->loop, s->conf, front_came, front_gone, w, err_r);
	if (w->finder == NULL)
		return MW_ERR_CONF;
	w->tick = mw_timer_new(s->loop, tick, w);
	mw_timer_start(w->tick, 0, TICK_MS);
	mw_service_ready(s, "worker=%s endpoint=%s", w->name, w->endpoint);
	return MW_OK;
}

static void worker_close(void *arg, struct mw_service *s)
{
	struct mw_worker *w = arg;

	(void)s;
	while (w->tickets != NULL) {
		struct ticket *t = w->tickets;

		if (t->check->cancel != NULL)
			t->check->cancel(t->pub.check_state, &t->pub);
		ticket_free(t); /* no verdict: the front gives it to another worker */
	}
	for (size_t i = 0; i < w->kind_count; i++)
		if (w->kinds[i].open && w->kinds[i].check->close != NULL)
			w->kinds[i].check->close(&w->kinds[i].state);
	mw_finder_destroy(&w->finder);
	mw_timer_destroy(&w->tick);
	while (w->front_count > 0)
		front_destroy(&w->fronts[--w->front_count]);
	mw_zwatch_destroy(&w->jobs_watch);
	mw_zsock_close(&w->jobs);
	for (size_t i = 0; i < MEMORY_VERDICTS; i++)
		forget(w, &w->memory[i]);
	mw_zctx_close(&w->z);
}

static void worker_drain(void *arg, struct mw_service *s)
{
	struct mw_worker *w = arg;

	(void)s;
	w->drain_from_ms = mw_mono_ms();
	for (size_t i = 0; i < w->front_count; i++)
		if (w->fronts[i]->incarnation != 0)
			front_bye(w->fronts[i]);
	mw_log(MW_INFO, "drain", "jobs=%zu fronts=%zu", w->ticket_count, w->front_count);
}

static enum mw_rc worker_reload(void *arg, struct mw_service *s, struct mw_err *err_r)
{
	struct mw_worker *w = arg;

	for (size_t i = 0; i < w->kind_count; i++)
		if (w->kinds[i].check->reload != NULL) {
			enum mw_rc rc =
				w->kinds[i].check->reload(w->kinds[i].state, s->conf, err_r);

			if (rc != MW_OK)
				return rc;
		}
	return MW_OK;
}

static void worker_metrics(void *arg, struct mw_service *s, struct mw_text *out)
{
	const struct mw_worker *w = arg;

	(void)s;
	mw_text_addf(out,
		"mailweir_worker_jobs_total %llu\nmailweir_worker_jobs_failed_total %llu\n",
		(unsigned long long)w->done, (unsigned long long)w->failed_jobs);
	mw_text_addf(out,
		"mailweir_worker_jobs_bad_total %llu\nmailweir_worker_jobs_late_total %llu\n",
		(unsigned long long)w->bad_jobs, (unsigned long long)w->late_jobs);
	mw_text_addf(out, "mailweir_worker_jobs_again_total %llu\nmailweir_worker_jobs_held %zu\n",
		(unsigned long long)w->again, w->ticket_count);
	mw_text_addf(out, "mailweir_worker_fronts %zu\n", w->front_count);
	for (size_t i = 0; i < w->kind_count; i++)
		if (w->kinds[i].check->metrics != NULL)
			w->kinds[i].check->metrics(w->kinds[i].state, out);
}

static enum mw_rc worker_check(
	void *arg, const struct mw_conf *conf, struct mw_text *warnings, struct mw_err *err)
{
	const struct mw_worker *w = arg;
	enum mw_rc rc = MW_OK;

	for (size_t i = 0; i < w->kind_count && rc == MW_OK; i++)
		if (w->kinds[i].check->inspect != NULL)
			rc = w->kinds[i].check->inspect(conf, warnings, err);
	return rc;
}

int mw_worker_main(
	int argc, char **argv, const char *service, const struct mw_check *checks, size_t count)
{
	static const struct mw_service_ops ops = {
		.open = worker_open,
		.reload = worker_reload,
		.drain = worker_drain,
		.close = worker_close,
		.metrics = worker_metrics,
		.check = worker_check,
	};
	struct mw_worker *w = calloc(1, sizeof(*w));
	int code;

	if (w == NULL || count > MW_KINDS_MAX)
		abort();
	w->service = service;
	for (size_t i = 0; i < count; i++)
		w->kinds[w->kind_count++].check = &checks[i];
	code = mw_service_main(argc, argv, service, &ops, w);
	free(w);
	return code;
}
