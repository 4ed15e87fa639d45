/*
 * An external program that changes a mail's body: altermime, when it is configured. It runs in a
 * child of its own, in a private folder with the mail as a file, without our descriptors, within
 * limits of time, memory and output; all of that on libuv's pool, of which it never takes more than
 * half, for quarantine copies need it too.
 */
#ifndef SMTP_BODY_PROGRAM_H
#define SMTP_BODY_PROGRAM_H

#include "body_form.h"

#define BODY_PROGRAMS_MAX 2		 /* at once; libuv's pool has four threads */
#define BODY_PROGRAMS_WAITING_MAX 200	 /* mails behind them; the next one's fails at once */
#define BODY_PROGRAM_MEMORY (512u << 20) /* octets of address space */
#define BODY_PROGRAM_MORE (1u << 20)	 /* octets: it may make twice the mail, and so many more */
#define BODY_PROGRAM_WORDS_MAX 200	 /* octets of what it says that are logged */

struct txn;
struct front;
struct body_job;

/* Of a front: who runs, who waits. */
struct body_programs {
	unsigned running, waiting;
	struct body_job *first;
};

/*
 * Make f of t's octets. option NULL: altermime_args_defang; else altermime_args_disclaimer, with
 * the option for _OPTION_. NULL: it runs, and done comes from the loop, why NULL when f is made,
 * unless t->body_job is cancelled before. Else why it cannot.
 */
const char *body_program(struct txn *t, struct body_form *f, const char *option,
	void (*done)(struct txn *t, struct body_form *f, const char *why));
/* At start: folders that a front left behind when it was killed, off the loop. */
void body_program_sweep(struct front *f, const char *spool_dir);

#endif
