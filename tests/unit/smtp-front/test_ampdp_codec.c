/* AM.PDP's framing: what a request says however it is cut, what is refused, and that a reply reads
 * back as what was put in. */
#include "make_txn.h"

#include "intake/ampdp_codec.h"
#include "intake/ampdp_request.h"

/* What was taken, as "name=[value] ..." */
struct taken {
	struct mw_text text;
};

static const char *note(void *arg, const char *name, const char *value)
{
	struct taken *t = arg;

	mw_text_addf(&t->text, "%s=[%s] ", name, value);
	return strcmp(name, "refuse") == 0 ? "refused by the taker" : NULL;
}

/* Feed in pieces of step octets; *used_r: octets used until the end or the refusal. */
static int feed(const char *p, size_t n, size_t step, struct mw_text *out, size_t *used_r,
	const char **why_r)
{
	struct ampdp_reader r = { 0 };
	struct taken t = { { 0 } };
	int end = 0;
	size_t used;

	*used_r = 0;
	for (size_t at = 0; at < n && end == 0; at += step) {
		char *copy = malloc(step); /* so that a sanitiser sees the first octet too far */
		size_t now = n - at < step ? n - at : step;

		assert_non_null(copy);
		memcpy(copy, p + at, now);
		end = ampdp_feed(&r, copy, now, &used, note, &t, why_r);
		*used_r += used;
		free(copy);
	}
	if (end >= 0)
		assert_int_equal(ampdp_reader_is_inside(&r), end == 0 && n > 0);
	ampdp_reader_fini(&r);
	*out = t.text;
	return end;
}

static const struct {
	const char *octets;
	int end;
	const char *taken;
	size_t left; /* octets behind the empty line */
} rows[] = {
	{ "request=AM.PDP\r\n\r\n", 1, "request=[AM.PDP] ", 0 },
	{ "request=AM.PDP\n\n", 1, "request=[AM.PDP] ", 0 },
	{ "request: AM.PDP\r\n\n", 1, "request=[AM.PDP] ", 0 },
	{ "request:\t  AM.PDP\r\n\r\n", 1, "request=[AM.PDP] ", 0 },
	{ "request:AM.PDP\r\n\r\n", 1, "request=[AM.PDP] ", 0 },
	{ "a=b=c\nd=:e\nf: g=h\n\n", 1, "a=[b=c] d=[:e] f=[g=h] ", 0 },
	{ "a= b \n\n", 1, "a=[ b ] ", 0 },
	{ "recipient=<a@x>\nrecipient=<b@x>\n\nrequest=", 1, "recipient=[<a@x>] recipient=[<b@x>] ",
		8 },
	{ "sender=%3ca%40x%3E\n\n", 1, "sender=[<a@x>] ", 0 },
	{ "a%2eb%3d=c%25%0d%0a%20\n\n", 1, "a.b==[c%\r\n ] ", 0 },
	{ "no_separator\n\n", 1, "no_separator=[] ", 0 },
	{ "a=\n=b\n:\n\n", 1, "a=[] =[b] =[] ", 0 },
	{ "\r\n", 1, "", 0 },
	{ "\n\n", 1, "", 1 },
	{ "a=b\rc\r\r\n\n", 1, "a=[b\rc\r] ", 0 },
	{ "a=\xc3\xa4\n\n", 1, "a=[\xc3\xa4] ", 0 },
	{ "", 0, "", 0 },
	{ "a=b\n", 0, "a=[b] ", 0 },
	{ "a=%\n\n", -1, "", 1 },
	{ "a=%1\n\n", -1, "", 1 },
	{ "a=%1g\n\n", -1, "", 1 },
	{ "a=%zz\n\n", -1, "", 1 },
	{ "%=b\n\n", -1, "", 1 },
	{ "%\n\n", -1, "", 1 },
	{ "a=%00\n\n", -1, "", 1 },
	{ "%00=a\n\n", -1, "", 1 },
	{ "ok=1\nrefuse=x\nmore=2\n\n", -1, "ok=[1] refuse=[x] ", 8 },
};

static void check(size_t row, size_t step)
{
	const char *p = rows[row].octets, *why = NULL;
	size_t n = strlen(p), used;
	struct mw_text out;
	int end = feed(p, n, step, &out, &used, &why);

	if (end != rows[row].end || strcmp(out.p != NULL ? out.p : "", rows[row].taken) != 0)
		fail_msg("row %zu in steps of %zu: %d %s", row, step, end, out.p);
	if (end > 0)
		assert_int_equal(n - used, rows[row].left);
	assert_true((end < 0) == (why != NULL));
	mw_text_fini(&out);
}

static void a_request_says_the_same_in_whatever_pieces_it_comes(void **state)
{
	(void)state;
	for (size_t i = 0; i < MW_COUNT(rows); i++)
		for (size_t step = 1; step <= strlen(rows[i].octets) + 1; step++)
			check(i, step);
}

static void a_cut_request_is_never_whole(void **state)
{
	static const char whole[] = "request=AM.PDP\r\nsender=%3ca%40x%3e\r\nrecipient=b\r\n\r\n";

	(void)state;
	for (size_t n = 0; n + 1 < sizeof(whole) - 1; n++) {
		struct mw_text out;
		const char *why;
		size_t used;

		assert_int_equal(feed(whole, n, n + 1, &out, &used, &why), 0);
		mw_text_fini(&out);
	}
}

static void a_raw_nul_is_refused(void **state)
{
	struct mw_text out;
	const char *why;
	size_t used;

	(void)state;
	assert_int_equal(feed("a=b\0c\n\n", 7, 7, &out, &used, &why), -1);
	mw_text_fini(&out);
	assert_int_equal(feed("a\0b=c\n\n", 7, 7, &out, &used, &why), -1);
	mw_text_fini(&out);
}

/* n octets of line and its LF. */
static int feed_line(size_t n, const char **why_r)
{
	char *p = malloc(n + 1);
	struct mw_text out;
	size_t used;
	int end;

	assert_non_null(p);
	memset(p, 'a', n);
	p[n] = '\n';
	end = feed(p, n + 1, 4096, &out, &used, why_r);
	mw_text_fini(&out);
	free(p);
	return end;
}

static void a_line_has_its_most_octets_and_not_one_more(void **state)
{
	const char *why;

	(void)state;
	assert_int_equal(feed_line(AMPDP_LINE_MAX, &why), 0);
	assert_int_equal(feed_line(AMPDP_LINE_MAX + 1, &why), -1);
	assert_string_equal(why, "a line is too long");
}

/* count lines of line, and the empty one. */
static int feed_lines(const char *line, size_t count, const char **why_r)
{
	struct mw_text whole = { 0 }, out;
	size_t used;
	int end;

	for (size_t i = 0; i < count; i++)
		mw_text_add(&whole, line);
	mw_text_add(&whole, "\n");
	end = feed(whole.p, whole.n, 65536, &out, &used, why_r);
	mw_text_fini(&whole);
	mw_text_fini(&out);
	return end;
}

static void a_request_has_its_most_lines_and_octets_and_not_one_more(void **state)
{
	char line[1025];
	const char *why;

	(void)state;
	assert_int_equal(feed_lines("a=b\n", AMPDP_LINES_MAX, &why), 1);
	assert_int_equal(feed_lines("a=b\n", AMPDP_LINES_MAX + 1, &why), -1);
	assert_string_equal(why, "too many attributes");
	memset(line, 'a', 1023);
	memcpy(line + 1023, "\n", 2);
	assert_int_equal(feed_lines(line, AMPDP_REQUEST_MAX / 1024 - 1, &why), 1);
	assert_int_equal(feed_lines(line, AMPDP_REQUEST_MAX / 1024, &why), -1);
	assert_string_equal(why, "the request is too long");
}

static void limits_count_each_request_for_itself(void **state)
{
	struct ampdp_reader r = { 0 };
	struct taken t = { { 0 } };
	const char *why;
	size_t used;

	(void)state;
	for (size_t i = 0; i < AMPDP_LINES_MAX * 2; i++)
		assert_int_equal(ampdp_feed(&r, "a=b\n\n", 5, &used, note, &t, &why), 1);
	ampdp_reader_fini(&r);
	mw_text_fini(&t.text);
}

static void what_is_put_reads_back(void **state)
{
	char all[256];
	struct mw_text out = { 0 }, read;
	const char *why;
	size_t used;

	(void)state;
	for (size_t i = 0; i < 255; i++)
		all[i] = (char)(i + 1);
	all[255] = '\0';
	ampdp_put_text(&out, "value", all);
	ampdp_put_end(&out);
	assert_int_equal(feed(out.p, out.n, 7, &read, &used, &why), 1);
	assert_int_equal(used, out.n);
	assert_memory_equal(read.p, "value=[", 7);
	assert_memory_equal(read.p + 7, all, 255);
	for (size_t i = 0; i + 4 < out.n; i++) /* on its way it is printable */
		assert_true(out.p[i] > 0x20 && out.p[i] < 0x7f);
	mw_text_fini(&out);
	mw_text_fini(&read);
}

static void fields_are_joined_by_single_blanks(void **state)
{
	const struct mw_octets fields[] = { mw_octets_of_text("0"), mw_octets_of_text("X-A"),
		mw_octets_of_text("a b\n\t100%") };
	struct mw_text out = { 0 };

	(void)state;
	ampdp_put(&out, "insheader", fields, 3);
	ampdp_put(&out, "empty", fields, 0);
	ampdp_put_end(&out);
	assert_string_equal(out.p, "insheader=0 X-A a%20b%0A%09100%25\r\nempty\r\n\r\n");
	mw_text_fini(&out);
}

/* ------------------------------------------------------------------ requests */

static const char *say(struct ampdp_request *q, const char *octets)
{
	struct ampdp_reader r = { 0 };
	const char *why;
	size_t used;

	ampdp_feed(&r, octets, strlen(octets), &used, ampdp_request_take, q, &why);
	ampdp_reader_fini(&r);
	return why;
}

static void a_request_knows_its_attributes_and_leaves_others_alone(void **state)
{
	struct ampdp_request q = { 0 };

	(void)state;
	assert_null(say(&q, "request=AM.PDP\nversion_client=2\nsender=<>\nrecipient=<a@x>\n"
			    "x_new=1\nrecipient=b@x\nclient_address\n\n"));
	assert_string_equal(q.request, "AM.PDP");
	assert_string_equal(q.sender, "<>");
	assert_int_equal(q.recipient_count, 2);
	assert_string_equal(q.recipients[1], "b@x");
	assert_string_equal(q.client_address, "");
	assert_null(q.tempdir);
	ampdp_request_fini(&q);
	assert_null(q.request);
}

static void an_attribute_given_twice_is_refused(void **state)
{
	struct ampdp_request q = { 0 };

	(void)state;
	assert_non_null(say(&q, "mail_file=/a\nmail_file=/b\n\n"));
	ampdp_request_fini(&q);
}

static void addresses_come_with_and_without_brackets(void **state)
{
	static const struct {
		const char *value, *address; /* NULL: none */
		bool utf8;
	} addresses[] = {
		{ "<a@x>", "a@x", false },
		{ "a@x", "a@x", false },
		{ "<>", "", false },
		{ "", "", false },
		{ "<\"a b\"@x>", "\"a b\"@x", false },
		{ "<postmaster>", "postmaster", false },
		{ "<@r:a@x>", "a@x", false },
		{ "<\xc3\xa4@x>", "\xc3\xa4@x", true },
		{ "<a@x> SIZE=1", NULL, false },
		{ "<a@x", NULL, false },
		{ "a@x>", NULL, false },
		{ "<a@x>\r\nRCPT", NULL, false },
		{ "<a\nb@x>", NULL, false },
		{ "<a b@x>", NULL, false },
	};
	struct smtp_arena a = { 0 };

	(void)state;
	for (size_t i = 0; i < MW_COUNT(addresses); i++) {
		const char *got = NULL;
		bool utf8 = false, ok = ampdp_address(&a, addresses[i].value, true, &got, &utf8);

		if (ok != (addresses[i].address != NULL) || utf8 != addresses[i].utf8 ||
			(ok && strcmp(got, addresses[i].address) != 0))
			fail_msg("%s: %d %s", addresses[i].value, ok, got);
	}
	assert_false(ampdp_address(&a, "<>", false, &(const char *){ NULL }, &(bool){ false }));
	smtp_arena_fini(&a);
}

static void the_original_client_is_told_in_the_words_of_xforward(void **state)
{
	struct ampdp_request q = { 0 };
	struct smtp_xforward x;

	(void)state;
	assert_null(say(&q, "client_address=IPv6:2001:DB8::1\nclient_name=[UNAVAILABLE]\n"
			    "client_port=25\nprotocol_name=ESMTP\nhelo_name=a b%0d%0a\n"
			    "queue_id=ABC\nclient_source=LOCAL\n\n"));
	assert_true(ampdp_request_xforward(&q, &x));
	assert_string_equal(x.addr, "2001:db8::1");
	assert_null(x.name);
	assert_string_equal(x.port, "25");
	assert_string_equal(x.proto, "ESMTP");
	assert_string_equal(x.helo, "a?b??");
	assert_string_equal(x.ident, "ABC");
	assert_string_equal(x.source, "LOCAL");
	ampdp_request_fini(&q);
	assert_null(say(&q, "client_address=nonsense\n\n"));
	assert_true(ampdp_request_xforward(&q, &x));
	assert_null(x.addr);
	ampdp_request_fini(&q);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_request_says_the_same_in_whatever_pieces_it_comes),
		cmocka_unit_test(a_cut_request_is_never_whole),
		cmocka_unit_test(a_raw_nul_is_refused),
		cmocka_unit_test(a_line_has_its_most_octets_and_not_one_more),
		cmocka_unit_test(a_request_has_its_most_lines_and_octets_and_not_one_more),
		cmocka_unit_test(limits_count_each_request_for_itself),
		cmocka_unit_test(what_is_put_reads_back),
		cmocka_unit_test(fields_are_joined_by_single_blanks),
		cmocka_unit_test(a_request_knows_its_attributes_and_leaves_others_alone),
		cmocka_unit_test(an_attribute_given_twice_is_refused),
		cmocka_unit_test(addresses_come_with_and_without_brackets),
		cmocka_unit_test(the_original_client_is_told_in_the_words_of_xforward),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
