/* Where fronts are found: in a folder, behind names; and when they count as gone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include "endpoint.h"
#include "log.h"

#define PATIENCE_MS 20000

static char dir[] = "/tmp/mailweir-test-endpoint-XXXXXX";
static struct mw_loop *loop;
static struct mw_timer *patience;

struct seen {
	unsigned came, gone, stop_at_came, stop_at_gone;
	struct mw_front_address last_came[80], last_gone;
	struct mw_finder **destroy; /* from within came */
};

static void on_came(void *arg, const struct mw_front_address *a)
{
	struct seen *s = arg;

	if (s->came < MW_COUNT(s->last_came))
		s->last_came[s->came] = *a;
	if (++s->came == s->stop_at_came)
		mw_loop_stop(loop);
	if (s->destroy != NULL)
		mw_finder_destroy(s->destroy);
}

static void on_gone(void *arg, const struct mw_front_address *a)
{
	struct seen *s = arg;

	s->last_gone = *a;
	if (++s->gone == s->stop_at_gone)
		mw_loop_stop(loop);
}

static void out_of_patience(void *arg)
{
	(void)arg;
	fail_msg("nothing came in %d ms", PATIENCE_MS);
}

static struct mw_conf *conf_of(const char *front, const char *listen_on)
{
	struct mw_conf *conf = NULL;
	char *errors = NULL;

	setenv("MAILWEIR_RUN_DIR", dir, 1);
	setenv("MAILWEIR_FRONT", front, 1);
	setenv("MAILWEIR_LISTEN", listen_on, 1);
	assert_int_equal(mw_conf_load(NULL, &conf, &errors), MW_OK);
	return conf;
}

/* A settings file with the shortest look-up interval, so that going is quick. */
static struct mw_conf *quick_conf(const char *front)
{
	struct mw_conf *conf = NULL;
	char *errors = NULL, path[100];
	FILE *f;

	snprintf(path, sizeof(path), "%s/mailweir.lua", dir);
	f = fopen(path, "w");
	fputs("pipeline.lookup_interval = 100\n", f);
	fclose(f);
	setenv("MAILWEIR_RUN_DIR", dir, 1);
	setenv("MAILWEIR_FRONT", front, 1);
	assert_int_equal(mw_conf_load(path, &conf, &errors), MW_OK);
	unlink(path);
	return conf;
}

static void touch(const char *name)
{
	char path[300];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "w");
	assert_non_null(f);
	fclose(f);
}

static void drop(const char *name)
{
	char path[300];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	assert_int_equal(unlink(path), 0);
}

static void run(void)
{
	mw_timer_start(patience, PATIENCE_MS, 0);
	mw_loop_run(loop);
	mw_timer_stop(patience);
}

static int open_loop(void **state)
{
	(void)state;
	loop = mw_loop_new();
	patience = mw_timer_new(loop, out_of_patience, NULL);
	return 0;
}

static int close_loop(void **state)
{
	(void)state;
	mw_timer_destroy(&patience);
	mw_loop_destroy(&loop);
	return 0;
}

/* ------------------------------------------------------------------ ipc */

static void fronts_are_found_in_run_dir_by_their_names_alone(void **state)
{
	struct mw_conf *conf = quick_conf("ipc");
	struct seen seen = { .stop_at_came = 2 };
	struct mw_finder *f;
	char expected[200];

	(void)state;
	touch("front-1.verdicts");
	touch("front-.verdicts");
	touch("front-1.events");
	touch("other-1.verdicts");
	touch("front-12345678901234567890123456789012.verdicts"); /* a name of 32 is one too long */
	touch("front-b.verdicts");
	f = mw_finder_new(loop, conf, on_came, on_gone, &seen, NULL);
	assert_int_equal(seen.came, 0); /* from the loop, not before */
	run();
	assert_int_equal(seen.came, 2);
	snprintf(expected, sizeof(expected), "ipc://%s/front-%c.verdicts", dir,
		strstr(seen.last_came[0].door[0], "front-1") != NULL ? '1' : 'b');
	assert_string_equal(seen.last_came[0].door[MW_DOOR_VERDICTS], expected);
	strcpy(strrchr(expected, '.'), ".replay");
	assert_string_equal(seen.last_came[0].door[MW_DOOR_REPLAY], expected);
	mw_finder_destroy(&f);
	assert_null(f);
	mw_conf_destroy(&conf);
	drop("front-1.verdicts");
	drop("front-.verdicts");
	drop("front-1.events");
	drop("other-1.verdicts");
	drop("front-12345678901234567890123456789012.verdicts");
	drop("front-b.verdicts");
}

struct later {
	const char *name;
	bool remove;
};

static void change_folder(void *arg)
{
	const struct later *l = arg;

	if (l->remove)
		drop(l->name);
	else
		touch(l->name);
}

static void a_front_that_starts_is_found_at_once_and_one_that_leaves_is_lost(void **state)
{
	struct mw_conf *conf = quick_conf("ipc");
	struct seen seen = { .stop_at_came = 1, .stop_at_gone = 1 };
	struct later come = { "front-x.verdicts", false }, go = { "front-x.verdicts", true };
	struct mw_timer *in = mw_timer_new(loop, change_folder, &come),
			*out = mw_timer_new(loop, change_folder, &go);
	struct mw_finder *f = mw_finder_new(loop, conf, on_came, on_gone, &seen, NULL);

	(void)state;
	mw_timer_start(in, 30, 0);
	run();
	assert_int_equal(seen.came, 1);
	mw_timer_start(out, 0, 0);
	run();
	assert_int_equal(seen.gone, 1);
	assert_string_equal(seen.last_gone.door[0], seen.last_came[0].door[0]);
	assert_int_equal(seen.came, 1);
	mw_timer_destroy(&in);
	mw_timer_destroy(&out);
	mw_finder_destroy(&f);
	mw_conf_destroy(&conf);
}

static void more_fronts_than_the_limit_are_left_out(void **state)
{
	struct mw_conf *conf = quick_conf("ipc");
	struct seen seen = { .stop_at_came = 64 };
	struct mw_finder *f;
	char name[50];

	(void)state;
	for (int i = 0; i < 70; i++) {
		snprintf(name, sizeof(name), "front-%d.verdicts", i);
		touch(name);
	}
	f = mw_finder_new(loop, conf, on_came, on_gone, &seen, NULL);
	run();
	assert_int_equal(seen.came, 64);
	for (int i = 0; i < 70; i++) {
		snprintf(name, sizeof(name), "front-%d.verdicts", i);
		drop(name);
	}
	seen.stop_at_gone = 64;
	run();
	assert_int_equal(seen.came, 64);
	mw_finder_destroy(&f);
	mw_conf_destroy(&conf);
}

static void a_folder_that_is_not_there_yet_is_waited_for(void **state)
{
	struct mw_conf *conf = NULL;
	struct seen seen = { .stop_at_came = 1 };
	struct later come = { "sub/front-1.verdicts", false };
	struct mw_timer *in = mw_timer_new(loop, change_folder, &come);
	struct mw_finder *f;
	char sub[200], *errors = NULL;

	(void)state;
	snprintf(sub, sizeof(sub), "%s/sub", dir);
	setenv("MAILWEIR_RUN_DIR", sub, 1);
	setenv("MAILWEIR_FRONT", "ipc", 1);
	assert_int_equal(mw_conf_load(NULL, &conf, &errors), MW_OK);
	f = mw_finder_new(loop, conf, on_came, on_gone, &seen, NULL);
	assert_non_null(f);
	mkdir(sub, 0700);
	mw_timer_start(in, 1, 0);
	run();
	assert_int_equal(seen.came, 1);
	mw_timer_destroy(&in);
	mw_finder_destroy(&f);
	mw_conf_destroy(&conf);
	drop("sub/front-1.verdicts");
	rmdir(sub);
}

static void a_finder_may_be_destroyed_by_what_it_found(void **state)
{
	struct mw_conf *conf = quick_conf("tcp://127.0.0.1:7100,tcp://127.0.0.2:7100");
	struct mw_finder *f;
	struct seen seen = { .stop_at_came = 1, .destroy = &f };

	(void)state;
	f = mw_finder_new(loop, conf, on_came, on_gone, &seen, NULL);
	run();
	assert_int_equal(seen.came, 1);
	assert_null(f);
	mw_conf_destroy(&conf);
	conf = quick_conf("tcp://127.0.0.1:7100"); /* with nothing else under way */
	seen.came = 0;
	f = mw_finder_new(loop, conf, on_came, on_gone, &seen, NULL);
	run();
	assert_null(f);
	mw_conf_destroy(&conf);
}

/* ------------------------------------------------------------------ tcp */

static void numeric_and_named_endpoints_become_three_doors_each(void **state)
{
	struct mw_conf *conf = quick_conf("tcp://127.0.0.9:7100, tcp://[::1]:65533");
	struct seen seen = { .stop_at_came = 2 };
	struct mw_finder *f = mw_finder_new(loop, conf, on_came, on_gone, &seen, NULL);
	bool four = false, six = false;

	(void)state;
	run();
	for (size_t i = 0; i < 2; i++) {
		four |= strcmp(seen.last_came[i].door[0], "tcp://127.0.0.9:7100") == 0 &&
			strcmp(seen.last_came[i].door[1], "tcp://127.0.0.9:7101") == 0 &&
			strcmp(seen.last_came[i].door[2], "tcp://127.0.0.9:7102") == 0;
		six |= strcmp(seen.last_came[i].door[0], "tcp://[::1]:65533") == 0 &&
		       strcmp(seen.last_came[i].door[2], "tcp://[::1]:65535") == 0;
	}
	assert_true(four);
	assert_true(six);
	mw_finder_destroy(&f);
	mw_conf_destroy(&conf);
	conf = quick_conf("tcp://localhost:7100");
	seen = (struct seen){ .stop_at_came = 1 };
	f = mw_finder_new(loop, conf, on_came, on_gone, &seen, NULL);
	run();
	assert_true(strncmp(seen.last_came[0].door[0], "tcp://127.0.0.1:", 16) == 0 ||
		    strncmp(seen.last_came[0].door[0], "tcp://[::1]:", 12) == 0);
	mw_finder_destroy(&f); /* with a look-up perhaps under way */
	mw_conf_destroy(&conf);
}

static void ill_written_endpoints_are_refused_with_a_hint(void **state)
{
	static const char *const wrong[] = { "tcp://", "tcp://host", "tcp://:7100",
		"tcp://host:", "tcp://host:0", "tcp://host:65534", "tcp://host:70x",
		"tcp://::1:7100", "tcp://[::1:7100", "tcp://[]:7100", "udp://h:1", "ipcx",
		"host:7100", "tcp://a:1,b:2", "tcp://h h:7100", "," };
	struct mw_err err;

	(void)state;
	for (size_t i = 0; i < MW_COUNT(wrong); i++) {
		struct mw_conf *conf = quick_conf(wrong[i]);

		assert_null(mw_finder_new(loop, conf, on_came, on_gone, NULL, &err));
		assert_non_null(strstr(err.text, "pipeline.front"));
		mw_conf_destroy(&conf);
	}
}

static void names_are_bounded_in_number(void **state)
{
	struct mw_text front = { 0 };
	struct mw_conf *conf;
	struct mw_err err;

	(void)state;
	for (int i = 0; i < 17; i++)
		mw_text_addf(&front, "%stcp://127.0.0.%d:7100", i > 0 ? "," : "", i);
	conf = quick_conf(front.p);
	assert_null(mw_finder_new(loop, conf, on_came, on_gone, NULL, &err));
	assert_non_null(strstr(err.text, "more than 16 endpoints"));
	mw_conf_destroy(&conf);
	mw_text_fini(&front);
}

/* ------------------------------------------------------------------ the front's own doors */

static void a_front_binds_what_others_look_for(void **state)
{
	struct mw_front_address a;
	struct mw_conf *conf = conf_of("ipc", "ipc");
	struct mw_err err = { "" };
	char expected[200];

	(void)state;
	assert_int_equal(mw_front_doors(conf, "7", &a, &err), MW_OK);
	snprintf(expected, sizeof(expected), "ipc://%s/front-7.events", dir);
	assert_string_equal(a.door[MW_DOOR_EVENTS], expected);
	mw_conf_destroy(&conf);
	conf = conf_of("ipc", "tcp://*:7100");
	assert_int_equal(mw_front_doors(conf, "7", &a, &err), MW_OK);
	assert_string_equal(a.door[MW_DOOR_REPLAY], "tcp://*:7102");
	mw_conf_destroy(&conf);
	conf = conf_of("ipc", "tcp://[::]:7100");
	assert_int_equal(mw_front_doors(conf, "7", &a, &err), MW_OK);
	assert_string_equal(a.door[MW_DOOR_VERDICTS], "tcp://[::]:7100");
	mw_conf_destroy(&conf);
}

static void a_front_is_never_given_a_host_name_to_bind(void **state)
{
	static const char *const wrong[] = { "tcp://localhost:7100", "tcp://eth0:7100", "tcp://*:0",
		"tcp://*:65534", "x" };
	struct mw_front_address a;
	struct mw_err err;

	(void)state;
	for (size_t i = 0; i < MW_COUNT(wrong); i++) {
		struct mw_conf *conf = conf_of("ipc", wrong[i]);

		assert_int_equal(mw_front_doors(conf, "1", &a, &err), MW_ERR_CONF);
		assert_non_null(strstr(err.text, "pipeline.listen"));
		mw_conf_destroy(&conf);
	}
}

static int make_dir(void **state)
{
	(void)state;
	mw_log_level(MW_ERROR);
	return mkdtemp(dir) == NULL;
}

static int remove_dir(void **state)
{
	(void)state;
	return rmdir(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			fronts_are_found_in_run_dir_by_their_names_alone, open_loop, close_loop),
		cmocka_unit_test_setup_teardown(
			a_front_that_starts_is_found_at_once_and_one_that_leaves_is_lost, open_loop,
			close_loop),
		cmocka_unit_test_setup_teardown(
			more_fronts_than_the_limit_are_left_out, open_loop, close_loop),
		cmocka_unit_test_setup_teardown(
			a_folder_that_is_not_there_yet_is_waited_for, open_loop, close_loop),
		cmocka_unit_test_setup_teardown(
			a_finder_may_be_destroyed_by_what_it_found, open_loop, close_loop),
		cmocka_unit_test_setup_teardown(
			numeric_and_named_endpoints_become_three_doors_each, open_loop, close_loop),
		cmocka_unit_test_setup_teardown(
			ill_written_endpoints_are_refused_with_a_hint, open_loop, close_loop),
		cmocka_unit_test_setup_teardown(names_are_bounded_in_number, open_loop, close_loop),
		cmocka_unit_test(a_front_binds_what_others_look_for),
		cmocka_unit_test(a_front_is_never_given_a_host_name_to_bind),
	};

	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
