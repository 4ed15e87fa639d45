/* ARJ archives, one volume of them: headers here, the three ways of compressing in arj_decode.c. */
#ifndef SCAN_ARJ_H
#define SCAN_ARJ_H

#include "container.h"
#include "grow.h"

extern const struct container container_arj;

enum { ARJ_STORED, ARJ_MOST, ARJ_NORMAL, ARJ_FAST, ARJ_FASTEST };

/*
 * Undo a method other than ARJ_STORED: as many octets as there are, at most size, appended to g,
 * which is begun anew. The budget is asked before anything is allocated.
 */
enum container_end arj_decode(unsigned method, struct mw_octets packed, uint64_t size,
	struct budget *budget, struct grow *g);

#endif
