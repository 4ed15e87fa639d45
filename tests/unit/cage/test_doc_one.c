/* Files in notebooks of OneNote. */
#include "doc_help.h"

static struct made m;

static void begin(void)
{
	m.n = 0;
	put(&m, "\xe4\x52\x5c\x7b\x8c\xd8\xa7\x4d\xae\xb1\x53\x78\xd0\x29\x96\xd3", 16);
	put_zeros(&m, 32);
	put(&m, "\x3f\xdd\x9a\x10\x1b\x91\xf5\x49\xa5\xd0\x17\x91\xed\xc8\xae\xd8", 16);
	put_zeros(&m, 52);
}

static void put_file(const char *text, uint32_t n)
{
	put(&m, "\xe7\x16\xe3\xbd\x65\x26\x11\x45\xa4\xc4\x8d\x4d\x0b\x7a\x9e\xac", 16);
	put32(&m, n);
	put_zeros(&m, 16);
	put_text(&m, text);
}

static void files_are_given_out(void **state)
{
	(void)state;
	begin();
	assert_gives(&container_one, made(&m), "none", "");
	put_file("hello", 5);
	put_zeros(&m, 19);
	put_file("x", 1);
	assert_gives(&container_one, made(&m), "two", "=hello;=x;");
	assert_gives(&container_one, mw_octets_of(m.p + 1, m.n - 1), "no notebook", "");
	every_limit_is_told(&container_one, made(&m));
	every_damage_ends(&container_one, made(&m));
}

static void a_length_beyond_the_end_is_told(void **state)
{
	static struct given g;
	struct budget b = wide();

	(void)state;
	begin();
	put_file("hello", 6);
	assert_int_equal(read_with(&container_one, made(&m), &b, &g), CONTAINER_BROKEN);
	assert_string_equal(g.text, "=hello;");
}

/* [MS-ONESTORE] section 2.8: other forms keep files in a way that nobody here reads. */
static void another_form_is_told(void **state)
{
	static struct given g;
	struct budget b = wide();

	(void)state;
	begin();
	put_file("hello", 5);
	memcpy(m.p + 48, "\x2f\xe9\x8d\x63\xd4\xa6\xc1\x4b\x9a\x36\xb3\xfc\x25\x11\xa5\xb7", 16);
	assert_int_equal(read_with(&container_one, made(&m), &b, &g), CONTAINER_BROKEN);
	assert_string_equal(g.text, "=hello;"); /* whatever stands there */
	m.n = 63;
	assert_int_equal(read_with(&container_one, made(&m), &b, &g), CONTAINER_BROKEN);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(files_are_given_out),
		cmocka_unit_test(a_length_beyond_the_end_is_told),
		cmocka_unit_test(another_form_is_told),
	};

	return cmocka_run_group_tests_name("doc_one", tests, NULL, NULL);
}
