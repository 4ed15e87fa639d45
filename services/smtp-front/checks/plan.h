/* The plan of checks: which kinds a mail needs, with which orders. The only place, with decide.c,
 * that knows them all. */
#ifndef SMTP_PLAN_H
#define SMTP_PLAN_H

#include "transaction.h"

/*
 * Decide for one kind: fills t->checks[kind] with orders, or says why it is skipped. Side by side:
 * auth, scan, reputation; then spam, which needs what they found; learn comes last.
 */
bool plan_auth(struct txn *t);
bool plan_scan(struct txn *t);
/* The same of a mail that is to be released, of so many octets: nobody bypasses it. */
void plan_rescan(struct txn *t, size_t octets);
bool plan_reputation(struct txn *t);
bool plan_spam(struct txn *t);
bool plan_sign(struct txn *t, const struct policy_signer **signer_r);
void plan_sign_orders(struct txn *t, const struct policy_signer *signer);
bool plan_learn(struct txn *t);
/* Envelope and ids of a job, common to all kinds. */
void plan_what(struct txn *t, enum dispatch_kind kind);

#endif
