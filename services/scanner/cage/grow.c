#include <stdlib.h>

#include "grow.h"

#define LEAST 16384
#define STEP_MOST ((size_t)32 << 20) /* beyond, doubling would waste more than copying costs */

bool grow_room(struct grow *g, size_t cap)
{
	size_t bigger = g->cap < STEP_MOST ? g->cap * 2 : g->cap + STEP_MOST;
	unsigned char *p;

	if (cap <= g->cap)
		return true;
	if (bigger < LEAST)
		bigger = LEAST;
	if (bigger < cap)
		bigger = cap;
	p = realloc(g->p, bigger);
	if (p == NULL)
		return false;
	g->p = p;
	g->cap = bigger;
	return true;
}

bool grow_put(struct grow *g, size_t offset, const void *p, size_t n)
{
	size_t end;

	if (__builtin_add_overflow(offset, n, &end) || !grow_room(g, end))
		return false;
	if (offset > g->n)
		memset(g->p + g->n, 0, offset - g->n);
	if (n > 0)
		memcpy(g->p + offset, p, n);
	if (end > g->n)
		g->n = end;
	return true;
}

void grow_fini(struct grow *g)
{
	free(g->p);
	*g = (struct grow){ 0 };
}
