#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "orders.h"
#include "script_args.h"

static void check_key(const char *address, const char *key)
{
	size_t n = strlen(address);
	unsigned char *in = malloc(n + 1),
		      *out = malloc(n + 1); /* no octet more: the sanitizer watches */

	memcpy(in, address, n);
	out = realloc(out, n > 0 ? n : 1);
	n = rep_address_key(mw_octets_of(in, n), out);
	if (n != strlen(key) || memcmp(out, key, n) != 0)
		fail_msg("%s became %.*s", address, (int)n, (const char *)out);
	free(in);
	free(out);
}

static void addresses_of_one_mailbox_have_one_key(void **state)
{
	(void)state;
	check_key("user@example.org", "user@example.org");
	check_key("User@EXAMPLE.Org", "user@example.org");
	check_key("\"user\"@example.org", "user@example.org");
	check_key("\"first.last\"@example.org", "first.last@example.org");
	check_key("\"\\u\\s\\e\\r\"@example.org", "user@example.org");
	check_key("j\xc3\xbcrgen@example.org", "j\xc3\xbcrgen@example.org");
	check_key("postmaster", "postmaster");
	check_key("\"user\"", "user");
}

static void addresses_that_need_their_quotes_keep_them(void **state)
{
	static const char *const rows[] = { "\"a b\"@example.org", "\".a\"@example.org",
		"\"a.\"@example.org", "\"a..b\"@example.org", "\"a@b\"@example.org",
		"\"a\\\"b\"@example.org", "\"\"@example.org", "\"a,b\"@example.org" };

	(void)state;
	for (size_t i = 0; i < MW_COUNT(rows); i++)
		check_key(rows[i], rows[i]);
	check_key("\"A B\"@Example.org", "\"a b\"@example.org");
}

static void what_is_no_address_stays_as_it_is(void **state)
{
	static const char *const rows[] = { "", "\"", "\"\"", "\"a", "a\"", "\"a\\\"@example.org",
		"\"a\"b\"@example.org", "@", "@example.org", "a@", "\"\\\"@x" };

	(void)state;
	for (size_t i = 0; i < MW_COUNT(rows); i++)
		check_key(rows[i], rows[i]);
}

/* ------------------------------------------------------------------ jobs */

struct made {
	struct mw_job job;
	struct mw_pack orders, rcpts;
};

static void made_fini(struct made *m)
{
	mw_pack_fini(&m->orders);
	mw_pack_fini(&m->rcpts);
}

static void made_init(struct made *m, const char *sender, size_t rcpts)
{
	memset(m, 0, sizeof(*m));
	m->job.attempt = 1;
	mw_strlcpy(m->job.mail_id, "currentmail1", sizeof(m->job.mail_id));
	m->job.sender = mw_octets_of_text(sender);
	mw_pack_init(&m->rcpts);
	mw_pack_array(&m->rcpts, rcpts);
	for (size_t i = 0; i < rcpts; i++) {
		char text[48];

		snprintf(text, sizeof(text), "User%zu@example.org", i);
		mw_pack_text(&m->rcpts, text);
	}
	m->job.rcpts = mw_octets_of(m->rcpts.p, m->rcpts.n);
	mw_pack_init(&m->orders);
}

static void made_orders(struct made *m)
{
	assert_false(m->orders.failed);
	m->job.orders = mw_octets_of(m->orders.p, m->orders.n);
}

static void orders_become_a_question(void **state)
{
	struct rep_orders o;
	struct mw_err err;
	struct made m;

	(void)state;
	made_init(&m, "USER1@example.org", 4);
	m.job.attempt = 2;
	mw_pack_map(&m.orders, 6);
	mw_pack_kv_int(&m.orders, "time_ms", 1234567);
	mw_pack_kv_bool(&m.orders, "originating", true);
	mw_pack_kv_bool(&m.orders, "penpals", true);
	mw_pack_text(&m.orders, "ips");
	mw_pack_array(&m.orders, 5);
	mw_pack_text(&m.orders, "203.0.113.1");
	mw_pack_text(&m.orders, "10.0.0.1");
	mw_pack_text(&m.orders, "nonsense");
	mw_pack_text(&m.orders, "::ffff:203.0.113.1");
	mw_pack_text(&m.orders, "2001:db8::1");
	mw_pack_text(&m.orders, "references");
	mw_pack_array(&m.orders, 2);
	mw_pack_text(&m.orders, "");
	mw_pack_text(&m.orders, "<a@b>");
	mw_pack_text(&m.orders, "local");
	mw_pack_array(&m.orders, 3);
	mw_pack_bool(&m.orders, true);
	mw_pack_bool(&m.orders, true);
	mw_pack_bool(&m.orders, false);
	made_orders(&m);
	assert_int_equal(rep_orders_query(&o, &m.job, &err), MW_OK);
	assert_int_equal(o.query.time_ms, 1234567);
	assert_true(o.query.save);
	assert_true(o.query.again);
	assert_string_equal(o.query.mail_id, "currentmail1");
	assert_int_equal(o.query.ip_count, 2);
	assert_int_equal(o.query.ref_count, 1);
	/* Recipient 1 is the sender, 2 is not local, nothing is said of 3. */
	assert_int_equal(o.query.rcpt_count, 1);
	assert_int_equal(o.query.rcpt_index[0], 0);
	assert_true(mw_key_is(o.query.rcpts[0], "user0@example.org"));
	assert_true(mw_key_is(o.query.sender, "user1@example.org"));
	assert_false(o.cut);
	rep_orders_fini(&o);
	made_fini(&m);
}

static void orders_cut_anywhere_never_read_beyond_their_end(void **state)
{
	struct rep_orders o;
	struct mw_err err;
	struct made m;

	(void)state;
	made_init(&m, "a@example.com", 3);
	mw_pack_map(&m.orders, 5);
	mw_pack_kv_int(&m.orders, "time_ms", 1);
	mw_pack_kv_bool(&m.orders, "penpals", true);
	mw_pack_text(&m.orders, "ips");
	mw_pack_array(&m.orders, 1);
	mw_pack_text(&m.orders, "203.0.113.1");
	mw_pack_text(&m.orders, "references");
	mw_pack_array(&m.orders, 1);
	mw_pack_text(&m.orders, "<a@b>");
	mw_pack_text(&m.orders, "local");
	mw_pack_array(&m.orders, 3);
	for (int i = 0; i < 3; i++)
		mw_pack_bool(&m.orders, true);
	for (size_t n = 0; n <= m.orders.n; n++) {
		unsigned char *copy = malloc(n + 1);

		memcpy(copy, m.orders.p, n);
		copy = realloc(copy, n > 0 ? n : 1);
		m.job.orders = mw_octets_of(copy, n);
		if (rep_orders_query(&o, &m.job, &err) == MW_OK)
			rep_orders_fini(&o);
		if (rep_orders_lesson(&o, &m.job, NULL, 0, &err) == MW_OK)
			rep_orders_fini(&o);
		free(copy);
	}
	made_fini(&m);
}

static void addresses_above_the_limits_are_left_out_and_said(void **state)
{
	struct rep_orders o;
	struct mw_err err;
	struct made m;

	(void)state;
	for (size_t count = REP_IPS_MAX; count <= REP_IPS_MAX + 1; count++) {
		made_init(&m, "a@example.com", 1);
		mw_pack_map(&m.orders, 2);
		mw_pack_kv_int(&m.orders, "time_ms", 1);
		mw_pack_text(&m.orders, "ips");
		mw_pack_array(&m.orders, count);
		for (size_t i = 0; i < count; i++) {
			char text[32];

			snprintf(text, sizeof(text), "2001:db8::%zx", i + 1);
			mw_pack_text(&m.orders, text);
		}
		made_orders(&m);
		assert_int_equal(rep_orders_query(&o, &m.job, &err), MW_OK);
		assert_int_equal(o.query.ip_count, REP_IPS_MAX);
		assert_int_equal(o.cut, count > REP_IPS_MAX);
		rep_orders_fini(&o);
		made_fini(&m);
	}
}

static void addresses_too_long_to_be_any_are_left_out(void **state)
{
	char text[REP_ADDRESS_MAX + 2];
	struct rep_orders o;
	struct mw_err err;
	struct made m;

	(void)state;
	for (size_t n = REP_ADDRESS_MAX; n <= REP_ADDRESS_MAX + 1; n++) {
		memset(text, 'a', n);
		text[n] = '\0';
		made_init(&m, "user@example.org", 0);
		mw_pack_map(&m.orders, 3);
		mw_pack_kv_int(&m.orders, "time_ms", 1);
		mw_pack_kv_bool(&m.orders, "originating", true);
		mw_pack_text(&m.orders, "passed");
		mw_pack_array(&m.orders, 2);
		mw_pack_text(&m.orders, text);
		mw_pack_text(&m.orders, "b@example.com");
		made_orders(&m);
		assert_int_equal(rep_orders_lesson(&o, &m.job, NULL, 0, &err), MW_OK);
		assert_int_equal(o.lesson.rcpt_count, n > REP_ADDRESS_MAX ? 1 : 2);
		rep_orders_fini(&o);
		made_fini(&m);
	}
}

/* ------------------------------------------------------------------ arguments */

static void check_item(const struct rep_args *a, size_t i, const char *text)
{
	assert_true(i < a->count);
	assert_int_equal(a->argv_len[i], strlen(text));
	assert_memory_equal(a->argv[i], text, strlen(text));
}

static void arguments_of_a_question_stand_in_the_script_s_order(void **state)
{
	struct rep_query q = { .mail_id = "currentmail1",
		.time_ms = 1234567890012,
		.save = true,
		.ip_count = 1,
		.ref_count = 1 };
	struct mw_octets rcpts[1] = { mw_octets_of("b\0@x", 4) };
	uint32_t index[1] = { 7 };
	const struct rep_script_conf conf = { .penpals_ttl_s = 1382400 };
	static const char *const before[] = { "EVALSHA", "sha", "2", "ip:203.0.113.1",
		"currentmail1", "currentmail1", "1234567890.012", "0", "1", "1382400", "4000",
		"259200", "8" };
	struct rep_args a;
	size_t at;

	(void)state;
	assert_true(mw_ip_parse("203.0.113.1", &q.ips[0]));
	q.refs[0] = mw_octets_of_text("<a@b>");
	q.rcpts = rcpts;
	q.rcpt_index = index;
	q.rcpt_count = 1;
	assert_int_equal(rep_args_query(&a, &q, &conf), MW_OK);
	assert_int_equal(a.keys, 2);
	rep_args_head(&a, "EVALSHA", "sha", "2");
	for (at = 0; at < MW_COUNT(before); at++)
		check_item(&a, at, before[at]);
	for (uint64_t n = 0; n <= REP_TTL_STEPS; n++) {
		char text[32];

		snprintf(text, sizeof(text), "%d", (int)rep_ttl_base_s(n));
		check_item(&a, at++, text);
	}
	check_item(&a, at++, "1"); /* addresses */
	assert_int_equal(a.argv_len[at], 8);
	assert_true(a.argv[at][0] == '0' || a.argv[at][0] == '1');
	assert_int_equal(a.argv[at][1], '.');
	at++;
	check_item(&a, at++, "10000");
	check_item(&a, at++, "");
	check_item(&a, at++, "1");
	check_item(&a, at++, "7");
	assert_int_equal(a.argv_len[at], 4); /* octets as they are, a NUL too */
	assert_memory_equal(a.argv[at], "b\0@x", 4);
	at++;
	check_item(&a, at++, "1");
	check_item(&a, at++, "<a@b>");
	assert_int_equal(at, a.count);
	rep_args_fini(&a);
}

static void arguments_of_a_lesson_stand_in_the_script_s_order(void **state)
{
	struct mw_octets rcpts[2] = { mw_octets_of_text("b@x"), mw_octets_of_text("c@x") };
	struct rep_lesson l = { .mail_id = "outgoing0001",
		.log_id = "task-1",
		.time_ms = 5,
		.keep = true,
		.rcpt_count = 2,
		.rcpts = rcpts };
	const struct rep_script_conf conf = { .penpals_ttl_s = 0 };
	static const char *const items[] = { "EVAL", "source", "1", "outgoing0001", "outgoing0001",
		"0.005", "0", "10800", "", "1", "0", "task-1", "<m@x>", "a@x", "2", "b@x", "c@x" };
	struct rep_args a;

	(void)state;
	l.sender = mw_octets_of_text("a@x");
	l.message_id = mw_octets_of_text("<m@x>");
	assert_int_equal(rep_args_learn(&a, &l, &conf), MW_OK);
	assert_int_equal(a.keys, 1);
	rep_args_head(&a, "EVAL", "source", "1");
	assert_int_equal(a.count, MW_COUNT(items));
	for (size_t i = 0; i < MW_COUNT(items); i++)
		check_item(&a, i, items[i]);
	rep_args_fini(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(addresses_of_one_mailbox_have_one_key),
		cmocka_unit_test(addresses_that_need_their_quotes_keep_them),
		cmocka_unit_test(what_is_no_address_stays_as_it_is),
		cmocka_unit_test(orders_become_a_question),
		cmocka_unit_test(orders_cut_anywhere_never_read_beyond_their_end),
		cmocka_unit_test(addresses_above_the_limits_are_left_out_and_said),
		cmocka_unit_test(addresses_too_long_to_be_any_are_left_out),
		cmocka_unit_test(arguments_of_a_question_stand_in_the_script_s_order),
		cmocka_unit_test(arguments_of_a_lesson_stand_in_the_script_s_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
