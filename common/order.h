/*
 * The events of one front in order, each once, although they come on two ways: live (SUB, may have
 * holes) and replayed (DEALER, without holes but for what is gone). No sockets and no clock in
 * here: frames and the time are arguments.
 *
 * Live events ahead of their turn are held back (bounded) while the missing ones are asked for.
 * What the front does not have any more is reported as a gap. A front that was restarted has
 * another incarnation, and numbers from 1 again.
 */
#ifndef MW_ORDER_H
#define MW_ORDER_H

#include "envelope.h"

#define MW_ORDER_HELD_OCTETS                                                                       \
	(8u << 20) /* held back; beyond that live events are dropped and asked for later */
#define MW_ORDER_HELD_EVENTS 10000
#define MW_ORDER_ASK_MS 2000 /* an unanswered request is repeated */
#define MW_ORDER_PROBE_MS                                                                          \
	1000 /* nothing heard for so long: ask, which also keeps the front known as up */
#define MW_ORDER_HASTE_MS 100 /* between requests that a new incarnation gives rise to */

struct mw_order_ops {
	/* False: the payload was refused; it is then reported as a gap of one. */
	bool (*deliver)(void *arg, const struct mw_event_header *h, enum mw_topic topic,
		struct mw_octets payload);
	void (*gap)(void *arg, uint64_t incarnation, uint64_t from, uint64_t to);
	/* Send a request. False: the front does not take it now; tried again at the next tick. */
	bool (*ask)(void *arg, const struct mw_replay_ask *what);
	/* A new incarnation (restarted: not the first one at this front): which number is the first
	 * we want? */
	uint64_t (*start)(void *arg, const struct mw_replay_end *met, bool restarted);
};

struct mw_order_held;
struct mw_order {
	const struct mw_order_ops *ops;
	void *arg;
	bool numberless; /* wants no numbered events: asks only whether the front is there */
	bool paused;
	uint64_t incarnation;  /* 0: not met yet */
	uint64_t next, newest; /* the next to deliver; the newest known to exist */
	uint64_t asked_ms; /* of the last request, or of the last sign that it is being answered */
	uint64_t asked_from;
	uint64_t heard_ms; /* of the last frame of any kind */
	bool asking;	   /* a request is unanswered */
	struct mw_order_held *held, **held_end;
	size_t held_events, held_octets;
};

void mw_order_init(struct mw_order *o, const struct mw_order_ops *ops, void *arg, bool numberless,
	uint64_t now_ms);
void mw_order_fini(struct mw_order *o);
/* Something of this front came, of whatever kind: it lives. */
void mw_order_heard(struct mw_order *o, uint64_t now_ms);
void mw_order_live(struct mw_order *o, const struct mw_event_header *h, enum mw_topic topic,
	struct mw_octets payload, uint64_t now_ms);
void mw_order_replayed(struct mw_order *o, const struct mw_event_header *h, enum mw_topic topic,
	struct mw_octets payload, uint64_t now_ms);
void mw_order_end(struct mw_order *o, const struct mw_replay_end *end, uint64_t now_ms);
/* Call a few times a second. */
void mw_order_tick(struct mw_order *o, uint64_t now_ms);
void mw_order_pause(struct mw_order *o, bool pause, uint64_t now_ms);

#endif
