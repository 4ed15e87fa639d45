/* The quarantine's index: what is found and what is not, hostile rows, files that are no index. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "quarantine_audit.h"
#include "quarantine_index.h"

#define NOW 1700000000000u

static char dir[] = "/tmp/mailweir-test-index-XXXXXX";
static char file[64];
static struct mw_err err;

static int set_up(void **state)
{
	(void)state;
	snprintf(file, sizeof(file), "%s/" MW_QINDEX_FILE, dir);
	return 0;
}

static int tear_down(void **state)
{
	char command[128];

	(void)state;
	snprintf(command, sizeof(command), "rm -rf %s/* %s/.[a-z]*", dir, dir);
	return system(command);
}

static struct mw_qindex *open_index(void)
{
	struct mw_qindex *q = NULL;

	if (mw_qindex_open(&q, dir, MW_QINDEX_WRITE, &err) != MW_OK)
		fail_msg("%s", err.text);
	return q;
}

static struct mw_qentry entry(const char *path, const char *id, uint64_t time_ms)
{
	return (struct mw_qentry){ .path = path,
		.mail_id = id,
		.secret_id = "",
		.log_id = "",
		.quar_type = 'Z',
		.time_ms = time_ms,
		.ccat = MW_CCAT(MW_CC_SPAM, 0),
		.class = MW_CC_SPAM,
		.size = 100,
		.sender = "a@example.com",
		.subject = "a subject",
		.rcpts = "one@example.org\ntwo@example.org",
		.released_by = "" };
}

static void put(struct mw_qindex *q, const struct mw_qentry *e)
{
	assert_int_equal(mw_qindex_begin(q, &err), MW_OK);
	if (mw_qindex_put(q, e, &err) != MW_OK)
		fail_msg("%s", err.text);
	assert_int_equal(mw_qindex_commit(q, &err), MW_OK);
}

/* Paths of the rows, comma-separated. */
static bool on_row(void *arg, const struct mw_qentry *e)
{
	struct mw_text *t = arg;

	mw_text_addf(t, "%s%s", t->n > 0 ? "," : "", e->path);
	return true;
}

static void finds(struct mw_qindex *q, const struct mw_qquery *query, const char *expected)
{
	struct mw_text t = { 0 };

	if (mw_qindex_search(q, query, on_row, &t, &err) != MW_OK)
		fail_msg("%s", err.text);
	assert_string_equal(t.p != NULL ? t.p : "", expected);
	mw_text_fini(&t);
}

#define QUERY(...) (&(const struct mw_qquery){ __VA_ARGS__ })
#define ANY .released = -1
#define ALL .class = -1, .released = -1

static uint64_t entries(struct mw_qindex *q)
{
	struct mw_qtotals t;
	uint64_t n = 0;

	assert_int_equal(mw_qindex_totals(q, &t, &err), MW_OK);
	for (size_t i = 0; i < MW_QCLASSES; i++)
		n += t.entries[i];
	return n;
}

static void what_is_put_is_found_from_every_side(void **state)
{
	struct mw_qindex *q = open_index();
	struct mw_qentry a = entry("x/spam-xa.gz", "xa", NOW),
			 b = entry("y/virus-yb", "yb", NOW + 1000);

	(void)state;
	b.class = MW_CC_VIRUS;
	b.sender = "B@Example.com";
	b.subject = "Gr\xc3\xbc\xc3\x9f"
		    "e 100%_\\ \"quoted\"";
	b.rcpts = "three@example.net";
	put(q, &a);
	put(q, &b);
	finds(q, QUERY(ALL), "y/virus-yb,x/spam-xa.gz");
	finds(q, QUERY(ALL, .oldest_first = true), "x/spam-xa.gz,y/virus-yb");
	finds(q, QUERY(ALL, .limit = 1, .offset = 1), "x/spam-xa.gz");
	finds(q, QUERY(ANY, .class = MW_CC_VIRUS), "y/virus-yb");
	finds(q, QUERY(ALL, .mail_id = "xa"), "x/spam-xa.gz");
	finds(q, QUERY(ALL, .mail_id = "XA"), "");
	finds(q, QUERY(ALL, .sender = "b@example.COM"), "y/virus-yb");
	finds(q, QUERY(ALL, .rcpt = "TWO@example.org"), "x/spam-xa.gz");
	finds(q, QUERY(ALL, .rcpt = "example."), "y/virus-yb,x/spam-xa.gz");
	finds(q, QUERY(ALL, .rcpt = "@EXAMPLE.org"), "x/spam-xa.gz");
	finds(q, QUERY(ALL, .rcpt = "@ample.org"), "");
	finds(q, QUERY(ALL, .sender = "@example.com", .rcpt = "@example.net"), "y/virus-yb");
	finds(q, QUERY(ALL, .sender = "@example.com"), "y/virus-yb,x/spam-xa.gz");
	finds(q, QUERY(ALL, .subject = "A SUBJECT"), "x/spam-xa.gz");
	finds(q, QUERY(ALL, .text = "subject a"), "");
	finds(q, QUERY(ALL, .subject = "100%_\\ \"quo"), "y/virus-yb");
	finds(q, QUERY(ALL, .subject = "gr\xc3\xbc\xc3\x9f"), "y/virus-yb");
	finds(q, QUERY(ALL, .text = "example.net"), "y/virus-yb");
	finds(q, QUERY(ALL, .since_ms = NOW + 1), "y/virus-yb");
	finds(q, QUERY(ALL, .before_ms = NOW + 1), "x/spam-xa.gz");
	finds(q,
		QUERY(ALL, .rcpt = "two@example.org", .sender = "a@example.com", .subject = "subj",
			.text = "one@", .since_ms = NOW, .before_ms = NOW + 1),
		"x/spam-xa.gz");
	finds(q, QUERY(ALL, .rcpt = "two@example.org", .subject = "Gr\xc3\xbc"), "");
	finds(q, QUERY(ANY, .class = MW_CC_SPAM, .sender = "example"), "x/spam-xa.gz");
	mw_qindex_close(&q);
}

static void parts_that_are_too_short_are_refused(void **state)
{
	struct mw_qindex *q = open_index();
	struct mw_text t = { 0 };

	(void)state;
	assert_int_equal(
		mw_qindex_search(q, QUERY(ALL, .text = "ab"), on_row, &t, &err), MW_ERR_CONF);
	assert_int_equal(
		mw_qindex_search(q, QUERY(ALL, .sender = ""), on_row, &t, &err), MW_ERR_CONF);
	assert_false(mw_qindex_is_broken(q));
	mw_qindex_close(&q);
}

static void what_is_put_twice_is_there_once(void **state)
{
	struct mw_qindex *q = open_index();
	struct mw_qentry e = entry("x/spam-xa.gz", "xa", NOW);

	(void)state;
	put(q, &e);
	assert_int_equal(
		mw_qindex_released(q, "xa", "one@example.org", "me", NOW + 5, &err), MW_OK);
	e.size = 7;
	e.rcpts = "other@example.org";
	put(q, &e);
	assert_int_equal(entries(q), 1);
	finds(q, QUERY(ALL, .rcpt = "one@example.org"), "");
	finds(q, QUERY(ALL, .text = "one@example"), "");
	finds(q, QUERY(.class = -1, .rcpt = "other@example.org", .released = 1), "x/spam-xa.gz");
	assert_int_equal(mw_qindex_drop(q, "x/spam-xa.gz", &err), MW_OK);
	assert_int_equal(mw_qindex_drop(q, "x/spam-xa.gz", &err), MW_OK);
	assert_int_equal(mw_qindex_drop(q, "no/such", &err), MW_OK);
	assert_int_equal(entries(q), 0);
	finds(q, QUERY(ALL, .rcpt = "other@example.org"), "");
	finds(q, QUERY(ALL, .text = "other@example"), "");
	assert_int_equal(mw_qindex_check(q, &err), MW_OK);
	mw_qindex_close(&q);
}

static bool on_secret(void *arg, const struct mw_qentry *e)
{
	struct mw_text *t = arg;

	mw_text_addf(t, "%s %s %s %u", e->secret_id, e->log_id, e->mail_id, e->class);
	return true;
}

static void the_one_row_is(struct mw_qindex *q, const char *expected)
{
	struct mw_text t = { 0 };

	assert_int_equal(mw_qindex_search(q, QUERY(ALL), on_secret, &t, &err), MW_OK);
	assert_string_equal(t.p, expected);
	mw_text_fini(&t);
}

static void what_a_file_says_of_itself_does_not_replace_what_its_keeper_said(void **state)
{
	struct mw_qindex *q = open_index();
	struct mw_qentry kept = entry("x/spam-xa.gz", "xa", NOW), read = kept;

	(void)state;
	kept.secret_id = "secret";
	kept.log_id = "log";
	kept.class = MW_CC_VIRUS;
	read.time_ms = NOW + 3000;
	put(q, &read);
	put(q, &kept);
	the_one_row_is(q, "secret log xa 9");
	put(q, &read);
	the_one_row_is(q, "secret log xa 9");
	/* Other files of that name. */
	read.size++;
	put(q, &read);
	the_one_row_is(q, "  xa 6");
	put(q, &kept);
	read.mail_id = "xb";
	read.size = kept.size;
	put(q, &read);
	the_one_row_is(q, "  xb 6");
	assert_int_equal(mw_qindex_check(q, &err), MW_OK);
	mw_qindex_close(&q);
}

static void many_of_one_millisecond_have_room(void **state)
{
	struct mw_qindex *q = open_index();
	char path[32];

	(void)state;
	assert_int_equal(mw_qindex_begin(q, &err), MW_OK);
	for (int i = 0; i < 3000; i++) {
		struct mw_qentry e = entry(path, "same", NOW);

		snprintf(path, sizeof(path), "s/spam-%d.gz", i);
		if (mw_qindex_put(q, &e, &err) != MW_OK)
			fail_msg("%s", err.text);
	}
	assert_int_equal(mw_qindex_commit(q, &err), MW_OK);
	assert_int_equal(entries(q), 3000);
	mw_qindex_close(&q);
}

static void hostile_texts_stay_texts(void **state)
{
	struct mw_qindex *q = open_index();
	struct mw_qentry e = entry("'); DROP TABLE copies;--/\xff\xfe.gz", "id", 0);
	char *many = malloc(MW_QINDEX_RCPTS_OCTETS_MAX * 2), subject[4000];

	(void)state;
	memset(subject, 0xc3, sizeof(subject));
	subject[sizeof(subject) - 1] = '\0';
	memset(many, 'r', MW_QINDEX_RCPTS_OCTETS_MAX * 2 - 1);
	many[MW_QINDEX_RCPTS_OCTETS_MAX * 2 - 1] = '\0';
	for (size_t i = 50; i < MW_QINDEX_RCPTS_OCTETS_MAX * 2 - 1; i += 50)
		many[i] = '\n';
	e.sender = "\"' OR 1=1 --\x01\x1b[2J\xff@example.com";
	e.subject = subject;
	e.rcpts = many;
	put(q, &e);
	e.path = "times/of/no/clock";
	e.time_ms = UINT64_MAX;
	e.rcpts = "";
	put(q, &e);
	assert_int_equal(entries(q), 2);
	finds(q, QUERY(ALL, .sender = "\"' OR 1=1"),
		"times/of/no/clock,'); DROP TABLE copies;--/\xff\xfe.gz");
	finds(q, QUERY(ALL, .text = "NEAR(\"a\" OR) ^*: {sender}"), "");
	finds(q, QUERY(ALL, .rcpt = "' OR '1'='1@x"), "");
	assert_false(mw_qindex_is_broken(q));
	assert_int_equal(mw_qindex_check(q, &err), MW_OK);
	mw_qindex_close(&q);
	free(many);
}

static void a_path_that_is_too_long_is_refused(void **state)
{
	struct mw_qindex *q = open_index();
	char path[MW_QINDEX_PATH_MAX + 1];
	struct mw_qentry e = entry(path, "id", NOW);

	(void)state;
	memset(path, 'p', sizeof(path));
	path[MW_QINDEX_PATH_MAX] = '\0';
	assert_int_equal(mw_qindex_put(q, &e, &err), MW_ERR_LIMIT);
	path[MW_QINDEX_PATH_MAX - 1] = '\0';
	assert_int_equal(mw_qindex_put(q, &e, &err), MW_OK);
	e.path = "folder/";
	assert_int_equal(mw_qindex_put(q, &e, &err), MW_ERR_LIMIT);
	mw_qindex_close(&q);
}

static void write_octets(const void *p, size_t n, off_t at)
{
	int fd = open(file, O_WRONLY | O_CREAT, 0600);

	assert_true(fd >= 0 && pwrite(fd, p, n, at) == (ssize_t)n);
	close(fd);
}

static void what_is_no_index_is_set_aside(void **state)
{
	char garbage[8192];
	struct mw_qindex *q;
	char aside[80];

	(void)state;
	memset(garbage, 'g', sizeof(garbage));
	write_octets(garbage, sizeof(garbage), 0);
	snprintf(aside, sizeof(aside), "%s.broken", file);
	assert_int_equal(mw_qindex_open(&q, dir, MW_QINDEX_READ, &err), MW_ERR_GONE);
	assert_null(q);
	q = open_index();
	assert_int_equal(entries(q), 0);
	assert_int_equal(access(aside, F_OK), 0);
	mw_qindex_close(&q);
}

static void one_that_was_replaced_is_opened_anew(void **state)
{
	struct mw_qindex *a = open_index(), *b = open_index();
	struct mw_qentry e = entry("x/spam-xa.gz", "xa", NOW);
	bool is_new = false;

	(void)state;
	put(a, &e);
	assert_int_equal(unlink(file), 0);
	assert_int_equal(mw_qindex_refresh(b, &is_new, &err), MW_OK);
	assert_true(is_new);
	put(b, &e);
	/* The other one still has the old file open, and its end takes nothing of the new one. */
	assert_int_equal(mw_qindex_refresh(a, &is_new, &err), MW_OK);
	assert_false(is_new);
	assert_int_equal(entries(a), 1);
	mw_qindex_close(&a);
	assert_int_equal(mw_qindex_refresh(b, &is_new, &err), MW_OK);
	assert_false(is_new);
	assert_int_equal(entries(b), 1);
	mw_qindex_close(&b);
}

static void two_writers_wait_for_each_other(void **state)
{
	struct mw_qindex *a = open_index(), *b = open_index();
	struct mw_qentry e = entry("x/spam-xa.gz", "xa", NOW), f = entry("y/spam-yb.gz", "yb", NOW);

	(void)state;
	put(a, &e);
	put(b, &f);
	assert_int_equal(entries(a), 2);
	assert_int_equal(entries(b), 2);
	mw_qindex_close(&a);
	mw_qindex_close(&b);
}

static void what_was_rolled_back_is_not_there(void **state)
{
	struct mw_qindex *q = open_index();
	struct mw_qentry e = entry("x/spam-xa.gz", "xa", NOW);

	(void)state;
	assert_int_equal(mw_qindex_begin(q, &err), MW_OK);
	assert_int_equal(mw_qindex_put(q, &e, &err), MW_OK);
	mw_qindex_rollback(q);
	assert_int_equal(entries(q), 0);
	put(q, &e);
	assert_int_equal(entries(q), 1);
	mw_qindex_close(&q);
}

/* SQLite has done so by itself, as on a full disk. */
static void a_commit_of_what_is_rolled_back_fails_and_breaks_nothing(void **state)
{
	struct mw_qindex *q = open_index();
	struct mw_qentry e = entry("x/spam-xa.gz", "xa", NOW);

	(void)state;
	assert_int_equal(mw_qindex_commit(q, &err), MW_ERR_IO);
	assert_false(mw_qindex_is_broken(q));
	put(q, &e);
	assert_int_equal(entries(q), 1);
	mw_qindex_close(&q);
}

/* ------------------------------------------------------------------ the audit */

static bool on_line(void *arg, const struct mw_qaudit *a)
{
	struct mw_text *t = arg;

	mw_text_addf(t, "[%s|%s|%s|%s|%s]", a->action, a->mail_id, a->path, a->who, a->detail);
	return true;
}

static void deeds_are_read_as_they_were_written(void **state)
{
	const struct mw_qaudit a = { "release", "id", NULL, "me (uid 0)", "a b%\n@example.org",
		NOW };
	struct mw_text t = { 0 };
	struct mw_qindex *q;
	char path[64], by[MW_QINDEX_WHO_MAX];
	FILE *f;

	(void)state;
	assert_int_equal(mw_qaudit_read(dir, on_line, &t, &err), MW_OK);
	assert_null(t.p);
	assert_int_equal(mw_qaudit_write(dir, &a, &err), MW_OK);
	snprintf(path, sizeof(path), "%s/" MW_QAUDIT_FILE, dir);
	f = fopen(path, "a");
	fputs("\nrubbish\n2026-13-45T99:99:99Z release a b c d\n2026-01-01T00:00:00Z release %zz b "
	      "c d\n"
	      "2026-01-01T00:00:00Z release a b %00 d\n2026-01-01T00:00:00Z too few\n",
		f);
	fclose(f);
	assert_int_equal(mw_qaudit_write(dir,
				 &(struct mw_qaudit){ .action = "expire", .time_ms = NOW }, &err),
		MW_OK);
	assert_int_equal(mw_qaudit_read(dir, on_line, &t, &err), MW_OK);
	assert_string_equal(t.p, "[release|id||me (uid 0)|a b%\n@example.org][expire||||]");
	q = open_index();
	assert_int_equal(mw_qaudit_catch_up(dir, q, &err), MW_OK);
	assert_int_equal(mw_qindex_was_released(q, "id", "A B%\n@example.org", by), NOW);
	assert_string_equal(by, "me (uid 0)");
	assert_int_equal(mw_qindex_was_released(q, "id", "b@example.org", by), 0);
	mw_qindex_close(&q);
	mw_text_fini(&t);
}

/* By root in the service's folder: the service must be able to go on with it. */
static void what_root_makes_belongs_to_whose_folder_it_is(void **state)
{
	static const char *const made[] = { MW_QINDEX_FILE, MW_QINDEX_FILE "-wal",
		MW_QINDEX_FILE "-shm", MW_QHOUSEKEEPER_LOCK };
	struct mw_qindex *q;
	struct stat st;
	int lock;

	(void)state;
	if (geteuid() != 0)
		skip();
	assert_int_equal(chown(dir, 65534, 65534), 0);
	q = open_index();
	lock = mw_quarantine_lock(dir, MW_QHOUSEKEEPER_LOCK, false);
	assert_true(lock >= 0);
	for (size_t i = 0; i < MW_COUNT(made); i++) {
		char path[128];

		snprintf(path, sizeof(path), "%s/%s", dir, made[i]);
		assert_int_equal(stat(path, &st), 0);
		assert_int_equal(st.st_uid, 65534);
	}
	close(lock);
	mw_qindex_close(&q);
	assert_int_equal(chown(dir, 0, 0), 0);
}

/* "release" of id to a recipient, who is his own text. */
static enum mw_rc write_release(const char *rcpt)
{
	return mw_qaudit_write(
		dir, &(struct mw_qaudit){ "release", "id", NULL, "me", rcpt, NOW }, &err);
}

static bool knows_after_a_look(struct mw_qindex *q, const char *rcpt)
{
	char by[MW_QINDEX_WHO_MAX];

	assert_int_equal(mw_qaudit_catch_up(dir, q, &err), MW_OK);
	return mw_qindex_was_released(q, "id", rcpt, by) != 0;
}

static const char *audit_file(const char *suffix)
{
	static char path[2][80];
	static unsigned next;

	next = !next;
	snprintf(path[next], sizeof(path[0]), "%s/" MW_QAUDIT_FILE "%s", dir, suffix);
	return path[next];
}

static void an_index_learns_of_every_release_that_the_audit_has(void **state)
{
	struct mw_qindex *q = open_index();

	(void)state;
	assert_false(knows_after_a_look(q, "a@x"));
	assert_int_equal(write_release("a@x"), MW_OK);
	assert_true(knows_after_a_look(q, "a@x"));
	/* Whoever wrote it was killed before it told the index. */
	assert_int_equal(write_release("b@x"), MW_OK);
	assert_true(knows_after_a_look(q, "b@x"));
	/* The same, and then the file was moved out of the way. */
	assert_int_equal(write_release("c@x"), MW_OK);
	assert_int_equal(rename(audit_file(""), audit_file(".1")), 0);
	assert_true(knows_after_a_look(q, "c@x"));
	assert_int_equal(write_release("d@x"), MW_OK);
	assert_true(knows_after_a_look(q, "d@x"));
	/* Another file of the same name. */
	assert_int_equal(unlink(audit_file("")), 0);
	assert_int_equal(unlink(audit_file(".1")), 0);
	assert_int_equal(write_release("e@x"), MW_OK);
	assert_true(knows_after_a_look(q, "e@x"));
	mw_qindex_close(&q);
}

static void an_audit_that_cannot_be_read_is_not_an_empty_one(void **state)
{
	struct mw_qindex *q = open_index();

	(void)state;
	assert_int_equal(mkdir(audit_file(""), 0700), 0);
	assert_int_equal(mw_qaudit_catch_up(dir, q, &err), MW_ERR_IO);
	assert_int_equal(rmdir(audit_file("")), 0);
	assert_int_equal(mw_qaudit_catch_up(dir, q, &err), MW_OK);
	mw_qindex_close(&q);
}

static void half_a_line_does_not_cost_the_next_one(void **state)
{
	struct mw_qindex *q = open_index();
	struct rlimit all, little;
	struct stat st;
	FILE *f;

	(void)state;
	assert_int_equal(write_release("a@x"), MW_OK);
	/* A disk that has room for half a line. */
	assert_int_equal(stat(audit_file(""), &st), 0);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &all), 0);
	little = (struct rlimit){ (rlim_t)st.st_size + 30, all.rlim_max };
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &little), 0);
	assert_int_equal(write_release("b@x"), MW_ERR_IO);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &all), 0);
	assert_false(knows_after_a_look(q, "b@x"));
	assert_int_equal(write_release("c@x"), MW_OK);
	assert_true(knows_after_a_look(q, "c@x"));
	/* A power cut in the middle of one. */
	f = fopen(audit_file(""), "a");
	fputs("2026-01-01T00:00:00Z release id - me d@xampl", f);
	fclose(f);
	assert_false(knows_after_a_look(q, "d@xampl"));
	assert_int_equal(write_release("e@x"), MW_OK);
	assert_true(knows_after_a_look(q, "e@x"));
	mw_qindex_close(&q);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			what_is_put_is_found_from_every_side, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			parts_that_are_too_short_are_refused, set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_is_put_twice_is_there_once, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			what_a_file_says_of_itself_does_not_replace_what_its_keeper_said, set_up,
			tear_down),
		cmocka_unit_test_setup_teardown(
			many_of_one_millisecond_have_room, set_up, tear_down),
		cmocka_unit_test_setup_teardown(hostile_texts_stay_texts, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			a_path_that_is_too_long_is_refused, set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_is_no_index_is_set_aside, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			one_that_was_replaced_is_opened_anew, set_up, tear_down),
		cmocka_unit_test_setup_teardown(two_writers_wait_for_each_other, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			what_was_rolled_back_is_not_there, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			a_commit_of_what_is_rolled_back_fails_and_breaks_nothing, set_up,
			tear_down),
		cmocka_unit_test_setup_teardown(
			deeds_are_read_as_they_were_written, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			what_root_makes_belongs_to_whose_folder_it_is, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			an_index_learns_of_every_release_that_the_audit_has, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			an_audit_that_cannot_be_read_is_not_an_empty_one, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			half_a_line_does_not_cost_the_next_one, set_up, tear_down),
	};
	int failed;

	if (mkdtemp(dir) == NULL)
		return 1;
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	rmdir(dir);
	return failed;
}
