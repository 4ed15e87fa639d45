/*
 * Copies as files: plain, gzip, or batch SMTP (RFC 2442). The octets go into a file without a name,
 * are synced, and get their name when they are whole: nobody ever sees half a copy, and a process
 * that is killed leaves nothing behind. Where the file system has no such files, they have a
 * temporary name, and what is left of those goes when folders and index are compared
 * (quarantine_scan.h). All of it runs on libuv's pool.
 */
#include "quarantine_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>
#include <zlib.h>

#include "digest.h"
#include "edit.h"
#include "log.h"

#define TEMPORARY ".new-"
#define PATH_OCTETS 1024
#define SYNCED_MAX 1024 /* folders known to be on disk; those beyond are synced each time */
#define CHUNK (1u << 20)

struct file_work {
	uv_work_t work;
	struct quarantine_job *job; /* NULL: forgotten */
	struct smtp_body *body;
	struct mw_text head, tail;
	size_t body_at; /* of its octets; for the digest */
	bool gzip, dots, sync, named;
	char root[256], path[PATH_OCTETS], dir[PATH_OCTETS], temporary[PATH_OCTETS + 64];
	char digest[2 * MW_MD5_OCTETS + 1];
	enum mw_rc rc;
	char error[256];
};

static void fail_errno(struct file_work *w, const char *what, const char *path)
{
	w->rc = MW_ERR_IO;
	snprintf(w->error, sizeof(w->error), "%s %.120s: %s", what, path, strerror(errno));
}

/* ------------------------------------------------------------------ octets */

static bool write_all(int fd, const void *p, size_t n)
{
	const char *at = p;

	while (n > 0) {
		ssize_t put = write(fd, at, n < CHUNK ? n : CHUNK);

		if (put < 0 && errno == EINTR)
			continue;
		if (put <= 0)
			return false;
		at += put;
		n -= (size_t)put;
	}
	return true;
}

/* Where a copy's octets go. */
struct sink {
	int fd;
	gzFile gz; /* NULL: fd */
};

static bool put(const struct sink *s, const void *p, size_t n)
{
	const char *at = p;

	if (s->gz == NULL)
		return write_all(s->fd, p, n);
	while (n > 0) {
		unsigned some = n > CHUNK ? CHUNK : (unsigned)n;

		if (gzwrite(s->gz, at, some) != (int)some)
			return false;
		at += some;
		n -= some;
	}
	return true;
}

/* RFC 5321 section 4.5.2: a line's first dot is doubled. */
static bool put_stuffed(const struct sink *s, struct mw_octets o)
{
	size_t from = 0;

	for (size_t at = 0; at < o.n;) {
		const unsigned char *lf = memchr(o.p + at, '\n', o.n - at);

		if (o.p[at] == '.') {
			if (!put(s, o.p + from, at - from) || !put(s, ".", 1))
				return false;
			from = at;
		}
		at = lf != NULL ? (size_t)(lf - o.p) + 1 : o.n;
	}
	return put(s, o.p + from, o.n - from) &&
	       (o.n == 0 || o.p[o.n - 1] == '\n' || put(s, "\r\n", 2));
}

static bool write_octets(const struct file_work *w, const struct sink *s)
{
	struct mw_octets body = smtp_body_octets(w->body);

	return put(s, w->head.p, w->head.n) &&
	       (w->dots ? put_stuffed(s, body) : put(s, body.p, body.n)) &&
	       put(s, w->tail.p, w->tail.n);
}

static bool write_copy(struct file_work *w, int fd)
{
	struct sink s = { .fd = fd };
	bool ok;

	if (!w->gzip)
		return write_octets(w, &s);
	s.fd = dup(fd);
	s.gz = s.fd >= 0 ? gzdopen(s.fd, "wb1") : NULL; /* somebody waits: speed over size */
	if (s.gz == NULL) {
		if (s.fd >= 0)
			close(s.fd);
		return false;
	}
	ok = write_octets(w, &s);
	return gzclose(s.gz) == Z_OK && ok;
}

/* ------------------------------------------------------------------ folders */

/* Those that were synced, with all above them, since the process began: by a hash of their path. */
static struct {
	pthread_mutex_t lock;
	uint64_t hashes[SYNCED_MAX];
	size_t count;
} synced = { .lock = PTHREAD_MUTEX_INITIALIZER };

static uint64_t hash(const char *path)
{
	uint64_t h = 14695981039346656037u;

	for (; *path != '\0'; path++)
		h = (h ^ (unsigned char)*path) * 1099511628211u;
	return h;
}

static bool is_synced(const char *path)
{
	uint64_t h = hash(path);
	bool found = false;

	pthread_mutex_lock(&synced.lock);
	for (size_t i = 0; i < synced.count && !found; i++)
		found = synced.hashes[i] == h;
	pthread_mutex_unlock(&synced.lock);
	return found;
}

static void note_synced(const char *path)
{
	pthread_mutex_lock(&synced.lock);
	if (synced.count < SYNCED_MAX)
		synced.hashes[synced.count++] = hash(path);
	pthread_mutex_unlock(&synced.lock);
}

static void forget_synced(void)
{
	pthread_mutex_lock(&synced.lock);
	synced.count = 0;
	pthread_mutex_unlock(&synced.lock);
}

static bool sync_folder(struct file_work *w, const char *path)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	bool ok = fd >= 0 && fsync(fd) == 0;

	if (!ok)
		fail_errno(w, "syncing", path);
	if (fd >= 0)
		close(fd);
	return ok;
}

/*
 * All folders from the root down to dir, made where they are not there. A new one is safe when the
 * one above it is synced; so is one that a neighbour has just made.
 */
static bool make_folders(struct file_work *w)
{
	char path[PATH_OCTETS];
	size_t at = strlen(w->root);

	if (strncmp(w->dir, w->root, at) != 0)
		at = 0; /* an absolute bsmtp: path has no folders of ours */
	mw_strlcpy(path, w->dir, sizeof(path));
	while (at > 0 && w->dir[at] == '/') {
		at += 1 + strcspn(w->dir + at + 1, "/");
		path[at] = '\0';
		if (mkdir(path, 0750) != 0 && errno != EEXIST) {
			fail_errno(w, "folder", path);
			return false;
		}
		path[at] = w->dir[at];
	}
	return true;
}

static bool sync_above(struct file_work *w)
{
	char path[PATH_OCTETS];
	size_t root = strlen(w->root);

	/* Without a root none of them is ours. */
	if (!w->sync || root == 0 || strncmp(w->dir, w->root, root) != 0 || is_synced(w->dir))
		return true;
	mw_strlcpy(path, w->dir, sizeof(path));
	for (char *slash; strlen(path) > root && (slash = strrchr(path, '/')) != NULL;) {
		*slash = '\0';
		if (!sync_folder(w, path))
			return false;
	}
	note_synced(w->dir);
	return true;
}

/* ------------------------------------------------------------------ one file */

/* -1: errno. Without a name where that can be had. */
static int open_new(struct file_work *w)
{
	static const char proc[] = "/proc/self/fd"; /* by which it gets its name later */
	int fd = -1;

	w->named = access(proc, X_OK) != 0;
	if (!w->named) {
		fd = open(w->dir, O_TMPFILE | O_WRONLY | O_CLOEXEC, 0640);
		if (fd >= 0 || (errno != EOPNOTSUPP && errno != EISDIR && errno != EINVAL))
			return fd;
		w->named = true;
	}
	return open(w->temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0640);
}

/* Never over another file: a name that is taken is a fault. */
static bool give_name(const struct file_work *w, int fd)
{
	char proc[64];

	if (w->named)
		return link(w->temporary, w->path) == 0;
	snprintf(proc, sizeof(proc), "/proc/self/fd/%d", fd);
	return linkat(AT_FDCWD, proc, AT_FDCWD, w->path, AT_SYMLINK_FOLLOW) == 0;
}

static void keep_file(struct file_work *w)
{
	int fd = open_new(w);
	bool given;

	if (fd < 0 && errno == ENOENT) {
		forget_synced(); /* somebody took folders away */
		if (!make_folders(w))
			return;
		fd = open_new(w);
	}
	if (fd < 0) {
		fail_errno(w, "file in", w->dir);
		return;
	}
	quarantine_trigger("opened");
	if (!write_copy(w, fd))
		fail_errno(w, "writing", w->path);
	quarantine_trigger("written");
	if (w->rc == MW_OK && w->sync && fsync(fd) != 0)
		fail_errno(w, "syncing", w->path);
	quarantine_trigger("synced");
	given = w->rc == MW_OK && give_name(w, fd);
	if (w->rc == MW_OK && !given)
		fail_errno(w, "naming", w->path);
	quarantine_trigger("named");
	close(fd);
	if (w->named)
		unlink(w->temporary);
	if (w->rc == MW_OK && w->sync && sync_folder(w, w->dir))
		sync_above(w);
	if (w->rc != MW_OK && given)
		unlink(w->path);
}

static void digest_body(struct file_work *w)
{
	struct mw_octets all = smtp_body_octets(w->body);
	unsigned char md5[MW_MD5_OCTETS];

	if (!mw_md5(all.p + w->body_at, all.n - w->body_at, md5)) {
		w->rc = MW_ERR_IO;
		mw_strlcpy(w->error, "libcrypto has no MD5, which %b wants", sizeof(w->error));
		return;
	}
	for (size_t i = 0; i < sizeof(md5); i++)
		snprintf(w->digest + 2 * i, 3, "%02x", md5[i]);
}

/* ------------------------------------------------------------------ on libuv's pool */

static void file_work_free(struct file_work *w)
{
	smtp_body_unref(&w->body);
	mw_text_fini(&w->head);
	mw_text_fini(&w->tail);
	free(w);
}

static void work_run(uv_work_t *work)
{
	struct file_work *w = work->data;

	if (w->path[0] != '\0')
		keep_file(w);
	else
		digest_body(w);
}

static void work_over(uv_work_t *work, int status)
{
	struct file_work *w = work->data;
	struct quarantine_job *j = w->job;

	if (status != 0) {
		w->rc = MW_ERR_IO;
		mw_strlcpy(w->error, "cancelled", sizeof(w->error));
	}
	if (j != NULL) {
		j->work = NULL;
		mw_strlcpy(j->digest, w->digest, sizeof(j->digest));
		quarantine_copy_done(j, w->rc, w->error);
	}
	file_work_free(w);
}

static struct file_work *work_new(struct quarantine_job *j)
{
	struct file_work *w = calloc(1, sizeof(*w));

	if (w == NULL)
		return NULL;
	w->work.data = w;
	w->job = j;
	w->body = smtp_body_ref(j->txn->body);
	mw_strlcpy(w->digest, j->digest, sizeof(w->digest));
	return w;
}

static enum mw_rc work_start(struct quarantine_job *j, struct file_work *w)
{
	if (w->head.failed || w->tail.failed ||
		uv_queue_work(mw_loop_uv(j->txn->front->loop), &w->work, work_run, work_over) !=
			0) {
		file_work_free(w);
		return MW_ERR_NOMEM;
	}
	j->work = w;
	return MW_OK;
}

enum mw_rc quarantine_digest(struct quarantine_job *j)
{
	struct file_work *w = work_new(j);

	if (w == NULL)
		return MW_ERR_NOMEM;
	w->body_at = j->txn->header.body;
	return work_start(j, w);
}

/* ------------------------------------------------------------------ the way */

/* RFC 2442 section 2: what a client would say to a server that takes everything. */
static void put_batch(struct file_work *w, const struct txn *t)
{
	mw_text_addf(&w->head, "EHLO %s\r\nMAIL FROM:<%s>", t->policy->localhost_name, t->sender);
	if (t->params.body != SMTP_BODY_NONE)
		mw_text_add(&w->head,
			t->params.body == SMTP_BODY_7BIT ? " BODY=7BIT" : " BODY=8BITMIME");
	if (t->params.smtputf8)
		mw_text_add(&w->head, " SMTPUTF8");
	mw_text_add(&w->head, "\r\n");
	for (size_t i = 0; i < t->rcpt_count; i++) /* a copy tells nobody of its fate */
		if (!t->rcpts[i].removed)
			mw_text_addf(&w->head, "RCPT TO:<%s> NOTIFY=NEVER\r\n", t->rcpts[i].addr);
	mw_text_add(&w->head, "DATA\r\n");
	mw_text_add(&w->tail, ".\r\nQUIT\r\n");
	w->dots = true;
}

static enum mw_rc file_start(struct quarantine_job *j, struct txn_copy *c)
{
	struct txn *t = j->txn;
	struct file_work *w = work_new(j);
	const char *slash;
	size_t n = strlen(c->name);

	if (w == NULL)
		return MW_ERR_NOMEM;
	if (c->method->kind == QUARANTINE_BSMTP)
		put_batch(w, t);
	quarantine_head(t, c, &w->head);
	w->gzip = n > 3 && strcmp(c->name + n - 3, ".gz") == 0;
	w->sync = t->set->quarantine_sync;
	mw_strlcpy(w->root, t->set->quarantine_dir, sizeof(w->root));
	if (c->name[0] == '/')
		mw_strlcpy(w->path, c->name, sizeof(w->path));
	else
		snprintf(w->path, sizeof(w->path), "%s/%.500s", w->root, c->name);
	slash = strrchr(w->path, '/');
	mw_strncpy(w->dir, sizeof(w->dir), w->path, (size_t)(slash - w->path));
	if (w->dir[0] == '\0')
		mw_strlcpy(w->dir, "/", sizeof(w->dir));
	snprintf(w->temporary, sizeof(w->temporary), "%s/" TEMPORARY "%s", w->dir, t->mail_id);
	return work_start(j, w);
}

static void file_forget(struct quarantine_job *j)
{
	struct file_work *w = j->work;

	if (w != NULL)
		w->job = NULL;
}

const struct quarantine_way quarantine_way_file = { file_start, file_forget };
