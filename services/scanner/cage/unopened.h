/* Archives that nobody here can open: known by their magic numbers, so that they are told as
 * undecipherable and not taken for harmless octets. */
#ifndef SCAN_UNOPENED_H
#define SCAN_UNOPENED_H

#include "container.h"

extern const struct container container_unopened;

/* doc_disk.c: is it the image of a disk, or of a part of one? */
bool doc_is_disk(struct mw_octets octets);

#endif
