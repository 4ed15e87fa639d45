/* DNS lists in tables: names, answers, what is unknown, and what a list of tables makes of it. */
#include "lookup_help.h"

#include "log.h"
#include "resolver.h"

/* What one zone says, or another state. */
struct told {
	struct mw_dnsl_source source;
	enum mw_dnsl_state state;
	struct mw_dnsl_answer answer;
	char zones[256]; /* asked for, each with a blank behind */
};

static enum mw_dnsl_state tell(struct mw_dnsl_source *src, const struct mw_ip *ip, const char *zone,
	const struct mw_dnsl_answer **answer_r, const char **why_r)
{
	struct told *t = (struct told *)src;

	assert_non_null(ip);
	strcat(strcat(t->zones, zone), " ");
	*answer_r = &t->answer;
	*why_r = "nobody knows";
	return t->state;
}

static struct mw_lookup *tables(const char *maps)
{
	struct mw_lookup_options o = { .key = MW_KEY_IP, .want = MW_WANT_BOOL, .dns_lists = true };
	struct mw_err err = { "" };
	struct mw_lookup *l = maps_of(maps, &o, &err);

	if (l == NULL)
		fail_msg("%s", err.text);
	return l;
}

/* '1', '0' or '-' for undefined. */
static char ask(struct mw_lookup *l, const char *ip, struct told *t, struct mw_lookup_result *r)
{
	struct mw_ip parsed;

	assert_true(mw_ip_parse(ip, &parsed));
	t->source = (struct mw_dnsl_source){ .find = tell };
	t->zones[0] = '\0';
	if (!mw_lookup_ip_dnsl(l, &parsed, &t->source, r))
		return '-';
	return r->value.b ? '1' : '0';
}

static void addresses_are_reversed(void **state)
{
	static const struct {
		const char *ip, *name;
	} rows[] = {
		{ "192.0.2.99", "99.2.0.192.z.example" },
		{ "::ffff:192.0.2.1", "1.2.0.192.z.example" },
		/* RFC 5782 section 2.4 */
		{ "2001:db8:1:2:3:4:567:89ab", "b.a.9.8.7.6.5.0.4.0.0.0.3.0.0.0.2.0.0.0.1.0.0.0.8."
					       "b.d.0.1.0.0.2.z.example" },
	};
	char buf[MW_DNSL_NAME_MAX], zone[MW_DNSL_ZONE_MAX + 1];
	struct mw_ip ip;

	(void)state;
	for (size_t i = 0; i < MW_COUNT(rows); i++) {
		assert_true(mw_ip_parse(rows[i].ip, &ip));
		assert_string_equal(mw_dnsl_name(&ip, "z.example", buf), rows[i].name);
	}
	memset(zone, 'x', sizeof(zone) - 1);
	zone[sizeof(zone) - 1] = '\0';
	assert_int_equal(strlen(mw_dnsl_name(&ip, zone, buf)), 64 + MW_DNSL_ZONE_MAX);
}

static void answers_are_matched_with_addresses_and_networks(void **state)
{
	static const struct {
		const char *maps;
		struct mw_dnsl_answer answer;
		char want;
	} rows[] = {
		{ "{ dnsl('z.example') }", { 1, { 0x7f000002 } }, '1' },
		{ "{ dnsl('!z.example') }", { 1, { 0x7f000002 } }, '0' },
		{ "{ dnsl('!!z.example') }", { 1, { 0x7f000002 } }, '1' },
		{ "{ dnsl('z.example') }", { 1, { 0x7f000003 } }, '-' },
		{ "{ dnsl('z.example') }", { 0, { 0 } }, '-' },
		{ "{ dnsl('z.example') }", { 2, { 0x7f000003, 0x7f000002 } }, '1' },
		{ "{ dnsl('z.example') }", { 1, { 0xc0000201 } }, '-' },
		{ "{ dnsl('z.example', '127.0.0.4') }", { 1, { 0x7f000002 } }, '-' },
		{ "{ dnsl('z.example', '127.0.0.4') }", { 1, { 0x7f000004 } }, '1' },
		{ "{ dnsl('z.example', { '127.0.0.2', '127.0.0.4/30' }) }", { 1, { 0x7f000007 } },
			'1' },
		{ "{ dnsl('z.example', { '127.0.0.2', '127.0.0.4/30' }) }", { 1, { 0x7f000008 } },
			'-' },
		{ "{ dnsl('z.example', '127/8') }", { 1, { 0x7fabcdef } }, '1' },
		/* "I do not answer you" is no answer, unless it is asked for */
		{ "{ dnsl('z.example', '127.255.255.0/24') }", { 1, { 0x7ffffffe } }, '1' },
	};
	struct told t = { .state = MW_DNSL_KNOWN };
	struct mw_lookup_result r;

	(void)state;
	for (size_t i = 0; i < MW_COUNT(rows); i++) {
		struct mw_lookup *l = tables(rows[i].maps);

		t.answer = rows[i].answer;
		assert_int_equal(ask(l, "192.0.2.1", &t, &r), rows[i].want);
		assert_int_equal(t.source.undecided, false);
		mw_lookup_unref(&l);
	}
}

static void what_is_unknown_leaves_it_to_the_next_table(void **state)
{
	struct mw_lookup *l = tables("{ '10/8', dnsl('a.example'), dnsl('B.Example.', { failure = "
				     "'defer' }), '192.0.2.0/24' }");
	struct told t = { .state = MW_DNSL_UNKNOWN };
	struct mw_lookup_result r;

	(void)state;
	assert_int_equal(mw_lookup_dns_lists(l), 2);
	assert_int_equal(ask(l, "192.0.2.1", &t, &r), '1');
	assert_string_equal(t.zones, "a.example b.example ");
	assert_true(t.source.undecided);
	assert_int_equal(ask(l, "198.51.100.1", &t, &r), '-');
	t.state = MW_DNSL_PENDING;
	assert_int_equal(ask(l, "192.0.2.1", &t, &r), '1');
	assert_string_equal(t.zones, "a.example b.example ");
	assert_false(t.source.undecided);
	t.state = MW_DNSL_KNOWN; /* with a refusal to answer */
	t.answer = (struct mw_dnsl_answer){ 1, { 0x7ffffffe } };
	assert_int_equal(ask(l, "192.0.2.1", &t, &r), '1');
	assert_true(t.source.undecided);
	t.answer = (struct mw_dnsl_answer){ 1, { 0x7f000002 } };
	assert_int_equal(ask(l, "192.0.2.1", &t, &r), '1');
	assert_string_equal(t.zones, "a.example ");
	assert_string_equal(r.key, "127.0.0.2");
	assert_string_equal(r.source, "a.example");
	mw_lookup_unref(&l);
}

static void nobody_is_asked_about_addresses_that_are_not_public(void **state)
{
	static const char *const ips[] = { "10.0.0.1", "127.0.0.1", "0.0.0.0", "100.64.0.1", "::1",
		"fe80::1", "fd00::1", "224.0.0.1" };
	struct mw_lookup *l = tables("{ dnsl('z.example') }");
	struct told t = { .state = MW_DNSL_KNOWN, .answer = { 1, { 0x7f000002 } } };
	struct mw_lookup_result r;

	(void)state;
	for (size_t i = 0; i < MW_COUNT(ips); i++) {
		assert_int_equal(ask(l, ips[i], &t, &r), '-');
		assert_string_equal(t.zones, "");
	}
	assert_false(mw_lookup_ip_dnsl(l, NULL, &t.source, &r));
	assert_false(mw_lookup(l, "192.0.2.1", &r)); /* nobody is there to be asked */
	mw_lookup_unref(&l);
}

static void answers_are_read_without_trust(void **state)
{
	struct mw_dns_answer dns = { .state = MW_DNS_FOUND, .count = 2 };
	struct mw_dnsl_answer a;

	(void)state;
	dns.records[0] = mw_octets_of("\x7f\0\0\2", 4);
	dns.records[1] = mw_octets_of("\x7f\xff\xff\xfe", 4);
	assert_null(mw_dnsl_read(&dns, &a));
	assert_int_equal(a.count, 2);
	assert_int_equal(a.a[0], 0x7f000002);
	assert_int_equal(a.a[1], 0x7ffffffe);
	for (size_t n = 0; n < 18; n++) {
		if (n == 4)
			continue;
		dns.records[1] = mw_octets_of("\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", n);
		assert_non_null(mw_dnsl_read(&dns, &a));
	}
	dns.count = MW_DNSL_ANSWERS_MAX;
	for (size_t i = 0; i < dns.count; i++)
		dns.records[i] = mw_octets_of("\x7f\0\0\2", 4);
	assert_null(mw_dnsl_read(&dns, &a));
	dns.too_many = true;
	assert_non_null(mw_dnsl_read(&dns, &a));
	dns = (struct mw_dns_answer){ .state = MW_DNS_FAILED, .why = "x" };
	assert_string_equal(mw_dnsl_read(&dns, &a), "x");
	dns = (struct mw_dns_answer){ .state = MW_DNS_ABSENT };
	assert_null(mw_dnsl_read(&dns, &a));
	assert_int_equal(a.count, 0);
}

static void wrong_arguments_are_refused(void **state)
{
	static const struct {
		const char *maps, *says;
	} rows[] = {
		{ "{ dnsl('') }", "expected a zone" },
		{ "{ dnsl('!') }", "expected a zone" },
		{ "{ dnsl('.') }", "expected a zone" },
		{ "{ dnsl('a..b') }", "expected a zone" },
		{ "{ dnsl('.a') }", "expected a zone" },
		{ "{ dnsl('a b') }", "expected a zone" },
		{ "{ dnsl('b\\xc3\\xbccher.example') }", "expected a zone" },
		{ "{ dnsl(string.format('%064d', 0)) }", "expected a zone" },
		{ "{ dnsl(string.format('%060d.%060d.%059d', 0, 0, 0)) }", "expected a zone" },
		{ "{ dnsl('z', '192.0.2.1') }", "127.0.0.0/8" },
		{ "{ dnsl('z', '0/0') }", "127.0.0.0/8" },
		{ "{ dnsl('z', '::1') }", "127.0.0.0/8" },
		{ "{ dnsl('z', '!127.0.0.2') }", "127.0.0.0/8" },
		{ "{ dnsl('z', { 2 }) }", "127.0.0.0/8" },
		{ "{ dnsl('z', {}) }", "matches nothing" },
		{ "{ dnsl('z', 2) }", "expected a zone, answers and options" },
		{ "{ dnsl('z', { failure = 'x' }) }", "{ failure = \"defer\" }" },
		{ "{ dnsl('z', { failure = 'defer', more = 1 }) }", "{ failure = \"defer\" }" },
		{ "{ dnsl('z', { failure = 'defer' }, '127.0.0.2') }",
			"expected a zone, answers and options" },
	};
	struct mw_lookup_options o = { .key = MW_KEY_IP, .want = MW_WANT_BOOL, .dns_lists = true };

	(void)state;
	for (size_t i = 0; i < MW_COUNT(rows); i++) {
		struct mw_err err = { "" };

		assert_null(maps_of(rows[i].maps, &o, &err));
		if (strstr(err.text, rows[i].says) == NULL)
			fail_msg("%s: %s", rows[i].maps, err.text);
	}
	o.dns_lists = false;
	assert_null(maps_of("{ dnsl('z') }", &o, &(struct mw_err){ "" }));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(addresses_are_reversed),
		cmocka_unit_test(answers_are_matched_with_addresses_and_networks),
		cmocka_unit_test(what_is_unknown_leaves_it_to_the_next_table),
		cmocka_unit_test(nobody_is_asked_about_addresses_that_are_not_public),
		cmocka_unit_test(answers_are_read_without_trust),
		cmocka_unit_test(wrong_arguments_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
