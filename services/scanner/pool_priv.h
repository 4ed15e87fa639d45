/* The insides of a pool, for its own files. */
#ifndef SCAN_POOL_PRIV_H
#define SCAN_POOL_PRIV_H

#include "keeper.h"
#include "pool.h"
#include "scan_conf.h"
#include "signatures.h"

#define POOL_WARM_OCTETS (16 * 1024)
#define CAGE_TURNS 3 /* mails that a cage has in its hands: one it is at, others behind it */

/* A mail that was sent to a cage. It does them in the order that they were sent in. */
struct turn {
	uint64_t id;
	struct pool_job *job; /* NULL: nobody wants its verdict (cancelled, taken back, warming) */
	uint64_t until_ms;    /* then the cage should have stopped by itself */
};

struct cage {
	struct pool *pool;
	struct keeper *keeper;
	struct scan_born born;
	int fd;
	struct mw_fd *watch;
	struct turn turns[CAGE_TURNS];
	unsigned turn_count; /* 0: idle */
	uint64_t begun_ms;   /* it came to the first of them */
	bool killed, ended;  /* we asked for its death; its socket is closed */
	bool warm, warming;  /* it has scanned something; it does so for that alone */
	uint64_t kill_at_ms, ended_ms;
	struct cage *next, **prev_p;
};

struct pool {
	struct mw_loop *loop;
	const struct pool_ops *ops;
	void *arg;
	struct scan_settings settings;
	struct keeper *current, *coming; /* at work; loading */
	struct keeper *leaving;		 /* its last mails are being finished */
	struct scan_engine engine, coming_engine;
	uint64_t coming_since_ms; /* when the first of its cages was born; 0: none yet */
	struct cage *cages;
	struct pool_job *first, *last; /* waiting */
	uint64_t ids;
	struct mw_timer *tick, *look;
	bool looking;
	uint64_t down_since_ms, restart_at_ms;
	unsigned quick_ends;
	unsigned loads_ended; /* in a row, of newer signatures */
	struct signatures signatures;
	uint64_t look_at_ms;
	bool reload_wanted;
	char broken[400]; /* why the last holder could not load */
	struct pool_job warm_job;
	struct mw_octets warm_part;
	unsigned char warm_octets[POOL_WARM_OCTETS];
	unsigned char in[SCAN_DATAGRAM_MAX];
	uint64_t deaths, deaths_at_work,
		holders; /* cages that ended; with a mail; holders started */
};

/* ------------------------------------------------------------------ a cage's turns (pool_turns.c)
 */

/* Send a job to a cage that has room for one more. MW_OK, MW_AGAIN (its socket is full: to another
 * one, or later), MW_ERR_GONE (to another one) or what the job fails with. */
enum mw_rc pool_turn_give(struct cage *c, struct pool_job *job);
/*
 * The cage for a job that waits, NULL: none. As many cages are at work as there are cores; behind
 * the mail that each is at stand others, so that it finds them warm and without being woken.
 * Behind a mail that takes its time none does: then further cages are woken.
 */
struct cage *pool_turn_for(struct pool *p, const struct pool_job *job, uint64_t now);
/* The first turn is over: the next one, if any, begins. Returns its job, or NULL. */
struct pool_job *pool_turn_over(struct cage *c);
/* Nobody wants the job's verdict any more. */
void pool_turn_cancel(struct cage *c, struct pool_job *job);
/* Take back what stands behind the mail that the cage is at, to the head of the queue: it has not
 * been looked at. */
void pool_turns_take_back(struct cage *c);
/* While cages are idle and no mail waits: take back what stands behind a mail that takes long. */
void pool_turns_free(struct pool *p, uint64_t now);
/* Whether any mail stands behind another one. */
bool pool_turns_behind(const struct pool *p);
/* How many jobs may be with the pool at once. */
unsigned pool_turns_all(const struct pool *p);

/* ------------------------------------------------------------------ the queue (pool.c) */

void pool_enqueue(struct pool *p, struct pool_job *job, bool head);

/* ------------------------------------------------------------------ warmth (pool_warm.c) */

/*
 * A cage's first mail takes many times as long as its second: its page tables, caches and the
 * library's own tables are cold. So the first one is a mail of no meaning, given to one cold cage
 * at a time while no mail waits (those of new signatures do not wait for that for long), and new
 * signatures come to work when their cages are warm.
 */
void pool_warm_open(struct pool *p);
/* Give it to the next cold cage. */
void pool_warm(struct pool *p, uint64_t now);
/* Whether the cages of the coming holder may take over. */
bool pool_warm_enough(const struct pool *p, uint64_t now);

#endif
