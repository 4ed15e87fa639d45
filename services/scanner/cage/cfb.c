#include "cfb.h"

#include <stdlib.h>

#define HEADER 512
#define ENTRY 128	/* octets of a directory's entry */
#define HEADER_FATS 109 /* sectors of the FAT that the header names itself */
#define CHAIN_END 0xfffffffe
#define PATH_LEVELS 64 /* of a path that is told */
#define NAME_MAX_OCTETS 64

static const char *const signature = "\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1";

/* ------------------------------------------------------------------ sectors and chains */

/* The octets of a sector; fewer at the file's end. */
static struct mw_octets sector(const struct cfb_space *s, uint32_t n)
{
	return n < s->count ? doc_range(s->octets, s->first + ((size_t)n << s->shift),
				      (size_t)1 << s->shift)
			    : mw_octets_of(NULL, 0);
}

static struct cfb_space space_of(struct mw_octets octets, size_t first, unsigned shift)
{
	struct cfb_space s = { octets, first, shift, 0 };
	size_t n = octets.n > first ? octets.n - first : 0;

	s.count = (uint32_t)((n + ((size_t)1 << shift) - 1) >> shift);
	return s;
}

/* What the FAT says comes behind sector n. */
static uint32_t fat_next(const struct cfb *c, uint32_t n)
{
	unsigned per = c->large.shift - 2; /* numbers in a sector, as a power of two */
	size_t at = (size_t)(n & ((1u << per) - 1)) * 4;
	struct mw_octets fat;

	if (n >> per >= c->fat_count)
		return CFB_NONE;
	fat = sector(&c->large, c->fat[n >> per]);
	return at + 4 <= fat.n ? doc_u32(fat, at) : CFB_NONE;
}

static uint32_t mini_next(const struct cfb *c, uint32_t n)
{
	return (size_t)n * 4 + 4 <= c->minifat.n ? doc_u32(c->minifat, (size_t)n * 4) : CFB_NONE;
}

/* A chain as far as it goes. */
struct run {
	size_t octets;
	bool in_a_row; /* the sectors follow each other in the file */
	bool ended;    /* by its own mark, or because all that is wanted is there */
};

static struct run follow(const struct cfb *c, const struct cfb_space *s, uint32_t start,
	uint64_t want, struct doc_buf *copy)
{
	struct run r = { 0, true, false };
	uint32_t n = start, steps = 0, next;

	while (r.octets < want && n < s->count && steps++ < s->count) {
		struct mw_octets o = sector(s, n);
		size_t take = o.n < want - r.octets ? o.n : (size_t)(want - r.octets);

		if (copy != NULL) {
			memcpy(copy->p + copy->n, o.p, take);
			copy->n += take;
		}
		r.octets += take;
		next = s == &c->mini ? mini_next(c, n) : fat_next(c, n);
		r.in_a_row = r.in_a_row && (next == n + 1 || r.octets >= want || next >= s->count);
		n = next;
	}
	r.ended = r.octets >= want || n == CHAIN_END;
	return r;
}

static enum container_end chain(struct cfb *c, const struct cfb_space *s, uint32_t start,
	uint64_t want, struct doc_buf *buf, struct mw_octets *octets_r)
{
	struct run r = follow(c, s, start, want, NULL);
	enum container_end end;

	*octets_r = mw_octets_of(NULL, 0);
	if (r.octets != 0 && r.in_a_row) {
		if (!budget_octets(c->budget, r.octets))
			return CONTAINER_CUT;
		*octets_r = doc_range(s->octets, s->first + ((size_t)start << s->shift), r.octets);
	} else if (r.octets != 0) {
		buf->n = 0;
		end = doc_room(c->budget, buf, r.octets);
		if (end != CONTAINER_WHOLE)
			return end;
		follow(c, s, start, r.octets, buf);
		*octets_r = doc_octets(buf);
	}
	return r.ended ? CONTAINER_WHOLE : CONTAINER_BROKEN;
}

/* ------------------------------------------------------------------ the FAT */

/* Sectors of the FAT: the first stand in the header, the others in a chain of sectors, whose last
 * number names the next one. */
static void read_fat(struct cfb *c, struct mw_octets file)
{
	uint32_t at = doc_u32(file, 68), steps = 0;
	uint32_t per = (1u << (c->large.shift - 2)) - 1;

	for (uint32_t i = 0; i < HEADER_FATS && c->fat_count < c->large.count; i++)
		if (doc_u32(file, 76 + (size_t)i * 4) < c->large.count)
			c->fat[c->fat_count++] = doc_u32(file, 76 + (size_t)i * 4);
	while (at < c->large.count && steps++ < c->large.count) {
		struct mw_octets o = sector(&c->large, at);

		for (uint32_t i = 0; i < per && c->fat_count < c->large.count; i++)
			if (o.n >= ((size_t)i + 1) * 4 &&
				doc_u32(o, (size_t)i * 4) < c->large.count)
				c->fat[c->fat_count++] = doc_u32(o, (size_t)i * 4);
		at = doc_u32(o, (size_t)per * 4);
	}
}

static enum container_end open_spaces(struct cfb *c, struct mw_octets file)
{
	unsigned shift = doc_u16(file, 30), mini_shift = doc_u16(file, 32);

	if (file.n < HEADER || shift < 7 || shift > 16 || mini_shift < 2 || mini_shift > shift)
		return CONTAINER_BROKEN;
	/* Sector 0 is the one behind the header's. */
	c->large = space_of(file, (size_t)1 << shift < HEADER ? HEADER : (size_t)1 << shift, shift);
	c->mini.shift = mini_shift;
	c->cutoff = doc_u32(file, 56);
	if (c->large.count == 0)
		return CONTAINER_BROKEN;
	if (!budget_octets(c->budget, (uint64_t)c->large.count * sizeof(*c->fat)))
		return CONTAINER_CUT;
	c->fat = malloc((size_t)c->large.count * sizeof(*c->fat));
	if (c->fat == NULL)
		return CONTAINER_NO_MEMORY;
	read_fat(c, file);
	return CONTAINER_WHOLE;
}

/* ------------------------------------------------------------------ the directory */

static struct mw_octets entry_at(const struct cfb *c, uint32_t entry)
{
	return doc_range(c->directory, (size_t)entry * ENTRY, ENTRY);
}

struct queue {
	uint32_t *p;
	uint32_t head, tail;
};

/* An entry gets its parent once: a tree that leads back to itself ends. */
static void enter(struct cfb *c, struct queue *q, uint32_t entry, uint32_t parent)
{
	if (entry == 0 || entry >= c->entries || c->parents[entry] != CFB_NONE) {
		c->broken = c->broken || entry != CFB_NONE;
		return;
	}
	c->parents[entry] = parent;
	q->p[q->tail++] = entry;
}

static enum container_end walk_tree(struct cfb *c)
{
	struct queue q = { NULL, 0, 0 };
	size_t size = (size_t)c->entries * sizeof(uint32_t);

	if (!budget_octets(c->budget, 2 * (uint64_t)size))
		return CONTAINER_CUT;
	c->parents = malloc(size);
	q.p = malloc(size);
	if (c->parents == NULL || q.p == NULL) {
		free(q.p);
		return CONTAINER_NO_MEMORY;
	}
	memset(c->parents, 0xff, size);
	enter(c, &q, doc_u32(entry_at(c, 0), 76), 0);
	while (q.head < q.tail) {
		uint32_t entry = q.p[q.head++], parent = c->parents[entry];
		struct mw_octets o = entry_at(c, entry);

		enter(c, &q, doc_u32(o, 68), parent); /* siblings */
		enter(c, &q, doc_u32(o, 72), parent);
		if (cfb_kind(c, entry) != CFB_STREAM)
			enter(c, &q, doc_u32(o, 76), entry);
	}
	free(q.p);
	return CONTAINER_WHOLE;
}

static uint64_t stream_size(const struct cfb *c, struct mw_octets entry)
{
	/* With sectors of 512 octets the upper half may be anything ([MS-CFB] 2.6.1). */
	return doc_u32(entry, 120) | (c->large.shift > 9 ? (uint64_t)doc_u32(entry, 124) << 32 : 0);
}

static enum container_end open_directory(struct cfb *c, struct mw_octets file)
{
	struct mw_octets root, mini;
	enum container_end end, worst;

	worst = chain(
		c, &c->large, doc_u32(file, 48), UINT64_MAX, &c->directory_buf, &c->directory);
	if (doc_stops(worst))
		return worst;
	c->entries = (uint32_t)(c->directory.n / ENTRY);
	if (c->entries == 0)
		return CONTAINER_BROKEN;
	root = entry_at(c, 0);
	end = chain(c, &c->large, doc_u32(file, 60), UINT64_MAX, &c->minifat_buf, &c->minifat);
	worst = doc_worse(worst, c->minifat.n != 0 ? end : CONTAINER_WHOLE);
	if (doc_stops(end))
		return end;
	if (stream_size(c, root) != 0) {
		end = chain(c, &c->large, doc_u32(root, 116), stream_size(c, root), &c->mini_buf,
			&mini);
		worst = doc_worse(worst, end);
		if (doc_stops(end))
			return end;
		c->mini = space_of(mini, 0, c->mini.shift);
	}
	c->broken = worst == CONTAINER_BROKEN;
	return walk_tree(c);
}

enum container_end cfb_open(struct cfb *c, struct mw_octets file, struct budget *budget)
{
	enum container_end end;

	*c = (struct cfb){ .budget = budget };
	if (!doc_starts(file, signature, 8))
		return CONTAINER_BROKEN;
	end = open_spaces(c, file);
	return end == CONTAINER_WHOLE ? open_directory(c, file) : end;
}

void cfb_close(struct cfb *c)
{
	free(c->fat);
	free(c->parents);
	doc_free(&c->directory_buf);
	doc_free(&c->minifat_buf);
	doc_free(&c->mini_buf);
}

enum cfb_kind cfb_kind(const struct cfb *c, uint32_t entry)
{
	return (enum cfb_kind)doc_u8(entry_at(c, entry), 66);
}

enum container_end cfb_stream(
	struct cfb *c, uint32_t entry, struct doc_buf *buf, struct mw_octets *octets_r)
{
	struct mw_octets o = entry_at(c, entry);
	uint64_t size = stream_size(c, o);

	return chain(
		c, size < c->cutoff ? &c->mini : &c->large, doc_u32(o, 116), size, buf, octets_r);
}

/* ------------------------------------------------------------------ names */

struct mw_octets cfb_name16(const struct cfb *c, uint32_t entry)
{
	struct mw_octets o = entry_at(c, entry);
	size_t n = doc_u16(o, 64);

	return doc_range(o, 0, n < NAME_MAX_OCTETS ? n : NAME_MAX_OCTETS);
}

/* Windows Installer packs two characters of a stream's name into one, out of this set. */
static unsigned unpack_msi(unsigned unit, unsigned char out[4])
{
	static const char set[] =
		"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz._";
	unsigned n = 0;

	if (unit == 0x4840) { /* the name of a table */
		out[n++] = '!';
		out[n++] = 0;
		return n;
	}
	if (unit < 0x3800 || unit >= 0x4840) {
		out[n++] = (unsigned char)unit;
		out[n++] = (unsigned char)(unit >> 8);
		return n;
	}
	unit -= 0x3800;
	out[n++] = (unsigned char)set[unit & 0x3f];
	out[n++] = 0;
	if (unit < 0x1000) {
		out[n++] = (unsigned char)set[unit >> 6 & 0x3f];
		out[n++] = 0;
	}
	return n;
}

void cfb_name(const struct cfb *c, uint32_t entry, char buf[CONTAINER_NAME_MAX])
{
	struct mw_octets o = cfb_name16(c, entry);
	unsigned char plain[NAME_MAX_OCTETS * 2];
	size_t n = 0;

	for (size_t at = 0; at + 2 <= o.n; at += 2)
		n += unpack_msi(doc_u16(o, at), plain + n);
	doc_name16(buf, mw_octets_of(plain, n));
}

bool cfb_is_named(const struct cfb *c, uint32_t entry, const char *name)
{
	struct mw_octets o = cfb_name16(c, entry);
	char ascii[NAME_MAX_OCTETS / 2 + 1];
	size_t n = 0;

	for (; n < o.n / 2 && doc_u16(o, 2 * n) != 0; n++) {
		if (doc_u16(o, 2 * n) > 0x7f)
			return false;
		ascii[n] = (char)doc_u16(o, 2 * n);
	}
	ascii[n] = '\0';
	return mw_ieq(ascii, name);
}

void cfb_path(const struct cfb *c, uint32_t entry, char buf[CONTAINER_NAME_MAX])
{
	char name[CONTAINER_NAME_MAX];
	size_t at = CONTAINER_NAME_MAX - 1, n; /* it is built from its end */

	buf[at] = '\0';
	for (unsigned level = 0; level < PATH_LEVELS && entry != 0 && entry != CFB_NONE; level++) {
		cfb_name(c, entry, name);
		n = strlen(name);
		if (n + 1 > at)
			break;
		if (level != 0)
			buf[--at] = '/';
		at -= n;
		memcpy(buf + at, name, n);
		entry = c->parents[entry];
	}
	memmove(buf, buf + at, CONTAINER_NAME_MAX - at);
}
