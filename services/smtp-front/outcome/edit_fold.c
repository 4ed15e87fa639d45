/* Lines of the fields that we write: where they end, and what may not stand in them. */
#include "edit_priv.h"

#include <stdlib.h>

#define CUT "..." /* in the place of what a line has no room for */

void edit_add_safe(struct mw_text *out, struct mw_octets s)
{
	size_t from = out->n;

	mw_text_add_octets(out, s.p, s.n);
	for (size_t i = from; i < out->n; i++)
		if (out->p[i] < 0x20 || out->p[i] > 0x7e)
			out->p[i] = '?';
}

void edit_add_score(struct mw_text *out, int64_t milli)
{
	unsigned rest = (unsigned)llabs(milli % 1000);

	mw_text_addf(out, "%s%lld", milli < 0 ? "-" : "", (long long)llabs(milli / 1000));
	if (rest == 0)
		return;
	mw_text_addf(out, ".%03u", rest);
	while (!out->failed && out->p[out->n - 1] == '0')
		out->p[--out->n] = '\0';
}

static void insert_crlf(struct mw_text *out, size_t at)
{
	mw_text_add(out, "\r\n");
	if (out->failed)
		return;
	memmove(out->p + at + 2, out->p + at, out->n - 2 - at);
	memcpy(out->p + at, "\r\n", 2);
}

/* The line from..to has no more than the octets it may have. How many went. */
static size_t cut_line(struct mw_text *out, size_t from, size_t to)
{
	size_t gone, at = from + EDIT_LINE_MAX - (sizeof(CUT) - 1);

	if (out->failed || to - from <= EDIT_LINE_MAX)
		return 0;
	while (at > from && ((unsigned char)out->p[at] & 0xc0) == 0x80)
		at--; /* no half of a UTF-8 character */
	gone = to - at - (sizeof(CUT) - 1);
	memcpy(out->p + at, CUT, sizeof(CUT) - 1);
	memmove(out->p + to - gone, out->p + to, out->n - to + 1);
	out->n -= gone;
	return gone;
}

struct edit_fold edit_fold_begin(struct mw_text *out)
{
	return (struct edit_fold){ out, out->n, out->n };
}

void edit_fold_here(struct edit_fold *f)
{
	struct mw_text *out = f->out;

	if (out->n - f->line > EDIT_FOLD_AT && f->part > f->line) {
		insert_crlf(out, f->part);
		f->line = f->part + 2;
	}
	cut_line(out, f->line, out->n);
	f->part = out->n;
}

void edit_fold_end(struct edit_fold *f)
{
	edit_fold_here(f);
	mw_text_add(f->out, "\r\n");
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

void edit_fold_words(struct mw_text *out, size_t from)
{
	size_t line = from,
	       blanks = from; /* where a fold may be: the last run of them that ended */

	if (out->n - from <= EDIT_FOLD_AT) {
		mw_text_add(out, "\r\n");
		return;
	}
	for (size_t at = from; at < out->n && !out->failed;) {
		size_t run = at;

		while (at < out->n && is_blank(out->p[at]))
			at++;
		if (at == out->n)
			break; /* blanks at the end are nothing to begin a line with */
		while (at < out->n && !is_blank(out->p[at]))
			at++;
		blanks = run;
		if (run > from && out->p[run - 1] == '\n')
			line = run; /* it is folded there */
		if (at - line > EDIT_FOLD_AT && blanks > line) {
			insert_crlf(out, blanks);
			line = blanks + 2;
			at += 2;
		}
		at -= cut_line(out, line, at);
	}
	mw_text_add(out, "\r\n");
}
