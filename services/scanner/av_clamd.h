/*
 * clamd's protocol (clamd(8)) as octets in memory: what is said of one file, a reader of replies
 * that takes them piece by piece, and who waits for which.
 *
 * One session (IDSESSION) a mail: clamd numbers the commands of a session from 1 and answers in any
 * order, "ID: FILE: OK", "ID: FILE: NAME FOUND" or "ID: TEXT ERROR", each ended by NUL. A reply to
 * a number that nobody waits for, or to one that was answered before, refuses the whole session:
 * who mixes up files has not looked at ours.
 */
#ifndef SCAN_AV_CLAMD_H
#define SCAN_AV_CLAMD_H

#include "base.h"

#define CLAMD_OUTSTANDING_MAX 8 /* as amavisd; clamd has threads and a queue for that many */
#define CLAMD_REPLY_MAX 1024	/* octets of one reply; more: refused */
#define CLAMD_CHUNK_MAX (128 * 1024)

enum clamd_word { CLAMD_OK, CLAMD_FOUND, CLAMD_ERROR };

struct clamd_reply {
	uint64_t id;
	enum clamd_word word;
	char text[CLAMD_REPLY_MAX]; /* the virus's name, or what went wrong; printable ASCII */
};

struct clamd_reader {
	size_t n;
	char buf[CLAMD_REPLY_MAX];
};

/* Take octets from *in up to the end of one reply. 1: *reply_r; 0: more wanted; -1: refused, and
 * reply_r->text says why. */
int clamd_read(struct clamd_reader *r, struct mw_octets *in, struct clamd_reply *reply_r);

struct clamd_session {
	uint64_t asked; /* the last number */
	unsigned waiting;
	struct {
		uint64_t id;
		size_t file;
	} out[CLAMD_OUTSTANDING_MAX];
};

static inline bool clamd_may_ask(const struct clamd_session *s)
{
	return s->waiting < CLAMD_OUTSTANDING_MAX;
}

/* One more file is asked for; clamd_may_ask() said yes. */
void clamd_asked(struct clamd_session *s, size_t file);
/* Whose reply this is: the file, which is no longer waited for. False: nobody's. */
bool clamd_answered(struct clamd_session *s, uint64_t id, size_t *file_r);

#endif
