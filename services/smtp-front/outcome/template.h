/*
 * Texts with macros in amavisd's language (docs/templates.md): log lines, replies, notices. A text
 * is compiled once, when settings are loaded, and expanded for a mail or for one of its recipients.
 * Both are bounded: the text, its nesting, the result, and the work that definitions can cause.
 */
#ifndef SMTP_TEMPLATE_H
#define SMTP_TEMPLATE_H

#include "base.h"
#include "text.h"

struct txn;
struct txn_rcpt;
struct mw_record;
struct template_code;

#define TEMPLATE_TEXT_MAX (64 * 1024)	/* octets of a text */
#define TEMPLATE_TOKENS_MAX (16 * 1024) /* of which it may consist */
#define TEMPLATE_NESTING_MAX 50		/* brackets within brackets */
#define TEMPLATE_STEPS_MAX 200000	/* tokens visited in one expansion */
#define TEMPLATE_DEPTH_MAX 100		/* of evaluation: brackets and calls of definitions */
#define TEMPLATE_WORK_OCTETS (4 * 1024 * 1024)	  /* copied on the way, in one expansion */
#define TEMPLATE_VALUES_OCTETS (16 * 1024 * 1024) /* of macros' values, in one expansion */
#define TEMPLATE_ARGS_MAX 40			  /* of one call; more are refused, or left out */
#define TEMPLATE_DEFINITIONS_MAX 64		  /* of [= ] in one expansion; more are not made */
#define TEMPLATE_PATTERNS_MAX 32 /* compiled in one expansion; further ones match nothing */

/* A macro that the caller gives: one item is a text, several a list, none is unset. */
struct template_extra {
	const char *name; /* "T", "hdrfrom" ...; goes before our own of that name */
	size_t count;
	const struct mw_octets *items;
};

/* What a text is expanded for. */
struct template_scope {
	struct txn *txn;
	const struct txn_rcpt *rcpt;	/* of txn; NULL: the mail as a whole */
	const struct mw_record *record; /* when the mail is over; NULL: before */
	size_t extra_count;
	const struct template_extra *extras;
	size_t most; /* octets of the result */
	/* Values go into one line: control characters in them become \n, \x1B and so on, and a
	 * backslash \\. What the text itself says stays as it is. */
	bool escape;
	/* The mail's sender reads it: %R %D %O %N leave out recipients that he does not know and
	 * those whose mail was thrown away without a word, and have the addresses that he gave. */
	bool for_sender;
	/* And the text has many, for people to read: backslashes stay. */
	bool lines;
};

/* MW_OK; MW_ERR_CONF or MW_ERR_LIMIT: err_r says what is wrong, on which line and where in it;
 * MW_ERR_NOMEM. */
enum mw_rc template_new(const char *text, struct template_code **template_r, struct mw_err *err_r);
/* They are counted: policies share theirs. NULL is none. */
struct template_code *template_ref(struct template_code *t);
void template_unref(struct template_code **template_p);
/* Nothing at all would come of it, whatever the mail: the text is empty. */
bool template_is_empty(const struct template_code *t);

/*
 * Append the expansion to *out. MW_OK; MW_ERR_LIMIT: a bound was met, and *out has what came until
 * then; MW_ERR_NOMEM. t's patterns hold the memory of their matches: one thread at a time.
 */
enum mw_rc template_expand(
	struct template_code *t, const struct template_scope *scope, struct mw_text *out);

#endif
