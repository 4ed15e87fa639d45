/*
 * Objects in RTF: hexadecimal digits behind \objdata, up to the end of its group, with whatever
 * stands between them that Word forgives. Where readers differ (groups that may be ignored, \'hh)
 * the object is read both ways.
 */
#include "doc.h"

#define WORD_MAX 250	 /* letters of a control word: what Word takes, beyond RTF's 32 */
#define LEADING_MAX 1024 /* octets in front of the document */

struct rtf {
	const unsigned char *p, *end;
};

enum token {
	RTF_END,
	RTF_OPEN,
	RTF_CLOSE,
	RTF_WORD,   /* any control word or symbol but those below */
	RTF_IGNORE, /* \*: the group may be ignored */
	RTF_HEX,    /* \'hh; p stands at the digits */
	RTF_BINARY, /* \binN; p stands at the octets, n is how many */
	RTF_CHAR,   /* *c */
};

/* ------------------------------------------------------------------ tokens */

/* The number behind a control word, however many digits it has, and the blank that ends it. */
static size_t take_number(struct rtf *r)
{
	size_t n = 0;

	if (r->p < r->end && *r->p == '-')
		r->p++;
	for (; r->p < r->end && *r->p >= '0' && *r->p <= '9'; r->p++)
		n = n < SIZE_MAX / 16 ? n * 10 + (*r->p - '0') : n;
	if (r->p < r->end && *r->p == ' ')
		r->p++;
	return n;
}

/* Behind a backslash and a letter. */
static enum token take_word(struct rtf *r, size_t *n_r)
{
	const unsigned char *word = r->p;
	size_t letters = 0, n;

	while (r->p < r->end && (*r->p | 0x20) >= 'a' && (*r->p | 0x20) <= 'z' &&
		letters < WORD_MAX) {
		r->p++;
		letters++;
	}
	n = take_number(r);
	if (letters != 3 || memcmp(word, "bin", 3) != 0)
		return RTF_WORD;
	*n_r = n < (size_t)(r->end - r->p) ? n : (size_t)(r->end - r->p);
	return RTF_BINARY;
}

/* The next token; of RTF_BINARY n octets are not passed yet. */
static enum token take_token(struct rtf *r, unsigned char *c_r, size_t *n_r)
{
	if (r->p == r->end)
		return RTF_END;
	*c_r = *r->p++;
	if (*c_r == '{')
		return RTF_OPEN;
	if (*c_r == '}')
		return RTF_CLOSE;
	if (*c_r != '\\' || r->p == r->end)
		return RTF_CHAR;
	if ((*r->p | 0x20) >= 'a' && (*r->p | 0x20) <= 'z')
		return take_word(r, n_r);
	*c_r = *r->p++;
	return *c_r == '*' ? RTF_IGNORE : *c_r == '\'' ? RTF_HEX : RTF_WORD;
}

/* ------------------------------------------------------------------ digits */

struct object {
	struct doc_buf *out; /* has room for all that may come */
	int high;	     /* first digit of an octet; -1: none */
	bool all;	     /* read what may be ignored, too */
	bool differs;	     /* there was something that may be ignored */
};

static void put_digit(struct object *o, int digit)
{
	if (digit < 0)
		return;
	if (o->high < 0) {
		o->high = digit;
		return;
	}
	o->out->p[o->out->n++] = (unsigned char)(o->high << 4 | digit);
	o->high = -1;
}

static void put_binary(struct object *o, struct rtf *r, size_t n)
{
	o->high = -1;
	if (n != 0)
		memcpy(o->out->p + o->out->n, r->p, n);
	o->out->n += n;
	r->p += n;
}

/* Two digits that some take for part of the object, and some for a character. */
static void take_hex(struct object *o, struct rtf *r)
{
	o->differs = true;
	for (unsigned i = 0; i < 2 && r->p < r->end && doc_hex(*r->p) >= 0; i++, r->p++)
		if (o->all)
			put_digit(o, doc_hex(*r->p));
}

/* All of the group that r stands in, with its closing brace. o: what its digits are; NULL: the
 * group is passed over. */
static void take_group(struct object *o, struct rtf *r)
{
	size_t depth = 0, n = 0;
	unsigned char c = 0;

	for (;;) {
		switch (take_token(r, &c, &n)) {
		case RTF_END:
			return;
		case RTF_OPEN:
			depth++;
			break;
		case RTF_CLOSE:
			if (depth-- == 0)
				return;
			break;
		case RTF_IGNORE:
			if (o == NULL)
				break;
			o->differs = true;
			if (!o->all && depth > 0) {
				take_group(NULL, r);
				depth--;
			}
			break;
		case RTF_HEX:
			if (o != NULL)
				take_hex(o, r);
			break;
		case RTF_BINARY:
			if (o != NULL)
				put_binary(o, r, n);
			else
				r->p += n;
			break;
		case RTF_CHAR:
			if (o != NULL)
				put_digit(o, doc_hex(c));
			break;
		case RTF_WORD:
			break;
		}
	}
}

/* ------------------------------------------------------------------ objects */

#define COMPOUND "\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"

/* One digit too many in front shifts all that follow. */
static void drop_first_digit(struct doc_buf *b)
{
	for (size_t i = 0; i + 1 < b->n; i++)
		b->p[i] = (unsigned char)(b->p[i] << 4 | b->p[i + 1] >> 4);
	b->n -= b->n != 0;
}

static enum container_end give_as_it_is(const struct container_job *job, struct mw_octets o)
{
	const struct container_member m = { .name = "object", .octets = o };

	return doc_give(job, &m);
}

/* What an object is, by its header, or else by what lies in it. */
static enum container_end give_object(const struct container_job *job, struct doc_buf *out)
{
	enum container_end end = CONTAINER_BROKEN;
	const unsigned char *compound;

	for (unsigned shift = 0; shift < 2; shift++) {
		struct mw_octets o = doc_octets(out);

		if (o.n == 0)
			return CONTAINER_WHOLE;
		end = doc_give_ole1(job, o);
		if (end != CONTAINER_BROKEN)
			return end;
		compound = memmem(o.p, o.n, COMPOUND, 8);
		if (compound != NULL)
			return give_as_it_is(job, doc_from(o, (size_t)(compound - o.p)));
		if (shift == 0 && (end = give_as_it_is(job, o)) != CONTAINER_WHOLE)
			return end;
		drop_first_digit(out);
	}
	return CONTAINER_WHOLE;
}

/* The object whose digits begin at p, under one reading. */
static enum container_end read_object(
	const struct container_job *job, const unsigned char *p, struct doc_buf *out, bool *all)
{
	struct rtf r = { p, job->octets.p + job->octets.n };
	struct object o = { .out = out, .high = -1, .all = *all };
	enum container_end end;

	take_group(NULL, &r);
	out->n = 0;
	/* As much as the text, whatever comes out: objects in objects are read again and again. */
	end = doc_room(job->budget, out, (size_t)(r.p - p));
	if (end != CONTAINER_WHOLE)
		return end;
	r.p = p;
	take_group(&o, &r);
	if (o.high >= 0) /* half an octet: there may be one digit too many in front */
		put_digit(&o, 0);
	*all = o.differs;
	return give_object(job, out);
}

/* ------------------------------------------------------------------ the row */

static bool knows(struct mw_octets octets)
{
	size_t at = 0;

	while (at < octets.n && at < LEADING_MAX &&
		memchr(" \t\r\n\xef\xbb\xbf", octets.p[at], 7) != NULL)
		at++;
	return doc_starts(doc_from(octets, at), "{\\rt", 4);
}

/* In both ways, where readers differ. */
static enum container_end read_ways(
	const struct container_job *job, const unsigned char *p, struct doc_buf *out)
{
	bool all = false;
	enum container_end got = read_object(job, p, out, &all);

	return all && !doc_stops(got) ? doc_worse(got, read_object(job, p, out, &all)) : got;
}

static enum container_end open_objects(
	const struct container_job *job, const char *word, struct doc_buf *out)
{
	const unsigned char *p = job->octets.p, *end = p + job->octets.n;
	enum container_end got = CONTAINER_WHOLE;
	size_t n = strlen(word);

	while (!doc_stops(got) && (p = memmem(p, (size_t)(end - p), word, n)) != NULL) {
		struct rtf r = { p + n, end };

		p += n;
		if (!budget_time(job->budget))
			return CONTAINER_CUT;
		if (p < end && (*p | 0x20) >= 'a' && (*p | 0x20) <= 'z')
			continue; /* a longer word */
		take_number(&r);
		got = doc_worse(got, read_ways(job, r.p, out));
		/* Digits behind the word are its number, or the object's first. */
		if (!doc_stops(got) && r.p > p + 1)
			got = doc_worse(got, read_ways(job, p, out));
	}
	return got;
}

static enum container_end open_rtf(const struct container_job *job)
{
	struct doc_buf out = { 0 };
	enum container_end end = open_objects(job, "\\objdata", &out);

	if (!doc_stops(end))
		end = doc_worse(end, open_objects(job, "\\datastore", &out));
	doc_free(&out);
	return end;
}

const struct container container_rtf = { "rtf", knows, open_rtf };
