/* The PROXY protocol, https://www.haproxy.org/download/2.9/doc/proxy-protocol.txt ("the spec"). */
#include "proxy_header.h"

#include <string.h>

#define V2_FIXED 16		/* signature, version and command, family, length */
#define V2_CRC32C 0x03		/* section 2.2.2: the type of the one field that we look into */
#define TLV_FIXED 3		/* its type and its length */
#define TCP4_OCTETS 12		/* two addresses, two ports */
#define TCP6_OCTETS 36		/* the same */
#define UNIX_OCTETS 216		/* two paths */
#define CRC32C_POLY 0x82f63b78u /* RFC 4960 appendix B, reflected */

static const unsigned char v1_start[6] = "PROXY ";
static const unsigned char v2_start[12] = "\r\n\r\n\0\r\nQUIT\n";

/* ------------------------------------------------------------------ version 1 */

/* The next word of a line, which one space parts from the one behind it. */
static bool next_word(struct mw_octets *line, struct mw_octets *word_r)
{
	const unsigned char *space = memchr(line->p, ' ', line->n);
	size_t n = space != NULL ? (size_t)(space - line->p) : line->n;

	*word_r = mw_octets_of(line->p, n);
	if (n == 0)
		return false;
	line->p += n;
	line->n -= n;
	if (space != NULL) {
		line->p++;
		line->n--;
	}
	return space == NULL || line->n > 0;
}

/* Only the plain form of the family that the line names: mw_ip_parse knows more of them. */
static bool read_ip(struct mw_octets word, bool v6, struct mw_ip *ip_r)
{
	static const char v4_letters[] = "0123456789.", v6_letters[] = "0123456789abcdefABCDEF:.";
	const char *letters = v6 ? v6_letters : v4_letters;
	bool colon = memchr(word.p, ':', word.n) != NULL;

	for (size_t i = 0; i < word.n; i++)
		if (word.p[i] == '\0' || strchr(letters, word.p[i]) == NULL)
			return false;
	return colon == v6 && mw_ip_parse_octets(word, ip_r);
}

/* "0" to "65535", without leading zeros (section 2.1). */
static bool read_port(struct mw_octets word, uint16_t *port_r)
{
	unsigned long port = 0;

	if (word.n == 0 || word.n > 5 || (word.n > 1 && word.p[0] == '0'))
		return false;
	for (size_t i = 0; i < word.n; i++) {
		if (word.p[i] < '0' || word.p[i] > '9')
			return false;
		port = port * 10 + (unsigned long)(word.p[i] - '0');
	}
	*port_r = (uint16_t)port;
	return port <= UINT16_MAX;
}

static bool word_is(struct mw_octets word, const char *s)
{
	return word.n == strlen(s) && memcmp(word.p, s, word.n) == 0;
}

/* Whatever else stands there is to be passed over (section 2.1). */
static bool is_unknown(struct mw_octets line)
{
	static const char word[] = "UNKNOWN";
	const size_t n = sizeof(word) - 1;

	return line.n >= n && memcmp(line.p, word, n) == 0 && (line.n == n || line.p[n] == ' ');
}

/* The line behind "PROXY ", without its CRLF. */
static int read_line(struct mw_octets line, struct proxy_header *h, const char **why_r)
{
	struct mw_octets family, client, local, client_port, local_port;
	bool v6;

	*why_r = "a PROXY line is TCP4, TCP6 or UNKNOWN";
	if (!next_word(&line, &family))
		return -1;
	v6 = word_is(family, "TCP6");
	if (!v6 && !word_is(family, "TCP4"))
		return -1;
	*why_r = "a PROXY line has two addresses and two ports";
	if (!next_word(&line, &client) || !next_word(&line, &local) ||
		!next_word(&line, &client_port) || !next_word(&line, &local_port) || line.n != 0)
		return -1;
	*why_r = "an address of the PROXY line is none of its family";
	if (!read_ip(client, v6, &h->client) || !read_ip(local, v6, &h->local))
		return -1;
	*why_r = "a port of the PROXY line is not 0 to 65535";
	if (!read_port(client_port, &h->client_port) || !read_port(local_port, &h->local_port))
		return -1;
	h->has_client = true;
	return 1;
}

static int read_v1(const unsigned char *p, size_t n, struct proxy_header *h, size_t *used_r,
	const char **why_r)
{
	const unsigned char *lf =
		memchr(p, '\n', n < PROXY_HEADER_V1_MAX ? n : PROXY_HEADER_V1_MAX);
	const size_t skip = sizeof(v1_start);

	h->version = 1;
	if (lf == NULL) {
		*why_r = "a PROXY line has at most 107 octets";
		return n < PROXY_HEADER_V1_MAX ? 0 : -1;
	}
	*why_r = "a PROXY line ends with CRLF and has no other control characters";
	if (lf == p || lf[-1] != '\r' || (size_t)(lf - p) < skip + 1)
		return -1;
	*used_r = (size_t)(lf + 1 - p);
	if (is_unknown(mw_octets_of(p + skip, (size_t)(lf - 1 - p) - skip)))
		return 1;
	for (const unsigned char *c = p; c < lf - 1; c++)
		if (*c < ' ' || *c > '~')
			return -1;
	return read_line(mw_octets_of(p + skip, (size_t)(lf - 1 - p) - skip), h, why_r);
}

/* ------------------------------------------------------------------ version 2 */

static uint16_t two(const unsigned char *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static struct mw_ip v4_at(const unsigned char *p)
{
	struct mw_ip ip = { { [10] = 0xff, [11] = 0xff } };

	memcpy(ip.a + 12, p, 4);
	return ip;
}

static uint32_t crc32c(uint32_t crc, const unsigned char *p, size_t n)
{
	while (n-- > 0) {
		crc ^= *p++;
		for (unsigned bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (CRC32C_POLY & (0u - (crc & 1)));
	}
	return crc;
}

/* The sum is made with its own four octets as zeros (section 2.2.2). */
static bool sum_is_right(const unsigned char *p, size_t n, const unsigned char *sum)
{
	static const unsigned char zeros[4];
	uint32_t crc = crc32c(0xffffffffu, p, (size_t)(sum - p));

	crc = crc32c(crc, zeros, sizeof(zeros));
	crc = ~crc32c(crc, sum + 4, n - (size_t)(sum + 4 - p));
	return crc ==
	       ((uint32_t)sum[0] << 24 | (uint32_t)sum[1] << 16 | (uint32_t)sum[2] << 8 | sum[3]);
}

/* Fields behind the addresses, of a header of n octets: whole ones, and with the right sum. */
static int read_fields(const unsigned char *p, size_t n, size_t at, const char **why_r)
{
	while (at < n) {
		size_t octets;

		*why_r = "a field of the PROXY header is cut";
		if (n - at < TLV_FIXED)
			return -1;
		octets = two(p + at + 1);
		if (octets > n - at - TLV_FIXED)
			return -1;
		*why_r = "the PROXY header's CRC32c is wrong";
		if (p[at] == V2_CRC32C && (octets != 4 || !sum_is_right(p, n, p + at + TLV_FIXED)))
			return -1;
		at += TLV_FIXED + octets;
	}
	return 1;
}

/* What stands behind the fixed part, by family and protocol (section 2.2). */
static int read_addresses(
	const unsigned char *p, size_t n, struct proxy_header *h, const char **why_r)
{
	const unsigned char *a = p + V2_FIXED;
	size_t octets;

	switch (p[13]) {
	case 0x00: /* UNSPEC: what follows is not looked at */
		return 1;
	case 0x11:
		octets = TCP4_OCTETS;
		break;
	case 0x21:
		octets = TCP6_OCTETS;
		break;
	case 0x31:
		octets = UNIX_OCTETS;
		break;
	default:
		*why_r = "the PROXY header's family is not TCP over IPv4 or IPv6, or a Unix stream";
		return -1;
	}
	*why_r = "the PROXY header is too short for its addresses";
	if (n < V2_FIXED + octets)
		return -1;
	if (octets == TCP4_OCTETS) {
		h->client = v4_at(a);
		h->local = v4_at(a + 4);
	} else if (octets == TCP6_OCTETS) {
		memcpy(h->client.a, a, 16);
		memcpy(h->local.a, a + 16, 16);
	}
	h->has_client = octets != UNIX_OCTETS;
	if (h->has_client) {
		h->client_port = two(a + octets - 4);
		h->local_port = two(a + octets - 2);
	}
	return read_fields(p, n, V2_FIXED + octets, why_r);
}

static int read_v2(const unsigned char *p, size_t n, struct proxy_header *h, size_t *used_r,
	const char **why_r)
{
	size_t whole;

	h->version = 2;
	if (n > 12 && p[12] != 0x20 && p[12] != 0x21) {
		*why_r = "the PROXY header's version is not 2, or its command neither LOCAL nor "
			 "PROXY";
		return -1;
	}
	if (n < V2_FIXED)
		return 0;
	whole = V2_FIXED + two(p + 14);
	if (whole > PROXY_HEADER_MAX) {
		*why_r = "the PROXY header has more than 4096 octets";
		return -1;
	}
	if (n < whole)
		return 0;
	*used_r = whole;
	h->own = p[12] == 0x20;
	if (h->own)
		return 1; /* addresses and fields are to be skipped */
	return read_addresses(p, whole, h, why_r);
}

/* ------------------------------------------------------------------ both */

static bool begins_like(const unsigned char *p, size_t n, const unsigned char *start, size_t size)
{
	return memcmp(p, start, n < size ? n : size) == 0;
}

int proxy_header_read(const unsigned char *p, size_t n, struct proxy_header *h_r, size_t *used_r,
	const char **why_r)
{
	struct proxy_header h = { 0 };
	size_t used = 0;
	int end;

	if (n == 0)
		return 0;
	if (begins_like(p, n, v2_start, sizeof(v2_start))) {
		end = n < sizeof(v2_start) ? 0 : read_v2(p, n, &h, &used, why_r);
	} else if (begins_like(p, n, v1_start, sizeof(v1_start))) {
		end = n < sizeof(v1_start) ? 0 : read_v1(p, n, &h, &used, why_r);
	} else {
		*why_r = "no PROXY header";
		end = -1;
	}
	if (end > 0) {
		*h_r = h;
		*used_r = used;
	}
	return end;
}
