/*
 * Repairs of a header section that breaks RFC 5322 (allow_fixing_improper_header): octets CR that
 * end no line go, lines made of blanks alone go, lines that are too long are cut. A section that
 * needs none is looked through once and not touched; one that does is copied, not the mail.
 */
#include "edit_priv.h"

#define CUT "..."

static bool is_blank(unsigned char c)
{
	return c == ' ' || c == '\t';
}

static bool all_blank(const unsigned char *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!is_blank(p[i]))
			return false;
	return true;
}

/* A line: n octets, then CRLF, which the section's last may lack. */
struct line {
	const unsigned char *p;
	size_t n, ended; /* 2 or 0 */
};

static size_t next_line(struct mw_octets s, size_t at, struct line *l)
{
	const unsigned char *end = s.p + s.n, *p = s.p + at, *cr = p;

	*l = (struct line){ .p = p };
	while (cr < end && (cr = memchr(cr, '\r', (size_t)(end - cr))) != NULL) {
		if (cr + 1 < end && cr[1] == '\n') {
			l->n = (size_t)(cr - p);
			l->ended = 2;
			return at + l->n + 2;
		}
		cr++;
	}
	l->n = (size_t)(end - p);
	return s.n;
}

/* What is repaired beside octets CR. */
struct rules {
	bool blank_lines, long_lines;
};

/* Every mail pays this: a look at each line's end and at how it begins. */
static bool needs_repair(struct rules rules, struct mw_octets section)
{
	const unsigned char *line = section.p, *end = section.p + section.n, *cr;
	size_t most = rules.long_lines ? EDIT_LINE_MAX : SIZE_MAX;

	while (line < end) {
		cr = memchr(line, '\r', (size_t)(end - line));
		if (cr != NULL && (cr + 1 == end || cr[1] != '\n'))
			return true;
		cr = cr != NULL ? cr : end;
		if ((size_t)(cr - line) > most)
			return true;
		if (is_blank(*line) && rules.blank_lines && all_blank(line, (size_t)(cr - line)))
			return true;
		line = end - cr > 2 ? cr + 2 : end;
	}
	return false;
}

/* Appends the line; or nothing, when nothing or only blanks are left of it: as an empty line it
 * would end the header section. Returns where the next goes. */
static unsigned char *put_line(struct rules rules, const struct line *l, unsigned char *to)
{
	unsigned char *from = to;
	size_t n, cut = EDIT_LINE_MAX - (sizeof(CUT) - 1);

	for (size_t i = 0; i < l->n; i++)
		if (l->p[i] != '\r')
			*to++ = l->p[i];
	n = (size_t)(to - from);
	if (n == 0 || (rules.blank_lines && all_blank(from, n)))
		return from;
	if (rules.long_lines && n > EDIT_LINE_MAX) {
		while (cut > EDIT_LINE_MAX - 7 && (from[cut] & 0xc0) == 0x80)
			cut--; /* no half of a UTF-8 character */
		memcpy(from + cut, CUT, sizeof(CUT) - 1);
		to = from + cut + sizeof(CUT) - 1;
	}
	if (l->ended > 0) {
		*to++ = '\r';
		*to++ = '\n';
	}
	return to;
}

static enum mw_rc repair(struct txn *t, struct rules rules, struct mw_octets *section_p)
{
	struct mw_octets section = *section_p;
	unsigned char *whole, *to;
	struct line l;

	if (!needs_repair(rules, section))
		return MW_OK;
	whole = to = smtp_arena_get(&t->arena, section.n);
	if (whole == NULL)
		return MW_ERR_NOMEM;
	for (size_t at = 0; at < section.n;) {
		at = next_line(section, at, &l);
		to = put_line(rules, &l, to);
	}
	*section_p = mw_octets_of(whole, (size_t)(to - whole));
	/* A dot behind a CR that went now begins a line (RFC 5321 section 4.5.2). */
	t->dots = true;
	txn_log(t, MW_INFO, "header_repaired", "log_id=%s octets=%zu left=%zu", t->log_id,
		section.n, section_p->n);
	return MW_OK;
}

enum mw_rc edit_repair(struct txn *t, struct mw_octets *section_p)
{
	const struct policy *p = t->policy;

	if (!p->fix_header)
		return MW_OK;
	return repair(t, (struct rules){ p->fix_folding, p->fix_long_lines }, section_p);
}

enum mw_rc edit_repair_for_program(struct txn *t, struct mw_octets *section_p)
{
	return t->policy->fix_header ? edit_repair(t, section_p)
				     : repair(t, (struct rules){ 0 }, section_p);
}
