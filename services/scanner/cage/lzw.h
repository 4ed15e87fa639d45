/*
 * Files of compress(1), `.Z`: LZW of up to 16 bits. libarchive's reader of them cannot be kept from
 * taking what comes out for the same once more (unpack.c), and loses its place behind a table that
 * was emptied early.
 */
#ifndef SCAN_LZW_H
#define SCAN_LZW_H

#include "container.h"

/* The one member of such a file: its octets are known to begin with the magic number. */
enum container_end lzw_open(const struct container_job *job);

#endif
