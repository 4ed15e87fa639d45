/*
 * Files in the midst of text: uuencode (POSIX.1 uuencode, both forms), yEnc (draft 1.3), BinHex 4.0
 * (RFC 1741). Several may follow each other, with text between them. Lines end with LF, CRLF or CR.
 */
#include <stdio.h>
#include <stdlib.h>

#include "decode.h"
#include "doc.h"

#define UU_JUNK_LINES 32 /* that are none of a file's, one after the other, before it is over */

struct text {
	const struct container_job *job;
	const unsigned char *p, *end; /* what was not read yet; p is at the beginning of a line */
	const unsigned char *lf;      /* the next one at or behind p; NULL: nobody has looked */
	struct doc_buf buf;
	char name[CONTAINER_NAME_MAX];
	uint64_t part; /* last one of a yEnc file in parts that is in buf; 0: none */
};

/* ------------------------------------------------------------------ lines */

typedef enum container_end text_opener(struct text *t, struct mw_octets head);
static text_opener open_uu, open_base64, open_yenc, open_binhex;

static const struct mark {
	const char *text;
	size_t n;
	text_opener *open;
} marks[] = {
	{ "begin ", 6, open_uu },
	{ "begin\t", 6, open_uu },
	{ "begin-base64 ", 13, open_base64 },
	{ "begin-encoded ", 14, open_uu }, /* sharutils: the name is in base64 */
	{ "begin-base64-encoded ", 21, open_base64 },
	{ "=ybegin ", 8, open_yenc },
	{ "(This file must be converted with BinHex", 40, open_binhex },
};

static const struct mark *mark_at(const unsigned char *p, const unsigned char *end)
{
	if (p == end || (*p != 'b' && *p != '=' && *p != '('))
		return NULL;
	for (size_t i = 0; i < MW_COUNT(marks); i++)
		if ((size_t)(end - p) >= marks[i].n && memcmp(p, marks[i].text, marks[i].n) == 0)
			return &marks[i];
	return NULL;
}

/* Behind the line at hand. Each LF is looked for once, also where all lines end with CR. */
static const unsigned char *next_line(struct text *t)
{
	const unsigned char *cr;

	if (t->p == t->end)
		return t->end;
	if (t->lf == NULL || t->lf < t->p) {
		t->lf = memchr(t->p, '\n', (size_t)(t->end - t->p));
		t->lf = t->lf != NULL ? t->lf : t->end;
	}
	cr = memchr(t->p, '\r', (size_t)(t->lf - t->p));
	if (cr != NULL && cr + 1 != t->lf)
		return cr + 1;
	return t->lf < t->end ? t->lf + 1 : t->end;
}

static const struct mark *next_mark(struct text *t)
{
	const struct mark *m;

	for (; t->p < t->end; t->p = next_line(t)) {
		m = mark_at(t->p, t->end);
		if (m != NULL)
			return m;
	}
	return NULL;
}

/* The line at hand without its end; the next one is at hand then. */
static struct mw_octets take_line(struct text *t)
{
	const unsigned char *from = t->p, *to = next_line(t);

	t->p = to;
	if (to > from && to[-1] == '\n')
		to--;
	if (to > from && to[-1] == '\r')
		to--;
	return mw_octets_of(from, (size_t)(to - from));
}

static bool line_is(struct mw_octets l, const char *text)
{
	return l.n == strlen(text) && memcmp(l.p, text, l.n) == 0;
}

/* ------------------------------------------------------------------ members */

/* What was decoded, if anything was: a line that only looks like a file's first is text. */
static enum container_end give(struct text *t, const char *name)
{
	const struct container_member m = { .name = name, .octets = doc_octets(&t->buf) };
	enum container_end end = t->buf.n != 0 ? doc_give(t->job, &m) : CONTAINER_WHOLE;

	t->buf.n = 0;
	t->part = 0;
	return end;
}

static size_t behind_blanks(struct mw_octets o, size_t i)
{
	while (i < o.n && (o.p[i] == ' ' || o.p[i] == '\t'))
		i++;
	return i;
}

/* "begin 644 name": false when it is prose. Behind two blanks some want no mode. */
static bool take_uu_head(struct text *t, struct mw_octets head)
{
	size_t from = behind_blanks(head, 0), i = from;

	while (i < head.n && head.p[i] >= '0' && head.p[i] <= '7')
		i++;
	if (i == from || i == head.n || behind_blanks(head, i) == i)
		i = from;
	if (i == from && from == 0)
		return false;
	i = behind_blanks(head, i);
	if (i == head.n)
		return false;
	container_name(t->name, (const char *)head.p + i, head.n - i);
	return true;
}

/* ------------------------------------------------------------------ uuencode */

#define UU_LINE_MAX 63 /* octets of one line */

/*
 * False: no line of a file. Blanks at its end may be missing, and most decoders do not look at what
 * stands behind its octets. To them every character is a digit; here only those of uuencode are,
 * unless the line is as long as it says, because prose may stand between the lines of a file.
 */
static bool decode_uu_line(struct mw_octets l, unsigned char out[UU_LINE_MAX + 3], size_t *n_r)
{
	size_t n, chars;

	if (l.n == 0)
		return false;
	n = (l.p[0] - 32u) & 63;
	chars = (n + 2) / 3 * 4;
	for (size_t i = 0; i < l.n && i <= chars; i++)
		if (l.p[i] < 0x20 || l.p[i] > (l.n - 1 == chars ? 0x7f : 0x60))
			return false;
	for (size_t i = 0; i < chars; i += 4) {
		uint32_t bits = 0;

		for (size_t k = 1; k <= 4; k++)
			bits = bits << 6 | (i + k < l.n ? (l.p[i + k] - 32u) & 63 : 0);
		out[i / 4 * 3] = (unsigned char)(bits >> 16);
		out[i / 4 * 3 + 1] = (unsigned char)(bits >> 8);
		out[i / 4 * 3 + 2] = (unsigned char)bits;
	}
	*n_r = n;
	return true;
}

static enum container_end open_uu(struct text *t, struct mw_octets head)
{
	unsigned char out[UU_LINE_MAX + 3];
	enum container_end end;
	unsigned junk = 0;
	size_t n;

	if (!take_uu_head(t, head))
		return CONTAINER_WHOLE;
	while (t->p < t->end && junk < UU_JUNK_LINES && mark_at(t->p, t->end) == NULL) {
		struct mw_octets l = take_line(t);

		if (line_is(l, "end"))
			break;
		if (!decode_uu_line(l, out, &n)) {
			junk++; /* some decoders stop here, some go on */
			continue;
		}
		junk = 0;
		end = doc_add(t->job->budget, &t->buf, out, n);
		if (end != CONTAINER_WHOLE)
			return end;
	}
	return give(t, t->name);
}

static enum container_end open_base64(struct text *t, struct mw_octets head)
{
	const unsigned char *from = t->p, *to = from;
	enum container_end end;

	if (!take_uu_head(t, head))
		return CONTAINER_WHOLE;
	while (t->p < t->end && mark_at(t->p, t->end) == NULL) {
		struct mw_octets l = take_line(t);

		if (l.n >= 4 && memcmp(l.p, "====", 4) == 0)
			break;
		to = t->p;
	}
	end = doc_room(t->job->budget, &t->buf, (size_t)(to - from));
	if (end != CONTAINER_WHOLE || to == from)
		return end;
	t->buf.n = mime_decode(MIME_BASE64, mw_octets_of(from, (size_t)(to - from)), t->buf.p);
	return give(t, t->name);
}

/* ------------------------------------------------------------------ yEnc */

static uint64_t yenc_number(struct mw_octets l, const char *key)
{
	const unsigned char *p = memmem(l.p, l.n, key, strlen(key)), *end = l.p + l.n;
	uint64_t v = 0;

	if (p == NULL)
		return 0;
	for (p += strlen(key); p < end && *p >= '0' && *p <= '9' && v < UINT32_MAX; p++)
		v = v * 10 + (*p - '0');
	return v;
}

/* Decode one line behind what is there: a line never grows. */
static enum container_end add_yenc_line(struct text *t, struct mw_octets l)
{
	enum container_end end = doc_room(t->job->budget, &t->buf, l.n);
	unsigned char *out;

	if (end != CONTAINER_WHOLE || l.n == 0)
		return end;
	out = t->buf.p + t->buf.n;
	for (size_t i = 0; i < l.n; i++) {
		unsigned char c = l.p[i];

		if (c == '=' && ++i < l.n)
			c = (unsigned char)(l.p[i] - 64);
		*out++ = (unsigned char)(c - 42);
	}
	t->buf.n = (size_t)(out - t->buf.p);
	return CONTAINER_WHOLE;
}

static enum container_end read_yenc(struct text *t)
{
	enum container_end end = CONTAINER_WHOLE;

	while (t->p < t->end && end == CONTAINER_WHOLE && mark_at(t->p, t->end) == NULL) {
		struct mw_octets l = take_line(t);

		if (doc_starts(l, "=yend", 5))
			break;
		if (!doc_starts(l, "=ypart", 6))
			end = add_yenc_line(t, l);
	}
	return end;
}

/* Parts of one file that follow each other are put together; give() is called by who comes next. */
static enum container_end open_yenc(struct text *t, struct mw_octets head)
{
	const unsigned char *at = memmem(head.p, head.n, "name=", 5);
	uint64_t part = yenc_number(head, "part="), total = yenc_number(head, "total=");
	char name[CONTAINER_NAME_MAX] = "";
	enum container_end end = CONTAINER_WHOLE;

	if (at != NULL)
		container_name(name, (const char *)at + 5, (size_t)(head.p + head.n - at) - 5);
	if (t->part == 0 || part != t->part + 1 || strcmp(name, t->name) != 0)
		end = give(t, t->name);
	if (end != CONTAINER_WHOLE)
		return end;
	mw_strlcpy(t->name, name, sizeof(t->name));
	end = read_yenc(t);
	t->part = part;
	if (end == CONTAINER_WHOLE && (part == 0 || part == total))
		end = give(t, name);
	return end;
}

/* ------------------------------------------------------------------ BinHex */

#define HQX_REPEAT 0x90
#define HQX_LINE 20 /* characters of a line that is no smile */
#define HQX_HEAD                                                                                   \
	22 /* octets of the header besides the name: length, version, type, creator ...            \
	    */

static const char hqx_digits[] =
	"!\"#$%&'()*+,-012345689@ABCDEFGHIJKLMNPQRSTUVXYZ[`abcdefhijklmpqr";

/* Undo the run lengths of one octet. *last: what is repeated; *run: the octet before was the mark.
 */
static enum container_end add_hqx_octet(
	struct text *t, unsigned char c, unsigned char *last, bool *run)
{
	unsigned char same[255];
	size_t n = 1;

	if (!*run && c == HQX_REPEAT) {
		*run = true;
		return CONTAINER_WHOLE;
	}
	if (*run) {
		*run = false;
		if (c == 0)
			*last = HQX_REPEAT;
		else
			n = c - 1u;
	} else {
		*last = c;
	}
	memset(same, *last, n);
	return doc_add(t->job->budget, &t->buf, same, n);
}

/* From behind the first colon to the next. */
static enum container_end read_binhex(struct text *t)
{
	enum container_end end = CONTAINER_WHOLE;
	unsigned char last = 0;
	uint32_t bits = 0;
	unsigned have = 0;
	bool run = false;

	for (; t->p < t->end && *t->p != ':' && end == CONTAINER_WHOLE; t->p++) {
		const char *digit = *t->p != '\0' ? strchr(hqx_digits, *t->p) : NULL;

		if (digit == NULL)
			continue; /* line ends, and what some reader may skip */
		bits = bits << 6 | (uint32_t)(digit - hqx_digits);
		have += 6;
		if (have < 8)
			continue;
		have -= 8;
		end = add_hqx_octet(t, (unsigned char)(bits >> have), &last, &run);
	}
	return end;
}

static uint32_t big32(struct mw_octets o, size_t at)
{
	return __builtin_bswap32(doc_u32(o, at));
}

/* Both forks of the file: the second is told by its name's end. */
static enum container_end give_forks(struct text *t)
{
	struct mw_octets o = doc_octets(&t->buf);
	size_t head = doc_u8(o, 0) + (size_t)HQX_HEAD, data, resources;
	char fork[CONTAINER_NAME_MAX + 8];
	struct container_member m = { .name = t->name };
	enum container_end end;

	if (o.n < head)
		return o.n == 0 ? CONTAINER_WHOLE : CONTAINER_BROKEN;
	container_name(t->name, (const char *)o.p + 1, doc_u8(o, 0));
	data = big32(o, head - 10);
	resources = big32(o, head - 6);
	m.octets = doc_range(o, head, data);
	end = m.octets.n != 0 ? doc_give(t->job, &m) : CONTAINER_WHOLE;
	if (end != CONTAINER_WHOLE)
		return end;
	if (m.octets.n < data)
		return CONTAINER_BROKEN;
	snprintf(fork, sizeof(fork), "%s/rsrc", t->name);
	m.name = fork;
	m.octets = doc_range(o, head + data + 2, resources); /* behind a check sum */
	end = m.octets.n != 0 ? doc_give(t->job, &m) : CONTAINER_WHOLE;
	return end == CONTAINER_WHOLE && m.octets.n < resources ? CONTAINER_BROKEN : end;
}

/* Is it the first line of a file? A long one, or all of it. */
static bool is_hqx_line(struct mw_octets l)
{
	if (l.n < 2 || l.p[0] != ':' || (l.n < HQX_LINE && l.p[l.n - 1] != ':'))
		return false;
	for (size_t i = 1; i < l.n - 1; i++)
		if (l.p[i] == '\0' || strchr(hqx_digits, l.p[i]) == NULL)
			return false;
	return true;
}

/* Put what is behind the first colon at hand: decoders pass over what stands in front of it. False:
 * there is none. */
static bool find_binhex(struct text *t)
{
	const unsigned char *p = t->p;

	while (p < t->end && (*p == '\r' || *p == '\n' || *p == ' ' || *p == '\t'))
		p++;
	while (p < t->end && *p != ':') {
		const unsigned char *line = t->p;

		if (t->p == t->end || mark_at(t->p, t->end) != NULL)
			return false;
		p = is_hqx_line(take_line(t)) ? line : p;
	}
	if (p == t->end)
		return false;
	t->p = p + 1;
	return true;
}

static enum container_end open_binhex(struct text *t, struct mw_octets head)
{
	enum container_end end;

	(void)head;
	if (!find_binhex(t))
		return CONTAINER_WHOLE;
	end = read_binhex(t);
	if (end != CONTAINER_NO_MEMORY) /* what came before a limit, too */
		end = doc_worse(end, give_forks(t));
	t->buf.n = 0;
	t->p = next_line(t);
	return end;
}

/* ------------------------------------------------------------------ the row */

static bool knows(struct mw_octets octets)
{
	struct text t = { .p = octets.p, .end = octets.p };

	if (octets.n == 0)
		return false;
	t.end += octets.n;
	return next_mark(&t) != NULL;
}

static enum container_end open_text(const struct container_job *job)
{
	struct text t = { .job = job, .p = job->octets.p, .end = job->octets.p + job->octets.n };
	enum container_end end = CONTAINER_WHOLE;
	const struct mark *m;

	while (!doc_stops(end) && (m = next_mark(&t)) != NULL) {
		struct mw_octets head;

		if (!budget_time(job->budget)) {
			end = CONTAINER_CUT;
			break;
		}
		/* A file in parts ends where another begins. */
		if (m->open != open_yenc)
			end = doc_worse(end, give(&t, t.name));
		if (doc_stops(end))
			break;
		head = take_line(&t);
		end = doc_worse(end, m->open(&t, doc_from(head, m->n)));
	}
	if (t.buf.n != 0 && end != CONTAINER_NO_MEMORY) /* what came before a limit, too */
		end = doc_worse(end, give(&t, t.name));
	doc_free(&t.buf);
	return end;
}

const struct container container_text = { "text", knows, open_text };
