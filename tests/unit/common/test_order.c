#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "order.h"

/* What the order did, as text: "3 " delivered, "gap4-6 ", "ask1:5 " (incarnation:from), "met7r "
 * (restarted). */
static char did[4096];
static bool can_ask, good_payload;
static uint64_t first_wanted;
static struct mw_order *to_pause;

static void say(const char *fmt, ...) MW_PRINTF(1, 2);
static void say(const char *fmt, ...)
{
	size_t n = strlen(did);
	va_list args;

	va_start(args, fmt);
	(void)vsnprintf(did + n, sizeof(did) - n, fmt, args);
	va_end(args);
}

static bool deliver(
	void *arg, const struct mw_event_header *h, enum mw_topic topic, struct mw_octets payload)
{
	(void)arg;
	(void)topic;
	(void)payload;
	say("%llu ", (unsigned long long)h->sequence);
	if (to_pause != NULL)
		mw_order_pause(to_pause, true, 0);
	return good_payload;
}

static void gap(void *arg, uint64_t incarnation, uint64_t from, uint64_t to)
{
	(void)arg;
	(void)incarnation;
	say("gap%llu-%llu ", (unsigned long long)from, (unsigned long long)to);
}

static bool ask(void *arg, const struct mw_replay_ask *what)
{
	(void)arg;
	if (!can_ask)
		return false;
	if (what->from == UINT64_MAX)
		say("who ");
	else
		say("ask%llu:%llu ", (unsigned long long)what->incarnation,
			(unsigned long long)what->from);
	return true;
}

static uint64_t start(void *arg, const struct mw_replay_end *met, bool restarted)
{
	(void)arg;
	say("met%llu%s ", (unsigned long long)met->incarnation, restarted ? "r" : "");
	return restarted ? 1 : first_wanted;
}

static const struct mw_order_ops ops = { deliver, gap, ask, start };
static struct mw_order o;

static int fresh(void **state)
{
	(void)state;
	can_ask = true;
	good_payload = true;
	first_wanted = 1;
	to_pause = NULL;
	did[0] = '\0';
	mw_order_init(&o, &ops, NULL, false, 0);
	return 0;
}

static int done(void **state)
{
	(void)state;
	mw_order_fini(&o);
	return 0;
}

static void live(uint64_t incarnation, uint64_t sequence)
{
	const struct mw_event_header h = { incarnation, sequence };

	mw_order_live(&o, &h, MW_TOPIC_MAIL, mw_octets_of("x", 1), 0);
}

static void replayed(uint64_t incarnation, uint64_t sequence)
{
	const struct mw_event_header h = { incarnation, sequence };

	mw_order_replayed(&o, &h, MW_TOPIC_MAIL, mw_octets_of("x", 1), 0);
}

static void end(uint64_t incarnation, uint64_t next, uint64_t newest, uint64_t oldest)
{
	const struct mw_replay_end e = { incarnation, next, newest, oldest };

	mw_order_end(&o, &e, 0);
}

static void did_exactly(const char *expected)
{
	assert_string_equal(did, expected);
	did[0] = '\0';
}

/* Met incarnation 7 with that newest, nothing delivered. */
static void meet(uint64_t newest)
{
	mw_order_tick(&o, 0);
	end(7, UINT64_MAX, newest, 1);
	did[0] = '\0';
}

static void the_first_contact_asks_for_what_was_before(void **state)
{
	(void)state;
	mw_order_tick(&o, 0);
	did_exactly("who ");
	end(7, UINT64_MAX, 2, 1);
	did_exactly("met7 ask7:1 ");
	replayed(7, 1);
	replayed(7, 2);
	end(7, 3, 2, 1);
	did_exactly("1 2 ");
	live(7, 3);
	did_exactly("3 ");
}

static void live_events_ahead_are_held_back_and_each_comes_once_in_order(void **state)
{
	(void)state;
	meet(0);
	live(7, 1);
	live(7, 4);
	live(7, 5);
	did_exactly("1 ask7:2 ");
	replayed(7, 2);
	replayed(7, 3);
	did_exactly("2 3 4 5 ");
	replayed(7, 4);
	replayed(7, 5);
	end(7, 6, 5, 1);
	live(7, 5);
	did_exactly("");
}

static void what_the_front_has_no_more_is_a_gap(void **state)
{
	(void)state;
	meet(0);
	live(7, 1);
	live(7, 10);
	did_exactly("1 ask7:2 ");
	replayed(7, 8);
	did_exactly("gap2-7 8 ");
	end(7, 10, 10, 8); /* 9 was skipped by the front itself */
	did_exactly("gap9-9 10 ");
}

static void a_range_that_is_gone_altogether_is_a_gap(void **state)
{
	(void)state;
	meet(0);
	live(7, 100);
	did_exactly("ask7:1 ");
	end(7, 100, 100, 100);
	did_exactly("gap1-99 100 ");
}

static void a_batch_that_ends_early_is_asked_on(void **state)
{
	(void)state;
	meet(3);
	mw_order_tick(&o, 0);
	did_exactly("");
	replayed(7, 1);
	replayed(7, 2);
	end(7, 3, 3, 1);
	did_exactly("1 2 ask7:3 ");
}

static void an_unanswered_request_is_repeated(void **state)
{
	(void)state;
	mw_order_tick(&o, 0);
	mw_order_tick(&o, MW_ORDER_ASK_MS - 1);
	did_exactly("who ");
	mw_order_tick(&o, MW_ORDER_ASK_MS);
	did_exactly("who ");
	can_ask = false;
	mw_order_tick(&o, 2 * MW_ORDER_ASK_MS);
	did_exactly("");
	can_ask = true;
	mw_order_tick(&o, 2 * MW_ORDER_ASK_MS + 1);
	did_exactly("who ");
}

static void silence_is_asked_into(void **state)
{
	(void)state;
	meet(0);
	mw_order_heard(&o, 5000);
	mw_order_tick(&o, 5000 + MW_ORDER_PROBE_MS);
	did_exactly("ask7:1 ");
}

static void a_restarted_front_is_read_from_its_first_event(void **state)
{
	(void)state;
	meet(5);
	replayed(7, 1);
	end(7, 2, 5, 1);
	did[0] = '\0';
	live(8, 3);
	did_exactly(""); /* a request is on the way: its answer tells */
	end(8, UINT64_MAX, 3, 1);
	did_exactly("met8r ask8:1 ");
	replayed(7, 2);
	did_exactly("");
	replayed(8, 1);
	replayed(8, 2);
	replayed(8, 3);
	end(8, 4, 3, 1);
	did_exactly("1 2 3 ");
}

static void events_nobody_asked_for_change_nothing(void **state)
{
	(void)state;
	meet(0);
	replayed(7, 5);
	live(7, 0);
	live(7, UINT64_MAX);
	did_exactly("");
	end(0, 1, 1, 1);
	end(7, 1, UINT64_MAX, 1);
	end(7, 1, 5, 9);
	did_exactly("");
	live(7, 1);
	did_exactly("1 ");
}

static void a_front_that_lies_about_its_newest_does_not_keep_us_busy(void **state)
{
	(void)state;
	meet(1000);
	for (int i = 0; i < 10; i++)
		end(7, 1, 1000, 1);
	did_exactly("");
	mw_order_tick(&o, 250);
	did_exactly("ask7:1 ");
}

static void a_refused_payload_is_a_gap_of_one(void **state)
{
	(void)state;
	meet(0);
	good_payload = false;
	live(7, 1);
	did_exactly("1 gap1-1 ");
}

static void the_held_back_are_bounded_and_dropped_ones_are_asked_for(void **state)
{
	(void)state;
	meet(0);
	for (uint64_t i = 2; i < MW_ORDER_HELD_EVENTS + 5; i++)
		live(7, i);
	assert_int_equal(o.held_events, MW_ORDER_HELD_EVENTS);
	did[0] = '\0';
	/* not said one by one: only where it ends */
	replayed(7, 1);
	assert_int_equal(o.next, MW_ORDER_HELD_EVENTS + 2);
	assert_int_equal(o.held_events, 0);
	did[0] = '\0';
	end(7, 2, MW_ORDER_HELD_EVENTS + 4, 1);
	did_exactly("ask7:10002 ");
}

static void a_pause_delivers_nothing_and_asks_afterwards(void **state)
{
	(void)state;
	meet(0);
	mw_order_pause(&o, true, 0);
	live(7, 1);
	live(7, 2);
	did_exactly("");
	mw_order_pause(&o, false, 0);
	did_exactly("ask7:1 ");
	replayed(7, 1);
	replayed(7, 2);
	did_exactly("1 2 ");
}

static void a_pause_out_of_a_delivery_stops_at_once(void **state)
{
	(void)state;
	meet(0);
	live(7, 2);
	live(7, 3);
	did[0] = '\0';
	to_pause = &o;
	replayed(7, 1);
	did_exactly("1 ");
	replayed(7, 2);
	did_exactly("");
}

static void without_numbers_only_presence_is_asked(void **state)
{
	(void)state;
	o.numberless = true;
	mw_order_tick(&o, 0);
	end(7, UINT64_MAX, 100, 1);
	live(7, 101);
	did_exactly("who ");
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, fresh, done)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_first_contact_asks_for_what_was_before),
		TEST(live_events_ahead_are_held_back_and_each_comes_once_in_order),
		TEST(what_the_front_has_no_more_is_a_gap),
		TEST(a_range_that_is_gone_altogether_is_a_gap),
		TEST(a_batch_that_ends_early_is_asked_on),
		TEST(an_unanswered_request_is_repeated),
		TEST(silence_is_asked_into),
		TEST(a_restarted_front_is_read_from_its_first_event),
		TEST(events_nobody_asked_for_change_nothing),
		TEST(a_front_that_lies_about_its_newest_does_not_keep_us_busy),
		TEST(a_refused_payload_is_a_gap_of_one),
		TEST(the_held_back_are_bounded_and_dropped_ones_are_asked_for),
		TEST(a_pause_delivers_nothing_and_asks_afterwards),
		TEST(a_pause_out_of_a_delivery_stops_at_once),
		TEST(without_numbers_only_presence_is_asked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
