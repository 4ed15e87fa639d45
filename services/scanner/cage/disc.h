/*
 * ISO 9660 (ECMA-119) with Joliet and the names of Rock Ridge. A disc has up to three lists of its
 * files, and systems differ in which they show: all of them are read, and where they lead to
 * different octets the disc is ambiguous. What it says of its own size, of serial numbers and of
 * modes of Unix is believed by nobody here.
 */
#ifndef SCAN_DISC_H
#define SCAN_DISC_H

#include "container.h"

enum container_end disc_open(const struct container_job *job);

#endif
