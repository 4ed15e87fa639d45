#include "policy_origin.h"

#include <stdlib.h>

#include "db.h"

#define ORIGINS 1024

unsigned policy_origin_of_bank(const struct policy_set *set, const char *bank)
{
	const struct mw_val *v = mw_val_field(mw_conf_val(set->conf, "policy_bank"), bank);

	return v != NULL ? v->line : 0;
}

const char *policy_origin(const struct policy_set *set, const struct policy *p, const char *setting,
	const char **bank_r, char buf[POLICY_ORIGIN_MAX])
{
	const struct mw_val *v = mw_conf_val(p->conf, setting);
	unsigned line;

	while (p->below != NULL && mw_conf_val(p->below->conf, setting) == v)
		p = p->below;
	*bank_r = p->below != NULL ? p->bank : NULL;
	if (*bank_r == NULL)
		return mw_conf_origin(p->conf, setting, buf, POLICY_ORIGIN_MAX);
	/* MYNETS is originating without a line that says so. */
	line = v->line != 0 ? v->line : policy_origin_of_bank(set, p->bank);
	return mw_conf_where(set->conf, line, buf, POLICY_ORIGIN_MAX);
}

void policy_origin_entry(struct mw_text *out, const struct mw_lookup_result *r)
{
	mw_text_addf(out, "table %u (%s)", r->table + 1, mw_lookup_kind_name(r->kind));
	if (r->source != NULL)
		mw_text_addf(out, " of %s", r->source);
	if (r->key != NULL)
		mw_text_addf(out, ", \"%s\"", r->key);
}

static void add_setting(struct mw_text *out, const struct policy_set *set, const struct policy *p,
	const char *setting, unsigned line)
{
	char buf[POLICY_ORIGIN_MAX];
	const char *bank, *where = policy_origin(set, p, setting, &bank, buf);

	if (line != 0)
		where = mw_conf_where(set->conf, line, buf, sizeof(buf));
	mw_text_addf(out, "%s: %s%s%s", where, setting, bank != NULL ? " of bank " : "",
		bank != NULL ? bank : "");
}

void policy_origin_said(struct mw_text *out, const struct policy_set *set, const struct policy *p,
	const struct rcpt_said *said)
{
	const char *key;

	switch (said->by) {
	case RCPT_SAID_BY_DATABASE:
		key = db_record_key(said->record);
		mw_text_addf(out, "%s, %s of the record of \"%s\"",
			said->record->source == DB_SQL ? "SQL" : "LDAP",
			said->record->source == DB_SQL ? said->field->column
						       : said->field->attribute,
			key != NULL ? key : "?");
		return;
	case RCPT_SAID_BY_TABLE:
		add_setting(out, set, p, said->setting, said->table.line);
		mw_text_add(out, ", ");
		policy_origin_entry(out, &said->table);
		return;
	case RCPT_SAID_BY_CONSTANT:
		add_setting(out, set, p, said->setting, 0);
		mw_text_add(out, ", a constant");
		return;
	default:
		if (said->setting == NULL)
			mw_text_add(out, "nobody says anything");
		else if (mw_setting_find(said->setting)->type == MW_T_MAPS)
			mw_text_addf(out, "no table of %s says anything", said->setting);
		else
			add_setting(out, set, p, said->setting, 0);
	}
}

/* ------------------------------------------------------------------ mail after mail */

/*
 * Where a setting stands is the same text for mail after mail, and finding it costs more than all
 * else. A slot that is taken keeps its text, for it is borrowed.
 */
struct policy_origins {
	struct policy_origin_slot {
		const struct policy *policy;
		const char *setting;
		unsigned by, line;
		char *text;
		size_t n;
	} slots[ORIGINS];
};

void policy_origins_destroy(struct policy_origins **o_p)
{
	struct policy_origins *o = *o_p;

	*o_p = NULL;
	for (size_t i = 0; o != NULL && i < ORIGINS; i++)
		free(o->slots[i].text);
	free(o);
}

/* What does not depend on the recipient: all of a constant's, a table's setting and line. */
static void add_common(struct mw_text *out, const struct policy_set *set, const struct policy *p,
	const struct rcpt_said *said)
{
	if (said->by == RCPT_SAID_BY_TABLE)
		add_setting(out, set, p, said->setting, said->table.line);
	else
		policy_origin_said(out, set, p, said);
}

/* Filled, if it was free; NULL: it is another's, or no memory. */
static const struct policy_origin_slot *slot_of(
	struct policy_set *set, const struct policy *p, const struct rcpt_said *said)
{
	unsigned line = said->by == RCPT_SAID_BY_TABLE ? said->table.line : 0;
	uintptr_t key =
		(uintptr_t)p / 64 * 31 + (uintptr_t)said->setting / 8 * 7 + said->by + line * 131;
	struct mw_text text = { 0 };
	struct policy_origin_slot *s;

	if (set->origins == NULL)
		set->origins = calloc(1, sizeof(*set->origins));
	if (set->origins == NULL)
		return NULL;
	s = &set->origins->slots[key % ORIGINS];
	if (s->text != NULL)
		return s->policy == p && s->setting == said->setting && s->by == said->by &&
				       s->line == line
			       ? s
			       : NULL;
	add_common(&text, set, p, said);
	if (text.failed || text.p == NULL) {
		mw_text_fini(&text);
		return NULL;
	}
	*s = (struct policy_origin_slot){ p, said->setting, said->by, line, text.p, text.n };
	return s;
}

struct mw_octets policy_origin_text(struct policy_set *set, const struct policy *p,
	const struct rcpt_said *said, struct smtp_arena *arena)
{
	const struct policy_origin_slot *slot =
		said->by != RCPT_SAID_BY_DATABASE ? slot_of(set, p, said) : NULL;
	struct mw_text text = { 0 };
	struct mw_octets o;
	const char *s;

	if (slot != NULL && said->by != RCPT_SAID_BY_TABLE)
		return mw_octets_of(slot->text, slot->n);
	if (slot != NULL) {
		mw_text_add_octets(&text, slot->text, slot->n);
		mw_text_add(&text, ", ");
		policy_origin_entry(&text, &said->table);
	} else {
		policy_origin_said(&text, set, p, said);
	}
	s = text.failed ? NULL : smtp_arena_copy(arena, text.p, text.n);
	o = mw_octets_of(s, s != NULL ? text.n : 0);
	mw_text_fini(&text);
	return o;
}
