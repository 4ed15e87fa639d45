/* A job's octets as header and body, and the pool that reads them. */
#include "help.h"
#include "work.h"

static struct dkimsvc_message open_parts(const char *first, const char *second, struct mw_job *job)
{
	struct dkimsvc_message m = { 0 };

	*job = help_job(first, strlen(first));
	if (second != NULL)
		job->parts[job->part_count++] = mw_octets_of_text(second);
	assert_int_equal(dkimsvc_message_open(&m, job), MW_OK);
	return m;
}

static void header_and_body_are_found_in_one_part_and_in_two(void **state)
{
	struct mw_job job;
	struct dkimsvc_message m = open_parts("A: 1\r\n\r\nbody", NULL, &job);

	(void)state;
	assert_int_equal(m.body_count, 1);
	assert_memory_equal(m.body[0].p, "body", 4);
	assert_int_equal(dkimsvc_message_octets(&m), 10);
	dkimsvc_message_fini(&m);
	m = open_parts("A: 1\r\n\r\n", "body", &job);
	assert_int_equal(m.body_count, 1);
	dkimsvc_message_fini(&m);
	m = open_parts("A: 1\r\n\r\nbo", "dy", &job);
	assert_int_equal(m.body_count, 2);
	dkimsvc_message_fini(&m);
	m = open_parts("A: 1\r\nB: 2", NULL, &job);
	assert_int_equal(m.body_count, 0);
	assert_int_equal(dkimsvc_message_field(&m, &m.header.fields[0]).n, 4);
	assert_int_equal(dkimsvc_message_field(&m, &m.header.fields[1]).n, 4);
	dkimsvc_message_fini(&m);
	job.part_count = 0;
	assert_int_equal(dkimsvc_message_open(&m, &job), MW_ERR_PROTO);
}

static void the_end_of_the_body_is_seen_across_parts(void **state)
{
	static const struct {
		const char *first, *second;
		bool ends;
	} cases[] = { { "A: 1\r\n\r\n", "", true }, { "A: 1\r\n\r\nx\r\n", NULL, true },
		{ "A: 1\r\n\r\nx\r", "\n", true }, { "A: 1\r\n\r\nx", "\r\n", true },
		{ "A: 1\r\n\r\n\r", "x", false }, { "A: 1\r\n\r\n\n", NULL, false },
		{ "A: 1\r\n\r\nx\n", "\r", false } };

	(void)state;
	for (size_t i = 0; i < MW_COUNT(cases); i++) {
		struct mw_job job;
		struct dkimsvc_message m = open_parts(cases[i].first, cases[i].second, &job);

		assert_int_equal(dkimsvc_message_ends_in_crlf(&m), cases[i].ends);
		dkimsvc_message_fini(&m);
	}
}

static void bare_line_feeds_are_found_wherever_they_stand(void **state)
{
	static const struct {
		const char *first, *second;
		bool bare;
	} cases[] = { { "A: 1\r\n\r\nx\r\ny\r\n", NULL, false },
		{ "A: 1\n\r\n\r\nx\r\n", NULL, true }, { "A: 1\r\n\r\n\n", NULL, true },
		{ "A: 1\r\n\r\nx\n\n", NULL, true }, { "A: 1\r\n\r\nx\r", "\ny\r\n", false },
		{ "A: 1\r\n\r\nx", "\ny\r\n", true }, { "A: 1\r\n\r\nx\ry", NULL, false } };

	(void)state;
	for (size_t i = 0; i < MW_COUNT(cases); i++) {
		struct mw_job job;
		struct dkimsvc_message m = open_parts(cases[i].first, cases[i].second, &job);

		assert_int_equal(dkimsvc_message_has_bare_lf(&m), cases[i].bare);
		dkimsvc_message_fini(&m);
	}
}

static void pieces_of_a_body_make_the_body_and_end_behind_a_line_where_they_can(void **state)
{
	size_t n = 200000;
	char *text = malloc(n + 1);
	struct dkimsvc_body_pos pos = { 0, 0 };
	struct dkimsvc_message m;
	struct mw_octets chunk;
	struct mw_job job;
	size_t seen = 0;

	(void)state;
	for (size_t i = 0; i < n; i++)
		text[i] = i % 50 == 48 && i < 150000   ? '\r'
			  : i % 50 == 49 && i < 150000 ? '\n'
						       : 'x';
	text[n] = '\0';
	m = open_parts("A: 1\r\n\r\n", text, &job);
	while (dkimsvc_message_chunk(&m, &pos, &chunk)) {
		assert_true(chunk.n > 0 && chunk.n <= DKIMSVC_CHUNK_OCTETS);
		assert_ptr_equal(chunk.p, m.body[0].p + seen);
		seen += chunk.n;
		if (seen < 150000)
			assert_int_equal(chunk.p[chunk.n - 1], '\n');
	}
	assert_int_equal(seen, n);
	dkimsvc_message_fini(&m);
	free(text);
}

/* ------------------------------------------------------------------ work */

struct errand {
	struct dkimsvc_work work;
	uv_sem_t begun;
	atomic_int state; /* 0 not run, 1 running, 2 let go */
	int after;	  /* 1 done, 2 cancelled */
	bool wait_for_stop;
};

static void errand_run(void *arg, const atomic_bool *stop)
{
	struct errand *e = arg;

	atomic_store(&e->state, 1);
	uv_sem_post(&e->begun);
	while (e->wait_for_stop && !atomic_load(stop))
		uv_sleep(1);
	atomic_store(&e->state, 2);
}

static void errand_after(void *arg, bool cancelled)
{
	((struct errand *)arg)->after = cancelled ? 2 : 1;
}

static void work_is_done_and_told_in_the_loop(void **state)
{
	struct mw_loop *loop = mw_loop_new();
	struct errand e = { 0 };

	(void)state;
	uv_sem_init(&e.begun, 0);
	assert_true(dkimsvc_work_start(&e.work, loop, errand_run, errand_after, &e));
	mw_loop_run(loop);
	assert_int_equal(e.after, 1);
	assert_int_equal(atomic_load(&e.state), 2);
	uv_sem_destroy(&e.begun);
	mw_loop_destroy(&loop);
}

static void cancelling_waits_until_the_thread_has_let_go(void **state)
{
	struct mw_loop *loop = mw_loop_new();
	struct errand e = { .wait_for_stop = true };

	(void)state;
	uv_sem_init(&e.begun, 0);
	assert_true(dkimsvc_work_start(&e.work, loop, errand_run, errand_after, &e));
	uv_sem_wait(&e.begun);
	dkimsvc_work_cancel(&e.work);
	assert_int_equal(atomic_load(&e.state), 2); /* from here on the octets may go */
	assert_int_equal(e.after, 0);
	mw_loop_run(loop);
	assert_int_equal(e.after, 2);
	uv_sem_destroy(&e.begun);
	mw_loop_destroy(&loop);
}

static void cancelling_what_has_not_begun_costs_nothing(void **state)
{
	enum { MANY = 200 };
	struct mw_loop *loop = mw_loop_new();
	struct errand *e = calloc(MANY, sizeof(*e));

	(void)state;
	for (int i = 0; i < MANY; i++) {
		e[i].wait_for_stop = true;
		uv_sem_init(&e[i].begun, 0);
		assert_true(dkimsvc_work_start(&e[i].work, loop, errand_run, errand_after, &e[i]));
	}
	for (int i = MANY; i > 0; i--)
		dkimsvc_work_cancel(&e[i - 1].work);
	mw_loop_run(loop);
	for (int i = 0; i < MANY; i++) {
		assert_int_equal(e[i].after, 2);
		assert_int_not_equal(atomic_load(&e[i].state), 1);
		uv_sem_destroy(&e[i].begun);
	}
	free(e);
	mw_loop_destroy(&loop);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(header_and_body_are_found_in_one_part_and_in_two),
		cmocka_unit_test(the_end_of_the_body_is_seen_across_parts),
		cmocka_unit_test(bare_line_feeds_are_found_wherever_they_stand),
		cmocka_unit_test(
			pieces_of_a_body_make_the_body_and_end_behind_a_line_where_they_can),
		cmocka_unit_test(work_is_done_and_told_in_the_loop),
		cmocka_unit_test(cancelling_waits_until_the_thread_has_let_go),
		cmocka_unit_test(cancelling_what_has_not_begun_costs_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
