/*
 * How far one message may be unpacked: levels, entities, octets, time. One budget a message, shared
 * by MIME and archives.
 *
 * The octets that may come out of a message of n octets are amavisd's:
 *   max(MIN_EXPANSION_QUOTA, n * MIN_EXPANSION_FACTOR, min(MAX_EXPANSION_QUOTA, n *
 * MAX_EXPANSION_FACTOR))
 */
#ifndef SCAN_BUDGET_H
#define SCAN_BUDGET_H

#include "base.h"

/* Which limit was met; bits of budget.met. scan_limit_words[] has the words of the findings. */
enum scan_limit {
	SCAN_LIMIT_DEPTH,    /* MAXLEVELS */
	SCAN_LIMIT_PARTS,    /* MAXFILES */
	SCAN_LIMIT_OCTETS,   /* MAX_EXPANSION_QUOTA, MIN_EXPANSION_QUOTA */
	SCAN_LIMIT_RATIO,    /* the factors */
	SCAN_LIMIT_TIME,     /* scanner.scan_timeout or the job's deadline */
	SCAN_LIMIT_ENGINE,   /* a limit inside an engine, or something it could not look into */
	SCAN_LIMIT_READINGS, /* scanner.mime_readings */
	SCAN_LIMIT_MEMORY,   /* scanner.unpack_memory, or memory that a reader was refused */
	SCAN_LIMIT_COUNT
};
extern const char *const scan_limit_words[SCAN_LIMIT_COUNT];

struct budget_conf {
	uint64_t max_levels, max_files;
	uint64_t min_quota, max_quota; /* octets */
	uint64_t min_factor, max_factor;
	uint64_t memory; /* octets on the heap while unpacking; 0: no limit */
};

struct budget {
	unsigned levels, files; /* left: files; most: levels */
	uint64_t octets;	/* left */
	bool by_ratio;		/* the octets were cut by the factor, not by the quota */
	uint64_t deadline_ms; /* mw_mono_ms(): of taking apart; a share is kept for the raw mail */
	uint64_t end_ms;      /* of all of it */
	uint64_t memory;      /* octets the heap may have; UINT64_MAX: no limit */
	uint64_t unseen;      /* octets since the heap was looked at */
	unsigned met;	      /* bits of enum scan_limit */
};

void budget_open(struct budget *b, const struct budget_conf *conf, uint64_t message_octets,
	uint64_t deadline_ms);
/* Ask before unpacking; false: the limit is met and noted. */
bool budget_level(struct budget *b, unsigned level);
bool budget_file(struct budget *b);
bool budget_octets(struct budget *b, uint64_t n);
bool budget_time(struct budget *b);
/* For a reader that counts its octets when it is done: so many are put together by now. */
bool budget_memory(struct budget *b, uint64_t held);
/* Milliseconds until taking apart ends; until the job does, with which the raw mail is scanned. */
uint64_t budget_ms_left(const struct budget *b);
uint64_t budget_ms_in_all(const struct budget *b);
/* A reader was refused memory for what the octets ask for: noted. */
void budget_no_memory(struct budget *b);
/* True when a limit was met that says that this mail wants to become too much: what is still done
 * for it is done in small. */
bool budget_burst(const struct budget *b);

#endif
