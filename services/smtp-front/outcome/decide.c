#include "decide.h"

#include <stdio.h>

static bool failed(const struct txn *t, enum dispatch_kind kind)
{
	return t->checks[kind].state == CHECK_OVER && t->checks[kind].status == MW_FAILED;
}

const char *decide_check_failure(struct txn *t)
{
	static const struct {
		enum dispatch_kind kind;
		const char *name;
	} fatal[] = { { JOB_SCAN, "virus" }, { JOB_SPAM, "spam" }, { JOB_SIGN, "DKIM signing" } };

	for (size_t i = 0; i < MW_COUNT(fatal); i++) {
		bool counts = fatal[i].kind == JOB_SCAN ? t->policy->virus_failure_fatal
			      : fatal[i].kind == JOB_SPAM
				      ? t->policy->spam_failure_fatal
				      : true; /* unsigned mail would fail at its receivers' DMARC */

		if (counts && failed(t, fatal[i].kind))
			return smtp_arena_printf(&t->arena, "%s check FAILED: %s", fatal[i].name,
				t->checks[fatal[i].kind].reason);
	}
	return NULL;
}

const char *decide_virus_names(struct txn *t)
{
	struct mw_text names = { 0 };
	const char *s;

	for (size_t i = 0; i < t->found.virus_count && i < 5; i++) {
		struct mw_octets name = t->found.viruses[i].name;
		char text[128];
		bool again = false;

		for (size_t k = 0; k < i && !again; k++)
			again = t->found.viruses[k].name.n == name.n &&
				(name.n == 0 ||
					memcmp(t->found.viruses[k].name.p, name.p, name.n) == 0);
		if (again)
			continue;
		mw_strncpy(text, sizeof(text), name.n > 0 ? (const char *)name.p : "unnamed",
			name.n > 0 ? name.n : 7);
		for (char *p = text; *p != '\0'; p++)
			if (*p < 0x20 || *p > 0x7e)
				*p = '?'; /* it goes into SMTP replies and header fields */
		mw_text_addf(&names, "%s%s", names.n > 0 ? ", " : "", text);
	}
	s = smtp_arena_copy(&t->arena, names.p, names.n);
	mw_text_fini(&names);
	return s != NULL ? s : "";
}

/* ------------------------------------------------------------------ categories */

static void add_ccat(struct txn_rcpt *r, unsigned ccat)
{
	if (r->ccat_count < TXN_CCATS_MAX)
		r->ccats[r->ccat_count++] = ccat;
}

static void score(const struct txn *t, struct txn_rcpt *r)
{
	int32_t before;

	r->has_score = t->found.has_spam || t->found.ip_milli != 0;
	before = (t->found.has_spam ? t->found.spam_milli : 0) + t->found.ip_milli;
	if (t->hooked != NULL && t->hooked->test_count > 0) {
		r->has_score = true;
		before += t->hooked->milli + r->hook_milli;
	}
	r->score_milli = before;
	/* reputation.md 5.1: pen pals only rescue what needs it. */
	if (r->penpals_age_s >= 0 &&
		(!r->is_local || before < t->policy->penpals_threshold_low_milli)) {
		if (!r->is_local)
			r->penpals_age_s = -1;
		r->penpals_milli = 0;
	}
	r->score_milli += r->penpals_milli;
}

static void levels(struct txn_rcpt *r)
{
	if (r->bypass_spam || !r->has_score)
		return;
	r->tag = r->score_milli >= r->tag_milli;
	r->tag2 = r->score_milli >= r->tag2_milli;
	r->kill = r->score_milli >= r->kill_milli;
}

/* Most important first (decision.md 2). */
static void categorise(const struct txn *t, struct txn_rcpt *r)
{
	if (!r->bypass_virus) {
		const struct txn_check *scan = &t->checks[JOB_SCAN];

		if (t->found.virus_count > 0)
			add_ccat(r, MW_CCAT(MW_CC_VIRUS, 0));
		if (t->found.ambiguous)
			add_ccat(r, MW_CCAT(MW_CC_UNCHECKED, 3));
		if (scan->state == CHECK_OVER &&
			(scan->status == MW_LIMIT || t->found.limit_count > 0))
			add_ccat(r, MW_CCAT(MW_CC_UNCHECKED, 2));
		if (t->found.encrypted > 0)
			add_ccat(r, MW_CCAT(MW_CC_UNCHECKED, 1));
		if (failed(t, JOB_SCAN) || (t->hooked != NULL && t->hooked->unchecked))
			add_ccat(r, MW_CCAT(MW_CC_UNCHECKED, 0));
	}
	if (r->kill)
		add_ccat(r, MW_CCAT(MW_CC_SPAM, 0));
	if (r->tag2)
		add_ccat(r, MW_CCAT(MW_CC_SPAMMY, 0));
	if (r->size_limit != 0 && t->body != NULL && smtp_body_size(t->body) > r->size_limit)
		add_ccat(r, MW_CCAT(MW_CC_OVERSIZED, 0));
	add_ccat(r, MW_CCAT(MW_CC_CLEAN, r->tag ? 1 : 0));
}

/* ------------------------------------------------------------------ replies of our own */

static const char *reason(struct txn *t, unsigned ccat)
{
	switch (ccat) {
	case MW_CCAT(MW_CC_VIRUS, 0):
		return smtp_arena_printf(&t->arena, "INFECTED: %s", decide_virus_names(t));
	case MW_CCAT(MW_CC_UNCHECKED, 1):
		return "UNCHECKED: encrypted";
	case MW_CCAT(MW_CC_UNCHECKED, 2):
		return "UNCHECKED: over limits";
	case MW_CCAT(MW_CC_UNCHECKED, 3):
		return "UNCHECKED: ambiguous content";
	case MW_CCAT(MW_CC_UNCHECKED, 0):
		if (!failed(t, JOB_SCAN) && t->hooked != NULL && t->hooked->unchecked)
			return smtp_arena_printf(
				&t->arena, "UNCHECKED: %s", t->hooked->unchecked_why);
		return "UNCHECKED";
	case MW_CCAT(MW_CC_SPAM, 0):
		return "spam";
	case MW_CCAT(MW_CC_SPAMMY, 0):
		return "spammy";
	case MW_CCAT(MW_CC_OVERSIZED, 0):
		return "Message size exceeds recipient's size limit";
	default:
		return "CLEAN";
	}
}

/* decision.md 7: STATUS WORD, id=LOGID - REASON. */
static void block(struct txn *t, struct txn_rcpt *r, unsigned ccat, enum mw_destiny destiny)
{
	static const struct {
		enum mw_destiny destiny;
		unsigned code;
		const char *word;
		enum mw_action action;
	} words[] = {
		{ MW_D_REJECT, 554, "Reject", MW_ACT_REJECT },
		{ MW_D_DISCARD, 250, "Ok, discarded", MW_ACT_DISCARD },
		{ MW_D_TEMPFAIL, 450, "Temporary failure", MW_ACT_TEMPFAIL },
	};
	bool oversized = ccat / 10 == MW_CC_OVERSIZED;
	size_t i = 0;

	/* Nobody can be told that a recipient unknown to the client is refused. */
	if (r->added && destiny == MW_D_REJECT)
		destiny = MW_D_DISCARD;
	r->ccat_blocking = ccat;
	r->destiny = destiny;
	r->cluster = -1;
	while (i + 1 < MW_COUNT(words) && words[i].destiny != destiny)
		i++; /* the last one also for a destiny that has no row: blocked is never delivered
		      */
	r->code = oversized && words[i].code == 554 ? 552 : words[i].code;
	r->action = words[i].action;
	/* RFC 3463: 3.4 is a mail too large for the system, 7.0 one that policy is against. */
	r->reply = smtp_arena_printf(&t->arena, "%u %u.%s %s, id=%s - %s", r->code, r->code / 100,
		oversized ? "3.4" : "7.0", words[i].word, t->log_id, reason(t, ccat));
}

/* Where to is not known: nowhere else, and not for ever either. */
static void wait_for_route(struct txn *t, struct txn_rcpt *r)
{
	r->cluster = -1;
	r->code = 451;
	r->action = MW_ACT_TEMPFAIL;
	r->reply = smtp_arena_printf(
		&t->arena, "451 4.3.5 Error in processing, id=%s, %s", t->log_id, r->no_route);
}

static void decide_rcpt(struct txn *t, struct txn_rcpt *r)
{
	if (!r->removed) {
		score(t, r);
		levels(r);
	}
	categorise(t, r);
	if (r->removed)
		return;
	r->destiny = MW_D_PASS;
	for (size_t i = 0; i < r->ccat_count; i++) {
		enum ccat_slot slot = ccat_slot_of(r->ccats[i]);

		/* What would block a mail does not for those who love it. */
		if (r->destinies[slot] != MW_D_PASS && !r->loves[slot]) {
			block(t, r, r->ccats[i], r->destinies[slot]);
			return;
		}
	}
	if (r->no_route != NULL && !t->client_delivers)
		wait_for_route(t, r);
}

static void add_test(struct txn *t, const char *name, int32_t milli)
{
	if (name != NULL)
		t->found.tests[t->found.test_count++] =
			(struct mw_record_test){ mw_octets_of_text(name), milli };
}

/* The pseudo-tests of reputation.md stand among the engine's. */
static void add_own_tests(struct txn *t)
{
	size_t own = t->hooked != NULL ? t->hooked->test_count : 0;
	int32_t penpals = 0;

	for (size_t i = 0; i < t->rcpt_count; i++)
		if (t->rcpts[i].penpals_milli < penpals)
			penpals = t->rcpts[i].penpals_milli;
	if (t->found.tests == NULL || own > 0) {
		struct mw_record_test *all =
			smtp_arena_array(&t->arena, t->found.test_count + own + 2, sizeof(*all));

		if (all == NULL)
			return;
		if (t->found.test_count > 0)
			memcpy(all, t->found.tests, t->found.test_count * sizeof(*all));
		t->found.tests = all;
	}
	if (own > 0)
		memcpy(t->found.tests + t->found.test_count, t->hooked->tests,
			own * sizeof(*t->found.tests));
	t->found.test_count += own;
	if (t->found.ip_milli != 0)
		add_test(t,
			smtp_arena_printf(&t->arena, "AM.IP_BAD_%.*s", (int)t->found.ip_worst.n,
				(const char *)t->found.ip_worst.p),
			t->found.ip_milli);
	if (penpals < 0)
		add_test(t, "AM.PENPAL", penpals);
}

void decide(struct txn *t)
{
	for (size_t i = 0; i < t->rcpt_count; i++)
		decide_rcpt(t, &t->rcpts[i]);
	add_own_tests(t);
}

unsigned decide_ccat(const struct txn *t)
{
	unsigned blocking = 0, main = 0;

	for (size_t i = 0; i < t->rcpt_count; i++) {
		const struct txn_rcpt *r = &t->rcpts[i];

		if (r->ccat_blocking > blocking)
			blocking = r->ccat_blocking;
		if (r->ccat_count > 0 && r->ccats[0] > main)
			main = r->ccats[0];
	}
	return blocking != 0 ? blocking : main != 0 ? main : MW_CCAT(MW_CC_CLEAN, 0);
}
