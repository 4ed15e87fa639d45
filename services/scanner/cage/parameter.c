#include <ctype.h>
#include <limits.h>
#include <stdlib.h>

#include "charset.h"
#include "names.h"
#include "parameter.h"
#include "words.h"

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

/* blind: no comments are known, and a comma ends a parameter. */
static void skip_blanks(struct mime_scan *s, bool blind)
{
	if (!blind)
		mime_skip_blanks(s);
	while (blind && s->p < s->end && mime_is_blank(*s->p))
		s->p++;
}

static bool at_separator(const struct mime_scan *s, bool blind)
{
	return *s->p == ';' || (blind && *s->p == ',');
}

/* A quoted string or what runs to the next semicolon: tokens with blanks and specials are common in
 * names. */
static void read_value(struct mime_scan *s, bool blind, struct mime_text *v)
{
	mime_text_clear(v);
	skip_blanks(s, blind);
	if (s->p < s->end && *s->p == '"') {
		for (s->p++; s->p < s->end && *s->p != '"'; s->p++) {
			if (*s->p == '\\' && s->p + 1 < s->end)
				s->p++;
			if (*s->p != '\r' && *s->p != '\n')
				mime_text_add(v, *s->p);
		}
	}
	/* Whatever stands between the closing quote and the semicolon is dropped. */
	for (bool token = s->p < s->end && *s->p != '"'; s->p < s->end && !at_separator(s, blind);
		s->p++)
		if (token && *s->p != '\r' && *s->p != '\n')
			mime_text_add(v, *s->p);
	while (v->n > 0 && mime_is_blank((unsigned char)v->text[v->n - 1]))
		v->text[--v->n] = '\0';
}

/* ------------------------------------------------------------------ RFC 2231 */

static int hex_digit(char c)
{
	return isxdigit((unsigned char)c) ? (c <= '9' ? c - '0' : (c | 32) - 'a' + 10) : -1;
}

/* Undo %XX in place. */
static void percent_decode(struct mime_text *v)
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

/* Section 4: charset'language'text. Drops the first two. */
static enum mime_charset drop_charset(struct mime_text *v)
{
	char *first = memchr(v->text, '\'', v->n);
	char *second = first != NULL ? strchr(first + 1, '\'') : NULL;
	enum mime_charset charset;

	if (second == NULL)
		return MIME_CHARSET_OCTETS;
	charset = mime_charset_of(v->text, (size_t)(first - v->text));
	v->n -= (size_t)(second + 1 - v->text);
	memmove(v->text, second + 1, v->n + 1);
	return charset;
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
	bool blind;
	struct mime_names *names;  /* of all forms, or NULL */
	struct forms *forms;	   /* likewise */
	struct mime_text value;	   /* of the plain form */
	struct mime_text pieced;   /* of name*=, name*0=, name*0*= ... in the order they came */
	enum mime_charset charset; /* of the pieces */
	unsigned plain, pieces;	   /* how often seen */
	bool differs;
	struct piece {
		unsigned number;
		unsigned short at, n; /* in pieced */
		unsigned short order; /* in which it came */
		bool whole;	      /* name*=, which has no number */
		bool zeros;	      /* before its number */
	} piece[PIECES_MAX];
};

_Static_assert(MIME_TEXT_MAX <= USHRT_MAX, "where a piece stands");

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
static void forms_of(struct forms *forms, struct mw_octets raw, const struct mime_text *v)
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
		struct mime_text decoded;
		unsigned ignored;

		if (mime_words_decode(v, 0, &decoded, &ignored))
			forms_add(forms, decoded.text, decoded.n);
	}
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

/* Of name*7 or name*7*, at the digits: 0 without. What is too large for a number stays the last. */
static unsigned piece_number(const char *digits)
{
	unsigned long n = strtoul(digits, NULL, 10);

	return n < UINT_MAX ? (unsigned)n : UINT_MAX;
}

static void piece_take(struct parameter *p, const char *digits, bool coded, struct mime_text *v)
{
	size_t at = p->pieced.n, length = strspn(digits, "0123456789");
	struct piece piece = { .number = piece_number(digits),
		.whole = length == 0,
		.zeros = length > 1 && digits[0] == '0' };
	enum mime_charset charset = MIME_CHARSET_OCTETS;

	if (coded && (p->pieces == 0 || piece.number == 0))
		charset = drop_charset(v);
	if (charset != MIME_CHARSET_OCTETS)
		p->charset = charset;
	if (coded)
		percent_decode(v);
	if (piece.whole && p->names != NULL)
		mime_names_add(p->names, v, charset);
	if (piece.whole && p->forms != NULL)
		forms_add(p->forms, v->text, v->n);
	for (size_t i = 0; i < v->n; i++)
		mime_text_add(&p->pieced, (unsigned char)v->text[i]);
	if (p->pieces == PIECES_MAX)
		return;
	piece.at = (unsigned short)at;
	piece.n = (unsigned short)(p->pieced.n - at);
	piece.order = (unsigned short)p->pieces;
	p->piece[p->pieces++] = piece;
}

static int piece_order(const void *a, const void *b)
{
	const struct piece *x = a, *y = b;

	if (x->number != y->number)
		return x->number < y->number ? -1 : 1;
	return (int)x->order - (int)y->order;
}

/* Of pieces in the order of their numbers, those before the `stop`th that came. gaps: whatever
 * numbers are there; else: the first of each number, up to one that is missing. */
static void pieces_join(const struct parameter *p, unsigned stop, bool gaps, struct mime_text *out)
{
	unsigned next = 0;

	mime_text_clear(out);
	for (unsigned k = 0; k < p->pieces; k++) {
		const struct piece *x = &p->piece[k];

		if (!gaps && (x->whole || x->order >= stop || x->number < next))
			continue;
		if (!gaps && x->number > next)
			return;
		for (size_t i = 0; i < x->n; i++)
			mime_text_add(out, (unsigned char)p->pieced.text[x->at + i]);
		next = x->number + 1;
	}
}

/* The first piece that came, and at which some readers stop: its number was there, or begins with
 * zeros. */
static unsigned pieces_stop(const struct parameter *p)
{
	unsigned stop = p->pieces, numbered = UINT_MAX;

	for (unsigned k = 0; k < p->pieces; k++) {
		const struct piece *x = &p->piece[k];

		if (x->whole)
			continue;
		if ((x->zeros || x->number == numbered) && x->order < stop)
			stop = x->order;
		numbered = x->number;
	}
	return stop;
}

static void pieces_tell(struct parameter *p, const struct mime_text *t)
{
	if (p->names != NULL)
		mime_names_add(p->names, t, p->charset);
	if (p->forms != NULL)
		forms_add(p->forms, t->text, t->n);
}

/*
 * By their numbers (RFC 2231 section 3), as most readers put them together, up to one that is
 * missing; without those that came behind one that should not be there; in the order in which they
 * came; all of them, by their numbers.
 */
static void pieces_end(struct parameter *p)
{
	struct mime_text t;

	if (p->pieces == 0)
		return;
	if (p->pieces > 1) {
		qsort(p->piece, p->pieces, sizeof(p->piece[0]), piece_order);
		pieces_join(p, p->pieces, false, &t);
		pieces_tell(p, &t);
		pieces_join(p, pieces_stop(p), false, &t);
		pieces_tell(p, &t);
	}
	pieces_tell(p, &p->pieced);
	if (p->pieces > 1) {
		pieces_join(p, p->pieces, true, &t);
		pieces_tell(p, &t);
	}
}

static void parameter_take(
	struct parameter *p, struct mime_text *v, struct mw_octets raw, unsigned choices)
{
	if (p->names != NULL) {
		mime_names_add(p->names, v, MIME_CHARSET_OCTETS);
		mime_names_add_raw(p->names, raw);
	}
	if (p->forms != NULL)
		forms_of(p->forms, raw, v);
	if (p->plain++ > 0) {
		p->differs = p->differs || strcmp(p->value.text, v->text) != 0;
		if ((choices & MW_BIT(MIME_CHOOSE_FIELD)) == 0)
			return;
	}
	mime_text_copy(&p->value, v);
}

/* A parameter's name, lower case, up to `=` or the separator. By the book comments vanish; the
 * blind take the last word. */
static void read_name(struct mime_scan *s, bool blind, char *name, size_t size)
{
	bool blank = false;
	size_t n = 0;

	while (s->p < s->end && *s->p != '=' && !at_separator(s, blind)) {
		if (!blind && *s->p == '(') {
			mime_skip_blanks(s);
			continue;
		}
		if (mime_is_blank(*s->p)) {
			blank = true;
		} else {
			n = blind && blank ? 0 : n;
			blank = false;
			if (n < size - 1)
				name[n++] = (char)mime_lower(*s->p);
		}
		s->p++;
	}
	name[n] = '\0';
}

static void read_parameters(struct mime_scan s, struct parameter *want, unsigned choices)
{
	struct mime_text v;

	while (s.p < s.end) {
		const unsigned char *from;
		char name[64];
		bool piece = false, coded = false;

		skip_blanks(&s, want->blind);
		while (s.p < s.end && (at_separator(&s, want->blind) || mime_is_blank(*s.p)))
			s.p++;
		skip_blanks(&s, want->blind);
		read_name(&s, want->blind, name, sizeof(name));
		if (s.p == s.end || *s.p != '=')
			continue;
		s.p++;
		from = s.p;
		read_value(&s, want->blind, &v);
		if (!parameter_is(name, want->name, &piece, &coded))
			continue;
		if (piece)
			piece_take(want, name + strlen(want->name) + 1, coded, &v);
		else
			parameter_take(want, &v, mw_octets_of(from, (size_t)(s.p - from)), choices);
	}
	pieces_end(want);
}

/* Both are far too large to be cleared whole. */
static void parameter_init(struct parameter *p, const char *name, bool blind)
{
	p->name = name;
	p->blind = blind;
	p->names = NULL;
	p->forms = NULL;
	p->charset = MIME_CHARSET_OCTETS;
	p->plain = p->pieces = 0;
	p->differs = false;
	mime_text_clear(&p->value);
	mime_text_clear(&p->pieced);
}

/* ------------------------------------------------------------------ two walks */

static struct mime_scan scan_from(const struct mime_field *f, size_t from)
{
	return (struct mime_scan){ f->value.p + from, f->value.p + f->value.n };
}

/* May readers that know no comments, or no semicolons, see other parameters? */
static bool needs_blind(const struct mime_field *f)
{
	struct mw_octets v = f->value;
	const unsigned char *first = v.n > 0 ? memchr(v.p, ';', v.n) : NULL;
	size_t head = first != NULL ? (size_t)(first - v.p) : v.n;

	return v.n > 0 && (memchr(v.p, '(', v.n) != NULL || memchr(v.p, ',', v.n) != NULL ||
				  memchr(v.p, '=', head) != NULL);
}

/* The name that p has, the pieces' before the plain one's. */
static bool name_copy(const struct parameter *p, char *buf, size_t size)
{
	struct mime_text text;

	if (p->plain + p->pieces == 0)
		return false;
	mime_name_decode(p->pieces > 0 ? &p->pieced : &p->value, p->charset, &text);
	mw_strlcpy(buf, text.text, size);
	return true;
}

void mime_take_name(struct mime_head *h, const struct mime_field *f, const char *name, char *buf,
	size_t size, unsigned choices)
{
	struct parameter p;
	bool found;

	parameter_init(&p, name, false);
	p.names = &h->names;
	read_parameters(scan_from(f, f->rest), &p, choices);
	if (p.differs) {
		h->errors |= MW_BIT(MIME_TWO_PARAMETERS);
		h->ambiguous = true;
	}
	found = name_copy(&p, buf, size);
	if (!needs_blind(f))
		return;
	parameter_init(&p, name, true);
	p.names = &h->names;
	read_parameters(scan_from(f, 0), &p, choices);
	if (!found)
		name_copy(&p, buf, size);
}

void mime_take_whole_name(struct mime_head *h, struct mw_octets value)
{
	struct mime_scan s = { value.p, value.p + value.n };
	struct mime_text text, decoded;

	mime_text_clear(&text);
	while (s.p < s.end && mime_is_blank(*s.p))
		s.p++;
	for (; s.p < s.end; s.p++)
		if (*s.p != '\r' && *s.p != '\n')
			mime_text_add(&text, *s.p);
	while (text.n > 0 && mime_is_blank((unsigned char)text.text[text.n - 1]))
		text.text[--text.n] = '\0';
	mime_names_add(&h->names, &text, MIME_CHARSET_OCTETS);
	mime_names_add_raw(&h->names, value);
	if (h->name[0] != '\0')
		return;
	mime_name_decode(&text, MIME_CHARSET_OCTETS, &decoded);
	mw_strlcpy(h->name, decoded.text, sizeof(h->name));
}

/* What only the blind see is a boundary for some, and none for the others. */
static void forms_add_none(struct forms *forms)
{
	if (forms->count == MIME_FORMS_MAX)
		forms->cut = true;
	else
		forms->text[forms->count++][0] = '\0';
}

void mime_take_boundary(struct mime_head *h, const struct mime_field *f, unsigned choices)
{
	static const unsigned first = MW_BIT(MIME_CHOOSE_FORM), second = MW_BIT(MIME_CHOOSE_FORM_2);
	struct parameter p;
	struct forms forms = { .count = 0 };
	unsigned i = ((choices & first) != 0) + ((choices & second) != 0) * 2u;
	bool differs, told, ambiguous;

	h->boundary[0] = '\0';
	parameter_init(&p, "boundary", false);
	p.forms = &forms;
	read_parameters(scan_from(f, f->rest), &p, choices & ~MW_BIT(MIME_CHOOSE_FIELD));
	differs = p.differs ||
		  (p.plain > 0 && p.pieces > 0 && strcmp(p.value.text, p.pieced.text) != 0);
	told = forms.count > 0;
	/* What is a multipart to some readers alone is ambiguous by itself. */
	ambiguous = differs;
	if (needs_blind(f)) {
		parameter_init(&p, "boundary", true);
		p.forms = &forms;
		read_parameters(scan_from(f, 0), &p, choices & ~MW_BIT(MIME_CHOOSE_FIELD));
		if (!told && forms.count > 0) {
			forms_add_none(&forms);
			ambiguous = strncmp(h->type, "multipart/", 10) == 0;
		}
	}
	h->forms_cut = forms.cut;
	if (forms.cut)
		h->errors |= MW_BIT(MIME_LONG_FIELD);
	if (forms.count == 0)
		return;
	if (forms.count > 1) {
		h->errors |= MW_BIT(differs ? MIME_TWO_PARAMETERS : MIME_BOUNDARY_FORMS);
		h->choices_met |= first | (forms.count > 2 ? second : 0);
		h->ambiguous = h->ambiguous || ambiguous;
	}
	mw_strlcpy(h->boundary, forms.text[i < forms.count ? i : 0], sizeof(h->boundary));
}
