#include "report_why.h"

#include <stdio.h>

#include "outcome/edit.h"
#include "policy/mail_policy.h"
#include "policy/policy_origin.h"

#define SAID_MAX 40 /* questions about one recipient */

static void add(struct txn *t, size_t i, unsigned ask, struct mw_record_said *list, size_t *count)
{
	struct rcpt_said said;
	const char *value;

	if (*count == SAID_MAX || !rcpt_policy_say_of(t, &t->rcpts[i], mail_policy_answer(t, i),
					  (enum rcpt_ask)ask, &said))
		return;
	value = smtp_arena_copy(&t->arena, said.value, strlen(said.value));
	if (value == NULL)
		return;
	list[(*count)++] = (struct mw_record_said){ mw_octets_of_text(said.name),
		mw_octets_of_text(value), policy_origin_text(t->set, t->policy, &said, &t->arena) };
}

/* What did not come into question is left out: a level without a score, a destiny of what was not
 * found. */
static void add_all(struct txn *t, size_t i, struct mw_record_rcpt *out)
{
	struct mw_record_said *list = smtp_arena_array(&t->arena, SAID_MAX, sizeof(*list));
	const struct txn_rcpt *r = &t->rcpts[i];
	size_t n = 0;

	if (list == NULL)
		return;
	add(t, i, ASK_LOCAL, list, &n);
	for (unsigned ask = ASK_BYPASS_VIRUS; ask <= ASK_BYPASS_BANNED; ask++)
		add(t, i, ask, list, &n);
	for (unsigned ask = ASK_TAG; ask <= ASK_KILL && r->has_score; ask++)
		add(t, i, ask, list, &n);
	if (r->size_limit != 0)
		add(t, i, ASK_SIZE, list, &n);
	for (size_t c = 0; c < r->ccat_count; c++) {
		enum ccat_slot slot = ccat_slot_of(r->ccats[c]);

		add(t, i, ASK_DESTINY + slot, list, &n);
		add(t, i, ASK_LOVES + slot, list, &n);
	}
	if (r->ccat_blocking != 0)
		add(t, i, ASK_QUARANTINE + ccat_slot_of(r->ccat_blocking), list, &n);
	else if (!t->client_delivers)
		add(t, i, ASK_NEXT_HOP, list, &n);
	out->said = list;
	out->said_count = n;
}

void report_why_rcpt(struct txn *t, size_t i, struct mw_record_rcpt *out)
{
	const struct txn_rcpt *r = &t->rcpts[i];
	const char *destiny = mw_destiny_name(r->destiny);
	unsigned char *ccats;

	out->destiny = mw_octets_of_text(destiny != NULL ? destiny : "");
	out->cluster = r->cluster;
	if (i >= t->set->decisions_recipients || t->policy == NULL)
		return;
	ccats = smtp_arena_get(&t->arena, r->ccat_count + 1);
	for (size_t c = 0; ccats != NULL && c < r->ccat_count; c++)
		ccats[c] = (unsigned char)r->ccats[c];
	out->ccats = mw_octets_of(ccats, ccats != NULL ? r->ccat_count : 0);
	add_all(t, i, out);
}

/* ------------------------------------------------------------------ the mail as a whole */

static const char *rule_name(enum mail_bank_rule rule)
{
	static const char *const names[] = {
		[MAIL_BANK_OF_SOCKET] = "socket",
		[MAIL_BANK_OF_CLIENT] = "client",
		[MAIL_BANK_ASKED] = "asked for",
		[MAIL_BANK_OF_USER] = "local sender",
		[MAIL_BANK_OF_AUTHOR] = "author",
		[MAIL_BANK_OF_VIRUS] = "virus",
		[MAIL_BANK_OF_HOOK] = "hook",
	};

	return names[rule];
}

static size_t removed_octets(const struct txn *t, const struct txn_cluster *c)
{
	struct mw_octets original = smtp_body_octets(t->body);
	size_t kept = 0;

	for (size_t i = 0; i < c->piece_count; i++)
		if (c->pieces[i].p >= original.p && c->pieces[i].p < original.p + original.n)
			kept += c->pieces[i].n;
	return original.n - kept;
}

#define REMOVED_MAX 48 /* "; 12345 octets removed" */

/* "Received, X-Virus-Scanned": names of the fields on top; and how many of the original's octets
 * are not there any more. */
static struct mw_octets edit_of(struct txn *t, const struct txn_cluster *c)
{
	const char *p = c->fields != NULL ? c->fields : "";
	size_t n = strlen(p), removed = removed_octets(t, c);
	char *text = smtp_arena_get(&t->arena, n + REMOVED_MAX), *at = text;

	if (text == NULL)
		return mw_octets_of("", 0);
	for (const char *end = p + n; p < end;) {
		const char *line = memchr(p, '\n', (size_t)(end - p));
		size_t name = strcspn(p, ":\r\n");

		if (p[name] == ':' && *p != ' ' && *p != '\t') {
			if (at > text) { /* the field before had a colon and a line end */
				*at++ = ',';
				*at++ = ' ';
			}
			memcpy(at, p, name);
			at += name;
		}
		p = line != NULL ? line + 1 : end;
	}
	if (removed > 0)
		at += snprintf(
			at, REMOVED_MAX, "%s%zu octets removed", at > text ? "; " : "", removed);
	return mw_octets_of(text, (size_t)(at - text));
}

void report_why(struct txn *t, struct mw_record *r)
{
	struct mw_octets *rules =
		smtp_arena_array(&t->arena, t->policy->bank_count, sizeof(*rules));
	struct mw_octets *edits = smtp_arena_array(&t->arena, t->cluster_count, sizeof(*edits));

	r->settings_ms = t->set->loaded_ms;
	for (size_t i = 0; rules != NULL && i < t->policy->bank_count; i++)
		rules[i] = mw_octets_of_text(rule_name(t->bank_rules[i]));
	r->bank_rules = (struct mw_list){ rules != NULL ? t->policy->bank_count : 0, rules };
	if (edits == NULL || t->body == NULL || t->set->decisions_recipients == 0)
		return;
	for (size_t i = 0; i < t->cluster_count; i++)
		edits[i] = edit_of(t, &t->clusters[i]);
	r->edits = (struct mw_list){ t->cluster_count, edits };
}
