#include "help.h"

#include "decode.h"

static const char *decode(enum mime_encoding encoding, const char *text)
{
	static unsigned char out[256];
	size_t n = strlen(text);
	unsigned char *exact = malloc(n != 0 ? n : 1); /* the sanitisers see one octet too many */

	n = mime_decode(encoding, mw_octets_of(text, n), exact);
	memcpy(out, exact, n);
	out[n] = '\0';
	free(exact);
	return (const char *)out;
}

static void base64_is_decoded_whatever_stands_between(void **state)
{
	static const struct {
		const char *in, *out;
	} cases[] = {
		{ "", "" },
		{ "aGVsbG8=", "hello" },
		{ "aGVs\r\nbG8=\r\n", "hello" },
		{ "aG Vs!b-G\t8", "hello" },
		{ "aGVsbG8", "hello" },
		{ "aGVsbA==", "hell" },
		{ "aGVsbA", "hell" },
		{ "aGVsbG8=aGVsbG8=", "hellohello" },
		{ "aA==aA==", "hh" },
		{ "a", "" },
		{ "=", "" },
		{ "====aGVs", "hel" },
	};

	(void)state;
	for (size_t i = 0; i < MW_COUNT(cases); i++)
		assert_string_equal(decode(MIME_BASE64, cases[i].in), cases[i].out);
}

static void quoted_printable_keeps_what_is_malformed(void **state)
{
	static const struct {
		const char *in, *out;
	} cases[] = {
		{ "a=41=62", "aAb" },
		{ "a=\r\nb", "ab" },
		{ "a=\nb", "ab" },
		{ "a= \t\r\nb", "ab" },
		{ "a=", "a" },
		{ "a=4", "a=4" },
		{ "a=4x", "a=4x" },
		{ "a=xx=3D", "a=xx=" },
		{ "=3d=3D", "==" },
		{ "a=\rb", "a=\rb" },
		{ "==41", "=A" },
		{ "", "" },
	};

	(void)state;
	for (size_t i = 0; i < MW_COUNT(cases); i++)
		assert_string_equal(decode(MIME_QUOTED, cases[i].in), cases[i].out);
}

static void other_encodings_are_copied(void **state)
{
	(void)state;
	assert_string_equal(decode(MIME_IDENTITY, "a=41"), "a=41");
	assert_string_equal(decode(MIME_OTHER, "a=41"), "a=41");
}

static void uuencode_is_noticed_at_the_start_of_a_line_only(void **state)
{
	(void)state;
	assert_true(mime_has_uuencode(mw_octets_of_text("begin 644 x\n")));
	assert_true(mime_has_uuencode(mw_octets_of_text("text\r\nbegin 644 x\r\n")));
	assert_true(mime_has_uuencode(mw_octets_of_text("to begin with\r\nbegin 600 y")));
	assert_true(mime_has_uuencode(mw_octets_of_text("=ybegin line=128")));
	assert_false(mime_has_uuencode(mw_octets_of_text("to begin with, and begin again")));
	assert_false(mime_has_uuencode(mw_octets_of_text("begin")));
	assert_false(mime_has_uuencode(mw_octets_of_text("")));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(base64_is_decoded_whatever_stands_between),
		cmocka_unit_test(quoted_printable_keeps_what_is_malformed),
		cmocka_unit_test(other_encodings_are_copied),
		cmocka_unit_test(uuencode_is_noticed_at_the_start_of_a_line_only),
	};

	return cmocka_run_group_tests_name("decode", tests, NULL, NULL);
}
