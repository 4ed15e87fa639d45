#include "rcpt_policy.h"

#include <stdio.h>

#include "db.h"
#include "log.h"
#include "lookup_keys.h"
#include "policy_priv.h"
#include "policy_route.h"
#include "transaction.h"

#define SIZE_LIMIT_LEAST 65536 /* RFC 5321 section 4.5.3.1.7 */

enum kind { KIND_BOOL, KIND_SCORE, KIND_SIZE, KIND_DESTINY, KIND_FOLDER, KIND_HOPS };

#define BY_CCAT(first, kind, field)                                                                \
	{                                                                                          \
		kind, CCAT_SLOTS, offsetof(struct txn_rcpt, field),                                \
			sizeof(((struct txn_rcpt *)0)->field[0]), first                            \
	}

/* Where answers go; those by category are arrays. */
static const struct rcpt_row {
	enum kind kind;
	unsigned count; /* of questions side by side */
	size_t field, step;
	enum rcpt_ask ask;
} rows[] = {
	{ KIND_BOOL, 1, offsetof(struct txn_rcpt, is_local), 0, ASK_LOCAL },
	{ KIND_BOOL, 1, offsetof(struct txn_rcpt, bypass_virus), 0, ASK_BYPASS_VIRUS },
	{ KIND_BOOL, 1, offsetof(struct txn_rcpt, bypass_spam), 0, ASK_BYPASS_SPAM },
	{ KIND_BOOL, 1, offsetof(struct txn_rcpt, bypass_banned), 0, ASK_BYPASS_BANNED },
	{ KIND_SCORE, 1, offsetof(struct txn_rcpt, tag_milli), 0, ASK_TAG },
	{ KIND_SCORE, 1, offsetof(struct txn_rcpt, tag2_milli), 0, ASK_TAG2 },
	{ KIND_SCORE, 1, offsetof(struct txn_rcpt, kill_milli), 0, ASK_KILL },
	{ KIND_SIZE, 1, offsetof(struct txn_rcpt, size_limit), 0, ASK_SIZE },
	{ KIND_HOPS, 1, offsetof(struct txn_rcpt, route), 0, ASK_NEXT_HOP },
	BY_CCAT(ASK_DESTINY, KIND_DESTINY, destinies),
	BY_CCAT(ASK_LOVES, KIND_BOOL, loves),
	BY_CCAT(ASK_QUARANTINE, KIND_FOLDER, folders),
};

/* A database has no columns by minor, and one of lovers of spam for spammy mail too. */
static const char *const columns[RCPT_ASKS] = {
	[ASK_LOCAL] = "local_domains_maps",
	[ASK_BYPASS_VIRUS] = "bypass_virus_checks_maps",
	[ASK_BYPASS_SPAM] = "bypass_spam_checks_maps",
	[ASK_BYPASS_BANNED] = "bypass_banned_checks_maps",
	[ASK_TAG] = "spam_tag_level_maps",
	[ASK_TAG2] = "spam_tag2_level_maps",
	[ASK_KILL] = "spam_kill_level_maps",
	[ASK_SIZE] = "message_size_limit_maps",
	[ASK_NEXT_HOP] = "forward_method_maps",
	[ASK_LOVES + CCAT_VIRUS] = "virus_lovers_maps",
	[ASK_LOVES + CCAT_UNCHECKED] = "unchecked_lovers_maps",
	[ASK_LOVES + CCAT_ENCRYPTED] = "unchecked_lovers_maps",
	[ASK_LOVES + CCAT_OVER_LIMITS] = "unchecked_lovers_maps",
	[ASK_LOVES + CCAT_AMBIGUOUS] = "unchecked_lovers_maps",
	[ASK_LOVES + CCAT_SPAM] = "spam_lovers_maps",
	[ASK_LOVES + CCAT_SPAMMY] = "spam_lovers_maps",
	[ASK_QUARANTINE + CCAT_VIRUS] = "virus_quarantine_to_maps",
	[ASK_QUARANTINE + CCAT_UNCHECKED] = "unchecked_quarantine_to_maps",
	[ASK_QUARANTINE + CCAT_ENCRYPTED] = "unchecked_quarantine_to_maps",
	[ASK_QUARANTINE + CCAT_OVER_LIMITS] = "unchecked_quarantine_to_maps",
	[ASK_QUARANTINE + CCAT_AMBIGUOUS] = "unchecked_quarantine_to_maps",
	[ASK_QUARANTINE + CCAT_SPAM] = "spam_quarantine_to_maps",
	[ASK_QUARANTINE + CCAT_SPAMMY] = "spam_quarantine_to_maps",
	[ASK_QUARANTINE + CCAT_CLEAN] = "clean_quarantine_to_maps",
	[ASK_QUARANTINE + CCAT_CLEAN_TAG] = "clean_quarantine_to_maps",
};

static const struct db_field *field_of(unsigned ask)
{
	static const struct db_field *fields[RCPT_ASKS];

	if (fields[ask] == NULL && columns[ask] != NULL)
		fields[ask] = db_field_find(columns[ask]);
	return fields[ask];
}

/* ------------------------------------------------------------------ answers into fields */

struct rcpt_resolve {
	struct txn *t;
	struct txn_rcpt *r;
	const struct db_records *records;
	struct mw_asker asker;
	struct mw_lookup_result result;
	char text[MW_LOOKUP_TEXT_MAX]; /* of a database */
};

bool rcpt_policy_folder(const char *text, const char **folder_r)
{
	/* local_delivery_aliases, as amavisd has them: all are QUARANTINEDIR. */
	static const char *const ours[] = { "virus-quarantine", "banned-quarantine",
		"unchecked-quarantine", "spam-quarantine", "bad-header-quarantine",
		"clean-quarantine", RCPT_OTHER, "archive-quarantine" };
	size_t n = strlen(text);

	*folder_r = n == 0 || strcmp(text, "0") == 0 ? NULL : "";
	if (*folder_r == NULL)
		return true;
	for (size_t i = 0; i < MW_COUNT(ours); i++)
		if (strcmp(text, ours[i]) == 0)
			return true;
	/* One character is a folder of all mail whose id begins with it, and poison is our own. */
	if (n < 2 || n > RCPT_FOLDER_MAX || text[0] == '.' || strcmp(text, "poison") == 0 ||
		text[strspn(text,
			"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-")] !=
			'\0')
		return false;
	*folder_r = text;
	return true;
}

static void set_folder(struct rcpt_resolve *q, const char *text, const char **folder_r)
{
	if (!rcpt_policy_folder(text, folder_r)) {
		/* Not where it was meant to go, but never nowhere. */
		txn_log(q->t, MW_WARN, "quarantine_to_unknown",
			"log_id=%s rcpt=%s to=%s kept=QUARANTINEDIR", q->t->log_id,
			mw_quote(q->r->addr), mw_quote(text));
		*folder_r = "";
	}
	/* Tables from files may be gone before the mail is. */
	if (*folder_r != NULL && **folder_r != '\0') {
		*folder_r = smtp_arena_copy(&q->t->arena, text, strlen(text));
		*folder_r = *folder_r != NULL ? *folder_r : "";
	}
}

/* text NULL: nobody says anything, and the mail's own is this one's. */
static void set_route(struct rcpt_resolve *q, const char *text, const struct next_hops **route_r)
{
	struct mw_err why = { "" };

	*route_r = NULL;
	q->r->no_route = NULL;
	if (text == NULL || policy_route(&q->t->set->routes, text, &q->t->policy->forward.hop[0],
				    &q->t->arena, route_r, &why) == MW_OK)
		return;
	txn_log(q->t, MW_WARN, "bad_next_hop", "log_id=%s rcpt=%s why=%s", q->t->log_id,
		mw_quote(q->r->addr), mw_quote(why.text));
	q->r->no_route = "the next hop's method for this recipient is wrong (forward_method_maps)";
}

static int32_t score_of(int64_t milli) /* a score that a table gives is as large as it likes */
{
	return milli > INT32_MAX ? INT32_MAX : milli < INT32_MIN ? INT32_MIN : (int32_t)milli;
}

static uint64_t limit_of(const struct policy *p, const struct mw_value *v)
{
	int64_t octets = v->type == MW_VALUE_MILLI ? v->milli / 1000 : 0;

	if (octets <= 0)
		return 0;
	return octets < SIZE_LIMIT_LEAST && p->size_limit_64k ? SIZE_LIMIT_LEAST : (uint64_t)octets;
}

static void set(struct rcpt_resolve *q, enum kind kind, const struct mw_value *v, void *field)
{
	const char *text = v->type == MW_VALUE_TEXT ? v->text : NULL;

	switch (kind) {
	case KIND_BOOL:
		*(bool *)field = v->b;
		break;
	case KIND_SCORE:
		*(int32_t *)field = score_of(v->milli);
		break;
	case KIND_SIZE:
		*(uint64_t *)field = limit_of(q->t->policy, v);
		break;
	case KIND_DESTINY:
		*(enum mw_destiny *)field = (enum mw_destiny)(v->milli / 1000);
		break;
	case KIND_FOLDER:
		set_folder(q, text != NULL ? text : "", field);
		break;
	case KIND_HOPS:
		set_route(q, text, field);
		break;
	}
}

/* ------------------------------------------------------------------ who is asked */

static bool ask_records(struct rcpt_resolve *q, const struct db_field *f, struct mw_value *v_r)
{
	struct mw_octets text;

	switch (f->type) {
	case DB_BOOL:
		v_r->type = MW_VALUE_BOOL;
		return db_field_bool(q->records, f, &v_r->b);
	case DB_NUMBER:
		v_r->type = MW_VALUE_MILLI;
		return db_field_milli(q->records, f, &v_r->milli);
	case DB_TEXT:
		break;
	}
	if (!db_field_text(
		    q->records, f, q->t->front->db != NULL && db_trims(q->t->front->db), &text))
		return false;
	/* What is too long, or holds a NUL, is nothing that anybody could mean. */
	if (text.n >= sizeof(q->text) || (text.n > 0 && memchr(text.p, '\0', text.n) != NULL))
		mw_strlcpy(q->text, "?", sizeof(q->text));
	else
		mw_strncpy(
			q->text, sizeof(q->text), text.n > 0 ? (const char *)text.p : "", text.n);
	*v_r = (struct mw_value){ .type = MW_VALUE_TEXT, .text = q->text };
	return true;
}

static enum mw_value_type type_of(enum kind kind)
{
	return kind == KIND_BOOL			  ? MW_VALUE_BOOL
	       : kind == KIND_FOLDER || kind == KIND_HOPS ? MW_VALUE_TEXT
							  : MW_VALUE_MILLI;
}

/* A database goes before all tables (lookup_maps_imply_sql_and_ldap). */
static void ask(struct rcpt_resolve *q, enum kind kind, unsigned which, void *field)
{
	const struct policy_ask *a = &q->t->policy->asks[which];
	struct mw_value v = { .type = MW_VALUE_UNDEF };

	if (q->records != NULL && field_of(which) != NULL && ask_records(q, field_of(which), &v)) {
		set(q, kind, &v, field);
		return;
	}
	for (unsigned i = 0; i < a->count; i++)
		if (mw_asker_lookup(&q->asker, a->maps[i], &q->result) &&
			q->result.value.type == type_of(kind)) {
			set(q, kind, &q->result.value, field);
			return;
		}
	if (kind == KIND_FOLDER)
		*(const char **)field = a->folder;
	else
		set(q, kind, &a->dflt, field);
}

void rcpt_policy_resolve(struct txn *t, struct txn_rcpt *r, const struct db_records *records)
{
	struct rcpt_resolve q;

	q.t = t;
	q.r = r;
	q.records = records != NULL && records->count > 0 ? records : NULL;
	mw_asker_init(&q.asker, r->addr);
	for (size_t i = 0; i < MW_COUNT(rows); i++)
		for (unsigned k = 0; k < rows[i].count; k++)
			ask(&q, rows[i].kind, (unsigned)rows[i].ask + k,
				(char *)r + rows[i].field + k * rows[i].step);
}

bool rcpt_policy_too_large(struct txn *t, const char *addr, uint64_t size)
{
	const struct policy_ask *a = &t->policy->asks[ASK_SIZE];
	struct txn_rcpt r = { .addr = addr };
	struct rcpt_resolve q;

	if (a->count == 0 && a->dflt.type == MW_VALUE_UNDEF)
		return false;
	/* A database may allow more than the tables. */
	if (t->front->db != NULL && db_enabled(t->front->db))
		return false;
	q.t = t;
	q.r = &r;
	q.records = NULL;
	mw_asker_init(&q.asker, addr);
	ask(&q, KIND_SIZE, ASK_SIZE, &r.size_limit);
	if (r.size_limit == 0 || size <= r.size_limit)
		return false;
	ask(&q, KIND_DESTINY, ASK_DESTINY + CCAT_OVERSIZED, &r.destinies[CCAT_OVERSIZED]);
	ask(&q, KIND_BOOL, ASK_LOVES + CCAT_OVERSIZED, &r.loves[CCAT_OVERSIZED]);
	return r.destinies[CCAT_OVERSIZED] == MW_D_REJECT && !r.loves[CCAT_OVERSIZED];
}

/* ------------------------------------------------------------------ who said it */

/* As amavisd's maps and a database's columns are called. */
static const char *const names[RCPT_ASKS] = {
	[ASK_LOCAL] = "local",
	[ASK_BYPASS_VIRUS] = "bypass_virus_checks",
	[ASK_BYPASS_SPAM] = "bypass_spam_checks",
	[ASK_BYPASS_BANNED] = "bypass_banned_checks",
	[ASK_TAG] = "spam_tag_level",
	[ASK_TAG2] = "spam_tag2_level",
	[ASK_KILL] = "spam_kill_level",
	[ASK_SIZE] = "message_size_limit",
	[ASK_NEXT_HOP] = "forward_method",
	[ASK_DESTINY + CCAT_VIRUS] = "virus_destiny",
	[ASK_DESTINY + CCAT_UNCHECKED] = "unchecked_destiny",
	[ASK_DESTINY + CCAT_ENCRYPTED] = "encrypted_destiny",
	[ASK_DESTINY + CCAT_SPAM] = "spam_destiny",
	[ASK_DESTINY + CCAT_SPAMMY] = "spammy_destiny",
	[ASK_DESTINY + CCAT_OVERSIZED] = "oversized_destiny",
	[ASK_LOVES + CCAT_VIRUS] = "virus_lover",
	[ASK_LOVES + CCAT_UNCHECKED] = "unchecked_lover",
	[ASK_LOVES + CCAT_SPAM] = "spam_lover",
	[ASK_LOVES + CCAT_SPAMMY] = "spammy_lover",
	[ASK_QUARANTINE + CCAT_VIRUS] = "virus_quarantine_to",
	[ASK_QUARANTINE + CCAT_UNCHECKED] = "unchecked_quarantine_to",
	[ASK_QUARANTINE + CCAT_SPAM] = "spam_quarantine_to",
};

static void print_field(const struct txn *t, const struct txn_rcpt *r, enum kind kind,
	const void *field, char *out, size_t size)
{
	const struct next_hops *route = r->route != NULL ? r->route : &t->policy->forward;
	const char *text;

	switch (kind) {
	case KIND_BOOL:
		snprintf(out, size, *(const bool *)field ? "true" : "false");
		break;
	case KIND_SCORE:
		snprintf(out, size, "%.10g", (double)*(const int32_t *)field / 1000);
		break;
	case KIND_SIZE:
		if (*(const uint64_t *)field == 0)
			snprintf(out, size, "null");
		else
			snprintf(out, size, "%llu", (unsigned long long)*(const uint64_t *)field);
		break;
	case KIND_DESTINY:
		snprintf(out, size, "\"%s\"", mw_destiny_name(*(const enum mw_destiny *)field));
		break;
	case KIND_FOLDER:
		text = *(const char *const *)field;
		if (text == NULL)
			snprintf(out, size, "\"\"");
		else
			snprintf(out, size, "\"%s\"", *text != '\0' ? text : "QUARANTINEDIR");
		break;
	case KIND_HOPS:
		snprintf(out, size, "\"%s\"", route->hop[0].text);
		break;
	}
}

/* The same order as ask(). */
static void find_speaker(struct txn *t, const struct txn_rcpt *r, const struct db_records *records,
	enum kind kind, unsigned which, struct rcpt_said *said)
{
	const struct policy_ask *a = &t->policy->asks[which];

	said->field = field_of(which);
	said->record = records != NULL && records->count > 0 && said->field != NULL
			       ? db_field_record(records, said->field)
			       : NULL;
	said->by = RCPT_SAID_BY_DATABASE;
	said->setting = columns[which];
	if (said->record != NULL)
		return;
	said->by = RCPT_SAID_BY_TABLE;
	for (unsigned i = 0; i < a->count; i++)
		if (mw_lookup(a->maps[i], r->addr, &said->table) &&
			said->table.value.type == type_of(kind)) {
			said->setting = mw_lookup_setting(a->maps[i]);
			return;
		}
	said->by = RCPT_SAID_BY_NOBODY;
	if (a->said_by == NULL)
		return;
	if (*a->said_by != '\0')
		said->setting = a->said_by;
	if (said->setting != NULL && mw_setting_find(said->setting)->type == MW_T_MAPS)
		said->by = RCPT_SAID_BY_CONSTANT; /* a table that answers everybody, at load */
}

bool rcpt_policy_say(struct txn *t, const struct txn_rcpt *r, const struct db_records *records,
	size_t i, struct rcpt_said *said_r)
{
	size_t row = 0, k = i;

	while (row < MW_COUNT(rows) && k >= rows[row].count)
		k -= rows[row++].count;
	if (row == MW_COUNT(rows))
		return false;
	said_r->name = names[rows[row].ask + k];
	if (said_r->name == NULL)
		return true;
	find_speaker(t, r, records, rows[row].kind, (unsigned)(rows[row].ask + k), said_r);
	print_field(t, r, rows[row].kind, (const char *)r + rows[row].field + k * rows[row].step,
		said_r->value, sizeof(said_r->value));
	return true;
}
