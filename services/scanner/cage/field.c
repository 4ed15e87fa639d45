#include <strings.h>

#include "field.h"
#include "lines.h"
#include "parameter.h"

#define REPEATED_MAX 64 /* fields of one name that are not believed, but whose names are kept */

/* Names go into logs and findings: controls become '?'. */
static void clean_name(char *name)
{
	for (; *name != '\0'; name++)
		if ((unsigned char)*name < 0x20 || *name == 0x7f)
			*name = '?';
}

/* ------------------------------------------------------------------ the fields */

static bool ends_type(unsigned char c)
{
	return c == ';' || c == ',' || c == '(' || mime_is_blank(c);
}

/* Does the type go on at s, behind a blank or comment? Around its slash they may stand. */
static bool type_goes_on(const char *type, size_t n, struct mime_scan s)
{
	mime_skip_blanks(&s);
	if (s.p == s.end || ends_type(*s.p))
		return false;
	return memchr(type, '/', n) == NULL ? *s.p == '/' : type[n - 1] == '/';
}

/* The type in lower case, or the word that stands in its place; quotes vanish. */
static void read_type(struct mime_scan *s, char type[MIME_TYPE_MAX])
{
	size_t n = 0;

	do {
		mime_skip_blanks(s);
		for (; s->p < s->end && !ends_type(*s->p); s->p++)
			if (*s->p != '"' && n < MIME_TYPE_MAX - 1)
				type[n++] = (char)mime_lower(*s->p);
	} while (type_goes_on(type, n, *s));
	type[n] = '\0';
}

/* To the first semicolon outside of comments. */
static size_t rest_behind(struct mime_scan s, struct mw_octets value)
{
	for (mime_skip_blanks(&s); s.p < s.end && *s.p != ';'; mime_skip_blanks(&s))
		s.p++;
	return (size_t)(s.p - value.p);
}

static void take_type(struct mime_head *h, struct mw_octets v, unsigned choices)
{
	struct mime_scan s = { v.p, v.p + v.n };
	struct mime_field f = { v, 0 };
	char type[MIME_TYPE_MAX], second[MIME_NAME_MAX];
	bool last = (choices & MW_BIT(MIME_CHOOSE_FIELD)) != 0;

	read_type(&s, type);
	h->has_type = strchr(type, '/') != NULL;
	h->bad_type = !h->has_type && type[0] != '\0';
	if (h->has_type)
		mw_strlcpy(h->type, type, sizeof(h->type));
	f.rest = rest_behind(s, v);
	mime_take_boundary(h, &f, choices);
	mime_take_name(h, &f, "name", h->name[0] == '\0' || last ? h->name : second,
		sizeof(h->name), choices);
}

/* The file name of Content-Disposition wins over the name of Content-Type, as it does in mail
 * readers. */
static void take_disposition(struct mime_head *h, struct mw_octets v, unsigned choices)
{
	struct mime_field f = { v, 0 };

	while (f.rest < v.n && v.p[f.rest] != ';')
		f.rest++;
	mime_take_name(h, &f, "filename", h->name, sizeof(h->name), choices);
}

static enum mime_encoding encoding_of(const char *word)
{
	static const struct {
		const char *word;
		enum mime_encoding encoding;
	} known[] = {
		{ "7bit", MIME_IDENTITY },
		{ "8bit", MIME_IDENTITY },
		{ "binary", MIME_IDENTITY },
		{ "base64", MIME_BASE64 },
		{ "", MIME_IDENTITY },
		{ "quoted-printable", MIME_QUOTED },
		/* what programs write that mean one of the first three */
		{ "7-bit", MIME_IDENTITY },
		{ "7bits", MIME_IDENTITY },
		{ "8-bit", MIME_IDENTITY },
		{ "8bits", MIME_IDENTITY },
		{ "utf-8", MIME_IDENTITY },
		{ "us-ascii", MIME_IDENTITY },
		{ "none", MIME_IDENTITY },
	};

	for (size_t i = 0; i < MW_COUNT(known); i++)
		if (strcmp(word, known[i].word) == 0)
			return known[i].encoding;
	return MIME_OTHER;
}

static void take_encoding(struct mime_head *h, struct mw_octets v, unsigned choices)
{
	struct mime_scan s = { v.p, v.p + v.n };
	const unsigned char *from;
	char word[32];
	size_t n = 0;

	(void)choices;
	while (s.p < s.end && mime_is_blank(*s.p))
		s.p++;
	from = s.p;
	mime_skip_blanks(&s);
	h->encoding_junk = s.p != from;
	for (; s.p < s.end && *s.p != ';' && *s.p != '(' && !mime_is_blank(*s.p); s.p++)
		if (n < sizeof(word) - 1)
			word[n++] = (char)mime_lower(*s.p);
	word[n] = '\0';
	while (s.p < s.end && mime_is_blank(*s.p))
		s.p++;
	h->encoding_junk = h->encoding_junk || s.p < s.end;
	h->encoding = encoding_of(word);
	/* What only adds to a word that changes nothing changes nothing. */
	if (h->encoding == MIME_IDENTITY)
		h->encoding_junk = false;
	if (h->encoding_junk)
		h->errors |= MW_BIT(MIME_ENCODING_JUNK);
	if (h->encoding == MIME_OTHER)
		h->errors |= MW_BIT(MIME_UNKNOWN_ENCODING);
}

static const struct known_field {
	const char *name;
	void (*take)(struct mime_head *h, struct mw_octets value, unsigned choices);
} known_fields[] = {
	{ "content-type", take_type },
	{ "content-transfer-encoding", take_encoding },
	{ "content-disposition", take_disposition },
};

/* A field that is not believed still names what somebody else may see. */
static void take_names(struct mime_head *h, int known, struct mw_octets value)
{
	struct mime_head other; /* only its names are of use */

	memset(&other, 0, offsetof(struct mime_head, names.text));
	other.names.count = h->names.count;
	other.names.cut = h->names.cut;
	other.names.n = h->names.n;
	memcpy(other.names.text, h->names.text, h->names.n);
	known_fields[known].take(&other, value, 0);
	h->names = other.names;
}

static struct mw_octets without_blanks(struct mw_octets name)
{
	while (name.n > 0 && mime_is_blank(name.p[name.n - 1]))
		name.n--;
	return name;
}

static int field_find(struct mw_octets name)
{
	name = without_blanks(name);
	for (size_t i = 0; i < MW_COUNT(known_fields); i++)
		if (mw_octets_ieq(name, known_fields[i].name))
			return (int)i;
	return -1;
}

/* ------------------------------------------------------------------ the header section */

/* One header section being read. */
struct reading {
	struct mime_head *h;
	struct mw_octets text;
	const struct mime_how *how;
	bool doubt; /* some readers let it end before */
	unsigned seen[MW_COUNT(known_fields)];
	struct mw_octets value[MW_COUNT(known_fields)]; /* that was seen last */
	unsigned name_fields;
};

static bool reading_chose(const struct reading *r, enum mime_choice choice)
{
	return (r->how->choices & MW_BIT(choice)) != 0;
}

static void question(struct reading *r, enum mime_error error, enum mime_choice choice)
{
	r->h->errors |= MW_BIT(error);
	r->h->choices_met |= MW_BIT(choice);
}

/* The same, whatever the blanks. */
static bool same_value(struct mw_octets a, struct mw_octets b)
{
	size_t i = 0, k = 0;

	for (;; i++, k++) {
		while (i < a.n && mime_is_blank(a.p[i]))
			i++;
		while (k < b.n && mime_is_blank(b.p[k]))
			k++;
		if (i == a.n || k == b.n)
			return i == a.n && k == b.n;
		if (a.p[i] != b.p[k])
			return false;
	}
}

/* lasting: the octets are the message's own. */
static void take_known(struct reading *r, int known, struct mw_octets value, bool lasting)
{
	struct mime_head *h = r->h;
	bool same = lasting && r->value[known].p != NULL && same_value(r->value[known], value);

	if (value.n > MIME_FIELD_MAX - 1) {
		value.n = MIME_FIELD_MAX - 1;
		h->errors |= MW_BIT(MIME_LONG_FIELD);
		h->ambiguous = true;
	}
	if (r->seen[known]++ > 0 && !same) {
		question(r, MIME_TWO_FIELDS, MIME_CHOOSE_FIELD);
		h->ambiguous = true; /* even where both have the same octets: shown as what? */
		if (!reading_chose(r, MIME_CHOOSE_FIELD)) {
			if (r->seen[known] <= REPEATED_MAX)
				take_names(h, known, value);
			else
				h->names.cut = true;
			return;
		}
	} else if (r->seen[known] > 1) {
		h->errors |= MW_BIT(MIME_TWO_FIELDS); /* it says the same again */
	}
	r->value[known] = lasting ? value : mw_octets_of(NULL, 0);
	/* Where a field that some do not see changes what the part is. */
	if (r->doubt)
		h->choices_met |= MW_BIT(MIME_CHOOSE_HEADER);
	known_fields[known].take(h, value, r->how->choices);
}

/* The field without its octets NUL, or up to the first, into buf. */
static struct mw_octets without_nul(
	struct reading *r, struct mw_octets field, unsigned char buf[MIME_FIELD_MAX])
{
	size_t n = 0;

	question(r, MIME_NUL, MIME_CHOOSE_NUL);
	for (size_t i = 0; i < field.n && n < MIME_FIELD_MAX; i++) {
		if (field.p[i] != '\0')
			buf[n++] = field.p[i];
		else if (reading_chose(r, MIME_CHOOSE_NUL))
			break;
	}
	return mw_octets_of(buf, n);
}

static const char sun_name[] = "x-sun-data-name";

/* Content-*, and what begins as the other name field does: nothing else matters here. A NUL may
 * stand anywhere. */
static bool may_matter(struct mw_octets field)
{
	if (field.n < 2)
		return false;
	if (field.p[0] == '\0')
		return true;
	if ((field.p[0] | 32) == 'c')
		return field.p[1] == '\0' || (field.p[1] | 32) == 'o';
	return (field.p[0] | 32) == 'x' && field.n > sizeof(sun_name) - 1 &&
	       strncasecmp((const char *)field.p, sun_name, sizeof(sun_name) - 1) == 0;
}

/* Fields that are a name as a whole: Thunderbird's, for want of another one. */
static void take_name_field(struct reading *r, struct mw_octets name, struct mw_octets value)
{
	name = without_blanks(name);
	if (!mw_octets_ieq(name, "content-name") && !mw_octets_ieq(name, sun_name))
		return;
	if (r->name_fields++ == REPEATED_MAX)
		r->h->names.cut = true;
	if (r->h->names.cut)
		return;
	if (value.n > MIME_FIELD_MAX - 1)
		value = mw_octets_of(value.p + value.n - (MIME_FIELD_MAX - 1), MIME_FIELD_MAX - 1);
	mime_take_whole_name(r->h, value);
}

static void take_field(struct reading *r, struct mw_octets field)
{
	unsigned char buf[MIME_FIELD_MAX];
	const unsigned char *colon;
	struct mw_octets name, value;
	bool lasting = true;
	int known;

	if (!may_matter(field))
		return;
	if (memchr(field.p, '\0', field.n) != NULL) {
		field = without_nul(r, field, buf);
		lasting = false;
	}
	colon = field.n > 0 ? memchr(field.p, ':', field.n) : NULL;
	if (colon == NULL)
		return;
	name = mw_octets_of(field.p, (size_t)(colon - field.p));
	value = mw_octets_of(colon + 1, field.n - name.n - 1);
	known = field_find(name);
	if (known < 0) {
		take_name_field(r, name, value);
		return;
	}
	if (mime_is_blank(colon[-1])) {
		question(r, MIME_ODD_NAME, MIME_CHOOSE_NAME);
		r->doubt = true;
		if (reading_chose(r, MIME_CHOOSE_NAME))
			return;
	}
	take_known(r, known, value, lasting);
}

static bool line_is_field(struct mw_octets field)
{
	const unsigned char *colon = memchr(field.p, ':', field.n);

	return colon != NULL && colon > field.p && !mime_is_blank(field.p[0]);
}

/* Blanks in front of a name's colon: to some readers the line is no field. */
static bool has_odd_name(struct mw_octets line)
{
	const unsigned char *colon = memchr(line.p, ':', line.n);

	return (line.p[0] | 32) == 'c' && colon != NULL && mime_is_blank(colon[-1]) &&
	       field_find(mw_octets_of(line.p, (size_t)(colon - line.p))) >= 0;
}

static bool line_is_blank(struct mw_octets text, size_t i, size_t end)
{
	while (i < end && mime_is_blank(text.p[i]))
		i++;
	return i == end;
}

/* Line ends inside of a line to some readers. */
static void look_at_line_ends(struct reading *r, size_t i, size_t end)
{
	const unsigned char *p = r->text.p;
	size_t n = mime_line_trim(r->text, end, r->how->choices);

	if (r->how->crlf && end > i && p[end - 1] == '\n' && (end - 1 == i || p[end - 2] != '\r'))
		question(r, MIME_BARE_LF, MIME_CHOOSE_LF);
	if (n > i && memchr(p + i, '\r', n - i) != NULL)
		question(r, MIME_BARE_CR, MIME_CHOOSE_CR);
}

/* The end of the field whose first line is [i, end), its continuation lines included. */
static size_t field_end(struct reading *r, size_t i, size_t end)
{
	struct mw_octets text = r->text;

	look_at_line_ends(r, i, end);
	while (end < text.n && (text.p[end] == ' ' || text.p[end] == '\t')) {
		size_t next = mime_line_next(text, end, r->how->choices);

		look_at_line_ends(r, end, next);
		if (line_is_blank(text, end, next)) {
			r->h->errors |= MW_BIT(MIME_BLANK_LINE);
			r->doubt = true;
			if (reading_chose(r, MIME_CHOOSE_HEADER))
				break;
		}
		end = next;
	}
	return end;
}

static void head_end(struct reading *r, size_t body, bool delimited)
{
	struct mime_head *h = r->h;

	h->body = body;
	h->delimited = delimited;
	clean_name(h->name);
	/* What follows a doubtful line would be decoded, too. */
	if (r->doubt && h->encoding == MIME_BASE64)
		h->choices_met |= MW_BIT(MIME_CHOOSE_HEADER);
}

/* A line that is no field: readers either skip it or take it for the first line of the body. True:
 * the latter. */
static bool ends_at_doubt(struct reading *r, size_t i, size_t line)
{
	if (line_is_blank(r->text, i, line)) {
		r->h->errors |= MW_BIT(MIME_BLANK_LINE);
	} else if (!line_is_field(mw_octets_of(r->text.p + i, line - i))) {
		r->h->errors |= MW_BIT(MIME_BAD_HEADER);
	} else if (!has_odd_name(mw_octets_of(r->text.p + i, line - i))) {
		return false;
	}
	r->doubt = true;
	return reading_chose(r, MIME_CHOOSE_HEADER);
}

void mime_head_read(
	struct mime_head *h, struct mw_octets text, size_t from, const struct mime_how *how)
{
	struct reading r = { .h = h, .text = text, .how = how };
	size_t i = from;

	memset(h, 0, offsetof(struct mime_head, names.text));
	mw_strlcpy(h->type, "text/plain", sizeof(h->type));
	while (i < text.n) {
		size_t line = mime_line_next(text, i, how->choices), end;

		if (mime_line_trim(text, line, how->choices) == i && line > i) {
			look_at_line_ends(&r, i, line);
			head_end(&r, line, false);
			return;
		}
		if (text.p[i] == '-' && text.n - i > 1 && text.p[i + 1] == '-' &&
			how->is_delimiter(how->arg, i)) {
			head_end(&r, i, true);
			return;
		}
		if (ends_at_doubt(&r, i, line)) {
			bool blank = line_is_blank(text, i, line);

			head_end(&r, blank ? line : i, false);
			return;
		}
		end = field_end(&r, i, line);
		take_field(&r, mw_octets_of(text.p + i, end - i));
		i = end;
	}
	/* The line end before a delimiter is the delimiter's, so that an empty part has no empty
	 * line: no error. */
	head_end(&r, text.n, false);
}
