/* Files in the midst of text, and mails that are files. */
#include "doc_help.h"

#include "mail.h"

static void files_in_text_are_given_out_with_their_names(void **state)
{
	static const struct {
		const char *what, *text, *want;
	} cases[] = {
		{ "uuencode", "hi\r\nbegin 644 a b.txt\r\n%:&5L;&\\ \r\n`\r\nend\r\nbye\r\n",
			"a b.txt=hello;" },
		{ "blanks at the line's end are gone", "begin 666 x\n\"86$\n \nend\n", "x=aa;" },
		{ "two of them", "begin 644 x\n!80\n`\nend\ntext\nbegin 0644 y\n!8@\n`\nend\n",
			"x=a;y=b;" },
		{ "the end is missing", "begin 644 x\n!80\n", "x=a;" },
		{ "lines that are none", "begin 644 x\n!80\nmore prose here\n\n!8@\n`\nend\n",
			"x=ab;" },
		{ "another begins before the end", "begin 644 x\n!80\nbegin 644 y\n!8@\n",
			"x=a;y=b;" },
		{ "base64", "begin-base64 644 x.exe\naGVs\nbG8=\n====\n!80\n", "x.exe=hello;" },
		{ "base64 without its end", "begin-base64 644 x\naGVsbG8=", "x=hello;" },
		{ "yEnc",
			"a\r\n=ybegin line=128 size=2 name=x y.exe \r\n\x8b=}\r\n=yend size=2\r\n",
			"x y.exe =a\x13;" },
		{ "yEnc in parts",
			"=ybegin part=1 total=2 name=x\n=ypart begin=1 end=1\n\x8b\n=yend\n"
			"=ybegin part=2 total=2 name=x\n=ypart begin=2 end=2\n\x8c\n=yend\n",
			"x=ab;" },
		{ "octets behind each line", "begin 644 x\n!80  junk, junk\n!8@  !!!!\n`\nend\n",
			"x=ab;" },
		{ "digits that are none of uuencode's", "begin 644 x\na80  \n`\nend\n", "x=a;" },
		{ "short and long modes", "begin 7 x\n!80\n`\nend\nbegin 00000000644 y\n!8@\n",
			"x=a;y=b;" },
		{ "names in base64", "begin-encoded 644 eA==\n!80\n`\nend\n", "eA===a;" },
		{ "names in base64, and the file",
			"begin-base64-encoded 644 eA==\naGVsbG8=\n====\n", "eA===hello;" },
		{ "one part alone", "=ybegin part=2 total=3 name=x\n\x8b\n=yend\n", "x=a;" },
		{ "parts of two files",
			"=ybegin part=1 name=x\n\x8b\n=yend\n=ybegin part=2 name=y\n\x8c\n=yend\n",
			"x=a;y=b;" },
		{ "a part, then another kind",
			"=ybegin part=1 name=x\n\x8b\n=yend\nbegin 644 y\n!8@\n", "x=a;y=b;" },
		{ "lines end with CR", "hi\rbegin 644 x\r!80\r!8@\r`\rend\rbegin 644 y\r!8@\r",
			"x=ab;y=b;" },
		{ "all kinds of line ends", "hi\r\nbegin 644 x\r\n!80\n!8@\r\r`\r\nend", "x=ab;" },
		{ "more blanks", "begin   644  x\n!80\nend\nbegin\t644\ty\n!8@\n", "x=a;y=b;" },
		{ "no mode behind two blanks", "begin  x.exe\n!80\nend\nbegin  644\n!8@\n",
			"x.exe=a;644=b;" },
		{ "prose", "to begin with\nbegin \nbegin 7 x\nbegin 644\nbegin 888 x\n!80\n", "" },
		{ "a head without a body", "begin 644 x\nend\n=ybegin name=y\n=yend\n", "" },
		{ "not at a line's beginning", " begin 644 x\n!80\n`\nend\n", "" },
		{ "nothing", "", "" },
	};

	(void)state;
	for (size_t i = 0; i < MW_COUNT(cases); i++) {
		assert_gives(&container_text, mw_octets_of_text(cases[i].text), cases[i].what,
			cases[i].want);
	}
}

static size_t binhex(const unsigned char *p, size_t n, char *out)
{
	static const char digits[] =
		"!\"#$%&'()*+,-012345689@ABCDEFGHIJKLMNPQRSTUVXYZ[`abcdefhijklmpqr";
	uint32_t bits = 0;
	unsigned have = 0;
	size_t k = 0;

	for (size_t i = 0; i < n; i++) {
		bits = bits << 8 | p[i];
		for (have += 8; have >= 6; have -= 6)
			out[k++] = digits[bits >> (have - 6) & 63];
	}
	if (have > 0)
		out[k++] = digits[bits << (6 - have) & 63];
	out[k] = '\0';
	return k;
}

static const char *binhexed(void)
{
	static char text[400];
	static const unsigned char file[] = "\x05"
					    "x.exe\0APPL????\0\0\0\0\0\x0a\0\0\0\1\0\0"
					    "a\x90\x08"
					    "b\x90\0\0\0"
					    "R\0\0";
	char body[200];

	binhex(file, sizeof(file) - 1, body);
	snprintf(text, sizeof(text),
		"text\r\n(This file must be converted with BinHex 4.0)\r\n\r\n:%.20s\r\n%s:\r\n",
		body, body + 20);
	return text;
}

static void binhex_gives_both_forks(void **state)
{
	(void)state;
	assert_string_equal(members(&container_text, mw_octets_of_text(binhexed())),
		"x.exe=aaaaaaaab\x90;x.exe/rsrc=R;");
}

static void binhex_is_looked_for_behind_text(void **state)
{
	char text[600];
	const char *colon = strchr(binhexed(), ':'); /* of the file */

	(void)state;
	snprintf(text, sizeof(text),
		"(This file must be converted with BinHex 4.0)\r\rsome text :\r:-)\r: no :\r%s",
		colon);
	assert_string_equal(members(&container_text, mw_octets_of_text(text)),
		"x.exe=aaaaaaaab\x90;x.exe/rsrc=R;");
	snprintf(text, sizeof(text),
		"(This file must be converted with BinHex 4.0)\n\nsays it :-)\n:-)\nbegin 644 "
		"x\n!80\n");
	assert_gives(&container_text, mw_octets_of_text(text), "another file", "x=a;");
	assert_gives(&container_text, mw_octets_of(text, 60), "no file", "");
}

static void limits_and_damage(void **state)
{
	static struct made all;

	(void)state;
	put_text(&all, "begin 644 a\n%:&5L;&\\ \n`\nend\nbegin-base64 644 x\naGVsbG8=\n====\n");
	put_text(&all, "=ybegin part=1 total=2 name=x\n=ypart begin=1 end=1\n\x8b=}\n=yend\n");
	put_text(&all, binhexed());
	every_limit_is_told(&container_text, made(&all));
	every_damage_ends(&container_text, made(&all));
}

static void mails_are_known_by_name_and_by_content(void **state)
{
	static const struct {
		const char *text;
		bool mail;
	} cases[] = {
		{ "From: a\r\nTo: b\r\nSubject: c\r\n\r\nx", true },
		{ "MIME-Version: 1.0\nContent-Type: text/html;\n\tcharset=x\n\n", true },
		{ "Received: from x\r\n\tby y\r\nFrom: a\r\n", true },
		{ "\r\nReceived: x\r\nDate: y\r\n\r\n", true },
		{ "From: a\r\nTo: b\r\n\r\nSubject: c", false },
		{ "From: a\nhello\nTo: b\nSubject: c\n", false },
		{ "Content-Type: a/b\n\n", false },
		{ "PK\3\4", false },
		{ "", false },
	};

	(void)state;
	for (size_t i = 0; i < MW_COUNT(cases); i++)
		assert_int_equal(mail_by_content(mw_octets_of_text(cases[i].text)), cases[i].mail);
	assert_true(mail_by_name("x/A.EML"));
	assert_true(mail_by_name("page.mht"));
	assert_false(mail_by_name("eml"));
	assert_false(mail_by_name("x.eml.txt"));
	assert_false(mail_by_name(""));
}

static void a_mailbox_is_cut_into_its_messages(void **state)
{
	static const char box[] =
		"From a@b Mon\nA: 1\n\nhi\nFrom here on it is prose.\n\nFrom c Tue\r\n"
		"B: 2\r\n\r\nho";

	(void)state;
	assert_string_equal(members(&container_mbox, mw_octets_of_text(box)),
		"=A: 1\n\nhi\nFrom here on it is prose.\n\n;=B: 2\r\n\r\nho;");
	assert_string_equal(
		members(&container_mbox, mw_octets_of_text("From here on: a text\n")), "");
	every_damage_ends(&container_mbox, mw_octets_of_text(box));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(files_in_text_are_given_out_with_their_names),
		cmocka_unit_test(binhex_gives_both_forks),
		cmocka_unit_test(binhex_is_looked_for_behind_text),
		cmocka_unit_test(limits_and_damage),
		cmocka_unit_test(mails_are_known_by_name_and_by_content),
		cmocka_unit_test(a_mailbox_is_cut_into_its_messages),
	};

	return cmocka_run_group_tests_name("doc_text", tests, NULL, NULL);
}
