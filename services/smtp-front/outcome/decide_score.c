/* Scores of all their parts, lists of senders, and the levels that follow (decision.md 4,
 * reputation.md 7 and 10). */
#include "decide_priv.h"

#include <stdlib.h>

#include "policy/mail_senders.h"
#include "policy/sender_lists.h"

#define BLACK_LEAST_MILLI 64000 /* what a score looks like at least where the sender is black */
#define WHITE_BELOW_MILLI 10000 /* so much less counts for the tag level where it is white */

/* ------------------------------------------------------------------ lists of senders */

static bool has_lists(const struct policy *p)
{
	return !mw_lookup_is_empty(p->white_senders) || !mw_lookup_is_empty(p->black_senders) ||
	       p->rcpt_white_senders != NULL || p->rcpt_black_senders != NULL ||
	       p->sender_scores != NULL;
}

static int32_t milli_of(int64_t milli)
{
	return milli > INT32_MAX ? INT32_MAX : milli < -INT32_MAX ? -INT32_MAX : (int32_t)milli;
}

/* What the tables for all recipients say of each sender. */
struct listing {
	size_t count;
	const char *senders[MAIL_SENDERS_MAX];
	bool white[MAIL_SENDERS_MAX], black[MAIL_SENDERS_MAX];
};

/* A recipient's own table has the last word. */
static bool is_listed(
	const struct sender_lists *own, const char *rcpt, const char *sender, bool for_all)
{
	int64_t milli;
	bool yes;

	return sender_lists_ask(own, rcpt, sender, &milli, &yes) ? yes : for_all;
}

/* reputation.md 7: SQL, then LDAP, then tables; who was found is not looked for any further, nor
 * are points added once there are some. */
static void list_rcpt(struct txn *t, size_t rcpt, const struct listing *l)
{
	const struct policy *p = t->policy;
	struct txn_rcpt *r = &t->rcpts[rcpt];
	struct mail_senders_said said = { 0 };
	int64_t milli;
	bool yes;

	for (size_t s = 0; s < l->count; s++) {
		mail_senders_hear(t, rcpt, s, &said);
		if (!said.found) {
			bool black = is_listed(
				p->rcpt_black_senders, r->addr, l->senders[s], l->black[s]);
			bool white = is_listed(
				p->rcpt_white_senders, r->addr, l->senders[s], l->white[s]);

			said.black |= black;
			said.white |= white;
			said.found = black || white;
		}
		if (!said.has_milli &&
			sender_lists_ask(p->sender_scores, r->addr, l->senders[s], &milli, &yes) &&
			milli != 0) {
			said.has_milli = true;
			said.milli += milli;
		}
	}
	r->white = said.white;
	r->black = said.black;
	r->wbl_milli = milli_of(said.milli);
	r->has_wbl_milli = r->wbl_milli != 0;
}

void decide_senders(struct txn *t)
{
	struct listing l = { 0 };

	if (!has_lists(t->policy) && !mail_senders_any(t))
		return;
	l.count = mail_senders_of(t, l.senders);
	for (size_t s = 0; s < l.count; s++) {
		l.white[s] = mw_lookup_bool(t->policy->white_senders, l.senders[s], false);
		l.black[s] = mw_lookup_bool(t->policy->black_senders, l.senders[s], false);
	}
	for (size_t i = 0; i < t->rcpt_count; i++)
		list_rcpt(t, i, &l);
}

bool decide_all_listed(const struct txn *t)
{
	size_t asked = 0;

	for (size_t i = 0; i < t->rcpt_count; i++) {
		if (t->rcpts[i].removed)
			continue;
		if (!t->rcpts[i].white && !t->rcpts[i].black)
			return false;
		asked++;
	}
	return asked > 0;
}

/* ------------------------------------------------------------------ viruses that are points */

static const char *virus_name(const struct finding_virus *v)
{
	return v->name.n > 0 && memchr(v->name.p, '\0', v->name.n) == NULL ? (const char *)v->name.p
									   : "";
}

static bool named_before(const struct findings *f, size_t i)
{
	for (size_t k = 0; k < i; k++)
		if (strcmp(virus_name(&f->viruses[k]), virus_name(&f->viruses[i])) == 0)
			return true;
	return false;
}

/* Each that was found has points: they are tests, and the mail is not infected. */
static void make_points(struct txn *t)
{
	struct findings *f = &t->found;
	struct mw_record_test *tests =
		smtp_arena_array(&t->arena, f->av_test_count + f->virus_count, sizeof(*tests));
	int64_t sum = f->av_milli;
	size_t n = f->av_test_count;

	if (tests == NULL)
		return;
	if (n > 0)
		memcpy(tests, f->av_tests, n * sizeof(*tests));
	for (size_t i = 0; i < f->virus_count; i++) {
		const char *name = virus_name(&f->viruses[i]), *test;
		int64_t milli;

		if (named_before(f, i))
			continue;
		milli = milli_of(mw_lookup_milli(t->policy->virus_scores, name, 0));
		test = smtp_arena_printf(&t->arena, "AV:%s", name);
		if (test == NULL)
			return; /* it stays a virus */
		sum += milli;
		tests[n++] = (struct mw_record_test){ mw_octets_of_text(test), (int32_t)milli };
	}
	f->av_tests = tests;
	f->av_test_count = n;
	f->av_milli = milli_of(sum);
	f->virus_count = 0;
}

void decide_viruses(struct txn *t)
{
	struct findings *f = &t->found;
	struct mw_lookup_result r;
	size_t scored = 0;

	if (f->virus_count == 0)
		return;
	for (size_t i = 0; i < f->virus_count; i++)
		scored += !mw_lookup_is_empty(t->policy->virus_scores) &&
			  mw_lookup(t->policy->virus_scores, virus_name(&f->viruses[i]), &r) &&
			  r.value.type == MW_VALUE_MILLI;
	if (scored == f->virus_count) {
		make_points(t);
		if (f->virus_count == 0)
			return;
	}
	for (size_t i = 0; i < f->virus_count && !f->fakes_sender; i++)
		f->fakes_sender =
			mw_lookup_bool(t->policy->virus_fakers, virus_name(&f->viruses[i]), false);
}

/* ------------------------------------------------------------------ score and levels */

static void score(const struct txn *t, struct txn_rcpt *r)
{
	const struct findings *f = &t->found;
	int64_t before = 0;

	r->has_score = f->has_spam || f->ip_milli != 0 || f->av_test_count > 0 || r->has_wbl_milli;
	before = (int64_t)(f->has_spam ? f->spam_milli : 0) + f->ip_milli + f->av_milli +
		 r->wbl_milli;
	if (t->hooked != NULL && t->hooked->test_count > 0) {
		r->has_score = true;
		before += (int64_t)t->hooked->milli + r->hook_milli;
	}
	/* reputation.md 5.1: pen pals only rescue what needs it. */
	if (r->penpals_age_s >= 0 &&
		(!r->is_local || before < t->policy->penpals_threshold_low_milli)) {
		if (!r->is_local)
			r->penpals_age_s = -1;
		r->penpals_milli = 0;
	}
	r->score_milli = milli_of(before + r->penpals_milli);
}

static bool reaches(const struct txn_rcpt *r, int32_t level_milli)
{
	if (r->white)
		return false;
	return r->black || (level_milli != RCPT_NO_LEVEL && r->score_milli >= level_milli);
}

/* A mail that nobody has scored counts as one with 0 points (decision.md 4). */
void decide_score(const struct txn *t, struct txn_rcpt *r)
{
	int64_t counts;

	score(t, r);
	if (r->bypass_spam)
		return;
	counts = (int64_t)r->score_milli - (r->white ? WHITE_BELOW_MILLI : 0);
	r->tag = r->black || r->tag_milli == RCPT_NO_LEVEL || counts >= r->tag_milli;
	r->tag3 = reaches(r, r->tag3_milli);
	r->tag2 = r->tag3 || reaches(r, r->tag2_milli);
	r->kill = reaches(r, r->kill_milli);
	if (r->black && !r->white && r->score_milli < BLACK_LEAST_MILLI) {
		r->has_score = true;
		r->score_milli = BLACK_LEAST_MILLI;
	}
}

/* ------------------------------------------------------------------ tests */

static void add_test(struct txn *t, const char *name, int32_t milli)
{
	if (name != NULL)
		t->found.tests[t->found.test_count++] =
			(struct mw_record_test){ mw_octets_of_text(name), milli };
}

static void add_tests(struct txn *t, const struct mw_record_test *tests, size_t count)
{
	if (count > 0)
		memcpy(t->found.tests + t->found.test_count, tests, count * sizeof(*tests));
	t->found.test_count += count;
}

/* Of what recipients have of their own: the lowest of pen pals, the farthest of lists. */
static int32_t least_penpals(const struct txn *t)
{
	int32_t least = 0;

	for (size_t i = 0; i < t->rcpt_count; i++)
		if (t->rcpts[i].penpals_milli < least)
			least = t->rcpts[i].penpals_milli;
	return least;
}

static int32_t farthest_list(const struct txn *t)
{
	int32_t far = 0;

	for (size_t i = 0; i < t->rcpt_count; i++)
		if (labs(t->rcpts[i].wbl_milli) > labs(far))
			far = t->rcpts[i].wbl_milli;
	return far;
}

void decide_add_tests(struct txn *t)
{
	size_t hooked = t->hooked != NULL ? t->hooked->test_count : 0;
	size_t own = hooked + t->found.av_test_count;
	int32_t penpals = least_penpals(t), lists = farthest_list(t);
	struct mw_record_test *all;

	if (own == 0 && penpals == 0 && lists == 0 && t->found.ip_milli == 0)
		return;
	all = smtp_arena_array(&t->arena, t->found.test_count + own + 3, sizeof(*all));
	if (all == NULL)
		return;
	if (t->found.test_count > 0)
		memcpy(all, t->found.tests, t->found.test_count * sizeof(*all));
	t->found.tests = all;
	if (hooked > 0)
		add_tests(t, t->hooked->tests, hooked);
	if (t->found.ip_milli != 0)
		add_test(t,
			smtp_arena_printf(&t->arena, "AM.IP_BAD_%.*s", (int)t->found.ip_worst.n,
				(const char *)t->found.ip_worst.p),
			t->found.ip_milli);
	add_tests(t, t->found.av_tests, t->found.av_test_count);
	if (lists != 0)
		add_test(t, "AM.WBL", lists);
	if (penpals < 0)
		add_test(t, "AM.PENPAL", penpals);
}
