#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <stdlib.h>

#include "ends.h"
#include "grow.h"
#include "rar_check.h"
#include "rar_streams.h"
#include "unpack.h"
#include "zip_head.h"

/* ------------------------------------------------------------------ what is an archive */

struct unpack_kind {
	const char *name;
	size_t at; /* offset of the magic */
	const char *magic;
	size_t magic_len;
	int (*format)(struct archive *a);
	int (*filter)(struct archive *a); /* a compressed file: one member */
	/* Where it ends; NULL: where the reader stopped. */
	size_t (*end)(struct mw_octets octets);
};

#define MAGIC(at, m) at, m, sizeof(m) - 1
#define DISC                                                                                       \
	{                                                                                          \
		"iso9660", MAGIC(32769, "CD001"), archive_read_support_format_iso9660, NULL,       \
			end_unknown                                                                \
	}
#define TAR                                                                                        \
	{                                                                                          \
		"tar", MAGIC(257, "ustar"), archive_read_support_format_tar                        \
	}
#define FRONT 16 /* octets */
static const struct unpack_kind kinds[] = {
	{ "7z", MAGIC(0, "7z\xbc\xaf\x27\x1c"), archive_read_support_format_7zip, NULL, end_of_7z },
	{ "rar5", MAGIC(0, "Rar!\x1a\x07\x01\0"), archive_read_support_format_rar5 },
	{ "rar", MAGIC(0, "Rar!\x1a\x07\0"), archive_read_support_format_rar },
	TAR,
	{ "cpio", MAGIC(0, "0707"), archive_read_support_format_cpio },
	{ "cpio", MAGIC(0, "\xc7\x71"), archive_read_support_format_cpio },
	{ "cpio", MAGIC(0, "\x71\xc7"), archive_read_support_format_cpio },
	{ "ar", MAGIC(0, "!<arch>\n"), archive_read_support_format_ar },
	{ "cab", MAGIC(0, "MSCF\0\0\0\0"), archive_read_support_format_cab },
	{ "lha", MAGIC(2, "-lh"), archive_read_support_format_lha },
	{ "lha", MAGIC(2, "-lz"), archive_read_support_format_lha },
	DISC,
	{ "xar", MAGIC(0, "xar!"), archive_read_support_format_xar, NULL, end_unknown },
	{ "warc", MAGIC(0, "WARC/"), archive_read_support_format_warc, NULL, end_unknown },
	{ "gzip", MAGIC(0, "\x1f\x8b\x08"), NULL, archive_read_support_filter_gzip },
	{ "bzip2", MAGIC(4, "1AY&SY"), NULL, archive_read_support_filter_bzip2 },
	{ "bzip2", MAGIC(4, "\x17\x72\x45\x38\x50\x90"), NULL,
		archive_read_support_filter_bzip2 }, /* of nothing */
	{ "xz",
		MAGIC(0, "\xfd"
			 "7zXZ\0"),
		NULL, archive_read_support_filter_xz, end_of_xz },
	{ "lzma", MAGIC(0, "\x5d\0\0"), NULL, archive_read_support_filter_lzma },
	{ "lzma", MAGIC(0, "\x5d\xff\xff\xff\xff"), NULL, archive_read_support_filter_lzma },
	{ "lzip", MAGIC(0, "LZIP"), NULL, archive_read_support_filter_lzip },
	{ "zstd", MAGIC(0, "\x28\xb5\x2f\xfd"), NULL, archive_read_support_filter_zstd,
		end_of_zstd },
	{ "zstd", MAGIC(1, "\x2a\x4d\x18"), NULL, archive_read_support_filter_zstd, end_of_zstd },
	{ "lz4", MAGIC(0, "\x04\x22\x4d\x18"), NULL, archive_read_support_filter_lz4, end_of_lz4 },
	{ "lz4", MAGIC(0, "\x02\x21\x4c\x18"), NULL, archive_read_support_filter_lz4, end_of_lz4 },
	{ "compress", MAGIC(0, "\x1f\x9d"), NULL, archive_read_support_filter_compress },
	{ "rpm", MAGIC(0, "\xed\xab\xee\xdb"), NULL, archive_read_support_filter_rpm, end_unknown },
};
static const struct unpack_kind disc = DISC, new_tar = TAR;
static const struct unpack_kind old_tar = { "tar", 0, "", 0, archive_read_support_format_tar };

static bool has_magic(const struct unpack_kind *k, struct mw_octets octets)
{
	return octets.n >= k->at + k->magic_len &&
	       memcmp(octets.p + k->at, k->magic, k->magic_len) == 0;
}

const struct unpack_kind *unpack_kind_of(struct mw_octets octets)
{
	for (size_t i = 0; i < MW_COUNT(kinds); i++) {
		const struct unpack_kind *k = &kinds[i];

		if (has_magic(k, octets))
			return k;
	}
	return is_old_tar(octets) ? &old_tar : NULL;
}

const char *unpack_kind_name(const struct unpack_kind *kind)
{
	return kind->name;
}

bool unpack_gives_tail(const struct unpack_kind *kind)
{
	return kind->end != end_unknown;
}

/* ------------------------------------------------------------------ reading one */

/* An rpm is a cpio inside a compression of its choice: these filters are harmless together. */
static void support_filters(struct archive *a, const struct unpack_kind *kind)
{
	kind->filter(a);
	if (kind->filter != archive_read_support_filter_rpm)
		return;
	archive_read_support_filter_gzip(a);
	archive_read_support_filter_xz(a);
	archive_read_support_filter_zstd(a);
	archive_read_support_filter_bzip2(a);
}

/*
 * What an error of the reader means. A window or dictionary beyond the cage's memory is a limit of
 * ours, no fault of the archive.
 */
static enum container_end fault(struct archive *a, struct budget *budget)
{
	if (archive_errno(a) != ENOMEM)
		return CONTAINER_BROKEN;
	budget_no_memory(budget);
	return CONTAINER_CUT;
}

/* *end_r when there is nothing to read: why. */
static struct archive *open_memory(struct mw_octets octets, const struct unpack_kind *kind,
	struct budget *budget, enum container_end *end_r)
{
	struct archive *a = archive_read_new();

	*end_r = CONTAINER_NO_MEMORY;
	if (a == NULL)
		return NULL;
	if (kind->format != NULL) {
		kind->format(a);
	} else {
		/* A tar in there is a member like any other: the reader of tar would stop at its
		 * end, or go on over any number of zeros, without asking the budget. */
		support_filters(a, kind);
		archive_read_support_format_raw(a);
	}
	*end_r = archive_read_open_memory(a, octets.p, octets.n) == ARCHIVE_OK ? CONTAINER_WHOLE
									       : fault(a, budget);
	/* It has the magic number, but libarchive does not take it for that compression: then its
	 * octets would come out as they are. */
	if (*end_r == CONTAINER_WHOLE && kind->filter != NULL &&
		archive_filter_code(a, 0) == ARCHIVE_FILTER_NONE)
		*end_r = CONTAINER_BROKEN;
	if (*end_r == CONTAINER_WHOLE)
		return a;
	archive_read_free(a);
	return NULL;
}

/* Unpack the member at hand into g, within the budget. */
static enum container_end read_member(struct archive *a, struct budget *budget, struct grow *g)
{
	const void *block;
	size_t n;
	la_int64_t offset;

	g->n = 0;
	for (;;) {
		int rc = archive_read_data_block(a, &block, &n, &offset);

		if (rc == ARCHIVE_EOF)
			return CONTAINER_WHOLE;
		if (rc == ARCHIVE_RETRY)
			continue;
		if (rc < ARCHIVE_WARN)
			return fault(a, budget);
		if (n == 0)
			continue;
		if (offset < 0 || (uint64_t)offset < g->n)
			return CONTAINER_BROKEN; /* no reader of ours goes backwards */
		/* A hole costs as much as what it stands for. */
		if (!budget_octets(budget, (uint64_t)offset - g->n + n) || !budget_time(budget))
			return CONTAINER_CUT;
		if (!grow_put(g, (size_t)offset, block, n))
			return CONTAINER_NO_MEMORY;
	}
}

/* One archive being read. */
struct reading {
	const struct unpack_kind *kind;
	const struct container_job *job;
	struct archive *a;
	struct grow g;
	struct rar_given *given; /* takes what is given; NULL: nobody asks */
	struct rar5_walk rar5;	 /* o.n 0: it is none */
	bool sealed;		 /* all of it is encrypted: where it ends nobody knows */
};

static char kind_of(struct archive_entry *entry)
{
	switch (archive_entry_filetype(entry)) {
	case 0:
	case AE_IFREG:
		return '\0';
	case AE_IFDIR:
		return 'D';
	case AE_IFLNK:
		return 'L';
	default:
		return 'S';
	}
}

/* libarchive calls what a compressed file holds "data", unless gzip's header says its name. Then it
 * is called as the file is, without `.gz`, as gunzip would. */
static void name_of(
	const struct reading *r, struct archive_entry *entry, char name[CONTAINER_NAME_MAX])
{
	const char *path = archive_entry_pathname(entry);

	if (archive_format(r->a) == ARCHIVE_FORMAT_RAW && (path == NULL || !strcmp(path, "data")))
		container_inner_name(name, r->job->name);
	else
		container_name(name, path, path != NULL ? strlen(path) : 0);
}

static bool is_encrypted(struct reading *r, struct archive_entry *entry)
{
	bool sealed = archive_entry_is_encrypted(entry) > 0;

	if (r->rar5.o.n > 0)
		sealed = rar5_next(&r->rar5) == RAR5_ENCRYPTED_FILE || sealed;
	return sealed;
}

static enum container_end give_member(struct reading *r, struct archive_entry *entry)
{
	char name[CONTAINER_NAME_MAX];
	struct container_member m = { .name = name, .kind = kind_of(entry) };
	enum container_end end = CONTAINER_WHOLE;

	name_of(r, entry, name);
	m.encrypted = is_encrypted(r, entry);
	if (m.kind != '\0')
		return r->job->got(r->job->arg, &m) ? CONTAINER_WHOLE : CONTAINER_CUT;
	if (!budget_file(r->job->budget))
		return CONTAINER_CUT;
	if (!m.encrypted)
		end = read_member(r->a, r->job->budget, &r->g);
	if (end == CONTAINER_NO_MEMORY)
		return end;
	m.octets = mw_octets_of(r->g.p, m.encrypted ? 0 : r->g.n);
	m.broken = end == CONTAINER_BROKEN;
	if (!r->job->got(
		    r->job->arg, &m)) /* what came before a limit or a fault is looked at, too */
		return CONTAINER_CUT;
	return end;
}

/* The reader gave up. When it did so because all of it is encrypted, nobody knows what is in there.
 */
static enum container_end give_up(struct reading *r)
{
	struct container_member m = { .name = "", .encrypted = true };

	if (archive_read_has_encrypted_entries(r->a) <= 0 &&
		(r->rar5.o.n == 0 || rar5_next(&r->rar5) != RAR5_ENCRYPTED_ARCHIVE))
		return fault(r->a, r->job->budget);
	r->sealed = true;
	if (!budget_file(r->job->budget) || !r->job->got(r->job->arg, &m))
		return CONTAINER_CUT;
	return CONTAINER_WHOLE;
}

/* One broken member does not hide the next one, as long as the reader goes on. */
static enum container_end walk(struct reading *r)
{
	enum container_end all = CONTAINER_WHOLE, end;
	struct archive_entry *entry;
	la_int64_t at;

	for (;;) {
		int rc;

		/* libarchive 3.6 ends the process when a name is no text and this is ENOMEM, from
		 * whenever it may be. */
		errno = 0;
		rc = archive_read_next_header(r->a, &entry);

		if (rc == ARCHIVE_EOF)
			return all;
		if (rc == ARCHIVE_FATAL) {
			end = give_up(r);
			return end == CONTAINER_WHOLE ? all : end;
		}
		if (!budget_time(r->job->budget))
			return CONTAINER_CUT;
		if (rc < ARCHIVE_WARN) {
			all = CONTAINER_BROKEN;
			/* A reader that never ends would never end here. */
			if (!budget_file(r->job->budget))
				return CONTAINER_CUT;
			continue;
		}
		at = archive_filter_bytes(r->a, -1);
		r->g.n = 0;
		end = give_member(r, entry);
		if (r->given != NULL)
			rar_given_add(r->given, (uint64_t)at, r->g.n);
		if (end == CONTAINER_BROKEN)
			all = end;
		else if (end != CONTAINER_WHOLE)
			return end;
	}
}

/*
 * What stands behind the archive is looked into as if it stood alone. Compressed octets behind
 * compressed ones that our reader has not joined: others may (zstd joins what gzip and xz made,
 * Python what zeros stand between), and see one file that begins in the one and goes on in the
 * other.
 */
static enum container_end give_tail(
	const struct container_job *job, const struct unpack_kind *kind, size_t end)
{
	const struct unpack_kind *next;
	struct container_member m = { .name = "" };

	while (end < job->octets.n && job->octets.p[end] == '\0')
		end++; /* padding */
	m.octets = mw_octets_of(job->octets.p + end, job->octets.n - end);
	if (!container_is_tail(m.octets))
		return CONTAINER_WHOLE;
	next = unpack_kind_of(m.octets);
	if (kind->filter != NULL && next != NULL && next->filter != NULL &&
		job->ambiguous_r != NULL)
		*job->ambiguous_r = true;
	if (!budget_file(job->budget))
		return CONTAINER_CUT;
	return job->got(job->arg, &m) ? CONTAINER_WHOLE : CONTAINER_CUT;
}

/* given: as in struct reading. */
static enum container_end unpack_noting(
	const struct unpack_kind *kind, const struct container_job *job, struct rar_given *given)
{
	struct reading r = { .kind = kind, .job = job, .given = given };
	size_t stop = kind->end != NULL ? kind->end(job->octets) : job->octets.n;
	enum container_end end;

	r.a = open_memory(mw_octets_of(job->octets.p, stop), kind, job->budget, &end);
	if (r.a == NULL)
		return end;
	if (kind->format == archive_read_support_format_rar5)
		rar5_begin(&r.rar5, job->octets);
	end = walk(&r);
	if (kind->end == NULL && archive_filter_bytes(r.a, -1) >= 0 &&
		(uint64_t)archive_filter_bytes(r.a, -1) < stop)
		stop = (size_t)archive_filter_bytes(r.a, -1);
	grow_fini(&r.g);
	archive_read_free(r.a);
	return end == CONTAINER_WHOLE && !r.sealed ? give_tail(job, kind, stop) : end;
}

enum container_end unpack(const struct unpack_kind *kind, const struct container_job *job)
{
	return unpack_noting(kind, job, NULL);
}

/* ------------------------------------------------------------------ methods of zip */

/* Octets in up to two pieces, for libarchive to ask for. */
struct pieces {
	struct mw_octets piece[2];
	unsigned next;
};

static la_ssize_t next_piece(struct archive *a, void *arg, const void **p_r)
{
	struct pieces *p = arg;

	(void)a;
	if (p->next == MW_COUNT(p->piece))
		return 0;
	*p_r = p->piece[p->next].p;
	return (la_ssize_t)p->piece[p->next++].n;
}

static void put_32(unsigned char *p, uint64_t n)
{
	for (unsigned i = 0; i < 4; i++)
		p[i] = (unsigned char)(n >> (8 * i));
}

/* How libarchive gets at each method: as a stream of that compression, or in a zip made for it. */
static const struct zip_method {
	unsigned method;
	int (*filter)(struct archive *a);	/* NULL: in a zip */
	size_t (*end)(struct mw_octets octets); /* of a reader that cannot bear octets behind it */
} zip_methods[] = {
	{ 12, archive_read_support_filter_bzip2, NULL }, { 14, NULL, NULL }, /* lzma */
	{ 20, archive_read_support_filter_zstd, end_of_zstd },
	{ 93, archive_read_support_filter_zstd, end_of_zstd },
	{ 95, archive_read_support_filter_xz, end_of_xz }, { 98, NULL, NULL }, /* ppmd */
};

static const struct zip_method *zip_method_of(unsigned method)
{
	for (size_t i = 0; i < MW_COUNT(zip_methods); i++)
		if (zip_methods[i].method == method)
			return &zip_methods[i];
	return NULL;
}

static bool open_method(struct archive *a, const struct zip_method *m, struct pieces *pieces)
{
	if (m->filter != NULL) {
		m->filter(a);
		archive_read_support_format_raw(a);
		pieces->next = 1; /* no header of zip */
	} else {
		archive_read_support_format_zip_streamable(a);
		archive_read_set_options(a, "zip:ignorecrc32"); /* the caller looks at it */
	}
	return archive_read_open(a, pieces, NULL, next_piece, NULL) == ARCHIVE_OK;
}

/* Octets of the member that were taken. What ends by its size alone may leave some: the coder's
 * last ones. */
#define LEFT_MOST 16
#define EMPTY_MOST 24 /* octets that nothing but an empty file is packed into */
static size_t used_of(struct archive *a, const struct zip_method *m, size_t head, size_t packed)
{
	la_int64_t taken = archive_filter_bytes(a, -1) - (m->filter == NULL ? (la_int64_t)head : 0);

	if (taken < 0 || (uint64_t)taken >= packed ||
		(m->filter == NULL && packed - (size_t)taken <= LEFT_MOST))
		return packed;
	return (size_t)taken;
}

enum container_end unpack_zip_method(unsigned method, struct mw_octets packed, uint64_t size,
	struct budget *budget, struct grow *g, size_t *used_r)
{
	unsigned char head[31] = ZIP_LOCAL;
	const struct zip_method *m = zip_method_of(method);
	size_t stop = m != NULL && m->end != NULL ? m->end(packed) : packed.n;
	struct pieces pieces = { { mw_octets_of(head, sizeof(head)), mw_octets_of(packed.p, stop) },
		0 };
	struct archive *a = m != NULL ? archive_read_new() : NULL;
	enum container_end end = CONTAINER_BROKEN;
	struct archive_entry *entry;

	g->n = 0;
	*used_r = packed.n;
	if (a == NULL)
		return m != NULL ? CONTAINER_NO_MEMORY : CONTAINER_BROKEN;
	head[4] = 63; /* version that is needed */
	head[8] = (unsigned char)method;
	put_32(head + 18, packed.n);
	put_32(head + 22, size);
	head[26] = 1; /* a name of one octet */
	head[30] = 'x';
	if (!open_method(a, m, &pieces) || archive_read_next_header(a, &entry) < ARCHIVE_WARN)
		end = fault(a, budget);
	else
		end = read_member(a, budget, g);
	*used_r = used_of(a, m, sizeof(head), packed.n);
	if (end == CONTAINER_BROKEN && g->n == 0 && size == 0 && packed.n <= EMPTY_MOST) {
		*used_r = packed.n; /* an empty file: libarchive 3.6 calls its stream damaged */
		end = CONTAINER_WHOLE;
	}
	archive_read_free(a);
	return end;
}

/* ------------------------------------------------------------------ the row */

static bool knows(struct mw_octets octets)
{
	return unpack_kind_of(octets) != NULL;
}

/* What is known by its first octets, not by what stands further behind. */
static const struct unpack_kind *kind_in_front(struct mw_octets octets)
{
	for (size_t i = 0; i < MW_COUNT(kinds); i++)
		if (kinds[i].at < FRONT && has_magic(&kinds[i], octets))
			return &kinds[i];
	return NULL;
}

/* What a disc or a tar, whose beginning may be anything, looks like to readers that believe the
 * first octets. */
struct front {
	const struct container_job *job;
	bool gave;
};

static bool front_got(void *arg, const struct container_member *m)
{
	struct front *f = arg;

	f->gave = true;
	return f->job->got(f->job->arg, m);
}

static enum container_end open_front(const struct container_job *job,
	const struct unpack_kind *kind, struct rar_given *given, bool *gave_r)
{
	struct front f = { .job = job };
	struct container_job front = *job;
	enum container_end end;

	front.got = front_got;
	front.arg = &f;
	end = unpack_noting(kind, &front, given);
	*gave_r = f.gave;
	return end;
}

static enum container_end worse(enum container_end a, enum container_end b)
{
	return a > b ? a : b;
}

static enum container_end open_first(const struct container_job *job)
{
	return unpack(unpack_kind_of(job->octets), job);
}

/* What libarchive does not tell of a RAR, and whether it read the blocks that others read. */
static enum container_end open_rar_rest(
	const struct container_job *job, const struct rar_given *given)
{
	enum container_end end = rar_give_streams(job, open_first);

	return end <= CONTAINER_BROKEN ? worse(end, rar_check(job, given, open_first)) : end;
}

static enum container_end open_archive(const struct container_job *job)
{
	struct rar_given given = { .lost = false };
	const struct unpack_kind *front = kind_in_front(job->octets);
	bool is_disc = has_magic(&disc, job->octets),
	     is_tar = has_magic(&new_tar, job->octets) || is_old_tar(job->octets), gave = true;
	enum container_end end = CONTAINER_WHOLE;

	if (front != NULL)
		end = open_front(job, front, &given, &gave);
	if (end == CONTAINER_BROKEN && !gave && (is_disc || is_tar))
		end = CONTAINER_WHOLE; /* a name that begins so */
	if (is_disc && end <= CONTAINER_BROKEN)
		end = worse(end, unpack(&disc, job));
	if (is_tar && end <= CONTAINER_BROKEN)
		end = worse(end, unpack(&old_tar, job));
	if (end <= CONTAINER_BROKEN)
		end = worse(end, open_rar_rest(job, &given));
	rar_given_fini(&given);
	if (job->ambiguous_r != NULL && (front != NULL && gave) + is_disc + is_tar > 1)
		*job->ambiguous_r = true;
	return end;
}

const struct container container_libarchive = { "archive", knows, open_archive };
