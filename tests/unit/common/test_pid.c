#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base.h"

static pid_t truth(void)
{
	return (pid_t)syscall(SYS_getpid);
}

static void it_is_the_kernels(void **state)
{
	(void)state;
	assert_int_equal(getpid(), truth());
	assert_int_equal(getpid(), truth());
}

static bool right_in_child(pid_t child)
{
	int status = 0;

	if (child == 0)
		_exit(getpid() == truth() && getpid() == truth() ? 0 : 1);
	return child > 0 && waitpid(child, &status, 0) == child && status == 0;
}

static void a_forked_child_has_its_own(void **state)
{
	(void)state;
	getpid();
	assert_true(right_in_child(fork()));
	assert_int_equal(getpid(), truth());
}

/* No pthread_atfork handler sees this one. */
static void so_has_a_child_that_libc_does_not_know_of(void **state)
{
	(void)state;
	getpid();
	assert_true(right_in_child((pid_t)syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, 0)));
	assert_int_equal(getpid(), truth());
}

static void *ask(void *arg)
{
	*(pid_t *)arg = getpid();
	return NULL;
}

static void threads_share_it(void **state)
{
	pthread_t t[8];
	pid_t got[8];

	(void)state;
	for (size_t i = 0; i < MW_COUNT(t); i++)
		assert_int_equal(pthread_create(&t[i], NULL, ask, &got[i]), 0);
	for (size_t i = 0; i < MW_COUNT(t); i++) {
		pthread_join(t[i], NULL);
		assert_int_equal(got[i], truth());
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_is_the_kernels),
		cmocka_unit_test(a_forked_child_has_its_own),
		cmocka_unit_test(so_has_a_child_that_libc_does_not_know_of),
		cmocka_unit_test(threads_share_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
