/* A stream's inside, shared by stream.c (sockets) and stream_tls.c (what goes over them encrypted).
 */
#ifndef SMTP_STREAM_PRIV_H
#define SMTP_STREAM_PRIV_H

#include "stream.h"

struct stream_tls;

struct stream {
	union {
		uv_handle_t handle;
		uv_stream_t stream;
		uv_tcp_t tcp;
		uv_pipe_t pipe;
	} h;
	struct mw_loop *loop;
	const struct stream_ops *ops;
	void *owner;
	union { /* never at the same time */
		uv_connect_t connect;
		uv_write_t write;
	} req;
	uv_shutdown_t shutdown;
	struct stream_tls *tls; /* NULL: plaintext */
	bool unix_socket, reading, writing, closing;
};

/* ---- stream.c */
/* Read from the kernel, or stop: what the owner wants is st->reading. */
void stream_kernel_read(struct stream *st, bool wanted);
int stream_kernel_shutdown(struct stream *st);

/* ---- stream_tls.c: the same calls, once there is a session */
void stream_tls_octets(struct stream *st, const void *p, size_t n);
void stream_tls_ended(struct stream *st, int status);
void stream_tls_read(struct stream *st); /* st->reading has changed */
int stream_tls_write(struct stream *st, uv_buf_t *bufs, unsigned count);
int stream_tls_shutdown(struct stream *st);
/* The stream closes: say so if it can be said at once. */
void stream_tls_close(struct stream *st);
void stream_tls_free(struct stream *st);

#endif
