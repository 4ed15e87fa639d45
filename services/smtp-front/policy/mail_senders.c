#include "mail_senders.h"

#include <math.h>
#include <stdlib.h>

#include "db.h"
#include "front.h"
#include "mail_policy.h"

#define NUMBER_MAX 32 /* octets of soft points; what is longer is no number */

struct mail_senders {
	size_t sender_count;
	const char *senders[MAIL_SENDERS_MAX];
	/* Users: each recipient's have the places first[i] to first[i + 1] in users. */
	size_t rcpt_count, user_count;
	size_t *first;
	unsigned *users;  /* numbers of ids */
	const char **ids; /* each once */
	/* A question for each id and sender: id * sender_count + sender. */
	size_t question_count, answered;
	struct db_records **answers;
};

static size_t add_sender(const char **senders, size_t n, const char *addr)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(senders[i], addr) == 0)
			return n;
	senders[n] = addr;
	return n + 1;
}

size_t mail_senders_of(struct txn *t, const char *senders[MAIL_SENDERS_MAX])
{
	size_t n = add_sender(senders, 0, t->sender);

	for (size_t i = 0; i < t->facts.author.count && n < MAIL_SENDERS_MAX; i++) {
		const char *addr = smtp_arena_copy(&t->arena,
			(const char *)t->facts.author.items[i].p, t->facts.author.items[i].n);

		if (addr != NULL && *addr != '\0')
			n = add_sender(senders, n, addr);
	}
	return n;
}

void mail_senders_forget(struct txn *t)
{
	struct mail_senders *s = t->senders;

	t->senders = NULL;
	for (size_t i = 0; s != NULL && i < s->answered; i++)
		db_records_unref(&s->answers[i]);
}

/* ------------------------------------------------------------------ who is asked about */

/* The id of a user that SQL has for the recipient; NULL: the record has none. */
static const char *user_id(const struct db_record *record)
{
	const struct db_cell *cell = record->source == DB_SQL ? db_record_cell(record, "id") : NULL;

	return cell != NULL ? cell->value : NULL;
}

static size_t count_users(const struct txn *t)
{
	size_t n = 0;

	for (size_t i = 0; i < t->rcpt_count; i++) {
		const struct db_records *r = mail_policy_answer(t, i);

		for (size_t k = 0; r != NULL && k < r->count; k++)
			n += user_id(&r->records[k]) != NULL;
	}
	return n;
}

/* Recipients of one domain share a user: each id is asked about once. */
struct id_table {
	unsigned *places; /* number of an id and 1; 0: free */
	size_t mask;
	const char **ids;
	size_t count;
};

static unsigned id_number(struct id_table *h, const char *id)
{
	uint64_t hash = 14695981039346656037u;
	size_t at;

	for (const char *p = id; *p != '\0'; p++)
		hash = (hash ^ (unsigned char)*p) * 1099511628211u;
	for (at = hash & h->mask; h->places[at] != 0; at = (at + 1) & h->mask)
		if (strcmp(h->ids[h->places[at] - 1], id) == 0)
			return h->places[at] - 1;
	h->ids[h->count++] = id;
	h->places[at] = (unsigned)h->count;
	return (unsigned)h->count - 1;
}

/* False: no memory. */
static bool collect_users(struct txn *t, struct mail_senders *s)
{
	struct id_table h = { .mask = 1 };

	s->user_count = count_users(t);
	while (h.mask < 2 * s->user_count)
		h.mask = h.mask * 2 + 1;
	s->first = smtp_arena_array(&t->arena, t->rcpt_count + 1, sizeof(*s->first));
	s->users = smtp_arena_array(&t->arena, s->user_count + 1, sizeof(*s->users));
	h.ids = smtp_arena_array(&t->arena, s->user_count + 1, sizeof(*h.ids));
	h.places = smtp_arena_array(&t->arena, h.mask + 1, sizeof(*h.places));
	if (s->first == NULL || s->users == NULL || h.ids == NULL || h.places == NULL)
		return false;
	s->rcpt_count = t->rcpt_count;
	s->user_count = 0;
	for (size_t i = 0; i < t->rcpt_count; i++) {
		const struct db_records *r = mail_policy_answer(t, i);

		s->first[i] = s->user_count;
		for (size_t k = 0; r != NULL && k < r->count; k++)
			if (user_id(&r->records[k]) != NULL)
				s->users[s->user_count++] = id_number(&h, user_id(&r->records[k]));
	}
	s->first[t->rcpt_count] = s->user_count;
	s->ids = h.ids;
	s->question_count = h.count * s->sender_count;
	return true;
}

static bool any_ldap_list(const struct txn *t)
{
	for (size_t i = 0; i < t->rcpt_count; i++) {
		const struct db_records *r = mail_policy_answer(t, i);

		for (size_t k = 0; r != NULL && k < r->count; k++)
			if (r->records[k].source == DB_LDAP)
				return true;
	}
	return false;
}

/* ------------------------------------------------------------------ asking SQL */

static void failed(struct txn *t, const char *why)
{
	bool defers = db_failure_defers(t->front->db);

	txn_log(t, MW_WARN, "lookup_failed", "log_id=%s deferred=%d why=%s", t->log_id, defers,
		mw_quote(why));
	mail_senders_forget(t);
	t->known(t, defers ? "lookup in the database FAILED" : NULL);
}

static void ask_more(struct txn *t);

static void answered(void *arg, enum mw_rc rc, struct db_records *const *answers, const char *error)
{
	struct txn *t = arg;
	struct mail_senders *s = t->senders;

	t->asking = NULL;
	if (rc != MW_OK) {
		failed(t, error);
		return;
	}
	for (size_t i = 0; i < DB_QUERIES_MAX && s->answered < s->question_count; i++)
		s->answers[s->answered++] = db_records_ref(answers[i]);
	ask_more(t);
}

/* The next questions; so many as one request may have. */
static size_t make_queries(struct txn *t, struct db_query *queries)
{
	struct mail_senders *s = t->senders;
	size_t n = 0;

	for (size_t q = s->answered; n < DB_QUERIES_MAX && q < s->question_count; q++) {
		const char *sender = s->senders[q % s->sender_count];

		queries[n++] = (struct db_query){ .address = sender,
			.local = mw_lookup_bool(t->policy->local_domains, sender, false),
			.clause = DB_SEL_WBLIST,
			.arg_count = 1,
			.args = { s->ids[q / s->sender_count] } };
	}
	return n;
}

static void ask_more(struct txn *t)
{
	struct mail_senders *s = t->senders;
	struct db_ask ask = { .delimiter = t->policy->delimiters,
		.case_sensitive = t->policy->case_sensitive,
		.done = answered,
		.arg = t };
	enum mw_rc rc = MW_OK;

	while (rc == MW_OK && s->answered < s->question_count) {
		size_t left = s->question_count - s->answered;
		struct db_query *queries = smtp_arena_array(
			&t->arena, left < DB_QUERIES_MAX ? left : DB_QUERIES_MAX, sizeof(*queries));
		uint64_t now = mw_mono_ms();

		if (queries == NULL) {
			failed(t, "out of memory");
			return;
		}
		ask.wait_ms = t->checks_deadline_ms > now ? t->checks_deadline_ms - now : 1;
		ask.queries = queries;
		ask.count = make_queries(t, queries);
		rc = db_ask(t->front->db, &ask, s->answers + s->answered, &t->asking);
		if (rc == MW_OK)
			s->answered += ask.count;
	}
	if (rc == MW_AGAIN)
		return;
	if (rc == MW_OK)
		t->known(t, NULL);
	else
		failed(t, rc == MW_ERR_LIMIT ? "lookup.queue_limit mails wait for the databases"
					     : "out of memory");
}

void mail_senders_ask(struct txn *t, void (*known)(struct txn *t, const char *failed))
{
	bool sql, ldap;
	struct mail_senders *s;

	mail_senders_forget(t);
	t->known = known;
	/* Nearly all mail of nearly all sites. */
	sql = db_enabled(t->front->db) && db_knows_senders(t->front->db) && count_users(t) > 0;
	ldap = db_enabled(t->front->db) && any_ldap_list(t);
	if (!sql && !ldap) {
		known(t, NULL);
		return;
	}
	s = smtp_arena_get(&t->arena, sizeof(*s));
	if (s == NULL) {
		failed(t, "out of memory");
		return;
	}
	*s = (struct mail_senders){ 0 };
	s->sender_count = mail_senders_of(t, s->senders);
	t->senders = s;
	if (sql && !collect_users(t, s)) {
		failed(t, "out of memory");
		return;
	}
	if (s->question_count > MAIL_SENDERS_QUESTIONS_MAX) {
		failed(t, "more questions about lists of senders than a mail may ask");
		return;
	}
	s->answers =
		smtp_arena_array(&t->arena, s->question_count + 1, sizeof(struct db_records *));
	if (s->answers == NULL)
		failed(t, "out of memory");
	else
		ask_more(t);
}

/* ------------------------------------------------------------------ what was said */

enum wb { WB_NOTHING, WB_POINTS, WB_NEUTRAL, WB_BLACK, WB_WHITE };

static bool is_number(const char *p, size_t n)
{
	size_t i = n > 0 && (p[0] == '+' || p[0] == '-') ? 1 : 0, digits = i;

	while (i < n && p[i] >= '0' && p[i] <= '9')
		i++;
	if (i == digits)
		return false;
	if (i < n && p[i] == '.')
		i++;
	while (i < n && p[i] >= '0' && p[i] <= '9')
		i++;
	return i == n && n <= NUMBER_MAX;
}

static int64_t milli_of(const char *p, size_t n)
{
	char text[NUMBER_MAX + 1];
	double value;

	mw_strncpy(text, sizeof(text), p, n);
	value = round(strtod(text, NULL) * 1000);
	return (int64_t)(value > INT32_MAX ? INT32_MAX : value < -INT32_MAX ? -INT32_MAX : value);
}

/* reputation.md 7: a number is points, blanks are neutral, B, N and F black; all else is white. */
static enum wb read_wb(const char *p, size_t n, int64_t *milli_r)
{
	size_t neutral = 0;

	while (neutral < n && (p[neutral] == ' ' || p[neutral] == '\0'))
		neutral++;
	if (neutral == n)
		return WB_NEUTRAL;
	while (n > 0 && p[n - 1] == ' ')
		n--;
	if (n == 1 && strchr("BbNnFf", p[0]) != NULL)
		return WB_BLACK;
	while (n > 0 && *p == ' ') {
		p++;
		n--;
	}
	if (!is_number(p, n))
		return WB_WHITE;
	*milli_r = milli_of(p, n);
	return WB_POINTS;
}

static enum wb wb_of(const struct db_records *r, int64_t *milli_r)
{
	for (size_t i = 0; i < r->count; i++) {
		const struct db_cell *cell = db_record_cell(&r->records[i], "wb");

		if (cell != NULL && cell->value != NULL)
			return read_wb(cell->value, cell->n, milli_r);
	}
	return WB_NOTHING;
}

/* As amavisd has it: of a recipient whose list was found with another sender before only the first
 * user is heard. */
static void hear_sql(
	const struct mail_senders *s, size_t rcpt, size_t sender, struct mail_senders_said *said)
{
	for (size_t i = s->first[rcpt]; i < s->first[rcpt + 1]; i++) {
		size_t question = s->users[i] * s->sender_count + sender;
		int64_t milli = 0;
		enum wb wb = wb_of(s->answers[question], &milli);

		if (wb == WB_POINTS) {
			said->has_milli = true;
			said->milli += milli;
		} else if (wb != WB_NOTHING) {
			said->found = true;
			said->black |= wb == WB_BLACK;
			said->white |= wb == WB_WHITE;
		}
		if (said->found)
			return;
	}
}

static bool ldap_lists(
	const struct db_records *records, const char *setting, const struct db_keys *keys)
{
	const struct db_field *f = db_field_find(setting);
	const struct db_record *record = db_field_record(records, f);
	const struct db_cell *cell;

	for (size_t n = 0;
		record != NULL && (cell = db_record_value(record, f->attribute, n)) != NULL; n++)
		for (size_t k = 0; k < keys->count && cell->value != NULL; k++)
			if (mw_octets_ieq(mw_octets_of(cell->value, cell->n), keys->keys[k]))
				return true;
	return false;
}

static void hear_ldap(
	struct txn *t, size_t rcpt, const char *sender, struct mail_senders_said *said)
{
	const struct db_records *records = mail_policy_answer(t, rcpt);
	struct db_notation how = { .delimiter = t->policy->delimiters,
		.case_sensitive = t->policy->case_sensitive,
		.brackets_for_null = true };
	struct db_keys keys;

	if (records == NULL ||
		(db_field_record(records, db_field_find("blacklist_sender_maps")) == NULL &&
			db_field_record(records, db_field_find("whitelist_sender_maps")) == NULL) ||
		db_keys_make(&t->arena, sender, &how, &keys) != MW_OK)
		return;
	if (ldap_lists(records, "blacklist_sender_maps", &keys))
		said->found = said->black = true;
	if (ldap_lists(records, "whitelist_sender_maps", &keys))
		said->found = said->white = true;
}

bool mail_senders_any(const struct txn *t)
{
	return t->senders != NULL;
}

void mail_senders_hear(struct txn *t, size_t rcpt, size_t sender, struct mail_senders_said *said)
{
	const struct mail_senders *s = t->senders;

	if (s == NULL || sender >= s->sender_count)
		return;
	if (rcpt < s->rcpt_count && s->question_count > 0)
		hear_sql(s, rcpt, sender, said);
	if (!said->found)
		hear_ldap(t, rcpt, s->senders[sender], said);
}
