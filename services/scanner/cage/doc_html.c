/*
 * Files that stand in addresses: "data:type;base64,octets" (RFC 2397), in HTML, SVG, style sheets
 * and wherever else in text. Browsers skip blanks and line ends in them, and so do we.
 */
#include <strings.h>

#include "decode.h"
#include "doc.h"

#define SCHEME 5      /* octets of "data:" */
#define HEAD_MAX 1024 /* octets between "data:" and the comma that are looked at */
#define TAG_MAX 4096  /* octets of the tag around that are searched for a name */

/* One address: its head up to the comma, and what comes behind it. */
struct address {
	struct mw_octets head, data;
	char type[DOC_TYPE_MAX];
	bool base64;
};

static bool is_blank(unsigned char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static bool in_word(unsigned char c)
{
	return c == '-' || c == '_' || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z');
}

/* The next "data:" that begins a word. */
static const unsigned char *next_scheme(const unsigned char *p, const unsigned char *end)
{
	const unsigned char *from = p;

	while ((p = memchr(p, ':', (size_t)(end - p))) != NULL) {
		p++;
		if (p - from < SCHEME || (p[-2] | 0x20) != 'a' ||
			strncasecmp((const char *)p - SCHEME, "data:", SCHEME) != 0)
			continue;
		if (p - from > SCHEME && in_word(p[-SCHEME - 1]))
			continue; /* "metadata:" */
		return p;
	}
	return NULL;
}

/* ------------------------------------------------------------------ characters in disguise */

/* Named ones that an address may need; the others are kept as they stand. */
static const struct {
	const char *name;
	unsigned char c;
} named[] = {
	{ "colon;", ':' },
	{ "comma;", ',' },
	{ "semi;", ';' },
	{ "equals;", '=' },
	{ "sol;", '/' },
	{ "plus;", '+' },
	{ "quot;", '"' },
	{ "apos;", '\'' },
	{ "amp;", '&' },
	{ "Tab;", '\t' },
	{ "NewLine;", '\n' },
};

/* The character reference at p (HTML 13.5), behind its '&': octets of it and what it stands for; 0:
 * none. */
static size_t reference(const unsigned char *p, const unsigned char *end, unsigned char *c_r)
{
	const unsigned char *from = p;
	unsigned base = 10, v = 0;
	int digit;

	if (p < end && *p != '#') {
		for (size_t i = 0; i < MW_COUNT(named); i++) {
			size_t n = strlen(named[i].name);

			*c_r = named[i].c;
			if ((size_t)(end - p) >= n && memcmp(p, named[i].name, n) == 0)
				return n;
		}
		return 0;
	}
	if (end - p > 2 && (p[1] | 0x20) == 'x')
		base = 16;
	p += base == 16 ? 2 : 1;
	for (from = p; p < end; p++) {
		digit = doc_hex(*p);
		if (digit < 0 || (unsigned)digit >= base)
			break;
		v = v < 0x10000 ? v * base + (unsigned)digit : v;
	}
	if (p >= end || p == from || v == 0 || v > 0x7f)
		return 0; /* not of an address */
	*c_r = (unsigned char)v;
	return (size_t)(p - from) + (base == 16 ? 2 : 1) + (*p == ';');
}

/* A letter of "data:" that is written as a reference: nobody does that without a reason. */
static bool is_disguised(struct mw_octets o)
{
	const unsigned char *p = o.p, *end = o.p + o.n;
	unsigned char c;

	while ((p = memchr(p, '&', (size_t)(end - p))) != NULL)
		if (reference(++p, end, &c) != 0 && memchr("dataDATA:", c, 9) != NULL)
			return true;
	return false;
}

static enum container_end undisguise(
	const struct container_job *job, struct mw_octets o, struct doc_buf *plain)
{
	enum container_end end = doc_room(job->budget, plain, o.n);
	unsigned char c;

	if (end != CONTAINER_WHOLE)
		return end;
	for (const unsigned char *p = o.p, *last = o.p + o.n; p < last;) {
		size_t n = *p == '&' ? reference(p + 1, last, &c) : 0;

		plain->p[plain->n++] = n != 0 ? c : *p;
		p += n + 1;
	}
	return CONTAINER_WHOLE;
}

/* ------------------------------------------------------------------ the address */

/* What ends it: the quote it stands in, or a blank or bracket when it stands in none. */
static unsigned char quote_before(const unsigned char *scheme, const unsigned char *from)
{
	while (scheme > from && is_blank(scheme[-1]))
		scheme--;
	if (scheme == from)
		return 0;
	return scheme[-1] == '"' || scheme[-1] == '\'' ? scheme[-1] : scheme[-1] == '(' ? ')' : 0;
}

static const unsigned char *address_end(
	const unsigned char *p, const unsigned char *end, unsigned char quote)
{
	const unsigned char *at;

	if (quote != 0) {
		at = memchr(p, quote, (size_t)(end - p));
		return at != NULL ? at : end;
	}
	while (p < end && !is_blank(*p) && *p != '>' && *p != '<' && *p != '"' && *p != '\'')
		p++;
	return p;
}

/* Where base64 ends: so a quote that never closes swallows no other address. */
static const unsigned char *base64_end(const unsigned char *p, const unsigned char *end)
{
	while (p < end && (is_blank(*p) || in_word(*p) || (*p >= '0' && *p <= '9') || *p == '+' ||
				  *p == '/' || *p == '=' || *p == '%'))
		p++;
	return p;
}

/* Type and form, without blanks. False: nothing says what it is, so it is prose. */
static bool take_head(struct address *a)
{
	char head[HEAD_MAX + 1];
	size_t n = 0;
	char *semicolon;

	for (size_t i = 0; i < a->head.n; i++)
		/* A card or a script has `\,` and `\/` for a comma and a slash. */
		if (!is_blank(a->head.p[i]) && a->head.p[i] != '\0' && a->head.p[i] != '\\')
			head[n++] = (char)a->head.p[i];
	head[n] = '\0';
	a->base64 = n >= 6 && strcasecmp(head + n - 6, "base64") == 0;
	semicolon = strchr(head, ';');
	if (semicolon != NULL)
		*semicolon = '\0';
	mw_strlcpy(a->type, head, sizeof(a->type));
	for (char *c = a->type; *c != '\0'; c++)
		if (*c >= 'A' && *c <= 'Z')
			*c |= 0x20;
	return a->base64 || strchr(a->type, '/') != NULL;
}

static bool take_address(
	const unsigned char *p, const unsigned char *end, unsigned char quote, struct address *a_r)
{
	size_t look = (size_t)(end - p) < HEAD_MAX ? (size_t)(end - p) : HEAD_MAX;
	const unsigned char *comma = memchr(p, ',', look);

	if (comma == NULL)
		return false;
	a_r->head = mw_octets_of(p, (size_t)(comma - p));
	if (!take_head(a_r))
		return false;
	end = address_end(comma + 1, end, quote);
	if (a_r->base64)
		end = base64_end(comma + 1, end);
	a_r->data = mw_octets_of(comma + 1, (size_t)(end - comma) - 1);
	return true;
}

/* Undo percent signs, and base64; decoding never grows. */
static enum container_end decode(
	struct budget *budget, const struct address *a, struct doc_buf *buf)
{
	enum container_end end = doc_room(budget, buf, a->data.n);

	if (end != CONTAINER_WHOLE || a->data.n == 0)
		return end;
	for (size_t i = 0; i < a->data.n; i++) {
		unsigned char c = a->data.p[i];
		int high = c == '%' && i + 2 < a->data.n ? doc_hex(a->data.p[i + 1]) : -1;
		int low = high >= 0 ? doc_hex(a->data.p[i + 2]) : -1;

		if (low >= 0) {
			c = (unsigned char)(high << 4 | low);
			i += 2;
		}
		buf->p[buf->n++] = c;
	}
	if (a->base64)
		buf->n = mime_decode(MIME_BASE64, doc_octets(buf), buf->p);
	return CONTAINER_WHOLE;
}

enum container_end doc_decode_address(
	struct budget *budget, struct mw_octets o, char type[DOC_TYPE_MAX], struct doc_buf *buf)
{
	struct address a = { 0 };

	buf->n = 0;
	type[0] = '\0';
	if (o.n == 0 || !take_address(o.p, o.p + o.n, '\n', &a))
		return CONTAINER_WHOLE;
	mw_strlcpy(type, a.type, DOC_TYPE_MAX);
	return decode(budget, &a, buf);
}

/* ------------------------------------------------------------------ its name */

/* What the tag around says that it shall be saved as: <a href="data:..." download="x.exe">. */
static void take_name(struct mw_octets all, const struct address *a, char name[CONTAINER_NAME_MAX])
{
	const unsigned char *from = a->head.p, *to = a->data.p + a->data.n, *p;
	const unsigned char *first = from - all.p > TAG_MAX ? from - TAG_MAX : all.p,
			    *last = all.p + all.n - to > TAG_MAX ? to + TAG_MAX : all.p + all.n;
	unsigned char quote = 0;

	name[0] = '\0';
	while (from > first && *from != '<' && *from != '>')
		from--;
	p = memchr(to, '>', (size_t)(last - to));
	to = p != NULL ? p : last;
	for (p = from; to - p > 9; p++) {
		if (p == a->head.p)
			p = a->data.p + a->data.n; /* not in the octets themselves */
		if (to - p <= 9 || strncasecmp((const char *)p, "download", 8) != 0)
			continue;
		for (p += 8; p < to && (is_blank(*p) || *p == '='); p++)
			;
		if (p < to && (*p == '"' || *p == '\''))
			quote = *p++;
		for (from = p; p < to && (quote != 0 ? *p != quote : !is_blank(*p)); p++)
			;
		container_name(name, (const char *)from, (size_t)(p - from));
		return;
	}
}

/* ------------------------------------------------------------------ the row */

static bool knows(struct mw_octets octets)
{
	return octets.n > SCHEME &&
	       (next_scheme(octets.p, octets.p + octets.n) != NULL || is_disguised(octets));
}

static enum container_end open_one(const struct container_job *job, struct mw_octets all,
	const struct address *a, struct doc_buf *buf)
{
	char name[CONTAINER_NAME_MAX];
	struct container_member m = { .name = name, .type = a->type };
	enum container_end end;

	buf->n = 0;
	end = decode(job->budget, a, buf);
	if (end != CONTAINER_WHOLE || buf->n == 0)
		return end;
	take_name(all, a, name);
	m.octets = doc_octets(buf);
	return doc_give(job, &m);
}

static enum container_end open_addresses(
	const struct container_job *job, struct mw_octets all, struct doc_buf *buf)
{
	const unsigned char *from = all.p, *end = from + all.n, *p = from;
	enum container_end got = CONTAINER_WHOLE;
	struct address a;

	/* What lies in an address of text is found in the member. */
	while (got == CONTAINER_WHOLE && (p = next_scheme(p, end)) != NULL) {
		if (!take_address(p, end, quote_before(p - SCHEME, from), &a))
			continue;
		got = budget_time(job->budget) ? open_one(job, all, &a, buf) : CONTAINER_CUT;
		p = a.data.p + a.data.n;
	}
	return got;
}

static enum container_end open_html(const struct container_job *job)
{
	struct doc_buf buf = { 0 }, plain = { 0 };
	enum container_end end = open_addresses(job, job->octets, &buf);

	if (end == CONTAINER_WHOLE && is_disguised(job->octets)) {
		end = undisguise(job, job->octets, &plain);
		if (end == CONTAINER_WHOLE)
			end = open_addresses(job, doc_octets(&plain), &buf);
	}
	doc_free(&plain);
	doc_free(&buf);
	return end;
}

const struct container container_html = { "html", knows, open_html };
