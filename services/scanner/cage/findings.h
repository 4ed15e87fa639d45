/* What was found in one message, gathered and packed as docs/wire.md "scan" says. Bounded: what
 * does not fit is dropped, the least important first (names), and `limits` then says "parts". */
#ifndef SCAN_FINDINGS_H
#define SCAN_FINDINGS_H

#include "av.h"
#include "mime.h"
#include "proto.h"

#define FINDINGS_NAMES_MAX 200	   /* docs/wire.md */
#define FINDINGS_NAME_OCTETS 49152 /* of all names together */
#define FINDINGS_VIRUSES_MAX 32
#define FINDINGS_ENCRYPTED_MAX 32

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
	bool archive_broken, ambiguous;
	uint64_t decode_us, virus_us;
};

/* Begin anew; does not touch the big arrays. */
void findings_begin(struct findings *f);
void findings_virus(struct findings *f, const char *name, const char *part);
void findings_encrypted(struct findings *f, const char *part);
void findings_name(struct findings *f, const char *name, unsigned depth);
/* limits: bits of enum scan_limit. */
void findings_encode(
	const struct findings *f, unsigned limits, const struct av *av, struct mw_pack *b);

#endif
