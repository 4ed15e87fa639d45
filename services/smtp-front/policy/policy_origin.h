/* Which line of the settings, which entry of a table or database says so: for who asks why. */
#ifndef SMTP_POLICY_ORIGIN_H
#define SMTP_POLICY_ORIGIN_H

#include "arena.h"
#include "policy.h"

/* "FILE:LINE" of a value's line, in buf. */
#define POLICY_ORIGIN_MAX 1024
/*
 * Where p has a setting's value from: "FILE:LINE", "environment MAILWEIR_X" or "default", in buf.
 * *bank_r: the bank that says it; NULL: the base.
 */
const char *policy_origin(const struct policy_set *set, const struct policy *p, const char *setting,
	const char **bank_r, char buf[POLICY_ORIGIN_MAX]);
/* The line that a bank begins at; 0: nowhere. */
unsigned policy_origin_of_bank(const struct policy_set *set, const char *bank);
/* Appends what in a table answered: `table 2 (hash), "example.org"`. */
void policy_origin_entry(struct mw_text *out, const struct mw_lookup_result *r);
/* Appends who said a recipient's value: `mailweir.lua:12: spam_lovers_maps of bank ALT, table 1
 * (hash), "a@example.org"`. */
void policy_origin_said(struct mw_text *out, const struct policy_set *set, const struct policy *p,
	const struct rcpt_said *said);
/* The same, as octets that live as long as the set or the arena; none: no memory. */
struct mw_octets policy_origin_text(struct policy_set *set, const struct policy *p,
	const struct rcpt_said *said, struct smtp_arena *arena);

struct policy_origins;
void policy_origins_destroy(struct policy_origins **o_p);

#endif
