/*
 * TLS of a stream over a Unix socket, against a peer in the same process: records cut octet by
 * octet, slow readers, an owner that does not read, ends and closes in every state.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <signal.h>
#include <unistd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <cmocka.h>
#include "../common/make_cert.h"
#include "front.h"
#include "stream.h"

#define NAME "mx.example.com"
#define DAY 86400L
#define MUCH 1500000 /* octets: more than a socket, and TURN_OCTETS, hold */
#define TURNS 4000000

/* main.c's */
void front_txn_over(struct front *f)
{
	(void)f;
}

static char folder[] = "/tmp/test_stream_tls.XXXXXX", path[64];
static struct mw_tls_ctx *server, *client, *believer;
static char sample[MUCH];

enum within { NOTHING, CLOSE, PAUSE, BEGIN_TLS };

/* The owner of a stream, and the peer at the other end of its socket. */
struct both {
	struct mw_loop *loop;
	struct stream *st;
	int fd; /* the peer's; -1: closed */
	struct mw_tls *peer;
	bool peer_open, peer_ended, holds; /* it sends nothing */
	char *out;			   /* of the peer's, not sent yet */
	size_t out_n, step;		   /* octets that it sends, and takes, in a turn */
	size_t peer_got;
	/* the owner's */
	bool serves;
	enum within in_octets, in_secured;
	unsigned connects, secured, written, ended, closed;
	bool failed;
	char why[160];
	int end_status, write_status;
	size_t got;
};

/* ------------------------------------------------------------------ the owner */

static void begin_tls(struct both *b)
{
	bool began = b->serves ? stream_start_tls(b->st, server, NULL, false)
			       : stream_start_tls(b->st, client, NAME, false);

	assert_true(began);
}

static void within(struct both *b, enum within what)
{
	if (what == CLOSE)
		stream_close(&b->st);
	else if (what == PAUSE)
		stream_read(b->st, false);
	else if (what == BEGIN_TLS)
		begin_tls(b);
}

static void on_connected(void *owner, int status)
{
	struct both *b = owner;

	assert_int_equal(status, 0);
	b->connects++;
}

static void on_octets(void *owner, const unsigned char *p, size_t n)
{
	struct both *b = owner;
	enum within what = b->in_octets;

	assert_int_equal(b->closed + (b->st == NULL) + b->ended, 0);
	assert_true(b->got + n <= MUCH);
	assert_memory_equal(p, sample + b->got, n);
	b->got += n;
	b->in_octets = NOTHING;
	within(b, what);
}

static void on_ended(void *owner, int status)
{
	struct both *b = owner;

	assert_non_null(b->st);
	assert_true(strlen(stream_strerror(b->st, status)) > 0);
	b->ended++;
	b->end_status = status;
}

static void on_secured(void *owner, const char *failed)
{
	struct both *b = owner;
	char text[MW_TLS_TEXT_MAX];

	assert_non_null(b->st);
	b->secured++;
	b->failed = failed != NULL;
	mw_strlcpy(b->why, failed != NULL ? failed : "", sizeof(b->why));
	if (failed == NULL)
		assert_non_null(strstr(stream_tls_describe(b->st, text), "with cipher"));
	within(b, b->in_secured);
}

static void on_written(void *owner, int status)
{
	struct both *b = owner;

	assert_non_null(b->st);
	assert_false(stream_is_writing(b->st));
	b->written++;
	b->write_status = status;
}

static void on_closed(void *owner)
{
	struct both *b = owner;

	assert_null(b->st);
	b->closed++;
}

static const struct stream_ops ops = { .connected = on_connected,
	.octets = on_octets,
	.ended = on_ended,
	.secured = on_secured,
	.written = on_written,
	.closed = on_closed };

/* ------------------------------------------------------------------ the peer */

static void peer_queue(struct both *b, const void *p, size_t n)
{
	b->out = realloc(b->out, b->out_n + n + 1);
	assert_non_null(b->out);
	memcpy(b->out + b->out_n, p, n);
	b->out_n += n;
}

static void peer_take_out(struct both *b)
{
	size_t n;
	char *p = mw_tls_take_out(b->peer, &n);

	if (p != NULL)
		peer_queue(b, p, n);
	free(p);
}

static void peer_read(struct both *b)
{
	static char plain[65536];
	struct mw_err err;
	int n = 0;

	if (!b->peer_open)
		b->peer_open = mw_tls_handshake(b->peer, &err) == 1;
	while (b->peer_open && (n = mw_tls_read(b->peer, plain, sizeof(plain), &err)) > 0) {
		assert_true(b->peer_got + (size_t)n <= MUCH);
		assert_memory_equal(plain, sample + b->peer_got, (size_t)n);
		b->peer_got += (size_t)n;
	}
	b->peer_ended |= n == MW_TLS_END;
}

/* One turn of both sides. */
static void turn(struct both *b)
{
	static char octets[65536];
	ssize_t n;

	uv_run(mw_loop_uv(b->loop), UV_RUN_NOWAIT);
	if (b->fd < 0)
		return;
	n = read(b->fd, octets, b->step < sizeof(octets) ? b->step : sizeof(octets));
	if (n > 0 && b->peer != NULL) {
		mw_tls_feed(b->peer, octets, (size_t)n);
		peer_read(b);
	}
	if (b->peer != NULL)
		peer_take_out(b);
	n = b->out_n > 0 && !b->holds
		    ? write(b->fd, b->out, b->out_n < b->step ? b->out_n : b->step)
		    : 0;
	if (n > 0) {
		memmove(b->out, b->out + n, b->out_n - (size_t)n);
		b->out_n -= (size_t)n;
	}
}

#define UNTIL(b, condition)                                                                        \
	do {                                                                                       \
		int turns_ = 0;                                                                    \
		while (!(condition)) {                                                             \
			turn(b);                                                                   \
			assert_true(++turns_ < TURNS);                                             \
		}                                                                                  \
	} while (0)

static void peer_write(struct both *b, const char *p, size_t n)
{
	for (size_t at = 0, part; at < n; at += part) {
		part = n - at < MW_TLS_RECORD ? n - at : MW_TLS_RECORD;
		assert_true(mw_tls_write(b->peer, p + at, part, NULL));
		peer_take_out(b);
	}
}

static void peer_close(struct both *b)
{
	close(b->fd);
	b->fd = -1;
}

/* ------------------------------------------------------------------ begin and end */

/* A stream that is connected, in plaintext still. serves: it will be the server of TLS. */
static struct both begin(bool serves)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	struct both b = { .serves = serves, .step = SIZE_MAX, .loop = mw_loop_new() };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	mw_strlcpy(un.sun_path, path, sizeof(un.sun_path));
	unlink(path);
	assert_int_equal(bind(fd, (struct sockaddr *)&un, sizeof(un)), 0);
	assert_int_equal(listen(fd, 1), 0);
	b.st = stream_new(b.loop, true, &ops, NULL);
	assert_non_null(b.st);
	assert_int_equal(stream_connect(b.st, (struct sockaddr *)&un), 0);
	b.fd = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	assert_true(b.fd >= 0);
	close(fd);
	return b;
}

/* b has its place: the stream may know it. */
static void connect_both(struct both *b)
{
	struct mw_err err;

	stream_give(b->st, &ops, b);
	UNTIL(b, b->connects == 1);
	stream_read(b->st, true);
	b->peer = b->serves ? mw_tls_new(client, NAME, false) : mw_tls_new(server, NULL, false);
	assert_non_null(b->peer);
	assert_int_equal(mw_tls_handshake(b->peer, &err), 0);
}

static void secure_both(struct both *b)
{
	begin_tls(b);
	UNTIL(b, b->secured == 1 && b->peer_open);
	assert_false(b->failed);
}

static void end(struct both *b)
{
	unsigned told = b->secured + b->written + b->ended;
	size_t got = b->got;

	stream_close(&b->st);
	UNTIL(b, b->closed == 1);
	for (int i = 0; i < 5; i++)
		turn(b);
	assert_int_equal(b->closed, 1);
	assert_int_equal(b->secured + b->written + b->ended, told);
	assert_int_equal(b->got, got);
	if (b->fd >= 0)
		close(b->fd);
	mw_tls_destroy(&b->peer);
	free(b->out);
	mw_loop_destroy(&b->loop);
	assert_null(b->loop);
}

/* ------------------------------------------------------------------ the handshake, octets */

static void all_arrives_whatever_the_cuts(void **state)
{
	static const size_t steps[] = { 1, 2, 7, 1000, SIZE_MAX };

	(void)state;
	for (size_t i = 0; i < 2 * MW_COUNT(steps); i++) {
		struct both b = begin(i % 2 == 0);
		uv_buf_t bufs[2] = { uv_buf_init(sample, 700), uv_buf_init(sample + 700, 300) };
		int left;

		b.step = steps[i / 2];
		connect_both(&b);
		secure_both(&b);
		peer_write(&b, sample, 1000);
		left = stream_write(b.st, bufs, 2);
		assert_true(left == 0 || left == 1);
		UNTIL(&b, b.got == 1000 && b.peer_got == 1000 && b.written == (unsigned)left);
		assert_int_equal(b.ended, 0);
		end(&b);
	}
}

static void tls_begins_in_the_callback_of_the_octets_before_it(void **state)
{
	(void)state;
	for (int serves = 0; serves < 2; serves++) {
		struct both b = begin(serves != 0);

		connect_both(&b);
		b.in_octets = BEGIN_TLS;
		b.step = 1; /* nothing of the handshake comes with it */
		assert_int_equal(write(b.fd, sample, 10), 10);
		UNTIL(&b, b.secured == 1 && b.peer_open);
		assert_false(b.failed);
		b.step = SIZE_MAX;
		peer_write(&b, sample + 10, 90);
		UNTIL(&b, b.got == 100);
		end(&b);
	}
}

static void a_write_to_a_slow_reader_ends_once_and_arrives_whole(void **state)
{
	struct both b = begin(true);
	uv_buf_t buf = uv_buf_init(sample, MUCH);

	(void)state;
	connect_both(&b);
	secure_both(&b);
	b.step = 5000;
	assert_int_equal(stream_write(b.st, &buf, 1), 1);
	assert_true(stream_is_writing(b.st));
	UNTIL(&b, b.written == 1);
	assert_int_equal(b.write_status, 0);
	UNTIL(&b, b.peer_got == MUCH);
	assert_int_equal(b.written, 1);
	end(&b);
}

static void an_owner_that_does_not_read_is_given_nothing_until_it_does(void **state)
{
	struct both b = begin(true);
	size_t paused;

	(void)state;
	connect_both(&b);
	secure_both(&b);
	b.in_octets = PAUSE;
	peer_write(&b, sample, MUCH);
	UNTIL(&b, b.got > 0);
	paused = b.got;
	for (int i = 0; i < 100; i++)
		turn(&b);
	assert_int_equal(b.got, paused);
	assert_true(b.out_n > 0); /* nor is it taken from the peer without end */
	stream_read(b.st, true);
	UNTIL(&b, b.got == MUCH);
	end(&b);
}

/* They came in one read; the read buffer is another stream's by the time they are wanted. */
static void octets_behind_the_handshake_wait_until_they_are_wanted(void **state)
{
	struct both b = begin(true), other;

	(void)state;
	connect_both(&b);
	begin_tls(&b);
	b.in_secured = PAUSE;
	peer_take_out(&b);
	UNTIL(&b, b.out_n == 0);
	b.holds = true;
	UNTIL(&b, b.peer_open);
	peer_write(&b, sample, 30000);
	b.holds = false;
	UNTIL(&b, b.secured == 1);
	other = begin(true);
	connect_both(&other);
	assert_int_equal(write(other.fd, sample, 60000), 60000);
	UNTIL(&other, other.got == 60000);
	end(&other);
	for (int i = 0; i < 20; i++)
		turn(&b);
	assert_int_equal(b.got, 0);
	stream_read(b.st, true);
	assert_int_equal(b.got, 0); /* from the loop */
	UNTIL(&b, b.got == 30000);
	assert_int_equal(b.ended, 0);
	end(&b);
}

/* ------------------------------------------------------------------ ends */

static void a_peer_without_tls_is_told_as_a_failed_handshake(void **state)
{
	(void)state;
	for (int serves = 0; serves < 2; serves++) {
		struct both b = begin(serves != 0);

		connect_both(&b);
		mw_tls_destroy(&b.peer);
		assert_int_equal(write(b.fd, "MAIL FROM:<>\r\n", 14), 14);
		begin_tls(&b);
		UNTIL(&b, b.secured == 1);
		assert_true(b.failed);
		assert_true(strlen(b.why) > 0);
		assert_int_equal(b.got, 0); /* what came in plaintext is nobody's */
		end(&b);
	}
}

static void a_peer_that_goes_in_the_handshake_is_told(void **state)
{
	struct both b = begin(true);

	(void)state;
	connect_both(&b);
	begin_tls(&b);
	b.step = 20;
	turn(&b);
	peer_close(&b);
	UNTIL(&b, b.secured == 1);
	assert_true(b.failed);
	assert_int_equal(b.ended, 0);
	end(&b);
}

static void who_is_not_believed_fails_the_handshake(void **state)
{
	struct both b = begin(false);

	(void)state;
	connect_both(&b);
	assert_true(stream_start_tls(b.st, client, NAME, true)); /* it believes nobody */
	UNTIL(&b, b.secured == 1);
	assert_true(b.failed);
	assert_non_null(strstr(b.why, "certificate"));
	end(&b);
	b = begin(false);
	connect_both(&b);
	assert_true(stream_start_tls(b.st, believer, NAME, true));
	UNTIL(&b, b.secured == 1);
	assert_false(b.failed);
	end(&b);
}

static void the_peers_end_comes_behind_its_octets_with_close_notify_or_without(void **state)
{
	(void)state;
	for (int polite = 0; polite < 2; polite++) {
		struct both b = begin(true);

		connect_both(&b);
		secure_both(&b);
		peer_write(&b, sample, 20000);
		if (polite != 0) {
			mw_tls_end(b.peer);
			peer_take_out(&b);
		}
		UNTIL(&b, b.out_n == 0);
		peer_close(&b);
		UNTIL(&b, b.ended == 1);
		assert_int_equal(b.end_status, UV_EOF);
		assert_int_equal(b.got, 20000);
		end(&b);
	}
}

static void a_broken_record_ends_it_and_nothing_can_be_written(void **state)
{
	struct both b = begin(true);
	uv_buf_t buf = uv_buf_init(sample, 10);

	(void)state;
	connect_both(&b);
	secure_both(&b);
	peer_write(&b, sample, 100);
	peer_queue(&b, "MAIL FROM:<>\r\n", 14);
	UNTIL(&b, b.ended == 1);
	assert_int_equal(b.got, 100);
	assert_int_equal(b.end_status, UV_EPROTO);
	assert_string_not_equal(
		stream_strerror(b.st, UV_EPROTO), uv_strerror(UV_EPROTO)); /* TLS's own */
	assert_int_equal(stream_write(b.st, &buf, 1), UV_EPROTO);
	end(&b);
}

static void shutdown_and_close_say_close_notify(void **state)
{
	(void)state;
	for (int by_close = 0; by_close < 2; by_close++) {
		struct both b = begin(true);

		connect_both(&b);
		secure_both(&b);
		if (by_close != 0)
			stream_close(&b.st);
		else
			assert_int_equal(stream_shutdown(b.st), 0);
		UNTIL(&b, b.peer_ended);
		end(&b);
	}
}

/* ------------------------------------------------------------------ closed at any time */

static void nothing_is_told_after_close_whenever_it_comes(void **state)
{
	enum when { AT_ONCE, SHAKING, IN_SECURED, IN_OCTETS, WRITING, PAUSED, WHEN_COUNT };

	(void)state;
	for (int when = AT_ONCE; when < WHEN_COUNT; when++) {
		struct both b = begin(true);
		uv_buf_t buf = uv_buf_init(sample, MUCH);

		connect_both(&b);
		begin_tls(&b);
		b.in_secured = when == IN_SECURED ? CLOSE : NOTHING;
		b.in_octets = when == IN_OCTETS ? CLOSE : PAUSE;
		b.step = when == SHAKING ? 30 : SIZE_MAX;
		if (when >= SHAKING)
			turn(&b);
		if (when == IN_SECURED)
			UNTIL(&b, b.st == NULL);
		if (when >= IN_OCTETS) {
			UNTIL(&b, b.secured == 1 && b.peer_open);
			peer_write(&b, sample, 100000);
			UNTIL(&b, b.got > 0);
		}
		if (when == WRITING) {
			assert_int_equal(stream_write(b.st, &buf, 1), 1);
			b.step = 0; /* and it stays so */
		}
		if (when == PAUSED)
			stream_read(b.st, true); /* what is left comes from the loop: or not */
		assert_int_equal(b.st == NULL, when == IN_SECURED || when == IN_OCTETS);
		end(&b);
	}
}

/* ------------------------------------------------------------------ keys */

static int make_keys(void **state)
{
	struct made_cert ca, own;
	struct mw_err err = { "" };
	char ca_file[64], file[64];

	(void)state;
	signal(SIGPIPE, SIG_IGN); /* as the service does */
	if (mkdtemp(folder) == NULL)
		return -1;
	for (size_t i = 0; i < sizeof(sample); i++)
		sample[i] = (char)(i * 31 + i / 251);
	snprintf(path, sizeof(path), "%s/s", folder);
	snprintf(ca_file, sizeof(ca_file), "%s/ca", folder);
	snprintf(file, sizeof(file), "%s/own", folder);
	ca = make_cert("Test CA", NULL, NULL, -DAY, DAY);
	own = make_cert(NAME, "DNS:" NAME, &ca, -DAY, DAY);
	write_pem(ca_file, ca.cert, NULL, NULL);
	write_pem(file, own.cert, NULL, own.key);
	free_cert(&ca);
	free_cert(&own);
	return mw_tls_server("cert", file, "key", file, MW_TLS_1_2, &server, &err) +
	       mw_tls_client("ca", NULL, MW_TLS_1_2, &client, &err) +
	       mw_tls_client("ca", ca_file, MW_TLS_1_2, &believer, &err);
}

static int remove_keys(void **state)
{
	char command[64];

	(void)state;
	mw_tls_ctx_unref(&server);
	mw_tls_ctx_unref(&client);
	mw_tls_ctx_unref(&believer);
	snprintf(command, sizeof(command), "rm -rf %s", folder);
	return system(command);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_arrives_whatever_the_cuts),
		cmocka_unit_test(tls_begins_in_the_callback_of_the_octets_before_it),
		cmocka_unit_test(a_write_to_a_slow_reader_ends_once_and_arrives_whole),
		cmocka_unit_test(an_owner_that_does_not_read_is_given_nothing_until_it_does),
		cmocka_unit_test(octets_behind_the_handshake_wait_until_they_are_wanted),
		cmocka_unit_test(a_peer_without_tls_is_told_as_a_failed_handshake),
		cmocka_unit_test(a_peer_that_goes_in_the_handshake_is_told),
		cmocka_unit_test(who_is_not_believed_fails_the_handshake),
		cmocka_unit_test(
			the_peers_end_comes_behind_its_octets_with_close_notify_or_without),
		cmocka_unit_test(a_broken_record_ends_it_and_nothing_can_be_written),
		cmocka_unit_test(shutdown_and_close_say_close_notify),
		cmocka_unit_test(nothing_is_told_after_close_whenever_it_comes),
	};

	return cmocka_run_group_tests(tests, make_keys, remove_keys);
}
