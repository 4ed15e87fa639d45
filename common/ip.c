#include "ip.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#define V4_PREFIX_BITS 96 /* ::ffff:0:0/96 holds IPv4 (RFC 4291 section 2.5.5.2) */
#define ALL_BITS 128

static const unsigned char v4_prefix[12] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff };

static struct mw_ip ip_of_v4(const unsigned char v4[4])
{
	struct mw_ip ip;

	memcpy(ip.a, v4_prefix, sizeof(v4_prefix));
	memcpy(ip.a + sizeof(v4_prefix), v4, 4);
	return ip;
}

/* Copy text without [ ], IPv6: and scope into buf. False when it is too long or the brackets do not
 * match. */
static bool ip_strip(struct mw_octets text, char *buf, size_t size)
{
	const char *scope;

	if (text.n >= 2 && text.p[0] == '[') {
		if (text.p[text.n - 1] != ']')
			return false;
		text = mw_octets_of(text.p + 1, text.n - 2);
	}
	if (text.n >= 5 && strncasecmp((const char *)text.p, "ipv6:", 5) == 0)
		text = mw_octets_of(text.p + 5, text.n - 5);
	scope = text.n > 0 ? memchr(text.p, '%', text.n) : NULL;
	if (scope != NULL)
		text.n = (size_t)((const unsigned char *)scope - text.p);
	if (text.n == 0 || text.n >= size || memchr(text.p, '\0', text.n) != NULL)
		return false;
	return mw_strncpy(buf, size, text.p, text.n);
}

bool mw_ip_parse_octets(struct mw_octets text, struct mw_ip *ip_r)
{
	char buf[MW_IP_TEXT_MAX];
	unsigned char v4[4];
	struct mw_ip v6;

	if (!ip_strip(text, buf, sizeof(buf)))
		return false;
	if (inet_pton(AF_INET, buf, v4) == 1) {
		*ip_r = ip_of_v4(v4);
		return true;
	}
	if (inet_pton(AF_INET6, buf, v6.a) != 1)
		return false;
	*ip_r = v6;
	return true;
}

bool mw_ip_parse(const char *text, struct mw_ip *ip_r)
{
	return text != NULL && mw_ip_parse_octets(mw_octets_of_text(text), ip_r);
}

bool mw_ip_is_v4(const struct mw_ip *ip)
{
	return memcmp(ip->a, v4_prefix, sizeof(v4_prefix)) == 0;
}

bool mw_ip_equal(const struct mw_ip *a, const struct mw_ip *b)
{
	return memcmp(a->a, b->a, sizeof(a->a)) == 0;
}

const char *mw_ip_format(const struct mw_ip *ip, char buf[MW_IP_TEXT_MAX])
{
	if (mw_ip_is_v4(ip))
		inet_ntop(AF_INET, ip->a + sizeof(v4_prefix), buf, MW_IP_TEXT_MAX);
	else
		inet_ntop(AF_INET6, ip->a, buf, MW_IP_TEXT_MAX);
	return buf;
}

/* ---------------------------------------------------------------- networks */

/* Clear what lies beyond net->bits, so that equal nets are equal octets. */
static void net_clear_host(struct mw_net *net)
{
	unsigned whole = net->bits / 8, part = net->bits % 8;

	if (whole >= sizeof(net->ip.a))
		return;
	net->ip.a[whole] &= (unsigned char)(0xff00u >> part);
	memset(net->ip.a + whole + 1, 0, sizeof(net->ip.a) - whole - 1);
}

static bool net_same_bits(const unsigned char *a, const unsigned char *b, unsigned bits)
{
	unsigned whole = bits / 8, part = bits % 8;

	if (memcmp(a, b, whole) != 0)
		return false;
	return part == 0 || ((a[whole] ^ b[whole]) & (0xff00u >> part) & 0xff) == 0;
}

/* 10, 172.16, 192.168.3: an IPv4 net cut short, filled up with zeros. */
static bool net_parse_short_v4(const char *text, struct mw_ip *ip_r)
{
	char whole[MW_IP_TEXT_MAX];
	unsigned char v4[4];
	unsigned dots = 0;

	for (const char *p = text; *p != '\0'; p++)
		dots += *p == '.';
	if (dots > 2)
		return false;
	if ((size_t)snprintf(whole, sizeof(whole), "%s%s", text, &".0.0.0"[2 * dots]) >=
			sizeof(whole) ||
		inet_pton(AF_INET, whole, v4) != 1)
		return false;
	*ip_r = ip_of_v4(v4);
	return true;
}

/* A contiguous mask as a length; -1 when it has holes. */
static int net_mask_bits(const unsigned char *mask, size_t octets)
{
	int bits = 0;
	bool ended = false;

	for (size_t i = 0; i < octets * 8; i++) {
		bool set = (mask[i / 8] >> (7 - i % 8)) & 1;

		if (set && ended)
			return -1;
		ended = !set;
		bits += set;
	}
	return bits;
}

/* What stands behind the slash: decimal digits or a mask of the net's own family. -1 when it is
 * neither. */
static int net_parse_length(const char *text, bool v4)
{
	unsigned char mask[16];
	char *end;
	unsigned long n;

	if (v4 && inet_pton(AF_INET, text, mask) == 1)
		return net_mask_bits(mask, 4);
	if (!v4 && inet_pton(AF_INET6, text, mask) == 1)
		return net_mask_bits(mask, 16);
	if (text[0] < '0' || text[0] > '9' || strlen(text) > 3)
		return -1;
	n = strtoul(text, &end, 10);
	return *end == '\0' && n <= (v4 ? 32u : ALL_BITS) ? (int)n : -1;
}

bool mw_net_parse(const char *text, struct mw_net *net_r)
{
	struct mw_net net = { .bits = ALL_BITS };
	char buf[MW_NET_TEXT_MAX];
	char *slash;
	bool v4;
	int length;

	if (text == NULL)
		return false;
	for (; *text == '!'; text++)
		net.negated = !net.negated;
	if (mw_strlcpy(buf, text, sizeof(buf)) >= sizeof(buf))
		return false;
	slash = strchr(buf, '/');
	if (slash != NULL)
		*slash = '\0';
	if (!mw_ip_parse(buf, &net.ip) && (slash == NULL || !net_parse_short_v4(buf, &net.ip)))
		return false;
	if (slash != NULL) {
		/* ::ffff:10.0.0.0/104 is written in IPv6 lengths, 10.0.0.0/8 in IPv4's. */
		v4 = strchr(buf, ':') == NULL;
		length = net_parse_length(slash + 1, v4);
		if (length < 0)
			return false;
		net.bits = (unsigned char)(length + (v4 ? V4_PREFIX_BITS : 0));
	}
	net_clear_host(&net);
	*net_r = net;
	return true;
}

bool mw_net_contains(const struct mw_net *net, const struct mw_ip *ip)
{
	if (ip == NULL)
		return net->bits == 0;
	return net_same_bits(net->ip.a, ip->a, net->bits);
}

int mw_nets_find(const struct mw_net *nets, size_t count, const struct mw_ip *ip)
{
	for (size_t i = 0; i < count; i++) {
		if (mw_net_contains(&nets[i], ip))
			return nets[i].negated ? 0 : 1;
	}
	return -1;
}

/* ---------------------------------------------------------------- public or not */

/* Octets of the leading bits, as in struct mw_ip; IPv4 rows start behind the mapped prefix. */
static const struct ip_range {
	bool v4;
	unsigned char bits;
	unsigned char a[4]; /* enough for every row; ::/127 needs none */
} ip_not_public[] = {
	{ true, 8, { 0 } },	       /* "this network", RFC 1122 section 3.2.1.3 */
	{ true, 8, { 10 } },	       /* RFC 1918 */
	{ true, 10, { 100, 64 } },     /* shared, carrier-grade NAT: RFC 6598 */
	{ true, 8, { 127 } },	       /* loopback */
	{ true, 16, { 169, 254 } },    /* link-local, RFC 3927 */
	{ true, 12, { 172, 16 } },     /* RFC 1918 */
	{ true, 16, { 192, 168 } },    /* RFC 1918 */
	{ true, 4, { 224 } },	       /* multicast */
	{ true, 4, { 240 } },	       /* reserved and broadcast, RFC 1112 section 4 */
	{ false, 7, { 0xfc } },	       /* unique local, RFC 4193 */
	{ false, 10, { 0xfe, 0x80 } }, /* link-local */
	{ false, 10, { 0xfe, 0xc0 } }, /* site-local, deprecated but never global: RFC 3879 */
	{ false, 8, { 0xff } },	       /* multicast */
};

bool mw_ip_is_public_addr(const struct mw_ip *ip)
{
	static const unsigned char unspecified_or_loopback[16]; /* ::/127 */
	bool v4 = mw_ip_is_v4(ip);
	const unsigned char *a = v4 ? ip->a + sizeof(v4_prefix) : ip->a;

	if (net_same_bits(ip->a, unspecified_or_loopback, 127))
		return false;
	for (size_t i = 0; i < MW_COUNT(ip_not_public); i++) {
		if (ip_not_public[i].v4 == v4 &&
			net_same_bits(a, ip_not_public[i].a, ip_not_public[i].bits))
			return false;
	}
	return true;
}

bool mw_ip_is_public(const char *text)
{
	struct mw_ip ip;

	return mw_ip_parse(text, &ip) && mw_ip_is_public_addr(&ip);
}
