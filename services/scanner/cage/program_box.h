/* What a command-line scanner is held in: limits, Landlock, no network. */
#ifndef SCAN_PROGRAM_BOX_H
#define SCAN_PROGRAM_BOX_H

#include "program_proto.h"

/*
 * In the child, before exec; folder is its own, writable, and where it stands. It may read and run
 * what lies in the system's folders of programs and beside the program, and read order->reads.
 */
enum mw_rc program_box_enter(
	const struct program_order *order, const char *folder, struct mw_err *err_r);

#endif
