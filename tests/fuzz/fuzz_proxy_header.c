/* fuzz: common services/smtp-front */
/* The PROXY protocol's header, as a proxy or anybody else may send it: whole and in growing pieces
 * it is read alike, and never more than its limit is looked at. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "front.h"
#include "intake/proxy_header.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* main.c's, which is not linked here. */
void front_txn_over(struct front *f)
{
	(void)f;
}

/* Reads octets of its own, so that a step beyond them is seen. */
static int read_n(const uint8_t *data, size_t n, struct proxy_header *h, size_t *used)
{
	unsigned char *p = malloc(n > 0 ? n : 1);
	const char *why = NULL;
	int end;

	if (p == NULL)
		abort();
	memcpy(p, data, n);
	end = proxy_header_read(p, n, h, used, &why);
	assert(end >= 0 || (why != NULL && mw_is_printable(why, strlen(why))));
	free(p);
	return end;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct proxy_header whole = { 0 }, part = { 0 };
	size_t used = 0, used_of_part = 0;
	int end = read_n(data, size, &whole, &used), early = 0;

	assert(end <= 0 || (used > 0 && used <= size && used <= PROXY_HEADER_MAX));
	assert(end != 0 || size < PROXY_HEADER_MAX);
	for (size_t n = 0; n <= size && early == 0; n += n < 160 ? 1 : 61)
		early = read_n(data, n, &part, &used_of_part);
	/* Pieces decide the same, sooner or later; a refusal may come sooner, never a yes. */
	if (early > 0)
		assert(end > 0 && used == used_of_part && memcmp(&whole, &part, sizeof(part)) == 0);
	if (early < 0)
		assert(end < 0);
	return 0;
}
