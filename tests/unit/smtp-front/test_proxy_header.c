/* The PROXY protocol's header: what is one, what is the beginning of one, and what must not be
 * believed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "front.h"
#include "intake/proxy_header.h"

/* main.c's, which is not linked here. */
void front_txn_over(struct front *f)
{
	(void)f;
}

#define V2 "\r\n\r\n\0\r\nQUIT\n"
#define TCP4_ADDRESSES "\xc0\x00\x02\x01\xcb\x00\x71\x07\x30\x39\x00\x19"
#define V6_ADDRESSES                                                                               \
	"\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01"                         \
	"\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x30\x39\x00\x19"

#define OCTETS(s) s, sizeof(s) - 1

struct good {
	const char *p;
	size_t n;
	unsigned version;
	const char *client; /* NULL: the connection's own */
	unsigned client_port;
	const char *local;
	unsigned local_port;
};

static const struct good goods[] = {
	{ OCTETS("PROXY TCP4 192.0.2.1 203.0.113.7 12345 25\r\n"), 1, "192.0.2.1", 12345,
		"203.0.113.7", 25 },
	{ OCTETS("PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n"), 1,
		"255.255.255.255", 65535, "255.255.255.255", 65535 },
	{ OCTETS("PROXY TCP4 192.0.2.1 203.0.113.7 0 0\r\n"), 1, "192.0.2.1", 0, "203.0.113.7", 0 },
	{ OCTETS("PROXY TCP6 2001:db8::1 2001:DB8::2 12345 25\r\n"), 1, "2001:db8::1", 12345,
		"2001:db8::2", 25 },
	{ OCTETS("PROXY TCP6 ::ffff:192.0.2.1 ::1 1 2\r\n"), 1, "192.0.2.1", 1, "::1", 2 },
	{ OCTETS("PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
		 "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n"),
		1, "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", 65535,
		"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", 65535 },
	{ OCTETS("PROXY UNKNOWN\r\n"), 1, NULL, 0, NULL, 0 },
	{ OCTETS("PROXY UNKNOWN \r\n"), 1, NULL, 0, NULL, 0 },
	{ OCTETS("PROXY UNKNOWN \xc3\xa9\r\n"), 1, NULL, 0, NULL, 0 },
	/* the longest line there is: 107 octets */
	{ OCTETS("PROXY UNKNOWN ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
		 "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n"),
		1, NULL, 0, NULL, 0 },
	{ OCTETS(V2 "\x21\x11\x00\x0c" TCP4_ADDRESSES), 2, "192.0.2.1", 12345, "203.0.113.7", 25 },
	{ OCTETS(V2 "\x21\x21\x00\x24" V6_ADDRESSES), 2, "2001:db8::1", 12345, "2001:db8::2", 25 },
	/* fields behind the addresses: NOOP with three octets, an empty one of a private type */
	{ OCTETS(V2 "\x21\x11\x00\x15" TCP4_ADDRESSES "\x04\x00\x03xyz\xe0\x00\x00"), 2,
		"192.0.2.1", 12345, "203.0.113.7", 25 },
	/* LOCAL: what follows is skipped, whatever it is */
	{ OCTETS(V2 "\x20\x00\x00\x00"), 2, NULL, 0, NULL, 0 },
	{ OCTETS(V2 "\x20\x11\x00\x0c" TCP4_ADDRESSES), 2, NULL, 0, NULL, 0 },
	{ OCTETS(V2 "\x20\x77\x00\x02\xff\xff"), 2, NULL, 0, NULL, 0 },
	/* PROXY of UNSPEC */
	{ OCTETS(V2 "\x21\x00\x00\x00"), 2, NULL, 0, NULL, 0 },
	{ OCTETS(V2 "\x21\x00\x00\x03xyz"), 2, NULL, 0, NULL, 0 },
};

struct bad {
	const char *p;
	size_t n;
	const char *why; /* is in the text */
};

static const struct bad bads[] = {
	{ OCTETS("EHLO x\r\n"), "no PROXY header" },
	{ OCTETS("proxy TCP4 192.0.2.1 203.0.113.7 1 2\r\n"), "no PROXY header" },
	{ OCTETS("\r\n\r\nX"), "no PROXY header" },
	{ OCTETS("PROXY TCP5 192.0.2.1 203.0.113.7 1 2\r\n"), "TCP4, TCP6 or UNKNOWN" },
	{ OCTETS("PROXY UDP4 192.0.2.1 203.0.113.7 1 2\r\n"), "TCP4, TCP6 or UNKNOWN" },
	{ OCTETS("PROXY tcp4 192.0.2.1 203.0.113.7 1 2\r\n"), "TCP4, TCP6 or UNKNOWN" },
	{ OCTETS("PROXY  TCP4 192.0.2.1 203.0.113.7 1 2\r\n"), "TCP4, TCP6 or UNKNOWN" },
	{ OCTETS("PROXY \r\n"), "TCP4, TCP6 or UNKNOWN" },
	{ OCTETS("PROXY \n"), "ends with CRLF" },
	{ OCTETS("PROXY TCP4\r\n"), "two addresses and two ports" },
	{ OCTETS("PROXY TCP4 192.0.2.1 203.0.113.7 1\r\n"), "two addresses and two ports" },
	{ OCTETS("PROXY TCP4 192.0.2.1 203.0.113.7 1 2 \r\n"), "two addresses and two ports" },
	{ OCTETS("PROXY TCP4 192.0.2.1 203.0.113.7 1 2 3\r\n"), "two addresses and two ports" },
	{ OCTETS("PROXY TCP4 192.0.2.1  203.0.113.7 1 2\r\n"), "two addresses and two ports" },
	{ OCTETS("PROXY TCP4 192.0.2.256 203.0.113.7 1 2\r\n"), "an address" },
	{ OCTETS("PROXY TCP4 192.0.2 203.0.113.7 1 2\r\n"), "an address" },
	{ OCTETS("PROXY TCP4 2001:db8::1 2001:db8::2 1 2\r\n"), "an address" },
	{ OCTETS("PROXY TCP6 192.0.2.1 203.0.113.7 1 2\r\n"), "an address" },
	{ OCTETS("PROXY TCP6 [2001:db8::1] 2001:db8::2 1 2\r\n"), "an address" },
	{ OCTETS("PROXY TCP6 IPv6:2001:db8::1 2001:db8::2 1 2\r\n"), "an address" },
	{ OCTETS("PROXY TCP6 fe80::1%eth0 2001:db8::2 1 2\r\n"), "an address" },
	{ OCTETS("PROXY TCP4 192.0.2.1 203.0.113.7 65536 2\r\n"), "a port" },
	{ OCTETS("PROXY TCP4 192.0.2.1 203.0.113.7 1 -2\r\n"), "a port" },
	{ OCTETS("PROXY TCP4 192.0.2.1 203.0.113.7 01 2\r\n"), "a port" },
	{ OCTETS("PROXY TCP4 192.0.2.1 203.0.113.7 1 000002\r\n"), "a port" },
	{ OCTETS("PROXY TCP4 192.0.2.1 203.0.113.7 1 2\n"), "ends with CRLF" },
	{ OCTETS("PROXY TCP4 192.0.2.1 203.0.113.7\t1 2\r\n"), "control characters" },
	{ OCTETS("PROXY TCP4 192.0.2.1\0 203.0.113.7 1 2\r\n"), "control characters" },
	{ OCTETS("PROXY TCP4 192.0.2.1 203.0.113.7\r1 2\r\n"), "control characters" },
	{ OCTETS("PROXY UNKNOWNX\r\n"), "TCP4, TCP6 or UNKNOWN" },
	{ OCTETS("PROXY TCP4 \x80\r\n"), "control characters" },
	/* 108 octets */
	{ OCTETS("PROXY UNKNOWN fffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
		 "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n"),
		"at most 107" },
	{ OCTETS(V2 "\x11\x11\x00\x0c" TCP4_ADDRESSES), "version is not 2" },
	{ OCTETS(V2 "\x22\x11\x00\x0c" TCP4_ADDRESSES), "neither LOCAL nor PROXY" },
	{ OCTETS(V2 "\x21\x12\x00\x0c" TCP4_ADDRESSES), "family" },
	{ OCTETS(V2 "\x21\x41\x00\x0c" TCP4_ADDRESSES), "family" },
	{ OCTETS(V2 "\x21\x11\x00\x0b" TCP4_ADDRESSES), "too short" },
	{ OCTETS(V2 "\x21\x21\x00\x0c" TCP4_ADDRESSES), "too short" },
	{ OCTETS(V2 "\x21\x31\x00\x0c" TCP4_ADDRESSES), "too short" },
	{ OCTETS(V2 "\x21\x11\x0f\xf1"), "more than 4096" },
	{ OCTETS(V2 "\x21\x11\xff\xff"), "more than 4096" },
	{ OCTETS(V2 "\x21\x11\x00\x0e" TCP4_ADDRESSES "\x04\x00"), "cut" },
	{ OCTETS(V2 "\x21\x11\x00\x10" TCP4_ADDRESSES "\x04\x00\x02x"), "cut" },
	{ OCTETS(V2 "\x21\x11\x00\x13" TCP4_ADDRESSES "\x03\x00\x04\x01\x02\x03\x04"), "CRC32c" },
	{ OCTETS(V2 "\x21\x11\x00\x12" TCP4_ADDRESSES "\x03\x00\x03\x01\x02\x03"), "CRC32c" },
};

static void check_good(const struct good *g, const struct proxy_header *h)
{
	char ip[MW_IP_TEXT_MAX];

	assert_int_equal(h->version, g->version);
	assert_int_equal(h->has_client, g->client != NULL);
	if (g->client == NULL)
		return;
	assert_string_equal(mw_ip_format(&h->client, ip), g->client);
	assert_string_equal(mw_ip_format(&h->local, ip), g->local);
	assert_int_equal(h->client_port, g->client_port);
	assert_int_equal(h->local_port, g->local_port);
}

static void a_whole_header_is_read_and_nothing_behind_it(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(goods) / sizeof(*goods); i++) {
		const struct good *g = &goods[i];
		unsigned char *p = malloc(g->n + 6);
		struct proxy_header h = { 0 };
		const char *why = NULL;
		size_t used = 0;

		assert_non_null(p);
		memcpy(p, g->p, g->n);
		memcpy(p + g->n, "EHLO x", 6);
		assert_int_equal(proxy_header_read(p, g->n + 6, &h, &used, &why), 1);
		assert_int_equal(used, g->n);
		check_good(g, &h);
		free(p);
	}
}

static void every_cut_header_waits_for_the_rest(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(goods) / sizeof(*goods); i++)
		for (size_t n = 0; n < goods[i].n; n++) {
			/* of its own, so that a read beyond it is seen */
			unsigned char *p = malloc(n + 1);
			struct proxy_header h = { .version = 9 };
			const char *why = NULL;
			size_t used = 77;

			assert_non_null(p);
			memcpy(p, goods[i].p, n);
			p = realloc(p, n > 0 ? n : 1);
			assert_non_null(p);
			assert_int_equal(proxy_header_read(p, n, &h, &used, &why), 0);
			assert_int_equal(h.version, 9);
			assert_int_equal(used, 77);
			free(p);
		}
}

static void what_is_no_header_is_refused_with_its_reason(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(bads) / sizeof(*bads); i++) {
		const char *why = NULL;
		struct proxy_header h = { .version = 9 };
		size_t used = 77;

		assert_int_equal(proxy_header_read((const unsigned char *)bads[i].p, bads[i].n, &h,
					 &used, &why),
			-1);
		assert_non_null(why);
		if (strstr(why, bads[i].why) == NULL)
			fail_msg("row %zu: \"%s\", expected \"%s\"", i, why, bads[i].why);
		assert_int_equal(h.version, 9);
		assert_int_equal(used, 77);
	}
}

static void a_unix_clients_header_is_skipped(void **state)
{
	unsigned char p[16 + 216 + 1] = { 0 };
	struct proxy_header h = { 0 };
	const char *why = NULL;
	size_t used = 0;

	(void)state;
	memcpy(p, V2 "\x21\x31\x00\xd8", 16);
	assert_int_equal(proxy_header_read(p, 16 + 215, &h, &used, &why), 0);
	assert_int_equal(proxy_header_read(p, sizeof(p), &h, &used, &why), 1);
	assert_int_equal(used, 16 + 216);
	assert_false(h.has_client);
}

static void the_largest_header_is_read_one_more_octet_is_refused(void **state)
{
	unsigned char *p = calloc(1, PROXY_HEADER_MAX + 1);
	struct proxy_header h = { 0 };
	const char *why = NULL;
	size_t used = 0;
	const unsigned fields = PROXY_HEADER_MAX - 16 - 12 - 3;

	(void)state;
	assert_non_null(p);
	memcpy(p, V2 "\x21\x11\x0f\xf0" TCP4_ADDRESSES "\x04", 29);
	p[29] = (unsigned char)(fields >> 8);
	p[30] = (unsigned char)fields;
	assert_int_equal(proxy_header_read(p, PROXY_HEADER_MAX - 1, &h, &used, &why), 0);
	assert_int_equal(proxy_header_read(p, PROXY_HEADER_MAX, &h, &used, &why), 1);
	assert_int_equal(used, PROXY_HEADER_MAX);
	p[15]++;
	assert_int_equal(proxy_header_read(p, PROXY_HEADER_MAX + 1, &h, &used, &why), -1);
	free(p);
}

/* CRC32c by the definition, polynomial first (RFC 3720 section 12.1): another way than ours, held
 * against that RFC's test vector below. */
static uint32_t crc_by_bits(const unsigned char *p, size_t n)
{
	uint32_t crc = 0xffffffffu, turned = 0;

	for (size_t i = 0; i < n; i++)
		for (unsigned bit = 0; bit < 8; bit++) {
			unsigned in = p[i] >> bit & 1, top = crc >> 31;

			crc = crc << 1 ^ (in ^ top ? 0x1edc6f41u : 0);
		}
	crc = ~crc;
	for (unsigned bit = 0; bit < 32; bit++)
		turned |= (crc >> bit & 1) << (31 - bit);
	return turned;
}

static void a_header_with_a_sum_is_checked(void **state)
{
	unsigned char p[16 + 12 + 7 + 4] = { 0 }, zeros[32] = { 0 };
	struct proxy_header h = { 0 };
	const char *why = NULL;
	uint32_t crc;
	size_t used = 0;

	(void)state;
	assert_int_equal(crc_by_bits(zeros, 32), 0x8a9136aau); /* RFC 3720 appendix B.4 */
	memcpy(p, V2 "\x21\x11\x00\x17" TCP4_ADDRESSES "\x03\x00\x04\0\0\0\0\x04\x00\x01x",
		sizeof(p));
	crc = crc_by_bits(p, sizeof(p));
	for (unsigned i = 0; i < 4; i++)
		p[31 + i] = (unsigned char)(crc >> (24 - 8 * i));
	assert_int_equal(proxy_header_read(p, sizeof(p), &h, &used, &why), 1);
	for (size_t i = 14; i < sizeof(p); i++) {
		if (i == 28)
			continue; /* the sum's own type: another field, and no sum */
		p[i] ^= 1;
		assert_int_not_equal(proxy_header_read(p, sizeof(p), &h, &used, &why), 1);
		p[i] ^= 1;
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_whole_header_is_read_and_nothing_behind_it),
		cmocka_unit_test(every_cut_header_waits_for_the_rest),
		cmocka_unit_test(what_is_no_header_is_refused_with_its_reason),
		cmocka_unit_test(a_unix_clients_header_is_skipped),
		cmocka_unit_test(the_largest_header_is_read_one_more_octet_is_refused),
		cmocka_unit_test(a_header_with_a_sum_is_checked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
