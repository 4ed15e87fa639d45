/* fuzz: common */
/* Batch SMTP in two pieces is what it is whole; it never grows beyond what went in and two names.
 */
#include <stdlib.h>

#include "batch_smtp.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool promise)
{
	if (!promise)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t cut = size > 0 ? data[0] % size : 0;
	struct mw_batch whole = { 0 }, parts = { 0 };
	struct mw_text a = { 0 }, b = { 0 };
	int once = mw_batch_feed(&whole, mw_octets_of(data, size), &a);
	int twice = mw_batch_feed(&parts, mw_octets_of(data, cut), &b);

	if (twice == 0)
		twice = mw_batch_feed(&parts, mw_octets_of(data + cut, size - cut), &b);
	require(once == twice);
	require(a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0));
	require(a.n <= 4 * size + 64);
	mw_batch_fini(&whole);
	mw_batch_fini(&parts);
	mw_text_fini(&a);
	mw_text_fini(&b);
	return 0;
}
