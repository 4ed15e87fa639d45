/* Who is told what became of a mail: each test of the table by itself, and in its order. */
#include "make_txn.h"

#include "outcome/dsn.h"

/* One of which a notification is due: refused, and no reply tells. */
#define DUE .class = 5

static void the_first_test_that_is_true_decides(void **state)
{
	static const struct {
		struct dsn_case c;
		const char *name;
		enum dsn_fate fate;
	} rows[] = {
		{ { DUE }, "reported", DSN_REPORTS },
		{ { .class = 4, .notify = SMTP_NOTIFY_FAILURE }, "temporary failure", DSN_STOPS },
		{ { .class = 4, .null_sender = true }, "temporary failure", DSN_STOPS },
		{ { DUE, .reply_tells = true }, "the reply tells", DSN_STOPS },
		{ { DUE, .reply_tells = true, .null_sender = true }, "the reply tells", DSN_STOPS },
		{ { DUE, .null_sender = true }, "failures are not wanted", DSN_SUPPRESSES },
		{ { DUE, .notify = SMTP_NOTIFY_NEVER }, "failures are not wanted", DSN_SUPPRESSES },
		{ { DUE, .notify = SMTP_NOTIFY_SUCCESS | SMTP_NOTIFY_DELAY },
			"failures are not wanted", DSN_SUPPRESSES },
		{ { DUE, .notify = SMTP_NOTIFY_FAILURE }, "reported", DSN_REPORTS },
		{ { DUE, .notify = SMTP_NOTIFY_FAILURE | SMTP_NOTIFY_SUCCESS }, "reported",
			DSN_REPORTS },
		{ { .class = 2 }, "success is not wanted", DSN_STOPS },
		{ { .class = 2, .notify = SMTP_NOTIFY_FAILURE }, "success is not wanted",
			DSN_STOPS },
		{ { .class = 2, .null_sender = true }, "success is not wanted", DSN_STOPS },
		{ { .class = 2, .discarded = true }, "success is not wanted", DSN_STOPS },
		{ { .class = 2, .notify = SMTP_NOTIFY_SUCCESS }, "reported", DSN_REPORTS },
		{ { .class = 2, .notify = SMTP_NOTIFY_SUCCESS, .passed_on = true },
			"the next hop tells", DSN_STOPS },
		{ { .class = 2, .notify = SMTP_NOTIFY_SUCCESS, .null_sender = true },
			"nothing is wanted", DSN_SUPPRESSES },
		{ { .class = 2, .notify = SMTP_NOTIFY_SUCCESS, .discarded = true }, "discarded",
			DSN_SUPPRESSES },
		{ { .class = 2, .warns = true }, "reported", DSN_REPORTS },
		{ { .class = 2, .warns = true, .passed_on = true }, "reported", DSN_REPORTS },
		{ { .class = 2, .warns = true, .null_sender = true }, "nothing is wanted",
			DSN_SUPPRESSES },
		{ { .class = 2, .warns = true, .bulk = true }, "bulk mail", DSN_SUPPRESSES },
		{ { DUE, .why_not = "x" }, "no sender to tell", DSN_SUPPRESSES },
		{ { DUE, .sender_cutoff = true }, "cutoff of the sender", DSN_SUPPRESSES },
		{ { DUE, .rcpt_cutoff = true }, "cutoff of the recipient", DSN_SUPPRESSES },
		{ { DUE, .bulk = true }, "bulk mail", DSN_SUPPRESSES },
		{ { DUE, .why_not = "x", .sender_cutoff = true, .rcpt_cutoff = true, .bulk = true },
			"no sender to tell", DSN_SUPPRESSES },
	};

	(void)state;
	for (size_t i = 0; i < MW_COUNT(rows); i++) {
		const struct dsn_test *test = dsn_judge(&rows[i].c);

		if (strcmp(test->name, rows[i].name) != 0 || test->fate != rows[i].fate)
			fail_msg("row %zu: %s", i, test->name);
	}
}

#define SETTINGS "sa_dsn_cutoff_level = 10\nsa_crediblefrom_dsn_cutoff_level = 20\n"

/* What of a transaction makes a case. */
static void cases_are_made_of_what_is_known(void **state)
{
	struct made *m = make_txn(SETTINGS);
	struct txn_rcpt *r = make_rcpt(m, "a@example.org");
	struct finding_signature s = { .d = mw_octets_of_text("example.com"),
		.result = mw_octets_of_text("pass") };
	struct dsn_case c;

	(void)state;
	r->ccats[0] = MW_CCAT(MW_CC_SPAM, 0);
	r->ccat_count = 1;
	r->code = 554;
	r->reply = "554 5.7.0 Bounce";
	r->action = MW_ACT_BOUNCE;
	dsn_case_of(&m->txn, r, &c);
	assert_int_equal(dsn_judge(&c)->fate, DSN_REPORTS);

	r->has_score = true;
	r->score_milli = 9999;
	dsn_case_of(&m->txn, r, &c);
	assert_false(c.sender_cutoff || c.rcpt_cutoff);
	r->score_milli = 10000;
	dsn_case_of(&m->txn, r, &c);
	assert_true(c.sender_cutoff && c.rcpt_cutoff);

	/* A signature of the envelope sender's domain makes him credible, another's does not. */
	m->txn.found.signatures = &s;
	m->txn.found.signature_count = 1;
	dsn_case_of(&m->txn, r, &c);
	assert_false(c.sender_cutoff || c.rcpt_cutoff);
	r->score_milli = 20000;
	dsn_case_of(&m->txn, r, &c);
	assert_true(c.sender_cutoff && c.rcpt_cutoff);
	r->score_milli = 15000;
	s.expired = true;
	dsn_case_of(&m->txn, r, &c);
	assert_true(c.sender_cutoff);
	s.expired = false;
	s.d = mw_octets_of_text("le.com");
	dsn_case_of(&m->txn, r, &c);
	assert_true(c.sender_cutoff);

	r->score_milli = 0;
	r->black = true;
	dsn_case_of(&m->txn, r, &c);
	assert_true(c.rcpt_cutoff && !c.sender_cutoff);
	r->white = true;
	dsn_case_of(&m->txn, r, &c);
	assert_false(c.rcpt_cutoff);

	m->txn.facts.is_bulk = true;
	dsn_case_of(&m->txn, r, &c);
	assert_true(c.bulk);
	m->txn.facts.is_bulk = false;
	m->txn.found.fakes_sender = true;
	dsn_case_of(&m->txn, r, &c);
	assert_string_equal(c.why_not, "a virus that fakes senders");
	m->txn.found.fakes_sender = false;
	r->banned = r->banned_discards = true;
	dsn_case_of(&m->txn, r, &c);
	assert_string_equal(c.why_not, "the banned rule says DISCARD");

	r->action = MW_ACT_REJECT; /* alone: the reply tells */
	dsn_case_of(&m->txn, r, &c);
	assert_int_equal(dsn_judge(&c)->fate, DSN_STOPS);
	end_txn(m);
}

static void a_report_is_lines_of_fields(void **state)
{
	struct made *m = make_txn("");
	struct txn_rcpt *r = make_rcpt(m, "a@example.org");
	const bool reported[] = { true };
	struct mw_text out = { 0 };

	(void)state;
	m->txn.params.envid = "q+2B1";
	m->txn.helo = "h\r\nX-Evil: 1";
	r->params.orcpt = "rfc822;A+2Bb@example.org";
	r->given = r->addr;
	r->addr = "inside@mx7.example.org"; /* nobody's to know */
	r->code = 550;
	r->from_next_hop = true;
	r->reply = "550 5.1.1 from MTA(smtp:[192.0.2.9]:25): 550 no\r\n\r\nAction: relayed";
	dsn_add_report(&m->txn, reported, false, &out);
	assert_non_null(strstr(out.p, "Reporting-MTA: dns; mx.example.org\r\n"));
	assert_non_null(strstr(out.p, "Original-Envelope-Id: q+1\r\n"));
	assert_non_null(strstr(out.p, "\r\n\r\nOriginal-Recipient: rfc822; A+b@example.org\r\n"));
	assert_non_null(strstr(out.p, "Final-Recipient: rfc822; a@example.org\r\n"
				      "Action: failed\r\nStatus: 5.1.1\r\n"
				      "Remote-MTA: dns; [192.0.2.9]\r\n"));
	assert_null(strstr(out.p, "inside"));
	assert_null(strstr(out.p, "\nX-Evil"));
	assert_null(strstr(out.p, "\nAction: relayed"));
	mw_text_fini(&out);
	end_txn(m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_first_test_that_is_true_decides),
		cmocka_unit_test(cases_are_made_of_what_is_known),
		cmocka_unit_test(a_report_is_lines_of_fields),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
