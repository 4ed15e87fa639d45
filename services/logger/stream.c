#include "stream.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include "log.h"

#define BATCH_OCTETS (128 * 1024) /* of one write, unless a single line is longer */
#define RETRY_MS 1000

struct logsvc_stream {
	struct mw_loop *loop;
	struct logsvc_lines *lines;
	struct logsvc_cursor cursor;
	char *path; /* NULL: stdout */
	int fd;
	bool regular;
	struct mw_fd *watch; /* for what is not a regular file */
	struct mw_timer *retry;
	size_t part; /* octets of the line at the cursor that a pipe has taken already */
	bool failing, blocked;
};

/* ------------------------------------------------------------------ opening */

/* A description of our own, so that O_NONBLOCK does not touch what others share with us. Sockets
 * have none: EAGAIN comes from MSG_DONTWAIT there. */
static int open_stdout(void)
{
	int fd = open("/proc/self/fd/1", O_WRONLY | O_APPEND | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);

	return fd >= 0 ? fd : fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
}

/* A line that a crash cut short must not grow together with ours. */
static void end_last_line(int fd, const char *path)
{
	int in = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;
	char last;

	if (in < 0)
		return;
	if (fstat(in, &st) == 0 && st.st_size > 0 && pread(in, &last, 1, st.st_size - 1) == 1 &&
		last != '\n' && write(fd, "\n", 1) != 1)
		mw_log(MW_WARN, "log_file_not_ended", "path=%s", mw_quote(path));
	(void)close(in);
}

static int open_path(const char *path, bool *regular_r)
{
	int fd =
		path == NULL
			? open_stdout()
			: open(path,
				  O_WRONLY | O_APPEND | O_CREAT | O_NONBLOCK | O_CLOEXEC | O_NOCTTY,
				  0640);
	struct stat st;

	if (fd < 0)
		return -1;
	*regular_r = fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
	if (*regular_r && path != NULL)
		end_last_line(fd, path);
	return fd;
}

/* ------------------------------------------------------------------ writing */

static void stream_run(void *arg);

static void failed(struct logsvc_stream *s, int err)
{
	if (!s->failing)
		mw_log(MW_ERROR, "log_write_failed",
			"output=%s path=%s errno=%d waiting=%llu effect=\"retried every second\"",
			s->cursor.name, s->path != NULL ? mw_quote(s->path) : "-", err,
			(unsigned long long)s->cursor.waiting);
	s->failing = true;
	mw_timer_start(s->retry, RETRY_MS, 0);
}

/* The lines waiting, as many as make a good write. Their octets are copied: one write call, whole
 * lines. */
static char *batch(struct logsvc_stream *s, size_t *n_r)
{
	const struct logsvc_line *line = s->cursor.at;
	size_t n = 0, done = 0;
	char *buf;

	for (; line != NULL && (n == 0 || n + line->n <= BATCH_OCTETS); line = line->next)
		n += line->n;
	buf = malloc(n);
	if (buf == NULL)
		return NULL;
	for (line = s->cursor.at; done < n; line = line->next) {
		memcpy(buf + done, line->text, line->n);
		done += line->n;
	}
	*n_r = n;
	return buf;
}

static void take(struct logsvc_stream *s, size_t written)
{
	s->part += written;
	while (s->cursor.at != NULL && s->part >= s->cursor.at->n) {
		s->part -= s->cursor.at->n;
		logsvc_cursor_next(s->lines, &s->cursor);
	}
}

/* A regular file took a line in part: the disk is full. Without the part the file has whole lines
 * only. */
static void cut_part(struct logsvc_stream *s)
{
	struct stat st;

	if (s->part == 0 || !s->regular || s->path == NULL)
		return;
	if (fstat(s->fd, &st) == 0 && st.st_size >= (off_t)s->part &&
		ftruncate(s->fd, st.st_size - (off_t)s->part) == 0)
		s->part = 0; /* else the rest of the line is written when there is room */
}

static bool write_some(struct logsvc_stream *s)
{
	size_t n = 0;
	char *buf = batch(s, &n);
	ssize_t written;
	int err;

	if (buf == NULL) {
		failed(s, ENOMEM);
		return false;
	}
	written = write(s->fd, buf + s->part, n - s->part);
	err = errno;
	n -= s->part;
	free(buf);
	if (written > 0)
		take(s, (size_t)written);
	if (written == (ssize_t)n) {
		if (s->failing)
			mw_log(MW_INFO, "log_write_again", "output=%s", s->cursor.name);
		s->failing = false;
		return true;
	}
	if (written < 0 && err == EINTR)
		return true;
	if (s->watch != NULL && (written >= 0 || err == EAGAIN)) {
		s->blocked = true;
		mw_fd_watch(s->watch, MW_WRITABLE);
		return false;
	}
	cut_part(s);
	failed(s, written < 0 ? err : ENOSPC);
	return false;
}

/* A bounded number of writes; the rest comes with the timer's next turn, so that events are taken
 * in between. */
static void stream_run(void *arg)
{
	struct logsvc_stream *s = arg;

	for (int i = 0; i < 8; i++) {
		if (s->blocked || s->cursor.at == NULL || !write_some(s))
			return;
	}
	mw_timer_start(s->retry, 0, 0);
}

static void more(void *arg, struct logsvc_line *line)
{
	struct logsvc_stream *s = arg;

	/* After the events of this turn: many lines in one write. */
	if (s->cursor.at == line && !s->failing && !s->blocked)
		mw_timer_start(s->retry, 0, 0);
}

static void writable(void *arg, int events)
{
	struct logsvc_stream *s = arg;

	mw_fd_watch(s->watch, 0);
	s->blocked = false;
	if ((events & MW_READABLE) != 0 && (events & MW_WRITABLE) == 0) {
		failed(s, EPIPE);
		return;
	}
	stream_run(s);
}

/* ------------------------------------------------------------------ life */

static void use(struct logsvc_stream *s, int fd, bool regular)
{
	if (s->watch != NULL)
		mw_fd_destroy(&s->watch);
	if (s->fd >= 0)
		(void)close(s->fd);
	s->fd = fd;
	s->regular = regular;
	s->blocked = false;
	s->watch = regular ? NULL : mw_fd_new(s->loop, fd, writable, s);
}

enum mw_rc logsvc_stream_open(struct logsvc_stream **s_r, struct mw_loop *loop,
	struct logsvc_lines *lines, const char *path, struct mw_err *err_r)
{
	struct logsvc_stream *s = calloc(1, sizeof(*s));
	bool regular = false;
	int fd = -1;

	*s_r = NULL;
	if (s == NULL || (path != NULL && (s->path = strdup(path)) == NULL)) {
		free(s);
		return mw_fail(err_r, MW_ERR_NOMEM, "no memory for an output");
	}
	fd = open_path(path, &regular);
	if (fd < 0) {
		mw_fail(err_r, MW_ERR_IO, "logger.file: cannot open %s: %s",
			path != NULL ? path : "stdout", strerror(errno));
		free(s->path);
		free(s);
		return MW_ERR_IO;
	}
	s->loop = loop;
	s->lines = lines;
	s->fd = -1;
	s->cursor = (struct logsvc_cursor){
		.name = path != NULL ? "file" : "stdout", .more = more, .arg = s
	};
	s->retry = mw_timer_new(loop, stream_run, s);
	use(s, fd, regular);
	logsvc_lines_add_cursor(lines, &s->cursor);
	*s_r = s;
	return MW_OK;
}

enum mw_rc logsvc_stream_reopen(struct logsvc_stream *s, const char *path, struct mw_err *err_r)
{
	bool regular = false;
	char *copy;
	int fd;

	if (s->path == NULL || path == NULL)
		return MW_OK;
	copy = strdup(path);
	fd = copy != NULL ? open_path(path, &regular) : -1;
	if (fd < 0) {
		free(copy);
		return mw_fail(
			err_r, MW_ERR_IO, "logger.file: cannot open %s: %s", path, strerror(errno));
	}
	free(s->path);
	s->path = copy;
	cut_part(s);
	s->part = 0; /* a line begun in the old file is written whole into the new one */
	use(s, fd, regular);
	mw_timer_start(s->retry, 0, 0);
	return MW_OK;
}

const struct logsvc_cursor *logsvc_stream_cursor(const struct logsvc_stream *s)
{
	return &s->cursor;
}

int logsvc_stream_sync_fd(const struct logsvc_stream *s)
{
	return s->regular ? fcntl(s->fd, F_DUPFD_CLOEXEC, 3) : -1;
}

bool logsvc_stream_failing(const struct logsvc_stream *s)
{
	return s->failing;
}

void logsvc_stream_close(struct logsvc_stream **s_p)
{
	struct logsvc_stream *s = *s_p;

	if (s == NULL)
		return;
	mw_timer_destroy(&s->retry);
	if (s->watch != NULL)
		mw_fd_destroy(&s->watch);
	(void)close(s->fd);
	free(s->path);
	free(s);
	*s_p = NULL;
}
