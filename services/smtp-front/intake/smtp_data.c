#include "smtp_data.h"

enum {
	AT_START,     /* at the start of a line */
	IN_LINE,      /* somewhere in it */
	AFTER_CR,     /* a CR was the last octet */
	AFTER_LF,     /* a bare LF was */
	AFTER_DOT,    /* a dot at the start of a line, held back */
	AFTER_DOT_CR, /* that dot and a CR, held back */
};

void smtp_data_init(struct smtp_data *d)
{
	*d = (struct smtp_data){ .state = AT_START };
}

/* CRs in p..p+n that no LF follows; whether the last octet's is one is not known yet. */
static bool has_bare_cr(const unsigned char *p, size_t n)
{
	const unsigned char *end = p + n, *cr = p;

	while ((cr = memchr(cr, '\r', (size_t)(end - cr))) != NULL && ++cr < end)
		if (*cr != '\n')
			return true;
	return false;
}

/*
 * Runs through whole lines by memchr and stops in front of an octet that matters: a dot at the
 * start of a line, a bare LF to be made a CRLF, or the end of what is there. Returns how far it
 * got; state is the state behind it.
 */
static size_t run_lines(struct smtp_data *d, const unsigned char *p, size_t n)
{
	size_t at = 0;

	while (at < n) {
		const unsigned char *lf;

		if (p[at] == '.' && d->state == AT_START && !d->chunks)
			return at;
		if (p[at] == '.' && d->state == AFTER_LF && d->normalise && !d->chunks)
			return at;
		if (p[at] == '.' && (d->state == AT_START || d->state == AFTER_LF))
			d->dots = true;
		if (d->state == AFTER_CR && p[at] == '\n') {
			d->state = AT_START;
			at++;
			continue;
		}
		d->odd |= d->state == AFTER_CR;
		lf = memchr(p + at, '\n', n - at);
		if (lf == NULL) {
			d->state = p[n - 1] == '\r' ? AFTER_CR : IN_LINE;
			return n;
		}
		/* The octet before the LF: in this run, or the one before it (then state says it
		 * was no CR). */
		if (lf > p + at && lf[-1] == '\r') {
			d->state = AT_START;
		} else {
			d->bare_lf = true;
			if (d->normalise) {
				if (lf > p + at)
					d->state = IN_LINE;
				return (size_t)(lf - p);
			}
			d->state = AFTER_LF;
		}
		at = (size_t)(lf - p) + 1;
	}
	return at;
}

/* A run of octets that are kept as they are; the dot or the bare LF behind it, if it stopped there,
 * is the caller's. */
static size_t take_run(struct smtp_data *d, const unsigned char *p, size_t n,
	smtp_data_keep_fn *keep, void *arg, enum mw_rc *rc_r)
{
	size_t run = run_lines(d, p, n);

	if (run == 0)
		return 0;
	if (!d->odd)
		d->odd = memchr(p, '\0', run) != NULL || has_bare_cr(p, run);
	*rc_r = keep(arg, p, run);
	return run;
}

/* What stopped a run: a dot at the start of a line, or a bare LF that becomes CRLF. */
static void take_stop(
	struct smtp_data *d, unsigned char c, smtp_data_keep_fn *keep, void *arg, enum mw_rc *rc_r)
{
	if (c == '\n') {
		d->state = AFTER_LF;
		*rc_r = keep(arg, (const unsigned char *)"\r\n", 2);
	} else if (d->state == AFTER_LF) {
		d->dots = true; /* off, as behind CRLF; but the end it cannot be */
		d->state = IN_LINE;
	} else {
		d->state = AFTER_DOT;
	}
}

int smtp_data_feed(struct smtp_data *d, const unsigned char *p, size_t n, size_t *used_r,
	smtp_data_keep_fn *keep, void *arg, enum mw_rc *rc_r)
{
	size_t at = 0, run;

	*rc_r = MW_OK;
	while (at < n && *rc_r == MW_OK) {
		switch (d->state) {
		case AFTER_DOT:
			if (p[at] == '\r') {
				d->state = AFTER_DOT_CR;
				at++;
			} else {
				d->dots = true; /* the dot goes, the rest of its line is text */
				d->state = IN_LINE;
			}
			break;
		case AFTER_DOT_CR:
			if (p[at] == '\n') {
				*used_r = at + 1;
				return 1;
			}
			d->dots = true;
			d->state = AFTER_CR; /* the CR was text */
			*rc_r = keep(arg, (const unsigned char *)"\r", 1);
			break;
		default:
			run = take_run(d, p + at, n - at, keep, arg, rc_r);
			at += run;
			if (at < n && *rc_r == MW_OK)
				take_stop(d, p[at++], keep, arg, rc_r);
			break;
		}
	}
	*used_r = at;
	return *rc_r == MW_OK ? 0 : -1;
}

enum mw_rc smtp_data_last(struct smtp_data *d, size_t size, smtp_data_keep_fn *keep, void *arg)
{
	if (size == 0 || d->state == AT_START || (d->state == AFTER_LF && d->normalise))
		return MW_OK;
	d->odd |= d->state == AFTER_CR;
	d->state = AT_START;
	return keep(arg, (const unsigned char *)"\r\n", 2);
}

bool smtp_data_hides_dot(struct mw_octets mail)
{
	unsigned dots = 0;
	bool other = false, safe = false; /* safe: the segment begins with a dot behind an LF */

	for (size_t i = 0; i < mail.n; i++) {
		unsigned char c = mail.p[i];

		if (c == '\r' || c == '\n') {
			if (dots == 1 && !other && !safe)
				return true;
			dots = 0;
			other = false;
			safe = i + 1 < mail.n && mail.p[i + 1] == '.' && c == '\n';
		} else if (c == '.') {
			safe |= i == 0;
			dots++;
		} else {
			other |= c != '\0';
		}
	}
	return false;
}
