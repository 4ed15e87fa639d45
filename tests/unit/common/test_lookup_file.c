/* Tables from files: their lines, what is wrong with them, and reading them again. */
#include "lookup_help.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>

#define LONG_AGO 1700000000 /* seconds: a file that nobody is writing any more */

static char path[] = "/tmp/mailweir-test-table-XXXXXX";
static time_t version;

/* Another version each time, an old one by its clock. */
static void put(const char *text)
{
	struct timespec times[2] = { { LONG_AGO + version, 0 }, { LONG_AGO + version, 0 } };

	version++;
	write_file(path, text);
	assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
}

static struct mw_lookup_files *new_files(uint64_t octets)
{
	struct mw_lookup_limits limits = { .file_octets = octets };

	return mw_lookup_files_new(&limits);
}

static struct mw_lookup *read_as(const char *reader, const struct mw_lookup_options *o,
	struct mw_lookup_files *files, struct mw_err *err_r)
{
	struct mw_lookup_options own = *o;
	char maps[200];

	own.files = files;
	snprintf(maps, sizeof(maps), "{ %s '%s' }", reader, path);
	return maps_of(maps, &own, err_r);
}

static bool look(struct mw_lookup_files *files)
{
	struct mw_lookup_news *news = mw_lookup_files_look(files);
	bool any = news != NULL;

	mw_lookup_files_apply(files, &news);
	return any;
}

static void lines_of_a_hash_are_keys_and_values(void **state)
{
	static const struct {
		const char *text, *key, *value;
	} rows[] = {
		{ "a@x 5\n", "a@x", "\"5\"" },
		{ "a@x 5", "a@x", "\"5\"" },
		{ "a@x\n", "a@x", "\"1\"" }, /* a missing value is 1 */
		{ "a@x   \n", "a@x", "\"1\"" },
		{ "  a@x \t 5 \t\n", "a@x", "\"5\"" },
		{ "a@x 5\r\nb@x 6\r\n", "b@x", "\"6\"" },
		{ "a@x two words\n", "a@x", "\"two words\"" },
		{ "# a@x 5\n", "a@x", "undef" },
		{ "a@x 5 # six\n", "a@x", "\"5\"" },
		{ "a@x# five\n", "a@x", "\"1\"" },
		{ "a@x \"#5\" # six\n", "a@x", "\"\\\"#5\\\"\"" },
		{ "\"a#b\"@x 7\n", "\"a#b\"@x", "\"7\"" },
		{ "\"a b\"@x 7\n", "\"a b\"@x", "\"7\"" },
		{ "\"a\\\"#b\"@x 7\n", "\"a\\\"#b\"@x", "\"7\"" },
		{ "\n\n \t\n#\n.x 3\n", "a@x", "\"3\"" },
		{ "A@X 5\n", "a@x", "\"5\"" },
		{ ".b\xc3\xbc"
		  "cher.example 5\n",
			"a@xn--bcher-kva.example", "\"5\"" },
		{ "a@x 5\na@x 6\n", "a@x", "\"6\"" },
		{ ".x q-$3\n", "a@x", "\"q-a\"" },
		{ "<> n\n", "", "\"n\"" },
		{ ". n\n", "", "\"n\"" },
		{ "a@x 0\n", "a@x", "\"0\"" },
		{ "", "a@x", "undef" },
	};
	static const struct mw_lookup_options o = { .want = MW_WANT_TEXT, .delimiters = "+" };

	(void)state;
	for (size_t i = 0; i < MW_COUNT(rows); i++) {
		struct mw_lookup_files *files = new_files(1000);
		struct mw_err err = { "" };
		struct mw_lookup_result r;
		struct mw_lookup *l;
		char buf[100];

		put(rows[i].text);
		l = read_as("read_hash", &o, files, &err);
		if (l == NULL)
			fail_msg("%s: %s", rows[i].text, err.text);
		mw_lookup(l, rows[i].key, &r);
		if (strcmp(shown(&r.value, buf, sizeof(buf)), rows[i].value) != 0)
			fail_msg("%s: %s, not %s", rows[i].text, buf, rows[i].value);
		assert_string_equal(r.source, path);
		assert_int_equal(r.kind, MW_LOOKUP_HASH);
		mw_lookup_unref(&l);
		mw_lookup_files_destroy(&files);
	}
}

static void lines_of_a_list_are_entries_in_their_order(void **state)
{
	static const struct {
		const char *reader, *text, *key;
		enum mw_lookup_key type;
		int answer; /* -1: nothing */
	} rows[] = {
		{ "read_array", "!a@x\n.x\n", "a@x", MW_KEY_ADDRESS, 0 },
		{ "read_array", "!a@x\n.x\n", "b@x", MW_KEY_ADDRESS, 1 },
		{ "read_array", ".x\n!a@x\n", "a@x", MW_KEY_ADDRESS, 1 },
		{ "read_array", " .x # all\n", "a@y.x", MW_KEY_ADDRESS, 1 },
		{ "read_array", "# .x\n", "a@x", MW_KEY_ADDRESS, -1 },
		{ "read_array", "\"a b\"@x\n", "\"a b\"@x", MW_KEY_ADDRESS, 1 },
		{ "read_array", "10.0.0.0/8\n", "10.1.2.3", MW_KEY_IP, 1 },
		{ "read_cidr", "!10.1/16\n10/8 # ours\n2001:db8::/32\n", "10.1.2.3", MW_KEY_IP, 0 },
		{ "read_cidr", "!10.1/16\n10/8 # ours\n2001:db8::/32\n", "10.2.2.3", MW_KEY_IP, 1 },
		{ "read_cidr", "!10.1/16\n10/8\n[2001:db8::]/32\n", "2001:db8::1", MW_KEY_IP, 1 },
		{ "read_cidr", "", "10.1.2.3", MW_KEY_IP, -1 },
		{ "read_hash", "10.1 0\n10 1\n", "10.1.2.3", MW_KEY_IP, 0 },
		{ "read_hash", "10.1 0\n10 1\n", "10.2.2.3", MW_KEY_IP, 1 },
	};

	(void)state;
	for (size_t i = 0; i < MW_COUNT(rows); i++) {
		struct mw_lookup_options o = { .key = rows[i].type, .want = MW_WANT_BOOL };
		struct mw_lookup_files *files = new_files(1000);
		struct mw_err err = { "" };
		struct mw_lookup_result r;
		struct mw_lookup *l;
		int got;

		put(rows[i].text);
		l = read_as(rows[i].reader, &o, files, &err);
		if (l == NULL)
			fail_msg("%s: %s", rows[i].text, err.text);
		got = mw_lookup(l, rows[i].key, &r) ? r.value.b : -1;
		if (got != rows[i].answer)
			fail_msg("%s in %s: %d", rows[i].key, rows[i].text, got);
		mw_lookup_unref(&l);
		mw_lookup_files_destroy(&files);
	}
}

static void a_file_that_is_wrong_is_refused_with_its_line(void **state)
{
	static const struct {
		const char *reader, *text;
		enum mw_lookup_key type;
		enum mw_lookup_want want;
		const char *says;
	} rows[] = {
		{ "read_hash", "a@x 5\nb@x many\n", MW_KEY_ADDRESS, MW_WANT_MILLI,
			":2: \"many\" is no number" },
		{ "read_array", "a@x b@x\n", MW_KEY_ADDRESS, MW_WANT_BOOL,
			":1: expected one entry in a line" },
		{ "read_cidr", "10/8\n\n10/99\n", MW_KEY_IP, MW_WANT_BOOL,
			":3: \"10/99\" is no address or network" },
		{ "read_hash", "10.0.0.0/8 1\n", MW_KEY_IP, MW_WANT_BOOL,
			":1: key \"10.0.0.0/8\": expected an IP address" },
		{ "read_cidr", "10/8\n", MW_KEY_ADDRESS, MW_WANT_BOOL, "not asked for IP" },
	};

	(void)state;
	for (size_t i = 0; i < MW_COUNT(rows); i++) {
		struct mw_lookup_options o = { .key = rows[i].type, .want = rows[i].want };
		struct mw_lookup_files *files = new_files(1000);
		struct mw_err err = { "" };

		put(rows[i].text);
		assert_null(read_as(rows[i].reader, &o, files, &err));
		if (strstr(err.text, rows[i].says) == NULL ||
			strncmp(err.text, "some_maps, line 1: ", 19) != 0)
			fail_msg("%s", err.text);
		mw_lookup_files_destroy(&files);
	}
}

static void octets_that_no_text_has_and_sizes_beyond_limits_are_refused(void **state)
{
	static const struct mw_lookup_options o = { .want = MW_WANT_BOOL };
	struct mw_lookup_files *files = new_files(5000);
	struct mw_err err = { "" };
	struct mw_lookup *l;
	char text[5002];
	FILE *f;

	(void)state;
	f = fopen(path, "w");
	fwrite("a@x\0b\n", 1, 6, f);
	fclose(f);
	assert_null(read_as("read_hash", &o, files, &err));
	assert_non_null(strstr(err.text, ":1: a NUL octet"));
	memset(text, ' ', sizeof(text));
	memcpy(text, "a@x", 3);
	strcpy(text + 4096, "\n");
	put(text); /* a line of the limit */
	l = read_as("read_hash", &o, files, &err);
	assert_non_null(l);
	mw_lookup_unref(&l);
	mw_lookup_files_destroy(&files);
	files = new_files(5000);
	strcpy(text + 4096, " \n");
	put(text);
	assert_null(read_as("read_hash", &o, files, &err));
	assert_non_null(strstr(err.text, "more than 4096 octets"));
	memset(text, '\n', 5000);
	text[5000] = '\0';
	put(text);
	l = read_as("read_hash", &o, files, &err);
	assert_non_null(l);
	mw_lookup_unref(&l);
	mw_lookup_files_destroy(&files);
	files = new_files(4999);
	assert_null(read_as("read_hash", &o, files, &err));
	assert_non_null(strstr(err.text, "more than 4999 octets (lookup.file_octets)"));
	mw_lookup_files_destroy(&files);
}

static void what_is_no_file_is_refused(void **state)
{
	static const struct {
		const char *maps, *says;
	} rows[] = {
		{ "{ read_hash '/nonexistent/x' }", "cannot be opened: No such file" },
		{ "{ read_hash 'relative' }",
			"read_hash(\"relative\"): expected an absolute path" },
		{ "{ read_hash '' }", "expected an absolute path" },
		{ "{ read_array '/tmp' }", "is no file" },
		{ "{ read_array '/dev/zero' }", "is no file" },
	};

	(void)state;
	for (size_t i = 0; i < MW_COUNT(rows); i++) {
		struct mw_lookup_files *files = new_files(1000);
		struct mw_lookup_options o = { .files = files };
		struct mw_err err = { "" };

		assert_null(maps_of(rows[i].maps, &o, &err));
		if (strstr(err.text, rows[i].says) == NULL)
			fail_msg("%s", err.text);
		mw_lookup_files_destroy(&files);
	}
}

static void a_changed_file_is_read_again_and_a_bad_one_is_not_taken(void **state)
{
	static const struct mw_lookup_options o = { .want = MW_WANT_MILLI };
	struct mw_lookup_files *files;
	struct mw_err err = { "" };
	struct mw_lookup *l;

	(void)state;
	put("a@x 1\n");
	files = new_files(1000);
	l = read_as("read_hash", &o, files, &err);
	assert_non_null(l);
	assert_int_equal(mw_lookup_milli(l, "a@x", -1), 1000);
	assert_false(look(files));
	put("a@x 2\n"); /* the same size, another time */
	assert_true(look(files));
	assert_int_equal(mw_lookup_milli(l, "a@x", -1), 2000);
	assert_false(look(files));
	put("a@x 3\nb@x oh\n"); /* bad: told once, the old one stays */
	assert_true(look(files));
	assert_int_equal(mw_lookup_milli(l, "a@x", -1), 2000);
	assert_int_equal(mw_lookup_files_bad(files), 1);
	assert_false(look(files));
	unlink(path); /* gone */
	assert_true(look(files));
	assert_false(look(files));
	assert_int_equal(mw_lookup_milli(l, "a@x", -1), 2000);
	assert_int_equal(mw_lookup_files_bad(files), 1);
	put("a@x 4\n");
	assert_true(look(files));
	assert_int_equal(mw_lookup_milli(l, "a@x", -1), 4000);
	assert_int_equal(mw_lookup_files_bad(files), 0);
	mw_lookup_unref(&l);
	mw_lookup_files_destroy(&files);
}

static void a_file_put_in_the_place_of_another_is_seen(void **state)
{
	static const struct mw_lookup_options o = { .want = MW_WANT_MILLI };
	struct mw_lookup_files *files = new_files(1000);
	struct timespec times[2] = { { LONG_AGO, 5 }, { LONG_AGO, 5 } };
	char other[sizeof(path) + 4];
	struct mw_err err = { "" };
	struct mw_lookup *l;

	(void)state;
	put("a@x 1\n");
	assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
	l = read_as("read_hash", &o, files, &err);
	assert_non_null(l);
	snprintf(other, sizeof(other), "%s.new", path);
	write_file(other, "a@x 2\n");
	assert_int_equal(utimensat(AT_FDCWD, other, times, 0), 0);
	assert_int_equal(rename(other, path), 0); /* same size and time, another inode */
	assert_true(look(files));
	assert_int_equal(mw_lookup_milli(l, "a@x", -1), 2000);
	mw_lookup_unref(&l);
	mw_lookup_files_destroy(&files);
}

static void a_file_that_is_being_written_is_left_for_the_next_look(void **state)
{
	static const struct mw_lookup_options o = { .want = MW_WANT_MILLI };
	struct mw_lookup_files *files = new_files(1000);
	struct mw_err err = { "" };
	struct timespec now[2];
	struct mw_lookup *l;

	(void)state;
	put("a@x 1\n");
	l = read_as("read_hash", &o, files, &err);
	assert_non_null(l);
	write_file(path, ""); /* as an editor that empties it first */
	clock_gettime(CLOCK_REALTIME, &now[0]);
	now[0].tv_sec += 3600;
	now[1] = now[0];
	assert_int_equal(utimensat(AT_FDCWD, path, now, 0), 0);
	assert_true(look(files)); /* a clock ahead of ours is no reason to wait */
	assert_int_equal(mw_lookup_milli(l, "a@x", -1), -1);
	do { /* a slow machine may take more than a second between the two lines */
		write_file(path, "a@x 2\n");
	} while (look(files) && mw_lookup_milli(l, "a@x", -1) != 2000);
	put("a@x 3\n");
	assert_true(look(files));
	assert_int_equal(mw_lookup_milli(l, "a@x", -1), 3000);
	mw_lookup_unref(&l);
	mw_lookup_files_destroy(&files);
}

static void a_file_that_several_tables_name_is_read_once_for_all(void **state)
{
	struct mw_lookup_files *files = new_files(1000);
	struct mw_lookup_options o = { .want = MW_WANT_MILLI, .files = files };
	struct mw_err err = { "" };
	struct mw_lookup *a, *b, *c;
	struct mw_lookup_news *news;
	char maps[200];

	(void)state;
	put("a@x 1\n");
	snprintf(maps, sizeof(maps), "{ { ['b@x'] = 7 }, read_hash '%s', read_hash '%s' }", path,
		path);
	a = maps_of(maps, &o, &err);
	b = maps_of(maps, &o, &err);
	o.want = MW_WANT_TEXT; /* other values: another reading */
	c = maps_of(maps, &o, &err);
	assert_true(a != NULL && b != NULL && c != NULL);
	put("a@x 2\n");
	news = mw_lookup_files_look(files);
	assert_int_equal(mw_lookup_milli(a, "a@x", -1), 1000); /* not before it is applied */
	mw_lookup_files_apply(files, &news);
	assert_null(news);
	assert_int_equal(mw_lookup_milli(a, "a@x", -1), 2000);
	assert_int_equal(mw_lookup_milli(b, "a@x", -1), 2000);
	mw_lookup_unref(&a);
	mw_lookup_unref(&b);
	mw_lookup_unref(&c);
	mw_lookup_files_destroy(&files);
}

static int make_path(void **state)
{
	int fd = mkstemp(path);

	(void)state;
	close(fd);
	return fd < 0;
}

static int remove_path(void **state)
{
	(void)state;
	unlink(path);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines_of_a_hash_are_keys_and_values),
		cmocka_unit_test(lines_of_a_list_are_entries_in_their_order),
		cmocka_unit_test(a_file_that_is_wrong_is_refused_with_its_line),
		cmocka_unit_test(octets_that_no_text_has_and_sizes_beyond_limits_are_refused),
		cmocka_unit_test(what_is_no_file_is_refused),
		cmocka_unit_test(a_changed_file_is_read_again_and_a_bad_one_is_not_taken),
		cmocka_unit_test(a_file_put_in_the_place_of_another_is_seen),
		cmocka_unit_test(a_file_that_is_being_written_is_left_for_the_next_look),
		cmocka_unit_test(a_file_that_several_tables_name_is_read_once_for_all),
	};

	return cmocka_run_group_tests(tests, make_path, remove_path);
}
