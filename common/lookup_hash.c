/*
 * Keys to values by open addressing. Slots are eight octets, so that a key that is not there costs
 * one line of cache; entries keep the order in which they were added, which makes the same
 * structure a list whose first match wins.
 */
#include <stdlib.h>

#include "lookup_priv.h"

struct slot {
	uint32_t hash; /* 0: free */
	uint32_t entry;
};

struct entry {
	uint32_t key, n; /* in the pool */
	struct mw_cell cell;
};

struct mw_hash {
	struct slot *slots; /* a power of two, at most half of them in use */
	size_t mask;
	struct entry *entries;
	size_t count, cap;
	struct mw_pool pool;
	unsigned sorts;	   /* bits of enum mw_key_sort that are there */
	size_t longest[8]; /* key of each sort */
};

struct mw_hash *mw_hash_new(void)
{
	struct mw_hash *h = calloc(1, sizeof(*h));

	if (h == NULL)
		return NULL;
	h->mask = 7;
	h->slots = calloc(h->mask + 1, sizeof(*h->slots));
	if (h->slots == NULL)
		mw_hash_destroy(&h);
	return h;
}

void mw_hash_destroy(struct mw_hash **h_p)
{
	struct mw_hash *h = *h_p;

	*h_p = NULL;
	if (h == NULL)
		return;
	mw_pool_fini(&h->pool);
	free(h->entries);
	free(h->slots);
	free(h);
}

struct mw_pool *mw_hash_pool(struct mw_hash *h)
{
	return &h->pool;
}

size_t mw_hash_count(const struct mw_hash *h)
{
	return h->count;
}

static bool is_key(const struct mw_hash *h, const struct entry *e, const char *key, size_t n)
{
	return e->n == n && memcmp(h->pool.p + e->key, key, n) == 0;
}

/* The slot of that key, or the free one where it would be. */
static struct slot *slot_of(const struct mw_hash *h, const char *key, size_t n, uint32_t hash)
{
	size_t i = hash & h->mask;

	while (h->slots[i].hash != 0 &&
		(h->slots[i].hash != hash || !is_key(h, &h->entries[h->slots[i].entry], key, n)))
		i = (i + 1) & h->mask;
	return &h->slots[i];
}

static bool grow_slots(struct mw_hash *h)
{
	size_t mask = h->mask * 2 + 1;
	struct slot *slots = calloc(mask + 1, sizeof(*slots));

	if (slots == NULL)
		return false;
	for (size_t i = 0; i <= h->mask; i++) {
		size_t at = h->slots[i].hash & mask;

		if (h->slots[i].hash == 0)
			continue;
		while (slots[at].hash != 0)
			at = (at + 1) & mask;
		slots[at] = h->slots[i];
	}
	free(h->slots);
	h->slots = slots;
	h->mask = mask;
	return true;
}

static bool grow_entries(struct mw_hash *h)
{
	size_t cap = h->cap > 0 ? h->cap * 2 : 8;
	struct entry *entries = realloc(h->entries, cap * sizeof(*entries));

	if (entries == NULL)
		return false;
	h->entries = entries;
	h->cap = cap;
	return true;
}

bool mw_hash_add(struct mw_hash *h, const char *key, size_t n, enum mw_key_sort sort,
	const struct mw_cell *c, bool first_wins)
{
	uint32_t hash = mw_key_hash(key, n);
	struct slot *slot;

	if ((h->count + 1) * 2 > h->mask + 1 && !grow_slots(h))
		return false;
	slot = slot_of(h, key, n, hash);
	if (slot->hash != 0) {
		if (!first_wins)
			h->entries[slot->entry].cell = *c;
		return true;
	}
	if (h->count == UINT32_MAX || (h->count == h->cap && !grow_entries(h)))
		return false;
	h->entries[h->count] = (struct entry){ mw_pool_add(&h->pool, key, n), (uint32_t)n, *c };
	if (h->entries[h->count].key == UINT32_MAX)
		return false;
	*slot = (struct slot){ hash, (uint32_t)h->count++ };
	h->sorts |= MW_BIT(sort);
	if (n > h->longest[sort])
		h->longest[sort] = n;
	return true;
}

/* ------------------------------------------------------------------ asking */

static const struct entry *find(const struct mw_hash *h, const char *key, size_t n, uint32_t hash)
{
	const struct slot *slot = slot_of(h, key, n, hash);

	return slot->hash != 0 ? &h->entries[slot->entry] : NULL;
}

static struct mw_octets part(const void *from, unsigned n)
{
	const struct mw_keys *k = from;

	switch (n) {
	case 1:
		return k->raw;
	case 2:
		return k->full_local;
	case 3:
		return k->user;
	case 4:
		return k->extension;
	case 5:
		return k->domain;
	default:
		return mw_octets_of("", 0);
	}
}

static void answer(const struct mw_hash *h, const struct entry *e, const struct mw_keys *k,
	struct mw_lookup_result *r)
{
	r->key = h->pool.p + e->key;
	mw_cell_read(&e->cell, &h->pool, part, k, r);
}

bool mw_hash_find(
	const struct mw_hash *h, struct mw_keys *k, size_t *at, struct mw_lookup_result *r)
{
	while (!k->too_long && *at < k->count) {
		struct mw_key *key = &k->key[(*at)++];
		const struct entry *e;

		if ((h->sorts & MW_BIT(key->sort)) == 0 || key->n > h->longest[key->sort])
			continue;
		if (key->hash == 0)
			key->hash = mw_key_hash(key->p, key->n);
		e = find(h, key->p, key->n, key->hash);
		if (e != NULL) {
			answer(h, e, k, r);
			return true;
		}
	}
	return false;
}

static void earlier(const struct mw_hash *h, const char *key, size_t n, enum mw_key_sort sort,
	const struct entry **best)
{
	const struct entry *e;

	if ((h->sorts & MW_BIT(sort)) == 0 || n > h->longest[sort])
		return;
	e = find(h, key, n, mw_key_hash(key, n));
	if (e != NULL && (*best == NULL || e < *best))
		*best = e;
}

/* What is longer than the longest entry is passed over, so that a domain of five hundred labels
 * costs what a common one does. */
static void earlier_domains(
	const struct mw_hash *h, const struct mw_keys *k, const struct entry **best)
{
	const char *p = k->dotted, *end = p + 1 + k->domain.n;
	size_t longest = h->longest[MW_SORT_DOTTED];

	earlier(h, p + 1, k->domain.n, MW_SORT_DOMAIN, best);
	if ((h->sorts & MW_BIT(MW_SORT_DOTTED)) == 0 || memchr(p + 1, '[', k->domain.n) != NULL)
		return;
	if ((size_t)(end - p) > longest)
		p = memchr(end - longest, '.', longest);
	for (; p != NULL; p = memchr(p + 1, '.', (size_t)(end - p) - 1))
		earlier(h, p, (size_t)(end - p), MW_SORT_DOTTED, best);
}

bool mw_hash_first(const struct mw_hash *h, struct mw_keys *k, enum mw_lookup_key type,
	struct mw_lookup_result *r)
{
	const struct entry *best = NULL;

	if (k->too_long)
		return false;
	if (type == MW_KEY_TEXT) {
		earlier(h, k->key[0].p, k->key[0].n, k->key[0].sort, &best);
	} else {
		/* The null address or a whole address; a local part alone is no domain. */
		if (k->key[0].sort != MW_SORT_DOMAIN)
			earlier(h, k->key[0].p, k->key[0].n, k->key[0].sort, &best);
		if (k->domain.n > 0)
			earlier_domains(h, k, &best);
		earlier(h, ".", 1, MW_SORT_DOTTED, &best);
	}
	if (best != NULL)
		answer(h, best, k, r);
	return best != NULL;
}
