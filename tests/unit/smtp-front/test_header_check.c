/* Header sections and what is told of them, in amavisd's words. */
#include "make_txn.h"

#include "checks/header_check.h"

#define ALL (MW_BIT(HEADER_TESTS) - 1)
#define USUAL (ALL & ~MW_BIT(HEADER_TEST_UTF8))
#define HEAD "Date: now\r\nFrom: a@example.org\r\n"
#define FIFTY "12345678901234567890123456789012345678901234567890"

static struct smtp_arena arena;
static struct mw_header header;

static int free_all(void **state)
{
	(void)state;
	smtp_arena_fini(&arena);
	mw_header_fini(&header);
	return 0;
}

static void check(
	const void *octets, size_t n, unsigned tests, bool smtputf8, struct header_findings *r)
{
	*r = (struct header_findings){ 0 };
	assert_int_equal(mw_header_index(&header, mw_octets_of(octets, n)), MW_OK);
	assert_int_equal(header_check(&arena, &header, tests, smtputf8, r), MW_OK);
	for (size_t i = 0; i < r->count; i++)
		assert_true(mw_is_printable(r->texts[i], strlen(r->texts[i])));
}

static const struct row {
	const char *fields; /* behind HEAD */
	unsigned tests;
	bool smtputf8;
	const char *text; /* of the first finding; NULL: none */
	unsigned minors;  /* bits */
} rows[] = {
	{ "Subject: hello\r\n", ALL, false, NULL, 0 },
	{ "Subject : obsolete syntax\r\n", ALL, false, NULL, 0 },
	{ "X-Tab:\ta\tb\r\n", ALL, false, NULL, 0 },
	{ "Subject:\r\n", ALL, false, NULL, 0 },
	{ "Subject: \r\n", ALL, false, NULL, 0 },
	{ "Subject: a\r\n b\r\n\tc\r\n", ALL, false, NULL, 0 },
	/* syntax */
	{ "no field\r\n", USUAL, false, "Invalid header field syntax: no field",
		MW_BIT(HEADER_BAD_SYNTAX) },
	{ "no field\r\n more\r\n", USUAL, false,
		"Invalid header field syntax: no field\\x{0A} more", MW_BIT(HEADER_BAD_SYNTAX) },
	{ ": no name\r\n", USUAL, false, "Invalid header field syntax: : no name",
		MW_BIT(HEADER_BAD_SYNTAX) },
	{ "--boundary: x\r\n", USUAL, false, "Invalid header field syntax: --boundary: x",
		MW_BIT(HEADER_BAD_SYNTAX) },
	{ "--boundary: x\r\n", USUAL & ~MW_BIT(HEADER_TEST_SYNTAX), false, NULL, 0 },
	{ "-one: x\r\n", USUAL, false, NULL, 0 },
	{ "a\\x{41} b\r\n", USUAL, false, "Invalid header field syntax: a\\x{5C}x{41} b",
		MW_BIT(HEADER_BAD_SYNTAX) },
	{ "X\xe9Y: v\r\n", USUAL, false,
		"Invalid header field name, contains non-ASCII char (char E9 hex): X\\x{E9}Y: v",
		MW_BIT(HEADER_BAD_SYNTAX) },
	{ "X\xe9Y: v\r\n", USUAL & ~MW_BIT(HEADER_TEST_SYNTAX), false,
		"Non-encoded non-ASCII data (and not UTF-8) (char E9 hex): X\\x{E9}Y: v",
		MW_BIT(HEADER_BAD_8BIT) },
	/* all-blank folds */
	{ "X-A: a\r\n \t\r\n b\r\n", USUAL, false,
		"Improper folded header field made up entirely of whitespace (char 20 09 hex): "
		"X-A: a\\x{0A} \\x{09}\\x{0A} b",
		MW_BIT(HEADER_BAD_EMPTY) },
	{ "X-A: a\r\n     \r\n", USUAL, false,
		"Improper folded header field made up entirely of whitespace: X-A: a\\x{0A}     ",
		MW_BIT(HEADER_BAD_EMPTY) },
	{ "X-A: a\r\n \r\n", USUAL & ~MW_BIT(HEADER_TEST_EMPTY), false, NULL, 0 },
	/* control characters: 0x01 is none of those that are looked for alone */
	{ "X-A: a\rb\r\n", USUAL, false,
		"Improper use of control character (char 0D hex): X-A: a\\x{0D}b",
		MW_BIT(HEADER_BAD_CONTROL) },
	{ "X-A: a\r\r\n", USUAL, false,
		"Improper use of control character (char 0D hex): X-A: a\\x{0D}",
		MW_BIT(HEADER_BAD_CONTROL) },
	{ "X-A: a\rb\r\n", USUAL & ~MW_BIT(HEADER_TEST_CONTROL), false, NULL, 0 },
	{ "X-A: a\001b\r\n", USUAL, false, NULL, 0 },
	/* beyond ASCII */
	{ "X-A: \xc3\r\n", USUAL, false,
		"Non-encoded non-ASCII data (and not UTF-8) (char C3 hex): X-A: \\x{C3}",
		MW_BIT(HEADER_BAD_8BIT) },
	{ "X-A: \xc3\r\n", USUAL, true,
		"Non-encoded non-ASCII data (and not UTF-8) (char C3 hex): X-A: \\x{C3}",
		MW_BIT(HEADER_BAD_8BIT) },
	{ "X-A: \xc3\r\n", USUAL & ~MW_BIT(HEADER_TEST_8BIT), false, NULL, 0 },
	{ "X-A: \xc3\xa9\r\n", USUAL, false, NULL, 0 },
	{ "X-A: \xc3\xa9\r\n", ALL, true, NULL, 0 },
	{ "X-A: \xc3\xa9\r\n", ALL, false,
		"Non-encoded UTF-8 string in non-EAI mail (char C3 A9 hex): X-A: \\x{C3}\\x{A9}",
		MW_BIT(HEADER_BAD_8BIT) },
	{ "X-A: \xc3\xa9\001\r\n", USUAL, true,
		"UTF-8 string contains C0 Controls (char 01 hex): X-A: \\x{C3}\\x{A9}\\x{01}",
		MW_BIT(HEADER_BAD_8BIT) },
	{ "X-A: \xc3\xa9\x7f\r\n", USUAL, true,
		"UTF-8 string contains C0 Controls (char 7F hex): X-A: \\x{C3}\\x{A9}\\x{7F}",
		MW_BIT(HEADER_BAD_8BIT) },
	{ "X-A: \xc2\x85\r\n", USUAL, true,
		"UTF-8 string contains C1 Controls (char C2 85 hex): X-A: \\x{C2}\\x{85}",
		MW_BIT(HEADER_BAD_8BIT) },
	{ "X-A: \xed\xa0\x80\r\n", USUAL, true,
		"Non-encoded non-ASCII data (and not UTF-8) (char ED hex): X-A: "
		"\\x{ED}\\x{A0}\\x{80}",
		MW_BIT(HEADER_BAD_8BIT) },
	{ "X-A: \xc0\x80\r\n", USUAL, true,
		"Non-encoded non-ASCII data (and not UTF-8) (char C0 hex): X-A: \\x{C0}\\x{80}",
		MW_BIT(HEADER_BAD_8BIT) },
	/* surroundings are cut */
	{ "X-A: " FIFTY FIFTY "\xe9" FIFTY "\r\n", USUAL, false,
		"Non-encoded non-ASCII data (and not UTF-8) (char E9 hex): X-A: "
		"...6789012345678901234567890\\x{E9}123456789012345[...]",
		MW_BIT(HEADER_BAD_8BIT) },
	{ "X-A: \xe9"
	  "12345678901234567890\r\n",
		USUAL, false,
		"Non-encoded non-ASCII data (and not UTF-8) (char E9 hex): X-A: "
		"\\x{E9}12345678901234567890",
		MW_BIT(HEADER_BAD_8BIT) },
	{ "X-A: \xe9"
	  "12345678901234\xc3\xa9"
	  "7890123\r\n",
		USUAL, false,
		"Non-encoded non-ASCII data (and not UTF-8) (char E9 hex): X-A: "
		"\\x{E9}12345678901234[...]",
		MW_BIT(HEADER_BAD_8BIT) },
	/* how often */
	{ "Subject: a\r\nsubject: b\r\n", USUAL, false, "Duplicate header field: \"Subject\"",
		MW_BIT(HEADER_BAD_DUPLICATE) },
	{ "To: a\r\nTO: b\r\nto: c\r\n", USUAL, false,
		"Header field occurs more than once: \"To\" occurs 3 times",
		MW_BIT(HEADER_BAD_DUPLICATE) },
	{ "To: a\r\nTO: b\r\n", USUAL & ~MW_BIT(HEADER_TEST_MULTIPLE), false, NULL, 0 },
	{ "Received: a\r\nReceived: b\r\nX-A: 1\r\nX-A: 2\r\n", USUAL, false, NULL, 0 },
	{ "MIME-Version: 1.0\r\nMime-Version: 1.0\r\n", USUAL, false,
		"Duplicate header field: \"MIME-Version\"", MW_BIT(HEADER_BAD_DUPLICATE) },
	{ "Content-ID: a\r\nContent-Id: b\r\n", USUAL, false,
		"Duplicate header field: \"Content-ID\"", MW_BIT(HEADER_BAD_DUPLICATE) },
	{ "Content-Description: a\r\nContent-description: b\r\n", USUAL, false,
		"Duplicate header field: \"Content-Description\"", MW_BIT(HEADER_BAD_DUPLICATE) },
	{ "Content-Disposition: a\r\nContent-disposition: b\r\n", USUAL, false,
		"Duplicate header field: \"Content-Disposition\"", MW_BIT(HEADER_BAD_DUPLICATE) },
	{ "Auto-Submitted: no\r\nAuto-submitted: no\r\n", USUAL, false,
		"Duplicate header field: \"Auto-Submitted\"", MW_BIT(HEADER_BAD_DUPLICATE) },
	/* the first test that a field fails is told, and all kinds are known */
	{ "X-A: \xe9\r\n \r\n", USUAL, false,
		"Improper folded header field made up entirely of whitespace (char 20 hex): X-A: "
		"\\x{E9}\\x{0A} ",
		MW_BIT(HEADER_BAD_EMPTY) },
	{ "X-A: \xe9\r\nX-B: a\rb\r\nCc: a\r\ncc: b\r\n", USUAL, false,
		"Non-encoded non-ASCII data (and not UTF-8) (char E9 hex): X-A: \\x{E9}",
		MW_BIT(HEADER_BAD_8BIT) | MW_BIT(HEADER_BAD_CONTROL) |
			MW_BIT(HEADER_BAD_DUPLICATE) },
	{ "X-A: \xe9\r\n", 0, false, NULL, 0 },
};

static void each_fault_is_told_as_amavisd_tells_it(void **state)
{
	char message[1000];
	struct header_findings r;

	(void)state;
	for (size_t i = 0; i < MW_COUNT(rows); i++) {
		int n = snprintf(message, sizeof(message), HEAD "%s\r\nbody", rows[i].fields);

		check(message, (size_t)n, rows[i].tests, rows[i].smtputf8, &r);
		if (r.minors != rows[i].minors)
			fail_msg("%s: minors %x, expected %x", rows[i].fields, r.minors,
				rows[i].minors);
		if (rows[i].text == NULL)
			assert_int_equal(r.count, 0);
		else
			assert_string_equal(r.texts[0], rows[i].text);
	}
}

static void a_nul_is_a_control_character(void **state)
{
	static const char message[] = HEAD "X-A: a\0b\r\n\r\n";
	struct header_findings r;

	(void)state;
	check(message, sizeof(message) - 1, USUAL, false, &r);
	assert_int_equal(r.count, 1);
	assert_string_equal(
		r.texts[0], "Improper use of control character (char 00 hex): X-A: a\\x{00}b");
}

static void a_line_has_998_characters_at_most(void **state)
{
	char message[3000];
	struct header_findings r;

	(void)state;
	for (int n = 990; n <= 1000; n++) { /* of the line, without its end */
		int at = snprintf(message, sizeof(message), HEAD "X-A: ");

		memset(message + at, 'x', (size_t)n - 5);
		strcpy(message + at + n - 5, "\r\n next\r\n\r\n");
		check(message, strlen(message), USUAL, false, &r);
		assert_int_equal(r.count, n > 998);
		if (n > 998)
			assert_string_equal(r.texts[0],
				"Header line longer than 998 characters: X-A: "
				"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx[...]");
		check(message, strlen(message), USUAL & ~MW_BIT(HEADER_TEST_LONG), false, &r);
		assert_int_equal(r.count, 0);
	}
}

static void date_and_from_are_missed(void **state)
{
	struct header_findings r;

	(void)state;
	check("Subject: x\r\n\r\n", 14, USUAL, false, &r);
	assert_int_equal(r.count, 2);
	assert_string_equal(r.texts[0], "Missing required header field: \"Date\"");
	assert_string_equal(r.texts[1], "Missing required header field: \"From\"");
	assert_int_equal(r.minors, MW_BIT(HEADER_BAD_MISSING));
	check("\r\n", 2, USUAL, false, &r);
	assert_int_equal(r.count, 2);
	check("", 0, USUAL & ~MW_BIT(HEADER_TEST_MISSING), false, &r);
	assert_int_equal(r.count, 0);
}

static void a_hundred_findings_are_told_and_every_kind_is_known(void **state)
{
	struct mw_text m = { 0 };
	struct header_findings r;

	(void)state;
	for (int i = 0; i < 150; i++)
		mw_text_addf(&m, "X-%d: \xe9\r\n", i);
	mw_text_add(&m, HEAD "To: a\r\nTo: b\r\n\r\n");
	check(m.p, m.n, USUAL, false, &r);
	assert_int_equal(r.count, HEADER_FINDINGS_MAX);
	assert_int_equal(r.minors, MW_BIT(HEADER_BAD_8BIT) | MW_BIT(HEADER_BAD_DUPLICATE));
	mw_text_fini(&m);
}

/* Also of octets that are no header at all. */
static void a_section_cut_anywhere_is_read_to_its_end(void **state)
{
	static const char message[] = HEAD "X-A: \xc3\xa9\xe2\x82\xac \r\n \t\r\n b\rc\xf0\x9f\x98"
					   "\x80\r\n--x\r\nX\xe9: \xc2\x85\001\r\n\r\n";
	struct header_findings r;

	(void)state;
	for (size_t n = 0; n < sizeof(message); n++) {
		char *copy = malloc(n + 1); /* its own, so that a step too far is seen */

		assert_non_null(copy);
		memcpy(copy, message, n);
		for (size_t from = 0; from < n; from += 7) {
			copy = realloc(copy, n + 1);
			check(copy + from, n - from, ALL, false, &r);
		}
		free(copy);
	}
}

static void long_names_and_folds_stay_within_bounds(void **state)
{
	static char message[100000];
	struct header_findings r;

	(void)state;
	memset(message, 'n', sizeof(message));
	message[70000] = '\xe9'; /* far in a name that is none */
	memcpy(message + 90000, ": x\r\n\r\n", 7);
	check(message, 90007, ALL, false, &r);
	assert_true(r.count > 0);
	for (size_t i = 0; i < r.count; i++)
		assert_in_range(strlen(r.texts[i]), 1, 2047);
}

/* ------------------------------------------------------------------ a mail */

static void recipients_may_bypass_it(void **state)
{
	static const char bad[] = "Subject: \xe9\r\n\r\nbody\r\n";
	struct made *m =
		make_txn("bypass_header_checks_maps = { { [\"b@example.org\"] = true } }\n");

	(void)state;
	make_rcpt(m, "b@example.org");
	make_body(m, bad, sizeof(bad) - 1);
	assert_int_equal(header_check_mail(&m->txn), MW_OK);
	assert_int_equal(m->txn.badh.count, 0);
	make_rcpt(m, "a@example.org");
	assert_int_equal(header_check_mail(&m->txn), MW_OK);
	assert_int_equal(m->txn.badh.count, 3);
	assert_int_equal(m->txn.badh.minors, MW_BIT(HEADER_BAD_8BIT) | MW_BIT(HEADER_BAD_MISSING));
	end_txn(m);
}

static void errors_of_mime_are_told_behind(void **state)
{
	static const char good[] = HEAD "\r\nbody\r\n";
	struct made *m = make_txn("");

	(void)state;
	make_rcpt(m, "a@example.org");
	make_body(m, good, sizeof(good) - 1);
	m->txn.found.mime_errors = mw_octets_of_text("no_boundary,long_field");
	assert_int_equal(header_check_mail(&m->txn), MW_OK);
	assert_int_equal(m->txn.badh.count, 1);
	assert_string_equal(m->txn.badh.texts[0], "MIME error: no_boundary,long_field");
	assert_int_equal(m->txn.badh.minors, MW_BIT(HEADER_BAD_MIME));
	end_txn(m);
}

static void tests_are_switched_by_name(void **state)
{
	static const char bad[] = "Subject: \xe9\r\n\r\nbody\r\n";
	struct made *m = make_txn("allowed_header_tests = { missing = false, [\"8bit\"] = 0 }\n");
	char *errors = NULL;
	struct mw_conf *conf = conf_of("allowed_header_tests = { sumtax = true }\n", &errors);
	struct mw_err err = { "" };
	unsigned tests;

	(void)state;
	make_rcpt(m, "a@example.org");
	make_body(m, bad, sizeof(bad) - 1);
	assert_int_equal(header_check_mail(&m->txn), MW_OK);
	assert_int_equal(m->txn.badh.count, 0);
	end_txn(m);
	if (conf != NULL) {
		assert_int_equal(header_tests_of(conf, &tests, &err), MW_ERR_CONF);
		assert_non_null(strstr(err.text, "sumtax"));
		mw_conf_destroy(&conf);
	}
	free(errors);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_fault_is_told_as_amavisd_tells_it),
		cmocka_unit_test(a_nul_is_a_control_character),
		cmocka_unit_test(a_line_has_998_characters_at_most),
		cmocka_unit_test(date_and_from_are_missed),
		cmocka_unit_test(a_hundred_findings_are_told_and_every_kind_is_known),
		cmocka_unit_test(a_section_cut_anywhere_is_read_to_its_end),
		cmocka_unit_test(long_names_and_folds_stay_within_bounds),
		cmocka_unit_test(recipients_may_bypass_it),
		cmocka_unit_test(errors_of_mime_are_told_behind),
		cmocka_unit_test(tests_are_switched_by_name),
	};

	return cmocka_run_group_tests(tests, NULL, free_all);
}
