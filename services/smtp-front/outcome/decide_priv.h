/* What decide.c (categories, destinies, replies) and decide_score.c (scores, lists of senders,
 * levels) share. Nobody else includes this. */
#ifndef SMTP_DECIDE_PRIV_H
#define SMTP_DECIDE_PRIV_H

#include "decide.h"

/* The recipient's score of all its parts, and the levels that it reaches. */
void decide_score(const struct txn *t, struct txn_rcpt *r);
/* The pseudo-tests of our own stand among the engine's. */
void decide_add_tests(struct txn *t);

#endif
