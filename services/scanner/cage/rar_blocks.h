/*
 * The blocks of a RAR archive of either version, walked as unrar and WinRAR walk them: whatever
 * type a block has, what its own rules say stands behind it is passed over. libarchive stops, or
 * goes on elsewhere, at some of them.
 */
#ifndef SCAN_RAR_BLOCKS_H
#define SCAN_RAR_BLOCKS_H

#include "container.h"

enum rar_kind {
	RAR_MAIN,
	RAR_FILE,
	RAR_SERVICE,
	RAR_OTHER, /* holds no file */
};

struct rar_block {
	enum rar_kind kind;
	unsigned version;      /* 4 or 5 */
	size_t at;	       /* of its first octet, in the archive */
	struct mw_octets head; /* all of it, its check sum first */
	struct mw_octets data; /* of what it says, as much as there is */
	/* libarchive 3.6 passes another number of octets over, or stops: a type that no writer has,
	 * octets between what the header says and its end, data where it looks for none. */
	bool loose;
	/* Of files and services: */
	struct mw_octets name; /* cut to the header, as it stands there */
	uint64_t size;	       /* of what comes out */
	uint64_t method; /* as the header has it: RAR 5: version, window and method in one number */
	uint32_t crc;
	bool stored, has_crc;
	bool size_unknown; /* what comes out ends where the data do */
	bool encrypted;
	bool cut;		/* it goes on in another volume, or comes from one */
	bool link;		/* of Unix, before RAR 5: the data are where it leads */
	struct mw_octets extra; /* RAR 5: its records */
};

struct rar_walk {
	struct mw_octets o;
	size_t at;	  /* of the next block */
	unsigned version; /* 0: it is no RAR */
	bool sealed;	  /* what follows is encrypted */
	size_t end;	  /* behind the last block, once that was met */
};

void rar_begin(struct rar_walk *w, struct mw_octets o);
/* The next block; false: the archive ends here, or nobody can read on. */
bool rar_next(struct rar_walk *w, struct rar_block *b_r);

/*
 * How long the archive is that begins at the first octet, as far as blocks follow each other, and
 * how much of that tells it from others: up to its first file's header, and some of the file.
 * left_p: blocks that may still be looked at; behind that all of o is taken for it.
 */
struct rar_extent {
	size_t n, beginning;
};
struct rar_extent rar_extent_of(struct mw_octets o, size_t *left_p);

/*
 * The block of RAR 5 whose header is `head` and stands (or is said to stand) at that offset of o:
 * its data are looked for behind it. False: it is none.
 */
bool rar5_block_read(struct mw_octets head, struct mw_octets o, size_t at, struct rar_block *b_r);
/* The next record of type and octets in *extra_p, which is moved. False: there is no more. */
bool rar5_record(struct mw_octets *extra_p, uint64_t *type_r, struct mw_octets *record_r);

/* A service's name, which ends at a NUL for unrar, is this one. */
bool rar_is_service(const struct rar_block *b, const char *name);
/* The name of a file's block, for a person. */
void rar_block_name(const struct rar_block *b, char name[CONTAINER_NAME_MAX]);

/*
 * Give out what such a block packs, under that name: as it stands, or by the reader of RAR that
 * `open` is, which gets an archive of this one file. What is in doubt in its header (name, system,
 * attributes) does not come with it. BROKEN: it cannot be had alone, or is damaged.
 */
enum container_end rar_give_block(const struct container_job *job, const struct rar_block *b,
	const char *name, enum container_end (*open)(const struct container_job *job));

#endif
