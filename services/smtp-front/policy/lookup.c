#include "lookup.h"

#include <ctype.h>
#include <stdlib.h>

#define KEY_MAX 1024 /* octets of an address; longer ones match nothing but constants */

struct entry {
	char *key; /* lower case */
	bool value;
	struct entry *next; /* same bucket */
};

struct table {
	bool constant, constant_value;
	bool ordered; /* a list: the first entry that matches wins, not the most specific */
	size_t count;
	struct entry *entries;	/* in the order of the file */
	struct entry **buckets; /* a power of two of them */
	size_t mask;
};

struct lookup_maps {
	size_t count;
	struct table *tables;
};

static size_t hash_of(const char *s)
{
	size_t h = 1469598103934665603u;

	for (; *s != '\0'; s++)
		h = (h ^ (unsigned char)*s) * 1099511628211u;
	return h;
}

static bool truth(const struct mw_val *v)
{
	switch (v->tag) {
	case MW_V_BOOL:
		return v->b;
	case MW_V_NUM:
		return v->num != 0;
	case MW_V_STR:
		return v->str[0] != '\0' && strcmp(v->str, "0") != 0;
	default:
		return false;
	}
}

static bool add_entry(struct table *t, const char *key, bool value)
{
	struct entry *e = &t->entries[t->count];

	while (*key == '!' && t->ordered) {
		value = !value;
		key++;
	}
	e->key = strdup(key);
	if (e->key == NULL)
		return false;
	for (char *p = e->key; *p != '\0'; p++)
		*p = (char)tolower((unsigned char)*p);
	e->value = value;
	t->count++;
	return true;
}

/* Later entries with the same key never win: they are hashed behind the first. */
static bool hash_entries(struct table *t)
{
	size_t size = 8;

	while (size < t->count * 2)
		size *= 2;
	t->buckets = calloc(size, sizeof(struct entry *));
	t->mask = size - 1;
	if (t->buckets == NULL)
		return false;
	for (size_t i = 0; i < t->count; i++) {
		struct entry **p = &t->buckets[hash_of(t->entries[i].key) & t->mask];

		while (*p != NULL)
			p = &(*p)->next;
		*p = &t->entries[i];
	}
	return true;
}

static bool fill_table(struct table *t, const struct mw_val *v)
{
	if (v->tag != MW_V_TABLE) {
		t->constant = true;
		t->constant_value = truth(v);
		return true;
	}
	t->ordered = v->is_array;
	t->entries = calloc(v->count + 1, sizeof(*t->entries));
	if (t->entries == NULL)
		return false;
	for (size_t i = 0; i < v->count; i++) {
		bool ok = v->is_array
				  ? v->vals[i].tag != MW_V_STR || add_entry(t, v->vals[i].str, true)
				  : add_entry(t, v->keys[i], truth(&v->vals[i]));

		if (!ok)
			return false;
	}
	return hash_entries(t);
}

static bool fill_maps(struct lookup_maps *m, const struct mw_val *maps)
{
	bool list;

	if (maps->tag != MW_V_TABLE)
		return true;
	m->tables = calloc(maps->count + 1, sizeof(*m->tables));
	if (m->tables == NULL)
		return false;
	/* { ".example.org" } is one list, what stands beside its strings a table each, as in { 1 }
	 * or { {...}, false }. */
	list = maps->count > 0 && maps->is_array && maps->vals[0].tag == MW_V_STR;
	if (list && !fill_table(&m->tables[m->count++], maps))
		return false;
	for (size_t i = 0; i < maps->count; i++)
		if ((!list || maps->vals[i].tag != MW_V_STR) &&
			!fill_table(&m->tables[m->count++], &maps->vals[i]))
			return false;
	return true;
}

struct lookup_maps *lookup_maps_new(const struct mw_val *maps)
{
	struct lookup_maps *m = calloc(1, sizeof(*m));

	if (m != NULL && !fill_maps(m, maps))
		lookup_maps_destroy(&m);
	return m;
}

void lookup_maps_destroy(struct lookup_maps **m_p)
{
	struct lookup_maps *m = *m_p;

	*m_p = NULL;
	if (m == NULL)
		return;
	for (size_t i = 0; i < m->count; i++) {
		for (size_t e = 0; e < m->tables[i].count; e++)
			free(m->tables[i].entries[e].key);
		free(m->tables[i].entries);
		free(m->tables[i].buckets);
	}
	free(m->tables);
	free(m);
}

bool lookup_maps_empty(const struct lookup_maps *m)
{
	return m->count == 0;
}

static const struct entry *find(const struct table *t, const char *key)
{
	const struct entry *e = t->buckets[hash_of(key) & t->mask];

	while (e != NULL && strcmp(e->key, key) != 0)
		e = e->next;
	return e;
}

/* Walks the keys of an address from the most special to ".": each is tried; in a list the entry
 * that stands first wins. */
static const struct entry *match(const struct table *t, const char *address)
{
	const struct entry *best = NULL, *e;
	const char *at = strrchr(address, '@');
	char dotted[KEY_MAX + 2] = ".";
	const char *domain = at != NULL ? at + 1 : "";
	const char *keys[3] = { address, domain, dotted };

	mw_strlcpy(dotted + 1, domain, sizeof(dotted) - 1);
	for (size_t i = 0; i < 3; i++)
		if ((e = find(t, keys[i])) != NULL && (best == NULL || (t->ordered && e < best)))
			best = e;
	for (const char *p = strchr(dotted + 1, '.'); p != NULL; p = strchr(p + 1, '.'))
		if ((e = find(t, p)) != NULL && (best == NULL || (t->ordered && e < best)))
			best = e;
	if ((e = find(t, ".")) != NULL && (best == NULL || (t->ordered && e < best)))
		best = e;
	return best;
}

bool lookup_maps_bool(const struct lookup_maps *m, const char *address, bool dflt)
{
	char key[KEY_MAX + 1];
	size_t n = 0;

	for (; n < KEY_MAX && address[n] != '\0'; n++)
		key[n] = (char)tolower((unsigned char)address[n]);
	key[n] = '\0';
	for (size_t i = 0; i < m->count; i++) {
		const struct table *t = &m->tables[i];
		const struct entry *e;

		if (t->constant)
			return t->constant_value;
		e = address[n] == '\0' ? match(t, key) : NULL;
		if (e != NULL)
			return e->value;
	}
	return dflt;
}
