/* What all sockets of a process share. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <unistd.h>

#include "zsock.h"

static size_t max_message_of(const char *lua)
{
	char path[] = "/tmp/mailweir-test-zsock-XXXXXX", *errors = NULL;
	struct mw_loop *loop = mw_loop_new();
	struct mw_conf *conf = NULL;
	struct mw_err err = { "" };
	struct mw_zctx z;
	size_t most;
	int fd = mkstemp(path);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, lua, strlen(lua)), (ssize_t)strlen(lua));
	close(fd);
	if (mw_conf_load(path, &conf, &errors) != MW_OK)
		fail_msg("%s", errors);
	unlink(path);
	assert_int_equal(mw_zctx_open(&z, "test", conf, loop, 8, &err), MW_OK);
	most = z.max_message;
	mw_zctx_close(&z);
	mw_conf_destroy(&conf);
	mw_loop_destroy(&loop);
	return most;
}

static void frames_may_be_as_large_as_the_largest_mail_of_any_policy_bank(void **state)
{
	size_t slack = max_message_of("smtpd_message_size_limit = 100000\n") - 100000;

	(void)state;
	assert_int_equal(
		max_message_of("smtpd_message_size_limit = 100000\n"
			       "policy_bank['SMALL'] = { smtpd_message_size_limit = 2000 }\n"
			       "policy_bank['OTHER'] = { log_level = 1 }\n"),
		100000 + slack);
	assert_int_equal(
		max_message_of("smtpd_message_size_limit = 100000\n"
			       "policy_bank['SMALL'] = { smtpd_message_size_limit = 2000 }\n"
			       "policy_bank['LARGE'] = { smtpd_message_size_limit = 900000000 }\n"),
		900000000 + slack);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(frames_may_be_as_large_as_the_largest_mail_of_any_policy_bank),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
