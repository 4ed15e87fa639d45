#include <stdlib.h>

#include "cms.h"
#include "doc.h"
#include "sfx.h"
#include "unopened.h"
#include "unpack.h"
#include "zip.h"
#include "zip_walk.h"

#define ENTRIES_MAX (1u << 17) /* of all directories; 65,536 is what zip without zip64 has */
#define ENDS_MAX 8	       /* records at the end that are believed */
#define ENDS_LOOKED_AT 256     /* that may be none */
#define ENDS_COST_MAX (1u << 16)
#define COMPARED_MAX (1u << 26) /* of records at the end with members that may hold them */
#define GAP_LEAST 32		/* octets; a descriptor has up to 24 */
#define ENTRIES_A_LOOK 256	/* between two looks at the clock */

/* Where every reader looks for the record at the end: its longest comment and itself, from the end.
 */
#define END_WITHIN ((size_t)UINT16_MAX + ZIP_END_OCTETS)

/* One entry of a directory. */
struct entry {
	size_t central, local; /* offsets; local: as far as it could be made out */
	size_t from, to;       /* the member's octets, as the directory says */
};

struct directory {
	struct zip_end end;
	size_t from;  /* its first header */
	size_t shift; /* what stands before the archive: added to its offsets */
};

struct plan {
	struct zip_walk w;
	struct directory directories[ENDS_MAX];
	unsigned count;
	struct entry *entries;
	size_t entry_count, entry_cap;
	uint64_t compared;
	bool too_many;
};

/* ------------------------------------------------------------------ directories */

static bool begins_directory(struct mw_octets o, size_t at, const struct zip_end *e)
{
	return zip_is(o, at, ZIP_CENTRAL) || (e->count == 0 && at == e->at);
}

/*
 * The directory of a record at the end. Its offset counts from the beginning of the file, or of
 * what stands behind a prefix: then the size, counted back from the record, tells. *two_r: both
 * lead to a directory, to different ones.
 */
static bool directory_of(
	struct mw_octets o, const struct zip_end *e, struct directory *d_r, bool *two_r)
{
	bool back = e->directory_size <= e->at &&
		    begins_directory(o, e->at - (size_t)e->directory_size, e);
	bool said = e->directory <= e->at && begins_directory(o, (size_t)e->directory, e);

	d_r->end = *e;
	d_r->shift = 0;
	*two_r = back && said && e->directory != e->at - e->directory_size;
	if (back) {
		d_r->from = e->at - (size_t)e->directory_size;
		d_r->shift = d_r->from > e->directory ? d_r->from - (size_t)e->directory : 0;
	} else if (said) {
		d_r->from = (size_t)e->directory;
	}
	return back || said;
}

static bool starts_as_zip(struct mw_octets o)
{
	return zip_is(o, 0, ZIP_LOCAL) || zip_is(o, 0, ZIP_END) || zip_is(o, 0, ZIP_DESCRIPTOR) ||
	       zip_is(o, 0, "PK00");
}

/*
 * Those whose own readers give out all that is in them and what stands behind: a zip in there is a
 * file of theirs. So it is in a compound file, in pieces that do not lie side by side. Of these the
 * end alone is looked at, where every reader of zip looks.
 */
static bool keeps_its_files(struct mw_octets o)
{
	const struct unpack_kind *kind = unpack_kind_of(o);

	return (kind != NULL && unpack_gives_tail(kind, o)) || container_cfb.knows(o);
}

static bool leads_to_directory(struct mw_octets o, size_t at)
{
	struct zip_end e;
	struct directory d;
	bool two;

	for (unsigned way = 0; way < ZIP_END_WAYS; way++)
		if (zip_end_read(o, at, way, &e) && e.count > 0 && directory_of(o, &e, &d, &two))
			return true;
	return false;
}

/* Some readers go through all of a file for it, 7-Zip for one. */
static bool has_end(struct mw_octets o, size_t from)
{
	unsigned cost = 0;

	if (memchr(o.p + from, ZIP_END[2], o.n - from) == NULL)
		return false; /* text, mostly */
	for (size_t at = from; (at = zip_find(o, ZIP_END, at, o.n)) != SIZE_MAX; at++) {
		if (leads_to_directory(o, at))
			return true;
		cost += zip_end_is_dear(o, at) ? ENDS_COST_MAX / ENDS_LOOKED_AT : 1;
		if (cost >= ENDS_COST_MAX)
			return true; /* nobody knows: the reader tells */
	}
	return false;
}

/* The next local header that readers without a directory would go on with; SIZE_MAX: none. */
static size_t find_local(struct mw_octets o, size_t from, size_t to)
{
	size_t at = from;

	while ((at = zip_find(o, ZIP_LOCAL, at, to)) != SIZE_MAX && !zip_local_is_likely(o, at))
		at++;
	return at;
}

bool zip_knows(struct mw_octets o)
{
	if (o.n < ZIP_END_OCTETS)
		return o.n >= 4 && starts_as_zip(o);
	if (starts_as_zip(o))
		return true;
	if (keeps_its_files(o))
		return has_end(o, o.n > END_WITHIN ? o.n - END_WITHIN : 0);
	return has_end(o, 0) ||
	       (memchr(o.p, ZIP_LOCAL[2], o.n) != NULL && find_local(o, 0, o.n) != SIZE_MAX);
}

static bool add_entry(struct plan *p, size_t central, const struct zip_head *h, size_t local)
{
	size_t from = local != SIZE_MAX ? zip_local_end(p->w.o, local) : SIZE_MAX;
	struct entry *bigger;
	size_t cap = p->entry_cap != 0 ? p->entry_cap * 2 : 64;

	if (p->entry_count == ENTRIES_MAX) {
		p->too_many = true;
		return true;
	}
	if (p->entry_count == p->entry_cap) {
		bigger = realloc(p->entries, cap * sizeof(*bigger));
		if (bigger == NULL)
			return false;
		p->entries = bigger;
		p->entry_cap = cap;
	}
	if (from == SIZE_MAX)
		from = p->w.o.n; /* it has no octets */
	p->entries[p->entry_count++] = (struct entry){ central, local, from,
		h->packed < p->w.o.n - from ? from + (size_t)h->packed : p->w.o.n };
	return true;
}

/* Offsets count from behind the prefix; some writers count from the beginning all the same. */
static size_t local_of(const struct plan *p, const struct directory *d, const struct zip_head *h)
{
	struct mw_octets o = p->w.o;

	if (h->local <= o.n - d->shift && zip_is(o, (size_t)h->local + d->shift, ZIP_LOCAL))
		return (size_t)h->local + d->shift;
	if (h->local <= o.n && zip_is(o, (size_t)h->local, ZIP_LOCAL))
		return (size_t)h->local;
	return SIZE_MAX;
}

/* An entry; and once more, when a reader that counts its offset from the beginning of the file
 * comes to another local header than one that counts from the archive's. False: no memory. */
static bool read_entry(
	struct plan *p, const struct directory *d, size_t central, const struct zip_head *h)
{
	size_t local = local_of(p, d, h);

	if (!add_entry(p, central, h, local))
		return false;
	if (local == SIZE_MAX || h->local == local || starts_as_zip(p->w.o) ||
		!zip_is(p->w.o, (size_t)h->local, ZIP_LOCAL))
		return true; /* of an archive in front all headers are read anyway */
	p->w.ambiguous = true;
	return add_entry(p, central, h, (size_t)h->local);
}

/* CONTAINER_CUT: time is up. */
static enum container_end read_directory(struct plan *p, const struct directory *d)
{
	uint64_t count = 0;
	size_t at = d->from;
	struct zip_head h;

	for (; at < d->end.at && !p->too_many && zip_central_read(p->w.o, at, &h);
		at = h.end, count++) {
		if (count % ENTRIES_A_LOOK == 0 && !budget_time(p->w.job->budget))
			return CONTAINER_CUT;
		if (!read_entry(p, d, at, &h))
			return CONTAINER_NO_MEMORY;
	}
	/* Some readers believe the count, others go as far as there are headers. */
	if (!p->too_many && (count & UINT16_MAX) != (d->end.count & UINT16_MAX))
		p->w.ambiguous = true;
	return CONTAINER_WHOLE;
}

/* Where the octets of a member begin that `at` lies within: the archive in an archive is not this
 * one. SIZE_MAX: it lies in none. */
static size_t member_around(struct plan *p, size_t at)
{
	size_t first = SIZE_MAX;

	p->compared += p->entry_count;
	for (size_t i = 0; i < p->entry_count; i++) {
		const struct entry *e = &p->entries[i];

		if (e->from <= at && at < e->to && e->from < first)
			first = e->from;
	}
	return first;
}

static bool is_known(const struct plan *p, const struct directory *d)
{
	for (unsigned i = 0; i < p->count; i++)
		if (p->directories[i].from == d->from && p->directories[i].shift == d->shift)
			return true;
	return false;
}

/* The directories that a record at the end leads to. */
static enum container_end read_ways(struct plan *p, size_t at)
{
	struct mw_octets o = p->w.o;
	enum container_end end = CONTAINER_WHOLE;

	for (unsigned way = 0; way < ZIP_END_WAYS && p->count < ENDS_MAX && end == CONTAINER_WHOLE;
		way++) {
		struct directory d = { 0 };
		struct zip_end e;
		bool two;

		if (!zip_end_read(o, at, way, &e) || !directory_of(o, &e, &d, &two) ||
			is_known(p, &d))
			continue;
		p->directories[p->count++] = d;
		end = read_directory(p, &d);
		if (two && end == CONTAINER_WHOLE) {
			d.from = (size_t)e.directory;
			d.shift = 0;
			end = read_directory(p, &d);
		}
		p->w.ambiguous = p->w.ambiguous || two || p->count > 1;
	}
	return end;
}

static enum container_end read_directories(struct plan *p)
{
	struct mw_octets o = p->w.o;
	enum container_end end = CONTAINER_WHOLE;
	unsigned looked = 0;
	size_t to = o.n, at;

	while (end == CONTAINER_WHOLE && (at = zip_find_last(o, ZIP_END, 0, to)) != SIZE_MAX) {
		size_t member;

		if (p->count == ENDS_MAX || looked == ENDS_LOOKED_AT ||
			p->compared > COMPARED_MAX) {
			p->w.ambiguous = true; /* what the others say nobody looked at */
			break;
		}
		if (!budget_time(p->w.job->budget))
			return CONTAINER_CUT;
		member = member_around(p, at);
		if (member != SIZE_MAX) {
			/* So do all others in there; one may begin right before it. */
			to = member + 3 < at ? member + 3 : at;
			continue;
		}
		to = at;
		looked++;
		end = read_ways(p, at);
	}
	return end;
}

static int by_local(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;

	if (x->local != y->local)
		return x->local < y->local ? -1 : 1;
	return x->central < y->central ? -1 : x->central > y->central;
}

/* ------------------------------------------------------------------ the walk */

/* Local headers that no directory lists, in a range that no listed member takes. */
static enum container_end give_unlisted(struct plan *p, size_t from, size_t to)
{
	enum container_end end;
	struct zip_head local;
	size_t at = from;

	while ((at = zip_find(p->w.o, ZIP_LOCAL, at, to)) != SIZE_MAX) {
		size_t behind = at + 4;

		if (!budget_time(p->w.job->budget))
			return CONTAINER_CUT;
		if (zip_local_read(p->w.o, at, &local) &&
			(local.name.n > 0 || zip_local_is_likely(p->w.o, at))) {
			end = zip_give(&p->w, &(struct zip_view){ NULL, &local }, &behind);
			if (end != CONTAINER_WHOLE)
				return end;
		}
		at = behind;
	}
	return CONTAINER_WHOLE;
}

/* Octets that are an archive of another kind, or hold one, as 7-Zip would find it. */
static bool is_other_archive(struct mw_octets o)
{
	const struct unpack_kind *kind = unpack_kind_of(o);

	return o.n >= GAP_LEAST &&
	       ((kind != NULL && unpack_is_sure(kind, o)) || container_sfx.knows(o));
}

/* What no member takes is a descriptor or padding, unless it is such an archive. */
static enum container_end give_gap(struct plan *p, size_t from, size_t to)
{
	struct container_member m = { .name = "", .ambiguous = true };

	if (from >= to)
		return CONTAINER_WHOLE;
	m.octets = mw_octets_of(p->w.o.p + from, to - from);
	if (!is_other_archive(m.octets))
		return CONTAINER_WHOLE;
	p->w.ambiguous = true;
	if (!budget_file(p->w.job->budget) || !p->w.job->got(p->w.job->arg, &m))
		return CONTAINER_CUT;
	return CONTAINER_WHOLE;
}

/* The first directory behind that place. */
static size_t next_directory(const struct plan *p, size_t from)
{
	size_t next = p->w.o.n;

	for (unsigned i = 0; i < p->count; i++)
		if (p->directories[i].from >= from && p->directories[i].from < next)
			next = p->directories[i].from;
	return next;
}

static enum container_end give_listed(struct plan *p, const struct entry *e, size_t *pos)
{
	struct zip_head central, local;
	bool has_local = e->local != SIZE_MAX && zip_local_read(p->w.o, e->local, &local);
	struct zip_view v = { &central, has_local ? &local : NULL };
	size_t behind = *pos;
	enum container_end end;

	if (!zip_central_read(p->w.o, e->central, &central))
		return CONTAINER_WHOLE;
	if (has_local && e->local < *pos)
		p->w.ambiguous = true; /* members overlap */
	end = zip_give(&p->w, &v, &behind);
	if (behind > *pos)
		*pos = behind;
	return end;
}

/* What stands before the archive is not read from header to header unless there is one. */
static size_t begin_of(const struct plan *p)
{
	struct mw_octets o = p->w.o;
	size_t first, local;

	if (starts_as_zip(o) || p->entry_count == 0)
		return 0;
	first = p->entries[0].local;
	local = keeps_its_files(o) ? SIZE_MAX : find_local(o, 0, first);
	return local < first ? local : first;
}

static enum container_end walk(struct plan *p)
{
	size_t pos = begin_of(p);
	enum container_end end = CONTAINER_WHOLE;

	for (size_t i = 0; i < p->entry_count && end == CONTAINER_WHOLE; i++) {
		const struct entry *e = &p->entries[i];

		if (i > 0 && e->central == e[-1].central && e->local == e[-1].local)
			continue; /* two directories share it */
		if (!budget_time(p->w.job->budget))
			return CONTAINER_CUT;
		if (e->local != SIZE_MAX && e->local > pos) {
			end = give_unlisted(p, pos, e->local);
			if (end == CONTAINER_WHOLE)
				end = give_gap(p, pos, e->local);
		}
		if (end == CONTAINER_WHOLE)
			end = give_listed(p, e, &pos);
	}
	if (end == CONTAINER_WHOLE)
		end = give_unlisted(p, pos, p->w.o.n);
	return end == CONTAINER_WHOLE ? give_gap(p, pos, next_directory(p, pos)) : end;
}

/* What stands behind the end, when it is more than padding; its comment is a text, or an archive.
 */
static enum container_end give_tail(struct plan *p)
{
	size_t from = p->count > 0 ? p->directories[0].end.after : p->w.o.n;
	struct container_member m = { .name = "",
		.octets = mw_octets_of(p->w.o.p + from, p->w.o.n - from) };

	if (p->count > 0) {
		enum container_end end = give_gap(p, p->directories[0].end.comment, from);

		if (end != CONTAINER_WHOLE)
			return end;
	}
	if (!container_is_tail(m.octets))
		return CONTAINER_WHOLE;
	if (!budget_file(p->w.job->budget))
		return CONTAINER_CUT;
	return p->w.job->got(p->w.job->arg, &m) ? CONTAINER_WHOLE : CONTAINER_CUT;
}

/* Programs carry zips among their resources. */
static bool is_program(struct mw_octets o)
{
	return doc_starts(o, "MZ", 2) || doc_starts(o,
						 "\x7f"
						 "ELF",
						 4);
}

/* A tar, a message of Outlook, a PDF with zips in it: each of them is a file there, and no reader's
 * other view of an archive. Their members are given out all the same. */
static bool holds_zips(struct mw_octets o)
{
	static const struct container *const holders[] = { &container_libarchive, &container_cfb,
		&container_pdf, &container_tnef, &container_one, &container_cms, &container_sfx,
		&container_unopened };

	if (starts_as_zip(o))
		return false;
	for (size_t i = 0; i < MW_COUNT(holders); i++)
		if (holders[i]->knows(o))
			return true;
	return is_program(o) && !has_end(o, o.n > END_WITHIN ? o.n - END_WITHIN : 0);
}

static enum container_end open_zip(const struct container_job *job)
{
	struct plan p = { .w = { .job = job, .o = job->octets } };
	enum container_end end = read_directories(&p);

	if (end != CONTAINER_WHOLE) {
		free(p.entries);
		return end;
	}
	if (p.entry_count > 1)
		qsort(p.entries, p.entry_count, sizeof(*p.entries), by_local);
	if (p.count == 0)	   /* what the local headers say is the only reading */
		p.w.broken = true; /* its end is missing */
	p.w.listed = p.count > 0;
	end = walk(&p);
	if (end == CONTAINER_WHOLE)
		end = give_tail(&p);
	if (end == CONTAINER_WHOLE && p.too_many) {
		job->budget->files = 0;
		budget_file(job->budget);
		end = CONTAINER_CUT;
	}
	free(p.entries);
	grow_fini(&p.w.out);
	grow_fini(&p.w.plain);
	if (job->ambiguous_r != NULL && p.w.ambiguous && !holds_zips(job->octets))
		*job->ambiguous_r = true;
	return end == CONTAINER_WHOLE && p.w.broken ? CONTAINER_BROKEN : end;
}

const struct container container_zip = { "zip", zip_knows, open_zip };
