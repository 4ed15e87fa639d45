#include "smtp_reply.h"

#include <ctype.h>
#include <stdio.h>

void smtp_reply_init(struct smtp_reply *r)
{
	r->code = 0;
	r->text[0] = '\0';
	r->text_n = 0;
	r->line_n = 0;
	r->lines = 0;
	r->reset = false;
}

static void keep_text(struct smtp_reply *r, const char *p, size_t n)
{
	if (r->lines > 1 && r->text_n < SMTP_REPLY_MAX)
		r->text[r->text_n++] = '\n';
	for (size_t i = 0; i < n && r->text_n < SMTP_REPLY_MAX; i++) {
		unsigned char c = (unsigned char)p[i];

		r->text[r->text_n++] = c >= 0x20 && c <= 0x7e ? (char)c : '?';
	}
	r->text[r->text_n] = '\0';
}

/* One line without its CRLF: 1 the last, 0 more follow, -1 not a reply. */
static int take_line(struct smtp_reply *r)
{
	const char *p = r->line;
	size_t n = r->line_n;
	unsigned code;

	if (n > 0 && p[n - 1] == '\r')
		n--;
	r->line_n = 0;
	if (n < 3 || p[0] < '2' || p[0] > '5' || !isdigit((unsigned char)p[1]) ||
		!isdigit((unsigned char)p[2]) || (n > 3 && p[3] != ' ' && p[3] != '-'))
		return -1;
	code = (unsigned)(p[0] - '0') * 100 + (unsigned)(p[1] - '0') * 10 + (unsigned)(p[2] - '0');
	if (r->lines > 0 && code != r->code)
		return -1;
	r->code = code;
	if (++r->lines > SMTP_REPLY_LINES_MAX)
		return -1;
	if (n > 4)
		keep_text(r, p + 4, n - 4);
	return n > 3 && p[3] == '-' ? 0 : 1;
}

int smtp_reply_feed(struct smtp_reply *r, const char *p, size_t n, size_t *used_r)
{
	if (r->reset)
		smtp_reply_init(r);
	for (size_t i = 0; i < n; i++) {
		int end;

		if (p[i] != '\n') {
			if (r->line_n == sizeof(r->line))
				return -1;
			r->line[r->line_n++] = p[i];
			continue;
		}
		end = take_line(r);
		if (end != 0) {
			*used_r = i + 1;
			r->reset = true;
			return end;
		}
	}
	*used_r = n;
	return 0;
}

/* One to three digits at p: how many; 0: none, or more. */
static size_t number(const char *p)
{
	size_t n = strspn(p, "0123456789");

	return n <= 3 ? n : 0;
}

const char *smtp_reply_enhanced(const struct smtp_reply *r, const char *dflt, char buf[16])
{
	const char *p = r->text;
	size_t b = 0, c = 0;

	if (p[0] == (char)('0' + r->code / 100) && p[1] == '.')
		b = number(p + 2);
	if (b > 0 && p[2 + b] == '.')
		c = number(p + 3 + b);
	if (c > 0 && (p[3 + b + c] == ' ' || p[3 + b + c] == '\n' || p[3 + b + c] == '\0'))
		snprintf(buf, 16, "%.*s", (int)(3 + b + c), p);
	else
		snprintf(buf, 16, "%u%s", r->code / 100, dflt);
	return buf;
}
