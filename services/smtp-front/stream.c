#include "stream_priv.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define READ_OCTETS                                                                                \
	65536 /* one buffer for all: what is read is used up, or saved, before the next read */

struct stream *stream_new(
	struct mw_loop *loop, bool unix_socket, const struct stream_ops *ops, void *owner)
{
	struct stream *st = calloc(1, sizeof(*st));

	if (st == NULL)
		return NULL;
	st->loop = loop;
	st->ops = ops;
	st->owner = owner;
	st->unix_socket = unix_socket;
	if (unix_socket)
		uv_pipe_init(mw_loop_uv(loop), &st->h.pipe, 0);
	else
		uv_tcp_init(mw_loop_uv(loop), &st->h.tcp);
	st->h.handle.data = st;
	return st;
}

void stream_give(struct stream *st, const struct stream_ops *ops, void *owner)
{
	st->ops = ops;
	st->owner = owner;
}

/* ------------------------------------------------------------------ accept, connect */

static void open_now(struct stream *st)
{
	if (!st->unix_socket)
		uv_tcp_nodelay(&st->h.tcp, 1);
}

int stream_accept(struct stream *st, uv_stream_t *listener)
{
	int failed = uv_accept(listener, &st->h.stream);

	if (failed == 0)
		open_now(st);
	return failed;
}

static void connected(uv_connect_t *req, int status)
{
	struct stream *st = req->data;

	if (st->closing)
		return;
	if (status == 0)
		open_now(st);
	st->ops->connected(st->owner, status);
}

/* libuv's own bind would choose a port now, and one address has few of them; at connect one serves
 * for many peers. */
int stream_bind(struct stream *st, const struct sockaddr *from)
{
	int on = 1, failed = 0;
	int fd = socket(from->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	socklen_t size = from->sa_family == AF_INET6 ? sizeof(struct sockaddr_in6)
						     : sizeof(struct sockaddr_in);

	if (fd < 0)
		return uv_translate_sys_error(errno);
	(void)setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof(on));
	if (bind(fd, from, size) != 0)
		failed = uv_translate_sys_error(errno);
	if (failed == 0)
		failed = uv_tcp_open(&st->h.tcp, fd);
	if (failed != 0)
		close(fd);
	return failed;
}

int stream_connect(struct stream *st, const struct sockaddr *to)
{
	st->req.connect.data = st;
	if (!st->unix_socket)
		return uv_tcp_connect(&st->req.connect, &st->h.tcp, to, connected);
	uv_pipe_connect(&st->req.connect, &st->h.pipe, ((const struct sockaddr_un *)to)->sun_path,
		connected);
	return 0;
}

int stream_addresses(
	const struct stream *st, struct sockaddr_storage *peer_r, struct sockaddr_storage *local_r)
{
	int peer_n = sizeof(*peer_r), local_n = sizeof(*local_r), failed;

	if (st->unix_socket) {
		*peer_r = *local_r = (struct sockaddr_storage){ .ss_family = AF_UNIX };
		return 0;
	}
	failed = uv_tcp_getpeername(&st->h.tcp, (struct sockaddr *)peer_r, &peer_n);
	return failed != 0 ? failed
			   : uv_tcp_getsockname(&st->h.tcp, (struct sockaddr *)local_r, &local_n);
}

/* ------------------------------------------------------------------ reading */

static void give_buffer(uv_handle_t *h, size_t hint, uv_buf_t *buf)
{
	static char octets[READ_OCTETS]; /* one loop, one thread */

	(void)h;
	(void)hint;
	*buf = uv_buf_init(octets, sizeof(octets));
}

static void on_read(uv_stream_t *s, ssize_t n, const uv_buf_t *buf)
{
	struct stream *st = s->data;

	if (n > 0 && st->tls != NULL)
		stream_tls_octets(st, buf->base, (size_t)n);
	else if (n < 0 && st->tls != NULL)
		stream_tls_ended(st, (int)n);
	else if (n > 0)
		st->ops->octets(st->owner, (const unsigned char *)buf->base, (size_t)n);
	else if (n < 0)
		st->ops->ended(st->owner, (int)n);
}

void stream_kernel_read(struct stream *st, bool wanted)
{
	if (wanted)
		uv_read_start(&st->h.stream, give_buffer, on_read);
	else
		uv_read_stop(&st->h.stream);
}

void stream_read(struct stream *st, bool wanted)
{
	if (wanted == st->reading)
		return;
	st->reading = wanted;
	if (st->tls != NULL)
		stream_tls_read(st);
	else
		stream_kernel_read(st, wanted);
}

bool stream_is_reading(const struct stream *st)
{
	return st->reading;
}

/* ------------------------------------------------------------------ writing */

static void wrote(uv_write_t *req, int status)
{
	struct stream *st = req->data;

	st->writing = false;
	if (!st->closing)
		st->ops->written(st->owner, status);
}

int stream_write(struct stream *st, uv_buf_t *bufs, unsigned count)
{
	int done, failed;
	size_t left;

	if (st->tls != NULL)
		return stream_tls_write(st, bufs, count);
	done = uv_try_write(&st->h.stream, bufs, count);
	left = done > 0 ? (size_t)done : 0;
	if (done < 0 && done != UV_EAGAIN)
		return done;
	while (count > 0 && left >= bufs->len) {
		left -= bufs->len;
		bufs++;
		count--;
	}
	if (count == 0)
		return 0;
	bufs->base += left;
	bufs->len -= left;
	st->req.write.data = st;
	failed = uv_write(&st->req.write, &st->h.stream, bufs, count, wrote);
	if (failed != 0)
		return failed;
	st->writing = true;
	return 1;
}

bool stream_is_writing(const struct stream *st)
{
	return st->writing;
}

/* ------------------------------------------------------------------ the end */

static void said_all(uv_shutdown_t *req, int status)
{
	(void)req;
	(void)status; /* the end comes with the other side's, or with the owner's patience */
}

int stream_kernel_shutdown(struct stream *st)
{
	return uv_shutdown(&st->shutdown, &st->h.stream, said_all);
}

int stream_shutdown(struct stream *st)
{
	return st->tls != NULL ? stream_tls_shutdown(st) : stream_kernel_shutdown(st);
}

static void closed(uv_handle_t *h)
{
	struct stream *st = h->data;

	st->ops->closed(st->owner);
	stream_tls_free(st);
	free(st);
}

void stream_close(struct stream **st_p)
{
	struct stream *st = *st_p;

	*st_p = NULL;
	if (st == NULL)
		return;
	st->closing = true;
	stream_tls_close(st);
	uv_close(&st->h.handle, closed);
}

bool stream_peer_user(const struct stream *st, unsigned *uid_r)
{
	struct ucred who;
	socklen_t size = sizeof(who);
	uv_os_fd_t fd;

	if (!st->unix_socket || uv_fileno(&st->h.handle, &fd) != 0 ||
		getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &size) != 0)
		return false;
	*uid_r = (unsigned)who.uid;
	return true;
}
