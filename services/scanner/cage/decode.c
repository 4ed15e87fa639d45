#include "decode.h"

#define SKIP 64
#define PAD 65

static unsigned char base64_value(unsigned char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	if (c == '+')
		return 62;
	if (c == '/')
		return 63;
	return c == '=' ? PAD : SKIP;
}

static const unsigned char *base64_table(void)
{
	static unsigned char table[256];
	static bool made;

	for (unsigned i = 0; !made && i < sizeof(table); i++)
		table[i] = base64_value((unsigned char)i);
	made = true;
	return table;
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

static size_t decode_base64(struct mw_octets in, unsigned char *out)
{
	const unsigned char *table = base64_table();
	unsigned char *o = out;
	uint32_t bits = 0;
	unsigned have = 0;

	for (size_t i = 0; i < in.n; i++) {
		unsigned char v = table[in.p[i]];

		if (v == SKIP)
			continue;
		if (v == PAD) { /* what follows is another text: some readers stop here, some go on
				 */
			o += base64_flush(bits, have, o);
			bits = have = 0;
			continue;
		}
		bits = bits << 6 | v;
		if (++have == 4) {
			o[0] = (unsigned char)(bits >> 16);
			o[1] = (unsigned char)(bits >> 8);
			o[2] = (unsigned char)bits;
			o += 3;
			bits = have = 0;
		}
	}
	o += base64_flush(bits, have, o);
	return (size_t)(o - out);
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

size_t mime_decode(enum mime_encoding encoding, struct mw_octets body, unsigned char *out)
{
	switch (encoding) {
	case MIME_BASE64:
		return decode_base64(body, out);
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

/* A marker counts at the start of a line only. */
static bool line_starts_with(struct mw_octets text, const char *marker, size_t n)
{
	const unsigned char *p = text.p, *end = text.p + text.n;

	while (p != NULL && (size_t)(end - p) >= n) {
		p = memmem(p, (size_t)(end - p), marker, n);
		if (p == NULL)
			return false;
		if (p == text.p || p[-1] == '\n')
			return true;
		p++;
	}
	return false;
}

bool mime_has_uuencode(struct mw_octets text)
{
	return line_starts_with(text, "begin ", 6) || line_starts_with(text, "begin-base64 ", 13) ||
	       line_starts_with(text, "=ybegin ", 8);
}
