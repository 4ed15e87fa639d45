/*
 * Archives through libarchive, from memory into memory: unpack*.c and feed.c are the only files
 * that know it. What is worth trying is decided by our own magic numbers (unpack_kind), which cost
 * nothing on the text that most mail is; only the readers of that kind are switched on, and never
 * one that runs a program or reads other files (lrzip, grzip, mtree).
 */
#ifndef SCAN_UNPACK_H
#define SCAN_UNPACK_H

#include "container.h"
#include "grow.h"

struct unpack_kind; /* a row of the table: format and its magic */
/* The kind of archive these octets are; NULL: none that libarchive unpacks. */
const struct unpack_kind *unpack_kind_of(struct mw_octets octets);
const char *unpack_kind_name(const struct unpack_kind *kind);

/* True when what stands behind such an archive is given out as one more member. */
bool unpack_gives_tail(const struct unpack_kind *kind, struct mw_octets octets);

/* False: octets of another kind may begin so. */
bool unpack_is_sure(const struct unpack_kind *kind, struct mw_octets octets);

/* Give every member of an archive of that kind out. */
enum container_end unpack(const struct unpack_kind *kind, const struct container_job *job);

/* Undo a compression method of zip other than stored and deflated; size as the archive says it.
 * *used_r: octets of packed that it took. CONTAINER_BROKEN also for methods that nobody here knows.
 */
enum container_end unpack_zip_method(unsigned method, struct mw_octets packed, uint64_t size,
	struct budget *budget, struct grow *g, size_t *used_r);

/* The row of all of them. */
extern const struct container container_libarchive;

#endif
