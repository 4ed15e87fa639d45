/* Kind scan: MIME and archive decoding, viruses. Jobs go to the cages of the pool. */
#ifndef SCAN_SCAN_CHECK_H
#define SCAN_SCAN_CHECK_H

#include "worker.h"

extern const struct mw_check scan_check;

#endif
