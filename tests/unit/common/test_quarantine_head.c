/* Copies as the index reads them: amavisd's, ours, somebody's; cut and damaged ones. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "quarantine_scan.h"

#define ENVELOPE                                                                                   \
	"Return-Path: <s@example.com>\r\nDelivered-To: quarantine\r\nX-Envelope-From: "            \
	"<s@example.com>\r\n"                                                                      \
	"X-Envelope-To: <a@example.org>\r\nX-Envelope-To: <b@example.org>\r\n"                     \
	"X-Envelope-To-Blocked: <b@example.org>\r\nX-Quarantine-ID: <AbCdEfGhIjKl>\r\n"

static char dir[] = "/tmp/mailweir-test-head-XXXXXX";

static enum mw_rc parse(struct mw_qhead *h, const char *text, const char *path)
{
	*h = (struct mw_qhead){ 0 };
	return mw_qhead_parse(h, mw_octets_of_text(text), path);
}

static void a_copy_says_what_the_index_wants_to_know(void **state)
{
	struct mw_qhead h;

	(void)state;
	assert_int_equal(
		parse(&h,
			ENVELOPE "X-Spam-Score: -1.5\r\nSubject: =?utf-8?q?=C3=A4?=\r\n fold\r\n"
				 "\r\nSubject: body\r\n",
			"x/mail.gz"),
		MW_OK);
	assert_string_equal(h.e.mail_id, "AbCdEfGhIjKl");
	assert_string_equal(h.e.sender, "s@example.com");
	assert_string_equal(h.e.rcpts, "b@example.org");
	assert_true(h.blocked);
	assert_string_equal(h.e.subject, "\xc3\xa4 fold");
	assert_true(h.e.has_score);
	assert_int_equal(h.e.score_milli, -1500);
	mw_qhead_fini(&h);
}

static void categories_come_from_the_name_then_from_what_was_found(void **state)
{
	static const struct {
		const char *path, *findings;
		unsigned class;
	} rows[] = {
		{ "virus-x.gz", "", MW_CC_VIRUS },
		{ "a/b/spam-x", "X-Amavis-Alert: INFECTED, x\r\n", MW_CC_SPAM },
		{ "badh-x", "", MW_CC_BADH },
		{ "banned-x", "", MW_CC_BANNED },
		{ "unchecked-x", "", MW_CC_UNCHECKED },
		{ "poison/poison-x.gz", "X-Amavis-Alert: UNCHECKED\r\n", MW_QCLASS_POISON },
		{ "x", "X-Amavis-Alert: INFECTED, x\r\n", MW_CC_VIRUS },
		{ "x", "X-Amavis-Alert: BAD HEADER SECTION\r\nX-Amavis-Alert: BANNED, x\r\n",
			MW_CC_BANNED },
		{ "x", "X-Spam-Flag: YES\r\n", MW_CC_SPAM },
		{ "x", "X-Spam-Flag: NO\r\n", MW_CC_CATCHALL },
		{ "x", "Subject: X\r\nX-Amavis-Alert: INFECTED, the sender's own\r\n",
			MW_CC_CATCHALL },
	};

	(void)state;
	for (size_t i = 0; i < MW_COUNT(rows); i++) {
		char text[2048];
		struct mw_qhead h;

		snprintf(text, sizeof(text), ENVELOPE "%sFrom: x\r\n\r\n", rows[i].findings);
		assert_int_equal(parse(&h, text, rows[i].path), MW_OK);
		if (h.e.class != rows[i].class)
			fail_msg("row %zu: class %u", i, h.e.class);
		mw_qhead_fini(&h);
	}
}

static void scores_that_are_none_are_left_out(void **state)
{
	static const char *const scores[] = { "", "x", "1e99", "nan", "inf", "12 3",
		"123456789012345678901234567890", "1000000" };

	(void)state;
	for (size_t i = 0; i < MW_COUNT(scores); i++) {
		char text[2048];
		struct mw_qhead h;

		snprintf(text, sizeof(text), ENVELOPE "X-Spam-Score: %s\r\n\r\n", scores[i]);
		assert_int_equal(parse(&h, text, "x"), MW_OK);
		assert_false(h.e.has_score);
		mw_qhead_fini(&h);
	}
}

static void ids_that_lead_elsewhere_are_refused(void **state)
{
	static const char *const ids[] = { "", "../x", "a/b", "-x", "a b", "a\tb", "a%b",
		"aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffffggggg" };

	(void)state;
	for (size_t i = 0; i < MW_COUNT(ids); i++) {
		char text[512];
		struct mw_qhead h;

		snprintf(text, sizeof(text),
			"X-Envelope-From: <a>\r\nX-Quarantine-ID: <%s>\r\n\r\n", ids[i]);
		assert_int_equal(parse(&h, text, "x"), MW_ERR_PROTO);
		mw_qhead_fini(&h);
	}
}

static void every_cut_copy_is_read_or_refused(void **state)
{
	static const char whole[] =
		ENVELOPE "X-Amavis-Alert: INFECTED\r\nSubject: =?utf-8?b?YQ==?=\r\n\r\nbody";

	(void)state;
	for (size_t n = 0; n < sizeof(whole); n++) {
		char *copy = malloc(n + 1);
		struct mw_qhead h = { 0 };
		enum mw_rc rc;

		memcpy(copy, whole, n);
		rc = mw_qhead_parse(&h, mw_octets_of(copy, n), "x");
		assert_true(rc == MW_OK || rc == MW_ERR_PROTO);
		mw_qhead_fini(&h);
		free(copy);
	}
}

/* ------------------------------------------------------------------ files */

static void put_gzip(const char *name, const char *text, size_t cut)
{
	char path[128];
	struct stat st;
	gzFile gz;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	gz = gzopen(path, "wb");
	assert_int_equal(gzwrite(gz, text, (unsigned)strlen(text)), (int)strlen(text));
	assert_int_equal(gzclose(gz), Z_OK);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(truncate(path, st.st_size - (off_t)cut), 0);
}

static enum mw_rc read_one(const char *name, bool whole)
{
	struct mw_err err;
	struct mw_qhead h;
	enum mw_rc rc = mw_qhead_read(&h, dir, name, whole, &err);

	mw_qhead_fini(&h);
	return rc;
}

static void files_are_read_as_far_as_asked(void **state)
{
	char path[128], other[128];

	(void)state;
	put_gzip("whole.gz", ENVELOPE "Subject: x\r\n\r\nbody\r\n", 0);
	put_gzip("cut.gz", ENVELOPE "Subject: x\r\n\r\nbody\r\n", 6);
	put_gzip("stranger.gz", "From: x\r\n\r\n", 0);
	assert_int_equal(read_one("whole.gz", false), MW_OK);
	assert_int_equal(read_one("whole.gz", true), MW_OK);
	assert_int_equal(read_one("cut.gz", true), MW_ERR_PROTO);
	assert_int_equal(read_one("stranger.gz", true), MW_ERR_PROTO);
	assert_int_equal(read_one("absent.gz", false), MW_ERR_GONE);
	assert_int_equal(read_one("../whole.gz", false), MW_ERR_PROTO);
	assert_int_equal(read_one("./whole.gz", false), MW_ERR_PROTO);
	assert_int_equal(read_one("/etc/passwd", false), MW_ERR_PROTO);
	assert_int_equal(read_one("", false), MW_ERR_PROTO);
	snprintf(path, sizeof(path), "%s/whole.gz", dir);
	snprintf(other, sizeof(other), "%s/link.gz", dir);
	assert_int_equal(symlink(path, other), 0);
	assert_int_equal(read_one("link.gz", false), MW_ERR_PROTO);
	snprintf(other, sizeof(other), "%s/second.gz", dir);
	assert_int_equal(link(path, other), 0);
	assert_int_equal(read_one("second.gz", false), MW_ERR_PROTO);
	snprintf(other, sizeof(other), "%s/fifo.gz", dir);
	assert_int_equal(mkfifo(other, 0600), 0);
	assert_int_equal(read_one("fifo.gz", false), MW_ERR_PROTO);
}

static void a_disk_that_fails_is_no_damage_of_the_file(void **state)
{
	struct mw_err err;
	struct mw_qhead h;

	(void)state;
	/* A regular file whose first octet gives EIO. */
	assert_int_equal(mw_qhead_read(&h, "/proc/self", "mem", false, &err), MW_ERR_IO);
	mw_qhead_fini(&h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_copy_says_what_the_index_wants_to_know),
		cmocka_unit_test(categories_come_from_the_name_then_from_what_was_found),
		cmocka_unit_test(scores_that_are_none_are_left_out),
		cmocka_unit_test(ids_that_lead_elsewhere_are_refused),
		cmocka_unit_test(every_cut_copy_is_read_or_refused),
		cmocka_unit_test(files_are_read_as_far_as_asked),
		cmocka_unit_test(a_disk_that_fails_is_no_damage_of_the_file),
	};
	char command[128];
	int failed;

	if (mkdtemp(dir) == NULL)
		return 1;
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	snprintf(command, sizeof(command), "rm -rf %s", dir);
	return system(command) != 0 || failed;
}
