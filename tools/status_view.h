/*
 * `mailweir status`, what it shows: the state as lines of text of a given width, and how each is
 * meant. No terminal and no network in here. All text is made printable ASCII: it comes from other
 * hosts, and terminals obey what they read.
 */
#ifndef STATUS_VIEW_H
#define STATUS_VIEW_H

#include <jansson.h>

#include "base.h"

#define STATUS_WIDTH_LEAST 40
#define STATUS_WIDTH_MOST 250
#define STATUS_ALERTS_SHOWN 3

enum status_look {
	STATUS_PLAIN,
	STATUS_TITLE, /* of a table */
	STATUS_GOOD,
	STATUS_WARN,
	STATUS_BAD,
	STATUS_LOOK_COUNT
};

struct status_line {
	char text[STATUS_WIDTH_MOST + 1];
	enum status_look look;
};

struct status_view {
	struct status_line *lines;
	size_t count, cap;
	unsigned width;
	bool failed; /* memory ran out */
};

/*
 * Fill *v (zeroed or used before) from the JSON of mailweir-status. state may be NULL (nothing was
 * had yet); trouble is a sentence for the first line, or NULL. rows: lines there are; 0: as many as
 * it takes. Wrong or missing fields show as nothing.
 */
void status_view_build(struct status_view *v, const json_t *state, const char *trouble,
	unsigned width, unsigned rows);
void status_view_fini(struct status_view *v);

/* "950", "4.7K", "64M"; "12ms", "3.4s", "5:07", "2:05:07", "3d04h". Return buf. */
const char *status_octets(char buf[16], int64_t octets);
const char *status_duration(char buf[16], int64_t ms);
/* One character a second, ":" each tenth, ">" when it is cut at `most`: as amavisd-nanny draws it.
 */
const char *status_bar(char *buf, size_t most, int64_t age_ms, char letter);

#endif
