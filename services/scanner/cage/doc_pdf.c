/*
 * Files in PDF. Objects are looked for from the first octet to the last, also in compressed object
 * streams: the table that says where they are may hide some. A file is a stream that a file
 * specification (a dictionary with EF) refers to, or that calls itself one.
 *
 * Of several objects of one number, or values of one key, readers believe the last; some the first.
 * A file whose filters depend on that is read in both ways.
 */
#include "doc_pdf.h"

#include <stdlib.h>

#define HEAD_MAX 1024	 /* readers find "%PDF-" that far behind the first octet */
#define HOPS_MAX 8	 /* references that lead to references */
#define BOXES_MAX 64	 /* dictionaries in each other that are searched for specifications */
#define COMMENT_MAX 1024 /* octets of comments in "12 0 % comment" that are looked behind */
#define NAMES_MAX 64	 /* values in an array of filters, whatever they are */
#define GROW 256
#define NO_NUMBER UINT32_MAX

/* Room for one more of size octets; charged. */
static enum container_end grow(struct pdf *p, void **array, size_t count, size_t *cap, size_t size)
{
	void *bigger;

	if (count < *cap)
		return CONTAINER_WHOLE;
	if (!budget_octets(p->job->budget, (*cap + GROW) * size))
		return CONTAINER_CUT;
	bigger = realloc(*array, (*cap * 2 + GROW) * size);
	if (bigger == NULL)
		return CONTAINER_NO_MEMORY;
	*array = bigger;
	*cap = *cap * 2 + GROW;
	return CONTAINER_WHOLE;
}

/* read: octets that were looked at for it. Objects may lie in each other: so all of them cost. */
static enum container_end add_object(struct pdf *p, const struct pdf_object *o, size_t read)
{
	enum container_end end =
		grow(p, (void **)&p->objects, p->count, &p->cap, sizeof(*p->objects));

	if (end == CONTAINER_WHOLE && !budget_octets(p->job->budget, read))
		end = CONTAINER_CUT;
	if (end == CONTAINER_WHOLE) {
		p->objects[p->count] = *o;
		p->objects[p->count].order = (uint32_t)p->count;
		p->count++;
	}
	return end;
}

/* ------------------------------------------------------------------ objects in the file */

static bool is_space(unsigned char c)
{
	return c == ' ' || c == '\n' || c == '\r' || c == '\t' || c == '\f' || c == '\0';
}

/* In front of the blanks, and comments up to line ends, that stand in front of p. */
static const unsigned char *before_blanks(
	const unsigned char *from, const unsigned char *p, bool *comment)
{
	for (;;) {
		bool line_end = false;
		const unsigned char *q;

		for (; p > from && is_space(p[-1]); p--)
			line_end = line_end || p[-1] == '\n' || p[-1] == '\r';
		for (q = p; line_end && q > from && (size_t)(p - q) < COMMENT_MAX && q[-1] != '%' &&
			    q[-1] != '\n' && q[-1] != '\r';)
			q--;
		/* One that is too long to be looked behind counts as well. */
		*comment =
			*comment ||
			(line_end && (q == from || q[-1] == '%' || (size_t)(p - q) == COMMENT_MAX));
		if (!line_end || q == from || q[-1] != '%')
			return p;
		p = q - 1;
	}
}

/* Number and generation in front of a word at p: "12 0 obj". False: it is no such word. *unsure_r:
 * it may be one, behind more comments than are looked behind. */
static bool numbers_before(
	const unsigned char *from, const unsigned char *p, struct pdf_object *o, bool *unsure_r)
{
	const unsigned char *digits;
	bool comment = false;

	if ((size_t)(p - from) > 2 * COMMENT_MAX)
		from = p - 2 * COMMENT_MAX;
	o->number = o->generation = 0;
	*unsure_r = false;
	for (unsigned i = 0; i < 2; i++) { /* generation, number */
		const unsigned char *word = p;
		uint64_t v = 0;

		p = before_blanks(from, p, &comment);
		if (p == word && i != 0)
			return false;
		digits = p;
		while (p > from && digits - p < 10 && p[-1] >= '0' && p[-1] <= '9')
			p--;
		if (p == digits) {
			*unsure_r = comment;
			return comment;
		}
		for (const unsigned char *d = p; d < digits; d++)
			v = v * 10 + (*d - '0');
		*(i == 0 ? &o->generation : &o->number) = (uint32_t)v;
	}
	return true;
}

static const unsigned char *behind_line_end(const unsigned char *p, const unsigned char *end)
{
	if (p < end && *p == '\r')
		p++;
	if (p < end && *p == '\n')
		p++;
	return p;
}

/* True when "endstream" stands there, perhaps behind a line end. */
static bool ends_at(const unsigned char *p, const unsigned char *end)
{
	p = behind_line_end(p, end);
	return end - p >= 9 && memcmp(p, "endstream", 9) == 0;
}

/* Where the next "endstream" is; at: where the last answer was, for searches that go forward. */
static const unsigned char *next_end(
	const unsigned char *p, const unsigned char *end, const unsigned char **at)
{
	if (*at == NULL || *at < p) {
		*at = memmem(p, (size_t)(end - p), "endstream", 9);
		if (*at == NULL)
			*at = end;
	}
	return *at;
}

/* Where a stream's octets begin, behind its word: some writers put blanks in front of the line end.
 */
static const unsigned char *behind_word(const unsigned char *p, const unsigned char *end)
{
	const unsigned char *q = p;

	while (q < end && (*q == ' ' || *q == '\t'))
		q++;
	return behind_line_end(q < end && (*q == '\r' || *q == '\n') ? q : p, end);
}

static uint32_t number_in(struct mw_octets value)
{
	struct pdf_lex l = pdf_lex_of(doc_range(value, 0, PDF_SHORT_MAX));
	struct pdf_token t;

	pdf_next(&l, &t);
	return t.kind == PDF_NUMBER ? t.number : 0;
}

/* Its octets, so many as its dictionary says when they end there. */
static void take_stream(struct pdf_object *o, const unsigned char *p, const unsigned char *end,
	const unsigned char **at)
{
	struct mw_octets length;
	uint32_t n;

	p = behind_word(p, end);
	if (pdf_get(o->body, "Length", &length) && !pdf_is_reference(length, &o->length)) {
		n = number_in(length);
		if (n <= (size_t)(end - p) && ends_at(p + n, end)) {
			o->stream = mw_octets_of(p, n);
			return;
		}
	}
	o->stream = mw_octets_of(p, (size_t)(next_end(p, end, at) - p));
}

static enum container_end scan_objects(struct pdf *p)
{
	const unsigned char *from = p->job->octets.p, *end = from + p->job->octets.n, *at = from;
	const unsigned char *stream_end = NULL;
	enum container_end got = CONTAINER_WHOLE;

	while (got == CONTAINER_WHOLE && (at = memmem(at, (size_t)(end - at), "obj", 3)) != NULL) {
		struct pdf_object o = { .length = NO_NUMBER };
		struct pdf_token t;
		struct pdf_lex l;
		bool unsure;

		if (!numbers_before(from, at, &o, &unsure)) {
			at += 3;
			continue;
		}
		if (!budget_time(p->job->budget))
			return CONTAINER_CUT;
		at += 3;
		l = (struct pdf_lex){ at, end };
		o.body = pdf_value(&l);
		pdf_next(&l, &t);
		o.has_stream = pdf_is_word(&t, "stream");
		if (o.has_stream)
			take_stream(&o, l.p, end, &stream_end);
		p->deep = p->deep || (unsure && o.has_stream); /* whose file it is nobody knows */
		got = add_object(p, &o, (size_t)(l.p - at));
	}
	return got;
}

/* ------------------------------------------------------------------ objects by number */

static int by_number(const void *a, const void *b)
{
	const struct pdf_object *x = a, *y = b;

	if (x->number != y->number)
		return x->number < y->number ? -1 : 1;
	return x->order < y->order ? -1 : x->order > y->order;
}

static void sort_objects(struct pdf *p)
{
	if (p->count != 0)
		qsort(p->objects, p->count, sizeof(*p->objects), by_number);
	p->sorted = p->count;
}

/* The first object of that number or of a higher one. */
static size_t first_of(const struct pdf *p, uint32_t number)
{
	size_t low = 0, high = p->sorted;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (p->objects[middle].number < number)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* The object of that number that is believed; NULL: there is none. */
static const struct pdf_object *find(struct pdf *p, uint32_t number)
{
	size_t first = first_of(p, number),
	       last = number < NO_NUMBER ? first_of(p, number + 1) : first;

	if (first == last)
		return NULL;
	p->several = p->several || last - first > 1;
	return &p->objects[p->oldest ? first : last - 1];
}

/* What a value stands for, when it refers to an object. */
static struct mw_octets resolve(struct pdf *p, struct mw_octets value)
{
	const struct pdf_object *o;
	uint32_t number;

	for (unsigned i = 0;
		i < HOPS_MAX && pdf_is_reference(doc_range(value, 0, PDF_SHORT_MAX), &number);
		i++) {
		o = find(p, number);
		if (o == NULL)
			break;
		p->resolved = o;
		value = o->body;
	}
	return value;
}

/* A dictionary's value for a key, resolved. */
bool pdf_doc_get(struct pdf *p, struct mw_octets dict, const char *key, struct mw_octets *value_r)
{
	struct mw_octets value, another;
	struct pdf_lex l;

	if (!pdf_enter(dict, &l) || !pdf_get_next(&l, key, &value))
		return false;
	while (pdf_get_next(&l, key, &another)) {
		p->several = true;
		value = p->oldest ? value : another;
	}
	*value_r = resolve(p, value);
	return true;
}

uint32_t pdf_doc_number(struct pdf *p, struct mw_octets dict, const char *key)
{
	struct mw_octets value;

	return pdf_doc_get(p, dict, key, &value) ? number_in(value) : 0;
}

/* A stream whose length another object says ends there, when it does: the word "endstream" may
 * occur in it. */
static void settle_lengths(struct pdf *p)
{
	const unsigned char *end = p->job->octets.p + p->job->octets.n;

	for (size_t i = 0; i < p->count && budget_time(p->job->budget); i++) {
		struct pdf_object *o = &p->objects[i];
		const struct pdf_object *length =
			o->length != NO_NUMBER ? find(p, o->length) : NULL;
		uint32_t n = length != NULL ? number_in(resolve(p, length->body)) : 0;

		if (n != 0 && n <= (size_t)(end - o->stream.p) && ends_at(o->stream.p + n, end))
			o->stream.n = n;
	}
}

/* ------------------------------------------------------------------ filters */

#define PARAMETERS 5 /* that are looked for */

/* Parameters of one filter. */
static void take_parameters(struct pdf *p, struct mw_octets dict, struct pdf_step *s)
{
	struct mw_octets early;

	s->predictor = pdf_doc_number(p, dict, "Predictor");
	s->colors = pdf_doc_number(p, dict, "Colors");
	s->bits = pdf_doc_number(p, dict, "BitsPerComponent");
	s->columns = pdf_doc_number(p, dict, "Columns");
	s->late = pdf_doc_get(p, dict, "EarlyChange", &early) && number_in(early) == 0;
}

/* The nth value of an array, or for the first one what is no array. */
static bool nth(struct mw_octets value, unsigned n, struct mw_octets *value_r)
{
	struct pdf_lex l = pdf_lex_of(value);
	struct pdf_token t;

	pdf_next(&l, &t);
	if (t.kind != PDF_OPEN || t.octets.n != 1) {
		*value_r = value;
		return n == 0 && value.n != 0;
	}
	do
		*value_r = pdf_value(&l);
	while (value_r->n != 0 && n-- > 0);
	return value_r->n != 0;
}

static bool is_filter(struct mw_octets value)
{
	return value.n != 0 && (value.p[0] == '/' || value.p[0] == '[');
}

/* The filters of a stream: their names may be short, also those of the keys. */
static struct pdf_steps filters_of(struct pdf *p, struct mw_octets dict)
{
	struct pdf_steps steps = { .count = 0 };
	struct mw_octets names, parameters = { 0 }, one;
	struct pdf_token t;
	struct pdf_lex l;

	if (!pdf_doc_get(p, dict, "Filter", &names) &&
		(!pdf_doc_get(p, dict, "F", &names) || !is_filter(names)))
		return steps;
	if (!pdf_doc_get(p, dict, "DecodeParms", &parameters))
		pdf_doc_get(p, dict, "DP", &parameters);
	/* Each stream may refer to the same long ones. */
	steps.unclear =
		!budget_octets(p->job->budget, names.n + PARAMETERS * (uint64_t)parameters.n);
	if (steps.unclear)
		return steps;
	for (unsigned i = 0; nth(names, i, &one); i++) {
		struct pdf_step *s = &steps.step[steps.count];

		if (i == NAMES_MAX || steps.count == PDF_STEPS_MAX) {
			steps.unclear = true;
			break;
		}
		l = pdf_lex_of(resolve(p, one));
		pdf_next(&l, &t);
		if (t.kind != PDF_NAME) {
			steps.unclear = steps.unclear || !pdf_is_word(&t, "null");
			continue;
		}
		memcpy(s->name, t.name, sizeof(s->name));
		if (nth(parameters, i, &one))
			take_parameters(p, resolve(p, one), s);
		steps.count++;
	}
	return steps;
}

/* ------------------------------------------------------------------ object streams */

/* Number and offset of each, then the objects (section 7.5.7). */
static enum container_end take_packed(struct pdf *p, struct mw_octets dict, struct mw_octets octets)
{
	struct pdf_lex head = pdf_lex_of(octets);
	uint32_t count = pdf_doc_number(p, dict, "N"), first = pdf_doc_number(p, dict, "First");
	enum container_end end = CONTAINER_WHOLE;

	for (; count > 0 && end == CONTAINER_WHOLE; count--) {
		struct pdf_object o = { .length = NO_NUMBER, .packed = true };
		struct pdf_token number, offset;
		struct mw_octets from;
		struct pdf_lex l;

		pdf_next(&head, &number);
		pdf_next(&head, &offset);
		if (number.kind != PDF_NUMBER || offset.kind != PDF_NUMBER)
			return CONTAINER_BROKEN;
		from = doc_from(octets, (size_t)first + offset.number);
		l = pdf_lex_of(from);
		o.number = number.number;
		o.body = pdf_value(&l);
		end = add_object(p, &o, (size_t)(l.p - from.p));
		if (end == CONTAINER_WHOLE && !budget_time(p->job->budget))
			end = CONTAINER_CUT;
	}
	return end;
}

/* Readers know one by what refers to it, and look at nothing but these two. */
static bool holds_objects(struct mw_octets dict)
{
	struct mw_octets value;

	return pdf_get(dict, "First", &value) && pdf_get(dict, "N", &value);
}

/*
 * The i-th way to undo a cipher: each key with each cipher that it may belong to, whatever the
 * dictionary says of them, for readers differ about that. False: there are no more.
 */
static bool way(
	const struct pdf *p, unsigned i, const struct pdf_crypt **c_r, enum pdf_cipher *cipher_r)
{
	static const enum pdf_cipher old[] = { PDF_RC4, PDF_AES }, new[] = { PDF_AES_256 };

	for (unsigned k = 0; k < p->crypt_count; k++) {
		bool is_new = pdf_crypt_is_new(&p->crypts[k]);
		unsigned count = is_new ? MW_COUNT(new) : MW_COUNT(old);

		if (i < count) {
			*c_r = &p->crypts[k];
			*cipher_r = (is_new ? new : old)[i];
			return true;
		}
		i -= count;
	}
	return false;
}

/* Undo the cipher, then the filters: into *out. */
static enum container_end decode_sealed(struct pdf *p, const struct pdf_crypt *c,
	enum pdf_cipher cipher, const struct pdf_object *o, const struct pdf_steps *steps,
	struct doc_buf *out)
{
	enum container_end end, undone;

	out->n = 0;
	p->plain.n = 0;
	undone = pdf_crypt_undo(
		c, cipher, o->number, o->generation, o->stream, p->job->budget, &p->plain);
	if (doc_stops(undone))
		return undone;
	end = pdf_decode(p->job->budget, steps, doc_octets(&p->plain), out);
	return doc_worse(end, undone);
}

/* c NULL: as it stands. */
static enum container_end unpack_stream(struct pdf *p, const struct pdf_object *o,
	const struct pdf_crypt *c, enum pdf_cipher cipher)
{
	struct pdf_steps steps;
	struct doc_buf *buf;
	enum container_end end;

	if (!budget_time(p->job->budget))
		return CONTAINER_CUT;
	end = grow(p, (void **)&p->unpacked, p->unpacked_count, &p->unpacked_cap,
		sizeof(*p->unpacked));
	if (end != CONTAINER_WHOLE)
		return end;
	buf = &p->unpacked[p->unpacked_count++];
	*buf = (struct doc_buf){ 0 };
	steps = filters_of(p, o->body);
	end = c != NULL ? decode_sealed(p, c, cipher, o, &steps, buf)
			: pdf_decode(p->job->budget, &steps, o->stream, buf);
	if (!doc_stops(end) && buf->n != 0)
		end = doc_worse(end, take_packed(p, o->body, doc_octets(buf)));
	return end;
}

/* BROKEN: in no way. What fits as it stands may still have a cipher: its first octets are free. */
static enum container_end unpack_in_all_ways(struct pdf *p, const struct pdf_object *o)
{
	enum container_end end = unpack_stream(p, o, NULL, PDF_PLAIN);
	const struct pdf_crypt *c;
	enum pdf_cipher cipher;

	for (unsigned i = 0; !doc_stops(end) && way(p, i, &c, &cipher); i++) {
		enum container_end one = unpack_stream(p, o, c, cipher);

		end = doc_stops(one) || one == CONTAINER_WHOLE ? one : end;
	}
	return end;
}

static enum container_end unpack_objects(struct pdf *p)
{
	size_t count = p->count; /* none of them lies in another */
	enum container_end end = CONTAINER_WHOLE, one;

	for (size_t i = 0; i < count && !doc_stops(end); i++) {
		struct pdf_object o = p->objects[i]; /* they move when there are more */

		if (!o.has_stream || !holds_objects(o.body))
			continue;
		one = unpack_in_all_ways(p, &o);
		if (p->encrypted && (one == CONTAINER_BROKEN || p->locked)) {
			p->sealed = true;
			one = doc_stops(one) ? one : CONTAINER_WHOLE;
		}
		end = doc_worse(end, one);
	}
	return end;
}

static int spec_by_number(const void *a, const void *b)
{
	uint32_t x = ((const struct pdf_spec *)a)->number, y = ((const struct pdf_spec *)b)->number;

	return x < y ? -1 : x > y;
}

/* ------------------------------------------------------------------ file specifications */

/* refers: to the stream, or to what refers to it. */
static enum container_end add_spec(struct pdf *p, struct mw_octets refers, struct pdf_spec s)
{
	enum container_end end =
		grow(p, (void **)&p->specs, p->spec_count, &p->spec_cap, sizeof(*p->specs));

	if (end != CONTAINER_WHOLE)
		return end;
	for (unsigned i = 0;
		i < HOPS_MAX && pdf_is_reference(doc_range(refers, 0, PDF_SHORT_MAX), &s.number);
		i++) {
		const struct pdf_object *o = find(p, s.number);

		if (o == NULL)
			break;
		refers = o->body;
	}
	p->specs[p->spec_count++] = s;
	return CONTAINER_WHOLE;
}

/* Every stream that the value of EF refers to. */
static enum container_end take_references(
	struct pdf *p, struct mw_octets files, const struct pdf_spec *spec)
{
	enum container_end end = CONTAINER_WHOLE;
	struct pdf_lex l = pdf_lex_of(files);
	struct pdf_token t;
	uint32_t number;

	/* It may be long, and each specification may name it. */
	if (!budget_octets(p->job->budget, files.n) || !budget_time(p->job->budget))
		return CONTAINER_CUT;
	for (pdf_next(&l, &t); t.kind != PDF_END && end == CONTAINER_WHOLE; pdf_next(&l, &t)) {
		struct mw_octets from = mw_octets_of(t.octets.p, (size_t)(l.end - t.octets.p));

		if (t.kind == PDF_NUMBER && pdf_is_reference(from, &number))
			end = add_spec(p, from, *spec);
	}
	return end;
}

/* in: the object that dict stands in. */
static struct pdf_doc_text text_of(
	struct pdf *p, struct mw_octets dict, const char *key, const struct pdf_object *in)
{
	struct pdf_doc_text t = { 0 };

	p->resolved = in;
	if (pdf_doc_get(p, dict, key, &t.value)) {
		t.number = p->resolved->number;
		t.generation = p->resolved->generation;
		t.packed = p->resolved->packed;
	}
	return t;
}

/* All that EF says, and all that it may refer to. */
static enum container_end take_spec(
	struct pdf *p, struct mw_octets dict, const struct pdf_object *in)
{
	enum container_end end = CONTAINER_WHOLE;
	struct mw_octets files;
	struct pdf_spec spec = { 0 };
	struct pdf_lex l;
	uint32_t number;

	if (!pdf_enter(dict, &l))
		return CONTAINER_WHOLE;
	/* They may lie in each other. */
	if (!budget_octets(p->job->budget, dict.n) || !budget_time(p->job->budget))
		return CONTAINER_CUT;
	spec.name = text_of(p, dict, "UF", in);
	spec.also = text_of(p, dict, "F", in);
	while (end == CONTAINER_WHOLE && pdf_get_next(&l, "EF", &files)) {
		if (!pdf_is_reference(files, &number)) {
			end = take_references(p, files, &spec);
			continue;
		}
		for (size_t i = first_of(p, number);
			i < p->sorted && end == CONTAINER_WHOLE && p->objects[i].number == number;
			i++)
			end = take_references(p, resolve(p, p->objects[i].body), &spec);
	}
	return end;
}

/* Dictionaries with EF, however deep they lie in an object. */
static enum container_end take_specs(struct pdf *p, const struct pdf_object *in)
{
	struct pdf_lex l = pdf_lex_of(in->body);
	const unsigned char *boxes[BOXES_MAX];
	bool has[BOXES_MAX] = { false };
	enum container_end end = CONTAINER_WHOLE;
	struct pdf_token t;
	size_t depth = 0;

	for (pdf_next(&l, &t); t.kind != PDF_END && end == CONTAINER_WHOLE; pdf_next(&l, &t)) {
		if (t.kind == PDF_OPEN) {
			if (depth < BOXES_MAX) {
				boxes[depth] = t.octets.p;
				has[depth] = false;
			}
			p->deep = p->deep || depth >= BOXES_MAX;
			depth++;
		} else if (t.kind == PDF_NAME && depth > 0 && depth <= BOXES_MAX) {
			has[depth - 1] = has[depth - 1] || strcmp(t.name, "EF") == 0;
		} else if (t.kind == PDF_CLOSE && depth > 0) {
			depth--;
			if (depth < BOXES_MAX && has[depth])
				end = take_spec(p,
					mw_octets_of(boxes[depth], (size_t)(l.p - boxes[depth])),
					in);
		}
	}
	return end;
}

static enum container_end find_specs(struct pdf *p)
{
	enum container_end end = CONTAINER_WHOLE;

	for (size_t i = 0; i < p->count && end == CONTAINER_WHOLE; i++)
		end = budget_time(p->job->budget) ? take_specs(p, &p->objects[i]) : CONTAINER_CUT;
	if (p->spec_count != 0)
		qsort(p->specs, p->spec_count, sizeof(*p->specs), spec_by_number);
	return end;
}

static const struct pdf_spec *spec_of(const struct pdf *p, uint32_t number)
{
	const struct pdf_spec key = { .number = number };

	return p->spec_count == 0
		       ? NULL
		       : bsearch(&key, p->specs, p->spec_count, sizeof(*p->specs), spec_by_number);
}

/* ------------------------------------------------------------------ files */

/* What has no filter in an encrypted document may be encrypted, and what does not decode is. */
static enum container_end give_encrypted(struct pdf *p)
{
	const struct container_member m = { .name = "", .encrypted = true };

	return doc_give(p->job, &m); /* names are encrypted, too */
}

struct names {
	unsigned count;
	char text[1 + CONTAINER_ALIASES_MAX][CONTAINER_NAME_MAX];
};

static void add_name(struct names *names, struct mw_octets octets)
{
	char *name = names->text[names->count % MW_COUNT(names->text)];
	unsigned char text[PDF_TEXT_MAX];

	if (octets.n == 0 || octets.n > sizeof(text) || names->count == MW_COUNT(names->text))
		return;
	memcpy(text, octets.p, octets.n); /* pdf_name changes it */
	pdf_name(text, octets.n, name);
	for (unsigned i = 0; i < names->count; i++)
		if (strcmp(names->text[i], name) == 0)
			return;
	names->count += name[0] != '\0';
}

/* The wrong key makes noise of it. */
static bool is_a_name(struct mw_octets o)
{
	return (o.n >= 2 && o.p[0] == 0xfe && o.p[1] == 0xff) ||
	       (o.n >= 3 && memcmp(o.p, "\xef\xbb\xbf", 3) == 0) ||
	       (o.n > 0 && mw_is_printable(o.p, o.n));
}

/* What it is called: without the cipher of texts that the dictionary names, then in every other way
 * that makes sense, and as it stands. */
static void add_names(struct pdf *p, const struct pdf_doc_text *t, struct names *names)
{
	unsigned char octets[PDF_TEXT_MAX];
	size_t n = pdf_text(t->value, octets);
	const struct pdf_crypt *c;
	enum pdf_cipher cipher;
	bool any = false;

	for (unsigned pass = 0; pass < 2 && !t->packed && n != 0; pass++)
		for (unsigned i = 0; way(p, i, &c, &cipher); i++) {
			struct doc_buf undone = { 0 };

			if ((pass == 0) == (cipher == c->texts) &&
				pdf_crypt_undo(c, cipher, t->number, t->generation,
					mw_octets_of(octets, n), p->job->budget,
					&undone) == CONTAINER_WHOLE &&
				(pass == 0 || is_a_name(doc_octets(&undone)))) {
				add_name(names, doc_octets(&undone));
				any = true;
			}
			doc_free(&undone);
		}
	if (!any || is_a_name(mw_octets_of(octets, n)))
		add_name(names, mw_octets_of(octets, n));
}

/* end: of its decoding, into p->file. */
static enum container_end give_octets(
	struct pdf *p, struct container_member *m, enum container_end end)
{
	m->octets = doc_octets(&p->file);
	return doc_worse(end, m->octets.n != 0 && !doc_stops(end) ? doc_give(p->job, m) : end);
}

/* Every way in which it makes octets: *fits_r is set when one is whole. */
static enum container_end give_opened(struct pdf *p, const struct pdf_object *o,
	const struct pdf_steps *steps, struct container_member *m, bool *fits_r)
{
	const struct pdf_crypt *c;
	enum pdf_cipher cipher;

	for (unsigned i = 0; way(p, i, &c, &cipher); i++) {
		enum container_end end = decode_sealed(p, c, cipher, o, steps, &p->file);

		*fits_r = *fits_r || (end == CONTAINER_WHOLE && p->file.n != 0);
		end = give_octets(p, m, doc_stops(end) ? end : CONTAINER_WHOLE);
		if (doc_stops(end))
			return end;
	}
	return CONTAINER_WHOLE;
}

static void take_names(
	struct pdf *p, const struct pdf_spec *spec, struct names *names, struct container_member *m)
{
	if (spec != NULL) {
		add_names(p, &spec->name, names);
		add_names(p, &spec->also, names);
	}
	for (unsigned i = 0; i < names->count; i++)
		*(i == 0 ? &m->name : &m->aliases[i - 1]) = names->text[i];
}

static enum container_end give_decoded(struct pdf *p, const struct pdf_object *o,
	const struct pdf_spec *spec, const struct pdf_steps *steps)
{
	struct container_member m = { .name = "" };
	struct names names = { 0 };
	enum container_end end;
	bool fits;

	take_names(p, spec, &names, &m);
	end = pdf_decode(p->job->budget, steps, o->stream, &p->file);
	if (!p->encrypted || end == CONTAINER_NO_MEMORY)
		return end == CONTAINER_NO_MEMORY ? end : give_octets(p, &m, end);
	fits = end == CONTAINER_WHOLE && (steps->count != 0 || p->file.n == 0);
	if (end != CONTAINER_BROKEN)
		end = give_octets(p, &m, end);
	/* Its first octets are whatever the sender liked: that they fit proves nothing. */
	if (!doc_stops(end))
		end = give_opened(p, o, steps, &m, &fits);
	return doc_stops(end) || (fits && !p->locked) ? end : give_encrypted(p);
}

static bool same_step(const struct pdf_step *a, const struct pdf_step *b)
{
	return strcmp(a->name, b->name) == 0 && a->predictor == b->predictor &&
	       a->colors == b->colors && a->bits == b->bits && a->columns == b->columns &&
	       a->late == b->late;
}

static bool same_steps(const struct pdf_steps *a, const struct pdf_steps *b)
{
	bool same = a->count == b->count;

	for (unsigned i = 0; i < a->count && same; i++)
		same = same_step(&a->step[i], &b->step[i]);
	return same;
}

static enum container_end give_file(
	struct pdf *p, const struct pdf_object *o, const struct pdf_spec *spec)
{
	struct pdf_steps steps, others;
	enum container_end end;

	p->several = false;
	steps = filters_of(p, o->body);
	end = give_decoded(p, o, spec, &steps);
	if (!p->several || doc_stops(end))
		return end;
	p->oldest = true;
	others = filters_of(p, o->body);
	p->oldest = false;
	return same_steps(&steps, &others) ? end
					   : doc_worse(end, give_decoded(p, o, spec, &others));
}

static enum container_end give_files(struct pdf *p)
{
	enum container_end end = CONTAINER_WHOLE;

	for (size_t i = 0; i < p->count && !doc_stops(end); i++) {
		const struct pdf_object *o = &p->objects[i];
		const struct pdf_spec *spec;

		if (!o->has_stream)
			continue;
		if (!budget_time(p->job->budget))
			return CONTAINER_CUT;
		spec = spec_of(p, o->number);
		if (spec != NULL || pdf_is(o->body, "Type", "EmbeddedFile"))
			end = doc_worse(end, give_file(p, o, spec));
	}
	return end;
}

/* The trailer, or the stream that stands for it, names how the document is encrypted. */
static bool is_encrypted(struct mw_octets o)
{
	static const char key[] = "/Encrypt";
	const unsigned char *p = o.p, *end = o.p + o.n;

	while ((p = memmem(p, (size_t)(end - p), key, sizeof(key) - 1)) != NULL) {
		p += sizeof(key) - 1;
		if (p < end && (*p | 0x20) >= 'a' && (*p | 0x20) <= 'z')
			continue; /* EncryptMetadata */
		return true;
	}
	return false;
}

/* ------------------------------------------------------------------ the row */

static bool knows(struct mw_octets octets)
{
	struct mw_octets head = doc_range(octets, 0, HEAD_MAX);
	const unsigned char *p = head.p, *end = head.n != 0 ? head.p + head.n : head.p;

	/* memmem is slower than this by ten, and every part is asked. */
	for (; p < end && (p = memchr(p, '%', (size_t)(end - p))) != NULL; p++)
		if (end - p >= 5 && memcmp(p, "%PDF-", 5) == 0)
			return true;
	return false;
}

static enum container_end give_all(struct pdf *p)
{
	enum container_end end = find_specs(p);

	if (end == CONTAINER_NO_MEMORY)
		return end;
	end = doc_worse(end, give_files(p)); /* what was found before a limit is given out, too */
	if (p->sealed && !doc_stops(end))
		end = doc_worse(end, give_encrypted(p));
	return doc_worse(end, p->deep ? CONTAINER_BROKEN : end);
}

static enum container_end read_pdf(struct pdf *p)
{
	enum container_end end = scan_objects(p);

	if (end == CONTAINER_WHOLE) {
		sort_objects(p); /* what unpacks them may be named by reference */
		settle_lengths(p);
		pdf_doc_open(p);
		end = unpack_objects(p);
	}
	if (end == CONTAINER_NO_MEMORY)
		return end;
	sort_objects(p);
	settle_lengths(p);
	return doc_worse(end, give_all(p));
}

static enum container_end open_pdf(const struct container_job *job)
{
	struct pdf p = { .job = job, .encrypted = is_encrypted(job->octets) };
	enum container_end end;

	end = read_pdf(&p);
	if (p.encrypted && (p.crypt_count == 0 || p.locked || p.by_word))
		container_has(job, CONTAINER_ENCRYPTED);
	for (size_t i = 0; i < p.unpacked_count; i++)
		doc_free(&p.unpacked[i]);
	free(p.unpacked);
	free(p.objects);
	free(p.specs);
	doc_free(&p.file);
	doc_free(&p.plain);
	return end;
}

const struct container container_pdf = { "pdf", knows, open_pdf };
