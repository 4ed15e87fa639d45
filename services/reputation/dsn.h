/*
 * storage_redis_dsn: the servers in order of preference, as
 *   { { server = "127.0.0.1:6379", db_id = 1, password = "...", ttl = 1382400 },
 *     { sentinels = { "10.0.0.1:26379", "10.0.0.2:26379" }, master = "mymaster" } }
 * server (or sock): host:port, host, [v6]:port, or the absolute path of a Unix socket.
 */
#ifndef REP_DSN_H
#define REP_DSN_H

#include "conf.h"

#define REP_SERVERS_MAX 8
#define REP_SENTINELS_MAX 8
#define REP_HOST_MAX                                                                               \
	256 /* a name (RFC 1035 section 2.3.4), an address, or a socket's path (sun_path: 108) */
#define REP_PASSWORD_MAX 512 /* octets, NUL included */
#define REP_REDIS_PORT 6379
#define REP_SENTINEL_PORT 26379

struct rep_place {
	char host[REP_HOST_MAX]; /* name or numeric address; with port 0 the path of a Unix socket
				  */
	uint16_t port;
};

struct rep_server {
	struct rep_place place; /* unused with sentinels */
	size_t sentinel_count;
	struct rep_place sentinels[REP_SENTINELS_MAX];
	char master[64]; /* what the sentinels call it */
	int64_t db_id;
	int64_t ttl_s;			 /* of pen-pal records; 0: they never end */
	char password[REP_PASSWORD_MAX]; /* "" for none; never logged */
};

struct rep_dsn {
	size_t count; /* 0: no storage is set */
	struct rep_server servers[REP_SERVERS_MAX];
};

/* MW_OK, or MW_ERR_CONF with a sentence that names the entry and what is wrong in it. */
enum mw_rc rep_dsn_read(struct rep_dsn *dsn_r, const struct mw_val *list, int64_t default_ttl_s,
	struct mw_err *err_r);
/* One place; default_port where the text has none. False when it is no such text. */
bool rep_place_parse(const char *text, uint16_t default_port, struct rep_place *place_r);
/* For logs: host:port, [v6]:port or the path. Returns buf. */
const char *rep_place_format(const struct rep_place *place, char *buf, size_t size);
/* Every place to begin at: a server itself, or each of its sentinels. */
size_t rep_dsn_endpoints(const struct rep_dsn *dsn);
/* The server of endpoint number i and, in *sentinel_r, which sentinel of it (0 when it has none).
 */
const struct rep_server *rep_dsn_endpoint(const struct rep_dsn *dsn, size_t i, size_t *sentinel_r);

#endif
