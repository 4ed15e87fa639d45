/*
 * DNS for the DKIM worker: libunbound (validating, caching), asked from the loop and never waited
 * for.
 *
 * libunbound runs in a thread of this process (ub_ctx_async with dothread 1). The alternatives: a
 * forked resolver is a second process that copies our memory, keys included, and has to be watched;
 * the event API (ub_ctx_create_ub_event) needs headers that Debian does not ship. The thread talks
 * to us through ub_fd, which the loop watches.
 */
#ifndef DKIMSVC_RESOLVER_H
#define DKIMSVC_RESOLVER_H

#include "keyrec.h"
#include "loop.h"

#define DKIMSVC_LOOKUPS_MAX 2000     /* unanswered at once; more are refused, and so temperror */
#define DKIMSVC_DNS_PACKET_MAX 16384 /* octets of an answer that are looked at */
#define DKIMSVC_NAMESERVERS_MAX 8    /* taken from resolv.conf */

struct dkimsvc_resolver_conf {
	const char *const *nameservers; /* ADDRESS or ADDRESS@PORT; none: resolv_conf */
	size_t nameserver_count;
	const char *resolv_conf;       /* path; scoped addresses (fe80::1%eth0) are understood */
	const char *trust_anchor_file; /* "" or NULL: no DNSSEC validation */
	const char *const *data;       /* records in zone file syntax, answered from here */
	size_t data_count;
	bool local_only; /* names that are not in data do not exist; nobody is asked */
};

struct dkimsvc_resolver;
/*
 * Starts the thread and waits until it has answered a question about "localhost" (which asks
 * nobody), so that a resolver that cannot work is an error here and now. A nameserver that is
 * silent is not: it may come back.
 */
enum mw_rc dkimsvc_resolver_open(struct dkimsvc_resolver **r_r, struct mw_loop *loop,
	const struct dkimsvc_resolver_conf *conf, struct mw_err *err_r);
/* Look-ups under way are forgotten: their callbacks do not come. */
void dkimsvc_resolver_close(struct dkimsvc_resolver **r_p);
/* "libunbound 1.17.1" */
const char *dkimsvc_resolver_version(void);
/* Look-ups sent and not answered, forgotten ones included. */
size_t dkimsvc_resolver_waiting(const struct dkimsvc_resolver *r);

struct dkimsvc_lookup;
/*
 * Ask for the TXT records of name. came is called once from the loop, never from within this call;
 * *txt lives as long as that call. NULL: refused (DKIMSVC_LOOKUPS_MAX, no memory). There is no time
 * limit here: whoever waits forgets.
 */
struct dkimsvc_lookup *dkimsvc_resolver_txt(struct dkimsvc_resolver *r, const char *name,
	void (*came)(void *arg, const struct dkimsvc_txt *txt), void *arg);
/* The callback will not come any more; the answer still warms the cache. Not after the callback has
 * come. */
void dkimsvc_lookup_forget(struct dkimsvc_lookup **l_p);

#endif
