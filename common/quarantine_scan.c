#include "quarantine_scan.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "log.h"

#define BATCH 256 /* files between two commits, and two looks whether to go on */
#define SETTLED_NS                                                                                 \
	2000000000 /* a folder that changed later than that may change unseen: its mtime is not    \
		      kept */

struct file {
	char *name;
	char *mail_id; /* that the index has; NULL: it is not indexed */
	uint64_t size;
	int64_t mtime_ns;
};

struct files {
	struct file *items;
	size_t count, cap;
};

struct folders {
	char **items;
	size_t count, cap;
};

struct folder {
	struct mw_qscan *scan;
	const char *path;
	struct files files;
	struct files gone; /* entries without a file */
	bool failed;
	bool unsettled; /* it wants another look: a file cannot be read now, or has to go later */
	unsigned batch;
};

/* ------------------------------------------------------------------ lists */

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct file *)a)->name, ((const struct file *)b)->name);
}

static int by_mtime(const void *a, const void *b)
{
	const struct file *x = a, *y = b;

	return (x->mtime_ns > y->mtime_ns) - (x->mtime_ns < y->mtime_ns);
}

static bool add_file(struct files *l, const char *name, uint64_t size, int64_t mtime_ns)
{
	if (l->count == l->cap) {
		size_t cap = l->cap != 0 ? l->cap * 2 : 64;
		struct file *more = realloc(l->items, cap * sizeof(*more));

		if (more == NULL)
			return false;
		l->items = more;
		l->cap = cap;
	}
	l->items[l->count] =
		(struct file){ .name = strdup(name), .size = size, .mtime_ns = mtime_ns };
	return l->items[l->count++].name != NULL;
}

static void files_fini(struct files *l)
{
	for (size_t i = 0; i < l->count; i++) {
		free(l->items[i].name);
		free(l->items[i].mail_id);
	}
	free(l->items);
	*l = (struct files){ 0 };
}

static bool add_folder(struct folders *l, const char *path)
{
	if (l->count == MW_QFOLDERS_MAX)
		return false;
	if (l->count == l->cap) {
		size_t cap = l->cap != 0 ? l->cap * 2 : 64;
		char **more = realloc(l->items, cap * sizeof(*more));

		if (more == NULL)
			return false;
		l->items = more;
		l->cap = cap;
	}
	l->items[l->count] = strdup(path);
	return l->items[l->count] != NULL && ++l->count > 0;
}

static void folders_fini(struct folders *l)
{
	for (size_t i = 0; i < l->count; i++)
		free(l->items[i]);
	free(l->items);
	*l = (struct folders){ 0 };
}

static void join(char path[2 * MW_QINDEX_PATH_MAX], const char *folder, const char *name)
{
	snprintf(path, 2 * (size_t)MW_QINDEX_PATH_MAX, "%s%s%s", folder, *folder != '\0' ? "/" : "",
		name);
}

static int64_t mtime_of(const struct stat *st)
{
	return (int64_t)st->st_mtim.tv_sec * 1000000000 + st->st_mtim.tv_nsec;
}

/* ------------------------------------------------------------------ what differs */

static void tell(struct mw_qscan *s, const char *what, const char *path, const char *why)
{
	if (s->found != NULL)
		s->found(s->arg, what, path, why);
}

static void tell_unreadable(struct mw_qscan *s, const char *path, const char *why)
{
	tell(s, "unreadable", path, why);
	s->unreadable++;
}

static bool may_go_on(struct mw_qscan *s)
{
	s->stopped = s->stopped || (s->go_on != NULL && !s->go_on(s->arg));
	return !s->stopped;
}

/* A batch ends here and there, so that nobody else waits long for his own. */
static enum mw_rc breathe(struct folder *f, struct mw_err *err_r)
{
	struct mw_qscan *s = f->scan;
	enum mw_rc rc = MW_OK;

	if (++f->batch % BATCH != 0)
		return MW_OK;
	if (!s->read_only)
		rc = mw_qindex_commit(s->index, err_r);
	if (!may_go_on(s) && rc == MW_OK)
		rc = MW_AGAIN;
	if (rc == MW_OK && !s->read_only)
		rc = mw_qindex_begin(s->index, err_r);
	return rc;
}

static enum mw_rc take(
	struct folder *f, const struct file *file, const struct mw_qentry *e, struct mw_err *err_r)
{
	struct mw_qscan *s = f->scan;
	bool known = file->mail_id != NULL;

	if (known && strcmp(file->mail_id, e->mail_id) == 0)
		return MW_OK;
	tell(s, known ? "wrong_id" : "unknown", e->path,
		known ? e->mail_id : "it is not in the index");
	*(known ? &s->wrong : &s->added) += 1;
	return s->read_only ? MW_OK : mw_qindex_put(s->index, e, err_r);
}

/* It is no copy, or none any more. */
static enum mw_rc pass_over(struct folder *f, const struct file *file, const char *path,
	int64_t mtime_ns, const char *why, struct mw_err *err_r)
{
	struct mw_qscan *s = f->scan;
	bool stranger = file->mail_id == NULL && strcmp(why, "it is no quarantine copy") == 0;

	tell(s, stranger ? "stranger" : "damaged", path, why);
	*(stranger ? &s->strangers : &s->damaged) += 1;
	return file->mail_id != NULL || s->read_only
		       ? MW_OK
		       : mw_qindex_set_stranger(s->index, path, file->size, mtime_ns, err_r);
}

/* A file that is not indexed, or that is to be read whatever the index says. */
static enum mw_rc look_at(struct folder *f, const struct file *file, struct mw_err *err_r)
{
	char path[2 * MW_QINDEX_PATH_MAX];
	struct mw_qhead h;
	struct mw_err why = { "" };
	enum mw_rc rc;

	join(path, f->path, file->name);
	rc = mw_qhead_read(&h, f->scan->root, path, f->scan->whole, &why);
	f->scan->files++;
	if (rc == MW_OK) {
		rc = take(f, file, &h.e, err_r);
	} else if (rc == MW_ERR_PROTO) {
		rc = pass_over(f, file, path, h.mtime_ns, why.text, err_r);
	} else if (rc == MW_ERR_IO) {
		/* For a while: neither the scan's end nor what the file is. */
		tell_unreadable(f->scan, path, why.text);
		f->unsettled = true;
		rc = MW_OK;
	} else if (rc == MW_ERR_GONE) {
		rc = MW_OK;
	} else {
		mw_fail(err_r, rc, "%s", why.text);
	}
	mw_qhead_fini(&h);
	return rc;
}

static bool is_known_stranger(struct folder *f, const struct file *file)
{
	char path[2 * MW_QINDEX_PATH_MAX];

	if (f->scan->all)
		return false;
	join(path, f->path, file->name);
	return mw_qindex_is_stranger(f->scan->index, path, file->size, file->mtime_ns);
}

/* One indexed name at a time, to be found among those that are there. */
static bool on_indexed(void *arg, const char *name, const char *mail_id)
{
	struct folder *f = arg;
	struct file key = { .name = (char *)(uintptr_t)name };
	struct file *there = f->files.count == 0 ? NULL
						 : bsearch(&key, f->files.items, f->files.count,
							   sizeof(key), by_name);

	if (there == NULL)
		f->failed = f->failed || !add_file(&f->gone, name, 0, 0);
	else if (there->mail_id == NULL)
		f->failed = f->failed || (there->mail_id = strdup(mail_id)) == NULL;
	return !f->failed;
}

static enum mw_rc drop_gone(struct folder *f, struct mw_err *err_r)
{
	struct mw_qscan *s = f->scan;
	char path[2 * MW_QINDEX_PATH_MAX], whole[3 * MW_QINDEX_PATH_MAX];
	enum mw_rc rc = MW_OK;

	for (size_t i = 0; i < f->gone.count && rc == MW_OK; i++) {
		join(path, f->path, f->gone.items[i].name);
		snprintf(whole, sizeof(whole), "%s/%s", s->root, path);
		/* Kept since the folder was read? Only what is surely not there goes. */
		if (access(whole, F_OK) == 0 || errno != ENOENT)
			continue;
		tell(s, "missing", path, "its file is gone");
		s->dropped++;
		if (!s->read_only)
			rc = mw_qindex_drop(s->index, path, err_r);
		if (rc == MW_OK)
			rc = breathe(f, err_r);
	}
	return rc;
}

static enum mw_rc compare(struct folder *f, struct mw_err *err_r)
{
	struct mw_qscan *s = f->scan;
	enum mw_rc rc = mw_qindex_names(s->index, f->path, on_indexed, f, err_r);

	if (rc == MW_OK && f->failed)
		rc = mw_fail(err_r, MW_ERR_NOMEM, "out of memory");
	if (rc == MW_OK && !s->read_only)
		rc = mw_qindex_begin(s->index, err_r);
	if (rc == MW_OK)
		rc = drop_gone(f, err_r);
	/* Entries are added much faster in the order of their ids, which is that of time. */
	if (f->files.count > 0)
		qsort(f->files.items, f->files.count, sizeof(struct file), by_mtime);
	for (size_t i = 0; i < f->files.count && rc == MW_OK; i++) {
		struct file *file = &f->files.items[i];

		if (file->mail_id != NULL ? !s->whole : is_known_stranger(f, file))
			continue;
		rc = look_at(f, file, err_r);
		if (rc == MW_OK)
			rc = breathe(f, err_r);
	}
	return rc;
}

/* ------------------------------------------------------------------ a folder */

/* A copy that was begun and never finished: its process died. */
static void remove_temporary(struct folder *f, int dir, const char *name, const struct stat *st)
{
	struct mw_qscan *s = f->scan;

	if (s->read_only || strncmp(name, ".new-", 5) != 0)
		return;
	if (st->st_mtime + MW_QTEMPORARY_AGE_S > (time_t)(mw_wall_ms() / 1000)) {
		f->unsettled = true;
		return;
	}
	if (unlinkat(dir, name, 0) == 0) {
		s->temporaries++;
		mw_log(MW_WARN, "quarantine_unfinished", "file=%s hint=\"%s\"", mw_quote(name),
			"a copy that was never finished is taken away; its mail was deferred");
	}
}

/* Files and folders that are there. False: no memory. */
static bool read_folder(struct folder *f, DIR *dir, struct folders *below)
{
	char path[2 * MW_QINDEX_PATH_MAX];
	unsigned depth = 0;

	for (const char *p = f->path; *p != '\0'; p++)
		depth += *p == '/';
	for (struct dirent *d; errno = 0, (d = readdir(dir)) != NULL;) {
		struct stat st;

		if (strcmp(d->d_name, ".") == 0 || strcmp(d->d_name, "..") == 0)
			continue;
		if (fstatat(dirfd(dir), d->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0) {
			f->unsettled = f->unsettled || errno != ENOENT;
			continue;
		}
		join(path, f->path, d->d_name);
		if (strlen(path) >= MW_QINDEX_PATH_MAX)
			continue;
		if (d->d_name[0] == '.')
			remove_temporary(f, dirfd(dir), d->d_name, &st);
		else if (S_ISDIR(st.st_mode) && depth < MW_QFOLDER_DEPTH_MAX)
			f->unsettled = !add_folder(below, path) || f->unsettled;
		else if (S_ISREG(st.st_mode) &&
			 !(*f->path == '\0' &&
				 strncmp(d->d_name, MW_QINDEX_FILE, strlen(MW_QINDEX_FILE)) == 0) &&
			 !(*f->path == '\0' && strncmp(d->d_name, "audit.log", 9) == 0) &&
			 !add_file(&f->files, d->d_name, (uint64_t)st.st_size, mtime_of(&st)))
			return false;
	}
	f->unsettled = f->unsettled || errno != 0;
	return true;
}

/*
 * With them the index knows the folders below it: they are looked at by the next run, when this one
 * does not get to them.
 */
static enum mw_rc settle(
	struct folder *f, const struct folders *below, int64_t mtime_ns, struct mw_err *err_r)
{
	struct mw_qindex *q = f->scan->index;
	enum mw_rc rc = MW_OK;

	for (size_t i = 0; i < below->count && rc == MW_OK; i++)
		rc = mw_qindex_add_folder(q, below->items[i], err_r);
	return rc == MW_OK ? mw_qindex_set_folder(q, f->path, mtime_ns, err_r) : rc;
}

static enum mw_rc scan_open_folder(
	struct folder *f, DIR *dir, struct folders *below, int64_t mtime_ns, struct mw_err *err_r)
{
	struct mw_qscan *s = f->scan;
	struct timespec now;
	enum mw_rc rc;

	if (!read_folder(f, dir, below))
		return mw_fail(err_r, MW_ERR_NOMEM, "out of memory");
	if (f->files.count > 0)
		qsort(f->files.items, f->files.count, sizeof(struct file), by_name);
	s->folders++;
	rc = compare(f, err_r);
	clock_gettime(CLOCK_REALTIME, &now);
	if (mtime_ns + SETTLED_NS >= (int64_t)now.tv_sec * 1000000000 + now.tv_nsec)
		f->unsettled = true;
	if (rc == MW_OK && !s->read_only)
		rc = settle(f, below, f->unsettled ? -1 : mtime_ns, err_r);
	if (rc == MW_OK && !s->read_only)
		rc = mw_qindex_commit(s->index, err_r);
	if (rc != MW_OK && !s->read_only)
		mw_qindex_rollback(s->index);
	return rc;
}

/* A folder that is gone: so are its files. */
static enum mw_rc folder_gone(struct folder *f, struct mw_err *err_r)
{
	struct mw_qscan *s = f->scan;
	enum mw_rc rc = compare(f, err_r);

	if (rc == MW_OK && !s->read_only && *f->path != '\0')
		rc = mw_qindex_drop_folder(s->index, f->path, err_r);
	if (rc == MW_OK && !s->read_only)
		rc = mw_qindex_commit(s->index, err_r);
	if (rc != MW_OK && !s->read_only)
		mw_qindex_rollback(s->index);
	return rc;
}

static enum mw_rc scan_folder(
	struct mw_qscan *s, const char *path, struct folders *below, struct mw_err *err_r)
{
	struct folder f = { .scan = s, .path = path };
	char whole[2 * MW_QINDEX_PATH_MAX];
	struct stat st;
	enum mw_rc rc = MW_OK;
	int64_t mtime_ns;
	DIR *dir;
	int fd;

	snprintf(whole, sizeof(whole), "%s%s%s", s->root, *path != '\0' ? "/" : "", path);
	/* The mtime of before the reading: what comes meanwhile is seen the next time. */
	if (lstat(whole, &st) != 0 && errno != ENOENT && errno != ENOTDIR) {
		tell_unreadable(s, path, strerror(errno));
		return MW_OK;
	}
	if (lstat(whole, &st) != 0 || (!S_ISDIR(st.st_mode) && *path != '\0')) {
		rc = folder_gone(&f, err_r);
		files_fini(&f.gone);
		return rc;
	}
	mtime_ns = mtime_of(&st);
	if (!s->all && mw_qindex_folder_mtime(s->index, path) == mtime_ns)
		return MW_OK;
	fd = open(whole, O_RDONLY | O_DIRECTORY | O_CLOEXEC | (*path != '\0' ? O_NOFOLLOW : 0));
	dir = fd >= 0 ? fdopendir(fd) : NULL;
	if (dir == NULL) {
		if (fd >= 0)
			close(fd);
		tell_unreadable(s, path, strerror(errno));
		return MW_OK;
	}
	rc = scan_open_folder(&f, dir, below, mtime_ns, err_r);
	closedir(dir);
	files_fini(&f.files);
	files_fini(&f.gone);
	return rc;
}

static bool on_folder(void *arg, const char *folder)
{
	return add_folder(arg, folder);
}

static bool is_listed(const struct folders *l, size_t from, const char *path)
{
	for (size_t i = from; i < l->count; i++)
		if (strcmp(l->items[i], path) == 0)
			return true;
	return false;
}

enum mw_rc mw_qscan_run(struct mw_qscan *s, struct mw_err *err_r)
{
	struct folders todo = { 0 }, below = { 0 };
	enum mw_rc rc = mw_qindex_folders(s->index, on_folder, &todo, err_r);

	if (rc == MW_OK && !is_listed(&todo, 0, "") && !add_folder(&todo, ""))
		rc = mw_fail(err_r, MW_ERR_NOMEM, "out of memory");
	for (size_t i = 0; i < todo.count && rc == MW_OK && may_go_on(s); i++) {
		rc = scan_folder(s, todo.items[i], &below, err_r);
		for (size_t k = 0; k < below.count; k++)
			if (!is_listed(&todo, 0, below.items[k]))
				add_folder(&todo, below.items[k]);
		folders_fini(&below);
	}
	folders_fini(&todo);
	return rc == MW_AGAIN ? MW_OK : rc;
}
