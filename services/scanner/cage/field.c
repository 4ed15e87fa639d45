#include <ctype.h>

#include "decode.h"
#include "field.h"

#define PARAMETERS_MAX 64 /* of one field that are looked at */
#define PIECES_MAX 64	  /* RFC 2231 pieces of one value */

/* ------------------------------------------------------------------ small helpers */

static bool is_blank(unsigned char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static unsigned char lower(unsigned char c)
{
	return c >= 'A' && c <= 'Z' ? (unsigned char)(c + 32) : c;
}

/* A cursor over a field's value. */
struct scan {
	const unsigned char *p, *end;
};

/* Skip blanks and comments, which nest (RFC 5322 section 3.2.2). */
static void skip_blanks(struct scan *s)
{
	unsigned deep = 0;

	for (; s->p < s->end; s->p++) {
		if (deep > 0 && *s->p == '\\' && s->p + 1 < s->end)
			s->p++;
		else if (*s->p == '(')
			deep++;
		else if (deep > 0 && *s->p == ')')
			deep--;
		else if (deep == 0 && !is_blank(*s->p))
			return;
	}
}

struct value {
	char text[MIME_FIELD_MAX];
	size_t n;
};

static void value_add(struct value *v, unsigned char c)
{
	if (v->n < sizeof(v->text) - 1)
		v->text[v->n++] = (char)c;
	v->text[v->n] = '\0';
}

/* A quoted string or what runs to the next semicolon: tokens with blanks and specials are common in
 * names. */
static void read_value(struct scan *s, struct value *v)
{
	v->n = 0;
	v->text[0] = '\0';
	skip_blanks(s);
	if (s->p < s->end && *s->p == '"') {
		for (s->p++; s->p < s->end && *s->p != '"'; s->p++) {
			if (*s->p == '\\' && s->p + 1 < s->end)
				s->p++;
			if (*s->p != '\r' && *s->p != '\n')
				value_add(v, *s->p);
		}
	}
	/* Whatever stands between the closing quote and the semicolon is dropped. */
	for (bool token = s->p < s->end && *s->p != '"'; s->p < s->end && *s->p != ';'; s->p++)
		if (token && *s->p != '\r' && *s->p != '\n')
			value_add(v, *s->p);
	while (v->n > 0 && is_blank((unsigned char)v->text[v->n - 1]))
		v->text[--v->n] = '\0';
}

/* ------------------------------------------------------------------ RFC 2047 words and RFC 2231
 * pieces */

static int hex_digit(char c)
{
	return isxdigit((unsigned char)c) ? (c <= '9' ? c - '0' : (c | 32) - 'a' + 10) : -1;
}

/* Undo %XX in place. */
static void percent_decode(struct value *v)
{
	size_t o = 0;

	for (size_t i = 0; i < v->n; i++) {
		int high = v->text[i] == '%' && i + 2 < v->n ? hex_digit(v->text[i + 1]) : -1;
		int low = high >= 0 ? hex_digit(v->text[i + 2]) : -1;

		if (low >= 0)
			i += 2;
		v->text[o++] = low >= 0 ? (char)(high << 4 | low) : v->text[i];
	}
	v->n = o;
	v->text[o] = '\0';
}

/* RFC 2231 section 4: charset'language'text. The charset is not applied: names are compared as
 * octets. */
static void drop_charset(struct value *v)
{
	char *first = memchr(v->text, '\'', v->n);
	char *second = first != NULL ? strchr(first + 1, '\'') : NULL;

	if (second == NULL)
		return;
	v->n -= (size_t)(second + 1 - v->text);
	memmove(v->text, second + 1, v->n + 1);
}

/* One encoded word at p ("=?charset?B?text?="): its length, decoded into out; 0 when it is none. */
static size_t encoded_word(const char *p, struct value *out)
{
	const char *how = p[0] == '=' && p[1] == '?' ? strchr(p + 2, '?') : NULL;
	const char *text, *end;
	unsigned char in[MIME_NAME_MAX * 4], buf[MIME_NAME_MAX * 4];
	bool quoted;
	size_t n;

	if (how == NULL || how[1] == '\0' || how[2] != '?')
		return 0;
	quoted = how[1] == 'Q' || how[1] == 'q';
	text = how + 3;
	end = strstr(text, "?=");
	if (end == NULL || (size_t)(end - text) > sizeof(in) ||
		(!quoted && how[1] != 'B' && how[1] != 'b'))
		return 0;
	n = (size_t)(end - text);
	for (size_t i = 0; i < n; i++) /* a blank is written as `_`, and `_` as =5F */
		in[i] = quoted && text[i] == '_' ? ' ' : (unsigned char)text[i];
	n = mime_decode(quoted ? MIME_QUOTED : MIME_BASE64, mw_octets_of(in, n), buf);
	for (size_t i = 0; i < n; i++)
		value_add(out, buf[i]);
	return (size_t)(end + 2 - p);
}

/* RFC 2047 forbids words in parameters; every mail program writes and reads them. Blanks between
 * two words vanish. */
static void decode_words(struct value *v)
{
	struct value out;
	size_t i = 0;

	if (strstr(v->text, "=?") == NULL)
		return;
	out.n = 0;
	out.text[0] = '\0';
	while (i < v->n) {
		size_t word = encoded_word(v->text + i, &out), next;

		if (word == 0) {
			value_add(&out, (unsigned char)v->text[i++]);
			continue;
		}
		i += word;
		next = i + strspn(v->text + i, " \t");
		if (strncmp(v->text + next, "=?", 2) == 0)
			i = next;
	}
	memcpy(v->text, out.text, out.n + 1);
	v->n = out.n;
}

/* ------------------------------------------------------------------ parameters */

/* A parameter put together from its pieces. */
struct parameter {
	const char *name;
	struct value value;	/* of the plain form */
	struct value pieced;	/* of name*=, name*0=, name*0*= ... in the order they came */
	unsigned plain, pieces; /* how often seen */
	bool differs;
};

/* Does name (lower case) say "want", "want*", "want*3", "want*3*"? *piece_r: it has a star;
 * *coded_r: the last one. */
static bool parameter_is(const char *name, const char *want, bool *piece_r, bool *coded_r)
{
	size_t n = strlen(want);

	if (strncmp(name, want, n) != 0)
		return false;
	*piece_r = name[n] == '*';
	if (!*piece_r)
		return name[n] == '\0';
	*coded_r = name[strlen(name) - 1] == '*';
	name += n + 1;
	name += strspn(name, "0123456789");
	return name[0] == '\0' || (name[0] == '*' && name[1] == '\0');
}

static void parameter_take(
	struct parameter *p, bool piece, bool coded, struct value *v, enum mime_reading reading)
{
	if (piece) {
		if (p->pieces++ == 0 && coded)
			drop_charset(v);
		if (coded)
			percent_decode(v);
		for (size_t i = 0; i < v->n && p->pieces <= PIECES_MAX; i++)
			value_add(&p->pieced, (unsigned char)v->text[i]);
		return;
	}
	if (p->plain++ > 0) {
		p->differs = p->differs || strcmp(p->value.text, v->text) != 0;
		if (reading == MIME_FIRST)
			return;
	}
	memcpy(p->value.text, v->text, v->n + 1);
	p->value.n = v->n;
}

static void read_parameters(struct scan *s, struct parameter *want, enum mime_reading reading)
{
	struct value v;

	for (unsigned seen = 0; s->p < s->end && seen < PARAMETERS_MAX; seen++) {
		char name[64];
		size_t n = 0;
		bool piece = false, coded = false;

		skip_blanks(s);
		while (s->p < s->end && (*s->p == ';' || is_blank(*s->p)))
			s->p++;
		skip_blanks(s);
		for (; s->p < s->end && *s->p != '=' && *s->p != ';'; s->p++)
			if (!is_blank(*s->p) && n < sizeof(name) - 1)
				name[n++] = (char)lower(*s->p);
		name[n] = '\0';
		if (s->p == s->end || *s->p == ';')
			continue;
		s->p++;
		read_value(s, &v);
		if (parameter_is(name, want->name, &piece, &coded))
			parameter_take(want, piece, coded, &v, reading);
	}
}

/* The value to believe: pieces and a plain form at once contradict each other, too. */
static const struct value *parameter_value(struct parameter *p, enum mime_reading reading)
{
	if (p->pieces > 0 && p->plain > 0)
		p->differs = p->differs || strcmp(p->value.text, p->pieced.text) != 0;
	if (p->pieces == 0)
		return &p->value;
	if (p->plain == 0)
		return &p->pieced;
	return reading == MIME_FIRST ? &p->pieced : &p->value;
}

/* Read one parameter of a field's rest (behind the type). */
static void take_parameter(struct mime_head *h, struct scan rest, const char *name, char *buf,
	size_t size, enum mime_reading reading)
{
	struct parameter p; /* 16 KiB: not cleared whole */
	const struct value *v;
	struct value text;

	p.name = name;
	p.plain = p.pieces = 0;
	p.differs = false;
	p.value.n = p.pieced.n = 0;
	p.value.text[0] = p.pieced.text[0] = '\0';
	read_parameters(&rest, &p, reading);
	if (p.plain + p.pieces == 0)
		return;
	v = parameter_value(&p, reading);
	memcpy(text.text, v->text, v->n + 1);
	text.n = v->n;
	if (strcmp(name, "boundary") != 0)
		decode_words(&text);
	if (p.differs) {
		h->errors |= MW_BIT(MIME_TWO_PARAMETERS);
		h->ambiguous = true;
	}
	mw_strlcpy(buf, text.text, size);
}

/* Names go into logs and findings: controls become '?'. */
static void clean_name(char *name)
{
	for (; *name != '\0'; name++)
		if ((unsigned char)*name < 0x20 || *name == 0x7f)
			*name = '?';
}

/* ------------------------------------------------------------------ the fields */

static void take_type(struct mime_head *h, struct mw_octets v, enum mime_reading reading)
{
	struct scan s = { v.p, v.p + v.n };
	char type[MIME_TYPE_MAX];
	size_t n = 0;

	skip_blanks(&s);
	for (; s.p < s.end && *s.p != ';' && *s.p != '('; s.p++)
		if (!is_blank(*s.p) && n < sizeof(type) - 1)
			type[n++] = (char)lower(*s.p);
	type[n] = '\0';
	if (strchr(type, '/') != NULL)
		memcpy(h->type, type, n + 1);
	h->boundary[0] = '\0';
	take_parameter(h, s, "boundary", h->boundary, sizeof(h->boundary), reading);
	if (h->name[0] == '\0' || reading == MIME_LAST)
		take_parameter(h, s, "name", h->name, sizeof(h->name), reading);
}

/* The file name of Content-Disposition wins over the name of Content-Type, as it does in mail
 * readers. */
static void take_disposition(struct mime_head *h, struct mw_octets v, enum mime_reading reading)
{
	struct scan s = { v.p, v.p + v.n };

	while (s.p < s.end && *s.p != ';')
		s.p++;
	take_parameter(h, s, "filename", h->name, sizeof(h->name), reading);
}

static void take_encoding(struct mime_head *h, struct mw_octets v, enum mime_reading reading)
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
	};
	struct scan s = { v.p, v.p + v.n };
	char word[32];
	size_t n = 0;

	(void)reading;
	skip_blanks(&s);
	for (; s.p < s.end && *s.p != ';' && *s.p != '(' && !is_blank(*s.p); s.p++)
		if (n < sizeof(word) - 1)
			word[n++] = (char)lower(*s.p);
	word[n] = '\0';
	h->encoding = MIME_OTHER;
	for (size_t i = 0; i < MW_COUNT(known); i++)
		if (strcmp(word, known[i].word) == 0)
			h->encoding = known[i].encoding;
	if (h->encoding == MIME_OTHER)
		h->errors |= MW_BIT(MIME_UNKNOWN_ENCODING);
}

static const struct known_field {
	const char *name;
	void (*take)(struct mime_head *h, struct mw_octets value, enum mime_reading reading);
} known_fields[] = {
	{ "content-type", take_type },
	{ "content-transfer-encoding", take_encoding },
	{ "content-disposition", take_disposition },
};

static int field_find(struct mw_octets name)
{
	while (name.n > 0 && is_blank(name.p[name.n - 1]))
		name.n--;
	for (size_t i = 0; i < MW_COUNT(known_fields); i++)
		if (mw_octets_ieq(name, known_fields[i].name))
			return (int)i;
	return -1;
}

/* End of the line that starts at i, behind its LF. */
static size_t line_end(struct mw_octets text, size_t i)
{
	const unsigned char *lf = i < text.n ? memchr(text.p + i, '\n', text.n - i) : NULL;

	return lf != NULL ? (size_t)(lf + 1 - text.p) : text.n;
}

static bool line_is_empty(struct mw_octets text, size_t i, size_t end)
{
	return end > i && text.p[end - 1] == '\n' &&
	       (end - i == 1 || (end - i == 2 && text.p[i] == '\r'));
}

/* The range of one field, its continuation lines included. */
static size_t field_end(struct mw_octets text, size_t i)
{
	size_t end = line_end(text, i);

	while (end < text.n && (text.p[end] == ' ' || text.p[end] == '\t'))
		end = line_end(text, end);
	return end;
}

static void take_field(
	struct mime_head *h, struct mw_octets field, unsigned seen[], enum mime_reading reading)
{
	const unsigned char *colon;
	struct mw_octets value;
	int known;

	if ((field.p[0] | 32) != 'c') /* Content-*: nothing else matters here */
		return;
	colon = memchr(field.p, ':', field.n);
	if (colon == NULL)
		return;
	known = field_find(mw_octets_of(field.p, (size_t)(colon - field.p)));
	if (known < 0)
		return;
	value = mw_octets_of(colon + 1, field.n - (size_t)(colon + 1 - field.p));
	if (value.n > MIME_FIELD_MAX - 1) {
		value.n = MIME_FIELD_MAX - 1;
		h->errors |= MW_BIT(MIME_LONG_FIELD);
		h->ambiguous = true;
	}
	if (seen[known]++ > 0) {
		h->errors |= MW_BIT(MIME_TWO_FIELDS);
		h->ambiguous = true;
		if (reading == MIME_FIRST)
			return;
	}
	h->has_type = h->has_type || known == 0;
	known_fields[known].take(h, value, reading);
}

/*
 * A line that is no field: readers either skip it or take it for the first line of the body. The
 * second reading does the latter.
 */
static bool line_is_field(struct mw_octets field)
{
	const unsigned char *colon = memchr(field.p, ':', field.n);

	return colon != NULL && colon > field.p && !is_blank(field.p[0]);
}

static void head_end(struct mime_head *h, size_t body)
{
	h->body = body;
	clean_name(h->name);
}

void mime_head_read(struct mime_head *h, struct mw_octets entity, enum mime_reading reading)
{
	unsigned seen[MW_COUNT(known_fields)] = { 0 };
	size_t i = 0;

	memset(h, 0, sizeof(*h));
	mw_strlcpy(h->type, "text/plain", sizeof(h->type));
	while (i < entity.n) {
		size_t end = field_end(entity, i);

		if (line_is_empty(entity, i, line_end(entity, i))) {
			head_end(h, line_end(entity, i));
			return;
		}
		if (!line_is_field(mw_octets_of(entity.p + i, end - i))) {
			h->errors |= MW_BIT(MIME_BAD_HEADER);
			if (reading == MIME_LAST) {
				head_end(h, i);
				return;
			}
		} else {
			take_field(h, mw_octets_of(entity.p + i, end - i), seen, reading);
		}
		i = end;
	}
	/* The line end before a delimiter is the delimiter's, so that an empty part has no empty
	 * line: no error. */
	head_end(h, entity.n);
}
