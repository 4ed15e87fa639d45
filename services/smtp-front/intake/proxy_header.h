/*
 * The header that a proxy in front of us puts before the client's octets, so that we know who the
 * client is: the PROXY protocol of HAProxy, versions 1 (a line) and 2 (binary). Nothing here knows
 * whom to believe it: that is smtp_proxy.c's.
 */
#ifndef SMTP_PROXY_HEADER_H
#define SMTP_PROXY_HEADER_H

#include "ip.h"

#define PROXY_HEADER_V1_MAX 107 /* section 2.1: the longest line, its CRLF included */
/* Of version 2, its fields (TLVs) included: 16 + 65535 could be claimed. A client certificate's
 * names and an AWS endpoint's id take some hundred octets. */
#define PROXY_HEADER_MAX 4096

struct proxy_header {
	/* False: the proxy speaks for itself, or cannot say for whom (UNKNOWN, UNSPEC, a Unix
	 * socket): the connection's own addresses are as good as it gets. */
	bool has_client;
	bool own; /* LOCAL: a connection of the proxy's own, as its health checks */
	unsigned version;
	struct mw_ip client, local; /* where the client connected from, and to */
	uint16_t client_port, local_port;
};

/*
 * Read the header at the start of all octets that came so far. 1: *h_r and *used_r are filled in,
 * the client's octets follow. 0: more is wanted, and what came is a beginning of one. -1: this is
 * no header, or one that must not be believed: *why_r says it in printable ASCII. At most
 * PROXY_HEADER_MAX octets are ever looked at.
 */
int proxy_header_read(const unsigned char *p, size_t n, struct proxy_header *h_r, size_t *used_r,
	const char **why_r);

#endif
