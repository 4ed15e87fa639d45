#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "av_check.h"

/* Findings of a cage with so many viruses. */
static struct mw_octets findings(struct mw_pack *b, unsigned viruses)
{
	mw_pack_init(b);
	mw_pack_map(b, 1);
	mw_pack_text(b, "viruses");
	mw_pack_array(b, viruses);
	for (unsigned i = 0; i < viruses; i++)
		mw_pack_map(b, 0);
	return mw_octets_of(b->p, b->n);
}

static const struct {
	enum scan_engine_end end;
	unsigned viruses;
	enum avs_answer answer;
} ends[] = {
	{ SCAN_ENGINE_ANSWERED, 0, AVS_CLEAN },
	{ SCAN_ENGINE_ANSWERED, 2, AVS_INFECTED },
	{ SCAN_ENGINE_FAILED, 0, AVS_FAILED },
	{ SCAN_ENGINE_FAILED, 1, AVS_INFECTED }, /* a failure behind a find takes nothing away */
	{ SCAN_ENGINE_NOT_ASKED, 0, AVS_FAILED },
};

static void a_find_counts_whatever_happened_after_it(void **state)
{
	(void)state;
	for (size_t i = 0; i < MW_COUNT(ends); i++) {
		struct mw_pack b;

		assert_int_equal(
			avc_builtin(ends[i].end, findings(&b, ends[i].viruses)), ends[i].answer);
		mw_pack_fini(&b);
	}
}

static void without_findings_a_failed_engine_has_failed(void **state)
{
	(void)state;
	assert_int_equal(avc_builtin(SCAN_ENGINE_FAILED, mw_octets_of(NULL, 0)), AVS_FAILED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_find_counts_whatever_happened_after_it),
		cmocka_unit_test(without_findings_a_failed_engine_has_failed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
