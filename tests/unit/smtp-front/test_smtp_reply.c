/* Replies of the next hop: the same from any cuts, and nothing that is not SMTP is taken for one.
 */
#include "make_txn.h"

#include "delivery/smtp_reply.h"

#define REFUSED 0

static const struct {
	const char *octets;
	unsigned code; /* REFUSED: not SMTP */
	const char *text;
	size_t used;
} replies[] = {
	{ "250 2.0.0 Ok\r\n", 250, "2.0.0 Ok", 14 },
	{ "250 Ok\n", 250, "Ok", 7 },
	{ "250\r\n", 250, "", 5 },
	{ "250 \r\n", 250, "", 6 },
	{ "250-mx\r\n250-SIZE 1\r\n250 8BITMIME\r\n", 250, "mx\nSIZE 1\n8BITMIME", 34 },
	{ "250-mx\r\n250\r\n", 250, "mx", 13 },
	{ "250 one\r\n250 two\r\n", 250, "one", 9 },
	{ "554 5.7.1 no\r\n", 554, "5.7.1 no", 14 },
	{ "421 bye\r\n", 421, "bye", 9 },
	{ "354 go\r\n", 354, "go", 8 },
	{ "250 a\tb\x01\xc3\xa4\x7f\r\n", 250, "a?b????", 13 },
	{ "250 a\rb\r\n", 250, "a?b", 9 },
	{ "200 least\r\n", 200, "least", 11 },
	{ "599 most\r\n", 599, "most", 10 },
	/* not replies */
	{ "\r\n", REFUSED, "", 0 },
	{ "25\r\n", REFUSED, "", 0 },
	{ "2500 Ok\r\n", REFUSED, "", 0 },
	{ "250+Ok\r\n", REFUSED, "", 0 },
	{ "25x Ok\r\n", REFUSED, "", 0 },
	{ "150 Ok\r\n", REFUSED, "", 0 },
	{ "600 Ok\r\n", REFUSED, "", 0 },
	{ " 250 Ok\r\n", REFUSED, "", 0 },
	{ "HTTP/1.1 200 OK\r\n", REFUSED, "", 0 },
	{ "250-a\r\n550 b\r\n", REFUSED, "", 0 },
	{ "550-a\r\n250 b\r\n", REFUSED, "", 0 },
	{ "250-a\r\n\r\n", REFUSED, "", 0 },
	{ "250-a\r\nb\r\n", REFUSED, "", 0 },
};

static int feed(struct smtp_reply *r, const char *p, size_t n, size_t piece, size_t *used_r)
{
	int end = 0;

	smtp_reply_init(r);
	*used_r = 0;
	for (size_t at = 0; at < n && end == 0; at += piece) {
		size_t len = n - at < piece ? n - at : piece, used = 0;
		char *own = malloc(len);

		assert_non_null(own);
		memcpy(own, p + at, len);
		end = smtp_reply_feed(r, own, len, &used);
		free(own);
		*used_r = at + used;
	}
	return end;
}

static void a_reply_is_the_same_from_any_cuts(void **state)
{
	static struct smtp_reply r;

	(void)state;
	for (size_t i = 0; i < MW_COUNT(replies); i++)
		for (size_t piece = 1; piece <= strlen(replies[i].octets); piece++) {
			size_t used;
			int end = feed(
				&r, replies[i].octets, strlen(replies[i].octets), piece, &used);

			if (end != (replies[i].code != REFUSED ? 1 : -1))
				fail_msg("%s in pieces of %zu: %d", replies[i].octets, piece, end);
			if (end != 1)
				continue;
			assert_int_equal(r.code, replies[i].code);
			assert_string_equal(r.text, replies[i].text);
			assert_int_equal(r.text_n, strlen(replies[i].text));
			assert_int_equal(used, replies[i].used);
		}
}

static void a_cut_reply_wants_more(void **state)
{
	static const char whole[] = "250-a\r\n250 2.0.0 b\r\n";
	static struct smtp_reply r;
	size_t used;

	(void)state;
	for (size_t n = 0; n + 1 < sizeof(whole) - 1; n++)
		assert_int_equal(feed(&r, whole, n, 64, &used), 0);
	assert_int_equal(feed(&r, whole, sizeof(whole) - 1, 64, &used), 1);
}

static void replies_in_one_read_are_told_one_by_one(void **state)
{
	static const char all[] = "250 2.1.0 a\r\n250-b\r\n250 c\r\n354 d\r\n55";
	static const unsigned codes[] = { 250, 250, 354 };
	static const char *const texts[] = { "2.1.0 a", "b\nc", "d" };
	static struct smtp_reply r;
	size_t at = 0, used;

	(void)state;
	smtp_reply_init(&r);
	for (size_t i = 0; i < MW_COUNT(codes); i++) {
		assert_int_equal(smtp_reply_feed(&r, all + at, sizeof(all) - 1 - at, &used), 1);
		assert_int_equal(r.code, codes[i]);
		assert_string_equal(r.text, texts[i]);
		at += used;
	}
	assert_int_equal(smtp_reply_feed(&r, all + at, sizeof(all) - 1 - at, &used), 0);
	assert_int_equal(smtp_reply_feed(&r, "0 e\r\n", 5, &used), 1);
	assert_int_equal(r.code, 550);
	assert_string_equal(r.text, "e");
}

static void a_line_that_does_not_end_is_refused_at_the_limit(void **state)
{
	static struct smtp_reply r;
	static char line[SMTP_REPLY_LINE_MAX + 2];
	size_t used;

	(void)state;
	memset(line, 'x', sizeof(line));
	memcpy(line, "250 ", 4);
	line[SMTP_REPLY_LINE_MAX] = '\n';
	assert_int_equal(feed(&r, line, SMTP_REPLY_LINE_MAX + 1, 100, &used), 1);
	assert_int_equal(r.text_n, SMTP_REPLY_LINE_MAX - 4);
	line[SMTP_REPLY_LINE_MAX] = 'x';
	line[SMTP_REPLY_LINE_MAX + 1] = '\n';
	assert_int_equal(feed(&r, line, SMTP_REPLY_LINE_MAX + 2, 100, &used), -1);
	assert_int_equal(feed(&r, line, SMTP_REPLY_LINE_MAX + 2, 1, &used), -1);
}

static void a_reply_has_at_most_100_lines_and_keeps_4096_octets(void **state)
{
	static struct smtp_reply r;
	static char many[SMTP_REPLY_LINES_MAX * 128];

	(void)state;
	for (unsigned lines = SMTP_REPLY_LINES_MAX; lines <= SMTP_REPLY_LINES_MAX + 1; lines++) {
		size_t n = 0, used;
		int end;

		for (unsigned i = 1; i <= lines; i++)
			n += (size_t)snprintf(many + n, sizeof(many) - n, "250%c%090u\r\n",
				i < lines ? '-' : ' ', i);
		end = feed(&r, many, n, 1000, &used);
		assert_int_equal(end, lines == SMTP_REPLY_LINES_MAX ? 1 : -1);
		assert_int_equal(r.text_n, SMTP_REPLY_MAX);
		assert_int_equal(r.text[SMTP_REPLY_MAX], '\0');
	}
}

static void the_enhanced_code_is_the_reply_s_own_or_made_of_its_class(void **state)
{
	static const struct {
		const char *octets, *enhanced;
	} rows[] = {
		{ "250 2.1.5 Ok\r\n", "2.1.5" },
		{ "550 5.7.1\r\n", "5.7.1" },
		{ "250-2.1.5\r\n250 2.1.5 Ok\r\n", "2.1.5" },
		{ "451 4.300.999 x\r\n", "4.300.999" },
		{ "250 Ok\r\n", "2.1.0" },
		{ "250\r\n", "2.1.0" },
		{ "550 2.1.5 lies\r\n", "5.1.0" },
		{ "250 2.1\r\n", "2.1.0" },
		{ "250 2.1.5x\r\n", "2.1.0" },
		{ "250 2.1.5.6 x\r\n", "2.1.0" },
		{ "250 2.1234.5 x\r\n", "2.1.0" },
		{ "250 2.-1.5 x\r\n", "2.1.0" },
		{ "250 2.+1.5 x\r\n", "2.1.0" },
		{ "250 2. 1. 5 x\r\n", "2.1.0" },
		{ "250  2.1.5 x\r\n", "2.1.0" },
		{ "250 22.1.5 x\r\n", "2.1.0" },
	};
	static struct smtp_reply r;
	char buf[16];
	size_t used;

	(void)state;
	for (size_t i = 0; i < MW_COUNT(rows); i++) {
		assert_int_equal(feed(&r, rows[i].octets, strlen(rows[i].octets), 64, &used), 1);
		assert_string_equal(smtp_reply_enhanced(&r, ".1.0", buf), rows[i].enhanced);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_reply_is_the_same_from_any_cuts),
		cmocka_unit_test(a_cut_reply_wants_more),
		cmocka_unit_test(replies_in_one_read_are_told_one_by_one),
		cmocka_unit_test(a_line_that_does_not_end_is_refused_at_the_limit),
		cmocka_unit_test(a_reply_has_at_most_100_lines_and_keeps_4096_octets),
		cmocka_unit_test(the_enhanced_code_is_the_reply_s_own_or_made_of_its_class),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
