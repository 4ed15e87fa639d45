/*
 * Contents categories as keys of *_by_ccat settings: "CC_SPAM", "CC_UNCHECKED,1". One slot for each
 * that there is, so that minors have a word of their own in all of them.
 */
#ifndef SMTP_CCAT_H
#define SMTP_CCAT_H

#include "record.h"

enum ccat_slot {
	CCAT_VIRUS,
	CCAT_BANNED,
	CCAT_UNCHECKED,
	CCAT_ENCRYPTED, /* minors of unchecked */
	CCAT_OVER_LIMITS,
	CCAT_AMBIGUOUS,
	CCAT_UNSCORED, /* its spam check failed: a minor of ours */
	CCAT_SPAM,
	CCAT_SPAMMY,
	CCAT_SPAMMY3, /* its minor: the third level */
	CCAT_BADH,
	CCAT_BADH_MIME, /* minors of a bad header section */
	CCAT_BADH_8BIT,
	CCAT_BADH_CHAR,
	CCAT_BADH_SPACE,
	CCAT_BADH_LONG,
	CCAT_BADH_SYNTAX,
	CCAT_BADH_MISSING,
	CCAT_BADH_DUPLICATE,
	CCAT_OVERSIZED,
	CCAT_MTA,
	CCAT_MTA_TEMPFAILED, /* minors of the next hop's trouble */
	CCAT_MTA_REJECTED,
	CCAT_CLEAN,
	CCAT_CLEAN_TAG,
	CCAT_CATCHALL,
	CCAT_SLOTS
};

/* "CC_UNCHECKED,1" */
const char *ccat_key(enum ccat_slot slot);
/* err_r: there is no such category. */
enum mw_rc ccat_of_key(const char *key, enum ccat_slot *slot_r, struct mw_err *err_r);
/* Of MW_CCAT(); of a minor without a slot its major's. */
enum ccat_slot ccat_slot_of(unsigned ccat);
/* A minor's major, of others themselves. */
enum ccat_slot ccat_major(enum ccat_slot slot);
/* What is asked next: a minor's major, then the catch-all; CCAT_SLOTS behind that. */
enum ccat_slot ccat_above(enum ccat_slot slot);

#endif
