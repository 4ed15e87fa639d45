#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "ip.h"

static void addresses_are_read_in_every_form_mail_uses(void **state)
{
	static const struct {
		const char *text, *printed;
	} rows[] = {
		{ "192.0.2.1", "192.0.2.1" },
		{ "[192.0.2.1]", "192.0.2.1" },
		{ "::ffff:192.0.2.1", "192.0.2.1" },
		{ "IPv6:::ffff:192.0.2.1", "192.0.2.1" },
		{ "0.0.0.0", "0.0.0.0" },
		{ "255.255.255.255", "255.255.255.255" },
		{ "2001:DB8::1", "2001:db8::1" },
		{ "2001:0db8:0000:0000:0000:0000:0000:0001", "2001:db8::1" },
		{ "[IPv6:2001:db8::1]", "2001:db8::1" },
		{ "ipv6:2001:db8:1:2:3:4:5:6", "2001:db8:1:2:3:4:5:6" },
		{ "fe80::1%eth0", "fe80::1" },
		{ "[fe80::1%eth0]", "fe80::1" },
		{ "::", "::" },
		{ "::1", "::1" },
	};

	(void)state;
	for (size_t i = 0; i < MW_COUNT(rows); i++) {
		char buf[MW_IP_TEXT_MAX];
		struct mw_ip ip;

		assert_true(mw_ip_parse(rows[i].text, &ip));
		assert_string_equal(mw_ip_format(&ip, buf), rows[i].printed);
	}
}

static void what_is_no_address_is_refused_and_touches_nothing(void **state)
{
	static const char *const rows[] = { "", "[", "]", "[]", "[192.0.2.1", "192.0.2.1]",
		"192.0.2", "192.0.2.256", "192.0.2.01", "192.0.2.1.", "192.0.2.1.5", "-1.0.0.1",
		" 192.0.2.1", "192.0.2.1 ", "0x7f.0.0.1", "localhost", "2001:db8::1::2",
		"2001:db8:1:2:3:4:5:6:7", ":", ":::", "12345::", "%eth0", "IPv6:", "[IPv6:]",
		"[[::1]]", "2001:0db8:0000:0000:0000:0000:0000:0000:0000:0001:0000:0000",
		"192.0.2.1/32" };

	(void)state;
	for (size_t i = 0; i < MW_COUNT(rows); i++) {
		struct mw_ip ip, before;

		memset(&ip, 0xa5, sizeof(ip));
		before = ip;
		assert_false(mw_ip_parse(rows[i], &ip));
		assert_memory_equal(&ip, &before, sizeof(ip));
	}
	assert_false(mw_ip_parse(NULL, &(struct mw_ip){ 0 }));
}

static void octets_without_a_terminator_are_read_to_their_end_only(void **state)
{
	static const char text[] = "192.0.2.123";
	struct mw_ip ip;
	char buf[MW_IP_TEXT_MAX];

	(void)state;
	assert_true(mw_ip_parse_octets(mw_octets_of(text, 9), &ip));
	assert_string_equal(mw_ip_format(&ip, buf), "192.0.2.1");
	for (size_t n = 0; n < 9; n++)
		assert_int_equal(mw_ip_parse_octets(mw_octets_of(text, n), &ip), false);
	assert_false(mw_ip_parse_octets(mw_octets_of("192.0.2.1\0", 10), &ip));
	assert_false(mw_ip_parse_octets(mw_octets_of(NULL, 0), &ip));
}

static void only_addresses_everybody_can_reach_are_public(void **state)
{
	static const struct {
		const char *text;
		bool public;
	} rows[] = {
		{ "0.0.0.0", false },
		{ "0.255.255.255", false },
		{ "1.0.0.0", true },
		{ "9.255.255.255", true },
		{ "10.0.0.0", false },
		{ "10.255.255.255", false },
		{ "11.0.0.0", true },
		{ "100.63.255.255", true },
		{ "100.64.0.0", false },
		{ "100.127.255.255", false },
		{ "100.128.0.0", true },
		{ "126.255.255.255", true },
		{ "127.0.0.1", false },
		{ "127.255.255.255", false },
		{ "128.0.0.0", true },
		{ "169.253.255.255", true },
		{ "169.254.0.0", false },
		{ "169.254.255.255", false },
		{ "169.255.0.0", true },
		{ "172.15.255.255", true },
		{ "172.16.0.0", false },
		{ "172.31.255.255", false },
		{ "172.32.0.0", true },
		{ "192.167.255.255", true },
		{ "192.168.0.0", false },
		{ "192.168.255.255", false },
		{ "192.169.0.0", true },
		{ "223.255.255.255", true },
		{ "224.0.0.0", false },
		{ "239.255.255.255", false },
		{ "240.0.0.0", false },
		{ "255.255.255.255", false },
		{ "203.0.113.9", true },
		{ "::", false },
		{ "::1", false },
		{ "::2", true },
		{ "2001:db8::1", true },
		{ "2a00::1", true },
		{ "fbff::1", true },
		{ "fc00::", false },
		{ "fdff:ffff::1", false },
		{ "fe00::1", true },
		{ "fe7f::1", true },
		{ "fe80::1", false },
		{ "febf::1", false },
		{ "fec0::1", false },
		{ "feff::1", false },
		{ "ff00::1", false },
		{ "ffff::1", false },
		{ "::ffff:10.0.0.1", false },
		{ "::ffff:203.0.113.9", true },
		{ "[IPv6:::1]", false },
		{ "not an address", false },
		{ "", false },
	};

	(void)state;
	for (size_t i = 0; i < MW_COUNT(rows); i++) {
		if (mw_ip_is_public(rows[i].text) != rows[i].public)
			fail_msg("%s", rows[i].text);
	}
	assert_false(mw_ip_is_public(NULL));
}

static bool net_has(const char *net_text, const char *ip_text)
{
	struct mw_net net;
	struct mw_ip ip;

	assert_true(mw_net_parse(net_text, &net));
	assert_true(mw_ip_parse(ip_text, &ip));
	return mw_net_contains(&net, &ip);
}

static void nets_contain_their_first_and_last_address_and_no_neighbour(void **state)
{
	static const struct {
		const char *net, *below, *first, *last, *above;
	} rows[] = {
		{ "192.0.2.7", "192.0.2.6", "192.0.2.7", "192.0.2.7", "192.0.2.8" },
		{ "192.0.2.7/32", "192.0.2.6", "192.0.2.7", "192.0.2.7", "192.0.2.8" },
		{ "192.0.2.7/31", "192.0.2.5", "192.0.2.6", "192.0.2.7", "192.0.2.8" },
		{ "192.0.2.0/24", "192.0.1.255", "192.0.2.0", "192.0.2.255", "192.0.3.0" },
		{ "192.0.2.99/24", "192.0.1.255", "192.0.2.0", "192.0.2.255", "192.0.3.0" },
		{ "192.0.2.0/255.255.255.128", "192.0.1.255", "192.0.2.0", "192.0.2.127",
			"192.0.2.128" },
		{ "10/8", "9.255.255.255", "10.0.0.0", "10.255.255.255", "11.0.0.0" },
		{ "172.16/12", "172.15.255.255", "172.16.0.0", "172.31.255.255", "172.32.0.0" },
		{ "192.168.4/22", "192.168.3.255", "192.168.4.0", "192.168.7.255", "192.168.8.0" },
		{ "2001:db8::/32", "2001:db7:ffff::", "2001:db8::", "2001:db8:ffff::1",
			"2001:db9::" },
		{ "[2001:db8::]/33",
			"2001:db7::", "2001:db8::", "2001:db8:7fff::", "2001:db8:8000::" },
		{ "2001:db8::1", "2001:db8::", "2001:db8::1", "2001:db8::1", "2001:db8::2" },
		{ "2001:db8::/ffff:ffff::", "2001:db7::", "2001:db8::", "2001:db8:ffff::",
			"2001:db9::" },
		{ "::ffff:10.0.0.0/104", "9.0.0.0", "10.0.0.0", "10.9.9.9", "11.0.0.0" },
	};

	(void)state;
	for (size_t i = 0; i < MW_COUNT(rows); i++) {
		assert_false(net_has(rows[i].net, rows[i].below));
		assert_true(net_has(rows[i].net, rows[i].first));
		assert_true(net_has(rows[i].net, rows[i].last));
		assert_false(net_has(rows[i].net, rows[i].above));
	}
}

static void the_empty_lengths_hold_all_of_their_family(void **state)
{
	struct mw_net net;

	(void)state;
	assert_true(net_has("0/0", "203.0.113.1"));
	assert_false(net_has("0/0", "2001:db8::1"));
	assert_true(net_has("::/0", "203.0.113.1"));
	assert_true(net_has("::/0", "2001:db8::1"));
	assert_true(mw_net_parse("::/0", &net));
	assert_true(mw_net_contains(&net, NULL));
	assert_true(mw_net_parse("0/0", &net));
	assert_false(mw_net_contains(&net, NULL));
}

static void what_is_no_net_is_refused_and_touches_nothing(void **state)
{
	static const char *const rows[] = { "", "!", "/", "/8", "10", "10.", "10./8", ".10/8",
		"10/", "10/33", "10/-1", "10/ 8", "10/8 ", "10/8x", "10/0008", "10/255.0.255.0",
		"10/255.0.0", "1.2.3.4.5/8", "256/8", "::/129", "::/", "::/255.0.0.0",
		"10/ff00::", "2001:db8::/ffff::ffff", "10/8/8", "example.com", "example.com/8",
		"[10.0.0.0/8]" };

	(void)state;
	for (size_t i = 0; i < MW_COUNT(rows); i++) {
		struct mw_net net, before;

		memset(&net, 0xa5, sizeof(net));
		memcpy(&before, &net, sizeof(net));
		if (mw_net_parse(rows[i], &net))
			fail_msg("%s was taken", rows[i]);
		assert_memory_equal(&net, &before, sizeof(net));
	}
	assert_false(mw_net_parse(NULL, &(struct mw_net){ 0 }));
}

static void texts_longer_than_the_limit_are_no_nets(void **state)
{
	char text[MW_NET_TEXT_MAX + 1];

	(void)state;
	memset(text, '0', sizeof(text));
	text[sizeof(text) - 1] = '\0';
	assert_false(mw_net_parse(text, &(struct mw_net){ 0 }));
}

static void the_first_entry_decides(void **state)
{
	static const char *const texts[] = { "!10.1.2.3", "10/8", "!!192.0.2.1", "!0/0",
		"2001:db8::/32" };
	struct mw_net nets[MW_COUNT(texts)];
	static const struct {
		const char *ip;
		int found;
	} rows[] = {
		{ "10.1.2.3", 0 },
		{ "10.1.2.4", 1 },
		{ "192.0.2.1", 1 },
		{ "192.0.2.2", 0 },
		{ "2001:db8::1", 1 },
		{ "2001:db9::1", -1 },
	};

	(void)state;
	for (size_t i = 0; i < MW_COUNT(texts); i++)
		assert_true(mw_net_parse(texts[i], &nets[i]));
	for (size_t i = 0; i < MW_COUNT(rows); i++) {
		struct mw_ip ip;

		assert_true(mw_ip_parse(rows[i].ip, &ip));
		assert_int_equal(mw_nets_find(nets, MW_COUNT(nets), &ip), rows[i].found);
	}
	assert_int_equal(mw_nets_find(nets, MW_COUNT(nets), NULL), -1);
	assert_int_equal(mw_nets_find(NULL, 0, NULL), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(addresses_are_read_in_every_form_mail_uses),
		cmocka_unit_test(what_is_no_address_is_refused_and_touches_nothing),
		cmocka_unit_test(octets_without_a_terminator_are_read_to_their_end_only),
		cmocka_unit_test(only_addresses_everybody_can_reach_are_public),
		cmocka_unit_test(nets_contain_their_first_and_last_address_and_no_neighbour),
		cmocka_unit_test(the_empty_lengths_hold_all_of_their_family),
		cmocka_unit_test(what_is_no_net_is_refused_and_touches_nothing),
		cmocka_unit_test(texts_longer_than_the_limit_are_no_nets),
		cmocka_unit_test(the_first_entry_decides),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
