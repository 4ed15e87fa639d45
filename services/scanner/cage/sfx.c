#include <limits.h>
#include <stdlib.h>

#include "arj.h"
#include "doc.h"
#include "ends.h"
#include "inflate.h"
#include "lzop.h"
#include "rar_blocks.h"
#include "sfx.h"
#include "unpack.h"
#include "zip.h"
#include "zip_head.h"

/*
 * WinRAR and 7-Zip look for their archives behind some megabytes of whatever stands before them;
 * in a program it may stand anywhere (IExpress keeps its cabinet among the resources).
 */
#define WITHIN ((size_t)8 << 20)
#define EVERYTHING SIZE_MAX	  /* of all kinds, and wherever it stands */
#define INSIDE_MAX 1024		  /* that are looked at in one that is */
#define COMPARED_MOST (64u << 20) /* octets, beside twice those of the archive: some 20 ms */
#define PAIR_COSTS 64		  /* octets, for every two that are compared */
#define BLOCKS_MOST 200000	  /* of RARs that are looked at in one: some 10 ms */
#define SUMS_MOST (16u << 20)	  /* octets whose check sums one search counts: some 10 ms */

/* ------------------------------------------------------------------ is it one? */

/* The check sum of a header is the one it says. left_p: octets that may still be counted; behind
 * that everything is taken for an archive, and what reads it finds out. */
static bool sum_fits(struct mw_octets o, uint32_t sum, uint32_t mask, size_t *left_p)
{
	if (o.n > *left_p) {
		*left_p = 0;
		return true;
	}
	*left_p -= o.n;
	return (inflate_crc32(o) & mask) == sum;
}

static bool is_7z(struct mw_octets o, size_t *left_p)
{
	return o.n > 32 && sum_fits(doc_range(o, 12, 20), doc_u32(o, 8), UINT32_MAX, left_p);
}

#define RAR_N 7 /* octets of the magic number of RAR 4, of RAR 5 one more */
#define RAR_SIZE_MOST 3
#define RAR_MAIN4 0x73
#define RAR_MAIN4_N 13

/* CRC-16 of a block's header, the low half of zip's. A main block may have its comment in it, of
 * which there is another one. */
static bool is_rar(struct mw_octets o, size_t *left_p)
{
	struct mw_octets block = doc_from(o, RAR_N);
	size_t size = doc_u16(block, 5);
	uint32_t sum = doc_u16(block, 0);

	if (size < 7 || size > block.n)
		return false;
	if (sum_fits(doc_range(block, 2, size - 2), sum, UINT16_MAX, left_p))
		return true;
	return doc_u8(block, 2) == RAR_MAIN4 && size > RAR_MAIN4_N &&
	       sum_fits(doc_range(block, 2, RAR_MAIN4_N - 2), sum, UINT16_MAX, left_p);
}

/* Any first block will do: unrar goes on to the main one. */
static bool is_rar5(struct mw_octets o, size_t *left_p)
{
	struct mw_octets block = doc_from(o, RAR_N + 1), sized = doc_from(block, 4), rest = sized;
	uint64_t size;

	if (!rar5_number(&rest, &size) || sized.n - rest.n > RAR_SIZE_MOST || size == 0 ||
		size > rest.n)
		return false;
	return sum_fits(doc_range(sized, 0, sized.n - rest.n + (size_t)size), doc_u32(block, 0),
		UINT32_MAX, left_p);
}

/* [MS-CAB] section 2.1, CFHEADER: version 1.3, no longer than what is there. */
static bool is_cab(struct mw_octets o, size_t *left_p)
{
	(void)left_p;
	return o.n >= 36 && doc_u32(o, 8) <= o.n && doc_u32(o, 8) >= 36 && o.p[24] == 3 &&
	       o.p[25] == 1;
}

/* Of what says itself how long it is. */
static struct rar_extent extent(size_t n)
{
	return (struct rar_extent){ n, n < 256 ? n : 256 };
}

static struct rar_extent extent_of_cab(struct mw_octets o, size_t *left_p)
{
	(void)left_p;
	return extent(doc_u32(o, 8));
}

static struct rar_extent extent_of_7z(struct mw_octets o, size_t *left_p)
{
	(void)left_p;
	return extent(end_of_7z(o));
}

/* The octet that is looked for is one that text does not have: then text costs next to nothing. */
static const struct hidden {
	const char *magic;
	size_t n, rare; /* rare: which octet of it */
	bool (*is)(struct mw_octets from_here, size_t *left_p);
	struct rar_extent (*extent)(struct mw_octets from_here, size_t *left_p);
	bool in_programs; /* it is looked for in programs alone */
} hidden[] = {
	{ "Rar!\x1a\x07\0", 7, 4, is_rar, rar_extent_of, false },
	{ "Rar!\x1a\x07\x01\0", 8, 4, is_rar5, rar_extent_of, false },
	{ "7z\xbc\xaf\x27\x1c", 6, 2, is_7z, extent_of_7z, false },
	{ "MSCF\0\0\0\0", 8, 3, is_cab, extent_of_cab, true },
};

/* ------------------------------------------------------------------ where they are */

/* A walk from one to the next. */
struct search {
	struct mw_octets o;
	size_t to;		       /* none begins behind that */
	size_t next[MW_COUNT(hidden)]; /* of each kind; SIZE_MAX: no more */
	size_t left;		       /* octets whose check sums are still counted */
};

/* The next place of that kind, from there on. */
static size_t find(struct search *s, const struct hidden *h, size_t from)
{
	struct mw_octets o = s->o;
	size_t at = from + h->rare;

	while (at < s->to) {
		const unsigned char *p = memchr(o.p + at, h->magic[h->rare], s->to - at);
		size_t start;

		if (p == NULL)
			return SIZE_MAX;
		start = (size_t)(p - o.p) - h->rare;
		if (h->n <= o.n - start && memcmp(o.p + start, h->magic, h->n) == 0 &&
			h->is(mw_octets_of(o.p + start, o.n - start), &s->left))
			return start;
		at = start + h->rare + 1;
	}
	return SIZE_MAX;
}

static bool is_program(struct mw_octets o)
{
	return o.n > 64 && (memcmp(o.p, "MZ", 2) == 0 || memcmp(o.p,
								 "\x7f"
								 "ELF",
								 4) == 0);
}

static void search_begin(struct search *s, struct mw_octets o, size_t from, size_t within)
{
	bool program = is_program(o) || within == EVERYTHING;

	s->o = o;
	s->to = program || within > o.n ? o.n : within;
	s->left = SUMS_MOST;
	for (size_t i = 0; i < MW_COUNT(hidden); i++)
		s->next[i] =
			hidden[i].in_programs && !program ? SIZE_MAX : find(s, &hidden[i], from);
}

/* The next one of any kind. False: there is no more. */
static bool search_next(struct search *s, size_t *at_r, const struct hidden **kind_r)
{
	size_t first = 0;

	for (size_t i = 1; i < MW_COUNT(hidden); i++)
		if (s->next[i] < s->next[first])
			first = i;
	*at_r = s->next[first];
	*kind_r = &hidden[first];
	if (*at_r == SIZE_MAX)
		return false;
	s->next[first] = find(s, *kind_r, *at_r + 1);
	return true;
}

/* ------------------------------------------------------------------ inside an archive */

/*
 * What is an archive itself may hold others as they stand: they are given out by its own reader.
 * What stands between its members, in its comments or headers, is not; a program that looks for its
 * own kind of archive shows that.
 */
struct found {
	size_t at;
	struct rar_extent extent;
	size_t same; /* octets of it that a member has, from its first one on */
};

struct inside {
	const struct container_job *job;
	struct found *all;
	size_t count;
	uint64_t left; /* octets that may still be compared; then none is like another */
};

static size_t common(const unsigned char *a, const unsigned char *b, size_t n)
{
	size_t i = 0;

	while (n - i >= 64 && memcmp(a + i, b + i, 64) == 0)
		i += 64;
	while (i < n && a[i] == b[i])
		i++;
	return i;
}

/* A member has an archive from there on: is it one that was found? */
static void take_same(struct inside *in, struct mw_octets o)
{
	const unsigned char *all = in->job->octets.p;

	for (size_t i = 0; i < in->count; i++) {
		struct found *f = &in->all[i];
		size_t n = f->extent.n < o.n ? f->extent.n : o.n;

		if (f->same >= n)
			continue;
		if (in->left < n + PAIR_COSTS)
			return;
		n = common(all + f->at, o.p, n);
		in->left -= n + PAIR_COSTS;
		f->same = n > f->same ? n : f->same;
	}
}

static void take_range(struct inside *in, size_t from, size_t to)
{
	for (size_t i = 0; i < in->count; i++) {
		struct found *f = &in->all[i];

		if (f->at >= from && f->at < to && f->same < f->extent.n)
			f->same = f->extent.n < to - f->at ? f->extent.n : to - f->at;
	}
}

static bool inside_got(void *arg, const struct container_member *m)
{
	struct inside *in = arg;
	struct mw_octets all = in->job->octets;
	uintptr_t first = (uintptr_t)all.p, here = (uintptr_t)m->octets.p;
	const struct hidden *kind;
	struct search s;
	size_t at;

	if (m->octets.n == 0)
		return true;
	if (here >= first && here - first < all.n) {
		take_range(in, here - first, here - first + m->octets.n);
		return budget_time(in->job->budget);
	}
	search_begin(&s, m->octets, 0, EVERYTHING);
	while (search_next(&s, &at, &kind) && budget_time(in->job->budget))
		take_same(in, doc_from(m->octets, at));
	return budget_time(in->job->budget);
}

static const struct container *const archives[] = { &container_libarchive, &container_zip,
	&container_lzop, &container_arj };

/* From its first octet on: what is something else may be searched by its reader, too, as documents
 * are, and has an archive behind it in good faith, as programs have. */
static bool is_archive(struct mw_octets o)
{
	return container_libarchive.knows(o) || container_lzop.knows(o) || container_arj.knows(o) ||
	       (doc_starts(o, "PK", 2) && zip_knows(o));
}

/* Its readers go over it once more, on nobody's account but the time's. */
static enum container_end read_again(struct inside *in)
{
	struct budget own = *in->job->budget;
	struct container_job again = { .octets = in->job->octets,
		.name = in->job->name,
		.budget = &own,
		.got = inside_got,
		.arg = in };

	if (own.met != 0)
		return CONTAINER_CUT;	/* they have not seen all of it */
	take_same(in, in->job->octets); /* a recovery record may have its beginning once more */
	own.files = UINT_MAX;
	own.octets = UINT64_MAX / 2;
	for (size_t i = 0; i < MW_COUNT(archives); i++)
		if (archives[i]->knows(again.octets) &&
			archives[i]->open(&again) == CONTAINER_NO_MEMORY)
			return CONTAINER_NO_MEMORY;
	in->job->budget->met |= own.met;
	return own.met != 0 ? CONTAINER_CUT : CONTAINER_WHOLE;
}

/*
 * A member begins alike and goes on otherwise: what cannot be compressed stands as it is in gzip
 * and its like, with a few octets in between from time to time. Then it is damaged where it stands,
 * and the member is not. What can be read of it all the same is looked into.
 */
struct damaged {
	const struct container_job *job;
	bool gave;
};

static bool damaged_got(void *arg, const struct container_member *m)
{
	struct damaged *d = arg;

	d->gave = true;
	return m->broken || d->job->got(d->job->arg, m);
}

static void is_ambiguous(const struct container_job *job)
{
	if (job->ambiguous_r != NULL)
		*job->ambiguous_r = true;
}

static enum container_end open_damaged(const struct container_job *job, struct mw_octets o)
{
	struct damaged d = { .job = job };
	struct container_job one = { .octets = o,
		.name = "",
		.budget = job->budget,
		.passwords = job->passwords,
		.got = damaged_got,
		.arg = &d };
	enum container_end end = container_libarchive.open(&one);

	if (end == CONTAINER_WHOLE && d.gave)
		is_ambiguous(job); /* it is not damaged at all */
	return doc_stops(end) ? end : CONTAINER_WHOLE;
}

static enum container_end give_found(
	const struct container_job *job, const struct found *f, size_t *behind_p)
{
	struct container_member m = { .name = "",
		.octets = doc_range(job->octets, f->at, f->extent.n) };

	if (f->at < *behind_p)
		return CONTAINER_WHOLE; /* it is in one that was seen */
	if (f->same < f->extent.n && f->same >= f->extent.beginning)
		return open_damaged(job, m.octets);
	*behind_p = f->at + f->extent.n;
	if (f->same >= f->extent.n)
		return CONTAINER_WHOLE;
	is_ambiguous(job);
	return doc_give(job, &m);
}

static void find_inside(struct inside *in)
{
	struct mw_octets o = in->job->octets;
	size_t at, left = BLOCKS_MOST;
	const struct hidden *kind;
	struct search s;

	search_begin(&s, o, 1, WITHIN);
	while (in->count < INSIDE_MAX && search_next(&s, &at, &kind)) {
		in->all[in->count++] =
			(struct found){ at, kind->extent(doc_from(o, at), &left), 0 };
		if (!budget_time(in->job->budget))
			break;
	}
}

static enum container_end open_inside(const struct container_job *job)
{
	struct inside in = { .job = job,
		.all = calloc(INSIDE_MAX, sizeof(struct found)),
		.left = COMPARED_MOST + 2 * (uint64_t)job->octets.n };
	enum container_end end;
	size_t behind = 0;

	if (in.all == NULL)
		return CONTAINER_NO_MEMORY;
	find_inside(&in);
	end = read_again(&in);
	for (size_t i = 0; i < in.count && !doc_stops(end); i++)
		end = budget_time(job->budget) ? give_found(job, &in.all[i], &behind)
					       : CONTAINER_CUT;
	free(in.all);
	if (doc_stops(end) || in.count < INSIDE_MAX)
		return end;
	is_ambiguous(job); /* nobody keeps so many; there may be more */
	return CONTAINER_BROKEN;
}

/* ------------------------------------------------------------------ behind anything else */

static enum container_end open_behind(const struct container_job *job)
{
	struct mw_octets o = job->octets;
	size_t at, behind = 0, left = BLOCKS_MOST;
	const struct hidden *kind;
	struct search s;
	unsigned count = 0;

	search_begin(&s, o, 1, WITHIN);
	while (search_next(&s, &at, &kind)) {
		struct container_member m = { .name = "", .octets = doc_from(o, at) };
		size_t n;

		if (at < behind)
			continue;
		if (count++ == INSIDE_MAX) {
			is_ambiguous(job); /* nobody keeps so many; there may be more */
			return CONTAINER_BROKEN;
		}
		n = kind->extent(m.octets, &left).n;
		if (kind->in_programs)
			m.octets.n = n;
		if (!budget_time(job->budget) || doc_give(job, &m) != CONTAINER_WHOLE)
			return CONTAINER_CUT;
		/* The archive's own reader looks at its tail, but for what only programs have. */
		if (!kind->in_programs && !is_program(o))
			break;
		behind = at + n;
	}
	return CONTAINER_WHOLE;
}

/* ------------------------------------------------------------------ the row */

static bool knows(struct mw_octets o)
{
	const struct hidden *kind;
	struct search s;
	size_t at;

	if (o.n <= 64)
		return false;
	search_begin(&s, o, 1, WITHIN);
	return search_next(&s, &at, &kind);
}

static enum container_end open_any(const struct container_job *job)
{
	return is_archive(job->octets) ? open_inside(job) : open_behind(job);
}

const struct container container_sfx = { "behind", knows, open_any };
