/* What the ways of keeping a copy share: quarantine.c (which, and in which order),
 * quarantine_head.c (what stands on top), quarantine_file.c, quarantine_mail.c, quarantine_sql.c.
 * Nobody else includes this. */
#ifndef SMTP_QUARANTINE_PRIV_H
#define SMTP_QUARANTINE_PRIV_H

#include "quarantine.h"
#include "quarantine_method.h"
#include "text.h"

/* One way. start: rc MW_OK, and done is called later; or it could not be begun. */
struct quarantine_way {
	/* c->name is set, and where the copy goes is known. */
	enum mw_rc (*start)(struct quarantine_job *j, struct txn_copy *c);
	void (*forget)(struct quarantine_job *j);
};
extern const struct quarantine_way quarantine_way_file, quarantine_way_mail, quarantine_way_sql;

/* All copies of a mail, one after the other. */
struct quarantine_job {
	struct txn *txn;
	void (*done)(void *arg, enum mw_rc rc, const char *error);
	void *arg;
	const struct quarantine_way *way; /* that is under way; NULL: none */
	void *work;			  /* the way's own */
	char digest[33];		  /* of the body; "": not asked for yet */
};

/* The way is done with the copy; error: for a log line, printable. The job may be gone after it. */
void quarantine_copy_done(struct quarantine_job *j, enum mw_rc rc, const char *error);

/* What stands on top of a copy, as amavisd writes it (decision.md 13). */
void quarantine_head(struct txn *t, const struct txn_copy *c, struct mw_text *out);
/* What placeholders stand for. */
struct quarantine_names quarantine_names_of(const struct txn *t, const char *digest);
/* MD5 of the body, hexadecimal, for %b: off the loop. */
enum mw_rc quarantine_digest(struct quarantine_job *j);

#ifdef MW_TEST_TRIGGERS
/* Test builds only: MAILWEIR_TEST_KEEP names the step at which the front kills itself. */
void quarantine_trigger(const char *step);
#else
static inline void quarantine_trigger(const char *step)
{
	(void)step;
}
#endif

#endif
