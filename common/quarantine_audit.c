#include "quarantine_audit.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define LINE_MAX_OCTETS 4096 /* one write of so much is not torn by another's */
#define FIELDS 6
#define AUDIT_LOCK ".audit.lock"
#define HEAD_OCTETS 64 /* of the first line: no two files begin alike, whatever their inodes */

static void add_field(struct mw_text *out, const char *value)
{
	if (value == NULL || *value == '\0')
		value = "-";
	mw_text_add(out, " ");
	for (; *value != '\0' && out->n < LINE_MAX_OCTETS - 8; value++)
		if (*value > ' ' && *value < 0x7f && *value != '%')
			mw_text_add_octets(out, value, 1);
		else
			mw_text_addf(out, "%%%02x", (unsigned char)*value);
}

/* Under a lock, so that nobody writes to the old one any more. */
static void rotate(const char *dir, const char *path)
{
	char old[MW_QINDEX_PATH_MAX + 32];
	struct stat st;

	snprintf(old, sizeof(old), "%s/" MW_QAUDIT_FILE ".1", dir);
	if (stat(path, &st) == 0 && st.st_size > MW_QAUDIT_OCTETS_MAX)
		rename(path, old);
}

static void give_to_owner(const char *dir, int fd)
{
	struct stat st;

	if (geteuid() == 0 && stat(dir, &st) == 0 && st.st_uid != 0 &&
		fchown(fd, st.st_uid, st.st_gid) != 0)
		return;
}

/*
 * Whole, or not there at all: half a line would be glued to the next one, and both be lost. What a
 * crash has left of one is ended here.
 */
static bool append(int fd, const struct mw_text *line)
{
	struct mw_text whole = { 0 };
	struct stat st;
	char last = '\n';
	ssize_t n = -1;

	if (fstat(fd, &st) != 0 || (st.st_size > 0 && pread(fd, &last, 1, st.st_size - 1) != 1))
		return false;
	if (last != '\n')
		mw_text_add(&whole, "\n");
	mw_text_add_octets(&whole, line->p, line->n);
	if (!whole.failed)
		n = write(fd, whole.p, whole.n);
	if (n > 0 && (size_t)n < whole.n) {
		errno = ftruncate(fd, st.st_size) == 0 ? ENOSPC : errno;
		n = -1;
	}
	mw_text_fini(&whole);
	return n > 0 && fdatasync(fd) == 0;
}

enum mw_rc mw_qaudit_write(const char *dir, const struct mw_qaudit *a, struct mw_err *err_r)
{
	char path[MW_QINDEX_PATH_MAX + 32], when[32];
	time_t t = (time_t)(a->time_ms / 1000);
	int lock = mw_quarantine_lock(dir, AUDIT_LOCK, true), fd = -1;
	struct mw_text line = { 0 };
	struct tm tm;
	bool ok;

	snprintf(path, sizeof(path), "%s/" MW_QAUDIT_FILE, dir);
	strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&t, &tm));
	mw_text_add(&line, when);
	add_field(&line, a->action);
	add_field(&line, a->mail_id);
	add_field(&line, a->path);
	add_field(&line, a->who);
	add_field(&line, a->detail);
	mw_text_add(&line, "\n");
	if (lock >= 0) {
		rotate(dir, path);
		fd = open(path, O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0640);
	}
	if (fd >= 0)
		give_to_owner(dir, fd);
	ok = fd >= 0 && !line.failed && append(fd, &line);
	if (!ok)
		mw_fail(err_r, MW_ERR_IO, "%.300s: %s", path, strerror(errno));
	if (fd >= 0)
		close(fd);
	if (lock >= 0)
		close(lock);
	mw_text_fini(&line);
	return ok ? MW_OK : MW_ERR_IO;
}

/* ------------------------------------------------------------------ reading */

static int digit(char c)
{
	return isdigit((unsigned char)c) ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* In place. False: that is no line of ours. */
static bool decode(char *field)
{
	char *out = field;

	for (const char *p = field; *p != '\0'; p++) {
		int high, low;

		if (*p != '%') {
			*out++ = *p;
			continue;
		}
		high = digit(p[1]);
		low = high >= 0 ? digit(p[2]) : -1;
		if (low < 0 || (high == 0 && low == 0))
			return false;
		*out++ = (char)(high << 4 | low);
		p += 2;
	}
	*out = '\0';
	if (strcmp(field, "-") == 0)
		*field = '\0';
	return true;
}

static bool parse(char *line, struct mw_qaudit *a_r)
{
	char *fields[FIELDS], *save = NULL, *rest;
	struct tm tm = { 0 };
	size_t n = 0;

	for (char *f = strtok_r(line, " \n", &save); f != NULL && n < FIELDS;
		f = strtok_r(NULL, " \n", &save))
		fields[n++] = f;
	rest = n == FIELDS ? strptime(fields[0], "%Y-%m-%dT%H:%M:%SZ", &tm) : NULL;
	if (rest == NULL || *rest != '\0')
		return false;
	for (size_t i = 1; i < FIELDS; i++)
		if (!decode(fields[i]))
			return false;
	*a_r = (struct mw_qaudit){ fields[1], fields[2], fields[3], fields[4], fields[5],
		(uint64_t)timegm(&tm) * 1000 };
	return true;
}

/* Up to where it was read: a file by its inode and its first octets. */
struct place {
	uint64_t file, at; /* file 0: none */
};

/* A file that may be read; NULL with MW_OK: there is none. */
static enum mw_rc open_one(const char *dir, const char *name, FILE **f_r, struct mw_err *err_r)
{
	char path[MW_QINDEX_PATH_MAX + 32];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	*f_r = fopen(path, "re");
	if (*f_r != NULL || errno == ENOENT)
		return MW_OK;
	return mw_fail(err_r, MW_ERR_IO, "%.300s: %s", path, strerror(errno));
}

/* One that was put in the place of another is another, even when it has got its inode. */
static uint64_t identity(int fd, const struct stat *st)
{
	unsigned char head[HEAD_OCTETS];
	ssize_t n = pread(fd, head, sizeof(head), 0);
	uint64_t h = 14695981039346656037u ^ (uint64_t)st->st_ino; /* FNV-1a */

	for (ssize_t i = 0; i < n && (i == 0 || head[i - 1] != '\n'); i++)
		h = (h ^ head[i]) * 1099511628211u;
	return h >> 1 | 1; /* of the numbers that the index has room for */
}

/* Its end, as far as its size tells. */
static struct place place_of(FILE *f)
{
	struct stat st;

	if (f == NULL || fstat(fileno(f), &st) != 0)
		return (struct place){ 0 };
	return (struct place){ identity(fileno(f), &st), (uint64_t)st.st_size };
}

/* Lines that have an end, from *at on; *at becomes the end of the last of them. */
static enum mw_rc read_one(FILE *f, uint64_t *at,
	bool (*take)(void *arg, const struct mw_qaudit *a), void *arg, struct mw_err *err_r)
{
	char line[LINE_MAX_OCTETS + 1];
	struct mw_qaudit a;
	bool more = fseeko(f, (off_t)*at, SEEK_SET) == 0;

	while (more && fgets(line, sizeof(line), f) != NULL) {
		if (strchr(line, '\n') == NULL)
			continue; /* torn, or longer than ours are */
		if (parse(line, &a))
			more = take(arg, &a);
		*at = (uint64_t)ftello(f);
	}
	return ferror(f) ? mw_fail(err_r, MW_ERR_IO, "%s: %s", MW_QAUDIT_FILE, strerror(errno))
			 : MW_OK;
}

/* Both files, the older one first. Where nobody else writes meanwhile they are of one moment. */
struct audit {
	FILE *old, *now;
};

static void audit_close(struct audit *a)
{
	if (a->old != NULL)
		fclose(a->old);
	if (a->now != NULL)
		fclose(a->now);
	*a = (struct audit){ 0 };
}

static enum mw_rc audit_open(struct audit *a_r, const char *dir, struct mw_err *err_r)
{
	enum mw_rc rc;

	*a_r = (struct audit){ 0 };
	rc = open_one(dir, MW_QAUDIT_FILE ".1", &a_r->old, err_r);
	if (rc == MW_OK)
		rc = open_one(dir, MW_QAUDIT_FILE, &a_r->now, err_r);
	if (rc != MW_OK)
		audit_close(a_r);
	return rc;
}

/* From *p on, which becomes the place where it ends: all, when *p is in neither file. */
static enum mw_rc read_from(struct audit *files, struct place *p,
	bool (*take)(void *arg, const struct mw_qaudit *a), void *arg, struct mw_err *err_r)
{
	struct place old = place_of(files->old), now = place_of(files->now), end = { 0 };
	enum mw_rc rc = MW_OK;
	bool in_now = p->file != 0 && p->file == now.file && p->at <= now.at;

	if (files->old != NULL && !in_now) {
		end = (struct place){ old.file,
			p->file == old.file && p->at <= old.at ? p->at : 0 };
		rc = read_one(files->old, &end.at, take, arg, err_r);
	}
	if (files->now != NULL && rc == MW_OK) {
		end = (struct place){ now.file, in_now ? p->at : 0 };
		rc = read_one(files->now, &end.at, take, arg, err_r);
	}
	*p = end;
	return rc;
}

enum mw_rc mw_qaudit_read(const char *dir, bool (*take)(void *arg, const struct mw_qaudit *a),
	void *arg, struct mw_err *err_r)
{
	struct place all = { 0 };
	struct audit files;
	enum mw_rc rc = audit_open(&files, dir, err_r);

	if (rc == MW_OK)
		rc = read_from(&files, &all, take, arg, err_r);
	audit_close(&files);
	return rc;
}

struct replay {
	struct mw_qindex *q;
	struct mw_err *err;
	enum mw_rc rc;
};

static bool on_line(void *arg, const struct mw_qaudit *a)
{
	struct replay *r = arg;

	if (strcmp(a->action, "release") == 0)
		r->rc = mw_qindex_released(r->q, a->mail_id, a->detail, a->who, a->time_ms, r->err);
	return r->rc == MW_OK;
}

static struct place place_known(struct mw_qindex *q)
{
	return (struct place){ mw_qindex_meta(q, "audit_file"), mw_qindex_meta(q, "audit_at") };
}

static enum mw_rc keep_place(struct mw_qindex *q, const struct place *p, struct mw_err *err_r)
{
	enum mw_rc rc = mw_qindex_set_meta(q, "audit_file", p->file, err_r);

	return rc == MW_OK ? mw_qindex_set_meta(q, "audit_at", p->at, err_r) : rc;
}

/* What was written since, and up to where that is: both or neither. */
static enum mw_rc replay(struct audit *files, struct mw_qindex *q, struct mw_err *err_r)
{
	struct replay r = { q, err_r, MW_OK };
	enum mw_rc rc = mw_qindex_begin(q, err_r);
	struct place p;

	if (rc != MW_OK)
		return rc;
	p = place_known(q);
	rc = read_from(files, &p, on_line, &r, err_r);
	if (rc == MW_OK)
		rc = r.rc;
	if (rc == MW_OK)
		rc = keep_place(q, &p, err_r);
	if (rc == MW_OK)
		rc = mw_qindex_commit(q, err_r);
	else
		mw_qindex_rollback(q);
	return rc;
}

/* True: nothing was written since. */
static bool is_known(const struct audit *files, struct mw_qindex *q)
{
	struct place end = place_of(files->now != NULL ? files->now : files->old);
	struct place known = place_known(q);

	return end.file == 0 || (known.file == end.file && known.at == end.at);
}

enum mw_rc mw_qaudit_catch_up(const char *dir, struct mw_qindex *q, struct mw_err *err_r)
{
	struct audit files;
	enum mw_rc rc = audit_open(&files, dir, err_r);
	int lock;

	if (rc != MW_OK || is_known(&files, q)) {
		audit_close(&files);
		return rc;
	}
	audit_close(&files);
	/* Nobody writes half a line meanwhile, or makes audit.log audit.log.1. */
	lock = mw_quarantine_lock(dir, AUDIT_LOCK, true);
	if (lock < 0)
		return mw_fail(err_r, MW_ERR_IO, "%.300s/" AUDIT_LOCK ": %s", dir, strerror(errno));
	rc = audit_open(&files, dir, err_r);
	if (rc == MW_OK)
		rc = replay(&files, q, err_r);
	audit_close(&files);
	close(lock);
	return rc;
}

const char *mw_qaudit_user(unsigned uid, char buf[MW_QINDEX_WHO_MAX])
{
	char space[1024];
	struct passwd pw, *found = NULL;

	if (getpwuid_r((uid_t)uid, &pw, space, sizeof(space), &found) == 0 && found != NULL)
		snprintf(buf, MW_QINDEX_WHO_MAX, "%.60s (uid %u)", found->pw_name, uid);
	else
		snprintf(buf, MW_QINDEX_WHO_MAX, "uid %u", uid);
	return buf;
}
