#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "common/sample_record.h"
#include "values.h"

static struct snmpsvc_values vs;

static int fresh(void **state)
{
	(void)state;
	snmpsvc_values_init(&vs, 1000);
	return 0;
}

static int compare_tails(const struct snmpsvc_object *a, const struct snmpsvc_object *b)
{
	for (size_t i = 0; i < a->tail_n && i < b->tail_n; i++)
		if (a->tail[i] != b->tail[i])
			return a->tail[i] < b->tail[i] ? -1 : 1;
	return (a->tail_n > b->tail_n) - (a->tail_n < b->tail_n);
}

/* Sorted, so no OID twice: GETNEXT is a binary search. */
static void objects_stand_in_the_order_of_their_oids_with_names_of_their_own(void **state)
{
	(void)state;
	for (size_t i = 0; i < SNMPSVC_OBJECTS; i++) {
		const struct snmpsvc_object *o = &snmpsvc_objects[i];

		assert_true(o->tail_n == 3 || o->tail_n == 4);
		if (i > 0)
			assert_true(compare_tails(&snmpsvc_objects[i - 1], o) < 0);
		assert_int_equal(snmpsvc_object_named(o->name), i);
	}
}

/* Groups of AMAVIS-MIB: how many objects each has. */
static void every_group_of_the_mib_is_whole(void **state)
{
	static const struct {
		uint8_t a, b;
		unsigned objects;
	} groups[] = { { 1, 1, 7 }, { 1, 2, 13 }, { 1, 3, 6 }, { 1, 4, 7 }, { 1, 5, 7 },
		{ 1, 6, 29 }, { 1, 7, 26 }, { 1, 8, 13 }, { 1, 9, 11 }, { 1, 10, 54 },
		{ 1, 11, 11 }, { 1, 12, 3 }, { 1, 13, 11 }, { 1, 14, 6 }, { 1, 15, 17 },
		{ 1, 16, 7 }, { 1, 17, 10 }, { 1, 18, 10 }, { 1, 19, 6 }, { 1, 20, 6 },
		{ 1, 21, 6 }, { 1, 22, 6 }, { 1, 23, 6 }, { 1, 24, 6 }, { 1, 25, 6 }, { 1, 26, 6 },
		{ 2, 1, 9 }, { 2, 2, 22 }, { 3, 1, 4 } };
	unsigned total = 0;

	(void)state;
	for (size_t g = 0; g < MW_COUNT(groups); g++) {
		unsigned n = 0;

		for (size_t i = 0; i < SNMPSVC_OBJECTS; i++) {
			const struct snmpsvc_object *o = &snmpsvc_objects[i];

			if (o->tail[0] != groups[g].a || o->tail[1] != groups[g].b)
				continue;
			n++;
			/* numbered from 1 without a hole (1.10: nine contents with six directions)
			 */
			if (o->tail_n == 3)
				assert_int_equal(o->tail[2], n);
			else
				assert_int_equal((o->tail[2] - 1u) * 6 + o->tail[3], n);
		}
		assert_int_equal(n, groups[g].objects);
		total += n;
	}
	assert_int_equal(total, SNMPSVC_OBJECTS);
}

static uint64_t value(const char *name)
{
	size_t i = snmpsvc_object_named(name);

	assert_true(i < SNMPSVC_OBJECTS);
	return snmpsvc_values_number(&vs, i, 1000);
}

static void tail_is(const char *name, const char *expected)
{
	const struct snmpsvc_object *o = &snmpsvc_objects[snmpsvc_object_named(name)];
	char tail[32];
	int n = snprintf(tail, sizeof(tail), "%u.%u.%u", o->tail[0], o->tail[1], o->tail[2]);

	if (o->tail_n == 4)
		(void)snprintf(tail + n, sizeof(tail) - (size_t)n, ".%u", o->tail[3]);
	assert_string_equal(tail, expected);
}

static void well_known_objects_have_their_oids(void **state)
{
	(void)state;
	tail_is("sysDescr", "1.1.1");
	tail_is("inMsgs", "1.2.1");
	tail_is("inMsgsSize", "1.3.1");
	tail_is("outMsgsRejects", "1.6.29");
	tail_is("quarVirusMsgs", "1.8.11");
	tail_is("contentVirusMsgsOpenRelay", "1.10.9.6");
	tail_is("outConnNew", "1.11.6");
	tail_is("timeElapsedSpamCheck", "1.16.7");
	tail_is("inMsgsStatusTempFailedOpenRelay", "1.26.6");
	tail_is("procBusy30h", "2.2.22");
	tail_is("mtaQueueEntriesDeferred", "3.1.4");
}

/* Originating, one local recipient passed with a mark, one remote one rejected, infected, one
 * quarantine copy. */
static void one_mail_counts_where_it_belongs(void **state)
{
	static const struct {
		const char *name;
		uint64_t value;
	} expected[] = { { "inMsgs", 1 }, { "inMsgsInbound", 0 }, { "inMsgsOutbound", 1 },
		{ "inMsgsInternal", 1 }, { "inMsgsOriginating", 1 }, { "inMsgsOpenRelay", 0 },
		{ "inMsgsSize", 8123 }, { "inMsgsSizeOutbound", 8123 }, { "inMsgsSizeInbound", 0 },
		{ "inMsgsRecips", 2 }, { "inMsgsRecipsInternal", 1 }, { "inMsgsRecipsOutbound", 1 },
		{ "inMsgsRecipsOriginating", 2 }, { "inMsgsRecipsLocal", 1 },
		{ "inMsgsRecipsInbound", 0 }, { "inMsgsStatusRelayed", 1 },
		{ "inMsgsStatusRejected", 1 }, { "inMsgsStatusDiscarded", 0 },
		{ "inMsgsStatusRelayedTaggedAll", 1 }, { "inMsgsStatusRelayedTaggedInternal", 1 },
		{ "inMsgsStatusRelayedTaggedOutbound", 0 },
		{ "inMsgsStatusRelayedTaggedOriginating", 1 },
		{ "inMsgsStatusRelayedUntaggedAll", 0 }, { "inMsgsStatusRejectedOutbound", 1 },
		{ "inMsgsStatusRejectedInternal", 0 }, { "inMsgsBounce", 1 },
		{ "inMsgsBounceNullRPath", 0 }, { "contentVirusMsgs", 1 },
		{ "contentVirusMsgsInternal", 1 }, { "contentVirusMsgsInbound", 0 },
		{ "contentCleanMsgs", 0 }, { "quarMsgs", 1 }, { "quarVirusMsgs", 1 },
		{ "quarSpamMsgs", 0 }, { "quarVirusMsgsSize", 4000 }, { "outMsgs", 7 },
		{ "outMsgsRelay", 6 }, { "outMsgsSubmitQuar", 1 }, { "outMsgsProtoLMTP", 6 },
		{ "outMsgsProtoSMTP", 0 }, { "outMsgsProtoLocal", 1 }, { "outMsgsDelivers", 1 },
		{ "outMsgsAttemptFails", 2 }, { "outMsgsRejects", 3 }, { "outMsgsSize", 13000 },
		{ "outConnNew", 4 }, { "outConnQuit", 5 }, { "outConnReuseRecent", 6 },
		{ "outConnReuseFail", 7 }, { "opsVirusCheck", 1 }, { "opsSpamCheck", 0 },
		{ "penPalsAttempts", 2 }, { "penPalsHits", 1 }, { "penPalsMisses", 1 },
		{ "sysServices", 64 }, { "cacheHits", 0 }, { "userCounter1", 0 } };
	struct mw_record r = sample_record();

	(void)state;
	r.own = MW_OWN_NONE;
	r.out_msgs = 6;
	snmpsvc_values_mail(&vs, &r);
	for (size_t i = 0; i < MW_COUNT(expected); i++)
		if (value(expected[i].name) != expected[i].value)
			fail_msg("%s is %llu", expected[i].name,
				(unsigned long long)value(expected[i].name));
}

static void a_mail_of_our_own_was_not_received(void **state)
{
	struct mw_record r = sample_record();

	(void)state;
	snmpsvc_values_mail(&vs, &r);
	assert_int_equal(value("inMsgs"), 0);
	assert_int_equal(value("contentVirusMsgs"), 0);
	assert_int_equal(value("quarMsgs"), 0);
	assert_int_equal(value("outMsgsSubmit"), 1);
	assert_int_equal(value("outMsgsSubmitNotif"), 1);
	assert_int_equal(value("outMsgsSubmitDsn"), 0);
	assert_int_equal(value("outMsgsRejects"), 3);
}

static void every_category_has_a_content_object_and_odd_ones_change_nothing(void **state)
{
	(void)state;
	for (unsigned major = 0; major < 10; major++) {
		struct mw_record r = { .ccat = MW_CCAT(major, major % 2) };

		snmpsvc_values_mail(&vs, &r);
	}
	assert_int_equal(value("inMsgs"), 10);
	assert_int_equal(value("contentCleanMsgs"), 1);
	assert_int_equal(value("contentMtaFailedMsgs"), 1);
	assert_int_equal(value("contentUncheckedMsgs"), 1);
	assert_int_equal(value("contentVirusMsgs"), 1);
	assert_int_equal(value("inMsgsInbound"), 0);
}

static void counters_wrap_gauges_do_not_and_times_are_hundredths(void **state)
{
	(void)state;
	vs.v[snmpsvc_object_named("inMsgs")] = (1ull << 32) + 5;
	vs.v[snmpsvc_object_named("inMsgsSize")] = (1ull << 32) + 5;
	vs.v[snmpsvc_object_named("procAll")] = (1ull << 32) + 5;
	vs.v[snmpsvc_object_named("timeElapsedTotal")] = 1234567;
	assert_int_equal(value("inMsgs"), 5);
	assert_int_equal(value("inMsgsSize"), (1ull << 32) + 5);
	assert_int_equal(value("procAll"), UINT32_MAX);
	assert_int_equal(value("timeElapsedTotal"), 123);
	vs.v[snmpsvc_object_named("timeElapsedTotal")] = (1ull << 31) * 10000 + 20000;
	assert_int_equal(value("timeElapsedTotal"), 2);
	assert_int_equal(snmpsvc_values_number(&vs, snmpsvc_object_named("sysUpTime"), 3500), 250);
}

static struct mw_state_task tasks[] = { { .log_id = "a", .age_ms = 3000, .letter = 'V' },
	{ .log_id = "b", .age_ms = 99, .letter = 'd' },
	{ .log_id = "c", .age_ms = 108000000, .letter = 'Q' } };
static struct mw_state_worker workers[] = {
	{ .worker = "w1", .kind_count = 2, .kinds = { { "scan", 4, 1 }, { "spam", 2, 3 } } },
	{ .worker = "w2", .draining = true },
	{ .worker = "w3" },
};

static void gauges_are_sums_of_the_fronts_that_are_up(void **state)
{
	struct mw_state one = { .in_flight = 5,
		.task_count = 3,
		.tasks = tasks,
		.worker_count = 3,
		.workers = workers };
	struct mw_state two = { .in_flight = 1, .task_count = 1, .tasks = tasks };

	(void)state;
	snmpsvc_values_state(&vs, "ipc://one", &one);
	snmpsvc_values_state(&vs, "ipc://two", &two);
	assert_int_equal(value("procBusy"), 6);
	assert_int_equal(value("procIdle"), 3);
	assert_int_equal(value("procAll"), 9);
	assert_int_equal(value("procBusyVirus"), 2);
	assert_int_equal(value("procBusyTransfer"), 1);
	assert_int_equal(value("procBusyOther"), 3); /* Q, and two that are only counted */
	assert_int_equal(value("procBusy0"), 6);
	assert_int_equal(value("procBusy01s"), 3);
	assert_int_equal(value("procBusy2s"), 3);
	assert_int_equal(value("procBusy4s"), 1);
	assert_int_equal(value("procBusy30h"), 1);
	snmpsvc_values_down(&vs, "ipc://one");
	assert_int_equal(value("procBusy"), 1);
	assert_int_equal(value("procBusy30h"), 0);
	snmpsvc_values_down(&vs, "ipc://three");
	assert_int_equal(value("procBusy"), 1);
}

static void a_worker_that_vanished_is_counted_unless_it_had_said_goodbye(void **state)
{
	struct mw_state s = { .worker_count = 3, .workers = workers };

	(void)state;
	snmpsvc_values_state(&vs, "ipc://one", &s);
	s.worker_count = 1;
	snmpsvc_values_state(&vs, "ipc://one", &s);
	snmpsvc_values_state(&vs, "ipc://one", &s);
	assert_int_equal(value("procGone"), 1);
}

#define TEST(f) cmocka_unit_test_setup(f, fresh)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(objects_stand_in_the_order_of_their_oids_with_names_of_their_own),
		TEST(every_group_of_the_mib_is_whole),
		TEST(well_known_objects_have_their_oids),
		TEST(one_mail_counts_where_it_belongs),
		TEST(a_mail_of_our_own_was_not_received),
		TEST(every_category_has_a_content_object_and_odd_ones_change_nothing),
		TEST(counters_wrap_gauges_do_not_and_times_are_hundredths),
		TEST(gauges_are_sums_of_the_fronts_that_are_up),
		TEST(a_worker_that_vanished_is_counted_unless_it_had_said_goodbye),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
