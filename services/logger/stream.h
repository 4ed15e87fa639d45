/*
 * Lines to a file or to stdout. A regular file gets whole lines: one write for as many as are
 * waiting, and what a full disk took of a line only in part is cut off again before the next try. A
 * pipe that is not read is waited for by the loop. Failing is retried every second; the lines stay
 * in the queue.
 */
#ifndef LOGSVC_STREAM_H
#define LOGSVC_STREAM_H

#include "lines.h"

struct logsvc_stream;

/* path NULL: stdout. MW_ERR_IO and *err_r when it cannot be opened at start. */
enum mw_rc logsvc_stream_open(struct logsvc_stream **s_r, struct mw_loop *loop,
	struct logsvc_lines *lines, const char *path, struct mw_err *err_r);
/* The file was moved away (SIGHUP): open it afresh. path may be another one. On failure the old one
 * goes on. */
enum mw_rc logsvc_stream_reopen(struct logsvc_stream *s, const char *path, struct mw_err *err_r);
const struct logsvc_cursor *logsvc_stream_cursor(const struct logsvc_stream *s);
/* A descriptor of the file, for syncing on another thread, to be closed by the caller; -1: none or
 * not a file. */
int logsvc_stream_sync_fd(const struct logsvc_stream *s);
bool logsvc_stream_failing(const struct logsvc_stream *s);
void logsvc_stream_close(struct logsvc_stream **s_p);

#endif
