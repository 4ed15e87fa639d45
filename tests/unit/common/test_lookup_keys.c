/* Under which keys an address is looked for, and what the keys of tables become. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "lookup_keys.h"

/* All keys with a blank between them; the empty one as "". */
static const char *joined(const struct mw_keys *k, char *buf, size_t size)
{
	size_t n = 0;

	buf[0] = '\0';
	for (size_t i = 0; i < k->count; i++)
		n += (size_t)snprintf(buf + n, size - n, "%s%.*s", i > 0 ? " " : "",
			k->key[i].n > 0 ? (int)k->key[i].n : 2,
			k->key[i].n > 0 ? k->key[i].p : "\"\"");
	return buf;
}

static void an_address_is_looked_for_from_the_most_special_key_on(void **state)
{
	static const struct {
		const char *address, *delimiters;
		bool case_sensitive;
		const char *keys;
	} rows[] = {
		/* the example of the reference */
		{ "User+Foo@Sub.Example.com", "+", false,
			"user+foo@sub.example.com user@sub.example.com user+foo@ user@ "
			"sub.example.com .sub.example.com .example.com .com ." },
		/* without an extension, or without a delimiter */
		{ "user@sub.example.com", "+", false,
			"user@sub.example.com user@ sub.example.com .sub.example.com .example.com "
			".com ." },
		{ "user+foo@example.com", NULL, false,
			"user+foo@example.com user+foo@ example.com .example.com .com ." },
		{ "user+foo@example.com", "", false,
			"user+foo@example.com user+foo@ example.com .example.com .com ." },
		{ "user-foo@example.com", "+", false,
			"user-foo@example.com user-foo@ example.com .example.com .com ." },
		/* any of several delimiters, the first that stands there */
		{ "user-foo@a.b", "+-", false,
			"user-foo@a.b user@a.b user-foo@ user@ a.b .a.b .b ." },
		{ "u-f+g@a.b", "+-", false, "u-f+g@a.b u@a.b u-f+g@ u@ a.b .a.b .b ." },
		{ "u+f-g@a.b", "+-", false, "u+f-g@a.b u@a.b u+f-g@ u@ a.b .a.b .b ." },
		{ "u+f+g@a.b", "+", false, "u+f+g@a.b u@a.b u+f+g@ u@ a.b .a.b .b ." },
		{ "user+@a.b", "+", false, "user+@a.b user@a.b user+@ user@ a.b .a.b .b ." },
		/* a user without a name is none */
		{ "+foo@a.b", "+", false, "+foo@a.b +foo@ a.b .a.b .b ." },
		{ "+@a.b", "+", false, "+@a.b +@ a.b .a.b .b ." },
		/* never split */
		{ "postmaster@a.b", "m", false, "postmaster@a.b postmaster@ a.b .a.b .b ." },
		{ "PostMaster@a.b", "m", false, "postmaster@a.b postmaster@ a.b .a.b .b ." },
		{ "mailer-daemon@a.b", "-", false,
			"mailer-daemon@a.b mailer-daemon@ a.b .a.b .b ." },
		{ "double-bounce@a.b", "-", false,
			"double-bounce@a.b double-bounce@ a.b .a.b .b ." },
		{ "owner-list@a.b", "-", false, "owner-list@a.b owner-list@ a.b .a.b .b ." },
		{ "list-request@a.b", "-", false, "list-request@a.b list-request@ a.b .a.b .b ." },
		{ "OWNER-list@a.b", "-", false, "owner-list@a.b owner-list@ a.b .a.b .b ." },
		/* those two only when the delimiter is "-" */
		{ "owner-list+x@a.b", "+", false,
			"owner-list+x@a.b owner-list@a.b owner-list+x@ owner-list@ a.b .a.b .b ." },
		{ "list+request@a.b", "+", false,
			"list+request@a.b list@a.b list+request@ list@ a.b .a.b .b ." },
		{ "owner@a.b", "-", false, "owner@a.b owner@ a.b .a.b .b ." },
		{ "my-owner-x@a.b", "-", false,
			"my-owner-x@a.b my@a.b my-owner-x@ my@ a.b .a.b .b ." },
		{ "postmaster+x@a.b", "+", false,
			"postmaster+x@a.b postmaster@a.b postmaster+x@ postmaster@ a.b .a.b .b ." },
		/* case */
		{ "User@Example.COM", NULL, false,
			"user@example.com user@ example.com .example.com .com ." },
		{ "User@Example.COM", NULL, true,
			"User@example.com User@ example.com .example.com .com ." },
		{ "User+Foo@Example.COM", "+", true,
			"User+Foo@example.com User@example.com User+Foo@ User@ example.com "
			".example.com .com ." },
		{ "J\xc3\x96RG@a.b", NULL, false, "j\xc3\x96rg@a.b j\xc3\x96rg@ a.b .a.b .b ." },
		/* the domain: dots at the end, A-labels */
		{ "u@a.b.", NULL, false, "u@a.b u@ a.b .a.b .b ." },
		{ "u@a.b...", NULL, false, "u@a.b u@ a.b .a.b .b ." },
		{ "u@B\xc3\xbc"
		  "cher.example",
			NULL, false,
			"u@xn--bcher-kva.example u@ xn--bcher-kva.example .xn--bcher-kva.example "
			".example ." },
		{ "u@XN--BCHER-KVA.example", NULL, false,
			"u@xn--bcher-kva.example u@ xn--bcher-kva.example .xn--bcher-kva.example "
			".example ." },
		{ "u@stra\xc3\x9f"
		  "e.example",
			NULL, false,
			"u@xn--strae-oqa.example u@ xn--strae-oqa.example .xn--strae-oqa.example "
			".example ." },
		{ "u@\xff\xfe.Example", NULL, false, /* no UTF-8: as it is */
			"u@\xff\xfe.example u@ \xff\xfe.example .\xff\xfe.example .example ." },
		{ "u@localhost", NULL, false, "u@localhost u@ localhost .localhost ." },
		{ "u@a..b", NULL, false, "u@a..b u@ a..b .a..b ..b .b ." },
		{ "u@.a", NULL, false, "u@.a u@ .a ..a .a ." },
		/* address literals are not split */
		{ "u@[192.0.2.1]", NULL, false, "u@[192.0.2.1] u@ [192.0.2.1] ." },
		{ "u@[IPv6:2001:DB8::1]", NULL, false,
			"u@[ipv6:2001:db8::1] u@ [ipv6:2001:db8::1] ." },
		{ "u+f@[192.0.2.1]", "+", false,
			"u+f@[192.0.2.1] u@[192.0.2.1] u+f@ u@ [192.0.2.1] ." },
		/* the null address */
		{ "", NULL, false, "\"\" @ ." },
		{ "", "+", true, "\"\" @ ." },
		{ "<>", NULL, false, "\"\" @ ." },
		/* without a domain: postmaster in any case (RFC 5321 section 4.5.1) */
		{ "postmaster", NULL, false, "postmaster postmaster@ ." },
		{ "Postmaster", NULL, true, "postmaster postmaster@ ." },
		{ "root+x", "+", false, "root+x root+x@ root@ ." },
		{ "u@", NULL, false, "u@ ." },
		{ "u@.", NULL, false, "u@ ." },
		{ "@", NULL, false, "@ ." },
		{ "@a.b", NULL, false, "@a.b @ a.b .a.b .b ." },
		/* quotes are no part of a local part; an @ within them is a letter */
		{ "\"user\"@a.b", NULL, false, "user@a.b user@ a.b .a.b .b ." },
		{ "\"User+Foo\"@a.b", "+", false,
			"user+foo@a.b user@a.b user+foo@ user@ a.b .a.b .b ." },
		{ "\"us\\er\"@a.b", NULL, false, "user@a.b user@ a.b .a.b .b ." },
		{ "\"a@b.c\"@d.e", NULL, false, "a@b.c@d.e a@b.c@ d.e .d.e .e ." },
		{ "\"a\\\"b\"@d.e", NULL, false, "a\"b@d.e a\"b@ d.e .d.e .e ." },
		{ "\"a\\\\\"@d.e", NULL, false, "a\\@d.e a\\@ d.e .d.e .e ." },
		{ "\"\"@d.e", NULL, false, "@d.e @ d.e .d.e .e ." },
		{ "\"postmaster\"", NULL, false, "postmaster postmaster@ ." },
		/* no quoted string after all */
		{ "\"a@b.c", NULL, false, "\"a@b.c \"a@ b.c .b.c .c ." },
		{ "\"a\"b@c.d", NULL, false, "\"a\"b@c.d \"a\"b@ c.d .c.d .d ." },
		{ "\"", NULL, false, "\" \"@ ." },
		{ "\"\\", NULL, false, "\"\\ \"\\@ ." },
		{ "a@b@c.d", NULL, false, "a@b@c.d a@b@ c.d .c.d .d ." },
		{ "@x,@y:u@c.d", NULL, false, "@x,@y:u@c.d @x,@y:u@ c.d .c.d .d ." },
		{ ".", NULL, false, ". .@ ." },
	};
	char buf[4096];

	(void)state;
	for (size_t i = 0; i < MW_COUNT(rows); i++) {
		struct mw_keys k;

		mw_keys_of_address(&k, rows[i].address, rows[i].delimiters, rows[i].case_sensitive);
		if (strcmp(joined(&k, buf, sizeof(buf)), rows[i].keys) != 0)
			fail_msg("%s:\n  %s\nnot\n  %s", rows[i].address, buf, rows[i].keys);
	}
}

static void parts_of_an_address_are_what_dollar_one_to_five_stand_for(void **state)
{
	static const struct {
		const char *address, *raw, *full_local, *user, *extension, *domain;
	} rows[] = {
		{ "User+Foo@Sub.Example.com", "User+Foo@Sub.Example.com", "user+foo", "user",
			"+foo", "sub.example.com" },
		{ "user@a.b", "user@a.b", "user", "user", "", "a.b" },
		{ "\"User x\"@a.b", "User x@a.b", "user x", "user x", "", "a.b" },
		{ "", "", "", "", "", "" },
		{ "postmaster", "postmaster", "postmaster", "postmaster", "", "" },
		{ "owner-x+y@a.b", "owner-x+y@a.b", "owner-x+y", "owner-x", "+y", "a.b" },
		{ "u@[192.0.2.1]", "u@[192.0.2.1]", "u", "u", "", "[192.0.2.1]" },
	};

	(void)state;
	for (size_t i = 0; i < MW_COUNT(rows); i++) {
		struct mw_keys k;
		char got[600], want[600];

		mw_keys_of_address(&k, rows[i].address, "+", false);
		snprintf(got, sizeof(got), "%.*s|%.*s|%.*s|%.*s|%.*s", (int)k.raw.n,
			(const char *)k.raw.p, (int)k.full_local.n, (const char *)k.full_local.p,
			(int)k.user.n, (const char *)k.user.p, (int)k.extension.n,
			(const char *)k.extension.p, (int)k.domain.n, (const char *)k.domain.p);
		snprintf(want, sizeof(want), "%s|%s|%s|%s|%s", rows[i].raw, rows[i].full_local,
			rows[i].user, rows[i].extension, rows[i].domain);
		assert_string_equal(got, want);
	}
}

/* n labels "a." in front of "z". */
static void deep(char *buf, size_t n)
{
	strcpy(buf, "u@");
	for (size_t i = 0; i < n; i++)
		strcat(buf, "a.");
	strcat(buf, "z");
}

static void of_the_dotted_keys_the_last_twenty_are_tried(void **state)
{
	char address[MW_LOOKUP_KEY_MAX];

	(void)state;
	for (size_t labels = 1; labels <= 60; labels++) {
		size_t dotted = labels + 1 < MW_KEYS_DOTTED_MAX ? labels + 1 : MW_KEYS_DOTTED_MAX;
		struct mw_keys k;

		deep(address, labels - 1);
		mw_keys_of_address(&k, address, NULL, false);
		assert_int_equal(k.count, 3 + dotted);
		assert_int_equal(k.key[k.count - 1].n, 1);
		assert_memory_equal(k.key[k.count - 2].p, ".z", 2);
		assert_int_equal(k.key[3].n, 2 * (dotted - 1));
	}
}

static void an_address_of_the_limit_has_keys_and_one_octet_more_has_none(void **state)
{
	char address[MW_LOOKUP_KEY_MAX + 2];
	struct mw_keys k;

	(void)state;
	memset(address, 'a', sizeof(address));
	memcpy(address + MW_LOOKUP_KEY_MAX - 4, "@b.c", 5);
	mw_keys_of_address(&k, address, "+", false);
	assert_false(k.too_long);
	assert_int_equal(k.key[0].n, MW_LOOKUP_KEY_MAX);
	memset(address, 'a', sizeof(address));
	memcpy(address + MW_LOOKUP_KEY_MAX - 3, "@b.c", 5);
	mw_keys_of_address(&k, address, "+", false);
	assert_true(k.too_long);
	assert_int_equal(k.count, 0);
}

static void every_cut_of_an_address_has_keys_within_bounds(void **state)
{
	static const char whole[] = "\"A\\\"b@c+d\"@[IPv6:2001:db8::1].x\xc3\xbc.Example..";
	char cut[sizeof(whole)];

	(void)state;
	for (size_t n = 0; n < sizeof(whole); n++) {
		struct mw_keys k;

		mw_strncpy(cut, sizeof(cut), whole, n);
		mw_keys_of_address(&k, cut, "+", false);
		assert_true(k.count >= 2 && k.count <= MW_KEYS_MAX);
	}
}

static void keys_of_tables_take_the_form_in_which_they_are_looked_for(void **state)
{
	static const struct {
		const char *key;
		enum mw_lookup_key type;
		bool case_sensitive;
		const char *normal; /* NULL: refused */
	} rows[] = {
		{ "User@Example.com", MW_KEY_ADDRESS, false, "user@example.com" },
		{ "User@Example.com", MW_KEY_ADDRESS, true, "User@example.com" },
		{ "\"User x\"@Example.com", MW_KEY_ADDRESS, false, "user x@example.com" },
		{ "\"a@b\"@c.d", MW_KEY_ADDRESS, false, "a@b@c.d" },
		{ "User@", MW_KEY_ADDRESS, false, "user@" },
		{ ".Example.com", MW_KEY_ADDRESS, false, ".example.com" },
		{ ".Example.com.", MW_KEY_ADDRESS, false, ".example.com" },
		{ "Example.com", MW_KEY_ADDRESS, true, "example.com" },
		{ ".b\xc3\xbc"
		  "cher.example",
			MW_KEY_ADDRESS, false, ".xn--bcher-kva.example" },
		{ "b\xc3\xbc"
		  "cher.example",
			MW_KEY_ADDRESS, false, "xn--bcher-kva.example" },
		{ "u@b\xc3\xbc"
		  "cher.example",
			MW_KEY_ADDRESS, false, "u@xn--bcher-kva.example" },
		{ ".", MW_KEY_ADDRESS, false, "." },
		{ "", MW_KEY_ADDRESS, false, "" },
		{ "<>", MW_KEY_ADDRESS, false, "" },
		{ "@", MW_KEY_ADDRESS, false, "@" },
		{ "[192.0.2.1]", MW_KEY_ADDRESS, false, "[192.0.2.1]" },
		{ "Postmaster", MW_KEY_ADDRESS, true, "postmaster" },
		{ "\"Postmaster\"", MW_KEY_ADDRESS, true, "postmaster" },
		{ "192.0.2.1", MW_KEY_IP, false, "192.0.2.1" },
		{ "[192.0.2.1]", MW_KEY_IP, false, "192.0.2.1" },
		{ "::ffff:192.0.2.1", MW_KEY_IP, false, "192.0.2.1" },
		{ "192.0.2", MW_KEY_IP, false, "192.0.2" },
		{ "192.0", MW_KEY_IP, false, "192.0" },
		{ "192", MW_KEY_IP, false, "192" },
		{ "2001:DB8::1", MW_KEY_IP, false, "2001:0db8:0000:0000:0000:0000:0000:0001" },
		{ "[IPv6:2001:db8::1]", MW_KEY_IP, false,
			"2001:0db8:0000:0000:0000:0000:0000:0001" },
		{ "2001:0db8:0000:0000:0000:0000:0000:0001", MW_KEY_IP, false,
			"2001:0db8:0000:0000:0000:0000:0000:0001" },
		{ "256", MW_KEY_IP, false, NULL },
		{ "192.0.2.1.5", MW_KEY_IP, false, NULL },
		{ "192.0.2.0/24", MW_KEY_IP, false, NULL },
		{ "10.", MW_KEY_IP, false, NULL },
		{ "host", MW_KEY_IP, false, NULL },
		{ "", MW_KEY_IP, false, NULL },
		{ "!10", MW_KEY_IP, false, NULL },
		{ "Eicar-Test", MW_KEY_TEXT, false, "Eicar-Test" },
	};

	(void)state;
	for (size_t i = 0; i < MW_COUNT(rows); i++) {
		char buf[MW_KEYS_TEXT_MAX];
		enum mw_key_sort sort;
		bool ok = mw_key_normalise(
			rows[i].key, rows[i].type, rows[i].case_sensitive, buf, sizeof(buf), &sort);

		if (ok != (rows[i].normal != NULL) || (ok && strcmp(buf, rows[i].normal) != 0))
			fail_msg("%s: %s", rows[i].key, ok ? buf : "refused");
	}
}

static void an_ip_address_is_looked_for_from_the_whole_to_its_first_number(void **state)
{
	static const struct {
		const char *ip, *keys;
	} rows[] = {
		{ "192.0.2.1", "192.0.2.1 192.0.2 192.0 192 "
			       "0000:0000:0000:0000:0000:ffff:c000:0201" },
		{ "::ffff:10.1.2.3",
			"10.1.2.3 10.1.2 10.1 10 0000:0000:0000:0000:0000:ffff:0a01:0203" },
		{ "2001:db8::1", "2001:0db8:0000:0000:0000:0000:0000:0001" },
		{ "::", "0000:0000:0000:0000:0000:0000:0000:0000" },
	};
	char buf[600];
	struct mw_keys k;

	(void)state;
	for (size_t i = 0; i < MW_COUNT(rows); i++) {
		struct mw_ip ip;

		assert_true(mw_ip_parse(rows[i].ip, &ip));
		mw_keys_of_ip(&k, &ip);
		assert_string_equal(joined(&k, buf, sizeof(buf)), rows[i].keys);
	}
	mw_keys_of_ip(&k, NULL);
	assert_true(k.too_long);
}

static void hashes_of_all_lengths_differ_and_are_never_zero(void **state)
{
	static const char zeros[40];
	uint32_t seen[40];

	(void)state;
	for (size_t n = 0; n < 40; n++) {
		seen[n] = mw_key_hash(zeros, n);
		assert_int_not_equal(seen[n], 0);
		for (size_t i = 0; i < n; i++)
			assert_int_not_equal(seen[i], seen[n]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_address_is_looked_for_from_the_most_special_key_on),
		cmocka_unit_test(parts_of_an_address_are_what_dollar_one_to_five_stand_for),
		cmocka_unit_test(of_the_dotted_keys_the_last_twenty_are_tried),
		cmocka_unit_test(an_address_of_the_limit_has_keys_and_one_octet_more_has_none),
		cmocka_unit_test(every_cut_of_an_address_has_keys_within_bounds),
		cmocka_unit_test(keys_of_tables_take_the_form_in_which_they_are_looked_for),
		cmocka_unit_test(an_ip_address_is_looked_for_from_the_whole_to_its_first_number),
		cmocka_unit_test(hashes_of_all_lengths_differ_and_are_never_zero),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
