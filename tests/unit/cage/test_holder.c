/* The engine holder whose scanner is no more. */
#include "help.h"

#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "holder.h"

static void send_conf(int sock)
{
	struct scan_conf c = test_conf();
	struct mw_pack b;

	mw_strlcpy(c.temp_dir, "/dev/null/cages", sizeof(c.temp_dir));
	mw_pack_init(&b);
	scan_conf_encode(&b, &c);
	assert_int_equal(scan_send(sock, mw_octets_of(b.p, b.n), NULL, 0, -1), MW_OK);
	mw_pack_fini(&b);
}

/* How a holder ends; its scanner dies, having said what to load, before it has asked for a signal
 * at that (gone), or lives. */
static int exit_code(bool gone, enum scan_message *last_r)
{
	unsigned char said[1024];
	int pair[2], status = 0, fd;
	size_t n = 0;
	pid_t pid;

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	send_conf(pair[0]);
	if (gone)
		shutdown(pair[0], SHUT_RDWR);
	pid = fork();
	if (pid == 0)
		_exit(holder_run(pair[1]));
	close(pair[1]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	*last_r = scan_recv(pair[0], said, sizeof(said), &n, &fd) == MW_OK
			  ? scan_message_type(mw_octets_of(said, n))
			  : SCAN_MSG_NONE;
	close(pair[0]);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void nothing_is_loaded_for_a_scanner_that_is_gone(void **state)
{
	enum scan_message last;

	(void)state;
	/* One that lives is told that there is no such folder. */
	assert_int_equal(exit_code(false, &last), EXIT_FAILURE);
	assert_int_equal(last, SCAN_MSG_BROKEN);
	assert_int_equal(exit_code(true, &last), EXIT_FAILURE);
	assert_int_equal(last, SCAN_MSG_NONE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_is_loaded_for_a_scanner_that_is_gone),
	};

	mw_log_open("test", MW_ERROR + 1);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
