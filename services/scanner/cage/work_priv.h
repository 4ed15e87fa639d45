/* What work.c (one job, octets and what they hold) and readings.c (a message's readings and leaves)
 * share, and nobody else. */
#ifndef SCAN_WORK_PRIV_H
#define SCAN_WORK_PRIV_H

#include "leaves.h"
#include "passwords.h"
#include "text.h"
#include "work.h"

/* What is done with a leaf's octets once they are decoded. */
enum leaf_kind { LEAF_TEXT, LEAF_FILE, LEAF_MESSAGE, LEAF_MULTIPART, LEAF_DIGEST };

struct leaf {
	struct mw_octets body;
	enum mime_encoding encoding;
	bool junk;
	enum leaf_kind kind;
	size_t boundary;  /* of a multipart: where it stands in reader.boundaries */
	size_t said;	  /* what it says of itself: where that stands in reader.said */
	uint32_t further; /* what later readings say of it: their leaf's place in seen, from 1; 0:
			     nothing more */
	unsigned number;  /* among the parts that are told */
};

/* What reads one message: another one inside it, which has to be decoded, needs one of its own. */
struct reader {
	struct mime mime;
	struct leaf *seen;
	size_t seen_count, seen_cap;
	struct mw_text boundaries; /* of leaves that are multiparts, each with its NUL */
	struct mw_text said; /* types and names of leaves, each with its NUL; an empty name ends a
				leaf's */
	uint32_t *index;     /* a hash of seen, from the second reading on: 1 and more, 0 is free */
	size_t index_size;
};

struct work {
	const struct scan_conf *conf;
	struct av *av;
	struct types *types;
	/* of the message at hand */
	struct budget budget;
	struct leaves leaves; /* for other engines */
	struct findings f;
	unsigned magic_left; /* parts that libmagic may still be asked about */
	bool virus, digests, odd, failed, no_memory, worn;
	struct passwords passwords;
	char why[AV_WHY_MAX]; /* first thing that the engine did not do */
	uint64_t virus_us;
	uint64_t digest_octets; /* that may still be digested */
	uint64_t engine_octets; /* that the engine may still unpack */
	uint64_t burst_us;	/* virus_us when the mail was known for a bomb; 0: it is not */
	struct reader reader;	/* of the message itself */
	/* decoded leaf; one at a time, because leaves do not nest */
	unsigned char *scratch;
	size_t scratch_cap;
};

/* Scan octets as a whole, then what any container's reader gets out of them. level: of the members.
 */
void work_look_into(
	struct work *w, struct mw_octets octets, const char *part, unsigned level, unsigned number);
/* Tell the digest of a part's octets, which are whole. */
void work_digest(struct work *w, struct mw_octets octets, unsigned number);
/* Append one step to a path, cut where it does not fit. */
void work_path_add(char path[SCAN_PATH_MAX], const char *step);
/* Make w->scratch hold n octets; false: no memory, which is noted. */
bool work_scratch_for(struct work *w, size_t n);

/* Look into every leaf of every reading of a message. box: of which message is the body, decoded;
 * NULL: it has a header section. */
void work_read_message(struct work *w, struct mw_octets message, const struct mime_entity *box,
	const char *prefix, unsigned level, unsigned number);
/* The same for octets in w->scratch, or in memory that decoding must not touch. */
void work_read_inside(struct work *w, struct mw_octets mail, const struct mime_entity *box,
	const char *part, unsigned level, unsigned number);
/* The same for a mail that is a file. */
void work_read_file(
	struct work *w, struct mw_octets mail, const char *part, unsigned level, unsigned number);

#endif
