/* Tables that are asked for IP addresses. Whole lists are checked against a plain walk through
 * them. */
#include "lookup_help.h"

#include "lookup_priv.h"

static const struct mw_lookup_options as_bool = { .key = MW_KEY_IP, .want = MW_WANT_BOOL };
static const struct mw_lookup_options as_text = { .key = MW_KEY_IP, .want = MW_WANT_TEXT };

static void lists_of_networks_answer_by_the_first_that_contains_the_address(void **state)
{
	static const struct answer_row rows[] = {
		/* single addresses; /32 and /128 are the default */
		{ "{ '192.0.2.1' }", "192.0.2.1", "true" },
		{ "{ '192.0.2.1' }", "192.0.2.2", "undef" },
		{ "{ '192.0.2.1/32' }", "192.0.2.1", "true" },
		{ "{ '192.0.2.1/31' }", "192.0.2.0", "true" },
		{ "{ '2001:db8::1' }", "2001:db8::1", "true" },
		{ "{ '2001:db8::1' }", "2001:db8::2", "undef" },
		{ "{ '2001:db8::1/128' }", "2001:db8::1", "true" },
		{ "{ '[::1]' }", "::1", "true" },
		{ "{ '[2001:db8::]/32' }", "2001:db8:ffff::1", "true" },
		{ "{ 'IPv6:2001:db8::1' }", "[IPv6:2001:DB8::1]", "true" },
		/* lengths and masks */
		{ "{ '10.0.0.0/8' }", "10.255.255.255", "true" },
		{ "{ '10.0.0.0/8' }", "11.0.0.0", "undef" },
		{ "{ '10.0.0.0/8' }", "9.255.255.255", "undef" },
		{ "{ '10.0.0.0/255.0.0.0' }", "10.1.2.3", "true" },
		{ "{ '192.168.0.0/255.255.0.0' }", "192.169.0.1", "undef" },
		{ "{ '192.0.2.77/24' }", "192.0.2.1", "true" }, /* bits beyond the length: none */
		{ "{ '172.16.0.0/12' }", "172.31.255.255", "true" },
		{ "{ '172.16.0.0/12' }", "172.32.0.0", "undef" },
		{ "{ '2001:db8::/33' }", "2001:db8:8000::", "undef" },
		{ "{ '2001:db8::/33' }", "2001:db8:7fff::", "true" },
		{ "{ 'fe80::/10' }", "fe80::1%eth0", "true" },
		/* fewer than four octets */
		{ "{ '10/8' }", "10.1.2.3", "true" },
		{ "{ '172.16/12' }", "172.20.0.1", "true" },
		{ "{ '192.168.3/24' }", "192.168.3.9", "true" },
		{ "{ '127/8' }", "127.0.0.1", "true" },
		/* everything, and all of IPv4 */
		{ "{ '::/0' }", "2001:db8::1", "true" },
		{ "{ '::/0' }", "192.0.2.1", "true" },
		{ "{ '::/0' }", "no address", "true" },
		{ "{ '::/0' }", "", "true" },
		{ "{ '!::/0' }", "no address", "false" },
		{ "{ '0/0' }", "192.0.2.1", "true" },
		{ "{ '0/0' }", "2001:db8::1", "undef" },
		{ "{ '0/0' }", "no address", "undef" },
		{ "{ '0.0.0.0/0' }", "255.255.255.255", "true" },
		{ "{ '::/1' }", "no address", "undef" },
		/* IPv4 as IPv6 */
		{ "{ '192.0.2.0/24' }", "::ffff:192.0.2.1", "true" },
		{ "{ '::ffff:192.0.2.0/120' }", "192.0.2.1", "true" },
		{ "{ '::ffff:0:0/96' }", "192.0.2.1", "true" },
		{ "{ '::ffff:0:0/96' }", "::fffe:c000:201", "undef" },
		{ "{ '::/96' }", "::192.0.2.1", "true" },
		{ "{ '::/96' }", "192.0.2.1", "undef" },
		/* ! : an odd number of them says no */
		{ "{ '!10.1.0.0/16', '10.0.0.0/8' }", "10.1.2.3", "false" },
		{ "{ '!10.1.0.0/16', '10.0.0.0/8' }", "10.2.2.3", "true" },
		{ "{ '!!10.1.0.0/16' }", "10.1.2.3", "true" },
		{ "{ '!!!10.1.0.0/16' }", "10.1.2.3", "false" },
		/* first match, not longest */
		{ "{ '10.0.0.0/8', '!10.1.0.0/16' }", "10.1.2.3", "true" },
		{ "{ '10.0.0.0/8', '!10.0.0.0/8' }", "10.1.2.3", "true" },
		{ "{ '!10.0.0.0/8', '10.0.0.0/8' }", "10.1.2.3", "false" },
		{ "{ '!192.0.2.1', '192.0.2.0/24', '!0/0' }", "192.0.2.1", "false" },
		{ "{ '!192.0.2.1', '192.0.2.0/24', '!0/0' }", "192.0.2.2", "true" },
		{ "{ '!192.0.2.1', '192.0.2.0/24', '!0/0' }", "198.51.100.1", "false" },
		{ "{ '!192.0.2.1', '192.0.2.0/24', '!0/0' }", "::1", "undef" },
		{ "{ '::/0', '!10.0.0.0/8' }", "10.0.0.1", "true" },
		/* several tables */
		{ "{ { '10.0.0.0/8' }, { '!10.0.0.0/8' } }", "10.0.0.1", "true" },
		{ "{ { '!10.0.0.0/8' }, { '10.0.0.0/8' } }", "10.0.0.1", "false" },
		{ "{ { '11.0.0.0/8' }, true }", "10.0.0.1", "true" },
		{ "{ true }", "no address", "true" },
		{ "{ {} }", "10.0.0.1", "undef" },
	};

	(void)state;
	check_rows(rows, MW_COUNT(rows), &as_bool);
}

static void a_long_list_is_still_first_match(void **state)
{
	struct mw_text maps = { 0 };
	struct mw_lookup_result r;
	struct mw_lookup *l;

	(void)state;
	mw_text_add(&maps, "{ '10.0.0.0/8', '!10.1.0.0/16', '!192.0.2.1'");
	for (int i = 0; i < 100; i++) /* amavisd turns to the longest prefix beyond twenty */
		mw_text_addf(&maps, ", '198.51.%d.0/24'", i);
	mw_text_add(&maps, ", '192.0.2.0/24' }");
	l = good_maps(maps.p, &as_bool);
	assert_true(mw_lookup(l, "10.1.2.3", &r) && r.value.b);
	assert_string_equal(r.key, "10.0.0.0/8");
	assert_true(mw_lookup(l, "192.0.2.1", &r) && !r.value.b);
	assert_true(mw_lookup(l, "198.51.99.7", &r) && r.value.b);
	assert_false(mw_lookup(l, "198.51.100.7", &r));
	mw_lookup_unref(&l);
	mw_text_fini(&maps);
}

static void hashes_of_addresses_go_from_the_whole_to_its_first_number(void **state)
{
	static const struct answer_row rows[] = {
		{ "{ { ['192.0.2.1'] = 'a', ['192.0.2'] = 'b' } }", "192.0.2.1", "\"a\"" },
		{ "{ { ['192.0.2.1'] = 'a', ['192.0.2'] = 'b' } }", "192.0.2.2", "\"b\"" },
		{ "{ { ['192.0'] = 'c', ['192'] = 'd' } }", "192.0.2.2", "\"c\"" },
		{ "{ { ['192.0'] = 'c', ['192'] = 'd' } }", "192.1.2.2", "\"d\"" },
		{ "{ { ['192.0'] = 'c', ['192'] = 'd' } }", "193.1.2.2", "undef" },
		{ "{ { ['19'] = 'd' } }", "192.1.2.2", "undef" },
		{ "{ { [10] = 'd' } }", "10.1.2.2", "\"d\"" }, /* a number is a key as well */
		{ "{ { ['2001:0db8:0000:0000:0000:0000:0000:0001'] = 'x' } }", "2001:db8::1",
			"\"x\"" },
		{ "{ { ['2001:db8::1'] = 'x' } }", "2001:db8:0::1", "\"x\"" },
		{ "{ { ['::ffff:192.0.2.1'] = 'x' } }", "192.0.2.1", "\"x\"" },
		{ "{ { ['2001:db8::1'] = 'x' } }", "2001:db8::2", "undef" },
		{ "{ { ['10'] = 'x' } }", "no address", "undef" },
		{ "{ { ['10'] = 'x' }, 'y' }", "no address", "\"y\"" },
		{ "{ { ['10'] = '$1' } }", "10.1.2.3", "\"10.1.2.3\"" },
		{ "{ new_RE { { '^10%.', 'x' }, { '^10\\\\.', 'y' } } }", "10.1.2.3", "\"y\"" },
		{ "{ { '10/8' }, 'n' }", "10.1.2.3", "\"1\"" },
		{ "{ { '!10/8' }, 'n' }", "10.1.2.3", "\"\"" },
		{ "{ function(ip) if ip == '2001:db8::1' then return 'f' end end }",
			"2001:0DB8:0::1", "\"f\"" },
	};

	(void)state;
	check_rows(rows, MW_COUNT(rows), &as_text);
}

static void what_is_no_network_is_refused(void **state)
{
	static const char *const entries[] = { "10", "10.1", "host", "", "!", "10.0.0.0/33",
		"2001:db8::/129", "10.0.0.0/255.0.255.0", "10.0.0.0/", "10.0.0.0/8/8", "010.0.0.1",
		"1.2.3.4.5", " 10.0.0.1", "10.0.0.0/-1", "[10.0.0.1", "/8" };

	(void)state;
	for (size_t i = 0; i < MW_COUNT(entries); i++) {
		char maps[100];
		struct mw_err err = { "" };

		snprintf(maps, sizeof(maps), "{ { '%s' } }", entries[i]);
		if (maps_of(maps, &as_bool, &err) != NULL ||
			strstr(err.text, "is no address or network") == NULL)
			fail_msg("%s: %s", entries[i], err.text);
	}
	{
		struct mw_err err = { "" };

		assert_null(maps_of("{ '127.0.0.1', 10 }", &as_bool, &err));
		assert_non_null(strstr(err.text, "expected networks as strings"));
		assert_null(maps_of("{ { ['10.0.0.0/8'] = 1 } }", &as_bool, &err));
		assert_non_null(strstr(err.text, "expected an IP address"));
	}
}

/* ------------------------------------------------------------------ against a plain walk */

static uint64_t seed;

static uint64_t next_random(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed;
}

/* Few different bits, so that networks lie within each other and addresses within networks. */
static struct mw_ip random_ip(void)
{
	struct mw_ip ip = { { 0 } };
	bool v4 = next_random() % 2 == 0;

	if (v4)
		ip.a[10] = ip.a[11] = 0xff;
	for (size_t i = v4 ? 12 : 0; i < 16; i++) {
		uint64_t x = next_random();

		ip.a[i] = x % 3 == 0 ? (unsigned char)(x >> 8 & 0x81) : (unsigned char)(x >> 8 & 1);
	}
	return ip;
}

static struct mw_net random_net(void)
{
	struct mw_net net = { .ip = random_ip() };

	net.negated = next_random() % 3 == 0;
	net.bits = next_random() % 20 == 0 ? 0 : (unsigned char)(next_random() % 129);
	for (unsigned bit = net.bits; bit < 128; bit++)
		net.ip.a[bit / 8] &= (unsigned char)~(0x80u >> bit % 8);
	return net;
}

static void the_tree_says_what_a_walk_through_the_list_says(void **state)
{
	enum { NETS = 300, ASKED = 300 };
	static struct mw_net list[NETS];

	(void)state;
	for (uint64_t round = 1; round <= 200; round++) {
		struct mw_nets *tree = mw_nets_new();
		size_t count;

		seed = round * 0x9e3779b97f4a7c15u;
		count = next_random() % NETS;
		for (size_t i = 0; i < count; i++) {
			struct mw_cell c = { .type = MW_VALUE_BOOL };

			list[i] = random_net();
			c.b = !list[i].negated;
			assert_true(mw_nets_add(tree, &list[i], "net", &c));
		}
		for (size_t i = 0; i < ASKED; i++) {
			struct mw_ip ip = i < count ? list[i].ip : random_ip();
			struct mw_lookup_result r;
			int want = mw_nets_find(list, count, &ip), got = -1;

			if (mw_nets_lookup(tree, &ip, &r))
				got = r.value.b;
			if (got != want)
				fail_msg("round %u, address %zu: %d, not %d", (unsigned)round, i,
					got, want);
		}
		assert_int_equal(mw_nets_count(tree), count);
		mw_nets_destroy(&tree);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lists_of_networks_answer_by_the_first_that_contains_the_address),
		cmocka_unit_test(a_long_list_is_still_first_match),
		cmocka_unit_test(hashes_of_addresses_go_from_the_whole_to_its_first_number),
		cmocka_unit_test(what_is_no_network_is_refused),
		cmocka_unit_test(the_tree_says_what_a_walk_through_the_list_says),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
