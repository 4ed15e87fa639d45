/* fuzz: common services/smtp-front */
/*
 * TLS of a stream (stream_tls.c) between an owner, a kernel and a peer, none of which is to be
 * trusted: the peer's octets come cut, changed, mixed with others, without end; the kernel takes
 * what it likes; the owner reads, writes and closes when it likes, in callbacks, too. What arrives
 * is what was sent, or nothing; callbacks come when they are promised and never after the close;
 * and when nobody did harm, all arrives.
 *
 * Input: an octet of settings, then pairs of octets, what happens and how much.
 */
#define OPENSSL_SUPPRESS_DEPRECATED /* the generator: the same input does the same */
#include <stdlib.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>

#include "../unit/common/make_cert.h"
#include "stream_priv.h"

#define INPUT_MOST 4096
#define OCTETS_MOST (1u << 20) /* of plaintext, each way */
#define FLYING_MOST (STREAM_TLS_AHEAD + 2 * MW_TLS_RECORD)
#define NAME "mx.example.com"

enum setting {
	STREAM_CONNECTS = 1, /* it is the client */
	PEER_1_2 = 2,
	VERIFY = 4,
	STRANGER = 8, /* the certificate is of nobody we know */
	NO_PEER = 16, /* all is the input's */
	READ_FIRST = 32
};

struct mw_timer {
	void (*fire)(void *arg);
	void *arg;
	bool armed, dead;
};

struct queue {
	uint8_t *p;
	size_t n, cap;
};

static struct world {
	struct stream st;
	SSL *peer;
	BIO *peer_in, *peer_out;
	struct queue to_stream, to_peer; /* ciphertext on its way */
	struct mw_timer timer;
	uv_write_t *flying;
	uv_write_cb flew;
	size_t taken;	 /* octets that the kernel takes of a write; SIZE_MAX: all */
	unsigned within; /* what the owner does in its next callback */
	size_t owner_wrote, owner_got, peer_wrote, peer_got;
	bool kernel_reads, kernel_down, shut;
	bool secured, refused, ended, closed, harmed;
} w;
static struct mw_tls_ctx *server, *client, *believer;
static SSL_CTX *peer_server, *peer_client;
static X509 *stranger;
static EVP_PKEY *stranger_key;
static uint8_t pattern[OCTETS_MOST + 65536];
static uint64_t random_state;

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool promise)
{
	if (!promise)
		abort();
}

/* ------------------------------------------------------------------ the same each time */

static int random_bytes(unsigned char *p, int n)
{
	for (int i = 0; i < n; i++) {
		random_state = random_state * 6364136223846793005u + 1442695040888963407u;
		p[i] = (unsigned char)(random_state >> 56);
	}
	return 1;
}

static int random_status(void)
{
	return 1;
}

static const RAND_METHOD random_method = {
	.bytes = random_bytes, .pseudorand = random_bytes, .status = random_status
};

/* ------------------------------------------------------------------ the kernel */

static void queue_add(struct queue *q, const void *p, size_t n)
{
	if (n == 0)
		return;
	if (q->n + n > q->cap) {
		q->cap = 2 * (q->n + n);
		q->p = realloc(q->p, q->cap);
		require(q->p != NULL);
	}
	memcpy(q->p + q->n, p, n);
	q->n += n;
}

static void queue_drop(struct queue *q, size_t n)
{
	n = n > q->n ? q->n : n;
	if (n > 0)
		memmove(q->p, q->p + n, q->n - n);
	q->n -= n;
}

void stream_kernel_read(struct stream *st, bool wanted)
{
	require(st == &w.st && !w.closed);
	w.kernel_reads = wanted;
}

int stream_kernel_shutdown(struct stream *st)
{
	require(st == &w.st && !w.closed && w.flying == NULL);
	w.shut = true;
	return 0;
}

int uv_try_write(uv_stream_t *handle, const uv_buf_t bufs[], unsigned count)
{
	size_t n = bufs->len < w.taken ? bufs->len : w.taken;

	require(handle == &w.st.h.stream && count == 1 && bufs->len > 0 && w.flying == NULL);
	require(bufs->len <= FLYING_MOST);
	if (w.kernel_down || w.shut)
		return UV_EPIPE;
	queue_add(&w.to_peer, bufs->base, n);
	return n > 0 ? (int)n : UV_EAGAIN;
}

int uv_write(
	uv_write_t *req, uv_stream_t *handle, const uv_buf_t bufs[], unsigned count, uv_write_cb cb)
{
	require(handle == &w.st.h.stream && count == 1 && bufs->len > 0 && w.flying == NULL);
	require(bufs->len <= FLYING_MOST && !w.closed);
	if (w.kernel_down || w.shut)
		return UV_EPIPE;
	queue_add(&w.to_peer, bufs->base, bufs->len);
	w.flying = req;
	w.flew = cb;
	return 0;
}

static void land(int status)
{
	uv_write_t *req = w.flying;

	w.flying = NULL;
	if (req != NULL)
		w.flew(req, status);
}

struct mw_timer *mw_timer_new(struct mw_loop *loop, void (*fire)(void *arg), void *arg)
{
	(void)loop;
	require(w.timer.fire == NULL);
	w.timer = (struct mw_timer){ .fire = fire, .arg = arg };
	return &w.timer;
}

void mw_timer_start(struct mw_timer *t, uint64_t ms, uint64_t every_ms)
{
	require(t == &w.timer && !t->dead && ms == 0 && every_ms == 0);
	t->armed = true;
}

void mw_timer_destroy(struct mw_timer **t_p)
{
	if (*t_p != NULL)
		(*t_p)->dead = true;
	*t_p = NULL;
}

static void fire(void)
{
	if (w.timer.armed && !w.timer.dead) {
		w.timer.armed = false;
		w.timer.fire(w.timer.arg);
	}
}

/* ------------------------------------------------------------------ the owner */

static void owner_write(size_t n)
{
	uv_buf_t bufs[3];
	unsigned count = 0;

	if (!w.secured || w.refused || w.closed || w.shut || w.st.writing || n == 0 ||
		w.owner_wrote + n > OCTETS_MOST)
		return;
	for (size_t at = 0, part = n / 3 + 1; at < n; at += part)
		bufs[count++] = uv_buf_init((char *)pattern + w.owner_wrote + at,
			(unsigned)(n - at < part ? n - at : part));
	w.owner_wrote += n;
	if (stream_tls_write(&w.st, bufs, count) < 0)
		w.harmed = true;
}

static void owner_read(bool wanted)
{
	if (w.closed || wanted == w.st.reading)
		return;
	w.st.reading = wanted;
	stream_tls_read(&w.st);
}

/* As stream_close; closed() is the end of the input. */
static void owner_close(void)
{
	if (w.closed)
		return;
	w.st.closing = true;
	stream_tls_close(&w.st);
	w.closed = true;
}

static void owner_shutdown(void)
{
	if (!w.closed && w.secured && !w.refused && !w.shut && !w.st.writing) {
		w.harmed = true;
		if (stream_tls_shutdown(&w.st) < 0)
			owner_close();
	}
}

static void in_callback(void)
{
	unsigned what = w.within;

	w.within = 0;
	if (what % 8 == 1)
		owner_close();
	else if (what % 8 == 2)
		owner_read(false);
	else if (what % 8 == 3)
		owner_write(what * 100);
	else if (what % 8 == 4)
		owner_read(true);
}

static void on_octets(void *owner, const unsigned char *p, size_t n)
{
	require(owner == &w && w.secured && !w.refused && !w.ended && !w.closed && w.st.reading);
	require(n > 0 && w.owner_got + n <= w.peer_wrote);
	require(memcmp(p, pattern + w.owner_got, n) == 0);
	w.owner_got += n;
	in_callback();
}

static void on_ended(void *owner, int status)
{
	require(owner == &w && w.secured && !w.refused && !w.ended && !w.closed && status < 0);
	require(stream_strerror(&w.st, status) != NULL);
	w.ended = true;
	in_callback();
}

static void on_secured(void *owner, const char *failed)
{
	char text[MW_TLS_TEXT_MAX];

	require(owner == &w && !w.secured && !w.refused && !w.closed);
	w.secured = failed == NULL;
	w.refused = failed != NULL;
	require(failed == NULL || *failed != '\0');
	if (failed == NULL)
		require(w.peer != NULL && stream_tls_describe(&w.st, text) == text);
	in_callback();
}

static void on_written(void *owner, int status)
{
	require(owner == &w && w.secured && !w.closed && !w.st.writing && status <= 0);
	w.harmed |= status < 0;
	in_callback();
}

static const struct stream_ops owner_ops = {
	.octets = on_octets, .ended = on_ended, .secured = on_secured, .written = on_written
};

/* ------------------------------------------------------------------ the peer */

static void peer_flush(void)
{
	char buf[4096];
	int n;

	while ((n = BIO_read(w.peer_out, buf, sizeof(buf))) > 0)
		queue_add(&w.to_stream, buf, (size_t)n);
	ERR_clear_error();
}

/* It takes n octets of what the kernel has for it. */
static void peer_read(size_t n)
{
	uint8_t buf[4096];
	int got;

	n = n > w.to_peer.n ? w.to_peer.n : n;
	if (w.peer == NULL) {
		queue_drop(&w.to_peer, n);
		return;
	}
	if (n > 0)
		BIO_write(w.peer_in, w.to_peer.p, (int)n);
	queue_drop(&w.to_peer, n);
	while ((got = SSL_read(w.peer, buf, sizeof(buf))) > 0) {
		require(w.peer_got + (size_t)got <= w.owner_wrote);
		require(memcmp(buf, pattern + w.peer_got, (size_t)got) == 0);
		w.peer_got += (size_t)got;
	}
	peer_flush();
}

static void peer_write(size_t n)
{
	if (w.peer == NULL || !SSL_is_init_finished(w.peer) || n == 0 ||
		w.peer_wrote + n > OCTETS_MOST)
		return;
	if (SSL_write(w.peer, pattern + w.peer_wrote, (int)n) == (int)n)
		w.peer_wrote += n;
	peer_flush();
}

/* New keys, or TLS 1.2's handshake anew, which we do not do. */
static void peer_anew(unsigned how)
{
	if (w.peer == NULL || !SSL_is_init_finished(w.peer))
		return;
	if (SSL_version(w.peer) == TLS1_3_VERSION) {
		SSL_key_update(
			w.peer, how % 2 ? SSL_KEY_UPDATE_REQUESTED : SSL_KEY_UPDATE_NOT_REQUESTED);
	} else {
		SSL_renegotiate(w.peer);
		w.harmed = true;
	}
	SSL_do_handshake(w.peer);
	peer_flush();
}

static void peer_end(void)
{
	if (w.peer != NULL && SSL_is_init_finished(w.peer)) {
		SSL_shutdown(w.peer);
		peer_flush();
		w.harmed = true;
	}
}

static void stream_takes(const uint8_t *p, size_t n)
{
	uint8_t *copy = malloc(n);

	require(copy != NULL);
	memcpy(copy, p, n); /* gone after the call */
	stream_tls_octets(&w.st, copy, n);
	free(copy);
}

static void pass(size_t n)
{
	n = n > w.to_stream.n ? w.to_stream.n : n;
	n = n > 65536 ? 65536 : n;
	if (n == 0 || !w.kernel_reads || w.closed)
		return;
	stream_takes(w.to_stream.p, n);
	queue_drop(&w.to_stream, n);
}

/* As it goes when nobody does harm, until nothing moves. */
static void settle(void)
{
	for (int i = 0; i < 200; i++) {
		size_t before = w.to_stream.n + w.to_peer.n;
		bool armed = w.timer.armed, flies = w.flying != NULL;

		fire();
		land(0);
		peer_read(SIZE_MAX);
		pass(SIZE_MAX);
		if (!armed && !flies && before == 0 && w.to_stream.n + w.to_peer.n == 0)
			break;
	}
}

/* ------------------------------------------------------------------ what happens */

static void lose(int status)
{
	w.harmed = true;
	if (w.kernel_reads && !w.closed)
		stream_tls_ended(&w.st, status);
	w.kernel_reads = false;
}

static void happen(unsigned what, unsigned much)
{
	switch (what % 18) {
	case 0:
		pass(much + 1);
		break;
	case 1:
		if (w.to_stream.n > much)
			w.to_stream.p[much] ^= (uint8_t)(1u << (what / 18 % 8));
		w.harmed = true;
		break;
	case 2:
		queue_drop(&w.to_stream, much);
		w.harmed = true;
		break;
	case 3:
		peer_write(much * 64);
		break;
	case 4:
		peer_read(much + 1);
		break;
	case 5:
		peer_end();
		break;
	case 6:
		peer_anew(much);
		break;
	case 7:
		owner_write(much * 300);
		break;
	case 8:
		owner_read(much % 2 != 0);
		break;
	case 9:
		owner_shutdown();
		break;
	case 10:
		owner_close();
		break;
	case 11:
		w.taken = much == 255 ? SIZE_MAX : much;
		break;
	case 12:
		land(0);
		break;
	case 13:
		lose(much % 2 ? UV_EOF : UV_ECONNRESET);
		break;
	case 14:
		fire();
		break;
	case 15:
		w.within = much;
		break;
	case 16:
		if (much == 77) {
			w.kernel_down = w.harmed = true;
			land(UV_EPIPE);
		}
		break;
	default:
		settle();
		break;
	}
}

/* 17: octets of the input's own come next. */
static void run(const uint8_t *p, size_t n)
{
	for (size_t at = 0; at + 1 < n; at += 2) {
		size_t own = n - at - 2;

		if (p[at] < 240) {
			happen(p[at], p[at + 1]);
			continue;
		}
		own = own > p[at + 1] ? p[at + 1] : own;
		if (own > 0 && w.kernel_reads && !w.closed) {
			w.harmed = true;
			stream_takes(p + at + 2, own);
		}
		at += own;
	}
}

/* ------------------------------------------------------------------ begin and end */

static void peer_new(unsigned how)
{
	bool connects = (how & STREAM_CONNECTS) != 0;

	if ((how & NO_PEER) != 0)
		return;
	w.peer = SSL_new(connects ? peer_server : peer_client);
	w.peer_in = BIO_new(BIO_s_mem());
	w.peer_out = BIO_new(BIO_s_mem());
	require(w.peer != NULL && w.peer_in != NULL && w.peer_out != NULL);
	SSL_set_bio(w.peer, w.peer_in, w.peer_out);
	if ((how & PEER_1_2) != 0)
		SSL_set_max_proto_version(w.peer, TLS1_2_VERSION);
	if (connects && (how & STRANGER) != 0)
		SSL_use_cert_and_key(w.peer, stranger, stranger_key, NULL, 1);
	if (connects)
		SSL_set_accept_state(w.peer);
	else
		SSL_set_connect_state(w.peer);
	SSL_do_handshake(w.peer);
	peer_flush();
}

/* Nobody did harm: who is to be believed was, and all has arrived. */
static void look_at_end(unsigned how)
{
	bool stranger_there = (how & STREAM_CONNECTS) && (how & VERIFY) && (how & STRANGER);

	w.taken = SIZE_MAX;
	w.within = 0;
	owner_read(true);
	settle();
	require(!w.secured || !stranger_there);
	if (w.harmed || w.closed || w.peer == NULL)
		return;
	require(stranger_there ? w.refused : w.secured);
	if (w.secured)
		require(!w.st.writing && !w.ended && w.peer_got == w.owner_wrote &&
			w.owner_got == w.peer_wrote);
}

static void finish(void)
{
	owner_close();
	land(UV_ECANCELED); /* libuv's order: writes first, then the handle's own callback */
	require(w.timer.dead);
	stream_tls_free(&w.st);
	SSL_free(w.peer);
	free(w.to_stream.p);
	free(w.to_peer.p);
	ERR_clear_error();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct mw_tls_ctx *ctx = server;
	unsigned how;

	if (size < 1 || size > INPUT_MOST)
		return 0;
	how = data[0];
	random_state = 1;
	w = (struct world){ .taken = SIZE_MAX };
	w.st.ops = &owner_ops;
	w.st.owner = &w;
	w.st.reading = w.kernel_reads = (how & READ_FIRST) != 0;
	if ((how & STREAM_CONNECTS) != 0)
		ctx = (how & VERIFY) != 0 ? believer : client;
	peer_new(how);
	require(stream_start_tls(&w.st, ctx, ctx == server ? NULL : NAME, ctx == believer));
	run(data + 1, size - 1);
	look_at_end(how);
	finish();
	return 0;
}

/* ------------------------------------------------------------------ keys */

static void make_contexts(const char *ca_file, const char *file)
{
	struct mw_err err;

	require(mw_tls_server("c", file, "k", file, MW_TLS_1_2, &server, &err) == MW_OK);
	require(mw_tls_client("ca", NULL, MW_TLS_1_2, &client, &err) == MW_OK);
	require(mw_tls_client("ca", ca_file, MW_TLS_1_2, &believer, &err) == MW_OK);
	peer_server = SSL_CTX_new(TLS_server_method());
	peer_client = SSL_CTX_new(TLS_client_method());
	require(peer_server != NULL && peer_client != NULL);
	require(SSL_CTX_use_certificate_chain_file(peer_server, file) == 1);
	require(SSL_CTX_use_PrivateKey_file(peer_server, file, SSL_FILETYPE_PEM) == 1);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	char folder[] = "/tmp/mailweir-fuzz-XXXXXX", ca_file[64], file[64];
	struct made_cert ca, own, other;

	(void)argc;
	(void)argv;
	for (size_t i = 0; i < sizeof(pattern); i++)
		pattern[i] = (uint8_t)(i * 31 + i / 251);
	require(RAND_set_rand_method(&random_method) == 1 && mkdtemp(folder) != NULL);
	snprintf(ca_file, sizeof(ca_file), "%s/ca", folder);
	snprintf(file, sizeof(file), "%s/own", folder);
	ca = make_cert("Fuzz CA", NULL, NULL, -86400, 86400L * 365);
	own = make_cert(NAME, "DNS:" NAME, &ca, -86400, 86400L * 365);
	other = make_cert(NAME, "DNS:" NAME, NULL, -86400, 86400L * 365);
	write_pem(ca_file, ca.cert, NULL, NULL);
	write_pem(file, own.cert, NULL, own.key);
	make_contexts(ca_file, file);
	unlink(ca_file);
	unlink(file);
	rmdir(folder);
	free_cert(&ca);
	free_cert(&own);
	stranger = other.cert;
	stranger_key = other.key;
	return 0;
}
