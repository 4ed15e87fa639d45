/*
 * Where mail comes in: the listening sockets, and what every session has whatever its protocol.
 * A session is made by the protocol's accept function; its octets are its stream's.
 */
#ifndef SMTP_INTAKE_H
#define SMTP_INTAKE_H

#include "front.h"
#include "replies.h"
#include "stream.h"

/* One listening socket; lives until the last session that came by it is over. */
struct listener {
	struct front *front;
	union {
		uv_handle_t handle;
		uv_stream_t stream;
		uv_tcp_t tcp;
		uv_pipe_t pipe;
	} h;
	unsigned refs;
	bool unix_socket;
	bool admin;	   /* AM.PDP for `mailweir quarantine`: no mail comes in here */
	char address[108]; /* without [], or the path of a Unix socket */
	unsigned port;	   /* 0: a Unix socket */
	struct listener *next;
};

struct intake_session;
struct clients;
struct client;

struct intake_session_ops {
	void (*tick)(struct intake_session *s, uint64_t now_ms); /* once a second: time limits */
	/* The service ends: close it politely when it is between mails. */
	void (*dismiss)(struct intake_session *s);
	void (*kill)(struct intake_session *s); /* at once */
};

struct intake_session {
	const struct intake_session_ops *ops;
	struct front *front;
	struct listener *listener;
	struct stream *stream;
	struct intake_session *next, **prev_p;
	/* Of the connection, or as a trusted proxy says; "" on a Unix socket. */
	char peer_ip[MW_IP_TEXT_MAX], local_ip[MW_IP_TEXT_MAX];
	uint16_t peer_port, local_port;
	bool by_proxy;		/* the proxy speaks for itself: inet_acl does not know it */
	struct client *counted; /* NULL: not yet, or it has no address */
	struct policy_set *set; /* of now, or of the mail that it is about */
	const struct policy *policy;
};

struct intake {
	struct listener *first;
	struct intake_session *sessions;
	size_t session_count;
	struct clients *clients; /* sessions by client address */
	struct mw_timer *tick;
	int backlog; /* listen_queue_size */
	bool closing;
};

/* ---- listener.c */
#define INTAKE_ADMIN_SUFFIX ".admin" /* smtp-front@INSTANCE.admin in pipeline.run_dir */
enum mw_rc intake_open(struct front *f, const struct mw_conf *conf, struct mw_err *err_r);
/* "127.0.0.1:10024,[::1]:10024,/run/mailweir/smtp.sock" for the ready line. */
void intake_describe(const struct front *f, struct mw_text *out);
/* What is listened at, with the ports that the kernel picked; to be freed. NULL: no memory. */
size_t intake_sockets(const struct front *f, struct policy_socket **sockets_r);
/* No new sessions; idle ones are dismissed; returns when nothing is left to the sessions' own end.
 */
void intake_drain(struct front *f);
void intake_close(struct front *f);

/* ---- intake.c: a session's first and last steps */
/* Take the connection that waits at l. False: it could not be; the session was never counted and
 * nothing is left of it. The stream belongs to the session and is read from by its protocol. */
bool intake_session_begin(struct intake_session *s, const struct intake_session_ops *ops,
	struct listener *l, const struct stream_ops *stream_ops);
/* Close the stream; what is left is done by intake_session_fini from stream_ops.closed. */
void intake_session_end(struct intake_session *s);
void intake_session_fini(struct intake_session *s);
/* Whoever begins a mail now runs under the settings of now, however old the session is. */
void intake_session_refresh(struct intake_session *s);

/* Why a client may not come in; REPLY_COUNT: it may. Asked once, when its address is known: from
 * then on it counts as one of that client's sessions. */
enum smtp_reply_id intake_refuses(struct intake_session *s);
/* No more sessions can be served, whoever asks. */
bool intake_is_full(const struct front *f);

#endif
