/* Files of a disc that Linux decompresses when they are read (zisofs: fs/isofs's documentation). */
#ifndef SCAN_ZISOFS_H
#define SCAN_ZISOFS_H

#include "doc.h"

bool zisofs_is(struct mw_octets o);
/* What Linux shows, into *buf, charged to the budget. BROKEN: damaged. */
enum container_end zisofs_open(struct budget *budget, struct mw_octets o, struct doc_buf *buf);

#endif
