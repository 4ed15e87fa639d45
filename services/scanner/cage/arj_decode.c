/*
 * ARJ's two kinds of compression: methods 1 to 3 are LZ77 with blocks of Huffman codes, as lha's
 * -lh6- with tables of other sizes; method 4 has codes that never change. Every table is built from
 * lengths in the octets, so each is checked before it is used.
 */
#include "arj.h"

#define CHUNK ((size_t)64 * 1024) /* octets between two questions to the budget */
#define CHARS 256
#define THRESHOLD 3    /* shortest match */
#define MATCH_MOST 256 /* longest match */
#define CODES (CHARS + MATCH_MOST - THRESHOLD + 1)
#define DISTANCES 17
#define LENGTHS 19
#define CODE_BITS_MOST 16
#define CODES_BITS 9
#define DISTANCES_BITS 5
#define LENGTHS_BITS 5

/* ------------------------------------------------------------------ bits, the highest first */

struct bits {
	const unsigned char *p, *end;
	uint32_t held;
	unsigned count, lacking; /* lacking: octets that were asked for beyond the end */
};

static uint32_t peek(struct bits *b, unsigned n)
{
	while (b->count < n) {
		if (b->p < b->end)
			b->held = b->held << 8 | *b->p++;
		else {
			b->held <<= 8;
			b->lacking++;
		}
		b->count += 8;
	}
	return n == 0 ? 0 : b->held >> (b->count - n) & ((1u << n) - 1);
}

static void drop(struct bits *b, unsigned n)
{
	b->count -= n;
}

static uint32_t take(struct bits *b, unsigned n)
{
	uint32_t v = peek(b, n);

	drop(b, n);
	return v;
}

/* More was read than a code may look ahead. */
static bool ran_out(const struct bits *b)
{
	return b->lacking > 4 || (b->lacking * 8 > b->count);
}

/* ------------------------------------------------------------------ Huffman codes */

/* Canonical: by length, then by symbol. One symbol alone takes no bits at all. */
struct codes {
	uint16_t count[CODE_BITS_MOST + 1]; /* of each length */
	uint16_t symbol[CODES];		    /* in the order of their codes */
	bool single;
};

/* False: the lengths are no code, or leave bits that mean nothing. */
static bool codes_build(struct codes *c, const unsigned char *length, unsigned n)
{
	uint16_t at[CODE_BITS_MOST + 2] = { 0 };
	uint32_t used = 0;

	memset(c, 0, sizeof(*c));
	for (unsigned i = 0; i < n; i++)
		c->count[length[i]]++;
	c->count[0] = 0;
	for (unsigned l = 1; l <= CODE_BITS_MOST; l++) {
		used += (uint32_t)c->count[l] << (CODE_BITS_MOST - l);
		at[l + 1] = (uint16_t)(at[l] + c->count[l]);
	}
	for (unsigned i = 0; i < n; i++)
		if (length[i] != 0)
			c->symbol[at[length[i]]++] = (uint16_t)i;
	return used == 1u << CODE_BITS_MOST;
}

static void codes_single(struct codes *c, unsigned symbol)
{
	c->single = true;
	c->symbol[0] = (uint16_t)symbol;
}

/* A symbol; the codes are complete, so every sequence of bits is one. */
static unsigned codes_take(const struct codes *c, struct bits *b)
{
	uint32_t bits = peek(b, CODE_BITS_MOST), code = 0, first = 0, index = 0;

	if (c->single)
		return c->symbol[0];
	for (unsigned l = 1; l <= CODE_BITS_MOST; l++) {
		code |= bits >> (CODE_BITS_MOST - l) & 1;
		if (code - first < c->count[l]) {
			drop(b, l);
			return c->symbol[index + code - first];
		}
		index += c->count[l];
		first = (first + c->count[l]) << 1;
		code <<= 1;
	}
	return c->symbol[0]; /* not reached: the codes are complete */
}

/* ------------------------------------------------------------------ methods 1 to 3 */

struct huffman {
	struct bits b;
	struct codes chars, distances, lengths;
	unsigned left; /* symbols of the block at hand */
};

/* Lengths of the codes of lengths, or of distances: three bits each, then one for each more. */
static bool read_small(struct huffman *h, struct codes *c, unsigned most, unsigned bits, int gap)
{
	unsigned char length[LENGTHS] = { 0 };
	unsigned n = take(&h->b, bits), i = 0;

	if (n == 0) {
		n = take(&h->b, bits);
		codes_single(c, n);
		return n < most;
	}
	if (n > most)
		return false;
	while (i < n) {
		unsigned l = take(&h->b, 3);

		if (l == 7)
			while (l <= CODE_BITS_MOST && take(&h->b, 1) == 1)
				l++;
		if (l > CODE_BITS_MOST)
			return false;
		length[i++] = (unsigned char)l;
		if ((int)i == gap)
			for (unsigned skip = take(&h->b, 2); skip > 0 && i < most; skip--)
				length[i++] = 0;
	}
	return codes_build(c, length, most);
}

/* Lengths of the codes of octets and matches, themselves in the codes of lengths. */
static bool read_chars(struct huffman *h)
{
	unsigned char length[CODES] = { 0 };
	unsigned n = take(&h->b, CODES_BITS), i = 0;

	if (n == 0) {
		n = take(&h->b, CODES_BITS);
		codes_single(&h->chars, n);
		return n < CODES;
	}
	if (n > CODES)
		return false;
	while (i < n && !ran_out(&h->b)) {
		unsigned l = codes_take(&h->lengths, &h->b);

		if (l <= 2) /* a run of codes that do not occur */
			i += l == 0   ? 1
			     : l == 1 ? take(&h->b, 4) + 3
				      : take(&h->b, CODES_BITS) + 20;
		else
			length[i++] = (unsigned char)(l - 2);
	}
	return i <= CODES && codes_build(&h->chars, length, CODES);
}

static bool next_block(struct huffman *h)
{
	h->left = take(&h->b, 16);
	h->chars.single = h->distances.single = h->lengths.single = false;
	return h->left > 0 && read_small(h, &h->lengths, LENGTHS, LENGTHS_BITS, 3) &&
	       read_chars(h) && read_small(h, &h->distances, DISTANCES, DISTANCES_BITS, -1);
}

/* One symbol: an octet, or a match. False: damaged. */
static bool take_huffman(struct huffman *h, unsigned *length_r, unsigned *value_r)
{
	unsigned c, d;

	if (h->left == 0 && !next_block(h))
		return false;
	h->left--;
	c = codes_take(&h->chars, &h->b);
	*length_r = 0;
	*value_r = c;
	if (c < CHARS)
		return true;
	*length_r = c - CHARS + THRESHOLD;
	d = codes_take(&h->distances, &h->b);
	*value_r = d == 0 ? 0 : (1u << (d - 1)) + take(&h->b, d - 1);
	return true;
}

/* ------------------------------------------------------------------ method 4 */

/* As many ones as say how wide the number is, from `least` bits to `most`. */
static unsigned take_stepped(struct bits *b, unsigned least, unsigned most)
{
	unsigned plus = 0, width = least;

	while (width < most && take(b, 1) == 1)
		plus += 1u << width++;
	return plus + take(b, width);
}

static void take_fastest(struct bits *b, unsigned *length_r, unsigned *value_r)
{
	unsigned n = take_stepped(b, 0, 7);

	*length_r = n == 0 ? 0 : n - 1 + THRESHOLD;
	*value_r = n == 0 ? take(b, 8) : take_stepped(b, 9, 13);
}

/* ------------------------------------------------------------------ the window is what came out */

/* False: it points before the beginning. */
static bool copy_match(struct grow *g, size_t n, size_t distance)
{
	if (distance >= g->n)
		return false;
	for (; n > 0; n--, g->n++)
		g->p[g->n] = g->p[g->n - distance - 1];
	return true;
}

/* Room for one more chunk, paid for. */
static enum container_end more_room(
	struct budget *budget, struct grow *g, uint64_t size, size_t *to)
{
	size_t chunk = size - g->n < CHUNK ? (size_t)(size - g->n) : CHUNK;

	if (!budget_octets(budget, chunk) || !budget_time(budget))
		return CONTAINER_CUT;
	*to = g->n + chunk;
	/* The last match may go a little beyond what is paid for. */
	return grow_room(g, *to + MATCH_MOST + THRESHOLD) ? CONTAINER_WHOLE : CONTAINER_NO_MEMORY;
}

enum container_end arj_decode(unsigned method, struct mw_octets packed, uint64_t size,
	struct budget *budget, struct grow *g)
{
	struct huffman h = { .b = { packed.p, packed.p + packed.n, 0, 0, 0 } };
	size_t to = 0;

	g->n = 0;
	if (method < ARJ_MOST || method > ARJ_FASTEST)
		return CONTAINER_BROKEN;
	while (g->n < size) {
		unsigned length = 0, value = 0;
		enum container_end end;

		if (g->n >= to && (end = more_room(budget, g, size, &to)) != CONTAINER_WHOLE)
			return end;
		if (method == ARJ_FASTEST)
			take_fastest(&h.b, &length, &value);
		else if (!take_huffman(&h, &length, &value))
			return CONTAINER_BROKEN;
		if (ran_out(&h.b))
			return CONTAINER_BROKEN;
		if (length == 0)
			g->p[g->n++] = (unsigned char)value;
		else if (!copy_match(g, length, value))
			return CONTAINER_BROKEN;
	}
	g->n = (size_t)size;
	return CONTAINER_WHOLE;
}
