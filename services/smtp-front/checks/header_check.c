#include "header_check.h"

#include <stdio.h>

#include "utf8.h"

#define CUT 50	      /* octets of a line that is told, when it is longer than... */
#define CUT_BEYOND 55 /* ... this */
#define SYNTAX_MAX 200
#define NAME_MAX_TOLD 100
#define TEXT_SIZE 2048 /* of one finding: its pieces, each octet as \x{XX}, fit */

static const char *const test_names[HEADER_TESTS] = {
	[HEADER_TEST_OTHER] = "other",
	[HEADER_TEST_MIME] = "mime",
	[HEADER_TEST_SYNTAX] = "syntax",
	[HEADER_TEST_EMPTY] = "empty",
	[HEADER_TEST_LONG] = "long",
	[HEADER_TEST_CONTROL] = "control",
	[HEADER_TEST_8BIT] = "8bit",
	[HEADER_TEST_UTF8] = "utf8",
	[HEADER_TEST_MISSING] = "missing",
	[HEADER_TEST_MULTIPLE] = "multiple",
};

static bool test_of(const char *name, unsigned *test_r)
{
	for (unsigned i = 0; i < HEADER_TESTS; i++)
		if (strcmp(test_names[i], name) == 0) {
			*test_r = i;
			return true;
		}
	return false;
}

enum mw_rc header_tests_of(const struct mw_conf *conf, unsigned *tests_r, struct mw_err *err_r)
{
	static const char setting[] = "allowed_header_tests";
	const struct mw_val *table = mw_conf_val(conf, setting);

	*tests_r = 0;
	for (size_t i = 0; i < table->count; i++) {
		const struct mw_val *v = &table->vals[i];
		bool number = v->tag == MW_V_NUM && (v->num == 0 || v->num == 1);
		unsigned test;

		if (!test_of(table->keys[i], &test))
			return mw_fail(err_r, MW_ERR_CONF,
				"%s: there is no test \"%.40s\": expected mime, syntax, empty, "
				"long, control, 8bit, utf8, missing, multiple or other",
				setting, table->keys[i]);
		if (v->tag != MW_V_BOOL && v->tag != MW_V_NIL && !number)
			return mw_fail(err_r, MW_ERR_CONF, "%s[\"%s\"]: expected true or false",
				setting, table->keys[i]);
		if ((v->tag == MW_V_BOOL && v->b) || (number && v->num == 1))
			*tests_r |= MW_BIT(test);
	}
	return MW_OK;
}

/* ------------------------------------------------------------------ what is odd in a field */

struct span {
	const unsigned char *p; /* NULL: none */
	size_t n;
};

/* The first of each kind. */
struct odd {
	struct span empty, long_line;
	const unsigned char *control, *high;
};

static bool is_blank(unsigned char c)
{
	return c == ' ' || c == '\t';
}

/* The next octet that is no printable ASCII (or DEL), or end. */
static const unsigned char *next_odd(const unsigned char *p, const unsigned char *end)
{
	const uint64_t low = 0x2020202020202020, high = 0x8080808080808080;
	uint64_t w;

	/* Eight at a time; where one is odd, one by one. */
	while (end - p >= 8) {
		memcpy(&w, p, sizeof(w));
		if (((w | (w - low)) & high) != 0)
			break;
		p += 8;
	}
	while (p < end && *p >= 0x20 && *p < 0x80)
		p++;
	return p;
}

/* A line without its line end. */
static void see_line(const unsigned char *p, size_t n, struct odd *o)
{
	size_t i = 0;

	if (n > 998 && o->long_line.p == NULL)
		o->long_line = (struct span){ p, n };
	if (n == 0 || !is_blank(*p) || o->empty.p != NULL)
		return;
	while (i < n && is_blank(p[i]))
		i++;
	if (i == n)
		o->empty = (struct span){ p, n };
}

/* Lines end with LF, a CR before it is part of that. Where a lone LF is let in (bare_newline) it
 * ends a line for whoever reads the mail next. */
static void look(const unsigned char *p, const unsigned char *end, struct odd *o)
{
	const unsigned char *line = p;

	for (p = next_odd(p, end); p < end; p = next_odd(p, end)) {
		unsigned char c = *p++;

		if (c == '\r' && p < end && *p == '\n') {
			see_line(line, (size_t)(p - 1 - line), o);
			line = ++p;
		} else if (c == '\n') {
			see_line(line, (size_t)(p - 1 - line), o);
			line = p;
		} else if (c >= 0x80) {
			o->high = o->high != NULL ? o->high : p - 1;
		} else if (c == '\r' || c == '\0') {
			o->control = o->control != NULL ? o->control : p - 1;
		}
	}
	see_line(line, (size_t)(end - line), o);
}

/* ------------------------------------------------------------------ UTF-8 */

struct utf8 {
	bool valid;
	struct span c0, c1, character; /* the first of each; character: the first beyond ASCII */
};

static bool is_c0(const unsigned char *p, const unsigned char *end)
{
	if (*p == '\r')
		return end - p < 2 || p[1] != '\n';
	return (*p < 0x20 && *p != '\t' && *p != '\n') || *p == 0x7f;
}

static void look_at_utf8(const unsigned char *p, const unsigned char *end, struct utf8 *u)
{
	size_t n;

	*u = (struct utf8){ 0 };
	for (; p < end; p += n) {
		n = mw_utf8_length(p, (size_t)(end - p));
		if (n == 0)
			return;
		if (n == 1 && u->c0.p == NULL && is_c0(p, end))
			u->c0 = (struct span){ p, 1 };
		if (n == 2 && u->c1.p == NULL && p[0] == 0xc2 && p[1] < 0xa0)
			u->c1 = (struct span){ p, 2 };
		if (n > 1 && u->character.p == NULL)
			u->character = (struct span){ p, n };
	}
	u->valid = true;
}

/* ------------------------------------------------------------------ texts */

struct check {
	struct smtp_arena *a;
	const struct mw_header *h;
	unsigned tests;
	bool smtputf8;
	struct header_findings *r;
	bool no_memory;
};

struct text {
	char s[TEXT_SIZE];
	size_t n;
};

static bool allowed(const struct check *k, enum header_test test)
{
	return (k->tests & MW_BIT(test)) != 0;
}

static void add_plain(struct text *x, const char *s)
{
	x->n += mw_strlcpy(x->s + x->n, s, sizeof(x->s) - x->n);
	if (x->n > sizeof(x->s) - 1)
		x->n = sizeof(x->s) - 1;
}

/* CRLF is the one octet LF here, as it is for amavisd. */
static const unsigned char *skip_cr(const unsigned char *p, const unsigned char *end)
{
	return end - p >= 2 && p[0] == '\r' && p[1] == '\n' ? p + 1 : p;
}

/* Octets as they may stand in a reply, a field and a log line; what looks like our own escapes is
 * escaped, too. */
static void add_octets(struct text *x, const unsigned char *p, const unsigned char *end)
{
	char hex[8];

	for (p = skip_cr(p, end); p < end; p = skip_cr(p + 1, end)) {
		bool ours = *p == '\\' && end - p >= 3 && p[1] == 'x' && p[2] == '{';

		if (x->n + sizeof(hex) > sizeof(x->s))
			return;
		if (*p >= 0x20 && *p < 0x7f && !ours) {
			x->s[x->n++] = (char)*p;
			x->s[x->n] = '\0';
		} else {
			snprintf(hex, sizeof(hex), "\\x{%02X}", *p);
			add_plain(x, hex);
		}
	}
}

static void found(struct check *k, enum header_minor minor, const char *text)
{
	struct header_findings *r = k->r;

	r->minors |= MW_BIT(minor);
	if (r->count == HEADER_FINDINGS_MAX || k->no_memory)
		return;
	if (r->texts == NULL)
		r->texts = smtp_arena_array(k->a, HEADER_FINDINGS_MAX, sizeof(*r->texts));
	if (r->texts != NULL && (r->texts[r->count] = smtp_arena_copy(k->a, text, strlen(text))))
		r->count++;
	else
		k->no_memory = true;
}

/* The end of what is told behind p: all, or 15 octets when there are more than 20 (*cut_r). */
static const unsigned char *behind(const unsigned char *p, const unsigned char *end, bool *cut_r)
{
	const unsigned char *at = p, *short_end = p;
	size_t n = 0;

	for (; at < end && n <= 20; n++) {
		at = skip_cr(at, end) + 1;
		if (n < 15)
			short_end = at;
	}
	*cut_r = n > 20;
	if (!*cut_r)
		return end;
	for (at = short_end; at > p && (at[-1] & 0xc0) == 0x80; at--)
		;
	/* A character that lacks its tail goes whole. */
	if (at > p && at[-1] >= 0xc0 &&
		short_end - at < (at[-1] >= 0xf0	  ? 3
					 : at[-1] >= 0xe0 ? 2
							  : 1))
		return at - 1;
	return short_end;
}

/* So many octets in front of p, CRLF being one; no further than from. */
static const unsigned char *before(const unsigned char *from, const unsigned char *p, size_t n)
{
	for (; p > from && n > 0; n--) {
		p--;
		if (p > from && p[0] == '\n' && p[-1] == '\r')
			p--;
	}
	return p;
}

static size_t length_of(const unsigned char *p, const unsigned char *end)
{
	size_t n = 0;

	for (p = skip_cr(p, end); p < end; p = skip_cr(p + 1, end))
		n++;
	return n;
}

static void add_hex(struct text *x, const struct span *mid)
{
	char hex[4];

	if (mid->n == 0 || mid->n > 4)
		return;
	add_plain(x, " (char");
	for (size_t i = 0; i < mid->n; i++) {
		snprintf(hex, sizeof(hex), " %02X", mid->p[i]);
		add_plain(x, hex);
	}
	add_plain(x, " hex)");
}

/* The place in its surroundings: what stands before it, itself, what follows. */
static void found_at(struct check *k, enum header_minor minor, const char *what,
	const struct mw_field *f, size_t name_len, const struct span *mid)
{
	const unsigned char *from = k->h->section.p + f->at, *end = k->h->section.p + f->end;
	const unsigned char *after = mid->p + mid->n, *post_end;
	bool post_cut, mid_cut = mid->n > 20;
	size_t pre, post;
	struct text x;

	if (end > after && end[-1] == '\n')
		end -= end - after >= 2 && end[-2] == '\r' ? 2 : 1;
	post_end = behind(after, end, &post_cut);
	post = length_of(after, post_end) + (post_cut ? 5 : 0);
	pre = length_of(from, mid->p);
	x.n = 0;
	add_plain(&x, what);
	add_hex(&x, mid);
	add_plain(&x, ": ");
	if (pre > name_len + 2 && pre - name_len - 2 > 50 - post) {
		add_octets(&x, from, from + (name_len > NAME_MAX_TOLD ? NAME_MAX_TOLD : name_len));
		add_plain(&x, ": ...");
		from = before(from, mid->p, 45 - post);
	} else if (mid->p - from > NAME_MAX_TOLD + 2 * 52) {
		from = mid->p - NAME_MAX_TOLD; /* in a name that is that long */
	}
	add_octets(&x, from, mid->p);
	add_octets(&x, mid->p, mid_cut ? mid->p + 15 : after);
	add_plain(&x, mid_cut ? "[...]" : "");
	add_octets(&x, after, post_end);
	add_plain(&x, post_cut ? "[...]" : "");
	found(k, minor, x.s);
}

static void found_line(struct check *k, enum header_minor minor, const char *what, struct span line,
	size_t beyond, size_t cut)
{
	struct text x;

	if (line.n > 0 && line.p[line.n - 1] == '\n')
		line.n -= line.n >= 2 && line.p[line.n - 2] == '\r' ? 2 : 1;
	x.n = 0;
	add_plain(&x, what);
	add_plain(&x, ": ");
	add_octets(&x, line.p, line.p + (line.n > beyond ? cut : line.n));
	add_plain(&x, line.n > beyond ? "[...]" : "");
	found(k, minor, x.s);
}

/* ------------------------------------------------------------------ one field */

/* A name as it would be with octets beyond ASCII in it; 0: it is none. */
static size_t wide_name(const struct mw_octets field)
{
	size_t n = 0, i;

	while (n < field.n && field.p[n] > ' ' && field.p[n] != ':' && field.p[n] != 0x7f)
		n++;
	for (i = n; i < field.n && is_blank(field.p[i]); i++)
		;
	return n > 0 && i < field.n && field.p[i] == ':' ? n : 0;
}

/* Octets beyond ASCII in a field: what of it is not allowed. */
static void check_high(
	struct check *k, const struct mw_field *f, size_t name_len, const unsigned char *high)
{
	static const char c0[] = "UTF-8 string contains C0 Controls",
			  c1[] = "UTF-8 string contains C1 Controls";
	const struct span first = { high, 1 };
	struct utf8 u;

	look_at_utf8(k->h->section.p + f->at, k->h->section.p + f->end, &u);
	if (!u.valid)
		found_at(k, HEADER_BAD_8BIT, "Non-encoded non-ASCII data (and not UTF-8)", f,
			name_len, &first);
	else if (u.c0.p != NULL)
		found_at(k, HEADER_BAD_8BIT, c0, f, name_len, &u.c0);
	else if (u.c1.p != NULL) /* RFC 5198 section 2 */
		found_at(k, HEADER_BAD_8BIT, c1, f, name_len, &u.c1);
	else if (!k->smtputf8 && allowed(k, HEADER_TEST_UTF8))
		found_at(k, HEADER_BAD_8BIT, "Non-encoded UTF-8 string in non-EAI mail", f,
			name_len, &u.character);
}

/* One finding a field: the first test that it fails. */
static void check_odd(struct check *k, const struct mw_field *f, size_t name_len, struct odd *o)
{
	struct span at;

	if (o->empty.p != NULL && allowed(k, HEADER_TEST_EMPTY)) {
		found_at(k, HEADER_BAD_EMPTY,
			"Improper folded header field made up entirely of whitespace", f, name_len,
			&o->empty);
	} else if (o->long_line.p != NULL && allowed(k, HEADER_TEST_LONG)) {
		found_line(k, HEADER_BAD_LONG, "Header line longer than 998 characters",
			o->long_line, CUT_BEYOND, CUT);
	} else if (o->control != NULL && allowed(k, HEADER_TEST_CONTROL)) {
		at = (struct span){ o->control, 1 };
		found_at(k, HEADER_BAD_CONTROL, "Improper use of control character", f, name_len,
			&at);
	} else if (o->high != NULL && allowed(k, HEADER_TEST_8BIT)) {
		check_high(k, f, name_len, o->high);
	}
}

/* A field without a name, or with one of which our index knows nothing. */
static void check_nameless(struct check *k, const struct mw_field *f)
{
	struct mw_octets field = mw_octets_of(k->h->section.p + f->at, f->end - f->at);
	size_t name_len = wide_name(field);
	struct odd o = { 0 };

	if (name_len == 0 || (name_len >= 2 && memcmp(field.p, "--", 2) == 0)) {
		if (allowed(k, HEADER_TEST_SYNTAX))
			found_line(k, HEADER_BAD_SYNTAX, "Invalid header field syntax",
				(struct span){ field.p, field.n }, SYNTAX_MAX, SYNTAX_MAX - 5);
		return;
	}
	look(field.p, field.p + field.n, &o);
	if (o.high != NULL && o.high < field.p + name_len && allowed(k, HEADER_TEST_SYNTAX)) {
		struct span at = { o.high, 1 };

		found_at(k, HEADER_BAD_SYNTAX, "Invalid header field name, contains non-ASCII char",
			f, name_len, &at);
		return;
	}
	check_odd(k, f, name_len, &o);
}

static void check_field(struct check *k, const struct mw_field *f)
{
	const unsigned char *p = k->h->section.p + f->at;
	struct odd o = { 0 };

	if (f->name_len == 0 || (p[0] == '-' && f->name_len >= 2 && p[1] == '-')) {
		check_nameless(k, f);
		return;
	}
	look(p, k->h->section.p + f->end, &o);
	if (o.empty.p != NULL || o.long_line.p != NULL || o.control != NULL || o.high != NULL)
		check_odd(k, f, f->name_len, &o);
}

/* ------------------------------------------------------------------ all fields */

/* RFC 5322 section 3.6, RFC 2045, RFC 2183, RFC 3834: in the order in which they are told. */
static const struct once {
	const char *name;
	enum mw_field_id id;
	bool required;
} onces[] = {
	{ "Date", MW_H_DATE, true },
	{ "From", MW_H_FROM, true },
	{ "Sender", MW_H_SENDER, false },
	{ "Reply-To", MW_H_REPLY_TO, false },
	{ "To", MW_H_TO, false },
	{ "Cc", MW_H_CC, false },
	{ "Bcc", MW_H_BCC, false },
	{ "Subject", MW_H_SUBJECT, false },
	{ "Message-ID", MW_H_MESSAGE_ID, false },
	{ "References", MW_H_REFERENCES, false },
	{ "In-Reply-To", MW_H_IN_REPLY_TO, false },
	{ "MIME-Version", MW_H_MIME_VERSION, false },
	{ "Content-Type", MW_H_CONTENT_TYPE, false },
	{ "Content-Transfer-Encoding", MW_H_CONTENT_TRANSFER_ENCODING, false },
	{ "Content-ID", MW_H_CONTENT_ID, false },
	{ "Content-Description", MW_H_CONTENT_DESCRIPTION, false },
	{ "Content-Disposition", MW_H_CONTENT_DISPOSITION, false },
	{ "Auto-Submitted", MW_H_AUTO_SUBMITTED, false },
};

static void check_counts(struct check *k, const unsigned short *seen)
{
	char text[120];

	for (size_t i = 0; i < MW_COUNT(onces); i++) {
		unsigned n = seen[onces[i].id];

		if (n == 0 && onces[i].required && allowed(k, HEADER_TEST_MISSING)) {
			snprintf(text, sizeof(text), "Missing required header field: \"%s\"",
				onces[i].name);
			found(k, HEADER_BAD_MISSING, text);
		}
		if (n < 2 || !allowed(k, HEADER_TEST_MULTIPLE))
			continue;
		if (n == 2)
			snprintf(text, sizeof(text), "Duplicate header field: \"%s\"",
				onces[i].name);
		else
			snprintf(text, sizeof(text),
				"Header field occurs more than once: \"%s\" occurs %u times",
				onces[i].name, n);
		found(k, HEADER_BAD_DUPLICATE, text);
	}
}

enum mw_rc header_check(struct smtp_arena *a, const struct mw_header *h, unsigned tests,
	bool smtputf8, struct header_findings *r)
{
	struct check k = { a, h, tests, smtputf8, r, false };
	unsigned short seen[MW_H_COUNT] = { 0 }; /* no more than MW_HEADER_FIELDS_MAX */

	for (size_t i = 0; i < h->count; i++) {
		seen[h->fields[i].id] += h->fields[i].name_len > 0;
		check_field(&k, &h->fields[i]);
	}
	check_counts(&k, seen);
	return k.no_memory ? MW_ERR_NOMEM : MW_OK;
}

/* ------------------------------------------------------------------ a mail */

static bool anybody_wants_it(const struct txn *t)
{
	for (size_t i = 0; i < t->rcpt_count; i++)
		if (!t->rcpts[i].removed && !t->rcpts[i].bypass_header)
			return true;
	return false;
}

enum mw_rc header_check_mail(struct txn *t)
{
	const unsigned mime = MW_BIT(HEADER_TEST_MIME), other = MW_BIT(HEADER_TEST_OTHER);
	struct check k = { &t->arena, &t->header, t->policy->header_tests, t->params.smtputf8,
		&t->badh, false };
	const struct mw_octets *errors = &t->found.mime_errors;
	struct text x = { .n = 0 };
	enum mw_rc rc = MW_OK;

	t->badh = (struct header_findings){ 0 };
	if ((k.tests & ~other) == 0 || !anybody_wants_it(t))
		return MW_OK;
	t->header_checked = true;
	if ((k.tests & ~(other | mime)) != 0)
		rc = header_check(k.a, k.h, k.tests, k.smtputf8, k.r);
	if (rc == MW_OK && (k.tests & mime) != 0 && errors->n > 0) {
		add_plain(&x, "MIME error: ");
		add_octets(&x, errors->p, errors->p + (errors->n < 200 ? errors->n : 200));
		found(&k, HEADER_BAD_MIME, x.s);
	}
	return k.no_memory ? MW_ERR_NOMEM : rc;
}
