#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include <math.h>

#include "breaker.h"
#include "score.h"

static void scores_are_those_of_the_table(void **state)
{
	static const struct {
		struct rep_counts c;
		int hundredths;
	} rows[] = {
		{ { .n = 1, .s = 1 }, 90 },
		{ { .n = 3, .s = 3 }, 134 },
		{ { .n = 5, .s = 5 }, 161 },
		{ { .n = 10, .s = 10 }, 206 },
		{ { .n = 10, .s = 8, .h = 2 }, 62 },
		{ { .n = 10, .s = 5, .h = 5 }, 10 },
		{ { .n = 50, .s = 50 }, 368 },
		{ { .n = 50, .s = 40, .h = 10 }, 111 },
		{ { .n = 100, .s = 100 }, 472 },
		{ { .n = 100, .b = 1 }, 472 },
	};

	(void)state;
	for (size_t i = 0; i < MW_COUNT(rows); i++)
		assert_int_equal(
			lround((double)rep_score_milli(&rows[i].c) / 10), rows[i].hundredths);
}

static void no_score_without_spam_or_below_a_twentieth(void **state)
{
	(void)state;
	assert_int_equal(rep_score_milli(&(struct rep_counts){ 0 }), 0);
	assert_int_equal(rep_score_milli(&(struct rep_counts){ .n = 1000 }), 0);
	assert_int_equal(rep_score_milli(&(struct rep_counts){ .n = 1000, .h = 1000 }), 0);
	/* 0.9 * 2^0.36 * exp(-3) is 0.0575, 0.9 * 1^0.36 * ... falls below with more ham. */
	assert_int_equal(rep_score_milli(&(struct rep_counts){ .n = 2, .s = 1, .h = 1 }), 58);
	assert_int_equal(rep_score_milli(&(struct rep_counts){ .n = 3, .s = 1, .h = 2 }), 0);
}

static void the_sum_of_the_kinds_counts_where_the_total_is_smaller(void **state)
{
	const struct rep_counts given = { .n = 1, .s = 8, .h = 2 },
				meant = { .n = 10, .s = 8, .h = 2 };

	(void)state;
	assert_int_equal(rep_score_milli(&given), rep_score_milli(&meant));
	/* What no server should say still gives a number. */
	assert_true(rep_score_milli(&(struct rep_counts){
			    .n = UINT64_MAX, .s = UINT64_MAX, .b = UINT64_MAX }) > 0);
}

static void lives_are_those_of_the_table(void **state)
{
	static const double tenths_h[] = { 30, 40, 76, 142, 241, 375, 545, 753, 800 };

	(void)state;
	for (uint64_t n = 0; n < MW_COUNT(tenths_h); n++)
		assert_int_equal(lround(rep_ttl_base_s(n) / 360), lround(tenths_h[n]));
	assert_int_equal(lround(rep_ttl_base_s(UINT64_MAX)), 80 * 3600);
}

static void the_random_factor_stays_within_its_bounds_and_about_one(void **state)
{
	static const uint32_t least[4],
		most[4] = { UINT32_MAX, UINT32_MAX, UINT32_MAX, UINT32_MAX };
	static const uint32_t middle[4] = { UINT32_MAX, UINT32_MAX, 0, 0 };
	double sum = 0, squares = 0;
	const int rounds = 20000;

	(void)state;
	assert_true(fabs(rep_ttl_factor(least) - 0.307) < 0.001);
	assert_true(fabs(rep_ttl_factor(most) - 1.693) < 0.001);
	assert_true(fabs(rep_ttl_factor(middle) - 1) < 1e-9);
	for (int i = 0; i < rounds; i++) {
		uint32_t uniform[4];
		double f;

		mw_random(uniform, sizeof(uniform));
		f = rep_ttl_factor(uniform);
		sum += f;
		squares += f * f;
	}
	assert_true(fabs(sum / rounds - 1) < 0.01);
	assert_true(fabs(sqrt(squares / rounds - sum / rounds * sum / rounds) - 0.2) < 0.01);
}

static void the_breaker_opens_at_its_limit_and_says_so_once(void **state)
{
	struct rep_breaker b = { .most = 3 };

	(void)state;
	assert_false(rep_breaker_failed(&b));
	assert_false(rep_breaker_failed(&b));
	rep_breaker_worked(&b);
	assert_false(rep_breaker_failed(&b));
	assert_false(rep_breaker_failed(&b));
	assert_false(b.open);
	assert_true(rep_breaker_failed(&b));
	assert_true(b.open);
	assert_false(rep_breaker_failed(&b));
	assert_true(rep_breaker_close(&b));
	assert_false(rep_breaker_close(&b));
	assert_false(b.open);
	assert_false(rep_breaker_failed(&b));
}

static void a_connection_alone_does_not_forget_failures_while_closed(void **state)
{
	struct rep_breaker b = { .most = 2 };

	(void)state;
	assert_false(rep_breaker_failed(&b));
	assert_false(rep_breaker_close(&b)); /* it connects, but every call fails */
	assert_true(rep_breaker_failed(&b));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(scores_are_those_of_the_table),
		cmocka_unit_test(no_score_without_spam_or_below_a_twentieth),
		cmocka_unit_test(the_sum_of_the_kinds_counts_where_the_total_is_smaller),
		cmocka_unit_test(lives_are_those_of_the_table),
		cmocka_unit_test(the_random_factor_stays_within_its_bounds_and_about_one),
		cmocka_unit_test(the_breaker_opens_at_its_limit_and_says_so_once),
		cmocka_unit_test(a_connection_alone_does_not_forget_failures_while_closed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
