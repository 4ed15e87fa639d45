/*
 * The records of a zip archive (APPNOTE.TXT 6.3.10): local headers, central headers, the records at
 * its end. Numbers are as declared: whoever uses them checks them against what is there.
 */
#ifndef SCAN_ZIP_HEAD_H
#define SCAN_ZIP_HEAD_H

#include "base.h"

#define ZIP_LOCAL "PK\x03\x04"
#define ZIP_CENTRAL "PK\x01\x02"
#define ZIP_END "PK\x05\x06"
#define ZIP_DESCRIPTOR "PK\x07\x08"
#define ZIP_END_OCTETS 22
#define ZIP_EXTRA_AES 0x9901

enum { ZIP_STORED = 0, ZIP_DEFLATED = 8, ZIP_AES = 99 };
enum {
	ZIP_ENCRYPTED = 1u << 0,
	ZIP_SIZES_FOLLOW = 1u << 3, /* in a descriptor behind the octets */
	ZIP_STRONG = 1u << 6,
	ZIP_MASKED = 1u << 13 /* the central directory is encrypted */
};

/* A local or central header. */
struct zip_head {
	size_t end; /* offset behind it: a local header's octets begin there */
	uint16_t flags, method, time;
	uint32_t crc;
	uint64_t packed, size;
	uint64_t local;	     /* central: where the local header is said to be */
	uint32_t attributes; /* central: of the system that made it */
	uint16_t made_by;
	struct mw_octets name, extra;
	struct mw_octets
		unicode[2]; /* the name that the first, the last field 0x7075 says; empty: none */
	/* extra has more fields than are looked at, or two of sizes, names or AES that do not say
	 * the same: readers take the first or the last. */
	bool odd_extra;
};

/* How readers take the record at the end with zip64's: where that one is, and what it replaces. */
enum {
	ZIP_END_NEAREST = 1,  /* it stands in front of its locator, whatever that says */
	ZIP_END_REPLACES = 2, /* every number, not only those that have no room */
	ZIP_END_WITHOUT = 4,  /* there is no such thing as zip64 */
	ZIP_END_WAYS
};

/* The record at the end, with zip64's when there is one. */
struct zip_end {
	size_t at;	/* where the directory ends at the latest */
	size_t comment; /* where that begins */
	size_t after;	/* behind its comment, as far as there is one */
	uint64_t count, directory_size, directory;
};

/* False: there is no such header at that offset, or not the whole of it. */
bool zip_local_read(struct mw_octets o, size_t at, struct zip_head *h_r);
/* Offset behind the local header at `at`, where its octets begin; SIZE_MAX: there is none. */
size_t zip_local_end(struct mw_octets o, size_t at);
/* True when that is what readers take for one that look for them in whatever there is. */
bool zip_local_is_likely(struct mw_octets o, size_t at);
bool zip_central_read(struct mw_octets o, size_t at, struct zip_head *h_r);
bool zip_end_read(struct mw_octets o, size_t at, unsigned way, struct zip_end *e_r);
/* True when reading the record at the end there costs a search: there is a locator of zip64. */
bool zip_end_is_dear(struct mw_octets o, size_t at);
/* The next (last) place of a signature's four octets in [from, to); SIZE_MAX: none. */
size_t zip_find(struct mw_octets o, const char *signature, size_t from, size_t to);
size_t zip_find_last(struct mw_octets o, const char *signature, size_t from, size_t to);
/*
 * The first field of an extra area with that number, of those that are looked at; empty when it is
 * not there. Extra areas may hold thousands of fields, and headers share them.
 */
struct mw_octets zip_extra(struct mw_octets extra, unsigned id);
bool zip_is(struct mw_octets o, size_t at, const char *signature);
uint16_t zip_16(const unsigned char *p);
uint32_t zip_32(const unsigned char *p);
uint64_t zip_64(const unsigned char *p);

#endif
