#include "decode.h"

#define BLANK 64
#define PAD 65
#define JUNK 66
#define URL 67 /* `-` and `_`: base64's in URLs, junk elsewhere */

static unsigned char base64_value(unsigned char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	if (c == '+' || c == '/')
		return c == '+' ? 62 : 63;
	if (c == '-' || c == '_')
		return URL;
	if (c == ' ' || c == '\t' || c == '\r' || c == '\n')
		return BLANK;
	return c == '=' ? PAD : JUNK;
}

/* The value of each character where it stands in its group of four; what is none has a bit beyond
 * the group's 24. */
#define NONE 0x80000000u
static struct tables {
	unsigned char value[256];
	uint32_t at[4][256];
} tables;

static const struct tables *base64_tables(void)
{
	static bool made;

	for (unsigned i = 0; !made && i < 256; i++) {
		unsigned v = base64_value((unsigned char)i);

		tables.value[i] = (unsigned char)v;
		for (unsigned k = 0; k < 4; k++)
			tables.at[k][i] = v < 64 ? v << (18 - 6 * k) : NONE;
	}
	made = true;
	return &tables;
}

/* Groups of four at p that are all base64's: decoded, and how many octets that were. */
static size_t base64_groups(const unsigned char *p, const unsigned char *end, unsigned char *o)
{
	const struct tables *t = &tables;
	const unsigned char *from = p;

	for (; end - p >= 4; p += 4, o += 3) {
		uint32_t v = t->at[0][p[0]] | t->at[1][p[1]] | t->at[2][p[2]] | t->at[3][p[3]];

		if (v >= NONE)
			break;
		o[0] = (unsigned char)(v >> 16);
		o[1] = (unsigned char)(v >> 8);
		o[2] = (unsigned char)v;
	}
	return (size_t)(p - from);
}

/* What is left of a group of four when padding or the end comes: 2 characters are one octet, 3 are
 * two. */
static size_t base64_flush(uint32_t bits, unsigned have, unsigned char *out)
{
	if (have < 2)
		return 0;
	bits <<= 6 * (4 - have);
	out[0] = (unsigned char)(bits >> 16);
	if (have == 3)
		out[1] = (unsigned char)(bits >> 8);
	return have - 1;
}

struct base64 {
	unsigned ways, saw;
	bool padded; /* there was padding */
	uint32_t bits;
	unsigned have;
};

/* One character that is not base64's. False: decoding ends with it. */
static bool base64_odd(struct base64 *b, unsigned v, const unsigned char *p,
	const unsigned char *end, unsigned char **o_p)
{
	if (v == BLANK) {
		if ((*p == ' ' || *p == '\t') && end - p > 1 && (b->saw != 0 || b->padded) &&
			tables.value[p[1]] != BLANK)
			b->saw |= MIME_SAW_PROSE;
		return true;
	}
	if (v != PAD) {
		b->saw |= MIME_SAW_JUNK | (v == URL ? MIME_SAW_URL : 0);
		return (b->ways & MIME_STOP_AT_JUNK) == 0;
	}
	b->padded = true;
	if ((b->ways & MIME_JOIN_PADDING) != 0)
		return true;
	*o_p += base64_flush(b->bits, b->have, *o_p);
	b->bits = b->have = 0;
	return (b->ways & MIME_STOP_AT_PADDING) == 0;
}

size_t mime_decode_base64(struct mw_octets body, unsigned ways, unsigned char *out, unsigned *saw_r)
{
	const struct tables *t = base64_tables();
	const unsigned char *p = body.p, *end = body.p + body.n;
	struct base64 b = { .ways = ways };
	unsigned char *o = out;

	while (p < end) {
		unsigned v;

		if (b.have == 0) {
			size_t n = base64_groups(p, end, o);

			if (n > 0 && b.padded)
				b.saw |= MIME_SAW_PADDING;
			p += n;
			o += n / 4 * 3;
			if (p == end)
				break;
		}
		v = t->value[*p];
		if (v == URL && (ways & MIME_URL_ALPHABET) != 0)
			v = *p == '-' ? 62 : 63;
		if (v >= BLANK) {
			if (!base64_odd(&b, v, p, end, &o))
				break;
			p++;
			continue;
		}
		p++;
		if (b.padded)
			b.saw |= MIME_SAW_PADDING;
		b.bits = b.bits << 6 | v;
		if (++b.have == 4) {
			o[0] = (unsigned char)(b.bits >> 16);
			o[1] = (unsigned char)(b.bits >> 8);
			o[2] = (unsigned char)b.bits;
			o += 3;
			b.bits = b.have = 0;
		}
	}
	o += base64_flush(b.bits, b.have, o);
	*saw_r = b.saw;
	return (size_t)(o - out);
}

#define LINE_MIN 40 /* characters of base64 that fill a line, as no word does */

/* Hardly anything else but base64's characters, or lines of them. */
bool mime_looks_base64(struct mw_octets text)
{
	const struct tables *t = base64_tables();
	size_t good = 0, odd = 0, run = 0, dashes = 0; /* which make rules, too */
	bool line = true;			       /* nothing else was on it */

	for (size_t i = 0; i < text.n; i++) {
		unsigned v = t->value[text.p[i]];

		if (v < BLANK || v == URL) {
			good += v < BLANK;
			run++;
			dashes += v == URL;
			continue;
		}
		if (line && run >= LINE_MIN + 2 * dashes &&
			(v == PAD || text.p[i] == '\r' || text.p[i] == '\n'))
			return true;
		run = dashes = 0;
		line = text.p[i] == '\r' || text.p[i] == '\n';
		odd += v == JUNK || text.p[i] == ' ' || text.p[i] == '\t';
	}
	return (line && run >= LINE_MIN + 2 * dashes) || (good >= 8 && odd * 20 <= good);
}

static int hex_value(unsigned char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return -1;
}

/* Length of a soft line break at p: "=", blanks, CRLF or LF or the end; 0: none. */
static size_t soft_break(const unsigned char *p, const unsigned char *end)
{
	const unsigned char *q = p + 1;

	while (q < end && (*q == ' ' || *q == '\t'))
		q++;
	if (q == end)
		return (size_t)(q - p);
	if (*q == '\r' && q + 1 < end && q[1] == '\n')
		return (size_t)(q + 2 - p);
	return *q == '\n' ? (size_t)(q + 1 - p) : 0;
}

static size_t decode_quoted(struct mw_octets in, unsigned char *out)
{
	const unsigned char *p = in.p, *end = in.p + in.n;
	unsigned char *o = out;

	while (p < end) {
		const unsigned char *eq = memchr(p, '=', (size_t)(end - p));
		size_t plain = (size_t)((eq != NULL ? eq : end) - p), soft;
		int high, low;

		memcpy(o, p, plain);
		o += plain;
		p += plain;
		if (eq == NULL)
			break;
		soft = soft_break(p, end);
		if (soft != 0) {
			p += soft;
			continue;
		}
		high = end - p > 2 ? hex_value(p[1]) : -1;
		low = high >= 0 ? hex_value(p[2]) : -1;
		if (low >= 0) {
			*o++ = (unsigned char)(high << 4 | low);
			p += 3;
		} else {
			*o++ = *p++;
		}
	}
	return (size_t)(o - out);
}

#define QUOTED_ENOUGH                                                                              \
	3 /* octets in a text that are no accident; of a URL's `?id=12` one is soon there */

/* In quoted-printable every `=` begins an octet or ends a line; of a rule (`=====`) none does. */
bool mime_looks_quoted(struct mw_octets text, bool *sure_r)
{
	const unsigned char *p = text.p, *end = text.p + text.n;
	size_t octets = 0, breaks = 0, others = 0;
	bool maybe = false;

	while (p < end && (p = memchr(p, '=', (size_t)(end - p))) != NULL) {
		bool octet = end - p > 2 && hex_value(p[1]) >= 0 && hex_value(p[2]) >= 0;
		bool line = soft_break(p, end) != 0;

		maybe = maybe || octet || line;
		octets += octet;
		if (line && p > text.p && p[-1] != '=')
			breaks++;
		else
			others += !octet;
		p++;
	}
	*sure_r = (breaks > 0 || octets >= QUOTED_ENOUGH) && 4 * others <= octets + breaks;
	return maybe;
}

size_t mime_decode(enum mime_encoding encoding, struct mw_octets body, unsigned char *out)
{
	unsigned saw;

	switch (encoding) {
	case MIME_BASE64:
		return mime_decode_base64(body, 0, out, &saw);
	case MIME_QUOTED:
		return decode_quoted(body, out);
	case MIME_IDENTITY:
	case MIME_OTHER:
		break;
	}
	if (body.n != 0)
		memcpy(out, body.p, body.n);
	return body.n;
}
