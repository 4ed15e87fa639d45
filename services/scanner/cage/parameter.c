#include <ctype.h>
#include <limits.h>
#include <stdlib.h>

#include "decode.h"
#include "parameter.h"

/* How many parameters and pieces there can be is bounded by MIME_FIELD_MAX alone: the shortest
 * piece is "name*=;". */
#define PIECES_MAX (MIME_FIELD_MAX / 7 + 1)

/* ------------------------------------------------------------------ values */

void mime_skip_blanks(struct mime_scan *s)
{
	unsigned deep = 0;

	for (; s->p < s->end; s->p++) {
		if (deep > 0 && *s->p == '\\' && s->p + 1 < s->end)
			s->p++;
		else if (*s->p == '(')
			deep++;
		else if (deep > 0 && *s->p == ')')
			deep--;
		else if (deep == 0 && !mime_is_blank(*s->p))
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
static void read_value(struct mime_scan *s, struct value *v)
{
	v->n = 0;
	v->text[0] = '\0';
	mime_skip_blanks(s);
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
	while (v->n > 0 && mime_is_blank((unsigned char)v->text[v->n - 1]))
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

/* What one parameter may mean, the likeliest first. */
struct forms {
	unsigned count;
	bool cut;
	char text[MIME_FORMS_MAX][MIME_BOUNDARY_MAX];
};

/* A parameter put together from its pieces. */
struct parameter {
	const char *name;
	struct mime_names *names; /* of all forms, or NULL */
	struct forms *forms;	  /* likewise */
	struct value value;	  /* of the plain form */
	struct value pieced;	  /* of name*=, name*0=, name*0*= ... in the order they came */
	unsigned plain, pieces;	  /* how often seen */
	bool differs, disordered; /* pieces came in another order than their numbers' */
	struct piece {
		unsigned number;
		unsigned short at, n; /* in pieced */
	} piece[PIECES_MAX];
};

_Static_assert(MIME_FIELD_MAX <= USHRT_MAX, "where a piece stands");

static void forms_add(struct forms *forms, const char *text, size_t n)
{
	const char *nul = n > 0 ? memchr(text, '\0', n) : NULL;

	if (nul != NULL)
		n = (size_t)(nul - text);
	if (n == 0)
		return;
	if (n >= MIME_BOUNDARY_MAX) { /* told as too long; cut it would match what it should not */
		forms->cut = true;
		return;
	}
	for (unsigned i = 0; i < forms->count; i++)
		if (strlen(forms->text[i]) == n && memcmp(forms->text[i], text, n) == 0)
			return;
	if (forms->count == MIME_FORMS_MAX) {
		forms->cut = true;
		return;
	}
	memcpy(forms->text[forms->count], text, n);
	forms->text[forms->count++][n] = '\0';
}

/* Up to the first of some characters. */
static void forms_add_until(struct forms *forms, const char *text, size_t n, const char *stops)
{
	size_t i = 0;

	while (i < n && strchr(stops, text[i]) == NULL)
		i++;
	forms_add(forms, text, i);
}

/* A text without some characters. */
static void forms_add_without(struct forms *forms, const char *text, size_t n, const char *drop)
{
	char kept[MIME_BOUNDARY_MAX];
	size_t m = 0;

	for (size_t i = 0; i < n && m < sizeof(kept); i++)
		if (text[i] != '\0' && strchr(drop, text[i]) == NULL)
			kept[m++] = text[i];
	if (m < sizeof(kept))
		forms_add(forms, kept, m);
}

/*
 * What readers make of a boundary as it stands in the field, beside v, the value by the book.
 * Nearly always there is nothing: a token, or a quoted string without blanks at its end and
 * backslashes.
 */
static void forms_of(struct forms *forms, struct mw_octets raw, const struct value *v)
{
	const char *p = (const char *)raw.p, *close;
	size_t n = raw.n;

	while (n > 0 && mime_is_blank((unsigned char)p[n - 1]))
		n--;
	while (n > 0 && mime_is_blank((unsigned char)*p)) {
		p++;
		n--;
	}
	forms_add(forms, v->text, v->n);
	if (n == 0)
		return;
	if (*p != '"') {
		forms_add_until(forms, p, n, "( \t\"");
		forms_add_without(forms, p, n, "'\"");
	} else {
		close = memchr(p + 1, '"', n - 1);
		if (close == NULL) { /* it never closes */
			forms_add_until(forms, p + 1, n - 1, ";\r\n");
			forms_add_until(forms, p + 1, n - 1, "; \t\r\n");
		} else {
			forms_add(forms, p + 1, (size_t)(close - p - 1));
			if (close + 1 < p + n && strchr(" \t(", close[1]) == NULL)
				forms_add_without(forms, p, n, "\"");
		}
	}
	if (memchr(v->text, '=', v->n) != NULL && strstr(v->text, "=?") != NULL) {
		struct value decoded = *v;

		decode_words(&decoded);
		forms_add(forms, decoded.text, decoded.n);
	}
}

/* Names are told apart by their ends: a long one is cut at the front. Controls become '?'. */
static void names_add(struct mime_names *names, const struct value *v)
{
	size_t n = v->n < MIME_NAME_MAX ? v->n : MIME_NAME_MAX - 1;
	char *to = names->text + names->n;

	if (n == 0)
		return;
	if (n + 1 > sizeof(names->text) - names->n) {
		names->cut = true;
		return;
	}
	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)v->text[v->n - n + i];

		to[i] = c < 0x20 || c == 0x7f ? '?' : (char)c;
	}
	to[n] = '\0';
	for (const char *p = names->text; p < to; p += strlen(p) + 1)
		if (strcmp(p, to) == 0)
			return;
	names->n += n + 1;
	names->count++;
}

/* Decoded first, as amavisd has them. */
static void names_add_forms(struct mime_names *names, const struct value *v)
{
	struct value decoded;

	memcpy(decoded.text, v->text, v->n + 1);
	decoded.n = v->n;
	decode_words(&decoded);
	names_add(names, &decoded);
	names_add(names, v);
}

/* A token with comments: RFC 2045 allows them, and not all readers take them out. */
static void names_add_uncommented(struct mime_names *names, struct mw_octets raw)
{
	struct mime_scan s = { raw.p, raw.p + raw.n };
	struct value v;

	v.n = 0;
	v.text[0] = '\0';
	mime_skip_blanks(&s);
	if (s.p < s.end && *s.p == '"')
		return;
	while (s.p < s.end) {
		if (*s.p == '(')
			mime_skip_blanks(&s);
		else
			value_add(&v, *s.p++);
	}
	while (v.n > 0 && mime_is_blank((unsigned char)v.text[v.n - 1]))
		v.text[--v.n] = '\0';
	names_add_forms(names, &v);
}

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

static void piece_take(struct parameter *p, unsigned number, bool coded, struct value *v)
{
	size_t at = p->pieced.n;

	if (p->pieces == 0 && coded)
		drop_charset(v);
	if (coded)
		percent_decode(v);
	for (size_t i = 0; i < v->n; i++)
		value_add(&p->pieced, (unsigned char)v->text[i]);
	if (p->pieces < PIECES_MAX) {
		p->piece[p->pieces].number = number;
		p->piece[p->pieces].at = (unsigned short)at;
		p->piece[p->pieces].n = (unsigned short)(p->pieced.n - at);
		p->disordered =
			p->disordered || (p->pieces > 0 && number < p->piece[p->pieces - 1].number);
	}
	p->pieces++;
}

static int piece_order(const void *a, const void *b)
{
	const struct piece *x = a, *y = b;

	if (x->number != y->number)
		return x->number < y->number ? -1 : 1;
	return (int)x->at - (int)y->at;
}

/* By their numbers (RFC 2231 section 3), as some readers put them together, beside the order in
 * which they came, as others do. */
static void names_add_ordered(struct parameter *p)
{
	unsigned count = p->pieces < PIECES_MAX ? p->pieces : PIECES_MAX;
	struct value v;

	v.n = 0;
	v.text[0] = '\0';
	qsort(p->piece, count, sizeof(p->piece[0]), piece_order);
	for (unsigned k = 0; k < count; k++)
		for (size_t i = 0; i < p->piece[k].n; i++)
			value_add(&v, (unsigned char)p->pieced.text[p->piece[k].at + i]);
	names_add_forms(p->names, &v);
}

/* Of name*7 or name*7*, at the digits: 0 without. What is too large for a number stays the last. */
static unsigned piece_number(const char *digits)
{
	unsigned long n = strtoul(digits, NULL, 10);

	return n < UINT_MAX ? (unsigned)n : UINT_MAX;
}

static void parameter_take(
	struct parameter *p, struct value *v, struct mw_octets raw, unsigned choices)
{
	if (p->names != NULL) {
		names_add_forms(p->names, v);
		if (memchr(raw.p, '(', raw.n) != NULL)
			names_add_uncommented(p->names, raw);
	}
	if (p->forms != NULL)
		forms_of(p->forms, raw, v);
	if (p->plain++ > 0) {
		p->differs = p->differs || strcmp(p->value.text, v->text) != 0;
		if ((choices & MW_BIT(MIME_CHOOSE_FIELD)) == 0)
			return;
	}
	memcpy(p->value.text, v->text, v->n + 1);
	p->value.n = v->n;
}

static void read_parameters(struct mime_scan *s, struct parameter *want, unsigned choices)
{
	struct value v;

	while (s->p < s->end) {
		const unsigned char *from;
		char name[64];
		size_t n = 0;
		bool piece = false, coded = false;

		mime_skip_blanks(s);
		while (s->p < s->end && (*s->p == ';' || mime_is_blank(*s->p)))
			s->p++;
		mime_skip_blanks(s);
		for (; s->p < s->end && *s->p != '=' && *s->p != ';'; s->p++)
			if (!mime_is_blank(*s->p) && n < sizeof(name) - 1)
				name[n++] = (char)mime_lower(*s->p);
		name[n] = '\0';
		if (s->p == s->end || *s->p == ';')
			continue;
		s->p++;
		from = s->p;
		read_value(s, &v);
		if (!parameter_is(name, want->name, &piece, &coded))
			continue;
		if (piece)
			piece_take(want, piece_number(name + strlen(want->name) + 1), coded, &v);
		else
			parameter_take(
				want, &v, mw_octets_of(from, (size_t)(s->p - from)), choices);
	}
}

static void parameter_init(struct parameter *p, const char *name)
{
	p->name = name; /* 16 KiB: not cleared whole */
	p->names = NULL;
	p->forms = NULL;
	p->plain = p->pieces = 0;
	p->differs = p->disordered = false;
	p->value.n = p->pieced.n = 0;
	p->value.text[0] = p->pieced.text[0] = '\0';
}

void mime_take_name(struct mime_head *h, struct mime_scan rest, const char *name, char *buf,
	size_t size, unsigned choices)
{
	struct parameter p;
	struct value text;

	parameter_init(&p, name);
	p.names = &h->names;
	read_parameters(&rest, &p, choices);
	if (p.plain + p.pieces == 0)
		return;
	if (p.pieces > 0)
		names_add_forms(p.names, &p.pieced);
	if (p.disordered)
		names_add_ordered(&p);
	text = p.pieces > 0 ? p.pieced : p.value;
	decode_words(&text);
	if (p.differs) {
		h->errors |= MW_BIT(MIME_TWO_PARAMETERS);
		h->ambiguous = true;
	}
	mw_strlcpy(buf, text.text, size);
}

void mime_take_boundary(struct mime_head *h, struct mime_scan rest, unsigned choices)
{
	static const unsigned first = MW_BIT(MIME_CHOOSE_FORM), second = MW_BIT(MIME_CHOOSE_FORM_2);
	struct parameter p;
	struct forms forms = { .count = 0 };
	unsigned i = ((choices & first) != 0) + ((choices & second) != 0) * 2u;

	h->boundary[0] = '\0';
	parameter_init(&p, "boundary");
	p.forms = &forms;
	read_parameters(&rest, &p, choices & ~MW_BIT(MIME_CHOOSE_FIELD));
	if (p.pieces > 0) {
		p.differs = p.differs || (p.plain > 0 && strcmp(p.value.text, p.pieced.text) != 0);
		forms_add(&forms, p.pieced.text, p.pieced.n);
	}
	h->forms_cut = forms.cut;
	if (forms.cut)
		h->errors |= MW_BIT(MIME_LONG_FIELD);
	if (forms.count == 0)
		return;
	if (forms.count > 1) {
		h->errors |= MW_BIT(p.differs ? MIME_TWO_PARAMETERS : MIME_BOUNDARY_FORMS);
		h->choices_met |= first | (forms.count > 2 ? second : 0);
		h->ambiguous = h->ambiguous || p.differs; /* to some readers it is no multipart */
	}
	mw_strlcpy(h->boundary, forms.text[i < forms.count ? i : 0], sizeof(h->boundary));
}
