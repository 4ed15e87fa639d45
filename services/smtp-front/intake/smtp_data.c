#include "smtp_data.h"

enum {
	AT_START,    /* at the start of a line */
	IN_LINE,     /* somewhere in it */
	AFTER_CR,    /* a CR was the last octet */
	AFTER_DOT,   /* a dot at the start of a line, held back */
	AFTER_DOT_CR /* that dot and a CR, held back */
};

void smtp_data_init(struct smtp_data *d)
{
	*d = (struct smtp_data){ .state = AT_START };
}

/*
 * Runs through whole lines by memchr and stops in front of an octet that matters at the start of a
 * line: a dot, or the end of what is there. Returns how far it got; *state_r is the state behind
 * it.
 */
static size_t run_lines(struct smtp_data *d, const unsigned char *p, size_t n)
{
	size_t at = 0;

	while (at < n) {
		const unsigned char *lf;

		if (d->state == AT_START && p[at] == '.')
			return at;
		if (d->state == AFTER_CR && p[at] == '\n') {
			d->state = AT_START;
			at++;
			continue;
		}
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
			d->state = IN_LINE;
		}
		at = (size_t)(lf - p) + 1;
	}
	return at;
}

int smtp_data_feed(struct smtp_data *d, const unsigned char *p, size_t n, size_t *used_r,
	enum mw_rc (*keep)(void *arg, const unsigned char *p, size_t n), void *arg,
	enum mw_rc *rc_r)
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
			if (d->state == AT_START && p[at] == '.') {
				d->state = AFTER_DOT;
				at++;
				break;
			}
			run = run_lines(d, p + at, n - at);
			*rc_r = keep(arg, p + at, run);
			at += run;
			break;
		}
	}
	*used_r = at;
	return *rc_r == MW_OK ? 0 : -1;
}
