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
		fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0640);
	}
	if (fd >= 0)
		give_to_owner(dir, fd);
	ok = fd >= 0 && !line.failed && write(fd, line.p, line.n) == (ssize_t)line.n &&
	     fdatasync(fd) == 0;
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

static bool read_one(const char *dir, const char *name,
	bool (*take)(void *arg, const struct mw_qaudit *a), void *arg)
{
	char path[MW_QINDEX_PATH_MAX + 32], line[LINE_MAX_OCTETS + 1];
	struct mw_qaudit a;
	bool more = true;
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "re");
	while (f != NULL && more && fgets(line, sizeof(line), f) != NULL)
		if (parse(line, &a))
			more = take(arg, &a);
	if (f != NULL)
		fclose(f);
	return more;
}

enum mw_rc mw_qaudit_read(const char *dir, bool (*take)(void *arg, const struct mw_qaudit *a),
	void *arg, struct mw_err *err_r)
{
	(void)err_r;
	if (read_one(dir, MW_QAUDIT_FILE ".1", take, arg))
		read_one(dir, MW_QAUDIT_FILE, take, arg);
	return MW_OK;
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

enum mw_rc mw_qaudit_catch_up(const char *dir, struct mw_qindex *q, struct mw_err *err_r)
{
	struct replay r = { q, err_r, MW_OK };

	if (mw_qindex_meta(q, "replayed") != 0)
		return MW_OK;
	r.rc = mw_qindex_begin(q, err_r);
	if (r.rc != MW_OK)
		return r.rc;
	mw_qaudit_read(dir, on_line, &r, err_r);
	if (r.rc == MW_OK)
		r.rc = mw_qindex_set_meta(q, "replayed", 1, err_r);
	if (r.rc == MW_OK)
		r.rc = mw_qindex_commit(q, err_r);
	else
		mw_qindex_rollback(q);
	return r.rc;
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
