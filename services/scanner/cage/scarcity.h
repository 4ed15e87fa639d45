/*
 * What the system refused this process while libraries worked: memory, descriptors, room in the
 * temporary folder.
 *
 * libclamav says CLEAN when it runs out of any of these, often without a message (measured
 * with 1.4: EICAR in a zip with the folder full, unwritable, no descriptor left, address space
 * short). Its own words are therefore not enough: this file stands between the libraries and libc
 * (malloc, open64, mkdir, write, fwrite, mmap64 ... are defined here and found first by the dynamic
 * linker) and counts the refusals. A scan during which one was counted is not whole.
 *
 * Not under AddressSanitizer, which has an allocator of its own and ends the process when memory
 * runs out.
 */
#ifndef SCAN_SCARCITY_H
#define SCAN_SCARCITY_H

#include <sys/types.h>

#include "base.h"

struct scarcity {
	unsigned memory; /* allocation or mapping refused */
	unsigned files;	 /* no descriptor left */
	unsigned room; /* temporary file not created or not written: full, no inodes, not allowed */
	unsigned limit; /* a temporary file met our own bounds (RLIMIT_FSIZE, scanner.temp_quota) */
	uint64_t written; /* octets written to files */
};

/* Count from zero; at most quota octets may be written from here on, then writing fails with
 * ENOSPC. */
void scarcity_begin(uint64_t quota);
const struct scarcity *scarcity_now(void);
/* How often memory was refused since the process began. */
uint64_t scarcity_refusals(void);
/* "no_memory", "no_files", "no_temp_space", "temp_limit"; NULL: nothing was refused. */
const char *scarcity_word(const struct scarcity *s);
/* mkdir(2) at once, counted. */
int scarcity_mkdir(const char *path, mode_t mode);

#endif
