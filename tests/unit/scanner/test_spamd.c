#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "spamd.h"

/* ------------------------------------------------------------------ replies */

#define REPORT                                                                                     \
	"Spam detection software, running on the system \"x\"\n\nContent preview:  buy\n\n"        \
	"Content analysis details:   (6.3 points, 5.0 required)\n\n"                               \
	" pts rule name              description\n"                                                \
	"---- ---------------------- --------------------------------------------------\n"         \
	" 1.2 FIRST                  Text\n"                                                       \
	"1000 GTUBE                  BODY: Generic\n"                                              \
	"-0.0 NO_RELAYS              Informational:\n"                                             \
	"                            99 NOT_A_RULE that goes on\n"                                 \
	" 0.7 LAST_2                 [score: 1.0]\n\n"
#define HEAD "SPAMD/1.1 0 EX_OK\r\nContent-length: %zu\r\nSpam: True ; 6.3 / 5.0\r\n\r\n"

static char whole[4096];

static size_t make_whole(void)
{
	return (size_t)snprintf(whole, sizeof(whole), HEAD REPORT, sizeof(REPORT) - 1);
}

static enum mw_rc read_text(const char *text, struct spamd_result *v, struct mw_err *why)
{
	struct spamd_reply r = { 0 };
	enum mw_rc rc;

	assert_true(spamd_reply_take(&r, text, strlen(text)) >= 0);
	rc = spamd_reply_read(&r, v, why);
	spamd_reply_fini(&r);
	return rc;
}

static void check_whole(const struct spamd_result *v)
{
	assert_int_equal(v->score_milli, 6300);
	assert_int_equal(v->required_milli, 5000);
	assert_true(v->spam);
	assert_string_equal(v->version, "1.1");
	assert_int_equal(v->test_count, 4);
	assert_string_equal(v->tests[0].name, "FIRST");
	assert_int_equal(v->tests[0].milli, 1200);
	assert_string_equal(v->tests[1].name, "GTUBE");
	assert_int_equal(v->tests[1].milli, 1000000);
	assert_string_equal(v->tests[2].name, "NO_RELAYS");
	assert_int_equal(v->tests[2].milli, 0);
	assert_string_equal(v->tests[3].name, "LAST_2");
}

static void a_report_gives_score_and_rules(void **state)
{
	struct spamd_result v;
	struct mw_err why;

	(void)state;
	make_whole();
	assert_int_equal(read_text(whole, &v, &why), MW_OK);
	check_whole(&v);
}

static void it_may_come_one_octet_at_a_time(void **state)
{
	struct spamd_reply r = { 0 };
	struct spamd_result v;
	struct mw_err why;
	size_t n = make_whole();

	(void)state;
	for (size_t i = 0; i < n; i++)
		assert_int_equal(spamd_reply_take(&r, whole + i, 1), i + 1 == n ? 1 : 0);
	assert_int_equal(spamd_reply_read(&r, &v, &why), MW_OK);
	check_whole(&v);
	spamd_reply_fini(&r);
}

static void every_cut_is_an_error_never_a_score(void **state)
{
	size_t n = make_whole();

	(void)state;
	for (size_t cut = 0; cut < n; cut++) {
		struct spamd_reply r = { 0 };
		struct spamd_result v;
		struct mw_err why = { "" };

		assert_int_equal(spamd_reply_take(&r, whole, cut), 0);
		assert_int_equal(spamd_reply_read(&r, &v, &why), MW_ERR_PROTO);
		assert_string_not_equal(why.text, "");
		spamd_reply_fini(&r);
	}
}

static void scores_come_in_many_shapes(void **state)
{
	static const struct {
		const char *field;
		bool ok;
		int score, required;
	} cases[] = {
		{ "Spam: False ; -1.25 / 5", true, -1250, 5000 },
		{ "spam: Yes ; 0.0 / 6.31", true, 0, 6310 },
		{ "SPAM: No;1/2", true, 1000, 2000 },
		{ "Spam: True ; 15.3456 / 5.0", true, 15345, 5000 },
		{ "Spam: True ; 999999 / 5.0", true, 999999000, 5000 },
		{ "Spam: True ; 9999999999 / 5.0", false },
		{ "Spam: True ; nan / 5.0", false },
		{ "Spam: True ; 1e5 / 5.0", false },
		{ "Spam: True ; 5.0", false },
		{ "Spam: True ; / 5.0", false },
		{ "Spam: True", false },
		{ "Spam: ", false },
		{ "Spam: Perhaps ; 1 / 5", false },
		{ "X: y", false },
		{ "X-Spam: True ; 1 / 5", false },
	};
	char text[256];

	(void)state;
	for (size_t i = 0; i < MW_COUNT(cases); i++) {
		struct spamd_result v;
		struct mw_err why;

		snprintf(text, sizeof(text), "SPAMD/1.5 0 EX_OK\r\n%s\r\n\r\n", cases[i].field);
		assert_int_equal(read_text(text, &v, &why), cases[i].ok ? MW_OK : MW_ERR_PROTO);
		if (cases[i].ok) {
			assert_int_equal(v.score_milli, cases[i].score);
			assert_int_equal(v.required_milli, cases[i].required);
			assert_int_equal(v.test_count, 0);
		}
	}
}

static void what_is_no_reply_is_told_with_its_words(void **state)
{
	struct spamd_result v;
	struct mw_err why;

	(void)state;
	assert_int_equal(
		read_text("SPAMD/1.0 76 Bad header line: (EOF)\r\n", &v, &why), MW_ERR_PROTO);
	assert_non_null(strstr(why.text, "76 Bad header line"));
	assert_int_equal(read_text("HTTP/1.1 200 OK\r\n\r\n", &v, &why), MW_ERR_PROTO);
	assert_int_equal(read_text("", &v, &why), MW_ERR_PROTO);
	assert_int_equal(read_text("SPAMD/\r\n\r\n", &v, &why), MW_ERR_PROTO);
	assert_int_equal(read_text("SPAMD/1.1 0\x01\x1b EX\r\n\r\n", &v, &why), MW_ERR_PROTO);
	assert_true(mw_is_printable(why.text, strlen(why.text)));
}

static void rules_quoted_from_the_mail_are_not_rules(void **state)
{
	struct spamd_result v;
	struct mw_err why;
	char text[2048];

	(void)state;
	snprintf(text, sizeof(text),
		"SPAMD/1.1 0 EX_OK\r\nSpam: True ; 6.3 / 5.0\r\n\r\nContent preview:\n---- "
		"----\n-99 WHITELISTED  x\n\n"
		" pts rule name\n---- ---------\n 6.3 REAL  x\n");
	assert_int_equal(read_text(text, &v, &why), MW_OK);
	assert_int_equal(v.test_count, 1);
	assert_string_equal(v.tests[0].name, "REAL");
}

static void rules_beyond_the_limit_are_dropped(void **state)
{
	static char text[64 * 1024];
	size_t n = (size_t)snprintf(text, sizeof(text),
		"SPAMD/1.1 0 EX_OK\r\nSpam: True ; 6.3 / 5.0\r\n\r\n---- ----\n");
	struct spamd_result v;
	struct mw_err why;

	(void)state;
	for (int i = 0; i < SPAMD_TESTS_MAX + 50; i++)
		n += (size_t)snprintf(text + n, sizeof(text) - n, " 0.1 RULE_%d x\n", i);
	snprintf(text + n, sizeof(text) - n,
		" 0.1 A_NAME_LONGER_THAN_ANY_RULE_OF_SPAMASSASSIN_HAS_EVER_BEEN_OR_WILL_BE x\n");
	assert_int_equal(read_text(text, &v, &why), MW_OK);
	assert_int_equal(v.test_count, SPAMD_TESTS_MAX);
}

#define TABLE "SPAMD/1.1 0 EX_OK\r\nSpam: True ; 6.3 / 5.0\r\n\r\n---- ----\n"

static void the_report_is_the_table_as_printable_lines(void **state)
{
	static const struct {
		const char *says, *report;
	} cases[] = {
		{ " 1.2 FIRST  Text\r\n     goes on \n\n \t \n 0.7 LAST",
			" 1.2 FIRST  Text\n     goes on\n 0.7 LAST\n" },
		{ " 1.2 A\tb\xc3\xbc\x1b[2J\r\x7f\n",
			" 1.2 A b\\x{C3}\\x{BC}\\x{1B}[2J\\x{0D}\\x{7F}\n" },
		{ "\r\n\n", "" },
		{ "", "" },
	};
	struct spamd_result v;
	struct mw_err why;
	char text[512];

	(void)state;
	for (size_t i = 0; i < MW_COUNT(cases); i++) {
		snprintf(text, sizeof(text), TABLE "%s", cases[i].says);
		assert_int_equal(read_text(text, &v, &why), MW_OK);
		assert_int_equal(v.report_n, strlen(cases[i].report));
		assert_memory_equal(v.report, cases[i].report, v.report_n);
	}
	/* the preview of the mail is not in it */
	make_whole();
	assert_int_equal(read_text(whole, &v, &why), MW_OK);
	assert_memory_equal(v.report, " 1.2 FIRST ", 11);
	assert_null(memmem(v.report, v.report_n, "buy", 3));
}

static void a_report_is_cut_at_its_limits(void **state)
{
	static char text[64 * 1024];
	size_t n = (size_t)snprintf(text, sizeof(text), TABLE);
	struct spamd_result v;
	struct mw_err why;

	(void)state;
	/* a line: at the limit, one beyond, and an escape that does not fit any more */
	snprintf(text + n, sizeof(text) - n, "%0240d\n%0241d\n%0238d\xff\n%0300d\n", 1, 12, 3, 4);
	assert_int_equal(read_text(text, &v, &why), MW_OK);
	assert_int_equal(v.report_n, 241 + 241 + 239 + 241);
	assert_memory_equal(v.report + 239, "1\n0", 3);
	assert_memory_equal(v.report + 241 + 239, "1\n0", 3);
	assert_memory_equal(v.report + 482 + 237, "3\n0", 3);
	/* all of it: whole lines, up to the last octet */
	for (int i = 0; i < 600; i++)
		n += (size_t)snprintf(text + n, sizeof(text) - n, " 0.1 RULE_%04d\n\n", i);
	text[n] = '\0';
	assert_int_equal(read_text(text, &v, &why), MW_OK);
	assert_int_equal(v.report_n, MW_SPAM_REPORT_MAX - MW_SPAM_REPORT_MAX % 15);
	assert_int_equal(v.report[v.report_n - 1], '\n');
}

static void a_reply_too_long_or_with_nul_is_refused(void **state)
{
	static char block[65536];
	struct spamd_reply r = { 0 };
	int rc = 0;

	(void)state;
	memset(block, 'x', sizeof(block));
	for (int i = 0; i < SPAMD_REPLY_MAX / 65536; i++)
		assert_int_equal(spamd_reply_take(&r, block, sizeof(block)), 0);
	rc = spamd_reply_take(&r, "x", 1);
	assert_int_equal(rc, -1);
	spamd_reply_fini(&r);
	assert_int_equal(spamd_reply_take(&r, "SPAMD\0/1.1", 10), -1);
	spamd_reply_fini(&r);
}

/* ------------------------------------------------------------------ requests */

static char joined[SPAMD_HEADER_MAX + 200000];

static size_t join(const struct mw_octets *o, size_t count)
{
	size_t n = 0;

	for (size_t i = 0; i < count; i++) {
		memcpy(joined + n, o[i].p, o[i].n);
		n += o[i].n;
	}
	return n;
}

static void the_request_names_its_length(void **state)
{
	char head[96];
	size_t n = spamd_request_head(head, sizeof(head), 12345);

	(void)state;
	assert_int_equal(n, strlen(head));
	assert_string_equal(head, "REPORT SPAMC/1.5\r\nContent-length: 12345\r\n\r\n");
	assert_int_equal(spamd_request_head(head, 10, 12345), 0);
}

static void a_small_mail_is_given_whole(void **state)
{
	struct mw_octets parts[2] = { mw_octets_of_text("A: b\r\n"),
		mw_octets_of_text("\r\nbody") },
			 out[SPAMD_PIECES_MAX];
	size_t count;

	(void)state;
	assert_false(spamd_cut(parts, 2, 1, out, &count));
	assert_int_equal(join(out, count), 12);
	assert_memory_equal(joined, "A: b\r\n\r\nbody", 12);
	assert_false(spamd_cut(parts, 0, 1, out, &count));
	assert_int_equal(count, 0);
}

/* Wherever the message is split into two frames, the same octets are given. */
static void a_large_mail_is_cut_alike_wherever_its_frames_end(void **state)
{
	static const char head[] = "A: b\r\nC: d\r\n\r\n";
	size_t n = sizeof(head) - 1 + 20000, count;
	char *mail = malloc(n);

	(void)state;
	memset(mail, 'x', n);
	memcpy(mail, head, sizeof(head) - 1);
	for (size_t at = 0; at < 40; at++) {
		struct mw_octets parts[2] = { { (unsigned char *)mail, at },
			{ (unsigned char *)mail + at, n - at } },
				 out[SPAMD_PIECES_MAX];

		assert_true(spamd_cut(parts, 2, 1000, out, &count));
		assert_int_equal(join(out, count), sizeof(head) - 1 + 1000);
		assert_memory_equal(joined, mail, sizeof(head) - 1 + 1000);
		assert_false(spamd_cut(parts, 2, 0, out, &count)); /* no limit */
		assert_int_equal(join(out, count), n);
	}
	free(mail);
}

static void a_little_more_than_the_limit_is_not_cut(void **state)
{
	size_t n = 2 + 1000 + SPAMD_TRUNCATE_MIN + 1, count;
	char *mail = malloc(n + 1);
	struct mw_octets part = { (unsigned char *)mail, n }, out[SPAMD_PIECES_MAX];

	(void)state;
	memset(mail, 'x', n + 1);
	memcpy(mail, "\r\n", 2);
	assert_false(spamd_cut(&part, 1, 1000, out, &count));
	part.n = n + 1;
	assert_true(spamd_cut(&part, 1, 1000, out, &count));
	free(mail);
}

static void a_header_without_end_is_cut_too(void **state)
{
	size_t n = 200000, count;
	char *mail = malloc(n);
	struct mw_octets part = { (unsigned char *)mail, n }, out[SPAMD_PIECES_MAX];

	(void)state;
	memset(mail, 'x', n);
	assert_true(spamd_cut(&part, 1, 1000, out, &count));
	assert_int_equal(join(out, count), SPAMD_HEADER_MAX);
	free(mail);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_report_gives_score_and_rules),
		cmocka_unit_test(it_may_come_one_octet_at_a_time),
		cmocka_unit_test(every_cut_is_an_error_never_a_score),
		cmocka_unit_test(scores_come_in_many_shapes),
		cmocka_unit_test(what_is_no_reply_is_told_with_its_words),
		cmocka_unit_test(rules_quoted_from_the_mail_are_not_rules),
		cmocka_unit_test(rules_beyond_the_limit_are_dropped),
		cmocka_unit_test(the_report_is_the_table_as_printable_lines),
		cmocka_unit_test(a_report_is_cut_at_its_limits),
		cmocka_unit_test(a_reply_too_long_or_with_nul_is_refused),
		cmocka_unit_test(the_request_names_its_length),
		cmocka_unit_test(a_small_mail_is_given_whole),
		cmocka_unit_test(a_large_mail_is_cut_alike_wherever_its_frames_end),
		cmocka_unit_test(a_little_more_than_the_limit_is_not_cut),
		cmocka_unit_test(a_header_without_end_is_cut_too),
	};

	return cmocka_run_group_tests_name("spamd", tests, NULL, NULL);
}
