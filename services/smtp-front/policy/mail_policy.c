#include "mail_policy.h"

#include "db.h"
#include "dnsl.h"
#include "log.h"

#define OUR_USERS "MYUSERS"

static bool loaded(
	struct txn *t, enum mail_bank_rule rule, const struct policy *p, const struct mw_err *why)
{
	if (p == NULL) {
		txn_log(t, MW_ERROR, "policy_bank_failed", "log_id=%s why=%s", t->log_id,
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

bool mail_policy_load(struct txn *t, enum mail_bank_rule rule, const char *banks)
{
	struct mw_err why = { "" };

	return loaded(t, rule,
		banks != NULL ? policy_load_all(t->set, t->policy, banks, &why) : t->policy, &why);
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
			txn_log(t, MW_WARN, "unknown_bank", "log_id=%s peer=%s bank=%s", t->log_id,
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

/* A bounce is nobody's, also where the tables say that every address is local. */
static bool is_ours(const struct txn *t)
{
	return t->originating && *t->sender != '\0' &&
	       policy_has_bank(t->set, OUR_USERS, strlen(OUR_USERS)) &&
	       mw_lookup_bool(t->policy->local_domains, t->sender, false);
}

/* ------------------------------------------------------------------ by the client */

static const char *client_of(const struct txn *t)
{
	return t->has_xforward ? t->xforward.addr : NULL;
}

static void lists_known(void *arg)
{
	struct txn *t = arg;

	t->ready(t);
}

enum mw_rc mail_policy_ready(struct txn *t, void (*ready)(struct txn *t))
{
	const char *client = client_of(t);
	struct mw_lookup_result r;
	struct mw_ip ip;

	if (t->policy->dns_lists == 0 || client == NULL || !mw_ip_parse(client, &ip) ||
		!mw_ip_is_public_addr(&ip))
		return MW_OK;
	t->ready = ready;
	t->lists = dnsl_ask_new(t->front->dnsl, &ip);
	if (t->lists == NULL)
		return MW_ERR_NOMEM;
	/* Which of the lists does it come to? */
	policy_banks_of_client(t->set, t->policy, client, dnsl_ask_source(t->lists), &r);
	return dnsl_ask_start(t->lists, lists_known, t) ? MW_OK : MW_AGAIN;
}

bool mail_policy_is_undecided(const struct txn *t)
{
	return t->undecided;
}

static const char *banks_of_client(struct txn *t)
{
	struct mw_dnsl_source *dnsl = t->lists != NULL ? dnsl_ask_source(t->lists) : NULL;
	struct mw_lookup_result r;
	const char *banks = policy_banks_of_client(t->set, t->policy, client_of(t), dnsl, &r);

	t->undecided = dnsl != NULL && dnsl->undecided;
	dnsl_ask_destroy(&t->lists);
	if (t->undecided)
		txn_log(t, MW_WARN, "dns_list_undecided", "log_id=%s client=%s", t->log_id,
			client_of(t));
	return banks;
}

bool mail_policy_begin(struct txn *t, const char *asked)
{
	const char *banks = banks_of_client(t);

	return !t->undecided && mail_policy_load(t, MAIL_BANK_OF_CLIENT, banks) &&
	       load_asked(t, asked) &&
	       mail_policy_load(t, MAIL_BANK_OF_USER, is_ours(t) ? OUR_USERS : NULL);
}

/* ------------------------------------------------------------------ recipients */

/* answers NULL: the databases say nothing. */
static void take(struct txn *t, struct db_records *const *answers)
{
	for (size_t i = 0; i < t->rcpt_count; i++) {
		const struct db_records *records = answers != NULL ? answers[i] : NULL;

		rcpt_policy_resolve(t, &t->rcpts[i], records);
		if (t->hears != NULL)
			t->hears(t, i, records);
	}
}

/* A database that failed has not said that there is nothing: the mail waits for a better day,
 * unless the admin said otherwise. */
static void failed(struct txn *t, const char *why)
{
	bool defers = db_failure_defers(t->front->db);

	txn_log(t, MW_WARN, "lookup_failed", "log_id=%s deferred=%d why=%s", t->log_id, defers,
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

const struct db_records *mail_policy_answer(const struct txn *t, size_t rcpt)
{
	const struct db_answered *a = t->answered;

	return a != NULL && a->complete && rcpt < a->count ? a->answers[rcpt] : NULL;
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
