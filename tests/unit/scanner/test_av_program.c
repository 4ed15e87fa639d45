#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "av_program.h"

static char found[256];

static void note(void *arg, const char *name, size_t file)
{
	size_t n = strlen(found);

	(void)arg;
	snprintf(found + n, sizeof(found) - n, "[%s@%zu]", name, file);
}

#define CLAMSCAN                                                                                   \
	{                                                                                          \
		.infected = { .set = true, .count = 1, .codes = { 1 } },                           \
		.clean = { .set = true, .count = 2, .codes = { 0, 3 } },                           \
	}

static const struct {
	const char *output;
	uint64_t code, signal;
	bool late;
	enum avs_answer answer;
	const char *found;
} runs[] = {
	{ "/x/p011: OK\n", 0, 0, false, AVS_CLEAN, "" },
	{ "", 3, 0, false, AVS_CLEAN, "" },
	{ "/x/p011: OK\n/x/p013: Eicar FOUND\n", 1, 0, false, AVS_INFECTED, "[Eicar@12]" },
	{ "/x/p011: A FOUND\n/x/p099: B FOUND\nC FOUND", 1, 0, false, AVS_INFECTED,
		"[A@10][B@10]" },
	{ "nothing that has a name\n", 1, 0, false, AVS_INFECTED, "[@10]" },
	{ "/x/p011: OK\n", 2, 0, false, AVS_REFUSED, "" },
	{ "/x/p011: OK\n", 0, 11, false, AVS_REFUSED, "" },
	{ "/x/p011: OK\n", 0, 9, true, AVS_FAILED, "" },
};

static void exit_codes_are_judged_infected_first(void **state)
{
	struct avs_entry e = CLAMSCAN;
	char why[AVS_WHY_MAX];

	(void)state;
	assert_int_equal(mw_pattern_new("^.*: (.*) FOUND$", &e.names, NULL), MW_OK);
	for (size_t i = 0; i < MW_COUNT(runs); i++) {
		const struct program_ran ran = { 10, 5, runs[i].code, runs[i].signal, runs[i].late,
			mw_octets_of_text(runs[i].output) };

		found[0] = '\0';
		assert_int_equal(avs_program_judge(&e, &ran, note, NULL, why), runs[i].answer);
		assert_string_equal(found, runs[i].found);
		assert_int_equal(why[0] != '\0', runs[i].answer > AVS_INFECTED);
	}
	mw_pattern_destroy(&e.names);
}

static void without_clean_a_program_never_vouches(void **state)
{
	struct avs_entry e = CLAMSCAN;
	const struct program_ran ran = { 0, 1, 0, 0, false, mw_octets_of_text("fine") };
	char why[AVS_WHY_MAX];

	(void)state;
	e.clean.set = false;
	assert_int_equal(avs_program_judge(&e, &ran, note, NULL, why), AVS_SILENT);
}

static void patterns_judge_the_output(void **state)
{
	struct avs_entry e = { .infected.set = true, .clean.set = true };
	struct program_ran ran = { 0, 1, 5, 0, false, mw_octets_of_text("a: OK\nb: X FOUND\n") };
	char why[AVS_WHY_MAX];

	(void)state;
	assert_int_equal(mw_pattern_new("(?m) FOUND$", &e.infected.pattern, NULL), MW_OK);
	assert_int_equal(mw_pattern_new("(?m) OK$", &e.clean.pattern, NULL), MW_OK);
	assert_int_equal(avs_program_judge(&e, &ran, note, NULL, why), AVS_INFECTED);
	ran.output = mw_octets_of_text("a: OK\n");
	assert_int_equal(avs_program_judge(&e, &ran, note, NULL, why), AVS_CLEAN);
	ran.output = mw_octets_of_text("what?");
	assert_int_equal(avs_program_judge(&e, &ran, note, NULL, why), AVS_REFUSED);
	mw_pattern_destroy(&e.infected.pattern);
	mw_pattern_destroy(&e.clean.pattern);
}

/* What cannot be asked of the output is no reason to believe its exit code. */
static void a_pattern_at_its_limits_is_no_verdict(void **state)
{
	struct avs_entry e = { .infected.set = true,
		.clean = { .set = true, .count = 1, .codes = { 0 } } };
	const struct program_ran ran = { 0, 1, 0, 0, false,
		mw_octets_of_text("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!b") };
	char why[AVS_WHY_MAX];

	(void)state;
	assert_int_equal(mw_pattern_new("^(a+)+b", &e.infected.pattern, NULL), MW_OK);
	assert_int_equal(mw_pattern_match(e.infected.pattern, ran.output), MW_ERR_LIMIT);
	assert_int_equal(avs_program_judge(&e, &ran, note, NULL, why), AVS_REFUSED);
	assert_true(strstr(why, "limits") != NULL);
	mw_pattern_destroy(&e.infected.pattern);
}

static void orders_and_runs_survive_the_way_and_no_cut_does(void **state)
{
	const struct program_order sent = { .program = "/bin/scan",
		.temp_dir = "/tmp",
		.arguments = { 2, { "-x", "{}/*" } },
		.reads = { 1, { "/var/lib" } },
		.timeout_ms = 7,
		.memory = 8,
		.file_size = 9,
		.quota = 10,
		.strict = true };
	struct program_order got;
	struct mw_pack b;

	(void)state;
	mw_pack_init(&b);
	program_order_encode(&b, &sent);
	for (size_t n = 0; n < b.n; n++)
		assert_int_equal(program_order_decode(mw_octets_of(b.p, n), &got), MW_ERR_PROTO);
	assert_int_equal(program_order_decode(mw_octets_of(b.p, b.n), &got), MW_OK);
	assert_string_equal(got.arguments.items[1], "{}/*");
	assert_true(got.reads.count == 1 && got.quota == 10 && got.strict);
	program_order_fini(&got);
	mw_pack_fini(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(exit_codes_are_judged_infected_first),
		cmocka_unit_test(without_clean_a_program_never_vouches),
		cmocka_unit_test(patterns_judge_the_output),
		cmocka_unit_test(a_pattern_at_its_limits_is_no_verdict),
		cmocka_unit_test(orders_and_runs_survive_the_way_and_no_cut_does),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
