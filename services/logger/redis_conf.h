/* storage_redis_dsn as the logger reads it: where to connect, in order of preference. */
#ifndef LOGSVC_REDIS_CONF_H
#define LOGSVC_REDIS_CONF_H

#include "conf.h"

#define LOGSVC_REDIS_PLACES_MAX 32

struct logsvc_redis_place {
	char host[256]; /* name or address; with port 0 the path of a Unix socket */
	uint16_t port;
	char master[64]; /* not "": this is a sentinel, which is asked for that master's address */
	int db;
	char password[512]; /* "" for none; never logged */
};

struct logsvc_redis_conf {
	size_t count; /* 0: no Redis */
	struct logsvc_redis_place places[LOGSVC_REDIS_PLACES_MAX];
};

enum mw_rc logsvc_redis_conf_read(
	struct logsvc_redis_conf *c_r, const struct mw_conf *conf, struct mw_err *err_r);
/* "host:port", "[v6]:port", "host", "/path". */
bool logsvc_redis_place_parse(
	const char *text, uint16_t default_port, struct logsvc_redis_place *p_r);

#endif
