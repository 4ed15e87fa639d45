/* Texts in UTF-16, of which others look for words. */
#include "doc_help.h"

static struct made m;

static struct mw_octets wide_of(const char *mark, const char *text, bool little)
{
	m.n = 0;
	put(&m, mark, strlen(mark));
	for (const char *c = text; *c != '\0'; c++)
		put16(&m, little ? (unsigned char)*c : (unsigned)(unsigned char)*c << 8);
	return made(&m);
}

static void they_are_given_out_in_utf8(void **state)
{
	(void)state;
	assert_gives(&container_wide, wide_of("\xff\xfe", "<html>", true), "little", "=<html>;");
	assert_gives(&container_wide, wide_of("\xfe\xff", "<html>", false), "big", "=<html>;");
	assert_gives(&container_wide, wide_of("", "<html>", true), "no mark", "=<html>;");
	assert_gives(&container_wide, wide_of("", "<html>", false), "no mark, big", "=<html>;");
	assert_gives(&container_wide, mw_octets_of("\xff\xfe\xe4\0-N=\xd8\x0a\xde=\xd8x\0", 14),
		"others", "=\xc3\xa4\xe4\xb8\xad\xf0\x9f\x98\x8a?x;");
	assert_gives(&container_wide,
		mw_octets_of("\xff\xfe"
			     "a\0b\0c\0d",
			9),
		"half a unit", "=abc;");
	assert_gives(&container_wide, mw_octets_of("-N<\0h\0t\0m\0l\0>\0 \0w\0o\0r\0d\0s\0", 26),
		"no mark, and another letter", "=\xe4\xb8\xad<html> words;");
	assert_gives(&container_wide, mw_octets_of("N-\0<\0h\0t\0m\0l\0>\0 \0w\0o\0r\0d\0s", 26),
		"... big", "=\xe4\xb8\xad<html> words;");
	every_limit_is_told(&container_wide, wide_of("", "<html>", true));
	every_damage_ends(&container_wide, wide_of("\xff\xfe", "a\xd8\xdc<html>", true));
}

static void others_are_none(void **state)
{
	(void)state;
	assert_gives(&container_wide, mw_octets_of_text("<html><body>"), "octets", "");
	assert_gives(&container_wide, mw_octets_of("-N\0\0<\0h\0t\0m\0l\0>\0w\0o\0r\0d\0s\0", 26),
		"no text in front", "");
	assert_gives(&container_wide, mw_octets_of("-N<\0h\0t\0m\0l\0>\0-Nw\0o\0r\0d\0s\0", 26),
		"a few letters", "");
	assert_gives(&container_wide, mw_octets_of("a\0b\0c\0\1\0e\0", 10), "no text", "");
	assert_gives(&container_wide,
		mw_octets_of("\xff\xfe"
			     "a\0",
			4),
		"too short", "");
	m.n = 0;
	put(&m, "\xfe\xff\0\0\6\1\2", 7);
	put_zeros(&m, 17);
	put32(&m, 1);
	put_zeros(&m, 20);
	assert_gives(&container_wide, made(&m), "properties of a document", "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(they_are_given_out_in_utf8),
		cmocka_unit_test(others_are_none),
	};

	return cmocka_run_group_tests_name("doc_wide", tests, NULL, NULL);
}
