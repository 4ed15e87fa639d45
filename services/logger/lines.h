/*
 * The lines on their way out: one list, and a cursor for each output. A line is freed, and the
 * position of its publisher moves on, when every output is done with it.
 *
 * Bounded in octets (logger.queue). At the limit an output that must not lose makes the logger stop
 * taking events (the fronts keep them); a lossy one skips its oldest lines and counts them.
 */
#ifndef LOGSVC_LINES_H
#define LOGSVC_LINES_H

#include "events.h"

#define LOGSVC_OUTPUTS_MAX 5
#define LOGSVC_POSITIONS_MAX 64 /* publishers remembered */

/* The record itself, for an output that keeps it; one block of memory. */
struct logsvc_mail {
	const char *mail_id, *message_id;
	uint64_t time_ms;
	const void *frame;
	size_t frame_n;
};

struct logsvc_line {
	struct logsvc_line *next;
	uint64_t incarnation, sequence; /* sequence 0: moves no position */
	unsigned left;			/* outputs that are not done with it */
	const char *redis_key;		/* in text, behind the line; NULL: none */
	struct logsvc_mail *mail;	/* NULL: no mail record, or nobody keeps it */
	size_t n;
	char text[]; /* n octets, the last a line feed */
};

struct logsvc_cursor {
	const char *name;
	bool lossy;
	struct logsvc_line *at; /* the next line to be done with; NULL: caught up */
	uint64_t waiting, waiting_octets;
	uint64_t done, skipped; /* lines, since start */
	uint64_t untold;	/* skipped, and no gap line says so yet */
	void (*more)(void *arg, struct logsvc_line *line); /* a line came */
	void (*before_skip)(void *arg); /* lossy ones: lines under way are to be forgotten */
	void *arg;
};

struct logsvc_lines {
	struct logsvc_line *first, **end;
	uint64_t octets, most;
	struct logsvc_cursor *cursors[LOGSVC_OUTPUTS_MAX];
	size_t cursor_count;
	struct mw_position
		positions[LOGSVC_POSITIONS_MAX]; /* reached by all outputs; latest last */
	size_t position_count;
	bool moved; /* a position did, since the flag was cleared */
};

void logsvc_lines_init(struct logsvc_lines *l, uint64_t most);
void logsvc_lines_fini(struct logsvc_lines *l);
/* Before the first line. */
void logsvc_lines_add_cursor(struct logsvc_lines *l, struct logsvc_cursor *c);
/* Copies text and adds the line feed; mail becomes the line's, also on failure. False: no memory.
 */
bool logsvc_lines_add(struct logsvc_lines *l, uint64_t incarnation, uint64_t sequence,
	const char *redis_key, struct mw_octets text, struct logsvc_mail *mail);
/* NULL: no memory. */
struct logsvc_mail *logsvc_mail_new(struct mw_octets mail_id, struct mw_octets message_id,
	uint64_t time_ms, struct mw_octets frame);
/* The output is done with the line at its cursor. */
void logsvc_cursor_next(struct logsvc_lines *l, struct logsvc_cursor *c);
/* Make room: lossy outputs skip. True when there is room for more events now. */
bool logsvc_lines_make_room(struct logsvc_lines *l);
/* Below half of the limit: events may come again. */
bool logsvc_lines_roomy(const struct logsvc_lines *l);
void logsvc_position_set(struct logsvc_lines *l, uint64_t incarnation, uint64_t sequence);

#endif
