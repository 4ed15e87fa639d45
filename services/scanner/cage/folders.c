#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

#include "box.h"
#include "folders.h"
#include "log.h"

#define PREFIX "holder-"

/* The folder's own descriptor carries the lock; it is kept open until the process ends. */
static bool lock_folder(const char *path)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);

	if (fd < 0)
		return false;
	if (flock(fd, LOCK_EX | LOCK_NB) == 0)
		return true;
	close(fd);
	return false;
}

static bool is_ours(const char *path)
{
	struct stat st;

	return lstat(path, &st) == 0 && S_ISDIR(st.st_mode) && st.st_uid == geteuid();
}

static void sweep(const char *temp_dir)
{
	DIR *d = opendir(temp_dir);
	struct dirent *e;

	while (d != NULL && (e = readdir(d)) != NULL) {
		char path[SCAN_PATH_MAX];
		int n = snprintf(path, sizeof(path), "%s/%s", temp_dir, e->d_name);
		int fd;

		if (strncmp(e->d_name, PREFIX, sizeof(PREFIX) - 1) != 0 || n >= (int)sizeof(path) ||
			!is_ours(path))
			continue;
		fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
		if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0)
			box_empty(path, true);
		if (fd >= 0)
			close(fd);
	}
	if (d != NULL)
		closedir(d);
}

static void warn_unless_tmpfs(const char *path)
{
	struct statfs fs;

	if (statfs(path, &fs) == 0 && fs.f_type != TMPFS_MAGIC && fs.f_type != RAMFS_MAGIC)
		mw_log(MW_WARN, "temp_dir_not_tmpfs",
			"path=%s text=\"unpacking on a disk is slow and leaves traces: point "
			"scanner.temp_dir into a tmpfs\"",
			mw_quote(path));
}

static enum mw_rc make_root(char *root_r, const char *temp_dir, struct mw_err *err)
{
	sweep(temp_dir);
	if (mkdtemp(root_r) == NULL) {
		root_r[0] = '\0';
		return mw_fail(err, MW_ERR_IO, "cannot make a folder in %s: %s (scanner.temp_dir)",
			temp_dir, strerror(errno));
	}
	if (!lock_folder(root_r))
		return mw_fail(err, MW_ERR_IO, "cannot lock %s: %s", root_r, strerror(errno));
	warn_unless_tmpfs(root_r);
	return MW_OK;
}

enum mw_rc folders_open(char *root_r, size_t size, const char *temp_dir, struct mw_err *err)
{
	int n = snprintf(root_r, size, "%s/" PREFIX "XXXXXX", temp_dir), guard;
	enum mw_rc rc;

	if (n < 0 || (size_t)n >= size - 24) {
		root_r[0] = '\0';
		return mw_fail(err, MW_ERR_CONF, "scanner.temp_dir: the path is too long");
	}
	if (mkdir(temp_dir, 0700) != 0 && errno != EEXIST) {
		root_r[0] = '\0';
		return mw_fail(err, MW_ERR_IO, "cannot make %s: %s (scanner.temp_dir)", temp_dir,
			strerror(errno));
	}
	/* Between making a folder and locking it another holder must not sweep. */
	guard = open(temp_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (guard < 0 || flock(guard, LOCK_EX) != 0)
		rc = mw_fail(err, MW_ERR_IO, "cannot lock %s: %s (scanner.temp_dir)", temp_dir,
			strerror(errno));
	else
		rc = make_root(root_r, temp_dir, err);
	if (guard >= 0)
		close(guard);
	return rc;
}

void folders_close(const char *root)
{
	box_empty(root, true);
}
