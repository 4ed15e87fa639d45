/* Each case in a child, because rights only shrink. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "log.h"
#include "sandbox.h"

static char folder[64];

static int make_folder(void **state)
{
	(void)state;
	mw_log_open("test", MW_ERROR);
	strcpy(folder, "/tmp/mw-sandbox-XXXXXX");
	return mkdtemp(folder) != NULL && chmod(folder, 0777) == 0 ? 0 : -1;
}

static int remove_folder(void **state)
{
	(void)state;
	return rmdir(folder);
}

/* Exit code of a child that does it, or 128 + the signal that ended it. */
static int child(int (*does)(void))
{
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		int null = open("/dev/null", O_WRONLY);

		dup2(null, STDERR_FILENO);
		_exit(does());
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

/* ------------------------------------------------------------------ files */

static bool enter_files(bool writable)
{
	struct mw_sandbox_folder own = { .fd = open(folder, O_PATH | O_CLOEXEC),
		.writable = writable };
	bool ok = mw_sandbox_files(MW_SANDBOX_STRICT, &own, 1, NULL) == MW_OK;

	close(own.fd);
	return ok;
}

static bool refused(const char *path, int flags)
{
	return open(path, flags, 0600) < 0 && errno == EACCES;
}

static int own_folder_only(void)
{
	char path[128];
	int fd;

	if (!enter_files(true))
		return 1;
	snprintf(path, sizeof(path), "%s/x", folder);
	fd = open(path, O_RDWR | O_CREAT, 0600);
	if (fd < 0 || write(fd, "x", 1) != 1 || ftruncate(fd, 0) != 0 || unlink(path) != 0)
		return 2;
	if (mkdir(path, 0700) != 0 || rmdir(path) != 0)
		return 3;
	if (!refused("/etc/passwd", O_RDONLY) || !refused("/", O_RDONLY) ||
		!refused("/proc/self/status", O_RDONLY) ||
		!refused("/tmp/mw-sandbox-new", O_WRONLY | O_CREAT))
		return 4;
	snprintf(path, sizeof(path), "%s/../mw-sandbox-new", folder);
	if (!refused(path, O_WRONLY | O_CREAT))
		return 5;
	snprintf(path, sizeof(path), "%s/s", folder);
	if (symlink("/etc/passwd", path) == 0 || errno != EACCES)
		return 6;
	return 0;
}

static int own_folder_read_only(void)
{
	char path[128];

	if (!enter_files(false))
		return 1;
	snprintf(path, sizeof(path), "%s/x", folder);
	return open(folder, O_RDONLY | O_DIRECTORY) < 0 || !refused(path, O_WRONLY | O_CREAT) ? 2
											      : 0;
}

/* Exit code of /bin/true with the whole tree readable, and runnable or not; 7: refused. */
static int runs(bool runnable)
{
	struct mw_sandbox_folder root = { .fd = open("/", O_PATH | O_CLOEXEC),
		.runnable = runnable };

	if (mw_sandbox_files(MW_SANDBOX_STRICT, &root, 1, NULL) != MW_OK)
		return 1;
	if (!refused("/tmp/mw-sandbox-new", O_WRONLY | O_CREAT))
		return 2;
	execl("/bin/true", "true", (char *)NULL);
	return errno == EACCES ? 7 : 3;
}

static int runs_what_is_runnable(void)
{
	return runs(true);
}

static int runs_nothing_else(void)
{
	return runs(false);
}

static int as_nobody(void)
{
	return geteuid() == 0 && setuid(65534) != 0 ? 9 : own_folder_only();
}

static int tcp_is_closed(void)
{
	struct sockaddr to = { .sa_family = AF_INET };
	int s = socket(AF_INET, SOCK_STREAM, 0);

	return !enter_files(true) || s < 0 || connect(s, &to, sizeof(struct sockaddr)) == 0 ||
	       errno != EACCES;
}

static void only_the_own_folder_can_be_opened(void **state)
{
	(void)state;
	assert_int_equal(child(own_folder_only), 0);
	assert_int_equal(child(own_folder_read_only), 0);
}

static void programs_run_only_where_they_may(void **state)
{
	(void)state;
	assert_int_equal(child(runs_what_is_runnable), 0);
	assert_int_equal(child(runs_nothing_else), 7);
}

static void it_works_as_an_unprivileged_user(void **state)
{
	(void)state;
	assert_int_equal(child(as_nobody), 0);
}

static void tcp_is_closed_where_the_kernel_can(void **state)
{
	(void)state;
	if (mw_landlock_abi() < 4)
		skip();
	assert_int_equal(child(tcp_is_closed), 0);
}

/* ------------------------------------------------------------------ system calls */

static int pair[2];

static bool enter_calls(void)
{
	static const char *const names[] = { "write", "exit_group", "exit", "brk", "munmap",
		"futex", "rt_sigreturn", "rt_sigprocmask", "set_robust_list", "rseq", "madvise",
		"getpid", "sigaltstack" };
	struct mw_sandbox_call calls[MW_COUNT(names) + 3];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair) != 0)
		return false;
	for (size_t i = 0; i < MW_COUNT(names); i++)
		calls[i] = (struct mw_sandbox_call){ names[i], MW_ANY_FD };
	calls[MW_COUNT(names)] = (struct mw_sandbox_call){ "sendto", pair[0] };
	calls[MW_COUNT(names) + 1] = (struct mw_sandbox_call){ "fcntl", MW_ANY_FD };
	calls[MW_COUNT(names) + 2] = (struct mw_sandbox_call){ "prlimit64", 0 };
	return mw_sandbox_files(MW_SANDBOX_STRICT, NULL, 0, NULL) == MW_OK &&
	       mw_sandbox_calls(MW_SANDBOX_STRICT, calls, MW_COUNT(calls), NULL) == MW_OK;
}

static int allowed(void)
{
	return enter_calls() && getpid() > 0 && syscall(SYS_write, STDERR_FILENO, "x", 1) == 1 ? 0
											       : 1;
}

static int does_socket(void)
{
	return enter_calls() ? socket(AF_UNIX, SOCK_STREAM, 0) : 1;
}

static int does_fork(void)
{
	return enter_calls() ? fork() : 1;
}

static int does_vfork_like_clone(void)
{
	return enter_calls() ? (int)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0) : 1;
}

static int does_exec(void)
{
	char *none[] = { NULL };

	return enter_calls() ? execve("/bin/true", none, none) : 1;
}

static int does_ptrace(void)
{
	return enter_calls() ? (int)ptrace(PTRACE_TRACEME, 0, NULL, NULL) : 1;
}

static int does_what_is_not_on_the_list(void)
{
	return enter_calls() ? (int)syscall(SYS_getcwd, NULL, 0) : 1;
}

static int does_kill(void)
{
	return enter_calls() ? kill(1, 0) : 1;
}

static int does_executable_memory(void)
{
	return enter_calls() ? mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC,
				       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == NULL
			     : 1;
}

static int does_sendto_elsewhere(void)
{
	return enter_calls() ? (int)sendto(pair[1], "x", 1, 0, NULL, 0) : 1;
}

static int does_sendto_its_own(void)
{
	return enter_calls() && sendto(pair[0], "x", 1, 0, NULL, 0) == 1 ? 0 : 1;
}

/* Limits of others and descriptors that send signals end processes of the same user. */
static int does_limit_its_parent(void)
{
	pid_t parent = getppid();

	return enter_calls() ? prlimit(parent, RLIMIT_CPU, NULL, NULL) : 1;
}

static int does_own_a_descriptor(void)
{
	return enter_calls() ? fcntl(STDERR_FILENO, F_SETOWN, 1) : 1;
}

static int does_choose_its_signal(void)
{
	return enter_calls() ? fcntl(STDERR_FILENO, F_SETSIG, SIGKILL) : 1;
}

static int looks_after_itself(void)
{
	struct rlimit l;

	return enter_calls() && getrlimit(RLIMIT_CPU, &l) == 0 &&
			       fcntl(STDERR_FILENO, F_GETFL) >= 0 &&
			       fcntl(STDERR_FILENO, F_SETFD, FD_CLOEXEC) == 0
		       ? 0
		       : 1;
}

static int asks_for_a_terminal(void)
{
	return enter_calls() && !isatty(STDERR_FILENO) && errno == ENOTTY ? 0 : 1;
}

static void what_is_on_the_list_works(void **state)
{
	(void)state;
	assert_int_equal(child(allowed), 0);
	assert_int_equal(child(does_sendto_its_own), 0);
	assert_int_equal(child(asks_for_a_terminal), 0);
	assert_int_equal(child(looks_after_itself), 0);
}

static void everything_else_ends_the_process_by_sigsys(void **state)
{
	static int (*const deeds[])(void) = { does_socket, does_fork, does_vfork_like_clone,
		does_exec, does_ptrace, does_what_is_not_on_the_list, does_kill,
		does_executable_memory, does_sendto_elsewhere, does_limit_its_parent,
		does_own_a_descriptor, does_choose_its_signal };

	(void)state;
	for (size_t i = 0; i < MW_COUNT(deeds); i++)
		assert_int_equal(child(deeds[i]), 128 + SIGSYS);
}

/* ------------------------------------------------------------------ other people's programs */

static bool not_permitted(long rc)
{
	return rc == -1 && errno == EPERM;
}

/* The number of what it could do, or 0. */
static int a_program(void)
{
	pid_t parent = getppid();
	struct rlimit l;
	siginfo_t info = { .si_code = SI_QUEUE };

	if (mw_sandbox_program(MW_SANDBOX_STRICT, NULL) != MW_OK)
		return 1;
	if (!not_permitted(kill(parent, 0)) ||
		!not_permitted(syscall(SYS_tgkill, parent, parent, 0)))
		return 2;
	if (!not_permitted(syscall(SYS_rt_sigqueueinfo, parent, 0, &info)) ||
		!not_permitted(syscall(SYS_rt_tgsigqueueinfo, parent, parent, 0, &info)))
		return 3;
	if (!not_permitted(prlimit(parent, RLIMIT_CPU, NULL, &l)))
		return 4;
	if (!not_permitted(fcntl(STDERR_FILENO, F_SETOWN, parent)) ||
		!not_permitted(fcntl(STDERR_FILENO, F_SETSIG, SIGKILL)))
		return 5;
	if (!not_permitted(socket(AF_UNIX, SOCK_STREAM, 0)))
		return 6;
	return getrlimit(RLIMIT_CPU, &l) == 0 && fcntl(STDERR_FILENO, F_GETFL) >= 0 && fork() >= 0
		       ? 0
		       : 7;
}

static void a_program_is_no_danger_to_others(void **state)
{
	(void)state;
	assert_int_equal(child(a_program), 0);
}

static void the_setting_has_two_words(void **state)
{
	enum mw_sandbox_mode mode;
	struct mw_err err;

	(void)state;
	assert_int_equal(mw_sandbox_mode_of("strict", &mode, &err), MW_OK);
	assert_int_equal(mode, MW_SANDBOX_STRICT);
	assert_int_equal(mw_sandbox_mode_of("best_effort", &mode, &err), MW_OK);
	assert_int_equal(mode, MW_SANDBOX_BEST_EFFORT);
	assert_int_equal(mw_sandbox_mode_of("off", &mode, &err), MW_ERR_CONF);
	assert_non_null(strstr(err.text, "best_effort"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(only_the_own_folder_can_be_opened),
		cmocka_unit_test(programs_run_only_where_they_may),
		cmocka_unit_test(it_works_as_an_unprivileged_user),
		cmocka_unit_test(tcp_is_closed_where_the_kernel_can),
		cmocka_unit_test(what_is_on_the_list_works),
		cmocka_unit_test(everything_else_ends_the_process_by_sigsys),
		cmocka_unit_test(a_program_is_no_danger_to_others),
		cmocka_unit_test(the_setting_has_two_words),
	};

	return cmocka_run_group_tests_name("sandbox", tests, make_folder, remove_folder);
}
