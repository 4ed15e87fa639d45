/*
 * IP addresses and networks as values: parsed once from text, compared as octets, printed in one
 * form.
 *
 * An address is 16 octets, IPv4 as ::ffff:a.b.c.d, so that one comparison serves both families and
 * a mapped address of a dual-stack socket equals the plain one. Nothing here allocates or looks up
 * names.
 */
#ifndef MW_IP_H
#define MW_IP_H

#include "base.h"

#define MW_IP_TEXT_MAX 46  /* the longest printed address and its NUL (INET6_ADDRSTRLEN) */
#define MW_NET_TEXT_MAX 96 /* the longest text mw_net_parse reads, NUL included */

struct mw_ip {
	unsigned char a[16]; /* network order */
};

/* One entry of a list as mynetworks or ip_repu_ignore_networks. */
struct mw_net {
	struct mw_ip ip;    /* octets beyond `bits` are 0 */
	unsigned char bits; /* 0..128, counted over the 16 octets: 10.0.0.0/8 has 104 */
	bool negated;	    /* an odd number of `!` stood in front */
};

/*
 * Read an address as it stands in settings, XFORWARD and Received fields: 192.0.2.1, 2001:db8::1,
 * either in [ ], with IPv6: in front, with a scope (fe80::1%eth0; dropped). False, and *ip_r
 * untouched, for anything else: names, fewer than four IPv4 octets, leading zeros, surrounding
 * blanks.
 */
bool mw_ip_parse(const char *text, struct mw_ip *ip_r);
/* The same for text without a terminator. */
bool mw_ip_parse_octets(struct mw_octets text, struct mw_ip *ip_r);
/* Lower case, shortest form (RFC 5952); IPv4 dotted. Returns buf, of MW_IP_TEXT_MAX octets. */
const char *mw_ip_format(const struct mw_ip *ip, char buf[MW_IP_TEXT_MAX]);
bool mw_ip_is_v4(const struct mw_ip *ip);
bool mw_ip_equal(const struct mw_ip *a, const struct mw_ip *b);

/*
 * True for an address that names a host to everybody: not unspecified, loopback, link-local,
 * site-local, private (RFC 1918, fc00::/7), carrier-grade NAT (100.64.0.0/10), 0.0.0.0/8, multicast
 * or 240.0.0.0/4. The documentation networks (203.0.113.0/24, 2001:db8::/32 ...) count as public.
 * False for text that is no address.
 */
bool mw_ip_is_public(const char *text);
bool mw_ip_is_public_addr(const struct mw_ip *ip);

/*
 * Read an entry of a list: ADDRESS, NET/LENGTH or NET/MASK (contiguous), each after any number of
 * `!`. An IPv4 net may have fewer than four octets when a length or mask follows: 10/8, 172.16/12,
 * 0/0 (all of IPv4). ::/0 is everything. Bits beyond the length are cleared. False, and *net_r
 * untouched, for anything else.
 */
bool mw_net_parse(const char *text, struct mw_net *net_r);
/* Whether ip lies in the net; negation is the list's business. A NULL ip (one that could not be
 * read) lies only in
 * ::/0. */
bool mw_net_contains(const struct mw_net *net, const struct mw_ip *ip);
/* The first entry that contains ip decides: 1 listed, 0 listed with `!`, -1 not listed. */
int mw_nets_find(const struct mw_net *nets, size_t count, const struct mw_ip *ip);

#endif
