/*
 * Circuit breaker: after so many failures in a row nobody waits for a dead server any more, until a
 * probe gets through. Pure: who counts what, and when to probe, is the store's.
 */
#ifndef REP_BREAKER_H
#define REP_BREAKER_H

#include "base.h"

struct rep_breaker {
	unsigned most;	   /* failures in a row that open it */
	unsigned failures; /* in a row, so far */
	bool open;
};

/* One more failure. True when this one opened it. */
static inline bool rep_breaker_failed(struct rep_breaker *b)
{
	if (b->failures < b->most)
		b->failures++;
	if (b->open || b->failures < b->most)
		return false;
	b->open = true;
	return true;
}

/* The server did what was asked: the row is broken. */
static inline void rep_breaker_worked(struct rep_breaker *b)
{
	b->failures = 0;
}

/* A probe got through. True when it was open. */
static inline bool rep_breaker_close(struct rep_breaker *b)
{
	bool was_open = b->open;

	b->open = false;
	if (was_open)
		b->failures = 0;
	return was_open;
}

#endif
