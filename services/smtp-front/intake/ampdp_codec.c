#include "ampdp_codec.h"

#include <stdlib.h>

#define FIRST_OCTETS 256

/* ------------------------------------------------------------------ reading */

static int hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)(c | 0x20);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* In place, terminated. False: a % that begins no %hh, or a NUL in either form. */
static bool decode(char *p, size_t n)
{
	size_t out = 0;

	for (size_t i = 0; i < n; i++) {
		char c = p[i];

		if (c == '%') {
			int high = n - i > 2 ? hex(p[i + 1]) : -1;
			int low = n - i > 2 ? hex(p[i + 2]) : -1;

			if (high < 0 || low < 0)
				return false;
			c = (char)(high << 4 | low);
			i += 2;
		}
		if (c == '\0')
			return false;
		p[out++] = c;
	}
	p[out] = '\0';
	return true;
}

/* One line without its end, of which line[n] may be written over. */
static const char *take_line(char *line, size_t n, ampdp_take *take, void *arg)
{
	size_t name_n = 0, value;

	while (name_n < n && line[name_n] != '=' && line[name_n] != ':')
		name_n++;
	value = name_n;
	if (value < n && line[value++] == ':')
		while (value < n && (line[value] == ' ' || line[value] == '\t'))
			value++;
	/* The value first: the name's terminator may stand where it begins. */
	if (!decode(line + value, n - value))
		return "a value holds a NUL, or a % that is not followed by two hexadecimal digits";
	if (value == name_n) /* no separator: both ends are the same, and so is the terminator */
		return decode(line, name_n) ? take(arg, line, "") : "a name holds a NUL or a bad %";
	if (!decode(line, name_n))
		return "a name holds a NUL, or a % that is not followed by two hexadecimal digits";
	return take(arg, line, line + value);
}

/* Keep the beginning of a line. False: no memory. */
static bool hold(struct ampdp_reader *r, const char *p, size_t n)
{
	if (r->n + n + 1 > r->cap) {
		size_t cap = r->cap != 0 ? r->cap : FIRST_OCTETS;
		char *line;

		while (cap < r->n + n + 1)
			cap *= 2;
		line = realloc(r->line, cap);
		if (line == NULL)
			return false;
		r->line = line;
		r->cap = cap;
	}
	if (n > 0)
		memcpy(r->line + r->n, p, n);
	r->n += n;
	return true;
}

/* The line in r is whole, its LF taken off. As ampdp_feed's result. */
static int end_line(struct ampdp_reader *r, ampdp_take *take, void *arg, const char **why_r)
{
	size_t n = r->n;

	r->n = 0;
	if (n > 0 && r->line[n - 1] == '\r')
		n--;
	if (n == 0)
		return 1;
	if (++r->lines > AMPDP_LINES_MAX) {
		*why_r = "too many attributes";
		return -1;
	}
	*why_r = take_line(r->line, n, take, arg);
	return *why_r != NULL ? -1 : 0;
}

int ampdp_feed(struct ampdp_reader *r, const char *p, size_t n, size_t *used_r, ampdp_take *take,
	void *arg, const char **why_r)
{
	size_t at = 0;

	*why_r = NULL;
	*used_r = n;
	while (at < n) {
		const char *lf = memchr(p + at, '\n', n - at);
		size_t len = lf != NULL ? (size_t)(lf - p) - at : n - at;
		int end;

		r->octets += len + (lf != NULL);
		if (r->n + len > AMPDP_LINE_MAX)
			*why_r = "a line is too long";
		else if (r->octets > AMPDP_REQUEST_MAX)
			*why_r = "the request is too long";
		else if (!hold(r, p + at, len))
			*why_r = "out of memory";
		if (*why_r != NULL)
			return -1;
		at += len + (lf != NULL);
		if (lf == NULL)
			break;
		end = end_line(r, take, arg, why_r);
		if (end != 0) {
			*used_r = at;
			r->octets = r->lines = 0;
			return end;
		}
	}
	return 0;
}

bool ampdp_reader_is_inside(const struct ampdp_reader *r)
{
	return r->octets > 0;
}

void ampdp_reader_fini(struct ampdp_reader *r)
{
	free(r->line);
	*r = (struct ampdp_reader){ 0 };
}

/* ------------------------------------------------------------------ writing */

/* Octets 33 to 126 but for % stand as they are; names are ours and need nothing. */
static void put_encoded(struct mw_text *out, struct mw_octets o)
{
	static const char digits[] = "0123456789ABCDEF";
	size_t from = 0;

	for (size_t i = 0; i < o.n; i++) {
		unsigned char c = o.p[i];
		char coded[3] = { '%', digits[c >> 4], digits[c & 15] };

		if (c > 32 && c < 127 && c != '%')
			continue;
		mw_text_add_octets(out, o.p + from, i - from);
		mw_text_add_octets(out, coded, sizeof(coded));
		from = i + 1;
	}
	if (o.n > from)
		mw_text_add_octets(out, o.p + from, o.n - from);
}

void ampdp_put(struct mw_text *out, const char *name, const struct mw_octets *fields, size_t count)
{
	mw_text_add(out, name);
	for (size_t i = 0; i < count; i++) {
		mw_text_add(out, i == 0 ? "=" : " ");
		put_encoded(out, fields[i]);
	}
	mw_text_add(out, "\r\n");
}

void ampdp_put_text(struct mw_text *out, const char *name, const char *value)
{
	struct mw_octets field = mw_octets_of_text(value);

	ampdp_put(out, name, &field, 1);
}

void ampdp_put_end(struct mw_text *out)
{
	mw_text_add(out, "\r\n");
}
