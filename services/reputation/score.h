/*
 * The formulas of IP reputation, without clocks and storage: docs in README.md, "Formulas". What
 * Redis computes itself (it must, to stay one call) is fed by these: base life times and random
 * factors travel as arguments.
 */
#ifndef REP_SCORE_H
#define REP_SCORE_H

#include "base.h"

/* From this count on a known address gets the longest base life. */
#define REP_TTL_STEPS 8
#define REP_TTL_LEAST_S 4000		  /* no record lives shorter, once it is asked for */
#define REP_RECORD_AGE_MOST_S (3 * 86400) /* and none longer: it starts afresh */

/* Counters of one address, before the message at hand. */
struct rep_counts {
	uint64_t n; /* messages */
	uint64_t s; /* spam */
	uint64_t h; /* ham */
	uint64_t b; /* banned or infected */
};

/*
 * Thousandths of 0.9 * n^0.36 * exp(-6 h / n), rounded; 0 without spam or banned mail, or below
 * 0.05. n counts as s + h + b where that is more.
 */
int64_t rep_score_milli(const struct rep_counts *c);

/* Base life in seconds of a record with n messages: 3 h when new, (3 + n^2.2) h, 80 h from
 * REP_TTL_STEPS on. */
double rep_ttl_base_s(uint64_t n);
/* 1 + 0.2 N with N about standard normal, made of four numbers of the kernel's generator: lives
 * must not end together. */
double rep_ttl_factor(const uint32_t uniform[4]);

#endif
