#include <archive_entry.h>

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
	int filter; /* ARCHIVE_FILTER_NONE: in a zip */
} zip_methods[] = {
	{ 12, ARCHIVE_FILTER_BZIP2 }, { 14, ARCHIVE_FILTER_NONE }, /* lzma */
	{ 20, ARCHIVE_FILTER_ZSTD }, { 93, ARCHIVE_FILTER_ZSTD }, { 95, ARCHIVE_FILTER_XZ },
	{ 98, ARCHIVE_FILTER_NONE }, /* ppmd */
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

enum container_end unpack_zip_method(unsigned method, struct mw_octets packed, uint64_t size,
	struct budget *budget, struct grow *g)
{
	unsigned char head[31] = ZIP_LOCAL;
	const struct zip_method *m = zip_method_of(method);
	struct feed feed = { .o = packed, .budget = budget };
	struct archive *a = m != NULL ? archive_read_new() : NULL;
	enum container_end end;

	g->n = 0;
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
	archive_read_free(a);
	return end;
}
