/*
 * A web page (MHTML) behind the first objects of a PDF: office programs look for it behind whatever
 * stands in front, and run its macros, while everybody else sees a PDF.
 */
#include "doc.h"
#include "mail.h"

#define FIRST "MIME-Version:"
#define FIRST_N 13

/* Where the page's header begins; NULL: there is none. */
static const unsigned char *page(struct mw_octets o)
{
	const unsigned char *p = o.p, *end = o.p + o.n;

	for (; (p = memmem(p, (size_t)(end - p), FIRST, FIRST_N)) != NULL; p += FIRST_N)
		if (p > o.p && (p[-1] == '\n' || p[-1] == '\r') &&
			mail_by_content(mw_octets_of(p, (size_t)(end - p))))
			return p;
	return NULL;
}

static bool knows(struct mw_octets octets)
{
	return container_pdf.knows(octets) && page(octets) != NULL;
}

static enum container_end open_page(const struct container_job *job)
{
	const unsigned char *p = page(job->octets), *end = job->octets.p + job->octets.n;
	const struct container_member m = {
		.name = "", .type = "message/rfc822", .octets = mw_octets_of(p, (size_t)(end - p))
	};

	if (!budget_time(job->budget) || !budget_octets(job->budget, m.octets.n))
		return CONTAINER_CUT;
	return doc_give(job, &m);
}

const struct container container_page = { "page", knows, open_page };
