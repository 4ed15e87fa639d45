/* The dispatcher with real sockets over ipc; its workers are played by the test, frame by frame. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "checks/dispatch_priv.h"
#include "front.h"
#include "log.h"

#define PATIENCE_MS 20000
#define INCARNATION 9u
#define FAR_MS 600000 /* no deadline of these tests */

void front_txn_over(struct front *f)
{
	(void)f; /* main.c's */
}

/* libzmq's, but for one frame of octets that finds no memory. */
static bool no_memory;
int zmq_msg_init_data(zmq_msg_t *msg, void *data, size_t size, zmq_free_fn *ffn, void *hint)
{
	static int (*real)(zmq_msg_t * msg, void *data, size_t size, zmq_free_fn *ffn, void *hint);

	if (real == NULL)
		*(void **)&real = dlsym(RTLD_NEXT, "zmq_msg_init_data");
	if (no_memory && ffn == smtp_body_zmq_free) {
		no_memory = false;
		errno = ENOMEM;
		return -1;
	}
	return real(msg, data, size, ffn, hint);
}

static char folder[64], verdicts[100];
static struct mw_conf *conf;
static struct mw_loop *loop;
static struct mw_zctx z;
static struct mw_publisher *pub;
static struct dispatch *d;
static struct smtp_body_pool bodies;
static struct smtp_body *body;

/* ------------------------------------------------------------------ played workers */

struct played {
	void *dealer, *pull;
	struct mw_job job; /* the last that came */
	unsigned came;
};

static struct played one, two;

static bool turn(uint64_t until_ms)
{
	uv_run(mw_loop_uv(loop), UV_RUN_ONCE); /* the dispatcher's tick ends it */
	if (mw_mono_ms() > until_ms)
		fail_msg("it did not come about");
	return true;
}

#define UNTIL(condition)                                                                           \
	for (uint64_t end_ = mw_mono_ms() + PATIENCE_MS; !(condition);)                            \
	turn(end_)

/* For what must not happen: let ticks and sockets have their turns. */
static void some_turns(void)
{
	uint64_t end = mw_mono_ms() + 350;

	while (mw_mono_ms() < end)
		turn(end + PATIENCE_MS);
}

static struct dispatch_worker *worker_named(const char *name)
{
	struct dispatch_worker *w = d->workers;

	while (w != NULL && strcmp(w->hello.worker, name) != 0)
		w = w->next;
	return w;
}

static void come(struct played *p, const char *name, uint32_t slots)
{
	struct mw_hello hello = {
		.service = "scanner", .kind_count = 1, .kinds = { { "scan", slots } }
	};
	struct mw_err err = { "" };
	struct mw_pack b;

	mw_strlcpy(hello.worker, name, sizeof(hello.worker));
	snprintf(hello.endpoint, sizeof(hello.endpoint), "ipc://%s/job-%s", folder, name);
	*p = (struct played){ .dealer = mw_zsock_new(&z, MW_Z_VERDICTS_DEALER, &err),
		.pull = mw_zsock_new(&z, MW_Z_JOBS_PULL, &err) };
	assert_int_equal(mw_zsock_bind(&z, p->pull, hello.endpoint, &err), MW_OK);
	assert_int_equal(mw_zsock_connect(&z, p->dealer, verdicts, NULL, &err), MW_OK);
	mw_pack_init(&b);
	mw_hello_encode(&b, &hello);
	UNTIL(mw_zsend(p->dealer, b.p, b.n, false) == MW_OK);
	mw_pack_fini(&b);
	UNTIL(worker_named(name) != NULL);
}

static void go(struct played *p)
{
	mw_zsock_close(&p->dealer);
	mw_zsock_close(&p->pull);
}

static bool has_job(struct played *p)
{
	zmq_msg_t msg;

	if (mw_zrecv(p->pull, &msg) != MW_OK)
		return false;
	assert_int_equal(mw_job_decode(mw_zoctets(&msg), mw_mono_ms(), &p->job), MW_OK);
	assert_true(mw_zmore(&msg)); /* the octets */
	mw_zdrain(p->pull, &msg);
	zmq_msg_close(&msg);
	p->came++;
	return true;
}

static void say_verdict(struct played *p, uint64_t job, uint32_t attempt)
{
	const struct mw_verdict v = {
		.job = job, .attempt = attempt, .kind = "scan", .status = MW_DONE
	};
	struct mw_pack b;

	mw_pack_init(&b);
	mw_verdict_encode(&b, &v);
	assert_int_equal(mw_zsend(p->dealer, b.p, b.n, false), MW_OK);
	mw_pack_fini(&b);
}

/* ------------------------------------------------------------------ jobs */

static const unsigned char empty_map = 0x80, empty_array = 0x90;
static const struct mw_job what = {
	.log_id = "l", .mail_id = "m", .rcpts = { &empty_array, 1 }, .orders = { &empty_map, 1 }
};

struct asked {
	struct dispatch_job *job;
	unsigned over;
	struct dispatch_result result;
};

static void job_over(void *arg, const struct dispatch_result *r)
{
	struct asked *a = arg;

	a->job = NULL;
	a->over++;
	a->result = *r;
	a->result.findings = (struct mw_octets){ 0 };
}

static void ask(struct asked *a)
{
	const struct dispatch_part part = { smtp_body_octets(body), body };

	*a = (struct asked){ 0 };
	a->job = dispatch_submit(d, JOB_SCAN, &what, &part, 1, mw_mono_ms() + FAR_MS, job_over, a);
	assert_non_null(a->job);
}

/* ------------------------------------------------------------------ the house */

static struct mw_conf *conf_with(unsigned max_workers)
{
	char path[100], *errors = NULL;
	struct mw_conf *c = NULL;
	FILE *f;

	snprintf(path, sizeof(path), "%s/mailweir.lua", folder);
	f = fopen(path, "w");
	assert_non_null(f);
	fprintf(f, "pipeline.run_dir = '%s'\nevents.spool_dir = '%s'\npipeline.max_workers = %u\n",
		folder, folder, max_workers);
	fclose(f);
	if (mw_conf_load(path, &c, &errors) != MW_OK)
		fail_msg("%s", errors);
	return c;
}

static int open_house(void **state)
{
	struct mw_front_address doors;
	struct mw_err err = { "" };

	(void)state;
	mw_log_open("test", MW_ERROR);
	snprintf(folder, sizeof(folder), "/tmp/mailweir-test-dispatch-XXXXXX");
	assert_non_null(mkdtemp(folder));
	conf = conf_with(4);
	loop = mw_loop_new();
	bodies = (struct smtp_body_pool){ .memory_octets = 10000, .held_limit = 10000 };
	body = smtp_body_new(&bodies, 0);
	assert_non_null(body);
	assert_int_equal(smtp_body_append(body, "a: b\r\n\r\nc\r\n", 11, &err), MW_OK);
	assert_int_equal(smtp_body_seal(body, &err), MW_OK);
	if (mw_front_doors(conf, "1", &doors, &err) != MW_OK ||
		mw_zctx_open(&z, "front", conf, loop, 40, &err) != MW_OK ||
		mw_publisher_open(&pub, &z, loop, conf, &doors, INCARNATION, &err) != MW_OK ||
		dispatch_open(&d, &z, loop, conf, doors.door[MW_DOOR_VERDICTS], INCARNATION, pub,
			&err) != MW_OK)
		fail_msg("%s", err.text);
	mw_strlcpy(verdicts, doors.door[MW_DOOR_VERDICTS], sizeof(verdicts));
	one = two = (struct played){ 0 };
	no_memory = false;
	return 0;
}

static int close_house(void **state)
{
	char command[100];

	(void)state;
	go(&one);
	go(&two);
	dispatch_close(&d);
	mw_publisher_close(&pub);
	mw_zctx_close(&z);
	smtp_body_unref(&body);
	assert_int_equal(smtp_body_held(&bodies), 0); /* every borrowed reference came back */
	mw_loop_destroy(&loop);
	mw_conf_destroy(&conf);
	snprintf(command, sizeof(command), "rm -r %s", folder);
	return system(command);
}

/* ------------------------------------------------------------------ tests */

static void a_cancelled_job_keeps_its_slot_until_its_verdict(void **state)
{
	struct asked a, b;

	(void)state;
	come(&one, "one", 1);
	ask(&a);
	UNTIL(has_job(&one));
	dispatch_cancel(d, &a.job);
	assert_null(a.job);
	ask(&b);
	some_turns();
	assert_false(has_job(&one));
	assert_int_equal(dispatch_stats(d).waiting[JOB_SCAN], 1);
	say_verdict(&one, one.job.job, 1);
	UNTIL(has_job(&one));
	say_verdict(&one, one.job.job, 1);
	UNTIL(b.over == 1);
	assert_int_equal(b.result.status, MW_DONE);
	assert_int_equal(a.over, 0);
	assert_int_equal(dispatch_stats(d).outstanding, 0);
}

static void a_cancelled_jobs_slot_is_free_after_its_deadline(void **state)
{
	struct asked a, b;

	(void)state;
	come(&one, "one", 1);
	ask(&a);
	UNTIL(has_job(&one));
	dispatch_cancel(d, &a.job);
	ask(&b);
	some_turns();
	assert_false(has_job(&one));
	worker_named("one")->jobs.first->deadline_ms = 0;
	UNTIL(has_job(&one));
	assert_int_equal(a.over, 0);
	dispatch_cancel(d, &b.job);
}

static void a_cancelled_job_that_waits_is_gone(void **state)
{
	struct asked a;

	(void)state;
	ask(&a);
	dispatch_cancel(d, &a.job);
	assert_int_equal(dispatch_stats(d).waiting[JOB_SCAN], 0);
	come(&one, "one", 1);
	some_turns();
	assert_false(has_job(&one));
}

static void a_dead_workers_cancelled_jobs_are_not_dealt_again(void **state)
{
	struct asked a, b;

	(void)state;
	come(&one, "one", 2);
	ask(&a);
	ask(&b);
	UNTIL(has_job(&one));
	UNTIL(has_job(&one));
	dispatch_cancel(d, &a.job);
	come(&two, "two", 2);
	go(&one);
	UNTIL(has_job(&two));
	assert_int_equal(two.job.attempt, 2);
	say_verdict(&two, two.job.job, 2);
	UNTIL(b.over == 1);
	some_turns();
	assert_false(has_job(&two));
	assert_int_equal(dispatch_stats(d).outstanding, 0);
}

static void an_attempt_taken_away_keeps_its_slot_until_the_late_verdict(void **state)
{
	struct asked a;

	(void)state;
	come(&one, "one", 1);
	ask(&a);
	UNTIL(has_job(&one));
	a.job->attempt_until_ms = 0;
	UNTIL(dispatch_stats(d).waiting[JOB_SCAN] == 1);
	some_turns();
	assert_false(has_job(&one));
	say_verdict(&one, one.job.job, 1);
	UNTIL(has_job(&one));
	assert_int_equal(one.job.attempt, 2);
	assert_int_equal(dispatch_stats(d).late, 1);
	say_verdict(&one, one.job.job, 2);
	UNTIL(a.over == 1);
	assert_int_equal(a.result.attempts, 2);
	assert_int_equal(dispatch_stats(d).outstanding, 0);
}

static void an_attempt_taken_away_frees_its_slot_after_one_more_time_limit(void **state)
{
	struct asked a;

	(void)state;
	come(&one, "one", 1);
	ask(&a);
	UNTIL(has_job(&one));
	a.job->attempt_until_ms = 0;
	UNTIL(dispatch_stats(d).waiting[JOB_SCAN] == 1);
	worker_named("one")->jobs.first->attempt_until_ms = 0;
	UNTIL(has_job(&one));
	assert_int_equal(one.job.attempt, 2);
	dispatch_cancel(d, &a.job);
}

static void one_verdict_may_answer_both_attempts(void **state)
{
	struct asked a;

	(void)state;
	come(&one, "one", 2);
	ask(&a);
	UNTIL(has_job(&one));
	a.job->attempt_until_ms = 0;
	UNTIL(has_job(&one)); /* its second slot */
	assert_int_equal(dispatch_stats(d).outstanding, 2);
	say_verdict(&one, one.job.job, 2);
	UNTIL(a.over == 1);
	assert_int_equal(dispatch_stats(d).outstanding, 0);
}

static void the_next_attempt_prefers_another_worker_even_a_busier_one(void **state)
{
	struct asked a, others[3];
	struct dispatch_worker *hung;
	struct played *other;

	(void)state;
	come(&one, "one", 4);
	come(&two, "two", 4);
	ask(&a);
	UNTIL(has_job(&one) || has_job(&two));
	hung = a.job->worker;
	other = one.came > 0 ? &two : &one;
	hung->draining = true; /* so that the other gets all of these */
	for (size_t i = 0; i < 3; i++) {
		ask(&others[i]);
		UNTIL(has_job(other));
	}
	hung->draining = false;
	a.job->attempt_until_ms = 0;
	UNTIL(has_job(other));
	assert_int_equal(other->job.job, a.job->id);
	assert_int_equal(other->job.attempt, 2);
	/* The other has no slot left: better the one that hung than none. */
	a.job->attempt_until_ms = 0;
	UNTIL(a.over == 1);
	assert_int_equal(a.result.status, MW_FAILED);
	ask(&a);
	mw_strlcpy(a.job->avoid, hung->hello.worker, sizeof(a.job->avoid));
	UNTIL(a.job->worker == hung);
	dispatch_cancel(d, &a.job);
	for (size_t i = 0; i < 3; i++)
		dispatch_cancel(d, &others[i].job);
}

static void a_job_sent_in_part_waits_for_another_worker(void **state)
{
	struct asked a;

	(void)state;
	come(&one, "one", 1);
	no_memory = true; /* the header goes, the octets do not */
	ask(&a);
	UNTIL(worker_named("one") == NULL);
	assert_int_equal(a.over, 0);
	assert_int_equal(dispatch_stats(d).waiting[JOB_SCAN], 1);
	come(&two, "two", 1);
	UNTIL(has_job(&two));
	assert_int_equal(two.job.attempt, 1);
	say_verdict(&two, two.job.job, 1);
	UNTIL(a.over == 1);
	assert_int_equal(a.result.status, MW_DONE);
}

static void a_stalled_front_keeps_its_workers_and_a_silent_worker_goes(void **state)
{
	struct dispatch_worker *w;

	(void)state;
	come(&one, "one", 1);
	w = worker_named("one");
	w->seen_ms -= 5000; /* as if nothing had run here for 5 s */
	d->ticked_ms -= 5000;
	some_turns();
	assert_ptr_equal(worker_named("one"), w);
	assert_true(w->seen_ms <= mw_mono_ms());
	w->seen_ms -= 5000;
	UNTIL(worker_named("one") == NULL);
}

static void a_reload_takes_no_more_workers_than_there_are_sockets_for(void **state)
{
	struct mw_conf *more = conf_with(5), *fewer = conf_with(3);

	(void)state;
	dispatch_configure(d, more);
	assert_int_equal(d->max_workers, 4);
	dispatch_configure(d, fewer);
	assert_int_equal(d->max_workers, 3);
	dispatch_configure(d, conf);
	assert_int_equal(d->max_workers, 4);
	mw_conf_destroy(&more);
	mw_conf_destroy(&fewer);
}

#define T(f) cmocka_unit_test_setup_teardown(f, open_house, close_house)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_cancelled_job_keeps_its_slot_until_its_verdict),
		T(a_cancelled_jobs_slot_is_free_after_its_deadline),
		T(a_cancelled_job_that_waits_is_gone),
		T(a_dead_workers_cancelled_jobs_are_not_dealt_again),
		T(an_attempt_taken_away_keeps_its_slot_until_the_late_verdict),
		T(an_attempt_taken_away_frees_its_slot_after_one_more_time_limit),
		T(one_verdict_may_answer_both_attempts),
		T(the_next_attempt_prefers_another_worker_even_a_busier_one),
		T(a_job_sent_in_part_waits_for_another_worker),
		T(a_stalled_front_keeps_its_workers_and_a_silent_worker_goes),
		T(a_reload_takes_no_more_workers_than_there_are_sockets_for),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
