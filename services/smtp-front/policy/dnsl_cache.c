#include "dnsl_cache.h"

#include <stdlib.h>
#include <sys/queue.h>

struct entry {
	TAILQ_ENTRY(entry) age; /* the one used last is the last */
	struct entry *next;	/* same bucket */
	size_t bucket;
	uint64_t until_ms;
	struct mw_ip ip;
	struct mw_dnsl_answer answer;
	char zone[];
};

struct dnsl_cache {
	size_t most, entries, size;
	uint64_t seed;
	struct entry **buckets;
	TAILQ_HEAD(ages, entry) ages;
};

struct dnsl_cache *dnsl_cache_new(size_t entries)
{
	struct dnsl_cache *c = calloc(1, sizeof(*c));

	if (c == NULL)
		return NULL;
	for (c->size = 16; c->size < entries;)
		c->size *= 2;
	c->most = entries;
	c->buckets = calloc(c->size, sizeof(struct entry *));
	TAILQ_INIT(&c->ages);
	mw_random(&c->seed, sizeof(c->seed));
	if (c->buckets == NULL)
		dnsl_cache_destroy(&c);
	return c;
}

static void drop(struct dnsl_cache *c, struct entry *e)
{
	struct entry **p = &c->buckets[e->bucket];

	while (*p != e)
		p = &(*p)->next;
	*p = e->next;
	TAILQ_REMOVE(&c->ages, e, age);
	c->entries--;
	free(e);
}

void dnsl_cache_destroy(struct dnsl_cache **cache_p)
{
	struct dnsl_cache *c = *cache_p;

	*cache_p = NULL;
	if (c == NULL)
		return;
	while (!TAILQ_EMPTY(&c->ages))
		drop(c, TAILQ_FIRST(&c->ages));
	free(c->buckets);
	free(c);
}

size_t dnsl_hash(uint64_t seed, const struct mw_ip *ip, const char *zone, size_t size)
{
	uint64_t h = seed, part;

	for (size_t i = 0; i < sizeof(ip->a); i += sizeof(part)) {
		memcpy(&part, ip->a + i, sizeof(part));
		h = (h ^ part) * 0x9e3779b97f4a7c15u;
		h ^= h >> 29;
	}
	for (; *zone != '\0'; zone++) {
		h = (h ^ (unsigned char)*zone) * 0x9e3779b97f4a7c15u;
		h ^= h >> 29;
	}
	return (size_t)h & (size - 1);
}

static struct entry *find(
	const struct dnsl_cache *c, const struct mw_ip *ip, const char *zone, size_t bucket)
{
	struct entry *e = c->buckets[bucket];

	while (e != NULL && !(mw_ip_equal(&e->ip, ip) && strcmp(e->zone, zone) == 0))
		e = e->next;
	return e;
}

bool dnsl_cache_get(struct dnsl_cache *c, const struct mw_ip *ip, const char *zone, uint64_t now_ms,
	struct mw_dnsl_answer *answer_r)
{
	struct entry *e = find(c, ip, zone, dnsl_hash(c->seed, ip, zone, c->size));

	if (e == NULL)
		return false;
	if (now_ms >= e->until_ms) {
		drop(c, e);
		return false;
	}
	TAILQ_REMOVE(&c->ages, e, age);
	TAILQ_INSERT_TAIL(&c->ages, e, age);
	*answer_r = e->answer;
	return true;
}

void dnsl_cache_put(struct dnsl_cache *c, const struct mw_ip *ip, const char *zone,
	const struct mw_dnsl_answer *answer, uint32_t ttl_s, uint64_t now_ms)
{
	size_t n = strlen(zone) + 1, bucket = dnsl_hash(c->seed, ip, zone, c->size);
	struct entry *e = find(c, ip, zone, bucket);

	if (e != NULL)
		drop(c, e);
	e = c->most > 0 ? malloc(sizeof(*e) + n) : NULL;
	if (e == NULL)
		return;
	if (c->entries == c->most)
		drop(c, TAILQ_FIRST(&c->ages));
	ttl_s = ttl_s < DNSL_TTL_LEAST_S  ? DNSL_TTL_LEAST_S
		: ttl_s > DNSL_TTL_MOST_S ? DNSL_TTL_MOST_S
					  : ttl_s;
	*e = (struct entry){ .next = c->buckets[bucket],
		.bucket = bucket,
		.until_ms = now_ms + (uint64_t)ttl_s * 1000,
		.ip = *ip,
		.answer = *answer };
	memcpy(e->zone, zone, n);
	c->buckets[bucket] = e;
	TAILQ_INSERT_TAIL(&c->ages, e, age);
	c->entries++;
}

size_t dnsl_cache_entries(const struct dnsl_cache *c)
{
	return c->entries;
}
