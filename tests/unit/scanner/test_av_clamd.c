#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "av_clamd.h"

static const struct {
	const char *octets;
	size_t n;
	int rc;
	uint64_t id;
	enum clamd_word word;
	const char *text;
} replies[] = {
#define R(text) text, sizeof(text)
	{ R("1: stream: OK"), 1, 1, CLAMD_OK, "" },
	{ R("12: stream: Eicar-Test FOUND"), 1, 12, CLAMD_FOUND, "Eicar-Test" },
	{ R("3: fd[10]: Win.Test.EICAR_HDB-1(44d88612:68) FOUND"), 1, 3, CLAMD_FOUND,
		"Win.Test.EICAR_HDB-1(44d88612:68)" },
	{ R("2: stream: a: b FOUND"), 1, 2, CLAMD_FOUND, "a: b" },
	{ R("4: INSTREAM size limit exceeded. ERROR"), 1, 4, CLAMD_ERROR,
		"INSTREAM size limit exceeded." },
	{ R("4: stream: Can't open. OK ERROR"), 1, 4, CLAMD_ERROR, "stream: Can't open. OK" },
	{ R("5: stream: NOK"), -1, 0, 0, NULL },
	{ R("5: stream: OK "), -1, 0, 0, NULL },
	{ R("5: OK"), -1, 0, 0, NULL },
	{ R("stream: OK"), -1, 0, 0, NULL },
	{ R("1000000000: stream: OK"), -1, 0, 0, NULL },
	{ R(": stream: OK"), -1, 0, 0, NULL },
	{ R("-1: stream: OK"), -1, 0, 0, NULL },
	{ R("COMMAND READ TIMED OUT"), -1, 0, 0, NULL },
	{ R(""), -1, 0, 0, NULL },
};

static void replies_are_read_whole_and_octet_by_octet(void **state)
{
	(void)state;
	for (size_t i = 0; i < MW_COUNT(replies); i++)
		for (size_t piece = 1; piece <= replies[i].n; piece += replies[i].n - 1) {
			struct clamd_reader r = { 0 };
			struct clamd_reply got = { 0 };
			int rc = 0;

			for (size_t at = 0; at < replies[i].n && rc == 0; at += piece) {
				struct mw_octets in = mw_octets_of(replies[i].octets + at, piece);

				rc = clamd_read(&r, &in, &got);
			}
			assert_int_equal(rc, replies[i].rc);
			if (rc == 1) {
				assert_int_equal(got.id, replies[i].id);
				assert_int_equal(got.word, replies[i].word);
				assert_string_equal(got.text, replies[i].text);
			}
			if (replies[i].n == 1)
				break;
		}
}

static void a_reply_beyond_its_limit_is_refused(void **state)
{
	struct clamd_reader r = { 0 };
	struct clamd_reply got;
	char long_one[CLAMD_REPLY_MAX];
	struct mw_octets in = mw_octets_of(long_one, sizeof(long_one) - 1);

	(void)state;
	memset(long_one, 'x', sizeof(long_one));
	assert_int_equal(clamd_read(&r, &in, &got), 0);
	in = mw_octets_of(long_one, 1);
	assert_int_equal(clamd_read(&r, &in, &got), -1);
}

static void two_replies_in_one_piece_come_one_by_one(void **state)
{
	static const char both[] = "1: stream: OK\0"
				   "2: stream: X FOUND";
	struct clamd_reader r = { 0 };
	struct clamd_reply got;
	struct mw_octets in = mw_octets_of(both, sizeof(both));

	(void)state;
	assert_int_equal(clamd_read(&r, &in, &got), 1);
	assert_int_equal(got.id, 1);
	assert_int_equal(clamd_read(&r, &in, &got), 1);
	assert_string_equal(got.text, "X");
	assert_int_equal(in.n, 0);
}

static void only_who_was_asked_may_answer_and_once(void **state)
{
	struct clamd_session s = { 0 };
	size_t file;

	(void)state;
	for (size_t i = 0; i < CLAMD_OUTSTANDING_MAX; i++) {
		assert_true(clamd_may_ask(&s));
		clamd_asked(&s, 100 + i);
	}
	assert_false(clamd_may_ask(&s));
	assert_false(clamd_answered(&s, 0, &file));
	assert_false(clamd_answered(&s, CLAMD_OUTSTANDING_MAX + 1, &file));
	assert_true(clamd_answered(&s, 3, &file));
	assert_int_equal(file, 102);
	assert_false(clamd_answered(&s, 3, &file));
	clamd_asked(&s, 200);
	assert_true(clamd_answered(&s, CLAMD_OUTSTANDING_MAX + 1, &file));
	assert_int_equal(file, 200);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(replies_are_read_whole_and_octet_by_octet),
		cmocka_unit_test(a_reply_beyond_its_limit_is_refused),
		cmocka_unit_test(two_replies_in_one_piece_come_one_by_one),
		cmocka_unit_test(only_who_was_asked_may_answer_and_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
