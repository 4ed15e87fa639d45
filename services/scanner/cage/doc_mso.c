/* ActiveMime: what office programs keep macros in when a document is HTML or XML; one deflated
 * file. */
#include "doc.h"

#define MAGIC "ActiveMime"
#define LOOK_FROM 10	      /* behind the magic */
#define LOOK_TO (46 + 0xffff) /* the header says where it begins, in two octets */
#define LEAST 16	      /* octets of what is damaged; by chance a few inflate */

static bool knows(struct mw_octets octets)
{
	return doc_starts(octets, MAGIC, sizeof(MAGIC) - 1);
}

/* Does a deflated file with zlib's header begin there? */
static bool is_deflated(const unsigned char *p)
{
	return p[0] == 0x78 && (p[0] << 8 | p[1]) % 31 == 0;
}

static enum container_end give(
	const struct container_job *job, enum container_end inflated, const struct doc_buf *buf)
{
	const struct container_member m = { .name = "editdata.mso", .octets = doc_octets(buf) };

	if (buf->n == 0 || inflated == CONTAINER_NO_MEMORY ||
		(inflated == CONTAINER_BROKEN && buf->n < LEAST))
		return inflated;
	return doc_worse(inflated, doc_give(job, &m));
}

/* Readers differ about where it begins, so all that inflates is given out: an empty one, or one of
 * something else, may stand in front. One that is whole and holds something is enough. */
static enum container_end open_mso(const struct container_job *job)
{
	struct doc_buf buf = { 0 };
	enum container_end end = CONTAINER_WHOLE;
	bool whole = false;

	for (size_t at = LOOK_FROM; at < LOOK_TO && at + 2 <= job->octets.n && !doc_stops(end);
		at++) {
		if (!is_deflated(job->octets.p + at))
			continue;
		if (!budget_time(job->budget))
			end = CONTAINER_CUT;
		buf.n = 0;
		if (!doc_stops(end))
			end = doc_inflate(job->budget, doc_from(job->octets, at), 15, &buf);
		end = give(job, end, &buf);
		whole = whole || (end == CONTAINER_WHOLE && buf.n != 0);
	}
	doc_free(&buf);
	return doc_stops(end) ? end : whole ? CONTAINER_WHOLE : CONTAINER_BROKEN;
}

const struct container container_mso = { "mso", knows, open_mso };
