/* Settings in several files: which are read, in which order, who set what, and what goes wrong. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include "conf.h"
#include "conf_priv.h"

static char dir[64], first[100];

/* ------------------------------------------------------------------ a folder for each test */

static int make_dir(void **state)
{
	(void)state;
	strcpy(dir, "/tmp/mailweir-test-files-XXXXXX");
	if (mkdtemp(dir) == NULL)
		return -1;
	snprintf(first, sizeof(first), "%s/mailweir.lua", dir);
	return 0;
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

static void put_octets(const char *name, const char *text, size_t n)
{
	FILE *f = fopen(at(name), "w");

	assert_non_null(f);
	assert_int_equal(fwrite(text, 1, n, f), n);
	fclose(f);
}

static void put(const char *name, const char *text)
{
	put_octets(name, text, strlen(text));
}

static void put_conf_d(void)
{
	assert_int_equal(mkdir(at("conf.d"), 0755), 0);
}

static struct mw_conf *load(void)
{
	struct mw_conf *conf = NULL;
	char *errors = NULL;

	mw_conf_load(first, &conf, &errors);
	if (errors != NULL)
		print_message("%s", errors);
	assert_non_null(conf);
	return conf;
}

/* A text without the folder's name, in a buffer of its own. */
static const char *bare(const char *text)
{
	static char buf[32768];
	char *out = buf;
	size_t n = strlen(dir);

	while (*text != '\0' && out < buf + sizeof(buf) - 1)
		if (strncmp(text, dir, n) == 0 && text[n] == '/')
			text += n + 1;
		else
			*out++ = *text++;
	*out = '\0';
	return buf;
}

static void refused(const char *expected)
{
	struct mw_conf *conf = NULL;
	char *errors = NULL;

	assert_int_equal(mw_conf_load(first, &conf, &errors), MW_ERR_CONF);
	assert_null(conf);
	assert_string_equal(bare(errors), expected);
	free(errors);
}

static void refused_saying(const char *word)
{
	struct mw_conf *conf = NULL;
	char *errors = NULL;

	assert_int_equal(mw_conf_load(first, &conf, &errors), MW_ERR_CONF);
	if (strstr(bare(errors), word) == NULL)
		fail_msg("\"%s\" is not in: %s", word, errors);
	free(errors);
}

static const char *origin(const struct mw_conf *conf, const char *name)
{
	char buf[600];

	return bare(mw_conf_origin(conf, name, buf, sizeof(buf)));
}

static const char *where(const struct mw_conf *conf, const struct mw_val *v)
{
	char buf[600];

	return bare(mw_conf_where(conf, v->line, buf, sizeof(buf)));
}

/* ------------------------------------------------------------------ which files */

static void without_conf_d_there_is_the_one_file(void **state)
{
	const char *const *files;
	struct mw_conf *conf;

	(void)state;
	put("mailweir.lua", "log_level = 1");
	put("other.lua", "log_level = 2");
	conf = load();
	assert_int_equal(mw_conf_files(conf, &files), 1);
	assert_string_equal(files[0], first);
	assert_int_equal(mw_conf_int(conf, "log_level"), 1);
	mw_conf_destroy(&conf);
}

static void an_empty_conf_d_adds_nothing(void **state)
{
	const char *const *files;
	struct mw_conf *conf;

	(void)state;
	put("mailweir.lua", "log_level = 1");
	put_conf_d();
	conf = load();
	assert_int_equal(mw_conf_files(conf, &files), 1);
	mw_conf_destroy(&conf);
}

static void conf_d_is_read_in_the_order_of_names_and_the_last_wins(void **state)
{
	struct mw_text files = { 0 };
	struct mw_conf *conf;

	(void)state;
	put("mailweir.lua", "log_level = 1\nmyhostname = 'a'");
	put_conf_d();
	put("conf.d/9.lua", "log_level = 5");
	put("conf.d/10.lua", "\n\nlog_level = 3\nmyhostname = 'b'");
	put("conf.d/Z.lua", "-- upper case is before lower case\nlog_level = 4\n");
	conf = load();
	mw_conf_print_files(&files, conf);
	assert_string_equal(
		bare(files.p), "mailweir.lua, conf.d/10.lua, conf.d/9.lua, conf.d/Z.lua");
	mw_text_fini(&files);
	assert_int_equal(mw_conf_int(conf, "log_level"), 4);
	assert_string_equal(origin(conf, "log_level"), "conf.d/Z.lua:2");
	assert_string_equal(origin(conf, "myhostname"), "conf.d/10.lua:4");
	assert_string_equal(origin(conf, "pipeline.run_dir"), "default");
	mw_conf_destroy(&conf);
}

static void what_editors_and_packages_leave_is_not_read(void **state)
{
	static const char *const names[] = { "conf.d/.hidden.lua", "conf.d/10.lua~",
		"conf.d/.10.lua.swp", "conf.d/10.lua.dpkg-old", "conf.d/README", "conf.d/.lua",
		"conf.d/#10.lua#" };
	struct mw_conf *conf;

	(void)state;
	put("mailweir.lua", "");
	put_conf_d();
	for (size_t i = 0; i < MW_COUNT(names); i++)
		put(names[i], "this is no Lua");
	put("conf.d/10.lua", "log_level = 2");
	conf = load();
	assert_int_equal(mw_conf_int(conf, "log_level"), 2);
	mw_conf_destroy(&conf);
}

static void further_files_come_behind_conf_d(void **state)
{
	struct mw_conf_given given = { 0 };
	struct mw_conf *conf = NULL;
	char *errors = NULL;

	(void)state;
	put("mailweir.lua", "log_level = 1 pipeline.max_workers = 10");
	put_conf_d();
	put("conf.d/a.lua", "log_level = log_level + 1");
	put("here.lua", "log_level = log_level + 1\npipeline.max_workers = 20");
	put("last.lua", "log_level = log_level + 1");
	assert_true(mw_conf_given_add(&given, first));
	assert_true(mw_conf_given_add(&given, at("here.lua")));
	assert_true(mw_conf_given_add(&given, at("last.lua")));
	assert_int_equal(mw_conf_load_given(&given, &conf, &errors), MW_OK);
	assert_int_equal(mw_conf_int(conf, "log_level"), 4);
	assert_string_equal(origin(conf, "log_level"), "last.lua:1");
	assert_string_equal(origin(conf, "pipeline.max_workers"), "here.lua:2");
	mw_conf_destroy(&conf);
}

static void a_variable_may_name_several_files(void **state)
{
	struct mw_conf_given given = { 0 };
	char text[300];

	(void)state;
	snprintf(text, sizeof(text), "/a.lua:/b.lua");
	setenv("MAILWEIR_CONFIG", text, 1);
	assert_true(mw_conf_given_default(&given));
	assert_int_equal(given.count, 2);
	assert_string_equal(given.names[0], "/a.lua");
	assert_string_equal(given.names[1], "/b.lua");
	given.count = 0;
	assert_true(mw_conf_given_add(&given, "/c.lua")); /* what is named goes before it */
	assert_true(mw_conf_given_default(&given));
	assert_int_equal(given.count, 1);
	unsetenv("MAILWEIR_CONFIG");
}

static void one_more_name_than_there_is_room_for_is_refused(void **state)
{
	struct mw_conf_given given = { 0 };
	char text[8000] = "";

	(void)state;
	for (int i = 0; i < MW_CONF_GIVEN_MAX; i++)
		strcat(text, ":/x.lua");
	setenv("MAILWEIR_CONFIG", text, 1);
	assert_true(mw_conf_given_default(&given));
	assert_int_equal(given.count, MW_CONF_GIVEN_MAX);
	assert_false(mw_conf_given_add(&given, "/y.lua"));
	strcat(text, ":/x.lua");
	setenv("MAILWEIR_CONFIG", text, 1);
	given.count = 0;
	assert_false(mw_conf_given_default(&given));
	memset(text, 'a', sizeof(given.text) - 1);
	text[sizeof(given.text) - 1] = '\0';
	setenv("MAILWEIR_CONFIG", text, 1);
	given.count = 0;
	assert_true(mw_conf_given_default(&given));
	strcat(text, "a");
	setenv("MAILWEIR_CONFIG", text, 1);
	given.count = 0;
	assert_false(mw_conf_given_default(&given));
	unsetenv("MAILWEIR_CONFIG");
}

/* ------------------------------------------------------------------ one program */

static void a_later_file_sees_adds_and_replaces(void **state)
{
	const struct mw_conf *alt;
	struct mw_conf *conf;
	const char *const *items;

	(void)state;
	put("mailweir.lua",
		"myhostname = 'mx'\nforward_method = { '10.0.0.1' }\n"
		"policy_bank.ALT = {\n  final_spam_destiny = D_PASS,\n  originating = true,\n}\n"
		"policy_bank.OLD = {\n  originating = true,\n}\n");
	put_conf_d();
	put("conf.d/1.lua",
		"table.insert(forward_method, '10.0.0.2')\nX_HEADER_LINE = myhostname .. '!'\n"
		"policy_bank.NEW = { final_spam_destiny = D_BOUNCE }\n"
		"policy_bank.OLD = {\n  final_spam_destiny = D_DISCARD,\n}\n"
		"policy_bank.ALT.final_spam_destiny = D_REJECT\n"
		"if myhostname == 'other' then\n  policy_bank.ALT.originating = false\nend\n");
	put("conf.d/2.lua", "interface_policy = { [10026] = 'NEW' }\n"
			    "dkim_key('example.org', 's', '/k')\n");
	conf = load();
	assert_int_equal(mw_conf_list(conf, "forward_method", &items), 2);
	assert_string_equal(mw_conf_text(conf, "X_HEADER_LINE"), "mx!");
	alt = mw_conf_bank(conf, "ALT");
	assert_int_equal(mw_conf_int(alt, "final_spam_destiny"), MW_D_REJECT);
	assert_string_equal(origin(alt, "final_spam_destiny"), "policy bank ALT, conf.d/1.lua:7");
	assert_true(mw_conf_bool(alt, "originating"));
	assert_string_equal(origin(alt, "originating"), "policy bank ALT, mailweir.lua:5");
	assert_false(mw_conf_bool(mw_conf_bank(conf, "OLD"), "originating"));
	assert_string_equal(origin(mw_conf_bank(conf, "OLD"), "final_spam_destiny"),
		"policy bank OLD, conf.d/1.lua:5");
	assert_string_equal(origin(mw_conf_bank(conf, "NEW"), "final_spam_destiny"),
		"policy bank NEW, conf.d/1.lua:3");
	assert_string_equal(origin(conf, "interface_policy"), "conf.d/2.lua:1");
	assert_string_equal(where(conf, &mw_conf_val(conf, "dkim_key")->vals[0]), "conf.d/2.lua:2");
	assert_string_equal(where(conf, mw_val_field(mw_conf_val(conf, "policy_bank"), "ALT")),
		"mailweir.lua:3");
	mw_conf_destroy(&conf);
}

static void locals_are_of_their_file(void **state)
{
	(void)state;
	put("mailweir.lua", "local mine = 3\nlog_level = mine");
	put_conf_d();
	put("conf.d/1.lua", "\nlog_level = mine");
	refused("conf.d/1.lua:2: mine: unknown name\n");
}

/* ------------------------------------------------------------------ errors */

static void errors_of_all_files_are_told_together_in_the_order_of_reading(void **state)
{
	(void)state;
	put("mailweir.lua", "log_levl = 3\nlog_level =\n  99\n");
	put_conf_d();
	put("conf.d/1.lua", "log_level = 2\nfinal_spam_destiny = = 1\n"); /* does not run at all */
	put("conf.d/2.lua", "error('here')\n");
	put("conf.d/3.lua", "pipeline = {\n  rundir = 'x',\n  front = 5 }\n"
			    "policy_bank.A = { nix = 1 }\n");
	refused("mailweir.lua:1: log_levl: unknown setting; did you mean log_level?\n"
		"mailweir.lua:2: log_level = 99: expected a whole number from -3 to 5\n"
		"conf.d/1.lua:2: unexpected symbol near '='\n"
		"conf.d/2.lua:1: here\n"
		"conf.d/3.lua:2: pipeline.rundir: unknown setting; did you mean "
		"pipeline.run_dir?\n"
		"conf.d/3.lua:3: pipeline.front = 5: expected a string of 1 to 1000 octets\n"
		"conf.d/3.lua:4: policy_bank.A.nix: unknown setting\n");
}

static void a_value_that_is_wrong_at_last_names_the_file_that_set_it(void **state)
{
	(void)state;
	put("mailweir.lua", "log_level = 1");
	put_conf_d();
	put("conf.d/1.lua", "\nlog_level = 99");
	put("conf.d/2.lua", "myhostname = 'x'");
	refused("conf.d/1.lua:2: log_level = 99: expected a whole number from -3 to 5\n");
}

static void what_is_no_file_is_told_and_the_others_are_read(void **state)
{
	(void)state;
	put("mailweir.lua", "log_level = 99");
	put_conf_d();
	assert_int_equal(mkdir(at("conf.d/1.lua"), 0755), 0);
	assert_int_equal(mkfifo(at("conf.d/2.lua"), 0644), 0);
	assert_int_equal(symlink("3.lua", at("conf.d/3.lua")), 0);
	assert_int_equal(symlink("nowhere", at("conf.d/4.lua")), 0);
	put("conf.d/5.lua", "nix = 1");
	refused("mailweir.lua:1: log_level = 99: expected a whole number from -3 to 5\n"
		"conf.d/1.lua: expected a file of at most 1048576 octets\n"
		"conf.d/2.lua: expected a file of at most 1048576 octets\n"
		"conf.d/3.lua: cannot be read: Too many levels of symbolic links\n"
		"conf.d/4.lua: cannot be read: No such file or directory\n"
		"conf.d/5.lua:1: nix: unknown setting\n");
}

static void a_file_or_folder_without_permission_is_told(void **state)
{
	(void)state;
	if (geteuid() == 0)
		skip(); /* root reads all: test_service.c does it as somebody else */
	put("mailweir.lua", "");
	put_conf_d();
	put("conf.d/1.lua", "");
	assert_int_equal(chmod(at("conf.d/1.lua"), 0), 0);
	refused("conf.d/1.lua: cannot be read: Permission denied\n");
	assert_int_equal(chmod(at("conf.d"), 0), 0);
	refused("conf.d: cannot be read: Permission denied\n");
	assert_int_equal(chmod(at("conf.d"), 0755), 0);
}

static void a_conf_d_that_is_no_folder_is_told(void **state)
{
	(void)state;
	put("mailweir.lua", "");
	put("conf.d", "");
	refused("conf.d: expected a folder of settings files\n");
	assert_int_equal(unlink(at("conf.d")), 0);
	assert_int_equal(symlink("nowhere", at("conf.d")), 0);
	refused("conf.d: cannot be read: No such file or directory\n");
}

static void a_conf_d_of_a_stranger_is_not_read(void **state)
{
	(void)state;
	if (geteuid() != 0)
		skip(); /* only root makes folders of others */
	put("mailweir.lua", "");
	put_conf_d();
	assert_int_equal(chown(at("conf.d"), 4711, 0), 0);
	refused_saying("conf.d: belongs to user id 4711, who owns neither mailweir.lua nor this");
	assert_int_equal(chown(first, 4711, 0), 0);
	put("conf.d/1.lua", "nix = 1"); /* a folder of the one who wrote the file is */
	refused("conf.d/1.lua:1: nix: unknown setting\n");
}

/* ------------------------------------------------------------------ limits */

static void the_number_of_files_has_a_limit(void **state)
{
	struct mw_conf *conf;
	char name[40];

	(void)state;
	put("mailweir.lua", "log_level = 0");
	put_conf_d();
	for (int i = 1; i < MW_CONF_FILES_MAX; i++) {
		snprintf(name, sizeof(name), "conf.d/%03d.lua", i);
		put(name, "table.insert(inet_acl, '::1')");
	}
	conf = load();
	assert_int_equal(mw_conf_val(conf, "inet_acl")->count, MW_CONF_FILES_MAX + 1);
	mw_conf_destroy(&conf);
	put("conf.d/900.lua", "");
	put("conf.d/901.lua", "");
	refused("conf.d/900.lua: more than 200 files of settings\n");
}

static void all_octets_together_have_a_limit(void **state)
{
	char *text = malloc(MW_CONF_FILE_MAX), name[40];
	struct mw_conf *conf;

	(void)state;
	memset(text, '\n', MW_CONF_FILE_MAX);
	put("mailweir.lua", "");
	put_conf_d();
	for (int i = 1; i <= MW_CONF_TOTAL_MAX / MW_CONF_FILE_MAX; i++) {
		snprintf(name, sizeof(name), "conf.d/%d.lua", i);
		put_octets(name, text, MW_CONF_FILE_MAX);
	}
	conf = load();
	mw_conf_destroy(&conf);
	put("conf.d/9.lua", "\n");
	refused("conf.d/9.lua: with this one the settings are more than 8388608 octets\n");
	free(text);
}

static void the_last_line_of_the_longest_file_has_its_number(void **state)
{
	char *text = malloc(MW_CONF_FILE_MAX);

	(void)state;
	memset(text, '\n', MW_CONF_FILE_MAX);
	memcpy(text + MW_CONF_FILE_MAX - 1, "x", 1);
	put("mailweir.lua", "");
	put_conf_d();
	put_octets("conf.d/1.lua", text, MW_CONF_FILE_MAX);
	put("conf.d/2.lua", "nix = 1");
	refused("conf.d/1.lua:1048576: syntax error near <eof>\n"
		"conf.d/2.lua:1: nix: unknown setting\n");
	free(text);
}

static void the_budget_is_one_for_all_files(void **state)
{
	static const char busy[] = "local n = 0 for i = 1, 900000 do n = n + i end";
	char name[40];

	(void)state;
	put("mailweir.lua", "for i = 1, 10 do log_level = 0 end");
	put_conf_d();
	for (int i = 1; i <= 9; i++) { /* each takes a fifth of it */
		snprintf(name, sizeof(name), "conf.d/%d.lua", i);
		put(name, busy);
	}
	refused_saying("the file takes more than");
}

static void the_memory_is_one_for_all_files(void **state)
{
	(void)state;
	put("mailweir.lua", "");
	put_conf_d();
	for (int i = 1; i <= 9; i++) { /* each keeps an eighth of it */
		char name[40], text[200];

		snprintf(name, sizeof(name), "conf.d/%d.lua", i);
		snprintf(text, sizeof(text),
			"local s = 'x' for i = 1, 22 do s = s .. s end policy_bank.A%d = s", i);
		put(name, text);
	}
	refused_saying("lua:1: not enough memory");
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, make_dir, remove_dir)
	const struct CMUnitTest tests[] = {
		TEST(without_conf_d_there_is_the_one_file),
		TEST(an_empty_conf_d_adds_nothing),
		TEST(conf_d_is_read_in_the_order_of_names_and_the_last_wins),
		TEST(what_editors_and_packages_leave_is_not_read),
		TEST(further_files_come_behind_conf_d),
		TEST(a_variable_may_name_several_files),
		TEST(one_more_name_than_there_is_room_for_is_refused),
		TEST(a_later_file_sees_adds_and_replaces),
		TEST(locals_are_of_their_file),
		TEST(errors_of_all_files_are_told_together_in_the_order_of_reading),
		TEST(a_value_that_is_wrong_at_last_names_the_file_that_set_it),
		TEST(what_is_no_file_is_told_and_the_others_are_read),
		TEST(a_file_or_folder_without_permission_is_told),
		TEST(a_conf_d_that_is_no_folder_is_told),
		TEST(a_conf_d_of_a_stranger_is_not_read),
		TEST(the_number_of_files_has_a_limit),
		TEST(all_octets_together_have_a_limit),
		TEST(the_last_line_of_the_longest_file_has_its_number),
		TEST(the_budget_is_one_for_all_files),
		TEST(the_memory_is_one_for_all_files),
	};
#undef TEST

	return cmocka_run_group_tests(tests, NULL, NULL);
}
