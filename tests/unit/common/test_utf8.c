/* UTF-8 against its table (RFC 3629 section 4), every character and every pair of octets. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "utf8.h"

static void every_character_there_and_back(void **state)
{
	(void)state;
	for (uint32_t c = 0; c < 0x110000 + 0x100; c++) {
		char o[MW_UTF8_MOST + 1] = "";
		uint32_t back = 0;
		size_t n = mw_utf8_write(o, c);

		if ((c >= 0xd800 && c < 0xe000) || c > 0x10ffff) {
			assert_int_equal(n, 0);
			continue;
		}
		assert_int_equal(n, 1 + (c > 0x7f) + (c > 0x7ff) + (c > 0xffff));
		assert_int_equal(mw_utf8_read((unsigned char *)o, n, &back), n);
		assert_int_equal(back, c);
		for (size_t cut = 0; cut < n; cut++)
			assert_int_equal(mw_utf8_length((unsigned char *)o, cut), 0);
	}
}

/* The table itself: which second octets a first one allows. */
static bool allows(unsigned first, unsigned second)
{
	static const struct {
		unsigned from, to, low, high;
	} rows[] = { { 0xc2, 0xdf, 0x80, 0xbf }, { 0xe0, 0xe0, 0xa0, 0xbf },
		{ 0xe1, 0xec, 0x80, 0xbf }, { 0xed, 0xed, 0x80, 0x9f }, { 0xee, 0xef, 0x80, 0xbf },
		{ 0xf0, 0xf0, 0x90, 0xbf }, { 0xf1, 0xf3, 0x80, 0xbf },
		{ 0xf4, 0xf4, 0x80, 0x8f } };

	for (size_t i = 0; i < MW_COUNT(rows); i++)
		if (first >= rows[i].from && first <= rows[i].to)
			return second >= rows[i].low && second <= rows[i].high;
	return false;
}

static void every_pair_of_octets(void **state)
{
	(void)state;
	for (unsigned first = 0; first < 256; first++)
		for (unsigned second = 0; second < 256; second++) {
			const unsigned char o[] = { (unsigned char)first, (unsigned char)second,
				0x80, 0xbf };
			size_t want = first < 0x80	       ? 1
				      : !allows(first, second) ? 0
				      : first < 0xe0	       ? 2
				      : first < 0xf0	       ? 3
							       : 4;

			assert_int_equal(mw_utf8_length(o, sizeof(o)), want);
		}
}

static void a_tail_is_of_the_second_kind(void **state)
{
	(void)state;
	for (unsigned octet = 0; octet < 256; octet++) {
		const unsigned char three[] = { 0xe2, 0x82, (unsigned char)octet };
		const unsigned char four[] = { 0xf1, 0x80, (unsigned char)octet, 0x80 };
		const unsigned char last[] = { 0xf1, 0x80, 0x80, (unsigned char)octet };
		bool tail = octet >= 0x80 && octet < 0xc0;

		assert_int_equal(mw_utf8_length(three, 3), tail ? 3 : 0);
		assert_int_equal(mw_utf8_length(four, 4), tail ? 4 : 0);
		assert_int_equal(mw_utf8_length(last, 4), tail ? 4 : 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_character_there_and_back),
		cmocka_unit_test(every_pair_of_octets),
		cmocka_unit_test(a_tail_is_of_the_second_kind),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
