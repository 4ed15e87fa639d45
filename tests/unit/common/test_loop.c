/* The loop: its end, and ZeroMQ sockets in it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <unistd.h>
#include <zmq.h>

#include "loop.h"

#define DEADLINE_MS 20000

static void slow_work(uv_work_t *req)
{
	(void)req;
	usleep(50000); /* as an fsync or a getaddrinfo would: not ours to cut short */
}

static void work_over(uv_work_t *req, int status)
{
	(void)status;
	*(bool *)req->data = true;
}

static void an_ending_loop_waits_for_its_thread_pool(void **state)
{
	struct mw_loop *loop = mw_loop_new();
	bool over = false;
	uv_work_t req = { .data = &over };

	(void)state;
	assert_non_null(loop);
	assert_int_equal(uv_queue_work(mw_loop_uv(loop), &req, slow_work, work_over), 0);
	mw_loop_destroy(&loop);
	assert_null(loop);
	assert_true(over);
}

/* ------------------------------------------------------------------ a reader that is full */

struct reader {
	struct mw_loop *loop;
	void *in;
	struct mw_zwatch *watch;
	unsigned turns, got, got_while_paused;
	bool paused;
};

static void read_one(void *arg)
{
	struct reader *r = arg;
	char octet;

	r->got_while_paused += r->paused;
	while (zmq_recv(r->in, &octet, 1, ZMQ_DONTWAIT) == 1)
		if (++r->got == 1) {
			mw_zwatch_pause(r->watch);
			r->paused = true;
			return;
		} else if (r->got == 3) {
			mw_loop_stop(r->loop);
		}
}

static void turn(uv_check_t *check)
{
	((struct reader *)check->data)->turns++;
}

static void go_on(void *arg)
{
	struct reader *r = arg;

	assert_true(r->paused);
	assert_true(r->turns < 50); /* 200 ms of a loop that spins are many thousand */
	r->paused = false;
	mw_zwatch_resume(r->watch);
	mw_zwatch_resume(r->watch); /* twice is once */
}

static void too_late(void *arg)
{
	(void)arg;
	fail_msg("nothing came after resume");
}

static void a_paused_socket_keeps_what_came_and_the_loop_sleeps(void **state)
{
	void *ctx = zmq_ctx_new(), *out = zmq_socket(ctx, ZMQ_PAIR);
	struct reader r = { .loop = mw_loop_new(), .in = zmq_socket(ctx, ZMQ_PAIR) };
	struct mw_timer *later = mw_timer_new(r.loop, go_on, &r),
			*deadline = mw_timer_new(r.loop, too_late, NULL);
	uv_check_t check = { .data = &r };

	(void)state;
	assert_int_equal(zmq_bind(r.in, "inproc://full"), 0);
	assert_int_equal(zmq_connect(out, "inproc://full"), 0);
	r.watch = mw_zwatch_new(r.loop, r.in, read_one, NULL, &r);
	uv_check_init(mw_loop_uv(r.loop), &check);
	uv_check_start(&check, turn);
	for (int i = 0; i < 3; i++)
		assert_int_equal(zmq_send(out, "x", 1, 0), 1);
	mw_timer_start(later, 200, 0);
	mw_timer_start(deadline, DEADLINE_MS, 0);
	mw_loop_run(r.loop);
	assert_int_equal(r.got, 3);
	assert_int_equal(r.got_while_paused, 0);
	uv_close((uv_handle_t *)&check, NULL);
	mw_zwatch_destroy(&r.watch);
	mw_timer_destroy(&later);
	mw_timer_destroy(&deadline);
	mw_loop_destroy(&r.loop);
	zmq_close(out);
	zmq_close(r.in);
	zmq_ctx_term(ctx);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_ending_loop_waits_for_its_thread_pool),
		cmocka_unit_test(a_paused_socket_keeps_what_came_and_the_loop_sleeps),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
