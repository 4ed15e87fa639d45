/*
 * Calendars and cards: iCalendar (RFC 5545), vCalendar 1.0, vCard 2.1 to 4.0 (RFC 6350). Mail
 * programs make attachments of the values that are files:
 *
 *   ATTACH;ENCODING=BASE64;VALUE=BINARY;X-FILENAME="a.exe":TVqQAAMAAAAEAAAA
 *
 * A line may be folded anywhere, so lines are put together first. Readers do not agree on quotes,
 * on which parameter tells the name, on where base64 of vCard 2.1 ends; what one of them sees is
 * given out.
 */
#include "decode.h"
#include "doc.h"

#define NAMES_MAX (1 + CONTAINER_ALIASES_MAX)

/* A line's parts; of the same line there are two readings when there are quotes in it. */
struct property {
	struct mw_octets head, value; /* in front of the colon, and behind it, to the line's end */
	bool quotes;		      /* separators between quotes are none */
	bool base64, quoted, binary;  /* what parameters say that the value is */
	char type[DOC_TYPE_MAX];
};

struct ical {
	const struct container_job *job;
	struct mw_octets text; /* lines that are whole, with LF behind them */
	struct doc_buf decoded;
};

static bool is_blank(unsigned char c)
{
	return c == ' ' || c == '\t';
}

static bool is_line_end(unsigned char c)
{
	return c == '\r' || c == '\n';
}

/* ------------------------------------------------------------------ what it is */

/* Does the text at p, between which lines may be folded, begin with a word in any case? */
static bool is_word(const unsigned char *p, const unsigned char *end, const char *word)
{
	for (; *word != '\0'; word++, p++) {
		while (p < end && (is_blank(*p) || is_line_end(*p)))
			p++;
		if (p == end || (*p | 0x20) != *word)
			return false;
	}
	return true;
}

/* BEGIN:VCALENDAR may stand behind a mark, empty lines or anything else, and be folded. */
static bool knows(struct mw_octets octets)
{
	const unsigned char *p = octets.p, *end;

	if (octets.n == 0)
		return false;
	end = p + octets.n;
	while ((p = memchr(p, ':', (size_t)(end - p))) != NULL)
		if (is_word(++p, end, "vcalendar") || is_word(p, end, "vcard"))
			return true;
	return false;
}

/* ------------------------------------------------------------------ lines */

/* Octets of the line end at p: CRLF, LF, CR, and what several systems made of these; 0: none. */
static size_t line_end(const unsigned char *p, const unsigned char *end)
{
	const unsigned char *from = p;

	while (p < end && *p == '\r')
		p++;
	return (size_t)(p - from) + (p < end && *p == '\n');
}

/* Put folded lines together (RFC 5545 section 3.1). */
static enum container_end unfold(const struct container_job *job, struct doc_buf *buf)
{
	const unsigned char *p = job->octets.p, *end = p + job->octets.n;
	enum container_end got = budget_time(job->budget)
					 ? doc_room(job->budget, buf, job->octets.n)
					 : CONTAINER_CUT;
	size_t n;

	while (got == CONTAINER_WHOLE && p < end) {
		n = line_end(p, end);
		if (n == 0) {
			buf->p[buf->n++] = *p++;
			continue;
		}
		p += n;
		if (p < end && is_blank(*p))
			p++;
		else
			buf->p[buf->n++] = '\n';
	}
	return got;
}

static const unsigned char *end_of_line(const unsigned char *p, const unsigned char *end)
{
	const unsigned char *lf = memchr(p, '\n', (size_t)(end - p));

	return lf != NULL ? lf : end;
}

static bool is_base64_line(const unsigned char *p, const unsigned char *end)
{
	for (const unsigned char *at = p; at < end; at++)
		if (*at == ':' || *at == ';' || *at == '.')
			return false;
	return p < end;
}

/* Writers of vCard 2.1 fold base64 without a blank, up to an empty line. */
static struct mw_octets whole_base64(const struct ical *c, struct mw_octets value)
{
	const unsigned char *last = c->text.p + c->text.n, *end = value.p + value.n, *next;

	for (; end < last; end = next) {
		next = end_of_line(end + 1, last);
		if (!is_base64_line(end + 1, next))
			break;
	}
	return mw_octets_of(value.p, (size_t)(end - value.p));
}

/* ... and quoted-printable as mails do: a line whose last octet is `=` goes on. */
static struct mw_octets whole_quoted(const struct ical *c, struct mw_octets value)
{
	const unsigned char *last = c->text.p + c->text.n, *end = value.p + value.n;

	while (end < last && end > value.p && end[-1] == '=')
		end = end_of_line(end + 1, last);
	return mw_octets_of(value.p, (size_t)(end - value.p));
}

/* ------------------------------------------------------------------ parameters */

/* The first separator; where quotes count, none between them. NULL: there is none. */
static const unsigned char *find(
	const unsigned char *p, const unsigned char *end, unsigned char c, bool quotes)
{
	bool quoted = false;

	for (; p < end; p++) {
		if (*p == c && !quoted)
			return p;
		quoted ^= quotes && *p == '"';
	}
	return NULL;
}

static struct mw_octets trimmed(const unsigned char *p, const unsigned char *end)
{
	while (p < end && (is_blank(*p) || *p == '"'))
		p++;
	while (p < end && (is_blank(end[-1]) || end[-1] == '"'))
		end--;
	return mw_octets_of(p, (size_t)(end - p));
}

/* The next parameter of the head, behind *at_p; false: that was the last one. vCard 2.1 has values
 * without a name. */
static bool next_parameter(const struct property *p, const unsigned char **at_p,
	struct mw_octets *name_r, struct mw_octets *value_r)
{
	const unsigned char *end = p->head.p + p->head.n, *next, *equals;
	const unsigned char *at = find(*at_p, end, ';', p->quotes);

	if (at == NULL)
		return false;
	next = find(++at, end, ';', p->quotes);
	next = next != NULL ? next : end;
	equals = next > at ? memchr(at, '=', (size_t)(next - at)) : NULL;
	*name_r = trimmed(at, equals != NULL ? equals : at);
	*value_r = trimmed(equals != NULL ? equals + 1 : at, next);
	*at_p = next;
	return true;
}

static void take_type(struct property *p, struct mw_octets value)
{
	size_t n = value.n < DOC_TYPE_MAX - 1 ? value.n : DOC_TYPE_MAX - 1;

	for (size_t i = 0; i < n; i++) {
		unsigned char c = value.p[i];

		p->type[i] = (char)(c >= 'A' && c <= 'Z'  ? c | 0x20
				    : c > ' ' && c < 0x7f ? c
							  : '?');
	}
	p->type[n] = '\0';
}

static void take_parameters(struct property *p)
{
	const unsigned char *at = p->head.p;
	struct mw_octets name, value;

	while (next_parameter(p, &at, &name, &value)) {
		bool said = mw_octets_ieq(name, "encoding"), encoding = said || name.n == 0;

		p->base64 = p->base64 || (encoding && mw_octets_ieq(value, "base64")) ||
			    (said && mw_octets_ieq(value, "b"));
		p->quoted = p->quoted || (encoding && mw_octets_ieq(value, "quoted-printable"));
		p->binary = p->binary ||
			    (mw_octets_ieq(name, "value") && mw_octets_ieq(value, "binary"));
		if (mw_octets_ieq(name, "fmttype") || mw_octets_ieq(name, "mediatype"))
			take_type(p, value);
	}
}

/* X-FILENAME (Outlook), FILENAME (RFC 8607), X-ORACLE-FILENAME, X-APPLE-FILENAME, NAME, LABEL. */
static bool tells_name(struct mw_octets name)
{
	return (name.n >= 4 && mw_octets_ieq(doc_from(name, name.n - 4), "name")) ||
	       (name.n >= 5 && mw_octets_ieq(doc_from(name, name.n - 5), "label"));
}

struct names {
	unsigned n;
	char text[NAMES_MAX][CONTAINER_NAME_MAX];
};

/* As many names as a member may have, from *at_p on. False: there is none. */
static bool take_names(const struct property *p, const unsigned char **at_p, struct names *names)
{
	struct mw_octets name, value;

	names->n = 0;
	while (names->n < NAMES_MAX && next_parameter(p, at_p, &name, &value))
		if (tells_name(name) && value.n != 0)
			container_name(names->text[names->n++], (const char *)value.p, value.n);
	return names->n != 0;
}

/* ------------------------------------------------------------------ values */

/* One member, or one for each handful of names. */
static enum container_end give(const struct ical *c, const struct property *p)
{
	struct container_member m = { .name = "", .octets = doc_octets(&c->decoded) };
	const unsigned char *at = p->head.p;
	enum container_end end;
	struct names names;
	bool more;

	m.type = p->type[0] != '\0' ? p->type : NULL;
	if (m.octets.n == 0)
		return CONTAINER_WHOLE;
	take_names(p, &at, &names);
	do {
		if (names.n != 0)
			m.name = names.text[0];
		for (unsigned i = 1; i < NAMES_MAX; i++)
			m.aliases[i - 1] = i < names.n ? names.text[i] : NULL;
		end = doc_give(c->job, &m);
		more = names.n == NAMES_MAX && take_names(p, &at, &names);
	} while (more && end == CONTAINER_WHOLE);
	return end;
}

static enum container_end decode(
	struct ical *c, enum mime_encoding encoding, struct mw_octets value)
{
	enum container_end end;

	c->decoded.n = 0;
	if (!budget_time(c->job->budget))
		return CONTAINER_CUT;
	end = doc_room(c->job->budget, &c->decoded, value.n);
	if (end == CONTAINER_WHOLE && value.n != 0)
		c->decoded.n = mime_decode(encoding, value, c->decoded.p);
	return end;
}

/* Notes and names are in quoted-printable, too: text, of which nobody makes a file. */
static bool is_file(const struct ical *c, const struct property *p)
{
	static const char *const files[] = { "attach", "photo", "logo", "sound", "key" };
	const unsigned char *at = p->head.p, *dot;
	struct mw_octets name = p->head;
	struct names names;

	at = find(at, at + name.n, ';', false);
	name.n = at != NULL ? (size_t)(at - name.p) : name.n;
	dot = name.n != 0 ? memchr(name.p, '.', name.n) : NULL; /* a group's name */
	name = dot != NULL ? doc_from(name, (size_t)(dot + 1 - name.p)) : name;
	for (size_t i = 0; i < MW_COUNT(files); i++)
		if (mw_octets_ieq(name, files[i]))
			return true;
	at = p->head.p;
	return take_names(p, &at, &names) || p->binary ||
	       (c->decoded.n != 0 && memchr(c->decoded.p, '\0', c->decoded.n) != NULL);
}

/* The address that a value is, behind its "data:"; nothing when it is none. */
static struct mw_octets address_of(struct mw_octets value)
{
	struct mw_octets o = trimmed(value.p, value.p + value.n);

	return mw_octets_ieq(doc_range(o, 0, 5), "data:") ? doc_from(o, 5) : mw_octets_of(NULL, 0);
}

static enum container_end open_address(struct ical *c, struct property *p, struct mw_octets address)
{
	char type[DOC_TYPE_MAX];
	enum container_end end = budget_time(c->job->budget) ? doc_decode_address(c->job->budget,
								       address, type, &c->decoded)
							     : CONTAINER_CUT;

	if (p->type[0] == '\0')
		mw_strlcpy(p->type, type, sizeof(p->type));
	return end == CONTAINER_WHOLE ? give(c, p) : end;
}

static enum container_end open_property(struct ical *c, struct property *p)
{
	struct mw_octets address = address_of(p->value);
	enum container_end end = CONTAINER_WHOLE;

	take_parameters(p);
	if (address.n != 0)
		return open_address(c, p, address);
	if (p->base64 || (p->binary && !p->quoted)) {
		end = decode(c, MIME_BASE64, whole_base64(c, p->value));
		end = end == CONTAINER_WHOLE ? give(c, p) : end;
	}
	if (p->quoted && end == CONTAINER_WHOLE) {
		end = decode(c, MIME_QUOTED, whole_quoted(c, p->value));
		end = end == CONTAINER_WHOLE && is_file(c, p) ? give(c, p) : end;
	}
	return end;
}

/* As readers that know quotes see it, and as the others do. */
static enum container_end open_line(
	struct ical *c, const unsigned char *p, const unsigned char *end)
{
	const unsigned char *with = find(p, end, ':', true), *without = find(p, end, ':', false);
	enum container_end got = CONTAINER_WHOLE;

	for (unsigned quotes = 0; quotes < 2 && got == CONTAINER_WHOLE; quotes++) {
		const unsigned char *colon = quotes != 0 ? with : without;
		struct property property = { .quotes = quotes != 0 };

		if (colon == NULL || (quotes == 0 && with == without))
			continue;
		property.head = mw_octets_of(p, (size_t)(colon - p));
		property.value = mw_octets_of(colon + 1, (size_t)(end - colon) - 1);
		got = open_property(c, &property);
	}
	return got;
}

static enum container_end open_ical(const struct container_job *job)
{
	struct doc_buf text = { 0 };
	struct ical c = { .job = job };
	enum container_end got = unfold(job, &text);
	const unsigned char *p, *end, *next;

	c.text = doc_octets(&text);
	for (p = c.text.p; got == CONTAINER_WHOLE && p < c.text.p + c.text.n; p = next + 1) {
		end = c.text.p + c.text.n;
		next = end_of_line(p, end);
		got = open_line(&c, p, next);
	}
	doc_free(&c.decoded);
	doc_free(&text);
	return got;
}

const struct container container_ical = { "ical", knows, open_ical };
