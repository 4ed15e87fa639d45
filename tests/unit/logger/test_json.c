#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>
#include <jansson.h>

#include "common/sample_record.h"
#include "json.h"
#include "record_json.h"
#include "subject.h"

static struct mw_text out;

static const char *string_of(struct mw_octets o)
{
	struct logsvc_json j;

	mw_text_clear(&out);
	logsvc_json_begin(&j, &out);
	logsvc_json_text(&j, NULL, o);
	return out.p;
}

static void escapes_are_the_documented_ones(void **state)
{
	(void)state;
	assert_string_equal(string_of(O("a\"b\\c/d")), "\"a\\\"b\\\\c/d\"");
	assert_string_equal(string_of(O("\b\t\n\f\r")), "\"\\b\\t\\n\\f\\r\"");
	assert_string_equal(
		string_of(O("\0\001\013\037\177")), "\"\\u0000\\u0001\\u000B\\u001F\\u007F\"");
	assert_string_equal(string_of(O("\xe2\x80\xa8\xe2\x80\xa9")), "\"\\u2028\\u2029\"");
	assert_string_equal(string_of(O("caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80")),
		"\"caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80\"");
	assert_string_equal(string_of(O("")), "\"\"");
}

static void octets_that_are_no_utf8_become_replacement_characters(void **state)
{
	static const struct {
		struct mw_octets in;
		const char *expected;
	} cases[] = {
		{ S("\xff"), "\"\xef\xbf\xbd\"" },
		{ S("a\x80z"), "\"a\xef\xbf\xbdz\"" },
		{ S("\xc0\xaf"), "\"\xef\xbf\xbd\xef\xbf\xbd\"" },		   /* overlong */
		{ S("\xed\xa0\x80"), "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"" }, /* surrogate */
		{ S("\xf4\x90\x80\x80"), "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"" },
		{ S("\xe2\x82"), "\"\xef\xbf\xbd\xef\xbf\xbd\"" }, /* cut */
		{ S("\xc3"), "\"\xef\xbf\xbd\"" },
	};

	(void)state;
	for (size_t i = 0; i < MW_COUNT(cases); i++)
		assert_string_equal(string_of(cases[i].in), cases[i].expected);
}

/* jansson refuses what is not valid UTF-8 or not JSON. */
static void every_two_octets_in_a_string_are_valid_json(void **state)
{
	(void)state;
	for (unsigned v = 0; v < 0x10000; v++) {
		const unsigned char pair[2] = { (unsigned char)(v >> 8), (unsigned char)v };
		json_t *j;

		string_of(mw_octets_of(pair, 2));
		j = json_loadb(out.p, out.n, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
		assert_non_null(j);
		json_decref(j);
	}
}

static const char *milli_of(int64_t milli)
{
	struct logsvc_json j;

	mw_text_clear(&out);
	logsvc_json_begin(&j, &out);
	logsvc_json_milli(&j, NULL, milli);
	return out.p;
}

static void thousandths_are_shortest_numbers(void **state)
{
	(void)state;
	assert_string_equal(milli_of(0), "0");
	assert_string_equal(milli_of(5000), "5");
	assert_string_equal(milli_of(-1100), "-1.1");
	assert_string_equal(milli_of(50), "0.05");
	assert_string_equal(milli_of(-1), "-0.001");
	assert_string_equal(milli_of(1230), "1.23");
	assert_string_equal(milli_of(INT64_MIN), "-9223372036854775.808");
}

static void the_top_level_fields_are_sorted(void **state)
{
	(void)state;
	for (size_t i = 1; logsvc_mail_field(i) != NULL; i++)
		assert_true(strcmp(logsvc_mail_field(i - 1), logsvc_mail_field(i)) < 0);
}

static const char *text_at(json_t *j, const char *key)
{
	const char *s = json_string_value(json_object_get(j, key));

	assert_non_null(s);
	return s;
}

static void a_mail_is_told_with_the_documented_names_and_types(void **state)
{
	struct mw_record r = sample_record();
	json_t *j, *rcpt, *check;

	(void)state;
	r.own = MW_OWN_NONE;
	mw_text_clear(&out);
	logsvc_mail_json(&out, &r);
	assert_false(out.failed);
	j = json_loadb(out.p, out.n, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, NULL);
	assert_non_null(j);
	assert_string_equal(text_at(j, "type"), "amavis");
	assert_string_equal(text_at(j, "event"), "main");
	assert_string_equal(text_at(j, "@timestamp"), "2026-03-02T08:15:30.120Z");
	assert_non_null(strstr(out.p, "\"time_unix\":1772439330.120"));
	assert_string_equal(text_at(j, "publisher_incarnation"), "77");
	assert_int_equal(json_integer_value(json_object_get(j, "publisher_sequence")), 3);
	assert_string_equal(text_at(j, "subject"), "caf\xc3\xa9");
	assert_string_equal(text_at(j, "subject_rot13"), "pns\xc3\xa9");
	assert_string_equal(text_at(j, "actions_performed"),
		"RejectedOutbound RelayedTaggedInternal Quarantined");
	assert_string_equal(text_at(j, "checks_performed"), "V P D");
	assert_string_equal(text_at(j, "content_type"), "Virus");
	assert_string_equal(text_at(j, "message"),
		"00001-01 PASS,REJECT Virus a@example.com -> b@example.net,c@example.org");
	assert_non_null(strstr(out.p, "\"action\":[\"PASS\",\"REJECT\"]"));
	assert_non_null(strstr(out.p, "\"av_scan\":{\"ClamAV\":[\"Eicar-Test\"]}"));
	assert_non_null(strstr(out.p, "\"smtp_code\":[\"250\",\"554\"]"));
	assert_non_null(strstr(out.p, "\"spam_score\":-1.8,"));
	assert_non_null(strstr(out.p,
		"\"tests\":[\"AM.X\",\"BAYES_00\"],\"tests_ham\":[\"BAYES_00\"],"
		"\"tests_scores\":{\"AM.X\":0.1,\"BAYES_00\":-1.9},\"tests_spam\":[\"AM.X\"]"));
	assert_non_null(strstr(out.p, "\"elapsed\":{\"Amavis\":0.009,\"Receiving\":0.001,\"Total\":"
				      "0.009,\"cpu\":{\"Total\":0.001}}"));
	assert_true(json_is_false(json_object_get(j, "dsn_sent")));
	assert_null(json_object_get(j, "is_mlist"));
	rcpt = json_array_get(json_object_get(j, "recipients"), 0);
	assert_true(json_is_true(json_object_get(rcpt, "bypass_banned_checks")));
	assert_null(json_object_get(rcpt, "bypass_spam_checks"));
	assert_string_equal(text_at(rcpt, "ccat_main"), "CleanTag");
	assert_int_equal(json_integer_value(json_object_get(rcpt, "penpals_age")), 77);
	check = json_array_get(json_object_get(j, "checks"), 1);
	assert_string_equal(text_at(check, "status"), "skipped");
	assert_string_equal(text_at(check, "reason"), "bypassed");
	assert_null(strchr(out.p, '\n'));
	json_decref(j);
}

static void a_mail_of_our_own_says_what_it_is(void **state)
{
	struct mw_record r = sample_record();
	json_t *j;

	(void)state;
	mw_text_clear(&out);
	logsvc_mail_json(&out, &r);
	j = json_loadb(out.p, out.n, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, NULL);
	assert_non_null(j);
	assert_string_equal(text_at(j, "event"), "notification");
	assert_null(json_object_get(j, "dsn_sent"));
	json_decref(j);
}

static void an_empty_record_is_told_too(void **state)
{
	struct mw_record r = { .aborted = true };
	json_t *j;

	(void)state;
	mw_text_clear(&out);
	logsvc_mail_json(&out, &r);
	j = json_loadb(out.p, out.n, 0, NULL);
	assert_non_null(j);
	assert_non_null(strstr(out.p, "\"action\":[\"TEMPFAIL\"]"));
	assert_non_null(strstr(out.p, "\"rcpt_to\":[]"));
	assert_null(json_object_get(j, "size"));
	assert_null(json_object_get(j, "subject"));
	json_decref(j);
}

static void gaps_and_alerts_are_objects_of_their_own(void **state)
{
	const struct logsvc_note n = { "mx", 1772439330120u, UINT64_MAX, 9 };

	(void)state;
	mw_text_clear(&out);
	logsvc_gap_json(&out, &n, 4, 9, 6, "replay");
	assert_string_equal(out.p, "{\"@timestamp\":\"2026-03-02T08:15:30.120Z\",\"event\":\"gap\","
				   "\"from\":4,\"host\":\"mx\",\"missing\":6,"
				   "\"publisher_incarnation\":\"18446744073709551615\",\"reason\":"
				   "\"replay\",\"time_unix\":1772439330.120,"
				   "\"to\":9,\"type\":\"mailweir\"}");
	mw_text_clear(&out);
	logsvc_alert_json(&out, &n, "poison", O("x\xff"));
	assert_string_equal(out.p, "{\"@timestamp\":\"2026-03-02T08:15:30.120Z\",\"alert\":"
				   "\"poison\",\"event\":\"alert\",\"host\":\"mx\","
				   "\"message\":\"x\xef\xbf\xbd\",\"publisher_incarnation\":"
				   "\"18446744073709551615\",\"publisher_sequence\":9,"
				   "\"time_unix\":1772439330.120,\"type\":\"mailweir\"}");
}

static void subjects_are_decoded(void **state)
{
	static const struct {
		const char *in, *expected;
	} cases[] = {
		{ "  plain  ", "plain" },
		{ "=?UTF-8?Q?caf=C3=A9_noir?=", "caf\xc3\xa9 noir" },
		{ "=?utf-8?b?Y2Fmw6k=?= x", "caf\xc3\xa9 x" },
		{ "=?iso-8859-1?q?caf=E9?=", "caf\xc3\xa9" },
		{ "=?ISO-8859-1*en?Q?a?=\r\n =?ISO-8859-1?Q?b?=", "ab" }, /* RFC 2047 section 6.2 */
		{ "a =?UTF-8?Q?b?= c", "a b c" },
		{ "=?UTF-8?Q?b?=c", "bc" },
		{ "=?no-such-charset?Q?b?=", "=?no-such-charset?Q?b?=" },
		{ "=?UTF-8//IGNORE?Q?b?=", "=?UTF-8//IGNORE?Q?b?=" },
		{ "=?UTF-8?X?b?=", "=?UTF-8?X?b?=" },
		{ "=?UTF-8?Q?cut", "=?UTF-8?Q?cut" },
		{ "=?UTF-8?Q?a b?=", "=?UTF-8?Q?a b?=" },
		{ "=?UTF-8?Q?=4?= =", "=4 =" },
		{ "=?", "=?" },
		{ "", "" },
		{ "=?Big5?B?/w==?=", "\xef\xbf\xbd" },
	};

	(void)state;
	for (size_t i = 0; i < MW_COUNT(cases); i++) {
		mw_text_clear(&out);
		mw_text_add(&out, "");
		mw_subject_decode(mw_octets_of_text(cases[i].in), &out);
		assert_string_equal(out.p, cases[i].expected);
	}
}

static void every_cut_of_an_encoded_subject_is_survived(void **state)
{
	static const char whole[] = "x =?iso-2022-jp?B?GyRCJCIbKEI=?= =?UTF-8*de?Q?=C3=A9_=?= y";

	(void)state;
	for (size_t n = 0; n < sizeof(whole); n++) {
		char *cut = malloc(n > 0 ? n : 1);

		memcpy(cut, whole, n);
		mw_text_clear(&out);
		mw_subject_decode(mw_octets_of(cut, n), &out);
		assert_false(out.failed);
		free(cut);
	}
}

static int drop(void **state)
{
	(void)state;
	mw_text_fini(&out);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(escapes_are_the_documented_ones),
		cmocka_unit_test(octets_that_are_no_utf8_become_replacement_characters),
		cmocka_unit_test(every_two_octets_in_a_string_are_valid_json),
		cmocka_unit_test(thousandths_are_shortest_numbers),
		cmocka_unit_test(the_top_level_fields_are_sorted),
		cmocka_unit_test(a_mail_is_told_with_the_documented_names_and_types),
		cmocka_unit_test(a_mail_of_our_own_says_what_it_is),
		cmocka_unit_test(an_empty_record_is_told_too),
		cmocka_unit_test(gaps_and_alerts_are_objects_of_their_own),
		cmocka_unit_test(subjects_are_decoded),
		cmocka_unit_test(every_cut_of_an_encoded_subject_is_survived),
	};

	return cmocka_run_group_tests(tests, NULL, drop);
}
