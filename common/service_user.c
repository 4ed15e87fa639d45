/* From root to the service's own user, and what has to be done before. */
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#include "guard.h"
#include "log.h"
#include "service_priv.h"

#define FILES_MAX 1048576 /* descriptors; some containers have a hard limit of a milliard */

/* Folders that must be there before work begins, made when they are not. service NULL: for all. */
static const struct {
	const char *service, *setting;
} folders[] = {
	{ NULL, "pipeline.run_dir" },
	{ "smtp-front", "QUARANTINEDIR" },
	{ "logger", "logger.state_dir" },
};

/* The user to become, NULL: none (not root, or there is no such user and none was asked for). */
static enum mw_rc find_user(
	const struct mw_conf *conf, struct passwd **user_r, struct mw_err *err_r)
{
	const char *name = mw_conf_text(conf, "daemon_user");

	*user_r = NULL;
	if (geteuid() != 0)
		return MW_OK;
	*user_r = getpwnam(name != NULL ? name : MW_DEFAULT_USER);
	if (*user_r == NULL && name != NULL)
		return mw_fail(
			err_r, MW_ERR_CONF, "daemon_user = \"%s\": there is no such user", name);
	if (*user_r == NULL)
		mw_log(MW_WARN, "running_as_root", "hint=\"create the user %s or set daemon_user\"",
			MW_DEFAULT_USER);
	return MW_OK;
}

/* For who runs services as the owner of their settings, as in a checkout of his own. Not a setting:
 * those who could write the settings would write that, too. */
static bool is_allowed(void)
{
	const char *text = getenv("MAILWEIR_ALLOW_WRITABLE_SETTINGS");

	return text != NULL && (mw_ieq(text, "1") || mw_ieq(text, "yes") || mw_ieq(text, "true") ||
				       mw_ieq(text, "on"));
}

static enum mw_rc guard(const struct mw_conf *conf, const struct passwd *user,
	struct mw_text *complaints, struct mw_err *err_r)
{
	struct mw_guard_user who;
	enum mw_rc rc;

	if (mw_conf_path(conf) == NULL)
		return MW_OK;
	rc = user != NULL ? mw_guard_user_named(&who, user->pw_name, err_r)
			  : mw_guard_user_self(&who, err_r);
	if (rc != MW_OK || mw_guard_conf(conf, &who, complaints) == MW_OK)
		return rc;
	if (!is_allowed())
		return mw_fail(err_r, MW_ERR_CONF,
			"settings that the service could change are refused, see "
			"docs/operations.md");
	mw_log(MW_WARN, "settings_writable", "error=%s",
		mw_quote(complaints->p != NULL ? complaints->p : "out of memory"));
	mw_text_clear(complaints);
	return MW_OK;
}

enum mw_rc mw_service_guard(
	const struct mw_conf *conf, struct mw_text *complaints, struct mw_err *err_r)
{
	struct passwd *user;
	enum mw_rc rc = find_user(conf, &user, err_r);

	return rc == MW_OK ? guard(conf, user, complaints, err_r) : rc;
}

/* Make one folder, for the user that we become. True: go on to the next part of the path. */
static bool make_part(const char *path, const char *parent, mode_t mode, const struct passwd *user)
{
	struct stat st;

	/* In a folder that the user can change, root makes nothing: the second pass does, as the
	 * user. */
	if (user != NULL && user->pw_uid != 0 && (stat(parent, &st) < 0 || st.st_uid != 0))
		return false;
	if (mkdir(path, mode) < 0)
		return errno == EEXIST;
	return user == NULL || lchown(path, user->pw_uid, user->pw_gid) == 0;
}

/* mkdir -p. user: who gets what is made; NULL: we are that user already, and it must succeed. */
static enum mw_rc make_folder(const char *path, const struct passwd *user, struct mw_err *err_r)
{
	char part[4096], parent[4096] = "/";
	struct stat st;
	bool made = true;

	if (mw_strlcpy(part, path, sizeof(part)) >= sizeof(part))
		return mw_fail(err_r, MW_ERR_CONF, "%.60s...: path of more than %zu octets", path,
			sizeof(part));
	for (char *p = strchr(part + 1, '/'); made && p != NULL; p = strchr(p + 1, '/')) {
		*p = '\0';
		made = make_part(part, parent, 0755, user);
		mw_strlcpy(parent, part, sizeof(parent));
		*p = '/';
	}
	made = made && make_part(path, parent, 0750, user);
	if (user != NULL)
		return MW_OK; /* what root could not make, the user tries */
	if (made && (stat(path, &st) < 0 || !S_ISDIR(st.st_mode))) {
		errno = ENOTDIR;
		made = false;
	}
	return made ? MW_OK : mw_fail(err_r, MW_ERR_IO, "folder %s: %s", path, strerror(errno));
}

static enum mw_rc make_folders(const char *service, const struct mw_conf *conf,
	const struct passwd *user, struct mw_err *err_r)
{
	for (size_t i = 0; i < MW_COUNT(folders); i++) {
		const struct mw_setting *s = mw_setting_find(folders[i].setting);
		const char *path;
		enum mw_rc rc;

		if (s == NULL ||
			(folders[i].service != NULL && strcmp(folders[i].service, service) != 0))
			continue;
		path = mw_conf_text(conf, s->name);
		rc = path != NULL && *path != '\0' ? make_folder(path, user, err_r) : MW_OK;
		if (rc != MW_OK)
			return rc;
	}
	return MW_OK;
}

static enum mw_rc become(const struct passwd *user, struct mw_err *err_r)
{
	if (initgroups(user->pw_name, user->pw_gid) < 0 || setgid(user->pw_gid) < 0 ||
		setuid(user->pw_uid) < 0)
		return mw_fail(
			err_r, MW_ERR_IO, "becoming user %s: %s", user->pw_name, strerror(errno));
	if (user->pw_uid != 0 && setuid(0) == 0)
		return mw_fail(err_r, MW_ERR_IO, "user %s could become root again", user->pw_name);
	return MW_OK;
}

static void raise_files(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return;
	limit.rlim_cur = limit.rlim_max < FILES_MAX ? limit.rlim_max : FILES_MAX;
	if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
		mw_log(MW_WARN, "file_limit_kept", "reason=\"%s\"", strerror(errno));
}

enum mw_rc mw_service_settle(const char *name, const struct mw_conf *conf,
	struct mw_text *complaints, struct mw_err *err_r)
{
	struct passwd *user;
	enum mw_rc rc = find_user(conf, &user, err_r);

	umask(S_IWGRP | S_IRWXO);
	if (rc == MW_OK)
		rc = guard(conf, user, complaints, err_r);
	if (rc == MW_OK && user != NULL)
		rc = make_folders(name, conf, user, err_r);
	if (rc != MW_OK)
		return rc;
	raise_files();
	if (user != NULL)
		rc = become(user, err_r);
	/* Once more as him: now rights that are in no mode, as ACLs, are seen, too. */
	if (rc == MW_OK && user != NULL)
		rc = guard(conf, NULL, complaints, err_r);
	if (rc == MW_OK)
		rc = make_folders(name, conf, NULL, err_r);
	if (rc == MW_OK && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		rc = mw_fail(err_r, MW_ERR_IO, "no_new_privs: %s", strerror(errno));
	return rc;
}
