/* Objects of OLE 1: what a packager, or another program, put into a document ([MS-OLEDS]). */
#include "doc.h"

#define EMBEDDED 3 /* what the packager says of a file that is there, not only named */

/* Text up to its NUL at *at_p, which is moved behind it; false: there is no NUL. */
static bool take_text(struct mw_octets o, size_t *at_p, struct mw_octets *text_r)
{
	struct mw_octets rest = doc_from(o, *at_p);
	const unsigned char *nul = rest.n != 0 ? memchr(rest.p, '\0', rest.n) : NULL;

	if (nul == NULL)
		return false;
	*text_r = mw_octets_of(rest.p, (size_t)(nul - rest.p));
	*at_p += text_r->n + 1;
	return true;
}

/* Text with its length in front of it. */
static struct mw_octets take_counted(struct mw_octets o, size_t *at_p)
{
	struct mw_octets text = doc_range(o, *at_p + 4, doc_u32(o, *at_p));

	*at_p += 4 + (size_t)doc_u32(o, *at_p);
	return text;
}

static void add_name(struct doc_names *names, unsigned rank, struct mw_octets text, bool wide)
{
	char name[CONTAINER_NAME_MAX];

	(wide ? doc_name16 : doc_name8)(name, text);
	doc_names_add(names, rank, doc_base(name)); /* there is room for all six */
}

/* Behind the file stand its names once more, in UTF-16 with their lengths: the temporary file's,
 * the label, the path. Systems that know of them prefer them. */
static void add_wide_names(struct doc_names *names, struct mw_octets o, size_t at)
{
	static const unsigned ranks[] = { 1, 0, 2 };

	for (size_t i = 0; i < MW_COUNT(ranks) && at + 4 <= o.n; i++) {
		size_t n = 2 * (size_t)doc_u32(o, at);

		add_name(names, ranks[i], doc_range(o, at + 4, n), true);
		at += 4 + n;
	}
}

enum container_end doc_give_package(
	const struct container_job *job, struct mw_octets o, bool size_first)
{
	struct mw_octets label, path, temp;
	size_t at = size_first ? 6 : 2; /* behind a number: how it is shown */
	struct container_member m = { 0 };
	struct doc_names names = { 0 };
	enum container_end end;

	if (!take_text(o, &at, &label) || !take_text(o, &at, &path) ||
		doc_u16(o, at + 2) != EMBEDDED)
		return CONTAINER_BROKEN;
	at += 4;
	temp = take_counted(o, &at);
	m.octets = doc_range(o, at + 4, doc_u32(o, at));
	/* The label is what is seen; the temporary file's name is what the file is opened by. */
	add_name(&names, 0, label, false);
	add_name(&names, 1, temp, false);
	add_name(&names, 2, path, false);
	add_wide_names(&names, o, at + 4 + (size_t)doc_u32(o, at));
	doc_names_tell(&names, &m);
	end = budget_octets(job->budget, m.octets.n) ? doc_give(job, &m) : CONTAINER_CUT;
	return end == CONTAINER_WHOLE && m.octets.n < doc_u32(o, at) ? CONTAINER_BROKEN : end;
}

enum container_end doc_give_ole1(const struct container_job *job, struct mw_octets o)
{
	char class[CONTAINER_NAME_MAX];
	enum container_end end;
	struct mw_octets data;
	size_t at = 8; /* version, which nobody looks at; format */

	if (doc_u32(o, 4) != 2) /* embedded */
		return CONTAINER_BROKEN;
	doc_name8(class, take_counted(o, &at));
	take_counted(o, &at); /* topic, item */
	take_counted(o, &at);
	data = doc_range(o, at + 4, doc_u32(o, at));
	if (data.n == 0)
		return CONTAINER_BROKEN;
	if (mw_ieq(class, "package")) {
		end = doc_give_package(job, data, false);
		if (end != CONTAINER_BROKEN)
			return end;
	}
	end = doc_give_range(job, class, NULL, data);
	return end == CONTAINER_WHOLE && data.n < doc_u32(o, at) ? CONTAINER_BROKEN : end;
}
