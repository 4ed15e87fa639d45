/*
 * Banned parts per recipient: policy-and-lookups.md 7. Recipients who go by the same rules are one
 * group, for which the tree of parts is walked once.
 */
#ifndef SMTP_BANNED_H
#define SMTP_BANNED_H

#include "transaction.h"

#define BANNED_PATHS_MAX 20	  /* banned parts of one mail that are told */
#define BANNED_TEXT_MAX 400	  /* octets of one that is told */
#define BANNED_KEYS_MAX 1024	  /* names and types on the path to a part */
#define BANNED_CPU_US_MAX 1000000 /* of one mail */

/*
 * Somebody's mail is looked through for banned parts: the scan has to tell of them. May be asked
 * before the scan; also true when a bank that a virus loads could want it.
 */
bool banned_wanted(const struct txn *t);
/* The same of one recipient's mail. */
bool banned_wanted_for(const struct txn *t, const struct txn_rcpt *r);
/*
 * After the scan, when the mail's banks are known: the banned fields of t's recipients. *failed_r
 * NULL, or why nobody can know whether something is banned: the mail has to come again. MW_OK or
 * MW_ERR_NOMEM.
 */
enum mw_rc banned_check(struct txn *t, const char **failed_r);

#endif
