/* The worker loop as a front sees it: a worker with one check runs as a child, the test is its
 * front. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "endpoint.h"
#include "wire.h"
#include "worker.h"
#include "zsock.h"

#define PATIENCE_MS 20000
#define INCARNATION 7u

static char folder[64], config[100];
static struct mw_conf *conf;
static struct mw_loop *loop;
static struct mw_zctx z;
static void *router, *push;
static pid_t child;
static zmq_msg_t identity, frame;

/* ------------------------------------------------------------------ the worker */

static enum mw_rc demo_start(void *state, const struct mw_job *job, struct mw_ticket *ticket)
{
	const struct mw_verdict v = { .status = MW_DONE };

	(void)state;
	(void)job;
	mw_worker_done(ticket, &v);
	return MW_OK;
}

static const struct mw_check demo = { .kind = "scan", .slots = 2, .start = demo_start };

static void run_worker(void)
{
	char *argv[] = { (char *)"mailweir-demo", (char *)"-c", config, NULL };
	int null = open("/dev/null", O_WRONLY);

	dup2(null, STDOUT_FILENO);
	dup2(null, STDERR_FILENO);
	exit(mw_worker_main(3, argv, "demo", &demo, 1));
}

/* ------------------------------------------------------------------ its front */

static enum mw_frame next_frame(int patience_ms)
{
	zmq_pollitem_t item = { .socket = router, .events = ZMQ_POLLIN };

	if (zmq_poll(&item, 1, patience_ms) <= 0)
		return MW_FRAME_NONE;
	zmq_msg_close(&identity);
	zmq_msg_close(&frame);
	assert_int_equal(mw_zrecv(router, &identity), MW_OK);
	assert_int_equal(mw_zrecv(router, &frame), MW_OK);
	return mw_frame_type(mw_zoctets(&frame));
}

static void expect(enum mw_frame type)
{
	for (enum mw_frame got = next_frame(PATIENCE_MS); got != type;
		got = next_frame(PATIENCE_MS))
		if (got == MW_FRAME_NONE)
			fail_msg("no frame of type %d came", type);
}

static void answer(const struct mw_pack *b)
{
	assert_int_equal(
		mw_zsend(router, zmq_msg_data(&identity), zmq_msg_size(&identity), true), MW_OK);
	assert_int_equal(mw_zsend(router, b->p, b->n, false), MW_OK);
}

static int start(void **state)
{
	char *errors = NULL;
	struct mw_front_address doors;
	struct mw_err err;
	FILE *f;

	(void)state;
	snprintf(folder, sizeof(folder), "/tmp/mailweir-test-worker-XXXXXX");
	assert_non_null(mkdtemp(folder));
	snprintf(config, sizeof(config), "%s/mailweir.lua", folder);
	f = fopen(config, "w");
	assert_non_null(f);
	fprintf(f, "pipeline.run_dir = '%s'\n%s\n", folder,
		geteuid() == 0 ? "daemon_user = 'root'" : "");
	fclose(f);
	child = fork();
	assert_true(child >= 0);
	if (child == 0)
		run_worker();
	if (mw_conf_load(config, &conf, &errors) != MW_OK)
		fail_msg("%s", errors);
	loop = mw_loop_new();
	assert_int_equal(mw_front_doors(conf, "1", &doors, &err), MW_OK);
	assert_int_equal(mw_zctx_open(&z, "front", conf, loop, 8, &err), MW_OK);
	router = mw_zsock_new(&z, MW_Z_VERDICTS_ROUTER, &err);
	push = mw_zsock_new(&z, MW_Z_JOBS_PUSH, &err);
	assert_int_equal(mw_zsock_bind(&z, router, doors.door[MW_DOOR_VERDICTS], &err), MW_OK);
	zmq_msg_init(&identity);
	zmq_msg_init(&frame);
	return 0;
}

static int stop(void **state)
{
	char command[100];

	(void)state;
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	zmq_msg_close(&identity);
	zmq_msg_close(&frame);
	mw_zsock_close(&push);
	mw_zsock_close(&router);
	mw_zctx_close(&z);
	mw_loop_destroy(&loop);
	mw_conf_destroy(&conf);
	snprintf(command, sizeof(command), "rm -r %s", folder);
	return system(command);
}

/* ------------------------------------------------------------------ tests */

static void welcome_it(void)
{
	const struct mw_welcome welcome = { .incarnation = INCARNATION, .software = "test" };
	struct mw_hello hello;
	struct mw_err err;
	struct mw_pack b;

	expect(MW_FRAME_HELLO);
	assert_int_equal(mw_hello_decode(mw_zoctets(&frame), &hello), MW_OK);
	assert_int_equal(mw_zsock_connect(&z, push, hello.endpoint, NULL, &err), MW_OK);
	mw_pack_init(&b);
	mw_welcome_encode(&b, &welcome);
	answer(&b);
	mw_pack_fini(&b);
	expect(MW_FRAME_ALIVE);
}

/* cut: octets left out at the header's end. */
static struct mw_verdict verdict_of(uint32_t id, uint64_t ms_left, size_t cut)
{
	static const unsigned char empty_map = 0x80, empty_array = 0x90;
	const struct mw_job j = { .job = (uint64_t)INCARNATION << 32 | id,
		.attempt = 3,
		.kind = "scan",
		.deadline_ms = ms_left,
		.log_id = "l",
		.mail_id = "m",
		.rcpts = { &empty_array, 1 },
		.orders = { &empty_map, 1 } };
	struct mw_verdict v;
	struct mw_pack b;

	mw_pack_init(&b);
	mw_job_encode(&b, &j);
	assert_true(zmq_send(push, b.p, b.n - cut, 0) > 0); /* waits for the connection */
	mw_pack_fini(&b);
	expect(MW_FRAME_VERDICT);
	assert_int_equal(mw_verdict_decode(mw_zoctets(&frame), &v), MW_OK);
	assert_int_equal(v.job, j.job);
	assert_int_equal(v.attempt, 3);
	assert_string_equal(v.kind, "scan");
	return v;
}

static void a_job_not_understood_or_come_too_late_is_answered_as_failed(void **state)
{
	struct mw_verdict v;

	(void)state;
	welcome_it();
	v = verdict_of(1, 10000, 0);
	assert_int_equal(v.status, MW_DONE);
	v = verdict_of(2, 10000, 1);
	assert_int_equal(v.status, MW_FAILED);
	assert_string_equal(v.reason, "job not understood");
	v = verdict_of(3, 0, 0);
	assert_int_equal(v.status, MW_FAILED);
	assert_string_equal(v.reason, mw_rc_name(MW_ERR_TIMEOUT));
	v = verdict_of(4, 10000, 0);
	assert_int_equal(v.status, MW_DONE);
}

static void a_refused_worker_does_not_ask_again_at_once(void **state)
{
	unsigned on_their_way = 0;
	struct mw_pack b;

	(void)state;
	expect(MW_FRAME_HELLO);
	mw_pack_init(&b);
	mw_plain_encode(&b, MW_FRAME_REFUSED, "full");
	answer(&b);
	mw_pack_fini(&b);
	/* It says hello ten times a second, and has said it while a slow front had not answered:
	 * then it is silent for long. */
	while (next_frame(1500) == MW_FRAME_HELLO)
		assert_true(++on_their_way < 100);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			a_job_not_understood_or_come_too_late_is_answered_as_failed, start, stop),
		cmocka_unit_test_setup_teardown(
			a_refused_worker_does_not_ask_again_at_once, start, stop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
