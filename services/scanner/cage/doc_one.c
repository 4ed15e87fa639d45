/*
 * OneNote: files that a page holds stand as they are, each behind a header of its own
 * ([MS-ONESTORE] section 2.6.13, FileDataStoreObject), however the rest of the notebook is put
 * together. In the form that a cloud hands out (section 2.8) there are no such headers, and its
 * files lie in pieces: nobody here opens it.
 */
#include "doc.h"

/* {7B5C52E4-D88C-4DA7-AEB1-5378D02996D3}, a section; {43FF2FA1-EFD9-4C76-9EE2-10EA5722765F}, a
 * table of contents. */
#define SECTION "\xe4\x52\x5c\x7b\x8c\xd8\xa7\x4d\xae\xb1\x53\x78\xd0\x29\x96\xd3"
#define TABLE "\xa1\x2f\xff\x43\xd9\xef\x76\x4c\x9e\xe2\x10\xea\x57\x22\x76\x5f"
/* {BDE316E7-2665-4511-A4C4-8D4D0B7A9EAC}, in front of a file */
#define FILE_DATA "\xe7\x16\xe3\xbd\x65\x26\x11\x45\xa4\xc4\x8d\x4d\x0b\x7a\x9e\xac"
/* {109ADD3F-911B-49F5-A5D0-1791EDC8AED8}, the form that is read */
#define FORMAT "\x3f\xdd\x9a\x10\x1b\x91\xf5\x49\xa5\xd0\x17\x91\xed\xc8\xae\xd8"
#define FORMAT_AT 48
#define GUID 16
#define HEAD 36 /* the GUID, eight octets of length, twelve of nothing */

static bool knows(struct mw_octets octets)
{
	return doc_starts(octets, SECTION, GUID) || doc_starts(octets, TABLE, GUID);
}

static enum container_end open_one(const struct container_job *job)
{
	const unsigned char *p = job->octets.p, *end = p + job->octets.n;
	bool known = doc_starts(doc_from(job->octets, FORMAT_AT), FORMAT, GUID);
	enum container_end got = known ? CONTAINER_WHOLE : CONTAINER_BROKEN;

	while (!doc_stops(got) && (p = memmem(p, (size_t)(end - p), FILE_DATA, GUID)) != NULL) {
		struct mw_octets rest = mw_octets_of(p, (size_t)(end - p));
		uint64_t n = doc_u32(rest, GUID) | (uint64_t)doc_u32(rest, GUID + 4) << 32;
		struct mw_octets file = doc_range(rest, HEAD, n < rest.n ? (size_t)n : rest.n);

		if (!budget_time(job->budget))
			return CONTAINER_CUT;
		if (file.n != 0)
			got = doc_worse(got, doc_give_range(job, "", NULL, file));
		if (file.n < n && !doc_stops(got))
			got = CONTAINER_BROKEN; /* its end is missing */
		p += GUID;			/* the length may lie */
	}
	return got;
}

const struct container container_one = { "onenote", knows, open_one };
