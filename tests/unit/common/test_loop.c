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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_ending_loop_waits_for_its_thread_pool),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
