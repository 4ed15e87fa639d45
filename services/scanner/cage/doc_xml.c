/*
 * Office documents that are one XML file (Flat OPC, Word 2003, flat OpenDocument): what is binary
 * in them is base64 in elements of a few names. And the manifest of an OpenDocument archive, which
 * alone says that the archive's members are encrypted.
 */
#include "decode.h"
#include "doc.h"

#define NAMESPACE_MAX 4096 /* octets in which a manifest says that it is one */
#define NAMED_WITHIN 2048  /* octets in front of what is binary that may name it */

static bool is_xml(struct mw_octets o)
{
	size_t at = 0;

	while (at < o.n && memchr(" \t\r\n\xef\xbb\xbf", o.p[at], 7) != NULL)
		at++;
	return doc_starts(doc_from(o, at), "<", 1);
}

static const unsigned char *search(struct mw_octets o, const char *text)
{
	return o.n == 0 ? NULL : memmem(o.p, o.n, text, strlen(text));
}

/* ------------------------------------------------------------------ OpenDocument's manifest */

static bool knows_odf(struct mw_octets octets)
{
	return is_xml(octets) &&
	       search(doc_range(octets, 0, NAMESPACE_MAX), "opendocument:xmlns:manifest") != NULL;
}

static enum container_end open_odf(const struct container_job *job)
{
	const struct container_member m = { .name = "encrypted", .encrypted = true };

	if (search(job->octets, "encryption-data") == NULL &&
		search(job->octets, "encrypted-key") == NULL)
		return CONTAINER_WHOLE;
	container_has(job, CONTAINER_ENCRYPTED);
	return doc_give(job, &m);
}

const struct container container_odf = { "odf", knows_odf, open_odf };

/* ------------------------------------------------------------------ base64 in elements */

static const char *const elements[] = { "binaryData", "binData", "binary-data" };

static bool knows_xml(struct mw_octets octets)
{
	if (!is_xml(octets))
		return false;
	for (size_t i = 0; i < MW_COUNT(elements); i++)
		if (search(octets, elements[i]) != NULL)
			return true;
	return false;
}

static const unsigned char *behind_blanks(const unsigned char *p, const unsigned char *end)
{
	while (p < end && memchr(" \t\r\n", *p, 4) != NULL)
		p++;
	return p;
}

/* The quote in front of an attribute's value, whose name ends at p; NULL: it is none. */
static const unsigned char *value_at(const unsigned char *p, const unsigned char *end)
{
	p = behind_blanks(p, end);
	if (p == end || *p != '=')
		return NULL;
	p = behind_blanks(p + 1, end);
	return end - p >= 2 && (*p == '"' || *p == '\'') ? p : NULL;
}

/* The last name="..." in front of the element's content: its own, or that of the part around it. */
static void take_name(struct mw_octets before, char name[CONTAINER_NAME_MAX])
{
	static const char key[] = "name";
	struct mw_octets o =
		doc_from(before, before.n > NAMED_WITHIN ? before.n - NAMED_WITHIN : 0);
	const unsigned char *p, *value, *last = NULL, *end = o.p + o.n, *quote;

	name[0] = '\0';
	for (p = o.p; (p = memmem(p, (size_t)(end - p), key, sizeof(key) - 1)) != NULL;) {
		p += sizeof(key) - 1;
		value = value_at(p, end);
		last = value != NULL ? value : last;
	}
	if (last == NULL)
		return;
	quote = memchr(last + 1, *last, (size_t)(end - last) - 1);
	last++;
	container_name(name, (const char *)last, (size_t)((quote != NULL ? quote : end) - last));
}

/* Where the tag ends whose name ends at p. A '>' in quotes ends none, a '<' says that it is none.
 */
static const unsigned char *tag_end(const unsigned char *p, const unsigned char *end)
{
	unsigned char quote = 0;

	for (; p < end && (quote != 0 || (*p != '>' && *p != '<')); p++)
		if (quote != 0 ? *p == quote : *p == '"' || *p == '\'')
			quote = quote != 0 ? 0 : *p;
	return p;
}

/* What XML has besides elements: its octets are text, or nothing at all. */
static const struct aside {
	const char *opens, *closes;
	bool text;
} asides[] = {
	{ "<!--", "-->", false },
	{ "<?", "?>", false },
	{ "<![CDATA[", "]]>", true },
};

static const struct aside *aside_at(struct mw_octets o)
{
	for (size_t i = 0; i < MW_COUNT(asides); i++)
		if (doc_starts(o, asides[i].opens, strlen(asides[i].opens)))
			return &asides[i];
	return NULL;
}

/* A character that is written as its number, at p, behind '&'; 0: none that base64 has. */
static unsigned char numbered(const unsigned char **p_p, const unsigned char *end)
{
	const unsigned char *p = *p_p;
	unsigned base = 10, v = 0;

	if (p == end || *p++ != '#')
		return 0;
	if (p < end && *p == 'x') {
		base = 16;
		p++;
	}
	for (; p < end && doc_hex(*p) >= 0 && (unsigned)doc_hex(*p) < base; p++)
		v = v < 0x10000 ? v * base + (unsigned)doc_hex(*p) : v;
	if (p == end || *p != ';' || v == 0 || v > 0x7f)
		return 0;
	*p_p = p + 1;
	return (unsigned char)v;
}

static void add(struct doc_buf *buf, const void *p, size_t n)
{
	if (buf == NULL || n == 0)
		return;
	memcpy(buf->p + buf->n, p, n);
	buf->n += n;
}

/* The text of an element from p to the next tag, into buf, which has room for it (NULL: nobody
 * wants it yet); where it ends. */
static const unsigned char *take_text(
	const unsigned char *p, const unsigned char *end, struct doc_buf *buf)
{
	while (p < end) {
		struct mw_octets rest = mw_octets_of(p, (size_t)(end - p)), within;
		const struct aside *a = *p == '<' ? aside_at(rest) : NULL;
		const unsigned char *close;

		if (*p == '<' && a == NULL)
			break;
		if (a == NULL) {
			unsigned char c = *p++, other = c == '&' ? numbered(&p, end) : 0;

			add(buf, other != 0 ? &other : &c, 1);
			continue;
		}
		within = doc_from(rest, strlen(a->opens));
		close = search(within, a->closes);
		within.n = close != NULL ? (size_t)(close - within.p) : within.n;
		if (a->text)
			add(buf, within.p, within.n);
		p = close != NULL ? close + strlen(a->closes) : end;
	}
	return p;
}

/* The text from p on, decoded; *p_p: behind it. */
static enum container_end give_content(
	const struct container_job *job, const unsigned char **p_p, struct doc_buf *buf)
{
	const unsigned char *p = *p_p, *end = take_text(p, job->octets.p + job->octets.n, NULL);
	char name[CONTAINER_NAME_MAX];
	struct container_member m = { .name = name };
	enum container_end got = doc_room(job->budget, buf, (size_t)(end - p));

	*p_p = end;
	if (got != CONTAINER_WHOLE)
		return got;
	take_text(p, end, buf);
	if (buf->n == 0)
		return CONTAINER_WHOLE;
	buf->n = mime_decode(MIME_BASE64, doc_octets(buf), buf->p);
	if (buf->n == 0)
		return CONTAINER_WHOLE;
	take_name(doc_range(job->octets, 0, (size_t)(p - job->octets.p)), name);
	m.octets = doc_octets(buf);
	return doc_give(job, &m);
}

static enum container_end open_elements(
	const struct container_job *job, const char *element, struct doc_buf *buf)
{
	const unsigned char *p = job->octets.p, *end = p + job->octets.n;
	enum container_end got = CONTAINER_WHOLE;
	size_t n = strlen(element);

	while (got == CONTAINER_WHOLE && (p = memmem(p, (size_t)(end - p), element, n)) != NULL) {
		const unsigned char *close = tag_end(p + n, end);

		/* It may be read again and again: quotes need not close. */
		if (!budget_time(job->budget) || !budget_octets(job->budget, (uint64_t)(close - p)))
			return CONTAINER_CUT;
		p += n;
		if (close == end || *close != '>' || close[-1] == '/')
			continue;
		p = close + 1;
		buf->n = 0;
		got = give_content(job, &p, buf);
	}
	return got;
}

static enum container_end open_xml(const struct container_job *job)
{
	enum container_end end = CONTAINER_WHOLE;
	struct doc_buf buf = { 0 };

	for (size_t i = 0; i < MW_COUNT(elements) && end == CONTAINER_WHOLE; i++)
		end = open_elements(job, elements[i], &buf);
	doc_free(&buf);
	return end;
}

const struct container container_xml = { "xml", knows_xml, open_xml };
