#include "triggers.h"

#ifdef MW_TEST_TRIGGERS
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <errno.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "log.h"

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

static const struct {
	const char *word;
	void (*act)(void);
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
};

void triggers_fire(struct mw_octets message)
{
	size_t n = message.n < 65536 ? message.n : 65536;
	const char *p = memmem(message.p, n, FIELD, sizeof(FIELD) - 1);

	if (p == NULL)
		return;
	p += sizeof(FIELD) - 1;
	n -= (size_t)(p - (const char *)message.p);
	for (size_t i = 0; i < MW_COUNT(acts); i++)
		if (n >= strlen(acts[i].word) && memcmp(p, acts[i].word, strlen(acts[i].word)) == 0)
			acts[i].act();
}
#endif
