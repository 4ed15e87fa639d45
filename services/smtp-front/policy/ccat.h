/*
 * Contents categories as keys of *_by_ccat settings: "CC_SPAM", "CC_UNCHECKED,1". One slot for each
 * that the front decides on; the others are refused, for nothing would ever come of them.
 */
#ifndef SMTP_CCAT_H
#define SMTP_CCAT_H

#include "record.h"

enum ccat_slot {
	CCAT_VIRUS,
	CCAT_UNCHECKED,
	CCAT_ENCRYPTED, /* minors of unchecked */
	CCAT_OVER_LIMITS,
	CCAT_AMBIGUOUS,
	CCAT_SPAM,
	CCAT_SPAMMY,
	CCAT_OVERSIZED,
	CCAT_CLEAN,
	CCAT_CLEAN_TAG,
	CCAT_CATCHALL,
	CCAT_SLOTS
};

/* "CC_UNCHECKED,1" */
const char *ccat_key(enum ccat_slot slot);
/* err_r: there is no such category, or none that is decided on. */
enum mw_rc ccat_of_key(const char *key, enum ccat_slot *slot_r, struct mw_err *err_r);
/* Of MW_CCAT(); of a minor without a slot its major's. */
enum ccat_slot ccat_slot_of(unsigned ccat);
/* What is asked next: a minor's major, then the catch-all; CCAT_SLOTS behind that. */
enum ccat_slot ccat_above(enum ccat_slot slot);

#endif
