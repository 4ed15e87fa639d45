/*
 * Lists of senders by recipient: score_sender_maps and the per_recip_*_sender_lookup_tables. A
 * recipient's keys lead to lists of lookup tables, and these are asked for a sender.
 */
#ifndef SMTP_SENDER_LISTS_H
#define SMTP_SENDER_LISTS_H

#include "lookup.h"

struct policy;
struct policy_set;
struct sender_lists;

/* All of p's, into its fields. err_r names the setting that cannot be. */
enum mw_rc sender_lists_compile(
	const struct policy_set *set, struct policy *p, struct mw_err *err_r);
void sender_lists_unref(struct sender_lists **l_p);
/*
 * What the recipient's lists say of a sender: each of them by its first value. True: one had a
 * value. *milli_r: their sum; *yes_r: the first that is true or false. l may be NULL.
 */
bool sender_lists_ask(const struct sender_lists *l, const char *rcpt, const char *sender,
	int64_t *milli_r, bool *yes_r);

#endif
