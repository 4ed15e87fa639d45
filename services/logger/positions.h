/*
 * The state file: how far each publisher's records have been written out. A restarted logger asks
 * the fronts for what came after. One line per publisher, "INCARNATION SEQUENCE"; replaced whole
 * (write, fsync, rename).
 */
#ifndef LOGSVC_POSITIONS_H
#define LOGSVC_POSITIONS_H

#include "lines.h"
#include "stream.h"

#define LOGSVC_SAVE_MS 200 /* at most so often */

struct logsvc_positions;

/* Makes the folder if need be and reads what is there into lines' positions. */
enum mw_rc logsvc_positions_open(struct logsvc_positions **p_r, struct mw_loop *loop,
	struct logsvc_lines *lines, const char *folder, const char *instance, struct mw_err *err_r);
/* The file whose lines must be on disk before a position says so; NULL: none. */
void logsvc_positions_follow(struct logsvc_positions *p, const struct logsvc_stream *file);
bool logsvc_positions_failing(const struct logsvc_positions *p);
/* Saves a last time, waiting for the disk. */
void logsvc_positions_close(struct logsvc_positions **p_p);

#endif
