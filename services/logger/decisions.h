/*
 * Mail records as they came, in a SQLite file in logger.state_dir, for `mailweir explain MAIL_ID`.
 * One transaction for what is waiting, on libuv's pool; a record is done with when it is on disk,
 * so that a restart misses none. What is older than decisions.days or beyond decisions.entries
 * goes, a few at a time.
 */
#ifndef LOGSVC_DECISIONS_H
#define LOGSVC_DECISIONS_H

#include "conf.h"
#include "lines.h"

struct logsvc_decisions;

enum mw_rc logsvc_decisions_open(struct logsvc_decisions **d_r, struct mw_loop *loop,
	struct logsvc_lines *lines, const struct mw_conf *conf, const char *instance,
	struct mw_err *err_r);
/* The limits of other settings. */
void logsvc_decisions_reload(struct logsvc_decisions *d, const struct mw_conf *conf);
/* The process ends: from now on nothing waits for company in its transaction. */
void logsvc_decisions_hurry(struct logsvc_decisions *d);
bool logsvc_decisions_failing(const struct logsvc_decisions *d);
/* Waits for what is being written. */
void logsvc_decisions_close(struct logsvc_decisions **d_p);

#endif
