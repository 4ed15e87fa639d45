/* Batch SMTP read back: the envelope as fields, dots undone; fed whole, octet by octet, and cut. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "batch_smtp.h"

#define HEAD "EHLO host\r\nMAIL FROM:<a@x> BODY=8BITMIME\r\nRCPT TO:<b@x> NOTIFY=NEVER\r\n"
#define FIELDS "X-Envelope-From: <a@x>\r\nX-Envelope-To: <b@x>\r\n"

static const struct {
	const char *in, *out;
	int end;
} cases[] = {
	{ HEAD "DATA\r\nX: y\r\n\r\n..dot\r\n...\r\n.\r\nQUIT\r\n",
		FIELDS "X: y\r\n\r\n.dot\r\n..\r\n", 1 },
	{ "ehlo h\nmail from:<>\nrcpt to:<a@x>\nRCPT TO:<\"q> r\"@x>\ndata\n.\n",
		"X-Envelope-From: <>\r\nX-Envelope-To: <a@x>,\r\n <\"q> r\"@x>\r\n", 1 },
	/* a dot that is not alone; a CR behind it that ends no line */
	{ HEAD "DATA\r\n.a\r\n.\ra\r\n.\r\r\n.\r\n", FIELDS "a\r\n\ra\r\n\r\r\n", 1 },
	{ HEAD "DATA\r\nX: y\r\n", FIELDS "X: y\r\n", 0 },
	{ HEAD "DATA\r\n.", FIELDS, 0 },
	{ HEAD, "", 0 },
	{ "", "", 0 },
	{ "EHLO h\r\nRCPT TO:<b@x>\r\nDATA\r\n", "", -1 },
	{ "EHLO h\r\nMAIL FROM:<a@x>\r\nDATA\r\n", "", -1 },
	{ "EHLO h\r\nMAIL FROM:<a@x>\r\nMAIL FROM:<b@x>\r\n", "", -1 },
	{ "EHLO h\r\nMAIL FROM:a@x\r\n", "", -1 },
	{ "EHLO h\r\nMAIL FROM:<a\tb@x>\r\n", "", -1 },
	{ "EHLO h\r\nMAIL FROM:<\"a>\r\n", "", -1 },
	{ "EHLO h\r\nMAIL FROM:<\"a\\\"> b\"@x>\r\nRCPT TO:<b@x>\r\nDATA\r\n.\r\n",
		"X-Envelope-From: <\"a\\\"> b\"@x>\r\nX-Envelope-To: <b@x>\r\n", 1 },
	{ "EHLO h\r\nMAIL FROM:<\"a\\\rb\"@x>\r\n", "", -1 },
	{ "EHLO h\r\nMAIL FROM:<\"a\\", "", 0 },
	{ "EHLO h\r\nMAIL FROM:<\"a\\\r\n", "", -1 },
	{ "EHLO h\r\nNOOP\r\n", "", -1 },
	{ "Subject: x\r\n", "", -1 },
};

/* In pieces of so many octets. */
static void check(size_t i, size_t step)
{
	struct mw_batch b = { 0 };
	struct mw_text out = { 0 };
	size_t n = strlen(cases[i].in);
	int end = 0;

	for (size_t at = 0; at < n && end == 0; at += step)
		end = mw_batch_feed(
			&b, mw_octets_of(cases[i].in + at, n - at < step ? n - at : step), &out);
	if (end != cases[i].end || strcmp(out.p != NULL ? out.p : "", cases[i].out) != 0)
		fail_msg("case %zu by %zu: %d, %s", i, step, end, out.p != NULL ? out.p : "");
	mw_batch_fini(&b);
	mw_text_fini(&out);
}

static void what_comes_out_does_not_depend_on_the_pieces(void **state)
{
	(void)state;
	for (size_t i = 0; i < MW_COUNT(cases); i++)
		for (size_t step = 1; step < 200; step += step < 4 ? 1 : 61)
			check(i, step);
}

static void its_bounds_are_kept(void **state)
{
	static char line[MW_BATCH_LINE_MAX + 2];
	struct mw_text out = { 0 };
	struct mw_batch b = { 0 };
	int end = 0;

	(void)state;
	memset(line, 'x', sizeof(line));
	memcpy(line, "EHLO ", 5);
	assert_int_equal(mw_batch_feed(&b, mw_octets_of(line, MW_BATCH_LINE_MAX), &out), 0);
	assert_int_equal(mw_batch_feed(&b, mw_octets_of("x", 1), &out), -1);
	mw_batch_fini(&b);
	b = (struct mw_batch){ 0 };
	line[MW_BATCH_LINE_MAX - 1] = '\n';
	for (size_t n = 0; end == 0 && n < 2 * MW_BATCH_COMMANDS_OCTETS_MAX; n += MW_BATCH_LINE_MAX)
		end = mw_batch_feed(&b, mw_octets_of(line, MW_BATCH_LINE_MAX), &out);
	assert_int_equal(end, -1);
	mw_batch_fini(&b);
	mw_text_fini(&out);
}

static void a_file_is_known_by_its_first_word(void **state)
{
	(void)state;
	assert_true(mw_batch_begins(mw_octets_of_text("EHLO x")));
	assert_true(mw_batch_begins(mw_octets_of_text("helo x")));
	assert_false(mw_batch_begins(mw_octets_of_text("Return-Path: <EHLO >")));
	assert_false(mw_batch_begins(mw_octets_of_text("EHLO")));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_comes_out_does_not_depend_on_the_pieces),
		cmocka_unit_test(its_bounds_are_kept),
		cmocka_unit_test(a_file_is_known_by_its_first_word),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
