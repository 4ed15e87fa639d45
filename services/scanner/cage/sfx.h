/* Archives that do not begin at the first octet: self-extracting programs, pictures with an archive
 * behind them. Zip is found from its end by its own reader (zip.h). */
#ifndef SCAN_SFX_H
#define SCAN_SFX_H

#include "container.h"

extern const struct container container_sfx;

#endif
