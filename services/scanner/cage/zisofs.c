#include "zisofs.h"

#define MAGIC "\x37\xe4\x53\x96\xc9\xdb\xd6\x07"
#define MAGIC_N 8
#define BLOCK_LEAST 10 /* as powers of two */
#define BLOCK_MOST 20
#define POINTER 4 /* octets */

bool zisofs_is(struct mw_octets o)
{
	return doc_starts(o, MAGIC, MAGIC_N);
}

/* A block of zeros is written as none at all. */
static enum container_end put_zeros(struct budget *budget, struct doc_buf *buf, size_t n)
{
	enum container_end end = doc_room(budget, buf, n);

	if (end != CONTAINER_WHOLE)
		return end;
	memset(buf->p + buf->n, 0, n);
	buf->n += n;
	return end;
}

enum container_end zisofs_open(struct budget *budget, struct mw_octets o, struct doc_buf *buf)
{
	size_t size = doc_u32(o, 8), pointer = (size_t)doc_u8(o, 12) * 4, from, to;
	unsigned power = doc_u8(o, 13);
	enum container_end end = CONTAINER_WHOLE;

	if (power < BLOCK_LEAST || power > BLOCK_MOST)
		return CONTAINER_BROKEN;
	for (; end == CONTAINER_WHOLE && buf->n < size; pointer += POINTER) {
		size_t block = (size_t)1 << power, left = size - buf->n;

		if (pointer + 2 * POINTER > o.n)
			return CONTAINER_BROKEN;
		if (!budget_time(budget)) /* blocks may have no octets at all */
			return CONTAINER_CUT;
		from = doc_u32(o, pointer);
		to = doc_u32(o, pointer + POINTER);
		if (from > to || to > o.n)
			return CONTAINER_BROKEN;
		if (from == to)
			end = put_zeros(budget, buf, left < block ? left : block);
		else
			end = doc_inflate(budget, doc_range(o, from, to - from), 15, buf);
	}
	return end == CONTAINER_WHOLE && buf->n != size ? CONTAINER_BROKEN : end;
}
