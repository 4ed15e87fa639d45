/*
 * A mail out of a file: a milter's (AM.PDP), or one of the quarantine (release). The file may be
 * somebody else's, so it is copied and never mapped, and its name leads nowhere but below a given
 * folder: every step of the way is opened by itself and none may be a symbolic link. The work runs
 * on libuv's pool.
 */
#ifndef SMTP_MAIL_FILE_H
#define SMTP_MAIL_FILE_H

#include "front.h"

struct mail_file_want {
	const char *root; /* a folder; only here links are followed */
	/* Names below it, without leading slash; the first that is there and can be read to its end
	 * is taken. ".gz" at the end of one: it is inflated. */
	const char *const *names;
	size_t name_count;
	uint64_t limit; /* octets of the mail, CRLF line ends counted */
	bool unwraps;	/* batch SMTP becomes what is in it, its envelope as a copy's fields */
};

struct mail_file_got {
	/*
	 * MW_OK; MW_ERR_GONE: no such file. MW_ERR_LIMIT: more octets than the limit. MW_AGAIN: all
	 * mails together hold front.held_octets. MW_ERR_PROTO: a name that leads out of the folder,
	 * over a link or to no regular file, or octets that do not inflate. MW_ERR_IO,
	 * MW_ERR_NOMEM.
	 */
	enum mw_rc rc;
	struct mw_err err;
	const char *name; /* which one it was */
	/* Sealed; every LF behind a CR, the last line ended. The callee may take it (set it to
	 * NULL). */
	struct smtp_body *body;
	bool eight_bit; /* an octet above 0x7f is in it */
};

struct mail_file_job;

/* done() is called once, from the loop. want is copied. NULL: no memory. */
struct mail_file_job *mail_file_load(struct front *f, const struct mail_file_want *want,
	void (*done)(void *arg, struct mail_file_got *got), void *arg);
/* Nobody waits: done() is not called. Sets *job_p to NULL. */
void mail_file_forget(struct mail_file_job **job_p);

/*
 * Take root/dir/file away, and root/dir when it is empty then; dir is a name as above. Nobody is
 * told; what could not be done is logged.
 */
void mail_file_remove(struct front *f, const char *root, const char *dir, const char *file);

/* Which of the folders an absolute path is below, by its text, and the rest of it. False: none. */
bool mail_file_root(const char *path, const char *const *roots, size_t count, const char **root_r,
	const char **rest_r);

#endif
