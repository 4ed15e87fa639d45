/* What zones said about addresses, for as long as they say: bounded in number, the answer not used
 * for longest goes first. That an address is not listed is an answer, too. One thread. */
#ifndef SMTP_DNSL_CACHE_H
#define SMTP_DNSL_CACHE_H

#include "lookup.h"

#define DNSL_TTL_LEAST_S 1    /* a time to live of 0 would have every mail ask */
#define DNSL_TTL_MOST_S 3600u /* who is listed changes within the hour, whatever a zone says */

struct dnsl_cache;

/* entries 0: nothing is kept. NULL: no memory. */
struct dnsl_cache *dnsl_cache_new(size_t entries);
void dnsl_cache_destroy(struct dnsl_cache **cache_p);
/* False: it is not there, or its time is over. */
bool dnsl_cache_get(struct dnsl_cache *c, const struct mw_ip *ip, const char *zone, uint64_t now_ms,
	struct mw_dnsl_answer *answer_r);
/* What there is no memory for is left out. */
void dnsl_cache_put(struct dnsl_cache *c, const struct mw_ip *ip, const char *zone,
	const struct mw_dnsl_answer *answer, uint32_t ttl_s, uint64_t now_ms);
size_t dnsl_cache_entries(const struct dnsl_cache *c);

/* A question's place in a table of size, a power of two; seeded, as clients choose addresses. */
size_t dnsl_hash(uint64_t seed, const struct mw_ip *ip, const char *zone, size_t size);

#endif
