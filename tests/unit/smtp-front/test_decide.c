/* Findings become categories and destinies: by table, and by trying every combination that there
 * is. */
#include "make_txn.h"

#include "outcome/decide.h"
#include "outcome/edit.h"
#include "outcome/reply.h"

#define VIRUS MW_CCAT(MW_CC_VIRUS, 0)
#define UNCHECKED(minor) MW_CCAT(MW_CC_UNCHECKED, minor)
#define SPAM MW_CCAT(MW_CC_SPAM, 0)
#define SPAMMY MW_CCAT(MW_CC_SPAMMY, 0)
#define CLEAN(minor) MW_CCAT(MW_CC_CLEAN, minor)

enum finding { NOTHING, INFECTED, ENCRYPTED, AMBIGUOUS, ALL_OF_THEM, FINDINGS };

static void find(struct made *m, enum finding f, enum mw_status scan)
{
	make_check(m, JOB_SCAN, scan);
	if (f == INFECTED || f == ALL_OF_THEM)
		make_virus(m, "Eicar");
	m->txn.found.encrypted = f == ENCRYPTED || f == ALL_OF_THEM;
	m->txn.found.ambiguous = f == AMBIGUOUS || f == ALL_OF_THEM;
}

static void spam_of(struct made *m, int32_t milli)
{
	make_check(m, JOB_SPAM, MW_DONE);
	m->txn.found.has_spam = true;
	m->txn.found.spam_milli = milli;
}

/* ------------------------------------------------------------------ by table */

static void findings_become_categories(void **state)
{
	static const struct {
		enum mw_status scan;
		enum finding found;
		bool has_score;
		int32_t milli;
		unsigned ccats[TXN_CCATS_MAX];
	} rows[] = {
		{ MW_DONE, NOTHING, false, 0, { CLEAN(0) } },
		{ MW_DONE, NOTHING, true, 1999, { CLEAN(0) } },
		{ MW_DONE, NOTHING, true, 2000, { CLEAN(1) } },
		{ MW_DONE, NOTHING, true, 4999, { CLEAN(1) } },
		{ MW_DONE, NOTHING, true, 5000, { SPAMMY, CLEAN(1) } },
		{ MW_DONE, NOTHING, true, 8000, { SPAM, SPAMMY, CLEAN(1) } },
		{ MW_DONE, NOTHING, true, -100000000, { CLEAN(0) } },
		{ MW_DONE, NOTHING, true, 100000000, { SPAM, SPAMMY, CLEAN(1) } },
		{ MW_DONE, INFECTED, false, 0, { VIRUS, CLEAN(0) } },
		{ MW_DONE, ENCRYPTED, false, 0, { UNCHECKED(1), CLEAN(0) } },
		{ MW_DONE, AMBIGUOUS, false, 0, { UNCHECKED(3), CLEAN(0) } },
		{ MW_LIMIT, NOTHING, false, 0, { UNCHECKED(2), CLEAN(0) } },
		{ MW_LIMIT, INFECTED, false, 0, { VIRUS, UNCHECKED(2), CLEAN(0) } },
		{ MW_LIMIT, ALL_OF_THEM, true, 9000,
			{ VIRUS, UNCHECKED(3), UNCHECKED(2), UNCHECKED(1), SPAM, SPAMMY,
				CLEAN(1) } },
		{ MW_FAILED, NOTHING, false, 0, { UNCHECKED(0), CLEAN(0) } },
		{ MW_FAILED, NOTHING, true, 9000, { UNCHECKED(0), SPAM, SPAMMY, CLEAN(1) } },
	};

	(void)state;
	for (size_t i = 0; i < MW_COUNT(rows); i++) {
		struct made *m = make_txn("sa_tag2_level_deflt = 5\nsa_kill_level_deflt = 8\n");
		struct txn_rcpt *r = make_rcpt(m, "a@example.org");
		size_t n = 0;

		find(m, rows[i].found, rows[i].scan);
		if (rows[i].has_score)
			spam_of(m, rows[i].milli);
		decide(&m->txn);
		while (n < TXN_CCATS_MAX && rows[i].ccats[n] != 0)
			n++;
		assert_int_equal(r->ccat_count, n);
		assert_memory_equal(r->ccats, rows[i].ccats, n * sizeof(r->ccats[0]));
		end_txn(m);
	}
}

static void destinies_become_replies(void **state)
{
	static const struct {
		enum mw_status scan;
		enum finding found;
		int32_t milli;
		const char *destinies;
		unsigned blocking;
		enum mw_action action;
		const char *reply; /* NULL: it is to be delivered */
	} rows[] = {
		{ MW_DONE, NOTHING, 0, "", 0, MW_ACT_PASS, NULL },
		{ MW_DONE, INFECTED, 0, "", VIRUS, MW_ACT_DISCARD,
			"250 2.7.0 Ok, discarded, id=00001-01 - INFECTED: Eicar" },
		{ MW_DONE, INFECTED, 0, "final_virus_destiny = D_REJECT", VIRUS, MW_ACT_REJECT,
			"554 5.7.0 Reject, id=00001-01 - INFECTED: Eicar" },
		{ MW_DONE, INFECTED, 0, "final_virus_destiny = D_TEMPFAIL", VIRUS, MW_ACT_TEMPFAIL,
			"450 4.7.0 Temporary failure, id=00001-01 - INFECTED: Eicar" },
		{ MW_DONE, INFECTED, 0, "final_virus_destiny = D_PASS", 0, MW_ACT_PASS, NULL },
		{ MW_DONE, NOTHING, 9000, "", 0, MW_ACT_PASS, NULL },
		{ MW_DONE, NOTHING, 9000, "final_spam_destiny = D_REJECT", SPAM, MW_ACT_REJECT,
			"554 5.7.0 Reject, id=00001-01 - spam" },
		{ MW_DONE, NOTHING, 6000, "final_spam_destiny = D_REJECT", 0, MW_ACT_PASS, NULL },
		{ MW_DONE, ENCRYPTED, 0, "final_unchecked_destiny = D_REJECT", UNCHECKED(1),
			MW_ACT_REJECT, "554 5.7.0 Reject, id=00001-01 - UNCHECKED: encrypted" },
		{ MW_LIMIT, NOTHING, 0, "final_unchecked_destiny = D_REJECT", UNCHECKED(2),
			MW_ACT_REJECT, "554 5.7.0 Reject, id=00001-01 - UNCHECKED: over limits" },
		{ MW_DONE, AMBIGUOUS, 0, "final_unchecked_destiny = D_DISCARD", UNCHECKED(3),
			MW_ACT_DISCARD,
			"250 2.7.0 Ok, discarded, id=00001-01 - UNCHECKED: ambiguous content" },
		{ MW_FAILED, NOTHING, 0, "final_unchecked_destiny = D_TEMPFAIL", UNCHECKED(0),
			MW_ACT_TEMPFAIL, "450 4.7.0 Temporary failure, id=00001-01 - UNCHECKED" },
		/* what passes does not hide what blocks below it */
		{ MW_DONE, INFECTED, 9000,
			"final_virus_destiny = D_PASS final_spam_destiny = D_REJECT", SPAM,
			MW_ACT_REJECT, "554 5.7.0 Reject, id=00001-01 - spam" },
		{ MW_LIMIT, INFECTED, 9000, "final_spam_destiny = D_REJECT", VIRUS, MW_ACT_DISCARD,
			"250 2.7.0 Ok, discarded, id=00001-01 - INFECTED: Eicar" },
	};

	(void)state;
	for (size_t i = 0; i < MW_COUNT(rows); i++) {
		struct made *m = make_txn(rows[i].destinies);
		struct txn_rcpt *r = make_rcpt(m, "a@example.org");

		find(m, rows[i].found, rows[i].scan);
		spam_of(m, rows[i].milli);
		decide(&m->txn);
		assert_int_equal(r->ccat_blocking, rows[i].blocking);
		if (rows[i].reply == NULL) {
			assert_int_equal(r->code, 0);
			assert_int_equal(r->destiny, MW_D_PASS);
		} else {
			assert_int_equal(r->action, rows[i].action);
			assert_string_equal(r->reply, rows[i].reply);
			assert_int_equal(r->cluster, -1);
			assert_int_equal(decide_ccat(&m->txn), rows[i].blocking);
		}
		end_txn(m);
	}
}

static void a_failed_check_defers_where_the_settings_say_so(void **state)
{
	static const struct {
		const char *lua;
		enum dispatch_kind kind;
		enum mw_status status;
		const char *why;
	} rows[] = {
		{ "", JOB_SCAN, MW_DONE, NULL },
		{ "", JOB_SCAN, MW_LIMIT, NULL },
		{ "", JOB_SCAN, MW_FAILED, "virus check FAILED: cage_died" },
		{ "virus_scanners_failure_is_fatal = false", JOB_SCAN, MW_FAILED, NULL },
		{ "", JOB_SPAM, MW_FAILED, NULL },
		{ "spam_scanners_failure_is_fatal = true", JOB_SPAM, MW_FAILED,
			"spam check FAILED: cage_died" },
		{ "", JOB_SIGN, MW_FAILED, "DKIM signing check FAILED: cage_died" },
		{ "", JOB_AUTH, MW_FAILED, NULL },
		{ "", JOB_REPUTATION, MW_FAILED, NULL },
	};

	(void)state;
	for (size_t i = 0; i < MW_COUNT(rows); i++) {
		struct made *m = make_txn(rows[i].lua);
		const char *why;

		make_check(m, rows[i].kind, rows[i].status);
		why = decide_check_failure(&m->txn);
		assert_int_equal(why == NULL, rows[i].why == NULL);
		if (why != NULL)
			assert_string_equal(why, rows[i].why);
		m->txn.checks[rows[i].kind].state =
			CHECK_SKIPPED; /* what did not run did not fail */
		assert_null(decide_check_failure(&m->txn));
		end_txn(m);
	}
}

static void a_limit_that_was_met_counts_whatever_the_status_says(void **state)
{
	struct made *m = make_txn("");

	(void)state;
	make_rcpt(m, "a@example.org");
	find(m, NOTHING, MW_DONE);
	m->txn.found.limit_count = 1;
	decide(&m->txn);
	assert_int_equal(m->txn.rcpts[0].ccats[0], UNCHECKED(2));
	end_txn(m);
}

static void what_could_not_be_read_whole_is_unchecked(void **state)
{
	struct made *m = make_txn("");

	(void)state;
	make_rcpt(m, "a@example.org");
	make_rcpt(m, "b@example.org")->bypass_virus = true;
	find(m, NOTHING, MW_DONE);
	m->txn.found.broken = true;
	decide(&m->txn);
	assert_int_equal(m->txn.rcpts[0].ccats[0], UNCHECKED(0));
	assert_int_equal(m->txn.rcpts[1].ccats[0], CLEAN(0));
	end_txn(m);
}

static void who_bypasses_a_check_is_not_judged_by_it(void **state)
{
	struct made *m = make_txn("final_spam_destiny = D_REJECT\n");

	(void)state;
	make_rcpt(m, "a@example.org");
	make_rcpt(m, "b@example.org")->bypass_virus = true;
	make_rcpt(m, "c@example.org")->bypass_spam = true;
	m->txn.rcpts[2].bypass_virus = true;
	find(m, ALL_OF_THEM, MW_LIMIT);
	spam_of(m, 9000);
	decide(&m->txn);
	assert_int_equal(m->txn.rcpts[0].ccat_blocking, VIRUS);
	assert_int_equal(m->txn.rcpts[1].ccat_blocking, SPAM);
	assert_int_equal(m->txn.rcpts[2].ccat_blocking, 0);
	/* What a reader makes of it nobody knows. */
	assert_int_equal(m->txn.rcpts[2].ccats[0], UNCHECKED(3));
	assert_int_equal(m->txn.rcpts[2].ccats[1], CLEAN(0));
	assert_false(m->txn.rcpts[2].tag || m->txn.rcpts[2].tag2 || m->txn.rcpts[2].kill);
	assert_int_equal(decide_ccat(&m->txn), VIRUS);
	end_txn(m);
}

static void each_recipient_has_levels_of_its_own(void **state)
{
	struct made *m = make_txn(
		"sa_tag_level_deflt = 1\nsa_tag2_level_deflt = 5\nsa_kill_level_deflt = 8\n"
		"final_spam_destiny = D_REJECT\n"
		"spam_tag_level_maps = { { [\"c@example.org\"] = 1000 } }\n"
		"spam_tag2_level_maps = { { [\"b@example.org\"] = 3, [\".example.org\"] = 1e6 } "
		"}\n"
		"spam_kill_level_maps = { { [\"b@example.org\"] = 4, [\"c@example.org\"] = 20 } "
		"}\n");
	const struct txn_rcpt *r;

	(void)state;
	make_rcpt(m, "a@example.org");
	make_rcpt(m, "b@example.org");
	make_rcpt(m, "c@example.org");
	make_rcpt(m, "d@example.com");
	r = m->txn.rcpts;
	assert_int_equal(r[0].tag2_milli, 1000000000);
	assert_int_equal(r[3].tag2_milli, 5000);
	spam_of(m, 6000);
	decide(&m->txn);
	assert_true(r[0].tag && !r[0].tag2 && !r[0].kill);
	assert_true(r[1].tag && r[1].tag2 && r[1].kill);
	assert_true(!r[2].tag && !r[2].tag2 && !r[2].kill);
	assert_true(r[3].tag && r[3].tag2 && !r[3].kill);
	assert_int_equal(r[1].ccat_blocking, SPAM);
	assert_int_equal(r[0].ccat_blocking | r[2].ccat_blocking | r[3].ccat_blocking, 0);
	end_txn(m);
}

static void lovers_get_marked_what_others_do_not_get(void **state)
{
	static const struct {
		const char *lovers;
		unsigned blocking; /* what blocks it all the same */
	} rows[] = {
		{ "virus_lovers_maps = { \"a@example.org\" }\n", UNCHECKED(3) },
		{ "virus_lovers_maps = { true }\nunchecked_lovers_maps = { \".org\" }\n", SPAM },
		{ "spam_lovers_maps = { true }\n", VIRUS },
		{ "virus_lovers_maps = { true }\nunchecked_lovers_maps = { true }\n"
		  "spam_lovers_maps = { { [\"a@example.org\"] = 1 } }\n",
			0 },
		{ "virus_lovers_maps = { \"!a@example.org\", true }\n", VIRUS },
	};

	(void)state;
	for (size_t i = 0; i < MW_COUNT(rows); i++) {
		char lua[600];
		struct made *m;
		const struct txn_rcpt *r;

		snprintf(lua, sizeof(lua),
			"final_virus_destiny = D_REJECT\nfinal_unchecked_destiny = D_REJECT\n"
			"final_spam_destiny = D_REJECT\n%s",
			rows[i].lovers);
		m = make_txn(lua);
		r = make_rcpt(m, "a@example.org");
		find(m, ALL_OF_THEM, MW_LIMIT);
		spam_of(m, 9000);
		decide(&m->txn);
		assert_int_equal(r->ccat_blocking, rows[i].blocking);
		assert_int_equal(r->ccats[0], VIRUS); /* it is what it is, whoever wants it */
		end_txn(m);
	}
}

static void the_score_is_all_its_parts(void **state)
{
	struct made *m = make_txn("penpals_threshold_low = 1\n");
	struct txn_rcpt *r;

	(void)state;
	make_rcpt(m, "a@example.org");
	make_rcpt(m, "b@example.org");
	make_rcpt(m, "x@example.com");
	m->txn.found.ip_milli = 1500;
	m->txn.found.ip_worst = mw_octets_of_text("203.0.113.7");
	for (size_t i = 1; i < 3; i++) {
		m->txn.rcpts[i].penpals_age_s = 5;
		m->txn.rcpts[i].penpals_milli = -8000;
	}
	spam_of(m, 7000);
	decide(&m->txn);
	r = m->txn.rcpts;
	assert_int_equal(r[0].score_milli, 8500);
	assert_true(r[0].kill);
	assert_int_equal(r[1].score_milli, 500);
	assert_false(r[1].tag);
	assert_int_equal(r[2].score_milli, 8500); /* not local: no pen pal */
	assert_int_equal(r[2].penpals_age_s, -1);
	assert_int_equal(m->txn.found.test_count, 2);
	assert_true(mw_octets_ieq(m->txn.found.tests[0].name, "AM.IP_BAD_203.0.113.7"));
	assert_true(mw_octets_ieq(m->txn.found.tests[1].name, "AM.PENPAL"));
	assert_int_equal(m->txn.found.tests[1].milli, -8000);
	end_txn(m);
}

static void virus_names_are_told_once_and_at_most_five(void **state)
{
	static const char *const names[] = { "A", "B", "A", "C", "B", "D", "E" };
	struct made *m = make_txn("");
	char lengthy[300];

	(void)state;
	assert_string_equal(decide_virus_names(&m->txn), "");
	for (size_t i = 0; i < MW_COUNT(names); i++)
		make_virus(m, names[i]);
	assert_string_equal(decide_virus_names(&m->txn), "A, B, C");
	memset(lengthy, 'v', sizeof(lengthy) - 1);
	lengthy[sizeof(lengthy) - 1] = '\0';
	m->txn.found.virus_count = 0;
	make_virus(m, lengthy);
	assert_int_equal(strlen(decide_virus_names(&m->txn)), 127);
	end_txn(m);
}

/* ------------------------------------------------------------------ every combination */

static const enum mw_destiny destinies[] = { MW_D_PASS, MW_D_DISCARD, MW_D_REJECT, MW_D_TEMPFAIL,
	MW_D_BOUNCE };
static const unsigned hop_codes[] = { 250, 450, 554, 0, 354 };

/* One combination, as digits of a number. */
struct combination {
	enum mw_status scan;
	enum finding found;
	int score; /* 0: none */
	enum mw_destiny virus, unchecked, spam;
	unsigned bypass;
	unsigned hop[2];
};

static size_t digit(size_t *n, size_t base)
{
	size_t d = *n % base;

	*n /= base;
	return d;
}

static bool combination_of(size_t n, struct combination *c)
{
	c->scan = (enum mw_status)digit(&n, MW_STATUS_COUNT);
	c->found = (enum finding)digit(&n, FINDINGS);
	c->score = (int)digit(&n, 3) * 4000;
	c->virus = destinies[digit(&n, MW_COUNT(destinies))];
	c->unchecked = destinies[digit(&n, MW_COUNT(destinies))];
	c->spam = destinies[digit(&n, MW_COUNT(destinies))];
	c->bypass = (unsigned)digit(&n, 4);
	c->hop[0] = hop_codes[digit(&n, MW_COUNT(hop_codes))];
	c->hop[1] = hop_codes[digit(&n, MW_COUNT(hop_codes))];
	return n == 0;
}

/* As transaction.c takes the next hop's answers. */
static void hop_answers(struct txn *t, const struct combination *c)
{
	for (size_t i = 0; i < t->rcpt_count; i++) {
		struct txn_rcpt *r = &t->rcpts[i];

		if (r->code != 0)
			continue;
		r->code = c->hop[i];
		r->from_next_hop = true;
		r->delivered = r->code / 100 == 2;
		r->reply = r->code / 100 == 2	? "250 2.0.0 Ok"
			   : r->code / 100 == 4 ? "450 4.0.0 later"
						: "554 5.0.0 no";
		r->action = r->delivered	 ? MW_ACT_PASS
			    : r->code / 100 == 5 ? MW_ACT_REJECT
						 : MW_ACT_TEMPFAIL;
	}
}

static void rcpt_is_honest(
	const struct txn *t, const struct txn_rcpt *r, const struct combination *c)
{
	bool seen = !r->bypass_virus;

	/* not scanned, or not to the end: never clean */
	if (seen && (c->scan != MW_DONE || c->found != NOTHING))
		assert_true(r->ccats[0] >= UNCHECKED(0));
	/* infected mail goes out only where the settings pass it */
	if (seen && t->found.virus_count > 0 && c->virus != MW_D_PASS)
		assert_true(r->ccat_blocking == VIRUS && !r->delivered);
	if (seen && c->scan == MW_FAILED && c->unchecked != MW_D_PASS)
		assert_true(r->ccat_blocking != 0 && !r->delivered);
	if (r->ccat_blocking != 0) {
		assert_true(r->code != 0 && r->reply != NULL && !r->from_next_hop);
		assert_int_equal(r->code / 100 == 2, r->destiny == MW_D_DISCARD);
		assert_int_equal(strtoul(r->reply, NULL, 10), r->code);
	}
}

static void destine(struct policy *p, unsigned slot, enum mw_destiny d)
{
	p->asks[ASK_DESTINY + slot].dflt.milli = d * 1000;
}

static void no_combination_says_2xx_without_delivery_or_discard(void **state)
{
	struct made *m = make_txn("");
	struct policy policy = *m->txn.policy;
	struct txn *t = &m->txn;
	struct combination c;

	(void)state;
	t->policy = &policy;
	/* A step that shares no factor with the bases: an eleventh of all combinations, spread
	 * evenly over each digit. */
	for (size_t n = 0; combination_of(n, &c); n += 11) {
		size_t got = 0, thrown = 0, refused = 0;

		smtp_arena_fini(&t->arena);
		memset(&t->found, 0, sizeof(t->found));
		t->rcpt_count = 0;
		destine(&policy, CCAT_VIRUS, c.virus);
		destine(&policy, CCAT_UNCHECKED, c.unchecked);
		for (unsigned s = CCAT_ENCRYPTED; s <= CCAT_AMBIGUOUS; s++)
			destine(&policy, s, c.unchecked);
		destine(&policy, CCAT_SPAM, c.spam);
		assert_int_equal(rcpt_policy_prepare(&policy, NULL), MW_OK);
		make_rcpt(m, "a@example.org")->bypass_virus = (c.bypass & 1) != 0;
		make_rcpt(m, "b@example.org")->bypass_spam = (c.bypass & 2) != 0;
		find(m, c.found, c.scan);
		if (c.score > 0)
			spam_of(m, c.score);
		assert_int_equal(decide_check_failure(t) != NULL, c.scan == MW_FAILED);
		decide(t);
		hop_answers(t, &c);
		outcome_reply(t);
		for (size_t i = 0; i < 2; i++) {
			rcpt_is_honest(t, &t->rcpts[i], &c);
			got += t->rcpts[i].delivered;
			thrown += t->rcpts[i].ccat_blocking != 0 &&
				  t->rcpts[i].destiny == MW_D_DISCARD;
			refused += t->rcpts[i].code / 100 == 5;
		}
		if (t->reply_code / 100 == 2 && got + thrown != 2)
			fail_msg("combination %zu: %s", n, t->reply);
		if (t->reply_code / 100 == 5)
			assert_true(refused > 0 && got + thrown + refused == 2);
	}
	end_txn(m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(findings_become_categories),
		cmocka_unit_test(destinies_become_replies),
		cmocka_unit_test(a_failed_check_defers_where_the_settings_say_so),
		cmocka_unit_test(a_limit_that_was_met_counts_whatever_the_status_says),
		cmocka_unit_test(what_could_not_be_read_whole_is_unchecked),
		cmocka_unit_test(who_bypasses_a_check_is_not_judged_by_it),
		cmocka_unit_test(each_recipient_has_levels_of_its_own),
		cmocka_unit_test(lovers_get_marked_what_others_do_not_get),
		cmocka_unit_test(the_score_is_all_its_parts),
		cmocka_unit_test(virus_names_are_told_once_and_at_most_five),
		cmocka_unit_test(no_combination_says_2xx_without_delivery_or_discard),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
