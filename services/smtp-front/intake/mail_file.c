#include "mail_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "log.h"
#include "mail_fill.h"

struct mail_file_job {
	uv_work_t work;
	void (*done)(void *arg, struct mail_file_got *got); /* NULL: forgotten */
	void *arg;
	struct smtp_body_pool *bodies;
	uint64_t limit;
	bool unwraps;
	struct mail_file_got got;
	struct smtp_arena arena; /* root and names */
	const char *root, **names;
	size_t name_count;
};

/* ------------------------------------------------------------------ the way to a file */

bool mail_file_root(const char *path, const char *const *roots, size_t count, const char **root_r,
	const char **rest_r)
{
	for (size_t i = 0; i < count; i++) {
		size_t n = strlen(roots[i]);

		while (n > 1 && roots[i][n - 1] == '/')
			n--;
		if (n == 0 || strncmp(path, roots[i], n) != 0 || path[n] != '/')
			continue;
		*root_r = roots[i];
		*rest_r = path + n + strspn(path + n, "/");
		return **rest_r != '\0';
	}
	return false;
}

/* One step below fd, which is closed. -1: errno tells. */
static int step(int fd, const char *name, size_t n, int flags)
{
	char part[NAME_MAX + 1];
	int next = -1;

	if (n > NAME_MAX) {
		errno = ENAMETOOLONG;
	} else if ((n == 1 && name[0] == '.') || (n == 2 && name[0] == '.' && name[1] == '.')) {
		errno = ELOOP; /* as a link: it leads elsewhere than its text says */
	} else {
		memcpy(part, name, n);
		part[n] = '\0';
		next = openat(fd, part, flags | O_NOFOLLOW | O_CLOEXEC);
	}
	n = (size_t)errno;
	close(fd);
	errno = (int)n;
	return next;
}

/*
 * Open root/name, each step by itself. openat2 and RESOLVE_BENEATH would do it in one call, but not
 * on every kernel and in every sandbox that we run in.
 */
static int open_below(const char *root, const char *name, int flags)
{
	int fd = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);

	while (fd >= 0) {
		size_t n = strcspn(name, "/");
		const char *rest = name + n + strspn(name + n, "/");

		if (*rest == '\0' && name[n] == '\0')
			return step(fd, name, n, flags);
		fd = step(fd, name, n, O_PATH | O_DIRECTORY);
		if (*rest == '\0' && fd >= 0) { /* a folder's name with a slash behind it */
			close(fd);
			errno = EISDIR;
			return -1;
		}
		name = rest;
	}
	return -1;
}

static bool is_absent(int error)
{
	return error == ENOENT || error == ENOTDIR;
}

/* g->name, opened. -1: *g says why. */
static int open_mail(const struct mail_file_job *j, struct mail_file_got *g, size_t *size_r)
{
	struct stat st;
	/* O_NONBLOCK: a FIFO would hold the thread until somebody writes. */
	int fd = open_below(j->root, g->name, O_RDONLY | O_NONBLOCK | O_NOCTTY);

	if (fd < 0) {
		g->rc = mw_fail(&g->err,
			is_absent(errno)				      ? MW_ERR_GONE
			: errno == ELOOP || errno == ENXIO || errno == EISDIR ? MW_ERR_PROTO
									      : MW_ERR_IO,
			"%s", errno == ELOOP ? "a symbolic link, or . or .." : strerror(errno));
		return -1;
	}
	if (fstat(fd, &st) != 0) {
		g->rc = mw_fail(&g->err, MW_ERR_IO, "%s", strerror(errno));
	} else if (!S_ISREG(st.st_mode)) {
		g->rc = mw_fail(&g->err, MW_ERR_PROTO, "not a regular file");
	} else if (st.st_nlink > 1) {
		/* Another name of a file that its maker may not read himself. */
		g->rc = mw_fail(&g->err, MW_ERR_PROTO, "the file has several names");
	} else {
		*size_r = st.st_size > 0 ? (size_t)st.st_size : 0;
		return fd;
	}
	close(fd);
	return -1;
}

/* ------------------------------------------------------------------ its octets */

struct filler {
	struct mail_fill fill;
	unsigned char in[MAIL_FILL_OCTETS];
};

static void read_plain(struct filler *l, int fd)
{
	struct mail_fill *m = &l->fill;

	while (m->rc == MW_OK) {
		ssize_t n = read(fd, l->in, sizeof(l->in));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			m->rc = mw_fail(&m->err, MW_ERR_IO, "%s", strerror(errno));
		if (n <= 0)
			break;
		mail_fill_take(m, l->in, (size_t)n);
	}
	close(fd);
}

/* What inflates without end is cut by the limit, chunk by chunk. */
static void read_gzip(struct filler *l, int fd)
{
	struct mail_fill *m = &l->fill;
	gzFile gz = gzdopen(fd, "rb");
	int n = 0;

	if (gz == NULL) {
		close(fd);
		m->rc = MW_ERR_NOMEM;
		return;
	}
	while (m->rc == MW_OK && (n = gzread(gz, l->in, sizeof(l->in))) > 0)
		mail_fill_take(m, l->in, (size_t)n);
	/* Z_BUF_ERROR of the close: the stream ended in the middle. */
	if (gzclose_r(gz) != Z_OK && m->rc == MW_OK)
		n = -1;
	if (n < 0 && m->rc == MW_OK)
		m->rc = mw_fail(&m->err, MW_ERR_PROTO, "the file does not inflate");
}

static bool is_gzip(const char *name)
{
	size_t n = strlen(name);

	return n > 3 && strcmp(name + n - 3, ".gz") == 0;
}

/* The mail of one name; j->got is of that name alone. */
static void load_one(struct mail_file_job *j, struct filler *l, const char *name)
{
	struct mail_file_got *g = &j->got;
	size_t size = 0;
	int fd;

	smtp_body_unref(&g->body);
	*g = (struct mail_file_got){ .name = name };
	fd = open_mail(j, g, &size);
	if (fd < 0)
		return;
	mail_fill_begin(&l->fill, j->bodies, size);
	if (is_gzip(name))
		read_gzip(l, fd);
	else
		read_plain(l, fd);
	mail_fill_end(&l->fill);
	g->rc = l->fill.rc;
	g->err = l->fill.err;
	g->eight_bit = l->fill.eight_bit;
	g->body = l->fill.body;
	l->fill.body = NULL;
}

/* What is wrong with one file says nothing of the next; what is wrong with this host does. */
static bool is_unfit(enum mw_rc rc)
{
	return rc == MW_ERR_PROTO || rc == MW_ERR_LIMIT || rc == MW_ERR_IO;
}

static void load_work(uv_work_t *work)
{
	struct mail_file_job *j = work->data;
	struct mail_file_got *g = &j->got, unfit = { .rc = MW_OK };
	struct filler *l = calloc(1, sizeof(*l));

	if (l == NULL) {
		g->rc = MW_ERR_NOMEM;
		return;
	}
	l->fill.limit = j->limit;
	l->fill.unwraps = j->unwraps;
	g->rc = MW_ERR_GONE;
	for (size_t i = 0; i < j->name_count && (g->rc == MW_ERR_GONE || is_unfit(g->rc)); i++) {
		load_one(j, l, j->names[i]);
		if (unfit.rc == MW_OK && is_unfit(g->rc))
			unfit = (struct mail_file_got){
				.rc = g->rc, .err = g->err, .name = g->name
			};
	}
	/* A file that is there and cannot be read tells more than one that is not there. */
	if (unfit.rc != MW_OK && (g->rc == MW_ERR_GONE || is_unfit(g->rc))) {
		smtp_body_unref(&g->body);
		*g = unfit;
	}
	mail_fill_fini(&l->fill);
	free(l);
}

static void load_done(uv_work_t *work, int status)
{
	struct mail_file_job *j = work->data;

	if (status != 0)
		j->got.rc = mw_fail(&j->got.err, MW_ERR_IO, "cancelled");
	else if (j->got.rc == MW_ERR_NOMEM)
		mw_fail(&j->got.err, MW_ERR_NOMEM, "out of memory");
	if (j->done != NULL)
		j->done(j->arg, &j->got);
	smtp_body_unref(&j->got.body);
	smtp_arena_fini(&j->arena);
	free(j);
}

static bool copy_want(struct mail_file_job *j, const struct mail_file_want *want)
{
	j->limit = want->limit;
	j->unwraps = want->unwraps;
	j->root = smtp_arena_copy(&j->arena, want->root, strlen(want->root));
	j->names = smtp_arena_array(&j->arena, want->name_count, sizeof(*j->names));
	if (j->root == NULL || j->names == NULL)
		return false;
	for (size_t i = 0; i < want->name_count; i++) {
		j->names[i] = smtp_arena_copy(&j->arena, want->names[i], strlen(want->names[i]));
		if (j->names[i] == NULL)
			return false;
	}
	j->name_count = want->name_count;
	return true;
}

struct mail_file_job *mail_file_load(struct front *f, const struct mail_file_want *want,
	void (*done)(void *arg, struct mail_file_got *got), void *arg)
{
	struct mail_file_job *j = calloc(1, sizeof(*j));

	if (j == NULL)
		return NULL;
	j->work.data = j;
	j->done = done;
	j->arg = arg;
	j->bodies = &f->bodies;
	if (!copy_want(j, want) ||
		uv_queue_work(mw_loop_uv(f->loop), &j->work, load_work, load_done) != 0) {
		smtp_arena_fini(&j->arena);
		free(j);
		return NULL;
	}
	return j;
}

void mail_file_forget(struct mail_file_job **job_p)
{
	struct mail_file_job *j = *job_p;

	*job_p = NULL;
	if (j != NULL)
		j->done = NULL;
}

/* ------------------------------------------------------------------ taking it away */

struct removal {
	uv_work_t work;
	struct smtp_arena arena;
	char *root, *dir, *file;
};

/* 0, or an errno. */
static int remove_folder(struct removal *r)
{
	char *name = strrchr(r->dir, '/');
	int fd, failed = 0;

	if (name != NULL) {
		*name++ = '\0';
		fd = open_below(r->root, r->dir, O_RDONLY | O_DIRECTORY);
	} else {
		name = r->dir;
		fd = open(r->root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	}
	if (fd < 0 || unlinkat(fd, name, AT_REMOVEDIR) != 0)
		failed = errno;
	if (fd >= 0)
		close(fd);
	return failed;
}

static void remove_work(uv_work_t *work)
{
	struct removal *r = work->data;
	int fd = open_below(r->root, r->dir, O_RDONLY | O_DIRECTORY), failed = 0;

	if (fd < 0 || (unlinkat(fd, r->file, 0) != 0 && errno != ENOENT))
		failed = errno;
	if (fd >= 0)
		close(fd);
	if (failed == 0)
		failed = remove_folder(r);
	if (failed != 0)
		mw_log(MW_WARN, "tempdir_not_removed", "dir=%s why=%s", mw_quote(r->dir),
			mw_quote(strerror(failed)));
}

static void remove_done(uv_work_t *work, int status)
{
	struct removal *r = work->data;

	(void)status;
	smtp_arena_fini(&r->arena);
	free(r);
}

void mail_file_remove(struct front *f, const char *root, const char *dir, const char *file)
{
	struct removal *r = calloc(1, sizeof(*r));

	if (r == NULL)
		return;
	r->work.data = r;
	r->root = smtp_arena_copy(&r->arena, root, strlen(root));
	r->dir = smtp_arena_copy(&r->arena, dir, strlen(dir));
	r->file = smtp_arena_copy(&r->arena, file, strlen(file));
	for (size_t n = r->dir != NULL ? strlen(r->dir) : 0; n > 0 && r->dir[n - 1] == '/';)
		r->dir[--n] = '\0';
	if (r->root == NULL || r->dir == NULL || r->file == NULL ||
		uv_queue_work(mw_loop_uv(f->loop), &r->work, remove_work, remove_done) != 0)
		remove_done(&r->work, 0);
}
