#include "db_cache.h"

#include <stdlib.h>
#include <sys/queue.h>

struct entry {
	TAILQ_ENTRY(entry) age; /* the one used last is the last */
	struct entry *next;	/* same bucket */
	struct db_records *records;
	uint64_t hash, until_ms;
	size_t n;
	unsigned char key[];
};

struct db_cache {
	uint64_t ttl_ms;
	size_t most_entries, most_octets, entries, octets;
	uint64_t seed; /* keys come from outside: nobody can aim at one bucket */
	size_t mask;
	struct entry **buckets;
	TAILQ_HEAD(, entry) ages;
};

struct db_cache *db_cache_new(uint64_t ttl_ms, size_t entries, size_t octets)
{
	struct db_cache *c = calloc(1, sizeof(*c));
	size_t buckets = 16;

	if (c == NULL)
		return NULL;
	while (buckets < entries)
		buckets *= 2;
	c->ttl_ms = entries > 0 ? ttl_ms : 0;
	c->most_entries = entries;
	c->most_octets = octets;
	c->mask = buckets - 1;
	c->buckets = calloc(buckets, sizeof(struct entry *));
	TAILQ_INIT(&c->ages);
	mw_random(&c->seed, sizeof(c->seed));
	if (c->buckets == NULL)
		db_cache_destroy(&c);
	return c;
}

static size_t entry_octets(const struct entry *e)
{
	return sizeof(*e) + e->n + e->records->octets;
}

static void drop(struct db_cache *c, struct entry *e)
{
	struct entry **p = &c->buckets[e->hash & c->mask];

	while (*p != e)
		p = &(*p)->next;
	*p = e->next;
	TAILQ_REMOVE(&c->ages, e, age);
	c->entries--;
	c->octets -= entry_octets(e);
	db_records_unref(&e->records);
	free(e);
}

void db_cache_destroy(struct db_cache **cache_p)
{
	struct db_cache *c = *cache_p;

	*cache_p = NULL;
	if (c == NULL)
		return;
	while (!TAILQ_EMPTY(&c->ages))
		drop(c, TAILQ_FIRST(&c->ages));
	free(c->buckets);
	free(c);
}

static uint64_t hash_of(const struct db_cache *c, struct mw_octets key)
{
	uint64_t h = c->seed;

	for (size_t i = 0; i < key.n; i++) {
		h = (h ^ key.p[i]) * 0x9e3779b97f4a7c15u;
		h ^= h >> 29;
	}
	return h;
}

static struct entry *find(const struct db_cache *c, struct mw_octets key, uint64_t hash)
{
	struct entry *e = c->buckets[hash & c->mask];

	while (e != NULL && (e->hash != hash || e->n != key.n || memcmp(e->key, key.p, key.n) != 0))
		e = e->next;
	return e;
}

struct db_records *db_cache_get(struct db_cache *c, struct mw_octets key, uint64_t now_ms)
{
	struct entry *e = c->ttl_ms > 0 ? find(c, key, hash_of(c, key)) : NULL;

	if (e == NULL)
		return NULL;
	if (now_ms >= e->until_ms) {
		drop(c, e);
		return NULL;
	}
	TAILQ_REMOVE(&c->ages, e, age);
	TAILQ_INSERT_TAIL(&c->ages, e, age);
	return db_records_ref(e->records);
}

void db_cache_put(
	struct db_cache *c, struct mw_octets key, struct db_records *records, uint64_t now_ms)
{
	uint64_t hash;
	struct entry *e;

	if (c->ttl_ms == 0)
		return;
	hash = hash_of(c, key);
	e = find(c, key, hash);
	if (e != NULL)
		drop(c, e);
	e = malloc(sizeof(*e) + key.n);
	if (e == NULL)
		return;
	*e = (struct entry){ .hash = hash, .until_ms = now_ms + c->ttl_ms, .n = key.n };
	memcpy(e->key, key.p, key.n);
	e->records = db_records_ref(records);
	e->next = c->buckets[hash & c->mask];
	c->buckets[hash & c->mask] = e;
	TAILQ_INSERT_TAIL(&c->ages, e, age);
	c->entries++;
	c->octets += entry_octets(e);
	while (c->entries > c->most_entries || c->octets > c->most_octets)
		drop(c, TAILQ_FIRST(&c->ages));
}

size_t db_cache_entries(const struct db_cache *c)
{
	return c->entries;
}

size_t db_cache_octets(const struct db_cache *c)
{
	return c->octets;
}
