/* The HTTP server in the loop; a client in a thread of its own talks to it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>
#include "http.h"

static struct mw_loop *loop;
static struct mw_http *http;
static int done = -1; /* eventfd: the client has finished */

static unsigned get_hello(void *arg, const char *path, struct mw_text *body, const char **type_r)
{
	(void)path;
	*type_r = "text/html; charset=utf-8";
	mw_text_addf(body, "hello %s", (const char *)arg);
	return 200;
}

static unsigned get_sick(void *arg, const char *path, struct mw_text *body, const char **type_r)
{
	(void)arg;
	(void)path;
	(void)type_r;
	mw_text_add(body, "sick");
	return 503;
}

static unsigned get_big(void *arg, const char *path, struct mw_text *body, const char **type_r)
{
	(void)arg;
	(void)path;
	(void)type_r;
	for (int i = 0; i < 100000; i++)
		mw_text_add(body, "0123456789");
	return 200;
}

static unsigned get_empty(void *arg, const char *path, struct mw_text *body, const char **type_r)
{
	(void)arg;
	(void)path;
	(void)body;
	(void)type_r;
	return 200;
}

static const struct mw_http_route routes[] = {
	{ "/hello", get_hello },
	{ "/sick", get_sick },
	{ "/big", get_big },
	{ "/empty", get_empty },
	{ NULL, NULL },
};

struct talk {
	const char *request;
	size_t slice; /* octets a write; 0: all at once */
	char *answer; /* to be freed */
	size_t answer_n;
	bool refused;
};

static int connect_to(unsigned port)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons((in_port_t)port) };
	struct timeval patience = { .tv_sec = 20 };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	if (connect(fd, (struct sockaddr *)&a, sizeof(a)) == 0)
		return fd;
	close(fd);
	return -1;
}

static void *client(void *arg)
{
	struct talk *t = arg;
	size_t n = strlen(t->request), cap = 2000000;
	uint64_t one = 1;
	int fd = connect_to(mw_http_port(http));
	ssize_t got;

	t->refused = fd < 0;
	for (size_t at = 0; fd >= 0 && at < n;) {
		size_t slice = t->slice == 0 || t->slice > n - at ? n - at : t->slice;
		ssize_t sent = send(fd, t->request + at, slice, MSG_NOSIGNAL);

		if (sent <= 0)
			break;
		at += (size_t)sent;
	}
	t->answer = calloc(1, cap);
	while (fd >= 0 && (got = recv(fd, t->answer + t->answer_n, cap - 1 - t->answer_n, 0)) > 0)
		t->answer_n += (size_t)got;
	if (fd >= 0)
		close(fd);
	if (write(done, &one, sizeof(one)) < 0)
		abort();
	return NULL;
}

static void stop(void *arg, int events)
{
	uint64_t n;

	(void)arg;
	(void)events;
	if (read(done, &n, sizeof(n)) > 0)
		mw_loop_stop(loop);
}

static void talk(struct talk *t)
{
	pthread_t thread;

	assert_int_equal(pthread_create(&thread, NULL, client, t), 0);
	mw_loop_run(loop);
	pthread_join(thread, NULL);
}

static struct talk ask(const char *request)
{
	struct talk t = { .request = request };

	talk(&t);
	return t;
}

static void answered(const char *request, const char *status, const char *word)
{
	struct talk t = ask(request);

	if (strncmp(t.answer, status, strlen(status)) != 0 || strstr(t.answer, word) == NULL)
		fail_msg("expected %s and %s, not: %.300s", status, word, t.answer);
	free(t.answer);
}

/* ------------------------------------------------------------------ tests */

static struct mw_fd *done_watch;

static int open_server(void **state)
{
	struct mw_err err = { "" };

	(void)state;
	loop = mw_loop_new();
	done = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	done_watch = mw_fd_new(loop, done, stop, NULL);
	mw_fd_watch(done_watch, MW_READABLE);
	return mw_http_open(&http, loop, "127.0.0.1:0", routes, (void *)(uintptr_t) "you", &err) !=
	       MW_OK;
}

static int close_server(void **state)
{
	(void)state;
	mw_http_close(&http);
	mw_fd_destroy(&done_watch);
	mw_loop_destroy(&loop);
	close(done);
	return 0;
}

static void a_page_is_answered_with_its_status_and_type(void **state)
{
	(void)state;
	answered("GET /hello HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", "HTTP/1.1 200 ",
		"\r\n\r\nhello you");
	answered("GET /hello?a=b HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", "HTTP/1.1 200 ",
		"Content-Type: text/html; charset=utf-8\r\n");
	answered("GET /sick HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", "HTTP/1.1 503 ",
		"\r\n\r\nsick");
	answered("GET /empty HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", "HTTP/1.1 200 ",
		"Content-Length: 0");
}

static void a_page_that_is_none_is_404(void **state)
{
	(void)state;
	answered("GET /hello/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", "HTTP/1.1 404 ",
		"no such page");
	answered("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", "HTTP/1.1 404 ",
		"no such page");
}

static void only_get_and_head_are_answered(void **state)
{
	struct talk t;

	(void)state;
	answered("POST /hello HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: "
		 "2\r\n\r\nab",
		"HTTP/1.1 405 ", "Allow: GET, HEAD");
	answered("DELETE /hello HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", "HTTP/1.1 405 ",
		"only GET and HEAD");
	t = ask("HEAD /hello HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
	assert_memory_equal(t.answer, "HTTP/1.1 200 ", 13);
	assert_null(strstr(t.answer, "hello you"));
	free(t.answer);
}

static void a_request_may_come_octet_by_octet(void **state)
{
	struct talk t = { .request = "GET /hello HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
		.slice = 1 };

	(void)state;
	talk(&t);
	assert_non_null(strstr(t.answer, "hello you"));
	free(t.answer);
}

static void a_long_body_arrives_whole(void **state)
{
	struct talk t = ask("GET /big HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
	const char *body = strstr(t.answer, "\r\n\r\n");

	(void)state;
	assert_non_null(body);
	assert_int_equal(strlen(body + 4), 1000000);
	free(t.answer);
}

static void header_octets_beyond_the_memory_limit_are_refused(void **state)
{
	struct mw_text request = { 0 };
	struct talk t;

	(void)state;
	mw_text_add(&request, "GET /hello HTTP/1.1\r\nHost: x\r\nX: ");
	for (int i = 0; i < 20000; i++)
		mw_text_add(&request, "y");
	mw_text_add(&request, "\r\n\r\n");
	t = ask(request.p);
	assert_null(strstr(t.answer, "hello you"));
	free(t.answer);
	mw_text_fini(&request);
}

static void nonsense_is_refused_and_the_server_lives(void **state)
{
	struct talk t = ask("\x16\x03\x01\x02\r\n\r\n\r\n");

	(void)state;
	assert_null(strstr(t.answer, "200"));
	free(t.answer);
	answered("GET /hello HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", "HTTP/1.1 200 ",
		"hello you");
}

static void connections_of_one_address_are_bounded(void **state)
{
	int fds[17];

	(void)state;
	for (size_t i = 0; i < MW_COUNT(fds); i++)
		assert_true((fds[i] = connect_to(mw_http_port(http))) >= 0);
	answered("GET /hello HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", "",
		""); /* cut off, not waited for */
	for (size_t i = 0; i < MW_COUNT(fds); i++)
		close(fds[i]);
	answered("GET /hello HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", "", "");
	answered("GET /hello HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", "HTTP/1.1 200 ",
		"hello you");
}

static void an_address_must_be_numeric_and_free(void **state)
{
	static const char *const wrong[] = { "", ":", "9100", "localhost:1", "127.0.0.1",
		"127.0.0.1:", "127.0.0.1:65536", "127.0.0.1:-1", "127.0.0.1:1x", "::1:80", "[::1]",
		"[::1:80", "[]:80", "[127.0.0.1]:80", "[::1]:80:" };
	struct mw_http *other = NULL;
	struct mw_err err;
	char taken[40];

	(void)state;
	for (size_t i = 0; i < MW_COUNT(wrong); i++) {
		assert_int_equal(
			mw_http_open(&other, loop, wrong[i], routes, NULL, &err), MW_ERR_CONF);
		assert_non_null(strstr(err.text, "expected ADDRESS:PORT"));
	}
	snprintf(taken, sizeof(taken), "127.0.0.1:%u", mw_http_port(http));
	assert_int_not_equal(mw_http_open(&other, loop, taken, routes, NULL, &err), MW_OK);
	assert_non_null(strstr(err.text, "in use"));
	assert_null(other);
	if (mw_http_open(&other, loop, "[::1]:0", routes, NULL, &err) == MW_OK)
		mw_http_close(&other);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_page_is_answered_with_its_status_and_type),
		cmocka_unit_test(a_page_that_is_none_is_404),
		cmocka_unit_test(only_get_and_head_are_answered),
		cmocka_unit_test(a_request_may_come_octet_by_octet),
		cmocka_unit_test(a_long_body_arrives_whole),
		cmocka_unit_test(header_octets_beyond_the_memory_limit_are_refused),
		cmocka_unit_test(nonsense_is_refused_and_the_server_lives),
		cmocka_unit_test(connections_of_one_address_are_bounded),
		cmocka_unit_test(an_address_must_be_numeric_and_free),
	};

	return cmocka_run_group_tests(tests, open_server, close_server);
}
