#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "format.h"

/* Whatever the size, the result and every octet are libc's. */
#define SAME(...)                                                                                  \
	do {                                                                                       \
		char ours[64], theirs[64];                                                         \
                                                                                                   \
		for (size_t size = 0; size <= sizeof(ours); size++) {                              \
			memset(ours, 'x', sizeof(ours));                                           \
			memset(theirs, 'x', sizeof(theirs));                                       \
			assert_int_equal(mw_format(ours, size, __VA_ARGS__),                       \
				snprintf(theirs, size, __VA_ARGS__));                              \
			assert_memory_equal(ours, theirs, sizeof(ours));                           \
		}                                                                                  \
	} while (0)

#pragma GCC diagnostic ignored "-Wformat-truncation"

static void texts_are_as_libc_makes_them(void **state)
{
	static const char sixty[] = "sixty octets of text that are longer than any buffer in here";

	(void)state;
	SAME("nothing to convert");
	SAME("%s", "");
	SAME("%s %s%s", "a", "", "bc");
	SAME("%s|%s", sixty, sixty);
	SAME("%.*s|%.*s|%.*s", 3, "abcdef", 0, "abc", 9, "ab");
	SAME("%.*s", -1, "no precision");
	SAME("100%% of %c%c", 'x', '\n');
	SAME("%s=%u %s=%d", "one", 1u, "minus", -1);
}

static void numbers_are_as_libc_makes_them(void **state)
{
	(void)state;
	SAME("%d %d %d %d", 0, INT_MAX, INT_MIN, -10);
	SAME("%u %u", 0u, UINT_MAX);
	SAME("%ld %ld %lu", LONG_MIN, LONG_MAX, ULONG_MAX);
	SAME("%lld %lld %llu", LLONG_MIN, LLONG_MAX, ULLONG_MAX);
	SAME("%zu %zu", (size_t)0, SIZE_MAX);
}

static void what_is_not_ours_goes_to_libc_with_all_arguments(void **state)
{
	(void)state;
	SAME("%s %03u %s", "before", 7u, "behind");
	SAME("%u %.2f %d", 1u, 2.5, -3);
	SAME("%-8s|%8s|%x %p", "left", "right", 255u, (void *)0);
	SAME("%.3s %5d %+d", "abcdef", 42, 7);
	SAME("%hd %hhu", (short)-1, (unsigned char)200);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(texts_are_as_libc_makes_them),
		cmocka_unit_test(numbers_are_as_libc_makes_them),
		cmocka_unit_test(what_is_not_ours_goes_to_libc_with_all_arguments),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
