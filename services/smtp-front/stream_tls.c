/*
 * TLS between a stream's owner and its socket.
 *
 * Coming in, what the kernel gave is decrypted until it is used up or the owner wants no more; what
 * is left then is kept, and goes on from a timer when the owner reads again. Nothing is read from
 * the kernel meanwhile, so it is one read buffer at most.
 *
 * Going out, up to STREAM_TLS_AHEAD octets are encrypted, handed to the kernel, and what it does
 * not take flies: libuv has it, and goes on with the next when it is gone.
 */
#include <assert.h>
#include <stdlib.h>

#include "stream_priv.h"

#define PLAIN_OCTETS 65536  /* one buffer for all: used up by the owner before the next read */
#define TURN_OCTETS 1048576 /* written without a turn of the loop: others want theirs, too */

enum tls_state {
	TLS_SHAKING,
	TLS_OPEN,
	TLS_DEAF, /* the other side's end was told: nothing more is read */
	TLS_FAILED
};

struct stream_tls {
	struct mw_tls *tls;
	enum tls_state state;
	bool kernel_reads; /* as it was told last */
	bool pumping;	   /* the owner is in a callback of ours: no timer is needed */
	bool shutdown;	   /* to be said when nothing flies any more */
	struct mw_timer *again;
	char *flying; /* ciphertext that libuv has; NULL: none */
	uv_write_t write;
	/* What the owner wants written. */
	uv_buf_t *own_bufs; /* our copy of the array, when it did not go at once */
	uv_buf_t *bufs;
	unsigned count;
	char why[160]; /* TLS_FAILED */
};

static int push(struct stream *st);
static int flush(struct stream *st, bool later);

static void failed(struct stream *st, const char *why)
{
	st->tls->state = TLS_FAILED;
	mw_strlcpy(st->tls->why, why, sizeof(st->tls->why));
}

/* ------------------------------------------------------------------ coming in */

static bool wants_more(const struct stream *st)
{
	return !st->closing &&
	       (st->tls->state == TLS_SHAKING || (st->tls->state == TLS_OPEN && st->reading));
}

/* The kernel is read from while there is nothing left to be decrypted first. */
static void settle_reading(struct stream *st)
{
	struct stream_tls *t = st->tls;
	bool wanted = wants_more(st) && !mw_tls_has_more(t->tls);

	if (wanted != t->kernel_reads && !st->closing) {
		t->kernel_reads = wanted;
		stream_kernel_read(st, wanted);
	}
}

/* The other side has ended, or TLS has. The alert that says so goes if it goes at once. */
static void end_reading(struct stream *st, int status)
{
	if (st->tls->state == TLS_OPEN)
		st->tls->state = TLS_DEAF;
	flush(st, false);
	st->ops->ended(st->owner, status);
}

static void end_handshake(struct stream *st, const char *why)
{
	failed(st, why);
	flush(st, false);
	st->ops->secured(st->owner, st->tls->why);
}

/* False: it is not open, by now. */
static bool shake(struct stream *st)
{
	struct mw_err err = { "" };
	int done = mw_tls_handshake(st->tls->tls, &err);

	if (done < 0) {
		end_handshake(st, err.text);
		return false;
	}
	if (flush(st, false) < 0) {
		end_handshake(st, "connection lost in the handshake");
		return false;
	}
	if (done == 0)
		return false;
	st->tls->state = TLS_OPEN;
	st->ops->secured(st->owner, NULL);
	return true;
}

static void give_octets(struct stream *st)
{
	static unsigned char plain[PLAIN_OCTETS]; /* one loop, one thread */
	struct mw_err err = { "" };

	while (wants_more(st)) {
		int n = mw_tls_read(st->tls->tls, plain, sizeof(plain), &err);

		if (n > 0) {
			st->ops->octets(st->owner, plain, (size_t)n);
		} else if (n == MW_TLS_END) {
			end_reading(st, UV_EOF);
		} else if (n < 0) {
			failed(st, err.text);
			end_reading(st, UV_EPROTO);
		} else {
			break;
		}
	}
}

/* Decrypt what there is, for as long as the owner wants it. */
static void pump(struct stream *st)
{
	struct stream_tls *t = st->tls;

	t->pumping = true;
	if (t->state != TLS_SHAKING || shake(st))
		give_octets(st);
	t->pumping = false;
	if (st->closing)
		return;
	if (t->state == TLS_OPEN && !mw_tls_keep(t->tls)) {
		failed(st, "out of memory");
		end_reading(st, UV_ENOMEM);
		return;
	}
	/* An answer of TLS's own (a key update's) goes with what is written next, or now. */
	if (t->state == TLS_OPEN)
		flush(st, false);
	settle_reading(st);
}

static void pump_again(void *arg)
{
	struct stream *st = arg;

	if (wants_more(st))
		pump(st);
}

void stream_tls_octets(struct stream *st, const void *p, size_t n)
{
	if (st->tls->state == TLS_DEAF || st->tls->state == TLS_FAILED)
		return;
	mw_tls_feed(st->tls->tls, p, n);
	pump(st);
}

void stream_tls_ended(struct stream *st, int status)
{
	struct stream_tls *t = st->tls;

	t->kernel_reads = false; /* libuv has stopped by itself */
	/* Without close_notify, too: SMTP says itself where its mails end, and many leave without.
	 */
	if (t->state == TLS_SHAKING)
		end_handshake(st, status == UV_EOF ? "connection closed in the handshake"
						   : uv_strerror(status));
	else if (t->state == TLS_OPEN)
		end_reading(st, status);
}

void stream_tls_read(struct stream *st)
{
	struct stream_tls *t = st->tls;

	if (t->pumping)
		return; /* settled when the callback is over */
	if (wants_more(st) && t->state == TLS_OPEN && mw_tls_has_more(t->tls)) {
		if (t->again == NULL)
			t->again = mw_timer_new(st->loop, pump_again, st);
		mw_timer_start(t->again, 0, 0);
	}
	settle_reading(st);
}

/* ------------------------------------------------------------------ going out */

/* Nothing flies any more, and the owner's octets are all gone or its stream is not good. */
static void wrote_all(struct stream *st, int status)
{
	struct stream_tls *t = st->tls;

	free(t->own_bufs);
	t->own_bufs = NULL;
	t->bufs = NULL;
	t->count = 0;
	st->writing = false;
	st->ops->written(st->owner, status);
}

static void flew(uv_write_t *req, int status)
{
	struct stream *st = req->data;
	struct stream_tls *t = st->tls;
	int left = status;

	free(t->flying);
	t->flying = NULL;
	if (st->closing)
		return;
	if (left == 0)
		left = st->writing ? push(st) : flush(st, false);
	if (left == 1)
		return;
	if (t->shutdown && left == 0)
		stream_kernel_shutdown(st);
	if (st->writing)
		wrote_all(st, left);
}

/*
 * Hand what is encrypted to the kernel. 0: it has all; 1: some flies; below 0: a uv error. later:
 * it flies in any case, so that the loop turns.
 */
static int flush(struct stream *st, bool later)
{
	struct stream_tls *t = st->tls;
	uv_buf_t buf;
	size_t n;
	char *p;
	int done = 0, left;

	if (t->flying != NULL)
		return 1;
	p = mw_tls_take_out(t->tls, &n);
	if (p == NULL)
		return 0;
	buf = uv_buf_init(p, (unsigned)n);
	if (!later)
		done = uv_try_write(&st->h.stream, &buf, 1);
	if (done == (int)n || (done < 0 && done != UV_EAGAIN)) {
		free(p);
		return done < 0 ? done : 0;
	}
	if (done > 0)
		buf = uv_buf_init(p + done, (unsigned)(n - (size_t)done));
	t->write.data = st;
	left = uv_write(&t->write, &st->h.stream, &buf, 1, flew);
	if (left != 0) {
		free(p);
		return left;
	}
	t->flying = p;
	return 1;
}

/* Use up n octets of the owner's. */
static void skip(struct stream_tls *t, size_t n)
{
	while (t->count > 0 && n >= t->bufs->len) {
		n -= t->bufs->len;
		t->bufs++;
		t->count--;
	}
	if (n > 0) {
		t->bufs->base += n;
		t->bufs->len -= n;
	}
}

/* One record: of the owner's memory when that fills one, of small pieces joined otherwise. */
static bool encrypt_record(struct stream_tls *t, size_t *n_r, struct mw_err *err_r)
{
	static char joined[MW_TLS_RECORD]; /* one loop, one thread */
	const char *p = joined;
	size_t n = 0;

	if (t->bufs->len >= MW_TLS_RECORD || t->count == 1) {
		p = t->bufs->base;
		n = t->bufs->len < MW_TLS_RECORD ? t->bufs->len : MW_TLS_RECORD;
	}
	for (unsigned i = 0; p == joined && i < t->count && n < MW_TLS_RECORD; i++) {
		size_t room = MW_TLS_RECORD - n,
		       take = t->bufs[i].len < room ? t->bufs[i].len : room;

		memcpy(joined + n, t->bufs[i].base, take);
		n += take;
	}
	*n_r = n;
	if (n > 0 && !mw_tls_write(t->tls, p, n, err_r))
		return false;
	skip(t, n);
	return true;
}

/* Encrypt and hand over, in turns. 0: the kernel has all; 1: flew() goes on; below 0: a uv error.
 */
static int push(struct stream *st)
{
	struct stream_tls *t = st->tls;
	struct mw_err err = { "" };
	size_t turn = 0, n;

	for (;;) {
		int left;

		while (t->count > 0 && t->flying == NULL &&
			mw_tls_out_size(t->tls) < STREAM_TLS_AHEAD) {
			if (!encrypt_record(t, &n, &err)) {
				failed(st, err.text);
				return UV_EPROTO;
			}
			turn += n;
		}
		left = flush(st, turn >= TURN_OCTETS);
		if (left != 0 || t->count == 0)
			return left;
	}
}

/* What did not go at once: the array is ours to keep, the octets are not. */
static int keep_bufs(struct stream_tls *t)
{
	if (t->count == 0)
		return 0;
	t->own_bufs = malloc(t->count * sizeof(*t->own_bufs));
	if (t->own_bufs == NULL)
		return UV_ENOMEM;
	memcpy(t->own_bufs, t->bufs, t->count * sizeof(*t->own_bufs));
	t->bufs = t->own_bufs;
	return 0;
}

int stream_tls_write(struct stream *st, uv_buf_t *bufs, unsigned count)
{
	struct stream_tls *t = st->tls;
	int left, no_memory;

	assert(t->state != TLS_SHAKING && !st->writing);
	if (t->state == TLS_FAILED)
		return UV_EPROTO;
	t->bufs = bufs;
	t->count = count;
	left = push(st);
	if (left == 1) {
		no_memory = keep_bufs(t);
		if (no_memory != 0)
			left = no_memory; /* what flies is a whole record: its end is the stream's
					   */
		else
			st->writing = true;
	}
	if (left != 1) {
		t->bufs = NULL;
		t->count = 0;
	}
	return left;
}

/* ------------------------------------------------------------------ begin and end */

bool stream_start_tls(struct stream *st, struct mw_tls_ctx *ctx, const char *name, bool verify)
{
	struct stream_tls *t = calloc(1, sizeof(*t));

	assert(st->tls == NULL && !st->writing && !st->closing);
	if (t != NULL)
		t->tls = mw_tls_new(ctx, name, verify);
	if (t == NULL || t->tls == NULL) {
		free(t);
		return false;
	}
	st->tls = t;
	t->kernel_reads = st->reading;
	t->again = mw_timer_new(st->loop, pump_again, st);
	mw_timer_start(t->again, 0, 0); /* a client speaks first; never from inside this call */
	settle_reading(st);
	return true;
}

const char *stream_tls_describe(const struct stream *st, char buf[MW_TLS_TEXT_MAX])
{
	return st->tls != NULL && st->tls->state != TLS_SHAKING ? mw_tls_describe(st->tls->tls, buf)
								: NULL;
}

const char *stream_strerror(const struct stream *st, int status)
{
	if (status == UV_EPROTO && st->tls != NULL && st->tls->why[0] != '\0')
		return st->tls->why;
	return uv_strerror(status);
}

int stream_tls_shutdown(struct stream *st)
{
	int left;

	mw_tls_end(st->tls->tls);
	left = flush(st, false);
	if (left == 1) {
		st->tls->shutdown = true;
		return 0;
	}
	return left < 0 ? left : stream_kernel_shutdown(st);
}

void stream_tls_close(struct stream *st)
{
	struct stream_tls *t = st->tls;

	if (t == NULL)
		return;
	mw_timer_destroy(&t->again);
	/* A mail that was cut is not ended politely. */
	if (st->writing || t->flying != NULL || t->state == TLS_SHAKING || t->state == TLS_FAILED)
		return;
	mw_tls_end(t->tls);
	flush(st, false);
}

void stream_tls_free(struct stream *st)
{
	if (st->tls == NULL)
		return;
	mw_tls_destroy(&st->tls->tls);
	free(st->tls->own_bufs);
	free(st->tls->flying);
	free(st->tls);
	st->tls = NULL;
}
