#include "program.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "box.h"
#include "folders.h"
#include "log.h"
#include "program_box.h"

#define ORDER_WAIT_MS 10000
#define TICK_MS 250 /* the folder is measured so often */
#define NAME_MAX_OCTETS 32
#define CODE_NO_EXEC 127

struct runner {
	int control;
	struct program_order order;
	char root[SCAN_PATH_MAX];	/* locked, and swept should we die */
	char folder[SCAN_PATH_MAX + 8]; /* of the files, below it */
	size_t files;
	uint64_t until_ms;
	char output[PROGRAM_OUTPUT_MAX];
	size_t output_n;
};

/* ------------------------------------------------------------------ to the scanner */

static void tell(struct runner *r, struct mw_pack *b)
{
	struct pollfd p = { r->control, POLLOUT, 0 };

	while (!b->failed &&
		scan_send(r->control, mw_octets_of(b->p, b->n), NULL, 0, -1) == MW_AGAIN)
		poll(&p, 1, -1);
	mw_pack_fini(b);
}

static int broken(struct runner *r, const char *why)
{
	char text[200];
	struct mw_pack b;

	mw_strlcpy(text, why, sizeof(text));
	for (char *p = text; *p != '\0'; p++)
		if (*p < 0x20 || *p > 0x7e)
			*p = '?';
	mw_pack_init(&b);
	scan_text_encode(&b, SCAN_MSG_BROKEN, text);
	tell(r, &b);
	if (r->root[0] != '\0')
		folders_close(r->root);
	return EXIT_FAILURE;
}

/* ------------------------------------------------------------------ the files */

static bool write_file(const char *path, struct mw_octets octets)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	bool ok = fd >= 0;

	while (ok && octets.n > 0) {
		ssize_t n = write(fd, octets.p, octets.n);

		if (n < 0 && errno == EINTR)
			continue;
		ok = n > 0;
		if (ok)
			octets = mw_octets_of(octets.p + n, octets.n - (size_t)n);
	}
	return (fd < 0 || close(fd) == 0) && ok;
}

/* p001, p002 ...: amavisd's names, so that scanners' outputs look as they did. */
static void file_path(const struct runner *r, char *path, size_t size, size_t number)
{
	snprintf(path, size, "%s/p%03zu", r->folder, number + 1);
}

static enum mw_rc write_files(struct runner *r, struct mw_octets rest, struct mw_err *err)
{
	char path[sizeof(r->folder) + NAME_MAX_OCTETS];
	struct mw_octets name, octets;
	enum mw_rc rc = folders_open(r->root, sizeof(r->root), r->order.temp_dir, err);

	if (rc != MW_OK)
		return rc;
	snprintf(r->folder, sizeof(r->folder), "%s/parts", r->root);
	if (mkdir(r->folder, 0700) != 0)
		return mw_fail(err, MW_ERR_IO, "cannot make %s: %s", r->folder, strerror(errno));
	for (; scan_leaf_next(&rest, &name, &octets) > 0; r->files++) {
		file_path(r, path, sizeof(path), r->files);
		if (!write_file(path, octets))
			return mw_fail(err, MW_ERR_IO, "cannot write a file: %s", strerror(errno));
	}
	return rest.n == 0 ? MW_OK : mw_fail(err, MW_ERR_PROTO, "the list of files is broken");
}

/* ------------------------------------------------------------------ the arguments of one run */

static char *with_folder(const struct runner *r, const char *argument)
{
	size_t n = 0;
	char *text = NULL;
	FILE *f = open_memstream(&text, &n);

	if (f == NULL)
		return NULL;
	for (const char *at; (at = strstr(argument, "{}")) != NULL; argument = at + 2)
		fprintf(f, "%.*s%s", (int)(at - argument), argument, r->folder);
	fputs(argument, f);
	return fclose(f) == 0 ? text : NULL;
}

/* Files from *next_p on in argv's place for them, as many as a portion holds. */
static size_t add_files(struct runner *r, char **argv, size_t *next_p)
{
	char path[sizeof(r->folder) + NAME_MAX_OCTETS];
	size_t octets = 0, n = 0;

	while (*next_p < r->files) {
		file_path(r, path, sizeof(path), *next_p);
		if (n > 0 && octets + strlen(path) + 1 > PROGRAM_PORTION)
			break;
		octets += strlen(path) + 1;
		argv[n] = strdup(path);
		if (argv[n++] == NULL)
			return 0;
		++*next_p;
	}
	return n;
}

/* argv[0] is the order's. */
static void free_argv(char **argv)
{
	for (size_t i = 1; argv != NULL && argv[i] != NULL; i++)
		free(argv[i]);
	free(argv);
}

/* NULL: no memory. *next_p: the first file that is left for the next run. */
static char **make_argv(struct runner *r, size_t *next_p)
{
	const struct program_texts *t = &r->order.arguments;
	char **argv = calloc(t->count + PROGRAM_PORTION + 2, sizeof(*argv));
	bool all = true;
	size_t n = 0;

	if (argv == NULL)
		return NULL;
	argv[n++] = (char *)r->order.program;
	for (unsigned i = 0; i < t->count; i++) {
		if (strcmp(t->items[i], "{}/*") == 0 && all) {
			size_t added = add_files(r, argv + n, next_p);

			if (added == 0) {
				free_argv(argv);
				return NULL;
			}
			n += added;
			all = false;
		} else if ((argv[n++] = with_folder(r, t->items[i])) == NULL) {
			free_argv(argv);
			return NULL;
		}
	}
	if (all)
		*next_p = r->files; /* it was given the folder */
	return argv;
}

/* ------------------------------------------------------------------ one run */

static _Noreturn void child(struct runner *r, char **argv, int out, pid_t parent)
{
	char *env[] = { (char *)"PATH=/usr/bin:/bin:/usr/sbin:/sbin", (char *)"LC_ALL=C.UTF-8",
		(char *)"LANG=C.UTF-8", NULL, NULL };
	char tmp[sizeof(r->root) + 16];
	int null = open("/dev/null", O_RDONLY);
	struct mw_err err = { "" };
	sigset_t none;

	snprintf(tmp, sizeof(tmp), "TMPDIR=%s", r->root);
	env[3] = tmp;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(CODE_NO_EXEC);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	setpgid(0, 0);
	dup2(null, STDIN_FILENO);
	dup2(out, STDOUT_FILENO);
	dup2(out, STDERR_FILENO);
	close_range(3, ~0u, 0);
	if (chdir(r->root) == 0 && program_box_enter(&r->order, r->root, &err) == MW_OK)
		execve(argv[0], argv, env);
	dprintf(STDERR_FILENO, "cannot run %s: %s\n", argv[0],
		err.text[0] != '\0' ? err.text : strerror(errno));
	_exit(CODE_NO_EXEC);
}

/* Whatever it started and left behind: we are who orphans come to. */
static void end_descendants(void)
{
	for (int round = 0; round < 1000; round++) {
		FILE *f = fopen("/proc/thread-self/children", "re");
		int pid;

		while (f != NULL && fscanf(f, "%d", &pid) == 1)
			kill(pid, SIGKILL);
		if (f != NULL)
			fclose(f);
		if (waitpid(-1, NULL, 0) < 0 && errno == ECHILD)
			return;
	}
}

/* Output beyond what is kept is a failure: the line that matters may be in it. */
static bool take_output(struct runner *r, int fd)
{
	char more[4096];
	ssize_t n = read(fd, more, sizeof(more));
	size_t room = sizeof(r->output) - r->output_n;

	if (n <= 0)
		return n < 0 && errno == EINTR;
	if ((size_t)n > room)
		return false;
	memcpy(r->output + r->output_n, more, (size_t)n);
	r->output_n += (size_t)n;
	return true;
}

/* What it wrote last may have come after the output was looked at and before its end was. False: it
 * wrote too much. */
static bool take_last_output(struct runner *r, int out)
{
	struct pollfd p = { out, POLLIN, 0 };

	while (poll(&p, 1, 0) > 0 && (p.revents & POLLIN) != 0) {
		size_t before = r->output_n;

		if (!take_output(r, out))
			return false;
		if (r->output_n == before)
			break;
	}
	return true;
}

/*
 * Until it has ended, and closed its output or left it to others. False: its time is up, it writes
 * too much, or the scanner has no use for it any more.
 */
static bool watch_child(struct runner *r, int out, int pidfd)
{
	struct pollfd p[3] = { { out, POLLIN, 0 }, { pidfd, POLLIN, 0 }, { r->control, 0, 0 } };

	while (mw_mono_ms() < r->until_ms) {
		uint64_t left = r->until_ms - mw_mono_ms();

		if (poll(p, 3, (int)(left < TICK_MS ? left : TICK_MS)) < 0 && errno != EINTR)
			return false;
		if (p[2].revents != 0)
			return false;
		if (p[0].revents != 0 && !take_output(r, out)) {
			if (r->output_n == sizeof(r->output) || (p[0].revents & POLLIN) != 0)
				return false;
			p[0].fd = -1; /* closed */
		} else if (p[0].revents == 0 && p[1].revents != 0) {
			return take_last_output(r, out);
		}
		if (p[0].fd < 0 && p[1].revents != 0)
			return true;
		if (p[0].revents == 0 && box_usage(r->root) > r->order.quota * 2)
			return false;
	}
	return false;
}

static bool run_once(struct runner *r, char **argv, struct program_ran *ran)
{
	int out[2], pidfd, status = 0;
	pid_t pid, parent = getpid();

	if (pipe2(out, O_CLOEXEC) != 0)
		return false;
	r->output_n = 0;
	pid = fork();
	if (pid == 0)
		child(r, argv, out[1], parent);
	close(out[1]);
	pidfd = pid > 0 ? (int)syscall(SYS_pidfd_open, pid, 0) : -1;
	if (pid < 0 || pidfd < 0) {
		close(out[0]);
		return false;
	}
	ran->late = !watch_child(r, out[0], pidfd);
	kill(-pid, SIGKILL);
	kill(pid, SIGKILL); /* not waited for: the number is still its own */
	waitpid(pid, &status, 0);
	end_descendants();
	close(pidfd);
	close(out[0]);
	ran->signal = WIFSIGNALED(status) ? (uint64_t)WTERMSIG(status) : 0;
	ran->code = WIFEXITED(status) ? (uint64_t)WEXITSTATUS(status) : 0;
	ran->output = mw_octets_of(r->output, r->output_n);
	return true;
}

/* A portion that fails is not the end: another one may still find something. */
static int run_all(struct runner *r)
{
	size_t next = 0;
	struct mw_pack b;

	while (next < r->files) {
		struct program_ran ran = { .first = next };
		char **argv = make_argv(r, &next);

		bool ok = argv != NULL && run_once(r, argv, &ran);

		free_argv(argv);
		if (!ok)
			return broken(r, "no memory or processes for the program");
		ran.count = next - ran.first;
		mw_pack_init(&b);
		program_ran_encode(&b, &ran);
		tell(r, &b);
		if (ran.late)
			break;
	}
	folders_close(r->root);
	mw_pack_init(&b);
	scan_number_encode(&b, SCAN_MSG_OVER, next);
	tell(r, &b);
	return EXIT_SUCCESS;
}

int program_serve(int control)
{
	static struct runner r;
	static unsigned char buf[PROGRAM_ORDER_MAX];
	struct pollfd p = { control, POLLIN, 0 };
	struct mw_octets files;
	struct mw_err err = { "" };
	size_t n = 0;
	int fd = -1;

	r.control = control;
	mw_log_level(MW_ERROR); /* what is wrong with the folder the engine's holder says */
	prctl(PR_SET_PDEATHSIG, SIGKILL); /* a runner without its scanner is nobody's */
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	signal(SIGTERM, SIG_IGN);
	signal(SIGINT, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	signal(SIGPIPE, SIG_IGN);
	if (poll(&p, 1, ORDER_WAIT_MS) != 1 ||
		scan_recv(control, buf, sizeof(buf), &n, &fd) != MW_OK || fd < 0)
		return EXIT_FAILURE;
	if (program_order_decode(mw_octets_of(buf, n), &r.order) != MW_OK ||
		scan_leaves_map(fd, &files) != MW_OK)
		return broken(&r, "the order cannot be read");
	close(fd);
	r.until_ms = mw_mono_ms() + r.order.timeout_ms;
	if (write_files(&r, files, &err) != MW_OK)
		return broken(&r, err.text);
	return run_all(&r);
}
