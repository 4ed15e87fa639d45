#include "mail_policy.h"

#include "db.h"
#include "log.h"

#define OUR_USERS "MYUSERS"

static bool loaded(
	struct txn *t, enum mail_bank_rule rule, const struct policy *p, const struct mw_err *why)
{
	if (p == NULL) {
		mw_log(MW_ERROR, "policy_bank_failed", "log_id=%s why=%s", t->log_id,
			mw_quote(why->text));
		return false;
	}
	for (size_t i = t->policy->bank_count; i < p->bank_count; i++)
		t->bank_rules[i] = (unsigned char)rule;
	t->policy = p;
	t->originating = p->originating;
	t->route = &p->forward;
	return true;
}

bool mail_policy_load_by(struct txn *t, enum mail_bank_rule rule, const char *banks)
{
	struct mw_err why = { "" };

	return loaded(t, rule,
		banks != NULL ? policy_load_all(t->set, t->policy, banks, &why) : t->policy, &why);
}

bool mail_policy_load(struct txn *t, const char *banks)
{
	return mail_policy_load_by(t, MAIL_BANK_OF_MESSAGE, banks);
}

/* A peer that names a bank we do not have has other settings than ours: worth a warning each time,
 * and no reason to lose its mail. */
static bool load_asked(struct txn *t, const char *banks)
{
	struct mw_err why = { "" };

	while (banks != NULL && *banks != '\0') {
		char name[64];
		size_t n;

		banks += strspn(banks, ", \t");
		n = strcspn(banks, ", \t");
		if (n > 0 && !policy_has_bank(t->set, banks, n))
			mw_log(MW_WARN, "unknown_bank", "log_id=%s peer=%s bank=%s", t->log_id,
				t->peer_ip, mw_quote_octets(name, sizeof(name), banks, n));
		else if (n > 0 &&
			 !loaded(t, MAIL_BANK_ASKED,
				 policy_load(t->set, t->policy, banks, n, POLICIES_ASKED_MAX, &why),
				 &why))
			return false;
		banks += n;
	}
	return true;
}

static bool is_ours(const struct txn *t)
{
	return t->originating && policy_has_bank(t->set, OUR_USERS, strlen(OUR_USERS)) &&
	       mw_lookup_bool(t->policy->local_domains, t->sender, false);
}

bool mail_policy_begin(struct txn *t, const char *asked)
{
	const char *client = t->has_xforward ? t->xforward.addr : NULL;
	struct mw_lookup_result r;

	return mail_policy_load_by(t, MAIL_BANK_OF_CLIENT,
		       policy_banks_of_client(t->set, t->policy, client, &r)) &&
	       load_asked(t, asked) &&
	       mail_policy_load_by(t, MAIL_BANK_OF_USER, is_ours(t) ? OUR_USERS : NULL);
}

/* ------------------------------------------------------------------ recipients */

#define AT(field) offsetof(struct policy, field), offsetof(struct txn_rcpt, field)

/* What is asked for each recipient: a table of the policy, a field of the recipient. */
static const struct rcpt_flag {
	const char *name;
	size_t map, field;
} flags[] = {
	{ "local_domains_maps", offsetof(struct policy, local_domains),
		offsetof(struct txn_rcpt, is_local) },
	{ "bypass_virus_checks_maps", AT(bypass_virus) },
	{ "bypass_spam_checks_maps", AT(bypass_spam) },
	{ "bypass_banned_checks_maps", AT(bypass_banned) },
	{ "virus_lovers_maps", offsetof(struct policy, virus_lovers),
		offsetof(struct txn_rcpt, virus_lover) },
	{ "spam_lovers_maps", offsetof(struct policy, spam_lovers),
		offsetof(struct txn_rcpt, spam_lover) },
	{ "unchecked_lovers_maps", offsetof(struct policy, unchecked_lovers),
		offsetof(struct txn_rcpt, unchecked_lover) },
};

static const struct rcpt_level {
	const char *name, *otherwise;
	size_t map, dflt, field;
} levels[] = {
	{ "spam_tag_level_maps", "sa_tag_level_deflt", offsetof(struct policy, tag_levels),
		AT(tag_milli) },
	{ "spam_tag2_level_maps", "sa_tag2_level_deflt", offsetof(struct policy, tag2_levels),
		AT(tag2_milli) },
	{ "spam_kill_level_maps", "sa_kill_level_deflt", offsetof(struct policy, kill_levels),
		AT(kill_milli) },
};

static const struct mw_lookup *map_at(const struct policy *p, size_t at)
{
	return *(struct mw_lookup *const *)(const void *)((const char *)p + at);
}

/* Databases go before tables (lookup_maps_imply_sql_and_ldap). */
static bool flag_of(const struct rcpt_flag *f, const struct policy *p, const char *addr,
	const struct db_records *records)
{
	bool yes;

	if (records != NULL && db_field_bool(records, db_field_find(f->name), &yes))
		return yes;
	return mw_lookup_bool(map_at(p, f->map), addr, false);
}

/* A score that a table gives is as large as it likes. */
static int32_t level_of(const struct rcpt_level *l, const struct policy *p, const char *addr,
	const struct db_records *records)
{
	int32_t dflt = *(const int32_t *)(const void *)((const char *)p + l->dflt);
	int64_t milli;

	if (records == NULL || !db_field_milli(records, db_field_find(l->name), &milli))
		milli = mw_lookup_milli(map_at(p, l->map), addr, dflt);
	return milli > INT32_MAX ? INT32_MAX : milli < INT32_MIN ? INT32_MIN : (int32_t)milli;
}

void mail_policy_recipient(
	const struct policy *p, struct txn_rcpt *r, const struct db_records *records)
{
	if (records != NULL && records->count == 0)
		records = NULL;
	for (size_t i = 0; i < MW_COUNT(flags); i++)
		*(bool *)((char *)r + flags[i].field) = flag_of(&flags[i], p, r->addr, records);
	for (size_t i = 0; i < MW_COUNT(levels); i++)
		*(int32_t *)(void *)((char *)r + levels[i].field) =
			level_of(&levels[i], p, r->addr, records);
}

bool mail_policy_say(const struct policy *p, const struct txn_rcpt *r,
	const struct db_records *records, size_t i, struct mail_policy_said *said_r)
{
	const struct rcpt_flag *flag = i < MW_COUNT(flags) ? &flags[i] : NULL;
	const struct rcpt_level *level;
	size_t map = flag != NULL ? flag->map : 0;

	if (i >= MW_COUNT(flags) + MW_COUNT(levels))
		return false;
	level = &levels[flag == NULL ? i - MW_COUNT(flags) : 0];
	said_r->setting = flag != NULL ? flag->name : level->name;
	said_r->dflt = flag != NULL ? NULL : level->otherwise;
	said_r->type = flag != NULL ? MW_VALUE_BOOL : MW_VALUE_MILLI;
	if (flag != NULL) {
		said_r->yes = *(const bool *)((const char *)r + flag->field);
	} else {
		said_r->milli = *(const int32_t *)(const void *)((const char *)r + level->field);
		map = level->map;
	}
	said_r->field = db_field_find(said_r->setting);
	said_r->record = records != NULL && records->count > 0
				 ? db_field_record(records, said_r->field)
				 : NULL;
	said_r->by = said_r->record != NULL				  ? MAIL_SAID_BY_DATABASE
		     : mw_lookup(map_at(p, map), r->addr, &said_r->table) ? MAIL_SAID_BY_TABLE
									  : MAIL_SAID_BY_NOBODY;
	return true;
}

/* answers NULL: the databases say nothing. */
static void take(struct txn *t, struct db_records *const *answers)
{
	for (size_t i = 0; i < t->rcpt_count; i++) {
		const struct db_records *records = answers != NULL ? answers[i] : NULL;

		mail_policy_recipient(t->policy, &t->rcpts[i], records);
		if (t->hears != NULL)
			t->hears(t, i, records);
	}
}

/* A database that failed has not said that there is nothing: the mail waits for a better day,
 * unless the admin said otherwise. */
static void failed(struct txn *t, const char *why)
{
	bool defers = db_failure_defers(t->front->db);

	mw_log(MW_WARN, "lookup_failed", "log_id=%s deferred=%d why=%s", t->log_id, defers,
		mw_quote(why));
	if (!defers)
		take(t, NULL);
	t->known(t, defers ? "lookup in the database FAILED" : NULL);
}

/* Of an earlier policy of the mail: what it asked, and what was said. */
struct db_answered {
	bool complete;
	size_t count;
	const char *delimiter; /* the settings', which live as long as the mail */
	bool case_sensitive;
	const struct db_query *queries;
	struct db_records **answers;
};

void mail_policy_forget(struct txn *t)
{
	struct db_answered *a = t->answered;

	t->answered = NULL;
	for (size_t i = 0; a != NULL && i < a->count; i++)
		if (a->answers[i] != NULL)
			db_records_unref(&a->answers[i]);
}

/* The same questions: what was said is still true, and whether a database is there now does not
 * matter. */
static bool answers_all(
	const struct db_answered *a, const struct txn *t, const struct db_query *queries)
{
	const char *now = t->policy->delimiters != NULL ? t->policy->delimiters : "";

	if (a == NULL || !a->complete || a->case_sensitive != t->policy->case_sensitive ||
		strcmp(a->delimiter != NULL ? a->delimiter : "", now) != 0)
		return false;
	for (size_t i = 0; i < a->count; i++)
		if (a->queries[i].local != queries[i].local)
			return false;
	return true;
}

/* A place for the answers to these questions; NULL: no memory. */
static struct db_answered *ask_anew(struct txn *t, const struct db_query *queries)
{
	struct db_answered *a = smtp_arena_get(&t->arena, sizeof(*a));

	mail_policy_forget(t);
	if (a == NULL)
		return NULL;
	*a = (struct db_answered){ .count = t->rcpt_count,
		.delimiter = t->policy->delimiters,
		.case_sensitive = t->policy->case_sensitive,
		.queries = queries };
	a->answers = smtp_arena_array(&t->arena, t->rcpt_count, sizeof(*a->answers));
	return a->answers != NULL ? (t->answered = a) : NULL;
}

static void answered(void *arg, enum mw_rc rc, struct db_records *const *answers, const char *error)
{
	struct txn *t = arg;

	t->asking = NULL;
	if (rc != MW_OK) {
		failed(t, error);
		return;
	}
	for (size_t i = 0; i < t->rcpt_count; i++)
		t->answered->answers[i] = db_records_ref(answers[i]);
	t->answered->complete = true;
	take(t, answers);
	t->known(t, NULL);
}

static struct db_query *queries_of(struct txn *t)
{
	struct db_query *q = smtp_arena_array(&t->arena, t->rcpt_count, sizeof(*q));

	for (size_t i = 0; q != NULL && i < t->rcpt_count; i++)
		q[i] = (struct db_query){ .address = t->rcpts[i].addr,
			.local = mw_lookup_bool(t->policy->local_domains, t->rcpts[i].addr, false),
			.clause = DB_SEL_POLICY };
	return q;
}

void mail_policy_recipients(struct txn *t, void (*known)(struct txn *t, const char *failed))
{
	uint64_t now = mw_mono_ms();
	struct db_ask ask = { .count = t->rcpt_count,
		.delimiter = t->policy->delimiters,
		.case_sensitive = t->policy->case_sensitive,
		.wait_ms = t->checks_deadline_ms > now ? t->checks_deadline_ms - now : 1,
		.done = answered,
		.arg = t };
	struct db_answered *a;
	enum mw_rc rc;

	t->known = known;
	if (!db_enabled(t->front->db)) {
		take(t, NULL);
		known(t, NULL);
		return;
	}
	ask.queries = queries_of(t);
	if (ask.queries != NULL && answers_all(t->answered, t, ask.queries)) {
		take(t, t->answered->answers);
		known(t, NULL);
		return;
	}
	a = ask.queries != NULL ? ask_anew(t, ask.queries) : NULL;
	rc = a != NULL ? db_ask(t->front->db, &ask, a->answers, &t->asking) : MW_ERR_NOMEM;
	if (rc == MW_AGAIN)
		return;
	if (rc != MW_OK) {
		failed(t, rc == MW_ERR_LIMIT ? "lookup.queue_limit mails wait for the databases"
					     : "out of memory");
		return;
	}
	a->complete = true;
	take(t, a->answers);
	known(t, NULL);
}
