/* AM.PDP's answers: the reply in parts, the edits in their order, and that 4xx is never discard. */
#include "make_txn.h"

#include "intake/ampdp_answer.h"
#include "outcome/decide.h"
#include "outcome/edit.h"

#define MAIL "X-Spam-Flag: 1\r\nFrom: a@x\r\nX-Spam-Flag: 2\r\n\r\nbody\r\n"

static void a_reply_is_told_in_its_parts(void **state)
{
	static const struct {
		const char *reply, *line;
	} rows[] = {
		{ "554 5.7.0 Reject, id=1", "setreply=554 5.7.0 Reject,%20id=1\r\n" },
		{ "450 later", "setreply=450 4.0.0 later\r\n" },
		{ "450 4.2 later", "setreply=450 4.0.0 4.2%20later\r\n" },
		{ "550 5.1.1 from MTA(x): 550 one\ntwo",
			"setreply=550 5.1.1 from%20MTA(x):%20550%20one\r\n" },
		{ "550 5.1.1 100%\x7f\xc3", "setreply=550 5.1.1 100???\r\n" },
		{ "550", "setreply=550 5.0.0 \r\n" },
		{ NULL, "setreply=451 4.3.0 out%20of%20memory\r\n" },
	};

	(void)state;
	for (size_t i = 0; i < MW_COUNT(rows); i++) {
		struct mw_text out = { 0 };

		ampdp_answer_setreply(&out, rows[i].reply);
		assert_string_equal(out.p, rows[i].line);
		mw_text_fini(&out);
	}
}

/* The answer to a mail that is over as its reply says. */
static void answer_is(struct made *m, const struct ampdp_request *q, unsigned code,
	const char *reply, const char *expected)
{
	struct mw_text out = { 0 };

	m->txn.reply_case = code / 100 == 2   ? CASE_PASSED
			    : code / 100 == 5 ? CASE_REFUSED
					      : CASE_TEMPFAILED;
	m->txn.reply_code = code;
	m->txn.reply = reply;
	ampdp_answer(&out, &m->txn, q);
	assert_string_equal(out.p, expected);
	mw_text_fini(&out);
}

static struct made *made(bool passes)
{
	struct made *m = make_txn("");

	m->txn.client_delivers = true;
	*make_rcpt(m, "a@example.org") = (struct txn_rcpt){ .addr = "a@example.org",
		.code = 250,
		.action = MW_ACT_DISCARD,
		.reply = "250 2.7.0 Ok, discarded" };
	make_rcpt(m, "b@example.org");
	make_body(m, MAIL, strlen(MAIL));
	make_check(m, JOB_SCAN, MW_DONE);
	assert_int_equal(edit_clusters(&m->txn), MW_OK);
	m->txn.rcpts[1].delivered = passes;
	return m;
}

#define HEAD "version_server=2\r\nlog_id=00001-01\r\n"

static void edits_come_in_their_order_and_only_when_delivery_goes_on(void **state)
{
	const char *rcpts[] = { "<A@example.org>", "b@example.org" };
	struct ampdp_request q = { .recipients = rcpts, .recipient_count = 2 };
	struct made *m = made(true);

	(void)state;
	m->txn.clusters[0].pieces[0] = mw_octets_of_text("DKIM-Signature: v=1;\r\n\tb=abc\r\n");
	answer_is(m, &q, 250, "250 2.5.0 Ok",
		HEAD "setreply=250 2.5.0 Ok\r\ndelrcpt=<A@example.org>\r\n"
		     "delheader=2 X-Spam-Flag\r\ndelheader=1 X-Spam-Flag\r\n"
		     "insheader=0 X-Virus-Scanned mailweir%20at%20mx.example.org\r\n"
		     "insheader=0 DKIM-Signature v=1;%0A%09b=abc\r\n"
		     "return_value=continue\r\nexit_code=0\r\n\r\n");
	answer_is(m, &q, 554, "554 5.7.0 No",
		HEAD "setreply=554 5.7.0 No\r\nreturn_value=reject\r\nexit_code=69\r\n\r\n");
	answer_is(m, &q, 450, "450 4.7.0 No",
		HEAD "setreply=450 4.7.0 No\r\nreturn_value=tempfail\r\nexit_code=75\r\n\r\n");
	m->txn.client_delivers = false;
	answer_is(m, &q, 250, "250 2.0.0 Ok",
		HEAD "setreply=250 2.0.0 Ok\r\nreturn_value=discard\r\nexit_code=99\r\n\r\n");
	end_txn(m);
	m = made(false);
	answer_is(m, &q, 250, "250 2.7.0 Ok",
		HEAD "setreply=250 2.7.0 Ok\r\nreturn_value=discard\r\nexit_code=99\r\n\r\n");
	end_txn(m);
}

static void a_failure_is_tempfail_unless_it_is_for_good(void **state)
{
	struct mw_text out = { 0 };

	(void)state;
	ampdp_answer_failure(&out, NULL, 450, "4.5.0", "no\r\nreturn_value=continue");
	assert_string_equal(out.p, "version_server=2\r\nsetreply=450 4.5.0 no\r\n"
				   "return_value=tempfail\r\nexit_code=75\r\n\r\n");
	mw_text_clear(&out);
	ampdp_answer_failure(&out, "1-2", 552, "5.3.4", "too large");
	assert_string_equal(out.p, "version_server=2\r\nlog_id=1-2\r\nsetreply=552 5.3.4 "
				   "too%20large\r\nreturn_value=reject\r\nexit_code=69\r\n\r\n");
	mw_text_fini(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_reply_is_told_in_its_parts),
		cmocka_unit_test(edits_come_in_their_order_and_only_when_delivery_goes_on),
		cmocka_unit_test(a_failure_is_tempfail_unless_it_is_for_good),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
