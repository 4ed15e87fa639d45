/*
 * Files that stand in addresses: "data:type;base64,octets" (RFC 2397), in HTML, SVG, style sheets
 * and wherever else in text. Browsers skip blanks and line ends in them, and so do we.
 */
#include <strings.h>

#include "decode.h"
#include "doc.h"

#define TAG_MAX 16384 /* octets of the tag around that are searched for a name, on either side */
#define PROSE 256     /* octets of what may be prose that are looked at */
#define BEHIND 16     /* characters of base64 behind a blank that may belong to it */
#define TAGS_MAX 8    /* `<` in front of an address that may be the tag's */

/* One address: its head up to the comma, and what comes behind it. */
struct address {
	const unsigned char *scheme; /* its first letter */
	struct mw_octets head, data;
	char type[DOC_TYPE_MAX];
	bool base64;
};

/* The octets at hand, with what is known of them. */
struct page {
	const struct container_job *job;
	struct mw_octets all;
	const unsigned char *comma; /* the last one that was looked for */
	const unsigned char *word;  /* "base64" in front of it; NULL: there is none */
	bool no_comma;
	bool disguised; /* an address has characters in disguise */
	struct doc_buf buf;
};

static bool is_blank(unsigned char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static bool is_quote(unsigned char c)
{
	return c == '"' || c == '\'' || c == '`';
}

static const unsigned char *behind_blanks(const unsigned char *p, const unsigned char *end)
{
	while (p < end && is_blank(*p))
		p++;
	return p;
}

static bool in_word(unsigned char c)
{
	return c == '-' || c == '_' || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z');
}

/* The letter in front of p, which browsers see behind line ends and tabs; NULL: another one. */
static const unsigned char *letter_before(
	const unsigned char *p, const unsigned char *from, unsigned char letter)
{
	while (p > from && is_blank(p[-1]) && p[-1] != ' ')
		p--;
	return p > from && (p[-1] | 0x20) == letter ? p - 1 : NULL;
}

/* Is it another word's end? An escaped line end or tab (`\t`) is none. */
static bool is_in_word(const unsigned char *p, const unsigned char *from)
{
	return p > from && in_word(p[-1]) && (p - from < 2 || p[-2] != '\\');
}

/* Behind the next "data:" that begins a word; *scheme_r: its first letter. */
static const unsigned char *next_scheme(
	const unsigned char *p, const unsigned char *end, const unsigned char **scheme_r)
{
	const unsigned char *from = p, *at;

	for (; (p = memchr(p, ':', (size_t)(end - p))) != NULL; p++) {
		static const char letters[] = "atad";

		at = p;
		for (size_t i = 0; letters[i] != '\0' && at != NULL; i++)
			at = letter_before(at, from, (unsigned char)letters[i]);
		if (at == NULL || is_in_word(at, from)) /* "metadata:" */
			continue;
		*scheme_r = at;
		return p + 1;
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
	{ "period;", '.' },
	{ "percnt;", '%' },
	{ "lowbar;", '_' },
	{ "lt;", '<' },
	{ "gt;", '>' },
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

/* A letter of "data:" that is written as a reference, or a line end between them: nobody does that
 * without a reason. */
static bool is_disguised(struct mw_octets o)
{
	const unsigned char *p = o.p, *end = o.p + o.n, *at;
	unsigned char c;
	size_t n;

	for (; (p = memchr(p, '&', (size_t)(end - p))) != NULL; p++) {
		n = reference(p + 1, end, &c);
		at = p + 1 + n;
		if (n != 0 && (memchr("dataDATA:", c, 9) != NULL ||
				      (is_blank(c) && p > o.p && at < end &&
					      memchr("dataDATA", p[-1], 8) != NULL &&
					      memchr("atAT:&", *at, 6) != NULL)))
			return true;
	}
	return false;
}

/* Is a reference among these octets? */
static bool has_reference(struct mw_octets o, const unsigned char *end)
{
	const unsigned char *p = o.p, *last = o.p + o.n;
	unsigned char c;

	while (p < last && (p = memchr(p, '&', (size_t)(last - p))) != NULL)
		if (reference(++p, end, &c) != 0)
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

/* Where base64 ends: so a quote that never closes swallows no other address. A string of a script
 * may be in pieces, and have line ends as scripts write them. */
static const unsigned char *base64_end(const unsigned char *p, const unsigned char *end)
{
	const unsigned char *piece;

	while (p < end) {
		if (is_blank(*p) || in_word(*p) || (*p >= '0' && *p <= '9') || *p == '+' ||
			*p == '/' || *p == '=' || *p == '%')
			p++;
		else if (*p == '\\' &&
			 (doc_escaped_blank(p, end) != 0 || (end - p > 1 && p[1] == '/')))
			p += 2;
		else if ((piece = doc_next_piece(p, end, "+")) != NULL)
			p = piece;
		else
			break;
	}
	return p;
}

/* The word "base64" that the head from `from` to p ends with; NULL: it does not. */
static const unsigned char *last_word(const unsigned char *from, const unsigned char *p)
{
	static const char word[] = "base64";

	for (size_t n = sizeof(word) - 1; n > 0; n--) {
		/* A card or a script has `\,` for a comma. */
		while (p > from && (is_blank(p[-1]) || p[-1] == '\0' || p[-1] == '\\'))
			p--;
		if (p == from || (p[-1] | 0x20) != (word[n - 1] | 0x20))
			return NULL;
		p--;
	}
	return p;
}

/* What stands in front of the first semicolon, without blanks, in lower case. */
static void take_type(struct address *a)
{
	size_t n = 0;

	for (size_t i = 0; i < a->head.n && a->head.p[i] != ';' && n < DOC_TYPE_MAX - 1; i++) {
		unsigned char c = a->head.p[i];

		if (!is_blank(c) && c != '\0' && c != '\\')
			a->type[n++] = (char)(c >= 'A' && c <= 'Z' ? c | 0x20 : c);
	}
	a->type[n] = '\0';
}

/* Where nothing says what it is: prose ("data: one, two"), unless a quote is in front of it or
 * percent signs are in it. */
static bool is_prose(const struct address *a, struct mw_octets data, unsigned char quote)
{
	bool quoted = quote != 0 && quote != ')';

	return !a->base64 && strchr(a->type, '/') == NULL && !quoted &&
	       (data.n == 0 || memchr(data.p, '%', data.n) == NULL);
}

/* The comma behind p, which ends a head however long it is; it is the same for many addresses. */
static const unsigned char *find_comma(
	struct page *page, const unsigned char *p, const unsigned char *end)
{
	if (page->comma != NULL && page->comma >= p)
		return page->comma;
	page->comma = memchr(p, ',', (size_t)(end - p));
	page->comma = page->comma != NULL ? page->comma : end;
	page->word = last_word(p, page->comma);
	return page->comma;
}

static bool take_address(struct page *page, const unsigned char *p, const unsigned char *end,
	unsigned char quote, struct address *a_r)
{
	const unsigned char *comma = find_comma(page, p, end);
	size_t rest = (size_t)(end - comma);

	if (rest == 0)
		return false;
	a_r->head = mw_octets_of(p, (size_t)(comma - p));
	a_r->base64 = page->word != NULL && page->word >= p;
	take_type(a_r);
	if (is_prose(a_r, mw_octets_of(comma + 1, rest - 1 < PROSE ? rest - 1 : PROSE), quote))
		return false;
	end = a_r->base64 ? base64_end(comma + 1, end) : address_end(comma + 1, end, quote);
	a_r->data = mw_octets_of(comma + 1, (size_t)(end - comma) - 1);
	return true;
}

/* Undo percent signs and what scripts put between pieces. Nothing grows. */
static size_t plain_octets(const struct address *a, unsigned char *to)
{
	const unsigned char *p = a->data.p, *end = p + a->data.n, *piece;
	size_t n = 0, gap;

	while (p < end) {
		int high = *p == '%' && end - p > 2 ? doc_hex(p[1]) : -1;
		int low = high >= 0 ? doc_hex(p[2]) : -1;

		if (a->base64 && (gap = doc_escaped_blank(p, end)) != 0) {
			p += gap;
		} else if (a->base64 && (piece = doc_next_piece(p, end, "+")) != NULL) {
			p = piece;
		} else {
			to[n++] = low >= 0 ? (unsigned char)(high << 4 | low) : *p;
			p += low >= 0 ? 3 : 1;
		}
	}
	return n;
}

static enum container_end decode(
	struct budget *budget, const struct address *a, struct doc_buf *buf)
{
	enum container_end end = doc_room(budget, buf, a->data.n);

	if (end != CONTAINER_WHOLE || a->data.n == 0)
		return end;
	buf->n = plain_octets(a, buf->p);
	if (a->base64)
		buf->n = mime_decode(MIME_BASE64, doc_octets(buf), buf->p);
	return CONTAINER_WHOLE;
}

enum container_end doc_decode_address(
	struct budget *budget, struct mw_octets o, char type[DOC_TYPE_MAX], struct doc_buf *buf)
{
	struct address a = { 0 };
	struct page page = { 0 };

	buf->n = 0;
	type[0] = '\0';
	if (o.n == 0 || !take_address(&page, o.p, o.p + o.n, '\n', &a))
		return CONTAINER_WHOLE;
	mw_strlcpy(type, a.type, DOC_TYPE_MAX);
	return decode(budget, &a, buf);
}

/* ------------------------------------------------------------------ its names */

/* Put a name in, as it stands there or in an attribute: references undone, quotes gone. */
static void add_name(struct doc_names *names, const unsigned char *p, const unsigned char *end)
{
	char name[CONTAINER_NAME_MAX], plain[CONTAINER_NAME_MAX];
	const unsigned char *at, *last;
	unsigned char c;
	size_t n = 0;

	if (end - p >= CONTAINER_NAME_MAX)
		p = end - CONTAINER_NAME_MAX + 1;
	for (at = p; at < end; at++) {
		size_t ref = *at == '&' ? reference(at + 1, end, &c) : 0;

		plain[n++] = (char)(ref != 0 ? c : *at);
		at += ref;
	}
	at = (const unsigned char *)plain;
	last = at + n;
	while (at < last && (is_blank(*at) || *at == '"' || *at == '\''))
		at++;
	while (last > at && (is_blank(last[-1]) || last[-1] == '"' || last[-1] == '\''))
		last--;
	container_name(name, (const char *)at, (size_t)(last - at));
	doc_names_add(names, 0, name); /* beyond eight of one file nobody looks for another */
}

/* The next attribute of a tag (HTML 13.2.5.32); false: the tag ends at *p_p. */
static bool next_attribute(const unsigned char **p_p, const unsigned char *end,
	struct mw_octets *name_r, struct mw_octets *value_r)
{
	const unsigned char *p = *p_p, *from;
	unsigned char quote = 0;

	while (p < end && (is_blank(*p) || *p == '/'))
		p++;
	*p_p = from = p;
	if (p == end || *p == '>')
		return false;
	for (p++; p < end && !is_blank(*p) && *p != '/' && *p != '>' && *p != '='; p++)
		;
	*name_r = mw_octets_of(from, (size_t)(p - from));
	*value_r = mw_octets_of(p, 0);
	p = behind_blanks(p, end);
	if (p < end && *p == '=') {
		p = behind_blanks(p + 1, end);
		if (p < end && (*p == '"' || *p == '\''))
			quote = *p++;
		from = p;
		if (quote != 0)
			p = memchr(p, quote, (size_t)(end - p));
		else
			while (p < end && !is_blank(*p) && *p != '>')
				p++;
		p = p != NULL ? p : end;
		*value_r = mw_octets_of(from, (size_t)(p - from));
		p += quote != 0 && p < end;
	}
	*p_p = p;
	return true;
}

/* If the tag at p has the address: <a href="data:..." download="x.exe">. */
static void names_of_tag(const unsigned char *p, const unsigned char *end, const struct address *a,
	struct doc_names *names)
{
	struct mw_octets name, value;
	struct doc_names found = *names;

	while (next_attribute(&p, end, &name, &value))
		if (mw_octets_ieq(name, "download"))
			add_name(&found, value.p, value.p + value.n);
	if (p >= a->data.p)
		*names = found;
}

/* Scripts: a.download = 'x.exe', or setAttribute('download', 'x.exe'), between the same brackets.
 */
static void names_of_script(const unsigned char *p, const unsigned char *end,
	const struct address *a, struct doc_names *names)
{
	const unsigned char *from;

	for (; end - p > 9; p++) {
		unsigned char quote = 0;

		if (p == a->head.p)
			p = a->data.p + a->data.n; /* not in the octets themselves */
		if (end - p <= 9 || (*p | 0x20) != 'd' ||
			strncasecmp((const char *)p, "download", 8) != 0)
			continue;
		p += 8;
		p += is_quote(*p);
		p = behind_blanks(p, end);
		if (p == end || (*p != '=' && *p != ','))
			continue;
		p = behind_blanks(p + 1, end);
		if (p < end && is_quote(*p))
			quote = *p++;
		for (from = p; p < end && (quote != 0 ? *p != quote : !is_blank(*p)); p++)
			;
		add_name(names, from, p);
	}
}

static void take_names(const struct page *page, const struct address *a, struct doc_names *names)
{
	const unsigned char *from = a->scheme, *to = a->data.p + a->data.n, *p;
	const unsigned char *all_end = page->all.p + page->all.n;
	const unsigned char *first = from - page->all.p > TAG_MAX ? from - TAG_MAX : page->all.p,
			    *last = all_end - to > TAG_MAX ? to + TAG_MAX : all_end;
	unsigned tags = 0;

	names->n = 0;
	/* Of several `<` in front of it one is in an attribute, or a script compares. */
	for (p = from; p > first && tags < TAGS_MAX; p--)
		if (p[-1] == '<') {
			const unsigned char *behind = p;

			while (behind < from && !is_blank(*behind) && *behind != '/' &&
				*behind != '>')
				behind++;
			names_of_tag(behind, last, a, names);
			tags++;
		}
	while (from > first && *from != '<' && *from != '>')
		from--;
	p = memchr(to, '>', (size_t)(last - to));
	names_of_script(from, p != NULL ? p : last, a, names);
}

/* ------------------------------------------------------------------ the row */

static bool knows(struct mw_octets octets)
{
	const unsigned char *scheme;

	return octets.n > 5 && (next_scheme(octets.p, octets.p + octets.n, &scheme) != NULL ||
				       is_disguised(octets));
}

static enum container_end give_address(struct page *page, const struct address *a)
{
	struct container_member m = { .type = a->type };
	struct doc_names names;
	enum container_end end;

	page->buf.n = 0;
	end = decode(page->job->budget, a, &page->buf);
	if (end != CONTAINER_WHOLE || page->buf.n == 0)
		return end;
	take_names(page, a, &names);
	doc_names_tell(&names, &m);
	m.octets = doc_octets(&page->buf);
	return doc_give(page->job, &m);
}

static enum container_end open_one(struct page *page, const struct address *a, unsigned char quote)
{
	const unsigned char *end = page->all.p + page->all.n;
	const unsigned char *cut = a->base64 && quote == 0
					   ? address_end(a->data.p, a->data.p + a->data.n, 0)
					   : a->data.p + a->data.n;
	struct address shorter = *a;
	enum container_end got;

	if (!budget_time(page->job->budget))
		return CONTAINER_CUT;
	page->disguised =
		page->disguised || has_reference(a->head, end) ||
		has_reference(
			mw_octets_of(a->data.p, a->data.n + (a->data.p + a->data.n < end)), end);
	/* Without quotes a blank ends it, unless it stands in something that has quotes. */
	shorter.data.n = (size_t)(cut - a->data.p);
	got = give_address(page, &shorter);
	return got == CONTAINER_WHOLE && a->data.n - shorter.data.n > BEHIND ? give_address(page, a)
									     : got;
}

/* What seems to be no address may have its comma in disguise. */
static void look_for_disguise(struct page *page, const unsigned char *p, const unsigned char *end)
{
	struct mw_octets o = mw_octets_of(p, (size_t)(end - p));

	if (page->disguised || page->no_comma)
		return;
	page->no_comma = page->comma == end; /* then all that follows was looked at */
	o.n = page->no_comma || o.n < PROSE ? o.n : PROSE;
	page->disguised = has_reference(o, end);
}

static enum container_end open_addresses(struct page *page)
{
	const unsigned char *from = page->all.p, *end = from + page->all.n, *p = from;
	enum container_end got = CONTAINER_WHOLE;
	struct address a;

	page->comma = NULL;
	/* What lies in an address of text is found in the member. */
	while (got == CONTAINER_WHOLE && (p = next_scheme(p, end, &a.scheme)) != NULL) {
		unsigned char quote = quote_before(a.scheme, from);

		if (!take_address(page, p, end, quote, &a)) {
			look_for_disguise(page, p, end);
			continue;
		}
		got = open_one(page, &a, quote);
		/* In base64 there is none, but a piece of a string may be the next. */
		p = a.base64 ? a.data.p : a.data.p + a.data.n;
	}
	return got;
}

static enum container_end open_html(const struct container_job *job)
{
	struct page page = { .job = job, .all = job->octets };
	struct doc_buf plain = { 0 };
	enum container_end end = open_addresses(&page);

	if (end == CONTAINER_WHOLE && (page.disguised || is_disguised(job->octets))) {
		end = undisguise(job, job->octets, &plain);
		page.all = doc_octets(&plain);
		if (end == CONTAINER_WHOLE)
			end = open_addresses(&page);
	}
	doc_free(&plain);
	doc_free(&page.buf);
	return end;
}

const struct container container_html = { "html", knows, open_html };
