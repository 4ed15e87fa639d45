#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "counts.h"

static struct statussvc_counts c;

static int setup(void **state)
{
	(void)state;
	statussvc_counts_init(&c);
	return 0;
}

/* One mail with that contents category and time, and a recipient for each bit of actions. */
static void count(unsigned ccat, unsigned actions, uint64_t total_us, uint64_t now_ms)
{
	struct mw_record_rcpt rcpts[MW_ACT_COUNT] = { 0 };
	struct mw_record_elapsed elapsed = {
		.section = mw_octets_of_text("total"), .wall_us = total_us, .cpu_us = 7
	};
	struct mw_record r = {
		.ccat = ccat, .size = 1000, .rcpts = rcpts, .elapsed = &elapsed, .elapsed_count = 1
	};

	for (int a = 0; a < MW_ACT_COUNT; a++)
		if (actions & MW_BIT(a))
			rcpts[r.rcpt_count++].action = (enum mw_action)a;
	statussvc_counts_mail(&c, &r, now_ms);
}

static void a_bucket_holds_what_lies_below_its_end_and_not_below_the_one_before(void **state)
{
	(void)state;
	for (unsigned b = 0; b + 1 < STATUSSVC_BUCKETS; b++) {
		uint64_t end = statussvc_bucket_end(b);

		assert_int_equal(statussvc_bucket_of(end - 1), b);
		assert_int_equal(statussvc_bucket_of(end), b + 1);
	}
	assert_int_equal(statussvc_bucket_of(0), 0);
	assert_int_equal(statussvc_bucket_of(UINT64_MAX), STATUSSVC_BUCKETS - 1);
}

static void percentiles_are_at_most_an_eighth_too_high_and_never_above_the_maximum(void **state)
{
	struct statussvc_cell sum;

	(void)state;
	for (uint64_t i = 1; i <= 1000; i++)
		count(MW_CCAT(MW_CC_CLEAN, 0), MW_BIT(MW_ACT_PASS), i * 1000, 5000);
	statussvc_ring_sum(&c.seconds, 5000, &sum);
	assert_int_equal(statussvc_cell_latencies(&sum), 1000);
	assert_in_range(statussvc_cell_percentile_us(&sum, 500), 500000, 500000 * 9 / 8);
	assert_in_range(statussvc_cell_percentile_us(&sum, 990), 990000, 1000000);
	assert_int_equal(statussvc_cell_percentile_us(&sum, 1000), 1000000);
	assert_int_equal(sum.latency_max_us, 1000000);
}

static void nothing_counted_has_percentile_0(void **state)
{
	struct statussvc_cell sum;

	(void)state;
	statussvc_ring_sum(&c.seconds, 0, &sum);
	assert_int_equal(sum.mails, 0);
	assert_int_equal(statussvc_cell_percentile_us(&sum, 500), 0);
}

static void a_minute_slides_out_second_by_second(void **state)
{
	struct statussvc_cell sum;

	(void)state;
	count(MW_CCAT(MW_CC_CLEAN, 0), MW_BIT(MW_ACT_PASS), 100, 1000000);
	count(MW_CCAT(MW_CC_SPAM, 0), MW_BIT(MW_ACT_REJECT), 100, 1001000);
	statussvc_ring_sum(&c.seconds, 1001000, &sum);
	assert_int_equal(sum.mails, 2);
	statussvc_ring_sum(&c.seconds, 1059999, &sum);
	assert_int_equal(sum.mails, 2);
	statussvc_ring_sum(&c.seconds, 1060000, &sum);
	assert_int_equal(sum.mails, 1);
	assert_int_equal(sum.content[MW_CC_SPAM], 1);
	assert_int_equal(sum.content[MW_CC_CLEAN], 0);
	statussvc_ring_sum(&c.seconds, 1061000, &sum);
	assert_int_equal(sum.mails, 0);
	statussvc_ring_sum(&c.minutes, 1061000, &sum);
	assert_int_equal(sum.mails, 2);
}

static void a_cell_is_used_again_after_a_round(void **state)
{
	const struct statussvc_cell *cell;

	(void)state;
	count(MW_CCAT(MW_CC_CLEAN, 0), MW_BIT(MW_ACT_PASS), 100, 60000);
	count(MW_CCAT(MW_CC_CLEAN, 0), MW_BIT(MW_ACT_PASS), 100, 120000);
	cell = statussvc_ring_cell(&c.seconds, 120000, 0);
	assert_non_null(cell);
	assert_int_equal(cell->mails, 1);
	assert_null(statussvc_ring_cell(&c.seconds, 120000, 1));
	assert_null(statussvc_ring_cell(&c.seconds, 120000, STATUSSVC_SPANS));
	assert_non_null(statussvc_ring_cell(&c.minutes, 120000, 1));
	assert_null(statussvc_ring_cell(&c.minutes, 120000, 3));
}

static void a_mail_counts_once_for_each_action_in_it(void **state)
{
	(void)state;
	count(MW_CCAT(MW_CC_VIRUS, 0), MW_BIT(MW_ACT_PASS) | MW_BIT(MW_ACT_DISCARD), 100, 1000);
	count(MW_CCAT(MW_CC_UNCHECKED, 2), MW_BIT(MW_ACT_PASS), 100, 1000);
	assert_int_equal(c.mails, 2);
	assert_int_equal(c.recipients, 3);
	assert_int_equal(c.octets, 2000);
	assert_int_equal(c.matrix[MW_CC_VIRUS][MW_ACT_PASS], 1);
	assert_int_equal(c.matrix[MW_CC_VIRUS][MW_ACT_DISCARD], 1);
	assert_int_equal(c.matrix[MW_CC_VIRUS][MW_ACT_REJECT], 0);
	assert_int_equal(c.matrix[MW_CC_UNCHECKED][MW_ACT_PASS], 1);
}

static void an_aborted_mail_is_in_no_other_count(void **state)
{
	struct mw_record r = { .aborted = true, .size = 1000 };

	(void)state;
	statussvc_counts_mail(&c, &r, 1000);
	assert_int_equal(c.aborted, 1);
	assert_int_equal(c.mails + c.octets, 0);
	assert_null(statussvc_ring_cell(&c.seconds, 1000, 0));
}

static void a_newer_fronts_category_or_action_is_not_out_of_bounds(void **state)
{
	struct mw_record_rcpt rcpt = { .action = (enum mw_action)77 };
	struct mw_record r = { .ccat = 990, .rcpts = &rcpt, .rcpt_count = 1 };

	(void)state;
	statussvc_counts_mail(&c, &r, 1000);
	assert_int_equal(c.mails, 1);
	for (int a = 0; a < MW_ACT_COUNT; a++)
		assert_int_equal(c.matrix[MW_CC_CATCHALL][a], 0);
}

static void times_are_summed_by_section_and_a_mail_without_total_has_no_latency(void **state)
{
	struct mw_record_elapsed elapsed[] = {
		{ .section = mw_octets_of_text("virus"), .wall_us = 30, .cpu_us = 20 },
		{ .section = mw_octets_of_text("of a newer front"), .wall_us = 1000 },
		{ .section = mw_octets_of(NULL, 0), .wall_us = 1000 },
	};
	struct mw_record r = { .ccat = 10, .elapsed = elapsed, .elapsed_count = MW_COUNT(elapsed) };
	struct statussvc_cell sum;

	(void)state;
	statussvc_counts_mail(&c, &r, 1000);
	statussvc_counts_mail(&c, &r, 1000);
	assert_int_equal(c.sections[STATUSSVC_VIRUS].count, 2);
	assert_int_equal(c.sections[STATUSSVC_VIRUS].wall_us, 60);
	assert_int_equal(c.sections[STATUSSVC_VIRUS].cpu_us, 40);
	assert_int_equal(c.sections[STATUSSVC_TOTAL].count, 0);
	statussvc_ring_sum(&c.seconds, 1000, &sum);
	assert_int_equal(sum.mails, 2);
	assert_int_equal(statussvc_cell_latencies(&sum), 0);
}

static void the_metrics_histogram_includes_its_upper_ends(void **state)
{
	(void)state;
	count(10, 1, 1000, 0);
	count(10, 1, 1001, 0);
	count(10, 1, 300000000, 0);
	count(10, 1, 300000001, 0);
	assert_int_equal(c.metric[0], 1);
	assert_int_equal(c.metric[1], 1);
	assert_int_equal(c.metric[STATUSSVC_METRIC_BUCKETS - 1], 1);
	assert_int_equal(c.metric[STATUSSVC_METRIC_BUCKETS], 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			a_bucket_holds_what_lies_below_its_end_and_not_below_the_one_before),
		cmocka_unit_test_setup(
			percentiles_are_at_most_an_eighth_too_high_and_never_above_the_maximum,
			setup),
		cmocka_unit_test_setup(nothing_counted_has_percentile_0, setup),
		cmocka_unit_test_setup(a_minute_slides_out_second_by_second, setup),
		cmocka_unit_test_setup(a_cell_is_used_again_after_a_round, setup),
		cmocka_unit_test_setup(a_mail_counts_once_for_each_action_in_it, setup),
		cmocka_unit_test_setup(an_aborted_mail_is_in_no_other_count, setup),
		cmocka_unit_test_setup(
			a_newer_fronts_category_or_action_is_not_out_of_bounds, setup),
		cmocka_unit_test_setup(
			times_are_summed_by_section_and_a_mail_without_total_has_no_latency, setup),
		cmocka_unit_test_setup(the_metrics_histogram_includes_its_upper_ends, setup),
	};

	return cmocka_run_group_tests_name("status counts", tests, NULL, NULL);
}
