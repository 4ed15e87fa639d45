#include "pdf.h"

static bool is_blank(unsigned char c)
{
	return c == ' ' || c == '\n' || c == '\r' || c == '\t' || c == '\f' || c == '\0';
}

static bool is_delimiter(unsigned char c)
{
	return c == '(' || c == ')' || c == '<' || c == '>' || c == '[' || c == ']' || c == '{' ||
	       c == '}' || c == '/' || c == '%';
}

static void skip_blanks(struct pdf_lex *l)
{
	while (l->p < l->end) {
		if (is_blank(*l->p)) {
			l->p++;
			continue;
		}
		if (*l->p != '%')
			return;
		while (l->p < l->end && *l->p != '\n' && *l->p != '\r')
			l->p++;
	}
}

static void skip_regular(struct pdf_lex *l)
{
	while (l->p < l->end && !is_blank(*l->p) && !is_delimiter(*l->p))
		l->p++;
}

/* (...), with brackets in it and escapes; p is behind the first one. */
static void skip_text(struct pdf_lex *l)
{
	size_t depth = 1;

	while (l->p < l->end && depth > 0) {
		unsigned char c = *l->p++;

		if (c == '\\' && l->p < l->end)
			l->p++;
		else if (c == '(')
			depth++;
		else if (c == ')')
			depth--;
	}
}

static void take_name(struct pdf_lex *l, struct pdf_token *t)
{
	size_t n = 0;

	skip_regular(l);
	for (const unsigned char *p = t->octets.p + 1; p < l->p && n < sizeof(t->name); p++) {
		int high = *p == '#' && l->p - p > 2 ? doc_hex(p[1]) : -1;
		int low = high >= 0 ? doc_hex(p[2]) : -1;

		t->name[n++] = low >= 0 ? (char)(high << 4 | low) : (char)*p;
		if (low >= 0)
			p += 2;
	}
	if (n == sizeof(t->name))
		n = 0; /* longer than any that matters */
	t->name[n] = '\0';
}

static void take_word(struct pdf_lex *l, struct pdf_token *t)
{
	const unsigned char *p = l->p;

	skip_regular(l);
	if (l->p == p)
		l->p++; /* a bracket that nothing opened */
	t->kind = PDF_WORD;
	t->number = 0;
	while (p < l->p && (*p == '+' || *p == '-'))
		p++;
	if (p == l->p || ((*p < '0' || *p > '9') && *p != '.'))
		return;
	t->kind = PDF_NUMBER;
	for (; p < l->p && *p >= '0' && *p <= '9' && t->number < 100000000; p++)
		t->number = t->number * 10 + (*p - '0');
}

void pdf_next(struct pdf_lex *l, struct pdf_token *t)
{
	const unsigned char *p;
	bool two;

	skip_blanks(l);
	p = l->p;
	t->octets.p = p;
	t->kind = PDF_END;
	t->octets.n = 0;
	if (p == l->end)
		return;
	two = l->end - p > 1 && p[0] == p[1];
	l->p++;
	if (*p == '[' || (*p == '<' && two)) {
		t->kind = PDF_OPEN;
		l->p += *p == '<';
	} else if (*p == ']' || (*p == '>' && two)) {
		t->kind = PDF_CLOSE;
		l->p += *p == '>';
	} else if (*p == '/') {
		t->kind = PDF_NAME;
		take_name(l, t);
	} else if (*p == '(' || *p == '<') {
		t->kind = PDF_TEXT;
		if (*p == '(')
			skip_text(l);
		else
			while (l->p < l->end && *l->p++ != '>')
				;
	} else {
		l->p--;
		take_word(l, t);
	}
	t->octets.n = (size_t)(l->p - p);
}

bool pdf_is_word(const struct pdf_token *t, const char *word)
{
	return t->kind == PDF_WORD && t->octets.n == strlen(word) &&
	       memcmp(t->octets.p, word, t->octets.n) == 0;
}

/* Words that no value holds: an unclosed dictionary ends there. */
static bool ends_object(const struct pdf_token *t)
{
	return pdf_is_word(t, "endobj") || pdf_is_word(t, "obj") || pdf_is_word(t, "stream") ||
	       pdf_is_word(t, "endstream");
}

/* "5 0 R" is one value: pass the rest of it. */
static void pass_reference(struct pdf_lex *l)
{
	struct pdf_lex at = *l;
	struct pdf_token t;

	pdf_next(&at, &t);
	if (t.kind != PDF_NUMBER)
		return;
	pdf_next(&at, &t);
	if (pdf_is_word(&t, "R"))
		*l = at;
}

struct mw_octets pdf_value(struct pdf_lex *l)
{
	const unsigned char *from;
	struct pdf_token t;
	size_t depth = 0;

	skip_blanks(l);
	from = l->p;
	do {
		const unsigned char *before = l->p;

		pdf_next(l, &t);
		if (ends_object(&t)) {
			l->p = before;
			break;
		}
		depth += t.kind == PDF_OPEN;
		if (t.kind == PDF_CLOSE && depth-- == 0) { /* of the box around */
			l->p = before;
			break;
		}
		if (t.kind == PDF_NUMBER && depth == 0)
			pass_reference(l);
	} while (t.kind != PDF_END && depth > 0);
	return mw_octets_of(from, (size_t)(l->p - from));
}

bool pdf_enter(struct mw_octets dict, struct pdf_lex *l_r)
{
	struct pdf_token t;

	*l_r = pdf_lex_of(dict);
	pdf_next(l_r, &t);
	return t.kind == PDF_OPEN && t.octets.n == 2;
}

bool pdf_get_next(struct pdf_lex *l, const char *key, struct mw_octets *value_r)
{
	struct mw_octets value;
	struct pdf_token t;
	bool wanted;

	for (;;) {
		pdf_next(l, &t);
		if (t.kind == PDF_END || t.kind == PDF_CLOSE || ends_object(&t))
			return false;
		if (t.kind != PDF_NAME)
			continue; /* no key: readers go on */
		wanted = strcmp(t.name, key) == 0;
		value = pdf_value(l);
		if (wanted && value.n != 0) {
			*value_r = value;
			return true;
		}
	}
}

bool pdf_get(struct mw_octets dict, const char *key, struct mw_octets *value_r)
{
	struct pdf_lex l;
	bool got = false;

	if (!pdf_enter(dict, &l))
		return false;
	while (pdf_get_next(&l, key, value_r))
		got = true;
	return got;
}

bool pdf_is(struct mw_octets dict, const char *key, const char *name)
{
	struct mw_octets value;
	struct pdf_token t;
	struct pdf_lex l;

	if (!pdf_get(dict, key, &value))
		return false;
	l = pdf_lex_of(value);
	pdf_next(&l, &t);
	return t.kind == PDF_NAME && strcmp(t.name, name) == 0;
}

bool pdf_is_reference(struct mw_octets value, uint32_t *number_r)
{
	struct pdf_lex l = pdf_lex_of(value);
	struct pdf_token t;

	pdf_next(&l, &t);
	if (t.kind != PDF_NUMBER)
		return false;
	*number_r = t.number;
	pdf_next(&l, &t);
	if (t.kind != PDF_NUMBER)
		return false;
	pdf_next(&l, &t);
	return pdf_is_word(&t, "R");
}

/* ------------------------------------------------------------------ texts */

static size_t hex_text(struct mw_octets o, unsigned char out[PDF_TEXT_MAX])
{
	size_t n = 0;
	int high = -1;

	for (size_t i = 0; i < o.n && n < PDF_TEXT_MAX; i++) {
		int digit = doc_hex(o.p[i]);

		if (digit < 0)
			continue;
		if (high < 0) {
			high = digit;
			continue;
		}
		out[n++] = (unsigned char)(high << 4 | digit);
		high = -1;
	}
	if (high >= 0 && n < PDF_TEXT_MAX)
		out[n++] = (unsigned char)(high << 4);
	return n;
}

/* The character that an escape stands for; *i is moved to its last octet. */
static unsigned char escaped(struct mw_octets o, size_t *i)
{
	static const char from[] = "nrtbf", to[] = "\n\r\t\b\f";
	unsigned char c = o.p[*i];
	const char *at = memchr(from, c, sizeof(from) - 1);
	unsigned v = 0;

	if (at != NULL)
		return (unsigned char)to[at - from];
	if (c < '0' || c > '7')
		return c;
	for (unsigned k = 0; k < 3 && *i < o.n && o.p[*i] >= '0' && o.p[*i] <= '7'; k++)
		v = v * 8 + (o.p[(*i)++] - '0');
	(*i)--;
	return (unsigned char)v;
}

static size_t plain_text(struct mw_octets o, unsigned char out[PDF_TEXT_MAX])
{
	size_t n = 0;

	for (size_t i = 0; i < o.n && n < PDF_TEXT_MAX; i++) {
		if (o.p[i] != '\\') {
			out[n++] = o.p[i];
			continue;
		}
		if (++i == o.n)
			break;
		if (o.p[i] == '\n' || o.p[i] == '\r') /* a line that goes on */
			continue;
		out[n++] = escaped(o, &i);
	}
	return n;
}

size_t pdf_text(struct mw_octets value, unsigned char out[PDF_TEXT_MAX])
{
	struct mw_octets in;

	if (value.n < 2 || (value.p[0] != '(' && value.p[0] != '<') || value.p[1] == '<')
		return 0;
	in = doc_range(value, 1, value.n - 2);
	return value.p[0] == '(' ? plain_text(in, out) : hex_text(in, out);
}

void pdf_name(unsigned char *text, size_t n, char buf[CONTAINER_NAME_MAX])
{
	unsigned char c;

	buf[0] = '\0';
	if (n < 2 || text[0] != 0xfe || text[1] != 0xff) {
		doc_name8(buf, mw_octets_of(text, n));
		return;
	}
	for (size_t i = 2; i + 1 < n; i += 2) { /* big-endian */
		c = text[i];
		text[i] = text[i + 1];
		text[i + 1] = c;
	}
	doc_name16(buf, mw_octets_of(text + 2, n - 2));
}
