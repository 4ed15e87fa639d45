/* Files that scripts carry as strings. */
#include "doc_help.h"

/* A zip of one file, in two pieces. */
#define ONE "UEsDBAoAAAAAAAAAAACGphA2BQAAAAUAAAABAAAAYWhlbGxvUEsBAhQACgAAAAAAAAAAAIam"
#define TWO "EDYFAAAABQAAAAEAAAAAAAAAAAAAAAAAAAAAAGFQSwUGAAAAAAEAAQAvAAAAJAAAAAAA"
#define ZIP_OCTETS 105
#define WORDS "d29yZHMgYW5kIHdvcmRzIGFuZCB3b3JkcyBhbmQgd29yZHMgYW5kIHdvcmRzIGFuZCB3b3Jkcw"
#define PAGE "PGh0bWw+PHNjcmlwdD5sZXQgYSA9IGF0b2IoIlBHaDBiV3crIik8L3NjcmlwdD48L2h0bWw+"

static void strings_that_are_files_are_given_out(void **state)
{
	static const struct {
		const char *what, *text;
		unsigned count;
	} cases[] = {
		{ "a page", "<script>var b = atob(\"" ONE TWO "\");</script>", 1 },
		{ "pieces", "b = '" ONE "' +\r\n '" TWO "';", 1 },
		{ "an array", "b = [`" ONE "`, `" TWO "`].join('')", 1 },
		{ "cut", "b = '" ONE TWO, 1 },
		{ "two", "b = '" ONE TWO "', c = '" ONE TWO "' ", 2 },
		{ "behind another", "b = '" WORDS "';c='" ONE TWO "'", 1 },
		{ "small pieces",
			"b='UEsDBAoAAA'+'AAAAAAA' + \"ACGphA2BQAAAAUAAAABAAAA\"+\n"
			"'YWhlbGxvUEsBAhQACgAAAAAAAAAAAIam'+ '" TWO "'",
			1 },
		{ "lines",
			"b=`UEsDBAoAAAAAAAAAAACGphA2BQAAAAUAAAABAAAA\r\n "
			"YWhlbGxvUEsBAhQACgAAAAAAAAAAAIam\n" TWO "`",
			1 },
		{ "lines as a script writes them", "b='" ONE "\\n\\\r\n" TWO "\\r\\n'", 1 },
		{ "an element's text", "<pre id=x>\n" ONE "\n" TWO "\n</pre>", 1 },
		{ "a page in a page", "b='" PAGE "'", 1 },
		{ "in small letters",
			"b='PCFkb2N0eXBlIGh0bWw+"
			"PHNjcmlwdD5sZXQgYSA9IGF0b2IoIlBHaDBiV3crIik8L3NjcmlwdD4'",
			1 },
		{ "behind a mark",
			"b='77u/PEhUTUw+PHNjcmlwdD5sZXQgYSA9IGF0b2IoIlBHaDBiV3crIik8L3NjcmlwdD4='",
			1 },
		{ "prose",
			"<p>words of a text without any stops that stand between two tags of a "
			"page and go on</p>",
			0 },
		{ "words",
			"a=['words', 'of', 'a', 'table', 'of', 'which', 'there', 'are', 'very', "
			"'many', 'in', 'mails', 'alas', 'indeed']",
			0 },
		{ "no file", "b='" WORDS "'", 0 },
		{ "no string", "b=" ONE TWO, 0 },
		{ "short", "b='UEsDBAoAAAAAAAAAAACGphA2'", 0 },
		{ "nothing", "", 0 },
	};
	static struct given g;

	(void)state;
	for (size_t i = 0; i < MW_COUNT(cases); i++) {
		struct budget b = wide();

		read_with(&container_script, mw_octets_of_text(cases[i].text), &b, &g);
		if (g.count != cases[i].count)
			fail_msg("%s: %u, not %u", cases[i].what, g.count, cases[i].count);
		if (cases[i].count > 0 && i < 10)
			assert_int_equal(g.octets, cases[i].count * ZIP_OCTETS);
	}
	every_limit_is_told(&container_script, mw_octets_of_text(cases[1].text));
	every_damage_ends(&container_script, mw_octets_of_text(cases[1].text));
}

/* Wherever it stands. */
static void no_place_hides_a_string(void **state)
{
	static struct made m;
	static struct given g;
	struct budget b;

	(void)state;
	for (size_t before = 1; before < 200; before++) {
		m.n = 0;
		for (size_t i = 0; i + 1 < before; i++)
			put(&m, &"word "[i % 5], 1);
		put_text(&m, "\"" ONE TWO "\"");
		b = wide();
		read_with(&container_script, made(&m), &b, &g);
		assert_int_equal(g.octets, ZIP_OCTETS);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(strings_that_are_files_are_given_out),
		cmocka_unit_test(no_place_hides_a_string),
	};

	return cmocka_run_group_tests_name("doc_script", tests, NULL, NULL);
}
