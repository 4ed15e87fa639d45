/* The scan's own folder is made when it is wanted, and never otherwise. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "help.h"
#include "later.h"
#include "scarcity.h"

struct fixture {
	char root[32], scan[64], inside[96];
};

static int open_fixture(void **state)
{
	static struct fixture f;

	strcpy(f.root, "/tmp/mw-later-XXXXXX");
	assert_non_null(mkdtemp(f.root));
	snprintf(f.scan, sizeof(f.scan), "%s/scan", f.root);
	snprintf(f.inside, sizeof(f.inside), "%s/part", f.scan);
	scarcity_begin(UINT64_MAX);
	later_begin();
	*state = &f;
	return 0;
}

static int close_fixture(void **state)
{
	struct fixture *f = *state;

	later_end();
	unlink(f->inside);
	rmdir(f->inside);
	rmdir(f->scan);
	assert_int_equal(rmdir(f->root), 0);
	return 0;
}

static bool is_there(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0;
}

/* As cli_rmdirs of libclamav does. */
static void remove_it(const char *path)
{
	DIR *d;

	chmod(path, 0700);
	d = opendir(path);
	if (d == NULL)
		return;
	assert_int_equal(rmdir(path), 0);
	closedir(d);
}

static void an_unused_folder_is_never_made(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(mkdir(f->scan, 0700), 0);
	assert_false(is_there(f->scan));
	remove_it(f->scan);
	assert_false(is_there(f->scan));
	assert_null(scarcity_word(scarcity_now()));
	/* and what comes later is another's */
	assert_int_equal(mkdir(f->scan, 0700), 0);
	assert_true(is_there(f->scan));
}

static void a_file_makes_it(void **state)
{
	struct fixture *f = *state;
	int fd;

	assert_int_equal(mkdir(f->scan, 0700), 0);
	fd = open(f->inside, O_WRONLY | O_CREAT | O_EXCL, 0600);
	assert_true(fd >= 0);
	close(fd);
	assert_true(is_there(f->inside));
	assert_int_equal(unlink(f->inside), 0);
	remove_it(f->scan);
	assert_false(is_there(f->scan));
}

static void a_folder_makes_it(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(mkdir(f->scan, 0700), 0);
	assert_int_equal(mkdir(f->inside, 0700), 0);
	assert_true(is_there(f->inside));
}

static void a_stream_makes_it(void **state)
{
	struct fixture *f = *state;
	FILE *s;

	assert_int_equal(mkdir(f->scan, 0700), 0);
	s = fopen64(f->inside, "w");
	assert_non_null(s);
	assert_int_equal(fclose(s), 0);
	assert_true(is_there(f->inside));
}

static void who_reads_it_finds_it(void **state)
{
	struct fixture *f = *state;
	DIR *d;

	assert_int_equal(mkdir(f->scan, 0700), 0);
	d = opendir(f->scan);
	assert_non_null(d);
	closedir(d);
}

static void only_the_first_folder_of_a_scan_is_put_off(void **state)
{
	struct fixture *f = *state;

	later_end();
	assert_int_equal(mkdir(f->scan, 0700), 0);
	assert_true(is_there(f->scan));
}

static void removing_it_without_a_look_is_right(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(mkdir(f->scan, 0700), 0);
	assert_int_equal(rmdir(f->scan), 0);
	assert_int_equal(rmdir(f->scan), -1);
	assert_int_equal(errno, ENOENT);
}

/* What cannot be made when it is wanted is a refusal: the scan is not whole. */
static void a_folder_that_cannot_be_made_is_counted(void **state)
{
	struct fixture *f = *state;
	char nowhere[96], file[128];

	snprintf(nowhere, sizeof(nowhere), "%s/missing/scan", f->root);
	snprintf(file, sizeof(file), "%s/part", nowhere);
	assert_int_equal(mkdir(nowhere, 0700), 0);
	assert_null(scarcity_word(scarcity_now()));
	assert_int_equal(open(file, O_WRONLY | O_CREAT, 0600), -1);
	assert_string_equal(scarcity_word(scarcity_now()), "no_temp_space");
}

/* Two scans with one engine: text that needs no file, a page that does. */
static void a_scan_leaves_nothing(void **state)
{
	static const char page[] = "<html><head><title>t</title></head><body><script>var a = 1;"
				   "</script><p>Hello</p></body></html>\n";
	struct fixture *f = *state;
	struct av *av = test_engine(f->root);
	struct av_result r;

	av_scan(av, mw_octets_of_text("just some words\r\n"), false, UINT64_MAX, 10000, &r);
	assert_int_equal(r.end, AV_CLEAN);
	assert_true(r.whole);
	av_scan(av, mw_octets_of_text(page), false, UINT64_MAX, 10000, &r);
	assert_int_equal(r.end, AV_CLEAN);
	assert_true(r.whole);
	assert_true(scarcity_now()->written == 0); /* counted anew behind each scan */
	av_close(&av);
}

#define WITH_FIXTURE(test) cmocka_unit_test_setup_teardown(test, open_fixture, close_fixture)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_FIXTURE(an_unused_folder_is_never_made),
		WITH_FIXTURE(a_file_makes_it),
		WITH_FIXTURE(a_folder_makes_it),
		WITH_FIXTURE(a_stream_makes_it),
		WITH_FIXTURE(who_reads_it_finds_it),
		WITH_FIXTURE(only_the_first_folder_of_a_scan_is_put_off),
		WITH_FIXTURE(removing_it_without_a_look_is_right),
		WITH_FIXTURE(a_folder_that_cannot_be_made_is_counted),
		WITH_FIXTURE(a_scan_leaves_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
