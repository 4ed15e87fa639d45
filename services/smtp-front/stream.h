/*
 * One connection as octets: a TCP or Unix socket in the loop, for sessions that came in and for
 * those that we open. Protocols live in its owners; nothing here knows what the octets mean.
 *
 * The owner gets a stream by accept or connect, writes with stream_write and ends it with
 * stream_close; from then on no callback comes but closed(), from the loop and never from inside a
 * call of the owner's. Octets handed to stream_write stay the owner's and must live until written()
 * or closed().
 *
 * stream_start_tls puts TLS between the owner and the socket (stream_tls.c). After secured()
 * nothing changes for the owner: its octets are plaintext, written() still means that the kernel
 * has all of them. Records are at most 16 KiB, and at most STREAM_TLS_AHEAD octets are encrypted
 * ahead of what the kernel takes, whatever the size of a mail.
 */
#ifndef SMTP_STREAM_H
#define SMTP_STREAM_H

#include "loop.h"
#include "tls.h"

#define STREAM_TLS_AHEAD (3 * MW_TLS_RECORD) /* octets of plaintext, in whole records */

struct stream;

struct stream_ops {
	/* The connection stands (0), or a uv error says why not. */
	void (*connected)(void *owner, int status);
	/* Octets came; gone after the call. The owner may close the stream from inside. */
	void (*octets)(void *owner, const unsigned char *p, size_t n);
	/* UV_EOF or what failed: nothing more comes. */
	void (*ended)(void *owner, int status);
	/* After stream_start_tls: NULL, the handshake is done and who the other side is was checked
	 * as asked for; or why not, and the stream is good for nothing but stream_close. */
	void (*secured)(void *owner, const char *failed);
	/* What a stream_write left behind is written (0), or failed. */
	void (*written)(void *owner, int status);
	/* After stream_close: nothing of the owner's is looked at any more. */
	void (*closed)(void *owner);
};

/* NULL: no memory. A Unix socket needs unix_socket; TCP gets TCP_NODELAY: a reply and a mail's end
 * never wait for an acknowledgement. */
struct stream *stream_new(
	struct mw_loop *loop, bool unix_socket, const struct stream_ops *ops, void *owner);
/* Take the connection that waits at a listening handle of the same kind. 0 or a uv error. */
int stream_accept(struct stream *st, uv_stream_t *listener);
/* Before stream_connect: from which address, of the family that it connects to; port 0 is any. 0 or
 * a uv error: it is none of ours. */
int stream_bind(struct stream *st, const struct sockaddr *from);
/* AF_INET, AF_INET6 or AF_UNIX. connected() tells; a uv error: it never will. */
int stream_connect(struct stream *st, const struct sockaddr *to);
/* Another owner, with other callbacks, from now on. */
void stream_give(struct stream *st, const struct stream_ops *ops, void *owner);
/* Whether octets are wanted; without it not even the other side's end is told. */
void stream_read(struct stream *st, bool wanted);
bool stream_is_reading(const struct stream *st);
/*
 * Write as much as the kernel takes at once; the rest follows by itself. One write at a time: not
 * while stream_is_writing(). 0: all is written. 1: written() will tell. Below 0: a uv error. bufs
 * itself is used up when the call returns (and may have been changed).
 */
int stream_write(struct stream *st, uv_buf_t *bufs, unsigned count);
bool stream_is_writing(const struct stream *st);
/*
 * Handshake now: as the server, or as a client of `name` (see mw_tls_new). Nothing is being
 * written, and the owner has nothing unread: what came as plaintext and was not used must not be
 * taken for what comes encrypted (RFC 3207 section 4.2). Until secured() nothing may be written;
 * octets are read whatever stream_read said. No time limit here. False: no memory, or a name that
 * is none.
 */
bool stream_start_tls(struct stream *st, struct mw_tls_ctx *ctx, const char *name, bool verify);
/* "TLSv1.3 with cipher ...", in buf; NULL without TLS. */
const char *stream_tls_describe(const struct stream *st, char buf[MW_TLS_TEXT_MAX]);
/* What a status of ended() or of a write means, TLS's own words included. */
const char *stream_strerror(const struct stream *st, int status);
/* Say that no more is coming; the other side's end is told by ended(). A uv error: close it. */
int stream_shutdown(struct stream *st);
/* Sets *st_p to NULL; closed() comes later. NULL is nothing to close. */
void stream_close(struct stream **st_p);
/* Both ends' addresses; 0 or a uv error. Unix sockets have none: AF_UNIX without a path. */
int stream_addresses(
	const struct stream *st, struct sockaddr_storage *peer_r, struct sockaddr_storage *local_r);
/* Who is at the other end of a Unix socket. False: it is none, or the system does not say. */
bool stream_peer_user(const struct stream *st, unsigned *uid_r);

#endif
