/* The octets between DATA and its end: whatever the cuts, the same octets, the same end, the same
 * flags. */
#include "make_txn.h"

#include "intake/smtp_data.h"

#define LEN_MAX 64

struct taken {
	unsigned char octets[LEN_MAX];
	size_t n, used;
	int end;
	bool bare_lf, dots;
};

static enum mw_rc keep(void *arg, const unsigned char *p, size_t n)
{
	struct taken *k = arg;

	assert_true(n > 0 && k->n + n <= sizeof(k->octets));
	memcpy(k->octets + k->n, p, n);
	k->n += n;
	return MW_OK;
}

/* Fed as first octets, then pieces of that size. Each piece has memory of its own, so that
 * over-reading shows. */
static struct taken feed(const char *p, size_t n, size_t first, size_t piece)
{
	struct taken k = { 0 };
	struct smtp_data d;

	smtp_data_init(&d);
	for (size_t at = 0; at < n && k.end == 0;) {
		size_t len = at == 0 && first > 0 ? first : piece, used = 0;
		unsigned char *own;
		enum mw_rc rc;

		len = len > n - at ? n - at : len;
		own = malloc(len);
		assert_non_null(own);
		memcpy(own, p + at, len);
		k.end = smtp_data_feed(&d, own, len, &used, keep, &k, &rc);
		free(own);
		assert_int_equal(rc, MW_OK);
		assert_true(k.end == 1 || (k.end == 0 && used == len));
		at += used;
		k.used = at;
	}
	k.bare_lf = d.bare_lf;
	k.dots = d.dots;
	return k;
}

static void same(const struct taken *a, const struct taken *b)
{
	assert_int_equal(a->end, b->end);
	assert_int_equal(a->used, b->used);
	assert_int_equal(a->n, b->n);
	assert_memory_equal(a->octets, b->octets, a->n);
	assert_int_equal(a->bare_lf, b->bare_lf);
	assert_int_equal(a->dots, b->dots);
}

#define OCTETS(s) s, sizeof(s) - 1

static const struct {
	const char *in;
	size_t in_n;
	const char *out;
	size_t out_n;
	bool bare_lf, dots;
} mails[] = {
	{ OCTETS(".\r\n"), OCTETS(""), false, false },
	{ OCTETS("\r\n.\r\n"), OCTETS("\r\n"), false, false },
	{ OCTETS("a\r\n.\r\n"), OCTETS("a\r\n"), false, false },
	{ OCTETS("a.\r\n.\r\n"), OCTETS("a.\r\n"), false, false },
	/* ways to end that others know, and we do not */
	{ OCTETS("a\n.\nb\r\n.\r\n"), OCTETS("a\n.\nb\r\n"), true, true },
	{ OCTETS("a\n.\r\nb\r\n.\r\n"), OCTETS("a\n.\r\nb\r\n"), true, true },
	{ OCTETS("a\r\n.\nb\r\n.\r\n"), OCTETS("a\r\n\nb\r\n"), true, true },
	{ OCTETS("a\r.\rb\r\n.\r\n"), OCTETS("a\r.\rb\r\n"), false, false },
	{ OCTETS("a\r.\r\nb\r\n.\r\n"), OCTETS("a\r.\r\nb\r\n"), false, false },
	{ OCTETS("a\r\n.\rb\r\n.\r\n"), OCTETS("a\r\n\rb\r\n"), false, true },
	{ OCTETS("a\r\n.\r\r\n.\r\n"), OCTETS("a\r\n\r\r\n"), false, true },
	{ OCTETS("a\n\r.\n\rb\r\n.\r\n"), OCTETS("a\n\r.\n\rb\r\n"), true, false },
	{ OCTETS("a\r\n\0.\r\nb\r\n.\r\n"), OCTETS("a\r\n\0.\r\nb\r\n"), false, false },
	{ OCTETS("a\r\n.\0\r\n.\r\n"), OCTETS("a\r\n\0\r\n"), false, true },
	{ OCTETS("a\r\0\n.\r\n\r\n.\r\n"), OCTETS("a\r\0\n.\r\n\r\n"), true, true },
	{ OCTETS("\n.\r\n\r\n.\r\n"), OCTETS("\n.\r\n\r\n"), true, true },
	{ OCTETS(".\n.\r\n\r\n.\r\n"), OCTETS("\n.\r\n\r\n"), true, true },
	/* dots */
	{ OCTETS("..\r\n.\r\n"), OCTETS(".\r\n"), false, true },
	{ OCTETS("...\r\n.\r\n"), OCTETS("..\r\n"), false, true },
	{ OCTETS(".a\r\n.\r\n"), OCTETS("a\r\n"), false, true },
	{ OCTETS("a\r\n..\r\n.\r\n"), OCTETS("a\r\n.\r\n"), false, true },
	{ OCTETS("a\r\r\n.\r\n"), OCTETS("a\r\r\n"), false, false },
	{ OCTETS("\0\r\n.\r\n"), OCTETS("\0\r\n"), false, false },
	/* what follows is the next command's */
	{ OCTETS("a\r\n.\r\nQUIT\r\n"), OCTETS("a\r\n"), false, false },
	{ OCTETS(".\r\n.\r\n"), OCTETS(""), false, false },
};

static void only_crlf_dot_crlf_ends_the_data_wherever_it_is_cut(void **state)
{
	(void)state;
	for (size_t i = 0; i < MW_COUNT(mails); i++) {
		struct taken whole = feed(mails[i].in, mails[i].in_n, 0, LEN_MAX), cut;

		assert_int_equal(whole.end, 1);
		assert_int_equal(whole.n, mails[i].out_n);
		assert_memory_equal(whole.octets, mails[i].out, mails[i].out_n);
		assert_int_equal(whole.bare_lf, mails[i].bare_lf);
		assert_int_equal(whole.dots, mails[i].dots);
		for (size_t first = 1; first < mails[i].in_n; first++) {
			cut = feed(mails[i].in, mails[i].in_n, first, LEN_MAX);
			same(&whole, &cut);
			cut = feed(mails[i].in, mails[i].in_n, first, 2);
			same(&whole, &cut);
		}
		cut = feed(mails[i].in, mails[i].in_n, 1, 1);
		same(&whole, &cut);
	}
}

static void data_without_its_end_wants_more(void **state)
{
	static const char *const open[] = { "a", "a\r\n", "a\r\n.", "a\r\n.\r", "a\n.\r\n",
		"a\n.\n", "a\r.\r", "a\r\n.\n", "\n.\r\n", ".\r\r\n", ".\n" };

	(void)state;
	for (size_t i = 0; i < MW_COUNT(open); i++) {
		struct taken whole = feed(open[i], strlen(open[i]), 0, LEN_MAX),
			     slow = feed(open[i], strlen(open[i]), 1, 1);

		assert_int_equal(whole.end, 0);
		same(&whole, &slow);
	}
}

/* The same by RFC 5321 word for word: lines end by CRLF, nothing else. */
static struct taken by_the_book(const char *p, size_t n)
{
	struct taken k = { 0 };
	size_t line = 0;

	for (size_t i = 0; i < n && k.end == 0; i++) {
		size_t from = line + (p[line] == '.');

		k.bare_lf = k.bare_lf || (p[i] == '\n' && (i == 0 || p[i - 1] != '\r'));
		/* Behind a bare LF too: a next hop that ends lines there must not find a lone dot.
		 */
		k.dots = k.dots || (p[i] == '.' && i > line && p[i - 1] == '\n');
		if (p[i] != '\n' || i == line || p[i - 1] != '\r')
			continue;
		k.used = i + 1;
		if (i + 1 - line == 3 && p[line] == '.') {
			k.end = 1;
			break;
		}
		k.dots = k.dots || p[line] == '.';
		memcpy(k.octets + k.n, p + from, i + 1 - from);
		k.n += i + 1 - from;
		line = i + 1;
	}
	return k;
}

static void every_short_mail_of_the_octets_that_matter_is_read_by_the_book(void **state)
{
	static const char letters[] = "a.\r\n";
	char mail[16];

	(void)state;
	for (size_t len = 0; len <= 7; len++)
		for (unsigned which = 0; which < 1u << (2 * len); which++) {
			struct taken book, whole, slow;

			for (size_t i = 0; i < len; i++)
				mail[i] = letters[which >> (2 * i) & 3];
			memcpy(mail + len, "\r\n.\r\n", 5);
			book = by_the_book(mail, len + 5);
			whole = feed(mail, len + 5, 0, LEN_MAX);
			slow = feed(mail, len + 5, 1, 1);
			assert_int_equal(book.end, 1);
			same(&book, &whole);
			same(&book, &slow);
		}
}

/* A bare LF becomes CRLF, and nothing but CRLF.CRLF of the client's own ends the mail. */
static void normalised_lines_end_with_crlf(void **state)
{
	static const struct {
		const char *in, *out;
	} rows[] = {
		{ "a\nb\r\n.\r\n", "a\r\nb\r\n" },
		{ "a\n.\nb\r\n.\r\n", "a\r\n\r\nb\r\n" },
		{ "a\n.\r\nb\r\n.\r\n", "a\r\n\r\nb\r\n" },
		{ "a\n..\nb\r\n.\r\n", "a\r\n.\r\nb\r\n" },
		{ "\n\n\r\n.\r\n", "\r\n\r\n\r\n" },
	};

	(void)state;
	for (size_t i = 0; i < MW_COUNT(rows); i++)
		for (size_t piece = 1; piece < 20; piece++) {
			struct taken k = { 0 };
			struct smtp_data d;
			size_t n = strlen(rows[i].in), used;
			enum mw_rc rc;

			smtp_data_init(&d);
			d.normalise = true;
			for (size_t at = 0; at < n && k.end == 0; at += used)
				k.end = smtp_data_feed(&d, (const unsigned char *)rows[i].in + at,
					n - at < piece ? n - at : piece, &used, keep, &k, &rc);
			assert_int_equal(k.end, 1);
			assert_int_equal(k.n, strlen(rows[i].out));
			assert_memory_equal(k.octets, rows[i].out, k.n);
			assert_true(d.bare_lf);
		}
}

static void chunks_keep_every_octet_and_end_with_a_line(void **state)
{
	static const struct {
		const char *in, *out;
		bool dots;
	} rows[] = {
		{ "", "", false },
		{ ".\r\n", ".\r\n", true },
		{ "a\r\n.\r\nb\r\n", "a\r\n.\r\nb\r\n", true },
		{ "a\r\n..", "a\r\n..\r\n", true },
		{ "a", "a\r\n", false },
		{ "a\r", "a\r\r\n", false },
	};

	(void)state;
	for (size_t i = 0; i < MW_COUNT(rows); i++)
		for (size_t piece = 1; piece < 12; piece++) {
			struct taken k = { 0 };
			struct smtp_data d;
			size_t n = strlen(rows[i].in), used = 0;
			enum mw_rc rc;

			smtp_data_init(&d);
			d.chunks = true;
			for (size_t at = 0; at < n; at += used)
				assert_int_equal(
					smtp_data_feed(&d, (const unsigned char *)rows[i].in + at,
						n - at < piece ? n - at : piece, &used, keep, &k,
						&rc),
					0);
			assert_int_equal(smtp_data_last(&d, k.n, keep, &k), MW_OK);
			assert_int_equal(k.n, strlen(rows[i].out));
			assert_memory_equal(k.octets, rows[i].out, k.n);
			assert_int_equal(d.dots, rows[i].dots);
		}
}

static void a_dot_that_only_others_see_is_found(void **state)
{
	static const struct {
		const char *mail;
		size_t n;
		bool hidden;
	} rows[] = {
		{ OCTETS("a\r.\rb\r\n"), true },
		{ OCTETS("a\r.\r\nb\r\n"), true },
		{ OCTETS("a\r\n\r.\r\nb\r\n"), true },
		{ OCTETS("a\r\n\0.\r\nb\r\n"), true },
		{ OCTETS("a\r\n.\r\nb\r\n"), false }, /* doubled on the way out */
		{ OCTETS("a\r..\rb\r\n"), false },
		{ OCTETS("a\r.b\r\n"), false },
		{ OCTETS("a\0.\0b\r\n"), false },
		{ OCTETS("a\rb\r\n"), false },
		{ OCTETS(""), false },
	};

	(void)state;
	for (size_t i = 0; i < MW_COUNT(rows); i++)
		if (smtp_data_hides_dot(mw_octets_of(rows[i].mail, rows[i].n)) != rows[i].hidden)
			fail_msg("row %zu", i);
}

static enum mw_rc disk_full(void *arg, const unsigned char *p, size_t n)
{
	(void)arg;
	(void)p;
	(void)n;
	return MW_ERR_IO;
}

static void an_error_of_the_keeper_ends_the_call(void **state)
{
	static const char *const texts[] = { "a\r\n", ".\rx" };
	struct smtp_data d;
	enum mw_rc rc = MW_OK;
	size_t used;

	(void)state;
	for (size_t i = 0; i < MW_COUNT(texts); i++) {
		smtp_data_init(&d);
		assert_int_equal(smtp_data_feed(&d, (const unsigned char *)texts[i], 3, &used,
					 disk_full, NULL, &rc),
			-1);
		assert_int_equal(rc, MW_ERR_IO);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(only_crlf_dot_crlf_ends_the_data_wherever_it_is_cut),
		cmocka_unit_test(data_without_its_end_wants_more),
		cmocka_unit_test(every_short_mail_of_the_octets_that_matter_is_read_by_the_book),
		cmocka_unit_test(normalised_lines_end_with_crlf),
		cmocka_unit_test(chunks_keep_every_octet_and_end_with_a_line),
		cmocka_unit_test(a_dot_that_only_others_see_is_found),
		cmocka_unit_test(an_error_of_the_keeper_ends_the_call),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
