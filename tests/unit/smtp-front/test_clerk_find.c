/* Copies of a mail_id looked for in the quarantine's folders, as a client of AM.PDP asks. */
#include "make_txn.h"

#include <sys/stat.h>

#include "outcome/clerk_find.h"

#define COPY                                                                                       \
	"X-Envelope-From: <a@example.com>\r\nX-Envelope-To: <b@example.org>\r\n"                   \
	"X-Quarantine-ID: <A>\r\n\r\nbody\r\n"

static void put(const char *dir, const char *name, const char *text)
{
	char path[200];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "w");
	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
}

static size_t copies_of(const char *dir, const char *mail_id)
{
	struct clerk_found f = { 0 };
	size_t count;

	clerk_look_up(dir, NULL, mail_id, &f);
	count = f.count;
	clerk_found_fini(&f);
	return count;
}

static void an_id_that_is_in_every_name_does_not_read_every_file(void **state)
{
	char dir[] = "/tmp/mailweir-test-clerk-XXXXXX", path[200];

	(void)state;
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/own", dir);
	assert_int_equal(mkdir(path, 0700), 0);
	put(dir, "own/A", COPY);
	for (int many = 0; many < 2; many++) {
		for (int i = 0; i < 200 && many; i++) {
			snprintf(path, sizeof(path), "A%d", i);
			put(dir, path, "no copy\n");
		}
		assert_int_equal(copies_of(dir, "A"), many ? 0 : 1);
	}
	for (int i = 0; i < 200; i++) {
		snprintf(path, sizeof(path), "%s/A%d", dir, i);
		assert_int_equal(unlink(path), 0);
	}
	snprintf(path, sizeof(path), "%s/own/A", dir);
	unlink(path);
	snprintf(path, sizeof(path), "%s/own", dir);
	rmdir(path);
	rmdir(dir);
}

static void copy_for(const char *dir, const char *name, const char *rcpts, const char *blocked)
{
	char text[500];

	snprintf(text, sizeof(text),
		"X-Envelope-From: <a@example.com>\r\nX-Envelope-To: %s\r\n"
		"X-Envelope-To-Blocked: %s\r\nX-Quarantine-ID: <A>\r\n\r\nbody\r\n",
		rcpts, blocked);
	put(dir, name, text);
}

/* A folder has no order, and so they have two. */
static void rcpts_are(const char *dir, size_t copies, const char *rcpts, const char *turned)
{
	struct clerk_found f = { 0 };

	clerk_look_up(dir, NULL, "A", &f);
	assert_int_equal(f.count, copies);
	if (strcmp(f.rcpts, turned) != 0)
		assert_string_equal(f.rcpts, rcpts);
	clerk_found_fini(&f);
}

static void those_whom_some_copy_is_kept_from_go_before_those_who_have_it(void **state)
{
	char dir[] = "/tmp/mailweir-test-clerk-XXXXXX", path[200];
	static const char *const names[] = { "A1", "A2", "A3" };

	(void)state;
	assert_non_null(mkdtemp(dir));
	copy_for(dir, "A1", "<b@x>,\r\n <c@x>", "");
	copy_for(dir, "A2", "<b@x>", "");
	rcpts_are(dir, 2, "b@x\nc@x", "c@x\nb@x");
	copy_for(dir, "A3", "<b@x>,\r\n <c@x>", "<b@x>");
	rcpts_are(dir, 3, "b@x", "b@x");
	copy_for(dir, "A2", "<b@x>,\r\n <c@x>", "<c@x>");
	rcpts_are(dir, 3, "b@x\nc@x", "c@x\nb@x");
	for (size_t i = 0; i < MW_COUNT(names); i++) {
		snprintf(path, sizeof(path), "%s/%s", dir, names[i]);
		assert_int_equal(unlink(path), 0);
	}
	rmdir(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_id_that_is_in_every_name_does_not_read_every_file),
		cmocka_unit_test(those_whom_some_copy_is_kept_from_go_before_those_who_have_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
