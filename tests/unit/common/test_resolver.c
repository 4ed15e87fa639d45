/* The resolver: answers from records of its own, silence, and settings that cannot work. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "resolver.h"

static const char *const records[] = {
	"sel._domainkey.example.org. 60 IN TXT \"v=DKIM1; p=AAAA\" \"BBBB\"",
	"two._domainkey.example.org. 60 IN TXT \"one\"",
	"two._domainkey.example.org. 60 IN TXT \"two\"",
	"host.example.org. 60 IN A 192.0.2.1",
};

struct heard {
	struct mw_loop *loop;
	int calls, want;
	enum mw_dns_state state;
	size_t count;
	char first[64];
};

static void hear(void *arg, const struct mw_dns_answer *txt)
{
	struct heard *h = arg;

	h->state = txt->state;
	h->count = txt->count;
	if (txt->state == MW_DNS_FAILED)
		assert_non_null(txt->why);
	if (txt->count > 0)
		mw_strncpy(h->first, sizeof(h->first), txt->records[0].p, txt->records[0].n);
	if (++h->calls == h->want)
		mw_loop_stop(h->loop);
}

static void give_up(void *arg)
{
	mw_loop_stop(arg);
}

/* Run the loop until it is stopped, at most ms. */
static void run(struct mw_loop *loop, uint64_t ms)
{
	struct mw_timer *t = mw_timer_new(loop, give_up, loop);

	mw_timer_start(t, ms, 0);
	mw_loop_run(loop);
	mw_timer_destroy(&t);
}

static struct heard ask(struct mw_resolver *r, struct mw_loop *loop, const char *name)
{
	struct heard h = { .loop = loop, .want = 1 };

	assert_non_null(mw_resolver_ask(r, name, MW_DNS_TXT, hear, &h));
	assert_int_equal(h.calls, 0); /* never from within the call */
	run(loop, 10000);
	assert_int_equal(h.calls, 1);
	return h;
}

static void records_of_our_own_are_answered_and_all_else_does_not_exist(void **state)
{
	struct mw_resolver_conf conf = { .section = "dkim",
		.data = records,
		.data_count = MW_COUNT(records),
		.local_only = true };
	struct mw_loop *loop = mw_loop_new();
	struct mw_resolver *r;
	struct mw_err err;
	struct heard h;

	(void)state;
	assert_int_equal(mw_resolver_open(&r, loop, &conf, &err), MW_OK);
	h = ask(r, loop, "SEL._domainkey.example.org");
	assert_int_equal(h.state, MW_DNS_FOUND);
	assert_int_equal(h.count, 1);
	assert_string_equal(h.first, "\017v=DKIM1; p=AAAA\004BBBB");
	assert_int_equal(ask(r, loop, "two._domainkey.example.org").count, 2);
	assert_int_equal(ask(r, loop, "host.example.org").state, MW_DNS_ABSENT);
	assert_int_equal(ask(r, loop, "nothing.example.com").state, MW_DNS_ABSENT);
	assert_int_equal(mw_resolver_waiting(r), 0);
	mw_resolver_close(&r);
	mw_loop_destroy(&loop);
}

static void many_questions_at_once_are_all_answered(void **state)
{
	struct mw_resolver_conf conf = { .section = "dkim",
		.data = records,
		.data_count = MW_COUNT(records),
		.local_only = true };
	struct mw_loop *loop = mw_loop_new();
	struct heard h = { .loop = loop, .want = 500 };
	struct mw_resolver *r;
	struct mw_err err;

	(void)state;
	assert_int_equal(mw_resolver_open(&r, loop, &conf, &err), MW_OK);
	for (int i = 0; i < 500; i++)
		assert_non_null(
			mw_resolver_ask(r, "sel._domainkey.example.org", MW_DNS_TXT, hear, &h));
	run(loop, 10000);
	assert_int_equal(h.calls, 500);
	mw_resolver_close(&r);
	mw_loop_destroy(&loop);
}

/* A socket that takes questions and never answers; its port. */
static int silent_server(int family, char *address, size_t size)
{
	struct sockaddr_storage sa = { .ss_family = (sa_family_t)family };
	socklen_t len = sizeof(sa);
	int fd = socket(family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	unsigned port;

	if (fd < 0)
		return -1;
	if (family == AF_INET6)
		((struct sockaddr_in6 *)&sa)->sin6_addr = in6addr_loopback;
	else
		((struct sockaddr_in *)&sa)->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (bind(fd, (struct sockaddr *)&sa, len) != 0 ||
		getsockname(fd, (struct sockaddr *)&sa, &len) != 0) {
		close(fd);
		return -1;
	}
	port = family == AF_INET6 ? ntohs(((struct sockaddr_in6 *)&sa)->sin6_port)
				  : ntohs(((struct sockaddr_in *)&sa)->sin_port);
	snprintf(address, size, "%s@%u", family == AF_INET6 ? "::1" : "127.0.0.1", port);
	return fd;
}

static void a_silent_nameserver_is_no_error_and_its_question_can_be_forgotten(void **state)
{
	char address[64];
	const char *servers[] = { address };
	struct mw_resolver_conf conf = {
		.section = "dkim", .nameservers = servers, .nameserver_count = 1
	};
	struct mw_loop *loop = mw_loop_new();
	struct heard h = { .loop = loop, .want = 1 };
	int fd = silent_server(AF_INET, address, sizeof(address));
	struct mw_dns_lookup *l;
	struct mw_resolver *r;
	struct mw_err err;

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(mw_resolver_open(&r, loop, &conf, &err), MW_OK);
	l = mw_resolver_ask(r, "sel._domainkey.example.net", MW_DNS_TXT, hear, &h);
	assert_non_null(l);
	run(loop, 200);
	assert_int_equal(h.calls, 0);
	mw_dns_lookup_forget(&l);
	assert_null(l);
	run(loop, 50);
	assert_int_equal(h.calls, 0);
	assert_int_equal(mw_resolver_waiting(r), 1); /* it is still out there */
	mw_resolver_close(&r);
	close(fd);
	mw_loop_destroy(&loop);
}

static void questions_beyond_the_limit_are_refused(void **state)
{
	char address[64], name[64];
	const char *servers[] = { address };
	struct mw_resolver_conf conf = {
		.section = "dkim", .nameservers = servers, .nameserver_count = 1
	};
	struct mw_loop *loop = mw_loop_new();
	struct heard h = { .loop = loop };
	int fd = silent_server(AF_INET, address, sizeof(address));
	struct mw_resolver *r;
	struct mw_err err;
	int asked = 0;

	(void)state;
	assert_int_equal(mw_resolver_open(&r, loop, &conf, &err), MW_OK);
	for (; asked <= MW_DNS_LOOKUPS_MAX; asked++) {
		snprintf(name, sizeof(name), "s%d._domainkey.example.net", asked);
		if (mw_resolver_ask(r, name, MW_DNS_TXT, hear, &h) == NULL)
			break;
	}
	assert_int_equal(asked, MW_DNS_LOOKUPS_MAX);
	mw_resolver_close(&r); /* with all of them out there */
	close(fd);
	mw_loop_destroy(&loop);
}

static void an_ipv6_nameserver_is_asked(void **state)
{
	char address[64], packet[512];
	const char *servers[] = { address };
	struct mw_resolver_conf conf = {
		.section = "dkim", .nameservers = servers, .nameserver_count = 1
	};
	int fd = silent_server(AF_INET6, address, sizeof(address));
	struct mw_loop *loop;
	struct heard h = { 0 };
	struct mw_resolver *r;
	struct mw_err err;

	(void)state;
	if (fd < 0)
		skip(); /* this machine has no ::1 */
	loop = mw_loop_new();
	h.loop = loop;
	assert_int_equal(mw_resolver_open(&r, loop, &conf, &err), MW_OK);
	assert_non_null(mw_resolver_ask(r, "sel._domainkey.example.net", MW_DNS_TXT, hear, &h));
	assert_true(recv(fd, packet, sizeof(packet), 0) > 12);
	mw_resolver_close(&r);
	close(fd);
	mw_loop_destroy(&loop);
}

static void write_text(const char *path, const char *text)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

static enum mw_rc open_with_resolv_conf(const char *text, struct mw_err *err)
{
	char path[] = "/tmp/mw-test-resolv-XXXXXX";
	struct mw_resolver_conf conf = { .section = "dkim", .resolv_conf = path };
	struct mw_loop *loop = mw_loop_new();
	struct mw_resolver *r;
	int fd = mkstemp(path);
	enum mw_rc rc;

	assert_true(fd >= 0);
	close(fd);
	write_text(path, text);
	rc = mw_resolver_open(&r, loop, &conf, err);
	unlink(path);
	if (rc == MW_OK)
		mw_resolver_close(&r);
	assert_null(r);
	mw_loop_destroy(&loop);
	return rc;
}

static void resolv_conf_is_read_with_scopes_and_refused_without_nameservers(void **state)
{
	struct mw_err err;

	(void)state;
	assert_int_equal(open_with_resolv_conf("search x\nnameserver 127.0.0.1\n", &err), MW_OK);
	assert_int_equal(
		open_with_resolv_conf("nameserver fe80::1%lo\n  nameserver ::1 # comment\n", &err),
		MW_OK);
	assert_int_equal(
		open_with_resolv_conf("nameserver fe80::1%nosuchif0\n", &err), MW_ERR_CONF);
	assert_non_null(strstr(err.text, "names no nameserver"));
	assert_int_equal(open_with_resolv_conf("# nothing\nnameserver\n", &err), MW_ERR_CONF);
	assert_int_equal(open_with_resolv_conf("nameserver ns.example.org\n", &err), MW_ERR_CONF);
	assert_non_null(strstr(err.text, "'ns.example.org' is no nameserver address"));
}

static void settings_that_cannot_work_are_refused_at_start(void **state)
{
	static const char *const bad_server[] = { "192.0.2.1@x.y" }, *const bad_data[] = {
		"this is no record"
	};
	const struct {
		struct mw_resolver_conf conf;
		const char *says;
	} cases[] = {
		{ { .section = "dkim", .nameservers = bad_server, .nameserver_count = 1 },
			"dkim.nameservers: '192.0.2.1@x.y'" },
		{ { .section = "dkim", .data = bad_data, .data_count = 1, .local_only = true },
			"dkim.dns_data: 'this is no record'" },
		{ { .section = "dkim",
			  .local_only = true,
			  .trust_anchor_file = "/nonexistent/anchor" },
			"/nonexistent/anchor: No such file" },
		{ { .section = "dkim", .resolv_conf = "/nonexistent/resolv.conf" },
			"/nonexistent/resolv.conf cannot be read" },
	};

	(void)state;
	for (size_t i = 0; i < MW_COUNT(cases); i++) {
		struct mw_loop *loop = mw_loop_new();
		struct mw_resolver *r;
		struct mw_err err;

		assert_int_equal(mw_resolver_open(&r, loop, &cases[i].conf, &err), MW_ERR_CONF);
		assert_null(r);
		assert_non_null(strstr(err.text, cases[i].says));
		mw_loop_destroy(&loop);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(records_of_our_own_are_answered_and_all_else_does_not_exist),
		cmocka_unit_test(many_questions_at_once_are_all_answered),
		cmocka_unit_test(a_silent_nameserver_is_no_error_and_its_question_can_be_forgotten),
		cmocka_unit_test(questions_beyond_the_limit_are_refused),
		cmocka_unit_test(an_ipv6_nameserver_is_asked),
		cmocka_unit_test(resolv_conf_is_read_with_scopes_and_refused_without_nameservers),
		cmocka_unit_test(settings_that_cannot_work_are_refused_at_start),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
