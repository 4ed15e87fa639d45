/* Deflate (RFC 1951) undone within the budget: the only file of the cage that knows zlib. */
#ifndef SCAN_INFLATE_H
#define SCAN_INFLATE_H

#include "container.h"
#include "grow.h"

/*
 * Inflate one stream into g, which is begun anew. *used_r: octets of packed that it took.
 * CONTAINER_WHOLE: to its end. CONTAINER_BROKEN: damaged, or packed ends first (*used_r is then
 * packed.n). CONTAINER_CUT: a limit. What could be read is in g either way.
 */
enum container_end inflate_raw(
	struct mw_octets packed, struct budget *budget, struct grow *g, size_t *used_r);
uint32_t inflate_crc32(struct mw_octets octets);

#endif
