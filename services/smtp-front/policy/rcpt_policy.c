#include "rcpt_policy.h"

#include <stdio.h>
#include <stdlib.h>

#include "db.h"
#include "log.h"
#include "lookup_keys.h"
#include "policy_priv.h"
#include "policy_route.h"
#include "transaction.h"

#define SIZE_LIMIT_LEAST 65536 /* RFC 5321 section 4.5.3.1.7 */

enum kind { KIND_BOOL, KIND_SCORE, KIND_SIZE, KIND_DESTINY, KIND_PLACE, KIND_HOPS, KIND_TEXT };

#define ONE(kind, field, ask)                                                                      \
	{                                                                                          \
		kind, 1, offsetof(struct txn_rcpt, field), sizeof(((struct txn_rcpt *)0)->field),  \
			ask                                                                        \
	}
#define BY_CCAT(kind, field, first)                                                                \
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
	ONE(KIND_BOOL, is_local, ASK_LOCAL),
	ONE(KIND_BOOL, bypass_virus, ASK_BYPASS_VIRUS),
	ONE(KIND_BOOL, bypass_spam, ASK_BYPASS_SPAM),
	ONE(KIND_BOOL, bypass_banned, ASK_BYPASS_BANNED),
	ONE(KIND_BOOL, bypass_header, ASK_BYPASS_HEADER),
	ONE(KIND_SCORE, tag_milli, ASK_TAG),
	ONE(KIND_SCORE, tag2_milli, ASK_TAG2),
	ONE(KIND_SCORE, tag3_milli, ASK_TAG3),
	ONE(KIND_SCORE, kill_milli, ASK_KILL),
	ONE(KIND_SCORE, quarantine_cutoff_milli, ASK_QUARANTINE_CUTOFF),
	ONE(KIND_SCORE, admin_cutoff_milli, ASK_ADMIN_CUTOFF),
	ONE(KIND_SCORE, dsn_cutoff_milli, ASK_DSN_CUTOFF),
	ONE(KIND_SCORE, credible_dsn_cutoff_milli, ASK_CREDIBLE_DSN_CUTOFF),
	ONE(KIND_SIZE, size_limit, ASK_SIZE),
	ONE(KIND_HOPS, route, ASK_NEXT_HOP),
	ONE(KIND_BOOL, spam_fields_go, ASK_SPAM_FIELDS_GO),
	ONE(KIND_PLACE, archive_to, ASK_ARCHIVE),
	BY_CCAT(KIND_DESTINY, destinies, ASK_DESTINY),
	BY_CCAT(KIND_BOOL, loves, ASK_LOVES),
	BY_CCAT(KIND_PLACE, keep_to, ASK_QUARANTINE),
	BY_CCAT(KIND_TEXT, subject_tags, ASK_SUBJECT_TAG),
};

/* A database has no columns by minor, and one of lovers of spam for spammy mail too. */
static const char *const columns[RCPT_ASKS] = {
	[ASK_LOCAL] = "local_domains_maps",
	[ASK_BYPASS_VIRUS] = "bypass_virus_checks_maps",
	[ASK_BYPASS_SPAM] = "bypass_spam_checks_maps",
	[ASK_BYPASS_BANNED] = "bypass_banned_checks_maps",
	[ASK_BYPASS_HEADER] = "bypass_header_checks_maps",
	[ASK_TAG] = "spam_tag_level_maps",
	[ASK_TAG2] = "spam_tag2_level_maps",
	[ASK_TAG3] = "spam_tag3_level_maps",
	[ASK_KILL] = "spam_kill_level_maps",
	[ASK_QUARANTINE_CUTOFF] = "spam_quarantine_cutoff_level_maps",
	[ASK_DSN_CUTOFF] = "spam_dsn_cutoff_level_maps",
	[ASK_SIZE] = "message_size_limit_maps",
	[ASK_NEXT_HOP] = "forward_method_maps",
	[ASK_ARCHIVE] = "archive_quarantine_to_maps",
	[ASK_LOVES + CCAT_VIRUS] = "virus_lovers_maps",
	[ASK_LOVES + CCAT_BANNED] = "banned_files_lovers_maps",
	[ASK_LOVES + CCAT_UNCHECKED] = "unchecked_lovers_maps",
	[ASK_LOVES + CCAT_SPAM] = "spam_lovers_maps",
	[ASK_LOVES + CCAT_SPAMMY] = "spam_lovers_maps",
	[ASK_LOVES + CCAT_BADH] = "bad_header_lovers_maps",
	[ASK_QUARANTINE + CCAT_VIRUS] = "virus_quarantine_to_maps",
	[ASK_QUARANTINE + CCAT_BANNED] = "banned_quarantine_to_maps",
	[ASK_QUARANTINE + CCAT_UNCHECKED] = "unchecked_quarantine_to_maps",
	[ASK_QUARANTINE + CCAT_SPAM] = "spam_quarantine_to_maps",
	[ASK_QUARANTINE + CCAT_SPAMMY] = "spam_quarantine_to_maps",
	[ASK_QUARANTINE + CCAT_BADH] = "bad_header_quarantine_to_maps",
	[ASK_QUARANTINE + CCAT_CLEAN] = "clean_quarantine_to_maps",
	[ASK_SUBJECT_TAG + CCAT_SPAMMY3] = "spam_subject_tag3_maps",
	[ASK_SUBJECT_TAG + CCAT_SPAMMY] = "spam_subject_tag2_maps",
	[ASK_SUBJECT_TAG + CCAT_CLEAN_TAG] = "spam_subject_tag_maps",
};

static const struct rcpt_row *row_of(unsigned ask)
{
	size_t i = 0;

	while (ask - rows[i].ask >= rows[i].count)
		i++;
	return &rows[i];
}

/* Of a minor without one its major's. */
static const char *column_of(unsigned ask)
{
	const struct rcpt_row *row = row_of(ask);

	if (row->count == CCAT_SLOTS && columns[ask] == NULL)
		ask = (unsigned)row->ask + ccat_major((enum ccat_slot)(ask - (unsigned)row->ask));
	return columns[ask];
}

static const struct db_field *field_of(unsigned ask)
{
	static const struct db_field *fields[RCPT_ASKS];
	static bool known;

	for (unsigned i = 0; !known && i < RCPT_ASKS; i++)
		fields[i] = column_of(i) != NULL ? db_field_find(column_of(i)) : NULL;
	known = true;
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

/* local_delivery_aliases, as amavisd has them: all are QUARANTINEDIR. */
static const char *const aliases[] = { "virus-quarantine", "banned-quarantine",
	"unchecked-quarantine", "spam-quarantine", "bad-header-quarantine", "clean-quarantine",
	RCPT_OTHER, "archive-quarantine" };

static const char *find_alias(const char *text)
{
	for (size_t i = 0; i < MW_COUNT(aliases); i++)
		if (strcmp(text, aliases[i]) == 0)
			return aliases[i];
	return NULL;
}

const char *rcpt_policy_folder(const char *place)
{
	return quarantine_is_address(place) || find_alias(place) != NULL ? "" : place;
}

/* Of a copy's own recipient; the next hop has the last word on it. */
static bool is_address(const char *text, size_t n)
{
	return quarantine_is_address(text) && n <= SMTP_PATH_MAX && text[0] != '@' &&
	       text[strcspn(text, " <>\"\\,;")] == '\0' && mw_is_printable(text, n);
}

bool rcpt_policy_place(const char *text, const char **place_r)
{
	size_t n = strlen(text);

	*place_r = n == 0 || strcmp(text, "0") == 0 ? NULL : find_alias(text);
	if (n == 0 || *place_r != NULL || strcmp(text, "0") == 0)
		return true;
	*place_r = text;
	if (is_address(text, n) || strcmp(text, "%a") == 0)
		return true;
	/* One character is a folder of all mail whose id begins with it, and poison is our own. */
	if (n < 2 || n > RCPT_FOLDER_MAX || text[0] == '.' || strcmp(text, "poison") == 0 ||
		text[strspn(text,
			"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-")] !=
			'\0')
		return false;
	return true;
}

static void set_place(struct rcpt_resolve *q, const char *text, const char **place_r)
{
	if (!rcpt_policy_place(text, place_r)) {
		/* Not where it was meant to go, but never nowhere. */
		txn_log(q->t, MW_WARN, "quarantine_to_unknown",
			"log_id=%s rcpt=%s to=%s kept=QUARANTINEDIR", q->t->log_id,
			mw_quote(q->r->addr), mw_quote(text));
		*place_r = find_alias(RCPT_OTHER);
	}
	/* Tables from files may be gone before the mail is. */
	if (*place_r == text) {
		*place_r = smtp_arena_copy(&q->t->arena, text, strlen(text));
		*place_r = *place_r != NULL ? *place_r : find_alias(RCPT_OTHER);
	}
}

/* text NULL: nobody says anything, and the mail's own is this one's. */
static void set_route(struct rcpt_resolve *q, const char *text, const struct next_hops **route_r)
{
	struct mw_err why = { "" };

	*route_r = NULL;
	if (text == NULL || policy_route(&q->t->set->routes, text, &q->t->policy->forward.hop[0],
				    &q->t->arena, route_r, &why) == MW_OK)
		return;
	txn_log(q->t, MW_WARN, "bad_next_hop", "log_id=%s rcpt=%s why=%s", q->t->log_id,
		mw_quote(q->r->addr), mw_quote(why.text));
	q->r->no_route = "the next hop's method for this recipient is wrong (forward_method_maps)";
}

/* The settings' own texts live as long as the policy, and there is no mail yet: tables' and
 * databases' do not. */
static void set_text(struct rcpt_resolve *q, const char *text, const char **text_r)
{
	*text_r = text != NULL && *text != '\0' && q->t != NULL
			  ? smtp_arena_copy(&q->t->arena, text, strlen(text))
			  : text;
}

static int32_t score_of(int64_t milli) /* a score that a table gives is as large as it likes */
{
	return milli > INT32_MAX ? INT32_MAX : milli < -INT32_MAX ? -INT32_MAX : (int32_t)milli;
}

static uint64_t limit_of(const struct policy *p, const struct mw_value *v)
{
	int64_t octets = v->type == MW_VALUE_MILLI ? v->milli / 1000 : 0;

	if (octets <= 0)
		return 0;
	return octets < SIZE_LIMIT_LEAST && p->size_limit_64k ? SIZE_LIMIT_LEAST : (uint64_t)octets;
}

static void set(struct rcpt_resolve *q, const struct policy *p, enum kind kind,
	const struct mw_value *v, void *field)
{
	const char *text = v->type == MW_VALUE_TEXT ? v->text : NULL;

	switch (kind) {
	case KIND_BOOL:
		*(bool *)field = v->b;
		break;
	case KIND_SCORE:
		*(int32_t *)field = v->type == MW_VALUE_MILLI ? score_of(v->milli) : RCPT_NO_LEVEL;
		break;
	case KIND_SIZE:
		*(uint64_t *)field = limit_of(p, v);
		break;
	case KIND_DESTINY:
		*(enum mw_destiny *)field = (enum mw_destiny)(v->milli / 1000);
		break;
	case KIND_PLACE:
		set_place(q, text != NULL ? text : "", field);
		break;
	case KIND_HOPS:
		set_route(q, text, field);
		break;
	case KIND_TEXT:
		set_text(q, text, field);
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
	return kind == KIND_BOOL					      ? MW_VALUE_BOOL
	       : kind == KIND_PLACE || kind == KIND_HOPS || kind == KIND_TEXT ? MW_VALUE_TEXT
									      : MW_VALUE_MILLI;
}

static void set_default(struct rcpt_resolve *q, const struct policy *p, unsigned which, void *field)
{
	const struct policy_ask *a = &p->asks[which];
	enum kind kind = row_of(which)->kind;

	if (kind == KIND_PLACE)
		*(const char **)field = a->place;
	else
		set(q, p, kind, &a->dflt, field);
}

/* A database goes before all tables (lookup_maps_imply_sql_and_ldap). */
static void ask(struct rcpt_resolve *q, enum kind kind, unsigned which, void *field)
{
	const struct policy_ask *a = &q->t->policy->asks[which];
	struct mw_value v = { .type = MW_VALUE_UNDEF };

	if (q->records != NULL && field_of(which) != NULL && ask_records(q, field_of(which), &v)) {
		set(q, q->t->policy, kind, &v, field);
		return;
	}
	for (unsigned i = 0; i < a->count; i++)
		if (mw_asker_lookup(&q->asker, a->maps[i], &q->result) &&
			q->result.value.type == type_of(kind)) {
			set(q, q->t->policy, kind, &q->result.value, field);
			return;
		}
	set_default(q, q->t->policy, which, field);
}

static void *field_at(struct txn_rcpt *r, const struct rcpt_row *row, unsigned which)
{
	return (char *)r + row->field + (which - (unsigned)row->ask) * row->step;
}

static void ask_row(struct rcpt_resolve *q, unsigned which)
{
	const struct rcpt_row *row = row_of(which);

	ask(q, row->kind, which, field_at(q->r, row, which));
}

/* Names of banned rules: no question with one answer, for all tables that know an address count. */
static void ask_rulenames(struct rcpt_resolve *q)
{
	static const struct db_field *field;
	struct mw_value v;

	q->r->banned_rulenames = NULL;
	if (q->records == NULL)
		return;
	if (field == NULL)
		field = db_field_find("banned_filename_maps");
	if (field != NULL && ask_records(q, field, &v) && v.type == MW_VALUE_TEXT)
		q->r->banned_rulenames = smtp_arena_copy(&q->t->arena, v.text, strlen(v.text));
}

void rcpt_policy_resolve(struct txn *t, struct txn_rcpt *r, const struct db_records *records)
{
	struct rcpt_resolve q;

	q.t = t;
	q.r = r;
	q.records = records != NULL && records->count > 0 ? records : NULL;
	mw_asker_init(&q.asker, r->addr);
	r->no_route = NULL;
	for (size_t i = 0; i < MW_COUNT(rows); i++)
		memcpy((char *)r + rows[i].field, (const char *)t->policy->usual + rows[i].field,
			rows[i].count * rows[i].step);
	for (size_t i = 0; i < t->policy->asked_count; i++)
		ask_row(&q, t->policy->asked[i]);
	/* What tables say to all alike a database may say otherwise. */
	for (unsigned which = 0; which < RCPT_ASKS && q.records != NULL; which++)
		if (t->policy->asks[which].count == 0 && field_of(which) != NULL)
			ask_row(&q, which);
	ask_rulenames(&q);
}

enum mw_rc rcpt_policy_prepare(struct policy *p, struct mw_err *err_r)
{
	struct rcpt_resolve q = { 0 };

	if (p->usual == NULL)
		p->usual = calloc(1, sizeof(*p->usual));
	if (p->usual == NULL)
		return mw_fail(err_r, MW_ERR_NOMEM, "no memory for the policies");
	p->asked_count = 0;
	for (unsigned which = 0; which < RCPT_ASKS; which++) {
		const struct policy_ask *a = &p->asks[which];
		const struct rcpt_row *row = row_of(which);

		/* A route of its own is made for each mail. */
		if (a->count > 0 || (row->kind == KIND_HOPS && a->dflt.type == MW_VALUE_TEXT))
			p->asked[p->asked_count++] = (uint16_t)which;
		else
			set_default(&q, p, which, field_at(p->usual, row, which));
	}
	return MW_OK;
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
	[ASK_BYPASS_HEADER] = "bypass_header_checks",
	[ASK_TAG] = "spam_tag_level",
	[ASK_TAG2] = "spam_tag2_level",
	[ASK_TAG3] = "spam_tag3_level",
	[ASK_KILL] = "spam_kill_level",
	[ASK_QUARANTINE_CUTOFF] = "spam_quarantine_cutoff_level",
	[ASK_ADMIN_CUTOFF] = "spam_notifyadmin_cutoff_level",
	[ASK_DSN_CUTOFF] = "spam_dsn_cutoff_level",
	[ASK_CREDIBLE_DSN_CUTOFF] = "spam_crediblefrom_dsn_cutoff_level",
	[ASK_SIZE] = "message_size_limit",
	[ASK_NEXT_HOP] = "forward_method",
	[ASK_SPAM_FIELDS_GO] = "remove_existing_spam_headers",
	[ASK_ARCHIVE] = "archive_quarantine_to",
	[ASK_DESTINY + CCAT_VIRUS] = "virus_destiny",
	[ASK_DESTINY + CCAT_BANNED] = "banned_destiny",
	[ASK_DESTINY + CCAT_BADH] = "bad_header_destiny",
	[ASK_DESTINY + CCAT_UNCHECKED] = "unchecked_destiny",
	[ASK_DESTINY + CCAT_ENCRYPTED] = "encrypted_destiny",
	[ASK_DESTINY + CCAT_SPAM] = "spam_destiny",
	[ASK_DESTINY + CCAT_SPAMMY] = "spammy_destiny",
	[ASK_DESTINY + CCAT_OVERSIZED] = "oversized_destiny",
	[ASK_LOVES + CCAT_VIRUS] = "virus_lover",
	[ASK_LOVES + CCAT_BANNED] = "banned_files_lover",
	[ASK_LOVES + CCAT_BADH] = "bad_header_lover",
	[ASK_LOVES + CCAT_UNCHECKED] = "unchecked_lover",
	[ASK_LOVES + CCAT_SPAM] = "spam_lover",
	[ASK_LOVES + CCAT_SPAMMY] = "spammy_lover",
	[ASK_QUARANTINE + CCAT_VIRUS] = "virus_quarantine_to",
	[ASK_QUARANTINE + CCAT_BANNED] = "banned_quarantine_to",
	[ASK_QUARANTINE + CCAT_BADH] = "bad_header_quarantine_to",
	[ASK_QUARANTINE + CCAT_UNCHECKED] = "unchecked_quarantine_to",
	[ASK_QUARANTINE + CCAT_SPAM] = "spam_quarantine_to",
	[ASK_SUBJECT_TAG + CCAT_VIRUS] = "virus_subject_tag",
	[ASK_SUBJECT_TAG + CCAT_BANNED] = "banned_subject_tag",
	[ASK_SUBJECT_TAG + CCAT_UNCHECKED] = "undecipherable_subject_tag",
	[ASK_SUBJECT_TAG + CCAT_SPAMMY3] = "spam_subject_tag3",
	[ASK_SUBJECT_TAG + CCAT_SPAMMY] = "spam_subject_tag2",
	[ASK_SUBJECT_TAG + CCAT_CLEAN_TAG] = "spam_subject_tag",
};

/* It is said of each mail: a third of what snprintf costs. */
static void quoted(char *out, size_t size, const char *text)
{
	size_t n = strnlen(text, size - 3);

	out[0] = '"';
	memcpy(out + 1, text, n);
	memcpy(out + 1 + n, "\"", 2);
}

static void print_field(const struct txn *t, const struct txn_rcpt *r, enum kind kind,
	const void *field, char *out, size_t size)
{
	const struct next_hops *route = r->route != NULL ? r->route : &t->policy->forward;
	const char *text;

	switch (kind) {
	case KIND_BOOL:
		mw_strlcpy(out, *(const bool *)field ? "true" : "false", size);
		break;
	case KIND_SCORE:
		if (*(const int32_t *)field == RCPT_NO_LEVEL)
			snprintf(out, size, "null");
		else
			snprintf(out, size, "%.10g", (double)*(const int32_t *)field / 1000);
		break;
	case KIND_SIZE:
		if (*(const uint64_t *)field == 0)
			snprintf(out, size, "null");
		else
			snprintf(out, size, "%llu", (unsigned long long)*(const uint64_t *)field);
		break;
	case KIND_DESTINY:
		quoted(out, size, mw_destiny_name(*(const enum mw_destiny *)field));
		break;
	case KIND_PLACE:
		text = *(const char *const *)field;
		if (text == NULL)
			quoted(out, size, "");
		else
			quoted(out, size, find_alias(text) != NULL ? "QUARANTINEDIR" : text);
		break;
	case KIND_HOPS:
		quoted(out, size, route->hop[0].text);
		break;
	case KIND_TEXT:
		text = *(const char *const *)field;
		quoted(out, size, text != NULL ? text : "");
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
	said->setting = column_of(which);
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

static bool say(struct txn *t, const struct txn_rcpt *r, const struct db_records *records,
	unsigned which, struct rcpt_said *said_r)
{
	const struct rcpt_row *row = row_of(which);

	said_r->name = names[which];
	if (said_r->name == NULL)
		return false;
	find_speaker(t, r, records, row->kind, which, said_r);
	print_field(t, r, row->kind,
		(const char *)r + row->field + (which - (unsigned)row->ask) * row->step,
		said_r->value, sizeof(said_r->value));
	return true;
}

bool rcpt_policy_say(struct txn *t, const struct txn_rcpt *r, const struct db_records *records,
	size_t i, struct rcpt_said *said_r)
{
	if (i >= RCPT_ASKS)
		return false;
	say(t, r, records, (unsigned)i, said_r);
	return true;
}

bool rcpt_policy_say_of(struct txn *t, const struct txn_rcpt *r, const struct db_records *records,
	enum rcpt_ask ask, struct rcpt_said *said_r)
{
	return say(t, r, records, ask, said_r);
}
