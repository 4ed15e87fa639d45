/*
 * An admin's Lua functions at five points of a mail's path (docs/hooks.md). A function is given the
 * mail as an object that reads it, lazily, and collects what is to be done; that is done after the
 * function has returned, all of it or, when it failed, nothing. Each call has a budget.
 *
 * A hook can make a mail worse, never clean: it cannot take findings or failed checks away.
 */
#ifndef SMTP_HOOKS_H
#define SMTP_HOOKS_H

#include "transaction.h"

struct hooks; /* of one set of settings */

extern const char *const hook_names[HOOK_POINTS];

/* *hooks_r NULL: no hook is set, and none costs anything. */
enum mw_rc hooks_new(const struct mw_conf *conf, struct hooks **hooks_r, struct mw_err *err_r);
void hooks_destroy(struct hooks **hooks_p);

/* Call what is set for that point. False: it failed and has to defer the mail. */
bool hooks_call(struct txn *t, enum hook_point point);
static inline bool hooks_pass(struct txn *t, enum hook_point point)
{
	return t->set->hooks == NULL || hooks_call(t, point);
}

/* Viruses that hooks have named go among those that the scan has found; once the scan is over. */
enum mw_rc hooks_viruses(struct txn *t);

#endif
