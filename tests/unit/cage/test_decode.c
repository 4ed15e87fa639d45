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

static void base64_that_is_not_clean_is_decoded_in_every_way(void **state)
{
	enum {
		PADDING = MIME_SAW_PADDING,
		JUNK = MIME_SAW_JUNK,
		URL = MIME_SAW_URL,
		PROSE = MIME_SAW_PROSE
	};
	static const struct {
		const char *in;
		unsigned ways;
		const char *out;
		unsigned saw;
	} cases[] = {
		{ "aGVsbG8=", 0, "hello", 0 },
		{ "aGVs\r\nbG8=\r\n\r\n", MIME_STOP_AT_PADDING, "hello", 0 },
		{ "aGVsbG8=aGVs", 0, "hellohel", PADDING },
		{ "aGVsbG8=aGVs", MIME_STOP_AT_PADDING, "hello", 0 },
		{ "aGV=sbG8", MIME_JOIN_PADDING, "hello", PADDING },
		{ "aGVs!bG8=", 0, "hello", JUNK },
		{ "aGVs!bG8=", MIME_STOP_AT_JUNK, "hel", JUNK },
		{ "Pz8-Pz8_", 0, "??\x0f\xcf", JUNK | URL },
		{ "Pz8-Pz8_", MIME_URL_ALPHABET, "?\x3f>??\x3f", 0 },
		{ "aGVs\r\n--\r\nA list, of people\r\n", MIME_STOP_AT_JUNK, "hel", JUNK | URL },
		{ "aGVsbG8=\r\nA list, of people\r\n", MIME_STOP_AT_PADDING, "hello", 0 },
	};

	(void)state;
	for (size_t i = 0; i < MW_COUNT(cases); i++) {
		struct mw_octets in = mw_octets_of_text(cases[i].in);
		unsigned char out[64];
		unsigned saw;
		size_t n = mime_decode_base64(in, cases[i].ways, out, &saw);

		assert_int_equal(n, strlen(cases[i].out));
		assert_memory_equal(out, cases[i].out, n);
		assert_int_equal(saw, cases[i].saw);
	}
	{
		struct mw_octets in = mw_octets_of_text("aGVsbG8=\r\nA list, of people\r\n");
		unsigned char out[64];
		unsigned saw;

		mime_decode_base64(in, 0, out, &saw);
		assert_int_equal(saw, PADDING | JUNK | PROSE);
	}
}

static void what_may_be_encoded_is_told_from_words(void **state)
{
	static const struct {
		const char *text;
		bool base64, quoted, sure;
	} cases[] = {
		{ "", false, false },
		{ "short", false, false },
		{ "aGVsbG8gd29ybGQhaGVsbG8gd29ybGQh", true, false },
		{ "prose, then a line\r\naGVsbG8gd29ybGQhaGVsbG8gd29ybGQhaGVsbG8gd29ybGQh\r\n",
			true, false },
		{ "a word: aGVsbG8gd29ybGQhaGVsbG8gd29ybGQhaGVsbG8gd29ybGQh is none", false,
			false },
		{ "____________________________________________________\r\na list", false, false },
		{ "hello, how are you? x=y", false, false },
		{ "caf=E9", false, true },
		{ "http://a.example/?id=12&x=ab, and no more", false, true, false },
		{ "soft=\r\nbreak of lines", false, true, true },
		{ "caf=E9, caf=E9, caf=E9", false, true, true },
		{ "<a href=\"?a=12&b=34\" id=\"c\"><a href=\"?a=12&b=34\" id=\"d\">", false, true,
			false },
		{ "a rule\r\n======\r\nof dashes", false, true, false },
		{ "it ends with =", false, true, true },
	};

	(void)state;
	for (size_t i = 0; i < MW_COUNT(cases); i++) {
		struct mw_octets text = mw_octets_of_text(cases[i].text);
		bool sure;

		assert_int_equal(mime_looks_base64(text), cases[i].base64);
		assert_int_equal(mime_looks_quoted(text, &sure), cases[i].quoted);
		assert_int_equal(sure, cases[i].sure);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(base64_is_decoded_whatever_stands_between),
		cmocka_unit_test(quoted_printable_keeps_what_is_malformed),
		cmocka_unit_test(other_encodings_are_copied),
		cmocka_unit_test(base64_that_is_not_clean_is_decoded_in_every_way),
		cmocka_unit_test(what_may_be_encoded_is_told_from_words),
	};

	return cmocka_run_group_tests_name("decode", tests, NULL, NULL);
}
