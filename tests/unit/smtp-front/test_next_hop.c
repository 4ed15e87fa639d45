/* Methods as an admin writes them, and the commands that a next hop gets. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "delivery/client_commands.h"
#include "delivery/idn.h"
#include "delivery/next_hop.h"
#include "front.h"

/* main.c's, which is not linked here. */
void front_txn_over(struct front *f)
{
	(void)f;
}

static void methods_are_read(void **state)
{
	static const struct {
		const char *method, *host;
		unsigned port;
		bool lmtp, any_host, any_port;
		const char *text;
	} rows[] = {
		{ "smtp:[127.0.0.1]:25", "127.0.0.1", 25, .text = "smtp:[127.0.0.1]:25" },
		{ "smtp:[::1]:10025", "::1", 10025, .text = "smtp:[::1]:10025" },
		{ "smtp:mx.example:65535", "mx.example", 65535, .text = "smtp:[mx.example]:65535" },
		{ "lmtp:host:24", "host", 24, .lmtp = true, .text = "lmtp:[host]:24" },
		{ "smtp:host:25:field:more", "host", 25, .text = "smtp:[host]:25" },
		{ "smtp:*:*", "*", 0, .any_host = true, .any_port = true, .text = "smtp:[*]:0" },
		{ "smtp:*:25", "*", 25, .any_host = true, .text = "smtp:[*]:25" },
		{ "smtp:[::1]:*", "::1", 0, .any_port = true, .text = "smtp:[::1]:0" },
		{ "smtp:/run/x.sock", "/run/x.sock", 0, .text = "smtp:/run/x.sock" },
		{ "lmtp:/run/x.sock", "/run/x.sock", 0, .lmtp = true, .text = "lmtp:/run/x.sock" },
	};

	(void)state;
	for (size_t i = 0; i < MW_COUNT(rows); i++) {
		struct next_hop h;
		struct mw_err err = { "" };

		if (next_hop_parse("forward_method", rows[i].method, &h, &err) != MW_OK)
			fail_msg("%s: %s", rows[i].method, err.text);
		assert_string_equal(h.host, rows[i].host);
		assert_int_equal(h.port, rows[i].port);
		assert_int_equal(h.lmtp, rows[i].lmtp);
		assert_int_equal(h.any_host, rows[i].any_host);
		assert_int_equal(h.any_port, rows[i].any_port);
		assert_string_equal(h.text, rows[i].text);
	}
}

static void what_is_none_is_refused(void **state)
{
	static const char *const rows[] = { "", "smtp", "smtp:", "smtp:host",
		"smtp:host:", "smtp::25", "smtp:[]:25", "smtp:[::1:25", "smtp:[::1]25",
		"smtp:host:0", "smtp:host:65536", "smtp:host:-1", "smtp:host:25x", "smtp:ho st:25",
		"smtp:h*:25", "smtp:*:", "smtp:*:*x", "SMTP:host:25", "pipe:x", "smtp:host\t:25",
		"smtp:[*]:25",
		"smtp:/"
		"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
		"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" };

	(void)state;
	for (size_t i = 0; i < MW_COUNT(rows); i++) {
		struct next_hop h = { .port = 99 };
		struct mw_err err = { "" };

		if (next_hop_parse("forward_method", rows[i], &h, &err) == MW_OK)
			fail_msg("%s was taken", rows[i]);
		assert_int_equal(h.port, 99);
		assert_non_null(strstr(err.text, "forward_method"));
	}
}

static void stars_are_filled_from_the_mails_way(void **state)
{
	struct next_hop h;

	(void)state;
	assert_int_equal(next_hop_parse("x", "smtp:*:*", &h, NULL), MW_OK);
	assert_false(next_hop_fill(&h, "", 0));
	assert_false(next_hop_fill(&h, "::1", 65535));
	assert_true(next_hop_fill(&h, "::1", 10024));
	assert_string_equal(h.text, "smtp:[::1]:10025");
	assert_true(next_hop_fill(&h, "", 0)); /* nothing is * any more */
}

static void lists_speak_one_protocol(void **state)
{
	static const char *const mixed[] = { "smtp:a:1", "lmtp:b:2" }, *const alike[] = {
		"lmtp:a:1", "lmtp:/b"
	};
	struct next_hop hops[2];
	struct mw_err err;

	(void)state;
	assert_int_equal(next_hops_parse("x", mixed, 2, hops, &err), MW_ERR_CONF);
	assert_int_equal(next_hops_parse("x", alike, 2, hops, &err), MW_OK);
	assert_string_equal(hops[1].text, "lmtp:/b");
}

static void parameters_are_said_where_they_are_offered(void **state)
{
	const struct smtp_mail_params m = {
		.body = SMTP_BODY_8BITMIME, .smtputf8 = true, .ret = SMTP_RET_HDRS, .envid = "a+2Bb"
	};
	const struct smtp_rcpt_params r = { .notify = SMTP_NOTIFY_SUCCESS | SMTP_NOTIFY_DELAY,
		.orcpt = "rfc822;b@c" };
	const struct client_offers all = { .size = true,
		.eightbit = true,
		.dsn = true,
		.smtputf8 = true },
				   none = { 0 };
	struct mw_text t = { 0 };

	(void)state;
	client_add_mail(&t, "a@b", &m, 12, &all);
	client_add_rcpt(&t, "b@c", &r, &all);
	assert_string_equal(t.p,
		"MAIL FROM:<a@b> SIZE=12 BODY=8BITMIME SMTPUTF8 RET=HDRS ENVID=a+2Bb\r\n"
		"RCPT TO:<b@c> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;b@c\r\n");
	mw_text_clear(&t);
	client_add_mail(&t, "", &m, 12, &none);
	client_add_rcpt(&t, "b@c", &r, &none);
	assert_string_equal(t.p, "MAIL FROM:<>\r\nRCPT TO:<b@c>\r\n");
	mw_text_fini(&t);
}

static void what_ehlo_offers_is_read(void **state)
{
	struct client_offers o;

	(void)state;
	client_offers_read(
		&o, "hop\nPIPELINING\nsize 1000\n8bitmime\nDSN\nSMTPUTF8\nXFORWARD ADDR");
	assert_true(o.pipelining && o.size && o.eightbit && o.dsn && o.smtputf8);
	assert_int_equal(o.size_limit, 1000);
	assert_int_equal(o.xforward, 2);
	client_offers_read(&o, "PIPELINING\nSIZES 5\nDSNX\nx DSN\n 8BITMIME\nXFORWARD");
	assert_false(o.pipelining || o.size || o.eightbit || o.dsn || o.smtputf8);
	assert_int_equal(o.xforward, 0);
	client_offers_read(&o, "hop\nSIZE");
	assert_true(o.size && o.size_limit == 0);
	client_offers_read(&o, "hop\nSIZE -1");
	assert_true(o.size && o.size_limit == 0);
	client_offers_read(&o, "hop\nSIZE 99999999999999999999999");
	assert_true(o.size_limit == UINT64_MAX);
	client_offers_read(&o, "");
	assert_false(o.size);
}

static void domains_become_a_labels_and_nothing_worse(void **state)
{
	static const struct {
		const char *addr, *ascii; /* NULL: it cannot be said */
	} rows[] = {
		{ "", "" }, { "a@example.org", "a@example.org" },
		{ "a@b\xc3\xbc"
		  "cher.example",
			"a@xn--bcher-kva.example" },
		{ "\"x@y\"@\xe4\xbe\x8b.example", "\"x@y\"@xn--fsq.example" },
		{ "\xc3\xbc@example.org", NULL },
		{ "\xc3\xbc@b\xc3\xbc"
		  "cher.example",
			NULL },
		{ "b\xc3\xbc"
		  "cher",
			NULL },
		{ "a@\xc3", NULL }, { "a@x\xef\xbc\x9e.example", NULL }, /* fullwidth > */
		{ "a@x\xe3\x80\x80y.example", NULL },			 /* ideographic space */
		{ "a@[\xc3\xbc]", NULL }, { "a@\xe2\x80\x8d", NULL },	 /* nothing is left of it */
	};

	(void)state;
	for (size_t i = 0; i < MW_COUNT(rows); i++) {
		char buf[IDN_ADDRESS_MAX];
		const char *got = idn_address(rows[i].addr, buf);

		if (rows[i].ascii == NULL && got != NULL)
			fail_msg("row %zu became %s", i, got);
		if (rows[i].ascii != NULL) {
			assert_non_null(got);
			assert_string_equal(got, rows[i].ascii);
		}
	}
}

static void an_offer_of_xforward_is_read(void **state)
{
	(void)state;
	assert_int_equal(client_xforward_offer("NAME ADDR PORT PROTO HELO IDENT SOURCE\n"), 127);
	assert_int_equal(client_xforward_offer("addr  NAMES NAM\nNAME"), 2);
	assert_int_equal(client_xforward_offer(""), 0);
}

static void hostile_values_stay_one_word_within_their_bound(void **state)
{
	char longest[2000];
	struct smtp_xforward x = { .name = "a b\r\nQUIT", .helo = longest, .ident = longest };
	unsigned bits[XFORWARDS_MAX];
	struct mw_text t = { 0 };
	size_t n;

	(void)state;
	memset(longest, 0xc3, sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	n = client_xforward_plan(&x, 127, bits);
	assert_true(n >= 2 && n <= XFORWARDS_MAX);
	for (size_t i = 0; i < n; i++) {
		size_t at = t.n;

		client_add_xforward(&t, &x, bits[i]);
		assert_true(t.n - at <= 512);
		assert_ptr_equal(strchr(t.p + at, '\r'), t.p + t.n - 2);
	}
	assert_non_null(strstr(t.p, " NAME=a+20b+0D+0AQUIT"));
	assert_non_null(strstr(t.p, " ADDR=[UNAVAILABLE]"));
	mw_text_fini(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(methods_are_read),
		cmocka_unit_test(what_is_none_is_refused),
		cmocka_unit_test(stars_are_filled_from_the_mails_way),
		cmocka_unit_test(lists_speak_one_protocol),
		cmocka_unit_test(parameters_are_said_where_they_are_offered),
		cmocka_unit_test(what_ehlo_offers_is_read),
		cmocka_unit_test(domains_become_a_labels_and_nothing_worse),
		cmocka_unit_test(an_offer_of_xforward_is_read),
		cmocka_unit_test(hostile_values_stay_one_word_within_their_bound),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
