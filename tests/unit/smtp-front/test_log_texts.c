/* Log lines, replies and macros of a mail, expanded for mails of the test's own. */
#include "make_txn.h"

#include "outcome/log_texts.h"
#include "outcome/reason.h"
#include "outcome/template.h"

#define MAIL                                                                                       \
	"Received: from inner (inner.example [203.0.113.77]) by mail.example.com with ESMTP;\r\n"  \
	"\tSat, 28 Nov 2026 10:00:00 +0000\r\n"                                                    \
	"Message-ID: <1@example.com>\r\n"                                                          \
	"From: Ann <ann@example.com>, =?utf-8?Q?B=C3=A9?= <b@example.com>\r\n"                     \
	"Subject: =?utf-8?Q?caf=C3=A9=0ALOG?= \"x\"\r\n"                                           \
	"User-Agent: Test/1.0 (x  y)\r\n"                                                          \
	"X-Twice: one\r\n"                                                                         \
	"x-twice: two\r\n"                                                                         \
	"\r\n"                                                                                     \
	"text\r\n\r\n"

static struct made *a_mail(const char *lua)
{
	static struct smtp_xforward client = { .name = "mail.example.com",
		.addr = "198.51.100.7",
		.port = "52344",
		.proto = "ESMTP",
		.helo = "helo.example.com",
		.ident = "4QabcdZ" };
	struct made *m = make_txn(lua);
	struct txn *t = &m->txn;

	t->sender = "ann@example.com";
	t->peer_port = 4242;
	t->tls = "TLSv1.3 with cipher TLS_AES_256_GCM_SHA384 (256/256 bits)";
	t->xforward = client;
	t->has_xforward = true;
	t->start_us = mw_mono_us();
	t->facts.sender = mw_octets_of_text("");
	make_body(m, MAIL, strlen(MAIL));
	assert_int_equal(txn_read(t), MW_OK);
	return m;
}

static struct txn_rcpt *a_rcpt(struct made *m, const char *addr, unsigned ccat)
{
	struct txn_rcpt *r = make_rcpt(m, addr);

	r->ccats[0] = ccat;
	r->ccat_count = 1;
	r->code = 250;
	r->action = MW_ACT_PASS;
	r->delivered = r->from_next_hop = true;
	r->reply = "250 2.0.0 from MTA(smtp:[127.0.0.1]:10025): 250 2.0.0 Ok: queued as 4QbW2";
	return r;
}

static void refuse(struct txn_rcpt *r, unsigned ccat)
{
	r->ccat_blocking = ccat;
	r->code = 554;
	r->action = MW_ACT_REJECT;
	r->delivered = r->from_next_hop = false;
	r->reply = "554 5.7.0 Reject, id=00001-01 - x";
}

static void score(struct txn_rcpt *r, int32_t milli)
{
	r->has_score = true;
	r->score_milli = milli;
	r->tag = milli >= r->tag_milli;
	r->tag2 = milli >= r->tag2_milli;
	r->kill = milli >= r->kill_milli;
}

static const char *expanded(struct made *m, const char *text, const struct txn_rcpt *rcpt)
{
	static struct mw_text out;
	struct txn *t = &m->txn;
	struct mw_record_rcpt *rcpts = calloc(t->rcpt_count, sizeof(*rcpts));
	struct mw_record r = { .rcpt_count = t->rcpt_count,
		.rcpts = rcpts,
		.originating = t->originating,
		.quarantine = mw_octets_of_text(t->quarantined ? t->copies[0].name : NULL) };
	const struct template_scope scope = {
		.txn = t, .rcpt = rcpt, .record = &r, .most = 16384, .escape = true
	};
	struct template_code *code = NULL;
	struct mw_err err = { "" };

	for (size_t i = 0; i < t->rcpt_count; i++)
		rcpts[i] = (struct mw_record_rcpt){ .is_local = t->rcpts[i].is_local,
			.action = t->rcpts[i].action,
			.delivered = t->rcpts[i].delivered,
			.tagged = t->rcpts[i].tagged };
	if (template_new(text, &code, &err) != MW_OK)
		fail_msg("%s: %s", text, err.text);
	mw_text_clear(&out);
	assert_int_equal(template_expand(code, &scope, &out), MW_OK);
	template_unref(&code);
	free(rcpts);
	return out.p != NULL ? out.p : "";
}

/* Its times are no test's. */
static void assert_line(
	struct made *m, const char *text, const struct txn_rcpt *rcpt, const char *expected)
{
	char line[4096], *p;

	mw_strlcpy(line, expanded(m, text, rcpt), sizeof(line));
	for (char *at = line; (p = strstr(at, " ms")) != NULL; at = p + 3) {
		char *digits = p;

		while (digits > line && digits[-1] >= '0' && digits[-1] <= '9')
			digits--;
		memmove(digits + 1, p, strlen(p) + 1);
		*digits = 'N';
		p = digits + 1;
	}
	assert_string_equal(line, expected);
}

#define IN "[198.51.100.7]:52344 [203.0.113.77] "
#define IDS "Queue-ID: 4QabcdZ, Message-ID: <1@example.com>, mail_id: abcdefghijkl, "

static void the_short_line_is_amavisds(void **state)
{
	struct made *m = a_mail("");
	struct txn_rcpt *r = a_rcpt(m, "bob@example.org", MW_CCAT(MW_CC_CLEAN, 0));
	static struct txn_copy copies[] = { { .name = "spam-abcdefghijkl.gz" } };
	char expected[1024];

	(void)state;
	snprintf(expected, sizeof(expected),
		"Passed CLEAN {RelayedInbound}, " IN "<ann@example.com> -> <bob@example.org>, " IDS
		"Hits: -, size: %zu, queued_as: 4QbW2, N ms\n",
		strlen(MAIL));
	assert_line(m, log_short_text, NULL, expected);
	a_rcpt(m, "carl@other.example", MW_CCAT(MW_CC_SPAM, 0));
	m->txn.quarantined = true;
	m->txn.copies = copies;
	m->txn.copy_count = 1;
	refuse(&m->txn.rcpts[1], MW_CCAT(MW_CC_SPAM, 0));
	score(&m->txn.rcpts[0], 3000);
	score(&m->txn.rcpts[1], 17791);
	snprintf(expected, sizeof(expected),
		"Passed SPAM {RejectedOpenRelay,RelayedInbound,Quarantined}, " IN
		"<ann@example.com> -> <bob@example.org>, quarantine: spam-abcdefghijkl.gz, " IDS
		"Hits: 3..17.791, size: %zu, queued_as: 4QbW2, N ms\n"
		"Blocked SPAM {RejectedOpenRelay,RelayedInbound,Quarantined}, " IN
		"<ann@example.com> -> <carl@other.example>, quarantine: spam-abcdefghijkl.gz, " IDS
		"Hits: 3..17.791, size: %zu, N ms",
		strlen(MAIL), strlen(MAIL));
	assert_line(m, log_short_text, NULL, expected);
	r = &m->txn.rcpts[0];
	assert_line(m, log_recip_text, r,
		"Passed CLEAN, <ann@example.com> -> <bob@example.org>, Hits: 3, tag=2, tag2=6.31, "
		"kill=6.31, queued_as: 4QbW2, L/Y/0/0");
	end_txn(m);
}

/* In a text for people what the check has escaped is UTF-8 again, but what would mislead them. */
static void names_of_banned_parts_are_for_people(void **state)
{
	static const struct {
		const char *part, *told;
	} rows[] = {
		{ "t/t,a.exe", "t/t,a.exe" },
		{ "gr\\x{C3}\\x{BC}n.exe", "gr\xc3\xbcn.exe" },
		{ "\\x{E2}\\x{98}\\x{83}\\x{C3}\\x{BC}", "\xe2\x98\x83\xc3\xbc" },
		{ "\\x{F0}\\x{9F}\\x{92}\\x{A9}", "\xf0\x9f\x92\xa9" },
		/* cut, no UTF-8, a control, another direction, ASCII's escapes */
		{ "\\x{C3}", "\\x{C3}" },
		{ "\\x{E2}\\x{98}x", "\\x{E2}\\x{98}x" },
		{ "\\x{C3}\\x{2E}", "\\x{C3}\\x{2E}" },
		{ "\\x{C2}\\x{85}", "\\x{C2}\\x{85}" },
		{ "a\\x{E2}\\x{80}\\x{AE}exe.doc", "a\\x{E2}\\x{80}\\x{AE}exe.doc" },
		{ "\\x{41}\\x{0A}", "\\x{41}\\x{0A}" },
		{ "\\x{FF}\\x{C3}\\x{BC}\\x{C3", "\\x{FF}\xc3\xbc\\x{C3" },
	};
	struct made *m = a_mail("");
	struct txn_rcpt *r = a_rcpt(m, "bob@example.org", MW_CCAT(MW_CC_BANNED, 0));
	struct template_code *code = NULL;
	struct mw_err err = { "" };
	struct mw_text out = { 0 };

	(void)state;
	r->banned = true;
	assert_int_equal(template_new("%F", &code, &err), MW_OK);
	for (size_t i = 0; i < 2 * MW_COUNT(rows); i++) {
		bool lines = i % 2 == 0;
		const struct template_scope scope = {
			.txn = &m->txn, .most = 1024, .escape = true, .lines = lines
		};

		r->banned_part = rows[i / 2].part;
		mw_text_clear(&out);
		assert_int_equal(template_expand(code, &scope, &out), MW_OK);
		if (lines)
			assert_string_equal(out.p, rows[i / 2].told);
		else
			assert_null(strpbrk(out.p, "\xc3\xe2\xf0\x9f"));
	}
	mw_text_fini(&out);
	template_unref(&code);
	end_txn(m);
}

static void for_the_sender_is(struct made *m, const char *text, const char *expected)
{
	const struct template_scope scope = {
		.txn = &m->txn, .most = 4096, .escape = true, .lines = true, .for_sender = true
	};
	struct template_code *code = NULL;
	struct mw_text out = { 0 };
	struct mw_err err = { "" };

	assert_int_equal(template_new(text, &code, &err), MW_OK);
	assert_int_equal(template_expand(code, &scope, &out), MW_OK);
	assert_string_equal(out.p, expected);
	mw_text_fini(&out);
	template_unref(&code);
}

static void a_sender_reads_of_recipients_as_he_knows_them(void **state)
{
	struct made *m = a_mail("");

	(void)state;
	a_rcpt(m, "inside@mx7.example.org", MW_CCAT(MW_CC_CLEAN, 0))->given = "ann@example.org";
	refuse(a_rcpt(m, "box9@mx7.example.org", MW_CCAT(MW_CC_BANNED, 0)), 80);
	m->txn.rcpts[1].given = "bob@example.org";
	a_rcpt(m, "journal@example.org", MW_CCAT(MW_CC_CLEAN, 0))->added = true;
	a_rcpt(m, "gone@example.org", MW_CCAT(MW_CC_CLEAN, 0))->removed = true;
	m->txn.rcpts[3].delivered = false;
	a_rcpt(m, "thrown@example.org", MW_CCAT(MW_CC_SPAM, 0))->delivered = false;
	m->txn.rcpts[4].action = MW_ACT_DISCARD;
	m->txn.rcpts[4].ccat_blocking = MW_CCAT(MW_CC_SPAM, 0);
	for_the_sender_is(m, "[%D|%D|,] %#D [%O|%O|,] %#O [%R|%R|,] %#R",
		"<ann@example.org> 1 <bob@example.org> 1 ann@example.org,bob@example.org 2");
	for_the_sender_is(
		m, "[%N|%N|,]", "<bob@example.org>:\n   554 5.7.0 Reject, id=00001-01 - x");
	/* An administrator reads of all of them as they are. */
	assert_string_equal(expanded(m, "[%D|%D|,] %#N %#R", NULL),
		"<inside@mx7.example.org>,<journal@example.org> 3 5");
	end_txn(m);
}

static void a_recipient_reads_of_its_own_copy_and_of_no_address(void **state)
{
	static const struct next_hops hops = { 0 };
	static struct txn_copy copies[] = { { .name = "ann@example.org", .route = &hops },
		{ .name = "p/virus-abcdefghijkl" },
		{ .name = "all@archive.example", .archive = true } };
	struct made *m = a_mail("");

	(void)state;
	m->txn.quarantined = true;
	m->txn.copies = copies;
	m->txn.copy_count = 3;
	for (int i = 0; i < 4; i++)
		a_rcpt(m, "bob@example.org", MW_CCAT(MW_CC_VIRUS, 0))->copy = i - 1;
	assert_string_equal(expanded(m, "%q", NULL),
		"ann@example.org, p/virus-abcdefghijkl, all@archive.example");
	assert_string_equal(expanded(m, "%#q %q", &m->txn.rcpts[0]), "0 ");
	assert_string_equal(expanded(m, "%#q %q", &m->txn.rcpts[1]), "1 abcdefghijkl");
	assert_string_equal(expanded(m, "%#q %q", &m->txn.rcpts[2]), "1 p/virus-abcdefghijkl");
	assert_string_equal(expanded(m, "%#q %q", &m->txn.rcpts[3]), "0 ");
	end_txn(m);
}

/* What a stranger chooses to write in front of our own keys is one word. */
static void no_value_forges_a_key(void **state)
{
	static const char forged[] = ", mail_id: AAAAAAAAAAAA, Hits: -9.9, size: 1, 5 ms";
	struct made *m = a_mail("");
	char mail[1024], sender[128], part[128], virus[128];
	struct txn_rcpt *r;

	(void)state;
	smtp_body_unref(&m->txn.body);
	mw_header_fini(&m->txn.header);
	snprintf(mail, sizeof(mail),
		"Message-ID: <1%s@b>\r\nResent-Message-ID: <a@b>%s\r\nUser-Agent: a%s\r\n\r\n",
		forged, forged, forged);
	make_body(m, mail, strlen(mail));
	assert_int_equal(txn_read(&m->txn), MW_OK);
	snprintf(sender, sizeof(sender), "\"x> -> <y@z>%s\"@example.com", forged);
	snprintf(part, sizeof(part), "a) {RelayedInbound}%s.exe", forged);
	snprintf(virus, sizeof(virus), "a)%s", forged);
	m->txn.sender = sender;
	m->txn.xforward.helo = sender;
	for (unsigned major = MW_CC_BANNED; major <= MW_CC_VIRUS; major++) {
		r = a_rcpt(m, sender, MW_CCAT(major, 0));
		r->banned = true;
		r->banned_part = part;
		make_virus(m, virus);
		for (int i = 0; i < 2; i++) {
			const char *line =
				expanded(m, i == 0 ? log_short_text : log_verbose_text, NULL);

			assert_null(strstr(line, ", mail_id: A"));
			assert_non_null(strstr(line, ", Resent-Message-ID: <a@b>, mail_id: abc"));
		}
		assert_null(strstr(expanded(m, log_recip_text, r), ", Hits: -9.9"));
	}
	end_txn(m);
}

static void a_long_identifier_is_left_out_of_the_line(void **state)
{
	struct made *m = a_mail("");
	struct mw_text mail = { 0 };
	const char *line;

	(void)state;
	smtp_body_unref(&m->txn.body);
	mw_header_fini(&m->txn.header);
	mw_text_add(&mail, "Resent-Message-ID: <");
	for (int i = 0; i < 40; i++)
		mw_text_addf(&mail, "%0500d\r\n ", i);
	mw_text_add(&mail, "@b>\r\nUser-Agent: ");
	for (int i = 0; i < 40; i++)
		mw_text_addf(&mail, "%0500d\r\n ", i);
	mw_text_add(&mail, "x\r\n\r\n");
	make_body(m, mail.p, mail.n);
	mw_text_fini(&mail);
	assert_int_equal(txn_read(&m->txn), MW_OK);
	a_rcpt(m, "bob@example.org", MW_CCAT(MW_CC_CLEAN, 0));
	line = expanded(m, log_verbose_text, NULL);
	assert_null(strstr(line, "Resent-Message-ID"));
	assert_non_null(strstr(line, ", mail_id: abcdefghijkl"));
	assert_non_null(strstr(line, "queued_as: 4QbW2"));
	assert_true(strlen(line) < 2000);
	end_txn(m);
}

/* echo "a" | md5sum and so on; a run of lines longer than what is hashed at once. */
static void the_digest_is_of_lines_that_end_with_lf(void **state)
{
	static const struct {
		const char *line;
		unsigned times;
		const char *digest;
	} rows[] = {
		{ "a\r\n", 1, "60b725f10c9c85c70d97880dfe8191b3" },
		{ "a\rb\nc\r", 1, "09cf3516139155ef1a8effc6cf4a65a4" },
		{ "0123456789\r\n", 10000, "ba19dd99f607e37c4d51332d7e36fed1" },
		{ "\r\n", 40000, "3bc20c47625b9ec5b83ef34990c7916e" },
	};

	(void)state;
	for (size_t i = 0; i < MW_COUNT(rows); i++) {
		struct made *m = make_txn("");
		struct mw_text mail = { 0 };

		mw_text_add(&mail, "A: b\r\n\r\n");
		for (unsigned k = 0; k < rows[i].times; k++)
			mw_text_add(&mail, rows[i].line);
		make_body(m, mail.p, mail.n);
		assert_string_equal(expanded(m, "%b", NULL), rows[i].digest);
		/* Once for each mail, however often a text asks for it. */
		m->txn.header.body = 0;
		assert_string_equal(expanded(m, "%b", NULL), rows[i].digest);
		assert_string_equal(expanded(m, "[:hexenc|[:body_digest]]", NULL), rows[i].digest);
		mw_text_fini(&mail);
		end_txn(m);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_short_line_is_amavisds),
		cmocka_unit_test(names_of_banned_parts_are_for_people),
		cmocka_unit_test(a_sender_reads_of_recipients_as_he_knows_them),
		cmocka_unit_test(a_recipient_reads_of_its_own_copy_and_of_no_address),
		cmocka_unit_test(no_value_forges_a_key),
		cmocka_unit_test(a_long_identifier_is_left_out_of_the_line),
		cmocka_unit_test(the_digest_is_of_lines_that_end_with_lf),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
