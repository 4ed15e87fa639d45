#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "events.h"
#include "common/sample_record.h"

static struct mw_pack packed;

static struct mw_octets encoded(const struct mw_record *r)
{
	mw_pack_fini(&packed);
	mw_pack_init(&packed);
	mw_record_encode(&packed, r);
	assert_false(packed.failed);
	return mw_octets_of(packed.p, packed.n);
}

static void a_decoded_record_encodes_to_the_same_octets(void **state)
{
	struct mw_record sent = sample_record(), got;
	struct mw_octets frame = encoded(&sent);
	struct mw_record_arena *arena;
	struct mw_pack again;

	(void)state;
	assert_int_equal(mw_record_decode(frame, &got, &arena), MW_OK);
	mw_pack_init(&again);
	mw_record_encode(&again, &got);
	assert_int_equal(again.n, frame.n);
	assert_memory_equal(again.p, frame.p, frame.n);
	mw_pack_fini(&again);
	assert_int_equal(got.sequence, 3);
	assert_int_equal(got.client_port, 65535);
	assert_int_equal(got.score_milli, -1800);
	assert_int_equal(got.rcpt_count, 2);
	assert_int_equal(got.rcpts[1].penpals_age_s, -1);
	assert_int_equal(got.rcpts[1].action, MW_ACT_REJECT);
	assert_int_equal(got.rcpts[0].ccat_main, 11);
	assert_int_equal(got.checks[1].status, MW_FAILED);
	assert_int_equal(got.attached_file_names.count, 3);
	assert_memory_equal(got.attached_file_names.items[1].p, "\xff\0zin", 5);
	assert_int_equal(got.conn_reuse_fail, 7);
	assert_int_equal(got.own, MW_OWN_NOTICE);
	assert_true(got.out_lmtp);
	mw_record_fini(&arena);
	assert_null(arena);
}

static void every_cut_record_is_refused_and_the_result_untouched(void **state)
{
	struct mw_record sent = sample_record(), got = { .sequence = 99 };
	struct mw_octets frame = encoded(&sent);
	struct mw_record_arena *arena;

	(void)state;
	for (size_t n = 0; n < frame.n; n++) {
		unsigned char *cut = malloc(n + 1); /* exact: a read behind it is seen by ASan */

		memcpy(cut, frame.p, n);
		cut = realloc(cut, n > 0 ? n : 1);
		assert_int_equal(
			mw_record_decode(mw_octets_of(cut, n), &got, &arena), MW_ERR_PROTO);
		assert_int_equal(got.sequence, 99);
		assert_null(arena);
		free(cut);
	}
}

static void one_octet_too_many_is_refused(void **state)
{
	struct mw_record sent = sample_record(), got;
	struct mw_record_arena *arena;

	(void)state;
	encoded(&sent);
	mw_pack_nil(&packed);
	assert_int_equal(
		mw_record_decode(mw_octets_of(packed.p, packed.n), &got, &arena), MW_ERR_PROTO);
}

static void a_newer_record_with_more_fields_is_read_and_another_version_is_not(void **state)
{
	struct mw_record sent = sample_record(), got;
	struct mw_octets frame = encoded(&sent);
	struct mw_record_arena *arena;
	unsigned char *p = malloc(frame.n + 1);

	(void)state;
	assert_int_equal(frame.p[0], 0xdc); /* array 16 */
	memcpy(p, frame.p, frame.n);
	p[2]++;
	p[frame.n] = 0xc0;
	assert_int_equal(mw_record_decode(mw_octets_of(p, frame.n + 1), &got, &arena), MW_OK);
	mw_record_fini(&arena);
	p[3] = MW_RECORD_VERSION + 1;
	assert_int_equal(
		mw_record_decode(mw_octets_of(p, frame.n + 1), &got, &arena), MW_ERR_PROTO);
	free(p);
}

static void a_list_that_claims_more_than_there_is_costs_no_memory(void **state)
{
	struct mw_record sent = { .incarnation = 1, .sequence = 1 }, got;
	struct mw_octets frame = encoded(&sent);
	struct mw_record_arena *arena;
	unsigned char *p = malloc(frame.n + 4);

	(void)state;
	/* host, log_id, mail_id, mail_id_parent are empty strings, time 0, then policy_banks: an
	 * empty array */
	size_t at = 3 + 3 + 4 + 1;

	assert_int_equal(frame.p[at], 0x90);
	memcpy(p, frame.p, at);
	memcpy(p + at, "\xdd\x7f\xff\xff\xff", 5);
	memcpy(p + at + 5, frame.p + at + 1, frame.n - at - 1);
	assert_int_equal(
		mw_record_decode(mw_octets_of(p, frame.n + 4), &got, &arena), MW_ERR_PROTO);
	free(p);
}

static void lists_are_cut_to_the_limit_and_one_more_is_refused(void **state)
{
	struct mw_octets items[MW_RECORD_LIST_MAX + 1];
	struct mw_record sent = { .incarnation = 1, .sequence = 1 }, got;
	struct mw_record_arena *arena;
	struct mw_pack b;

	(void)state;
	for (size_t i = 0; i < MW_COUNT(items); i++)
		items[i] = O("x");
	sent.policy_banks = (struct mw_list){ MW_COUNT(items), items };
	assert_int_equal(mw_record_decode(encoded(&sent), &got, &arena), MW_OK);
	assert_int_equal(got.policy_banks.count, MW_RECORD_LIST_MAX);
	mw_record_fini(&arena);

	mw_pack_init(&b);
	mw_pack_octets(&b, mw_octets_of(packed.p, 3 + 3 + 4 + 1));
	size_t head = b.n - (3 + 3 + 4 + 1);

	mw_pack_array(&b, MW_COUNT(items));
	for (size_t i = 0; i < MW_COUNT(items); i++)
		mw_pack_nil(&b);
	assert_int_equal(
		mw_record_decode(mw_octets_of(b.p + head, b.n - head), &got, &arena), MW_ERR_LIMIT);
	mw_pack_fini(&b);
}

static void a_record_that_a_sender_inflates_still_fits_in_a_frame(void **state)
{
	enum { MANY = MW_RECORD_LIST_MAX };
	size_t long_n = 64 * 1024;
	char *text = calloc(1, long_n);
	struct mw_octets *items = calloc(MANY, sizeof(*items));
	struct mw_record_rcpt *rcpts = calloc(MANY, sizeof(*rcpts));
	struct mw_record_check *checks = calloc(MANY, sizeof(*checks));
	struct mw_record_test *tests = calloc(MANY, sizeof(*tests));
	struct mw_record_av *av = calloc(MANY, sizeof(*av));
	struct mw_record_said *said = calloc(MANY, sizeof(*said));
	struct mw_record_part *parts = calloc(MANY, sizeof(*parts));
	struct mw_octets o = mw_octets_of(text, long_n);
	struct mw_list list = { MANY, items };
	struct mw_record sent = { .subject = o,
		.message_id = o,
		.mail_from = o,
		.author = list,
		.to_addr = list,
		.cc_addr = list,
		.references = list,
		.attached_file_names = list,
		.ip_trace = list,
		.ip_proto_trace = list,
		.policy_banks = list,
		.quarantines = list,
		.dkim_valid_sig = list,
		.dkim_new_sig = list,
		.rcpt_count = MANY,
		.rcpts = rcpts,
		.check_count = MANY,
		.checks = checks,
		.test_count = MANY,
		.tests = tests,
		.av_count = MANY,
		.av = av,
		.part_count = MANY,
		.parts = parts };
	struct mw_record got;
	struct mw_record_arena *arena;

	(void)state;
	memset(text, 'x', long_n);
	for (size_t i = 0; i < MANY; i++) {
		items[i] = o;
		rcpts[i] = (struct mw_record_rcpt){ .addr = o,
			.smtp_response = o,
			.queued_as = o,
			.mail_id_related = o,
			.penpals_age_s = INT64_MIN,
			.score_milli = INT32_MIN,
			.said_count = MANY,
			.said = said,
			.ccats = o,
			.destiny = o,
			.deliver_to = o,
			.banned_part = o,
			.banned_key = o,
			.banned_comment = o,
			.banned_paths = list };
		said[i] = (struct mw_record_said){ o, o, o };
		parts[i] = (struct mw_record_part){ (uint32_t)i, o, o, o, o, UINT64_MAX,
			mw_octets_of(text, 32) };
		checks[i] = (struct mw_record_check){
			.kind = o, .worker = o, .reason = o, .wall_us = UINT64_MAX
		};
		tests[i] = (struct mw_record_test){ o, INT32_MAX };
		av[i] = (struct mw_record_av){ o, o };
	}
	assert_int_equal(mw_record_decode(encoded(&sent), &got, &arena), MW_OK);
	assert_true(packed.n <= MW_RECORD_FRAME_MAX);
	assert_int_equal(got.rcpt_count, MANY);
	mw_record_fini(&arena);
	free(text);
	free(items);
	free(rcpts);
	free(checks);
	free(tests);
	free(av);
	free(said);
	free(parts);
}

static void a_frame_above_the_limit_is_refused_unread(void **state)
{
	unsigned char *p = calloc(1, MW_RECORD_FRAME_MAX + 1);
	struct mw_record_arena *arena;
	struct mw_record got;

	(void)state;
	assert_int_equal(mw_record_decode(mw_octets_of(p, MW_RECORD_FRAME_MAX + 1), &got, &arena),
		MW_ERR_LIMIT);
	free(p);
}

static void categories_and_actions_have_their_names(void **state)
{
	(void)state;
	assert_string_equal(mw_ccat_name(MW_CCAT(MW_CC_CLEAN, 0)), "Clean");
	assert_string_equal(mw_ccat_name(MW_CCAT(MW_CC_CLEAN, 1)), "CleanTag");
	assert_string_equal(mw_ccat_name(MW_CCAT(MW_CC_UNCHECKED, 2)), "UncheckedOverLimits");
	assert_string_equal(mw_ccat_name(MW_CCAT(MW_CC_SPAM, 7)), "Spam");
	assert_string_equal(mw_ccat_name(MW_CCAT(MW_CC_BADH, 8)), "BadHdrDupl");
	assert_string_equal(mw_ccat_name(0), "CatchAll");
	assert_string_equal(mw_ccat_name(4711), "CatchAll");
	assert_string_equal(mw_action_name(MW_ACT_TEMPFAIL), "TEMPFAIL");
	assert_string_equal(mw_action_name((enum mw_action)9), "?");
}

/* ------------------------------------------------------------------ state snapshot */

static struct mw_state_task tasks[2] = { { "1-01", 1200, 'V', "m=V", 5000, "2001:db8::1",
						 "scan,auth" },
	{ "1-02", 3, 'd', "md", 0, "", "" } };
static struct mw_state_worker workers[1] = { { "scanner", "h-1-a", "ipc:///x", "0.1.0",
	"ClamAV 1.0/27000", 10, 20, 30, 900, true, 2, { { "scan", 4, 1 }, { "spam", 2, 0 } } } };
static const struct mw_state sample_state = { .host = "mx",
	.front = "1",
	.software = "0.1.0",
	.uptime_ms = 5,
	.sessions = 6,
	.in_flight = 7,
	.held_octets = 8,
	.mails_done = 9,
	.queues = { { "scan", 1, 100 } },
	.queue_count = 1,
	.task_count = 2,
	.tasks = tasks,
	.worker_count = 1,
	.workers = workers };

static void a_state_comes_back_as_it_was_and_every_cut_is_refused(void **state)
{
	struct mw_state got;
	struct mw_pack b, again;

	(void)state;
	mw_pack_init(&b);
	mw_state_encode(&b, &sample_state);
	assert_int_equal(mw_state_decode(mw_octets_of(b.p, b.n), &got), MW_OK);
	assert_int_equal(got.tasks[0].letter, 'V');
	assert_string_equal(got.workers[0].kinds[1].kind, "spam");
	mw_pack_init(&again);
	mw_state_encode(&again, &got);
	assert_int_equal(again.n, b.n);
	assert_memory_equal(again.p, b.p, b.n);
	mw_state_fini(&got);
	for (size_t n = 0; n < b.n; n++)
		assert_int_equal(mw_state_decode(mw_octets_of(b.p, n), &got), MW_ERR_PROTO);
	mw_pack_nil(&b);
	assert_int_equal(mw_state_decode(mw_octets_of(b.p, b.n), &got), MW_ERR_PROTO);
	mw_pack_fini(&b);
	mw_pack_fini(&again);
}

static void text_from_a_client_cannot_make_a_state_unreadable(void **state)
{
	struct mw_state s = sample_state, got;
	struct mw_state_task rude = { .log_id = "x", .letter = 'm', .client_ip = "a\x01\xff\"b" };
	struct mw_pack b;

	(void)state;
	s.tasks = &rude;
	s.task_count = 1;
	mw_pack_init(&b);
	mw_state_encode(&b, &s);
	assert_int_equal(mw_state_decode(mw_octets_of(b.p, b.n), &got), MW_OK);
	assert_string_equal(got.tasks[0].client_ip, "a??\"b");
	mw_state_fini(&got);
	mw_pack_fini(&b);
}

static int drop_packed(void **state)
{
	(void)state;
	mw_pack_fini(&packed);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_decoded_record_encodes_to_the_same_octets),
		cmocka_unit_test(every_cut_record_is_refused_and_the_result_untouched),
		cmocka_unit_test(one_octet_too_many_is_refused),
		cmocka_unit_test(
			a_newer_record_with_more_fields_is_read_and_another_version_is_not),
		cmocka_unit_test(a_list_that_claims_more_than_there_is_costs_no_memory),
		cmocka_unit_test(lists_are_cut_to_the_limit_and_one_more_is_refused),
		cmocka_unit_test(a_record_that_a_sender_inflates_still_fits_in_a_frame),
		cmocka_unit_test(a_frame_above_the_limit_is_refused_unread),
		cmocka_unit_test(categories_and_actions_have_their_names),
		cmocka_unit_test(a_state_comes_back_as_it_was_and_every_cut_is_refused),
		cmocka_unit_test(text_from_a_client_cannot_make_a_state_unreadable),
	};

	return cmocka_run_group_tests(tests, NULL, drop_packed);
}
