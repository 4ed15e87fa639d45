/* fuzz: common services/smtp-front */
/*
 * The octets after DATA or of BDAT's chunks, cut where the first octets say: the same octets, end
 * and flags as in one piece. What comes out, dot-stuffed again, is what went in; of chunks it is
 * what went in, and its last line has an end; made whole, no LF is bare.
 */
#include <stdlib.h>

#include "intake/smtp_data.h"

#define CUTS 4 /* octets of input that say where to cut; the first one's high bits say how */
#define NORMALISE 0x10
#define CHUNKS 0x20
#define MOST 65536

struct taken {
	unsigned char octets[2 * MOST + 2]; /* each LF may become two, and one more at the end */
	size_t n, used;
	int end;
	struct smtp_data d;
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool promise)
{
	if (!promise)
		abort();
}

static enum mw_rc keep(void *arg, const unsigned char *p, size_t n)
{
	struct taken *k = arg;

	require(n > 0 && k->n + n <= sizeof(k->octets));
	memcpy(k->octets + k->n, p, n);
	k->n += n;
	return MW_OK;
}

static void feed(struct taken *k, const uint8_t *p, size_t n, const uint8_t *cuts, unsigned how)
{
	k->n = k->used = 0;
	k->end = 0;
	smtp_data_init(&k->d);
	k->d.normalise = (how & NORMALISE) != 0;
	k->d.chunks = (how & CHUNKS) != 0;
	for (size_t at = 0, i = 0; at < n && k->end == 0; i++) {
		size_t len = cuts != NULL ? (size_t)cuts[i % CUTS] % 16 + 1 : n, used;
		enum mw_rc rc;

		len = len > n - at ? n - at : len;
		k->end = smtp_data_feed(&k->d, p + at, len, &used, keep, k, &rc);
		require(rc == MW_OK &&
			(k->end == 1 ? used > 0 && used <= len : k->end == 0 && used == len));
		at += used;
		k->used = at;
	}
	if (k->d.chunks)
		require(k->end == 0 && smtp_data_last(&k->d, k->n, keep, k) == MW_OK);
}

/* A mail that ended is whole lines; sent again with dots doubled it is what came, but for needless
 * stuffing. */
static void look_at(const struct taken *k, const uint8_t *p)
{
	size_t at = 0;
	bool start = true;

	require(k->used >= 3 && memcmp(p + k->used - 3, ".\r\n", 3) == 0);
	require(k->n == 0 || (k->n >= 2 && memcmp(k->octets + k->n - 2, "\r\n", 2) == 0));
	for (size_t i = 0; i < k->n; i++) {
		if (start && p[at] == '.') {
			require(k->d.dots);
			at++;
		}
		require(at < k->used && p[at++] == k->octets[i]);
		require(!start || k->octets[i] != '.' || k->d.dots);
		start = k->octets[i] == '\n' && i > 0 && k->octets[i - 1] == '\r';
		require(k->octets[i] != '\n' || start || k->d.bare_lf);
	}
	require(at + 3 == k->used);
}

/* Chunks: dots are text, and whatever ends them the mail ends with a line's end. */
static void look_at_chunks(const struct taken *k, const uint8_t *p, size_t n)
{
	bool whole = n == 0 || (n >= 2 && memcmp(p + n - 2, "\r\n", 2) == 0);

	require(k->used == n && k->n == n + (whole ? 0 : 2));
	require(n == 0 || memcmp(k->octets, p, n) == 0);
	require(whole || memcmp(k->octets + n, "\r\n", 2) == 0);
}

/* Made whole: every LF stands behind its CR, and no octet but those CRs, LFs and dots changed. */
static void look_at_normalised(const struct taken *k, const uint8_t *p)
{
	size_t at = 0;

	for (size_t i = 0; i < k->n; i++) {
		if (k->octets[i] == '\n')
			require(i > 0 && k->octets[i - 1] == '\r');
		while (at < k->used && p[at] != k->octets[i] && p[at] == '.')
			at++;
		if (at < k->used && p[at] == k->octets[i])
			at++;
		else
			require(k->d.bare_lf || k->d.chunks);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct taken whole, cut;
	unsigned how;

	if (size < CUTS || size > MOST)
		return 0;
	how = data[0];
	feed(&whole, data + CUTS, size - CUTS, NULL, how);
	feed(&cut, data + CUTS, size - CUTS, data, how);
	require(whole.end == cut.end && whole.used == cut.used && whole.n == cut.n);
	require(memcmp(whole.octets, cut.octets, whole.n) == 0);
	require(whole.d.bare_lf == cut.d.bare_lf && whole.d.dots == cut.d.dots &&
		whole.d.odd == cut.d.odd);
	if (whole.d.normalise)
		look_at_normalised(&whole, data + CUTS);
	else if (whole.d.chunks)
		look_at_chunks(&whole, data + CUTS, size - CUTS);
	else if (whole.end == 1)
		look_at(&whole, data + CUTS);
	return 0;
}
