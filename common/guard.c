/* See guard.h. The way to a file is walked as the kernel walks it: every folder and every symbolic
 * link is a place where another could be put. */
#include "guard.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define PATH_OCTETS_MAX 4096
#define PASSWD_OCTETS_MAX 4096 /* the texts of one entry of the user data base */
#define LINKS_MAX 40	       /* as the kernel's MAXSYMLINKS */

/* ------------------------------------------------------------------ users */

enum mw_rc mw_guard_user_named(struct mw_guard_user *u_r, const char *name, struct mw_err *err_r)
{
	char buf[PASSWD_OCTETS_MAX];
	struct passwd user, *found = NULL;
	int n = MW_GUARD_GROUPS_MAX;

	*u_r = (struct mw_guard_user){ 0 };
	if (getpwnam_r(name, &user, buf, sizeof(buf), &found) != 0 || found == NULL)
		return mw_fail(err_r, MW_ERR_CONF, "user \"%.64s\": there is no such user", name);
	mw_strlcpy(u_r->name, name, sizeof(u_r->name));
	u_r->uid = user.pw_uid;
	if (getgrouplist(name, user.pw_gid, u_r->groups, &n) < 0)
		return mw_fail(err_r, MW_ERR_LIMIT, "user \"%.64s\": more than %d groups", name,
			MW_GUARD_GROUPS_MAX);
	u_r->group_count = (size_t)n;
	return MW_OK;
}

enum mw_rc mw_guard_user_self(struct mw_guard_user *u_r, struct mw_err *err_r)
{
	char buf[PASSWD_OCTETS_MAX];
	struct passwd user, *found = NULL;
	int n = getgroups(MW_GUARD_GROUPS_MAX - 1, u_r->groups);

	if (n < 0)
		return mw_fail(err_r, MW_ERR_LIMIT, "groups of this process: %s", strerror(errno));
	u_r->groups[n] = getegid();
	u_r->group_count = (size_t)n + 1;
	u_r->uid = geteuid();
	/* Containers run as ids that have no name. */
	if (getpwuid_r(u_r->uid, &user, buf, sizeof(buf), &found) == 0 && found != NULL)
		mw_strlcpy(u_r->name, user.pw_name, sizeof(u_r->name));
	else
		snprintf(u_r->name, sizeof(u_r->name), "%u", (unsigned)u_r->uid);
	return MW_OK;
}

static bool has_group(const struct mw_guard_user *u, gid_t gid)
{
	for (size_t i = 0; i < u->group_count; i++)
		if (u->groups[i] == gid)
			return true;
	return false;
}

/* ------------------------------------------------------------------ one file or folder */

static bool is_read_only(const char *path)
{
	struct statvfs fs;

	return statvfs(path, &fs) == 0 && (fs.f_flag & ST_RDONLY) != 0;
}

static const char everybody[] = "is writable by everybody";

/* How the user could write it, as a verb without its object; NULL: he could not. */
static const char *how_writable(
	const char *path, const struct stat *st, const struct mw_guard_user *u)
{
	const char *how = NULL;

	if ((st->st_mode & S_IWOTH) != 0)
		how = everybody;
	else if (u->uid != 0 && st->st_uid == u->uid)
		how = "belongs to";
	else if (u->uid != 0 && (st->st_mode & S_IWGRP) != 0 && has_group(u, st->st_gid))
		how = "is writable by a group of";
	else if (u->uid != 0 && u->uid == geteuid() &&
		 faccessat(AT_FDCWD, path, W_OK, AT_EACCESS) == 0)
		how = "is writable by";
	return how != NULL && is_read_only(path) ? NULL : how;
}

static enum mw_rc refuse(const char *path, const char *how, const struct mw_guard_user *u,
	const char *then, struct mw_err *err_r)
{
	if (how == everybody)
		return mw_fail(err_r, MW_ERR_CONF, "%.250s %s: %s", path, how, then);
	return mw_fail(err_r, MW_ERR_CONF, "%.250s %s the user %s that the service runs as: %s",
		path, how, u->name, then);
}

/* A folder on the way, and what we go on to in it. */
static enum mw_rc check_step(const char *folder, const struct stat *next,
	const struct mw_guard_user *u, struct mw_err *err_r)
{
	const char *how;
	struct stat st;

	if (stat(folder, &st) < 0)
		return mw_fail(err_r, MW_ERR_CONF, "%.250s: %s", folder, strerror(errno));
	how = how_writable(folder, &st, u);
	/* As in /tmp: there only the owners of file and folder may rename and remove. */
	if (how != NULL && (st.st_mode & S_ISVTX) != 0 &&
		(u->uid == 0 || (next->st_uid != u->uid && st.st_uid != u->uid)))
		how = NULL;
	if (how == NULL)
		return MW_OK;
	return refuse(folder, how, u,
		"it could replace the settings below; chown it to root, chmod go-w", err_r);
}

static enum mw_rc check_end(const char *path, const struct stat *st, const struct mw_guard_user *u,
	struct mw_err *err_r)
{
	const char *how = how_writable(path, st, u);

	if (how == NULL)
		return MW_OK;
	return refuse(path, how, u,
		S_ISDIR(st->st_mode)
			? "it could add settings of its own; chown it to root, chmod go-w"
			: "it could change its own settings; chown it to root, chmod go-w",
		err_r);
}

/* ------------------------------------------------------------------ the way to it */

struct walk {
	char at[PATH_OCTETS_MAX];   /* where we are: absolute, without symbolic links */
	char rest[PATH_OCTETS_MAX]; /* what is still to go */
	unsigned links;
	const struct mw_guard_user *user;
	struct mw_err *err;
};

/* Take the next name off the rest. False: there is none. */
static bool next_name(struct walk *w, char name[256])
{
	char *p = w->rest + strspn(w->rest, "/");
	size_t n = strcspn(p, "/");

	if (n == 0 || n > 255)
		return false;
	mw_strncpy(name, 256, p, n);
	memmove(w->rest, p + n, strlen(p + n) + 1);
	return true;
}

static enum mw_rc too_long(struct walk *w)
{
	return mw_fail(w->err, MW_ERR_CONF, "%.250s...: path of more than %d octets", w->at,
		PATH_OCTETS_MAX - 1);
}

/* Go where the symbolic link at `link` leads: its text comes before the rest. */
static enum mw_rc follow(struct walk *w, const char *link)
{
	char text[PATH_OCTETS_MAX];
	ssize_t n = readlink(link, text, sizeof(text) - 1);

	if (n < 0)
		return mw_fail(w->err, MW_ERR_CONF, "%.250s: %s", link, strerror(errno));
	if (++w->links > LINKS_MAX)
		return mw_fail(w->err, MW_ERR_CONF, "%.250s: %s", link, strerror(ELOOP));
	text[n] = '\0';
	if ((size_t)n + 1 + strlen(w->rest) >= sizeof(w->rest))
		return too_long(w);
	memmove(w->rest + n + 1, w->rest, strlen(w->rest) + 1);
	memcpy(w->rest, text, (size_t)n);
	w->rest[n] = '/';
	if (text[0] == '/')
		w->at[0] = '\0';
	return MW_OK;
}

/* One name further. */
static enum mw_rc step(struct walk *w, const char *name)
{
	char next[PATH_OCTETS_MAX + 256 + 2];
	const char *folder = w->at[0] != '\0' ? w->at : "/";
	struct stat st;
	enum mw_rc rc;

	if (strcmp(name, ".") == 0)
		return MW_OK;
	if (strcmp(name, "..") == 0) {
		char *slash = strrchr(w->at, '/');

		if (slash != NULL)
			*slash = '\0';
		return MW_OK;
	}
	snprintf(next, sizeof(next), "%s/%s", w->at, name);
	if (lstat(next, &st) < 0)
		return mw_fail(w->err, MW_ERR_CONF, "%.250s: %s", next, strerror(errno));
	rc = check_step(folder, &st, w->user, w->err);
	if (rc != MW_OK)
		return rc;
	if (S_ISLNK(st.st_mode))
		return follow(w, next);
	return mw_strlcpy(w->at, next, sizeof(w->at)) < sizeof(w->at) ? MW_OK : too_long(w);
}

enum mw_rc mw_guard_path(const char *path, const struct mw_guard_user *u, struct mw_err *err_r)
{
	struct walk w = { .user = u, .err = err_r };
	enum mw_rc rc = MW_OK;
	char name[256], here[PATH_OCTETS_MAX] = "";
	struct stat st;

	if (path[0] != '/' && getcwd(here, sizeof(here)) == NULL)
		return mw_fail(err_r, MW_ERR_CONF, "working folder: %s", strerror(errno));
	if ((size_t)snprintf(w.rest, sizeof(w.rest), "%s/%s", here, path) >= sizeof(w.rest))
		return too_long(&w);
	while (rc == MW_OK && next_name(&w, name))
		rc = step(&w, name);
	if (rc != MW_OK)
		return rc;
	if (stat(w.at[0] != '\0' ? w.at : "/", &st) < 0)
		return mw_fail(err_r, MW_ERR_CONF, "%.250s: %s", w.at, strerror(errno));
	return check_end(w.at[0] != '\0' ? w.at : "/", &st, u, err_r);
}

/* ------------------------------------------------------------------ the settings */

/* Files share their folders: each complaint is made once. */
static void look_at(const char *path, const struct mw_guard_user *u, struct mw_text *complaints)
{
	struct mw_err err = { "" };

	if (mw_guard_path(path, u, &err) != MW_OK &&
		(complaints->p == NULL || strstr(complaints->p, err.text) == NULL))
		mw_text_addf(complaints, "%s\n", err.text);
}

enum mw_rc mw_guard_conf(
	const struct mw_conf *conf, const struct mw_guard_user *u, struct mw_text *complaints)
{
	const char *const *files;
	size_t count = mw_conf_files(conf, &files);
	const char *folder = mw_conf_folder(conf);

	for (size_t i = 0; i < count; i++)
		look_at(files[i], u, complaints);
	if (folder != NULL)
		look_at(folder, u, complaints);
	return complaints->n == 0 && !complaints->failed ? MW_OK : MW_ERR_CONF;
}
