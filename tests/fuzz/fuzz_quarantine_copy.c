/* fuzz: common */
/* A file of the quarantine that somebody may have written over: what is read of it lies in it, and
 * the envelope ends before the original begins. */
#include <stdlib.h>

#include "quarantine_copy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool promise)
{
	if (!promise)
		abort();
}

static void lies_in(struct mw_octets o, const unsigned char *p, size_t n)
{
	require(o.p >= p && o.p + o.n <= p + n);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct mw_octets value;
	struct mw_quarantine_copy c;

	if (!mw_quarantine_copy_read(mw_octets_of(data, size), &c))
		return 0;
	require(c.envelope < c.original && c.original <= size);
	lies_in(c.id, data, c.original);
	lies_in(c.sender, data, c.envelope);
	for (int blocked = 0; blocked < 2; blocked++)
		for (size_t at = 0; mw_quarantine_copy_rcpt(&c, blocked != 0, &at, &value);)
			lies_in(value, data, c.envelope);
	return 0;
}
