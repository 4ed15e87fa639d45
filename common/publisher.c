/* The publisher of events.h: numbers, keeps and sends events, and answers replay requests. Nothing
 * here waits. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include "envelope.h"
#include "events.h"
#include "log.h"
#include "replay.h"

#define ASKS_MAX 64	 /* replay requests that wait; more are dropped: a subscriber asks again */
#define IDENTITY_MAX 256 /* octets of a DEALER's identity, ZeroMQ's own limit */

struct ask {
	unsigned char identity[IDENTITY_MAX];
	size_t identity_n;
	struct mw_replay_ask what;
};

struct mw_publisher {
	struct mw_replay *replay;
	void *events, *door; /* XPUB, ROUTER */
	struct mw_zwatch *events_watch, *door_watch;
	uint64_t incarnation;
	unsigned wanted[MW_TOPIC_COUNT]; /* subscriptions that match the topic */
	struct ask asks[ASKS_MAX];	 /* a ring; the first is being answered */
	size_t ask_head, ask_count;
	bool answering, in_turn, peer_full;
	struct mw_publisher_stats stats;
};

/* ------------------------------------------------------------------ sending */

static bool send_event(
	void *sock, enum mw_topic topic, const struct mw_event_header *h, struct mw_octets payload)
{
	const char *name = mw_topic_name(topic);
	struct mw_pack head;
	bool sent;

	mw_pack_init(&head);
	mw_event_header_encode(&head, h);
	sent = !head.failed && mw_zsend(sock, name, strlen(name), true) == MW_OK &&
	       mw_zsend(sock, head.p, head.n, true) == MW_OK &&
	       mw_zsend(sock, payload.p, payload.n, false) == MW_OK;
	mw_pack_fini(&head);
	return sent;
}

/* Number, send and keep one event. Takes payload's octets; a failed payload uses up a number, which
 * readers report. */
static void publish(struct mw_publisher *pub, enum mw_topic topic, struct mw_pack *payload)
{
	const struct mw_event_header h = { pub->incarnation, mw_replay_newest(pub->replay) + 1 };
	unsigned char *octets;

	/* What is too large would have every subscriber's connection dropped, again and again. */
	if (payload->failed || payload->n > MW_RECORD_FRAME_MAX) {
		mw_log(MW_ERROR, "event_lost", "topic=%s sequence=%llu reason=%s octets=%zu",
			mw_topic_name(topic), (unsigned long long)h.sequence,
			payload->failed ? "no_memory" : "too_large", payload->n);
		mw_replay_put(pub->replay, topic, NULL, 0);
		pub->stats.not_sent++;
		mw_pack_fini(payload);
		return;
	}
	if (pub->wanted[topic] > 0 &&
		!send_event(pub->events, topic, &h, mw_octets_of(payload->p, payload->n)))
		pub->stats.not_sent++;
	mw_zwatch_touched(pub->events_watch);
	octets = realloc(payload->p, payload->n);
	mw_replay_put(pub->replay, topic, octets != NULL ? octets : payload->p, payload->n);
}

void mw_publish_mail(struct mw_publisher *pub, struct mw_record *r)
{
	struct mw_pack b;

	r->incarnation = pub->incarnation;
	r->sequence = mw_replay_newest(pub->replay) + 1;
	mw_pack_init(&b);
	mw_record_encode(&b, r);
	publish(pub, MW_TOPIC_MAIL, &b);
}

void mw_publish_alert(struct mw_publisher *pub, const char *event, const char *fmt, ...)
{
	char text[MW_ALERT_TEXT_MAX];
	struct mw_alert a;
	struct mw_pack b;
	va_list args;

	va_start(args, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	mw_strlcpy(a.event, event, sizeof(a.event));
	a.text = mw_octets_of_text(text);
	mw_pack_init(&b);
	mw_alert_encode(&b, &a);
	publish(pub, MW_TOPIC_ALERT, &b);
}

void mw_publish_dependencies(struct mw_publisher *pub, const char *who, struct mw_down *before,
	const struct mw_down *now)
{
	for (size_t i = 0; i < now->count; i++)
		if (!mw_down_has(before, now->names[i]))
			mw_publish_alert(pub, "dependency_down", "%s: %s", who, now->names[i]);
	for (size_t i = 0; i < before->count; i++)
		if (!mw_down_has(now, before->names[i]))
			mw_publish_alert(pub, "dependency_up", "%s: %s", who, before->names[i]);
	*before = *now;
}

void mw_publish_state(struct mw_publisher *pub, const struct mw_pack *payload)
{
	const struct mw_event_header h = { pub->incarnation, 0 };

	if (payload->failed || pub->wanted[MW_TOPIC_STATE] == 0)
		return;
	if (!send_event(pub->events, MW_TOPIC_STATE, &h, mw_octets_of(payload->p, payload->n)))
		pub->stats.not_sent++;
	mw_zwatch_touched(pub->events_watch);
}

bool mw_publisher_wanted(const struct mw_publisher *pub, const char *topic)
{
	enum mw_topic t = mw_topic_of(mw_octets_of_text(topic));

	return t < MW_TOPIC_COUNT && pub->wanted[t] > 0;
}

/* ------------------------------------------------------------------ subscriptions */

/* XPUB tells each subscription: octet 1 or 0 and the topic's prefix (ZMQ_XPUB_VERBOSER: each
 * subscriber's). */
static void note_subscription(struct mw_publisher *pub, struct mw_octets frame)
{
	if (frame.n == 0 || frame.p[0] > 1)
		return;
	for (enum mw_topic t = MW_TOPIC_MAIL; t < MW_TOPIC_COUNT; t++) {
		const char *name = mw_topic_name(t);

		if (frame.n - 1 > strlen(name) || memcmp(name, frame.p + 1, frame.n - 1) != 0)
			continue;
		if (frame.p[0] == 1)
			pub->wanted[t]++;
		else if (pub->wanted[t] > 0)
			pub->wanted[t]--;
	}
}

static void events_readable(void *arg)
{
	struct mw_publisher *pub = arg;
	zmq_msg_t msg;

	for (int i = 0; i < MW_BATCH && mw_zrecv(pub->events, &msg) == MW_OK; i++) {
		note_subscription(pub, mw_zoctets(&msg));
		mw_zdrain(pub->events, &msg);
		zmq_msg_close(&msg);
	}
}

/* ------------------------------------------------------------------ replay */

static void answer_waiting(struct mw_publisher *pub);

static void replay_take(void *arg, uint64_t sequence, unsigned topic, struct mw_octets payload)
{
	struct mw_publisher *pub = arg;
	const struct ask *ask = &pub->asks[pub->ask_head];
	const struct mw_event_header h = { pub->incarnation, sequence };

	/* The peer does not take more (high-water mark) or is gone: it asks again when it is ready.
	 */
	if (pub->peer_full)
		return;
	if (mw_zsend(pub->door, ask->identity, ask->identity_n, true) != MW_OK ||
		!send_event(pub->door, (enum mw_topic)topic, &h, payload))
		pub->peer_full = true;
	else
		pub->stats.replayed++;
}

static void ask_finish(struct mw_publisher *pub)
{
	pub->ask_head = (pub->ask_head + 1) % ASKS_MAX;
	pub->ask_count--;
	pub->answering = false;
}

static void replay_done(void *arg, uint64_t next)
{
	struct mw_publisher *pub = arg;
	const struct ask *ask = &pub->asks[pub->ask_head];
	const struct mw_replay_end end = { pub->incarnation, next, mw_replay_newest(pub->replay),
		mw_replay_oldest(pub->replay) };
	struct mw_pack b;

	mw_pack_init(&b);
	mw_replay_end_encode(&b, &end);
	if (!pub->peer_full && !b.failed &&
		mw_zsend(pub->door, ask->identity, ask->identity_n, true) == MW_OK)
		(void)mw_zsend(pub->door, b.p, b.n, false);
	mw_pack_fini(&b);
	ask_finish(pub);
	mw_zwatch_touched(pub->door_watch);
	if (!pub->in_turn)
		answer_waiting(pub);
}

/* Answer the first waiting request; one that reads the file goes on in replay_done. */
static void answer(struct mw_publisher *pub)
{
	const struct mw_replay_reader reader = { replay_take, replay_done, pub };
	struct mw_replay_ask what = pub->asks[pub->ask_head].what;

	pub->answering = true;
	pub->peer_full = false;
	if (what.to == 0)
		what.to = UINT64_MAX;
	/* Numbers of another incarnation mean nothing here: say only who we are. */
	if (what.incarnation != 0 && what.incarnation != pub->incarnation)
		what.from = UINT64_MAX;
	if (mw_replay_read(pub->replay, what.from, what.to, &reader) != MW_OK)
		ask_finish(pub); /* no memory or no file: the subscriber asks again */
}

/* Until none waits or one reads the file: at most ASKS_MAX batches. */
static void answer_waiting(struct mw_publisher *pub)
{
	pub->in_turn = true;
	while (pub->ask_count > 0 && !pub->answering)
		answer(pub);
	pub->in_turn = false;
}

/* A request of a subscriber that has one waiting takes its place: it gave up on the old one. */
static struct ask *ask_slot(struct mw_publisher *pub, struct mw_octets identity)
{
	size_t i = pub->answering ? 1 : 0;

	for (; i < pub->ask_count; i++) {
		struct ask *a = &pub->asks[(pub->ask_head + i) % ASKS_MAX];

		if (a->identity_n == identity.n && memcmp(a->identity, identity.p, identity.n) == 0)
			return a;
	}
	if (pub->ask_count == ASKS_MAX)
		return NULL;
	return &pub->asks[(pub->ask_head + pub->ask_count++) % ASKS_MAX];
}

static void take_request(
	struct mw_publisher *pub, struct mw_octets identity, struct mw_octets frame)
{
	struct mw_replay_ask what;
	struct ask *slot = NULL;

	if (identity.n <= IDENTITY_MAX && mw_replay_ask_decode(frame, &what) == MW_OK)
		slot = ask_slot(pub, identity);
	if (slot == NULL) {
		pub->stats.bad_requests++;
		return;
	}
	memcpy(slot->identity, identity.p, identity.n);
	slot->identity_n = identity.n;
	slot->what = what;
}

static void door_readable(void *arg)
{
	struct mw_publisher *pub = arg;
	zmq_msg_t identity, request;

	for (int i = 0; i < MW_BATCH && mw_zrecv(pub->door, &identity) == MW_OK; i++) {
		if (mw_zmore(&identity) && mw_zrecv(pub->door, &request) == MW_OK) {
			take_request(pub, mw_zoctets(&identity), mw_zoctets(&request));
			mw_zdrain(pub->door, &request);
			zmq_msg_close(&request);
		} else {
			pub->stats.bad_requests++;
		}
		zmq_msg_close(&identity);
	}
	answer_waiting(pub);
}

/* ------------------------------------------------------------------ life */

static void spool_trouble(void *arg, const char *what)
{
	struct mw_publisher *pub = arg;

	mw_publish_alert(pub, "events_spool_failed", "replay keeps memory only: %s", what);
}

static enum mw_rc open_sockets(struct mw_publisher *pub, struct mw_zctx *z, struct mw_loop *loop,
	const struct mw_front_address *doors, struct mw_err *err_r)
{
	enum mw_rc rc;

	pub->events = mw_zsock_new(z, MW_Z_EVENTS_PUB, err_r);
	pub->door = mw_zsock_new(z, MW_Z_REPLAY_ROUTER, err_r);
	if (pub->events == NULL || pub->door == NULL)
		return MW_ERR_IO;
	/* Replay first: a subscriber that finds the events door may ask at once. */
	rc = mw_zsock_bind(z, pub->door, doors->door[MW_DOOR_REPLAY], err_r);
	if (rc == MW_OK)
		rc = mw_zsock_bind(z, pub->events, doors->door[MW_DOOR_EVENTS], err_r);
	if (rc != MW_OK)
		return rc;
	pub->events_watch = mw_zwatch_new(loop, pub->events, events_readable, NULL, pub);
	pub->door_watch = mw_zwatch_new(loop, pub->door, door_readable, NULL, pub);
	if (pub->events_watch == NULL || pub->door_watch == NULL)
		return mw_fail(err_r, MW_ERR_IO, "the loop does not take the event sockets");
	return MW_OK;
}

enum mw_rc mw_publisher_open(struct mw_publisher **pub_r, struct mw_zctx *z, struct mw_loop *loop,
	const struct mw_conf *conf, const struct mw_front_address *doors, uint64_t incarnation,
	struct mw_err *err_r)
{
	struct mw_publisher *pub = calloc(1, sizeof(*pub));
	enum mw_rc rc;

	*pub_r = NULL;
	if (pub == NULL)
		return mw_fail(err_r, MW_ERR_NOMEM, "no memory for the events");
	pub->incarnation = incarnation;
	pub->replay = mw_replay_new(loop, (size_t)mw_conf_int(conf, "events.replay_memory"),
		(uint64_t)mw_conf_int(conf, "events.replay_spool"),
		mw_conf_text(conf, "events.spool_dir"), spool_trouble, pub);
	rc = pub->replay != NULL ? open_sockets(pub, z, loop, doors, err_r)
				 : mw_fail(err_r, MW_ERR_NOMEM, "no memory for the events");
	if (rc != MW_OK)
		mw_publisher_close(&pub);
	*pub_r = pub;
	return rc;
}

void mw_publisher_close(struct mw_publisher **pub_p)
{
	struct mw_publisher *pub = *pub_p;

	if (pub == NULL)
		return;
	mw_zwatch_destroy(&pub->events_watch);
	mw_zwatch_destroy(&pub->door_watch);
	mw_zsock_close(&pub->events);
	mw_zsock_close(&pub->door);
	mw_replay_destroy(&pub->replay);
	free(pub);
	*pub_p = NULL;
}

void mw_publisher_stats(const struct mw_publisher *pub, struct mw_publisher_stats *stats_r)
{
	*stats_r = pub->stats;
	stats_r->newest = mw_replay_newest(pub->replay);
	stats_r->oldest = mw_replay_oldest(pub->replay);
	stats_r->memory_octets = mw_replay_memory(pub->replay);
}
