/* A mail's octets on their way to the next hop: dots doubled without a copy, a window at a time. */
#include "smtp_client.h"

/* The next run of octets up to a line that begins with a dot. All pieces begin at the start of a
 * line. */
static size_t run_to_dot(const unsigned char *p, size_t n, bool at_start)
{
	size_t at = 0;

	if (at_start && n > 0 && p[0] == '.')
		return 0;
	while (at < n) {
		const unsigned char *lf = memchr(p + at, '\n', n - at);

		if (lf == NULL)
			return n;
		at = (size_t)(lf - p) + 1;
		if (at < n && p[at] == '.')
			return at;
	}
	return n;
}

static uv_buf_t buf_of(const void *p, size_t n)
{
	return uv_buf_init((char *)(uintptr_t)p, (unsigned)n);
}

/*
 * Octets handed over at a time. delivery.data_timeout is for each of these, so a slow hop needs no
 * more of it for a larger mail; and the final dot is not in anybody's hands before the last.
 */
#define BODY_WINDOW (1u << 20)

unsigned client_octets(struct client *c, uv_buf_t *bufs, unsigned max)
{
	const struct delivery_mail *m = c->run->mail;
	size_t window = BODY_WINDOW;
	unsigned n = 0;

	while (n + 2 < max && window > 0 && c->piece < m->piece_count) {
		struct mw_octets o = m->pieces[c->piece];
		const unsigned char *p = o.p + c->piece_at;
		size_t left = o.n - c->piece_at, take = left;

		if (m->dots && left > 0) {
			bool start = c->piece_at == 0 || p[-1] == '\n';

			if (start && p[0] == '.') {
				bufs[n++] = buf_of(".", 1); /* RFC 5321 section 4.5.2 */
				take = 1 + run_to_dot(p + 1, left - 1, false);
			} else {
				take = run_to_dot(p, left, false);
			}
		}
		if (take > window)
			take = window;
		window -= take;
		if (take > 0)
			bufs[n++] = buf_of(p, take);
		c->piece_at += take;
		if (c->piece_at == o.n) {
			c->piece++;
			c->piece_at = 0;
		}
	}
	if (c->piece == m->piece_count) {
		bufs[n++] = buf_of(".\r\n", 3);
		c->dot_written = true;
	}
	return n;
}
