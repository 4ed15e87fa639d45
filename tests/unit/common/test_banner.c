/* What greets and dismisses: words filled in, and what cannot be a line refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "banner.h"

static const struct mw_banner_words words = {
	.helo_name = "mx.example.org", .myhostname = "host.example.org", .protocol = "LMTP"
};

static void words_are_filled_in(void **state)
{
	static const struct {
		const char *text, *banner;
	} rows[] = {
		{ "${helo-name} ${protocol} ${product} service ready",
			"mx.example.org LMTP Mailweir service ready" },
		{ "plain", "plain" },
		{ "${myhostname}", "host.example.org" },
		{ "$myhostname.", "host.example.org." },
		{ "$helo-name-", "mx.example.org-" },
		{ "${PROTOCOL}x", "LMTPx" },
		{ "${version-id}", MW_VERSION },
		{ "${version}", "Mailweir-" MW_VERSION },
		{ "costs 5$", "costs 5$" },
		{ "$5 $ $$", "$5 $ $$" },
	};

	(void)state;
	for (size_t i = 0; i < MW_COUNT(rows); i++) {
		struct mw_err err = { "" };
		char banner[MW_BANNER_MAX];

		if (mw_banner_fill("b", rows[i].text, &words, banner, &err) != MW_OK)
			fail_msg("%s: %s", rows[i].text, err.text);
		assert_string_equal(banner, rows[i].banner);
	}
}

static void what_cannot_be_is_refused(void **state)
{
	static const struct {
		const char *text, *says;
	} rows[] = {
		{ "", "printable" },
		{ "a\r\n250 b", "printable" },
		{ "a\n", "printable" },
		{ "gr\xc3\xbc\xc3\x9f", "printable" },
		{ "a\tb", "printable" },
		{ "${helo}", "${helo-name}" },
		{ "${}", "${helo-name}" },
		{ "$helo", "${helo-name}" },
		{ "${version-date}", "${version-id}" },
		{ "${helo-name", "without its }" },
		{ "${", "without its }" },
	};

	(void)state;
	for (size_t i = 0; i < MW_COUNT(rows); i++) {
		struct mw_err err = { "" };
		char banner[MW_BANNER_MAX];

		assert_int_equal(
			mw_banner_fill("b", rows[i].text, &words, banner, &err), MW_ERR_CONF);
		if (strstr(err.text, rows[i].says) == NULL)
			fail_msg("%s: %s", rows[i].text, err.text);
	}
}

static void a_line_has_an_end(void **state)
{
	struct mw_err err = { "" };
	char banner[MW_BANNER_MAX], text[MW_BANNER_MAX + 1];

	(void)state;
	memset(text, 'x', sizeof(text));
	text[MW_BANNER_MAX - 1] = '\0';
	assert_int_equal(mw_banner_fill("b", text, &words, banner, &err), MW_OK);
	assert_string_equal(banner, text);
	text[MW_BANNER_MAX - 1] = 'x';
	text[MW_BANNER_MAX] = '\0';
	assert_int_equal(mw_banner_fill("b", text, &words, banner, &err), MW_ERR_CONF);
	/* The same with a word at every place before the end. */
	for (size_t at = 0; at + sizeof("${product}") <= MW_BANNER_MAX; at++) {
		memset(text, 'x', sizeof(text));
		memcpy(text + at, "${product}", sizeof("${product}"));
		assert_int_equal(mw_banner_fill("b", text, &words, banner, &err), MW_OK);
		assert_int_equal(strlen(banner), at + strlen("Mailweir"));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(words_are_filled_in),
		cmocka_unit_test(what_cannot_be_is_refused),
		cmocka_unit_test(a_line_has_an_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
