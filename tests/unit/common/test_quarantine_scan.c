/* Folders compared with the index: what a run that is cut short, or cannot read, leaves to the
 * next. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "quarantine_scan.h"

#define LONG_AGO 1700000000

static char dir[] = "/tmp/mailweir-test-scan-XXXXXX";
static struct mw_err err;
static struct mw_qindex *q;

static int set_up(void **state)
{
	(void)state;
	return mw_qindex_open(&q, dir, MW_QINDEX_WRITE, &err) != MW_OK;
}

static int tear_down(void **state)
{
	char command[128];

	(void)state;
	mw_qindex_close(&q);
	snprintf(command, sizeof(command), "rm -rf %s/* %s/.[a-z]*", dir, dir);
	return system(command);
}

static const char *whole(const char *path)
{
	static char buf[200];

	snprintf(buf, sizeof(buf), "%s/%s", dir, path);
	return buf;
}

/* Nothing has changed in it for long, so that its mtime is kept. */
static void age(const char *path)
{
	const struct timespec times[2] = { { .tv_sec = LONG_AGO }, { .tv_sec = LONG_AGO } };

	assert_int_equal(utimensat(AT_FDCWD, whole(path), times, 0), 0);
}

static void make_folder(const char *path)
{
	assert_int_equal(mkdir(whole(path), 0700), 0);
}

static void put_copy(const char *path, const char *mail_id)
{
	FILE *f = fopen(whole(path), "w");

	assert_non_null(f);
	fprintf(f,
		"X-Envelope-From: <a@example.com>\r\nX-Envelope-To: <b@example.org>\r\n"
		"X-Quarantine-ID: <%s>\r\n\r\nbody\r\n",
		mail_id);
	assert_int_equal(fclose(f), 0);
}

static uint64_t entries(void)
{
	struct mw_qtotals t;
	uint64_t n = 0;

	assert_int_equal(mw_qindex_totals(q, &t, &err), MW_OK);
	for (size_t i = 0; i < MW_QCLASSES; i++)
		n += t.entries[i];
	return n;
}

static bool go_on(void *arg)
{
	unsigned *left = arg;

	return *left > 0 && (*left)-- > 0;
}

/* So many looks whether to go on are answered with yes. */
static struct mw_qscan scan(unsigned looks)
{
	struct mw_qscan s = { .index = q, .root = dir, .go_on = go_on, .arg = &looks };

	if (mw_qscan_run(&s, &err) != MW_OK)
		fail_msg("%s", err.text);
	s.arg = NULL;
	return s;
}

static void folders_that_an_interrupted_scan_did_not_get_to_are_scanned_by_the_next(void **state)
{
	static const char *const ids[] = { "a", "b", "c", "d" };
	char path[32];

	(void)state;
	make_folder("old");
	for (size_t i = 0; i < MW_COUNT(ids); i++) {
		snprintf(path, sizeof(path), "old/%s", ids[i]);
		make_folder(path);
		snprintf(path, sizeof(path), "old/%s/spam-%s", ids[i], ids[i]);
		put_copy(path, ids[i]);
		snprintf(path, sizeof(path), "old/%s", ids[i]);
		age(path);
	}
	age("old");
	assert_true(scan(3).stopped); /* the root, "old", and one below that */
	assert_int_equal(entries(), 1);
	assert_false(scan(100).stopped);
	assert_int_equal(entries(), MW_COUNT(ids));
	assert_int_equal(scan(100).files, 0);
}

/* Two files more may be open than are now: the folder's and the root's, and not the copy's. */
static void forbid_a_third_file(const struct rlimit *all)
{
	int next = open("/dev/null", O_RDONLY);
	struct rlimit few = { (rlim_t)next + 2, all->rlim_max };

	assert_true(next >= 0);
	close(next);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
}

static void a_copy_that_cannot_be_read_now_is_indexed_as_soon_as_it_can(void **state)
{
	struct rlimit all;
	struct mw_qscan s;

	(void)state;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &all), 0);
	make_folder("a"); /* the root's mtime would hide it as well */
	put_copy("spam-a", "a");
	age("a");
	age("");
	forbid_a_third_file(&all);
	s = scan(100);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &all), 0);
	assert_int_equal(s.unreadable, 1);
	assert_int_equal(entries(), 0);
	s = scan(100);
	assert_int_equal(s.added, 1);
	assert_int_equal(entries(), 1);
	age(""); /* the index's own files have changed it */
	scan(100);
	assert_int_equal(scan(100).folders, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			folders_that_an_interrupted_scan_did_not_get_to_are_scanned_by_the_next,
			set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			a_copy_that_cannot_be_read_now_is_indexed_as_soon_as_it_can, set_up,
			tear_down),
	};
	int failed;

	if (mkdtemp(dir) == NULL)
		return 1;
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	rmdir(dir);
	return failed;
}
