/* The subscriber of events.h: a SUB and a replay DEALER for each front found, and one mw_order
 * each. */
#include <stdlib.h>
#include "events.h"
#include "log.h"
#include "order.h"

#define FRONTS_MAX 256
#define POSITIONS_MAX                                                                              \
	64	     /* incarnations remembered; the one longest without an event goes first       \
		      */
#define TICK_MS 250  /* looking for silence and unanswered requests */
#define DOWN_MS 5000 /* nothing heard for so long: the front is down */
#define DRAIN_MAX                                                                                  \
	20000 /* events taken at once from a front that is gone: twice the high-water mark */

struct sub_front {
	struct mw_subscriber *sub;
	struct sub_front *next;
	struct mw_front_address address;
	void *events, *door; /* SUB, DEALER */
	struct mw_zwatch *events_watch, *door_watch;
	struct mw_order order;
	uint64_t dialled_ms;
	bool up;
};

struct mw_subscriber {
	struct mw_zctx *z;
	struct mw_loop *loop;
	struct mw_subscriber_ops ops;
	void *arg;
	struct mw_finder *finder;
	struct mw_timer *tick;
	struct sub_front *fronts;
	struct {
		struct mw_position at;
		uint64_t used; /* for which one goes */
	} positions[POSITIONS_MAX];
	size_t position_count;
	uint64_t uses;
	bool from_oldest, knew_some, paused;
	bool one_went; /* a front that came after that is taken for its successor */
	struct mw_subscriber_stats stats;
};

/* ------------------------------------------------------------------ positions */

static bool position_get(
	const struct mw_subscriber *sub, uint64_t incarnation, uint64_t *sequence_r)
{
	for (size_t i = 0; i < sub->position_count; i++)
		if (sub->positions[i].at.incarnation == incarnation) {
			*sequence_r = sub->positions[i].at.sequence;
			return true;
		}
	return false;
}

static void position_set(struct mw_subscriber *sub, uint64_t incarnation, uint64_t sequence)
{
	size_t i = 0, oldest = 0;

	for (; i < sub->position_count && sub->positions[i].at.incarnation != incarnation; i++)
		if (sub->positions[i].used < sub->positions[oldest].used)
			oldest = i;
	if (i == sub->position_count && i < POSITIONS_MAX)
		sub->position_count++;
	else if (i == sub->position_count)
		i = oldest;
	sub->positions[i].at = (struct mw_position){ incarnation, sequence };
	sub->positions[i].used = ++sub->uses;
}

size_t mw_subscriber_positions(
	const struct mw_subscriber *sub, struct mw_position *out, size_t most)
{
	size_t n = sub->position_count < most ? sub->position_count : most;

	for (size_t i = 0; i < n; i++)
		out[i] = sub->positions[i].at;
	return n;
}

/* ------------------------------------------------------------------ what a front's order asks of
 * us */

static bool deliver_mail(
	struct mw_subscriber *sub, const struct mw_event_header *h, struct mw_octets payload)
{
	struct mw_record_arena *arena;
	struct mw_record r;
	bool good;

	if (mw_record_decode(payload, &r, &arena) != MW_OK)
		return false;
	good = r.incarnation == h->incarnation && r.sequence == h->sequence;
	if (good) {
		sub->stats.mails++;
		if (sub->ops.mail != NULL)
			sub->ops.mail(sub->arg, &r);
	}
	mw_record_fini(&arena);
	return good;
}

static bool deliver_alert(
	struct mw_subscriber *sub, const struct mw_event_header *h, struct mw_octets payload)
{
	struct mw_alert a;

	if (mw_alert_decode(payload, &a) != MW_OK)
		return false;
	sub->stats.alerts++;
	if (sub->ops.alert != NULL)
		sub->ops.alert(sub->arg, h->incarnation, h->sequence, a.event, a.text);
	return true;
}

static bool front_deliver(
	void *arg, const struct mw_event_header *h, enum mw_topic topic, struct mw_octets payload)
{
	struct sub_front *f = arg;
	bool good;

	position_set(f->sub, h->incarnation, h->sequence);
	good = topic == MW_TOPIC_MAIL ? deliver_mail(f->sub, h, payload)
				      : deliver_alert(f->sub, h, payload);
	if (!good) {
		f->sub->stats.bad_frames++;
		mw_log(MW_WARN, "event_refused", "front=%s sequence=%llu topic=%s octets=%zu",
			mw_quote(f->address.door[MW_DOOR_EVENTS]), (unsigned long long)h->sequence,
			mw_topic_name(topic), payload.n);
	}
	return good;
}

static void front_gap(void *arg, uint64_t incarnation, uint64_t from, uint64_t to)
{
	struct sub_front *f = arg;

	position_set(f->sub, incarnation, to);
	f->sub->stats.gaps++;
	f->sub->stats.lost += to - from + 1;
	mw_log(MW_WARN, "events_missing", "front=%s incarnation=%llu from=%llu to=%llu",
		mw_quote(f->address.door[MW_DOOR_EVENTS]), (unsigned long long)incarnation,
		(unsigned long long)from, (unsigned long long)to);
	if (f->sub->ops.gap != NULL)
		f->sub->ops.gap(f->sub->arg, incarnation, from, to);
}

static bool front_ask(void *arg, const struct mw_replay_ask *what)
{
	struct sub_front *f = arg;
	struct mw_pack b;
	bool sent;

	if (f->door == NULL)
		return false; /* no socket was left for it; the next round dials again */
	mw_pack_init(&b);
	mw_replay_ask_encode(&b, what);
	sent = !b.failed && mw_zsend(f->door, b.p, b.n, false) == MW_OK;
	mw_pack_fini(&b);
	mw_zwatch_touched(f->door_watch);
	if (sent)
		f->sub->stats.replay_asks++;
	return sent;
}

static uint64_t front_start(void *arg, const struct mw_replay_end *met, bool restarted)
{
	struct sub_front *f = arg;
	uint64_t first = met->newest + 1, known;

	if (position_get(f->sub, met->incarnation, &known))
		first = known + 1;
	else if (restarted || (f->sub->from_oldest && f->sub->knew_some))
		first = 1; /* we should have had all of it: what is gone already is a gap */
	else if (f->sub->from_oldest || f->sub->one_went)
		first = met->oldest;
	mw_log(MW_INFO, "front_met", "front=%s incarnation=%llu newest=%llu oldest=%llu from=%llu",
		mw_quote(f->address.door[MW_DOOR_EVENTS]), (unsigned long long)met->incarnation,
		(unsigned long long)met->newest, (unsigned long long)met->oldest,
		(unsigned long long)first);
	return first;
}

static const struct mw_order_ops order_ops = { front_deliver, front_gap, front_ask, front_start };

/* ------------------------------------------------------------------ frames */

/* [topic][header][payload], as both sockets bring them; an answer's end is one frame. */
struct frames {
	zmq_msg_t msg[3];
	size_t count;
	bool more;
};

static bool frames_recv(void *sock, struct frames *f)
{
	f->count = 0;
	f->more = true;
	while (f->more && f->count < MW_COUNT(f->msg)) {
		if (mw_zrecv(sock, &f->msg[f->count]) != MW_OK)
			break;
		f->more = mw_zmore(&f->msg[f->count++]);
	}
	if (f->count > 0 && f->more)
		mw_zdrain(sock, &f->msg[f->count - 1]);
	return f->count > 0;
}

static void frames_close(struct frames *f)
{
	for (size_t i = 0; i < f->count; i++)
		zmq_msg_close(&f->msg[i]);
}

static void front_heard(struct sub_front *f, uint64_t now_ms)
{
	mw_order_heard(&f->order, now_ms);
	if (f->up)
		return;
	f->up = true;
	if (f->sub->ops.front != NULL)
		f->sub->ops.front(f->sub->arg, f->address.door[MW_DOOR_VERDICTS], true);
}

static bool take_state(struct sub_front *f, struct mw_octets payload)
{
	struct mw_state s;

	if (f->sub->ops.state == NULL)
		return true;
	if (mw_state_decode(payload, &s) != MW_OK)
		return false;
	f->sub->stats.states++;
	f->sub->ops.state(f->sub->arg, f->address.door[MW_DOOR_VERDICTS], &s);
	mw_state_fini(&s);
	return true;
}

/* An event on either way. False: not one of ours. */
static bool take_event(struct sub_front *f, struct frames *fr, bool replayed, uint64_t now_ms)
{
	enum mw_topic topic = mw_topic_of(mw_zoctets(&fr->msg[0]));
	struct mw_octets payload = mw_zoctets(&fr->msg[2]);
	struct mw_event_header h;

	if (fr->more || topic == MW_TOPIC_COUNT ||
		mw_event_header_decode(mw_zoctets(&fr->msg[1]), &h) != MW_OK)
		return false;
	if (topic == MW_TOPIC_STATE)
		return !replayed && take_state(f, payload);
	if (replayed)
		mw_order_replayed(&f->order, &h, topic, payload, now_ms);
	else
		mw_order_live(&f->order, &h, topic, payload, now_ms);
	return true;
}

/* Take up to that many events from the SUB socket. */
static void take_live(struct sub_front *f, int most)
{
	uint64_t now_ms = mw_loop_now_ms(f->sub->loop);
	struct frames fr;

	for (int i = 0; i < most && frames_recv(f->events, &fr); i++) {
		if (fr.count == 3 && take_event(f, &fr, false, now_ms))
			front_heard(f, now_ms);
		else
			f->sub->stats.bad_frames++;
		frames_close(&fr);
	}
}

static void events_readable(void *arg)
{
	take_live(arg, MW_BATCH);
}

static bool take_end(struct sub_front *f, struct mw_octets frame, uint64_t now_ms)
{
	struct mw_replay_end end;

	if (mw_replay_end_decode(frame, &end) != MW_OK)
		return false;
	/* A restarted front: what its predecessor sent to the last is still on the other socket. */
	if (end.incarnation != f->order.incarnation && f->order.incarnation != 0)
		take_live(f, DRAIN_MAX);
	mw_order_end(&f->order, &end, now_ms);
	return true;
}

static void door_readable(void *arg)
{
	struct sub_front *f = arg;
	uint64_t now_ms = mw_loop_now_ms(f->sub->loop);
	struct frames fr;

	for (int i = 0; i < MW_BATCH && frames_recv(f->door, &fr); i++) {
		bool good = false;

		if (fr.count == 3)
			good = take_event(f, &fr, true, now_ms);
		else if (fr.count == 1)
			good = take_end(f, mw_zoctets(&fr.msg[0]), now_ms);
		if (good)
			front_heard(f, now_ms);
		else
			f->sub->stats.bad_frames++;
		frames_close(&fr);
	}
	mw_zwatch_touched(f->door_watch);
}

/* ------------------------------------------------------------------ fronts */

static void front_hang_up(struct sub_front *f)
{
	/* What a dead front did not take, a request or a subscription, must not hold up our end
	 * (the role's linger). */
	const int no_linger = 0;

	if (f->events != NULL)
		(void)zmq_setsockopt(f->events, ZMQ_LINGER, &no_linger, sizeof(no_linger));
	if (f->door != NULL)
		(void)zmq_setsockopt(f->door, ZMQ_LINGER, &no_linger, sizeof(no_linger));
	mw_zwatch_destroy(&f->events_watch);
	mw_zwatch_destroy(&f->door_watch);
	mw_zsock_close(&f->events);
	mw_zsock_close(&f->door);
}

static void front_destroy(struct sub_front *f)
{
	front_hang_up(f);
	mw_order_fini(&f->order);
	free(f);
}

static enum mw_rc front_dial(struct sub_front *f, struct mw_err *err_r)
{
	struct mw_subscriber *sub = f->sub;
	bool numbered = sub->ops.mail != NULL || sub->ops.alert != NULL;
	enum mw_rc rc;

	f->dialled_ms = mw_loop_now_ms(sub->loop);
	f->events = mw_zsock_new(sub->z, MW_Z_EVENTS_SUB, err_r);
	f->door = mw_zsock_new(sub->z, MW_Z_REPLAY_DEALER, err_r);
	if (f->events == NULL || f->door == NULL)
		return MW_ERR_IO;
	/* Mails and alerts share their numbers: who wants one of them reads both. */
	if (numbered && (zmq_setsockopt(f->events, ZMQ_SUBSCRIBE, "mail", 4) != 0 ||
				zmq_setsockopt(f->events, ZMQ_SUBSCRIBE, "alert", 5) != 0))
		return mw_fail(err_r, MW_ERR_IO, "cannot subscribe: %s", zmq_strerror(zmq_errno()));
	if (sub->ops.state != NULL && zmq_setsockopt(f->events, ZMQ_SUBSCRIBE, "state", 5) != 0)
		return mw_fail(err_r, MW_ERR_IO, "cannot subscribe: %s", zmq_strerror(zmq_errno()));
	rc = mw_zsock_connect(sub->z, f->events, f->address.door[MW_DOOR_EVENTS], NULL, err_r);
	if (rc == MW_OK)
		rc = mw_zsock_connect(
			sub->z, f->door, f->address.door[MW_DOOR_REPLAY], NULL, err_r);
	if (rc != MW_OK)
		return rc;
	f->events_watch = mw_zwatch_new(sub->loop, f->events, events_readable, NULL, f);
	f->door_watch = mw_zwatch_new(sub->loop, f->door, door_readable, NULL, f);
	if (f->events_watch == NULL || f->door_watch == NULL)
		return mw_fail(err_r, MW_ERR_IO, "the loop does not take the event sockets");
	return MW_OK;
}

static enum mw_rc front_open(struct sub_front *f, struct mw_err *err_r)
{
	struct mw_subscriber *sub = f->sub;
	bool numbered = sub->ops.mail != NULL || sub->ops.alert != NULL;

	mw_order_init(&f->order, &order_ops, f, !numbered, mw_loop_now_ms(sub->loop));
	f->order.paused = sub->paused;
	return front_dial(f, err_r);
}

/* libzmq never tries again after a refused CURVE handshake: a front that says nothing is called
 * anew. */
static void front_redial(struct sub_front *f)
{
	struct mw_err err = { "" };

	front_hang_up(f);
	if (front_dial(f, &err) != MW_OK) {
		mw_log(MW_ERROR, "front_not_taken", "front=%s reason=%s",
			mw_quote(f->address.door[MW_DOOR_EVENTS]), mw_quote(err.text));
		front_hang_up(f);
	}
}

static void front_came(void *arg, const struct mw_front_address *a)
{
	struct mw_subscriber *sub = arg;
	struct sub_front *f = sub->stats.fronts < FRONTS_MAX ? calloc(1, sizeof(*f)) : NULL;
	struct mw_err err = { "too many fronts, or no memory" };

	if (f != NULL) {
		f->sub = sub;
		f->address = *a;
	}
	if (f == NULL || front_open(f, &err) != MW_OK) {
		mw_log(MW_ERROR, "front_not_taken", "front=%s reason=%s",
			mw_quote(a->door[MW_DOOR_EVENTS]), mw_quote(err.text));
		if (f != NULL)
			front_destroy(f);
		return;
	}
	f->next = sub->fronts;
	sub->fronts = f;
	sub->stats.fronts++;
	mw_order_tick(&f->order, mw_loop_now_ms(sub->loop));
}

static void front_down(struct sub_front *f)
{
	if (!f->up)
		return;
	f->up = false;
	if (f->sub->ops.front != NULL)
		f->sub->ops.front(f->sub->arg, f->address.door[MW_DOOR_VERDICTS], false);
}

static void front_gone(void *arg, const struct mw_front_address *a)
{
	struct mw_subscriber *sub = arg;

	for (struct sub_front **at = &sub->fronts; *at != NULL; at = &(*at)->next) {
		struct sub_front *f = *at;

		if (strcmp(f->address.door[MW_DOOR_EVENTS], a->door[MW_DOOR_EVENTS]) != 0)
			continue;
		take_live(f, DRAIN_MAX);
		front_down(f);
		*at = f->next;
		sub->stats.fronts--;
		sub->one_went = true;
		front_destroy(f);
		return;
	}
}

static void tick(void *arg)
{
	struct mw_subscriber *sub = arg;
	uint64_t now_ms = mw_loop_now_ms(sub->loop);

	for (struct sub_front *f = sub->fronts; f != NULL; f = f->next) {
		mw_order_tick(&f->order, now_ms);
		if (now_ms - f->order.heard_ms < DOWN_MS)
			continue;
		front_down(f);
		if (now_ms - f->dialled_ms >= DOWN_MS)
			front_redial(f);
	}
}

void mw_subscriber_pause(struct mw_subscriber *sub, bool pause)
{
	if (sub->paused == pause)
		return;
	sub->paused = pause;
	for (struct sub_front *f = sub->fronts; f != NULL; f = f->next)
		mw_order_pause(&f->order, pause, mw_loop_now_ms(sub->loop));
}

void mw_subscriber_stats(const struct mw_subscriber *sub, struct mw_subscriber_stats *stats_r)
{
	*stats_r = sub->stats;
	stats_r->fronts_up = 0;
	for (const struct sub_front *f = sub->fronts; f != NULL; f = f->next)
		stats_r->fronts_up += f->up ? 1 : 0;
}

/* ------------------------------------------------------------------ life */

enum mw_rc mw_subscriber_open(struct mw_subscriber **sub_r, struct mw_zctx *z, struct mw_loop *loop,
	const struct mw_conf *conf, const struct mw_subscriber_ops *ops, void *arg,
	const struct mw_position *positions, size_t position_count, bool from_oldest,
	struct mw_err *err_r)
{
	struct mw_subscriber *sub = calloc(1, sizeof(*sub));

	*sub_r = NULL;
	if (sub == NULL)
		return mw_fail(err_r, MW_ERR_NOMEM, "no memory for the events");
	sub->z = z;
	sub->loop = loop;
	sub->ops = *ops;
	sub->arg = arg;
	sub->from_oldest = from_oldest;
	sub->knew_some = position_count > 0;
	for (size_t i = 0; i < position_count; i++)
		position_set(sub, positions[i].incarnation, positions[i].sequence);
	sub->tick = mw_timer_new(loop, tick, sub);
	mw_timer_start(sub->tick, TICK_MS, TICK_MS);
	sub->finder = mw_finder_new(loop, conf, front_came, front_gone, sub, err_r);
	if (sub->finder == NULL) {
		mw_subscriber_close(&sub);
		return MW_ERR_CONF;
	}
	*sub_r = sub;
	return MW_OK;
}

void mw_subscriber_close(struct mw_subscriber **sub_p)
{
	struct mw_subscriber *sub = *sub_p;

	if (sub == NULL)
		return;
	mw_finder_destroy(&sub->finder);
	mw_timer_destroy(&sub->tick);
	while (sub->fronts != NULL) {
		struct sub_front *f = sub->fronts;

		sub->fronts = f->next;
		front_destroy(f);
	}
	free(sub);
	*sub_p = NULL;
}
