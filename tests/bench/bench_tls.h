/* TLS over a descriptor that does not block, for the load generator and the sink. */
#ifndef MW_BENCH_TLS_H
#define MW_BENCH_TLS_H

#include <errno.h>
#include "bench.h"
#include "tls.h"

struct bench_tls {
	struct mw_tls *tls; /* NULL: plaintext */
	bool open;	    /* the handshake is done */
	struct buf cipher;  /* not sent yet */
};

static inline void bench_tls_begin(struct bench_tls *t, struct mw_tls_ctx *ctx)
{
	*t = (struct bench_tls){ .tls = need(mw_tls_new(ctx, NULL, false)) };
}

static inline void bench_tls_end(struct bench_tls *t)
{
	mw_tls_destroy(&t->tls);
	buf_free(&t->cipher);
	t->open = false;
}

/* True when nothing is left to be sent; false with errno. */
static inline bool bench_tls_flush(struct bench_tls *t, int fd)
{
	size_t n;
	char *p = mw_tls_take_out(t->tls, &n);

	buf_add(&t->cipher, p, n);
	free(p);
	while (t->cipher.n > 0) {
		ssize_t sent = send(fd, t->cipher.p, t->cipher.n, MSG_NOSIGNAL);

		if (sent < 0)
			return false;
		buf_eat(&t->cipher, (size_t)sent);
	}
	return true;
}

/* As recv(): octets, 0 at the end, -1 with errno. What the kernel has given is used up. */
static inline ssize_t bench_tls_recv(struct bench_tls *t, int fd, void *p, size_t size)
{
	static char cipher[65536];
	ssize_t n;
	int got;

	while ((got = mw_tls_read(t->tls, p, size, NULL)) == 0) {
		n = recv(fd, cipher, sizeof(cipher), 0);
		if (n <= 0)
			return n;
		mw_tls_feed(t->tls, cipher, (size_t)n);
	}
	if (got == MW_TLS_END)
		return 0;
	errno = EPROTO;
	if (got < 0 || !mw_tls_keep(t->tls))
		return -1;
	return got;
}

/* Octets of p that were taken, -1 with errno. What is taken may still have to be flushed. */
static inline ssize_t bench_tls_send(struct bench_tls *t, int fd, const void *p, size_t n)
{
	if (!bench_tls_flush(t, fd))
		return -1;
	if (n > MW_TLS_RECORD)
		n = MW_TLS_RECORD;
	errno = EPROTO;
	if (n > 0 && !mw_tls_write(t->tls, p, n, NULL))
		return -1;
	if (!bench_tls_flush(t, fd) && errno != EAGAIN && errno != EINTR)
		return -1;
	return (ssize_t)n;
}

/* 1: done; 0: come back when the descriptor is ready; -1: failed. */
static inline int bench_tls_shake(struct bench_tls *t, int fd)
{
	static char cipher[65536];

	for (;;) {
		int done = mw_tls_handshake(t->tls, NULL);
		bool sent = bench_tls_flush(t, fd);
		ssize_t n;

		if (done < 0 || (!sent && errno != EAGAIN && errno != EINTR))
			return -1;
		t->open = done > 0;
		if (done > 0)
			return mw_tls_keep(t->tls) ? 1 : -1;
		n = recv(fd, cipher, sizeof(cipher), 0);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return 0;
		if (n <= 0)
			return -1;
		mw_tls_feed(t->tls, cipher, (size_t)n);
	}
}

#endif
