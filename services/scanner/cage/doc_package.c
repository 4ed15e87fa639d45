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

enum container_end doc_give_package(
	const struct container_job *job, struct mw_octets o, bool size_first)
{
	char label[CONTAINER_NAME_MAX], path[CONTAINER_NAME_MAX], temp[CONTAINER_NAME_MAX];
	struct mw_octets label_text, path_text, data;
	size_t at = size_first ? 6 : 2; /* behind a number that is 2 */
	enum container_end end;
	const char *file;

	if (doc_u16(o, at - 2) != 2 || !take_text(o, &at, &label_text) ||
		!take_text(o, &at, &path_text) || doc_u16(o, at + 2) != EMBEDDED)
		return CONTAINER_BROKEN;
	at += 4;
	doc_name8(label, label_text);
	doc_name8(path, path_text);
	doc_name8(temp, take_counted(o, &at));
	data = doc_range(o, at + 4, doc_u32(o, at));
	/* The label is what is seen; the temporary file's name is what the file is opened by. */
	file = temp[0] != '\0' ? doc_base(temp) : doc_base(path);
	end = doc_give_range(job, doc_base(label), file, data);
	return end == CONTAINER_WHOLE && data.n < doc_u32(o, at) ? CONTAINER_BROKEN : end;
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
