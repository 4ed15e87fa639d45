#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "dsn.h"

static void places_are_read_in_every_form(void **state)
{
	static const struct {
		const char *text, *host;
		unsigned port;
		const char *printed;
	} rows[] = {
		{ "127.0.0.1:6380", "127.0.0.1", 6380, "127.0.0.1:6380" },
		{ "127.0.0.1", "127.0.0.1", 6379, "127.0.0.1:6379" },
		{ "redis", "redis", 6379, "redis:6379" },
		{ "redis.example.org:1", "redis.example.org", 1, "redis.example.org:1" },
		{ "[::1]:65535", "::1", 65535, "[::1]:65535" },
		{ "[::1]", "::1", 6379, "[::1]:6379" },
		{ "::1", "::1", 6379, "[::1]:6379" },
		{ "[fe80::1%eth0]:6379", "fe80::1%eth0", 6379, "[fe80::1%eth0]:6379" },
		{ "/run/redis/redis.sock", "/run/redis/redis.sock", 0, "/run/redis/redis.sock" },
	};

	(void)state;
	for (size_t i = 0; i < MW_COUNT(rows); i++) {
		struct rep_place p;
		char buf[REP_HOST_MAX + 16];

		assert_true(rep_place_parse(rows[i].text, REP_REDIS_PORT, &p));
		assert_string_equal(p.host, rows[i].host);
		assert_int_equal(p.port, rows[i].port);
		assert_string_equal(rep_place_format(&p, buf, sizeof(buf)), rows[i].printed);
	}
}

static void what_is_no_place_is_refused_and_touches_nothing(void **state)
{
	static const char *const rows[] = { "", ":", ":6379", "host:", "host:0", "host:65536",
		"host:x", "host:-1", "host: 1", "host:99999999999999999999", "[::1", "[::1]x", "[]",
		"[]:1", "[::1]:", "a b", "-host", "host\n", "host/x" };
	char longest[400];

	(void)state;
	for (size_t i = 0; i < MW_COUNT(rows); i++) {
		struct rep_place p = { .host = "untouched", .port = 7 };

		if (rep_place_parse(rows[i], REP_REDIS_PORT, &p))
			fail_msg("%s was taken", rows[i]);
		assert_string_equal(p.host, "untouched");
	}
	for (size_t n = 255; n <= 256; n++) {
		struct rep_place p;

		memset(longest, 'a', n);
		longest[n] = '\0';
		assert_int_equal(rep_place_parse(longest, 1, &p), n == 255);
	}
	for (size_t n = 107; n <= 108; n++) {
		struct rep_place p;

		memset(longest, '/', n);
		longest[n] = '\0';
		assert_int_equal(rep_place_parse(longest, 1, &p), n == 107);
	}
}

/* ------------------------------------------------------------------ lists, as Lua source */

static enum mw_rc read_dsn(const char *lua, struct rep_dsn *dsn_r, struct mw_err *err_r)
{
	char path[] = "/tmp/mailweir-test-XXXXXX", *errors = NULL;
	struct mw_conf *conf = NULL;
	FILE *f = fdopen(mkstemp(path), "w");
	enum mw_rc rc;

	assert_non_null(f);
	fprintf(f, "storage_redis_dsn = %s\n", lua);
	fclose(f);
	rc = mw_conf_load(path, &conf, &errors);
	remove(path);
	if (rc != MW_OK)
		fail_msg("%s", errors);
	rc = rep_dsn_read(dsn_r, mw_conf_val(conf, "storage_redis_dsn"), 100, err_r);
	mw_conf_destroy(&conf);
	return rc;
}

static void a_list_keeps_its_order_and_defaults(void **state)
{
	struct rep_dsn dsn;
	struct mw_err err;
	size_t sentinel;

	(void)state;
	assert_int_equal(read_dsn("{ { server = '10.0.0.1:1', db_id = 3, password = 'x', ttl = 0 },"
				  "  { sentinels = { '10.0.0.2', '[::1]:5' }, master = 'm' }, { "
				  "sock = '/a' }, {} }",
				 &dsn, &err),
		MW_OK);
	assert_int_equal(dsn.count, 4);
	assert_string_equal(dsn.servers[0].place.host, "10.0.0.1");
	assert_int_equal(dsn.servers[0].db_id, 3);
	assert_int_equal(dsn.servers[0].ttl_s, 0);
	assert_string_equal(dsn.servers[0].password, "x");
	assert_int_equal(dsn.servers[1].sentinel_count, 2);
	assert_int_equal(dsn.servers[1].sentinels[0].port, REP_SENTINEL_PORT);
	assert_int_equal(dsn.servers[1].sentinels[1].port, 5);
	assert_int_equal(dsn.servers[1].ttl_s, 100);
	assert_string_equal(dsn.servers[2].place.host, "/a");
	assert_string_equal(dsn.servers[3].place.host, "127.0.0.1");
	assert_int_equal(rep_dsn_endpoints(&dsn), 5);
	assert_ptr_equal(rep_dsn_endpoint(&dsn, 0, &sentinel), &dsn.servers[0]);
	assert_ptr_equal(rep_dsn_endpoint(&dsn, 2, &sentinel), &dsn.servers[1]);
	assert_int_equal(sentinel, 1);
	assert_ptr_equal(rep_dsn_endpoint(&dsn, 4, &sentinel), &dsn.servers[3]);
	assert_int_equal(sentinel, 0);
}

static void an_empty_list_is_no_storage(void **state)
{
	struct rep_dsn dsn;
	struct mw_err err;

	(void)state;
	assert_int_equal(read_dsn("{}", &dsn, &err), MW_OK);
	assert_int_equal(dsn.count, 0);
}

static void wrong_entries_are_refused_by_number_and_field(void **state)
{
	static const struct {
		const char *lua, *said;
	} rows[] = {
		{ "{ {}, { server = 'a b' } }", "entry 2: server" },
		{ "{ { server = 5 } }", "entry 1: server" },
		{ "{ { sever = 'a' } }", "sever" },
		{ "{ 'a' }", "entry 1" },
		{ "{ server = 'a' }", "not a list" },
		{ "{ { db_id = -1 } }", "db_id" },
		{ "{ { db_id = 65536 } }", "db_id" },
		{ "{ { db_id = 1.5 } }", "db_id" },
		{ "{ { db_id = '1' } }", "db_id" },
		{ "{ { ttl = -1 } }", "ttl" },
		{ "{ { password = 1 } }", "password" },
		{ "{ { sentinels = { 'a' } } }", "master" },
		{ "{ { sentinels = { 'a' }, master = 'm', server = 'b' } }", "without a server" },
		{ "{ { sentinels = {}, master = 'm' } }", "sentinels" },
		{ "{ { sentinels = 'a', master = 'm' } }", "sentinels" },
		{ "{ { sentinels = { 'a', 'b c' }, master = 'm' } }", "sentinels" },
		{ "{ { sentinels = { 'a' }, master = '' } }", "master" },
	};

	(void)state;
	for (size_t i = 0; i < MW_COUNT(rows); i++) {
		struct rep_dsn dsn;
		struct mw_err err = { "" };

		assert_int_equal(read_dsn(rows[i].lua, &dsn, &err), MW_ERR_CONF);
		if (strstr(err.text, rows[i].said) == NULL)
			fail_msg("%s: %s", rows[i].lua, err.text);
	}
}

static void passwords_fit_or_are_refused(void **state)
{
	(void)state;
	for (size_t n = REP_PASSWORD_MAX - 1; n <= REP_PASSWORD_MAX; n++) {
		char password[REP_PASSWORD_MAX + 1], lua[REP_PASSWORD_MAX + 64];
		struct rep_dsn dsn;
		struct mw_err err;

		memset(password, 'x', n);
		password[n] = '\0';
		snprintf(lua, sizeof(lua), "{ { password = '%s' } }", password);
		assert_int_equal(
			read_dsn(lua, &dsn, &err), n < REP_PASSWORD_MAX ? MW_OK : MW_ERR_CONF);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(places_are_read_in_every_form),
		cmocka_unit_test(what_is_no_place_is_refused_and_touches_nothing),
		cmocka_unit_test(a_list_keeps_its_order_and_defaults),
		cmocka_unit_test(an_empty_list_is_no_storage),
		cmocka_unit_test(wrong_entries_are_refused_by_number_and_field),
		cmocka_unit_test(passwords_fit_or_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
