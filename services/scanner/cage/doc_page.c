/*
 * A web page (MHTML) behind the first objects of a PDF: office programs look for it behind whatever
 * stands in front, and run its macros, while everybody else sees a PDF.
 */
#include <strings.h>

#include "doc.h"
#include "mail.h"

#define FIRST "MIME-Version"
#define FIRST_N 12
#define PAGES_MAX 8 /* each of them goes to the end */

/* Where the next page's header begins behind p; NULL: there is none. */
static const unsigned char *page(struct mw_octets o, const unsigned char *p)
{
	const unsigned char *end = o.p + o.n;

	for (; (p = memchr(p, '-', (size_t)(end - p))) != NULL; p++) {
		const unsigned char *first = p - o.p > 4 ? p - 4 : NULL;

		if (first != NULL && (first[-1] == '\n' || first[-1] == '\r') &&
			end - first > FIRST_N &&
			strncasecmp((const char *)first, FIRST, FIRST_N) == 0 &&
			mail_by_content(mw_octets_of(first, (size_t)(end - first))))
			return first;
	}
	return NULL;
}

static bool knows(struct mw_octets octets)
{
	return container_pdf.knows(octets) && page(octets, octets.p) != NULL;
}

static enum container_end open_page(const struct container_job *job)
{
	const unsigned char *p = job->octets.p, *end = p + job->octets.n;
	struct container_member m = { .name = "", .type = "message/rfc822" };
	enum container_end got = CONTAINER_WHOLE;

	/* The first may be a decoy in front of what programs find. */
	for (unsigned i = 0; got == CONTAINER_WHOLE && (p = page(job->octets, p)) != NULL; i++) {
		if (i == PAGES_MAX)
			return CONTAINER_BROKEN;
		m.octets = mw_octets_of(p, (size_t)(end - p));
		p += FIRST_N;
		got = budget_time(job->budget) && budget_octets(job->budget, m.octets.n)
			      ? doc_give(job, &m)
			      : CONTAINER_CUT;
	}
	return got;
}

const struct container container_page = { "page", knows, open_page };
