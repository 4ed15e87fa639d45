/* Who could change a file: modes, owners, folders on the way, symbolic links. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include "guard.h"

#define STRANGER 4711
#define HIS_GROUP 4712

static const struct mw_guard_user stranger = {
	.name = "stranger", .uid = STRANGER, .group_count = 1, .groups = { HIS_GROUP }
};
static const struct mw_guard_user root = { .name = "root" };
static char dir[64], file[100];

static int make_dir(void **state)
{
	int fd;

	(void)state;
	strcpy(dir, "/tmp/mailweir-test-guard-XXXXXX");
	if (mkdtemp(dir) == NULL || chmod(dir, 0755) < 0)
		return -1;
	snprintf(file, sizeof(file), "%s/mailweir.lua", dir);
	fd = open(file, O_CREAT | O_WRONLY, 0644);
	return fd < 0 ? -1 : close(fd);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static int remove_dir(void **state)
{
	(void)state;
	return nftw(dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static const char *at(const char *name)
{
	static char paths[4][200];
	static unsigned turn;
	char *path = paths[turn++ % 4];

	snprintf(path, sizeof(paths[0]), "%s/%s", dir, name);
	return path;
}

static void safe(const char *path, const struct mw_guard_user *u)
{
	struct mw_err err = { "" };

	mw_guard_path(path, u, &err);
	assert_string_equal(err.text, "");
}

/* Refused, and of this path in this way. */
static void unsafe(
	const char *path, const struct mw_guard_user *u, const char *which, const char *how)
{
	struct mw_err err = { "" };
	char begin[400];

	assert_int_equal(mw_guard_path(path, u, &err), MW_ERR_CONF);
	snprintf(begin, sizeof(begin), "%s %s", which, how);
	if (strncmp(err.text, begin, strlen(begin)) != 0)
		fail_msg("not \"%s\": %s", begin, err.text);
}

static void a_file_of_somebody_else_is_safe(void **state)
{
	(void)state;
	safe(file, &stranger);
	safe(file, &root);
	chmod(file, 0400);
	safe(file, &stranger);
}

static void a_file_for_everybody_is_not(void **state)
{
	(void)state;
	chmod(file, 0646);
	unsafe(file, &stranger, file, "is writable by everybody: it could change");
	unsafe(file, &root, file, "is writable by everybody");
}

static void a_group_counts_when_he_is_in_it(void **state)
{
	struct mw_guard_user u = stranger;

	(void)state;
	chmod(file, 0664);
	safe(file, &u);
	u.groups[u.group_count++] = getegid();
	unsafe(file, &u, file, "is writable by a group of the user stranger that the service");
	chmod(file, 0644);
	safe(file, &u);
	safe(file, &root);
}

static void an_owner_could_always_write(void **state)
{
	(void)state;
	if (geteuid() != 0)
		skip();
	assert_int_equal(chown(file, STRANGER, 0), 0);
	chmod(file, 0400);
	unsafe(file, &stranger, file, "belongs to the user stranger");
	safe(file, &root);
}

static void who_may_write_a_folder_on_the_way_could_replace_the_file(void **state)
{
	(void)state;
	chmod(dir, 0777);
	unsafe(file, &stranger, dir, "is writable by everybody: it could replace");
	unsafe(file, &root, dir, "is writable by everybody");
	chmod(dir, 0755);
	mkdir(at("a"), 0755);
	mkdir(at("a/b"), 0755);
	rename(file, at("a/b/x.lua"));
	safe(at("a/b/x.lua"), &stranger);
	chmod(at("a"), 0777);
	unsafe(at("a/b/x.lua"), &stranger, at("a"), "is writable by everybody");
}

static void with_the_sticky_bit_only_owners_could(void **state)
{
	(void)state;
	chmod(dir, 01777);
	safe(file, &stranger);
	safe(file, &root);
	unsafe(dir, &stranger, dir, "is writable by everybody: it could add");
	mkdir(at("his"), 0755);
	rename(file, at("his/x.lua"));
	if (geteuid() != 0)
		return;
	assert_int_equal(chown(at("his"), STRANGER, 0), 0);
	unsafe(at("his/x.lua"), &stranger, dir, "is writable by everybody");
	chmod(dir, 0755);
	unsafe(at("his/x.lua"), &stranger, at("his"), "belongs to the user stranger");
	chmod(at("his"), 01755);
	unsafe(at("his/x.lua"), &stranger, at("his"), "belongs to the user stranger");
}

static void a_link_is_as_safe_as_its_folder_and_its_target(void **state)
{
	(void)state;
	mkdir(at("open"), 0755);
	mkdir(at("etc"), 0755);
	assert_int_equal(symlink("../mailweir.lua", at("open/hop")), 0);
	assert_int_equal(symlink(at("open/hop"), at("etc/x.lua")), 0);
	safe(at("etc/x.lua"), &stranger);
	chmod(at("open"), 0777);
	unsafe(at("etc/x.lua"), &stranger, at("open"), "is writable by everybody");
	chmod(at("open"), 0755);
	chmod(file, 0666);
	unsafe(at("etc/x.lua"), &stranger, file, "is writable by everybody");
}

static void a_link_of_his_in_a_sticky_folder_is_his_to_change(void **state)
{
	(void)state;
	if (geteuid() != 0)
		skip();
	mkdir(at("open"), 0755);
	chmod(at("open"), 01777);
	assert_int_equal(symlink("../mailweir.lua", at("open/x.lua")), 0);
	safe(at("open/x.lua"), &stranger);
	assert_int_equal(lchown(at("open/x.lua"), STRANGER, 0), 0);
	unsafe(at("open/x.lua"), &stranger, at("open"), "is writable by everybody");
}

static void what_leads_nowhere_is_an_error(void **state)
{
	struct mw_err err = { "" };
	char *text = malloc(5000);

	(void)state;
	assert_int_equal(mw_guard_path(at("none.lua"), &stranger, &err), MW_ERR_CONF);
	assert_non_null(strstr(err.text, "No such file"));
	assert_int_equal(symlink("loop", at("loop")), 0);
	assert_int_equal(mw_guard_path(at("loop"), &stranger, &err), MW_ERR_CONF);
	assert_non_null(strstr(err.text, "Too many levels"));
	memset(text, 'a', 4999);
	text[4999] = '\0';
	assert_int_equal(mw_guard_path(text, &stranger, &err), MW_ERR_CONF);
	assert_non_null(strstr(err.text, "path of more than"));
	free(text);
}

static void a_path_may_be_relative_and_go_up(void **state)
{
	char here[1000];

	(void)state;
	assert_non_null(getcwd(here, sizeof(here)));
	mkdir(at("sub"), 0755);
	assert_int_equal(chdir(at("sub")), 0);
	safe("../mailweir.lua", &stranger);
	safe(".././/mailweir.lua", &stranger);
	safe("..", &stranger);
	chmod(file, 0666);
	unsafe("../mailweir.lua", &stranger, file, "is writable by everybody");
	assert_int_equal(chdir(here), 0);
	safe("/", &stranger);
	safe("/../..", &stranger);
}

static void users_are_found_by_name_and_ourselves(void **state)
{
	struct mw_guard_user u;
	struct mw_err err = { "" };

	(void)state;
	assert_int_equal(mw_guard_user_named(&u, "root", &err), MW_OK);
	assert_int_equal(u.uid, 0);
	assert_int_equal(mw_guard_user_named(&u, "no-such-user", &err), MW_ERR_CONF);
	assert_non_null(strstr(err.text, "there is no such user"));
	assert_int_equal(mw_guard_user_self(&u, &err), MW_OK);
	assert_int_equal(u.uid, geteuid());
	assert_true(u.group_count >= 1);
}

static void complaints_about_settings_are_made_once_each(void **state)
{
	struct mw_text complaints = { 0 };
	struct mw_conf *conf = NULL;
	char *errors = NULL, expected[600];

	(void)state;
	mkdir(at("conf.d"), 0755);
	for (int i = 0; i < 3; i++) {
		char name[40];

		snprintf(name, sizeof(name), "conf.d/%d.lua", i);
		close(open(at(name), O_CREAT | O_WRONLY, 0644));
	}
	assert_int_equal(mw_conf_load(file, &conf, &errors), MW_OK);
	assert_int_equal(mw_guard_conf(conf, &stranger, &complaints), MW_OK);
	chmod(at("conf.d"), 0777);
	chmod(file, 0666);
	assert_int_equal(mw_guard_conf(conf, &stranger, &complaints), MW_ERR_CONF);
	snprintf(expected, sizeof(expected),
		"%s is writable by everybody: it could change its own settings; chown it to root, "
		"chmod go-w\n"
		"%s is writable by everybody: it could replace the settings below; chown it to "
		"root, chmod go-w\n"
		"%s is writable by everybody: it could add settings of its own; chown it to root, "
		"chmod go-w\n",
		file, at("conf.d"), at("conf.d"));
	assert_string_equal(complaints.p, expected);
	mw_text_fini(&complaints);
	mw_conf_destroy(&conf);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, make_dir, remove_dir)
	const struct CMUnitTest tests[] = {
		TEST(a_file_of_somebody_else_is_safe),
		TEST(a_file_for_everybody_is_not),
		TEST(a_group_counts_when_he_is_in_it),
		TEST(an_owner_could_always_write),
		TEST(who_may_write_a_folder_on_the_way_could_replace_the_file),
		TEST(with_the_sticky_bit_only_owners_could),
		TEST(a_link_is_as_safe_as_its_folder_and_its_target),
		TEST(a_link_of_his_in_a_sticky_folder_is_his_to_change),
		TEST(what_leads_nowhere_is_an_error),
		TEST(a_path_may_be_relative_and_go_up),
		TEST(users_are_found_by_name_and_ourselves),
		TEST(complaints_about_settings_are_made_once_each),
	};
#undef TEST

	return cmocka_run_group_tests(tests, NULL, NULL);
}
