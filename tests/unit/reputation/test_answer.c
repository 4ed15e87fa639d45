#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "answer.h"
#include "findings.h"

/* Two addresses and three recipients (0, 2 and 5 of the job) were asked about. */
static struct rep_query asked(void)
{
	static uint32_t index[] = { 0, 2, 5 };
	struct rep_query q = {
		.mail_id = "currentmail1", .ip_count = 2, .rcpt_count = 3, .rcpt_index = index
	};

	mw_ip_parse("203.0.113.1", &q.ips[0]);
	mw_ip_parse("2001:db8::1", &q.ips[1]);
	return q;
}

struct told {
	const char *nonce;
	size_t records, record_fields;
	int64_t n, ttl_s;
	size_t penpals;
	struct {
		int64_t rcpt, age_s, by;
		const char *mail_id;
	} penpal[4];
	size_t fields;
};

static const struct told good = {
	.nonce = "currentmail1",
	.records = 2,
	.record_fields = 7,
	.n = 10,
	.ttl_s = 3600,
	.penpals = 2,
	.penpal = { { 0, 60, 1, "outgoing0001" }, { 5, 0, 3, "outgoing0002" } },
	.fields = 5,
};

static void tell(struct mw_pack *b, const struct told *t)
{
	mw_pack_init(b);
	mw_pack_array(b, t->fields);
	mw_pack_text(b, t->nonce);
	mw_pack_bool(b, true);
	mw_pack_bool(b, false);
	mw_pack_array(b, t->records);
	for (size_t i = 0; i < t->records; i++) {
		const int64_t fields[] = { t->n, 8, 2, 0, 1000, 2000, t->ttl_s, 0 };

		mw_pack_array(b, t->record_fields);
		for (size_t f = 0; f < t->record_fields; f++)
			mw_pack_int(b, fields[f]);
	}
	mw_pack_array(b, t->penpals);
	for (size_t i = 0; i < t->penpals; i++) {
		mw_pack_array(b, 4);
		mw_pack_int(b, t->penpal[i].rcpt);
		mw_pack_text(b, t->penpal[i].mail_id);
		mw_pack_int(b, t->penpal[i].age_s);
		mw_pack_int(b, t->penpal[i].by);
	}
	for (size_t i = 5; i < t->fields; i++)
		mw_pack_nil(b);
	assert_false(b->failed);
}

static enum mw_rc decode(const struct told *t)
{
	struct rep_query q = asked();
	struct rep_answer a;
	struct mw_pack b;
	enum mw_rc rc;

	tell(&b, t);
	rc = rep_answer_decode(mw_octets_of(b.p, b.n), &q, &a);
	if (rc == MW_OK)
		rep_answer_fini(&a);
	mw_pack_fini(&b);
	return rc;
}

static void an_answer_is_read_as_it_was_told(void **state)
{
	struct rep_query q = asked();
	struct rep_answer a;
	struct mw_pack b;

	(void)state;
	tell(&b, &good);
	assert_int_equal(rep_answer_decode(mw_octets_of(b.p, b.n), &q, &a), MW_OK);
	mw_pack_fini(&b);
	assert_true(a.saved);
	assert_false(a.cut);
	assert_int_equal(a.ip_count, 2);
	assert_int_equal(a.ips[1].counts.n, 10);
	assert_int_equal(a.ips[1].counts.s, 8);
	assert_int_equal(a.ips[1].counts.h, 2);
	assert_int_equal(a.ips[1].first_ms, 1000);
	assert_int_equal(a.ips[1].last_ms, 2000);
	assert_int_equal(a.ips[1].ttl_s, 3600);
	assert_int_equal(a.penpal_count, 2);
	assert_int_equal(a.penpals[1].rcpt, 5);
	assert_int_equal(a.penpals[1].by, REP_BY_BOTH);
	assert_string_equal(a.penpals[1].mail_id, "outgoing0002");
	rep_answer_fini(&a);
}

static void an_answer_cut_anywhere_or_followed_by_more_is_refused(void **state)
{
	struct rep_query q = asked();
	struct rep_answer a;
	struct mw_pack b;

	(void)state;
	tell(&b, &good);
	for (size_t n = 0; n < b.n; n++) {
		unsigned char *copy =
			malloc(n + 1); /* of that size: a read beyond it is seen by the sanitizer */

		memcpy(copy, b.p, n);
		assert_int_equal(rep_answer_decode(mw_octets_of(copy, n), &q, &a), MW_ERR_PROTO);
		free(copy);
	}
	mw_pack_nil(&b);
	assert_int_equal(rep_answer_decode(mw_octets_of(b.p, b.n), &q, &a), MW_ERR_PROTO);
	mw_pack_fini(&b);
}

static void answers_to_another_question_are_refused(void **state)
{
	struct told t;

	(void)state;
	assert_int_equal(decode(&good), MW_OK);
	t = good, t.nonce = "currentmail2";
	assert_int_equal(decode(&t), MW_ERR_PROTO);
	t = good, t.nonce = "";
	assert_int_equal(decode(&t), MW_ERR_PROTO);
	t = good, t.records = 1;
	assert_int_equal(decode(&t), MW_ERR_PROTO);
	t = good, t.records = 3;
	assert_int_equal(decode(&t), MW_ERR_PROTO);
	t = good, t.record_fields = 6;
	assert_int_equal(decode(&t), MW_ERR_PROTO);
	t = good, t.record_fields = 8;
	assert_int_equal(decode(&t), MW_ERR_PROTO);
	t = good, t.fields = 6;
	assert_int_equal(decode(&t), MW_ERR_PROTO);
	t = good, t.penpals = 4;
	assert_int_equal(decode(&t), MW_ERR_PROTO);
}

static void numbers_beyond_their_limits_are_refused(void **state)
{
	struct told t;

	(void)state;
	t = good, t.n = -1;
	assert_int_equal(decode(&t), MW_ERR_PROTO);
	t = good, t.n = INT64_C(1000000000000);
	assert_int_equal(decode(&t), MW_OK);
	t = good, t.n = INT64_C(1000000000001);
	assert_int_equal(decode(&t), MW_ERR_PROTO);
	t = good, t.ttl_s = REP_RECORD_AGE_MOST_S;
	assert_int_equal(decode(&t), MW_OK);
	t = good, t.ttl_s = REP_RECORD_AGE_MOST_S + 1;
	assert_int_equal(decode(&t), MW_ERR_PROTO);
}

static void pen_pals_nobody_asked_for_are_refused(void **state)
{
	struct told t;

	(void)state;
	t = good, t.penpal[0].rcpt = 1;
	assert_int_equal(decode(&t), MW_ERR_PROTO);
	t = good, t.penpal[0].rcpt = 5; /* twice */
	assert_int_equal(decode(&t), MW_ERR_PROTO);
	t = good, t.penpal[1].rcpt = INT64_C(4294967301); /* 5, but for its upper half */
	assert_int_equal(decode(&t), MW_ERR_PROTO);
	t = good, t.penpal[0].by = 0;
	assert_int_equal(decode(&t), MW_ERR_PROTO);
	t = good, t.penpal[0].by = 4;
	assert_int_equal(decode(&t), MW_ERR_PROTO);
	t = good, t.penpal[0].age_s = -1;
	assert_int_equal(decode(&t), MW_ERR_PROTO);
	t = good, t.penpal[0].mail_id = "";
	assert_int_equal(decode(&t), MW_ERR_PROTO);
	t = good, t.penpal[0].mail_id = "1234567890123456789012345678901";
	assert_int_equal(decode(&t), MW_OK);
	t = good, t.penpal[0].mail_id = "12345678901234567890123456789012";
	assert_int_equal(decode(&t), MW_ERR_PROTO);
	t = good, t.penpal[0].mail_id = "a\r\nb";
	assert_int_equal(decode(&t), MW_ERR_PROTO);
}

static void claims_of_gigabytes_are_refused_without_allocating(void **state)
{
	static const unsigned char claim[] = { 0xdd, 0xff, 0xff, 0xff, 0xff };
	struct rep_query q = asked();
	struct rep_answer a;

	(void)state;
	assert_int_equal(
		rep_answer_decode(mw_octets_of(claim, sizeof(claim)), &q, &a), MW_ERR_PROTO);
}

static void findings_name_the_worst_address_that_is_not_ignored(void **state)
{
	struct rep_query q = asked();
	struct rep_answer a = { .ip_count = 2, .saved = true, .elapsed_us = 7 };
	struct mw_net ignored;
	struct mw_octets findings;
	struct mw_octets worst;
	struct mw_pack out;

	(void)state;
	a.ips[0].counts = (struct rep_counts){ .n = 100, .s = 100 };
	a.ips[1].counts = (struct rep_counts){ .n = 3, .s = 3 };
	for (int ignore = 0; ignore <= 1; ignore++) {
		mw_pack_init(&out);
		assert_true(mw_net_parse("203.0.113.0/24", &ignored));
		rep_findings_pack(&out, &q, &a, &ignored, (size_t)ignore);
		assert_false(out.failed);
		findings = mw_octets_of(out.p, out.n);
		worst = mw_map_octets(findings, "worst");
		assert_true(mw_key_is(worst, ignore ? "2001:db8::1" : "203.0.113.1"));
		assert_int_equal(mw_map_int(findings, "score_milli", 0),
			rep_score_milli(&a.ips[ignore].counts));
		assert_true(mw_map_bool(findings, "saved", false));
		assert_int_equal(mw_map_int(findings, "redis_us", 0), 7);
		mw_pack_fini(&out);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_answer_is_read_as_it_was_told),
		cmocka_unit_test(an_answer_cut_anywhere_or_followed_by_more_is_refused),
		cmocka_unit_test(answers_to_another_question_are_refused),
		cmocka_unit_test(numbers_beyond_their_limits_are_refused),
		cmocka_unit_test(pen_pals_nobody_asked_for_are_refused),
		cmocka_unit_test(claims_of_gigabytes_are_refused_without_allocating),
		cmocka_unit_test(findings_name_the_worst_address_that_is_not_ignored),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
