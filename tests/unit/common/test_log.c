/* Log lines: which level shows what, whose voice it is, and what syslog is sent. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "log.h"
#include "log_syslog.h"

#define MAIL (2 << 3)
#define DAEMON (3 << 3)
#define LOCAL7 (23 << 3)

static char folder[64], path[100];
static int syslogd = -1;

static void listen_there(void)
{
	struct sockaddr_un a;

	assert_true(mw_syslog_address(path, &a));
	syslogd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	assert_true(syslogd >= 0);
	assert_int_equal(bind(syslogd, (struct sockaddr *)&a, sizeof(a)), 0);
}

static void go_away(void)
{
	close(syslogd);
	unlink(path);
	syslogd = -1;
}

/* The next datagram, "" when there is none. */
static const char *came(void)
{
	static char buf[4096];
	ssize_t n = recv(syslogd, buf, sizeof(buf) - 1, 0);

	buf[n > 0 ? n : 0] = '\0';
	return buf;
}

static int setup(void **state)
{
	(void)state;
	setenv("TZ", "UTC", 1);
	mw_strlcpy(folder, "/tmp/test_log.XXXXXX", sizeof(folder));
	if (mkdtemp(folder) == NULL)
		return -1;
	snprintf(path, sizeof(path), "%s/log", folder);
	mw_log_open("test", MW_INFO);
	return 0;
}

static int teardown(void **state)
{
	struct mw_log_voice voice = { .level = 0 };

	(void)state;
	mw_log_configure(&voice, NULL);
	if (syslogd >= 0)
		go_away();
	return rmdir(folder);
}

static void speak(int level, int facility, const char *ident)
{
	struct mw_log_voice voice = { .level = level, .facility = facility };

	mw_strlcpy(voice.ident, ident, sizeof(voice.ident));
	assert_true(mw_log_configure(&voice, path));
}

/* Where stderr goes for the while; what came is returned, to be freed. */
static char *stderr_of(void (*say)(void))
{
	char *got = calloc(1, 8192);
	int pipes[2], saved = dup(STDERR_FILENO);
	ssize_t n;

	assert_int_equal(pipe(pipes), 0);
	dup2(pipes[1], STDERR_FILENO);
	say();
	dup2(saved, STDERR_FILENO);
	close(pipes[1]);
	close(saved);
	n = read(pipes[0], got, 8191);
	close(pipes[0]);
	assert_true(n >= 0);
	return got;
}

static void each_log_level_shows_its_levels(void **state)
{
	static const struct {
		int level;
		unsigned shows;
	} rows[] = {
		{ -3, MW_BIT(MW_CRIT) },
		{ -2, MW_BIT(MW_CRIT) | MW_BIT(MW_ERROR) },
		{ -1, MW_BIT(MW_CRIT) | MW_BIT(MW_ERROR) | MW_BIT(MW_WARN) },
		{ 0, MW_BIT(MW_DETAIL) - 1 },
		{ 1, MW_BIT(MW_DETAIL) - 1 },
		{ 2, MW_BIT(MW_DEBUG) - 1 },
		{ 3, MW_BIT(MW_LEVEL_COUNT) - 1 },
		{ 5, MW_BIT(MW_LEVEL_COUNT) - 1 },
	};

	(void)state;
	for (size_t i = 0; i < MW_COUNT(rows); i++) {
		struct mw_log_voice voice = { .level = rows[i].level };

		for (int l = 0; l < MW_LEVEL_COUNT; l++)
			assert_int_equal(mw_log_voice_wants(&voice, (enum mw_level)l),
				(rows[i].shows & MW_BIT(l)) != 0);
		mw_log_configure(&voice, NULL);
		for (int l = 0; l < MW_LEVEL_COUNT; l++)
			assert_int_equal(
				mw_log_wants((enum mw_level)l), (rows[i].shows & MW_BIT(l)) != 0);
	}
}

static void facilities_have_their_numbers(void **state)
{
	(void)state;
	assert_int_equal(mw_syslog_facility("mail"), MAIL);
	assert_int_equal(mw_syslog_facility("LOG_MAIL"), MAIL);
	assert_int_equal(mw_syslog_facility("Daemon"), DAEMON);
	assert_int_equal(mw_syslog_facility("local7"), LOCAL7);
	assert_int_equal(mw_syslog_facility("local8"), -1);
	assert_int_equal(mw_syslog_facility("kern"), -1);
	assert_int_equal(mw_syslog_facility(""), -1);
	assert_int_equal(mw_syslog_facility("LOG_"), -1);
}

static void names_that_a_syslogd_would_misread_are_none(void **state)
{
	char longest[MW_LOG_IDENT_MAX + 1];

	(void)state;
	memset(longest, 'a', sizeof(longest));
	longest[MW_LOG_IDENT_MAX - 1] = '\0';
	assert_true(mw_syslog_is_ident(longest));
	longest[MW_LOG_IDENT_MAX - 1] = 'a';
	longest[MW_LOG_IDENT_MAX] = '\0';
	assert_false(mw_syslog_is_ident(longest));
	assert_true(mw_syslog_is_ident("mailweir-release"));
	assert_false(mw_syslog_is_ident(""));
	assert_false(mw_syslog_is_ident("a b"));
	assert_false(mw_syslog_is_ident("a[1]"));
	assert_false(mw_syslog_is_ident("a:"));
	assert_false(mw_syslog_is_ident("a\n"));
}

static void the_head_is_that_of_rfc_3164(void **state)
{
	char head[128];

	(void)state;
	assert_int_equal(
		mw_syslog_head(head, sizeof(head), MAIL | 6, 1700000000, "mailweir-dkim", 123),
		strlen("<22>Nov 14 22:13:20 mailweir-dkim[123]: "));
	assert_string_equal(head, "<22>Nov 14 22:13:20 mailweir-dkim[123]: ");
	mw_syslog_head(head, sizeof(head), LOCAL7 | 2, 1699221904, "x", 1);
	assert_string_equal(head, "<186>Nov  5 22:05:04 x[1]: "); /* the day has two places */
	for (size_t size = 1; size < sizeof(head); size++) {
		size_t n = mw_syslog_head(head, size, MAIL, 1700000000, "mailweir", 4194304);

		assert_true(n < size);
		assert_int_equal(strlen(head), n);
	}
}

static void lines_go_to_syslog_in_the_voice_of_their_mail(void **state)
{
	struct mw_log_voice own = { .level = 3, .facility = LOCAL7, .ident = "release" },
			    quiet = { .level = -1 }, as_all = { .level = MW_LOG_LEVEL_OF_ALL };
	char want[100];

	(void)state;
	listen_there();
	speak(0, 0, "");
	mw_log(MW_INFO, "event_name", "key=%d", 7);
	snprintf(want, sizeof(want), " mailweir-test[%d]: info event_name key=7", (int)getpid());
	assert_non_null(strstr(came(), want));
	speak(0, MAIL, "weir");
	mw_log(MW_INFO, "event_name", "key=%d", 7);
	snprintf(want, sizeof(want), " weir[%d]: info event_name key=7", (int)getpid());
	assert_non_null(strstr(came(), want));
	mw_log_as(&own, MW_DEBUG, "odd", "k=v");
	snprintf(want, sizeof(want), "<%d>", LOCAL7 | 7);
	assert_memory_equal(came(), want, strlen(want));
	mw_log_as(&quiet, MW_INFO, "not_said", "k=v");
	assert_string_equal(came(), "");
	mw_log_as(&quiet, MW_WARN, "said", "k=v");
	snprintf(want, sizeof(want), "<%d>", MAIL | 4);
	assert_memory_equal(came(), want, strlen(want));
	mw_log_as(&as_all, MW_DEBUG, "not_said", "k=v");
	assert_string_equal(came(), "");
	mw_log_as(&as_all, MW_INFO, "said", "k=v");
	assert_non_null(strstr(came(), " weir["));
	mw_log_as(NULL, MW_CRIT, "said", "k=v");
	snprintf(want, sizeof(want), "<%d>", MAIL | 2);
	assert_memory_equal(came(), want, strlen(want));
}

static void say_one(void)
{
	errno = EDOM;
	mw_log(MW_WARN, "while_away", "k=v");
	assert_int_equal(errno, EDOM);
}

static void without_a_syslogd_lines_go_to_stderr_until_one_is_there_again(void **state)
{
	char *got;

	(void)state;
	speak(0, 0, "");
	got = stderr_of(say_one);
	assert_non_null(strstr(got, " warn while_away k=v\n"));
	free(got);
	listen_there();
	got = stderr_of(say_one);
	assert_string_equal(got, "");
	free(got);
	assert_non_null(strstr(came(), "while_away"));
	go_away();
	got = stderr_of(say_one);
	assert_non_null(strstr(got, " warn while_away k=v\n"));
	free(got);
	listen_there();
	say_one();
	assert_non_null(strstr(came(), "while_away"));
}

static void a_syslogd_that_does_not_keep_up_costs_lines_and_no_time(void **state)
{
	uint64_t before = mw_log_dropped();
	unsigned kept = 0, said = 20000;

	(void)state;
	listen_there();
	speak(0, 0, "");
	for (unsigned i = 0; i < said; i++)
		mw_log(MW_INFO, "many", "i=%u", i);
	while (*came() != '\0')
		kept++;
	assert_true(kept > 0);
	assert_int_equal(mw_log_dropped() - before, said - kept);
}

static char long_text[5000];

static void say_a_long_one(void)
{
	mw_log(MW_INFO, "long", "%s", long_text);
}

static void long_lines_are_cut_and_still_lines(void **state)
{
	struct mw_log_voice voice = { .level = 0 };
	size_t n;
	char *got;

	(void)state;
	memset(long_text, 'x', sizeof(long_text) - 1);
	mw_log_configure(&voice, NULL);
	got = stderr_of(say_a_long_one);
	n = strlen(got);
	assert_true(n > 1500 && n <= 2048);
	assert_int_equal(got[n - 1], '\n');
	assert_null(memchr(got, '\n', n - 1));
	free(got);
	listen_there();
	speak(0, 0, "");
	say_a_long_one();
	n = strlen(came());
	assert_true(n > 1500 && n <= 2048);
}

static void a_path_that_fits_no_address_is_refused(void **state)
{
	struct mw_log_voice voice = { .level = 0 };
	struct mw_err err = { "" };
	char longest[200];

	(void)state;
	memset(longest, 'a', sizeof(longest) - 1);
	longest[0] = '/';
	longest[sizeof(longest) - 1] = '\0';
	assert_false(mw_log_configure(&voice, longest));
	assert_false(mw_log_configure(&voice, "relative"));
	assert_false(mw_syslog_answers(path, &err));
	listen_there();
	assert_true(mw_syslog_answers(path, &err));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

/* ------------------------------------------------------------------ lines of others' forms */

static void a_line_of_another_s_form_is_cut_and_goes_on(void **state)
{
	const char *text = "0123456789012345678901234567890123456789 \xc3\xa4\xc3\xa4 the end";
	const char *line;

	(void)state;
	listen_there();
	speak(0, MAIL, "amavis");
	mw_log_line_as(NULL, MW_INFO, "1-01", mw_octets_of_text("Passed CLEAN"), 980);
	line = came();
	assert_non_null(strstr(line, "]: (1-01) Passed CLEAN"));
	assert_memory_equal(line, "<21>", 4);
	mw_log_line_as(NULL, MW_WARN, "1-01", mw_octets_of_text(text), 50);
	assert_non_null(strstr(came(), "]: (1-01) (!)0123456789012345678901234567890123456..."));
	assert_non_null(strstr(came(), "]: (1-01) (!)...789 \xc3\xa4\xc3\xa4 the end"));
	mw_log_line_as(NULL, MW_DETAIL, "1-01", mw_octets_of_text(text), 50);
	assert_string_equal(came(), "");
	mw_log_line_as(NULL, MW_INFO, "1-01", mw_octets_of("a\nb", 3), 980);
	assert_non_null(strstr(came(), "]: (1-01) a?b"));
	go_away();
}

/* Where each write to stderr is a message of its own. */
static unsigned writes_of(void (*say)(void), char *all, size_t size)
{
	int pair[2], saved = dup(STDERR_FILENO);
	unsigned count = 0;
	size_t at = 0;
	ssize_t n;

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, pair), 0);
	dup2(pair[1], STDERR_FILENO);
	say();
	dup2(saved, STDERR_FILENO);
	close(pair[1]);
	close(saved);
	while ((n = read(pair[0], all + at, size - at - 1)) > 0) {
		assert_int_equal(all[at + (size_t)n - 1], '\n'); /* whole lines alone */
		assert_in_range(n, 1, 4096);
		at += (size_t)n;
		count++;
	}
	all[at] = '\0';
	close(pair[0]);
	return count;
}

static void say_two_held_and_one(void)
{
	mw_log_hold();
	mw_log(MW_WARN, "first", "k=v");
	mw_log(MW_WARN, "second", "k=v");
	mw_log_release();
	mw_log(MW_WARN, "third", "k=v");
	mw_log_hold();
	mw_log_release();
}

static void say_hundred_held(void)
{
	mw_log_hold();
	for (int i = 0; i < 100; i++)
		mw_log(MW_WARN, "held", "i=%d %.*s", i, i * 7,
			"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
			"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
			"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx");
	mw_log_release();
}

static void lines_that_are_held_are_one_write_and_none_is_lost(void **state)
{
	static char all[65536];
	char *first, *second, *third;
	unsigned count;
	int lines = 0;

	(void)state;
	speak(0, 0, "");
	assert_int_equal(writes_of(say_two_held_and_one, all, sizeof(all)), 2);
	first = strstr(all, " first ");
	second = strstr(all, " second ");
	third = strstr(all, " third ");
	assert_true(first != NULL && second > first && third > second);
	count = writes_of(say_hundred_held, all, sizeof(all));
	assert_in_range(count, 2, 20);
	for (const char *at = all; (at = strstr(at, " held i=")) != NULL; at++)
		assert_int_equal(atoi(at + 8), lines++);
	assert_int_equal(lines, 100);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(lines_that_are_held_are_one_write_and_none_is_lost),
		TEST(each_log_level_shows_its_levels),
		TEST(facilities_have_their_numbers),
		TEST(names_that_a_syslogd_would_misread_are_none),
		TEST(the_head_is_that_of_rfc_3164),
		TEST(lines_go_to_syslog_in_the_voice_of_their_mail),
		TEST(without_a_syslogd_lines_go_to_stderr_until_one_is_there_again),
		TEST(a_syslogd_that_does_not_keep_up_costs_lines_and_no_time),
		TEST(long_lines_are_cut_and_still_lines),
		TEST(a_line_of_another_s_form_is_cut_and_goes_on),
		TEST(a_path_that_fits_no_address_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
