/* A quarantine copy read back: whose envelope counts, and where the original begins. */
#include "make_txn.h"

#include "quarantine_copy.h"

#define ENVELOPE                                                                                   \
	"Return-Path: <a@x>\r\nDelivered-To: quarantine\r\nX-Envelope-From: <a@x>\r\n"             \
	"X-Envelope-To: <b@x>\r\nX-Envelope-To: <c@x>\r\nX-Envelope-To-Blocked: <c@x>\r\n"
#define ID "X-Quarantine-ID: <abcdefghijkl>\r\n"
#define ORIGINAL "From: a@x\r\nTo: b@x\r\n\r\nbody\r\n"

static bool equals(struct mw_octets o, const char *s)
{
	return o.n == strlen(s) && memcmp(o.p, s, o.n) == 0;
}

static const char *rcpts(const struct mw_quarantine_copy *c, bool blocked)
{
	static char text[256];
	struct mw_octets value;
	size_t at = 0;

	text[0] = '\0';
	while (mw_quarantine_copy_rcpt(c, blocked, &at, &value))
		snprintf(text + strlen(text), sizeof(text) - strlen(text), "%.*s ", (int)value.n,
			(const char *)value.p);
	return text;
}

/* What follows the envelope and the id, and what is left of it. */
static void original_is(const char *behind, const char *original)
{
	char whole[2048];
	struct mw_quarantine_copy c;

	snprintf(whole, sizeof(whole), "%s%s%s", ENVELOPE, ID, behind);
	assert_true(mw_quarantine_copy_read(mw_octets_of_text(whole), &c));
	assert_true(equals(c.id, "abcdefghijkl"));
	assert_true(equals(c.sender, "<a@x>"));
	if (strcmp(whole + c.original, original) != 0)
		fail_msg("original is %s", whole + c.original);
	assert_string_equal(rcpts(&c, false), "<b@x> <c@x> ");
	assert_string_equal(rcpts(&c, true), "<c@x> ");
}

static void the_original_begins_behind_what_was_found(void **state)
{
	(void)state;
	original_is(ORIGINAL, ORIGINAL);
	original_is("X-Amavis-Alert: INFECTED, x\r\n" ORIGINAL, ORIGINAL);
	original_is("X-Amavis-Alert: INFECTED, x\r\nX-Amavis-Alert: y\r\n" ORIGINAL, ORIGINAL);
	original_is("X-Spam-Flag: YES\r\nX-Spam-Status: Yes,\r\n\ttests=[A]\r\nX-Amavis-OS: "
		    "x\r\n" ORIGINAL,
		ORIGINAL);
	original_is("", "");
	original_is("\r\nbody", "\r\nbody");
	original_is("no field\r\n", "no field\r\n");
	original_is("X-Spam-Flag", "X-Spam-Flag");
}

static void a_first_line_that_begins_with_white_space_is_the_originals(void **state)
{
	(void)state;
	original_is("X-Amavis-Alert: BAD HEADER SECTION, x\r\n\tfold\r\nFrom: a@x\r\n\r\n",
		"\tfold\r\nFrom: a@x\r\n\r\n");
	original_is("X-Amavis-Alert: BAD HEADER SECTION, x\r\n \r\nX-Spam-Flag: NO\r\n",
		" \r\nX-Spam-Flag: NO\r\n");
}

static void an_envelope_in_the_original_is_nobodys(void **state)
{
	(void)state;
	original_is("X-Envelope-To: <evil@x>\r\nX-Envelope-To-Blocked: <evil@x>\r\n"
		    "X-Quarantine-ID: <evil>\r\n" ORIGINAL,
		"X-Envelope-To: <evil@x>\r\nX-Envelope-To-Blocked: <evil@x>\r\n"
		"X-Quarantine-ID: <evil>\r\n" ORIGINAL);
}

static void what_is_no_copy_is_refused(void **state)
{
	static const char *const files[] = { "", ORIGINAL, ENVELOPE, ENVELOPE ORIGINAL, ID ORIGINAL,
		ENVELOPE "Subject: x\r\n" ID ORIGINAL, "\r\n" ENVELOPE ID,
		"X-Envelope-To: <b@x>\r\n" ID ORIGINAL };
	struct mw_quarantine_copy c;

	(void)state;
	for (size_t i = 0; i < MW_COUNT(files); i++)
		if (mw_quarantine_copy_read(mw_octets_of_text(files[i]), &c))
			fail_msg("%s was taken", files[i]);
}

static void a_cut_copy_reads_nothing_beyond_its_end(void **state)
{
	static const char whole[] = ENVELOPE ID "X-Amavis-Alert: x\r\n" ORIGINAL;

	(void)state;
	for (size_t n = 0; n < sizeof(whole); n++) {
		char *copy = malloc(n + 1); /* exactly so long, for a sanitiser */
		struct mw_quarantine_copy c;

		assert_non_null(copy);
		memcpy(copy, whole, n);
		if (mw_quarantine_copy_read(mw_octets_of(copy, n), &c)) {
			assert_true(c.original <= n && c.envelope <= c.original);
			assert_string_equal(rcpts(&c, true), "<c@x> ");
		}
		free(copy);
	}
}

/* amavisd puts all recipients into one field, and so do we. */
static void a_list_of_recipients_is_taken_apart(void **state)
{
	static const char whole[] = "X-Envelope-From: <a@x>\r\n"
				    "X-Envelope-To: <b@x>,\r\n <\"c, d>\"@x>,\r\n\t<e@x>\r\n"
				    "X-Envelope-To-Blocked: \r\n"
				    "X-Envelope-To: f@x, <g\\@x> \r\n" ID ORIGINAL;
	struct mw_quarantine_copy c;

	(void)state;
	assert_true(mw_quarantine_copy_read(mw_octets_of_text(whole), &c));
	assert_string_equal(rcpts(&c, false), "<b@x> <\"c, d>\"@x> <e@x> f@x <g\\@x> ");
	assert_string_equal(rcpts(&c, true), "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_list_of_recipients_is_taken_apart),
		cmocka_unit_test(the_original_begins_behind_what_was_found),
		cmocka_unit_test(a_first_line_that_begins_with_white_space_is_the_originals),
		cmocka_unit_test(an_envelope_in_the_original_is_nobodys),
		cmocka_unit_test(what_is_no_copy_is_refused),
		cmocka_unit_test(a_cut_copy_reads_nothing_beyond_its_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
