/* What was found in one message, gathered and packed as docs/wire.md "scan" says. Bounded: what
 * does not fit is dropped, the least important first (names), and `limits` then says "parts". */
#ifndef SCAN_FINDINGS_H
#define SCAN_FINDINGS_H

#include "av.h"
#include "container.h"
#include "digest.h"
#include "mime.h"
#include "proto.h"

#define FINDINGS_NAMES_MAX 200	   /* docs/wire.md */
#define FINDINGS_NAME_OCTETS 49152 /* of all names together */
#define FINDINGS_VIRUSES_MAX 32
#define FINDINGS_ENCRYPTED_MAX 32

#define FINDINGS_PARTS_MAX 2000
#define FINDINGS_PART_OCTETS 65536 /* of all texts of all parts together; digests get the rest */
#define FINDINGS_ROOT 0		   /* a part that lies in no other */

/* Letters of amavisd, bits of attributes. */
enum part_attribute {
	PART_UNDECIPHERABLE,
	PART_CRYPTED,
	PART_AMBIGUOUS,
	PART_DIRECTORY,
	PART_SPECIAL,
	PART_LINK,
	PART_ATTRIBUTES
};

/* One node of the tree of parts: where its texts stand, and what has no text. */
struct findings_part {
	uint32_t parent; /* number of the part it lies in, from 1; FINDINGS_ROOT */
	uint32_t at;	 /* in part_text: placement, declared type, names, each with its NUL */
	unsigned names;	 /* how many */
	unsigned attributes;
	const char *const *types; /* short ones; NULL: of a box, which has no octets of its own */
	uint64_t size;
	bool has_digest;
	unsigned char digest[MW_SHA256_OCTETS];
};

struct findings {
	unsigned virus_count, encrypted_count, name_count;
	struct {
		char name[AV_NAME_MAX];
		char part[SCAN_PATH_MAX];
	} viruses[FINDINGS_VIRUSES_MAX];
	char encrypted[FINDINGS_ENCRYPTED_MAX][SCAN_PATH_MAX];
	struct {
		unsigned depth;
		uint32_t at; /* in names_text */
	} names[FINDINGS_NAMES_MAX];
	char names_text[FINDINGS_NAME_OCTETS];
	size_t names_octets;
	uint64_t parts, decoded_octets;
	unsigned mime_errors; /* bits of enum mime_error */
	unsigned content;     /* bits of enum container_mark */
	bool archive_broken, archive_ambiguous, archive_password, ambiguous;
	uint64_t decode_us, virus_us;
	bool tell_parts, parts_cut; /* the list of parts was asked for; it is not whole */
	unsigned part_count;
	struct findings_part part[FINDINGS_PARTS_MAX];
	char part_text[FINDINGS_PART_OCTETS];
	size_t part_octets;
};

/* Begin anew; does not touch the big arrays. */
void findings_begin(struct findings *f);
void findings_virus(struct findings *f, const char *name, const char *part);
void findings_encrypted(struct findings *f, const char *part);
void findings_name(struct findings *f, const char *name, unsigned depth);
/*
 * One more part, when they are told; its number, FINDINGS_ROOT when they are not or it does not
 * fit. placement "" and type "" are none; names as in struct mime_names.
 */
unsigned findings_part(struct findings *f, unsigned parent, const char *placement, const char *type,
	const char *names, unsigned name_count);
/* What its octets are; nothing for FINDINGS_ROOT. */
void findings_part_is(struct findings *f, unsigned part, const char *const *types, uint64_t size);
/* SHA-256 of its octets; nothing for FINDINGS_ROOT. */
void findings_part_digest(
	struct findings *f, unsigned part, const unsigned char digest[MW_SHA256_OCTETS]);
/* It has the octets of another part, under other names. */
void findings_part_same(struct findings *f, unsigned part, unsigned as);
void findings_part_has(struct findings *f, unsigned part, enum part_attribute attribute);
/* limits: bits of enum scan_limit. */
void findings_encode(
	const struct findings *f, unsigned limits, const struct av *av, struct mw_pack *b);

#endif
