/*
 * DNS: libunbound (caching, and validating where there is a trust anchor), asked from the loop and
 * never waited for. resolver.c is the only file that includes <unbound.h>.
 *
 * libunbound runs in a thread of this process (ub_ctx_async with dothread 1). The alternatives: a
 * forked resolver is a second process that copies our memory, keys included, and has to be watched;
 * the event API (ub_ctx_create_ub_event) needs headers that Debian does not ship. The thread talks
 * to us through ub_fd, which the loop watches.
 */
#ifndef MW_RESOLVER_H
#define MW_RESOLVER_H

#include "loop.h"

#define MW_DNS_LOOKUPS_MAX 2000 /* unanswered at once; more are refused */
#define MW_DNS_PACKET_MAX 16384 /* octets of an answer that are looked at */
#define MW_DNS_RECORDS_MAX 16	/* records of one answer that are looked at */
#define MW_NAMESERVERS_MAX 8	/* taken from resolv.conf */
#define MW_RESOLV_CONF "/etc/resolv.conf"

enum mw_dns_type { MW_DNS_A = 1, MW_DNS_TXT = 16 };

/* What came of looking a name up. */
enum mw_dns_state {
	MW_DNS_FOUND,
	MW_DNS_ABSENT, /* the name or its records of that type do not exist: for sure */
	MW_DNS_FAILED  /* no answer, no valid answer, no time left: who knows */
};

struct mw_dns_answer {
	enum mw_dns_state state;
	const char *why; /* of FAILED: static text */
	uint32_t ttl_s;	 /* of FOUND and ABSENT */
	size_t count;
	struct mw_octets records[MW_DNS_RECORDS_MAX]; /* RDATA as on the wire */
	bool too_many;
};

struct mw_resolver_conf {
	const char *section; /* of the settings, as errors name it: "dkim" for dkim.nameservers */
	const char *const *nameservers; /* ADDRESS or ADDRESS@PORT; none: resolv_conf */
	size_t nameserver_count;
	const char *resolv_conf;       /* path; scoped addresses (fe80::1%eth0) are understood */
	const char *trust_anchor_file; /* "" or NULL: no DNSSEC validation */
	const char *const *data;       /* records in zone file syntax, answered from here */
	size_t data_count;
	bool local_only; /* names that are not in data do not exist; nobody is asked */
	/* The thread has ended by itself: no look-up is answered any more. May not close the
	 * resolver from within. */
	void (*gone)(void *arg);
	void *gone_arg;
};

struct mw_resolver;
/*
 * Starts the thread and waits until it has answered a question about "localhost" (which asks
 * nobody), so that a resolver that cannot work is an error here and now. A nameserver that is
 * silent is not: it may come back.
 */
enum mw_rc mw_resolver_open(struct mw_resolver **r_r, struct mw_loop *loop,
	const struct mw_resolver_conf *conf, struct mw_err *err_r);
/* Look-ups under way are forgotten: their callbacks do not come. */
void mw_resolver_close(struct mw_resolver **r_p);
/* "libunbound 1.17.1" */
const char *mw_resolver_version(void);
/* Look-ups sent and not answered, forgotten ones included. */
size_t mw_resolver_waiting(const struct mw_resolver *r);

struct mw_dns_lookup;
/*
 * Ask for the records of a name. came is called once from the loop, never from within this call;
 * *answer lives as long as that call. NULL: refused (MW_DNS_LOOKUPS_MAX, no memory). There is no
 * time limit here: whoever waits forgets.
 */
struct mw_dns_lookup *mw_resolver_ask(struct mw_resolver *r, const char *name,
	enum mw_dns_type type, void (*came)(void *arg, const struct mw_dns_answer *answer),
	void *arg);
/* The callback will not come any more; the answer still warms the cache. Not after the callback has
 * come. */
void mw_dns_lookup_forget(struct mw_dns_lookup **l_p);

#endif
