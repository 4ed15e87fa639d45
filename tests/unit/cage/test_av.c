#include "help.h"

#include <sys/stat.h>
#include <unistd.h>

#include "decode.h"

static char folder[64];

static int open_engine(void **state)
{
	strcpy(folder, "/tmp/mw-av-XXXXXX");
	assert_non_null(mkdtemp(folder));
	*state = test_engine(folder);
	return 0;
}

static int close_engine(void **state)
{
	struct av *av = *state;

	av_close(&av);
	return rmdir(folder); /* it left nothing behind */
}

static struct av_result scan(struct av *av, const char *text, size_t n, bool mail)
{
	struct av_result r;

	av_scan(av, mw_octets_of(text, n), mail, UINT64_MAX, 20000, &r);
	return r;
}

static void the_projects_signatures_are_those_of_the_installed_file(void **state)
{
	struct mw_octets own = av_project_signatures();
	char text[1024];
	FILE *f = fopen("services/scanner/data/eicar.ndb", "r");
	size_t n;

	(void)state;
	if (f == NULL)
		skip(); /* run from another folder */
	n = fread(text, 1, sizeof(text), f);
	fclose(f);
	assert_int_equal(n, own.n);
	assert_memory_equal(text, own.p, n);
}

static void eicar_is_found_by_name_and_clean_text_is_not(void **state)
{
	struct av_result r = scan(*state, eicar(), strlen(eicar()), false);

	assert_int_equal(r.end, AV_VIRUS);
	assert_int_equal(r.viruses, 1);
	assert_string_equal(r.names[0], VIRUS);
	assert_true(r.whole && !r.worn);
	r = scan(*state, "hello", 5, false);
	assert_int_equal(r.end, AV_CLEAN);
	assert_true(r.whole && !r.worn && r.why[0] == '\0' && r.viruses == 0);
}

static void nothing_is_clean(void **state)
{
	assert_int_equal(scan(*state, "", 0, false).end, AV_CLEAN);
}

static void a_clean_scan_does_not_vouch_for_the_next_one(void **state)
{
	for (int i = 0; i < 3; i++) {
		assert_int_equal(scan(*state, "hello", 5, false).end, AV_CLEAN);
		assert_int_equal(scan(*state, eicar(), strlen(eicar()), false).end, AV_VIRUS);
	}
}

static void libclamavs_mail_parser_is_used_only_when_asked(void **state)
{
	assert_int_equal(scan(*state, EICAR_ZIP_MAIL, strlen(EICAR_ZIP_MAIL), false).end, AV_CLEAN);
	assert_int_equal(scan(*state, EICAR_ZIP_MAIL, strlen(EICAR_ZIP_MAIL), true).end, AV_VIRUS);
}

static void what_the_engine_says_it_could_not_do_is_a_limit(void **state)
{
	/* an xz that does not decompress: libclamav returns CLEAN and says so in a message */
	static const char broken_xz[] = "\xfd"
					"7zXZ\0\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11"
					"\x11\x11\x11\x11\x11\x11\x11";
	struct av_result r = scan(*state, broken_xz, sizeof(broken_xz) - 1, false);

	assert_int_equal(r.end, AV_LIMIT);
	assert_false(r.whole);
	assert_true(r.worn);
	assert_non_null(strstr(r.why, "xz"));
}

static void a_file_beyond_the_engines_limit_is_a_limit_not_a_virus(void **state)
{
	struct av_conf conf = { .database = "",
		.temp_dir = folder,
		.max_file = 1u << 20,
		.max_scan = 1u << 20,
		.max_recursion = 17,
		.max_files = 100 };
	size_t n = (1u << 20) + 1;
	char *zeros = calloc(1, n);
	struct mw_err err;
	struct av_result r;
	struct av *av;

	(void)state;
	assert_int_equal(av_open(&av, &conf, &err), MW_OK);
	r = scan(av, zeros, n - 1, false);
	assert_int_equal(r.end, AV_CLEAN);
	r = scan(av, zeros, n, false);
	assert_int_equal(r.end, AV_LIMIT);
	assert_int_equal(r.viruses, 0);
	assert_non_null(strstr(r.why, "MaxFileSize"));
	av_close(&av);
	free(zeros);
}

static void a_scan_whose_time_is_up_is_not_clean(void **state)
{
	size_t n = 16u << 20;
	char *text = malloc(n);
	struct av_result r;

	for (size_t i = 0; i < n; i++)
		text[i] = (char)(' ' + i * 7 % 90);
	av_scan(*state, mw_octets_of(text, n), false, UINT64_MAX, 1, &r);
	assert_int_not_equal(r.end, AV_CLEAN);
	assert_false(r.whole);
	free(text);
}

static void signatures_that_do_not_load_are_an_error_that_names_the_setting(void **state)
{
	struct av_conf conf = { .temp_dir = folder,
		.max_file = 1 << 20,
		.max_scan = 1 << 20,
		.max_recursion = 17,
		.max_files = 10 };
	char path[160], bad[200];
	struct mw_err err = { "" };
	struct av *av;
	FILE *f;

	(void)state;
	snprintf(path, sizeof(path), "%s/db", folder);
	snprintf(bad, sizeof(bad), "%s/bad.ndb", path);
	assert_int_equal(mkdir(path, 0700), 0);
	conf.database = path;
	assert_int_equal(av_open(&av, &conf, &err), MW_OK); /* empty: the project's own */
	assert_true(av_is_project(av));
	av_close(&av);
	f = fopen(bad, "w");
	fputs("no signature\n", f);
	fclose(f);
	mw_log_open("test", MW_ERROR);
	assert_int_equal(av_open(&av, &conf, &err), MW_ERR_CONF);
	assert_null(av);
	assert_non_null(strstr(err.text, "scanner.clamav_database"));
	unlink(bad);
	rmdir(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_projects_signatures_are_those_of_the_installed_file),
		cmocka_unit_test(eicar_is_found_by_name_and_clean_text_is_not),
		cmocka_unit_test(nothing_is_clean),
		cmocka_unit_test(a_clean_scan_does_not_vouch_for_the_next_one),
		cmocka_unit_test(libclamavs_mail_parser_is_used_only_when_asked),
		cmocka_unit_test(what_the_engine_says_it_could_not_do_is_a_limit),
		cmocka_unit_test(a_file_beyond_the_engines_limit_is_a_limit_not_a_virus),
		cmocka_unit_test(a_scan_whose_time_is_up_is_not_clean),
		cmocka_unit_test(signatures_that_do_not_load_are_an_error_that_names_the_setting),
	};

	return cmocka_run_group_tests_name("av", tests, open_engine, close_engine);
}
