#include <limits.h>
#include <zlib.h>

#include "inflate.h"

#define CHUNK_MOST ((size_t)1 << 20) /* octets between two looks at the clock */

/* More than the budget has is never unpacked; whether there is more shows with one octet. */
static enum container_end at_limit(z_stream *z, struct budget *budget)
{
	unsigned char one;
	int rc;

	z->next_out = &one;
	z->avail_out = 1;
	rc = inflate(z, Z_NO_FLUSH);
	if (rc == Z_STREAM_END && z->avail_out == 1)
		return CONTAINER_WHOLE;
	if (rc == Z_MEM_ERROR)
		return CONTAINER_NO_MEMORY;
	if (z->avail_out == 1)
		return CONTAINER_BROKEN;
	budget_octets(budget, UINT64_MAX);
	return CONTAINER_CUT;
}

/* One step; CONTAINER_WHOLE and *more_r: go on. */
static enum container_end step(z_stream *z, struct budget *budget, struct grow *g, bool *more_r)
{
	size_t chunk = g->n < 8192 ? 16384 : g->n < CHUNK_MOST ? g->n : CHUNK_MOST;
	size_t room, got;
	int rc;

	*more_r = false;
	if (budget->octets == 0)
		return at_limit(z, budget);
	if (!budget_time(budget) || !budget_memory(budget, g->n))
		return CONTAINER_CUT;
	room = budget->octets < chunk ? (size_t)budget->octets : chunk;
	if (!grow_room(g, g->n + room))
		return CONTAINER_NO_MEMORY;
	z->next_out = g->p + g->n;
	z->avail_out = (uInt)room;
	rc = inflate(z, Z_NO_FLUSH);
	got = room - z->avail_out;
	g->n += got;
	if (!budget_octets(budget, got))
		return CONTAINER_CUT;
	if (rc == Z_STREAM_END)
		return CONTAINER_WHOLE;
	if (rc == Z_MEM_ERROR)
		return CONTAINER_NO_MEMORY;
	if (rc != Z_OK || got == 0)
		return CONTAINER_BROKEN; /* also Z_BUF_ERROR: nothing left to read */
	*more_r = true;
	return CONTAINER_WHOLE;
}

enum container_end inflate_raw(
	struct mw_octets packed, struct budget *budget, struct grow *g, size_t *used_r)
{
	z_stream z = { .next_in = (z_const Bytef *)packed.p };
	enum container_end end = CONTAINER_WHOLE;
	bool more = true;

	/* zlib counts in unsigned int; a mail is never that long, and a cut stream is told. */
	z.avail_in = packed.n < UINT_MAX ? (uInt)packed.n : UINT_MAX;
	g->n = 0;
	*used_r = 0;
	if (inflateInit2(&z, -MAX_WBITS) != Z_OK)
		return CONTAINER_NO_MEMORY;
	while (more)
		end = step(&z, budget, g, &more);
	*used_r = z.next_in != NULL ? (size_t)(z.next_in - packed.p) : 0;
	inflateEnd(&z);
	return end;
}

uint32_t inflate_crc32(struct mw_octets octets)
{
	return octets.n == 0 ? 0 : (uint32_t)crc32_z(0, octets.p, octets.n);
}
