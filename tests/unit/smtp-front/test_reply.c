/* One reply for many recipients: the rules of the table, and that no combination says 2xx for a
 * mail nobody has. */
#include "make_txn.h"

#include "outcome/reply.h"

/* What a recipient may have come to; the last ones should not be, and must not be passed on. */
static const struct end {
	unsigned code;
	const char *reply;
	enum mw_action action;
	bool delivered, from_next_hop;
	enum txn_dsn dsn;
} ends[] = {
	{ 250, "250 2.0.0 from MTA(smtp:[x]:25): 250 queued", MW_ACT_PASS, true, true },
	{ 250, "250 2.7.0 Ok, discarded, id=1 - spam", MW_ACT_DISCARD, false, false },
	{ 554, "554 5.7.0 Reject, id=1 - spam", MW_ACT_REJECT, false, false },
	{ 550, "550 5.1.1 from MTA(smtp:[x]:25): 550 no such user", MW_ACT_REJECT, false, true },
	{ 450, "450 4.7.0 Temporary failure, id=1", MW_ACT_TEMPFAIL, false, false },
	{ 451, "451 4.4.1 from MTA(smtp:[x]:25): 451 later", MW_ACT_TEMPFAIL, false, true },
	{ 554, "554 5.7.0 Bounce, id=1 - spam", MW_ACT_BOUNCE, false, false, DSN_NONE },
	{ 554, "554 5.7.0 Bounce, id=1 - spam", MW_ACT_BOUNCE, false, false, DSN_SENT },
	{ 554, "554 5.7.0 Bounce, id=1 - spam", MW_ACT_BOUNCE, false, false, DSN_SUPPRESSED },
	{ 554, "554 5.7.0 Reject, id=1 - spam", MW_ACT_REJECT, false, false, DSN_SENT },
	{ 0, NULL, MW_ACT_PASS, false, false },
	{ 250, "250 2.0.0 says who?", MW_ACT_PASS, false, true },
	{ 250, "250 2.0.0 says who?", MW_ACT_REJECT, false, false },
	{ 250, NULL, MW_ACT_PASS, true, true },
	{ 250, NULL, MW_ACT_DISCARD, false, false },
	{ 354, "354 go on", MW_ACT_PASS, false, true },
	{ 354, "354 go on", MW_ACT_PASS, true, true },
	{ 99, "99 x", MW_ACT_PASS, true, true },
	{ 600, "600 x", MW_ACT_PASS, true, true },
	{ 5, "5 x", MW_ACT_DISCARD, false, false },
	{ 554, "554 5.7.0 both", MW_ACT_DISCARD, false, false },
	{ 554, "554 5.7.0 Reject, id=1 - spam", MW_ACT_REJECT, false, false, DSN_SUPPRESSED },
};

static void set_ends(struct made *m, const size_t *which, size_t count)
{
	m->txn.rcpt_count = 0;
	smtp_arena_fini(&m->txn.arena);
	for (size_t i = 0; i < count; i++) {
		struct txn_rcpt *r = make_rcpt(m, "a@example.org");
		const struct end *e = &ends[which[i]];

		r->code = e->code;
		r->reply = e->reply;
		r->action = e->action;
		r->delivered = e->delivered;
		r->from_next_hop = e->from_next_hop;
		r->dsn = e->dsn;
		if (m->txn.quarantined && !r->delivered)
			r->copy = 0;
	}
}

static void set(struct made *m, const size_t *which, size_t count)
{
	set_ends(m, which, count);
	outcome_reply(&m->txn);
}

/* A 2xx is right when each has the mail, or policy threw it away, or the sender was told of it; who
 * was refused otherwise is told by nobody but the client. */
static void is_honest(const struct txn *t)
{
	size_t got = 0, thrown = 0, refused = 0, later = 0, notified = 0;

	for (size_t i = 0; i < t->rcpt_count; i++) {
		const struct txn_rcpt *r = &t->rcpts[i];

		got += r->delivered && r->code / 100 == 2;
		thrown += !r->delivered && r->action == MW_ACT_DISCARD && r->code / 100 == 2;
		refused += r->code / 100 == 5;
		notified += r->code / 100 == 5 && r->dsn != DSN_NONE;
		later += r->code / 100 == 4;
	}
	assert_non_null(t->reply);
	assert_int_equal(strtoul(t->reply, NULL, 10), t->reply_code);
	assert_true(
		t->reply_code / 100 == 2 || t->reply_code / 100 == 4 || t->reply_code / 100 == 5);
	if (t->reply_code / 100 == 2)
		assert_int_equal(got + thrown + notified, t->rcpt_count);
	if (later > 0)
		assert_int_equal(t->reply_code / 100, 4);
	if (t->reply_code / 100 == 5)
		assert_int_equal(got + thrown + refused, t->rcpt_count);
	assert_true(t->reply_code / 100 != 5 || refused > 0);
}

/* LMTP: the same for each by itself. */
static void each_is_honest(const struct txn *t)
{
	for (size_t i = 0; i < t->rcpt_count; i++) {
		const struct txn_rcpt *r = &t->rcpts[i];
		unsigned long code = r->told != NULL ? strtoul(r->told, NULL, 10) : 451;

		if (code / 100 == 2)
			assert_true((r->code / 100 == 2 &&
					    (r->delivered || r->action == MW_ACT_DISCARD)) ||
				    (r->code / 100 == 5 && r->dsn != DSN_NONE));
		else
			assert_true(code / 100 == 4 || (code == r->code && code / 100 == 5));
	}
}

static void no_combination_says_2xx_for_a_mail_nobody_has(void **state)
{
	struct made *m = make_txn("");
	size_t which[3], all = MW_COUNT(ends);

	(void)state;
	for (size_t count = 1; count <= 3; count++)
		for (size_t n = 0; n < (count == 1	    ? all
					       : count == 2 ? all * all
							    : all * all * all);
			n++) {
			which[0] = n % all;
			which[1] = n / all % all;
			which[2] = n / all / all;
			m->txn.per_rcpt = false;
			set(m, which, count);
			is_honest(&m->txn);
			m->txn.per_rcpt = true;
			set(m, which, count);
			each_is_honest(&m->txn);
		}
	end_txn(m);
}

static void the_first_rule_that_applies_makes_the_reply(void **state)
{
	enum {
		GOT,
		THROWN,
		REFUSED,
		HOP_REFUSED,
		LATER,
		HOP_LATER,
		BOUNCE,
		BOUNCED,
		SUPPRESSED,
		TOLD,
		OPEN,
		HOLLOW,
		UNTOLD = 21
	};
	static const struct {
		size_t count, which[3];
		const char *reply;
	} rows[] = {
		{ 0, { 0 }, "250 2.5.0 Ok, id=00001-01" },
		{ 1, { GOT }, "250 2.0.0 from MTA(smtp:[x]:25): 250 queued" },
		{ 2, { GOT, GOT }, "250 2.0.0 from MTA(smtp:[x]:25): 250 queued" },
		{ 1, { THROWN }, "250 2.7.0 Ok, discarded, id=1 - spam" },
		{ 2, { THROWN, THROWN }, "250 2.7.0 Ok, discarded, id=1 - spam" },
		{ 1, { REFUSED }, "554 5.7.0 Reject, id=1 - spam" },
		{ 1, { HOP_REFUSED }, "550 5.1.1 from MTA(smtp:[x]:25): 550 no such user" },
		/* the next hop's words before our own */
		{ 2, { REFUSED, HOP_REFUSED },
			"550 5.1.1 from MTA(smtp:[x]:25): 550 no such user" },
		{ 2, { THROWN, REFUSED }, "554 5.7.0 Reject, id=1 - spam" },
		{ 3, { THROWN, REFUSED, HOP_REFUSED },
			"550 5.1.1 from MTA(smtp:[x]:25): 550 no such user" },
		/* any 4xx: the first */
		{ 1, { LATER }, "450 4.7.0 Temporary failure, id=1" },
		{ 3, { REFUSED, HOP_LATER, LATER }, "451 4.4.1 from MTA(smtp:[x]:25): 451 later" },
		{ 3, { GOT, THROWN, LATER }, "450 4.7.0 Temporary failure, id=1" },
		/* anything that is not over or not true */
		{ 1, { OPEN }, "451 4.5.0 Error in processing, id=00001-01" },
		{ 2, { GOT, OPEN }, "451 4.5.0 Error in processing, id=00001-01" },
		{ 2, { REFUSED, OPEN }, "451 4.5.0 Error in processing, id=00001-01" },
		{ 2, { GOT, HOLLOW }, "451 4.5.0 Error in processing, id=00001-01" },
		/* a mixture: no bounces of our own, so the refusal is the reply */
		{ 2, { GOT, REFUSED },
			"554 5.7.0 Reject, id=1 - spam (delivered to 1 of 2 recipients)" },
		{ 2, { HOP_REFUSED, GOT },
			"550 5.1.1 from MTA(smtp:[x]:25): 550 no such user (delivered to 1 of 2 "
			"recipients)" },
		{ 3, { THROWN, GOT, REFUSED },
			"554 5.7.0 Reject, id=1 - spam (delivered to 1 of 3 recipients)" },
		/* the sender was told, or nobody wants to be */
		{ 1, { BOUNCED }, "250 2.5.0 Ok, id=00001-01, BOUNCE" },
		{ 2, { BOUNCED, BOUNCED }, "250 2.5.0 Ok, id=00001-01, BOUNCE" },
		{ 1, { SUPPRESSED }, "250 2.5.0 Ok, id=00001-01, DISCARD(bounce.suppressed)" },
		{ 2, { BOUNCED, THROWN },
			"250 2.5.0 Ok, id=00001-01, but 1 BOUNCE, and 1 DISCARD" },
		{ 3, { TOLD, GOT, BOUNCED },
			"250 2.0.0 from MTA(smtp:[x]:25): 250 queued, but 1 REJECT, and 1 BOUNCE" },
		{ 3, { THROWN, GOT, SUPPRESSED },
			"250 2.0.0 from MTA(smtp:[x]:25): 250 queued, but 1 "
			"DISCARD(bounce.suppressed), and 1 DISCARD" },
		/* only a bounce that was not sent was thrown away: who rejects has refused */
		{ 2, { GOT, UNTOLD }, "250 2.0.0 from MTA(smtp:[x]:25): 250 queued, but 1 REJECT" },
		{ 2, { BOUNCED, LATER }, "450 4.7.0 Temporary failure, id=1" },
		/* and could not be told: by the client, then */
		{ 1, { BOUNCE }, "554 5.7.0 Bounce, id=1 - spam" },
		{ 2, { BOUNCE, THROWN }, "554 5.7.0 Bounce, id=1 - spam" },
		{ 2, { BOUNCED, BOUNCE }, "554 5.7.0 Bounce, id=1 - spam" },
		{ 2, { BOUNCED, REFUSED }, "554 5.7.0 Bounce, id=1 - spam" },
		{ 2, { BOUNCE, GOT },
			"554 5.7.0 Bounce, id=1 - spam (delivered to 1 of 2 recipients)" },
		{ 2, { THROWN, GOT },
			"250 2.0.0 from MTA(smtp:[x]:25): 250 queued, but 1 DISCARD" },
	};
	struct made *m = make_txn("");

	(void)state;
	for (size_t i = 0; i < MW_COUNT(rows); i++) {
		set(m, rows[i].which, rows[i].count);
		if (strcmp(m->txn.reply, rows[i].reply) != 0)
			fail_msg("row %zu: %s", i, m->txn.reply);
		is_honest(&m->txn);
	}
	end_txn(m);
}

static void who_the_client_cannot_tell_is_told_by_a_notification(void **state)
{
	enum { GOT, THROWN, REFUSED, HOP_REFUSED, LATER, HOP_LATER, BOUNCE, OPEN = 10 };
	static const struct {
		bool per_rcpt, delivers;
		size_t count, which[3];
		const char *needs; /* of each, y or n */
	} rows[] = {
		{ false, false, 1, { GOT }, "n" },
		{ false, false, 1, { REFUSED }, "n" },
		{ false, false, 2, { REFUSED, HOP_REFUSED }, "nn" },
		{ false, false, 2, { REFUSED, THROWN }, "nn" },
		{ false, false, 2, { REFUSED, GOT }, "yn" },
		{ false, false, 3, { HOP_REFUSED, GOT, THROWN }, "ynn" },
		{ false, false, 1, { BOUNCE }, "y" },
		{ false, false, 2, { BOUNCE, THROWN }, "yn" },
		{ false, false, 3, { BOUNCE, REFUSED, THROWN }, "yyn" },
		{ false, false, 2, { BOUNCE, LATER }, "nn" },
		{ false, false, 3, { GOT, REFUSED, HOP_LATER }, "nnn" },
		{ false, false, 2, { BOUNCE, OPEN }, "nn" },
		{ true, false, 2, { REFUSED, GOT }, "nn" },
		{ true, false, 2, { BOUNCE, GOT }, "yn" },
		{ true, false, 2, { BOUNCE, LATER }, "yn" },
		{ true, true, 2, { REFUSED, GOT }, "yn" },
		{ true, true, 2, { BOUNCE, LATER }, "nn" },
	};
	struct made *m = make_txn("");

	(void)state;
	for (size_t i = 0; i < MW_COUNT(rows); i++) {
		m->txn.per_rcpt = rows[i].per_rcpt;
		m->txn.client_delivers = rows[i].delivers;
		set_ends(m, rows[i].which, rows[i].count);
		for (size_t k = 0; k < rows[i].count; k++)
			if (reply_needs_dsn(&m->txn, &m->txn.rcpts[k]) != (rows[i].needs[k] == 'y'))
				fail_msg("row %zu, recipient %zu", i, k);
	}
	/* An added recipient has not got it: all is sent again. */
	set_ends(m, (const size_t[]){ GOT, BOUNCE, HOP_LATER }, 3);
	m->txn.per_rcpt = true;
	m->txn.client_delivers = false;
	m->txn.rcpts[2].added = true;
	m->txn.added_count = 1;
	assert_false(reply_needs_dsn(&m->txn, &m->txn.rcpts[1]));
	end_txn(m);
}

/* The last recipient is one that policy has added. */
static void nobody_hears_of_a_recipient_that_policy_has_added(void **state)
{
	enum { GOT, THROWN, REFUSED, HOP_REFUSED, LATER, HOP_LATER, BOUNCED = 7, UNTOLD = 21 };
	static const char later[] = "451 4.5.0 id=00001-01, not delivered for now",
			  got[] = "250 2.0.0 from MTA(smtp:[x]:25): 250 queued",
			  reject[] = "554 5.7.0 Reject, id=1 - spam",
			  own[] = "450 4.7.0 Temporary failure, id=1";
	static const struct {
		size_t count, which[3];
		const char *reply, *told;
	} rows[] = {
		{ 2, { GOT, GOT }, got, got },
		{ 2, { GOT, HOP_LATER }, later, later },
		{ 2, { LATER, HOP_LATER }, own, own },
		{ 2, { THROWN, HOP_LATER }, later, later },
		{ 2, { REFUSED, HOP_LATER }, later, later },
		{ 2, { THROWN, GOT }, "250 2.5.0 Ok, id=00001-01, DISCARD",
			"250 2.7.0 Ok, discarded, id=1 - spam" },
		{ 2, { REFUSED, GOT }, reject, reject },
		{ 2, { REFUSED, HOP_REFUSED }, reject, reject },
		{ 3, { REFUSED, GOT, GOT },
			"554 5.7.0 Reject, id=1 - spam (delivered to 1 of 2 recipients)", reject },
	};
	struct made *m = make_txn("");

	(void)state;
	for (size_t i = 0; i < 2 * MW_COUNT(rows); i++) {
		const char *said;

		m->txn.per_rcpt = i % 2 == 1;
		m->txn.added_count = 1;
		set_ends(m, rows[i / 2].which, rows[i / 2].count);
		m->txn.rcpts[rows[i / 2].count - 1].added = true;
		outcome_reply(&m->txn);
		said = m->txn.per_rcpt ? m->txn.rcpts[0].told : m->txn.reply;
		if (strcmp(said, m->txn.per_rcpt ? rows[i / 2].told : rows[i / 2].reply) != 0)
			fail_msg("row %zu, per_rcpt=%d: %s", i / 2, m->txn.per_rcpt, said);
	}
	end_txn(m);
}

static void each_recipient_of_lmtp_hears_of_its_notification(void **state)
{
	enum { GOT, THROWN, REFUSED, LATER = 4, BOUNCE = 6, BOUNCED, SUPPRESSED, OPEN = 10 };
	static const struct {
		size_t which;
		const char *told;
	} rows[] = {
		{ GOT, "250 2.0.0 from MTA(smtp:[x]:25): 250 queued" },
		{ THROWN, "250 2.7.0 Ok, discarded, id=1 - spam" },
		{ REFUSED, "554 5.7.0 Reject, id=1 - spam" },
		{ LATER, "450 4.7.0 Temporary failure, id=1" },
		{ BOUNCE, "554 5.7.0 Bounce, id=1 - spam" },
		{ BOUNCED, "250 2.5.0 Ok <a@example.org>, DSN was sent (554 5.7.0 Bounce, id=1 - "
			   "spam)" },
		{ SUPPRESSED, "250 2.5.0 Ok <a@example.org>, DSN suppressed (554 5.7.0 Bounce, "
			      "id=1 - spam)" },
		{ OPEN, NULL },
	};
	struct made *m = make_txn("");

	(void)state;
	m->txn.per_rcpt = true;
	for (size_t i = 0; i < MW_COUNT(rows); i++) {
		set(m, (const size_t[]){ rows[i].which, GOT }, 2);
		if (rows[i].told == NULL)
			assert_null(m->txn.rcpts[0].told);
		else
			assert_string_equal(m->txn.rcpts[0].told, rows[i].told);
	}
	end_txn(m);
}

/* A client that delivers by itself (AM.PDP): 2xx stands for those whom nobody refuses, or for all
 * when what was refused is kept. */
static void a_client_that_delivers_is_told_of_all_or_of_what_is_kept(void **state)
{
	enum { PASSES, THROWN, REFUSED, LATER = 4 };
	static const struct {
		size_t count, which[3];
		bool kept;
		const char *reply;
		size_t passed;
	} rows[] = {
		{ 1, { PASSES }, false, "250 2.5.0 Ok, id=00001-01, continue delivery", 1 },
		{ 2, { PASSES, THROWN }, false,
			"250 2.5.0 Ok, id=00001-01, continue delivery, but 1 DISCARD", 1 },
		{ 2, { PASSES, REFUSED }, true,
			"250 2.5.0 Ok, id=00001-01, continue delivery, but 1 REJECT", 1 },
		{ 3, { PASSES, REFUSED, THROWN }, true,
			"250 2.5.0 Ok, id=00001-01, continue delivery, but 1 REJECT, and 1 DISCARD",
			1 },
		{ 2, { PASSES, REFUSED }, false,
			"554 5.7.0 Reject, id=1 - spam (for 1 of 2 recipients)", 0 },
		{ 2, { PASSES, LATER }, true, "450 4.7.0 Temporary failure, id=1", 0 },
		{ 1, { THROWN }, true, "250 2.7.0 Ok, discarded, id=1 - spam", 0 },
		{ 2, { REFUSED, THROWN }, true, "554 5.7.0 Reject, id=1 - spam", 0 },
	};
	struct made *m = make_txn("");

	(void)state;
	m->txn.client_delivers = true;
	for (size_t i = 0; i < MW_COUNT(rows); i++) {
		size_t passed = 0;

		m->txn.quarantined = rows[i].kept;
		set(m, rows[i].which, rows[i].count);
		for (size_t k = 0; k < rows[i].count; k++)
			passed += m->txn.rcpts[k].delivered;
		if (strcmp(m->txn.reply, rows[i].reply) != 0 || passed != rows[i].passed)
			fail_msg("row %zu: %s, %zu", i, m->txn.reply, passed);
	}
	/* Of one of two that were refused nothing is kept: the sender has to hear of it. */
	m->txn.quarantined = true;
	set(m, (const size_t[]){ PASSES, REFUSED, REFUSED }, 3);
	assert_int_equal(m->txn.reply_code, 250);
	m->txn.rcpts[2].copy = -1;
	outcome_reply(&m->txn);
	assert_int_equal(m->txn.reply_code, 554);
	assert_false(m->txn.rcpts[0].delivered);
	end_txn(m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_combination_says_2xx_for_a_mail_nobody_has),
		cmocka_unit_test(the_first_rule_that_applies_makes_the_reply),
		cmocka_unit_test(who_the_client_cannot_tell_is_told_by_a_notification),
		cmocka_unit_test(nobody_hears_of_a_recipient_that_policy_has_added),
		cmocka_unit_test(each_recipient_of_lmtp_hears_of_its_notification),
		cmocka_unit_test(a_client_that_delivers_is_told_of_all_or_of_what_is_kept),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
