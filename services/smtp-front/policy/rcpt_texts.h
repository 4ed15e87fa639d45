/*
 * What is asked about few recipients only, when their categories are known: texts by category. As
 * amavisd has it the most important category that has tables decides, also when they say nothing;
 * CC_CATCHALL where none has. Within a category: a database's column, the tables of *_by_ccat for
 * exactly this one, those for its major, the settings without a category.
 */
#ifndef SMTP_RCPT_TEXTS_H
#define SMTP_RCPT_TEXTS_H

#include "ccat.h"
#include "conf.h"
#include "lookup.h"

struct txn;
struct txn_rcpt;
struct policy;
struct policy_set;

enum rcpt_text {
	TEXT_EXTENSION,	     /* of an address */
	TEXT_REWRITE,	     /* of an address */
	TEXT_DEFANG,	     /* what is done to the body */
	TEXT_ADMIN,	     /* address of who is told; the last three also of blocked mail */
	TEXT_NEWVIRUS_ADMIN, /* the same of a virus not seen before; of viruses only */
	TEXT_WARNING,	     /* "1": the recipient is told */
	RCPT_TEXTS
};

#define RCPT_TEXT_PLAINS 24 /* settings without a category, by category */

struct policy_rcpt_texts {
	struct mw_lookup *by_ccat[RCPT_TEXTS][CCAT_SLOTS];
	struct mw_lookup *plain[RCPT_TEXT_PLAINS];
	bool used[RCPT_TEXTS]; /* some table says something */
};

/* always_bcc and always_bcc_by_ccat: an address, or "" for none; NULL: not said. */
struct policy_bcc {
	const char *to[CCAT_SLOTS];
	bool any;
};

/* From p's settings. err_r names what cannot be. */
enum mw_rc rcpt_texts_compile(const struct policy_set *set, struct policy *p, struct mw_err *err_r);
void rcpt_texts_fini(struct policy *p);
/* What texts of such a setting may be, or NULL: see struct mw_lookup_options. */
enum mw_rc (*rcpt_texts_check(const char *setting))(const char *text, struct mw_err *err_r);

/* False: nobody says anything about anybody, so that asking can be left out. */
bool rcpt_texts_asked(const struct txn *t, enum rcpt_text which);
/* Of the category that decides for r: of a blocked one only that which blocks it, or CC_CATCHALL;
 * in t's arena. NULL: nothing. */
const char *rcpt_text(struct txn *t, const struct txn_rcpt *r, enum rcpt_text which);
/* Of exactly that category, or its major. */
const char *rcpt_text_for(
	struct txn *t, const struct txn_rcpt *r, enum rcpt_text which, enum ccat_slot slot);

/* An extension that an address may get: octets of an atom, no delimiter in front. */
bool rcpt_text_is_extension(const char *text);
/* What an address may be rewritten to: "user@domain", "user@" or "@domain", one, ASCII. */
bool rcpt_text_is_address(const char *text);
/* A whole address, to send something to. */
bool rcpt_text_is_mailbox(const char *text);

#endif
