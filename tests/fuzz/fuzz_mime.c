/* fuzz: common services/scanner/cage */
/*
 * A whole message in the likeliest reading, and with every question that it puts answered the other
 * way, alone and all at once; every leaf decoded in every way. Entities lie within the message,
 * decoding never grows, the number of entities is bounded, and a decoded multipart is opened again.
 */
#include <stdlib.h>

#include "decode.h"
#include "mime.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct mime parser, inner;
static const struct mime_limits limits = { 14, 200 };

static void read_entities(struct mime *m, struct mw_octets message, bool deeper);

static void decode_all(const struct mime_entity *e, bool deeper)
{
	unsigned char *out = malloc(e->body.n + 1);
	unsigned saw;
	bool sure;
	size_t n;

	if (out == NULL)
		abort();
	for (unsigned ways = 0; ways < 16; ways++)
		if (mime_decode_base64(e->body, ways, out, &saw) > e->body.n)
			abort();
	n = mime_decode(e->encoding, e->body, out);
	if (n > e->body.n)
		abort();
	if (deeper && e->boundary[0] != '\0' &&
		mime_open_body(&inner, mw_octets_of(out, n), e, &limits, 0))
		read_entities(&inner, mw_octets_of(out, n), false);
	mime_looks_base64(e->body);
	mime_looks_quoted(e->body, &sure);
	free(out);
}

static void read_entities(struct mime *m, struct mw_octets message, bool deeper)
{
	struct mime_entity e;
	size_t outside = 0;

	while (mime_next(m, &e)) {
		if (e.body.p < message.p || e.body.p + e.body.n > message.p + message.n ||
			e.depth > limits.depth || (e.outside && !e.leaf) ||
			strlen(e.path) >= MIME_PATH_MAX)
			abort();
		outside += e.outside;
		decode_all(&e, deeper);
	}
	if (m->parts > limits.parts || outside > m->parts)
		abort();
}

static unsigned read_once(struct mw_octets message, unsigned choices)
{
	mime_open(&parser, message, &limits, choices);
	read_entities(&parser, message, true);
	if ((parser.choices_met >> MIME_CHOICES) != 0)
		abort();
	return parser.choices_met;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	unsigned char *exact =
		malloc(size != 0 ? size : 1); /* so that reading one octet too many is seen */
	struct mw_octets message = mw_octets_of(exact, size);
	unsigned met;

	memcpy(exact, data, size);
	met = read_once(message, 0);
	for (unsigned i = 0; i < MIME_CHOICES; i++)
		if ((met & MW_BIT(i)) != 0)
			read_once(message, MW_BIT(i));
	if (met != 0)
		read_once(message, MW_BIT(MIME_CHOICES) - 1);
	free(exact);
	return 0;
}
