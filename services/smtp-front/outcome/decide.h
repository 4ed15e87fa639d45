/*
 * Findings become categories, scores and a destiny per recipient (docs/policy.md, "What becomes of
 * a mail"). The one place that knows what a check that did not run means: a failed virus check
 * defers the mail (virus_scanners_failure_is_fatal), a failed spam check passes it with a mark
 * (spam_scanners_failure_is_fatal); neither is ever clean.
 */
#ifndef SMTP_DECIDE_H
#define SMTP_DECIDE_H

#include "transaction.h"

/* After auth, scan and reputation: why the mail has to be deferred, or NULL. */
const char *decide_check_failure(struct txn *t);
/* The same: viruses that virus_name_to_spam_score_maps makes points of, and whether one fakes
 * senders. May be called again when more were found. */
void decide_viruses(struct txn *t);
/* The same: for which recipients the sender is on a white or black list, or has points. */
void decide_senders(struct txn *t);
/* And then: it is on one for each of them, so no score would matter. */
bool decide_all_listed(const struct txn *t);
/* Whatever its score will be, what was found by now blocks it for every recipient. */
bool decide_all_blocked(struct txn *t);
/* After all checks: fills every recipient's categories, scores, destiny and, when blocked, its
 * reply and action; and the mail's own categories. May be called again: it begins anew. */
void decide(struct txn *t);
/* What becomes of a 5xx of the next hop's for r: D_TEMPFAIL also where soft_bounce says so, never
 * D_PASS. */
enum mw_destiny decide_of_refusal(const struct txn *t, const struct txn_rcpt *r);
/* The next hop has not taken the mail for r, whose code (4xx or 5xx), reply and action say so:
 * what final_destiny_by_ccat has for that. */
void decide_hop_refusal(struct txn *t, struct txn_rcpt *r);
/* The category of the message as a whole: blocking if any recipient is blocked, else the main one.
 */
unsigned decide_ccat(const struct txn *t);
/* "Eicar-Test, Other": names of what was found, each once, at most five. */
const char *decide_virus_names(struct txn *t);

#endif
