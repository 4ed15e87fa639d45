/*
 * Banned rules as the settings have them (policy-and-lookups.md 7): banned_rules by name, the rule
 * DEFAULT out of banned_filename_re, and lists of tables that stand in banned_filename_maps
 * themselves. Compiled once for all policies of a set.
 */
#ifndef SMTP_BANNED_RULES_H
#define SMTP_BANNED_RULES_H

#include "policy.h"

#define BANNED_TABLES_MAX 64 /* rules of one recipient */

struct banned_rules;

/* From the base's settings; err_r names what is wrong. */
enum mw_rc banned_rules_new(
	const struct policy_set *set, struct banned_rules **rules_r, struct mw_err *err_r);
void banned_rules_destroy(struct banned_rules **rules_p);

/* p's own settings: every rule that they name is there. Fills p->banned_namepath and p->bans. */
enum mw_rc banned_policy_compile(
	const struct policy_set *set, struct policy *p, struct mw_err *err_r);
void banned_policy_fini(struct policy *p);

/* Rules of one recipient, each once; empty ones are left out. */
struct banned_tables {
	size_t count;
	const struct mw_lookup *tables[BANNED_TABLES_MAX];
};

/*
 * All tables that an address has under p, of a database's names (NULL: none) first. A name that is
 * no rule is told in *unknown_r (NULL: there is none), which lives until the next call. False: more
 * than BANNED_TABLES_MAX, or no memory.
 */
bool banned_tables_of(const struct policy_set *set, const struct policy *p, const char *addr,
	const char *rulenames, struct banned_tables *tables_r, const char **unknown_r);

#endif
