/* Memory that lives as long as one mail: given out in pieces, freed at once. */
#ifndef SMTP_ARENA_H
#define SMTP_ARENA_H

#include "base.h"

struct smtp_arena_block;
struct smtp_arena {
	struct smtp_arena_block *blocks;
	size_t octets; /* of all of them */
};

/* Aligned for any type; NULL when memory ran out. */
void *smtp_arena_get(struct smtp_arena *a, size_t n);
/* A zeroed array; NULL also when count * size overflows. */
void *smtp_arena_array(struct smtp_arena *a, size_t count, size_t size);
/* A terminated copy. */
char *smtp_arena_copy(struct smtp_arena *a, const void *p, size_t n);
char *smtp_arena_printf(struct smtp_arena *a, const char *fmt, ...) MW_PRINTF(2, 3);
void smtp_arena_fini(struct smtp_arena *a);

#endif
