/* Which fields are added, and when a mail is blocked: the decision is asked at all scores. */
#include <stdio.h>

#include "checks/plan.h"
#include "explain.h"
#include "outcome/decide.h"

#define LOWEST (-1000000000) /* thousandths: what a level can be at most */
#define HIGHEST 1000000000

struct probe {
	struct explain *x;
	size_t rcpt, field;
	const char *why;
};

/* The decision as after all checks, at that score. */
static void decide_at(struct explain *x, int32_t milli)
{
	struct txn *t = x->txn;

	t->found.has_spam = t->checks[JOB_SPAM].state == CHECK_OVER;
	t->found.spam_milli = milli;
	t->found.test_count = 0;
	decide(t);
}

static bool is_added(struct probe *p)
{
	struct edit_verdict verdicts[EDIT_FIELDS];
	const struct txn *t = p->x->txn;

	edit_verdicts(t, &t->rcpts[p->rcpt], verdicts);
	p->why = verdicts[p->field].why;
	return verdicts[p->field].added;
}

static bool is_signed(struct probe *p)
{
	const struct policy_signer *signer;
	bool yes = plan_sign(p->x->txn, &signer);

	p->why = yes ? explain_text(p->x, "d=%s, s=%s (dkim_key)", signer->domain, signer->selector)
		     : p->x->txn->checks[JOB_SIGN].skipped;
	return yes;
}

static bool is_blocked(struct probe *p)
{
	return p->x->txn->rcpts[p->rcpt].code != 0;
}

/* Where between two scores, at which the answers differ, it changes. */
static int32_t turning_point(struct probe *p, bool (*ask)(struct probe *p), bool at_low)
{
	int64_t low = LOWEST, high = HIGHEST;

	while (high - low > 1) {
		int64_t middle = low + (high - low) / 2;

		decide_at(p->x, (int32_t)middle);
		if (ask(p) == at_low)
			low = middle;
		else
			high = middle;
	}
	return (int32_t)high;
}

/* Leaves the decision, and why_r, as they are where the answer is yes, if it ever is. */
static enum explain_when when(
	struct probe *p, bool (*ask)(struct probe *p), int32_t *at_r, const char **why_r)
{
	const struct explain_ask *a = p->x->ask;
	bool low, high;

	decide_at(p->x, a->has_score ? a->score_milli : LOWEST);
	low = high = ask(p);
	*why_r = p->why;
	if (a->has_score)
		return low ? EXPLAIN_ALWAYS : EXPLAIN_NEVER;
	decide_at(p->x, HIGHEST);
	high = ask(p);
	if (low == high)
		return low ? EXPLAIN_ALWAYS : EXPLAIN_NEVER;
	*at_r = turning_point(p, ask, low);
	decide_at(p->x, low ? LOWEST : HIGHEST);
	ask(p);
	*why_r = p->why;
	return low ? EXPLAIN_BELOW : EXPLAIN_FROM;
}

static void explain_rcpt(struct explain *x, size_t rcpt)
{
	struct explain_rcpt *r = &x->rcpts[rcpt];
	struct probe p = { .x = x, .rcpt = rcpt, .why = "" };
	struct edit_verdict verdicts[EDIT_FIELDS];
	const char *why;

	edit_verdicts(x->txn, &x->txn->rcpts[rcpt], verdicts);
	for (p.field = 0; p.field < EDIT_FIELDS; p.field++) {
		struct explain_field *f = &r->fields[p.field];

		f->name = verdicts[p.field].field;
		f->when = when(&p, is_added, &f->at_milli, &f->why);
	}
	r->fields[EDIT_FIELDS].name = "DKIM-Signature";
	r->fields[EDIT_FIELDS].when =
		when(&p, is_signed, &r->fields[EDIT_FIELDS].at_milli, &r->fields[EDIT_FIELDS].why);
	r->blocked = when(&p, is_blocked, &r->blocked_milli, &why);
	if (r->blocked != EXPLAIN_NEVER)
		r->reply = explain_text(x, "%s", x->txn->rcpts[rcpt].reply);
}

void explain_outcome(struct explain *x)
{
	struct probe p = { .x = x, .why = "" };
	int32_t at;
	const char *why;

	for (size_t i = 0; i < x->txn->rcpt_count; i++)
		explain_rcpt(x, i);
	x->checks[x->check_count].kind = dispatch_kind_names[JOB_SIGN];
	x->checks[x->check_count++].why =
		when(&p, is_signed, &at, &why) == EXPLAIN_NEVER ? why : NULL;
}
