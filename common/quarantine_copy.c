#include "quarantine_copy.h"

#include <strings.h>

/* A field's name, its value without blanks around it, and the offset behind it. */
struct field {
	struct mw_octets name, value;
	size_t first_line, end; /* behind its first line; behind its folds */
};

static size_t line_end(struct mw_octets o, size_t at)
{
	const unsigned char *lf = at < o.n ? memchr(o.p + at, '\n', o.n - at) : NULL;

	return lf != NULL ? (size_t)(lf - o.p) + 1 : o.n;
}

/* False: no field begins there. */
static bool field_at(struct mw_octets o, size_t at, struct field *f_r)
{
	size_t end = line_end(o, at), value;
	const unsigned char *colon = at < end ? memchr(o.p + at, ':', end - at) : NULL;

	if (colon == NULL)
		return false;
	f_r->name = mw_octets_of(o.p + at, (size_t)(colon - o.p) - at);
	f_r->first_line = end;
	f_r->end = end;
	while (f_r->end < o.n && (o.p[f_r->end] == ' ' || o.p[f_r->end] == '\t'))
		f_r->end = line_end(o, f_r->end);
	value = (size_t)(colon - o.p) + 1;
	while (value < end && o.p[value] <= ' ')
		value++;
	while (end > value && o.p[end - 1] <= ' ')
		end--;
	f_r->value = mw_octets_of(o.p + value, end - value);
	return true;
}

/* Of a field, from anywhere in it. */
static size_t fold_end(struct mw_octets o, size_t at)
{
	at = line_end(o, at);
	while (at < o.n && (o.p[at] == ' ' || o.p[at] == '\t'))
		at = line_end(o, at);
	return at;
}

/* The next of a list, "<a@x>,\r\n <\"b, c\"@y>", with its brackets; *at is behind it, or the end.
 */
static bool next_address(struct mw_octets o, size_t *at, size_t end, struct mw_octets *value_r)
{
	bool quoted = false, bracket = false;
	size_t from = *at, n;

	while (from < end && (o.p[from] <= ' ' || o.p[from] == ','))
		from++;
	for (n = from; n < end && (quoted || bracket || o.p[n] != ',') && o.p[n] != '\n'; n++) {
		if (o.p[n] == '\\' && quoted && n + 1 < end)
			n++;
		else if (o.p[n] == '"')
			quoted = !quoted;
		else if (!quoted && o.p[n] == '<')
			bracket = true;
		else if (!quoted && o.p[n] == '>')
			bracket = false;
	}
	*at = n < end ? n : end;
	while (n > from && o.p[n - 1] <= ' ')
		n--;
	*value_r = mw_octets_of(o.p + from, n - from);
	if (n == from)
		*at = end;
	else if (*at < end && o.p[*at] == '\n') /* a line that ends within an address */
		*at = n;
	return n > from;
}

static bool begins(struct mw_octets name, const char *with)
{
	size_t n = strlen(with);

	return name.n >= n && strncasecmp((const char *)name.p, with, n) == 0;
}

static bool is_envelope(struct mw_octets name)
{
	static const char *const names[] = { "Return-Path", "Delivered-To", "X-Envelope-From",
		"X-Envelope-To", "X-Envelope-To-Blocked" };

	for (size_t i = 0; i < MW_COUNT(names); i++)
		if (mw_octets_ieq(name, names[i]))
			return true;
	return false;
}

static struct mw_octets without_brackets(struct mw_octets o)
{
	if (o.n >= 2 && o.p[0] == '<' && o.p[o.n - 1] == '>')
		return mw_octets_of(o.p + 1, o.n - 2);
	return o;
}

/*
 * What was found stands between the envelope and the original. An alert is one line: what looks
 * like its fold is the original's first line (see edit_guard).
 */
static size_t skip_findings(struct mw_octets file, size_t at)
{
	struct field f;

	while (field_at(file, at, &f)) {
		if (mw_octets_ieq(f.name, "X-Amavis-Alert"))
			at = f.first_line;
		else if (begins(f.name, "X-Amavis-") || begins(f.name, "X-Spam-"))
			at = f.end;
		else
			break;
		if (at < f.end)
			break;
	}
	return at;
}

bool mw_quarantine_copy_read(struct mw_octets file, struct mw_quarantine_copy *c_r)
{
	struct mw_quarantine_copy c = { .file = file };
	size_t at = 0;
	struct field f;

	while (field_at(file, at, &f) && is_envelope(f.name)) {
		if (mw_octets_ieq(f.name, "X-Envelope-From"))
			c.sender = f.value;
		at = f.end;
	}
	if (c.sender.p == NULL || !field_at(file, at, &f) ||
		!mw_octets_ieq(f.name, "X-Quarantine-ID"))
		return false;
	c.id = without_brackets(f.value);
	c.envelope = at;
	c.original = skip_findings(file, f.end);
	*c_r = c;
	return true;
}

bool mw_quarantine_copy_rcpt(
	const struct mw_quarantine_copy *c, bool blocked, size_t *at, struct mw_octets *value_r)
{
	const char *name = blocked ? "X-Envelope-To-Blocked" : "X-Envelope-To";
	struct field f;

	while (*at < c->envelope) {
		/* Behind an address, or a field's colon, the rest of its list comes. */
		if (*at > 0 && c->file.p[*at - 1] != '\n') {
			if (next_address(c->file, at, fold_end(c->file, *at), value_r))
				return true;
		} else if (!field_at(c->file, *at, &f)) {
			return false;
		} else {
			*at = mw_octets_ieq(f.name, name)
				      ? (size_t)(f.name.p - c->file.p) + f.name.n + 1
				      : f.end;
		}
	}
	return false;
}

bool mw_quarantine_copy_field(const struct mw_quarantine_copy *c, bool original, const char *name,
	size_t *at, struct mw_octets *value_r)
{
	struct mw_octets part = mw_octets_of(c->file.p, original ? c->file.n : c->original);
	struct field f;

	if (*at == 0)
		*at = original ? c->original : c->envelope;
	while (field_at(part, *at, &f)) {
		*at = f.end;
		if (!mw_octets_ieq(f.name, name))
			continue;
		*value_r = mw_octets_of(f.name.p + f.name.n + 1,
			(size_t)(part.p + f.end - f.name.p) - f.name.n - 1);
		return true;
	}
	return false;
}
