#include "pdf.h"

#include <stdlib.h>

/* Octets that come one by one, into the buffer in larger pieces. */
struct sink {
	struct budget *budget;
	struct doc_buf *out;
	const struct pdf_step *step;
	enum container_end end;
	size_t n;
	unsigned char p[4096];
};

static void flush(struct sink *s)
{
	if (s->end == CONTAINER_WHOLE)
		s->end = doc_add(s->budget, s->out, s->p, s->n);
	s->n = 0;
}

static void put(struct sink *s, unsigned char c)
{
	s->p[s->n++] = c;
	if (s->n == sizeof(s->p))
		flush(s);
}

/* ------------------------------------------------------------------ text */

static void from_hex(struct sink *s, struct mw_octets in)
{
	int high = -1;

	for (size_t i = 0; i < in.n && in.p[i] != '>' && s->end == CONTAINER_WHOLE; i++) {
		int digit = doc_hex(in.p[i]);

		if (digit < 0)
			continue;
		if (high >= 0)
			put(s, (unsigned char)(high << 4 | digit));
		high = high >= 0 ? -1 : digit;
	}
	if (high >= 0)
		put(s, (unsigned char)(high << 4));
}

/* Five digits are four octets; have: digits that are there, the others are the highest ones. */
static void put_85(struct sink *s, uint32_t v, unsigned have)
{
	for (unsigned i = have; i < 5; i++)
		v = v * 85 + 84;
	for (unsigned i = 0; i + 1 < have; i++)
		put(s, (unsigned char)(v >> (24 - 8 * i)));
}

static void from_85(struct sink *s, struct mw_octets in)
{
	unsigned have = 0;
	uint32_t v = 0;

	if (doc_starts(in, "<~", 2)) /* where others let it begin */
		in = doc_from(in, 2);
	for (size_t i = 0; i < in.n && in.p[i] != '~' && s->end == CONTAINER_WHOLE; i++) {
		if (in.p[i] == 'z' && have == 0) {
			put_85(s, 0, 5);
			continue;
		}
		if (in.p[i] < '!' || in.p[i] > 'u')
			continue;
		v = v * 85 + (in.p[i] - '!');
		if (++have == 5) {
			put_85(s, v, 5);
			v = have = 0;
		}
	}
	if (have > 1)
		put_85(s, v, have);
}

/* ------------------------------------------------------------------ run lengths, LZW */

static void from_runs(struct sink *s, struct mw_octets in)
{
	for (size_t i = 0; i < in.n && in.p[i] != 128 && s->end == CONTAINER_WHOLE;) {
		unsigned length = in.p[i++];

		if (length < 128)
			for (unsigned k = 0; k <= length && i < in.n; k++)
				put(s, in.p[i++]);
		else if (i < in.n) {
			for (unsigned k = 0; k < 257 - length; k++)
				put(s, in.p[i]);
			i++;
		}
	}
}

#define LZW_CODES 4096
#define LZW_CLEAR 256
#define LZW_END 257

struct lzw {
	uint16_t before[LZW_CODES]; /* the code that this one continues */
	unsigned char last[LZW_CODES];
	unsigned char text[LZW_CODES];
	unsigned next, width;
	bool late;
};

static void lzw_clear(struct lzw *z)
{
	z->next = LZW_END + 1;
	z->width = 9;
}

/* What a code stands for, behind put; its first octet. */
static unsigned char lzw_put(struct lzw *z, struct sink *s, unsigned code)
{
	size_t n = 0;

	for (; code > LZW_END && n < LZW_CODES; code = z->before[code])
		z->text[n++] = z->last[code];
	put(s, (unsigned char)code);
	for (size_t i = n; i > 0; i--)
		put(s, z->text[i - 1]);
	return (unsigned char)code;
}

/* One code behind another; false: it is none. */
static bool lzw_take(
	struct lzw *z, struct sink *s, unsigned code, unsigned *before, unsigned char *first)
{
	if (code > z->next || (code == z->next && *before == LZW_CLEAR))
		return false;
	if (code == z->next && z->next < LZW_CODES) { /* it continues itself */
		z->before[code] = (uint16_t)*before;
		z->last[code] = *first;
	}
	if (code >= LZW_CODES)
		return false;
	*first = lzw_put(z, s, code);
	if (*before != LZW_CLEAR && z->next < LZW_CODES) {
		z->before[z->next] = (uint16_t)*before;
		z->last[z->next++] = *first;
	}
	/* One code early, as PDF does unless it says otherwise. */
	if (z->next + !z->late >= (1u << z->width) && z->width < 12)
		z->width++;
	*before = code;
	return true;
}

static void from_lzw(struct sink *s, struct mw_octets in)
{
	struct lzw *z = malloc(sizeof(*z));
	unsigned have = 0, before = LZW_CLEAR;
	unsigned char first = 0;
	uint32_t bits = 0;

	if (z == NULL) {
		s->end = CONTAINER_NO_MEMORY;
		return;
	}
	z->late = s->step->late;
	lzw_clear(z);
	for (size_t i = 0; i < in.n && s->end == CONTAINER_WHOLE; i++) {
		unsigned code;

		bits = bits << 8 | in.p[i];
		have += 8;
		if (have < z->width)
			continue;
		have -= z->width;
		code = bits >> have & ((1u << z->width) - 1);
		if (code == LZW_END)
			break;
		if (code == LZW_CLEAR) {
			lzw_clear(z);
			before = LZW_CLEAR;
		} else if (!lzw_take(z, s, code, &before, &first)) {
			flush(s);
			s->end = doc_worse(s->end, CONTAINER_BROKEN);
		}
	}
	free(z);
}

/* ------------------------------------------------------------------ all of them */

static void deflated(struct sink *s, struct mw_octets in)
{
	s->end = doc_inflate(s->budget, in, 15, s->out);
	if (s->end == CONTAINER_BROKEN && s->out->n == 0 && in.n > 2) /* a damaged head alone */
		s->end = doc_inflate(s->budget, doc_from(in, 2), -15, s->out);
}

static const struct filter {
	const char *name, *short_name;
	void (*undo)(struct sink *s, struct mw_octets in);
} known[] = {
	{ "FlateDecode", "Fl", deflated },
	{ "ASCIIHexDecode", "AHx", from_hex },
	{ "ASCII85Decode", "A85", from_85 },
	{ "LZWDecode", "LZW", from_lzw },
	{ "RunLengthDecode", "RL", from_runs },
};

static const struct filter *filter_of(const char *name)
{
	for (size_t i = 0; i < MW_COUNT(known); i++)
		if (strcmp(name, known[i].name) == 0 || strcmp(name, known[i].short_name) == 0)
			return &known[i];
	return NULL;
}

static enum container_end undo(const struct pdf_step *step, struct budget *budget,
	struct mw_octets in, struct doc_buf *out)
{
	const struct filter *f = filter_of(step->name);
	struct sink s = { .budget = budget, .out = out, .step = step };

	out->n = 0;
	f->undo(&s, in);
	flush(&s);
	return doc_stops(s.end) ? s.end : doc_worse(s.end, pdf_unpredict(step, out));
}

enum container_end pdf_decode(struct budget *budget, const struct pdf_steps *steps,
	struct mw_octets stream, struct doc_buf *out)
{
	enum container_end end = steps->unclear ? CONTAINER_BROKEN : CONTAINER_WHOLE;
	struct doc_buf before = { 0 };
	unsigned count = 0;

	out->n = 0;
	for (unsigned i = 0; i < steps->count && !doc_stops(end); i++) {
		const struct pdf_step *step = &steps->step[i];
		struct doc_buf swap = before;

		if (strcmp(step->name, "Crypt") == 0)
			continue;
		if (filter_of(step->name) == NULL) {
			end = CONTAINER_BROKEN;
			break;
		}
		before = *out;
		*out = swap;
		end = doc_worse(
			end, undo(step, budget, count++ == 0 ? stream : doc_octets(&before), out));
	}
	if (count == 0 && !doc_stops(end))
		end = doc_worse(end, doc_add(budget, out, stream.p, stream.n));
	doc_free(&before);
	return end;
}
