#include "mta.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static const char *const queue_names[SNMPSVC_QUEUES] = { "maildrop", "incoming", "active",
	"deferred" };

/* A count that was slow is not repeated soon: not before 8 times what it took, at most 20 minutes.
 */
#define SLOW_FACTOR 8
#define PAUSE_MOST_MS (20 * 60 * 1000)
#define DEPTH_MAX 8 /* of hashed folders: Postfix's hash_queue_depth is 1 to 3 */

struct snmpsvc_mta {
	struct mw_loop *loop;
	char folder[PATH_MAX - 64];
	uint64_t values[SNMPSVC_QUEUES], counted[SNMPSVC_QUEUES];
	uint64_t not_before_ms, took_ms;
	uv_work_t work;
	bool running, closed;
};

/* Files below a queue's folder; only folders of one letter are parts of the queue (hashed). */
static uint64_t count_files(int parent, const char *name, unsigned depth, uint64_t until_ms)
{
	int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
	uint64_t n = 0;

	if (dir == NULL) {
		if (fd >= 0)
			(void)close(fd);
		return 0;
	}
	for (struct dirent *d; (d = readdir(dir)) != NULL && mw_mono_ms() < until_ms;) {
		if (d->d_type == DT_DIR && d->d_name[0] != '.' && d->d_name[1] == '\0' &&
			depth < DEPTH_MAX)
			n += count_files(dirfd(dir), d->d_name, depth + 1, until_ms);
		else if (d->d_type == DT_REG)
			n++;
	}
	(void)closedir(dir);
	return n;
}

static void count_all(struct snmpsvc_mta *m)
{
	uint64_t began_ms = mw_mono_ms();

	for (size_t i = 0; i < SNMPSVC_QUEUES; i++) {
		char path[PATH_MAX];

		(void)snprintf(path, sizeof(path), "%s/%s", m->folder, queue_names[i]);
		m->counted[i] =
			count_files(AT_FDCWD, path, 0, mw_mono_ms() + SNMPSVC_MTA_GIVE_UP_MS);
	}
	m->took_ms = mw_mono_ms() - began_ms;
}

static void take_counts(struct snmpsvc_mta *m)
{
	uint64_t pause = m->took_ms * SLOW_FACTOR;

	memcpy(m->values, m->counted, sizeof(m->values));
	if (pause > PAUSE_MOST_MS)
		pause = PAUSE_MOST_MS;
	m->not_before_ms =
		mw_mono_ms() + (pause > SNMPSVC_MTA_REFRESH_MS ? pause : SNMPSVC_MTA_REFRESH_MS);
}

static void on_pool(uv_work_t *work)
{
	count_all(work->data);
}

static void counted(uv_work_t *work, int status)
{
	struct snmpsvc_mta *m = work->data;

	(void)status;
	m->running = false;
	if (m->closed)
		free(m);
	else
		take_counts(m);
}

struct snmpsvc_mta *snmpsvc_mta_new(struct mw_loop *loop, const char *folder)
{
	struct snmpsvc_mta *m;
	char path[PATH_MAX];
	DIR *active;

	if ((size_t)snprintf(path, sizeof(path), "%s/active", folder) >= sizeof(path))
		return NULL;
	active = opendir(path);
	if (active == NULL)
		return NULL;
	(void)closedir(active);
	m = calloc(1, sizeof(*m));
	if (m == NULL)
		return NULL;
	m->loop = loop;
	mw_strlcpy(m->folder, folder, sizeof(m->folder));
	count_all(m); /* the first answer is a true one */
	take_counts(m);
	return m;
}

void snmpsvc_mta_wanted(struct snmpsvc_mta *m, uint64_t now_ms)
{
	if (m->running || now_ms < m->not_before_ms)
		return;
	m->work.data = m;
	m->running = uv_queue_work(mw_loop_uv(m->loop), &m->work, on_pool, counted) == 0;
}

const uint64_t *snmpsvc_mta_values(const struct snmpsvc_mta *m)
{
	return m->values;
}

void snmpsvc_mta_destroy(struct snmpsvc_mta **m_p)
{
	struct snmpsvc_mta *m = *m_p;

	*m_p = NULL;
	if (m == NULL)
		return;
	m->closed = true;
	if (!m->running)
		free(m);
}
