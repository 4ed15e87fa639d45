/* Where archives end, of those whose reader does not tell or cannot bear more octets behind them;
 * and what libarchive does not say of their members. Numbers in the octets are checked. */
#ifndef SCAN_ENDS_H
#define SCAN_ENDS_H

#include "base.h"

/* Offset behind the archive that begins at the first octet; o.n when that cannot be told. */
size_t end_of_7z(struct mw_octets o);
size_t end_of_xz(struct mw_octets o);	/* of the last stream */
size_t end_of_zstd(struct mw_octets o); /* of the last frame */
size_t end_of_lz4(struct mw_octets o);
size_t end_unknown(struct mw_octets o);

/* Of gzip (RFC 1952 section 2.3): offset behind the header, 0 when there is none; *name_r: the
 * file's name in it, or nothing. */
size_t gzip_head(struct mw_octets o, struct mw_octets *name_r);
/* A file of gzip that is made of nothing, and of nothing else. */
bool gzip_is_empty(struct mw_octets o);

/*
 * A header of .lzma, which has no magic number: the octets may be something else by chance. Surely:
 * when they are as good as all writers make them.
 */
bool is_lzma(struct mw_octets o);
bool is_surely_lzma(struct mw_octets o);

/* Old tar without a magic number: a header whose sum is right. */
bool is_old_tar(struct mw_octets o);

/* A number of RAR 5, of 7 bits an octet, the lowest first: taken from the front of *o. False: there
 * is none. */
bool rar5_number(struct mw_octets *o, uint64_t *n_r);

/*
 * Which members of a RAR 5 are encrypted: libarchive 3.6 gives the octets of such a member out as
 * they stand. One call a file header, in the archive's order.
 */
struct rar5_walk {
	struct mw_octets o;
	size_t at; /* of the next block */
};
enum rar5_next { RAR5_FILE, RAR5_ENCRYPTED_FILE, RAR5_ENCRYPTED_ARCHIVE, RAR5_END };
void rar5_begin(struct rar5_walk *w, struct mw_octets o);
enum rar5_next rar5_next(struct rar5_walk *w);

#endif
