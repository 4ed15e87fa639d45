/* Files in PDF, under every filter, hidden or not. */
#include <stdio.h>

#include "doc_help.h"

#include "pdf.h"

#define FILE_OF(dict, data)                                                                        \
	"%PDF-1.7\n1 0 obj\n<< /Type /EmbeddedFile " dict " >>\nstream\n" data                     \
	"\nendstream\nendobj\n"
#define SPEC(names) "2 0 obj << /Type /Filespec " names " /EF << /F 1 0 R >> >> endobj\n"

static void files_are_given_out_with_their_names(void **state)
{
	static const struct {
		const char *what, *text, *want, *several; /* several: among others */
	} cases[] = {
		{ "as it is", FILE_OF("/Length 5", "hello"), "=hello;" },
		{ "two names",
			FILE_OF("/Length 5", "hello")
				SPEC("/F (a.pdf) /UF <feff0062002e006500780065>"),
			"b.exe|a.pdf=hello;" },
		{ "no type, but a specification",
			"%PDF-1.7\n1 0 obj <</Length 5>> stream\r\nhello\nendstream endobj " SPEC(
				"/F(\\141\\)\\n.exe)"),
			"a)?.exe=hello;" },
		{ "names in disguise",
			"junk %PDF-1.7\n1 0 obj "
			"<</T#79pe/Embedded#46ile/F#69lter/ASCIIHex#44ecode>> stream\n"
			"68 65 6c6C6f>\nendstream\n",
			"=hello;" },
		{ "a length that lies", FILE_OF("/Length 2", "hello"), "=hello\n;" },
		{ "a length by reference", FILE_OF("/Length 9 0 R", "hello"), "=hello\n;" },
		{ "the word inside", FILE_OF("/Length 16", "hello endstream!"),
			"=hello endstream!;" },
		{ "no end", "%PDF-1.7\n1 0 obj <</Type/EmbeddedFile>> stream\nhello", "=hello;" },
		{ "base 85", FILE_OF("/Filter [/A85]", "BOu!rD]j7BEW~>"), "=hello wor;" },
		{ "run lengths", FILE_OF("/Filter /RL /Length 8", "\4hello\xfe!\x80"),
			"=hello!!!;" },
		{ "LZW",
			FILE_OF("/Filter /LZWDecode /Length 9",
				"\x80\x0b\x60\x50\x22\x0c\x0c\x85\x01"),
			"=-----A---B;" },
		{ "two filters", FILE_OF("/Filter [ /AHx /RL ]", "04 68656c6c6f 80>"), "=hello;" },
		{ "a filter by reference",
			FILE_OF("/Filter 7 0 R", "68656c6c6f>") "7 0 obj /AHx endobj", "=hello;" },
		{ "an image's", FILE_OF("/Filter /DCTDecode /Length 5", "hello"), "=hello;" },
		{ "base 85 with its beginning", FILE_OF("/Filter /A85", "<~BOu!rD]j7BEW~>"),
			"=hello wor;" },
		{ "a short key", FILE_OF("/F /AHx", "68656c6c6f>"), "=hello;" },
		{ "filters that are references",
			FILE_OF("/Filter [7 0 R 8 0 R]",
				"04 68656c6c6f 80>") "7 0 obj /AHx endobj 8 0 "
						     "obj /RL endobj",
			"=hello;" },
		{ "predictors of PNG",
			FILE_OF("/Filter /AHx /DecodeParms << /Predictor 15 /Columns 3 >>",
				"0068656c016c03bd02b4f939035c020704b500>"),
			"=hello, hello!!;" },
		{ "a predictor by reference, of TIFF",
			FILE_OF("/Filter [/AHx] /DP [4 0 R]",
				"68fd 6c00>") "4 0 obj <</Predictor 2/Columns 2>> endobj",
			"=hell;" },
		{ "blanks behind the word",
			"%PDF-1.7\n1 0 obj<</Type/EmbeddedFile/Length 5>>stream "
			"\t\r\nhello\nendstream",
			"=hello;" },
		{ "comments in front of the word",
			"%PDF-1.7\n1 %x\n%y\r 0 % (z\n\f obj<</Length 5>>stream\nhello\nendstream "
			"endobj " SPEC("/F(n)"),
			"n=hello;" },
		{ "a length that comes later",
			FILE_OF("/Length 9 0 R", "an endstream, or two") "9 0 obj 20 endobj",
			"=an endstream, or two;" },
		{ "EF twice",
			"%PDF-1.7\n1 0 obj<</Length 5>>stream\nhello\nendstream 2 0 obj <</EF<</F "
			"1 0 "
			"R>>/EF<</F 3 0 R>>/F(n)>> endobj",
			"n=hello;" },
		{ "EF twice, the other way round",
			"%PDF-1.7\n1 0 obj<</Length 5>>stream\nhello\nendstream 2 0 obj <</EF<</F "
			"3 0 "
			"R>>/EF<</F 1 0 R>>/F(n)>> endobj",
			"n=hello;" },
		{ "EF of an object that was replaced",
			"%PDF-1.7\n1 0 obj<</Length 5>>stream\nhello\nendstream 4 0 obj<</F 3 0 "
			"R>> endobj "
			"2 0 obj <</EF 4 0 R/F(n)>> endobj 4 0 obj<</F 1 0 R>> endobj",
			"n=hello;" },
		{ "EF under a key that nobody knows, through another object",
			"%PDF-1.7\n1 0 obj<</Length 5>>stream\nhello\nendstream 4 0 obj 1 0 R "
			"endobj "
			"2 0 obj <</EF<</X 4 0 R>>/F(n)>> endobj",
			"n=hello;" },
		{ "filters twice", FILE_OF("/Filter /RL /Filter /AHx", "68656c6c6f>"), NULL,
			"=hello;" },
		{ "filters twice, the other way round",
			FILE_OF("/Filter /AHx /Filter /RL", "68656c6c6f>"), NULL, "=hello;" },
		{ "EF and a name by reference",
			FILE_OF("/Length 5", "hello") "3 0 obj <</F 5 0 R/EF 4 0 R>> endobj 4 0 "
						      "obj <</UF 1 0 R>> endobj 5 0 obj (n) endobj",
			"n=hello;" },
		{ "deep in another object",
			FILE_OF("/Length 5", "hello") "3 0 obj [ <</A <</B [ <</EF<</F 1 0 "
						      "R>>/F(deep)>> ] >> >> ] endobj",
			"deep=hello;" },
		{ "two of one number",
			FILE_OF("/Length 1", "a") "1 0 obj<</Type/EmbeddedFile/Length 1>>"
						  "stream\nb\nendstream",
			"=a;=b;" },
		{ "hidden in another stream",
			"%PDF-1.7\n9 0 obj <</Length 68>> stream\n1 0 obj "
			"<</Type/EmbeddedFile/Length 5>>\n"
			"stream\nhello\nendstream\n\nendstream endobj",
			"=hello;" },
		{ "other streams",
			"%PDF-1.7\n1 0 obj <</Length 5>> stream\nhello\nendstream endobj", "" },
		{ "no document", "1 0 obj <</Type/EmbeddedFile/Length 5>> stream\nhello\nendstream",
			"" },
	};

	(void)state;
	for (size_t i = 0; i < MW_COUNT(cases); i++)
		if (cases[i].want != NULL)
			assert_gives(&container_pdf, mw_octets_of_text(cases[i].text),
				cases[i].what, cases[i].want);
		else
			assert_non_null(
				strstr(members(&container_pdf, mw_octets_of_text(cases[i].text)),
					cases[i].several));
}

/* Octets as a deflated stream that only stores them. */
static void put_stored(struct made *m, const char *text, size_t n)
{
	uint32_t a = 1, b = 0;

	put(m, "\x78\x01\x01", 3);
	put16(m, (unsigned)n);
	put16(m, (unsigned)~n & 0xffff);
	put(m, text, n);
	for (size_t i = 0; i < n; i++) {
		a = (a + (unsigned char)text[i]) % 65521;
		b = (b + a) % 65521;
	}
	put32(m, __builtin_bswap32(b << 16 | a));
}

static struct made m;

/* The specification lies in a deflated object stream; the file is deflated, too. */
static void build_packed(const char *more)
{
	static const char objects[] = "2 0 3 4 (x) <</EF<</F 1 0 R>>/F(b.exe)>>";

	m.n = 0;
	put_text(&m, "%PDF-1.7\n1 0 obj <</Filter/FlateDecode>> stream\n");
	put_stored(&m, "hello", 5);
	put_text(&m, "\nendstream endobj 4 0 obj <</Type/ObjStm/N 2/First 8/Filter[/Fl]>>stream\n");
	put_stored(&m, objects, sizeof(objects) - 1);
	put_text(&m, "\nendstream endobj\ntrailer << ");
	put_text(&m, more);
	put_text(&m, " >>");
}

static void what_lies_in_object_streams_is_found(void **state)
{
	(void)state;
	build_packed("");
	assert_gives(&container_pdf, made(&m), "packed", "b.exe=hello;");
	every_damage_ends(&container_pdf, made(&m));
	every_limit_is_told(&container_pdf, made(&m));
}

/* Objects of a stream with a predictor, that says neither its type nor, in its own dictionary, how
 * many there are. */
static void object_streams_are_known_by_what_they_need(void **state)
{
	(void)state;
	m.n = 0;
	put_text(&m, "%PDF-1.7\n1 0 obj <</Length 5>> stream\nhello\nendstream endobj\n5 0 obj 1 "
		     "endobj\n"
		     "4 0 obj <</N 5 0 R/First 6 0 R/Filter/Fl/DecodeParms<</Predictor 10"
		     "/Columns 40>>>> stream\n");
	put_stored(&m,
		"\0"
		"2 0 <</EF<</F 1 0 R>>/F(b.exe)>>         ",
		41);
	put_text(&m, "\nendstream endobj 6 0 obj 4 endobj");
	assert_gives(&container_pdf, made(&m), "packed", "b.exe=hello;");
}

/* What is not undone is never taken for whole. */
static void what_nobody_can_undo_is_told(void **state)
{
	static const char *const texts[] = {
		FILE_OF("/Filter /JBIG2Decode", "hello"),
		FILE_OF("/Filter [/AHx/AHx/AHx/AHx/AHx/AHx/AHx/AHx/AHx]", "4"),
		FILE_OF("/Filter [/AHx 5 /AHx]", "34>"),
		FILE_OF("/Filter /AHx /DecodeParms <</Predictor 3>>", "68>"),
		FILE_OF("/Filter /AHx /DecodeParms <</Predictor 2/BitsPerComponent 4>>", "68>"),
	};
	static struct given g;

	(void)state;
	for (size_t i = 0; i < MW_COUNT(texts); i++) {
		struct budget b = wide();

		assert_int_equal(read_with(&container_pdf, mw_octets_of_text(texts[i]), &b, &g),
			CONTAINER_BROKEN);
	}
}

static void specifications_too_deep_are_told(void **state)
{
	static struct given g;
	struct budget b = wide();

	(void)state;
	m.n = 0;
	put_text(&m, "%PDF-1.7\n1 0 obj ");
	for (int i = 0; i < 65; i++)
		put_text(&m, "[");
	put_text(&m, "<</EF<</F 2 0 R>>>> endobj 2 0 obj <<>> stream\nhello\nendstream");
	assert_int_equal(read_with(&container_pdf, made(&m), &b, &g), CONTAINER_BROKEN);
}

static void encryption_is_told(void **state)
{
	static struct given g;
	struct budget b = wide();

	(void)state;
	build_packed("/Encrypt 9 0 R");
	read_with(&container_pdf, made(&m), &b, &g);
	assert_int_equal(g.marks, MW_BIT(CONTAINER_ENCRYPTED));
	assert_int_equal(g.encrypted, 0); /* it inflates: so it is not */
	build_packed("/EncryptMetadata true");
	read_with(&container_pdf, made(&m), &b, &g);
	assert_int_equal(g.marks, 0);
	read_with(&container_pdf,
		mw_octets_of_text(FILE_OF("/Filter /Fl", "secret") "trailer <</Encrypt 9 0 R>>"),
		&b, &g);
	assert_int_equal(g.encrypted, 1);
	/* What has no filter may be encrypted, or the word stands in a comment. */
	read_with(&container_pdf, mw_octets_of_text(FILE_OF("/Length 5", "hello") "%/Encrypt"), &b,
		&g);
	assert_int_equal(g.encrypted, 1);
	assert_string_equal(g.text, "=hello;=;");
	/* Whether there are files nobody knows. */
	read_with(&container_pdf,
		mw_octets_of_text(
			"%PDF-1.7\n4 0 obj <</Type/ObjStm/N 1/First 4/Filter/Fl>> stream\n"
			"secret\nendstream trailer <</Encrypt 9 0 R>>"),
		&b, &g);
	assert_int_equal(g.encrypted, 1);
	read_with(
		&container_pdf, mw_octets_of_text("%PDF-1.7\ntrailer <</Encrypt 9 0 R>>"), &b, &g);
	assert_int_equal(g.encrypted, 0);
	assert_int_equal(g.marks, MW_BIT(CONTAINER_ENCRYPTED));
}

static void fill_from(const char *name)
{
	char path[128];
	FILE *f;

	snprintf(path, sizeof(path), "tests/fuzz/corpus/doc/%s", name);
	f = fopen(path, "rb");
	assert_non_null(f); /* run from the top of the tree */
	m.n = fread(m.p, 1, sizeof(m.p), f);
	fclose(f);
}

/* Documents that qpdf encrypted with the empty password, whole and cut at every octet. */
static void what_opens_with_the_empty_password_is_read(void **state)
{
	static const char *const names[] = { "pdfold", "pdfrc4", "pdfaes", "pdfr5", "pdfaes256" };
	static struct given g;
	size_t whole;

	(void)state;
	for (size_t i = 0; i < MW_COUNT(names); i++) {
		struct budget b = wide();

		fill_from(names[i]);
		whole = m.n;
		assert_int_equal(read_with(&container_pdf, made(&m), &b, &g), CONTAINER_WHOLE);
		assert_string_equal(g.text, "a.exe=MZ hello, this is a file\n;");
		assert_int_equal(g.encrypted, 0);
		assert_int_equal(g.marks, 0);
		for (m.n = 0; m.n < whole; m.n++) {
			b = wide();
			if (read_with(&container_pdf, made(&m), &b, &g) == CONTAINER_WHOLE &&
				g.encrypted == 0)
				assert_true(strcmp(g.text, "") == 0 ||
					    strstr(g.text, "MZ hello, this is a file\n;"));
		}
	}
}

static void a_web_page_behind_it_is_a_message(void **state)
{
	static const char page[] = "%PDF-1.7\n1 0 obj <<>> endobj\nMIME-Version: 1\nno field\n"
				   "MIME-Version: 1.0\r\nContent-Type: text/html\r\n\r\nhi";

	(void)state;
	assert_gives(&container_page, mw_octets_of_text(page), "a page",
		"=MIME-Version: 1.0\r\nContent-Type: text/html\r\n\r\nhi;");
	assert_gives(&container_page, mw_octets_of_text(page + 9), "no PDF", "");
	assert_gives(&container_page,
		mw_octets_of_text("%PDF-1.7\nmime-version: 1.0\nContent-Type: text/plain\n\nhi\n"
				  "Mime-Version: 1.0\nContent-Type: a/b\n"),
		"in small letters, and two",
		"=mime-version: 1.0\nContent-Type: text/plain\n\nhi\n"
		"Mime-Version: 1.0\nContent-Type: a/b\n;"
		"=Mime-Version: 1.0\nContent-Type: a/b\n;");
	assert_gives(&container_page,
		mw_octets_of_text("%PDF-1.7\n(MIME-Version: 1.0\nContent-Type: a/b\n)"),
		"not at a line's beginning", "");
	every_limit_is_told(&container_page, mw_octets_of_text(page));
	every_damage_ends(&container_page, mw_octets_of_text(page));
}

/* Each of them would be read to the end: they cost what is read. */
static void objects_in_objects_cost_no_more_than_the_budget(void **state)
{
	static const char *const again[] = { "1 0 obj(", "1 0 obj 1 (", "1 0 obj%", "1 0 obj<<",
		"1 0 obj<<>>stream\n" };
	static struct given g;

	(void)state;
	for (size_t i = 0; i < MW_COUNT(again); i++) {
		struct budget b = wide();

		m.n = 0;
		put_text(&m, "%PDF-");
		while (m.n < 500000)
			put_text(&m, again[i]);
		read_with(&container_pdf, made(&m), &b, &g);
		assert_true((b.met & MW_BIT(SCAN_LIMIT_TIME)) == 0);
		assert_int_equal(b.met != 0, i < 3);
	}
}

/* ... and so does what each of them refers to. */
static void what_many_objects_refer_to_costs_no_more_than_the_budget(void **state)
{
	static struct given g;
	struct budget b = wide();

	(void)state;
	m.n = 0;
	put_text(&m, "%PDF-2 0 obj<<");
	while (m.n < 400000)
		put_text(&m, "/A 1 ");
	put_text(&m, ">>endobj ");
	while (m.n < 900000)
		put_text(&m, "1 0 obj<</First 1/N 1/Filter/Fl/DecodeParms 2 0 R>>stream\n");
	read_with(&container_pdf, made(&m), &b, &g);
	assert_int_equal(b.met, MW_BIT(SCAN_LIMIT_OCTETS));
}

static void a_bomb_is_cut(void **state)
{
	static struct given g;
	struct budget b = wide();

	(void)state;
	m.n = 0;
	put_text(&m, "%PDF-1 0 obj<</Type/EmbeddedFile/Filter[/RL/RL/RL]>>stream\n");
	for (int i = 0; i < 20000; i++)
		put(&m, "\x81\x81", 2);
	assert_int_equal(read_with(&container_pdf, made(&m), &b, &g), CONTAINER_CUT);
	assert_int_equal(b.met, MW_BIT(SCAN_LIMIT_OCTETS));
	assert_true(g.octets <= 10 << 20);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(files_are_given_out_with_their_names),
		cmocka_unit_test(what_lies_in_object_streams_is_found),
		cmocka_unit_test(object_streams_are_known_by_what_they_need),
		cmocka_unit_test(what_nobody_can_undo_is_told),
		cmocka_unit_test(specifications_too_deep_are_told),
		cmocka_unit_test(encryption_is_told),
		cmocka_unit_test(what_opens_with_the_empty_password_is_read),
		cmocka_unit_test(objects_in_objects_cost_no_more_than_the_budget),
		cmocka_unit_test(what_many_objects_refer_to_costs_no_more_than_the_budget),
		cmocka_unit_test(a_bomb_is_cut),
		cmocka_unit_test(a_web_page_behind_it_is_a_message),
	};

	return cmocka_run_group_tests_name("doc_pdf", tests, NULL, NULL);
}
