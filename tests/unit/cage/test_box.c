/* The cage's own folder: made, measured, emptied; and what a process has left once it is in the
 * box. */
#include "help.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "box.h"
#include "folders.h"

static char root[64];

static int make_root(void **state)
{
	(void)state;
	mw_log_open("test", MW_ERROR);
	strcpy(root, "/tmp/mw-box-XXXXXX");
	return mkdtemp(root) != NULL ? 0 : -1;
}

static int remove_root(void **state)
{
	(void)state;
	box_empty(root, true);
	return access(root, F_OK) == 0;
}

static void put(const char *folder, const char *name, size_t n)
{
	char path[512];
	char *block = calloc(1, n + 1);
	int fd;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	fd = open(path, O_WRONLY | O_CREAT, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, block, n), n);
	close(fd);
	free(block);
}

static void a_folder_is_measured_and_emptied_with_all_that_is_in_it(void **state)
{
	char path[SCAN_PATH_MAX], deep[400];
	struct mw_err err;
	struct box box;

	(void)state;
	assert_int_equal(box_make_folder(path, root, 7, &err), MW_OK);
	mw_strlcpy(box.path, path, sizeof(box.path));
	box.dir = open(path, O_RDONLY | O_DIRECTORY);
	assert_int_equal(box_usage(path), 0);
	assert_true(box_clean(&box));
	snprintf(deep, sizeof(deep), "%s/a", path);
	assert_int_equal(mkdir(deep, 0700), 0);
	put(path, "one", 8192);
	put(deep, "two", 4096);
	assert_true(box_usage(path) >= 12288);
	assert_false(box_clean(&box));
	assert_true(box_clean(&box));
	assert_int_equal(box_usage(path), 0);
	box_empty(path, true);
	assert_int_equal(access(path, F_OK), -1);
	close(box.dir);
}

static void a_link_in_the_folder_is_removed_not_followed(void **state)
{
	char path[SCAN_PATH_MAX], link[400], kept[400];
	struct mw_err err;

	(void)state;
	snprintf(kept, sizeof(kept), "%s/kept", root);
	assert_int_equal(mkdir(kept, 0700), 0);
	put(kept, "file", 10);
	assert_int_equal(box_make_folder(path, root, 8, &err), MW_OK);
	snprintf(link, sizeof(link), "%s/link", path);
	assert_int_equal(symlink(kept, link), 0);
	box_empty(path, true);
	snprintf(kept, sizeof(kept), "%s/kept/file", root);
	assert_int_equal(access(kept, F_OK), 0);
}

/* As the user that cages have: root may read whatever it likes. The number of what went wrong. */
static int hides_what_it_writes(void)
{
	char path[SCAN_PATH_MAX], hidden[400];
	struct mw_err err;

	if (geteuid() == 0 && (chmod(root, 0777) != 0 || setuid(65534) != 0))
		return 1;
	if (box_make_folder(path, root, 9, &err) != MW_OK)
		return 2;
	for (mode_t mode = 0; mode < 0700; mode += 0100) {
		snprintf(hidden, sizeof(hidden), "%s/%o", path, mode);
		if (mkdir(hidden, 0700) != 0)
			return 3;
		put(hidden, "file", 5000);
		snprintf(hidden, sizeof(hidden), "%s/%o/more", path, mode);
		if (mkdir(hidden, 0700) != 0)
			return 4;
		put(hidden, "file", 5000);
		snprintf(hidden, sizeof(hidden), "%s/%o", path, mode);
		if (chmod(hidden, mode) != 0)
			return 5;
		/* Readable and searchable, or not: then it is as good as full. */
		if ((box_usage(path) == UINT64_MAX) != ((mode & 0500) != 0500))
			return 6;
		if ((mode & 0500) != 0500 && chmod(hidden, 0500) != 0)
			return 7;
	}
	snprintf(hidden, sizeof(hidden), "%s/%o/more", path, 0500);
	if (chmod(hidden, 0) != 0)
		return 8;
	box_empty(path, true);
	return access(path, F_OK) == 0 ? 9 : 0;
}

static void what_may_not_be_read_counts_as_full_and_is_removed(void **state)
{
	int status;
	pid_t pid = fork();

	(void)state;
	if (pid == 0)
		_exit(hides_what_it_writes());
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

/* Names, the ones that are needed to move folders up among them, and far deeper than PATH_MAX. */
static void however_deep_it_is_it_is_measured_and_removed(void **state)
{
	char path[SCAN_PATH_MAX], name[200];
	struct mw_err err;
	int at;

	(void)state;
	memset(name, 'd', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	assert_int_equal(box_make_folder(path, root, 10, &err), MW_OK);
	at = open(path, O_RDONLY | O_DIRECTORY);
	assert_int_equal(mkdirat(at, "..1", 0700), 0);
	assert_int_equal(mkdirat(at, "..1/full", 0700), 0);
	for (int i = 0; i < 60; i++) {
		int below;

		assert_int_equal(mkdirat(at, name, 0700), 0);
		assert_int_equal(mkdirat(at, "beside", 0700), 0);
		below = openat(at, name, O_RDONLY | O_DIRECTORY);
		assert_true(below >= 0);
		close(at);
		at = below;
	}
	close(at);
	assert_true(box_usage(path) == UINT64_MAX);
	box_empty(path, true);
	assert_int_equal(access(path, F_OK), -1);
}

static void files_without_a_name_count_while_they_are_open(void **state)
{
	char path[SCAN_PATH_MAX], name[400];
	struct mw_err err;
	int fd;

	(void)state;
	assert_int_equal(box_make_folder(path, root, 11, &err), MW_OK);
	put(path, "x", 1 << 20);
	snprintf(name, sizeof(name), "%s/x", path);
	fd = open(name, O_RDONLY);
	assert_int_equal(box_open_usage(getpid(), path, 0), 0);
	unlink(name);
	assert_true(box_open_usage(getpid(), path, 0) >= 1 << 20);
	assert_int_equal(box_open_usage(getpid(), path, UINT64_MAX), 0);
	close(fd);
	assert_int_equal(box_open_usage(getpid(), path, 0), 0);
	box_empty(path, true);
}

static void folders_of_dead_holders_are_swept_and_those_of_the_living_kept(void **state)
{
	char first[SCAN_PATH_MAX], second[SCAN_PATH_MAX], dead[400];
	struct mw_err err;

	(void)state;
	snprintf(dead, sizeof(dead), "%s/holder-dead", root);
	assert_int_equal(mkdir(dead, 0700), 0);
	put(dead, "rest", 10);
	assert_int_equal(folders_open(first, sizeof(first), root, &err), MW_OK);
	assert_int_equal(access(dead, F_OK), -1);
	assert_int_equal(folders_open(second, sizeof(second), root, &err), MW_OK);
	assert_int_equal(access(first, F_OK), 0);
	folders_close(first);
	folders_close(second);
	assert_int_equal(access(first, F_OK), -1);
}

static void a_folder_that_cannot_be_made_is_told_with_its_setting(void **state)
{
	char path[SCAN_PATH_MAX];
	struct mw_err err;

	(void)state;
	assert_int_equal(folders_open(path, sizeof(path), "/proc/no/such", &err), MW_ERR_IO);
	assert_non_null(strstr(err.text, "scanner.temp_dir"));
	assert_string_equal(path, "");
}

/* ------------------------------------------------------------------ in the box */

/* The soft limit after box_cpu_limit. */
static uint64_t limited(struct box *box, uint64_t used_us, uint64_t seconds)
{
	struct rlimit l = { 0, 0 };

	box_cpu_limit(box, used_us, seconds);
	return getrlimit(RLIMIT_CPU, &l) == 0 && l.rlim_max == RLIM_INFINITY ? l.rlim_cur : 0;
}

/* Every mail has its seconds, whatever those before it took. */
static int cpu_limits(struct box *box)
{
	if (limited(box, 0, 60) != 61 || limited(box, 999999, 60) != 61)
		return 9;
	if (limited(box, 1000000, 60) != 62 || limited(box, 59999999, 60) != 120)
		return 10;
	return limited(box, box_cpu_us(), 30) <= 60 ? 0 : 11;
}

/* Exit code tells which promise did not hold. */
static int look_around(const char *path, int other)
{
	struct scan_conf conf = test_conf();
	struct box box = { .sock = -1 };
	struct mw_err err = { "" };
	struct rlimit l;
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair) != 0)
		return 1;
	box.sock = pair[1];
	mw_strlcpy(box.path, path, sizeof(box.path));
	if (box_enter(&box, &conf, getppid(), &err) != MW_OK)
		return 2;
	if (fcntl(other, F_GETFD) != -1 || fcntl(pair[0], F_GETFD) != -1)
		return 3; /* somebody else's socket */
	if (getrlimit(RLIMIT_FSIZE, &l) != 0 || l.rlim_max != conf.file_size)
		return 4;
	if (getrlimit(RLIMIT_NOFILE, &l) != 0 || l.rlim_max != conf.files)
		return 5;
	if (getrlimit(RLIMIT_AS, &l) != 0 || l.rlim_max < conf.memory ||
		l.rlim_max == RLIM_INFINITY)
		return 6;
	if (open("/etc/passwd", O_RDONLY) >= 0 || errno != EACCES)
		return 7;
	put(".", "own", 10);
	if (box_clean(&box) || !box_clean(&box))
		return 8;
	return cpu_limits(&box);
}

static void in_the_box_only_its_own_things_are_left(void **state)
{
	char path[SCAN_PATH_MAX];
	int other[2], status;
	struct mw_err err;
	pid_t pid;

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, other), 0);
	assert_int_equal(box_make_folder(path, root, 9, &err), MW_OK);
	pid = fork();
	if (pid == 0)
		_exit(look_around(path, other[0]));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
	close(other[0]);
	close(other[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_folder_is_measured_and_emptied_with_all_that_is_in_it),
		cmocka_unit_test(a_link_in_the_folder_is_removed_not_followed),
		cmocka_unit_test(what_may_not_be_read_counts_as_full_and_is_removed),
		cmocka_unit_test(however_deep_it_is_it_is_measured_and_removed),
		cmocka_unit_test(files_without_a_name_count_while_they_are_open),
		cmocka_unit_test(folders_of_dead_holders_are_swept_and_those_of_the_living_kept),
		cmocka_unit_test(a_folder_that_cannot_be_made_is_told_with_its_setting),
		cmocka_unit_test(in_the_box_only_its_own_things_are_left),
	};

	return cmocka_run_group_tests_name("box", tests, make_root, remove_root);
}
