/* One front's events in order: order.h. */
#include <stdlib.h>
#include "order.h"

struct mw_order_held {
	struct mw_order_held *next;
	uint64_t sequence;
	enum mw_topic topic;
	size_t n;
	unsigned char octets[];
};

/* ------------------------------------------------------------------ asking */

static void ask(struct mw_order *o, uint64_t now_ms)
{
	struct mw_replay_ask what = { o->incarnation, o->next, 0 };

	/* Nothing is wanted from there, or not yet: the empty range only asks who and how far. */
	if (o->incarnation == 0 || o->numberless || o->paused)
		what = (struct mw_replay_ask){ 0, UINT64_MAX, 0 };
	o->asking = o->ops->ask(o->arg, &what);
	if (!o->asking)
		return;
	o->asked_ms = now_ms;
	o->asked_from = what.from;
}

/* ------------------------------------------------------------------ the events held back */

static void hold(
	struct mw_order *o, uint64_t sequence, enum mw_topic topic, struct mw_octets payload)
{
	struct mw_order_held *e;

	if (o->held_events >= MW_ORDER_HELD_EVENTS ||
		o->held_octets + payload.n > MW_ORDER_HELD_OCTETS)
		return;
	e = malloc(sizeof(*e) + payload.n);
	if (e == NULL)
		return; /* as when the bound is met: asked for later */
	*e = (struct mw_order_held){ .sequence = sequence, .topic = topic, .n = payload.n };
	memcpy(e->octets, payload.p, payload.n);
	*o->held_end = e;
	o->held_end = &e->next;
	o->held_events++;
	o->held_octets += e->n;
}

static struct mw_order_held *held_take_first(struct mw_order *o)
{
	struct mw_order_held *e = o->held;

	o->held = e->next;
	if (o->held == NULL)
		o->held_end = &o->held;
	o->held_events--;
	o->held_octets -= e->n;
	return e;
}

static void held_clear(struct mw_order *o)
{
	while (o->held != NULL)
		free(held_take_first(o));
}

/* ------------------------------------------------------------------ delivering */

static void gap_until(struct mw_order *o, uint64_t sequence)
{
	uint64_t from = o->next;

	o->next = sequence;
	o->ops->gap(o->arg, o->incarnation, from, sequence - 1);
}

static void deliver(
	struct mw_order *o, uint64_t sequence, enum mw_topic topic, struct mw_octets payload)
{
	const struct mw_event_header h = { o->incarnation, sequence };

	o->next = sequence + 1;
	if (!o->ops->deliver(o->arg, &h, topic, payload))
		o->ops->gap(o->arg, o->incarnation, sequence, sequence);
}

/* Those whose turn it is. They stand in the order in which the front numbered them. Delivering may
 * pause us, which empties the list: each is taken out of it first. */
static void held_deliver(struct mw_order *o)
{
	while (o->held != NULL && o->held->sequence <= o->next) {
		struct mw_order_held *e = held_take_first(o);

		if (e->sequence == o->next)
			deliver(o, e->sequence, e->topic, mw_octets_of(e->octets, e->n));
		free(e);
	}
}

/* A sequence that no honest front reaches would make every later number look old. */
static bool plausible(uint64_t sequence)
{
	return sequence > 0 && sequence < UINT64_MAX / 2;
}

void mw_order_live(struct mw_order *o, const struct mw_event_header *h, enum mw_topic topic,
	struct mw_octets payload, uint64_t now_ms)
{
	if (o->numberless || !plausible(h->sequence))
		return;
	if (h->incarnation != o->incarnation) {
		/* Not met yet, or restarted: its answer to a request says where to begin. */
		if (!o->asking || now_ms - o->asked_ms >= MW_ORDER_HASTE_MS)
			ask(o, now_ms);
		return;
	}
	if (h->sequence > o->newest)
		o->newest = h->sequence;
	if (h->sequence < o->next || o->paused)
		return;
	if (h->sequence == o->next) {
		deliver(o, h->sequence, topic, payload);
		held_deliver(o);
		return;
	}
	hold(o, h->sequence, topic, payload);
	if (!o->asking)
		ask(o, now_ms);
}

void mw_order_replayed(struct mw_order *o, const struct mw_event_header *h, enum mw_topic topic,
	struct mw_octets payload, uint64_t now_ms)
{
	if (o->numberless || o->paused || h->incarnation != o->incarnation ||
		!plausible(h->sequence) || h->sequence < o->next)
		return;
	if (!o->asking)
		return; /* nobody asked: only requested ranges are known to be without holes */
	o->asked_ms = now_ms; /* it is being answered */
	if (h->sequence > o->newest)
		o->newest = h->sequence;
	if (h->sequence > o->next)
		gap_until(o, h->sequence);
	deliver(o, h->sequence, topic, payload);
	held_deliver(o);
}

static void begin(struct mw_order *o, const struct mw_replay_end *end)
{
	bool restarted = o->incarnation != 0;
	uint64_t first = end->newest + 1;

	held_clear(o);
	if (!o->numberless)
		first = o->ops->start(o->arg, end, restarted);
	o->incarnation = end->incarnation;
	o->newest = end->newest;
	o->next = first <= end->newest ? first : end->newest + 1;
}

void mw_order_end(struct mw_order *o, const struct mw_replay_end *end, uint64_t now_ms)
{
	bool met = end->incarnation == o->incarnation;

	if (end->incarnation == 0 || !plausible(end->newest + 1) || end->oldest > end->newest + 1)
		return;
	o->asking = false;
	if (!met)
		begin(o, end);
	if (o->numberless || o->paused)
		return;
	if (end->newest > o->newest)
		o->newest = end->newest;
	/* What the front skipped or has no more. An answer to an empty range says nothing about
	 * that. */
	if (met && end->next <= end->newest + 1 && end->next > o->next)
		gap_until(o, end->next);
	if (end->oldest > o->next)
		gap_until(o, end->oldest);
	held_deliver(o);
	/* Without progress the next tick asks: a front that lies about its newest must not keep us
	 * busy. */
	if (o->next <= o->newest && o->next != o->asked_from)
		ask(o, now_ms);
}

/* ------------------------------------------------------------------ life */

void mw_order_heard(struct mw_order *o, uint64_t now_ms)
{
	o->heard_ms = now_ms;
}

void mw_order_tick(struct mw_order *o, uint64_t now_ms)
{
	bool behind = !o->paused && o->next <= o->newest;

	/* Also while other events come: the last one of a burst may have been lost, and no later
	 * one tells. */
	if (o->asking ? now_ms - o->asked_ms >= MW_ORDER_ASK_MS
		      : behind || o->incarnation == 0 ||
				now_ms - o->heard_ms >= MW_ORDER_PROBE_MS ||
				now_ms - o->asked_ms >= 2 * MW_ORDER_PROBE_MS)
		ask(o, now_ms);
}

void mw_order_pause(struct mw_order *o, bool pause, uint64_t now_ms)
{
	bool resumed = o->paused && !pause;

	o->paused = pause;
	if (pause)
		held_clear(o);
	else if (resumed && o->incarnation != 0 && !o->asking)
		ask(o, now_ms);
}

void mw_order_init(struct mw_order *o, const struct mw_order_ops *ops, void *arg, bool numberless,
	uint64_t now_ms)
{
	*o = (struct mw_order){
		.ops = ops, .arg = arg, .numberless = numberless, .heard_ms = now_ms, .next = 1
	};
	o->held_end = &o->held;
}

void mw_order_fini(struct mw_order *o)
{
	held_clear(o);
}
