/*
 * Files in scripts: a page, or a picture in SVG, that carries a file as a string in base64 and
 * hands it over when it is looked at ("HTML smuggling"). The string may be in pieces: "UEsD" +
 * "BBQA". A string is a file when it begins as one; whatever else is in base64 is none of ours.
 */
#include "decode.h"
#include "doc.h"
#include "unopened.h"
#include "unpack.h"
#include "zip.h"

#define RUN_LEAST 64 /* characters of the first piece; shorter ones hold no file */
#define PE_AT 0x3c   /* where a program for Windows says where its header is */

static bool is_digit(unsigned char c)
{
	return ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') || (c >= '0' && c <= '9') || c == '+' ||
	       c == '/' || c == '=' || c == '-' || c == '_';
}

static bool is_quote(unsigned char c)
{
	return c == '"' || c == '\'' || c == '`';
}

static const unsigned char *behind_digits(const unsigned char *p, const unsigned char *end)
{
	while (p < end && is_digit(*p))
		p++;
	return p;
}

/* The next string that begins with so many digits of base64: its first one; NULL: there is none.
 * Only every so manieth octet has to be looked at to find them. */
static const unsigned char *next_run(const unsigned char *from, const unsigned char *end)
{
	for (const unsigned char *p = from; end - p > RUN_LEAST; p++) {
		const unsigned char *first = p + RUN_LEAST, *last;

		if (!is_digit(*first)) {
			p = first - 1;
			continue;
		}
		while (first > p && is_digit(first[-1]))
			first--;
		last = behind_digits(first, end);
		if (last - first >= RUN_LEAST && first > from && is_quote(first[-1]))
			return first;
		p = last - 1 > p ? last - 1 : p;
		if (last == end)
			return NULL;
	}
	return NULL;
}

static const unsigned char *behind_blanks(const unsigned char *p, const unsigned char *end)
{
	while (p < end && (*p == ' ' || *p == '\t' || *p == '\r' || *p == '\n'))
		p++;
	return p;
}

/* The next piece of the string whose piece ends at p; NULL: that was the last. */
static const unsigned char *next_piece(const unsigned char *p, const unsigned char *end)
{
	if (p == end || !is_quote(*p))
		return NULL;
	p = behind_blanks(p + 1, end);
	if (p == end || (*p != '+' && *p != ','))
		return NULL;
	p = behind_blanks(p + 1, end);
	return p < end && is_quote(*p) ? p + 1 : NULL;
}

static bool is_program(struct mw_octets o)
{
	uint32_t at = doc_u32(o, PE_AT);

	return doc_starts(o,
		       "\x7f"
		       "ELF",
		       4) ||
	       (doc_starts(o, "MZ", 2) && doc_starts(doc_from(o, at), "PE\0\0", 4));
}

/* Nothing that a few octets might be by chance. */
static bool is_file(struct mw_octets o)
{
	static const struct container *const rows[] = { &container_cfb, &container_pdf,
		&container_rtf, &container_one, &container_unopened };
	const unsigned char *p = behind_blanks(o.p, o.p + o.n);
	struct mw_octets text = doc_from(o, (size_t)(p - o.p));

	for (size_t i = 0; i < MW_COUNT(rows); i++)
		if (rows[i]->knows(o))
			return true;
	return is_program(o) || unpack_kind_of(o) != NULL || zip_knows(o) ||
	       doc_starts(o, "L\0\0\0\1\x14\2\0", 8) /* a shortcut of Windows */ ||
	       doc_starts(text, "<html", 5) || doc_starts(text, "<!DOCTYPE", 9) ||
	       doc_starts(text, "<script", 7) || doc_starts(text, "<svg", 4);
}

/* The string at p, with all its pieces, behind what is in *buf; *p_p: behind it. */
static enum container_end take_string(const struct container_job *job, const unsigned char **p_p,
	const unsigned char *end, struct doc_buf *buf)
{
	const unsigned char *p = *p_p, *piece = p;
	enum container_end got = CONTAINER_WHOLE;

	for (; piece != NULL && got == CONTAINER_WHOLE; piece = next_piece(p, end)) {
		p = behind_digits(piece, end);
		got = doc_add(job->budget, buf, piece, (size_t)(p - piece));
	}
	*p_p = p;
	return got;
}

static enum container_end open_string(
	const struct container_job *job, const unsigned char **p_p, struct doc_buf *buf)
{
	struct container_member m = { .name = "" };
	enum container_end got;
	unsigned saw;

	buf->n = 0;
	got = take_string(job, p_p, job->octets.p + job->octets.n, buf);
	if (got != CONTAINER_WHOLE)
		return got;
	buf->n = mime_decode_base64(doc_octets(buf), MIME_URL_ALPHABET, buf->p, &saw);
	m.octets = doc_octets(buf);
	return is_file(m.octets) ? doc_give(job, &m) : CONTAINER_WHOLE;
}

static bool knows(struct mw_octets octets)
{
	return octets.n > RUN_LEAST && next_run(octets.p, octets.p + octets.n) != NULL;
}

static enum container_end open_script(const struct container_job *job)
{
	const unsigned char *p = job->octets.p, *end = p + job->octets.n;
	enum container_end got = CONTAINER_WHOLE;
	struct doc_buf buf = { 0 };

	while (got == CONTAINER_WHOLE && (p = next_run(p, end)) != NULL)
		got = budget_time(job->budget) ? open_string(job, &p, &buf) : CONTAINER_CUT;
	doc_free(&buf);
	return got;
}

const struct container container_script = { "script", knows, open_script };
