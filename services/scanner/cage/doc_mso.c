/* ActiveMime: what office programs keep macros in when a document is HTML or XML; one deflated
 * file. */
#include "doc.h"

#define MAGIC "ActiveMime"
#define LOOK_FROM 10  /* behind the magic */
#define LOOK_TO 0x800 /* where the deflated file begins, at most */

static bool knows(struct mw_octets octets)
{
	return doc_starts(octets, MAGIC, sizeof(MAGIC) - 1);
}

/* The header is of no fixed length: zlib's first octet, then what inflates. */
static enum container_end open_mso(const struct container_job *job)
{
	struct container_member m = { .name = "editdata.mso" };
	struct doc_buf buf = { 0 };
	enum container_end end = CONTAINER_BROKEN;

	for (size_t at = LOOK_FROM; at < LOOK_TO && at + 2 <= job->octets.n; at++) {
		const unsigned char *p = job->octets.p + at;

		if (p[0] != 0x78 || (p[0] << 8 | p[1]) % 31 != 0)
			continue;
		end = doc_inflate(job->budget, doc_from(job->octets, at), 15, &buf);
		if (end != CONTAINER_BROKEN || buf.n != 0)
			break;
	}
	m.octets = doc_octets(&buf);
	if (buf.n != 0 && end != CONTAINER_NO_MEMORY)
		end = doc_worse(end, doc_give(job, &m));
	doc_free(&buf);
	return end;
}

const struct container container_mso = { "mso", knows, open_mso };
