/* Scores of all their parts: viruses that are points, and lists of senders. */
#include "make_txn.h"

#include "checks/plan.h"
#include "outcome/decide.h"

#define VIRUS MW_CCAT(MW_CC_VIRUS, 0)

static const struct mw_record_test *test_named(const struct txn *t, const char *name)
{
	for (size_t i = 0; i < t->found.test_count; i++)
		if (mw_octets_ieq(t->found.tests[i].name, name))
			return &t->found.tests[i];
	return NULL;
}

static void viruses_with_points_are_tests_when_each_has_some(void **state)
{
	static const struct {
		const char *names[3];
		unsigned main;
		int32_t milli;
		bool fakes;
	} rows[] = {
		{ { "Phish.A", NULL }, MW_CCAT(MW_CC_CLEAN, 1), 3500, false },
		{ { "Phish.A", "Phish.B", "Phish.A" }, MW_CCAT(MW_CC_CLEAN, 1), 4500, false },
		{ { "Phish.A", "Eicar", NULL }, VIRUS, 0, true },
		{ { "Quiet", NULL }, VIRUS, 0, false },
		{ { "", NULL }, VIRUS, 0, true },
		{ { "Zero", NULL }, MW_CCAT(MW_CC_CLEAN, 0), 0, false },
	};

	(void)state;
	for (size_t i = 0; i < MW_COUNT(rows); i++) {
		struct made *m = make_txn(
			"virus_name_to_spam_score_maps = { { ['Phish.A'] = 3.5, Zero = 0 },\n"
			"  new_RE { { '^Phish', 1 } } }\n"
			"viruses_that_fake_sender_maps = { { Quiet = false }, true }\n");
		struct txn *t = &m->txn;

		make_rcpt(m, "a@example.org");
		make_check(m, JOB_SCAN, MW_DONE);
		for (size_t k = 0; k < 3 && rows[i].names[k] != NULL; k++)
			make_virus(m, rows[i].names[k]);
		decide_viruses(t);
		decide_viruses(t); /* once is enough, twice the same */
		decide(t);
		assert_int_equal(t->rcpts[0].ccats[0], rows[i].main);
		assert_int_equal(t->rcpts[0].score_milli, rows[i].milli);
		assert_int_equal(t->found.fakes_sender, rows[i].fakes);
		assert_int_equal(t->found.virus_count == 0, rows[i].main != VIRUS);
		if (rows[i].milli != 0) {
			assert_non_null(test_named(t, "AV:Phish.A"));
			assert_int_equal(test_named(t, "AV:Phish.A")->milli, 3500);
		}
		end_txn(m);
	}
}

static void points_of_all_lists_are_added_and_the_first_sender_s_count(void **state)
{
	static const struct {
		const char *sender, *author, *rcpt;
		bool has;
		int32_t milli;
	} rows[] = {
		{ "x@good.example", NULL, "a@example.org", true, -3000 },
		{ "x@good.example", NULL, "b@example.org", true, -1500 },
		{ "x@good.example", "x@good.example", "b@example.org", true, -1500 },
		{ "x@good.example", "boss@bad.example", "b@example.org", true, -1500 },
		{ "x@other.example", "boss@bad.example", "b@example.org", true, 5000 },
		{ "", "boss@bad.example", "c@example.com", true, 5000 },
		{ "x@other.example", NULL, "a@example.org", false, 0 },
		{ "", NULL, "a@example.org", false, 0 },
	};

	(void)state;
	for (size_t i = 0; i < MW_COUNT(rows); i++) {
		struct made *m = make_txn(
			"score_sender_maps = { {\n"
			"  ['.'] = { { ['.bad.example'] = 5 }, new_RE { { '@good[.]', -3 } } },\n"
			"  ['b@example.org'] = { { ['x@good.example'] = 1.5 } } } }\n");
		struct txn *t = &m->txn;
		struct mw_octets author = mw_octets_of_text(rows[i].author ? rows[i].author : "");

		t->sender = rows[i].sender;
		t->facts.author.items = &author;
		t->facts.author.count = rows[i].author != NULL;
		make_rcpt(m, rows[i].rcpt);
		make_check(m, JOB_SCAN, MW_DONE);
		decide(t);
		if (t->rcpts[0].has_score != rows[i].has ||
			t->rcpts[0].score_milli != rows[i].milli)
			fail_msg("row %zu: %d", i, (int)t->rcpts[0].score_milli);
		assert_int_equal(test_named(t, "AM.WBL") != NULL, rows[i].milli != 0);
		end_txn(m);
	}
}

static void who_is_found_is_not_looked_for_any_further(void **state)
{
	static const struct {
		const char *sender, *author, *rcpt;
		bool white, black;
	} rows[] = {
		{ "x@good.example", "x@bad.example", "a@example.org", true, false },
		{ "x@bad.example", "x@good.example", "a@example.org", false, true },
		{ "x@other.example", "x@bad.example", "a@example.org", false, true },
		/* a recipient's own table has the last word about a sender */
		{ "x@good.example", NULL, "b@example.org", false, false },
		{ "x@good.example", "x@bad.example", "b@example.org", false, true },
		{ "", NULL, "a@example.org", false, false },
		{ "", NULL, "c@example.org", true, false },
	};

	(void)state;
	for (size_t i = 0; i < MW_COUNT(rows); i++) {
		struct made *m =
			make_txn("whitelist_sender_maps = { { '.good.example' } }\n"
				 "blacklist_sender_maps = { { '.bad.example' } }\n"
				 "per_recip_whitelist_sender_lookup_tables = { {\n"
				 "  ['b@example.org'] = { { ['x@good.example'] = false } },\n"
				 "  ['c@example.org'] = { { [''] = true } } } }\n");
		struct txn *t = &m->txn;
		struct mw_octets author = mw_octets_of_text(rows[i].author ? rows[i].author : "");

		t->sender = rows[i].sender;
		t->facts.author.items = &author;
		t->facts.author.count = rows[i].author != NULL;
		make_rcpt(m, rows[i].rcpt);
		decide_senders(t);
		if (t->rcpts[0].white != rows[i].white || t->rcpts[0].black != rows[i].black)
			fail_msg("row %zu: %d %d", i, t->rcpts[0].white, t->rcpts[0].black);
		end_txn(m);
	}
}

static void a_mail_without_a_score_counts_as_one_of_0(void **state)
{
	static const struct {
		const char *levels;
		bool tag, tag2, kill;
	} rows[] = {
		{ "", false, false, false },
		{ "sa_tag_level_deflt = 0", true, false, false },
		{ "sa_tag_level_deflt = 0.001", false, false, false },
		{ "sa_tag_level_deflt = -999 sa_tag2_level_deflt = 0", true, true, false },
		{ "sa_kill_level_deflt = -1", false, false, true },
	};

	(void)state;
	for (size_t i = 0; i < MW_COUNT(rows); i++) {
		struct made *m = make_txn(rows[i].levels);
		struct txn_rcpt *r = make_rcpt(m, "a@example.org");

		decide(&m->txn);
		assert_false(r->has_score);
		if (r->tag != rows[i].tag || r->tag2 != rows[i].tag2 || r->kill != rows[i].kill)
			fail_msg("row %zu: %d %d %d", i, r->tag, r->tag2, r->kill);
		end_txn(m);
	}
}

static void a_sender_on_a_list_for_all_needs_no_spam_check(void **state)
{
	static const struct {
		const char *sender;
		bool white, black, skipped;
	} rows[] = {
		{ "x@good.example", true, false, true },
		{ "x@bad.example", false, true, true },
		{ "x@both.example", true, true, true },
		{ "x@friend.example", true, false, false },
		{ "x@other.example", false, false, false },
	};

	(void)state;
	for (size_t i = 0; i < MW_COUNT(rows); i++) {
		struct made *m = make_txn(
			"checks.spam = true\n"
			"whitelist_sender_maps = { { '.good.example', '.both.example' } }\n"
			"blacklist_sender_maps = { { '.bad.example', '.both.example' } }\n"
			"per_recip_whitelist_sender_lookup_tables = { { ['a@example.org'] = {\n"
			"  { '.friend.example' } } } }\n");
		struct txn *t = &m->txn;

		t->sender = rows[i].sender;
		make_rcpt(m, "a@example.org");
		make_rcpt(m, "b@example.org");
		make_body(m, "Subject: x\r\n\r\n", 14);
		make_check(m, JOB_SCAN, MW_DONE);
		decide_senders(t);
		assert_int_equal(t->rcpts[0].white, rows[i].white);
		assert_int_equal(t->rcpts[0].black, rows[i].black);
		assert_int_equal(plan_spam(t), !rows[i].skipped);
		end_txn(m);
	}
}

static void what_is_blocked_for_all_already_is_not_scored(void **state)
{
	static const struct {
		const char *lua;
		bool virus, banned, skipped;
	} rows[] = {
		{ "", false, false, false },
		{ "", true, false, true },
		{ "", false, true, true },
		{ "final_banned_destiny = D_PASS\n", false, true, false },
		{ "final_virus_destiny = D_PASS\n", true, false, false },
		{ "virus_lovers_maps = { { 'b@example.org' } }\n", true, false, false },
		{ "bypass_virus_checks_maps = { { 'b@example.org' } }\n", true, false, false },
		{ "final_virus_destiny = D_PASS\n", true, true, true },
	};

	(void)state;
	for (size_t i = 0; i < MW_COUNT(rows); i++) {
		char lua[300];
		struct made *m;
		struct txn *t;

		snprintf(lua, sizeof(lua), "checks.spam = true\n%s", rows[i].lua);
		m = make_txn(lua);
		t = &m->txn;
		make_rcpt(m, "a@example.org");
		make_rcpt(m, "b@example.org");
		make_body(m, "Subject: x\r\n\r\n", 14);
		make_check(m, JOB_SCAN, MW_DONE);
		if (rows[i].virus)
			make_virus(m, "Eicar");
		t->rcpts[0].banned = t->rcpts[1].banned = rows[i].banned;
		if (plan_spam(t) == rows[i].skipped)
			fail_msg("row %zu", i);
		end_txn(m);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(viruses_with_points_are_tests_when_each_has_some),
		cmocka_unit_test(points_of_all_lists_are_added_and_the_first_sender_s_count),
		cmocka_unit_test(who_is_found_is_not_looked_for_any_further),
		cmocka_unit_test(a_mail_without_a_score_counts_as_one_of_0),
		cmocka_unit_test(a_sender_on_a_list_for_all_needs_no_spam_check),
		cmocka_unit_test(what_is_blocked_for_all_already_is_not_scored),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
