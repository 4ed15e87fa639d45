/* Files of lzop: the only file that knows liblzo2. (libarchive would run the program lzop.) */
#ifndef SCAN_LZOP_H
#define SCAN_LZOP_H

#include "container.h"

extern const struct container container_lzop;

#endif
