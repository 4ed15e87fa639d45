/*
 * Findings become categories, scores and a destiny per recipient (docs: decision). The one place
 * that knows what a check that did not run means: a failed virus check defers the mail
 * (virus_scanners_failure_is_fatal), a failed spam check passes it with a mark; neither is ever
 * clean.
 */
#ifndef SMTP_DECIDE_H
#define SMTP_DECIDE_H

#include "transaction.h"

/* After auth, scan and reputation: why the mail has to be deferred, or NULL. */
const char *decide_check_failure(struct txn *t);
/* After all checks: fills every recipient's categories, scores, destiny and, when blocked, its
 * reply and action. */
void decide(struct txn *t);
/* The category of the message as a whole: blocking if any recipient is blocked, else the main one.
 */
unsigned decide_ccat(const struct txn *t);
/* "Eicar-Test, Other": names of what was found, each once, at most five. */
const char *decide_virus_names(struct txn *t);

#endif
