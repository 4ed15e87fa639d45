/* Memory that a member is put together in, used again for the next one. */
#ifndef SCAN_GROW_H
#define SCAN_GROW_H

#include "base.h"

struct grow {
	unsigned char *p;
	size_t n, cap;
};

/* Room for cap octets in all; false: no memory, and nothing changed. */
bool grow_room(struct grow *g, size_t cap);
/* Put octets at that offset; a hole before them is filled with zeros. */
bool grow_put(struct grow *g, size_t offset, const void *p, size_t n);
void grow_fini(struct grow *g);

#endif
