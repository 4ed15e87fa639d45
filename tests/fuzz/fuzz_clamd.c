/* fuzz: common services/scanner */
/* A clamd's replies in pieces: the first octet says how long they are, the second how many files
 * wait. Nobody is answered twice, and no text leaves that is not printable. */
#include <stdlib.h>

#include "av_clamd.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void judge(struct clamd_session *s, const struct clamd_reply *r)
{
	unsigned before = s->waiting;
	size_t file = SIZE_MAX;

	if (!mw_is_printable(r->text, strlen(r->text)))
		abort();
	if (clamd_answered(s, r->id, &file) != (s->waiting + 1 == before) ||
		clamd_answered(s, r->id, &file))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct clamd_reader reader = { 0 };
	struct clamd_session s = { 0 };
	struct clamd_reply r = { 0 };
	size_t piece = size > 0 ? (size_t)data[0] + 1 : 1, files = size > 1 ? data[1] : 0;
	int rc = 0;

	while (files-- > 0 && clamd_may_ask(&s))
		clamd_asked(&s, files);
	for (size_t i = 2; i < size && rc >= 0; i += piece) {
		struct mw_octets in = mw_octets_of(data + i, size - i < piece ? size - i : piece);

		while ((rc = clamd_read(&reader, &in, &r)) > 0)
			judge(&s, &r);
		if (rc == 0 && in.n != 0)
			abort();
	}
	if (rc < 0 && !mw_is_printable(r.text, strlen(r.text)))
		abort();
	return 0;
}
