#include <archive.h>
#include <archive_entry.h>
#include <errno.h>

#include "disc.h"
#include "ends.h"
#include "feed.h"
#include "lzw.h"
#include "rar_check.h"
#include "rar_streams.h"
#include "unpack.h"
#include "unpack_read.h"

/* ------------------------------------------------------------------ what is an archive */

struct unpack_kind {
	const char *name;
	size_t at; /* offset of the magic */
	const char *magic;
	size_t magic_len;
	int (*format)(struct archive *a);
	int filter; /* a compressed file: one member; ARCHIVE_FILTER_NONE: it is none */
	/* Where it ends; NULL: where the reader stopped. */
	size_t (*end)(struct mw_octets octets);
	enum container_end (*own)(const struct container_job *job); /* a reader of ours */
	bool (*is)(struct mw_octets octets);			    /* instead of a magic number */
};

static enum container_end open_lzma(const struct container_job *job);

#define MAGIC(at, m) at, m, sizeof(m) - 1
#define DISC                                                                                       \
	{                                                                                          \
		"iso9660", MAGIC(32769, "CD001"), NULL, ARCHIVE_FILTER_NONE, end_unknown,          \
			disc_open                                                                  \
	}
#define TAR                                                                                        \
	{                                                                                          \
		"tar", MAGIC(257, "ustar"), archive_read_support_format_tar                        \
	}
#define FRONT 16 /* octets */
static const struct unpack_kind kinds[] = {
	{ "7z", MAGIC(0, "7z\xbc\xaf\x27\x1c"), archive_read_support_format_7zip, 0, end_of_7z },
	{ "rar5", MAGIC(0, "Rar!\x1a\x07\x01\0"), archive_read_support_format_rar5 },
	{ "rar", MAGIC(0, "Rar!\x1a\x07\0"), archive_read_support_format_rar },
	TAR,
	{ "cpio", MAGIC(0, "070701"), archive_read_support_format_cpio },
	{ "cpio", MAGIC(0, "070702"), archive_read_support_format_cpio },
	{ "cpio", MAGIC(0, "070707"), archive_read_support_format_cpio },
	{ "cpio", MAGIC(0, "070727"), archive_read_support_format_cpio }, /* afio's */
	{ "cpio", MAGIC(0, "\xc7\x71"), archive_read_support_format_cpio },
	{ "cpio", MAGIC(0, "\x71\xc7"), archive_read_support_format_cpio },
	{ "ar", MAGIC(0, "!<arch>\n"), archive_read_support_format_ar },
	{ "cab", MAGIC(0, "MSCF\0\0\0\0"), archive_read_support_format_cab },
	{ "lha", MAGIC(2, "-lh"), archive_read_support_format_lha },
	{ "lha", MAGIC(2, "-lz"), archive_read_support_format_lha },
	DISC,
	{ "xar", MAGIC(0, "xar!"), archive_read_support_format_xar, 0, end_unknown },
	{ "warc", MAGIC(0, "WARC/"), archive_read_support_format_warc, 0, end_unknown },
	{ "gzip", MAGIC(0, "\x1f\x8b\x08"), NULL, ARCHIVE_FILTER_GZIP },
	{ "bzip2", MAGIC(4, "1AY&SY"), NULL, ARCHIVE_FILTER_BZIP2 },
	{ "bzip2", MAGIC(4, "\x17\x72\x45\x38\x50\x90"), NULL,
		ARCHIVE_FILTER_BZIP2 }, /* of nothing */
	{ "xz",
		MAGIC(0, "\xfd"
			 "7zXZ\0"),
		NULL, ARCHIVE_FILTER_XZ, end_of_xz },
	{ "lzip", MAGIC(0, "LZIP"), NULL, ARCHIVE_FILTER_LZIP },
	{ "zstd", MAGIC(0, "\x28\xb5\x2f\xfd"), NULL, ARCHIVE_FILTER_ZSTD, end_of_zstd },
	{ "zstd", MAGIC(1, "\x2a\x4d\x18"), NULL, ARCHIVE_FILTER_ZSTD, end_of_zstd },
	{ "lz4", MAGIC(0, "\x04\x22\x4d\x18"), NULL, ARCHIVE_FILTER_LZ4, end_of_lz4 },
	{ "lz4", MAGIC(0, "\x02\x21\x4c\x18"), NULL, ARCHIVE_FILTER_LZ4, end_of_lz4 },
	{ "compress", MAGIC(0, "\x1f\x9d"), NULL, ARCHIVE_FILTER_NONE, end_unknown, lzw_open },
	{ "rpm", MAGIC(0, "\xed\xab\xee\xdb"), NULL, ARCHIVE_FILTER_RPM, end_unknown },
	{ .name = "lzma", .is = is_lzma, .own = open_lzma },
};
static const struct unpack_kind disc = DISC, new_tar = TAR;
static const struct unpack_kind old_tar = { "tar", 0, "", 0, archive_read_support_format_tar };

static bool has_magic(const struct unpack_kind *k, struct mw_octets octets)
{
	if (k->is != NULL)
		return k->is(octets);
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

bool unpack_is_sure(const struct unpack_kind *kind, struct mw_octets octets)
{
	return kind->own != open_lzma || is_surely_lzma(octets);
}

bool unpack_gives_tail(const struct unpack_kind *kind, struct mw_octets octets)
{
	return kind->end != end_unknown && unpack_is_sure(kind, octets);
}

static bool is_compressed_file(const struct unpack_kind *kind)
{
	return kind->filter != ARCHIVE_FILTER_NONE || kind->own == lzw_open ||
	       kind->own == open_lzma;
}

/* ------------------------------------------------------------------ reading one */

/* *end_r when there is nothing to read: why. */
static struct archive *open_fed(
	const struct unpack_kind *kind, struct feed *feed, enum container_end *end_r)
{
	struct archive *a = archive_read_new();
	bool ready;

	*end_r = CONTAINER_NO_MEMORY;
	if (a == NULL)
		return NULL;
	ready = kind->format != NULL ? kind->format(a) == ARCHIVE_OK
				     : unpack_filter(a, kind->filter);
	if (!ready || !feed_open(feed, a))
		*end_r = unpack_fault(a, feed);
	else
		*end_r = kind->format != NULL ? CONTAINER_WHOLE : unpack_began(a, feed);
	if (*end_r == CONTAINER_WHOLE)
		return a;
	archive_read_free(a);
	return NULL;
}

/* One archive being read. */
struct reading {
	const struct unpack_kind *kind;
	const struct container_job *job;
	struct archive *a;
	struct feed feed;
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

#define NAMES 3

/* Behind those that are there, unless it is one of them. */
static void add_name(
	char names[NAMES][CONTAINER_NAME_MAX], unsigned *count_p, const char *name, size_t n)
{
	char *last = names[*count_p];

	container_name(last, name, n);
	if (last[0] == '\0')
		return;
	for (unsigned i = 0; i < *count_p; i++)
		if (strcmp(names[i], last) == 0)
			return;
	++*count_p;
}

/*
 * What a compressed file holds is called as gzip's header says by some programs, and as the file
 * is, without `.gz`, by others. libarchive calls it "data", or as the last header says of several.
 */
static unsigned compressed_names(
	const struct reading *r, const char *path, char names[NAMES][CONTAINER_NAME_MAX])
{
	char inner[CONTAINER_NAME_MAX];
	struct mw_octets declared;
	unsigned count = 0;

	gzip_head(r->job->octets, &declared); /* nothing of other kinds */
	container_inner_name(inner, r->job->name);
	add_name(names, &count, (const char *)declared.p, declared.n);
	if (path != NULL && strcmp(path, "data") != 0)
		add_name(names, &count, path, strlen(path));
	add_name(names, &count, inner, strlen(inner));
	return count;
}

static void name_member(const struct reading *r, struct archive_entry *entry,
	char names[NAMES][CONTAINER_NAME_MAX], struct container_member *m)
{
	const char *path = archive_entry_pathname(entry);
	unsigned count = 1;

	names[0][0] = '\0';
	if (archive_format(r->a) == ARCHIVE_FORMAT_RAW)
		count = compressed_names(r, path, names);
	else
		container_name(names[0], path, path != NULL ? strlen(path) : 0);
	m->name = names[0];
	for (unsigned i = 1; i < count; i++)
		m->aliases[i - 1] = names[i];
}

static bool is_encrypted(struct reading *r, struct archive_entry *entry)
{
	bool sealed = archive_entry_is_encrypted(entry) > 0;

	if (r->rar5.o.n > 0)
		sealed = rar5_next(&r->rar5) == RAR5_ENCRYPTED_FILE || sealed;
	return sealed;
}

static uint64_t size_of(struct archive_entry *entry)
{
	la_int64_t size = archive_entry_size_is_set(entry) ? archive_entry_size(entry) : 0;

	return size > 0 ? (uint64_t)size : 0;
}

/*
 * Fewer octets than the archive says, of which the reader did not complain. A link has those of
 * another member; so has what RAR 5 found to be a copy; a file of tar may end with a hole.
 */
static bool is_short(
	const struct reading *r, struct archive_entry *entry, const struct remarks *remarks)
{
	uint64_t have = r->kind->format == archive_read_support_format_tar ? remarks->end : r->g.n;

	if (archive_entry_hardlink(entry) != NULL ||
		(r->kind->format == archive_read_support_format_rar5 && r->g.n == 0))
		return false;
	return have < size_of(entry);
}

/* Where a link's target is what stands in the archive as its contents: readers that make no links
 * make a file of it. (Of RAR rar_check.c gives it out, whole.) */
static bool has_target_for_contents(const struct unpack_kind *kind)
{
	return kind->format == archive_read_support_format_7zip ||
	       kind->format == archive_read_support_format_cpio;
}

/* libarchive tells a target up to its first NUL: what is left there of a program, a shortcut or a
 * cabinet is no path that anybody links to. */
static bool is_target(struct mw_octets text)
{
	for (size_t i = 0; i < text.n; i++)
		if (text.p[i] < 0x20 || text.p[i] == 0x7f)
			return false;
	return text.n > 0 && !(text.n >= 2 && memcmp(text.p, "MZ", 2) == 0) &&
	       !mw_octets_ieq(text, "L") && !mw_octets_ieq(text, "MSCF");
}

static enum container_end read_target(struct reading *r, struct archive_entry *entry)
{
	const char *text = archive_entry_symlink(entry);
	size_t n = text != NULL ? strlen(text) : 0;

	if (!has_target_for_contents(r->kind))
		return CONTAINER_WHOLE;
	if (!budget_octets(r->job->budget, n))
		return CONTAINER_CUT;
	if (!grow_put(&r->g, 0, text, n))
		return CONTAINER_NO_MEMORY;
	/* some writers count the NUL that ends it */
	return is_target(mw_octets_of(r->g.p, n)) && size_of(entry) <= n + 1 ? CONTAINER_WHOLE
									     : CONTAINER_BROKEN;
}

/* Whatever kind of file it says to be: not all readers believe that, and make a plain one of it. */
static enum container_end read_octets(struct reading *r, struct archive_entry *entry, char kind)
{
	struct remarks remarks;
	enum container_end end = unpack_member(r->a, &r->feed, &r->g, &remarks);

	if (end == CONTAINER_BROKEN && kind != '\0' && r->g.n == 0 && size_of(entry) == 0)
		return CONTAINER_WHOLE; /* a folder has none, which is an error to some readers */
	if (end != CONTAINER_WHOLE)
		return end;
	if (kind == 'L' && r->g.n == 0)
		return read_target(r, entry);
	/* the size of a folder may be that of the list of what is in it */
	return remarks.warned || (kind != 'D' && is_short(r, entry, &remarks)) ? CONTAINER_BROKEN
									       : CONTAINER_WHOLE;
}

/* damaged: its header. */
static enum container_end give_member(struct reading *r, struct archive_entry *entry, bool damaged)
{
	char names[NAMES][CONTAINER_NAME_MAX];
	struct container_member m = { .kind = kind_of(entry) };
	enum container_end end = CONTAINER_WHOLE;

	name_member(r, entry, names, &m);
	m.encrypted = is_encrypted(r, entry);
	if (m.encrypted && size_of(entry) > 0)
		m.kind = '\0'; /* a file, to some */
	if (m.kind == '\0' && !budget_file(r->job->budget))
		return CONTAINER_CUT;
	r->g.n = 0;
	if (!m.encrypted)
		end = read_octets(r, entry, m.kind);
	if (end == CONTAINER_NO_MEMORY)
		return end;
	if (end == CONTAINER_WHOLE && damaged)
		end = CONTAINER_BROKEN;
	m.octets = mw_octets_of(r->g.p, r->g.n);
	m.broken = end == CONTAINER_BROKEN;
	if (m.kind != '\0' && m.octets.n > 0 && !budget_file(r->job->budget))
		return CONTAINER_CUT;
	/* What came before a limit or a fault is looked at, too. */
	return r->job->got(r->job->arg, &m) ? end : CONTAINER_CUT;
}

/* The reader gave up. When it did so because all of it is encrypted, nobody knows what is in there.
 */
static enum container_end give_up(struct reading *r)
{
	struct container_member m = { .name = "", .encrypted = true };

	if (archive_read_has_encrypted_entries(r->a) <= 0 &&
		(r->rar5.o.n == 0 || rar5_next(&r->rar5) != RAR5_ENCRYPTED_ARCHIVE))
		return unpack_fault(r->a, &r->feed);
	r->sealed = true;
	if (!budget_file(r->job->budget) || !r->job->got(r->job->arg, &m))
		return CONTAINER_CUT;
	return CONTAINER_WHOLE;
}

/*
 * It is at its end before its first member: of a compressed file that nothing was compressed. Of
 * gzip whose end is missing libarchive says neither an error nor what came before that.
 */
static enum container_end ended(const struct reading *r, enum container_end all)
{
	if (archive_format(r->a) == ARCHIVE_FORMAT_EMPTY &&
		r->kind->filter == ARCHIVE_FILTER_GZIP && !gzip_is_empty(r->job->octets))
		return CONTAINER_BROKEN;
	return all;
}

/* Most of what readers warn of in a header is a name that this system cannot write. Behind a fault
 * in a member's attributes the reader of xar takes other octets for its contents. */
static bool is_damaged(const struct reading *r, int rc)
{
	const char *why = rc == ARCHIVE_WARN ? archive_error_string(r->a) : NULL;

	return why != NULL && r->kind->format == archive_read_support_format_xar &&
	       strstr(why, "converted") == NULL;
}

/* One broken member does not hide the next one, as long as the reader goes on. */
static enum container_end walk(struct reading *r)
{
	enum container_end all = CONTAINER_WHOLE, end;
	struct archive_entry *entry;
	la_int64_t at;

	for (;;) {
		int rc;

		feed_head(&r->feed);
		/* libarchive 3.6 ends the process when a name is no text and this is ENOMEM, from
		 * whenever it may be. */
		errno = 0;
		rc = archive_read_next_header(r->a, &entry);
		if (r->feed.stopped)
			return CONTAINER_CUT;
		if (rc == ARCHIVE_EOF)
			return ended(r, all);
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
		end = give_member(r, entry, is_damaged(r, rc));
		if (r->given != NULL)
			rar_given_add(r->given, (uint64_t)at, r->g.n);
		if (end == CONTAINER_BROKEN)
			all = end;
		else if (end != CONTAINER_WHOLE)
			return end;
		/* libarchive 3.6 crashes on its way from a damaged member of a cabinet to the next
		 * one. */
		if (end == CONTAINER_BROKEN && r->kind->format == archive_read_support_format_cab)
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
	if (is_compressed_file(kind) && next != NULL && is_compressed_file(next) &&
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

	if (kind->own != NULL)
		return kind->own(job);
	r.feed = (struct feed){ .o = mw_octets_of(job->octets.p, stop), .budget = job->budget };
	r.a = open_fed(kind, &r.feed, &end);
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

/* ------------------------------------------------------------------ lzma */

struct guess {
	const struct container_job *job;
};

static bool guess_got(void *arg, const struct container_member *m)
{
	const struct guess *g = arg;
	struct container_member guess = *m;

	guess.broken = false;
	return m->octets.n == 0 || g->job->got(g->job->arg, &guess);
}

/*
 * Some files of other kinds (tables of numbers) begin as one of .lzma might. What comes out of them
 * is looked at, but that they are not what they look like is no fault.
 */
static enum container_end open_lzma(const struct container_job *job)
{
	static const struct unpack_kind lzma = { .name = "lzma", .filter = ARCHIVE_FILTER_LZMA };
	struct guess g = { job };
	struct container_job guess = *job;
	char name[CONTAINER_NAME_MAX];
	enum container_end end;

	container_inner_name(name, job->name);
	if (is_surely_lzma(job->octets) || name[0] != '\0')
		return unpack(&lzma, job);
	guess.got = guess_got;
	guess.arg = &g;
	end = unpack(&lzma, &guess);
	return end == CONTAINER_BROKEN ? CONTAINER_WHOLE : end;
}

/* ------------------------------------------------------------------ the row */

static bool knows(struct mw_octets octets)
{
	return unpack_kind_of(octets) != NULL;
}

/* Whether a reader gave anything. */
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

static bool is_rar(const struct unpack_kind *kind)
{
	return kind->format == archive_read_support_format_rar ||
	       kind->format == archive_read_support_format_rar5;
}

/* What libarchive does not tell of a RAR, and whether it read the blocks that others read. */
static enum container_end open_rar_rest(
	const struct container_job *job, const struct rar_given *given)
{
	enum container_end end = rar_give_streams(job, open_first);

	return end <= CONTAINER_BROKEN ? worse(end, rar_check(job, given, open_first)) : end;
}

/*
 * Every kind that is known by its first octets, not by what stands further behind: magic numbers
 * that are short may all be there, and readers of the one do not ask for the other. *failed_r: one
 * was none, after all.
 */
static enum container_end open_fronts(
	const struct container_job *job, struct rar_given *given, unsigned *gave_r, bool *failed_r)
{
	enum container_end end = CONTAINER_WHOLE, one;
	bool gave;

	*gave_r = 0;
	*failed_r = false;
	for (size_t i = 0; i < MW_COUNT(kinds) && end <= CONTAINER_BROKEN; i++) {
		if (kinds[i].at >= FRONT || !has_magic(&kinds[i], job->octets))
			continue;
		one = open_front(job, &kinds[i], is_rar(&kinds[i]) ? given : NULL, &gave);
		*gave_r += gave;
		if (one == CONTAINER_BROKEN && !gave)
			*failed_r = true;
		else
			end = worse(end, one);
	}
	return end;
}

static enum container_end open_archive(const struct container_job *job)
{
	bool is_disc = has_magic(&disc, job->octets),
	     is_tar = has_magic(&new_tar, job->octets) || is_old_tar(job->octets), failed;
	struct rar_given given = { .lost = false };
	unsigned gave;
	enum container_end end = open_fronts(job, &given, &gave, &failed);

	if (failed && gave == 0 && !is_disc && !is_tar)
		end = worse(end, CONTAINER_BROKEN); /* no mere name that begins so */
	if (is_disc && end <= CONTAINER_BROKEN)
		end = worse(end, unpack(&disc, job));
	if (is_tar && end <= CONTAINER_BROKEN)
		end = worse(end, unpack(&old_tar, job));
	if (end <= CONTAINER_BROKEN)
		end = worse(end, open_rar_rest(job, &given));
	rar_given_fini(&given);
	if (job->ambiguous_r != NULL && gave + is_disc + is_tar > 1)
		*job->ambiguous_r = true;
	return end;
}

const struct container container_libarchive = { "archive", knows, open_archive };
