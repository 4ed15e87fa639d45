/*
 * The publisher's memory of events, by sequence: the newest in memory, older ones in an unlinked
 * spool file used as a ring. Writing to and reading from the file run on libuv's pool, so that a
 * slow disk never holds up a mail; when the disk is slower than mail for too long, the oldest
 * events are dropped, as they are when the file is full.
 */
#ifndef MW_REPLAY_H
#define MW_REPLAY_H

#include "loop.h"

#define MW_REPLAY_INDEX_MAX                                                                        \
	(256 * 1024)		 /* events kept, whatever their size; 16 octets of memory each */
#define MW_REPLAY_READ_EVENTS 64 /* events of one read */
#define MW_REPLAY_READ_OCTETS (1u << 20) /* of one read, unless a single event is larger */

struct mw_replay;

/* memory, spool: octets; spool 0: no file. dir: folder of the file. trouble: called once when the
 * file fails (then memory only). NULL: no memory. */
struct mw_replay *mw_replay_new(struct mw_loop *loop, size_t memory, uint64_t spool,
	const char *dir, void (*trouble)(void *arg, const char *what), void *arg);
/* What runs on the pool is finished later by the loop; callbacks do not come any more. */
void mw_replay_destroy(struct mw_replay **r_p);

/* Keep one event; it gets number newest + 1, from 1. Takes payload (malloc'ed); NULL: a number
 * without an event. */
void mw_replay_put(struct mw_replay *r, unsigned topic, unsigned char *payload, size_t n);
uint64_t mw_replay_newest(const struct mw_replay *r); /* 0: none yet */
uint64_t mw_replay_oldest(const struct mw_replay *r); /* newest + 1: none kept */
/* Octets in memory now: bounded by one and a half times `memory`, or one event. */
size_t mw_replay_memory(const struct mw_replay *r);

/*
 * Give events from..to in order to take(), a batch at a time, then say in done() which one is next.
 * MW_OK: done() was or will be called, from the loop or before this returns; MW_AGAIN: a read is
 * running, ask again after its done().
 */
struct mw_replay_reader {
	void (*take)(void *arg, uint64_t sequence, unsigned topic, struct mw_octets payload);
	void (*done)(void *arg, uint64_t next);
	void *arg;
};
enum mw_rc mw_replay_read(
	struct mw_replay *r, uint64_t from, uint64_t to, const struct mw_replay_reader *reader);

#endif
