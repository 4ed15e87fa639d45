/*
 * mailweir import-amavisd: settings made of an amavisd.conf.
 *
 * That file is a Perl program, so Perl evaluates it (import/evaluate.pl), under limits: time,
 * memory, CPU, no file written, no file opened but to read. What it left behind is then translated
 * (import/translate.pl).
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#include "sandbox.h"
#include "tools.h"

#define USAGE "import-amavisd [-o FILE] [--time-limit SECONDS] [--run-commands] FILE|FOLDER ..."

#define RESULT_FD 3
#define RESULT_MAX (64 * 1024 * 1024) /* octets of what the configuration left */
#define SAID_MAX (16 * 1024)	      /* octets of what it printed that are shown */
#define MEMORY_MAX (1024UL * 1024 * 1024)
#define TIME_S 20
#define TIME_S_MAX 3600
#define FILES_MAX 200

struct import {
	const char *output;
	long time_s;
	bool run_commands;
	char **files;
	size_t file_count;
	char self[PATH_MAX], folder[PATH_MAX];
	struct mw_text said;
	int result; /* memory file */
	size_t result_octets;
	char why[200]; /* it was ended, or would not run */
};

static bool complain(const char *text)
{
	fprintf(stderr, "mailweir: %s\n", text);
	return false;
}

/* ------------------------------------------------------------------ arguments */

static bool parse_time(const char *s, long *time_r)
{
	char *end;

	*time_r = strtol(s, &end, 10);
	return *s != '\0' && *end == '\0' && *time_r >= 1 && *time_r <= TIME_S_MAX;
}

static bool parse(struct import *im, int argc, char **argv)
{
	static const struct option options[] = {
		{ "output", required_argument, NULL, 'o' },
		{ "time-limit", required_argument, NULL, 't' },
		{ "run-commands", no_argument, NULL, 'r' },
		{ NULL, 0, NULL, 0 },
	};

	optind = 0;
	for (int c; (c = getopt_long(argc, argv, "o:", options, NULL)) != -1;)
		switch (c) {
		case 'o':
			im->output = optarg;
			break;
		case 't':
			if (parse_time(optarg, &im->time_s))
				break;
			fprintf(stderr, "mailweir: --time-limit %s: expected 1 to %d seconds\n",
				optarg, TIME_S_MAX);
			return false;
		case 'r':
			im->run_commands = true;
			break;
		default:
			return false;
		}
	im->files = argv + optind;
	im->file_count = (size_t)(argc - optind);
	return im->file_count > 0 && im->file_count <= FILES_MAX;
}

/* The scripts lie in ../share/mailweir/import from this program, installed and in the build. */
static bool find_scripts(struct import *im)
{
	ssize_t n = readlink("/proc/self/exe", im->self, sizeof(im->self) - 1);
	char *slash, path[PATH_MAX + 40];

	if (n <= 0)
		return false;
	im->self[n] = '\0';
	snprintf(path, sizeof(path), "%s", im->self);
	for (int i = 0; i < 2; i++) {
		slash = strrchr(path, '/');
		if (slash == NULL)
			return false;
		*slash = '\0';
	}
	mw_strlcpy(path + strlen(path), "/share/mailweir/import", 40);
	return mw_strlcpy(im->folder, path, sizeof(im->folder)) < sizeof(im->folder) &&
	       access(path, R_OK | X_OK) == 0;
}

/* ------------------------------------------------------------------ the process that evaluates */

static void limit(int what, rlim_t most)
{
	struct rlimit r = { most, most };

	setrlimit(what, &r);
}

/* Nothing of the configuration's outlives this process, and it can only read. */
static void give_up_rights(const struct import *im)
{
	struct mw_sandbox_folder root = { .fd = open("/", O_PATH | O_CLOEXEC), .runnable = true };
	struct mw_err err = { "" };

	limit(RLIMIT_FSIZE, 0);
	limit(RLIMIT_CORE, 0);
	limit(RLIMIT_AS, MEMORY_MAX);
	limit(RLIMIT_CPU, (rlim_t)im->time_s + 1);
	signal(SIGXFSZ, SIG_IGN); /* a write is an error then, not the end */
	if (mw_landlock_abi() > 0 && mw_sandbox_files(MW_SANDBOX_STRICT, &root, 1, &err) != MW_OK) {
		fprintf(stderr, "%s\n", err.text);
		_exit(126);
	}
}

static void clean_environment(void)
{
	static const char *const perl[] = { "PERL5LIB", "PERL5OPT", "PERLLIB", "PERL5DB",
		"PERL_UNICODE" };

	for (size_t i = 0; i < MW_COUNT(perl); i++)
		unsetenv(perl[i]);
	/* They would override what is checked. */
	for (size_t i = 0; i < mw_settings_count; i++)
		if (mw_settings[i].env != NULL)
			unsetenv(mw_settings[i].env);
	setenv("LC_ALL", "C", 1);
}

static void run_evaluate(const struct import *im, int said, int result)
{
	const char *argv[FILES_MAX + 4];
	char script[PATH_MAX + 20];
	size_t n = 0;
	int null = open("/dev/null", O_RDONLY);

	setpgid(0, 0);
	dup2(null, STDIN_FILENO);
	dup2(said, STDOUT_FILENO);
	dup2(said, STDERR_FILENO);
	if (result == RESULT_FD)
		fcntl(RESULT_FD, F_SETFD, 0);
	else
		dup2(result, RESULT_FD);
	snprintf(script, sizeof(script), "%s/evaluate.pl", im->folder);
	argv[n++] = "perl";
	argv[n++] = script;
	if (im->run_commands)
		argv[n++] = "--run-commands";
	for (size_t i = 0; i < im->file_count; i++)
		argv[n++] = im->files[i];
	argv[n] = NULL;
	give_up_rights(im);
	execvp("perl", (char **)argv);
	fprintf(stderr, "perl: %s\n", strerror(errno));
	_exit(127);
}

/* ------------------------------------------------------------------ what it says */

static bool take_said(struct import *im, int fd)
{
	char buf[4096];
	ssize_t n = read(fd, buf, sizeof(buf));
	size_t room = im->said.n < SAID_MAX ? SAID_MAX - im->said.n : 0;

	if (n > 0 && room > 0)
		mw_text_add_octets(&im->said, buf, (size_t)n < room ? (size_t)n : room);
	return n > 0;
}

static bool take_result(struct import *im, int fd)
{
	static char buf[65536];
	ssize_t n = read(fd, buf, sizeof(buf));

	if (n <= 0)
		return false;
	im->result_octets += (size_t)n;
	if (im->result_octets > RESULT_MAX) {
		snprintf(im->why, sizeof(im->why), "it leaves more than %d octets of values",
			RESULT_MAX);
		return false;
	}
	for (ssize_t done = 0; done < n;) {
		ssize_t put = write(im->result, buf + done, (size_t)(n - done));

		if (put < 0 && errno != EINTR)
			return false;
		done += put > 0 ? put : 0;
	}
	return true;
}

/* Until the result is whole: what holds the other pipe open then is a child of the configuration's.
 */
static void listen_to(struct import *im, int said, int result)
{
	struct pollfd fds[2] = { { .fd = result, .events = POLLIN },
		{ .fd = said, .events = POLLIN } };
	uint64_t end = mw_mono_ms() + (uint64_t)im->time_s * 1000;

	while (fds[0].fd >= 0 && im->why[0] == '\0') {
		uint64_t now = mw_mono_ms();
		int got = now < end ? poll(fds, 2, (int)(end - now)) : 0;

		if (got == 0)
			snprintf(im->why, sizeof(im->why),
				"it takes more than %ld s (--time-limit)", im->time_s);
		if (got <= 0)
			continue;
		if (fds[1].revents != 0 && !take_said(im, said))
			fds[1].fd = -1;
		if (fds[0].revents != 0 && !take_result(im, result))
			fds[0].fd = -1;
	}
}

static void take_rest(struct import *im, int said)
{
	fcntl(said, F_SETFL, O_NONBLOCK);
	while (im->said.n < SAID_MAX && take_said(im, said))
		;
}

static void wait_for(struct import *im, pid_t pid)
{
	int status = 0;

	kill(-pid, SIGKILL);
	kill(pid, SIGKILL);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (im->why[0] != '\0' || im->result_octets > 0)
		return;
	if (WIFSIGNALED(status))
		snprintf(im->why, sizeof(im->why), "it ended by signal %d", WTERMSIG(status));
	else
		snprintf(im->why, sizeof(im->why), "it ended without a result, exit code %d",
			WEXITSTATUS(status));
}

/* Lines that the configuration or Perl printed, made printable. */
static void show_said(struct import *im)
{
	size_t at = 0;

	while (at < im->said.n) {
		const char *line = im->said.p + at;
		const char *lf = memchr(line, '\n', im->said.n - at);
		size_t n = lf != NULL ? (size_t)(lf - line) : im->said.n - at;

		fputs("mailweir: the configuration says: ", stderr);
		for (size_t i = 0; i < n; i++)
			fputc(mw_is_printable(line + i, 1) ? line[i] : '?', stderr);
		fputc('\n', stderr);
		at += n + 1;
	}
}

static bool evaluate(struct import *im)
{
	int said[2] = { -1, -1 }, result[2] = { -1, -1 };
	pid_t pid;

	im->result = memfd_create("mailweir-import", MFD_CLOEXEC);
	if (im->result < 0 || pipe2(said, O_CLOEXEC) < 0 || pipe2(result, O_CLOEXEC) < 0)
		return complain("no pipes to be had");
	pid = fork();
	if (pid < 0)
		return complain("no process to be had");
	if (pid == 0)
		run_evaluate(im, said[1], result[1]);
	setpgid(pid, pid); /* whoever of both comes first */
	close(said[1]);
	close(result[1]);
	listen_to(im, said[0], result[0]);
	wait_for(im, pid);
	take_rest(im, said[0]);
	close(said[0]);
	close(result[0]);
	show_said(im);
	if (im->why[0] == '\0')
		return true;
	fprintf(stderr, "mailweir: the configuration cannot be evaluated: %s\n", im->why);
	return false;
}

/* ------------------------------------------------------------------ all */

static int translate(struct import *im)
{
	char script[PATH_MAX + 20];

	snprintf(script, sizeof(script), "%s/translate.pl", im->folder);
	if (lseek(im->result, 0, SEEK_SET) < 0 || dup2(im->result, STDIN_FILENO) < 0) {
		complain("no input for the translation");
		return MW_TOOL_FAILED;
	}
	execlp("perl", "perl", script, im->self, im->output, (char *)NULL);
	fprintf(stderr, "mailweir: perl: %s\n", strerror(errno));
	return MW_TOOL_FAILED;
}

int mw_tool_import_amavisd(int argc, char **argv)
{
	struct import im = { .output = "-", .time_s = TIME_S, .result = -1 };
	bool ok;

	if (!parse(&im, argc, argv)) {
		mw_tool_usage(USAGE);
		return MW_TOOL_USAGE;
	}
	if (!find_scripts(&im)) {
		complain("its Perl scripts are not beside it, in ../share/mailweir/import");
		return MW_TOOL_FAILED;
	}
	if (geteuid() == 0)
		fprintf(stderr,
			"mailweir: the configuration is a program and runs as root now; run this "
			"as a user that may read it if you can\n");
	if (mw_landlock_abi() == 0)
		fprintf(stderr, "mailweir: this kernel has no Landlock: what the configuration's "
				"code does to "
				"files is prevented by Perl alone\n");
	clean_environment();
	ok = evaluate(&im);
	mw_text_fini(&im.said);
	return ok ? translate(&im) : MW_TOOL_FAILED;
}
