#include "next_hop.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/un.h>
#include <uv.h>

#define EXPECTED "expected smtp:[address]:port, smtp:host:port or smtp:/path, or the same with lmtp"

static void make_text(struct next_hop *h)
{
	const char *protocol = h->lmtp ? "lmtp" : "smtp";

	if (next_hop_is_unix(h))
		snprintf(h->text, sizeof(h->text), "%s:%s", protocol, h->host);
	else
		snprintf(h->text, sizeof(h->text), "%s:[%s]:%u", protocol, h->host, h->port);
}

static bool parse_path(const char *path, struct next_hop *h)
{
	size_t n = strcspn(path, ":");

	return n < sizeof(((struct sockaddr_un *)0)->sun_path) &&
	       mw_strncpy(h->host, sizeof(h->host), path, n) && mw_is_printable(path, n);
}

static bool parse_port(const char *p, struct next_hop *h)
{
	char *end;
	unsigned long port;

	if (p[0] == '*') {
		h->any_port = true;
		return p[1] == '\0' || p[1] == ':';
	}
	port = strtoul(p, &end, 10);
	h->port = (uint16_t)port;
	return p[0] >= '0' && p[0] <= '9' && (*end == '\0' || *end == ':') && port > 0 &&
	       port <= 65535;
}

static bool parse_inet(const char *p, struct next_hop *h)
{
	size_t n;

	if (*p == '[') {
		n = strcspn(++p, "]");
		if (p[n] != ']' || p[n + 1] != ':')
			return false;
		h->any_host = false;
	} else {
		n = strcspn(p, ":");
		h->any_host = n == 1 && *p == '*';
	}
	if (n == 0 || !mw_strncpy(h->host, sizeof(h->host), p, n) || !mw_is_printable(p, n) ||
		(!h->any_host && strpbrk(h->host, " *[]") != NULL))
		return false;
	p += n;
	p += *p == ']';
	return *p == ':' && parse_port(p + 1, h);
}

enum mw_rc next_hop_parse(
	const char *setting, const char *method, struct next_hop *h_r, struct mw_err *err_r)
{
	struct next_hop h = { .lmtp = strncmp(method, "lmtp:", 5) == 0 };
	const char *p = method + 5;

	if ((!h.lmtp && strncmp(method, "smtp:", 5) != 0) ||
		!(*p == '/' ? parse_path(p, &h) : parse_inet(p, &h)))
		return mw_fail(
			err_r, MW_ERR_CONF, "%s = \"%.100s\": %s", setting, method, EXPECTED);
	make_text(&h);
	*h_r = h;
	return MW_OK;
}

enum mw_rc next_hops_parse(const char *setting, const char *const *methods, size_t count,
	struct next_hop *hops_r, struct mw_err *err_r)
{
	for (size_t i = 0; i < count; i++) {
		enum mw_rc rc = next_hop_parse(setting, methods[i], &hops_r[i], err_r);

		if (rc != MW_OK)
			return rc;
		if (hops_r[i].lmtp != hops_r[0].lmtp)
			return mw_fail(err_r, MW_ERR_CONF,
				"%s mixes smtp and lmtp: one list speaks one protocol", setting);
	}
	return MW_OK;
}

bool next_hops_same(const struct next_hops *a, const struct next_hops *b)
{
	if (a == b)
		return true;
	if (a == NULL || b == NULL || a->count != b->count)
		return false;
	for (size_t i = 0; i < a->count; i++)
		if (a->hop[i].tls != b->hop[i].tls || a->hop[i].any_host != b->hop[i].any_host ||
			a->hop[i].any_port != b->hop[i].any_port ||
			strcmp(a->hop[i].text, b->hop[i].text) != 0 ||
			strcmp(a->hop[i].from.text, b->hop[i].from.text) != 0)
			return false;
	return true;
}

bool next_hop_fill(struct next_hop *h, const char *peer_ip, unsigned local_port)
{
	if (!h->any_host && !h->any_port)
		return true;
	if ((h->any_host && peer_ip[0] == '\0') ||
		(h->any_port && (local_port == 0 || local_port >= 65535)))
		return false;
	if (h->any_host)
		mw_strlcpy(h->host, peer_ip, sizeof(h->host));
	if (h->any_port)
		h->port = (uint16_t)(local_port + 1);
	h->any_host = h->any_port = false;
	make_text(h);
	return true;
}

static bool parse_source(const char *address, struct next_hop_source *from)
{
	size_t n = strlen(address);
	char bare[64]; /* with a scope */

	if (*address == '[' && n > 2 && address[n - 1] == ']') {
		address++;
		n -= 2;
	}
	if (!mw_strncpy(bare, sizeof(bare), address, n) || from->text[0] != '\0')
		return false;
	if (uv_ip4_addr(bare, 0, &from->v4) != 0) {
		from->v4 = (struct sockaddr_in){ 0 };
		if (uv_ip6_addr(bare, 0, &from->v6) != 0)
			return false;
	}
	mw_strlcpy(from->text, bare, sizeof(from->text));
	return true;
}

enum mw_rc next_hop_source_parse(const char *setting, const char *const *addresses, size_t count,
	struct next_hop_source *from_r, struct mw_err *err_r)
{
	struct next_hop_source all = { .text = "" };

	for (size_t i = 0; i < count; i++) {
		struct next_hop_source one = { .text = "" };
		size_t n = strlen(all.text);

		if (!parse_source(addresses[i], &one))
			return mw_fail(err_r, MW_ERR_CONF,
				"%s = \"%.100s\": expected an IPv4 or IPv6 address", setting,
				addresses[i]);
		if ((one.v4.sin_family != 0 && all.v4.sin_family != 0) ||
			(one.v6.sin6_family != 0 && all.v6.sin6_family != 0))
			return mw_fail(err_r, MW_ERR_CONF,
				"%s: expected one IPv4 and one IPv6 address at most", setting);
		if (one.v4.sin_family != 0)
			all.v4 = one.v4;
		else
			all.v6 = one.v6;
		snprintf(all.text + n, sizeof(all.text) - n, "%s%.63s", n > 0 ? "," : "", one.text);
	}
	*from_r = all;
	return MW_OK;
}

const struct sockaddr *next_hop_source_for(
	const struct next_hop_source *from, int family, bool *none_r)
{
	const struct sockaddr *v4 = (const struct sockaddr *)&from->v4,
			      *v6 = (const struct sockaddr *)&from->v6;

	*none_r = false;
	if (from->text[0] == '\0' || family == AF_UNIX)
		return NULL;
	if (family == AF_INET6 && from->v6.sin6_family != 0)
		return v6;
	if (family == AF_INET && from->v4.sin_family != 0)
		return v4;
	*none_r = true;
	return NULL;
}
