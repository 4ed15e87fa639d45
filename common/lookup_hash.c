/*
 * Keys to values by open addressing. Slots are eight octets, so that a key that is not there costs
 * one line of cache; what a slot points to is one piece of memory with value and key, so that one
 * that is there costs two. Records lie in the order in which they were added, which makes the same
 * structure a list whose first match wins.
 */
#include <stdlib.h>
#include <sys/mman.h>

#include "lookup_priv.h"

#define UNIT 8			     /* octets that a slot counts in */
#define HUGE_FROM (4u * 1024 * 1024) /* octets of a block that huge pages are asked for */
#define HUGE_PAGE (2u * 1024 * 1024)

struct slot {
	uint32_t hash; /* 0: free */
	uint32_t at;   /* of the record, in units */
};

struct record {
	struct mw_cell cell;
	uint32_t n;
	char key[]; /* and a NUL */
};

struct mw_hash {
	struct slot *slots; /* a power of two, at most half of them in use */
	size_t mask, count;
	unsigned char *records;
	size_t used, cap;	     /* octets of them, in whole units */
	struct mw_pool pool;	     /* texts of values */
	unsigned sorts;		     /* bits of enum mw_key_sort that are there */
	size_t longest[MW_SORT_ALL]; /* key of each sort */
};

/* A lookup in a large table meets a page that the processor has no translation for, unless pages
 * are huge. Pages that were not touched yet become so; the rest is nobody's loss. */
static void prefer_huge(void *p, size_t n)
{
	uintptr_t begin = ((uintptr_t)p + HUGE_PAGE - 1) & ~(uintptr_t)(HUGE_PAGE - 1);
	uintptr_t end = ((uintptr_t)p + n) & ~(uintptr_t)(HUGE_PAGE - 1);

	if (n >= HUGE_FROM && end > begin)
		(void)madvise((void *)begin, end - begin, MADV_HUGEPAGE);
}

static struct slot *new_slots(size_t count)
{
	struct slot *slots = calloc(count, sizeof(*slots));

	if (slots != NULL)
		prefer_huge(slots, count * sizeof(*slots));
	return slots;
}

struct mw_hash *mw_hash_new(void)
{
	struct mw_hash *h = calloc(1, sizeof(*h));

	if (h == NULL)
		return NULL;
	h->mask = 7;
	h->slots = new_slots(h->mask + 1);
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
	free(h->records);
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

static struct record *record_at(const struct mw_hash *h, uint32_t at)
{
	return (struct record *)(void *)(h->records + (size_t)at * UNIT);
}

/* The slot of that key, or the free one where it would be. */
static struct slot *slot_of(const struct mw_hash *h, const char *key, size_t n, uint32_t hash)
{
	size_t i = hash & h->mask;

	for (; h->slots[i].hash != 0; i = (i + 1) & h->mask) {
		const struct record *r;

		if (h->slots[i].hash != hash)
			continue;
		r = record_at(h, h->slots[i].at);
		if (r->n == n && memcmp(r->key, key, n) == 0)
			break;
	}
	return &h->slots[i];
}

static bool grow_slots(struct mw_hash *h)
{
	size_t mask = h->mask * 2 + 1;
	struct slot *slots = new_slots(mask + 1);

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

static struct record *new_record(struct mw_hash *h, size_t octets)
{
	size_t cap = h->cap;
	struct record *r;

	while (cap < h->used + octets)
		cap = cap * 2 + 1024;
	if (cap > h->cap) {
		unsigned char *records = realloc(h->records, cap);

		if (records == NULL)
			return NULL;
		prefer_huge(records, cap);
		h->records = records;
		h->cap = cap;
	}
	r = (struct record *)(void *)(h->records + h->used);
	h->used += octets;
	return r;
}

static size_t record_octets(size_t n)
{
	return (offsetof(struct record, key) + n + 1 + UNIT - 1) / UNIT * UNIT;
}

bool mw_hash_add(struct mw_hash *h, const char *key, size_t n, enum mw_key_sort sort,
	const struct mw_cell *c, bool first_wins)
{
	size_t octets = record_octets(n);
	uint32_t hash = mw_key_hash(key, n);
	struct slot *slot;
	struct record *r;

	if ((h->count + 1) * 2 > h->mask + 1 && !grow_slots(h))
		return false;
	/* Also for a key that is there: "." in quotes is a local part, and without them a domain.
	 */
	h->sorts |= MW_BIT(sort);
	if (n > h->longest[sort])
		h->longest[sort] = n;
	slot = slot_of(h, key, n, hash);
	if (slot->hash != 0) {
		if (!first_wins)
			record_at(h, slot->at)->cell = *c;
		return true;
	}
	if (h->used / UNIT >= UINT32_MAX || (r = new_record(h, octets)) == NULL)
		return false;
	r->cell = *c;
	r->n = (uint32_t)n;
	memcpy(r->key, key, n);
	r->key[n] = '\0';
	*slot = (struct slot){ hash, (uint32_t)((h->used - octets) / UNIT) };
	h->count++;
	return true;
}

bool mw_hash_each(const struct mw_hash *h,
	bool (*each)(void *arg, const char *key, const struct mw_cell *c), void *arg)
{
	bool more = true;

	for (size_t at = 0; at < h->used && more;) {
		const struct record *r = record_at(h, (uint32_t)(at / UNIT));

		more = each(arg, r->key, &r->cell);
		at += record_octets(r->n);
	}
	return more;
}

/* ------------------------------------------------------------------ asking */

/* A key of k as it is looked for: with what all of them have behind. */
struct wanted {
	const char *p;
	size_t n;
	enum mw_key_sort sort;
	char whole[MW_KEYS_TEXT_MAX];
};

/* False: h has no such key for sure. */
static bool want(const struct mw_hash *h, const struct mw_keys *k, const char *p, size_t n,
	enum mw_key_sort sort, struct wanted *w_r)
{
	if (k->suffix.n > 0)
		sort += MW_SORT_SIGNED;
	if ((h->sorts & MW_BIT(sort)) == 0 || n + k->suffix.n > h->longest[sort])
		return false;
	w_r->p = p;
	w_r->n = n + k->suffix.n;
	if (k->suffix.n > 0) {
		memcpy(w_r->whole, p, n);
		memcpy(w_r->whole + n, k->suffix.p, k->suffix.n);
		w_r->p = w_r->whole;
	}
	return true;
}

static const struct record *find(const struct mw_hash *h, const char *key, size_t n, uint32_t hash)
{
	const struct slot *slot = slot_of(h, key, n, hash);

	return slot->hash != 0 ? record_at(h, slot->at) : NULL;
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

static void answer(const struct mw_hash *h, const struct record *e, const struct mw_keys *k,
	struct mw_lookup_result *r)
{
	r->key = e->key;
	mw_cell_read(&e->cell, &h->pool, part, k, r);
}

bool mw_hash_find(
	const struct mw_hash *h, struct mw_keys *k, size_t *at, struct mw_lookup_result *r)
{
	while (!k->too_long && *at < k->count) {
		struct mw_key *key = &k->key[(*at)++];
		const struct record *e;
		struct wanted w;

		if (!want(h, k, key->p, key->n, key->sort, &w))
			continue;
		if (key->hash == 0)
			key->hash = mw_key_hash(w.p, w.n);
		e = find(h, w.p, w.n, key->hash);
		if (e != NULL) {
			answer(h, e, k, r);
			return true;
		}
	}
	return false;
}

static void earlier(const struct mw_hash *h, const struct mw_keys *k, const char *key, size_t n,
	enum mw_key_sort sort, const struct record **best)
{
	const struct record *e;
	struct wanted w;

	if (!want(h, k, key, n, sort, &w))
		return;
	e = find(h, w.p, w.n, mw_key_hash(w.p, w.n));
	if (e != NULL && (*best == NULL || e < *best))
		*best = e;
}

/* What is longer than the longest entry is passed over, so that a domain of five hundred labels
 * costs what a common one does. */
static void earlier_domains(
	const struct mw_hash *h, const struct mw_keys *k, const struct record **best)
{
	const char *p = k->dotted, *end = p + 1 + k->domain.n;
	enum mw_key_sort sort = MW_SORT_DOTTED + (k->suffix.n > 0 ? MW_SORT_SIGNED : 0);
	size_t longest = h->longest[sort];

	earlier(h, k, p + 1, k->domain.n, MW_SORT_DOMAIN, best);
	if ((h->sorts & MW_BIT(sort)) == 0 || longest <= k->suffix.n ||
		memchr(p + 1, '[', k->domain.n) != NULL)
		return;
	longest -= k->suffix.n;
	if ((size_t)(end - p) > longest)
		p = memchr(end - longest, '.', longest);
	for (; p != NULL; p = memchr(p + 1, '.', (size_t)(end - p) - 1))
		earlier(h, k, p, (size_t)(end - p), MW_SORT_DOTTED, best);
}

bool mw_hash_first(const struct mw_hash *h, struct mw_keys *k, enum mw_lookup_key type,
	struct mw_lookup_result *r)
{
	const struct record *best = NULL;

	if (k->too_long)
		return false;
	if (type == MW_KEY_TEXT) {
		earlier(h, k, k->key[0].p, k->key[0].n, k->key[0].sort, &best);
	} else {
		/* The null address or a whole address; a local part alone is no domain. */
		if (k->key[0].sort != MW_SORT_DOMAIN)
			earlier(h, k, k->key[0].p, k->key[0].n, k->key[0].sort, &best);
		if (k->domain.n > 0)
			earlier_domains(h, k, &best);
		earlier(h, k, ".", 1, MW_SORT_DOTTED, &best);
	}
	if (best != NULL)
		answer(h, best, k, r);
	return best != NULL;
}
