#include "body_program.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "body_plan.h"
#include "edit.h"
#include "log.h"
#include "transaction.h"

#define BUFFER_OCTETS 65536
#define FILE_NAME "mail"
#define FOLDERS_OPEN 8 /* at once, while what a program left is removed */
#define FOLDER_PREFIX "mailweir-body-"
#define LEFT_BEHIND_S 3600 /* no program has so long: whoever made that folder is dead */

struct body_job {
	uv_work_t work;
	struct front *front;
	struct txn *t; /* NULL: nobody waits any more */
	struct body_form *form;
	void (*done)(struct txn *t, struct body_form *f, const char *why);
	struct body_job *next; /* of those that wait */
	struct smtp_body *original, *made;
	char *section;		/* the header section that it is given; NULL: the original's */
	size_t section_n, rest; /* octets of it; where the original goes on behind it */
	uint64_t timeout_ms;
	char dir[300], file[320];
	char **argv; /* NULL behind the last; each malloc'ed */
	char words[BODY_PROGRAM_WORDS_MAX + 1];
	char error[400]; /* "": it is made */
};

static void fail_errno(struct body_job *j, const char *what)
{
	snprintf(j->error, sizeof(j->error), "%s: %s", what, strerror(errno));
}

/* ------------------------------------------------------------------ the file */

static bool write_all(int fd, const unsigned char *p, size_t n)
{
	while (n > 0) {
		ssize_t done = write(fd, p, n);

		if (done < 0 && errno == EINTR)
			continue;
		if (done <= 0)
			return false;
		p += done;
		n -= (size_t)done;
	}
	return true;
}

/* Lines end with LF there, as amavisd gives it and the program expects. */
static bool write_lines(int fd, struct mw_octets o)
{
	unsigned char buf[BUFFER_OCTETS];
	size_t n = 0;

	for (size_t i = 0; i < o.n; i++) {
		if (o.p[i] == '\r' && i + 1 < o.n && o.p[i + 1] == '\n')
			continue;
		buf[n++] = o.p[i];
		if (n == sizeof(buf)) {
			if (!write_all(fd, buf, n))
				return false;
			n = 0;
		}
	}
	return write_all(fd, buf, n);
}

static bool write_file(struct body_job *j)
{
	int fd = open(j->file, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	struct mw_octets o = smtp_body_octets(j->original);
	bool ok = fd >= 0 && write_lines(fd, mw_octets_of(j->section, j->section_n)) &&
		  write_lines(fd, mw_octets_of(o.p + j->rest, o.n - j->rest));

	if (!ok)
		fail_errno(j, "writing the mail's file");
	if (fd >= 0)
		close(fd);
	return ok;
}

/* LF becomes CRLF again, also behind what has no line end at its own end. */
static bool append_lines(struct body_job *j, const unsigned char *p, size_t n, unsigned char *last)
{
	struct mw_err err = { "" };
	enum mw_rc rc = MW_OK;

	for (size_t at = 0; at < n && rc == MW_OK;) {
		const unsigned char *lf = memchr(p + at, '\n', n - at);
		size_t to = lf != NULL ? (size_t)(lf - p) : n;
		unsigned char before = to > at ? p[to - 1] : *last;

		rc = smtp_body_append(j->made, p + at, to - at, &err);
		if (rc == MW_OK && lf != NULL)
			rc = smtp_body_append(j->made, before == '\r' ? "\n" : "\r\n",
				before == '\r' ? 1 : 2, &err);
		*last = lf != NULL ? '\n' : p[to - 1];
		at = to + (lf != NULL);
	}
	if (rc != MW_OK)
		snprintf(j->error, sizeof(j->error), "reading what it made: %.300s",
			err.text[0] != '\0' ? err.text : mw_rc_name(rc));
	return rc == MW_OK;
}

static bool read_lines(struct body_job *j, int fd)
{
	unsigned char buf[BUFFER_OCTETS], last = '\n';
	ssize_t n;

	while ((n = read(fd, buf, sizeof(buf))) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			fail_errno(j, "reading what it made");
			return false;
		}
		if (!append_lines(j, buf, (size_t)n, &last))
			return false;
	}
	return last == '\n' || append_lines(j, (const unsigned char *)"\n", 1, &last);
}

static uint64_t most_octets(const struct body_job *j)
{
	return 2 * (uint64_t)smtp_body_size(j->original) + BODY_PROGRAM_MORE;
}

/* What it left under the name of the mail's file: a file, not empty, within bounds. */
static void read_file(struct body_job *j)
{
	int fd = open(j->file, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	struct mw_err err = { "" };
	struct stat st;

	if (fd < 0 || fstat(fd, &st) != 0)
		fail_errno(j, "what it made cannot be opened");
	else if (!S_ISREG(st.st_mode) || st.st_size == 0 || (uint64_t)st.st_size > most_octets(j))
		snprintf(j->error, sizeof(j->error), "it made %lld octets of %zu",
			S_ISREG(st.st_mode) ? (long long)st.st_size : -1ll,
			smtp_body_size(j->original));
	else if ((j->made = smtp_body_new(&j->front->bodies, (size_t)st.st_size)) == NULL)
		snprintf(j->error, sizeof(j->error), "out of memory");
	else if (read_lines(j, fd) && smtp_body_seal(j->made, &err) != MW_OK)
		snprintf(j->error, sizeof(j->error), "%.390s", err.text);
	if (fd >= 0)
		close(fd);
}

static int remove_one(const char *path, const struct stat *st, int what, struct FTW *where)
{
	(void)st;
	(void)what;
	(void)where;
	remove(path);
	return 0;
}

/* It may have left files and folders of its own, and links that lead elsewhere: these are not
 * followed. It cannot have left anything that we wait for. */
static void remove_folder(const struct body_job *j)
{
	nftw(j->dir, remove_one, FOLDERS_OPEN, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
}

/* ------------------------------------------------------------------ the child */

static void limit(int what, rlim_t most)
{
	struct rlimit l = { most, most };

	setrlimit(what, &l);
}

/* Between fork and exec of a process with threads: only what is safe in signal handlers. */
_Noreturn static void become(const struct body_job *j, int out, uint64_t file_octets)
{
	static char path[] = "PATH=/usr/local/bin:/usr/bin:/bin", lang[] = "LANG=C",
		    tmp[] = "TMPDIR=.", home[] = "HOME=.";
	static char *const env[] = { path, lang, tmp, home, NULL };
	sigset_t none;
	int null = open("/dev/null", O_RDONLY);

	setsid();
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	dup2(null, STDIN_FILENO);
	dup2(out, STDOUT_FILENO);
	dup2(out, STDERR_FILENO);
	close_range(3, ~0u, 0);
	limit(RLIMIT_AS, BODY_PROGRAM_MEMORY);
	limit(RLIMIT_FSIZE, file_octets);
	limit(RLIMIT_CPU, j->timeout_ms / 1000 + 1);
	limit(RLIMIT_CORE, 0);
	if (chdir(j->dir) == 0)
		execve(j->argv[0], j->argv, env);
	_exit(127);
}

/* Its words until it has gone, or time is up. True: it has gone. */
static bool listen_to(struct body_job *j, int out, int pidfd, uint64_t until_ms)
{
	struct pollfd fds[] = { { .fd = pidfd, .events = POLLIN },
		{ .fd = out, .events = POLLIN } };
	char rest[4096];
	size_t n = 0;

	for (;;) {
		uint64_t now = mw_mono_ms();
		int rc = now < until_ms ? poll(fds, 2, (int)(until_ms - now)) : 0;

		if (rc < 0 && errno != EINTR)
			return false;
		if (rc == 0)
			return false;
		if (rc > 0 && fds[1].revents != 0) {
			bool full = n >= BODY_PROGRAM_WORDS_MAX;
			ssize_t got = read(out, full ? rest : j->words + n,
				full ? sizeof(rest) : BODY_PROGRAM_WORDS_MAX - n);

			n += got > 0 && !full ? (size_t)got : 0;
			if (got <= 0)
				fds[1].fd = -1;
			else
				continue; /* all it said before it went */
		}
		if (rc > 0 && fds[0].revents != 0)
			return true;
	}
}

static void wait_for(struct body_job *j, pid_t pid, int out)
{
	int pidfd = pidfd_open(pid, 0), status = 0;
	bool gone = pidfd >= 0 && listen_to(j, out, pidfd, mw_mono_ms() + j->timeout_ms);

	/* What it may have started dies with it. */
	kill(-pid, SIGKILL);
	kill(pid, SIGKILL);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (pidfd >= 0)
		close(pidfd);
	if (!gone)
		snprintf(j->error, sizeof(j->error), "killed: not done in %llu ms",
			(unsigned long long)j->timeout_ms);
	else if (WIFSIGNALED(status))
		snprintf(j->error, sizeof(j->error), "ended by signal %d, said %s",
			WTERMSIG(status), mw_quote(j->words));
	else if (WEXITSTATUS(status) != 0)
		snprintf(j->error, sizeof(j->error), "exit code %d%s, said %s", WEXITSTATUS(status),
			WEXITSTATUS(status) == 127 ? " (it cannot be run?)" : "",
			mw_quote(j->words));
}

static void run(struct body_job *j)
{
	uint64_t file_octets = most_octets(j);
	int out[2];
	pid_t pid;

	if (pipe2(out, O_CLOEXEC) != 0) {
		fail_errno(j, "pipe");
		return;
	}
	pid = fork();
	if (pid == 0)
		become(j, out[1], file_octets);
	close(out[1]);
	if (pid < 0)
		fail_errno(j, "fork");
	else
		wait_for(j, pid, out[0]);
	close(out[0]);
}

static void work(uv_work_t *w)
{
	struct body_job *j = w->data;

	if (mkdtemp(j->dir) == NULL) {
		fail_errno(j, j->dir);
		return;
	}
	snprintf(j->file, sizeof(j->file), "%s/" FILE_NAME, j->dir);
	if (write_file(j))
		run(j);
	if (j->error[0] == '\0')
		read_file(j);
	remove_folder(j);
}

/* ------------------------------------------------------------------ the loop's side */

static void job_destroy(struct body_job *j)
{
	for (char **arg = j->argv; arg != NULL && *arg != NULL; arg++)
		free(*arg);
	free(j->argv);
	free(j->section);
	smtp_body_unref(&j->original);
	smtp_body_unref(&j->made);
	free(j);
}

static void start_waiting(struct front *f);

static const char *take(struct body_job *j)
{
	struct body_form *form = j->form;
	struct mw_octets made;

	if (j->error[0] != '\0')
		return j->error;
	made = smtp_body_octets(j->made);
	if (mw_header_index(&form->own, made) != MW_OK)
		return "its header section is over the limits";
	form->made = j->made;
	j->made = NULL;
	form->view = (struct body_view){
		.header = &form->own, .parts = { { made, form->made } }, .part_count = 1
	};
	return NULL;
}

static void done(uv_work_t *w, int status)
{
	struct body_job *j = w->data;
	struct front *f = j->front;
	struct txn *t = j->t;

	if (status != 0)
		snprintf(j->error, sizeof(j->error), "cancelled");
	f->programs.running--;
	start_waiting(f);
	if (t != NULL) {
		t->body_job = NULL;
		j->done(t, j->form, take(j));
	}
	job_destroy(j);
}

static bool start(struct body_job *j)
{
	if (uv_queue_work(mw_loop_uv(j->front->loop), &j->work, work, done) != 0)
		return false;
	j->front->programs.running++;
	return true;
}

/* Nobody is told that cannot be started but by its mail's end: there is no such case but no memory
 * in libuv, which ends the process. */
static void start_waiting(struct front *f)
{
	while (f->programs.running < BODY_PROGRAMS_MAX && f->programs.first != NULL) {
		struct body_job *j = f->programs.first;

		f->programs.first = j->next;
		f->programs.waiting--;
		if (j->t == NULL || !start(j)) {
			struct txn *t = j->t;

			if (t != NULL) {
				t->body_job = NULL;
				j->done(t, j->form, "it cannot be started");
			}
			job_destroy(j);
		}
	}
}

static void put_last(struct front *f, struct body_job *j)
{
	struct body_job **p = &f->programs.first;

	while (*p != NULL)
		p = &(*p)->next;
	*p = j;
	f->programs.waiting++;
}

/* arg with the option in place of each _OPTION_; NULL: no memory. */
static char *argument(const char *arg, const char *option)
{
	static const char mark[] = "_OPTION_";
	struct mw_text out = { 0 };
	char *s;

	for (const char *at; option != NULL && (at = strstr(arg, mark)) != NULL;
		arg = at + sizeof(mark) - 1) {
		mw_text_add_octets(&out, arg, (size_t)(at - arg));
		mw_text_add(&out, option);
	}
	mw_text_add(&out, arg);
	s = out.failed ? NULL : strdup(out.p != NULL ? out.p : "");
	mw_text_fini(&out);
	return s;
}

static bool set_arguments(struct body_job *j, const struct txn *t, const char *option)
{
	const char *const *args;
	size_t count = mw_conf_list(t->policy->conf,
		option != NULL ? "altermime_args_disclaimer" : "altermime_args_defang", &args);
	bool ok;

	j->argv = calloc(count + 3, sizeof(*j->argv));
	if (j->argv == NULL)
		return false;
	ok = (j->argv[0] = strdup(t->set->altermime)) != NULL &&
	     (j->argv[1] = strdup("--input=" FILE_NAME)) != NULL;
	for (size_t i = 0; i < count && ok; i++)
		ok = (j->argv[i + 2] = argument(args[i], option)) != NULL;
	return ok;
}

/* The file has LF for CRLF: a line that is one CR would be an empty one, which ends the header
 * section. False: no memory. */
static bool set_section(struct body_job *j, struct txn *t)
{
	struct mw_octets section = t->header.section;

	if (edit_repair_for_program(t, &section) != MW_OK)
		return false;
	if (section.p == t->header.section.p)
		return true;
	j->section = malloc(section.n + 1);
	if (j->section == NULL)
		return false;
	memcpy(j->section, section.p, section.n);
	j->section_n = section.n;
	j->rest = t->header.section.n;
	return true;
}

const char *body_program(struct txn *t, struct body_form *f, const char *option,
	void (*done_f)(struct txn *t, struct body_form *f, const char *why))
{
	uint64_t now = mw_mono_ms(), left = t->deadline_ms > now ? t->deadline_ms - now : 0;
	struct body_programs *programs = &t->front->programs;
	struct body_job *j;

	if (t->set->altermime[0] == '\0')
		return "altermime is not set";
	if (programs->waiting >= BODY_PROGRAMS_WAITING_MAX)
		return "too many mails wait for it";
	j = calloc(1, sizeof(*j));
	if (j == NULL || !set_arguments(j, t, option) || !set_section(j, t)) {
		if (j != NULL)
			job_destroy(j);
		return "out of memory";
	}
	j->work.data = j;
	j->front = t->front;
	j->t = t;
	j->form = f;
	j->done = done_f;
	j->original = smtp_body_ref(t->body);
	j->timeout_ms =
		left / 2 < t->set->altermime_timeout_ms ? left / 2 : t->set->altermime_timeout_ms;
	snprintf(j->dir, sizeof(j->dir), "%s/" FOLDER_PREFIX "XXXXXX", t->set->spool_dir);
	t->body_job = j;
	if (programs->running >= BODY_PROGRAMS_MAX) {
		put_last(t->front, j);
	} else if (!start(j)) {
		t->body_job = NULL;
		job_destroy(j);
		return "it cannot be started";
	}
	return NULL;
}

void body_cancel(struct txn *t)
{
	if (t->body_job != NULL)
		t->body_job->t = NULL;
	t->body_job = NULL;
}

/* ------------------------------------------------------------------ what was left behind */

struct body_sweep {
	uv_work_t work;
	char root[256];
	unsigned swept;
};

/* The spool may be a folder where others write, too: only what is our user's goes. */
static void sweep_run(uv_work_t *w)
{
	struct body_sweep *s = w->data;
	DIR *dir = opendir(s->root);

	for (struct dirent *d; dir != NULL && (d = readdir(dir)) != NULL;) {
		char path[600];
		struct stat st;

		if (strncmp(d->d_name, FOLDER_PREFIX, strlen(FOLDER_PREFIX)) != 0 ||
			fstatat(dirfd(dir), d->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0 ||
			!S_ISDIR(st.st_mode) || st.st_uid != geteuid() ||
			st.st_mtime + LEFT_BEHIND_S > (time_t)(mw_wall_ms() / 1000))
			continue;
		snprintf(path, sizeof(path), "%s/%s", s->root, d->d_name);
		nftw(path, remove_one, FOLDERS_OPEN, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
		s->swept++;
	}
	if (dir != NULL)
		closedir(dir);
}

static void sweep_over(uv_work_t *w, int status)
{
	struct body_sweep *s = w->data;

	(void)status;
	if (s->swept > 0)
		mw_log(MW_INFO, "spool_swept", "dir=%s folders=%u hint=\"%s\"", mw_quote(s->root),
			s->swept, "a front was killed while altermime worked");
	free(s);
}

void body_program_sweep(struct front *f, const char *spool_dir)
{
	struct body_sweep *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return; /* next time */
	s->work.data = s;
	mw_strlcpy(s->root, spool_dir, sizeof(s->root));
	if (uv_queue_work(mw_loop_uv(f->loop), &s->work, sweep_run, sweep_over) != 0)
		free(s);
}
