/*
 * Zip archives read both ways: as the central directory says, and as the local headers do, wherever
 * in the octets they stand. Programs believe one or the other, and an archive can be made to show
 * each a different file. Every distinct reading's members are given out; when there is more than
 * one the archive is ambiguous.
 *
 * Other readers' habits that are covered: the last record at the end, or the first; offsets from
 * the beginning of the file, or of the archive behind whatever stands before it; sizes of the
 * central directory, of the local header, of the descriptor, or of the compressed stream itself;
 * headers that no directory lists; archives one behind the other.
 */
#ifndef SCAN_ZIP_H
#define SCAN_ZIP_H

#include "container.h"

extern const struct container container_zip;

/* True when octets hold a zip archive that a reader would find. */
bool zip_knows(struct mw_octets octets);

#endif
