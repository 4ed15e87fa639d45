#include <errno.h>

#include "unpack_read.h"

enum container_end unpack_fault(struct archive *a, const struct feed *feed)
{
	if (feed->stopped)
		return CONTAINER_CUT;
	if (archive_errno(a) != ENOMEM)
		return CONTAINER_BROKEN;
	budget_no_memory(feed->budget);
	return CONTAINER_CUT;
}

bool unpack_filter(struct archive *a, int filter)
{
	return archive_read_append_filter(a, filter) == ARCHIVE_OK &&
	       archive_read_support_format_raw(a) == ARCHIVE_OK &&
	       archive_read_support_format_empty(a) == ARCHIVE_OK;
}

/*
 * Nobody has asked the filter yet whether it knows these octets. Where it did not take one of them
 * it does not; the reader of nothing is content with an error as well.
 */
enum container_end unpack_began(struct archive *a, const struct feed *feed)
{
	if (feed->stopped || archive_errno(a) != 0)
		return unpack_fault(a, feed);
	return archive_filter_bytes(a, -1) == 0 ? CONTAINER_BROKEN : CONTAINER_WHOLE;
}

enum container_end unpack_member(
	struct archive *a, struct feed *feed, struct grow *g, struct remarks *remarks)
{
	struct budget *budget = feed->budget;
	const void *block;

	feed_octets(feed);
	g->n = 0;
	*remarks = (struct remarks){ .warned = false };
	for (;;) {
		la_int64_t offset = 0;
		size_t n = 0;
		int rc = archive_read_data_block(a, &block, &n, &offset);

		if (feed->stopped)
			return CONTAINER_CUT;
		if (rc == ARCHIVE_EOF) {
			remarks->end =
				offset > 0 && (uint64_t)offset > g->n ? (uint64_t)offset : g->n;
			return CONTAINER_WHOLE;
		}
		if (!budget_time(budget))
			return CONTAINER_CUT;
		if (rc == ARCHIVE_RETRY)
			continue;
		if (rc < ARCHIVE_WARN)
			return unpack_fault(a, feed);
		if (n == 0 && rc == ARCHIVE_WARN && remarks->warned)
			return CONTAINER_BROKEN; /* the reader of lha says so for ever */
		remarks->warned = remarks->warned || rc == ARCHIVE_WARN;
		if (n == 0)
			continue;
		if (offset < 0 || (uint64_t)offset < g->n)
			return CONTAINER_BROKEN; /* no reader of ours goes backwards */
		/* A hole costs as much as what it stands for. */
		if (!budget_octets(budget, (uint64_t)offset - g->n + n))
			return CONTAINER_CUT;
		if (!grow_put(g, (size_t)offset, block, n))
			return CONTAINER_NO_MEMORY;
	}
}
