/* Authors with a signature's domain behind "/@": under which keys, and what each kind of table
 * makes of it. */
#include <time.h>

#include "lookup_help.h"
#include "lookup_keys.h"
#include "lookup_priv.h"

static const struct mw_lookup_options by_author = {
	.key = MW_KEY_AUTHOR, .want = MW_WANT_TEXT, .delimiters = "+"
};

/* ------------------------------------------------------------------ keys */

static void a_signature_s_domain_stands_behind_a_whole_key(void **state)
{
	static const struct {
		const char *key;
		size_t at; /* of "/@"; the end: it is none */
	} rows[] = {
		{ "user@example.com/@signer.example", 16 },
		{ ".example.com/@signer.example", 12 },
		{ "example.com/@signer.example", 11 },
		{ "user@/@signer.example", 5 },
		{ "./@signer.example", 1 },
		{ "/@signer.example", 0 },
		{ "user/@signer.example", 4 },
		{ "a/@b/@c", 4 },
		{ "\"a/@b\"@example.com/@signer.example", 18 },
		{ "\"a b\"/@signer.example", 5 },
		{ "\"user/\"@example.com", 19 },
		{ "\"a/@b\"@example.com", 18 },
		{ "\"a/@b\"", 6 },
		{ "user@example.com", 16 },
		{ "user@example.com/", 17 },
		{ "user@example.com/@", 18 },
		{ "a/@b@example.com", 16 },
		{ "/@", 2 },
		{ "@", 1 },
		{ "", 0 },
	};

	(void)state;
	for (size_t i = 0; i < MW_COUNT(rows); i++)
		if (mw_keys_find_suffix(rows[i].key) != rows[i].at)
			fail_msg("%s: %zu", rows[i].key, mw_keys_find_suffix(rows[i].key));
}

static void a_key_of_a_table_has_its_form_with_the_suffix(void **state)
{
	static const struct {
		const char *key, *form;
		enum mw_key_sort sort;
	} rows[] = {
		{ "User@Example.COM/@Signer.Example.", "user@example.com/@signer.example",
			MW_SORT_ADDRESS + MW_SORT_SIGNED },
		{ ".Example.com/@B\xc3\xbc"
		  "cher.example",
			".example.com/@xn--bcher-kva.example", MW_SORT_DOTTED + MW_SORT_SIGNED },
		{ "b\xc3\xbc"
		  "cher.example/@signer.example",
			"xn--bcher-kva.example/@signer.example", MW_SORT_DOMAIN + MW_SORT_SIGNED },
		{ "User@/@s", "user@/@s", MW_SORT_USER + MW_SORT_SIGNED },
		{ "./@s", "./@s", MW_SORT_DOTTED + MW_SORT_SIGNED },
		{ "/@s", "/@s", MW_SORT_NULL + MW_SORT_SIGNED },
		{ "User@Example.COM", "user@example.com", MW_SORT_ADDRESS },
		{ "\"x/\"@Example.COM", "x/@example.com", MW_SORT_ADDRESS },
		{ ".", ".", MW_SORT_DOTTED },
	};
	char buf[MW_KEYS_TEXT_MAX], key[MW_LOOKUP_KEY_MAX + 2];
	enum mw_key_sort sort;

	(void)state;
	for (size_t i = 0; i < MW_COUNT(rows); i++) {
		assert_true(mw_key_normalise(
			rows[i].key, MW_KEY_AUTHOR, false, buf, sizeof(buf), &sort));
		assert_string_equal(buf, rows[i].form);
		assert_int_equal(sort, rows[i].sort);
	}
	memset(key, 'a', sizeof(key));
	memcpy(key + 500, "/@", 2);
	key[MW_LOOKUP_KEY_MAX] = '\0';
	assert_true(mw_key_normalise(key, MW_KEY_AUTHOR, false, buf, sizeof(buf), &sort));
	assert_string_equal(buf, key);
	key[MW_LOOKUP_KEY_MAX] = 'a';
	key[MW_LOOKUP_KEY_MAX + 1] = '\0';
	assert_false(mw_key_normalise(key, MW_KEY_AUTHOR, false, buf, sizeof(buf), &sort));
}

static void domains_are_the_same_in_their_one_form(void **state)
{
	static const struct {
		const char *address, *domain;
		bool same;
	} rows[] = {
		{ "a@example.org", "example.org", true },
		{ "a@Example.ORG", "eXample.org", true },
		{ "a@example.org.", "example.org", true },
		{ "a@example.org", "example.org.", true },
		{ "a@b\xc3\xbc"
		  "cher.example",
			"xn--bcher-kva.example", true },
		{ "a@xn--bcher-kva.example",
			"b\xc3\xbc"
			"cher.example",
			true },
		{ "\"a@example.org\"@example.net", "example.net", true },
		{ "\"a@example.org\"@example.net", "example.org", false },
		{ "a@example.org@example.net", "example.net", true },
		{ "a@sub.example.org", "example.org", false },
		{ "a@example.org", "sub.example.org", false },
		{ "a@xample.org", "example.org", false },
		{ "example.org", "example.org", false },
		{ "a@", "", false },
		{ "a@.", "", false },
		{ "", "", false },
		{ "\"a@example.org", "example.org", true },
	};

	(void)state;
	for (size_t i = 0; i < MW_COUNT(rows); i++)
		if (mw_keys_same_domain(rows[i].address, rows[i].domain) != rows[i].same)
			fail_msg("%s %s", rows[i].address, rows[i].domain);
}

/* ------------------------------------------------------------------ tables */

static void a_hash_has_the_suffix_behind_each_key(void **state)
{
	static const struct answer_row rows[] = {
		/* each key of the sequence, alone and with the suffix */
		{ "{ { ['user+foo@sub.example.com/@s.example'] = 'A' } }",
			"User+Foo@Sub.Example.com/@S.Example", "\"A\"" },
		{ "{ { ['user@sub.example.com/@s.example'] = 'A' } }",
			"User+Foo@Sub.Example.com/@S.Example", "\"A\"" },
		{ "{ { ['user+foo@/@s.example'] = 'A' } }", "user+foo@sub.example.com/@s.example",
			"\"A\"" },
		{ "{ { ['user@/@s.example'] = 'A' } }", "user+foo@sub.example.com/@s.example",
			"\"A\"" },
		{ "{ { ['sub.example.com/@s.example'] = 'A' } }", "u@sub.example.com/@s.example",
			"\"A\"" },
		{ "{ { ['.sub.example.com/@s.example'] = 'A' } }", "u@sub.example.com/@s.example",
			"\"A\"" },
		{ "{ { ['.example.com/@s.example'] = 'A' } }", "u@sub.example.com/@s.example",
			"\"A\"" },
		{ "{ { ['.com/@s.example'] = 'A' } }", "u@sub.example.com/@s.example", "\"A\"" },
		{ "{ { ['./@s.example'] = 'A' } }", "u@sub.example.com/@s.example", "\"A\"" },
		/* the most special first, whatever the order in the table */
		{ "{ { ['./@s'] = 'D', ['.com/@s'] = 'C', ['a.com/@s'] = 'B', ['u@a.com/@s'] = 'A' "
		  "} }",
			"u@a.com/@s", "\"A\"" },
		{ "{ { ['./@s'] = 'D', ['.com/@s'] = 'C', ['a.com/@s'] = 'B' } }", "u@a.com/@s",
			"\"B\"" },
		{ "{ { ['./@s'] = 'D', ['.com/@s'] = 'C' } }", "u@a.com/@s", "\"C\"" },
		/* with the suffix and without are two questions */
		{ "{ { ['u@a.com'] = 'A', ['.'] = 'D' } }", "u@a.com/@s", "undef" },
		{ "{ { ['u@a.com/@s'] = 'A', ['./@s'] = 'D' } }", "u@a.com", "undef" },
		{ "{ { ['u@a.com'] = 'A', ['u@a.com/@s'] = 'B' } }", "u@a.com", "\"A\"" },
		{ "{ { ['u@a.com'] = 'A', ['u@a.com/@s'] = 'B' } }", "u@a.com/@s", "\"B\"" },
		/* it is the whole domain of the signature */
		{ "{ { ['.a.com/@s.example'] = 'A' } }", "u@a.com/@sub.s.example", "undef" },
		{ "{ { ['.a.com/@sub.s.example'] = 'A' } }", "u@a.com/@s.example", "undef" },
		{ "{ { ['.a.com/@s.example'] = 'A' } }", "u@a.com/@xs.example", "undef" },
		{ "{ { ['.a.com/@s.example'] = 'A' } }", "u@a.com/@s.example.", "\"A\"" },
		/* a signature's domain is nobody's address */
		{ "{ { ['.s.example'] = 'A', ['s.example'] = 'B' } }", "u@a.com/@s.example",
			"undef" },
		/* letters beyond ASCII, on either side */
		{ "{ { ['.b\xc3\xbc"
		  "cher.example/@xn--bcher-kva.example'] = 'A' } }",
			"u@xn--bcher-kva.example/@b\xc3\xbc"
			"cher.example",
			"\"A\"" },
		/* values */
		{ "{ { ['a.com/@s'] = true } }", "u@a.com/@s", "\"1\"" },
		{ "{ { ['a.com/@s'] = 1 } }", "u@a.com/@s", "\"1\"" },
		{ "{ { ['a.com/@s'] = false } }", "u@a.com/@s", "\"\"" },
		{ "{ { ['a.com/@s'] = 0 } }", "u@a.com/@s", "\"0\"" },
		{ "{ { ['a.com/@s'] = undef }, { ['a.com/@s'] = 'B' } }", "u@a.com/@s", "\"B\"" },
		{ "{ { ['a.com/@s'] = 'X, Y' } }", "u@a.com/@s", "\"X, Y\"" },
		{ "{ { ['a.com/@s'] = 'L_$3' } }", "u@a.com/@s", "\"L_u\"" },
		{ "{ { ['a.com/@s'] = '$1|$2|$3|$4|$5' } }", "u+e@a.com/@s",
			"\"u+e@a.com|u+e|u|+e|a.com\"" },
		/* an address that only looks like one with a suffix is asked for in quotes */
		{ "{ { ['\"user/\"@a.com'] = 'A' } }", "\"user/\"@a.com", "\"A\"" },
		{ "{ { ['user/@a.com'] = 'A' } }", "x@user/@a.com", "\"A\"" },
		{ "{ { ['\"a/@b\"@a.com/@s'] = 'A' } }", "\"a/@b\"@a.com/@s", "\"A\"" },
		/* no author */
		{ "{ { ['./@s'] = 'A' } }", "/@s", "\"A\"" },
		{ "{ { ['/@s'] = 'A' } }", "/@s", "\"A\"" },
		{ "{ { ['/@s'] = 'A' } }", "u@a.com/@s", "undef" },
		/* literals are not split */
		{ "{ { ['[192.0.2.1]/@s'] = 'A' } }", "u@[192.0.2.1]/@s", "\"A\"" },
		{ "{ { ['.2.1]/@s'] = 'A' } }", "u@[192.0.2.1]/@s", "undef" },
	};

	(void)state;
	check_rows(rows, MW_COUNT(rows), &by_author);
}

static void a_list_s_first_entry_that_fits_decides_also_with_a_suffix(void **state)
{
	static const struct answer_row rows[] = {
		{ "{ { 'u@a.com/@s' } }", "U@a.com/@S", "\"1\"" },
		{ "{ { 'a.com/@s' } }", "u@a.com/@s", "\"1\"" },
		{ "{ { '.com/@s' } }", "u@a.com/@s", "\"1\"" },
		{ "{ { './@s' } }", "u@a.com/@s", "\"1\"" },
		{ "{ { '!u@a.com/@s', '.com/@s' } }", "u@a.com/@s", "\"\"" },
		{ "{ { '!u@a.com/@s', '.com/@s' } }", "v@a.com/@s", "\"1\"" },
		{ "{ { '.com/@s', '!u@a.com/@s' } }", "u@a.com/@s", "\"1\"" },
		{ "{ { '!!.com/@s' } }", "u@a.com/@s", "\"1\"" },
		{ "{ { 'a.com' } }", "u@a.com/@s", "undef" },
		{ "{ { '.' } }", "u@a.com/@s", "undef" },
		{ "{ { '.' } }", "u@a.com", "\"1\"" },
		{ "{ { '.', './@s' } }", "u@a.com/@s", "\"1\"" },
		/* the signer's domain fits no entry for authors, as it would in amavisd */
		{ "{ { '.s.example' } }", "u@a.com/@lists.s.example", "undef" },
		{ "{ { '.b.c.d.e.f.g.h/@s' } }", "u@a.b.c.d.e.f.g.h/@s", "\"1\"" },
		{ "{ { '.h/@s' } }", "u@a.b.c.d.e.f.g.h/@s", "\"1\"" },
		{ "{ { '.h/@sss' } }", "u@a.b.c.d.e.f.g.h/@s", "undef" },
		{ "{ { '.h/@s' } }", "u@a.b.c.d.e.f.g.h/@sss", "undef" },
	};

	(void)state;
	check_rows(rows, MW_COUNT(rows), &by_author);
}

static void patterns_and_functions_see_the_address_with_its_suffix(void **state)
{
	static const struct answer_row rows[] = {
		{ "{ new_RE { { '/@s$', 'A' } } }", "u@a.com/@s", "\"A\"" },
		{ "{ new_RE { { '/@s$', 'A' } } }", "u@a.com", "undef" },
		{ "{ new_RE { { '^u@a[.]com$', 'A' } } }", "u@a.com/@s", "undef" },
		{ "{ new_RE { { '^u@a[.]com$', 'A' } } }", "u@a.com", "\"A\"" },
		{ "{ new_RE { { '^(.*)@(.*)/@(.*)$', '$3-$2-$1' } } }", "U@A.com/@S.Example",
			"\"s.example-A.com-U\"" },
		{ "{ new_RE { '@a[.]com/@' } }", "u@a.com/@s", "\"1\"" },
		{ "{ new_RE { { '^\"?a b@', 'A' } } }", "\"a b\"@a.com/@s", "\"A\"" },
		{ "{ function(k) return k end }", "U@A.com/@S", "\"U@A.com/@s\"" },
		{ "{ function(k) return k end }", "U@A.com", "\"U@A.com\"" },
		{ "{ function(k) if string.sub(k, -3) == '/@s' then return true end end, 'B' }",
			"u@a.com", "\"B\"" },
		{ "{ function(k) if string.sub(k, -3) == '/@s' then return true end end, 'B' }",
			"u@a.com/@s", "\"1\"" },
		{ "{ 'CONST' }", "u@a.com/@s", "\"CONST\"" },
		{ "{ true }", "u@a.com/@s", "\"1\"" },
		{ "{ undef, label 'x' }", "u@a.com/@s", "undef" },
		{ "{}", "u@a.com/@s", "undef" },
		{ "{ { ['b.com'] = 'A' }, new_RE { { 'com/@', 'R' } }, 'C' }", "u@a.com/@s",
			"\"R\"" },
	};

	(void)state;
	check_rows(rows, MW_COUNT(rows), &by_author);
}

static void files_take_keys_with_a_suffix(void **state)
{
	struct mw_lookup_limits limits = { .file_octets = 100000 };
	struct mw_lookup_options o = by_author;
	struct answer_row rows[] = {
		{ NULL, "u@a.com/@s.example", "\"WHITE\"" },
		{ NULL, "u@b.com/@s.example", "\"1\"" },
		{ NULL, "u@b.com", "undef" },
		{ NULL, "x y@c.com/@s.example", "\"Q\"" },
	};
	char path[] = "/tmp/mailweir-test-author-XXXXXX", maps[100];
	int fd = mkstemp(path);

	(void)state;
	assert_true(fd >= 0);
	close(fd);
	write_file(path, ".a.com/@S.example  WHITE # our lists\nb.com/@s.example\n"
			 "\"x y\"@c.com/@s.example Q\n");
	o.files = mw_lookup_files_new(&limits);
	o.limits = limits;
	snprintf(maps, sizeof(maps), "{ read_hash('%s') }", path);
	for (size_t i = 0; i < MW_COUNT(rows); i++)
		rows[i].maps = maps;
	check_rows(rows, MW_COUNT(rows), &o);
	mw_lookup_files_destroy(&o.files);
	unlink(path);
}

static void the_signer_is_never_taken_out_of_an_author_s_address(void **state)
{
	struct mw_lookup *l = good_maps(
		"{ { ['victim@bank.example/@evil.example'] = 'A', ['.bank.example'] = 'B' } }",
		&by_author);
	struct mw_lookup_result r;

	(void)state;
	/* What a person asks on the command line is one text, what a mail has are two. */
	assert_true(mw_lookup(l, "victim@bank.example/@evil.example", &r));
	assert_true(mw_lookup_signed(l, "victim@bank.example", "EVIL.example", &r));
	assert_string_equal(r.value.text, "A");
	assert_true(mw_lookup_signed(l, "victim@bank.example", NULL, &r));
	assert_string_equal(r.value.text, "B");
	assert_false(mw_lookup_signed(l, "victim@bank.example", "other.example", &r));
	assert_false(mw_lookup_signed(l, "victim@bank.example", "", &r));
	assert_false(mw_lookup_signed(l, "x@bank.example/@evil.example", NULL, &r));
	mw_lookup_unref(&l);
}

static void suffixes_beyond_the_limit_meet_constants_only(void **state)
{
	struct mw_lookup *l = good_maps("{ new_RE { { 'u', 'R' } }, 'C' }", &by_author);
	char long_domain[400], address[MW_LOOKUP_KEY_MAX + 2];
	struct mw_lookup_result r;

	(void)state;
	memset(long_domain, 'u', sizeof(long_domain));
	long_domain[MW_KEYS_DOMAIN_MAX - 1] = '\0';
	assert_true(mw_lookup_signed(l, "u@a.com", long_domain, &r));
	assert_string_equal(r.value.text, "R");
	long_domain[MW_KEYS_DOMAIN_MAX - 1] = 'u';
	long_domain[MW_KEYS_DOMAIN_MAX] = '\0';
	assert_true(mw_lookup_signed(l, "u@a.com", long_domain, &r));
	assert_string_equal(r.value.text, "C");
	/* the longest of both fit together */
	memset(address, 'u', sizeof(address));
	address[MW_LOOKUP_KEY_MAX] = '\0';
	address[500] = '@';
	long_domain[MW_KEYS_DOMAIN_MAX - 1] = '\0';
	assert_true(mw_lookup_signed(l, address, long_domain, &r));
	assert_string_equal(r.value.text, "R");
	mw_lookup_unref(&l);
}

/* ------------------------------------------------------------------ refused */

static void what_no_signature_can_fit_is_refused(void **state)
{
	static const struct {
		const char *maps, *says;
	} rows[] = {
		{ "{ { ['.a.com/@.s.example'] = 'A' } }", "whole and without a dot" },
		{ "{ { '!.a.com/@.s.example' } }", "whole and without a dot" },
	};
	struct mw_err err;

	(void)state;
	for (size_t i = 0; i < MW_COUNT(rows); i++) {
		assert_null(maps_of(rows[i].maps, &by_author, &err));
		assert_non_null(strstr(err.text, rows[i].says));
	}
}

static struct mw_lookup *author_maps(const char *maps, struct mw_err *err_r)
{
	struct mw_text lua = { 0 };
	struct mw_conf *conf;
	struct mw_lookup *l = NULL;
	struct mw_lookup_options o;

	mw_text_addf(
		&lua, "policy_bank = { A = {}, B = {} }\nauthor_to_policy_bank_maps = %s\n", maps);
	conf = conf_of(lua.p);
	mw_text_fini(&lua);
	o = mw_lookup_options_of(conf, "author_to_policy_bank_maps", NULL);
	mw_lookup_new(mw_conf_val(conf, "author_to_policy_bank_maps"), &o, &l, err_r);
	mw_conf_destroy(&conf);
	return l;
}

static void banks_that_are_not_there_are_refused_with_their_key_and_line(void **state)
{
	static const struct {
		const char *maps, *says; /* NULL: it is right */
	} rows[] = {
		{ "{ { ['a.com'] = 'A' } }", NULL },
		{ "{ { ['a.com'] = 'A, B' } }", NULL },
		{ "{ { ['a.com'] = ' A,B\\t' } }", NULL },
		{ "{ { ['a.com'] = true, ['b.com'] = false, ['c.com'] = '', ['d.com'] = 0 } }",
			NULL },
		{ "{ { 'a.com', '!.b.com' } }", NULL },
		{ "{ { ['a.com'] = 'L_$3' }, new_RE { { '(x)', 'Z$1' } } }", NULL },
		{ "{ function(k) return 'NONE' end }", NULL },
		{ "{ 'A' }", NULL },
		{ "{ 'NONE' }", "line 2: there is no policy bank \"NONE\"" },
		{ "{ { ['a.com'] = 'NONE' } }", "line 2: \"a.com\": there is no policy bank" },
		{ "{ { ['a.com/@s'] = 'A, NONE' } }", "\"a.com/@s\": there is no policy bank" },
		{ "{ new_RE { { 'x', 'NONE' } } }", "\"x\": there is no policy bank \"NONE\"" },
		{ "{ { ['a.com'] = 'A' }, { ['b.com'] = 'a' } }", "policy bank \"a\"" },
		{ "{ { ['a.com'] = 2 } }", "policy bank \"2\"" },
		{ "{ 'a.com' }", "policy bank \"a.com\"" },
	};

	(void)state;
	for (size_t i = 0; i < MW_COUNT(rows); i++) {
		struct mw_err err = { "" };
		struct mw_lookup *l = author_maps(rows[i].maps, &err);

		if ((l != NULL) != (rows[i].says == NULL) ||
			(l == NULL && strstr(err.text, rows[i].says) == NULL))
			fail_msg("%s: %s", rows[i].maps, err.text);
		mw_lookup_unref(&l);
	}
}

/* ------------------------------------------------------------------ cost */

/* Not asserted: machines differ. A mail asks so for its author, alone and with one signer. */
static void a_table_of_a_hundred_thousand_domains_costs_little(void **state)
{
	struct mw_lookup_limits limits = { .file_octets = 10000000 };
	struct mw_lookup_options o = by_author;
	char path[] = "/tmp/mailweir-test-author-XXXXXX", maps[100];
	struct mw_text lines = { 0 };
	struct mw_lookup_result r;
	struct mw_lookup *l;
	struct timespec a, b;
	const size_t rounds = 200000;
	size_t found = 0;
	double ns;
	int fd = mkstemp(path);

	(void)state;
	assert_true(fd >= 0);
	close(fd);
	for (int i = 0; i < 100000; i++)
		mw_text_addf(&lines, "%sd%d.example WHITELIST\n", i % 2 ? "." : "", i);
	write_file(path, lines.p);
	mw_text_fini(&lines);
	o.files = mw_lookup_files_new(&limits);
	o.limits = limits;
	snprintf(maps, sizeof(maps), "{ read_hash('%s') }", path);
	l = good_maps(maps, &o);
	clock_gettime(CLOCK_MONOTONIC, &a);
	for (size_t i = 0; i < rounds; i++) {
		char author[64];

		snprintf(author, sizeof(author), "user@mail.host%zu.example", i);
		found += mw_lookup_signed(l, author, NULL, &r);
		found += mw_lookup_signed(l, author, author + 10, &r);
	}
	clock_gettime(CLOCK_MONOTONIC, &b);
	ns = (double)(b.tv_sec - a.tv_sec) * 1e9 + (double)(b.tv_nsec - a.tv_nsec);
	print_message("        %.0f ns for both questions about one author, %zu found\n",
		ns / (double)rounds, found);
	mw_lookup_unref(&l);
	mw_lookup_files_destroy(&o.files);
	unlink(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_signature_s_domain_stands_behind_a_whole_key),
		cmocka_unit_test(a_key_of_a_table_has_its_form_with_the_suffix),
		cmocka_unit_test(domains_are_the_same_in_their_one_form),
		cmocka_unit_test(a_hash_has_the_suffix_behind_each_key),
		cmocka_unit_test(a_list_s_first_entry_that_fits_decides_also_with_a_suffix),
		cmocka_unit_test(patterns_and_functions_see_the_address_with_its_suffix),
		cmocka_unit_test(files_take_keys_with_a_suffix),
		cmocka_unit_test(the_signer_is_never_taken_out_of_an_author_s_address),
		cmocka_unit_test(suffixes_beyond_the_limit_meet_constants_only),
		cmocka_unit_test(what_no_signature_can_fit_is_refused),
		cmocka_unit_test(banks_that_are_not_there_are_refused_with_their_key_and_line),
		cmocka_unit_test(a_table_of_a_hundred_thousand_domains_costs_little),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
