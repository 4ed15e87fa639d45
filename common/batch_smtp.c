#include "batch_smtp.h"

#include <strings.h>

static bool begins(struct mw_octets o, const char *with)
{
	size_t n = strlen(with);

	return o.n >= n && strncasecmp((const char *)o.p, with, n) == 0;
}

bool mw_batch_begins(struct mw_octets file)
{
	return begins(file, "EHLO ") || begins(file, "HELO ") || begins(file, "LHLO ");
}

void mw_batch_fini(struct mw_batch *b)
{
	mw_text_fini(&b->line);
	mw_text_fini(&b->sender);
	mw_text_fini(&b->rcpts);
}

/* ------------------------------------------------------------------ commands */

/* "<...>" behind the colon, brackets included; a quoted local part may have > in it. */
static bool path_of(struct mw_octets line, struct mw_octets *path_r)
{
	const unsigned char *open = memchr(line.p, '<', line.n);
	bool quoted = false, pair = false;

	for (const unsigned char *p = open; p != NULL && p < line.p + line.n; p++) {
		if (*p < 0x20 || *p == 0x7f)
			return false;
		if (pair || (*p == '\\' && quoted))
			pair = !pair; /* the second octet is one of the path like any other */
		else if (*p == '"')
			quoted = !quoted;
		else if (*p == '>' && !quoted) {
			*path_r = mw_octets_of(open, (size_t)(p - open) + 1);
			return true;
		}
	}
	return false;
}

static bool take_path(struct mw_octets line, struct mw_text *list, bool only)
{
	struct mw_octets path;

	if (!path_of(line, &path) || (only && list->n > 0))
		return false;
	if (list->n > 0)
		mw_text_add(list, ",\r\n ");
	mw_text_add_octets(list, path.p, path.n);
	return !list->failed;
}

/* A mail without an envelope is none. */
static bool begin_mail(struct mw_batch *b, struct mw_text *out)
{
	b->in_mail = b->sender.n > 0 && b->rcpts.n > 0;
	if (b->in_mail)
		mw_text_addf(out, "X-Envelope-From: %s\r\nX-Envelope-To: %s\r\n", b->sender.p,
			b->rcpts.p);
	return b->in_mail;
}

static bool take_command(struct mw_batch *b, struct mw_octets line, struct mw_text *out)
{
	if (mw_batch_begins(line))
		return true;
	if (begins(line, "MAIL FROM:"))
		return take_path(line, &b->sender, true);
	if (begins(line, "RCPT TO:"))
		return take_path(line, &b->rcpts, false);
	return mw_octets_ieq(line, "DATA") && begin_mail(b, out);
}

/* Up to the end of a line, or of what there is. */
static bool take_commands(struct mw_batch *b, struct mw_octets *in, struct mw_text *out)
{
	const unsigned char *lf = memchr(in->p, '\n', in->n);
	size_t n = lf != NULL ? (size_t)(lf - in->p) : in->n;
	struct mw_octets line;
	bool ok;

	b->octets += n;
	if (b->line.n + n > MW_BATCH_LINE_MAX || b->octets > MW_BATCH_COMMANDS_OCTETS_MAX)
		return false;
	mw_text_add_octets(&b->line, in->p, n);
	n += lf != NULL;
	*in = mw_octets_of(in->p + n, in->n - n);
	if (b->line.failed)
		return false;
	if (lf == NULL)
		return true;
	line = mw_octets_of(b->line.p != NULL ? b->line.p : "", b->line.n);
	if (line.n > 0 && line.p[line.n - 1] == '\r')
		line.n--;
	ok = take_command(b, line, out);
	mw_text_clear(&b->line);
	return ok;
}

/* ------------------------------------------------------------------ the mail */

/* A line that began with a dot: the dot goes, and alone it is the end. False: more is wanted. */
static bool behind_dot(struct mw_batch *b, struct mw_octets *in, struct mw_text *out)
{
	bool cr = !b->dot_cr && *in->p == '\r';

	if (*in->p == '\n') {
		b->over = true;
		return false;
	}
	if (cr) {
		b->dot_cr = true;
		*in = mw_octets_of(in->p + 1, in->n - 1);
		return in->n > 0;
	}
	if (b->dot_cr)
		mw_text_add(out, "\r");
	b->dot = b->dot_cr = false;
	return true;
}

static void take_line(struct mw_batch *b, struct mw_octets *in, struct mw_text *out)
{
	const unsigned char *lf;
	size_t n;

	if (!b->inside && !b->dot && *in->p == '.') {
		b->inside = b->dot = true;
		*in = mw_octets_of(in->p + 1, in->n - 1);
		return;
	}
	if (b->dot && !behind_dot(b, in, out))
		return;
	if (b->dot)
		return;
	lf = memchr(in->p, '\n', in->n);
	n = lf != NULL ? (size_t)(lf - in->p) + 1 : in->n;
	mw_text_add_octets(out, in->p, n);
	b->inside = lf == NULL;
	*in = mw_octets_of(in->p + n, in->n - n);
}

int mw_batch_feed(struct mw_batch *b, struct mw_octets in, struct mw_text *out)
{
	while (in.n > 0 && !b->over && !out->failed) {
		if (b->in_mail)
			take_line(b, &in, out);
		else if (!take_commands(b, &in, out))
			return -1;
	}
	return out->failed ? -1 : b->over;
}
