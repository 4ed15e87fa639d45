/* Connections to next hops over loopback: addresses that refuse, that never answer, that come too
 * late, and an asker who has gone. The resolver is the test's; so is the network behind
 * 127.0.1.0/24, which swallows whatever is sent there. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <dlfcn.h>
#include <sys/un.h>
#include <cmocka.h>
#include "delivery/connect.h"
#include "front.h"

#define STAGGER_MS 250 /* connect.c's */
#define TRIES_MAX 64

/* main.c's */
void front_txn_over(struct front *f)
{
	(void)f;
}

/* ------------------------------------------------------------------ resolver and network */

static uv_getaddrinfo_t *asked;
static uv_getaddrinfo_cb asked_done;
static char tries[TRIES_MAX][MW_IP_TEXT_MAX]; /* addresses, in the order they were tried */
static size_t try_count;
static bool no_route; /* each try ends at once */

int uv_getaddrinfo(uv_loop_t *loop, uv_getaddrinfo_t *req, uv_getaddrinfo_cb done, const char *node,
	const char *service, const struct addrinfo *hints)
{
	(void)loop;
	(void)node;
	(void)service;
	(void)hints;
	assert_null(asked);
	asked = req;
	asked_done = done;
	return 0;
}

void uv_freeaddrinfo(struct addrinfo *list)
{
	free(list);
}

int uv_tcp_connect(uv_connect_t *req, uv_tcp_t *tcp, const struct sockaddr *to, uv_connect_cb done)
{
	static int (*real)(uv_connect_t *, uv_tcp_t *, const struct sockaddr *, uv_connect_cb);
	char *text = tries[try_count++];

	assert_true(try_count <= TRIES_MAX);
	if (real == NULL)
		*(void **)&real = dlsym(RTLD_NEXT, "uv_tcp_connect");
	if (to->sa_family == AF_INET)
		uv_ip4_name((const struct sockaddr_in *)to, text, MW_IP_TEXT_MAX);
	else
		uv_ip6_name((const struct sockaddr_in6 *)to, text, MW_IP_TEXT_MAX);
	if (no_route)
		return UV_ENETUNREACH;
	if (strncmp(text, "127.0.1.", 8) == 0)
		return 0; /* swallowed */
	return real(req, tcp, to, done);
}

struct list {
	struct addrinfo info;
	struct sockaddr_storage to;
};

static void resolve(const char *const *addresses, size_t count)
{
	struct list *list = calloc(count, sizeof(*list));
	uv_getaddrinfo_t *req = asked;

	for (size_t i = 0; i < count; i++) {
		struct list *l = &list[i];
		bool six = strchr(addresses[i], ':') != NULL;

		if (six)
			uv_ip6_addr(addresses[i], 0, (struct sockaddr_in6 *)&l->to);
		else
			uv_ip4_addr(addresses[i], 0, (struct sockaddr_in *)&l->to);
		l->info.ai_addr = (struct sockaddr *)&l->to;
		l->info.ai_addrlen = six ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
		l->info.ai_next = i + 1 < count ? &list[i + 1].info : NULL;
	}
	asked = NULL;
	asked_done(req, count > 0 ? 0 : UV_EAI_NONAME, count > 0 ? &list->info : NULL);
	if (count == 0)
		free(list);
}

/* ------------------------------------------------------------------ the one who asks */

static struct mw_loop *loop;
static struct names *names;

struct asker {
	struct connector *connector;
	struct stream *stream;
	unsigned answers, closed;
	int status;
	enum connector_step step;
};

static void stream_is_closed(void *owner)
{
	struct asker *k = owner;

	k->closed++;
}

static const struct stream_ops stream_ops = { .closed = stream_is_closed };

static void answered(void *arg, struct stream *st, int status, enum connector_step step)
{
	struct asker *k = arg;

	assert_int_equal(st == NULL, status != 0);
	k->connector = NULL;
	k->answers++;
	k->status = status;
	k->step = step;
	k->stream = st;
	if (st != NULL)
		stream_give(st, &stream_ops, k);
}

static void ask(struct asker *k, const char *method)
{
	struct next_hop hop;

	assert_int_equal(next_hop_parse("forward_method", method, &hop, NULL), MW_OK);
	k->connector = connector_start(loop, names, &hop, answered, k);
	assert_non_null(k->connector);
	assert_int_equal(k->answers, 0); /* never from inside */
}

static void turn(void)
{
	for (int i = 0; i < 3; i++)
		uv_run(mw_loop_uv(loop), UV_RUN_NOWAIT);
}

static void wait_for_answer(struct asker *k)
{
	while (k->answers == 0)
		if (uv_run(mw_loop_uv(loop), UV_RUN_ONCE) == 0)
			break; /* nothing is left that could answer */
	assert_int_equal(k->answers, 1);
}

static void begin(void)
{
	loop = mw_loop_new();
	names = names_new(loop);
	asked = NULL;
	try_count = 0;
	no_route = false;
}

/* Nothing is left that could call anybody. */
static void end(struct asker *k)
{
	unsigned answers = k->answers;

	stream_close(&k->stream);
	turn();
	assert_int_equal(k->answers, answers);
	assert_int_equal(k->closed, k->status == 0 && answers == 1);
	names_destroy(&names);
	if (asked != NULL)
		resolve(NULL, 0);
	mw_loop_destroy(&loop);
	assert_null(loop);
}

/* A listening socket at 127.0.0.2; its port. */
static int listen_tcp(int *fd_r)
{
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(0x7f000002) };
	socklen_t n = sizeof(in);

	*fd_r = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(*fd_r, (struct sockaddr *)&in, sizeof(in)), 0);
	assert_int_equal(listen(*fd_r, 8), 0);
	assert_int_equal(getsockname(*fd_r, (struct sockaddr *)&in, &n), 0);
	return ntohs(in.sin_port);
}

static void ask_port(struct asker *k, const char *host, int port)
{
	char method[64];

	snprintf(method, sizeof(method), "smtp:%s:%d", host, port);
	ask(k, method);
	turn();
}

/* ------------------------------------------------------------------ tests */

static void the_second_address_serves_when_the_first_refuses(void **state)
{
	static const char *const to[] = { "127.0.0.3", "127.0.0.2" };
	struct asker k = { 0 };
	int fd, port;

	(void)state;
	begin();
	port = listen_tcp(&fd);
	ask_port(&k, "mx.example", port);
	resolve(to, 2);
	wait_for_answer(&k);
	assert_int_equal(k.status, 0);
	assert_int_equal(try_count, 2);
	end(&k);
	close(fd);
}

static void the_second_address_is_tried_after_the_stagger_when_the_first_hangs(void **state)
{
	static const char *const to[] = { "127.0.1.1", "127.0.0.2", "127.0.1.2" };
	struct asker k = { 0 };
	uint64_t began;
	int fd, port;

	(void)state;
	begin();
	port = listen_tcp(&fd);
	ask_port(&k, "mx.example", port);
	uv_update_time(mw_loop_uv(loop));
	began = mw_loop_now_ms(loop);
	resolve(to, 3);
	turn();
	assert_int_equal(try_count, 1);
	wait_for_answer(&k);
	assert_int_equal(k.status, 0);
	assert_true(mw_loop_now_ms(loop) - began >= STAGGER_MS);
	assert_string_equal(tries[1], "127.0.0.2");
	end(&k); /* the first one's attempt is closed with it */
	close(fd);
}

static void all_that_hang_are_tried_and_waited_for(void **state)
{
	static const char *const to[] = { "127.0.1.1", "127.0.1.2", "127.0.1.3" };
	struct asker k = { 0 };

	(void)state;
	begin();
	ask_port(&k, "mx.example", 25);
	resolve(to, 3);
	while (try_count < 3)
		uv_run(mw_loop_uv(loop), UV_RUN_ONCE);
	uv_run(mw_loop_uv(loop), UV_RUN_ONCE); /* the stagger behind the last one */
	assert_int_equal(k.answers, 0);
	connector_cancel(&k.connector); /* whose patience it is */
	assert_null(k.connector);
	k.status = -1;
	end(&k);
}

static void the_last_ones_failure_is_told_when_all_fail(void **state)
{
	static const char *const to[] = { "127.0.0.3", "127.0.0.4" };
	struct asker k = { 0 };
	int fd, port;

	(void)state;
	begin();
	port = listen_tcp(&fd);
	close(fd); /* nobody is there, by now */
	ask_port(&k, "mx.example", port);
	resolve(to, 2);
	wait_for_answer(&k);
	assert_int_equal(k.status, UV_ECONNREFUSED);
	assert_int_equal(k.step, CONNECTOR_CONNECT);
	assert_int_equal(try_count, 2);
	end(&k);
}

static void addresses_without_a_route_are_passed_over_families_in_turn(void **state)
{
	static const char *const to[] = { "2001:db8::1", "2001:db8::2", "192.0.2.1", "2001:db8::3",
		"192.0.2.2" };
	static const char *const order[] = { "2001:db8::1", "192.0.2.1", "2001:db8::2", "192.0.2.2",
		"2001:db8::3" };
	struct asker k = { 0 };

	(void)state;
	begin();
	no_route = true;
	ask_port(&k, "mx.example", 25);
	resolve(to, MW_COUNT(to));
	wait_for_answer(&k);
	assert_int_equal(k.status, UV_ENETUNREACH);
	assert_int_equal(try_count, MW_COUNT(order));
	for (size_t i = 0; i < MW_COUNT(order); i++)
		assert_string_equal(tries[i], order[i]);
	end(&k);
}

static void a_name_that_is_not_found_is_told_as_one(void **state)
{
	struct asker k = { 0 };

	(void)state;
	begin();
	ask_port(&k, "mx.example", 25);
	resolve(NULL, 0);
	wait_for_answer(&k);
	assert_int_equal(k.status, UV_EAI_NONAME);
	assert_int_equal(k.step, CONNECTOR_LOOKUP);
	assert_int_equal(try_count, 0);
	end(&k);
}

static void a_literal_is_not_looked_up_and_its_failure_told_from_the_loop(void **state)
{
	static const char *const literals[] = { "[192.0.2.1]", "[2001:db8::1]" };

	(void)state;
	for (size_t i = 0; i < MW_COUNT(literals); i++) {
		struct asker k = { 0 };

		begin();
		no_route = true;
		ask_port(&k, literals[i], 25);
		wait_for_answer(&k);
		assert_null(asked);
		assert_int_equal(k.status, UV_ENETUNREACH);
		assert_int_equal(k.step, CONNECTOR_CONNECT);
		end(&k);
	}
}

static void a_unix_socket_is_connected_to_by_its_path(void **state)
{
	char folder[] = "/tmp/test_connect.XXXXXX", method[128];
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	struct asker k = { 0 }, none = { 0 };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void)state;
	assert_non_null(mkdtemp(folder));
	snprintf(un.sun_path, sizeof(un.sun_path), "%s/hop", folder);
	snprintf(method, sizeof(method), "lmtp:%s", un.sun_path);
	begin();
	ask(&none, method);
	wait_for_answer(&none);
	assert_int_equal(none.status, UV_ENOENT);
	assert_int_equal(bind(fd, (struct sockaddr *)&un, sizeof(un)), 0);
	assert_int_equal(listen(fd, 1), 0);
	ask(&k, method);
	wait_for_answer(&k);
	assert_int_equal(k.status, 0);
	assert_int_equal(try_count, 0);
	end(&k);
	close(fd);
	unlink(un.sun_path);
	rmdir(folder);
}

/* ------------------------------------------------------------------ cancelled */

enum when { ASKED, LOOKING_UP, RESOLVED, FIRST_HANGS, FIRST_FAILED, TWO_HANG, WHEN_COUNT };

static void nobody_is_told_after_cancel_whenever_it_comes(void **state)
{
	static const char *const hang[] = { "127.0.1.1", "127.0.1.2" };
	static const char *const refuse[] = { "127.0.0.3", "127.0.1.2" };

	(void)state;
	for (int when = ASKED; when < WHEN_COUNT; when++) {
		struct asker k = { .status = -1 };
		char method[64];
		int fd, port;

		begin();
		port = listen_tcp(&fd);
		close(fd);
		snprintf(method, sizeof(method), "smtp:mx.example:%d", port);
		ask(&k, method);
		if (when >= LOOKING_UP)
			turn();
		assert_int_equal(asked != NULL, when >= LOOKING_UP);
		if (when >= RESOLVED)
			resolve(when == FIRST_FAILED ? refuse : hang, 2);
		if (when >= FIRST_HANGS)
			turn();
		while ((when == FIRST_FAILED || when == TWO_HANG) && try_count < 2)
			uv_run(mw_loop_uv(loop), UV_RUN_ONCE);
		connector_cancel(&k.connector);
		assert_null(k.connector);
		connector_cancel(&k.connector); /* nothing to cancel */
		end(&k);
	}
}

static void cancel_of_a_connection_that_stands_but_was_not_told_closes_it(void **state)
{
	struct asker k = { .status = -1 };
	char octet, method[64];
	int fd, there;

	(void)state;
	begin();
	snprintf(method, sizeof(method), "smtp:[127.0.0.2]:%d", listen_tcp(&fd));
	ask(&k, method);
	there = accept(fd, NULL, NULL); /* it waits until the connection stands */
	assert_true(there >= 0);
	connector_cancel(&k.connector);
	turn();
	assert_true(read(there, &octet, 1) <= 0); /* closed, or reset */
	close(there);
	close(fd);
	end(&k);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_second_address_serves_when_the_first_refuses),
		cmocka_unit_test(
			the_second_address_is_tried_after_the_stagger_when_the_first_hangs),
		cmocka_unit_test(all_that_hang_are_tried_and_waited_for),
		cmocka_unit_test(the_last_ones_failure_is_told_when_all_fail),
		cmocka_unit_test(addresses_without_a_route_are_passed_over_families_in_turn),
		cmocka_unit_test(a_name_that_is_not_found_is_told_as_one),
		cmocka_unit_test(a_literal_is_not_looked_up_and_its_failure_told_from_the_loop),
		cmocka_unit_test(a_unix_socket_is_connected_to_by_its_path),
		cmocka_unit_test(nobody_is_told_after_cancel_whenever_it_comes),
		cmocka_unit_test(cancel_of_a_connection_that_stands_but_was_not_told_closes_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
