/*
 * Where mail goes, in amavisd's method syntax: "smtp:[address]:port", "smtp:host:port",
 * "smtp:/path" and the same with lmtp. A host of * is the address that the mail came from, a port
 * of * our own socket's port + 1. Fields behind the port are ignored, as amavisd does.
 */
#ifndef SMTP_NEXT_HOP_H
#define SMTP_NEXT_HOP_H

#include <netinet/in.h>

#include "base.h"
#include "tls_level.h"

#define NEXT_HOPS_MAX 16

/* Where our connections come from: at most one address a family; of a family without one none
 * does. */
struct next_hop_source {
	struct sockaddr_in v4;	/* family 0: none */
	struct sockaddr_in6 v6; /* the same */
	char text[136];		/* "192.0.2.6,2001:db8::6"; "": as the system chooses */
};

struct next_hop {
	bool lmtp, any_host, any_port;
	char host[256]; /* without []; the path of a Unix socket when it begins with / */
	uint16_t port;
	enum tls_level tls;
	struct next_hop_source from;
	char text[300]; /* "smtp:[host]:port" or "lmtp:/path", for replies and records */
};

/* A list of them, tried in order. */
struct next_hops {
	struct next_hop *hop;
	size_t count;
};

/* setting: its name, for the error. */
enum mw_rc next_hop_parse(
	const char *setting, const char *method, struct next_hop *h_r, struct mw_err *err_r);
/* A list to be tried in order; all speak the same protocol. hops_r has room for count. */
enum mw_rc next_hops_parse(const char *setting, const char *const *methods, size_t count,
	struct next_hop *hops_r, struct mw_err *err_r);
/* Replace what is * by where one mail came from. False: it came by a Unix socket, which has
 * neither.
 */
bool next_hop_fill(struct next_hop *h, const char *peer_ip, unsigned local_port);

/* setting: its name, for the error; no address: as the system chooses. */
enum mw_rc next_hop_source_parse(const char *setting, const char *const *addresses, size_t count,
	struct next_hop_source *from_r, struct mw_err *err_r);
/* The address to come from when that family is connected to; NULL: whichever, or (*none_r) none. */
const struct sockaddr *next_hop_source_for(
	const struct next_hop_source *from, int family, bool *none_r);

static inline bool next_hop_is_unix(const struct next_hop *h)
{
	return h->host[0] == '/';
}

#endif
