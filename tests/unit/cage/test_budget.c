#include "help.h"

#include "budget.h"

static uint64_t quota(uint64_t size, bool *by_ratio)
{
	static const struct budget_conf conf = { 14, 1500, 102400, 314572800, 5, 500 };
	struct budget b;

	budget_open(&b, &conf, size, UINT64_MAX);
	*by_ratio = b.by_ratio;
	return b.octets;
}

static void the_quota_is_amavisds(void **state)
{
	bool by_ratio;

	(void)state;
	assert_int_equal(quota(100, &by_ratio), 102400); /* the least anybody gets */
	assert_true(by_ratio);
	assert_int_equal(quota(1000, &by_ratio), 500000); /* the factor */
	assert_true(by_ratio);
	assert_int_equal(quota(1000000, &by_ratio), 314572800); /* the most */
	assert_false(by_ratio);
	assert_int_equal(
		quota(100000000, &by_ratio), 500000000); /* but five times its size to everybody */
	assert_true(quota(UINT64_MAX, &by_ratio) == UINT64_MAX);
}

static void what_is_used_up_is_noted_once_and_stays_used_up(void **state)
{
	static const struct budget_conf conf = { 2, 1, 10, 10, 1, 1 };
	struct budget b;

	(void)state;
	budget_open(&b, &conf, 1, mw_mono_ms() + 10000);
	assert_true(budget_level(&b, 2));
	assert_false(budget_level(&b, 3));
	assert_true(budget_file(&b));
	assert_false(budget_file(&b));
	assert_true(budget_octets(&b, 4) && budget_octets(&b, 6));
	assert_false(budget_octets(&b, 1));
	assert_true(budget_time(&b));
	assert_true(budget_ms_left(&b) > 0);
	b.deadline_ms = 1;
	assert_false(budget_time(&b));
	assert_int_equal(budget_ms_left(&b), 0);
	assert_int_equal(b.met, MW_BIT(SCAN_LIMIT_DEPTH) | MW_BIT(SCAN_LIMIT_PARTS) |
					MW_BIT(SCAN_LIMIT_RATIO) | MW_BIT(SCAN_LIMIT_TIME));
}

static void a_share_of_the_time_is_kept_for_the_raw_mail(void **state)
{
	static const struct budget_conf conf = { 2, 1, 10, 10, 1, 1 };
	struct budget b;

	(void)state;
	budget_open(&b, &conf, 1, mw_mono_ms() + 10000);
	assert_true(b.end_ms - b.deadline_ms > 1900 && b.end_ms - b.deadline_ms <= 2000);
	b.deadline_ms = 1;
	assert_false(budget_time(&b));
	assert_true(budget_ms_in_all(&b) > 0);
	budget_open(&b, &conf, 1, mw_mono_ms() + 3600000);
	assert_int_equal(b.end_ms - b.deadline_ms, 10000);
	budget_open(&b, &conf, 1, 1); /* over before it began */
	assert_int_equal(budget_ms_left(&b) + budget_ms_in_all(&b), 0);
}

static void memory_is_a_limit_of_its_own(void **state)
{
	const struct budget_conf conf = { 2, 1, 1u << 30, 1u << 30, 1, 1, 8u << 20 };
	struct budget b;
	void *much;

	(void)state;
	budget_open(&b, &conf, 1, mw_mono_ms() + 10000);
	assert_true(budget_octets(&b, 64u << 20)); /* what came out was let go again */
	assert_false(budget_burst(&b));
	much = malloc(16u << 20);
	assert_non_null(much);
	memset(much, 1, 16u << 20);
	if (budget_octets(&b, 64u << 20)) /* an allocator of a sanitizer tells nobody what it has */
		budget_no_memory(&b);
	assert_int_equal(b.met, MW_BIT(SCAN_LIMIT_MEMORY));
	assert_true(budget_burst(&b));
	free(much);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_quota_is_amavisds),
		cmocka_unit_test(what_is_used_up_is_noted_once_and_stays_used_up),
		cmocka_unit_test(a_share_of_the_time_is_kept_for_the_raw_mail),
		cmocka_unit_test(memory_is_a_limit_of_its_own),
	};

	return cmocka_run_group_tests_name("budget", tests, NULL, NULL);
}
