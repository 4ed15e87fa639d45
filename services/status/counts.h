/*
 * Counting mails: totals, a sliding minute and hour, and latencies, all in fixed memory. Time is an
 * argument.
 */
#ifndef STATUSSVC_COUNTS_H
#define STATUSSVC_COUNTS_H

#include "record.h"

/*
 * Histogram of microseconds: 8 buckets an octave from 64 us to 73 min, so that a percentile read
 * from it is at most one eighth too high. Shorter and longer ones count in the first and last
 * bucket.
 */
#define STATUSSVC_LOW_BITS 6
#define STATUSSVC_OCTAVES 26
#define STATUSSVC_STEPS 8
#define STATUSSVC_BUCKETS (STATUSSVC_OCTAVES * STATUSSVC_STEPS)

unsigned statussvc_bucket_of(uint64_t us);
/* First value above the bucket. */
uint64_t statussvc_bucket_end(unsigned bucket);

/* What is counted of the mails of one span of time. */
struct statussvc_cell {
	uint64_t span; /* which one, since the clock's zero; others' cells are stale */
	uint64_t mails, octets;
	uint32_t content[MW_CC_COUNT]; /* mails by major contents category */
	uint32_t action[MW_ACT_COUNT]; /* mails in which it was some recipient's */
	uint64_t latency_max_us;
	uint32_t latency[STATUSSVC_BUCKETS];
};

/* The latest 60 spans: of a second each, or of a minute. */
#define STATUSSVC_SPANS 60
struct statussvc_ring {
	uint64_t span_ms;
	struct statussvc_cell cells[STATUSSVC_SPANS];
};

/* Sections of a record's elapsed times that are summed. */
enum statussvc_section {
	STATUSSVC_RECEIVING,
	STATUSSVC_CHECKS,
	STATUSSVC_DECODE,
	STATUSSVC_VIRUS,
	STATUSSVC_SPAM,
	STATUSSVC_PENPALS,
	STATUSSVC_SENDING,
	STATUSSVC_TOTAL,
	STATUSSVC_SECTION_COUNT
};
const char *statussvc_section_name(enum statussvc_section section);

/* Upper ends of the buckets of the metrics' histogram, milliseconds. */
#define STATUSSVC_METRIC_BUCKETS 14
extern const uint32_t statussvc_metric_ms[STATUSSVC_METRIC_BUCKETS];

struct statussvc_counts {
	uint64_t mails, octets, recipients;
	uint64_t aborted; /* the client got 4xx before a decision; in no other count */
	uint64_t poison, quarantined;
	uint64_t matrix[MW_CC_COUNT]
		       [MW_ACT_COUNT]; /* mails by content and by each action in them */
	struct {
		uint64_t count, wall_us, cpu_us;
	} sections[STATUSSVC_SECTION_COUNT];
	uint64_t metric[STATUSSVC_METRIC_BUCKETS + 1]; /* the last: above them all */
	struct statussvc_ring seconds, minutes;
};

void statussvc_counts_init(struct statussvc_counts *c);
/* now_ms: a clock that never jumps. */
void statussvc_counts_mail(struct statussvc_counts *c, const struct mw_record *r, uint64_t now_ms);

/* Sum of the ring's spans that are not stale, the running one included; *sum_r->span is not used.
 */
void statussvc_ring_sum(
	const struct statussvc_ring *ring, uint64_t now_ms, struct statussvc_cell *sum_r);
/* The cell `ago` spans back (0: the running one), or NULL when nothing was counted in it. */
const struct statussvc_cell *statussvc_ring_cell(
	const struct statussvc_ring *ring, uint64_t now_ms, unsigned ago);
/* Latency that so many of 1000 mails stayed below; 0 when there was none. */
uint64_t statussvc_cell_percentile_us(const struct statussvc_cell *cell, unsigned permille);
uint64_t statussvc_cell_latencies(const struct statussvc_cell *cell);

#endif
