/* fuzz: common services/scanner */
/* An ICAP server's response in pieces: the first octet says how long they are. */
#include <stdlib.h>

#include "av_icap.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct icap_reader r;
	size_t piece = size > 0 ? (size_t)data[0] + 1 : 1;
	const char *why = NULL;
	uint64_t body = 0;
	int rc = 0;

	icap_begin(&r);
	for (size_t i = 1; i < size && rc == 0; i += piece) {
		struct mw_octets in = mw_octets_of(data + i, size - i < piece ? size - i : piece),
				 got;

		while ((rc = icap_take(&r, &in, &got, &why)) == 2)
			body += got.n;
		if (rc == 0 && in.n != 0)
			abort();
	}
	if ((rc < 0) != (why != NULL) || body != r.body_octets || r.status > 999 ||
		(rc == 1 && r.status == 0) || !mw_is_printable(r.name, strlen(r.name)))
		abort();
	return 0;
}
