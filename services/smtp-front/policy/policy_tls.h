/* TLS as the settings want it: levels by bank, one certificate and one set of authorities for all.
 */
#ifndef SMTP_POLICY_TLS_H
#define SMTP_POLICY_TLS_H

#include "policy.h"

/* The levels of one bank; its next hop has been parsed. bank: its name, "" is the base. */
enum mw_rc policy_tls_levels(
	const struct mw_conf *conf, const char *bank, struct policy *p, struct mw_err *err_r);
/* The contexts that the policies of the set need: read now, so that what is wrong with a file is
 * told at start and at SIGHUP. */
enum mw_rc policy_tls_open(
	const struct mw_conf *conf, struct policy_set *set, struct mw_err *err_r);

#endif
