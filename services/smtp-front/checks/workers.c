/* The workers that said hello: one PUSH and one monitor each, and the signs of life. */
#include "dispatch_priv.h"

#include <stdio.h>
#include <stdlib.h>

#include "curve.h"
#include "log.h"

#define SILENCE_MS 3000	    /* alive comes every 500 ms; after six missed ones a worker is dead */
#define UNREACHABLE_MS 5000 /* a connection for jobs that does not come about is worth a word */

/* ------------------------------------------------------------------ sending */

static void send_to(
	struct dispatch *d, const unsigned char *identity, size_t n, const struct mw_pack *b)
{
	/* ROUTER_MANDATORY tells when the peer is gone; it will say hello again when it comes back.
	 */
	if (!b->failed && mw_zsend(d->router, identity, n, true) == MW_OK)
		mw_zsend(d->router, b->p, b->n, false);
	mw_zwatch_touched(d->router_watch);
}

static void send_plain(struct dispatch *d, const unsigned char *identity, size_t n,
	enum mw_frame type, const char *why)
{
	struct mw_pack b;

	mw_pack_init(&b);
	mw_plain_encode(&b, type, why);
	send_to(d, identity, n, &b);
	mw_pack_fini(&b);
}

static void send_welcome(struct dispatch_worker *w)
{
	struct mw_welcome welcome = { .incarnation = w->d->incarnation };
	struct mw_pack b;

	mw_strlcpy(welcome.software, MW_VERSION, sizeof(welcome.software));
	mw_pack_init(&b);
	mw_welcome_encode(&b, &welcome);
	send_to(w->d, w->identity, w->identity_n, &b);
	mw_pack_fini(&b);
}

void worker_drained(struct dispatch_worker *w)
{
	if (w->jobs.count == 0)
		send_plain(w->d, w->identity, w->identity_n, MW_FRAME_BYE, "");
}

static void free_pack(void *data, void *hint)
{
	(void)hint;
	free(data);
}

/* The octets are lent, not copied: ZeroMQ gives the reference back when the frame is on its way. */
static enum mw_rc send_part(void *push, struct dispatch_part *part, bool more)
{
	zmq_msg_t msg;

	if (zmq_msg_init_data(&msg, (void *)(uintptr_t)part->octets.p, part->octets.n,
		    smtp_body_zmq_free, smtp_body_ref(part->owner)) != 0) {
		struct smtp_body *b = part->owner;

		smtp_body_unref(&b);
		return MW_ERR_NOMEM;
	}
	/* The first frame was taken, so the pipe takes the rest of this message too, unless it
	 * broke meanwhile. */
	if (zmq_msg_send(&msg, push, ZMQ_DONTWAIT | (more ? ZMQ_SNDMORE : 0)) < 0) {
		zmq_msg_close(&msg);
		return MW_ERR_IO;
	}
	return MW_OK;
}

static void worker_die(struct dispatch_worker *w, const char *why);

enum mw_rc worker_send(struct dispatch_worker *w, struct dispatch_job *job, uint64_t now_ms)
{
	struct mw_job head = *job->what;
	enum mw_rc rc = MW_OK;
	struct mw_pack b;
	zmq_msg_t msg;

	head.job = job->id;
	head.attempt = job->attempt;
	mw_strlcpy(head.kind, dispatch_kind_names[job->kind], sizeof(head.kind));
	head.deadline_ms = job->deadline_ms > now_ms ? job->deadline_ms - now_ms : 0;
	mw_pack_init(&b);
	mw_job_encode(&b, &head);
	if (b.failed || zmq_msg_init_data(&msg, b.p, b.n, free_pack, NULL) != 0) {
		mw_pack_fini(&b);
		return MW_ERR_NOMEM;
	}
	if (zmq_msg_send(&msg, w->push, ZMQ_DONTWAIT | (job->part_count > 0 ? ZMQ_SNDMORE : 0)) <
		0) {
		zmq_msg_close(&msg);
		w->blocked = true; /* no room, or not connected yet: never a failed attempt */
		w->blocked_ms = now_ms;
		mw_zwatch_want_write(w->push_watch);
		return MW_AGAIN;
	}
	for (size_t i = 0; i < job->part_count && rc == MW_OK; i++)
		rc = send_part(w->push, &job->parts[i], i + 1 < job->part_count);
	mw_zwatch_touched(w->push_watch);
	if (rc != MW_OK) { /* the PUSH is in the middle of a message: the next job would be taken
			      for its end */
		worker_die(w, "send failed");
		return MW_AGAIN;
	}
	w->reached = true;
	return MW_OK;
}

/* ------------------------------------------------------------------ coming and going */

static void worker_die(struct dispatch_worker *w, const char *why)
{
	struct dispatch *d = w->d;

	if (w->dead)
		return;
	w->dead = true; /* first: its jobs must not come back to it */
	mw_log(w->draining ? MW_INFO : MW_WARN, "worker_left", "worker=%s jobs=%zu why=%s",
		w->hello.worker, w->jobs.count, why);
	if (!w->draining)
		mw_publish_alert(d->pub, "worker_left", "%s %s, held %zu jobs", w->hello.worker,
			why, w->jobs.count);
	dispatch_give_back(d, w);
}

static void worker_free(struct dispatch_worker *w)
{
	int linger = 0; /* what it has not read goes to another */

	mw_zwatch_destroy(&w->monitor_watch);
	mw_zwatch_destroy(&w->push_watch);
	if (w->push != NULL) {
		zmq_socket_monitor(w->push, NULL, 0);
		zmq_setsockopt(w->push, ZMQ_LINGER, &linger, sizeof(linger));
	}
	mw_zsock_close(&w->monitor);
	mw_zsock_close(&w->push);
	free(w);
}

/* Sockets are closed outside of every callback that may still use them. */
static void bury(struct dispatch *d)
{
	struct dispatch_worker **p = &d->workers;

	while (*p != NULL) {
		struct dispatch_worker *w = *p;

		if (!w->dead) {
			p = &w->next;
			continue;
		}
		*p = w->next;
		d->worker_count--;
		worker_free(w);
	}
}

/* The PUSH's connection dropped: its process died, or the cable was pulled. */
static void monitor_readable(void *arg)
{
	struct dispatch_worker *w = arg;
	zmq_msg_t msg;

	for (int i = 0; i < MW_BATCH && !w->dead && mw_zrecv(w->monitor, &msg) == MW_OK; i++) {
		uint16_t event = 0;

		if (zmq_msg_size(&msg) >= sizeof(event))
			memcpy(&event, zmq_msg_data(&msg), sizeof(event));
		mw_zdrain(w->monitor, &msg);
		zmq_msg_close(&msg);
		if (event == ZMQ_EVENT_DISCONNECTED)
			worker_die(w, "disconnected");
	}
}

static void push_writable(void *arg)
{
	struct dispatch_worker *w = arg;

	w->blocked = false;
	dispatch_run_all(w->d);
}

static void push_readable(void *arg)
{
	(void)arg; /* a PUSH never is */
}

static enum mw_rc worker_connect(
	struct dispatch_worker *w, const char *server_key, struct mw_err *err_r)
{
	struct dispatch *d = w->d;
	char name[64];
	enum mw_rc rc;

	w->push = mw_zsock_new(d->z, MW_Z_JOBS_PUSH, err_r);
	w->monitor = mw_zsock_new(d->z, MW_Z_MONITOR, err_r);
	if (w->push == NULL || w->monitor == NULL)
		return MW_ERR_IO;
	snprintf(name, sizeof(name), "inproc://monitor-%u", d->monitor_serial++);
	if (zmq_socket_monitor(w->push, name, ZMQ_EVENT_DISCONNECTED) != 0 ||
		zmq_connect(w->monitor, name) != 0)
		return mw_fail(err_r, MW_ERR_IO, "no socket monitor");
	rc = mw_zsock_connect(d->z, w->push, w->address, server_key, err_r);
	if (rc != MW_OK)
		return rc;
	w->push_watch = mw_zwatch_new(d->loop, w->push, push_readable, push_writable, w);
	w->monitor_watch = mw_zwatch_new(d->loop, w->monitor, monitor_readable, NULL, w);
	return w->push_watch != NULL && w->monitor_watch != NULL
		       ? MW_OK
		       : mw_fail(err_r, MW_ERR_IO, "no descriptor");
}

static void take_slots(struct dispatch_worker *w, const struct mw_kind_slots *kinds, size_t count)
{
	for (int kind = 0; kind < JOB_KINDS; kind++) {
		w->kinds[kind].slots = 0;
		for (size_t i = 0; i < count; i++)
			if (strcmp(kinds[i].kind, dispatch_kind_names[kind]) == 0)
				w->kinds[kind].slots = kinds[i].slots;
	}
}

/* On tcp the worker does not know its own address: the hello's port is joined to the peer's. */
static bool job_address(const struct mw_hello *hello, zmq_msg_t *from, char *buf, size_t size)
{
	const char *peer = zmq_msg_gets(from, "Peer-Address"), *port;

	if (!mw_endpoint_is_tcp(hello->endpoint))
		return strncmp(hello->endpoint, "ipc://", 6) == 0 &&
		       mw_strlcpy(buf, hello->endpoint, size) < size;
	port = strrchr(hello->endpoint, ':');
	if (peer == NULL || port == NULL || strspn(port + 1, "0123456789") != strlen(port + 1))
		return false;
	if (strchr(peer, ':') != NULL && peer[0] != '[')
		return (size_t)snprintf(buf, size, "tcp://[%s]%s", peer, port) < size;
	return (size_t)snprintf(buf, size, "tcp://%s%s", peer, port) < size;
}

static struct dispatch_worker *by_name(struct dispatch *d, const char *name)
{
	struct dispatch_worker *w = d->workers;

	while (w != NULL && (w->dead || strcmp(w->hello.worker, name) != 0))
		w = w->next;
	return w;
}

static struct dispatch_worker *by_identity(
	struct dispatch *d, const unsigned char *identity, size_t n)
{
	struct dispatch_worker *w = d->workers;

	while (w != NULL &&
		(w->dead || w->identity_n != n || memcmp(w->identity, identity, n) != 0))
		w = w->next;
	return w;
}

static const char *refusal(struct dispatch *d, const struct mw_hello *hello, zmq_msg_t *from,
	char *address, size_t size)
{
	if (d->worker_count >= d->max_workers)
		return "pipeline.max_workers reached";
	if (hello->worker[0] == '\0' || hello->kind_count == 0)
		return "hello without a name or kinds";
	if (!job_address(hello, from, address, size))
		return "hello with a bad endpoint";
	if (mw_endpoint_is_tcp(hello->endpoint) != mw_endpoint_is_tcp(address))
		return "hello with a bad endpoint";
	/* Jobs hold mail: only a key that ZAP would let in may be where they go. */
	if (d->z->curve != NULL && mw_endpoint_is_tcp(address) &&
		!mw_curve_is_authorised(d->z->curve, hello->key))
		return "the key for its jobs is not authorised";
	return NULL;
}

static void take_hello(struct dispatch *d, const unsigned char *identity, size_t n,
	struct mw_octets frame, zmq_msg_t *from)
{
	struct mw_hello hello;
	struct dispatch_worker *w;
	char address[MW_ENDPOINT_MAX];
	struct mw_err err = { "" };
	const char *why;

	if (mw_hello_decode(frame, &hello) != MW_OK) {
		send_plain(d, identity, n, MW_FRAME_REFUSED, "hello not understood");
		return;
	}
	w = by_name(d, hello.worker);
	if (w != NULL && w->identity_n == n && memcmp(w->identity, identity, n) == 0) {
		send_welcome(w); /* ours got lost */
		return;
	}
	if (w != NULL) /* it reconnected: whatever its old connection held is dealt again */
		worker_die(w, "reconnected");
	why = refusal(d, &hello, from, address, sizeof(address));
	if (why != NULL) {
		mw_log(MW_WARN, "worker_refused", "worker=%s why=%s", mw_quote(hello.worker), why);
		send_plain(d, identity, n, MW_FRAME_REFUSED, why);
		return;
	}
	w = calloc(1, sizeof(*w));
	if (w == NULL)
		return; /* it says hello again */
	w->d = d;
	w->hello = hello;
	memcpy(w->identity, identity, n);
	w->identity_n = n;
	mw_strlcpy(w->address, address, sizeof(w->address));
	mw_strlcpy(w->engine, hello.engine, sizeof(w->engine));
	job_list_init(&w->jobs);
	take_slots(w, hello.kinds, hello.kind_count);
	w->seen_ms = w->since_ms = mw_mono_ms();
	if (worker_connect(w, hello.key[0] != '\0' ? hello.key : NULL, &err) != MW_OK) {
		mw_log(MW_ERROR, "worker_connect", "worker=%s %s", w->hello.worker, err.text);
		worker_free(w);
		return;
	}
	w->next = d->workers;
	d->workers = w;
	d->worker_count++;
	mw_log(MW_INFO, "worker_came", "worker=%s address=%s software=%s engine=%s", hello.worker,
		address, hello.software, mw_quote(hello.engine));
	send_welcome(w);
	dispatch_run_all(d);
}

static void take_alive(struct dispatch_worker *w, struct mw_octets frame)
{
	static struct mw_alive alive; /* 13 KiB: not on the stack of every frame */

	if (mw_alive_decode(frame, &alive) != MW_OK) {
		mw_log(MW_WARN, "bad_alive", "worker=%s octets=%zu", w->hello.worker, frame.n);
		return;
	}
	if (alive.incarnation != w->d->incarnation)
		return; /* meant for our predecessor; the welcome is on its way */
	w->done = alive.done;
	w->load_permille = alive.load_permille;
	mw_strlcpy(w->engine, alive.engine, sizeof(w->engine));
	mw_publish_dependencies(w->d->pub, w->hello.worker, &w->down, &alive.down);
	take_slots(w, alive.kinds, alive.kind_count);
	dispatch_run_all(w->d);
}

static void drain_sign(struct dispatch_worker *w)
{
	if (w->jobs.count > 0)
		send_welcome(w);
	else
		worker_drained(w);
}

static void take_frame(struct dispatch *d, const unsigned char *identity, size_t n, zmq_msg_t *msg)
{
	struct mw_octets frame = mw_zoctets(msg);
	enum mw_frame type = mw_frame_type(frame);
	struct dispatch_worker *w = by_identity(d, identity, n);
	struct mw_verdict verdict;

	if (type == MW_FRAME_HELLO) {
		take_hello(d, identity, n, frame, msg);
		return;
	}
	if (w == NULL) {
		send_plain(d, identity, n, MW_FRAME_WHO, "");
		return;
	}
	w->seen_ms = mw_mono_ms();
	if (type == MW_FRAME_ALIVE) {
		take_alive(w, frame);
		if (w->draining) /* it waits for our bye, and has to see that we are there */
			drain_sign(w);
	} else if (type == MW_FRAME_VERDICT && mw_verdict_decode(frame, &verdict) == MW_OK) {
		dispatch_verdict(d, w, &verdict);
	} else if (type == MW_FRAME_BYE) {
		if (!w->draining)
			mw_log(MW_INFO, "worker_drains", "worker=%s jobs=%zu", w->hello.worker,
				w->jobs.count);
		w->draining = true;
		worker_drained(w);
	} else {
		mw_log(MW_WARN, "bad_frame", "worker=%s octets=%zu", w->hello.worker, frame.n);
		send_plain(d, identity, n, MW_FRAME_REFUSED, "frame not understood");
	}
}

static void router_readable(void *arg)
{
	struct dispatch *d = arg;
	zmq_msg_t id, msg;

	for (int i = 0; i < MW_BATCH; i++) {
		enum mw_rc rc = mw_zrecv(d->router, &id);

		if (rc == MW_AGAIN)
			mw_zwatch_drained(d->router_watch);
		if (rc != MW_OK)
			return;
		if (!mw_zmore(&id)) {
			zmq_msg_close(&id);
			continue;
		}
		if (mw_zrecv(d->router, &msg) == MW_OK) {
			if (zmq_msg_size(&id) <= IDENTITY_MAX)
				take_frame(d, zmq_msg_data(&id), zmq_msg_size(&id), &msg);
			mw_zdrain(d->router, &msg);
			zmq_msg_close(&msg);
		}
		zmq_msg_close(&id);
	}
}

static void say_unreachable(struct dispatch_worker *w, uint64_t now_ms)
{
	if (!w->blocked || w->reached || w->unreachable_said ||
		now_ms - w->blocked_ms < UNREACHABLE_MS)
		return;
	w->unreachable_said = true;
	mw_log(MW_WARN, "worker_unreachable", "worker=%s address=%s", w->hello.worker, w->address);
}

void workers_excuse(struct dispatch *d, uint64_t gap_ms, uint64_t now_ms)
{
	mw_log(MW_WARN, "stalled", "ms=%llu workers=%zu", (unsigned long long)gap_ms,
		d->worker_count);
	for (struct dispatch_worker *w = d->workers; w != NULL; w = w->next)
		w->seen_ms = w->seen_ms + gap_ms < now_ms ? w->seen_ms + gap_ms : now_ms;
}

void workers_tick(struct dispatch *d, uint64_t now_ms)
{
	for (struct dispatch_worker *w = d->workers; w != NULL; w = w->next) {
		if (!w->dead && now_ms - w->seen_ms > SILENCE_MS)
			worker_die(w, "silent");
		if (!w->dead)
			say_unreachable(w, now_ms);
	}
	bury(d);
}

enum mw_rc workers_open(struct dispatch *d, const char *endpoint, struct mw_err *err_r)
{
	enum mw_rc rc;

	d->router = mw_zsock_new(d->z, MW_Z_VERDICTS_ROUTER, err_r);
	if (d->router == NULL)
		return MW_ERR_IO;
	rc = mw_zsock_bind(d->z, d->router, endpoint, err_r);
	if (rc != MW_OK)
		return rc;
	d->router_watch = mw_zwatch_new(d->loop, d->router, router_readable, NULL, d);
	return d->router_watch != NULL ? MW_OK
				       : mw_fail(err_r, MW_ERR_IO, "%s: no descriptor", endpoint);
}

void workers_close(struct dispatch *d)
{
	while (d->workers != NULL) {
		struct dispatch_worker *w = d->workers;

		d->workers = w->next;
		worker_free(w);
	}
	mw_zwatch_destroy(&d->router_watch);
	mw_zsock_close(&d->router);
}
