/*
 * Archives through libarchive, from memory into memory: the only file that knows it. What is worth
 * trying is decided by our own magic numbers (unpack_kind), which cost nothing on the text that
 * most mail is; only the readers of that kind are switched on, and never one that runs a program or
 * reads other files (lrzip, grzip, mtree).
 */
#ifndef SCAN_UNPACK_H
#define SCAN_UNPACK_H

#include "budget.h"

#define UNPACK_NAME_MAX                                                                            \
	256 /* octets of a member's path, with the NUL; longer ones are cut at the front */

struct unpack_kind; /* a row of the table: format and its magic */
/* The kind of archive these octets are; NULL: none that we unpack. */
const struct unpack_kind *unpack_kind_of(struct mw_octets octets);
const char *unpack_kind_name(const struct unpack_kind *kind);

enum unpack_end {
	UNPACK_WHOLE,  /* every member was given out, or is encrypted */
	UNPACK_BROKEN, /* damaged, or not what its magic says: what could be read was given out */
	UNPACK_CUT,    /* a limit was met (budget.met) or the callback asked to stop */
	UNPACK_NO_MEMORY, /* ours: the message was not looked into */
};

struct unpack_member {
	const char *name; /* path in the archive, controls replaced by '?'; "" when it has none */
	bool encrypted;	  /* octets are empty */
	struct mw_octets octets;
};

/*
 * Give every regular member to got, in the archive's order; its octets live until it returns. got
 * returns false to stop.
 */
enum unpack_end unpack(struct mw_octets octets, const struct unpack_kind *kind,
	struct budget *budget, bool (*got)(void *arg, const struct unpack_member *m), void *arg);

#endif
