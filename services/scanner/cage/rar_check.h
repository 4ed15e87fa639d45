/*
 * Whether libarchive read the blocks of a RAR that unrar and WinRAR read. It stops at types that
 * they pass over, reads the octets of other blocks as blocks, loses its place behind a name that is
 * longer than its header, and gives no octets of what it takes for no regular file.
 */
#ifndef SCAN_RAR_CHECK_H
#define SCAN_RAR_CHECK_H

#include "container.h"
#include "grow.h"

/* What was given out, in its order. Zeros: nothing yet. */
struct rar_given {
	struct grow records;
	bool lost; /* there was no memory for one */
};

/* A member's octets begin at that offset of the archive; so many came out. */
void rar_given_add(struct rar_given *g, uint64_t at, uint64_t octets);
void rar_given_fini(struct rar_given *g);

/*
 * Give out the files that are not among those, by rar_give_block. Such a file, a member that is no
 * file's block, a block that is loose: BROKEN, and the archive is ambiguous. Octets
 * that are no RAR are WHOLE.
 */
enum container_end rar_check(const struct container_job *job, const struct rar_given *given,
	enum container_end (*open)(const struct container_job *job));

#endif
