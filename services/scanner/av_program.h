/* What a command-line scanner's exit code and output say. */
#ifndef SCAN_AV_PROGRAM_H
#define SCAN_AV_PROGRAM_H

#include "av_scan.h"
#include "cage/program_proto.h"

/*
 * One run, judged as amavisd does: `infected` first, then `clean`; neither is a failure; without
 * `clean` the program never vouches. Names are what the first group of `names` (all of it, where it
 * has none) catches in each line of the output; one empty name when that is nothing. virus is
 * called for each, with the file whose name (p001 ...) stands in the line, else the run's first.
 * why_r: for anything but clean and infected.
 */
enum avs_answer avs_program_judge(const struct avs_entry *e, const struct program_ran *ran,
	void (*virus)(void *arg, const char *name, size_t file), void *arg,
	char why_r[AVS_WHY_MAX]);

#endif
