#include "zsock.h"

#include <errno.h>
#include <stdlib.h>

#include "curve.h"

/* Every option of every socket, by role. Why: docs/architecture.md, "Socket options". */
struct role {
	int type;
	int send_hwm, recv_hwm; /* messages */
	int kernel_buffer;	/* octets each way; 0: the system's */
	bool user_timeout; /* tcp: cut when sent octets stay unacknowledged; never on jobs, where a
			    * busy worker's window may rightly stay closed for minutes */
	bool immediate;	   /* connecting side queues only for peers that are there */
	bool carries_octets; /* frames may be as large as a mail */
	bool binds;
};

#define CONTROL_FRAME_MAX                                                                          \
	(2 * 1024 *                                                                                \
		1024) /* octets of any frame where no mail travels; above every decoder's limit */
/*
 * Slots bound what a worker is given, and the front knows where each job is: this mark loses none
 * and holds none back. At 1 each job that is read wakes the thread that wrote it, to be told of the
 * room; here every 32nd does.
 */
#define JOBS_HWM 64
#define JOB_SLACK (16 * 1024 * 1024) /* a header that grew, on top of the largest mail */
/*
 * No ZMTP heartbeats: libzmq 4.3.4 aborts the process (assertion !_io_error) when a ping waits
 * behind a full receive pipe whose connection has gone. TCP notices dead peers instead, alive
 * messages notice silent workers, ipc needs neither.
 */
#define KEEPALIVE_IDLE_S 5
#define KEEPALIVE_EVERY_S 2
#define KEEPALIVE_COUNT 3
#define USER_TIMEOUT_MS 5000
#define LINGER_MS 2000
#define RECONNECT_MS 100
#define RECONNECT_MAX_MS 1000 /* a restarted front has its workers back within 2 s */
#define HANDSHAKE_MS 5000

static const struct role roles[MW_Z_ROLE_COUNT] = {
	[MW_Z_VERDICTS_ROUTER] = { ZMQ_ROUTER, 1000, 1000, 0, true, false, false, true },
	[MW_Z_VERDICTS_DEALER] = { ZMQ_DEALER, 1000, 1000, 0, true, true, false, false },
	[MW_Z_JOBS_PUSH] = { ZMQ_PUSH, JOBS_HWM, JOBS_HWM, 64 * 1024, false, true, true, false },
	[MW_Z_JOBS_PULL] = { ZMQ_PULL, JOBS_HWM, JOBS_HWM, 64 * 1024, false, false, true, true },
	[MW_Z_EVENTS_PUB] = { ZMQ_XPUB, 10000, 10000, 0, true, false, false, true },
	[MW_Z_EVENTS_SUB] = { ZMQ_SUB, 10000, 10000, 0, true, false, false, false },
	[MW_Z_REPLAY_ROUTER] = { ZMQ_ROUTER, 1000, 1000, 0, true, false, false, true },
	[MW_Z_REPLAY_DEALER] = { ZMQ_DEALER, 1000, 1000, 0, true, true, false, false },
	[MW_Z_MONITOR] = { ZMQ_PAIR, 1000, 1000, 0, false, false, false, false },
};

bool mw_endpoint_is_tcp(const char *endpoint)
{
	return strncmp(endpoint, "tcp://", 6) == 0;
}

static bool wants_curve(const struct mw_conf *conf)
{
	return !mw_conf_bool(conf, "pipeline.plaintext") &&
	       (mw_endpoint_is_tcp(mw_conf_text(conf, "pipeline.front")) ||
		       mw_endpoint_is_tcp(mw_conf_text(conf, "pipeline.listen")) ||
		       mw_endpoint_is_tcp(mw_conf_text(conf, "pipeline.jobs_listen")));
}

/* The largest mail that any policy bank lets in. */
static size_t largest_mail(const struct mw_conf *conf)
{
	const struct mw_val *banks = mw_conf_val(conf, "policy_bank");
	int64_t most = mw_conf_int(conf, "smtpd_message_size_limit");

	for (size_t i = 0; banks->tag == MW_V_TABLE && i < banks->count; i++) {
		int64_t n =
			mw_val_int(mw_val_field(&banks->vals[i], "smtpd_message_size_limit"), 0);

		if (n > most)
			most = n;
	}
	return (size_t)most;
}

enum mw_rc mw_zctx_open(struct mw_zctx *z, const char *service, const struct mw_conf *conf,
	struct mw_loop *loop, unsigned sockets, struct mw_err *err_r)
{
	enum mw_rc rc = MW_OK;

	*z = (struct mw_zctx){ .max_message = largest_mail(conf) + JOB_SLACK };
	z->ctx = zmq_ctx_new();
	if (z->ctx == NULL || zmq_ctx_set(z->ctx, ZMQ_MAX_SOCKETS, (int)sockets + 16) != 0 ||
		zmq_ctx_set(z->ctx, ZMQ_IPV6, 1) != 0)
		rc = mw_fail(err_r, MW_ERR_IO, "libzmq has no context for %u sockets: %s", sockets,
			zmq_strerror(errno));
	if (rc == MW_OK && wants_curve(conf)) {
		rc = mw_curve_open(&z->curve, mw_conf_text(conf, "pipeline.keys"), service, err_r);
		if (rc == MW_OK)
			rc = mw_curve_serve_zap(z->curve, z->ctx, loop, err_r);
	}
	if (rc != MW_OK)
		mw_zctx_close(z);
	return rc;
}

void mw_zctx_close(struct mw_zctx *z)
{
	mw_curve_close(&z->curve);
	if (z->ctx != NULL)
		zmq_ctx_term(z->ctx);
	z->ctx = NULL;
}

static bool set_int(void *sock, int option, int value)
{
	return zmq_setsockopt(sock, option, &value, sizeof(value)) == 0;
}

static bool set_options(struct mw_zctx *z, void *sock, enum mw_zrole which)
{
	const struct role *role = &roles[which];
	int64_t most = role->carries_octets ? (int64_t)z->max_message : CONTROL_FRAME_MAX;

	return set_int(sock, ZMQ_SNDHWM, role->send_hwm) &&
	       set_int(sock, ZMQ_RCVHWM, role->recv_hwm) && set_int(sock, ZMQ_LINGER, LINGER_MS) &&
	       set_int(sock, ZMQ_RECONNECT_IVL, RECONNECT_MS) &&
	       set_int(sock, ZMQ_RECONNECT_IVL_MAX, RECONNECT_MAX_MS) &&
	       set_int(sock, ZMQ_IPV6, 1) && set_int(sock, ZMQ_HANDSHAKE_IVL, HANDSHAKE_MS) &&
	       zmq_setsockopt(sock, ZMQ_MAXMSGSIZE, &most, sizeof(most)) == 0 &&
	       (role->kernel_buffer == 0 ||
		       (set_int(sock, ZMQ_SNDBUF, role->kernel_buffer) &&
			       set_int(sock, ZMQ_RCVBUF, role->kernel_buffer))) &&
	       set_int(sock, ZMQ_TCP_KEEPALIVE, 1) &&
	       set_int(sock, ZMQ_TCP_KEEPALIVE_IDLE, KEEPALIVE_IDLE_S) &&
	       set_int(sock, ZMQ_TCP_KEEPALIVE_INTVL, KEEPALIVE_EVERY_S) &&
	       set_int(sock, ZMQ_TCP_KEEPALIVE_CNT, KEEPALIVE_COUNT) &&
	       (!role->user_timeout || set_int(sock, ZMQ_TCP_MAXRT, USER_TIMEOUT_MS)) &&
	       (!role->immediate || set_int(sock, ZMQ_IMMEDIATE, 1)) &&
	       (role->type != ZMQ_ROUTER || set_int(sock, ZMQ_ROUTER_MANDATORY, 1)) &&
	       (role->type != ZMQ_XPUB || set_int(sock, ZMQ_XPUB_VERBOSER, 1));
}

void *mw_zsock_new(struct mw_zctx *z, enum mw_zrole role, struct mw_err *err_r)
{
	void *sock = zmq_socket(z->ctx, roles[role].type);

	if (sock != NULL && !set_options(z, sock, role))
		mw_zsock_close(&sock);
	if (sock == NULL)
		mw_fail(err_r, MW_ERR_IO, "libzmq has no socket: %s", zmq_strerror(errno));
	return sock;
}

void mw_zsock_close(void **sock_p)
{
	if (*sock_p != NULL)
		zmq_close(*sock_p);
	*sock_p = NULL;
}

static bool set_text(void *sock, int option, const char *text)
{
	return zmq_setsockopt(sock, option, text, strlen(text)) == 0;
}

enum mw_rc mw_zsock_bind(struct mw_zctx *z, void *sock, const char *endpoint, struct mw_err *err_r)
{
	if (mw_endpoint_is_tcp(endpoint) && z->curve != NULL &&
		(!set_int(sock, ZMQ_CURVE_SERVER, 1) ||
			!set_text(sock, ZMQ_CURVE_SECRETKEY, mw_curve_secret(z->curve)) ||
			!set_text(sock, ZMQ_ZAP_DOMAIN, "mailweir")))
		return mw_fail(err_r, MW_ERR_CONF, "%s: libzmq refuses our CURVE key: %s", endpoint,
			zmq_strerror(errno));
	if (zmq_bind(sock, endpoint) != 0)
		return mw_fail(
			err_r, MW_ERR_IO, "cannot listen at %s: %s", endpoint, zmq_strerror(errno));
	return MW_OK;
}

enum mw_rc mw_zsock_connect(struct mw_zctx *z, void *sock, const char *endpoint,
	const char *server_key, struct mw_err *err_r)
{
	if (mw_endpoint_is_tcp(endpoint) && z->curve != NULL) {
		if (server_key == NULL)
			server_key = mw_curve_key_of(z->curve, "front");
		if (server_key == NULL)
			return mw_fail(err_r, MW_ERR_CONF,
				"%s: no front.key in the folder of pipeline.keys", endpoint);
		if (!set_text(sock, ZMQ_CURVE_SERVERKEY, server_key) ||
			!set_text(sock, ZMQ_CURVE_PUBLICKEY, mw_curve_public(z->curve)) ||
			!set_text(sock, ZMQ_CURVE_SECRETKEY, mw_curve_secret(z->curve)))
			return mw_fail(err_r, MW_ERR_CONF, "%s: libzmq refuses the CURVE keys: %s",
				endpoint, zmq_strerror(errno));
	}
	if (zmq_connect(sock, endpoint) != 0)
		return mw_fail(err_r, MW_ERR_IO, "cannot connect to %s: %s", endpoint,
			zmq_strerror(errno));
	return MW_OK;
}

enum mw_rc mw_zsock_last_endpoint(void *sock, char *buf, size_t size)
{
	return zmq_getsockopt(sock, ZMQ_LAST_ENDPOINT, buf, &size) == 0 ? MW_OK : MW_ERR_IO;
}

enum mw_rc mw_zsend(void *sock, const void *p, size_t n, bool more)
{
	for (;;) {
		if (zmq_send(sock, p, n, ZMQ_DONTWAIT | (more ? ZMQ_SNDMORE : 0)) >= 0)
			return MW_OK;
		if (errno == EAGAIN)
			return MW_AGAIN;
		if (errno == EHOSTUNREACH)
			return MW_ERR_GONE;
		if (errno != EINTR)
			return MW_ERR_IO;
	}
}

enum mw_rc mw_zrecv(void *sock, zmq_msg_t *msg)
{
	int err;

	zmq_msg_init(msg);
	while (zmq_msg_recv(msg, sock, ZMQ_DONTWAIT) < 0) {
		err = errno;
		if (err == EINTR)
			continue;
		zmq_msg_close(msg);
		return err == EAGAIN ? MW_AGAIN : MW_ERR_IO;
	}
	return MW_OK;
}

bool mw_zmore(zmq_msg_t *msg)
{
	return zmq_msg_more(msg) != 0;
}

void mw_zdrain(void *sock, zmq_msg_t *msg)
{
	bool more = mw_zmore(msg);

	while (more) {
		zmq_msg_t rest;

		if (mw_zrecv(sock, &rest) != MW_OK)
			return;
		more = mw_zmore(&rest);
		zmq_msg_close(&rest);
	}
}
