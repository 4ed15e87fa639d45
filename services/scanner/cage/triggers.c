#include "triggers.h"

#ifdef MW_TEST_TRIGGERS
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <errno.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "log.h"

#define OLD_ENOUGH_US 250000 /* cages that die younger are born again slowly (holder.c) */
#define FIELD "\nX-Mailweir-Test-Cage: "

/* By the signal itself: a sanitiser's handler would make an exit of it, and a report. */
static void do_crash(void)
{
	signal(SIGSEGV, SIG_DFL);
	raise(SIGSEGV);
	abort();
}

static void do_hang(void)
{
	for (;;)
		sleep(1);
}

static void do_spin(void)
{
	for (volatile unsigned i = 0;; i++)
		;
}

static void do_socket(void)
{
	socket(AF_INET, SOCK_STREAM, 0);
}

static void do_connect(void)
{
	struct sockaddr_in to = { .sin_family = AF_INET };

	connect(3, (struct sockaddr *)&to, sizeof(to));
}

static void do_fork(void)
{
	fork();
}

static void do_exec(void)
{
	char *none[] = { NULL };

	execve("/bin/true", none, none);
}

static void do_ptrace(void)
{
	ptrace(PTRACE_TRACEME, 0, NULL, NULL);
}

/* libc asks for it first and falls back on clone: the answer is that there is none. */
static void do_clone3(void)
{
	if (syscall(SYS_clone3, NULL, 0) != -1 || errno != ENOSYS)
		abort();
	mw_log(MW_INFO, "test_clone3_refused", "errno=ENOSYS");
}

static void do_execmem(void)
{
	syscall(SYS_mmap, NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

/* Past our own counting, in many files: only the holder sees it. */
static void do_fill(void)
{
	static const char octets[65536];
	char name[32];

	for (unsigned i = 0;; i++) {
		int fd;

		snprintf(name, sizeof(name), "fill-%u", i);
		fd = (int)syscall(SYS_openat, AT_FDCWD, name, O_WRONLY | O_CREAT, 0600);
		syscall(SYS_write, fd, octets, sizeof(octets));
		syscall(SYS_close, fd);
		usleep(1000);
	}
}

/* The same without a name. */
static void do_fill_unnamed(void)
{
	static const char octets[65536];
	int fd = (int)syscall(SYS_openat, AT_FDCWD, "fill", O_WRONLY | O_CREAT, 0600);

	unlink("fill");
	for (;;) {
		syscall(SYS_write, fd, octets, sizeof(octets));
		usleep(1000);
	}
}

/* Deeper than a path can be said, as who opens each folder from the one above may go. */
static void do_deep(void)
{
	char name[200];
	int at = AT_FDCWD;

	memset(name, 'd', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	for (unsigned i = 0; i < 40; i++) {
		int below;

		syscall(SYS_mkdirat, at, name, 0700);
		below = (int)syscall(SYS_openat, at, name, O_RDONLY | O_DIRECTORY);
		if (at >= 0)
			close(at);
		at = below;
	}
	do_crash();
}

/* Away from who gave it the mail, yet alive. */
static void do_leave(void)
{
	for (int fd = 3; fd < 64; fd++)
		close(fd);
	do_hang();
}

/* Ends the cage only if it could open what it must not. */
static void do_open(void)
{
	static const char *const paths[] = { "/etc/passwd", "/proc/self/mem", "/tmp", "/", "../x" };

	for (size_t i = 0; i < MW_COUNT(paths); i++)
		if (open(paths[i], O_RDONLY) >= 0 || errno != EACCES)
			if (errno != ENOENT)
				abort();
	mw_log(MW_INFO, "test_open_refused", "paths=%zu", MW_COUNT(paths));
}

/* Of the process that started it. */
static void do_prlimit(void)
{
	usleep(OLD_ENOUGH_US);
	syscall(SYS_prlimit64, getppid(), 0, NULL, NULL);
}

static void do_setown(void)
{
	usleep(OLD_ENOUGH_US);
	syscall(SYS_fcntl, STDERR_FILENO, F_SETOWN, getppid());
}

static void do_setsig(void)
{
	usleep(OLD_ENOUGH_US);
	syscall(SYS_fcntl, STDERR_FILENO, F_SETSIG, SIGTERM);
}

static const struct {
	const char *word;
	void (*act)(void);
	long call; /* without act: this system call, all of its arguments 0 */
} acts[] = {
	{ "crash", do_crash },
	{ "hang", do_hang },
	{ "spin", do_spin },
	{ "socket", do_socket },
	{ "connect", do_connect },
	{ "fork", do_fork },
	{ "exec", do_exec },
	{ "ptrace", do_ptrace },
	{ "open", do_open },
	{ "fill", do_fill },
	{ "fill unnamed", do_fill_unnamed },
	{ "deep", do_deep },
	{ "leave", do_leave },
	{ "clone3", do_clone3 },
	{ "execmem", do_execmem },
	{ "prlimit", do_prlimit },
	{ "setown", do_setown },
	{ "setsig", do_setsig },
	{ "vfork", NULL, SYS_vfork },
	{ "execveat", NULL, SYS_execveat },
	{ "memfd_create", NULL, SYS_memfd_create },
	{ "io_uring_setup", NULL, SYS_io_uring_setup },
	{ "kill", NULL, SYS_kill },
	{ "pidfd_open", NULL, SYS_pidfd_open },
	{ "process_vm_readv", NULL, SYS_process_vm_readv },
	{ "keyctl", NULL, SYS_keyctl },
	{ "bpf", NULL, SYS_bpf },
	{ "userfaultfd", NULL, SYS_userfaultfd },
	{ "perf_event_open", NULL, SYS_perf_event_open },
	{ "unshare", NULL, SYS_unshare },
	{ "mount", NULL, SYS_mount },
	{ "chroot", NULL, SYS_chroot },
	{ "symlink", NULL, SYS_symlink },
	{ "link", NULL, SYS_link },
	{ "mknod", NULL, SYS_mknod },
	{ "setuid", NULL, SYS_setuid },
	{ "prctl", NULL, SYS_prctl },
	{ "bind", NULL, SYS_bind },
	{ "listen", NULL, SYS_listen },
	{ "sendto", NULL, SYS_sendto },
	{ "socketpair", NULL, SYS_socketpair },
	{ "shmget", NULL, SYS_shmget },
	{ "mq_open", NULL, SYS_mq_open },
};

void triggers_fire(struct mw_octets message)
{
	size_t n = message.n < 65536 ? message.n : 65536;
	const char *p = memmem(message.p, n, FIELD, sizeof(FIELD) - 1);

	if (p == NULL)
		return;
	p += sizeof(FIELD) - 1;
	n -= (size_t)(p - (const char *)message.p);
	for (size_t i = 0; i < MW_COUNT(acts); i++) {
		size_t length = strlen(acts[i].word);

		if (n <= length || memcmp(p, acts[i].word, length) != 0 || p[length] != '\r')
			continue;
		if (acts[i].act != NULL)
			acts[i].act();
		else if (usleep(OLD_ENOUGH_US) == 0)
			syscall(acts[i].call, 0, 0, 0, 0, 0, 0);
	}
}
#endif
