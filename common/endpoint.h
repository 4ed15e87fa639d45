/*
 * Where the fronts are. libzmq is never given a host name: names are resolved here, every address
 * is used, and looked up again every few seconds, so that --scale needs no settings change.
 *
 * pipeline.front (MAILWEIR_FRONT): "ipc" (default): every front with a socket in pipeline.run_dir;
 * or "tcp://HOST:PORT[,tcp://HOST:PORT...]": PORT is verdicts, PORT + 1 events, PORT + 2 replay.
 */
#ifndef MW_ENDPOINT_H
#define MW_ENDPOINT_H

#include "conf.h"
#include "loop.h"

enum mw_door { MW_DOOR_VERDICTS, MW_DOOR_EVENTS, MW_DOOR_REPLAY, MW_DOOR_COUNT };

/* A front as found: a numeric endpoint for each of its doors. */
struct mw_front_address {
	char door[MW_DOOR_COUNT][256];
};

struct mw_finder;
/*
 * Calls came for each front when it is first found and gone when it is no longer found (three
 * look-ups in a row), from the loop; looks every pipeline.lookup_interval. Name look-ups run on
 * libuv's pool and never block.
 */
struct mw_finder *mw_finder_new(struct mw_loop *loop, const struct mw_conf *conf,
	void (*came)(void *arg, const struct mw_front_address *a),
	void (*gone)(void *arg, const struct mw_front_address *a), void *arg, struct mw_err *err_r);
void mw_finder_destroy(struct mw_finder **f_p);

/* What the front itself binds: pipeline.listen ("ipc" or "tcp://ADDRESS:PORT") and the instance
 * name. */
enum mw_rc mw_front_doors(const struct mw_conf *conf, const char *instance,
	struct mw_front_address *a_r, struct mw_err *err_r);

#endif
