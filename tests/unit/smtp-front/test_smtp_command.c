/* SMTP command lines: what is understood, what is refused and with which reply. */
#include "make_txn.h"

#include "intake/smtp_command.h"

static struct smtp_arena arena;

static int free_arena(void **state)
{
	(void)state;
	smtp_arena_fini(&arena);
	return 0;
}

static void a_verb_is_letters_and_ends_at_a_blank(void **state)
{
	static const struct {
		const char *line;
		bool ok;
		size_t n;
		const char *args;
	} rows[] = {
		{ "QUIT", true, 4, "" },
		{ "MAIL FROM:<a@b>", true, 4, "FROM:<a@b>" },
		{ "mail   FROM:<a@b>", true, 4, "FROM:<a@b>" },
		{ "X", true, 1, "" },
		{ "QUIT ", true, 4, "" },
		{ "", false, 0, "" },
		{ " QUIT", false, 0, "QUIT" },
		{ "QUIT\tnow", false, 4, "\tnow" },
		{ "Q1", false, 1, "1" },
		{ "MAIL:", false, 4, ":" },
		{ "\xc3\xa4", false, 0, "\xc3\xa4" },
	};

	(void)state;
	for (size_t i = 0; i < MW_COUNT(rows); i++) {
		size_t n, args;

		assert_int_equal(smtp_command_verb(rows[i].line, &n, &args), rows[i].ok);
		assert_int_equal(n, rows[i].n);
		assert_string_equal(rows[i].line + args, rows[i].args);
	}
}

static const struct path_row {
	const char *args;
	const char *addr; /* NULL: refused */
	const char *rest;
} senders[] = {
	{ "FROM:<a@example.org>", "a@example.org", "" },
	{ "from:<a@example.org>", "a@example.org", "" },
	{ "FROM: <a@example.org>", "a@example.org", "" },
	{ "FROM:<>", "", "" },
	{ "FROM:<> SIZE=1", "", " SIZE=1" },
	{ "FROM:<postmaster>", "postmaster", "" },
	{ "FROM:<a@[192.0.2.1]>", "a@[192.0.2.1]", "" },
	{ "FROM:<a@[IPv6:2001:db8::1]>", "a@[IPv6:2001:db8::1]", "" },
	/* quoted local parts */
	{ "FROM:<\"a b\"@example.org>", "\"a b\"@example.org", "" },
	{ "FROM:<\"a>b\"@example.org> SIZE=2", "\"a>b\"@example.org", " SIZE=2" },
	{ "FROM:<\"a@b\"@example.org>", "\"a@b\"@example.org", "" },
	{ "FROM:<\"a\\\"b\"@example.org>", "\"a\\\"b\"@example.org", "" },
	{ "FROM:<\"\\\\\"@example.org>", "\"\\\\\"@example.org", "" },
	/* source routes are taken off */
	{ "FROM:<@a.example,@b.example:c@example.org>", "c@example.org", "" },
	{ "FROM:<@a.example:c@example.org> BODY=7BIT", "c@example.org", " BODY=7BIT" },
	/* no syntax of ours */
	{ "FROM:", NULL, NULL },
	{ "FROM", NULL, NULL },
	{ "", NULL, NULL },
	{ "TO:<a@example.org>", NULL, NULL },
	{ "FROM:a@example.org", NULL, NULL },
	{ "FROM:<a@example.org", NULL, NULL },
	{ "FROM:<a@example.org>x", NULL, NULL },
	{ "FROM:<a@example.org>SIZE=1", NULL, NULL },
	{ "FROM:<a@example.org>\tSIZE=1", NULL, NULL },
	{ "FROM:<a@>", NULL, NULL },
	{ "FROM:<@example.org>", NULL, NULL },
	{ "FROM:<@example.org:>x", NULL, NULL },
	{ "FROM:<a@b@c>", NULL, NULL },
	{ "FROM:<a b@example.org>", NULL, NULL },
	{ "FROM:< a@example.org>", NULL, NULL },
	{ "FROM:<<a@example.org>>", NULL, NULL },
	{ "FROM:<\"a@example.org>", NULL, NULL },
	{ "FROM:<\"a\\\"@example.org>", NULL, NULL },
	{ "FROM:<a\x01@example.org>", NULL, NULL },
	{ "FROM:<a\r@example.org>", NULL, NULL },
	{ "FROM:<a\x7f@example.org>", NULL, NULL },
	{ "FROM:<\"a\rb\"@example.org>", NULL, NULL },
	{ "FROM:<\"a\\\rb\"@example.org>", NULL, NULL },
	{ "FROM:<\"a\\\x7f\"@example.org>", NULL, NULL },
	{ "FROM:<\"a\\\xc3\xa4\"@example.org>", NULL, NULL },
	{ "FROM:<\xc3\xa4@example.org>", NULL, NULL },
	{ "FROM:<a@\xc3\xa4.example>", NULL, NULL },
};

static void a_path_is_taken_whole_or_refused(void **state)
{
	(void)state;
	for (size_t i = 0; i < MW_COUNT(senders); i++) {
		struct smtp_refusal why = { 0 };
		const char *addr = NULL, *rest = NULL;
		bool ok = smtp_command_path(
			&arena, senders[i].args, "FROM:", true, false, &addr, &rest, &why);

		if (ok != (senders[i].addr != NULL))
			fail_msg("%s", senders[i].args);
		if (ok) {
			assert_string_equal(addr, senders[i].addr);
			assert_string_equal(rest, senders[i].rest);
		} else {
			/* ASCII alone is asked for SMTPUTF8, RFC 6531 section 3.5 */
			assert_int_equal(
				why.code, strstr(why.text, "SMTPUTF8") != NULL ? 550 : 501);
			assert_true(
				why.text != NULL && why.enhanced != NULL && why.enhanced[0] == '5');
		}
	}
}

static void a_recipient_is_never_empty(void **state)
{
	static const char *const rows[] = { "TO:<>", "TO: <>", "TO:<@a:>", "FROM:<a@example.org>" };
	struct smtp_refusal why;
	const char *addr, *rest;

	(void)state;
	for (size_t i = 0; i < MW_COUNT(rows); i++) {
		why.code = 0;
		assert_false(smtp_command_path(
			&arena, rows[i], "TO:", false, false, &addr, &rest, &why));
		assert_int_equal(why.code, 501);
	}
	assert_true(smtp_command_path(
		&arena, "to:<b@example.org>", "TO:", false, false, &addr, &rest, &why));
	assert_string_equal(addr, "b@example.org");
}

static void octets_above_ascii_need_smtputf8(void **state)
{
	struct smtp_refusal why;
	const char *addr, *rest;

	(void)state;
	assert_true(smtp_command_path(
		&arena, "FROM:<\xc3\xa4@example.org>", "FROM:", true, true, &addr, &rest, &why));
	assert_string_equal(addr, "\xc3\xa4@example.org");
}

static void an_address_has_at_most_1000_octets(void **state)
{
	char args[SMTP_PATH_MAX + 32];
	struct smtp_refusal why;
	const char *addr, *rest;

	(void)state;
	for (size_t n = SMTP_PATH_MAX; n <= SMTP_PATH_MAX + 1; n++) {
		memcpy(args, "FROM:<", 6);
		memset(args + 6, 'a', n);
		memcpy(args + 6 + n - 12, "@example.org>", 14);
		assert_int_equal(
			smtp_command_path(&arena, args, "FROM:", true, false, &addr, &rest, &why),
			n == SMTP_PATH_MAX);
	}
}

static void a_path_cut_anywhere_is_refused(void **state)
{
	static const char whole[] = "FROM:<@a,@b:\"x \\\" y\"@example.org>";
	struct smtp_refusal why;
	const char *addr, *rest;

	(void)state;
	for (size_t n = 0; n + 1 < sizeof(whole); n++) {
		char *cut = strndup(whole, n); /* memory of its own: over-reading shows */

		assert_false(
			smtp_command_path(&arena, cut, "FROM:", true, false, &addr, &rest, &why));
		free(cut);
	}
	assert_true(smtp_command_path(&arena, whole, "FROM:", true, false, &addr, &rest, &why));
}

static void mail_takes_size_and_body_and_nothing_else(void **state)
{
	static const struct {
		const char *rest;
		unsigned code; /* 0: taken */
		uint64_t size;
		enum smtp_body_type body;
	} rows[] = {
		{ "", 0, 0, SMTP_BODY_NONE },
		{ "   ", 0, 0, SMTP_BODY_NONE },
		{ " SIZE=0", 0, 0, SMTP_BODY_NONE },
		{ " SIZE=1000 BODY=8BITMIME", 0, 1000, SMTP_BODY_8BITMIME },
		{ " body=7bit  size=5 ", 0, 5, SMTP_BODY_7BIT },
		{ " SIZE=9999999999999999999", 0, 9999999999999999999u, SMTP_BODY_NONE },
		{ " SIZE=10000000000000000000", 501, 0, SMTP_BODY_NONE },
		{ " SIZE", 501, 0, SMTP_BODY_NONE },
		{ " SIZE=", 501, 0, SMTP_BODY_NONE },
		{ " SIZE=-1", 501, 0, SMTP_BODY_NONE },
		{ " SIZE=+1", 501, 0, SMTP_BODY_NONE },
		{ " SIZE=1x", 501, 0, SMTP_BODY_NONE },
		{ " SIZE=0x10", 501, 0, SMTP_BODY_NONE },
		{ " BODY", 501, 0, SMTP_BODY_NONE },
		{ " BODY=BINARYMIME", 501, 0, SMTP_BODY_NONE },
		{ " BODY=8BIT", 501, 0, SMTP_BODY_NONE },
		{ " SMTPUTF8", 555, 0, SMTP_BODY_NONE },
		{ " RET=FULL", 555, 0, SMTP_BODY_NONE },
		{ " =1", 555, 0, SMTP_BODY_NONE },
		{ " SIZE=1 X=Y", 555, 0, SMTP_BODY_NONE },
		{ " SIZES=1", 555, 0, SMTP_BODY_NONE },
	};

	(void)state;
	for (size_t i = 0; i < MW_COUNT(rows); i++) {
		struct smtp_mail_params p;
		struct smtp_refusal why = { 0 };
		bool ok = smtp_command_mail_params(
			&arena, rows[i].rest, MW_BIT(SMTP_OFFERS_8BITMIME), &p, &why);

		assert_int_equal(why.code, rows[i].code);
		assert_int_equal(ok, rows[i].code == 0);
		if (ok) {
			assert_true(p.size == rows[i].size);
			assert_int_equal(p.body, rows[i].body);
		}
	}
}

static void mail_takes_what_is_offered_once_and_whole(void **state)
{
	static char long_envid[120] = " ENVID=";
	static const struct {
		const char *rest;
		unsigned code; /* 0: taken */
		enum smtp_ret ret;
		const char *envid;
		bool utf8;
	} rows[] = {
		{ " SMTPUTF8 RET=FULL ENVID=a+2Bb", 0, SMTP_RET_FULL, "a+2Bb", true },
		{ " ret=hdrs smtputf8", 0, SMTP_RET_HDRS, NULL, true },
		{ " AUTH=<>", 0 },
		{ " AUTH=a+3Db@c", 0 },
		{ " AUTH=", 501 },
		{ " AUTH=a=b", 501 },
		{ " SMTPUTF8=1", 501 },
		{ " RET=ALL", 501 },
		{ " RET", 501 },
		{ " ENVID=", 501 },
		{ " ENVID=a+2bb", 501 },
		{ " ENVID=a+2", 501 },
		{ " ENVID=a+", 501 },
		{ " ENVID=\x01", 501 },
		{ " ENVID=a+0D+0Ab", 501 },
		{ long_envid, 501 },
		{ " RET=FULL RET=FULL", 501 },
		{ " SIZE=1 SIZE=1", 501 },
		{ " BODY=7BIT BODY=7BIT", 501 },
		{ " NOTIFY=NEVER", 555 },
	};

	(void)state;
	memset(long_envid + 7, 'e', 101);
	for (size_t i = 0; i < MW_COUNT(rows); i++) {
		struct smtp_mail_params p;
		struct smtp_refusal why = { 0 };
		bool ok = smtp_command_mail_params(&arena, rows[i].rest, SMTP_OFFERS_ALL, &p, &why);

		if (why.code != rows[i].code)
			fail_msg("%s: %u", rows[i].rest, why.code);
		assert_int_equal(ok, rows[i].code == 0);
		if (!ok)
			continue;
		assert_int_equal(p.ret, rows[i].ret);
		assert_int_equal(p.smtputf8, rows[i].utf8);
		if (rows[i].envid == NULL)
			assert_null(p.envid);
		else
			assert_string_equal(p.envid, rows[i].envid);
	}
	long_envid[7 + 100] = '\0';
	{
		struct smtp_mail_params p;
		struct smtp_refusal why;

		assert_true(
			smtp_command_mail_params(&arena, long_envid, SMTP_OFFERS_ALL, &p, &why));
		assert_int_equal(strlen(p.envid), 100);
	}
}

static void rcpt_takes_notify_and_orcpt(void **state)
{
	static const struct {
		const char *rest;
		unsigned code, notify;
		const char *orcpt;
		bool utf8;
	} rows[] = {
		{ "", 0 },
		{ "  ", 0 },
		{ " NOTIFY=NEVER", 0, SMTP_NOTIFY_NEVER },
		{ " notify=success,failure,delay", 0,
			SMTP_NOTIFY_SUCCESS | SMTP_NOTIFY_FAILURE | SMTP_NOTIFY_DELAY },
		{ " ORCPT=rfc822;b+2Bx@c NOTIFY=DELAY", 0, SMTP_NOTIFY_DELAY, "rfc822;b+2Bx@c" },
		{ " ORCPT=utf-8;\xc3\xa4@c", 0, 0, "utf-8;\xc3\xa4@c", true },
		{ " ORCPT=utf-8;\xc3\xa4@c", 501 },
		{ " ORCPT=utf-8;\xc3@c", 501, .utf8 = true },
		{ " NOTIFY=NEVER,DELAY", 501 },
		{ " NOTIFY=DELAY,DELAY", 501 },
		{ " NOTIFY=", 501 },
		{ " NOTIFY=,", 501 },
		{ " NOTIFY=DELAY,", 501 },
		{ " NOTIFY=ALWAYS", 501 },
		{ " NOTIFY=DELAY NOTIFY=DELAY", 501 },
		{ " ORCPT=rfc822", 501 },
		{ " ORCPT=;b@c", 501 },
		{ " ORCPT=rfc822;", 501 },
		{ " ORCPT=rfc 822;b", 501 },
		{ " ORCPT=rfc822;a=b", 501 },
		{ " ORCPT=rfc822;a ORCPT=rfc822;a", 501 },
		{ " SIZE=1", 555 },
	};

	(void)state;
	for (size_t i = 0; i < MW_COUNT(rows); i++) {
		struct smtp_rcpt_params p;
		struct smtp_refusal why = { 0 };
		bool ok = smtp_command_rcpt_params(
			&arena, rows[i].rest, SMTP_OFFERS_ALL, rows[i].utf8, &p, &why);

		if (why.code != rows[i].code)
			fail_msg("%s: %u", rows[i].rest, why.code);
		assert_int_equal(ok, rows[i].code == 0);
		if (!ok)
			continue;
		assert_int_equal(p.notify, rows[i].notify);
		if (rows[i].orcpt == NULL)
			assert_null(p.orcpt);
		else
			assert_string_equal(p.orcpt, rows[i].orcpt);
	}
}

static void rcpt_takes_nothing_where_dsn_is_not_offered(void **state)
{
	struct smtp_rcpt_params p;
	struct smtp_refusal why = { 0 };

	(void)state;
	assert_false(smtp_command_rcpt_params(&arena, " NOTIFY=NEVER", 0, false, &p, &why));
	assert_int_equal(why.code, 555);
}

static void bdat_has_a_count_and_perhaps_last(void **state)
{
	static const struct {
		const char *args;
		bool ok, last;
		uint64_t size;
	} rows[] = {
		{ "0", true, false, 0 },
		{ "86", true, false, 86 },
		{ "0 LAST", true, true, 0 },
		{ "1000000  last", true, true, 1000000 },
		{ "999999999999999999 LAST", true, true, 999999999999999999 },
		{ "", false },
		{ "LAST", false },
		{ "-1", false },
		{ "+1", false },
		{ "1x", false },
		{ "1LAST", false },
		{ "1 LAST x", false },
		{ "1 LASTING", false },
		{ "0x10", false },
		{ "9999999999999999999", false },
	};

	(void)state;
	for (size_t i = 0; i < MW_COUNT(rows); i++) {
		uint64_t size = 0;
		bool last = false;

		if (smtp_command_bdat(rows[i].args, &size, &last) != rows[i].ok)
			fail_msg("BDAT %s", rows[i].args);
		if (rows[i].ok) {
			assert_true(size == rows[i].size);
			assert_int_equal(last, rows[i].last);
		}
	}
}

static void xforward_fills_what_it_names(void **state)
{
	struct smtp_xforward x = { 0 };
	struct smtp_refusal why;

	(void)state;
	assert_true(smtp_command_xforward(
		&arena, "NAME=client.example ADDR=192.0.2.9 PORT=2525", &x, &why));
	assert_true(smtp_command_xforward(
		&arena, "proto=ESMTP helo=there ident=4Xyz source=REMOTE", &x, &why));
	assert_string_equal(x.name, "client.example");
	assert_string_equal(x.addr, "192.0.2.9");
	assert_string_equal(x.port, "2525");
	assert_string_equal(x.proto, "ESMTP");
	assert_string_equal(x.helo, "there");
	assert_string_equal(x.ident, "4Xyz");
	assert_string_equal(x.source, "REMOTE");
	assert_true(smtp_command_xforward(
		&arena, "NAME=[UNAVAILABLE] ADDR=IPv6:2001:db8::1", &x, &why));
	assert_null(x.name);
	assert_string_equal(x.addr, "2001:db8::1");
	assert_string_equal(x.helo, "there");
}

static void xforward_values_are_xtext(void **state)
{
	static const struct {
		const char *args, *helo;
	} rows[] = {
		{ "HELO=a+20b", "a b" },
		{ "HELO=a+2Bb", "a+b" },
		{ "HELO=a+2bb", "a+b" },
		{ "HELO=a+3Db", "a=b" },
		{ "HELO=a=b", "a=b" },
		{ "HELO=+", "+" },
		{ "HELO=+4", "+4" },
		{ "HELO=+4g", "+4g" },
		{ "HELO=a+0D+0AQUIT", "a??QUIT" },
		{ "HELO=a+00b", "a?b" },
		{ "HELO=a+7F", "a?" },
		{ "HELO=a\rb", "a?b" },
		{ "HELO=+C3+A4", "\xc3\xa4" },
	};

	(void)state;
	for (size_t i = 0; i < MW_COUNT(rows); i++) {
		struct smtp_xforward x = { 0 };
		struct smtp_refusal why;

		assert_true(smtp_command_xforward(&arena, rows[i].args, &x, &why));
		assert_string_equal(x.helo, rows[i].helo);
	}
}

static void xforward_refuses_what_it_does_not_know_or_hold(void **state)
{
	static const char *const rows[] = { "", "  ", "NAME", "NAME=", "=x", "FOO=bar",
		"NAME=a FOO=b", "NAMES=a", "ADDR=nonsense", "PORT=x", "PORT=65536", "PORT=-1" };
	struct smtp_xforward x = { 0 };
	struct smtp_refusal why;
	char args[300] = "HELO=";

	(void)state;
	for (size_t i = 0; i < MW_COUNT(rows); i++) {
		why.code = 0;
		assert_false(smtp_command_xforward(&arena, rows[i], &x, &why));
		assert_int_equal(why.code, 501);
	}
	memset(args + 5, 'h', 256);
	assert_false(smtp_command_xforward(&arena, args, &x, &why));
	args[5 + 255] = '\0';
	assert_true(smtp_command_xforward(&arena, args, &x, &why));
	assert_int_equal(strlen(x.helo), 255);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_verb_is_letters_and_ends_at_a_blank),
		cmocka_unit_test(a_path_is_taken_whole_or_refused),
		cmocka_unit_test(a_recipient_is_never_empty),
		cmocka_unit_test(octets_above_ascii_need_smtputf8),
		cmocka_unit_test(an_address_has_at_most_1000_octets),
		cmocka_unit_test(a_path_cut_anywhere_is_refused),
		cmocka_unit_test(mail_takes_size_and_body_and_nothing_else),
		cmocka_unit_test(mail_takes_what_is_offered_once_and_whole),
		cmocka_unit_test(rcpt_takes_notify_and_orcpt),
		cmocka_unit_test(rcpt_takes_nothing_where_dsn_is_not_offered),
		cmocka_unit_test(bdat_has_a_count_and_perhaps_last),
		cmocka_unit_test(xforward_fills_what_it_names),
		cmocka_unit_test(xforward_values_are_xtext),
		cmocka_unit_test(xforward_refuses_what_it_does_not_know_or_hold),
	};

	return cmocka_run_group_tests(tests, NULL, free_arena);
}
