/* TNEF: attachments with all their names, objects, the body's forms. */
#include "doc_help.h"

static struct made m;

static void begin(void)
{
	m.n = 0;
	put(&m, "\x78\x9f\x3e\x22\1\0", 6);
}

static void attribute(unsigned level, uint32_t number, const void *p, size_t n)
{
	const unsigned char l = (unsigned char)level;

	put(&m, &l, 1);
	put32(&m, number);
	put32(&m, (uint32_t)n);
	put(&m, p, n);
	put16(&m, 0);
}

static void text_attribute(uint32_t number, const char *text)
{
	attribute(2, number, text, strlen(text));
}

/* A property of variable size, with one value. */
static void property(struct made *to, unsigned type, unsigned number, const void *p, size_t n)
{
	put16(to, type);
	put16(to, number);
	put32(to, 1);
	put32(to, (uint32_t)n);
	put(to, p, n);
	put_zeros(to, (4 - n % 4) % 4);
}

static void attachments_have_their_names(void **state)
{
	static struct made props;

	(void)state;
	begin();
	attribute(1, 0x0002800c, "body\0", 5);
	attribute(2, 0x00069002, "\1\0\0\0", 4);
	text_attribute(0x00018010, "SHORT~1.EXE");
	text_attribute(0x0006800f, "hello");
	props.n = 0;
	put32(&props, 3);
	put32(&props, 0x0e200003); /* a number, and its value */
	put32(&props, 5);
	property(&props, 0x1f, 0x3707, "l\0o\0n\0g\0.\0e\0x\0e\0\0\0", 18);
	property(&props, 0x0d, 0x3701, "0123456789abcdefobject", 22);
	attribute(2, 0x00069005, props.p, props.n);
	attribute(2, 0x00069002, "\1\0\0\0", 4);
	text_attribute(0x0006800f, "nameless");
	assert_string_equal(members(&container_tnef, made(&m)),
		"body.txt=body;long.exe|SHORT~1.EXE=hello;long.exe|SHORT~1.EXE=object;"
		"=nameless;");
	every_limit_is_told(&container_tnef, made(&m));
	every_damage_ends(&container_tnef, made(&m));
}

static void of_two_objects_both_are_given_out(void **state)
{
	static struct made props;

	(void)state;
	props.n = 0;
	put32(&props, 2);
	property(&props, 0x102, 0x3701, "first", 5);
	property(&props, 0x0d, 0x3701, "0123456789abcdefsecond", 22);
	begin();
	attribute(2, 0x00069002, "\1\0\0\0", 4);
	attribute(2, 0x00069005, props.p, props.n);
	assert_string_equal(members(&container_tnef, made(&m)), "=first;=second;");
}

/* Programs take the first or the last long name, the title, the short one, the one that is shown.
 */
static void all_names_are_told(void **state)
{
	static struct made props;
	static struct given g;
	struct budget b = wide();
	char name[8];

	(void)state;
	props.n = 0;
	put32(&props, 6);
	property(&props, 0x1e, 0x3707, "long.js", 7);
	property(&props, 0x1e, 0x3707, "long.txt", 8);
	property(&props, 0x1e, 0x3001, "shown.js", 8);
	property(&props, 0x1e, 0x3704, "short.js", 8);
	property(&props, 0x1f, 0x370c, "w\0a\0y\0", 6);
	put32(&props, 0x3707001e); /* two values */
	put32(&props, 2);
	put32(&props, 1);
	put_text(&props, "a   ");
	put32(&props, 1);
	put_text(&props, "b   ");
	begin();
	attribute(2, 0x00069002, "\1\0\0\0", 4);
	text_attribute(0x00018010, "title.js");
	text_attribute(0x0006800f, "hello");
	attribute(2, 0x00069005, props.p, props.n);
	text_attribute(0x0006800f, "again");
	assert_string_equal(members(&container_tnef, made(&m)),
		"long.js|long.txt|a|b|title.js|short.js|shown.js|way=hello;"
		"long.js|long.txt|a|b|title.js|short.js|shown.js|way=again;");
	text_attribute(0x00069001, "transport.js");
	assert_int_equal(read_with(&container_tnef, made(&m), &b, &g), CONTAINER_BROKEN);
	begin();
	for (unsigned i = 0; i < 9; i++) {
		snprintf(name, sizeof(name), "%u", i);
		text_attribute(0x0006800f, name);
	}
	assert_int_equal(read_with(&container_tnef, made(&m), &b, &g), CONTAINER_BROKEN);
	assert_string_equal(g.text, "=0;=1;=2;=3;=4;=5;=6;=7;=8;");
}

static void properties_with_names_of_their_own_are_passed(void **state)
{
	static struct made props;

	(void)state;
	props.n = 0;
	put32(&props, 4);
	put16(&props, 0x1e);
	put16(&props, 0x8000);
	put_zeros(&props, 16);
	put32(&props, 1);
	put32(&props, 6);
	put(&props, "a\0b\0\0\0\0\0", 8);
	put32(&props, 1);
	put32(&props, 3);
	put(&props, "xyz\0", 4);
	put16(&props, 0x1102); /* several values */
	put16(&props, 0x1234);
	put32(&props, 2);
	put32(&props, 1);
	put(&props, "a\0\0\0", 4);
	put32(&props, 0);
	put16(&props, 0x0040);
	put16(&props, 0x3007);
	put_zeros(&props, 8);
	property(&props, 0x102, 0x1013, "<p>", 3);
	begin();
	attribute(1, 0x00069003, props.p, props.n);
	assert_string_equal(members(&container_tnef, made(&m)), "body.html=<p>;");
	every_damage_ends(&container_tnef, made(&m));
}

/* The example of [MS-OXRTFCP] section 4.1.1, and one that refers to what it writes. */
static void compressed_rtf_is_decompressed(void **state)
{
	static const unsigned char spec[] = { 0x2d, 0, 0, 0, 0x2b, 0, 0, 0, 0x4c, 0x5a, 0x46, 0x75,
		0xf1, 0xc5, 0xc7, 0xa7, 0x03, 0x00, 0x0a, 0x00, 0x72, 0x63, 0x70, 0x67, 0x31, 0x32,
		0x35, 0x42, 0x32, 0x0a, 0xf3, 0x20, 0x68, 0x65, 0x6c, 0x09, 0x00, 0x20, 0x62, 0x77,
		0x05, 0xb0, 0x6c, 0x64, 0x7d, 0x0a, 0x80, 0x0f, 0xa0 };
	static const unsigned char overlap[] = { 0x1a, 0, 0, 0, 0x1c, 0, 0, 0, 0x4c, 0x5a, 0x46,
		0x75, 0xe2, 0xd4, 0x4b, 0x51, 0x41, 0x00, 0x04, 0x20, 0x57, 0x58, 0x59, 0x5a, 0x0d,
		0x6e, 0x7d, 0x01, 0x0e, 0xb0 };
	struct doc_buf buf = { 0 };
	struct budget b = wide();

	(void)state;
	assert_int_equal(doc_lzfu(&b, mw_octets_of(spec, sizeof(spec)), &buf), CONTAINER_WHOLE);
	assert_int_equal(buf.n, 43);
	assert_memory_equal(buf.p, "{\\rtf1\\ansi\\ansicpg1252\\pard hello world}\r\n", 43);
	buf.n = 0;
	assert_int_equal(
		doc_lzfu(&b, mw_octets_of(overlap, sizeof(overlap)), &buf), CONTAINER_WHOLE);
	assert_int_equal(buf.n, 28);
	assert_memory_equal(buf.p, "{\\rtf1 WXYZWXYZWXYZWXYZWXYZ}", 28);
	buf.n = 0;
	b.octets = 10;
	assert_int_equal(doc_lzfu(&b, mw_octets_of(spec, sizeof(spec)), &buf), CONTAINER_CUT);
	for (size_t n = 0; n < sizeof(spec); n++) {
		b = wide();
		doc_lzfu(&b, mw_octets_of(spec, n), &buf);
	}
	doc_free(&buf);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(attachments_have_their_names),
		cmocka_unit_test(of_two_objects_both_are_given_out),
		cmocka_unit_test(all_names_are_told),
		cmocka_unit_test(properties_with_names_of_their_own_are_passed),
		cmocka_unit_test(compressed_rtf_is_decompressed),
	};

	return cmocka_run_group_tests_name("doc_tnef", tests, NULL, NULL);
}
