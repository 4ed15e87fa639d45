/* fuzz: common services/smtp-front */
/* The octets after DATA, cut where the first octets say: the same octets, end and flags as in one
 * piece, and what comes out, dot-stuffed again, is what went in. */
#include <stdlib.h>

#include "intake/smtp_data.h"

#define CUTS 4 /* octets of input that say where to cut */
#define MOST 65536

struct taken {
	unsigned char octets[MOST];
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

static void feed(struct taken *k, const uint8_t *p, size_t n, const uint8_t *cuts)
{
	k->n = k->used = 0;
	k->end = 0;
	smtp_data_init(&k->d);
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

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct taken whole, cut;

	if (size < CUTS || size > MOST)
		return 0;
	feed(&whole, data + CUTS, size - CUTS, NULL);
	feed(&cut, data + CUTS, size - CUTS, data);
	require(whole.end == cut.end && whole.used == cut.used && whole.n == cut.n);
	require(memcmp(whole.octets, cut.octets, whole.n) == 0);
	require(whole.d.bare_lf == cut.d.bare_lf && whole.d.dots == cut.d.dots);
	if (whole.end == 1)
		look_at(&whole, data + CUTS);
	return 0;
}
