/* The answers of DNS lists: found, expired, bounded. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "front.h"
#include "policy/dnsl_cache.h"

/* main.c's */
void front_txn_over(struct front *f)
{
	(void)f;
}

static struct mw_ip ip_of(unsigned n)
{
	char text[MW_IP_TEXT_MAX];
	struct mw_ip ip;

	snprintf(text, sizeof(text), "192.0.%u.%u", n / 256, n % 256);
	assert_true(mw_ip_parse(text, &ip));
	return ip;
}

static void put(struct dnsl_cache *c, unsigned n, const char *zone, uint32_t ttl_s, uint64_t now_ms)
{
	struct mw_ip ip = ip_of(n);
	struct mw_dnsl_answer a = { 1, { n } };

	dnsl_cache_put(c, &ip, zone, &a, ttl_s, now_ms);
}

static bool has(struct dnsl_cache *c, unsigned n, const char *zone, uint64_t now_ms)
{
	struct mw_ip ip = ip_of(n);
	struct mw_dnsl_answer a;

	if (!dnsl_cache_get(c, &ip, zone, now_ms, &a))
		return false;
	assert_int_equal(a.count, 1);
	assert_int_equal(a.a[0], n);
	return true;
}

static void answers_are_found_by_address_and_zone(void **state)
{
	struct dnsl_cache *c = dnsl_cache_new(100);

	(void)state;
	put(c, 1, "a.example", 60, 0);
	put(c, 2, "b.example", 60, 0);
	assert_true(has(c, 1, "a.example", 1));
	assert_true(has(c, 2, "b.example", 1));
	assert_false(has(c, 1, "b.example", 1));
	assert_false(has(c, 1, "a.exampl", 1));
	assert_false(has(c, 3, "a.example", 1));
	put(c, 1, "a.example", 60, 0); /* instead of the first */
	assert_int_equal(dnsl_cache_entries(c), 2);
	dnsl_cache_destroy(&c);
	assert_null(c);
}

static void they_live_from_a_second_to_an_hour(void **state)
{
	static const struct {
		uint32_t ttl_s;
		uint64_t last_ms;
	} rows[] = { { 0, 999 }, { 1, 999 }, { 2, 1999 }, { 3600, 3599999 }, { 3601, 3599999 },
		{ UINT32_MAX, 3599999 } };

	(void)state;
	for (size_t i = 0; i < MW_COUNT(rows); i++) {
		struct dnsl_cache *c = dnsl_cache_new(1);

		put(c, 1, "z", rows[i].ttl_s, 5000);
		assert_true(has(c, 1, "z", 5000 + rows[i].last_ms));
		assert_false(has(c, 1, "z", 5001 + rows[i].last_ms));
		assert_int_equal(dnsl_cache_entries(c), 0);
		dnsl_cache_destroy(&c);
	}
}

static void the_one_not_used_for_longest_goes(void **state)
{
	struct dnsl_cache *c = dnsl_cache_new(3);

	(void)state;
	for (unsigned n = 1; n <= 3; n++)
		put(c, n, "z", 60, 0);
	assert_true(has(c, 1, "z", 1));
	put(c, 4, "z", 60, 2);
	assert_int_equal(dnsl_cache_entries(c), 3);
	assert_false(has(c, 2, "z", 3));
	assert_true(has(c, 1, "z", 3) && has(c, 3, "z", 3) && has(c, 4, "z", 3));
	for (unsigned n = 5; n < 60000; n++)
		put(c, n, "z", 60, 4);
	assert_int_equal(dnsl_cache_entries(c), 3);
	dnsl_cache_destroy(&c);
}

static void without_room_nothing_is_kept(void **state)
{
	struct dnsl_cache *c = dnsl_cache_new(0);

	(void)state;
	put(c, 1, "z", 60, 0);
	assert_false(has(c, 1, "z", 0));
	dnsl_cache_destroy(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(answers_are_found_by_address_and_zone),
		cmocka_unit_test(they_live_from_a_second_to_an_hour),
		cmocka_unit_test(the_one_not_used_for_longest_goes),
		cmocka_unit_test(without_room_nothing_is_kept),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
