#include <archive.h>
#include <archive_entry.h>
#include <stdlib.h>

#include "unpack.h"

/* ------------------------------------------------------------------ what is an archive */

struct unpack_kind {
	const char *name;
	size_t at; /* offset of the magic */
	const char *magic;
	size_t magic_len;
	int (*format)(struct archive *a);
	int (*filter)(
		struct archive *a); /* a compressed file: tar or cpio inside, or one plain member */
};

#define MAGIC(at, m) at, m, sizeof(m) - 1
static const struct unpack_kind kinds[] = {
	{ "zip", MAGIC(0, "PK\x03\x04"), archive_read_support_format_zip },
	{ "zip", MAGIC(0, "PK\x05\x06"), archive_read_support_format_zip },
	{ "zip", MAGIC(0, "PK\x07\x08"), archive_read_support_format_zip },
	{ "zip", MAGIC(0, "PK00PK"), archive_read_support_format_zip },
	{ "7z", MAGIC(0, "7z\xbc\xaf\x27\x1c"), archive_read_support_format_7zip },
	{ "rar5", MAGIC(0, "Rar!\x1a\x07\x01\0"), archive_read_support_format_rar5 },
	{ "rar", MAGIC(0, "Rar!\x1a\x07\0"), archive_read_support_format_rar },
	{ "tar", MAGIC(257, "ustar"), archive_read_support_format_tar },
	{ "cpio", MAGIC(0, "0707"), archive_read_support_format_cpio },
	{ "cpio", MAGIC(0, "\xc7\x71"), archive_read_support_format_cpio },
	{ "ar", MAGIC(0, "!<arch>\n"), archive_read_support_format_ar },
	{ "cab", MAGIC(0, "MSCF\0\0\0\0"), archive_read_support_format_cab },
	{ "lha", MAGIC(2, "-lh"), archive_read_support_format_lha },
	{ "iso9660", MAGIC(32769, "CD001"), archive_read_support_format_iso9660 },
	{ "xar", MAGIC(0, "xar!"), archive_read_support_format_xar },
	{ "warc", MAGIC(0, "WARC/"), archive_read_support_format_warc },
	{ "gzip", MAGIC(0, "\x1f\x8b\x08"), NULL, archive_read_support_filter_gzip },
	{ "bzip2", MAGIC(0, "BZh"), NULL, archive_read_support_filter_bzip2 },
	{ "xz",
		MAGIC(0, "\xfd"
			 "7zXZ\0"),
		NULL, archive_read_support_filter_xz },
	{ "lzma", MAGIC(0, "\x5d\0\0"), NULL, archive_read_support_filter_lzma },
	{ "lzip", MAGIC(0, "LZIP"), NULL, archive_read_support_filter_lzip },
	{ "zstd", MAGIC(0, "\x28\xb5\x2f\xfd"), NULL, archive_read_support_filter_zstd },
	{ "lz4", MAGIC(0, "\x04\x22\x4d\x18"), NULL, archive_read_support_filter_lz4 },
	{ "compress", MAGIC(0, "\x1f\x9d"), NULL, archive_read_support_filter_compress },
	{ "rpm", MAGIC(0, "\xed\xab\xee\xdb"), NULL, archive_read_support_filter_rpm },
};

const struct unpack_kind *unpack_kind_of(struct mw_octets octets)
{
	for (size_t i = 0; i < MW_COUNT(kinds); i++) {
		const struct unpack_kind *k = &kinds[i];

		if (octets.n >= k->at + k->magic_len &&
			memcmp(octets.p + k->at, k->magic, k->magic_len) == 0)
			return k;
	}
	return NULL;
}

const char *unpack_kind_name(const struct unpack_kind *kind)
{
	return kind->name;
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

static struct archive *open_memory(struct mw_octets octets, const struct unpack_kind *kind)
{
	struct archive *a = archive_read_new();

	if (a == NULL)
		return NULL;
	if (kind->format != NULL) {
		kind->format(a);
	} else {
		support_filters(a, kind);
		archive_read_support_format_tar(a);
		archive_read_support_format_cpio(a);
		archive_read_support_format_raw(a);
	}
	if (archive_read_open_memory(a, octets.p, octets.n) == ARCHIVE_OK)
		return a;
	archive_read_free(a);
	return NULL;
}

/* Where a member's octets are put together. */
struct growing {
	unsigned char *p;
	size_t n, cap;
};

static bool growing_add(struct growing *g, size_t offset, const void *p, size_t n)
{
	size_t end = offset + n;

	if (end > g->cap) {
		size_t cap = g->cap != 0 ? g->cap : 16384;
		unsigned char *bigger;

		while (cap < end)
			cap *= 2;
		bigger = realloc(g->p, cap);
		if (bigger == NULL)
			return false;
		g->p = bigger;
		g->cap = cap;
	}
	if (offset > g->n)
		memset(g->p + g->n, 0, offset - g->n); /* a hole of a sparse member */
	memcpy(g->p + offset, p, n);
	if (end > g->n)
		g->n = end;
	return true;
}

/* Unpack the member at hand into g, within the budget. */
static enum unpack_end read_member(struct archive *a, struct budget *budget, struct growing *g)
{
	const void *block;
	size_t n;
	la_int64_t offset;

	g->n = 0;
	for (;;) {
		int rc = archive_read_data_block(a, &block, &n, &offset);

		if (rc == ARCHIVE_EOF)
			return UNPACK_WHOLE;
		if (rc == ARCHIVE_RETRY)
			continue;
		if (rc < ARCHIVE_WARN)
			return UNPACK_BROKEN;
		if (n == 0)
			continue;
		if (offset < 0 || (uint64_t)offset < g->n)
			return UNPACK_BROKEN; /* no reader of ours goes backwards */
		/* A hole costs as much as what it stands for. */
		if (!budget_octets(budget, (uint64_t)offset - g->n + n) || !budget_time(budget))
			return UNPACK_CUT;
		if (!growing_add(g, (size_t)offset, block, n))
			return UNPACK_NO_MEMORY;
	}
}

/* Its path, cut at the front, because names are told apart by their ends. */
static void member_name(struct archive_entry *entry, char *buf)
{
	const char *path = archive_entry_pathname(entry);
	size_t n = path != NULL ? strlen(path) : 0;

	mw_strlcpy(buf,
		n >= UNPACK_NAME_MAX ? path + (n - (UNPACK_NAME_MAX - 1))
		: n > 0		     ? path
				     : "",
		UNPACK_NAME_MAX);
	for (char *p = buf; *p != '\0'; p++)
		if ((unsigned char)*p < 0x20 || *p == 0x7f)
			*p = '?';
}

static enum unpack_end give_member(struct archive *a, struct archive_entry *entry,
	struct budget *budget, struct growing *g,
	bool (*got)(void *arg, const struct unpack_member *m), void *arg)
{
	char name[UNPACK_NAME_MAX];
	struct unpack_member m = { .name = name,
		.encrypted = archive_entry_is_encrypted(entry) > 0 };
	enum unpack_end end = UNPACK_WHOLE;

	if (archive_entry_filetype(entry) != AE_IFREG && archive_entry_filetype(entry) != 0)
		return UNPACK_WHOLE;
	if (!budget_file(budget))
		return UNPACK_CUT;
	member_name(entry, name);
	if (!m.encrypted)
		end = read_member(a, budget, g);
	if (end == UNPACK_NO_MEMORY)
		return end;
	m.octets = mw_octets_of(g->p, m.encrypted ? 0 : g->n);
	if (!got(arg, &m)) /* what came before a limit or a fault is looked at, too */
		return UNPACK_CUT;
	return end;
}

/* One broken member does not hide the next one, as long as the reader goes on. */
static enum unpack_end walk(struct archive *a, struct budget *budget, struct growing *g,
	bool (*got)(void *arg, const struct unpack_member *m), void *arg)
{
	enum unpack_end all = UNPACK_WHOLE, end;
	struct archive_entry *entry;

	for (;;) {
		int rc = archive_read_next_header(a, &entry);

		if (rc == ARCHIVE_EOF)
			return all;
		if (rc == ARCHIVE_FATAL)
			return UNPACK_BROKEN;
		if (!budget_time(budget))
			return UNPACK_CUT;
		if (rc < ARCHIVE_WARN) {
			all = UNPACK_BROKEN;
			if (!budget_file(
				    budget)) /* a reader that never ends would never end here */
				return UNPACK_CUT;
			continue;
		}
		end = give_member(a, entry, budget, g, got, arg);
		if (end == UNPACK_BROKEN)
			all = end;
		else if (end != UNPACK_WHOLE)
			return end;
	}
}

enum unpack_end unpack(struct mw_octets octets, const struct unpack_kind *kind,
	struct budget *budget, bool (*got)(void *arg, const struct unpack_member *m), void *arg)
{
	struct archive *a = open_memory(octets, kind);
	struct growing g = { NULL, 0, 0 };
	enum unpack_end end;

	if (a == NULL)
		return UNPACK_BROKEN;
	end = walk(a, budget, &g, got, arg);
	free(g.p);
	archive_read_free(a);
	return end;
}
