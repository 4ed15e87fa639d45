#include "notice_text.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

#include "policy/hooks_field.h"
#include "utf8.h"

#define FIELD_VALUE_MAX 900 /* octets; a word of it fits into a line then */
#define QUOTED_LINE_MAX 76  /* RFC 2045 section 6.7, rule 5 */

static bool fits(struct mw_octets o, unsigned char most)
{
	size_t line = 0;

	for (size_t i = 0; i < o.n; i++) {
		unsigned char ch = o.p[i];

		if (ch == '\r' && i + 1 < o.n && o.p[i + 1] == '\n') {
			line = 0;
			i++;
		} else if (ch == '\0' || ch == '\r' || ch == '\n' || ch > most ||
			   ++line > NOTICE_LINE_MAX) {
			return false;
		}
	}
	return line == 0;
}

bool notice_is_7bit(struct mw_octets o)
{
	return fits(o, 0x7f);
}

bool notice_is_8bit(struct mw_octets o)
{
	return fits(o, 0xff);
}

/* Octets of the character at p; 0: none, a control character, or what turns the direction of a line
 * round or breaks it. */
static size_t character(const unsigned char *p, size_t left, bool ascii)
{
	uint32_t c = 0;
	size_t n = mw_utf8_read(p, left, &c);
	bool control = c < 0x20 || (c >= 0x7f && c < 0xa0);

	return control || (n > 1 && ascii) || (c >= 0x2028 && c <= 0x202e) ||
			       (c >= 0x2066 && c <= 0x2069)
		       ? 0
		       : n;
}

void notice_add_line(struct mw_text *out, struct mw_octets o, bool ascii, size_t most)
{
	size_t added = 0;

	for (size_t i = 0; i < o.n;) {
		size_t n = character(o.p + i, o.n - i, ascii);
		bool blank = n == 0 && (o.p[i] == '\t' || o.p[i] == '\n');

		if (added + (n > 0 ? n : 1) > most)
			return;
		if (n > 0)
			mw_text_add_octets(out, o.p + i, n);
		else if (o.p[i] != '\r') /* the CR of a CRLF leaves nothing */
			mw_text_add(out, blank ? " " : "?");
		added += n > 0 ? n : o.p[i] != '\r';
		i += n > 0 ? n : 1;
	}
}

void notice_add_text(struct mw_text *out, struct mw_octets o, size_t most)
{
	size_t from = out->n;

	for (size_t i = 0; i < o.n && out->n - from < most;) {
		size_t n = character(o.p + i, o.n - i, false);

		if (n > 0)
			mw_text_add_octets(out, o.p + i, n);
		else if (o.p[i] == '\n')
			mw_text_add(out, "\r\n");
		else if (o.p[i] != '\r')
			mw_text_add(out, o.p[i] == '\t' ? "\t" : "?");
		i += n > 0 ? n : 1;
	}
	if (out->n > from && out->p[out->n - 1] != '\n')
		mw_text_add(out, "\r\n");
}

void notice_add_quoted(struct mw_text *out, struct mw_octets o)
{
	size_t column = 0;

	for (size_t i = 0; i < o.n; i++) {
		unsigned char ch = o.p[i];
		bool at_end =
			i + 1 == o.n || (i + 2 < o.n && o.p[i + 1] == '\r' && o.p[i + 2] == '\n');
		bool plain = (ch > 0x20 && ch < 0x7f && ch != '=') ||
			     ((ch == ' ' || ch == '\t') && !at_end);

		if (ch == '\r' && i + 1 < o.n && o.p[i + 1] == '\n') {
			mw_text_add(out, "\r\n");
			column = 0;
			i++;
			continue;
		}
		/* Room for a soft line break is left, as nobody knows yet whether one comes. */
		if (column + (plain ? 1 : 3) > QUOTED_LINE_MAX - 1) {
			mw_text_add(out, "=\r\n");
			column = 0;
		}
		if (plain)
			mw_text_add_octets(out, &ch, 1);
		else
			mw_text_addf(out, "=%02X", ch);
		column += plain ? 1 : 3;
	}
	if (column > 0)
		mw_text_add(out, "=\r\n");
}

/* ------------------------------------------------------------------ fields */

static struct mw_octets trimmed(struct mw_octets o)
{
	while (o.n > 0 && (o.p[0] == ' ' || o.p[0] == '\t'))
		o = mw_octets_of(o.p + 1, o.n - 1);
	while (o.n > 0 && strchr(" \t\r\n", o.p[o.n - 1]) != NULL)
		o.n--;
	return o;
}

void notice_add_field(struct mw_text *out, const char *name, struct mw_octets value, bool utf8)
{
	struct mw_text line = { 0 };

	value = trimmed(value);
	notice_add_line(&line, value, false, FIELD_VALUE_MAX);
	if (line.n > 0 && hook_field_name(name, strlen(name)))
		(void)hook_field_print(name, line.p, line.n, utf8, out);
	out->failed = out->failed || line.failed;
	mw_text_fini(&line);
}

/* The name as encoded words, which have no place in quotes (RFC 2047 section 5, rule 3). */
static void add_encoded(struct mw_text *out, const char *name, const char *value, const char *at)
{
	struct mw_text phrase = { 0 }, field = { 0 };

	for (const char *p = value; p < at; p++)
		if (*p != '"' && *p != '\\')
			mw_text_add_octets(&phrase, p, 1);
	notice_add_field(&field, "x", mw_octets_of(phrase.p, phrase.n), false);
	if (field.n > 5) {
		mw_text_addf(out, "%s: %.*s ", name, (int)field.n - 5, field.p + 3);
		notice_add_line(out, mw_octets_of_text(at), true, FIELD_VALUE_MAX);
		mw_text_add(out, "\r\n");
	}
	out->failed = out->failed || phrase.failed || field.failed;
	mw_text_fini(&phrase);
	mw_text_fini(&field);
}

void notice_add_mailbox(struct mw_text *out, const char *name, const char *value, bool utf8)
{
	struct mw_text line = { 0 };
	const char *at;

	notice_add_line(&line, mw_octets_of_text(value), false, FIELD_VALUE_MAX);
	at = line.n > 0 ? strrchr(line.p, '<') : NULL;
	if (utf8 || at == NULL || mw_is_printable(line.p, (size_t)(at - line.p)))
		notice_add_field(out, name, mw_octets_of(line.p, line.n), utf8);
	else
		add_encoded(out, name, line.p, at);
	out->failed = out->failed || line.failed;
	mw_text_fini(&line);
}

/* ------------------------------------------------------------------ xtext */

static int hex(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* \x{20AC}, RFC 6533 section 3: its octets in UTF-8. False: it is none. */
static bool add_embedded(struct mw_text *out, const char **p_p)
{
	const char *p = *p_p + 3;
	uint32_t c = 0;
	char o[MW_UTF8_MOST];
	size_t n = 0;

	while (hex(*p) >= 0 && n++ < 6)
		c = c << 4 | (uint32_t)hex(*p++);
	if (*p != '}' || n == 0 || c < 0x20 || (n = mw_utf8_write(o, c)) == 0)
		return false;
	mw_text_add_octets(out, o, n);
	*p_p = p + 1;
	return true;
}

bool notice_add_xtext(struct mw_text *out, const char *xtext)
{
	size_t from = out->n;

	for (const char *p = xtext; *p != '\0';) {
		if (*p == '+' && hex(p[1]) >= 0 && hex(p[2]) >= 0) {
			unsigned char ch = (unsigned char)(hex(p[1]) << 4 | hex(p[2]));

			if (ch < 0x20 || ch == 0x7f)
				return false;
			mw_text_add_octets(out, &ch, 1);
			p += 3;
		} else if (strncmp(p, "\\x{", 3) == 0) {
			if (!add_embedded(out, &p))
				return false;
		} else if ((unsigned char)*p < 0x21 || *p == 0x7f || *p == '+') {
			return false;
		} else {
			mw_text_add_octets(out, p++, 1);
		}
	}
	return out->n > from;
}
