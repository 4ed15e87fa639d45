/* What the files of the policies share: policy.c (one policy from its settings), policy_clients.c
 * (its networks), policy_banks.c (what its message may load), policy_tls.c, policy_set.c (all of
 * them). Nobody else includes this. */
#ifndef SMTP_POLICY_PRIV_H
#define SMTP_POLICY_PRIV_H

#include "policy.h"
#include "policy_tls.h"

/* p->conf, bank and below are set; everything else is made from them. err_r names the setting that
 * cannot be; policy_fini is due all the same. */
enum mw_rc policy_compile(const struct policy_set *set, struct policy *p, struct mw_err *err_r);
void policy_fini(struct policy *p);
/* What a bank does not set it has from what it lies on: the same tables (they may have a million
 * entries), unless it reads addresses otherwise. */
bool policy_shares_tables(const struct policy *p, const struct mw_lookup_options *o);

/* rcpt_compile.c and rcpt_policy.c */
#define RCPT_FOLDER_MAX 60
#define RCPT_OTHER                                                                                 \
	"other-quarantine" /* where no *_quarantine_to_maps says anything of a category */

/* client_ipaddr_policy. */
enum mw_rc policy_clients_compile(
	const struct policy_set *set, struct policy *p, struct mw_err *err_r);
void policy_clients_fini(struct policy *p);

/* policy_sockets.c: set->sockets. */
enum mw_rc policy_sockets_compile(struct policy_set *set, struct mw_err *err_r);
/* What a message may load on a mail's policy, each by itself, while there is room in the set. */
enum mw_rc policy_banks_compile(
	struct policy_set *set, const struct policy *p, struct mw_err *err_r);

#endif
