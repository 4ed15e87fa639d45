/* fuzz: common services/scanner/cage */
/* A whole message: both readings, every leaf decoded. Entities lie within the message, decoding
 * never grows. */
#include <stdlib.h>

#include "decode.h"
#include "mime.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct mime parser;

static void read_once(struct mw_octets message, enum mime_reading reading)
{
	const struct mime_limits limits = { 14, 200 };
	struct mime_entity e;

	mime_open(&parser, message, &limits, reading);
	while (mime_next(&parser, &e)) {
		unsigned char *out = malloc(e.body.n + 1);

		if (e.body.p < message.p || e.body.p + e.body.n > message.p + message.n ||
			e.depth > limits.depth)
			abort();
		if (out == NULL || mime_decode(e.encoding, e.body, out) > e.body.n)
			abort();
		mime_has_uuencode(e.body);
		free(out);
	}
	if (parser.parts > limits.parts)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	unsigned char *exact =
		malloc(size != 0 ? size : 1); /* so that reading one octet too many is seen */

	memcpy(exact, data, size);
	for (int reading = 0; reading < MIME_READINGS; reading++)
		read_once(mw_octets_of(exact, size), (enum mime_reading)reading);
	free(exact);
	return 0;
}
