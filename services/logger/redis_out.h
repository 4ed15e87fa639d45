/*
 * Lines to a Redis list: RPUSH key json, LTRIM key -limit -1, pipelined. While Redis is down lines
 * wait in the queue; servers are tried in turn, first after 100 ms, then after at most 5 s. A line
 * is done when its RPUSH was answered; those on the way when a connection breaks are sent again
 * (twice in the list at worst, with the same sequence).
 */
#ifndef LOGSVC_REDIS_OUT_H
#define LOGSVC_REDIS_OUT_H

#include "lines.h"
#include "redis_conf.h"

struct logsvc_redis;

/* limit: longest list (redis_logging_queue_size_limit). */
enum mw_rc logsvc_redis_open(struct logsvc_redis **r_r, struct mw_loop *loop,
	struct logsvc_lines *lines, const struct logsvc_redis_conf *conf, int64_t limit, bool lossy,
	const char *host, struct mw_err *err_r);
const struct logsvc_cursor *logsvc_redis_cursor(const struct logsvc_redis *r);
bool logsvc_redis_up(const struct logsvc_redis *r);
void logsvc_redis_close(struct logsvc_redis **r_p);

#endif
