#include <archive_entry.h>

#include "ends.h"
#include "unpack_read.h"
#include "unpack.h"
#include "zip_head.h"

static void put_32(unsigned char *p, uint64_t n)
{
	for (unsigned i = 0; i < 4; i++)
		p[i] = (unsigned char)(n >> (8 * i));
}

/* How libarchive gets at each method: as a stream of that compression, or in a zip made for it. */
static const struct zip_method {
	unsigned method;
	int filter;				/* ARCHIVE_FILTER_NONE: in a zip */
	size_t (*end)(struct mw_octets octets); /* of a reader that cannot bear octets behind it */
} zip_methods[] = {
	{ 12, ARCHIVE_FILTER_BZIP2, NULL }, { 14, ARCHIVE_FILTER_NONE, NULL }, /* lzma */
	{ 20, ARCHIVE_FILTER_ZSTD, end_of_zstd }, { 93, ARCHIVE_FILTER_ZSTD, end_of_zstd },
	{ 95, ARCHIVE_FILTER_XZ, end_of_xz }, { 98, ARCHIVE_FILTER_NONE, NULL }, /* ppmd */
};

static const struct zip_method *zip_method_of(unsigned method)
{
	for (size_t i = 0; i < MW_COUNT(zip_methods); i++)
		if (zip_methods[i].method == method)
			return &zip_methods[i];
	return NULL;
}

/* head: of the zip that is made for it. */
static bool open_method(
	struct archive *a, const struct zip_method *m, struct mw_octets head, struct feed *feed)
{
	if (m->filter != ARCHIVE_FILTER_NONE)
		return unpack_filter(a, m->filter) && feed_open(feed, a);
	feed->ahead = head;
	archive_read_support_format_zip_streamable(a);
	archive_read_set_options(a, "zip:ignorecrc32"); /* the caller looks at it */
	return feed_open(feed, a);
}

static enum container_end read_method(
	struct archive *a, const struct zip_method *m, struct feed *feed, struct grow *g)
{
	struct archive_entry *entry;
	struct remarks remarks; /* the caller compares size and sum */
	enum container_end end =
		m->filter != ARCHIVE_FILTER_NONE ? unpack_began(a, feed) : CONTAINER_WHOLE;
	int rc;

	if (end != CONTAINER_WHOLE)
		return end;
	rc = archive_read_next_header(a, &entry);
	if (rc < ARCHIVE_WARN)
		return unpack_fault(a, feed);
	return rc == ARCHIVE_EOF ? CONTAINER_WHOLE : unpack_member(a, feed, g, &remarks);
}

/* Octets of the member that were taken. What ends by its size alone may leave some: the coder's
 * last ones. */
#define LEFT_MOST 16
#define EMPTY_MOST 24 /* octets that nothing but an empty file is packed into */
static size_t used_of(struct archive *a, const struct zip_method *m, size_t head, size_t packed)
{
	bool in_zip = m->filter == ARCHIVE_FILTER_NONE;
	la_int64_t taken = archive_filter_bytes(a, -1) - (in_zip ? (la_int64_t)head : 0);

	if (taken < 0 || (uint64_t)taken >= packed ||
		(in_zip && packed - (size_t)taken <= LEFT_MOST))
		return packed;
	return (size_t)taken;
}

enum container_end unpack_zip_method(unsigned method, struct mw_octets packed, uint64_t size,
	struct budget *budget, struct grow *g, size_t *used_r)
{
	unsigned char head[31] = ZIP_LOCAL;
	const struct zip_method *m = zip_method_of(method);
	size_t stop = m != NULL && m->end != NULL ? m->end(packed) : packed.n;
	struct feed feed = { .o = mw_octets_of(packed.p, stop), .budget = budget };
	struct archive *a = m != NULL ? archive_read_new() : NULL;
	enum container_end end;

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
	if (open_method(a, m, mw_octets_of(head, sizeof(head)), &feed))
		end = read_method(a, m, &feed, g);
	else
		end = unpack_fault(a, &feed);
	*used_r = used_of(a, m, sizeof(head), packed.n);
	if (end == CONTAINER_BROKEN && g->n == 0 && size == 0 && packed.n <= EMPTY_MOST) {
		*used_r = packed.n; /* an empty file: libarchive 3.6 calls its stream damaged */
		end = CONTAINER_WHOLE;
	}
	archive_read_free(a);
	return end;
}
