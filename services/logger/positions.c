#include "positions.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include "log.h"

/* What one save needs, apart from the loop's data: it runs on libuv's pool. */
struct save {
	char path[PATH_MAX], temporary[PATH_MAX];
	int sync_fd; /* of the log file, or -1 */
	struct mw_position positions[LOGSVC_POSITIONS_MAX];
	size_t count;
	int err; /* errno, 0: saved */
};

struct logsvc_positions {
	struct mw_loop *loop;
	struct logsvc_lines *lines;
	const struct logsvc_stream *file;
	struct mw_timer *timer;
	uv_work_t work;
	struct save save;
	bool running, closed, failing;
};

/* ------------------------------------------------------------------ one save */

static int write_positions(const struct save *s)
{
	FILE *f = fopen(s->temporary, "we");
	bool good;

	if (f == NULL)
		return errno;
	good = true;
	for (size_t i = 0; i < s->count; i++)
		good = fprintf(f, "%llu %llu\n", (unsigned long long)s->positions[i].incarnation,
			       (unsigned long long)s->positions[i].sequence) > 0 &&
		       good;
	good = fflush(f) == 0 && fsync(fileno(f)) == 0 && good;
	if (fclose(f) != 0 || !good)
		return errno != 0 ? errno : EIO;
	return rename(s->temporary, s->path) == 0 ? 0 : errno;
}

static void save_now(struct save *s)
{
	s->err = 0;
	/* The lines first: a position ahead of them would lose them in a crash of the machine. */
	if (s->sync_fd >= 0) {
		if (fdatasync(s->sync_fd) != 0)
			s->err = errno;
		(void)close(s->sync_fd);
		s->sync_fd = -1;
	}
	if (s->err == 0)
		s->err = write_positions(s);
}

static void save_prepare(struct logsvc_positions *p)
{
	p->lines->moved = false;
	p->save.count = p->lines->position_count;
	memcpy(p->save.positions, p->lines->positions, sizeof(p->save.positions));
	p->save.sync_fd = p->file != NULL ? logsvc_stream_sync_fd(p->file) : -1;
}

static void save_result(struct logsvc_positions *p)
{
	if (p->save.err != 0 && !p->failing)
		mw_log(MW_ERROR, "positions_not_saved",
			"path=%s errno=%d effect=\"records come twice after a restart\"",
			mw_quote(p->save.path), p->save.err);
	p->failing = p->save.err != 0;
	if (p->failing)
		p->lines->moved = true;
}

static void on_pool(uv_work_t *work)
{
	struct logsvc_positions *p = work->data;

	save_now(&p->save);
}

static void saved(uv_work_t *work, int status)
{
	struct logsvc_positions *p = work->data;

	(void)status;
	p->running = false;
	if (p->closed) {
		free(p);
		return;
	}
	save_result(p);
}

static void tick(void *arg)
{
	struct logsvc_positions *p = arg;

	if (p->running || !p->lines->moved)
		return;
	save_prepare(p);
	p->work.data = p;
	p->running = uv_queue_work(mw_loop_uv(p->loop), &p->work, on_pool, saved) == 0;
}

/* ------------------------------------------------------------------ life */

/* What cannot be read is left out: its records come again, as from an unknown publisher. */
static void load(struct logsvc_positions *p)
{
	FILE *f = fopen(p->save.path, "re");
	unsigned long long incarnation, sequence;
	char line[128];

	if (f == NULL)
		return;
	for (int i = 0; i < LOGSVC_POSITIONS_MAX && fgets(line, sizeof(line), f) != NULL; i++)
		if (sscanf(line, "%llu %llu", &incarnation, &sequence) == 2 && incarnation > 0)
			logsvc_position_set(p->lines, incarnation, sequence);
	(void)fclose(f);
	p->lines->moved = false;
}

enum mw_rc logsvc_positions_open(struct logsvc_positions **p_r, struct mw_loop *loop,
	struct logsvc_lines *lines, const char *folder, const char *instance, struct mw_err *err_r)
{
	struct logsvc_positions *p = calloc(1, sizeof(*p));

	*p_r = NULL;
	if (p == NULL)
		return mw_fail(err_r, MW_ERR_NOMEM, "no memory for the positions");
	(void)mkdir(folder, 0750); /* saving tells when there is no such folder */
	if ((size_t)snprintf(p->save.path, sizeof(p->save.path), "%s/logger-%s.positions", folder,
		    instance) >= sizeof(p->save.path) ||
		(size_t)snprintf(p->save.temporary, sizeof(p->save.temporary),
			"%s/logger-%s.positions.new", folder,
			instance) >= sizeof(p->save.temporary)) {
		free(p);
		return mw_fail(err_r, MW_ERR_CONF, "logger.state_dir: too long");
	}
	p->loop = loop;
	p->lines = lines;
	load(p);
	save_prepare(p);
	save_now(&p->save);
	if (p->save.err != 0) {
		mw_fail(err_r, MW_ERR_IO, "logger.state_dir: cannot write %s: %s", p->save.path,
			strerror(p->save.err));
		free(p);
		return MW_ERR_IO;
	}
	p->timer = mw_timer_new(loop, tick, p);
	mw_timer_start(p->timer, LOGSVC_SAVE_MS, LOGSVC_SAVE_MS);
	*p_r = p;
	return MW_OK;
}

void logsvc_positions_follow(struct logsvc_positions *p, const struct logsvc_stream *file)
{
	p->file = file;
}

bool logsvc_positions_failing(const struct logsvc_positions *p)
{
	return p->failing;
}

void logsvc_positions_close(struct logsvc_positions **p_p)
{
	struct logsvc_positions *p = *p_p;

	if (p == NULL)
		return;
	*p_p = NULL;
	mw_timer_destroy(&p->timer);
	/* A save on the pool ends before ours begins: both write the same file. */
	while (p->running)
		(void)uv_run(mw_loop_uv(p->loop), UV_RUN_ONCE);
	save_prepare(p);
	save_now(&p->save);
	save_result(p);
	free(p);
}
