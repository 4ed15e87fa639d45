/* Patterns: what matches, what was caught, what is refused, and that nothing can burn CPU. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "idna.h"
#include "pattern.h"

static struct mw_pattern *new_pattern(const char *text)
{
	struct mw_pattern *p = NULL;
	struct mw_err err;

	if (mw_pattern_new(text, &p, &err) != MW_OK)
		fail_msg("%s: %s", text, err.text);
	assert_string_equal(mw_pattern_text(p), text);
	return p;
}

static void groups_are_what_they_caught(void **state)
{
	static const struct {
		const char *pattern, *subject, *groups[3];
	} rows[] = {
		{ "^(.*)@(.*)$", "a@b", { "a@b", "a", "b" } },
		{ "(b)(c)?", "abd", { "b", "b", "" } },
		{ "b", "abc", { "b", "", "" } },
		{ "", "", { "", "", "" } },
		{ "(?=.*(c))a", "abc", { "a", "c", "" } },
		{ "(?i)B", "abc", { "b", "", "" } },
		{ "(?|(a)|(b))", "b", { "b", "b", "" } },
	};

	(void)state;
	for (size_t i = 0; i < MW_COUNT(rows); i++) {
		struct mw_pattern *p = new_pattern(rows[i].pattern);
		struct mw_octets subject = mw_octets_of_text(rows[i].subject);

		assert_int_equal(mw_pattern_match(p, subject), MW_OK);
		for (unsigned n = 0; n < 3; n++) {
			struct mw_octets got = mw_pattern_capture(p, subject, n);

			assert_int_equal(got.n, strlen(rows[i].groups[n]));
			if (got.n > 0)
				assert_memory_equal(got.p, rows[i].groups[n], got.n);
		}
		assert_int_equal(mw_pattern_capture(p, subject, 99).n, 0);
		mw_pattern_destroy(&p);
		assert_null(p);
	}
}

static void what_does_not_match_is_told_from_what_nobody_knows(void **state)
{
	struct mw_pattern *p = new_pattern("^(a+)+$");
	struct mw_octets none = { NULL, 0 };
	char subject[64];

	(void)state;
	assert_int_equal(mw_pattern_match(p, mw_octets_of_text("b")), MW_ERR_GONE);
	assert_int_equal(mw_pattern_match(p, none), MW_ERR_GONE);
	memset(subject, 'a', sizeof(subject));
	assert_int_equal(mw_pattern_match(p, mw_octets_of(subject, sizeof(subject))), MW_OK);
	subject[63] = 'b';
	assert_int_equal(mw_pattern_match(p, mw_octets_of(subject, sizeof(subject))), MW_ERR_LIMIT);
	mw_pattern_destroy(&p);
}

static void a_match_deeper_than_the_stack_of_machine_code_is_still_found(void **state)
{
	struct mw_pattern *p = new_pattern("^(?:(a)|(b))*$");
	char subject[1024];

	(void)state;
	memset(subject, 'a', sizeof(subject));
	assert_int_equal(mw_pattern_match(p, mw_octets_of(subject, sizeof(subject))), MW_OK);
	mw_pattern_destroy(&p);
}

static void patterns_beyond_the_limits_are_refused(void **state)
{
	char *text = calloc(1, MW_PATTERN_MAX + 2);
	struct mw_pattern *p = NULL;
	struct mw_err err;

	(void)state;
	memset(text, 'a', MW_PATTERN_MAX);
	p = new_pattern(text);
	mw_pattern_destroy(&p);
	text[MW_PATTERN_MAX] = 'a';
	assert_int_equal(mw_pattern_new(text, &p, &err), MW_ERR_LIMIT);
	text[0] = '\0';
	for (int i = 0; i <= MW_PATTERN_CAPTURES_MAX; i++)
		strcat(text, "(a)");
	assert_int_equal(mw_pattern_new(text, &p, &err), MW_ERR_CONF);
	assert_int_equal(mw_pattern_new("a(b", &p, &err), MW_ERR_CONF);
	assert_non_null(strstr(err.text, "at character 4: "));
	assert_int_equal(mw_pattern_new("\\C", &p, &err), MW_ERR_CONF);
	assert_int_equal(mw_pattern_new("\xff", &p, &err), MW_ERR_CONF);
	assert_null(p);
	free(text);
}

static void domains_become_a_labels_or_nothing(void **state)
{
	static const struct {
		const char *domain, *ascii;
	} rows[] = {
		{ "Example.ORG", "example.org" },
		{ "b\xc3\xbc"
		  "cher.example",
			"xn--bcher-kva.example" },
		{ "B\xc3\x9c"
		  "CHER.Example",
			"xn--bcher-kva.example" },
		{ "xn--bcher-kva.example", "xn--bcher-kva.example" },
		{ "a\xef\xbc\x9e.example", NULL }, /* U+FF1E becomes > */
		{ "a b", NULL },
		{ "a>b", NULL },
		{ "", NULL },
		{ "\xff", NULL },
	};

	(void)state;
	for (size_t i = 0; i < MW_COUNT(rows); i++) {
		char buf[MW_IDNA_MAX] = "untouched";

		assert_int_equal(mw_idna_to_ascii(rows[i].domain, buf), rows[i].ascii != NULL);
		assert_string_equal(buf, rows[i].ascii != NULL ? rows[i].ascii : "untouched");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(groups_are_what_they_caught),
		cmocka_unit_test(what_does_not_match_is_told_from_what_nobody_knows),
		cmocka_unit_test(a_match_deeper_than_the_stack_of_machine_code_is_still_found),
		cmocka_unit_test(patterns_beyond_the_limits_are_refused),
		cmocka_unit_test(domains_become_a_labels_or_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
