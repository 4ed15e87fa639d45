/*
 * A command-line scanner's run: what mailweir-scanner asks of `mailweir-cage program`, and what it
 * hears, over a socket pair as in proto.h.
 *
 *   scanner -> runner   order, with a memfd of the files (scan_leaf_next()'s records)
 *   runner -> scanner   ran, once for each run of the program (many files are given in portions),
 *                       then over; or broken, with words
 */
#ifndef SCAN_PROGRAM_PROTO_H
#define SCAN_PROGRAM_PROTO_H

#include "proto.h"

#define PROGRAM_ARGUMENTS_MAX 32
#define PROGRAM_ARGUMENT_MAX 1024
#define PROGRAM_OUTPUT_MAX (64 * 1024) /* octets of output that are kept and judged */
#define PROGRAM_ORDER_MAX (96 * 1024)
#define PROGRAM_PORTION 4000 /* octets of names in one run's arguments, as amavisd */

struct program_texts {
	unsigned count;
	const char *items[PROGRAM_ARGUMENTS_MAX];
};

struct program_order {
	const char *program, *temp_dir;
	struct program_texts arguments, reads;
	uint64_t timeout_ms; /* of all runs together */
	uint64_t memory;     /* octets of address space; 0: unbounded */
	uint64_t file_size, quota;
	bool strict;
};

struct program_ran {
	uint64_t first, count;	 /* files of this run, from 0 */
	uint64_t code, signal;	 /* how it ended; signal 0: by itself */
	bool late;		 /* its time was up, or it wrote too much */
	struct mw_octets output; /* borrowed */
};

void program_order_encode(struct mw_pack *b, const struct program_order *o);
/* Texts are copied: program_order_fini frees them. MW_ERR_PROTO: *o_r is untouched. */
enum mw_rc program_order_decode(struct mw_octets m, struct program_order *o_r);
void program_order_fini(struct program_order *o);
void program_ran_encode(struct mw_pack *b, const struct program_ran *r);
enum mw_rc program_ran_decode(struct mw_octets m, struct program_ran *r_r);

#endif
