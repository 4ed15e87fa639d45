#include "results_json.h"

#include <stdio.h>
#include <stdlib.h>

#include "digest.h"

typedef void put_fn(struct logsvc_json *j, const char *name, const struct mw_record *r);

static bool same(struct mw_octets a, struct mw_octets b)
{
	return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

static int by_octets(struct mw_octets a, struct mw_octets b)
{
	size_t n = a.n < b.n ? a.n : b.n;
	int c = n > 0 ? memcmp(a.p, b.p, n) : 0;

	return c != 0 ? c : (a.n > b.n) - (a.n < b.n);
}

/* ------------------------------------------------------------------ the distinct values of a
 * recipient field */

typedef struct mw_octets value_fn(const struct mw_record_rcpt *rcpt);

/* As an array, in order of first use; left out when there is none. Quadratic only in distinct
 * values of one length: bounded by the recipients of one mail. */
static void put_distinct(struct logsvc_json *j, const char *name, const struct mw_record *r,
	value_fn *value, bool again)
{
	bool open = false;

	for (size_t i = 0; i < r->rcpt_count; i++) {
		struct mw_octets v = value(&r->rcpts[i]);
		size_t k = again ? i : 0;

		while (k < i && !same(value(&r->rcpts[k]), v))
			k++;
		if (v.n == 0 || k < i)
			continue;
		if (!open)
			logsvc_json_open(j, name, '[');
		open = true;
		logsvc_json_text(j, NULL, v);
	}
	if (open)
		logsvc_json_close(j, ']');
}

static struct mw_octets rcpt_action(const struct mw_record_rcpt *rcpt)
{
	return mw_octets_of_text(mw_action_name(rcpt->action));
}

static struct mw_octets rcpt_code(const struct mw_record_rcpt *rcpt)
{
	const unsigned char *p = rcpt->smtp_response.p;

	for (size_t i = 0; i < 3; i++)
		if (rcpt->smtp_response.n < 3 || p[i] < '0' || p[i] > '9')
			return mw_octets_of(NULL, 0);
	return mw_octets_of(p, 3);
}

static struct mw_octets rcpt_queued_as(const struct mw_record_rcpt *rcpt)
{
	return rcpt->queued_as;
}

static struct mw_octets rcpt_related(const struct mw_record_rcpt *rcpt)
{
	return rcpt->mail_id_related;
}

/* A mail of our own that has gone is not called passed. */
static const char *own_action(const struct mw_record *r)
{
	return r->rcpt_count == 0 || r->rcpts[0].action != MW_ACT_PASS ? NULL
	       : r->own == MW_OWN_DSN				       ? "DSN"
	       : r->own == MW_OWN_NOTICE			       ? "NOTIF"
								       : NULL;
}

static void put_action(struct logsvc_json *j, const char *name, const struct mw_record *r)
{
	if (own_action(r) != NULL) {
		logsvc_json_open(j, name, '[');
		logsvc_json_word(j, NULL, own_action(r));
		logsvc_json_close(j, ']');
		return;
	}
	if (r->rcpt_count > 0) {
		put_distinct(j, name, r, rcpt_action, false);
		return;
	}
	logsvc_json_open(j, name, '[');
	if (r->aborted)
		logsvc_json_word(j, NULL, mw_action_name(MW_ACT_TEMPFAIL));
	logsvc_json_close(j, ']');
}

static void put_smtp_code(struct logsvc_json *j, const char *name, const struct mw_record *r)
{
	put_distinct(j, name, r, rcpt_code, false);
}

static void put_queued_as(struct logsvc_json *j, const char *name, const struct mw_record *r)
{
	put_distinct(j, name, r, rcpt_queued_as, false);
}

static void put_related(struct logsvc_json *j, const char *name, const struct mw_record *r)
{
	put_distinct(j, name, r, rcpt_related, true);
}

/* ------------------------------------------------------------------ words about the whole mail */

static void put_actions_performed(
	struct logsvc_json *j, const char *name, const struct mw_record *r)
{
	char text[MW_ACTIONS_MAX];

	if (mw_record_actions(r, ' ', text) > 0)
		logsvc_json_word(j, name, text);
}

static void put_checks_performed(struct logsvc_json *j, const char *name, const struct mw_record *r)
{
	char text[16] = "";
	size_t n = 0;
	const struct {
		char letter;
		bool set;
	} letters[] = {
		{ 'V', mw_record_ran(r, "scan") },
		{ 'S', mw_record_ran(r, "spam") },
		{ 'H', r->header_checked },
		{ 'B', r->banned_checked },
		{ 'P', r->penpals_asked },
		{ 'D', r->dkim_signatures > 0 },
	};

	for (size_t i = 0; i < MW_COUNT(letters); i++) {
		if (!letters[i].set)
			continue;
		if (n > 0)
			text[n++] = ' ';
		text[n++] = letters[i].letter;
	}
	if (n > 0)
		logsvc_json_word(j, name, text);
}

static void put_content_type(struct logsvc_json *j, const char *name, const struct mw_record *r)
{
	logsvc_json_word(j, name, mw_ccat_name(r->ccat));
}

static void put_score(struct logsvc_json *j, const char *name, const struct mw_record *r)
{
	if (r->has_score)
		logsvc_json_milli(j, name, r->score_milli);
}

/* LOG_ID ACTION[,ACTION] CONTENT_TYPE SENDER -> RCPT[,RCPT] */
static void put_message(struct logsvc_json *j, const char *name, const struct mw_record *r)
{
	bool seen[MW_ACT_COUNT] = { 0 };
	struct mw_text t = { 0 };
	const char *comma = "";

	mw_text_add_octets(&t, r->log_id.p, r->log_id.n);
	mw_text_add(&t, " ");
	for (size_t i = 0; i < r->rcpt_count; i++) {
		if (seen[r->rcpts[i].action])
			continue;
		seen[r->rcpts[i].action] = true;
		mw_text_addf(&t, "%s%s", comma, mw_action_name(r->rcpts[i].action));
		comma = ",";
	}
	mw_text_addf(&t, " %s ", mw_ccat_name(r->ccat));
	mw_text_add_octets(&t, r->mail_from.p, r->mail_from.n);
	mw_text_add(&t, " -> ");
	for (size_t i = 0; i < r->rcpt_count; i++) {
		mw_text_add(&t, i > 0 ? "," : "");
		mw_text_add_octets(&t, r->rcpts[i].addr.p, r->rcpts[i].addr.n);
	}
	logsvc_json_text(j, name, mw_octets_of(t.p, t.n));
	if (t.failed)
		j->out->failed = true;
	mw_text_fini(&t);
}

/* ------------------------------------------------------------------ tests */

static int test_by_name(const void *a, const void *b)
{
	return by_octets(
		((const struct mw_record_test *)a)->name, ((const struct mw_record_test *)b)->name);
}

static int test_by_score(const void *a, const void *b)
{
	const struct mw_record_test *x = a, *y = b;

	if (x->milli != y->milli)
		return x->milli < y->milli ? -1 : 1;
	return by_octets(x->name, y->name);
}

static int test_by_score_down(const void *a, const void *b)
{
	const struct mw_record_test *x = a, *y = b;

	if (x->milli != y->milli)
		return x->milli > y->milli ? -1 : 1;
	return by_octets(x->name, y->name);
}

/* NULL: no tests or no memory. */
static struct mw_record_test *tests_sorted(struct logsvc_json *j, const struct mw_record *r,
	int (*order)(const void *a, const void *b))
{
	struct mw_record_test *t;

	if (r->test_count == 0)
		return NULL;
	t = malloc(r->test_count * sizeof(*t));
	if (t == NULL) {
		j->out->failed = true;
		return NULL;
	}
	memcpy(t, r->tests, r->test_count * sizeof(*t));
	qsort(t, r->test_count, sizeof(*t), order);
	return t;
}

/* sign: 0 all, 1 those above zero, -1 those below. */
static void put_test_names(
	struct logsvc_json *j, const char *name, const struct mw_record *r, int sign)
{
	struct mw_record_test *t = tests_sorted(j, r,
		sign == 0  ? test_by_name
		: sign > 0 ? test_by_score_down
			   : test_by_score);

	if (t == NULL)
		return;
	logsvc_json_open(j, name, '[');
	for (size_t i = 0; i < r->test_count; i++)
		if (sign == 0 || (sign > 0 ? t[i].milli > 0 : t[i].milli < 0))
			logsvc_json_text(j, NULL, t[i].name);
	logsvc_json_close(j, ']');
	free(t);
}

static void put_tests(struct logsvc_json *j, const char *name, const struct mw_record *r)
{
	put_test_names(j, name, r, 0);
}

static void put_tests_spam(struct logsvc_json *j, const char *name, const struct mw_record *r)
{
	put_test_names(j, name, r, 1);
}

static void put_tests_ham(struct logsvc_json *j, const char *name, const struct mw_record *r)
{
	put_test_names(j, name, r, -1);
}

static void put_tests_scores(struct logsvc_json *j, const char *name, const struct mw_record *r)
{
	struct mw_record_test *t = tests_sorted(j, r, test_by_name);

	if (t == NULL)
		return;
	logsvc_json_open(j, name, '{');
	for (size_t i = 0; i < r->test_count; i++) {
		if (i > 0 && same(t[i - 1].name, t[i].name))
			continue; /* a key stands once in an object */
		logsvc_json_key(j, t[i].name);
		logsvc_json_milli(j, NULL, t[i].milli);
	}
	logsvc_json_close(j, '}');
	free(t);
}

/* ------------------------------------------------------------------ viruses */

static int av_by_scanner(const void *a, const void *b)
{
	const struct mw_record_av *x = a, *y = b;
	int c = by_octets(x->scanner, y->scanner);

	return c != 0 ? c : by_octets(x->name, y->name);
}

static int av_by_name(const void *a, const void *b)
{
	return by_octets(
		((const struct mw_record_av *)a)->name, ((const struct mw_record_av *)b)->name);
}

static struct mw_record_av *av_sorted(struct logsvc_json *j, const struct mw_record *r,
	int (*order)(const void *a, const void *b))
{
	struct mw_record_av *v;

	if (r->av_count == 0)
		return NULL;
	v = malloc(r->av_count * sizeof(*v));
	if (v == NULL) {
		j->out->failed = true;
		return NULL;
	}
	memcpy(v, r->av, r->av_count * sizeof(*v));
	qsort(v, r->av_count, sizeof(*v), order);
	return v;
}

static void put_av_scan(struct logsvc_json *j, const char *name, const struct mw_record *r)
{
	struct mw_record_av *v = av_sorted(j, r, av_by_scanner);

	if (v == NULL)
		return;
	logsvc_json_open(j, name, '{');
	for (size_t i = 0; i < r->av_count;) {
		size_t first = i;

		logsvc_json_key(j, v[i].scanner);
		logsvc_json_open(j, NULL, '[');
		for (; i < r->av_count && same(v[i].scanner, v[first].scanner); i++)
			if (i == first || !same(v[i].name, v[i - 1].name))
				logsvc_json_text(j, NULL, v[i].name);
		logsvc_json_close(j, ']');
	}
	logsvc_json_close(j, '}');
	free(v);
}

static void put_virusnames(struct logsvc_json *j, const char *name, const struct mw_record *r)
{
	struct mw_record_av *v = av_sorted(j, r, av_by_name);

	if (v == NULL)
		return;
	logsvc_json_open(j, name, '[');
	for (size_t i = 0; i < r->av_count; i++)
		if (i == 0 || !same(v[i].name, v[i - 1].name))
			logsvc_json_text(j, NULL, v[i].name);
	logsvc_json_close(j, ']');
	free(v);
}

/* ------------------------------------------------------------------ checks, elapsed */

static void put_checks(struct logsvc_json *j, const char *name, const struct mw_record *r)
{
	if (r->check_count == 0)
		return;
	logsvc_json_open(j, name, '[');
	for (size_t i = 0; i < r->check_count; i++) {
		const struct mw_record_check *c = &r->checks[i];

		logsvc_json_open(j, NULL, '{');
		logsvc_json_uint(j, "attempts", c->attempts);
		logsvc_json_seconds(j, "cpu", c->cpu_us);
		logsvc_json_seconds(j, "elapsed", c->wall_us);
		logsvc_json_text(j, "kind", c->kind);
		if (c->reason.n > 0)
			logsvc_json_text(j, "reason", c->reason);
		logsvc_json_word(j, "status", c->ran ? mw_status_name(c->status) : "skipped");
		logsvc_json_seconds(j, "wait", c->wait_us);
		if (c->worker.n > 0)
			logsvc_json_text(j, "worker", c->worker);
		logsvc_json_close(j, '}');
	}
	logsvc_json_close(j, ']');
}

/* JSON's names for a record's sections, sorted. */
static const struct {
	const char *name, *section;
} sections[] = {
	{ "Checks", "checks" },
	{ "Decoding", "decode" },
	{ "PenPals", "penpals" },
	{ "Receiving", "receiving" },
	{ "Sending", "sending" },
	{ "SpamCheck", "spam" },
	{ "Total", "total" },
	{ "VirusCheck", "virus" },
};

static uint64_t section_us(const struct mw_record *r, const char *section)
{
	const struct mw_record_elapsed *e = mw_record_section(r, section);

	return e != NULL ? e->wall_us : 0;
}

static void put_elapsed(struct logsvc_json *j, const char *name, const struct mw_record *r)
{
	uint64_t total = section_us(r, "total"),
		 others = section_us(r, "spam") + section_us(r, "virus");
	bool cpu = false;

	logsvc_json_open(j, name, '{');
	if (total > 0)
		logsvc_json_seconds(j, "Amavis", total > others ? total - others : 0);
	for (size_t i = 0; i < MW_COUNT(sections); i++) {
		const struct mw_record_elapsed *e = mw_record_section(r, sections[i].section);

		if (e == NULL)
			continue;
		logsvc_json_seconds(j, sections[i].name, e->wall_us);
		cpu = cpu || e->cpu_us > 0;
	}
	if (cpu) {
		logsvc_json_open(j, "cpu", '{');
		for (size_t i = 0; i < MW_COUNT(sections); i++) {
			const struct mw_record_elapsed *e =
				mw_record_section(r, sections[i].section);

			if (e != NULL && e->cpu_us > 0)
				logsvc_json_seconds(j, sections[i].name, e->cpu_us);
		}
		logsvc_json_close(j, '}');
	}
	logsvc_json_close(j, '}');
}

/* ------------------------------------------------------------------ recipients */

static void put_rcpt(struct logsvc_json *j, const struct mw_record_rcpt *rcpt)
{
	struct mw_octets code = rcpt_code(rcpt);

	logsvc_json_open(j, NULL, '{');
	logsvc_json_text(j, "action", rcpt_action(rcpt));
	if (rcpt->banned_part.n > 0)
		logsvc_json_text(j, "banning_reason", rcpt->banned_part);
	if (rcpt->bypass_banned)
		logsvc_json_bool(j, "bypass_banned_checks", true);
	if (rcpt->bypass_spam)
		logsvc_json_bool(j, "bypass_spam_checks", true);
	if (rcpt->bypass_virus)
		logsvc_json_bool(j, "bypass_virus_checks", true);
	if (rcpt->ccat_blocking != 0)
		logsvc_json_word(j, "ccat_blocking", mw_ccat_name(rcpt->ccat_blocking));
	if (rcpt->ccat_main != rcpt->ccat_blocking)
		logsvc_json_word(j, "ccat_main", mw_ccat_name(rcpt->ccat_main));
	if (rcpt->mail_id_related.n > 0)
		logsvc_json_text(j, "mail_id_related", rcpt->mail_id_related);
	if (rcpt->penpals_age_s >= 0)
		logsvc_json_uint(j, "penpals_age", (uint64_t)rcpt->penpals_age_s);
	if (rcpt->queued_as.n > 0)
		logsvc_json_text(j, "queued_as", rcpt->queued_as);
	logsvc_json_bool(j, "rcpt_is_local", rcpt->is_local);
	logsvc_json_text(j, "rcpt_to", rcpt->addr);
	if (rcpt->deliver_to.n > 0)
		logsvc_json_text(j, "rcpt_to_changed", rcpt->deliver_to);
	if (code.n > 0)
		logsvc_json_text(j, "smtp_code", code);
	if (rcpt->smtp_response.n > 0)
		logsvc_json_text(j, "smtp_response", rcpt->smtp_response);
	if (rcpt->has_score)
		logsvc_json_milli(j, "spam_score", rcpt->score_milli);
	logsvc_json_close(j, '}');
}

static void put_recipients(struct logsvc_json *j, const char *name, const struct mw_record *r)
{
	logsvc_json_open(j, name, '[');
	for (size_t i = 0; i < r->rcpt_count; i++)
		put_rcpt(j, &r->rcpts[i]);
	logsvc_json_close(j, ']');
}

static void put_part(struct logsvc_json *j, const struct mw_record_part *p)
{
	char digest[2 * MW_SHA256_OCTETS + 1];

	logsvc_json_open(j, NULL, '{');
	if (p->attributes.n > 0)
		logsvc_json_text(j, "attributes", p->attributes);
	if (p->name.n > 0)
		logsvc_json_text(j, "name", p->name);
	if (p->parent > 0)
		logsvc_json_uint(j, "parent", p->parent);
	if (p->place.n > 0)
		logsvc_json_text(j, "place", p->place);
	if (p->digest.n == MW_SHA256_OCTETS) {
		mw_hex(p->digest.p, p->digest.n, digest);
		logsvc_json_word(j, "sha256", digest);
	}
	logsvc_json_uint(j, "size", p->size);
	if (p->type.n > 0)
		logsvc_json_text(j, "type", p->type);
	logsvc_json_close(j, '}');
}

static void put_parts(struct logsvc_json *j, const char *name, const struct mw_record *r)
{
	if (r->part_count == 0)
		return;
	logsvc_json_open(j, name, '[');
	for (size_t i = 0; i < r->part_count; i++)
		put_part(j, &r->parts[i]);
	logsvc_json_close(j, ']');
}

void logsvc_result_json(struct logsvc_json *j, const char *name, const struct mw_record *r)
{
	static const struct {
		const char *name;
		put_fn *put;
	} results[] = {
		{ "action", put_action },
		{ "actions_performed", put_actions_performed },
		{ "av_scan", put_av_scan },
		{ "checks", put_checks },
		{ "checks_performed", put_checks_performed },
		{ "content_type", put_content_type },
		{ "elapsed", put_elapsed },
		{ "mail_id_related", put_related },
		{ "message", put_message },
		{ "parts", put_parts },
		{ "queued_as", put_queued_as },
		{ "recipients", put_recipients },
		{ "smtp_code", put_smtp_code },
		{ "spam_score", put_score },
		{ "tests", put_tests },
		{ "tests_ham", put_tests_ham },
		{ "tests_scores", put_tests_scores },
		{ "tests_spam", put_tests_spam },
		{ "virusnames", put_virusnames },
	};

	for (size_t i = 0; i < MW_COUNT(results); i++)
		if (strcmp(results[i].name, name) == 0)
			results[i].put(j, name, r);
}
