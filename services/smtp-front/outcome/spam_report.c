#include "spam_report.h"

#include <string.h>

#define RULE_BLANKS_MAX 5 /* before a score; further right a description goes on */

static size_t blanks_of(struct mw_octets line)
{
	size_t n = 0;

	while (n < line.n && line.p[n] == ' ')
		n++;
	return n;
}

static size_t word_of(struct mw_octets line)
{
	size_t n = 0;

	while (n < line.n && line.p[n] != ' ')
		n++;
	return n;
}

static struct mw_octets behind(struct mw_octets line, size_t n)
{
	return mw_octets_of(line.p + n, line.n - n);
}

bool spam_report_next(struct mw_octets *rest, struct mw_octets *line_r)
{
	while (rest->n > 0) {
		const unsigned char *eol = memchr(rest->p, '\n', rest->n);
		size_t n = eol != NULL ? (size_t)(eol - rest->p) : rest->n;

		*line_r = mw_octets_of(rest->p, n);
		*rest = behind(*rest, eol != NULL ? n + 1 : n);
		if (blanks_of(*line_r) < line_r->n)
			return true;
	}
	return false;
}

size_t spam_report_lines(struct mw_octets report)
{
	struct mw_octets line;
	size_t n = 0;

	while (spam_report_next(&report, &line))
		n++;
	return n;
}

/* " 1.2 NAME      text": score and name as they stand, the text without its column. */
static void add_rule(struct mw_octets line, size_t blanks, struct mw_text *out)
{
	size_t score = blanks + word_of(behind(line, blanks));
	size_t name = score + blanks_of(behind(line, score)), end;
	struct mw_octets text;

	end = name + word_of(behind(line, name));
	text = behind(line, end);
	text = behind(text, blanks_of(text));
	mw_text_add(out, "* ");
	mw_text_add_octets(out, line.p, end);
	if (text.n > 0)
		mw_text_add(out, " ");
	mw_text_add_octets(out, text.p, text.n);
}

void spam_report_terse(
	struct mw_octets report, const char *before, const char *after, struct mw_text *out)
{
	struct mw_octets line;

	while (spam_report_next(&report, &line)) {
		size_t blanks = blanks_of(line);

		mw_text_add(out, before);
		if (blanks <= RULE_BLANKS_MAX) {
			add_rule(line, blanks, out);
		} else {
			mw_text_add(out, "*      ");
			mw_text_add_octets(out, line.p + blanks, line.n - blanks);
		}
		mw_text_add(out, after);
	}
}
