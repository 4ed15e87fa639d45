#include "wire.h"

#include <msgpack.h>

#define NESTING_MAX 16 /* depth of a value that is skipped or borrowed raw */

/* ------------------------------------------------------------------ the cursor */

struct mw_cur mw_cur_of(const void *p, size_t n)
{
	return (struct mw_cur){ .p = p, .end = (const unsigned char *)p + n };
}

static bool refuse(struct mw_cur *c)
{
	c->failed = true;
	c->p = c->end;
	return false;
}

/* The next n octets, stepped over; NULL when they are not there. */
static const unsigned char *take(struct mw_cur *c, size_t n)
{
	const unsigned char *p = c->p;

	if (c->failed || (size_t)(c->end - p) < n) {
		refuse(c);
		return NULL;
	}
	c->p += n;
	return p;
}

static bool take_be(struct mw_cur *c, size_t n, uint64_t *v_r)
{
	const unsigned char *p = take(c, n);
	uint64_t v = 0;

	if (p == NULL)
		return false;
	for (size_t i = 0; i < n; i++)
		v = v << 8 | p[i];
	*v_r = v;
	return true;
}

enum shape { SH_NIL, SH_BOOL, SH_UINT, SH_INT, SH_FLOAT, SH_BYTES, SH_ARRAY, SH_MAP, SH_EXT };

/*
 * One msgpack head: its shape, and the number that goes with it (value, octets of a string, items
 * of an array, pairs of a map). The counts of arrays and maps are only claims, checked by the
 * callers against the octets left.
 */
struct head {
	enum shape shape;
	uint64_t n;
};

static bool take_head(struct mw_cur *c, struct head *h)
{
	/* For 0xc0..0xdf: shape and how many octets of number follow. */
	static const struct {
		unsigned char shape, width;
	} wide[32] = {
		[0x00] = { SH_NIL, 0 },
		[0x02] = { SH_BOOL, 0 },
		[0x03] = { SH_BOOL, 0 },
		[0x04] = { SH_BYTES, 1 },
		[0x05] = { SH_BYTES, 2 },
		[0x06] = { SH_BYTES, 4 },
		[0x07] = { SH_EXT, 1 },
		[0x08] = { SH_EXT, 2 },
		[0x09] = { SH_EXT, 4 },
		[0x0a] = { SH_FLOAT, 4 },
		[0x0b] = { SH_FLOAT, 8 },
		[0x0c] = { SH_UINT, 1 },
		[0x0d] = { SH_UINT, 2 },
		[0x0e] = { SH_UINT, 4 },
		[0x0f] = { SH_UINT, 8 },
		[0x10] = { SH_INT, 1 },
		[0x11] = { SH_INT, 2 },
		[0x12] = { SH_INT, 4 },
		[0x13] = { SH_INT, 8 },
		[0x19] = { SH_BYTES, 1 },
		[0x1a] = { SH_BYTES, 2 },
		[0x1b] = { SH_BYTES, 4 },
		[0x1c] = { SH_ARRAY, 2 },
		[0x1d] = { SH_ARRAY, 4 },
		[0x1e] = { SH_MAP, 2 },
		[0x1f] = { SH_MAP, 4 },
	};
	const unsigned char *p = take(c, 1);
	unsigned b, w;

	if (p == NULL)
		return false;
	b = *p;
	*h = (struct head){ SH_UINT, b };
	if (b < 0x80)
		return true;
	if (b >= 0xe0) {
		*h = (struct head){ SH_INT, (uint64_t)(int64_t)(int8_t)b };
		return true;
	}
	if (b < 0xc0) {
		h->shape = b < 0x90 ? SH_MAP : b < 0xa0 ? SH_ARRAY : SH_BYTES;
		h->n = b < 0xa0 ? b & 15 : b & 31;
		return true;
	}
	w = b - 0xc0;
	if (b == 0xc1 || (b >= 0xd4 && b <= 0xd8)) /* never used; fixext: not in our grammar */
		return refuse(c);
	h->shape = (enum shape)wide[w].shape;
	h->n = b & 1; /* the value of a bool */
	if (wide[w].width > 0 && !take_be(c, wide[w].width, &h->n))
		return false;
	if (h->shape == SH_INT && wide[w].width < 8) {
		unsigned shift = 64 - 8u * wide[w].width;

		h->n = (uint64_t)((int64_t)(h->n << shift) >> shift);
	}
	return true;
}

/* A claimed count is only believed when every item could be there with one octet each. */
static bool count_fits(struct mw_cur *c, uint64_t items, size_t each)
{
	return items <= (size_t)(c->end - c->p) / each || refuse(c);
}

bool mw_cur_array(struct mw_cur *c, size_t *items_r)
{
	struct head h;

	if (!take_head(c, &h))
		return false;
	if (h.shape != SH_ARRAY)
		return refuse(c);
	*items_r = (size_t)h.n;
	return count_fits(c, h.n, 1);
}

bool mw_cur_map(struct mw_cur *c, size_t *pairs_r)
{
	struct head h;

	if (!take_head(c, &h))
		return false;
	if (h.shape != SH_MAP)
		return refuse(c);
	*pairs_r = (size_t)h.n;
	return count_fits(c, h.n, 2);
}

bool mw_cur_uint(struct mw_cur *c, uint64_t most, uint64_t *v_r)
{
	struct head h;

	if (!take_head(c, &h))
		return false;
	if (h.shape != SH_UINT && !(h.shape == SH_INT && (int64_t)h.n >= 0))
		return refuse(c);
	if (h.n > most)
		return refuse(c);
	*v_r = h.n;
	return true;
}

bool mw_cur_int(struct mw_cur *c, int64_t *v_r)
{
	struct head h;

	if (!take_head(c, &h))
		return false;
	if (h.shape != SH_INT && !(h.shape == SH_UINT && h.n <= INT64_MAX))
		return refuse(c);
	*v_r = (int64_t)h.n;
	return true;
}

bool mw_cur_bool(struct mw_cur *c, bool *v_r)
{
	struct head h;

	if (!take_head(c, &h))
		return false;
	if (h.shape != SH_BOOL)
		return refuse(c);
	*v_r = h.n != 0;
	return true;
}

bool mw_cur_octets(struct mw_cur *c, size_t most, struct mw_octets *v_r)
{
	struct head h;
	const unsigned char *p;

	if (!take_head(c, &h))
		return false;
	if (h.shape != SH_BYTES || h.n > most)
		return refuse(c);
	p = take(c, (size_t)h.n);
	if (p == NULL)
		return false;
	*v_r = mw_octets_of(p, (size_t)h.n);
	return true;
}

bool mw_cur_text(struct mw_cur *c, char *buf, size_t size)
{
	struct mw_octets o;

	if (!mw_cur_octets(c, size - 1, &o))
		return false;
	if (!mw_is_printable(o.p, o.n))
		return refuse(c); /* a reason with a CRLF in it would speak SMTP in our name */
	mw_strncpy(buf, size, o.p, o.n);
	return true;
}

static bool skip_nested(struct mw_cur *c, uint64_t values, unsigned depth)
{
	struct head h;

	for (; values > 0; values--) {
		if (!take_head(c, &h))
			return false;
		switch (h.shape) {
		case SH_FLOAT:
			break; /* its octets are taken with the head */
		case SH_EXT:
			return refuse(c);
		case SH_BYTES:
			if (take(c, (size_t)h.n) == NULL)
				return false;
			break;
		case SH_ARRAY:
		case SH_MAP:
			if (depth == NESTING_MAX || !count_fits(c, h.n, h.shape == SH_MAP ? 2 : 1))
				return refuse(c);
			if (!skip_nested(c, h.shape == SH_MAP ? h.n * 2 : h.n, depth + 1))
				return false;
			break;
		default:
			break;
		}
	}
	return true;
}

bool mw_cur_skip(struct mw_cur *c, size_t values)
{
	return !c->failed && skip_nested(c, values, 0);
}

bool mw_cur_raw(struct mw_cur *c, struct mw_octets *v_r)
{
	const unsigned char *start = c->p;

	if (!mw_cur_skip(c, 1))
		return false;
	*v_r = mw_octets_of(start, (size_t)(c->p - start));
	return true;
}

bool mw_cur_raw_map(struct mw_cur *c, struct mw_octets *v_r)
{
	struct mw_cur peek = *c;
	size_t pairs;

	if (!mw_cur_map(&peek, &pairs))
		return refuse(c);
	return mw_cur_raw(c, v_r);
}

bool mw_cur_end(const struct mw_cur *c)
{
	return !c->failed && c->p == c->end;
}

bool mw_cur_key(struct mw_cur *c, struct mw_octets *key_r)
{
	return mw_cur_octets(c, 64, key_r);
}

bool mw_key_is(struct mw_octets key, const char *name)
{
	return key.n == strlen(name) && memcmp(key.p, name, key.n) == 0;
}

bool mw_map_find(struct mw_octets map, const char *name, struct mw_cur *value_r)
{
	struct mw_cur c = mw_cur_of(map.p, map.n);
	struct mw_octets key;
	size_t pairs;

	if (map.n == 0 || !mw_cur_map(&c, &pairs))
		return false;
	for (; pairs > 0; pairs--) {
		if (!mw_cur_key(&c, &key))
			return false;
		if (mw_key_is(key, name)) {
			*value_r = c;
			return true;
		}
		if (!mw_cur_skip(&c, 1))
			return false;
	}
	return false;
}

int64_t mw_map_int(struct mw_octets map, const char *name, int64_t dflt)
{
	struct mw_cur c;
	int64_t v;

	return mw_map_find(map, name, &c) && mw_cur_int(&c, &v) ? v : dflt;
}

bool mw_map_bool(struct mw_octets map, const char *name, bool dflt)
{
	struct mw_cur c;
	bool v;

	return mw_map_find(map, name, &c) && mw_cur_bool(&c, &v) ? v : dflt;
}

struct mw_octets mw_map_octets(struct mw_octets map, const char *name)
{
	struct mw_octets v = { NULL, 0 };
	struct mw_cur c;

	if (!mw_map_find(map, name, &c) || !mw_cur_octets(&c, SIZE_MAX, &v))
		return (struct mw_octets){ NULL, 0 };
	return v;
}

/* ------------------------------------------------------------------ writing, by msgpack-c's packer
 */

static int pack_write(void *data, const char *p, size_t n)
{
	mw_pack_raw(data, mw_octets_of(p, n));
	return 0; /* failure is kept in the buffer, asked once at the end */
}

void mw_pack_init(struct mw_pack *b)
{
	*b = (struct mw_pack){ 0 };
}

void mw_pack_fini(struct mw_pack *b)
{
	free(b->p);
	*b = (struct mw_pack){ 0 };
}

static bool pack_room(struct mw_pack *b, size_t n)
{
	size_t cap = b->cap != 0 ? b->cap : 512;
	unsigned char *p;

	if (b->failed)
		return false;
	if (b->cap - b->n >= n)
		return true;
	while (cap - b->n < n)
		cap *= 2;
	p = realloc(b->p, cap);
	if (p == NULL) {
		b->failed = true;
		return false;
	}
	b->p = p;
	b->cap = cap;
	return true;
}

void mw_pack_raw(struct mw_pack *b, struct mw_octets value)
{
	if (value.n == 0 || !pack_room(b, value.n))
		return;
	memcpy(b->p + b->n, value.p, value.n);
	b->n += value.n;
}

/* Nearly every value of a record is one octet, or has a length of one octet (msgpack's fix*
 * formats): the library's way there takes ten times as long. */
static void pack_octet(struct mw_pack *b, unsigned octet)
{
	if (pack_room(b, 1))
		b->p[b->n++] = (unsigned char)octet;
}

#define FIX_INT 0x80u	/* below */
#define FIX_MAP 0x80u	/* and the pairs, to 15 */
#define FIX_ARRAY 0x90u /* and the items, to 15 */
#define FIX_STR 0xa0u	/* and the octets, to 31 */
#define FALSE_OCTET 0xc2u

static msgpack_packer packer(struct mw_pack *b)
{
	msgpack_packer pk;

	msgpack_packer_init(&pk, b, pack_write);
	return pk;
}

void mw_pack_array(struct mw_pack *b, size_t items)
{
	msgpack_packer pk;

	if (items < 16) {
		pack_octet(b, FIX_ARRAY | (unsigned)items);
		return;
	}
	pk = packer(b);
	msgpack_pack_array(&pk, items);
}

void mw_pack_map(struct mw_pack *b, size_t pairs)
{
	msgpack_packer pk;

	if (pairs < 16) {
		pack_octet(b, FIX_MAP | (unsigned)pairs);
		return;
	}
	pk = packer(b);
	msgpack_pack_map(&pk, pairs);
}

void mw_pack_uint(struct mw_pack *b, uint64_t v)
{
	msgpack_packer pk;

	if (v < FIX_INT) {
		pack_octet(b, (unsigned)v);
		return;
	}
	pk = packer(b);
	msgpack_pack_uint64(&pk, v);
}

void mw_pack_int(struct mw_pack *b, int64_t v)
{
	msgpack_packer pk;

	if (v >= 0 && v < (int64_t)FIX_INT) {
		pack_octet(b, (unsigned)v);
		return;
	}
	pk = packer(b);
	msgpack_pack_int64(&pk, v);
}

void mw_pack_bool(struct mw_pack *b, bool v)
{
	pack_octet(b, FALSE_OCTET + v);
}

void mw_pack_nil(struct mw_pack *b)
{
	msgpack_packer pk = packer(b);

	msgpack_pack_nil(&pk);
}

void mw_pack_octets(struct mw_pack *b, struct mw_octets o)
{
	msgpack_packer pk;

	if (o.n < 32) {
		if (pack_room(b, 1 + o.n)) {
			b->p[b->n++] = (unsigned char)(FIX_STR | o.n);
			if (o.n > 0)
				memcpy(b->p + b->n, o.p, o.n);
			b->n += o.n;
		}
		return;
	}
	pk = packer(b);
	msgpack_pack_str(&pk, o.n);
	mw_pack_raw(b, o);
}

void mw_pack_bin(struct mw_pack *b, struct mw_octets o)
{
	msgpack_packer pk = packer(b);

	msgpack_pack_bin(&pk, o.n);
	mw_pack_raw(b, o);
}

void mw_pack_text(struct mw_pack *b, const char *s)
{
	mw_pack_octets(b, mw_octets_of_text(s));
}

void mw_pack_kv_text(struct mw_pack *b, const char *key, const char *s)
{
	mw_pack_text(b, key);
	mw_pack_text(b, s);
}

void mw_pack_kv_octets(struct mw_pack *b, const char *key, struct mw_octets o)
{
	mw_pack_text(b, key);
	mw_pack_octets(b, o);
}

void mw_pack_kv_int(struct mw_pack *b, const char *key, int64_t v)
{
	mw_pack_text(b, key);
	mw_pack_int(b, v);
}

void mw_pack_kv_bool(struct mw_pack *b, const char *key, bool v)
{
	mw_pack_text(b, key);
	mw_pack_bool(b, v);
}
