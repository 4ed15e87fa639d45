/* Settings: what a file may say, what it must not, and on which line. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "conf.h"
#include "conf_priv.h"

static char path[] = "/tmp/mailweir-test-conf-XXXXXX";

static int make_file(void **state)
{
	int fd = mkstemp(path);

	(void)state;
	close(fd);
	return fd < 0;
}

static int remove_file(void **state)
{
	(void)state;
	return unlink(path);
}

/* Load the text as a file; the conf, or NULL and *errors_r with the file's name cut off each line.
 */
static struct mw_conf *load_octets(const char *text, size_t n, char **errors_r)
{
	struct mw_conf *conf = NULL;
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	assert_int_equal(fwrite(text, 1, n, f), n);
	fclose(f);
	mw_conf_load(path, &conf, errors_r);
	return conf;
}

static struct mw_conf *load(const char *text)
{
	char *errors = NULL;
	struct mw_conf *conf = load_octets(text, strlen(text), &errors);

	if (errors != NULL)
		print_message("%s", errors);
	assert_non_null(conf);
	assert_null(errors);
	return conf;
}

/* The file is refused with exactly these errors: "LINE: text" each. */
static void refused(const char *text, const char *expected)
{
	char *errors = NULL, bare[16384] = "", *save = NULL;
	struct mw_conf *conf = load_octets(text, strlen(text), &errors);

	assert_null(conf);
	assert_non_null(errors);
	for (char *line = strtok_r(errors, "\n", &save); line != NULL;
		line = strtok_r(NULL, "\n", &save)) {
		if (strncmp(line, path, strlen(path)) == 0)
			line += strlen(path) + 1;
		strcat(strcat(bare, line), "\n");
	}
	assert_string_equal(bare, expected);
	free(errors);
}

/* The file is refused, and the errors say this somewhere. */
static void refused_saying(const char *text, const char *word)
{
	char *errors = NULL;
	struct mw_conf *conf = load_octets(text, strlen(text), &errors);

	assert_null(conf);
	if (strstr(errors, word) == NULL)
		fail_msg("\"%s\" is not in: %s", word, errors);
	free(errors);
}

static const char *origin(const struct mw_conf *conf, const char *name)
{
	static char buf[600];

	mw_conf_origin(conf, name, buf, sizeof(buf));
	return strncmp(buf, path, strlen(path)) == 0 ? buf + strlen(path) + 1 : buf;
}

/* ------------------------------------------------------------------ the table */

static void every_default_is_of_its_own_type_and_range(void **state)
{
	struct mw_conf *conf = NULL;
	char *errors = NULL;

	(void)state;
	assert_int_equal(mw_conf_load(NULL, &conf, &errors), MW_OK);
	for (size_t i = 0; i < mw_settings_count; i++)
		assert_false(mw_conf_is_set(conf, mw_settings[i].name));
	assert_null(mw_conf_path(conf));
	mw_conf_destroy(&conf);
	assert_null(conf);
}

static void no_setting_and_no_variable_is_named_twice(void **state)
{
	(void)state;
	for (size_t i = 0; i < mw_settings_count; i++) {
		assert_int_equal(mw_setting_index(mw_settings[i].name), i);
		for (size_t j = 0; j < i && mw_settings[i].env != NULL; j++)
			if (mw_settings[j].env != NULL)
				assert_string_not_equal(mw_settings[i].env, mw_settings[j].env);
		if (mw_settings[i].env != NULL)
			assert_int_equal(strncmp(mw_settings[i].env, "MAILWEIR_", 9), 0);
	}
}

/* ------------------------------------------------------------------ values */

static void a_field_may_be_set_by_itself_or_in_a_constructor(void **state)
{
	struct mw_conf *conf = load("pipeline.run_dir = '/a'\npipeline = { front = "
				    "\"tcp://h:1\",\n plaintext = true }\n"
				    "log_level = 3");

	(void)state;
	assert_string_equal(mw_conf_text(conf, "pipeline.run_dir"), "/a");
	assert_string_equal(mw_conf_text(conf, "pipeline.front"), "tcp://h:1");
	assert_true(mw_conf_bool(conf, "pipeline.plaintext"));
	assert_int_equal(mw_conf_int(conf, "log_level"), 3);
	assert_string_equal(origin(conf, "pipeline.run_dir"), "1");
	assert_string_equal(origin(conf, "pipeline.front"), "2");
	assert_string_equal(origin(conf, "pipeline.plaintext"), "3");
	assert_string_equal(origin(conf, "http.listen"), "default");
	mw_conf_destroy(&conf);
}

static void the_last_assignment_wins_and_nil_unsets(void **state)
{
	struct mw_conf *conf =
		load("log_level = 1\nlog_level = 2\nmyhostname = 'a'\nmyhostname = nil\n");

	(void)state;
	assert_int_equal(mw_conf_int(conf, "log_level"), 2);
	assert_string_equal(origin(conf, "log_level"), "2");
	assert_null(mw_conf_text(conf, "myhostname"));
	assert_string_equal(origin(conf, "myhostname"), "4");
	mw_conf_destroy(&conf);
}

static void numbers_are_held_to_their_range_and_one_beyond_is_refused(void **state)
{
	struct mw_conf *conf = load("pipeline.max_workers = 1000");

	(void)state;
	assert_int_equal(mw_conf_int(conf, "pipeline.max_workers"), 1000);
	mw_conf_destroy(&conf);
	conf = load("pipeline.max_workers = 1");
	assert_int_equal(mw_conf_int(conf, "pipeline.max_workers"), 1);
	mw_conf_destroy(&conf);
	refused("pipeline.max_workers = 1001",
		"1: pipeline.max_workers = 1001: expected a whole number from 1 to 1000 workers\n");
	refused("pipeline.max_workers = 0",
		"1: pipeline.max_workers = 0: expected a whole number from 1 to 1000 workers\n");
	refused_saying("pipeline.max_workers = 1.5",
		"pipeline.max_workers = 1.5: expected a whole number");
	refused_saying("pipeline.max_workers = 0/0", "expected a whole number");
	refused_saying("pipeline.max_workers = 1e300", "expected a whole number");
	refused_saying("pipeline.max_workers = math.huge", "expected a whole number");
}

static void scores_are_kept_as_thousandths(void **state)
{
	struct mw_conf *conf = load("sa_kill_level_deflt = 6.31\nsa_tag2_level_deflt = -0.001");

	(void)state;
	assert_int_equal(mw_conf_int(conf, "sa_kill_level_deflt"), 6310);
	assert_int_equal(mw_conf_int(conf, "sa_tag2_level_deflt"), -1);
	mw_conf_destroy(&conf);
	refused_saying("sa_kill_level_deflt = 6.3101", "at most three decimals");
}

static void destinies_have_names_and_nothing_else_is_one(void **state)
{
	struct mw_conf *conf = load("final_spam_destiny = D_REJECT");

	(void)state;
	assert_int_equal(mw_conf_int(conf, "final_spam_destiny"), MW_D_REJECT);
	mw_conf_destroy(&conf);
	refused_saying("final_spam_destiny = 7", "expected D_PASS");
	refused_saying("final_spam_destiny = -1", "expected D_PASS");
	refused("final_spam_destiny = D_REJCT",
		"1: D_REJCT: unknown name; did you mean D_REJECT?\n");
}

static void zero_and_one_are_booleans_as_in_amavisd_conf(void **state)
{
	struct mw_conf *conf = load("originating = 1 pipeline.plaintext = 0");

	(void)state;
	assert_true(mw_conf_bool(conf, "originating"));
	assert_false(mw_conf_bool(conf, "pipeline.plaintext"));
	mw_conf_destroy(&conf);
	refused_saying("originating = 2", "originating = 2: expected true or false");
	refused_saying("originating = 'yes'", "originating = \"yes\": expected true or false");
}

static void a_text_has_a_longest_length_and_no_nul(void **state)
{
	char text[400] = "pipeline.run_dir = '/";
	struct mw_conf *conf;

	(void)state;
	memset(text + strlen(text), 'a', 79);
	strcat(text, "'");
	conf = load(text);
	assert_int_equal(strlen(mw_conf_text(conf, "pipeline.run_dir")), 80);
	mw_conf_destroy(&conf);
	strcpy(strrchr(text, '\''), "b'");
	refused_saying(text, "expected a string of 1 to 80 octets");
	refused_saying("pipeline.run_dir = ''", "expected a string of 1 to 80 octets");
	refused_saying("pipeline.run_dir = 'a\\0b'", "must not hold a NUL");
	refused_saying("pipeline.run_dir = 5", "pipeline.run_dir = 5: expected a string");
}

static void lists_are_of_strings_and_one_string_is_a_list_of_one(void **state)
{
	struct mw_conf *conf = load("unix_socketname = { '/a', '/b' } inet_socket_bind = '*'");
	const char *const *items;

	(void)state;
	assert_int_equal(mw_conf_list(conf, "unix_socketname", &items), 2);
	assert_string_equal(items[0], "/a");
	assert_string_equal(items[1], "/b");
	assert_int_equal(mw_conf_list(conf, "inet_socket_bind", &items), 1);
	assert_string_equal(items[0], "*");
	mw_conf_destroy(&conf);
	refused_saying("unix_socketname = { 'a', 5 }", "expected a list of 0 to 16 strings");
	refused_saying("unix_socketname = { 'a', nil, 'b' }", "expected a list");
	refused_saying("unix_socketname = { x = 'a' }", "expected a list");
}

static void maps_hold_constants_lists_and_hashes(void **state)
{
	struct mw_conf *conf =
		load("local_domains_maps = { '.example.org', { 'a.example', '!b.example' },\n"
		     " { ['.example.net'] = true, ['x.example.net'] = false } }\n"
		     "bypass_spam_checks_maps = 1");
	const struct mw_val *maps = mw_conf_val(conf, "local_domains_maps");

	(void)state;
	assert_true(maps->is_array);
	assert_int_equal(maps->count, 3);
	assert_string_equal(mw_val_text(&maps->vals[0], ""), ".example.org");
	assert_true(maps->vals[1].is_array);
	assert_false(maps->vals[2].is_array);
	assert_string_equal(maps->vals[2].keys[0], ".example.net"); /* the order of the file */
	assert_true(mw_val_bool(mw_val_field(&maps->vals[2], ".example.net"), false));
	assert_int_equal(maps->vals[2].line, 2);
	assert_int_equal(mw_val_int(&mw_conf_val(conf, "bypass_spam_checks_maps")->vals[0], 0), 1);
	mw_conf_destroy(&conf);
	refused_saying("local_domains_maps = { x = { 'a' } }", "expected a list of lookup tables");
}

static void dkim_key_appends_with_the_line_of_each_call(void **state)
{
	struct mw_conf *conf = load(
		"dkim_key('example.org', 's1', '/k/1.pem')\n\n"
		"dkim_key('example.net', 's2', '/k/2.pem', { c = 'relaxed/simple', ttl = 100 })\n");
	const struct mw_val *keys = mw_conf_val(conf, "dkim_key");

	(void)state;
	assert_int_equal(keys->count, 2);
	assert_true(keys->is_array);
	assert_string_equal(mw_val_text(mw_val_field(&keys->vals[0], "domain"), ""), "example.org");
	assert_string_equal(mw_val_text(mw_val_field(&keys->vals[1], "selector"), ""), "s2");
	assert_string_equal(mw_val_text(mw_val_field(&keys->vals[1], "file"), ""), "/k/2.pem");
	assert_int_equal(mw_val_int(mw_val_field(&keys->vals[1], "ttl"), 0), 100);
	assert_int_equal(keys->vals[0].line, 1);
	assert_int_equal(keys->vals[1].line, 3);
	mw_conf_destroy(&conf);
	refused_saying("dkim_key('example.org', 5, 'x')",
		"1: dkim_key: argument 2: expected the selector");
	refused_saying("dkim_key('example.org', 's')", "argument 3: expected the file");
	refused_saying("dkim_key('example.org', 's', 'f', 7)", "argument 4: expected a table");
}

static void a_setting_can_be_read_back_in_the_file(void **state)
{
	struct mw_conf *conf =
		load("myhostname = 'mx.example'\nX_HEADER_LINE = 'Mailweir at ' .. myhostname\n"
		     "pipeline.keys = pipeline.run_dir .. '/keys'\n"
		     "table.insert(inet_socket_bind, '10.0.0.1')\n"
		     "for name in pairs(policy_bank) do error(name) end\n");
	const char *const *items;

	(void)state;
	assert_string_equal(mw_conf_text(conf, "X_HEADER_LINE"), "Mailweir at mx.example");
	assert_string_equal(mw_conf_text(conf, "pipeline.keys"), "/run/mailweir/keys");
	assert_int_equal(mw_conf_list(conf, "inet_socket_bind", &items),
		3); /* changed in place: the default and one more */
	assert_string_equal(items[2], "10.0.0.1");
	mw_conf_destroy(&conf);
}

/* ------------------------------------------------------------------ policy banks */

static void a_bank_is_laid_over_the_base(void **state)
{
	struct mw_conf *conf = load(
		"final_spam_destiny = D_PASS\n"
		"policy_bank.ALT = {\n final_spam_destiny =\n D_REJECT,\n originating = true }\n"
		"policy_bank['MYNETS'] = {}\n"
		"policy_bank.NOT = { originating = false }\n"
		"interface_policy[10026] = 'ALT'\n");
	const struct mw_conf *alt = mw_conf_bank(conf, "ALT");

	(void)state;
	assert_non_null(alt);
	assert_int_equal(mw_conf_int(alt, "final_spam_destiny"), MW_D_REJECT);
	assert_int_equal(mw_conf_int(conf, "final_spam_destiny"), MW_D_PASS);
	assert_true(mw_conf_bool(alt, "originating"));
	assert_int_equal(mw_conf_val(alt, "final_spam_destiny")->line, 3);
	assert_non_null(strstr(origin(alt, "final_spam_destiny"), "policy bank ALT"));
	assert_string_equal(mw_conf_text(alt, "pipeline.run_dir"), "/run/mailweir");
	assert_true(mw_conf_bool(mw_conf_bank(conf, "MYNETS"), "originating"));
	assert_true(mw_conf_bank(alt, "MYNETS") == mw_conf_bank(conf, "MYNETS"));
	assert_null(mw_conf_bank(conf, "NIX"));
	assert_string_equal(
		mw_val_text(mw_val_field(mw_conf_val(conf, "interface_policy"), "10026"), ""),
		"ALT");
	mw_conf_destroy(&conf);
}

static void mynets_may_take_originating_back(void **state)
{
	struct mw_conf *conf = load("policy_bank = { MYNETS = { originating = false } }");

	(void)state;
	assert_false(mw_conf_bool(mw_conf_bank(conf, "MYNETS"), "originating"));
	mw_conf_destroy(&conf);
}

static void a_bank_may_hold_bank_settings_only(void **state)
{
	(void)state;
	refused("policy_bank.A = { log_level = 9,\n pipeline = { run_dir = 'x' },\n nix = 1,\n "
		"final_spm_destiny = 1 }\n"
		"policy_bank.B = 5\npolicy_bank.C = { 'x' }\n",
		"1: policy_bank.A.log_level = 9: expected a whole number from -3 to 5\n"
		"2: policy_bank.A.pipeline.run_dir: this setting cannot stand in a policy bank\n"
		"3: policy_bank.A.nix: unknown setting\n"
		"4: policy_bank.A.final_spm_destiny: unknown setting; did you mean "
		"final_spam_destiny?\n"
		"5: policy_bank.B: expected a table of settings by name\n"
		"6: policy_bank.C: expected a table of settings by name\n");
}

static void an_interface_needs_a_bank_that_exists(void **state)
{
	(void)state;
	refused("interface_policy['10026'] = 'NIX'\ninterface_policy['10027'] = 5\n",
		"1: interface_policy[\"10026\"] = \"NIX\": there is no policy bank \"NIX\"\n"
		"2: interface_policy[\"10027\"]: expected the name of a policy bank\n");
}

/* ------------------------------------------------------------------ errors */

static void all_errors_are_told_together_in_the_order_of_their_lines(void **state)
{
	(void)state;
	refused("log_levl = 3\nlog_level =\n  99\npipeline = {\n  front = 5,\n  rundir = 'x',\n}\n"
		"nonsense = {}\nhttp = 7\nmyhostname = undefined_name\n",
		"1: log_levl: unknown setting; did you mean log_level?\n"
		"2: log_level = 99: expected a whole number from -3 to 5\n"
		"5: pipeline.front = 5: expected a string of 1 to 1000 octets\n"
		"6: pipeline.rundir: unknown setting; did you mean pipeline.run_dir?\n"
		"8: nonsense: unknown setting\n"
		"9: http = number: expected a table of its settings\n"
		"10: undefined_name: unknown name\n");
}

static void passwords_are_not_told(void **state)
{
	(void)state;
	refused("local one = { server = 'x', password = 'geheim' }\n"
		"storage_redis_dsn = { one, one, one, one, one, one, one, one, one }\n",
		"2: storage_redis_dsn = (hidden): expected a table of at most 8 entries\n");
}

static void comments_and_long_texts_do_not_shift_lines(void **state)
{
	(void)state;
	refused("--[[ pipeline = {\n front = 1 ]]\n-- front = 5\nlocal s = [==[\n]]front = \n]==]\n"
		"local t = \"\\\n\"\npipeline = { keys = s,\n front = 5 }\n",
		"10: pipeline.front = 5: expected a string of 1 to 1000 octets\n");
}

static void a_name_of_an_own_table_alone_is_given_its_table(void **state)
{
	(void)state;
	refused("run_dir = '/x'", "1: run_dir: unknown setting; did you mean pipeline.run_dir?\n");
}

static void a_syntax_error_has_its_line(void **state)
{
	(void)state;
	refused_saying("log_level = 1\nlog_level = = 2\n", ":2: unexpected symbol near '='");
	refused_saying("log_level = 1\nerror('stop here')\n", ":2: stop here");
	refused_saying("log_level = 1\nerror({})\n", "error that is no text");
	refused_saying("\x1bLua", "conf");
}

static void what_was_set_before_a_failure_is_checked_too(void **state)
{
	(void)state;
	refused("log_level = 99\nerror('x')\n",
		"1: log_level = 99: expected a whole number from -3 to 5\n2: x\n");
}

static void functions_and_other_settings_tables_are_no_values(void **state)
{
	(void)state;
	refused_saying("myhostname = function() end",
		"1: myhostname = function --[[ line 1 ]]: expected a string");
	refused_saying("myhostname = string.len",
		"1: myhostname: expected a value or a function of yours");
	refused_saying(
		"inet_acl = policy_bank", "inet_acl: another setting's table cannot be its value");
	refused_saying("http = pipeline", "http = table: expected a table of its settings");
	refused_saying("local_domains_maps = { policy_bank }", "another setting's table");
	refused_saying("policy_bank.A = { [1.5] = 2 }", "a key must be");
}

static void more_errors_than_the_limit_are_counted(void **state)
{
	struct mw_text text = { 0 };
	char *errors = NULL;

	(void)state;
	for (int i = 0; i < MW_CONF_ERRORS_MAX + 7; i++)
		mw_text_addf(&text, "zzzzzzzzzzz%d = 1\n", i);
	assert_null(load_octets(text.p, text.n, &errors));
	assert_non_null(strstr(errors, "and 7 more\n"));
	free(errors);
	mw_text_fini(&text);
}

static void a_file_that_is_not_there_or_too_long_is_told(void **state)
{
	struct mw_conf *conf = NULL;
	char *errors = NULL, *text = malloc(MW_CONF_FILE_MAX + 1);

	(void)state;
	assert_int_equal(mw_conf_load("/nonexistent/x.lua", &conf, &errors), MW_ERR_CONF);
	assert_string_equal(
		errors, "/nonexistent/x.lua: cannot be read: No such file or directory\n");
	free(errors);
	assert_int_equal(mw_conf_load("/tmp", &conf, &errors), MW_ERR_CONF);
	free(errors);
	memset(text, '\n', MW_CONF_FILE_MAX + 1);
	conf = load_octets(text, MW_CONF_FILE_MAX, &errors);
	assert_non_null(conf);
	mw_conf_destroy(&conf);
	assert_null(load_octets(text, MW_CONF_FILE_MAX + 1, &errors));
	assert_non_null(strstr(errors, "at most 1048576 octets"));
	free(errors);
	free(text);
	assert_null(conf);
}

/* ------------------------------------------------------------------ the cage */

static void nothing_that_reaches_outside_is_there(void **state)
{
	static const char *const names[] = { "io", "os", "require", "load", "loadfile", "dofile",
		"loadstring", "debug", "package", "coroutine", "collectgarbage", "print", "pcall",
		"xpcall", "setmetatable", "getmetatable", "rawset", "rawget", "_G", "_VERSION",
		"utf8" };

	(void)state;
	for (size_t i = 0; i < MW_COUNT(names); i++) {
		char text[100], expected[100];

		snprintf(text, sizeof(text), "local x = %s", names[i]);
		snprintf(expected, sizeof(expected), "1: %s: unknown name", names[i]);
		refused_saying(text, expected);
	}
	refused_saying("local x = ('a'):rep(3)", "nil value (method 'rep')");
	refused_saying("local x = string.find('a', 'a')", "nil value (field 'find')");
	refused_saying("local x = ('a'):gsub('a', 'b')", "nil value (method 'gsub')");
	refused_saying("local x = table.move({}, 1, 2, 3)", "nil value (field 'move')");
	refused_saying("local x = string.dump(error)", "nil value (field 'dump')");
}

static void a_file_that_does_not_end_is_stopped(void **state)
{
	(void)state;
	refused_saying("while true do end", "instructions");
	refused_saying("local function f() return f() end f()", "instructions");
	refused_saying("repeat local s = ('a'):upper() until false", "the file takes more than");
	refused_saying("local t = {} for i = 1, 200 do t[i] = ('x'):lower() end "
		       "table.sort(t, function(a, b) while true do end end)",
		"instructions");
}

static void a_file_that_eats_memory_is_stopped(void **state)
{
	(void)state;
	refused_saying("local s = 'x' while true do s = s .. s end", "not enough memory");
	refused_saying("local t = {} local i = 1 while true do t[i] = {} i = i + 1 end",
		"not enough memory");
	refused_saying("local t = {} for i = 1, 300000 do t[i] = 'a' end inet_acl = t",
		"more than 200000 values");
	refused_saying("local t = {} for i = 1, 200000 do t[i] = 'a' end table.insert(t, 1, 'x')",
		"table of more than 100000 items");
}

static void tables_are_bounded_in_depth_and_may_hold_themselves(void **state)
{
	(void)state;
	refused_saying("local t = {} t.t = t policy_bank.A = t", "tables within tables");
	refused_saying("local t = {} for i = 1, 40 do t = { t, t } end local_domains_maps = t",
		"more than");
}

/* ------------------------------------------------------------------ environment */

static void a_variable_overrides_the_file(void **state)
{
	struct mw_conf *conf;
	const struct mw_val *acl;

	(void)state;
	setenv("MAILWEIR_RUN_DIR", "/env", 1);
	setenv("MAILWEIR_PLAINTEXT", "Yes", 1);
	setenv("MAILWEIR_LOG_LEVEL", "-1", 1);
	setenv("MAILWEIR_INET_ACL", "127.0.0.1, ::1,,10.0.0.0/8", 1);
	setenv("MAILWEIR_SMTP_PORT", "10024 [::1]:25", 1);
	setenv("MAILWEIR_HTTP", "", 1); /* as good as unset */
	conf = load("pipeline.run_dir = '/file' http.listen = '127.0.0.1:1'");
	assert_string_equal(mw_conf_text(conf, "pipeline.run_dir"), "/env");
	assert_string_equal(origin(conf, "pipeline.run_dir"), "environment MAILWEIR_RUN_DIR");
	assert_true(mw_conf_bool(conf, "pipeline.plaintext"));
	assert_int_equal(mw_conf_int(conf, "log_level"), -1);
	acl = mw_conf_val(conf, "inet_acl");
	assert_int_equal(acl->count, 3);
	assert_string_equal(mw_val_text(&acl->vals[2], ""), "10.0.0.0/8");
	assert_int_equal(mw_val_int(&mw_conf_val(conf, "inet_socket_port")->vals[0], 0), 10024);
	assert_string_equal(
		mw_val_text(&mw_conf_val(conf, "inet_socket_port")->vals[1], ""), "[::1]:25");
	assert_string_equal(mw_conf_text(conf, "http.listen"), "127.0.0.1:1");
	mw_conf_destroy(&conf);
	unsetenv("MAILWEIR_RUN_DIR");
	unsetenv("MAILWEIR_PLAINTEXT");
	unsetenv("MAILWEIR_INET_ACL");
	unsetenv("MAILWEIR_SMTP_PORT");
	unsetenv("MAILWEIR_HTTP");
	setenv("MAILWEIR_LOG_LEVEL", "3x", 1);
	refused_saying("", "MAILWEIR_LOG_LEVEL = \"3x\" (environment, for log_level): expected a "
			   "whole number");
	unsetenv("MAILWEIR_LOG_LEVEL");
}

/* ------------------------------------------------------------------ every cut */

static void every_cut_of_a_file_is_taken_or_refused_whole(void **state)
{
	static const char text[] =
		"-- a\npipeline = { run_dir = \"/x\\\n\", front = [[ipc]], keys = '/k' } --[==[ x "
		"]==]\n"
		"policy_bank[\"A\"] = { [\"log_level\"] = 3, originating = true; }\n"
		"dkim_key('d', 's', [=[f]=], { 1, 2, x = { y = 1 } })\ninterface_policy[10026] = "
		"'A'\n";

	(void)state;
	for (size_t n = 0; n < sizeof(text); n++) {
		char *errors = NULL;
		struct mw_conf *conf = load_octets(text, n, &errors);

		assert_true((conf == NULL) == (errors != NULL));
		mw_conf_destroy(&conf);
		free(errors);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_default_is_of_its_own_type_and_range),
		cmocka_unit_test(no_setting_and_no_variable_is_named_twice),
		cmocka_unit_test(a_field_may_be_set_by_itself_or_in_a_constructor),
		cmocka_unit_test(the_last_assignment_wins_and_nil_unsets),
		cmocka_unit_test(numbers_are_held_to_their_range_and_one_beyond_is_refused),
		cmocka_unit_test(scores_are_kept_as_thousandths),
		cmocka_unit_test(destinies_have_names_and_nothing_else_is_one),
		cmocka_unit_test(zero_and_one_are_booleans_as_in_amavisd_conf),
		cmocka_unit_test(a_text_has_a_longest_length_and_no_nul),
		cmocka_unit_test(lists_are_of_strings_and_one_string_is_a_list_of_one),
		cmocka_unit_test(maps_hold_constants_lists_and_hashes),
		cmocka_unit_test(dkim_key_appends_with_the_line_of_each_call),
		cmocka_unit_test(a_setting_can_be_read_back_in_the_file),
		cmocka_unit_test(a_bank_is_laid_over_the_base),
		cmocka_unit_test(mynets_may_take_originating_back),
		cmocka_unit_test(a_bank_may_hold_bank_settings_only),
		cmocka_unit_test(an_interface_needs_a_bank_that_exists),
		cmocka_unit_test(all_errors_are_told_together_in_the_order_of_their_lines),
		cmocka_unit_test(passwords_are_not_told),
		cmocka_unit_test(comments_and_long_texts_do_not_shift_lines),
		cmocka_unit_test(a_name_of_an_own_table_alone_is_given_its_table),
		cmocka_unit_test(a_syntax_error_has_its_line),
		cmocka_unit_test(what_was_set_before_a_failure_is_checked_too),
		cmocka_unit_test(functions_and_other_settings_tables_are_no_values),
		cmocka_unit_test(more_errors_than_the_limit_are_counted),
		cmocka_unit_test(a_file_that_is_not_there_or_too_long_is_told),
		cmocka_unit_test(nothing_that_reaches_outside_is_there),
		cmocka_unit_test(a_file_that_does_not_end_is_stopped),
		cmocka_unit_test(a_file_that_eats_memory_is_stopped),
		cmocka_unit_test(tables_are_bounded_in_depth_and_may_hold_themselves),
		cmocka_unit_test(a_variable_overrides_the_file),
		cmocka_unit_test(every_cut_of_a_file_is_taken_or_refused_whole),
	};

	return cmocka_run_group_tests(tests, make_file, remove_file);
}
