/*
 * ZeroMQ sockets, opened in one place with every option set: high-water marks, kernel buffers,
 * largest message, heartbeats, linger, reconnect, IPv6, CURVE. libzmq is used directly; czmq only
 * for key files (curve.c).
 */
#ifndef MW_ZSOCK_H
#define MW_ZSOCK_H

#include <zmq.h>
#include "base.h"
#include "conf.h"
#include "loop.h"

/* What a socket is for decides all its options (table in zsock.c, figures in docs/architecture.md).
 */
enum mw_zrole {
	MW_Z_VERDICTS_ROUTER, /* front: binds */
	MW_Z_VERDICTS_DEALER, /* worker: connects to one front */
	MW_Z_JOBS_PUSH,	      /* front: connects to one worker */
	MW_Z_JOBS_PULL,	      /* worker: binds */
	MW_Z_EVENTS_PUB,      /* front: XPUB, binds */
	MW_Z_EVENTS_SUB,      /* subscriber: connects to one front */
	MW_Z_REPLAY_ROUTER,   /* front: binds */
	MW_Z_REPLAY_DEALER,   /* subscriber: connects to one front */
	MW_Z_MONITOR,	      /* PAIR at a monitor's inproc end */
	MW_Z_ROLE_COUNT
};

/* CURVE keys of this process: curve.h. NULL: no CURVE (ipc, or pipeline.plaintext). */
struct mw_curve;

struct mw_zctx {
	void *ctx;		/* zmq context, one I/O thread */
	struct mw_curve *curve; /* NULL: none; owned */
	size_t max_message;	/* ZMQ_MAXMSGSIZE on sockets that carry message octets */
};

/* Context with ZMQ_MAX_SOCKETS for that many. Reads pipeline.* settings; loads CURVE keys and
 * starts ZAP when an endpoint of this process is tcp and pipeline.plaintext is false. service names
 * the key file. */
enum mw_rc mw_zctx_open(struct mw_zctx *z, const char *service, const struct mw_conf *conf,
	struct mw_loop *loop, unsigned sockets, struct mw_err *err_r);
void mw_zctx_close(struct mw_zctx *z);

/* A socket with its role's options; NULL and *err_r when libzmq has none left. Closed by
 * mw_zsock_close. */
void *mw_zsock_new(struct mw_zctx *z, enum mw_zrole role, struct mw_err *err_r);
enum mw_rc mw_zsock_bind(struct mw_zctx *z, void *sock, const char *endpoint, struct mw_err *err_r);
/* server_key: Z85 key of the CURVE server at a tcp endpoint; NULL: the front's, from the keys
 * folder. */
enum mw_rc mw_zsock_connect(struct mw_zctx *z, void *sock, const char *endpoint,
	const char *server_key, struct mw_err *err_r);
void mw_zsock_close(void **sock_p);
/* The address it is bound to, with the real port. */
enum mw_rc mw_zsock_last_endpoint(void *sock, char *buf, size_t size);
/* ipc paths live in pipeline.run_dir; tcp endpoints are numeric. True for "tcp://". */
bool mw_endpoint_is_tcp(const char *endpoint);

/* Send n octets as one frame, copying; more: another frame follows. MW_OK, MW_AGAIN (nothing sent),
 * MW_ERR_GONE (a ROUTER knows no such peer) or MW_ERR_IO. */
enum mw_rc mw_zsend(void *sock, const void *p, size_t n, bool more);
/* Receive one frame without waiting into msg (initialised by this call on MW_OK; then the caller
 * closes it). */
enum mw_rc mw_zrecv(void *sock, zmq_msg_t *msg);
bool mw_zmore(zmq_msg_t *msg);
static inline struct mw_octets mw_zoctets(zmq_msg_t *msg)
{
	return mw_octets_of(zmq_msg_data(msg), zmq_msg_size(msg));
}
/* Drop the rest of a multipart message of which msg was a frame. */
void mw_zdrain(void *sock, zmq_msg_t *msg);

#endif
