#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "pool_priv.h"

#define CAGES 4
#define TIMEOUT_MS 5000
#define GRACE_MS 300

/* Holders are told apart by their addresses alone. */
static int holder;

static struct pool pool;
static struct cage cages[CAGES];
static int ends[CAGES]; /* the cages' own */
static struct pool_job jobs[16];
static struct mw_octets mail;
static unsigned started;
/* When all are given out, however long that takes: ten milliseconds make a difference. */
static uint64_t now_ms;

static void job_started(void *arg, struct pool_job *job)
{
	(void)arg;
	(void)job;
	started++;
}

static const struct pool_ops calls = { .started = job_started };

/* Four warm cages, idle; two cores. */
static int make(void **state)
{
	(void)state;
	pool = (struct pool){ .current = (struct keeper *)&holder, .ops = &calls };
	pool.settings.cage.cages = CAGES;
	pool.settings.cores = 2;
	pool.settings.scan_timeout_ms = TIMEOUT_MS;
	pool.settings.cage_grace_ms = GRACE_MS;
	mail = mw_octets_of_text("Subject: a mail\r\n\r\n");
	started = 0;
	now_ms = mw_mono_ms();
	for (size_t i = 0; i < CAGES; i++) {
		int pair[2];

		assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
		fcntl(pair[1], F_SETFL, O_NONBLOCK);
		cages[i] = (struct cage){ .pool = &pool,
			.keeper = pool.current,
			.fd = pair[0],
			.warm = true,
			.next = pool.cages };
		ends[i] = pair[1];
		pool.cages = &cages[i];
	}
	for (size_t i = 0; i < MW_COUNT(jobs); i++)
		jobs[i] = (struct pool_job){ .id = i + 1,
			.parts = &mail,
			.part_count = 1,
			.deadline_ms = mw_mono_ms() + 60000,
			.leaves_fd = -1 };
	return 0;
}

static int unmake(void **state)
{
	(void)state;
	for (size_t i = 0; i < CAGES; i++) {
		close(cages[i].fd);
		close(ends[i]);
	}
	return 0;
}

static struct cage *hand_out(struct pool_job *job)
{
	struct cage *c = pool_turn_for(&pool, job, now_ms);

	if (c == NULL)
		return NULL;
	assert_int_equal(pool_turn_give(c, job), MW_OK);
	if (c->turn_count == 1)
		c->begun_ms = now_ms;
	return c;
}

static unsigned busy(void)
{
	unsigned n = 0;

	for (size_t i = 0; i < CAGES; i++)
		n += cages[i].turn_count > 0;
	return n;
}

/* The id of the next order that a cage finds in its socket; 0: none. */
static uint64_t order_in(size_t cage, struct scan_order *o_r)
{
	static unsigned char buf[SCAN_DATAGRAM_MAX];
	struct mw_octets rest;
	size_t n;
	int fd;

	if (scan_recv(ends[cage], buf, sizeof(buf), &n, &fd) != MW_OK)
		return 0;
	assert_int_equal(scan_order_decode(mw_octets_of(buf, n), o_r, &rest), MW_OK);
	return o_r->id;
}

static void long_ago(struct cage *c)
{
	c->begun_ms = now_ms - 1000;
}

static void as_many_cages_work_as_there_are_cores(void **state)
{
	(void)state;
	for (size_t i = 0; i < 2 * CAGE_TURNS; i++)
		assert_non_null(hand_out(&jobs[i]));
	assert_int_equal(busy(), 2);
	assert_int_equal(started, 2);
	assert_null(hand_out(&jobs[10])); /* full, and nothing speaks for a third cage */
	assert_int_equal(pool_turns_all(&pool), CAGES + 2 * (CAGE_TURNS - 1));
}

static void behind_a_mail_that_takes_its_time_none_stands(void **state)
{
	struct cage *slow;

	(void)state;
	slow = hand_out(&jobs[0]);
	hand_out(&jobs[1]);
	long_ago(slow);
	assert_ptr_not_equal(hand_out(&jobs[2]), slow);
	assert_int_equal(busy(), 3);
}

static void what_stood_there_is_taken_back_in_its_order_while_cages_are_idle(void **state)
{
	struct pool_job later = { .id = 99 };
	struct cage *slow;

	(void)state;
	slow = &cages[0];
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(pool_turn_give(slow, &jobs[i]), MW_OK);
	pool_enqueue(&pool, &later, false);
	pool_turns_free(&pool, slow->begun_ms); /* only just begun */
	assert_ptr_equal(pool.first, &later);
	long_ago(slow);
	for (size_t i = 1; i < CAGES; i++)
		cages[i].ended = true; /* none is idle */
	pool_turns_free(&pool, now_ms);
	assert_ptr_equal(pool.first, &later);
	cages[1].ended = false;
	pool_turns_free(&pool, now_ms);
	assert_ptr_equal(pool.first, &jobs[1]);
	assert_ptr_equal(jobs[1].next, &jobs[2]);
	assert_ptr_equal(jobs[2].next, &later);
	assert_null(jobs[1].cage);
	/* The cage will answer for them all the same. */
	assert_int_equal(slow->turn_count, 3);
	assert_ptr_equal(pool_turn_over(slow), &jobs[0]);
	assert_null(pool_turn_over(slow));
	assert_null(pool_turn_over(slow));
	assert_int_equal(slow->turn_count, 0);
}

static void the_next_turn_begins_when_the_first_is_over(void **state)
{
	struct cage *c = &cages[0];
	struct scan_order o;
	uint64_t now;

	(void)state;
	assert_int_equal(pool_turn_give(c, &jobs[0]), MW_OK);
	assert_int_equal(pool_turn_give(c, &jobs[1]), MW_OK);
	assert_int_equal(order_in(0, &o), 1);
	assert_int_equal(o.most_ms, TIMEOUT_MS);
	assert_true(o.until_ms <= jobs[0].deadline_ms);
	assert_int_equal(order_in(0, &o), 2);
	long_ago(c);
	c->kill_at_ms = 0;
	now = mw_mono_ms();
	assert_ptr_equal(pool_turn_over(c), &jobs[0]);
	assert_null(jobs[0].cage);
	assert_int_equal(started, 2);
	assert_true(c->begun_ms >= now);
	assert_true(c->kill_at_ms >= now + TIMEOUT_MS + GRACE_MS);
}

static void large_mails_and_those_that_others_look_at_stand_behind_none(void **state)
{
	static unsigned char large[SCAN_INLINE_MAX + 1];
	struct mw_octets octets = mw_octets_of(large, sizeof(large));

	(void)state;
	hand_out(&jobs[0]);
	hand_out(&jobs[1]);
	jobs[2].parts = &octets;
	assert_int_equal(hand_out(&jobs[2])->turn_count, 1);
	jobs[3].want_leaves = true;
	assert_int_equal(hand_out(&jobs[3])->turn_count, 1);
	close(jobs[3].leaves_fd);
	assert_null(pool_turn_for(&pool, &jobs[3], now_ms));
}

static void one_that_nobody_wants_is_waited_for_a_moment_only(void **state)
{
	struct cage *c = &cages[0];
	uint64_t now = mw_mono_ms();

	(void)state;
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(pool_turn_give(c, &jobs[i]), MW_OK);
	pool_turn_cancel(c, &jobs[1]);
	assert_true(c->kill_at_ms >= now + TIMEOUT_MS); /* the first is wanted still */
	assert_null(jobs[1].cage);
	pool_turn_over(c);
	assert_true(c->kill_at_ms < now + TIMEOUT_MS);
	pool_turn_over(c);
	assert_true(c->kill_at_ms >= now + TIMEOUT_MS);
	pool_turn_cancel(c, &jobs[2]);
	assert_true(c->kill_at_ms < now + TIMEOUT_MS);
}

static void a_deadline_that_never_comes_fits_into_an_order(void **state)
{
	struct scan_order o;

	(void)state;
	jobs[0].deadline_ms = UINT64_MAX;
	assert_int_equal(pool_turn_give(&cages[0], &jobs[0]), MW_OK);
	assert_int_equal(order_in(0, &o), 1);
	jobs[1].deadline_ms = 0; /* and one that is over */
	assert_int_equal(pool_turn_give(&cages[1], &jobs[1]), MW_OK);
	assert_int_equal(order_in(1, &o), 2);
	assert_true(o.until_ms <= mw_mono_ms() + 1);
}

static void a_full_socket_is_no_failure_of_what_would_stand_behind(void **state)
{
	(void)state;
	fcntl(cages[0].fd, F_SETFL, O_NONBLOCK);
	assert_int_equal(pool_turn_give(&cages[0], &jobs[0]), MW_OK);
	while (scan_send(cages[0].fd, mw_octets_of_text("x"), NULL, 0, -1) == MW_OK)
		;
	assert_int_equal(pool_turn_give(&cages[0], &jobs[1]), MW_AGAIN);
	assert_int_equal(cages[0].turn_count, 1);
	assert_null(jobs[1].cage);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, make, unmake)
	const struct CMUnitTest tests[] = {
		TEST(as_many_cages_work_as_there_are_cores),
		TEST(behind_a_mail_that_takes_its_time_none_stands),
		TEST(what_stood_there_is_taken_back_in_its_order_while_cages_are_idle),
		TEST(the_next_turn_begins_when_the_first_is_over),
		TEST(large_mails_and_those_that_others_look_at_stand_behind_none),
		TEST(one_that_nobody_wants_is_waited_for_a_moment_only),
		TEST(a_deadline_that_never_comes_fits_into_an_order),
		TEST(a_full_socket_is_no_failure_of_what_would_stand_behind),
	};

	return cmocka_run_group_tests_name("pool_turns", tests, NULL, NULL);
}
