/*
 * Files in scripts: a page, or a picture in SVG, that carries a file as text in base64 and hands it
 * over when it is looked at ("HTML smuggling"). The text is a string, which may be in pieces of any
 * size ("UEsD" + "BBQA") and lines, or stands in an element. It is a file when it begins as one;
 * whatever else is in base64 is none of ours.
 */
#include <strings.h>

#include "decode.h"
#include "doc.h"
#include "mail.h"
#include "unopened.h"
#include "unpack.h"
#include "zip.h"

#define DIGITS_LEAST 64 /* characters of base64; fewer hold no file */
#define LOOK_MAX 1024	/* octets in which they stand */
#define PE_AT 0x3c	/* where a program for Windows says where its header is */

/* ------------------------------------------------------------------ strings */

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

static const unsigned char *behind_blanks(const unsigned char *p, const unsigned char *end)
{
	while (p < end && (*p == ' ' || *p == '\t' || *p == '\r' || *p == '\n'))
		p++;
	return p;
}

const unsigned char *doc_next_piece(
	const unsigned char *p, const unsigned char *end, const char *joints)
{
	if (p == end || !is_quote(*p))
		return NULL;
	p = behind_blanks(p + 1, end);
	if (p == end || *p == '\0' || strchr(joints, *p) == NULL)
		return NULL;
	p = behind_blanks(p + 1, end);
	return p < end && is_quote(*p) ? p + 1 : NULL;
}

size_t doc_escaped_blank(const unsigned char *p, const unsigned char *end)
{
	if (end - p < 2 || *p != '\\' || memchr("nrt\r\n", p[1], 5) == NULL)
		return 0;
	return p[1] == '\r' && end - p > 2 && p[2] == '\n' ? 3 : 2;
}

/* Behind what stands at p between two digits of the same text and is no digit; p itself: the text
 * ends there. */
static const unsigned char *behind_gap(const unsigned char *p, const unsigned char *end)
{
	const unsigned char *piece = doc_next_piece(p, end, "+,");

	if (piece != NULL)
		return piece;
	if (p < end && *p == '\\' && end - p > 1 && p[1] == '/')
		return p + 1;
	return p + doc_escaped_blank(p, end) != p ? p + doc_escaped_blank(p, end)
						  : behind_blanks(p, end);
}

/* Are the digits from p on enough to be a file? So is what takes long to look at: then it is read
 * once, and not looked at again from each of its pieces. */
static bool is_enough(const unsigned char *p, const unsigned char *end)
{
	const unsigned char *far = end - p > LOOK_MAX ? p + LOOK_MAX : end;
	size_t digits = 0;

	for (const unsigned char *gap = NULL; gap != p;) {
		const unsigned char *last = end - p > DIGITS_LEAST ? p + DIGITS_LEAST : end;

		gap = behind_digits(p, last);
		digits += (size_t)(gap - p);
		if (digits >= DIGITS_LEAST || gap > far)
			return true;
		p = gap < last ? behind_gap(gap, end) : gap;
	}
	return false;
}

/* What a text begins behind, each with the place of its next one. */
#define OPENERS 4
struct search {
	const unsigned char *end, *at[OPENERS];
};

/* The first digit of the next text at or behind p; NULL: there is none. */
static const unsigned char *next_text(struct search *s, const unsigned char *p)
{
	static const char openers[OPENERS] = { '"', '\'', '`', '>' };

	while (p < s->end) {
		const unsigned char *next = s->end;

		for (size_t i = 0; i < OPENERS; i++) {
			if (s->at[i] == NULL || s->at[i] < p)
				s->at[i] = memchr(p, openers[i], (size_t)(s->end - p));
			s->at[i] = s->at[i] != NULL ? s->at[i] : s->end;
			next = s->at[i] < next ? s->at[i] : next;
		}
		if (next == s->end)
			return NULL;
		p = next + 1;
		next = behind_blanks(p, s->end);
		if (next < s->end && is_digit(*next) && is_enough(next, s->end))
			return next;
	}
	return NULL;
}

/* ------------------------------------------------------------------ files */

static bool is_program(struct mw_octets o)
{
	uint32_t at = doc_u32(o, PE_AT);

	return doc_starts(o,
		       "\x7f"
		       "ELF",
		       4) ||
	       (doc_starts(o, "MZ", 2) && doc_starts(doc_from(o, at), "PE\0\0", 4));
}

/* What pages, scripts of Windows and shortcuts begin with. */
static bool is_text_file(struct mw_octets o)
{
	static const char *const begins[] = { "<html", "<!doctype", "<script", "<svg", "<?xml",
		"<job", "<package", "<hta:", "<head", "<body", "[internetshortcut]" };
	const unsigned char *p = o.p, *end = o.p + o.n;

	if (doc_starts(o, "\xef\xbb\xbf", 3))
		p += 3;
	p = behind_blanks(p, end);
	for (size_t i = 0; i < MW_COUNT(begins); i++)
		if ((size_t)(end - p) >= strlen(begins[i]) &&
			strncasecmp((const char *)p, begins[i], strlen(begins[i])) == 0)
			return true;
	return false;
}

/* Nothing that a few octets might be by chance. */
static bool is_file(struct mw_octets o)
{
	static const struct container *const rows[] = { &container_cfb, &container_pdf,
		&container_rtf, &container_one, &container_wide, &container_unopened };

	if (o.n == 0)
		return false;
	for (size_t i = 0; i < MW_COUNT(rows); i++)
		if (rows[i]->knows(o))
			return true;
	return is_program(o) || unpack_kind_of(o) != NULL || zip_knows(o) ||
	       doc_starts(o, "L\0\0\0\1\x14\2\0", 8) /* a shortcut of Windows */ ||
	       is_text_file(o) || mail_by_content(o);
}

/* The text at p, with all its pieces, behind what is in *buf; *p_p: behind it. */
static enum container_end take_text(const struct container_job *job, const unsigned char **p_p,
	const unsigned char *end, struct doc_buf *buf)
{
	const unsigned char *p = *p_p, *last = NULL;
	enum container_end got = CONTAINER_WHOLE;

	while (got == CONTAINER_WHOLE && p != last) {
		last = behind_digits(p, end);
		got = doc_add(job->budget, buf, p, (size_t)(last - p));
		p = behind_gap(last, end);
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
	got = take_text(job, p_p, job->octets.p + job->octets.n, buf);
	if (got != CONTAINER_WHOLE)
		return got;
	buf->n = mime_decode_base64(doc_octets(buf), MIME_URL_ALPHABET, buf->p, &saw);
	m.octets = doc_octets(buf);
	return is_file(m.octets) ? doc_give(job, &m) : CONTAINER_WHOLE;
}

static bool knows(struct mw_octets octets)
{
	struct search s = { 0 };

	if (octets.n <= DIGITS_LEAST)
		return false;
	s.end = octets.p + octets.n;
	return next_text(&s, octets.p) != NULL;
}

static enum container_end open_script(const struct container_job *job)
{
	const unsigned char *p = job->octets.p;
	struct search s = { .end = p + job->octets.n };
	enum container_end got = CONTAINER_WHOLE;
	struct doc_buf buf = { 0 };

	while (got == CONTAINER_WHOLE && (p = next_text(&s, p)) != NULL)
		got = budget_time(job->budget) ? open_string(job, &p, &buf) : CONTAINER_CUT;
	doc_free(&buf);
	return got;
}

const struct container container_script = { "script", knows, open_script };
