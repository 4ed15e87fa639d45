/*
 * Whatever holds files: archives, compressed files, documents with files in them. Each reader is a
 * row of container_rows, says whether it knows some octets by a look at them (cheap: it is asked
 * about every part of every mail), and gives their members out one by one. Octets may be known to
 * several rows (a document with a zip behind it): each of them is asked for its members.
 *
 * A reader works in memory, keeps within the budget, allocates what it needs and frees it, and
 * never trusts a number in the octets.
 */
#ifndef SCAN_CONTAINER_H
#define SCAN_CONTAINER_H

#include "budget.h"
#include "passwords.h"

/* Octets of a member's path, with the NUL; longer ones are cut at the front. */
#define CONTAINER_NAME_MAX 256

enum container_end {
	CONTAINER_WHOLE,  /* every member was given out, or is encrypted */
	CONTAINER_BROKEN, /* damaged, or not what its magic says: what could be read was given out
			   */
	CONTAINER_CUT,	  /* a limit was met (budget.met) or got asked to stop */
	CONTAINER_NO_MEMORY, /* ours: the message was not looked into */
};

/* What a document was seen to have; bits of *job.marks. container_mark_words[] has the words. */
enum container_mark {
	CONTAINER_MACROS,    /* programs that an office program may run */
	CONTAINER_ENCRYPTED, /* the document, or something in it, opens with a password only */
	CONTAINER_MARKS
};
extern const char *const container_mark_words[CONTAINER_MARKS];

/* Names of one member beyond the first that are told: zip says four, each of which may end at a
 * NUL. */
#define CONTAINER_ALIASES_MAX 7

struct container_member {
	const char *name; /* path in the container, controls replaced by '?'; "" when it has none */
	/* Other names that readers may see; NULL or "": none. */
	const char *aliases[CONTAINER_ALIASES_MAX];
	const char *type; /* declared media type; NULL none */
	bool encrypted;	  /* octets are empty */
	bool broken;	  /* damaged, or in a way nobody here can undo: octets are what there was */
	bool mail;	  /* an entity of MIME, header section first, whatever its name and type */
	bool ambiguous;	  /* other readers may see other octets, or none */
	char kind;	  /* 0: a regular file; 'D' directory, 'L' link, 'S' anything else */
	struct mw_octets octets; /* live until got returns */
};

/* One container to be opened. */
struct container_job {
	struct mw_octets octets;
	const char *name; /* its own; "" or NULL: none. `foo.exe` is what `foo.exe.gz` holds */
	struct budget *budget;
	struct passwords *passwords; /* worth a try; NULL: none */
	/* Takes the next member, in the container's order; false: stop. */
	bool (*got)(void *arg, const struct container_member *m);
	void *arg;
	unsigned *marks;   /* readers add to it; NULL: nobody asks */
	bool *ambiguous_r; /* set when readers may see different members; NULL: nobody asks */
};

struct container {
	const char *name;
	bool (*knows)(struct mw_octets octets);
	enum container_end (*open)(const struct container_job *job);
};

extern const struct container *const container_rows[]; /* ends with NULL */

/* What a compressed file of that name holds is called: "foo.exe" of "foo.exe.gz", "x.tar" of
 * "x.tgz"; "" when its name does not say so. */
void container_inner_name(char buf[CONTAINER_NAME_MAX], const char *name);
/* True when octets behind an archive's end are worth a look: more than padding. */
bool container_is_tail(struct mw_octets octets);
/* Copy a member's path, cut at the front, because names are told apart by their ends; controls
 * become '?'. */
void container_name(char buf[CONTAINER_NAME_MAX], const char *path, size_t n);

/* Note that the document has such a thing. */
void container_has(const struct container_job *job, enum container_mark mark);

#endif
