/* Objects in RTF, however their digits are mixed with other things; files in data: addresses. */
#include "doc_help.h"

/* An embedded object of class "ab": version, 2, class, no topic, no item, "hello". */
#define HEADER                                                                                     \
	"01050000"                                                                                 \
	"02000000"                                                                                 \
	"03000000"                                                                                 \
	"616200"                                                                                   \
	"00000000"                                                                                 \
	"00000000"
#define HELLO                                                                                      \
	"05000000"                                                                                 \
	"68656c6c6f"

static void objects_are_found_however_they_are_written(void **state)
{
	static const struct {
		const char *what, *text, *want;
	} cases[] = {
		{ "plain", "{\\rtf1{\\object{\\*\\objdata " HEADER HELLO "}}}", "ab=hello;" },
		{ "short magic, blanks",
			"\r\n{\\rt{\\objdata\r\n01 05\t0000"
			"02000000"
			"03000000"
			"6162\n00"
			"00000000"
			"00000000" HELLO "}}",
			"ab=hello;" },
		{ "control words between",
			"{\\rt{\\objdata 0105\\par 0000\\x-12 \\{"
			"02000000"
			"03000000"
			"616200"
			"00000000"
			"00000000" HELLO "}}",
			"ab=hello;" },
		{ "a group between",
			"{\\rt{\\objdata 0105{\\foo}0000{02}000000"
			"03000000"
			"616200"
			"00000000"
			"00000000" HELLO "}}",
			"ab=hello;" },
		{ "a group that is ignored",
			"{\\rt{\\objdata 01050000{\\*\\foo ff{1}\\bin3 }}}}02000000"
			"03000000"
			"616200"
			"00000000"
			"00000000" HELLO "}}",
			NULL },
		{ "binary", "{\\rt{\\objdata " HEADER "05000000\\bin5 hello}}", "ab=hello;" },
		{ "one digit too many", "{\\rt{\\objdata f" HEADER HELLO "}}", NULL },
		{ "a number behind the word", "{\\rt{\\objdata-0001 " HEADER HELLO "}}", NULL },
		{ "a number of many digits",
			"{\\rt{\\objdata " HEADER "05000000\\bin0000000000000000000000005 hello}}",
			"ab=hello;" },
		{ "a word of many letters",
			"{\\rt{\\objdata 0105\\xabcdefabcdefabcdefabcdefabcdefabcdefabcdef 0000"
			"02000000"
			"03000000"
			"616200"
			"00000000"
			"00000000" HELLO "}}",
			"ab=hello;" },
		{ "no closing brace", "{\\rt{\\objdata " HEADER HELLO, "ab=hello;" },
		{ "two of them",
			"{\\rt{\\objdata " HEADER HELLO "}{\\objdata " HEADER "01000000"
			"7a}}",
			"ab=hello;ab=z;" },
		{ "a package",
			"{\\rt{\\objdata "
			"01050000"
			"02000000"
			"08000000"
			"5061636b61676500"
			"00000000"
			"00000000"
			"1e000000"
			"0200"
			"612e70646600"
			"433a5c622e65786500"
			"0000"
			"0300"
			"00000000"
			"01000000"
			"7a}}",
			"a.pdf|b.exe=z;" },
		{ "nothing", "{\\rtf1 hello \\objdatax 00}", "" },
		{ "no document", "x{\\rtf1{\\objdata " HEADER HELLO "}}", "" },
	};

	(void)state;
	for (size_t i = 0; i < MW_COUNT(cases); i++) {
		const char *got = members(&container_rtf, mw_octets_of_text(cases[i].text));

		if (cases[i].want != NULL)
			assert_gives(&container_rtf, mw_octets_of_text(cases[i].text),
				cases[i].what, cases[i].want);
		else
			assert_non_null(strstr(got, "ab=hello;"));
	}
}

static void where_readers_differ_both_readings_are_given_out(void **state)
{
	const char *got =
		members(&container_rtf, mw_octets_of_text("{\\rt{\\objdata " HEADER "05000000"
							  "\\'68\\'65\\'6c\\'6c\\'6f}}"));

	(void)state;
	assert_non_null(strstr(got, "ab=hello;"));
	got = members(&container_rtf, mw_octets_of_text("{\\rt{\\objdata " HEADER "05000000"
							"{\\*\\x 68656c6c6f}}}"));
	assert_non_null(strstr(got, "ab=hello;"));
}

static void a_compound_file_without_a_header_is_found(void **state)
{
	(void)state;
	assert_non_null(
		strstr(members(&container_rtf,
			       mw_octets_of_text("{\\rt{\\*\\datastore 0011d0cf11e0a1b11ae141}}")),
			"object=\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
			"A;"));
}

static void objects_in_objects_cost_no_more_than_the_budget(void **state)
{
	static struct made m;
	static struct given g;
	struct budget b = wide();

	(void)state;
	m.n = 0;
	put_text(&m, "{\\rt");
	while (m.n < 900000)
		put_text(&m, "\\objdata ");
	assert_int_equal(read_with(&container_rtf, made(&m), &b, &g), CONTAINER_CUT);
	assert_int_equal(b.met, MW_BIT(SCAN_LIMIT_OCTETS));
}

static void addresses_hold_files(void **state)
{
	static const struct {
		const char *what, *text, *want;
	} cases[] = {
		{ "base64", "<img src=\"data:image/png;base64,aGVsbG8=\">", "=hello;" },
		{ "blanks", "<img src='\n DATA: image/png ; BASE64 , aGVs\r\n bG8='>", "=hello;" },
		{ "no quotes", "<img src=data:;base64,aGVsbG8= alt=x>", "=hello;" },
		{ "style", "a{src:url(data:font/woff;base64,aGVsbG8=)}", "=hello;" },
		{ "percent", "<a href=\"data:text/html,%3Cb%3e <i>%4\">", "=<b> <i>%4;" },
		{ "percent in base64", "<a href=\"data:a/b;base64,aGVsbG8%3D\">", "=hello;" },
		{ "a name", "<a download=\"x y.exe\" href=\"data:a/b;base64,aGVsbG8=\">",
			"x y.exe=hello;" },
		{ "a name behind", "<a href='data:a/b;base64,aGVsbG8=' Download=x.exe id=1>",
			"x.exe=hello;" },
		{ "two", "data:a/b;base64,YQ== data:a/b;base64,Yg==", "=a;=b;" },
		{ "one in another", "\"data:text/html,<a href='data:a/b;base64,YQ=='>\"",
			"=<a href='data:a/b;base64,YQ=='>;" },
		{ "a quote that never closes",
			"<!-- \"data:;base64,YQ== --> <a href='data:a/b;base64,Yg=='>", "=a;=b;" },
		{ "characters in disguise",
			"<a href='dat&#97;&colon;a/b;bas&#x65;64,aGVsbG8&equals;'>", "=hello;" },
		{ "references that say nothing", "<a href='x&#39;&amp;&#;&#x;&#100'>", "" },
		{ "line ends and tabs between its letters",
			"<a href='da\n\tt\ra\t:a/b;base64,aGVs'>", "=hel;" },
		{ "... as references", "<a href='da&#10;t&Tab;a:a/b;base64,aGVs'>", "=hel;" },
		{ "behind an escaped tab", "location='\\tdata:a/b;base64,aGVs'", "=hel;" },
		{ "a comma in disguise", "<a href='data:a/b;base64&comma;aGVs'>", "=hel;" },
		{ "digits in disguise", "<a href='data:a/b;base64,aG&#86;s'>", "=h;=hel;" },
		{ "a string in pieces", "x='data:a/b;base64,' + \"aG\"+\n'Vs'", "=hel;" },
		{ "lines of a string", "x='data:a/b;base64,aG\\n\\\nVs\\r\\n'", "=hel;" },
		{ "two strings", "['data:a/b;base64,aGVs','data:a/b;base64,bG8=']", "=hel;=lo;" },
		{ "two strings, joined", "'data:a/b;base64,aGVs'+'data:a/b;base64,bG8='",
			"=hel\x75\xab\x5a;=lo;" },
		{ "folded in other quotes",
			"<meta content='0;url=data:a/b;base64,aGVs\n bG8gaGVsbG8gaGVsbG8='>",
			"=hel;=hello hello hello;" },
		{ "no type",
			"<a href='data:,%68el'><a href=data:;x=y,h%65l><a href=\"data:x,hel\">",
			"=hel;=hel;=hel;" },
		{ "a name in disguise", "<a download='a&#46;e&#x78;e' href='data:a/b;base64,aGVs'>",
			"a.exe=hel;" },
		{ "other words than its name",
			"<a class=\"download\" data-download=no download=\"a.exe\" "
			"href='data:a/b;base64,aGVs'>",
			"a.exe|no=hel;" },
		{ "brackets in the tag",
			"<a download=a.exe title='<b' id=\">\" href='data:a/b;base64,aGVs'>",
			"a.exe=hel;" },
		{ "... behind it", "<a href='data:a/b;base64,aGVs' title='>' download=a.exe>",
			"a.exe=hel;" },
		{ "a script names it",
			"a.href='data:a/"
			"b;base64,aGVs';a.download='a.exe';a.setAttribute(\"download\",`b`);",
			"a.exe|b=hel;" },
		{ "a page in an attribute",
			"<iframe srcdoc='<a download=&quot;a.exe&quot; "
			"href=&quot;data:a/b;base64,aGVs&quot;>'>",
			"a.exe=hel;a.exe=hel;" },
		{ "another tag's name",
			"<a download='a.exe' href='x'></a><img src='data:a/b;base64,aGVs'><b "
			"download=x>",
			"=hel;" },
		{ "other words", "metadata:a/b;base64,YQ== data: yes, indeed; data: x", "" },
		{ "no comma", "\"data:a/b;base64", "" },
	};

	(void)state;
	for (size_t i = 0; i < MW_COUNT(cases); i++)
		assert_gives(&container_html, mw_octets_of_text(cases[i].text), cases[i].what,
			cases[i].want);
}

/* What stands between the scheme and the comma may be of any length, and so may the tag. */
static void no_length_hides_an_address(void **state)
{
	static struct made m;

	(void)state;
	m.n = 0;
	put_text(&m, "<a download='a.exe' title='");
	while (m.n < 9000)
		put_text(&m, "x");
	put_text(&m, "' href='data:a/b;x=");
	while (m.n < 90000)
		put_text(&m, "x");
	put_text(&m, ";base64,aGVs'>");
	assert_gives(&container_html, made(&m), "long", "a.exe=hel;");
}

/* However many there are, the octets are not read again and again. */
static void addresses_cost_no_more_than_the_budget(void **state)
{
	static const char *const texts[] = { "data:", "data:x,", "data:a/b,", "'data:x,",
		"data:;base64", "d\n\n\n\na\n\n\nt\n\na:", "<a data:,%41", "data:&#97;," };
	static struct made m;
	static struct given g;

	(void)state;
	for (size_t i = 0; i < MW_COUNT(texts); i++) {
		struct budget b = wide();
		uint64_t from = mw_mono_ms();

		m.n = 0;
		while (m.n < 1000000)
			put_text(&m, texts[i]);
		read_with(&container_html, made(&m), &b, &g);
		if (mw_mono_ms() - from > 2000)
			fail_msg("%s: %u ms", texts[i], (unsigned)(mw_mono_ms() - from));
	}
}

static void limits_and_damage(void **state)
{
	static const char rtf[] = "{\\rt{\\objdata 0105\\par{\\*\\x 1}0000"
				  "02000000"
				  "03000000"
				  "6162\\'0000"
				  "00000000"
				  "00000000"
				  "\\bin4 \5\0\0\0"
				  "68656c6c6f}}";
	static const char html[] = "<a download=x href='data:text/html;base64,aGVs\r\nbG8%3d'>"
				   "url(data:a/b,x%20y)";

	(void)state;
	every_damage_ends(&container_rtf, mw_octets_of(rtf, sizeof(rtf) - 1));
	every_damage_ends(&container_html, mw_octets_of(html, sizeof(html) - 1));
	every_limit_is_told(
		&container_rtf, mw_octets_of_text("{\\rt{\\objdata " HEADER HELLO "}}"));
	every_limit_is_told(&container_html, mw_octets_of(html, sizeof(html) - 1));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(objects_are_found_however_they_are_written),
		cmocka_unit_test(where_readers_differ_both_readings_are_given_out),
		cmocka_unit_test(a_compound_file_without_a_header_is_found),
		cmocka_unit_test(objects_in_objects_cost_no_more_than_the_budget),
		cmocka_unit_test(addresses_hold_files),
		cmocka_unit_test(no_length_hides_an_address),
		cmocka_unit_test(addresses_cost_no_more_than_the_budget),
		cmocka_unit_test(limits_and_damage),
	};

	return cmocka_run_group_tests_name("doc_rtf", tests, NULL, NULL);
}
