/* Banks that depend on the message: who signed it for its author, and which viruses are in it
 * (policy-and-lookups 2, steps 6 and 8; docs/policy.md). */
#ifndef SMTP_MESSAGE_BANKS_H
#define SMTP_MESSAGE_BANKS_H

#include "transaction.h"

/* Of one mail: authors and domains of signatures that are asked about; more are not. */
#define MESSAGE_AUTHORS_MAX 8
#define MESSAGE_SIGNERS_MAX 20 /* so many signatures are verified */

/*
 * True when author_to_policy_bank_maps would load a bank if all signatures that the mail claims to
 * have were valid: only then must they be known before anything else. Nothing is asked, and nothing
 * of the mail is looked at, where there are no such tables.
 */
bool message_banks_wait_for_auth(const struct txn *t);
/* Load what the signatures bring that the check found to be valid: of a check that failed none.
 * False: a bank cannot be loaded; it was told, and the mail must not go on without it. */
bool message_banks_by_author(struct txn *t);
/* The same by the names of the viruses found. *loaded_r: the policy is another now, and recipients
 * must be asked about again. */
bool message_banks_by_virus(struct txn *t, bool *loaded_r);

#endif
