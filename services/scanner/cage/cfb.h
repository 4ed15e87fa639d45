/*
 * Compound files ([MS-CFB]): a file system in a file. Sectors lie in chains, that the FAT tells;
 * short streams lie in sectors of their own in one long stream. Nothing is trusted: chains are
 * followed for no more sectors than there are, each entry of the directory is visited once.
 */
#ifndef SCAN_CFB_H
#define SCAN_CFB_H

#include "doc.h"

#define CFB_NONE UINT32_MAX

enum cfb_kind { CFB_STORAGE = 1, CFB_STREAM = 2, CFB_ROOT = 5 };

/* Where sectors lie: in the file, or in the stream of the short ones. */
struct cfb_space {
	struct mw_octets octets;
	size_t first; /* offset of sector 0 */
	unsigned shift;
	uint32_t count; /* sectors; the last one may be cut */
};

struct cfb {
	struct budget *budget;
	struct cfb_space large, mini;
	uint32_t cutoff; /* streams below it lie in mini */
	uint32_t *fat;	 /* sectors of the FAT, fat_count of them */
	uint32_t fat_count;
	struct mw_octets minifat, directory;
	struct doc_buf minifat_buf, directory_buf, mini_buf;
	uint32_t entries;  /* of the directory */
	uint32_t *parents; /* of each entry; CFB_NONE: the tree does not lead there */
	bool broken;	   /* something was not as it should be */
};

/* WHOLE, or BROKEN when nothing can be read; cfb_close after each of them. */
enum container_end cfb_open(struct cfb *c, struct mw_octets file, struct budget *budget);
void cfb_close(struct cfb *c);

enum cfb_kind cfb_kind(const struct cfb *c, uint32_t entry);
/* The entry's own name as it stands (UTF-16), and for people, with MSI's packed ones unpacked. */
struct mw_octets cfb_name16(const struct cfb *c, uint32_t entry);
void cfb_name(const struct cfb *c, uint32_t entry, char buf[CONTAINER_NAME_MAX]);
/* True when the entry has that ASCII name, in any case. */
bool cfb_is_named(const struct cfb *c, uint32_t entry, const char *name);
/* Names from the root down, with slashes. */
void cfb_path(const struct cfb *c, uint32_t entry, char buf[CONTAINER_NAME_MAX]);
/*
 * A stream's octets: in place where its sectors follow each other, else in *buf. Charged to the
 * budget. BROKEN: fewer than the directory says.
 */
enum container_end cfb_stream(
	struct cfb *c, uint32_t entry, struct doc_buf *buf, struct mw_octets *octets_r);

#endif
