/* Addresses as keys of databases: amavisd's order and notation (policy/db_keys.c). */
#include "make_txn.h"

#include "policy/db_keys.h"

/* The keys joined by blanks, in brackets where one is empty. */
static void has_keys(const char *address, struct db_notation how, const char *expected)
{
	struct smtp_arena arena = { 0 };
	struct db_keys k;
	char got[4096] = "";
	size_t n = 0;

	assert_int_equal(db_keys_make(&arena, address, &how, &k), MW_OK);
	assert_true(k.count >= 1 && k.count <= DB_KEYS_MAX);
	for (size_t i = 0; i < k.count; i++) {
		n += mw_strlcpy(got + n, i > 0 ? " " : "", sizeof(got) - n);
		n += mw_strlcpy(got + n, *k.keys[i] != '\0' ? k.keys[i] : "[]", sizeof(got) - n);
	}
	assert_string_equal(got, expected);
	smtp_arena_fini(&arena);
}

#define HOW(...) ((struct db_notation){ __VA_ARGS__ })

static void keys_go_from_the_special_to_the_general(void **state)
{
	(void)state;
	has_keys("User+Foo@Sub.Example.com", HOW(.delimiter = "+", .local = true),
		"User+Foo@Sub.Example.com user+foo@sub.example.com user@sub.example.com user+foo "
		"user "
		"@sub.example.com @.sub.example.com @.example.com @.com @.");
}

static void bare_users_are_for_local_recipients_alone(void **state)
{
	(void)state;
	has_keys("User+Foo@Example.com", HOW(.delimiter = "+"),
		"User+Foo@Example.com user+foo@example.com user@example.com @example.com "
		"@.example.com @.com @.");
	has_keys("user@example.com", HOW(.local = true),
		"user@example.com user @example.com @.example.com @.com @.");
}

static void without_at_a_key_is_a_domain_when_the_admin_says_so(void **state)
{
	(void)state;
	has_keys("User+Foo@Example.com",
		HOW(.delimiter = "+", .local = true, .no_at_means_domain = true),
		"User+Foo@Example.com user+foo@example.com user@example.com user+foo@ user@ "
		"example.com .example.com .com .");
}

static void the_null_sender_has_keys_of_its_own(void **state)
{
	(void)state;
	has_keys("", HOW(0), "[] @ @.");
	has_keys("", HOW(.local = true), "[] @ @.");
	has_keys("", HOW(.no_at_means_domain = true), "[] @ .");
	has_keys("", HOW(.brackets_for_null = true), "<> [] @ @.");
	has_keys("a@b", HOW(.brackets_for_null = true), "a@b @b @.b @.");
}

static void literals_and_lone_users_are_not_split(void **state)
{
	(void)state;
	has_keys("u@[192.0.2.1]", HOW(0), "u@[192.0.2.1] @[192.0.2.1] @.");
	has_keys("u@[IPv6:2001:db8::1]", HOW(0),
		"u@[IPv6:2001:db8::1] u@[ipv6:2001:db8::1] "
		"@[ipv6:2001:db8::1] @.");
	has_keys("postmaster", HOW(.local = true), "postmaster postmaster@ @ @.");
	has_keys("\"a@b\"@c", HOW(0), "\"a@b\"@c @c @.c @.");
}

static void dots_at_the_end_of_a_domain_are_cut(void **state)
{
	(void)state;
	has_keys("u@example.com..", HOW(0),
		"u@example.com.. u@example.com @example.com @.example.com @.com @.");
	has_keys("u@...", HOW(0), "u@... u@ @ @.");
}

static void some_users_have_no_extension(void **state)
{
	static const struct {
		const char *address, *delimiter, *user, *extension;
	} rows[] = {
		{ "postmaster@e", "m", "postmaster", "" },
		{ "Double-Bounce@e", "-", "double-bounce", "" },
		{ "owner-list@e", "-", "owner-list", "" },
		{ "owner-@e", "-", "owner", "-" },
		{ "list-request@e", "-", "list-request", "" },
		{ "-request@e", "-", "-request", "" },
		{ "owner+list@e", "+", "owner", "+list" },
		{ "a+b-c@e", "-+", "a", "+b-c" },
		{ "+foo@e", "+", "+foo", "" },
		{ "++foo@e", "+", "+", "+foo" },
		{ "a+@e", "+", "a", "+" },
		{ "a+b@e", "", "a+b", "" },
		{ "a+b@e", NULL, "a+b", "" },
	};

	(void)state;
	for (size_t i = 0; i < MW_COUNT(rows); i++) {
		struct smtp_arena arena = { 0 };
		struct db_keys k;

		assert_int_equal(db_keys_make(&arena, rows[i].address,
					 &HOW(.delimiter = rows[i].delimiter), &k),
			MW_OK);
		assert_string_equal(k.user, rows[i].user);
		assert_string_equal(k.extension, rows[i].extension);
		smtp_arena_fini(&arena);
	}
}

static void case_is_kept_where_it_is_to_be(void **state)
{
	struct smtp_arena arena = { 0 };
	struct db_keys k;

	(void)state;
	has_keys("User@EXAMPLE.com", HOW(.case_sensitive = true, .local = true),
		"User@EXAMPLE.com User@example.com User @example.com @.example.com @.com @.");
	assert_int_equal(
		db_keys_make(&arena, "Us+Er@EXAMPLE.com", &HOW(.delimiter = "+"), &k), MW_OK);
	assert_string_equal(k.localpart, "Us+Er");
	assert_string_equal(k.user, "us");
	assert_string_equal(k.extension, "+er");
	assert_string_equal(k.domain, "example.com");
	smtp_arena_fini(&arena);
}

static void domains_become_a_labels(void **state)
{
	(void)state;
	has_keys("u@B\xc3\xbc"
		 "cher.example",
		HOW(0),
		"u@B\xc3\xbc"
		"cher.example u@xn--bcher-kva.example @xn--bcher-kva.example "
		"@.xn--bcher-kva.example @.example @.");
}

static void what_is_not_utf8_becomes_question_marks(void **state)
{
	(void)state;
	has_keys("a\xff\xc3@e", HOW(0), "a??@e @e @.e @.");
	has_keys("\xed\xa0\x80\xe2\x82\xac@e", HOW(0), "???\xe2\x82\xac@e @e @.e @.");
	has_keys("\xf4\x90\x80\x80\xc0\xaf@e", HOW(0), "??????@e @e @.e @.");
	has_keys("x\xe2\x82", HOW(0), "x?? x??@ @ @.");
}

static void of_many_labels_the_last_keys_are_tried(void **state)
{
	struct smtp_arena arena = { 0 };
	char address[256] = "u@";
	struct db_keys k;

	(void)state;
	for (int i = 0; i < 19; i++)
		strcat(address, i > 0 ? ".l" : "l");
	assert_int_equal(db_keys_make(&arena, address, &HOW(0), &k), MW_OK);
	assert_int_equal(k.count, 2 + 20);
	strcat(address, ".l");
	assert_int_equal(db_keys_make(&arena, address, &HOW(0), &k), MW_OK);
	assert_int_equal(k.count, 2 + 20);
	assert_int_equal(strlen(k.keys[2]), 1 + 19 * 2); /* not the whole domain */
	assert_string_equal(k.keys[k.count - 1], "@.");
	smtp_arena_fini(&arena);
}

static void an_address_has_a_longest(void **state)
{
	struct smtp_arena arena = { 0 };
	char address[DB_ADDRESS_MAX + 2];
	struct db_keys k = { .count = 99 };

	(void)state;
	memset(address, 'a', sizeof(address));
	address[3] = '@';
	address[DB_ADDRESS_MAX + 1] = '\0';
	assert_int_equal(db_keys_make(&arena, address, &HOW(0), &k), MW_ERR_LIMIT);
	assert_int_equal(k.count, 99);
	address[DB_ADDRESS_MAX] = '\0';
	assert_int_equal(db_keys_make(&arena, address, &HOW(0), &k), MW_OK);
	smtp_arena_fini(&arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keys_go_from_the_special_to_the_general),
		cmocka_unit_test(bare_users_are_for_local_recipients_alone),
		cmocka_unit_test(without_at_a_key_is_a_domain_when_the_admin_says_so),
		cmocka_unit_test(the_null_sender_has_keys_of_its_own),
		cmocka_unit_test(literals_and_lone_users_are_not_split),
		cmocka_unit_test(dots_at_the_end_of_a_domain_are_cut),
		cmocka_unit_test(some_users_have_no_extension),
		cmocka_unit_test(case_is_kept_where_it_is_to_be),
		cmocka_unit_test(domains_become_a_labels),
		cmocka_unit_test(what_is_not_utf8_becomes_question_marks),
		cmocka_unit_test(of_many_labels_the_last_keys_are_tried),
		cmocka_unit_test(an_address_has_a_longest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
