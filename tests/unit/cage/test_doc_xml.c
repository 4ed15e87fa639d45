/* Office documents that are one XML file, and what an encrypted one says of itself. */
#include "doc_help.h"

static void binary_elements_are_given_out(void **state)
{
	static const struct {
		const char *what, *text, *want;
	} cases[] = {
		{ "Flat OPC",
			"<?xml version='1.0'?><pkg:part pkg:name=\"/word/vbaProject.bin\" x=\"y\">"
			"<pkg:binaryData>aGVs\r\nbG8=</pkg:binaryData></pkg:part>",
			"/word/vbaProject.bin=hello;" },
		{ "Word 2003",
			" <w:binData w:name=\"editdata.mso\" xml:space=\"x\">aGVsbG8=</w:binData>",
			"editdata.mso=hello;" },
		{ "flat OpenDocument", "\xef\xbb\xbf<office:binary-data>aGVsbG8=", "=hello;" },
		{ "a section of characters",
			"<binaryData><![CDATA[aGV]]>sb<![CDATA[G8=]]></binaryData>", "=hello;" },
		{ "comments and instructions",
			"<binaryData><!-- </binaryData> -->aGV<?x <y>?>sbG8=<!---->", "=hello;" },
		{ "characters as numbers", "<binaryData>&#97;&#x47;VsbG8&#61;</binaryData>",
			"=hello;" },
		{ "no numbers", "<binaryData>&#x;&#99999;&#97</binaryData>",
			"=\307\337\175\367\337\173;" },
		{ "quotes", "<binaryData x='>\"' y=\">bcd/\">aGVsbG8=<", "=hello;" },
		{ "a quoted name", "<part name='x.exe'><binaryData>aGVsbG8=", "x.exe=hello;" },
		{ "a name with blanks",
			"<part name\n = \t'x.exe' names='y' y-name><binaryData>aGVsbG8=",
			"x.exe=hello;" },
		{ "an aside that never ends", "<binaryData>aGVsbG8=<!--", "=hello;" },
		{ "none", "<binaryData/><binaryData></binaryData>", "" },
		{ "text", "binaryData>aGVsbG8=", "" },
	};

	(void)state;
	for (size_t i = 0; i < MW_COUNT(cases); i++)
		assert_gives(&container_xml, mw_octets_of_text(cases[i].text), cases[i].what,
			cases[i].want);
	every_damage_ends(&container_xml, mw_octets_of_text(cases[0].text));
	every_limit_is_told(&container_xml, mw_octets_of_text(cases[0].text));
}

/* Neither blanks in front of it nor a long tag hide it. */
static void length_hides_nothing(void **state)
{
	static struct made m;

	(void)state;
	for (int i = 0; i < 1000; i++)
		put_text(&m, "\r\n  ");
	put_text(&m, "<binaryData a='");
	for (int i = 0; i < 1000; i++)
		put_text(&m, "aaaa");
	put_text(&m, "'>aGVsbG8=</binaryData>");
	assert_gives(&container_xml, made(&m), "long", "=hello;");
}

static void what_is_read_again_and_again_is_paid_for(void **state)
{
	static struct made m;
	static struct given g;
	struct budget b = wide();

	(void)state;
	put_text(&m, "<");
	while (m.n < 900000)
		put_text(&m, "binaryData' ' ");
	put_text(&m, "'");
	assert_int_equal(read_with(&container_xml, made(&m), &b, &g), CONTAINER_CUT);
	assert_int_equal(b.met, MW_BIT(SCAN_LIMIT_OCTETS));
}

static void an_encrypted_archive_says_so_in_its_manifest(void **state)
{
#define MANIFEST "<?xml?><m xmlns:m=\"urn:oasis:names:tc:opendocument:xmlns:manifest:1.0\">"
	static struct given g;
	struct budget b = wide();

	(void)state;
	read_with(&container_odf, mw_octets_of_text(MANIFEST "<m:encryption-data/>"), &b, &g);
	assert_int_equal(g.encrypted, 1);
	assert_int_equal(g.marks, MW_BIT(CONTAINER_ENCRYPTED));
	read_with(&container_odf, mw_octets_of_text(MANIFEST), &b, &g);
	assert_int_equal(g.count, 0);
	assert_int_equal(g.marks, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(binary_elements_are_given_out),
		cmocka_unit_test(length_hides_nothing),
		cmocka_unit_test(what_is_read_again_and_again_is_paid_for),
		cmocka_unit_test(an_encrypted_archive_says_so_in_its_manifest),
	};

	return cmocka_run_group_tests_name("doc_xml", tests, NULL, NULL);
}
