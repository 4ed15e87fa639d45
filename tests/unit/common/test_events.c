/* Publisher and subscriber over ipc in a folder of the test's own, with the real finder. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>

#include "common/sample_record.h"
#include "events.h"
#include "log.h"
#include "replay.h"

#define DEADLINE_MS 20000

static char folder[64];
static struct mw_loop *loop;
static struct mw_conf *conf;
static struct mw_zctx z;
static struct mw_publisher *pub;
static struct mw_subscriber *sub;
static struct mw_timer *deadline;

/* What came. */
static uint64_t mails, next_wanted, lost, alerts, states, incarnation_seen;
static bool in_order, up;
static bool (*enough)(void);

static void too_late(void *arg)
{
	(void)arg;
	fail_msg("nothing more came: mails=%llu lost=%llu alerts=%llu states=%llu",
		(unsigned long long)mails, (unsigned long long)lost, (unsigned long long)alerts,
		(unsigned long long)states);
}

static void maybe_stop(void)
{
	if (enough != NULL && enough())
		mw_loop_stop(loop);
}

static void run_until(bool (*condition)(void))
{
	enough = condition;
	if (!condition())
		mw_loop_run(loop);
	enough = NULL;
}

static void saw(uint64_t incarnation, uint64_t from, uint64_t to)
{
	if (incarnation != incarnation_seen) {
		incarnation_seen = incarnation;
		next_wanted = from;
	}
	in_order = in_order && from == next_wanted;
	next_wanted = to + 1;
}

static void on_mail(void *arg, const struct mw_record *r)
{
	(void)arg;
	saw(r->incarnation, r->sequence, r->sequence);
	mails++;
	maybe_stop();
}

static void on_alert(void *arg, uint64_t incarnation, uint64_t sequence, const char *event,
	struct mw_octets text)
{
	(void)arg;
	saw(incarnation, sequence, sequence);
	assert_string_equal(event, "poison");
	assert_int_equal(text.n, 9);
	alerts++;
	maybe_stop();
}

static void on_state(void *arg, const char *front, const struct mw_state *s)
{
	(void)arg;
	assert_non_null(strstr(front, folder));
	assert_string_equal(s->host, "mx");
	states++;
	maybe_stop();
}

static void on_gap(void *arg, uint64_t incarnation, uint64_t from, uint64_t to)
{
	(void)arg;
	saw(incarnation, from, to);
	lost += to - from + 1;
	maybe_stop();
}

static void on_front(void *arg, const char *front, bool is_up)
{
	(void)arg;
	(void)front;
	up = is_up;
	maybe_stop();
}

static const struct mw_subscriber_ops all_ops = { on_mail, on_alert, on_state, on_gap, on_front };

/* ------------------------------------------------------------------ the house */

static void publisher_open(uint64_t incarnation)
{
	struct mw_front_address doors;
	struct mw_err err = { "" };

	assert_int_equal(mw_front_doors(conf, "1", &doors, &err), MW_OK);
	if (mw_publisher_open(&pub, &z, loop, conf, &doors, incarnation, &err) != MW_OK)
		fail_msg("%s", err.text);
}

static void subscriber_open(const struct mw_position *positions, size_t n, bool from_oldest)
{
	struct mw_err err = { "" };

	if (mw_subscriber_open(
		    &sub, &z, loop, conf, &all_ops, NULL, positions, n, from_oldest, &err) != MW_OK)
		fail_msg("%s", err.text);
}

static int house_open(void **state)
{
	struct mw_err err = { "" };
	char path[128], *errors = NULL;
	FILE *f;

	(void)state;
	mw_log_open("test", MW_ERROR);
	mails = next_wanted = lost = alerts = states = incarnation_seen = 0;
	in_order = true;
	up = false;
	(void)snprintf(folder, sizeof(folder), "/tmp/mwev-XXXXXX");
	assert_non_null(mkdtemp(folder));
	(void)snprintf(path, sizeof(path), "%s/mailweir.lua", folder);
	f = fopen(path, "w");
	fprintf(f,
		"pipeline = { run_dir = \"%s\", lookup_interval = 100 }\n"
		"events = { replay_memory = 65536, replay_spool = 1048576, spool_dir = \"%s\" }\n",
		folder, folder);
	fclose(f);
	/* A front is found by the socket of its first door, which is not ours to open here. */
	(void)snprintf(path, sizeof(path), "%s/front-1.verdicts", folder);
	fclose(fopen(path, "w"));
	(void)snprintf(path, sizeof(path), "%s/mailweir.lua", folder);
	if (mw_conf_load(path, &conf, &errors) != MW_OK)
		fail_msg("%s", errors);
	loop = mw_loop_new();
	deadline = mw_timer_new(loop, too_late, NULL);
	mw_timer_start(deadline, DEADLINE_MS, 0);
	if (mw_zctx_open(&z, "front", conf, loop, 100, &err) != MW_OK)
		fail_msg("%s", err.text);
	return 0;
}

static int house_close(void **state)
{
	char command[128];

	(void)state;
	mw_subscriber_close(&sub);
	mw_publisher_close(&pub);
	mw_timer_destroy(&deadline);
	mw_zctx_close(&z);
	mw_loop_destroy(&loop);
	mw_conf_destroy(&conf);
	(void)snprintf(command, sizeof(command), "rm -rf %s", folder);
	return system(command);
}

static void publish(int n)
{
	for (int i = 0; i < n; i++) {
		struct mw_record r = sample_record();

		mw_publish_mail(pub, &r);
	}
}

/* ------------------------------------------------------------------ tests */

static uint64_t wanted;

static bool have_wanted(void)
{
	return mails + alerts + lost >= wanted;
}

static bool front_up(void)
{
	return up;
}

static bool front_down(void)
{
	return !up;
}

static void a_late_subscriber_gets_what_was_before_it(void **state)
{
	(void)state;
	publisher_open(77);
	publish(20);
	mw_publish_alert(pub, "poison", "mail_id=%s", "x");
	subscriber_open(NULL, 0, true);
	wanted = 21;
	run_until(have_wanted);
	assert_int_equal(mails, 20);
	assert_int_equal(alerts, 1);
	assert_true(in_order);
	publish(5);
	wanted = 26;
	run_until(have_wanted);
	assert_int_equal(lost, 0);
	assert_true(in_order);
}

static void memory_and_spool_are_replayed_and_only_what_fell_out_is_a_gap(void **state)
{
	struct mw_publisher_stats st;

	(void)state;
	publisher_open(77);
	/* 3,000 records of about 700 octets: more than 64 KiB of memory and the 1 MiB file
	 * together. The file is written on other threads: let them work. */
	for (int i = 0; i < 300; i++) {
		publish(10);
		for (int turns = 0; turns < 10000; turns++) {
			(void)uv_run(mw_loop_uv(loop), UV_RUN_NOWAIT);
			mw_publisher_stats(pub, &st);
			if (st.memory_octets <= 65536)
				break;
			usleep(100);
		}
	}
	assert_int_equal(st.newest, 3000);
	assert_true(st.oldest > 1 && st.oldest < 2900);
	assert_true(st.memory_octets <= 65536);
	subscriber_open(&(struct mw_position){ 77, 10 }, 1, true);
	wanted = 2990;
	run_until(have_wanted);
	assert_true(in_order);
	assert_true(mails >= 1000);
	assert_true(lost > 0);
	assert_int_equal(mails + lost, 2990);
}

static void a_subscriber_goes_on_where_it_was(void **state)
{
	struct mw_position at[4];

	(void)state;
	publisher_open(77);
	subscriber_open(NULL, 0, true);
	publish(10);
	wanted = 10;
	run_until(have_wanted);
	assert_int_equal(mw_subscriber_positions(sub, at, 4), 1);
	assert_int_equal(at[0].sequence, 10);
	mw_subscriber_close(&sub);
	publish(7);
	subscriber_open(at, 1, true);
	wanted = 17;
	run_until(have_wanted);
	assert_int_equal(mails, 17);
	assert_true(in_order);
}

static void a_restarted_publisher_is_read_from_its_first_event(void **state)
{
	(void)state;
	publisher_open(77);
	subscriber_open(NULL, 0, false);
	run_until(front_up);
	publish(3);
	wanted = 3;
	run_until(have_wanted);
	mw_publisher_close(&pub);
	publisher_open(78);
	publish(4); /* before anybody is connected */
	wanted = 7;
	run_until(have_wanted);
	assert_int_equal(incarnation_seen, 78);
	assert_int_equal(mails, 7);
	assert_int_equal(lost, 0);
	assert_true(in_order);
}

static void a_silent_front_is_down_and_comes_up_again(void **state)
{
	(void)state;
	publisher_open(77);
	subscriber_open(NULL, 0, false);
	run_until(front_up);
	mw_publisher_close(&pub);
	run_until(front_down);
	publisher_open(79);
	run_until(front_up);
}

static bool some_state(void)
{
	return states > 0;
}

static void publish_state(void *arg)
{
	const struct mw_state s = { .host = "mx", .front = "1", .software = "x" };
	struct mw_pack b;

	(void)arg;
	if (!mw_publisher_wanted(pub, "state"))
		return;
	mw_pack_init(&b);
	mw_state_encode(&b, &s);
	mw_publish_state(pub, &b);
	mw_pack_fini(&b);
}

static bool nobody_listens(void)
{
	return !mw_publisher_wanted(pub, "state") && !mw_publisher_wanted(pub, "mail");
}

static void poll_enough(void *arg)
{
	(void)arg;
	maybe_stop();
}

static void states_are_wanted_only_while_somebody_listens(void **state)
{
	struct mw_timer *t = mw_timer_new(loop, publish_state, NULL),
			*poll = mw_timer_new(loop, poll_enough, NULL);

	(void)state;
	publisher_open(77);
	mw_timer_start(t, 0, 20);
	mw_timer_start(poll, 0, 20);
	assert_true(nobody_listens());
	subscriber_open(NULL, 0, false);
	run_until(some_state);
	mw_subscriber_close(&sub);
	run_until(nobody_listens);
	mw_timer_destroy(&t);
	mw_timer_destroy(&poll);
}

static void a_pause_loses_nothing(void **state)
{
	struct mw_timer *poll = mw_timer_new(loop, poll_enough, NULL);

	(void)state;
	publisher_open(77);
	subscriber_open(NULL, 0, true);
	run_until(front_up);
	mw_subscriber_pause(sub, true);
	publish(50);
	mw_timer_start(poll, 100, 100);
	run_until(front_up);
	assert_int_equal(mails, 0);
	mw_subscriber_pause(sub, false);
	wanted = 50;
	run_until(have_wanted);
	assert_true(in_order);
	mw_timer_destroy(&poll);
}

static uint64_t bad_wanted;

static bool have_bad(void)
{
	struct mw_subscriber_stats st;

	mw_subscriber_stats(sub, &st);
	return st.bad_frames >= bad_wanted;
}

/* A front of our own making that says what no front should. */
static void hostile_frames_are_refused_and_counted(void **state)
{
	struct mw_timer *poll = mw_timer_new(loop, poll_enough, NULL);
	struct mw_front_address doors;
	struct mw_err err = { "" };
	void *xpub, *router;
	zmq_msg_t msg;

	(void)state;
	mw_timer_start(poll, 0, 20);
	assert_int_equal(mw_front_doors(conf, "1", &doors, &err), MW_OK);
	xpub = mw_zsock_new(&z, MW_Z_EVENTS_PUB, &err);
	router = mw_zsock_new(&z, MW_Z_REPLAY_ROUTER, &err);
	assert_int_equal(mw_zsock_bind(&z, router, doors.door[MW_DOOR_REPLAY], &err), MW_OK);
	assert_int_equal(mw_zsock_bind(&z, xpub, doors.door[MW_DOOR_EVENTS], &err), MW_OK);
	subscriber_open(NULL, 0, true);
	/* its first request */
	while (mw_zrecv(router, &msg) != MW_OK)
		(void)uv_run(mw_loop_uv(loop), UV_RUN_ONCE);
	assert_int_equal(mw_zsend(router, zmq_msg_data(&msg), zmq_msg_size(&msg), true), MW_OK);
	assert_int_equal(mw_zsend(router, "\x96\x01\x21\xff", 4, false), MW_OK); /* cut */
	mw_zsend(router, zmq_msg_data(&msg), zmq_msg_size(&msg), true);
	mw_zsend(router, "", 0, false);
	mw_zsend(router, zmq_msg_data(&msg), zmq_msg_size(&msg), true);
	mw_zsend(router, "mail", 4, true);
	mw_zsend(router, "\xdd\xff\xff\xff\xff", 5, true);
	mw_zsend(router, "x", 1, false);
	mw_zsend(router, zmq_msg_data(&msg), zmq_msg_size(&msg), true);
	for (int i = 0; i < 20; i++)
		mw_zsend(router, "mail", 4, i < 19);
	zmq_msg_close(&msg);
	while (mw_zrecv(xpub, &msg) != MW_OK)
		(void)uv_run(mw_loop_uv(loop), UV_RUN_ONCE);
	zmq_msg_close(&msg);
	mw_zsend(xpub, "mail", 4, false);
	mw_zsend(xpub, "mailing", 7, true);
	mw_zsend(xpub, "\x93\x01\x05\x01", 4, true);
	mw_zsend(xpub, "\xdd\xff\xff\xff\xff", 5, false);
	mw_zsend(xpub, "state", 5, true);
	mw_zsend(xpub, "\x93\x01\x05\x00", 4, true);
	mw_zsend(xpub, "\xdd\xff\xff\xff\xff", 5, false);
	bad_wanted = 6;
	run_until(have_bad);
	assert_int_equal(mails, 0);
	mw_zsock_close(&xpub);
	mw_zsock_close(&router);
	mw_timer_destroy(&poll);
}

static bool two_bad_requests(void)
{
	struct mw_publisher_stats st;

	mw_publisher_stats(pub, &st);
	return st.bad_requests >= 2;
}

static void bad_replay_requests_are_counted_and_answered_by_nothing(void **state)
{
	struct mw_timer *poll = mw_timer_new(loop, poll_enough, NULL);
	struct mw_front_address doors;
	struct mw_err err = { "" };
	void *dealer;

	(void)state;
	mw_timer_start(poll, 0, 20);
	publisher_open(77);
	assert_int_equal(mw_front_doors(conf, "1", &doors, &err), MW_OK);
	dealer = zmq_socket(z.ctx, ZMQ_DEALER);
	assert_int_equal(zmq_connect(dealer, doors.door[MW_DOOR_REPLAY]), 0);
	zmq_send(dealer, "\xdd\xff\xff\xff\xff", 5, 0);
	zmq_send(dealer, "", 0, 0);
	zmq_send(
		dealer, "\x95\x01\x20\x00\x00\x00", 6, ZMQ_SNDMORE); /* good, with more behind it */
	zmq_send(dealer, "more", 4, 0);
	run_until(two_bad_requests);
	zmq_close(dealer);
	mw_timer_destroy(&poll);
}

/* ------------------------------------------------------------------ the store alone */

static char trouble_said[64];

static void trouble(void *arg, const char *what)
{
	(void)arg;
	mw_strlcpy(trouble_said, what, sizeof(trouble_said));
}

static void a_folder_that_does_not_exist_leaves_memory_only(void **state)
{
	struct mw_replay *r = mw_replay_new(loop, 1000, 100000, "/nonexistent", trouble, NULL);

	(void)state;
	for (int i = 0; i < 100; i++)
		mw_replay_put(r, 0, calloc(1, 100), 100);
	assert_int_equal(mw_replay_newest(r), 100);
	assert_int_equal(mw_replay_oldest(r), 91);
	assert_int_equal(mw_replay_memory(r), 1000);
	mw_replay_destroy(&r);
}

static void an_event_larger_than_all_room_is_a_hole_and_nothing_else_is_lost(void **state)
{
	struct mw_replay *r = mw_replay_new(loop, 1000, 2000, folder, trouble, NULL);

	(void)state;
	mw_replay_put(r, 0, calloc(1, 50000), 50000);
	mw_replay_put(r, 0, calloc(1, 10), 10);
	mw_replay_put(r, 0, NULL, 0);
	assert_int_equal(mw_replay_newest(r), 3);
	assert_true(mw_replay_memory(r) <= 1500);
	mw_replay_destroy(&r);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, house_open, house_close)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_late_subscriber_gets_what_was_before_it),
		TEST(memory_and_spool_are_replayed_and_only_what_fell_out_is_a_gap),
		TEST(a_subscriber_goes_on_where_it_was),
		TEST(a_restarted_publisher_is_read_from_its_first_event),
		TEST(a_silent_front_is_down_and_comes_up_again),
		TEST(states_are_wanted_only_while_somebody_listens),
		TEST(a_pause_loses_nothing),
		TEST(hostile_frames_are_refused_and_counted),
		TEST(bad_replay_requests_are_counted_and_answered_by_nothing),
		TEST(a_folder_that_does_not_exist_leaves_memory_only),
		TEST(an_event_larger_than_all_room_is_a_hole_and_nothing_else_is_lost),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
