/* Tables: what each kind answers, which one of several decides, what a trace says. Written from
 * amavisd's rules (docs/policy.md), not from the code. */
#include "lookup_help.h"

static const struct mw_lookup_options as_bool = { .want = MW_WANT_BOOL, .delimiters = "+" };
static const struct mw_lookup_options as_milli = { .want = MW_WANT_MILLI, .delimiters = "+" };
static const struct mw_lookup_options as_text = { .want = MW_WANT_TEXT, .delimiters = "+" };
static const struct mw_lookup_options as_any = { .want = MW_WANT_ANY, .delimiters = "+" };

static void constants_always_answer(void **state)
{
	static const struct answer_row rows[] = {
		{ "{}", "a@example.org", "undef" },
		{ "undef", "a@example.org", "undef" },
		{ "{ true }", "a@example.org", "true" },
		{ "{ 1 }", "", "true" },
		{ "{ 2 }", "", "true" },
		{ "{ false }", "a@example.org", "false" },
		{ "{ 0 }", "a@example.org", "false" },
		{ "{ -1 }", "a@example.org", "true" },
		{ "true", "a@example.org", "true" },
		{ "0", "a@example.org", "false" },
		{ "{ undef }", "a@example.org", "undef" },
		{ "{ undef, 1 }", "a@example.org", "true" },
		{ "{ {} }", "a@example.org", "undef" },
		{ "{ {}, 1 }", "a@example.org", "true" },
		{ "{ opaque(true) }", "x", "true" },
		{ "{ opaque('') }", "x", "false" },
		{ "{ opaque('0') }", "x", "false" },
		{ "{ opaque('0.0') }", "x", "true" },
		{ "{ label 'x' }", "x", "undef" },
		{ "{ label 'x', 1 }", "x", "true" },
	};

	(void)state;
	check_rows(rows, MW_COUNT(rows), &as_bool);
}

static void lists_answer_by_the_first_entry_that_matches(void **state)
{
	static const struct answer_row rows[] = {
		/* a leading dot: the domain and what is below it */
		{ "{ '.example.org' }", "a@example.org", "true" },
		{ "{ '.example.org' }", "a@sub.example.org", "true" },
		{ "{ '.example.org' }", "a@b.c.d.example.org", "true" },
		{ "{ '.example.org' }", "a@notexample.org", "undef" },
		{ "{ '.example.org' }", "a@example.org.evil", "undef" },
		{ "{ '.example.org' }", "example.org@evil", "undef" },
		{ "{ '.org' }", "a@x.y.org", "true" },
		{ "{ '.org' }", "a@org", "true" },
		{ "{ '.rg' }", "a@x.y.org", "undef" },
		/* none: the domain alone */
		{ "{ 'example.org' }", "a@example.org", "true" },
		{ "{ 'example.org' }", "a@sub.example.org", "undef" },
		{ "{ 'example.org' }", "a@rexample.org", "undef" },
		/* with @: the address alone */
		{ "{ 'a@example.org' }", "a@example.org", "true" },
		{ "{ 'a@example.org' }", "b@example.org", "undef" },
		{ "{ 'a@example.org' }", "a@sub.example.org", "undef" },
		{ "{ 'a@' }", "a@example.org", "undef" },
		{ "{ '@example.org' }", "a@example.org", "undef" },
		/* no extension is taken off */
		{ "{ 'a@example.org' }", "a+x@example.org", "undef" },
		{ "{ 'a+x@example.org' }", "a+x@example.org", "true" },
		{ "{ 'a+x@example.org' }", "a@example.org", "undef" },
		/* . always */
		{ "{ '.' }", "a@anything", "true" },
		{ "{ '.' }", "", "true" },
		{ "{ '.' }", "postmaster", "true" },
		{ "{ '.' }", "a@[192.0.2.1]", "true" },
		{ "{ '!.' }", "a@anything", "false" },
		/* order decides, not how special an entry is */
		{ "{ '!a@example.org', '.example.org' }", "a@example.org", "false" },
		{ "{ '!a@example.org', '.example.org' }", "b@example.org", "true" },
		{ "{ '.example.org', '!a@example.org' }", "a@example.org", "true" },
		{ "{ '!.sub.example.org', '.example.org', '!.' }", "a@sub.example.org", "false" },
		{ "{ '!.sub.example.org', '.example.org', '!.' }", "a@other.example.org", "true" },
		{ "{ '!.sub.example.org', '.example.org', '!.' }", "a@elsewhere", "false" },
		{ "{ '.', '!a@example.org' }", "a@example.org", "true" },
		{ "{ '.example.org', '!.example.org' }", "a@example.org", "true" },
		{ "{ '!.example.org', '.example.org' }", "a@example.org", "false" },
		{ "{ 'example.org', '!.example.org' }", "a@example.org", "true" },
		{ "{ 'example.org', '!.example.org' }", "a@x.example.org", "false" },
		/* an odd number of ! */
		{ "{ '!!.example.org' }", "a@example.org", "true" },
		{ "{ '!!!.example.org' }", "a@example.org", "false" },
		/* case, IDN, dots at the end, quotes */
		{ "{ '.Example.ORG' }", "A@eXample.oRg", "true" },
		{ "{ 'A@Example.org' }", "a@eXAMPLE.org", "true" },
		{ "{ '.b\xc3\xbc"
		  "cher.example' }",
			"a@xn--bcher-kva.example", "true" },
		{ "{ '.xn--bcher-kva.example' }",
			"a@B\xc3\x9c"
			"CHER.example",
			"true" },
		{ "{ '.example.org' }", "a@example.org.", "true" },
		{ "{ '.example.org.' }", "a@example.org", "true" },
		{ "{ 'x y@example.org' }", "\"x y\"@example.org", "true" },
		{ "{ '\"x y\"@example.org' }", "\"x y\"@example.org", "true" },
		{ "{ '\"x\"@example.org' }", "x@example.org", "true" },
		{ "{ '.example.org' }", "\"x@y\"@example.org", "true" },
		{ "{ '.y' }", "\"x@y\"@example.org", "undef" },
		/* address literals */
		{ "{ '[192.0.2.1]' }", "a@[192.0.2.1]", "true" },
		{ "{ '.1]' }", "a@[192.0.2.1]", "undef" },
		/* the null address and what has no domain */
		{ "{ '' }", "", "true" },
		{ "{ '<>' }", "", "true" },
		{ "{ '' }", "<>", "true" },
		{ "{ '' }", "a@example.org", "undef" },
		{ "{ '' }", "postmaster", "undef" },
		{ "{ '!' }", "", "false" },
		{ "{ '.example.org' }", "", "undef" },
		{ "{ '!\".\"', '.' }", "a@x", "false" }, /* one key, however it is written */
		{ "{ '.example.org' }", "postmaster", "undef" },
		{ "{ 'postmaster' }", "postmaster", "undef" },
		{ "{ '.example.org' }", "a@", "undef" },
		{ "{ '.example.org' }", "a@.example.org", "true" },
		{ "{ '.example.org' }", "a@..example.org", "true" },
		/* as a table of its own, and strings side by side as one */
		{ "{ { '.example.org' } }", "a@example.org", "true" },
		{ "{ { '!a@x', '.x' } }", "a@x", "false" },
		{ "{ '!a@x', '.x' }", "a@x", "false" },
		{ "{ '.x', { '!a@x' } }", "a@x", "true" },
		{ "{ { '!a@x' }, '.x' }", "a@x", "false" },
		{ "{ 'a@x', { 'b@x' }, 'c@x', false }", "c@x", "true" },
		{ "{ 'a@x', { 'b@x' }, 'c@x', false }", "d@x", "false" },
	};

	(void)state;
	check_rows(rows, MW_COUNT(rows), &as_bool);
}

static void hashes_answer_by_the_most_special_key(void **state)
{
	static const struct answer_row rows[] = {
		{ "{ { ['.example.org'] = 1, ['a@example.org'] = 2 } }", "a@example.org", "2" },
		{ "{ { ['.example.org'] = 1, ['a@example.org'] = 2 } }", "b@example.org", "1" },
		/* every step of the sequence beats those behind it */
		{ "{ { ['user+foo@sub.example.com'] = 2, ['user@sub.example.com'] = 3 } }",
			"User+Foo@Sub.Example.com", "2" },
		{ "{ { ['user@sub.example.com'] = 3, ['user+foo@'] = 4 } }",
			"User+Foo@Sub.Example.com", "3" },
		{ "{ { ['user+foo@'] = 4, ['user@'] = 5 } }", "User+Foo@Sub.Example.com", "4" },
		{ "{ { ['user@'] = 5, ['sub.example.com'] = 6 } }", "User+Foo@Sub.Example.com",
			"5" },
		{ "{ { ['sub.example.com'] = 6, ['.sub.example.com'] = 7 } }",
			"User+Foo@Sub.Example.com", "6" },
		{ "{ { ['.sub.example.com'] = 7, ['.example.com'] = 8 } }",
			"User+Foo@Sub.Example.com", "7" },
		{ "{ { ['.example.com'] = 8, ['.com'] = 9 } }", "User+Foo@Sub.Example.com", "8" },
		{ "{ { ['.com'] = 9, ['.'] = 10 } }", "User+Foo@Sub.Example.com", "9" },
		{ "{ { ['.'] = 10 } }", "User+Foo@Sub.Example.com", "10" },
		/* what is not of the sequence */
		{ "{ { ['example.com'] = 1 } }", "user@sub.example.com", "undef" },
		{ "{ { ['foo@'] = 1 } }", "user+foo@sub.example.com", "undef" },
		{ "{ { ['foo@sub.example.com'] = 1 } }", "user+foo@sub.example.com", "undef" },
		{ "{ { ['@example.com'] = 1 } }", "user@example.com", "undef" },
		{ "{ { ['user'] = 1 } }", "user@example.com", "undef" },
		{ "{ { ['!a@example.org'] = 1 } }", "a@example.org", "undef" },
		{ "{ { ['user@other'] = 1 } }", "user@example.com", "undef" },
		/* a key in any case, form and order */
		{ "{ { ['User@Example.COM'] = 1 } }", "user@example.com", "1" },
		{ "{ { ['user@example.com'] = 1 } }", "USER@EXAMPLE.com", "1" },
		{ "{ { ['User@'] = 1 } }", "user@example.com", "1" },
		{ "{ { ['.b\xc3\xbc"
		  "cher.example'] = 1 } }",
			"a@x.b\xc3\xbc"
			"cher.example",
			"1" },
		{ "{ { ['\"a b\"@x'] = 1 } }", "\"a b\"@x", "1" },
		{ "{ { ['A@x'] = 1, ['a@x'] = 2 } }", "a@x", "2" }, /* the later of two */
		/* the null address */
		{ "{ { [''] = 1, ['.'] = 2 } }", "", "1" },
		{ "{ { ['@'] = 1, ['.'] = 2 } }", "", "1" },
		{ "{ { ['.'] = 2 } }", "", "2" },
		{ "{ { ['<>'] = 1 } }", "", "1" },
		{ "{ { [''] = 1 } }", "a@x", "undef" },
		{ "{ { ['postmaster'] = 1 } }", "postmaster", "1" },
		{ "{ { ['postmaster@'] = 1 } }", "postmaster", "1" },
		{ "{ { ['postmaster@'] = 1 } }", "postmaster@anywhere", "1" },
		{ "{ { ['[192.0.2.1]'] = 1 } }", "a@[192.0.2.1]", "1" },
		{ "{ { ['.0.2.1]'] = 1 } }", "a@[192.0.2.1]", "undef" },
		/* 0 is defined; undef ends its table and not the search */
		{ "{ { ['a@x'] = 0 }, 5 }", "a@x", "0" },
		{ "{ { ['a@x'] = undef, ['.x'] = 3 }, 5 }", "a@x", "5" },
		{ "{ { ['a@x'] = undef, ['.x'] = 3 }, 5 }", "b@x", "3" },
		{ "{ { ['a@x'] = undef, ['.x'] = 3 } }", "a@x", "undef" },
		{ "{ { ['a@x'] = 1 }, { ['a@x'] = 2 } }", "a@x", "1" },
		{ "{ { ['.x'] = 1 }, { ['a@x'] = 2 } }", "a@x", "1" }, /* order of tables first */
		{ "{ { ['b@x'] = 1 }, { ['a@x'] = 2 } }", "a@x", "2" },
		{ "{ { ['a@x'] = true } }", "a@x", "1" },
		{ "{ { ['a@x'] = '6.31' } }", "a@x", "6.31" },
		{ "{ { ['a@x'] = -3.5 } }", "a@x", "-3.5" },
		{ "{ { ['a@x'] = 6.3105 } }", "a@x", "6.311" },
		{ "{ { ['a@x'] = false } }", "a@x", "0" },
	};

	(void)state;
	check_rows(rows, MW_COUNT(rows), &as_milli);
}

static void case_of_local_parts_counts_where_the_setting_says_so(void **state)
{
	static const struct answer_row rows[] = {
		{ "{ { ['User@x'] = 1 } }", "User@x", "true" },
		{ "{ { ['User@x'] = 1 } }", "user@x", "undef" },
		{ "{ { ['User@x'] = 1 } }", "User@X", "true" },
		{ "{ { ['User@'] = 1 } }", "user@x", "undef" },
		{ "{ { ['User@'] = 1 } }", "User@x", "true" },
		{ "{ 'User@x' }", "user@x", "undef" },
		{ "{ 'User@X' }", "User@x", "true" },
		{ "{ { ['User@x'] = 1 } }", "User+Foo@x", "true" },
		{ "{ { ['.X'] = 1 } }", "User@x", "true" },
		{ "{ { Postmaster = 1 } }", "postMASTER", "true" },
	};
	struct mw_lookup_options o = as_bool;

	(void)state;
	o.case_sensitive = true;
	check_rows(rows, MW_COUNT(rows), &o);
}

static void texts_take_in_what_was_matched(void **state)
{
	static const struct answer_row rows[] = {
		/* hash: full address, full local part, user, extension with delimiter, domain */
		{ "{ { ['.x'] = '$1' } }", "User+Foo@X", "\"User+Foo@X\"" },
		{ "{ { ['.x'] = '$2' } }", "User+Foo@X", "\"user+foo\"" },
		{ "{ { ['.x'] = '$3' } }", "User+Foo@X", "\"user\"" },
		{ "{ { ['.x'] = '$4' } }", "User+Foo@X", "\"+foo\"" },
		{ "{ { ['.x'] = '$5' } }", "User+Foo@X", "\"x\"" },
		{ "{ { ['.x'] = 'q-$3@$5' } }", "a@X", "\"q-a@x\"" },
		{ "{ { ['.x'] = '${3}x$(5)y' } }", "a@x", "\"axxy\"" },
		{ "{ { ['.x'] = '$4' } }", "a@x", "\"\"" },
		{ "{ { ['.x'] = '$31' } }", "a@x", "\"a1\"" },
		{ "{ { ['.x'] = '$' } }", "a@x", "\"$\"" },
		{ "{ { ['.x'] = '$$3$' } }", "a@x", "\"$a$\"" },
		{ "{ { ['.x'] = '$0$x${3$(3}' } }", "a@x", "\"$0$x${3$(3}\"" },
		{ "{ { ['.x'] = '$6|$9' } }", "a@x", "\"|\"" },
		{ "{ { ['.x'] = 'plain' } }", "a@x", "\"plain\"" },
		{ "{ { ['.x'] = '' } }", "a@x", "\"\"" },
		{ "{ { ['.x'] = 12 } }", "a@x", "\"12\"" },
		{ "{ { ['.x'] = 1.5 } }", "a@x", "\"1.5\"" },
		{ "{ { ['.x'] = true } }", "a@x", "\"1\"" },
		{ "{ { ['.x'] = false }, 'y' }", "a@x", "\"\"" },
		/* constants: a string is one here, and stays as it is */
		{ "{ 'spam-quarantine' }", "a@x", "\"spam-quarantine\"" },
		{ "{ '$1' }", "a@x", "\"$1\"" },
		{ "{ 'a', 'b' }", "a@x", "\"a\"" },
		{ "{ undef, 'b' }", "a@x", "\"b\"" },
		{ "{ '' , 'b' }", "a@x", "\"\"" },
		{ "'x'", "a@x", "\"x\"" },
		/* regexps: groups */
		{ "{ new_RE { { '^(.*)@x$', 'q-$1' } } }", "User@x", "\"q-User\"" },
		{ "{ new_RE { { '^(.)(.*)@x$', '$2${1}$(2)' } } }", "abc@x", "\"bcabc\"" },
		{ "{ new_RE { { '^(a)?b@x$', '<$1>' } } }", "b@x", "\"<>\"" },
		{ "{ new_RE { { '^a@x$', '<$1>' } } }", "a@x", "\"<>\"" },
		{ "{ new_RE { { '(b)', '$2$1' } } }", "abc@x", "\"b\"" },
		{ "{ new_RE { { '\\\\Kb', 'k' } } }", "ab@x", "\"k\"" },
		{ "{ new_RE { 'b' } }", "abc@x", "\"1\"" },
	};

	(void)state;
	check_rows(rows, MW_COUNT(rows), &as_text);
}

static void regexps_answer_by_the_first_that_matches(void **state)
{
	static const struct answer_row rows[] = {
		/* un-anchored, case as written, on the address as it was given */
		{ "{ new_RE { 'spam' } }", "antispam@x", "1" },
		{ "{ new_RE { 'spam' } }", "antiSPAM@x", "undef" },
		{ "{ new_RE { '(?i)spam' } }", "antiSPAM@x", "1" },
		{ "{ new_RE { 'USER' } }", "USER@x", "1" },
		{ "{ new_RE { 'user' } }", "USER@x", "undef" },
		{ "{ new_RE { '^spam' } }", "antispam@x", "undef" },
		{ "{ new_RE { '@x$' } }", "a@x", "1" }, { "{ new_RE { '@x$' } }", "a@x.", "undef" },
		{ "{ new_RE { '\\\\+foo@' } }", "user+foo@x", "1" },
		/* order */
		{ "{ new_RE { { 'a', 2 }, { 'b', 3 } } }", "ab@x", "2" },
		{ "{ new_RE { { 'b', 3 }, { 'a', 2 } } }", "ab@x", "3" },
		{ "{ new_RE { { 'c', 4 }, { 'a', 2 } } }", "ab@x", "2" },
		{ "{ new_RE { { 'a', 0 }, { 'b', 3 } } }", "ab@x", "0" },
		{ "{ new_RE { { 'a', 0 } }, 7 }", "ab@x", "0" },
		{ "{ new_RE { { 'q', 0 } }, 7 }", "ab@x", "7" },
		/* an undefined value ends its table */
		{ "{ new_RE { { 'a', undef }, { 'b', 3 } }, 7 }", "ab@x", "7" },
		{ "{ new_RE { { 'a' } } }", "ab@x", "1" }, { "{ new_RE {} }", "ab@x", "undef" },
		/* quotes are no part of an address */
		{ "{ new_RE { '^user@' } }", "\"user\"@x", "1" },
		{ "{ new_RE { '^$' } }", "", "1" }, { "{ new_RE { '^.' } }", "", "undef" },
		{ "{ new_RE { 'b\xc3\xbc' } }",
			"a@b\xc3\xbc"
			"cher",
			"1" },
		{ "{ new_RE { '(?i)\xc3\x9c' } }",
			"a@b\xc3\xbc"
			"cher",
			"1" },
		{ "{ new_RE { '\xc3\xbc' } }", "a@b\xff\xfe", "undef" },
		{ "{ new_RE { '^[^@]+@b..cher$' } }",
			"a@b\xc3\xbc"
			"cher",
			"1" }, /* octets */
	};

	(void)state;
	check_rows(rows, MW_COUNT(rows), &as_milli);
}

static void structured_values_come_out_as_they_are(void **state)
{
	static const struct answer_row rows[] = {
		{ "{ opaque { a = 1, b = { 'x' } } }", "q", "{ a = 1, b = { \"x\" } }" },
		{ "{ opaque { '.x' } }", "q", "{ \".x\" }" },
		{ "{ opaque 'x' }", "q", "\"x\"" },
		{ "{ opaque(5) }", "q", "5" },
		{ "{ { ['a@x'] = { c = 'relaxed/simple' } } }", "a@x",
			"{ c = \"relaxed/simple\" }" },
		{ "{ { ['a@x'] = { c = 1 } } }", "b@x", "undef" },
		{ "{ new_RE { { 'a', { 1, 2 } } } }", "a@x", "{ 1, 2 }" },
		{ "{ { ['a@x'] = '$1' } }", "a@x", "\"a@x\"" },
		{ "{ { ['a@x'] = true } }", "a@x", "true" },
		{ "{ { ['a@x'] = 1 } }", "a@x", "1" },
	};

	(void)state;
	check_rows(rows, MW_COUNT(rows), &as_any);
}

static void names_that_are_no_addresses_match_exactly(void **state)
{
	static const struct answer_row rows[] = {
		{ "{ { ['Eicar-Test'] = 'x' } }", "Eicar-Test", "\"x\"" },
		{ "{ { ['Eicar-Test'] = 'x' } }", "eicar-test", "undef" },
		{ "{ { ['.a'] = 'x' } }", "b.a", "undef" },
		{ "{ { ['.'] = 'x' } }", "b.a", "undef" },
		{ "{ { ['a@b'] = 'x' } }", "a@b", "\"x\"" },
		{ "{ { [''] = 'x' } }", "", "\"x\"" },
		{ "{ new_RE { { '^(Phish)', 'p $1' } } }", "Phishing.1", "\"p Phish\"" },
		{ "{ { 'A' } }", "A", "\"1\"" },
		{ "{ { '!A' } }", "A", "\"\"" },
		{ "{ { 'A' } }", "B", "undef" },
	};
	struct mw_lookup_options o = as_text;

	(void)state;
	o.key = MW_KEY_TEXT;
	check_rows(rows, MW_COUNT(rows), &o);
}

static void get_all_gives_every_value_in_the_order_of_the_search(void **state)
{
	static const struct {
		const char *maps, *key, *values; /* NULL: none */
	} rows[] = {
		{ "{ { ['a@x'] = 1, ['.x'] = 2, ['.'] = 3 } }", "a@x", "1|2|3" },
		{ "{ { ['.'] = 3, ['.x'] = 2 }, { ['a@x'] = 1 } }", "a@x", "2|3|1" },
		{ "{ new_RE { { 'a', 1 }, { 'q', 9 }, { 'x', 2 } }, 5 }", "a@x", "1|2|5" },
		{ "{ { 'a@x', '.x' }, 4 }", "a@x", "1|4" }, /* a list has one answer */
		{ "{ 1, undef, 2 }", "a@x", "1|2" },
		{ "{ { ['a@x'] = undef, ['.x'] = 2 } }", "a@x", "2" },
		{ "{ { ['b@x'] = 1 } }", "a@x", NULL },
		{ "{}", "a@x", NULL },
		{ "{ { ['u+f@x'] = 1, ['u@x'] = 2, ['u@'] = 3, x = 4 } }", "u+f@x", "1|2|3|4" },
		{ "{ label 'l', function(k) return 7 end, 8 }", "a@x", "7|8" },
	};

	(void)state;
	for (size_t i = 0; i < MW_COUNT(rows); i++) {
		struct mw_lookup *l = good_maps(rows[i].maps, &as_milli);
		struct mw_lookup_result r;
		struct mw_text out = { 0 };

		mw_lookup_all(l, rows[i].key, &r, add_value, &out);
		if (rows[i].values == NULL)
			assert_null(out.p);
		else if (out.p == NULL || strcmp(out.p, rows[i].values) != 0)
			fail_msg("%s: %s", rows[i].maps, out.p);
		mw_text_fini(&out);
		mw_lookup_unref(&l);
	}
}

static bool count_two(void *arg, const struct mw_lookup_result *r)
{
	(void)r;
	return ++*(int *)arg < 2;
}

static void get_all_ends_when_its_caller_has_enough(void **state)
{
	struct mw_lookup *l = good_maps("{ { ['a@x'] = 1, ['.x'] = 2, ['.'] = 3 }, 4 }", &as_milli);
	struct mw_lookup_result r;
	int n = 0;

	(void)state;
	mw_lookup_all(l, "a@x", &r, count_two, &n);
	assert_int_equal(n, 2);
	mw_lookup_unref(&l);
}

static void functions_answer_with_scalars(void **state)
{
	static const struct answer_row rows[] = {
		{ "{ function(k) return true end }", "a@x", "1" },
		{ "{ function(k) return #k end }", "a@x", "3" },
		{ "{ function(k) return '2.5' end }", "a@x", "2.5" },
		{ "{ function(k) end, 9 }", "a@x", "9" },
		{ "{ function(k) return undef end, 9 }", "a@x", "9" },
		{ "{ function(k) return 0 end, 9 }", "a@x", "0" },
		{ "{ function(k) if k == 'a@x' then return 4 end end, 9 }", "a@x", "4" },
		{ "{ function(k) if k == 'a@x' then return 4 end end, 9 }", "b@x", "9" },
		{ "{ function(k) return sa_kill_level_deflt end }", "b@x", "6.31" },
		{ "{ function(k) return string.len(k) end }", "", "0" },
		/* errors: undefined, and the search goes on */
		{ "{ function(k) error('no') end, 9 }", "a@x", "9" },
		{ "{ function(k) return nothing.at.all end, 9 }", "a@x", "9" },
		{ "{ function(k) return {} end, 9 }", "a@x", "9" },
		{ "{ function(k) return function() end end, 9 }", "a@x", "9" },
		{ "{ function(k) return 'no number' end, 9 }", "a@x", "9" },
		{ "{ function(k) return 1e300 end, 9 }", "a@x", "9" },
		{ "{ function(k) return 0/0 end, 9 }", "a@x", "9" },
		{ "{ function(k) return 'a\\0b' end, 9 }", "a@x", "9" },
		{ "{ function(k) while true do end end, 9 }", "a@x", "9" },
		{ "{ function(k) local s = k while true do s = s .. s end end, 9 }", "a@x", "9" },
		{ "{ function(k) local function f() return f() + 1 end return f() end, 9 }", "a@x",
			"9" },
		{ "{ function(k) originating = true end, 9 }", "a@x", "9" },
		{ "{ function(k) policy_bank.X = {} end, 9 }", "a@x", "9" },
		{ "{ function(k) dkim_key('a', 'b', 'c') end, 9 }", "a@x", "9" },
	};

	(void)state;
	check_rows(rows, MW_COUNT(rows), &as_milli);
}

static void a_function_keeps_no_more_than_its_memory(void **state)
{
	struct mw_lookup *l =
		good_maps("(function() local kept, n = {}, 0 return { function(k) n = n + 1\n"
			  "kept[n] = k .. string.format('%090d', n) return n end } end)()",
			&as_milli);
	struct mw_lookup_result r;
	size_t answered = 0;

	(void)state;
	for (size_t i = 0; i < 20000; i++)
		answered += mw_lookup(l, "someone@example.org", &r);
	assert_true(answered > 1000 && answered < 15000);
	assert_non_null(strstr(r.error, "memory"));
	mw_lookup_unref(&l);
}

static void a_function_that_failed_works_again(void **state)
{
	struct mw_lookup *l =
		good_maps("{ function(k) if k == 'bad@x' then while true do end end return 1 end }",
			&as_milli);
	struct mw_lookup_result r;

	(void)state;
	for (int i = 0; i < 5; i++) {
		assert_false(mw_lookup(l, "bad@x", &r));
		assert_non_null(strstr(r.error, "the function takes more than"));
		assert_true(mw_lookup(l, "good@x", &r));
		assert_null(r.error);
	}
	mw_lookup_unref(&l);
}

static void what_cannot_be_a_table_is_refused_with_its_line(void **state)
{
	static const struct {
		const char *maps;
		enum mw_lookup_want want;
		const char *says;
	} rows[] = {
		{ "{ {\n 5 } }", MW_WANT_BOOL, "expected strings in a list" },
		{ "{ { 'a', true } }", MW_WANT_BOOL, "expected strings in a list" },
		{ "{ { { 'deep' } } }", MW_WANT_BOOL, "expected strings in a list" },
		{ "{ { ['a@x'] = { 1 } } }", MW_WANT_BOOL, "expected true or false as the value" },
		{ "{ { ['a@x'] = 'many' } }", MW_WANT_MILLI, "\"many\" is no number" },
		{ "{ { ['a@x'] = '0x10' } }", MW_WANT_MILLI, "is no number" },
		{ "{ { ['a@x'] = 'inf' } }", MW_WANT_MILLI, "is no number" },
		{ "{ { ['a@x'] = 'nan' } }", MW_WANT_MILLI, "is no number" },
		{ "{ { ['a@x'] = '' } }", MW_WANT_MILLI, "is no number" },
		{ "{ { ['a@x'] = 1e18 } }", MW_WANT_MILLI, "beyond all numbers" },
		{ "{ 'x' }", MW_WANT_MILLI, "is no number" },
		{ "{ { ['a@x'] = function() end } }", MW_WANT_TEXT,
			"expected a text as the value" },
		{ "{ { ['a@x'] = opaque 'x' } }", MW_WANT_ANY, "as the value" },
		{ "{ opaque { 1 } }", MW_WANT_TEXT, "expected a text as the value" },
		{ "{ new_RE { '(' } }", MW_WANT_BOOL, "pattern \"(\": at character 2: " },
		{ "{ new_RE { 'a', { 'b', 1, 2 } } }", MW_WANT_BOOL,
			"new_RE: expected \"pattern\"" },
		{ "{ new_RE { 5 } }", MW_WANT_BOOL, "new_RE: expected \"pattern\"" },
		{ "{ new_RE { {} } }", MW_WANT_BOOL, "new_RE: expected \"pattern\"" },
		{ "{ new_RE { a = 1 } }", MW_WANT_BOOL, "new_RE: expected a list" },
		{ "{ new_RE { '\\\\C' } }", MW_WANT_BOOL, "pattern" },
		{ "{ dnsl 'zen.example' }", MW_WANT_BOOL, "asked for client addresses" },
		{ "{ read_hash '/x' }", MW_WANT_BOOL, "files cannot be used here" },
		{ "{ read_cidr '/x' }", MW_WANT_BOOL, "not asked for IP addresses" },
	};

	(void)state;
	for (size_t i = 0; i < MW_COUNT(rows); i++) {
		struct mw_lookup_options o = { .want = rows[i].want };
		struct mw_err err = { "" };
		struct mw_lookup *l = maps_of(rows[i].maps, &o, &err);

		assert_null(l);
		if (strstr(err.text, rows[i].says) == NULL ||
			strncmp(err.text, "some_maps, line ", 16) != 0)
			fail_msg("%s: %s", rows[i].maps, err.text);
	}
}

static void what_a_file_cannot_say_is_refused_when_it_is_read(void **state)
{
	static const struct {
		const char *lua, *says;
	} rows[] = {
		{ "local_domains_maps = { new_RE('a', 'b') }", "1: new_RE: expected one argument" },
		{ "local_domains_maps = { new_RE 'a' }", "new_RE: expected one argument, a table" },
		{ "local_domains_maps = { read_hash {} }",
			"read_hash: expected one argument, a str" },
		{ "local_domains_maps = { read_hash() }", "read_hash: expected one argument" },
		{ "local_domains_maps = { opaque(nil) }",
			"opaque: expected one argument, a value" },
		{ "local_domains_maps = { new_RE(new_RE {}) }", "new_RE(new_RE(...))" },
		{ "local_domains_maps = { string.len }", "not one of the library" },
		{ "local_domains_maps = function() end\nlocal_domains_maps = { x = 1 }",
			"expected a list of lookup tables" },
		{ "unix_socketname = { function() end }", "expected a list of 0 to 16 strings" },
		{ "unix_socketname = read_array '/x'", "expected a list of 0 to 16 strings" },
		{ "interface_policy = { a = function() end }", "interface_policy" },
		{ "originating = function() end", "expected true or false" },
		{ "policy_bank.X = { originating = function() end }", "expected true or false" },
	};

	(void)state;
	for (size_t i = 0; i < MW_COUNT(rows); i++) {
		char path[] = "/tmp/mailweir-test-lookup-XXXXXX", *errors = NULL;
		struct mw_conf *conf = NULL;
		int fd = mkstemp(path);

		close(fd);
		write_file(path, rows[i].lua);
		mw_conf_load(path, &conf, &errors);
		unlink(path);
		assert_null(conf);
		if (strstr(errors, rows[i].says) == NULL)
			fail_msg("%s: %s", rows[i].lua, errors);
		free(errors);
	}
}

static void keys_beyond_the_limit_meet_constants_only(void **state)
{
	char address[2048];
	struct mw_lookup *l =
		good_maps("{ { '.example.org', '.' }, { ['.'] = 1 }, new_RE { '.' },\n"
			  "function(k) return true end }",
			&as_bool);
	struct mw_lookup *c = good_maps("{ { '.example.org' }, true }", &as_bool);
	struct mw_lookup_result r;

	(void)state;
	memset(address, 'a', sizeof(address));
	memcpy(address + sizeof(address) - 13, "@example.org", 13);
	assert_false(mw_lookup(l, address, &r));
	assert_false(mw_lookup(l, address + 1022, &r));
	assert_true(mw_lookup(l, address + 1023, &r));
	assert_true(mw_lookup(c, address, &r));
	mw_lookup_unref(&l);
	mw_lookup_unref(&c);
}

static void an_address_cannot_burn_cpu_in_a_pattern(void **state)
{
	struct mw_lookup *l = good_maps("{ new_RE { '^(a+)+$' }, 1 }", &as_milli);
	struct mw_lookup_result r;
	char address[200];

	(void)state;
	memset(address, 'a', sizeof(address));
	strcpy(address + 190, "@x");
	assert_true(mw_lookup(l, address, &r)); /* the next table decides */
	assert_int_equal(r.table, 1);
	mw_lookup_unref(&l);
	l = good_maps("{ new_RE { '^(a+)+$', { 'a', 5 } } }", &as_milli);
	assert_false(mw_lookup(l, address, &r)); /* which of its entries nobody knows */
	assert_non_null(strstr(r.error, "met its limit of work"));
	assert_true(mw_lookup(l, "aaa", &r));
	mw_lookup_unref(&l);
}

struct traced {
	struct mw_text text;
};

static void add_step(void *arg, const struct mw_lookup_result *r)
{
	struct mw_text *out = arg;

	mw_text_addf(out, "%u %s line %u%s%s key %s: ", r->table, mw_lookup_kind_name(r->kind),
		r->line, r->source != NULL ? " " : "", r->source != NULL ? r->source : "",
		r->key != NULL ? r->key : "-");
	mw_value_print(out, &r->value);
	mw_text_addf(out, "%s%s\n", r->error != NULL ? " " : "", r->error != NULL ? r->error : "");
}

/* A thousand names, each of which costs what one match may. */
static void many_texts_cannot_burn_cpu_in_patterns(void **state)
{
	static const char *const maps[] = { "{ new_RE { 'x', 'a' } }", "{ { ['a'] = true } }" };
	const struct mw_lookup_options o = { .want = MW_WANT_ANY, .key = MW_KEY_TEXT };
	const struct mw_octets keys[] = { mw_octets_of_text("b"), mw_octets_of_text("a") };

	(void)state;
	for (size_t i = 0; i < MW_COUNT(maps); i++) {
		struct mw_lookup *l = good_maps(maps[i], &o);
		struct mw_lookup_result r;

		assert_true(mw_lookup_any(l, keys, 2, UINT64_MAX, &r));
		assert_null(r.error);
		assert_false(mw_lookup_any(l, keys, 2, mw_mono_us(), &r));
		assert_string_equal(r.error, "its time was up");
		mw_lookup_unref(&l);
	}
}

static void a_trace_tells_each_table_up_to_the_one_that_decides(void **state)
{
	struct mw_lookup *l =
		good_maps("{\n label 'mine',\n { 'b@x' },\n { ['a@x'] = undef },\n"
			  " new_RE { { '^z', 1 } },\n function(k) error('oh', 0) end,\n"
			  " { ['q@x'] = 1, ['.x'] = 'v-$3' },\n 'never' }",
			&as_text);
	struct mw_lookup_result r;
	struct mw_text out = { 0 };

	(void)state;
	mw_lookup_trace(l, "A+e@x", &r, add_step, &out);
	assert_string_equal(out.p, "0 label line 2 mine key -: undef\n"
				   "1 list line 3 key -: undef\n"
				   "2 hash line 4 key a@x: undef\n"
				   "3 regexps line 5 key -: undef\n"
				   "4 function line 6 key -: undef oh\n"
				   "5 hash line 7 key .x: \"v-a\"\n");
	assert_string_equal(r.value.text, "v-a");
	mw_text_fini(&out);
	mw_lookup_unref(&l);
}

static void asking_by_type_falls_back_to_the_default(void **state)
{
	struct mw_lookup *b = good_maps("{ { ['a@x'] = false } }", &as_bool);
	struct mw_lookup *m = good_maps("{ { ['a@x'] = 1.25 } }", &as_milli);
	struct mw_lookup *t = good_maps("{ { ['a@x'] = 'q-$3' } }", &as_text);
	struct mw_lookup_result r;

	(void)state;
	assert_false(mw_lookup_bool(b, "a@x", true));
	assert_true(mw_lookup_bool(b, "b@x", true));
	assert_int_equal(mw_lookup_milli(m, "a@x", 7), 1250);
	assert_int_equal(mw_lookup_milli(m, "b@x", 7), 7);
	assert_string_equal(mw_lookup_text(t, "a@x", &r, "d"), "q-a");
	assert_string_equal(mw_lookup_text(t, "b@x", &r, "d"), "d");
	assert_null(mw_lookup_text(t, "b@x", &r, NULL));
	mw_lookup_unref(&b);
	mw_lookup_unref(&m);
	mw_lookup_unref(&t);
}

static void values_of_the_limit_are_taken_and_cut_when_they_grow(void **state)
{
	struct mw_text maps = { 0 };
	struct mw_err err = { "" };
	struct mw_lookup_result r;
	struct mw_lookup *l;

	(void)state;
	for (size_t n = MW_LOOKUP_TEXT_MAX - 1; n <= MW_LOOKUP_TEXT_MAX; n++) {
		mw_text_clear(&maps);
		mw_text_add(&maps, "{ { ['.x'] = '$3");
		for (size_t i = 2; i < n; i++)
			mw_text_add(&maps, "v");
		mw_text_add(&maps, "' } }");
		l = maps_of(maps.p, &as_text, &err);
		if (n == MW_LOOKUP_TEXT_MAX) {
			assert_null(l);
			assert_non_null(strstr(err.text, "a value of more than 1023 octets"));
			break;
		}
		assert_non_null(l);
		assert_true(mw_lookup(l, "long@x", &r));
		assert_int_equal(strlen(r.value.text), MW_LOOKUP_TEXT_MAX - 1);
		assert_memory_equal(r.value.text, "longv", 5);
		mw_lookup_unref(&l);
	}
	mw_text_fini(&maps);
}

static void options_come_from_the_settings_and_their_bank(void **state)
{
	struct mw_conf *conf = conf_of("recipient_delimiter = '+'\n"
				       "policy_bank.B = { recipient_delimiter = '-',\n"
				       " localpart_is_case_sensitive = true }\n");
	struct mw_lookup_options base = mw_lookup_options_of(conf, "local_domains_maps", NULL);
	struct mw_lookup_options bank =
		mw_lookup_options_of(mw_conf_bank(conf, "B"), "local_domains_maps", NULL);

	(void)state;
	assert_string_equal(base.name, "local_domains_maps");
	assert_string_equal(base.delimiters, "+");
	assert_false(base.case_sensitive);
	assert_int_equal(base.want, MW_WANT_BOOL);
	assert_int_equal(base.key, MW_KEY_ADDRESS);
	assert_int_equal(base.limits.function_steps, 100000);
	assert_string_equal(bank.delimiters, "-");
	assert_true(bank.case_sensitive);
	mw_conf_destroy(&conf);
}

static void check_config_tells_what_is_wrong_in_all_tables(void **state)
{
	struct mw_conf *conf =
		conf_of("local_domains_maps = { { 5 } }\n"
			"bypass_spam_checks_maps = { read_hash '/nonexistent/x' }\n"
			"policy_bank.B = { local_domains_maps = { new_RE { '(' } } }\n"
			"policy_bank.C = { bypass_virus_checks_maps = { 1, { 7 } } }\n");
	struct mw_text errors = { 0 };

	(void)state;
	assert_true(mw_lookup_check_all(conf, &errors) >= 3);
	assert_non_null(strstr(errors.p, "local_domains_maps, line 1: expected strings"));
	assert_non_null(strstr(errors.p, "bypass_spam_checks_maps, line 2: /nonexistent/x"));
	assert_non_null(strstr(errors.p, "policy bank C:\n"));
	mw_text_fini(&errors);
	mw_conf_destroy(&conf);
	conf = conf_of("local_domains_maps = { '.example.org' }\n");
	assert_int_equal(mw_lookup_check_all(conf, &errors), 0);
	assert_null(errors.p);
	mw_conf_destroy(&conf);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(constants_always_answer),
		cmocka_unit_test(lists_answer_by_the_first_entry_that_matches),
		cmocka_unit_test(hashes_answer_by_the_most_special_key),
		cmocka_unit_test(case_of_local_parts_counts_where_the_setting_says_so),
		cmocka_unit_test(texts_take_in_what_was_matched),
		cmocka_unit_test(regexps_answer_by_the_first_that_matches),
		cmocka_unit_test(structured_values_come_out_as_they_are),
		cmocka_unit_test(names_that_are_no_addresses_match_exactly),
		cmocka_unit_test(get_all_gives_every_value_in_the_order_of_the_search),
		cmocka_unit_test(get_all_ends_when_its_caller_has_enough),
		cmocka_unit_test(functions_answer_with_scalars),
		cmocka_unit_test(a_function_keeps_no_more_than_its_memory),
		cmocka_unit_test(a_function_that_failed_works_again),
		cmocka_unit_test(what_cannot_be_a_table_is_refused_with_its_line),
		cmocka_unit_test(what_a_file_cannot_say_is_refused_when_it_is_read),
		cmocka_unit_test(keys_beyond_the_limit_meet_constants_only),
		cmocka_unit_test(an_address_cannot_burn_cpu_in_a_pattern),
		cmocka_unit_test(many_texts_cannot_burn_cpu_in_patterns),
		cmocka_unit_test(a_trace_tells_each_table_up_to_the_one_that_decides),
		cmocka_unit_test(asking_by_type_falls_back_to_the_default),
		cmocka_unit_test(values_of_the_limit_are_taken_and_cut_when_they_grow),
		cmocka_unit_test(options_come_from_the_settings_and_their_bank),
		cmocka_unit_test(check_config_tells_what_is_wrong_in_all_tables),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
