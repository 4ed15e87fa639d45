/*
 * The copies of a RAR 5's headers at its end ("quick open", technote.htm): unrar and WinRAR read
 * them in place of the headers, of which they are expected to be copies. libarchive does not.
 */
#ifndef SCAN_RAR_QUICK_H
#define SCAN_RAR_QUICK_H

#include "rar_blocks.h"

/*
 * Compare the copies that a main block tells of with the headers. *other_r is set where they
 * differ, or cannot be read; a file that is in a copy alone is given out, by rar_give_block.
 */
enum container_end rar_check_quick(const struct container_job *job, const struct rar_block *main,
	enum container_end (*open)(const struct container_job *job), bool *other_r);

#endif
