#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "later.h"
#include "scarcity.h"

#define PATH_MOST 256 /* a longer one is made at once */

static struct {
	bool expected; /* between the scan's begin and its first folder */
	bool leaving;  /* chmod has come: the folder is about to be removed */
	mode_t mode;
	char path[PATH_MOST]; /* "": nothing is put off */
} later;

void later_begin(void)
{
	later.path[0] = '\0';
	later.leaving = false;
	later.expected = true;
}

void later_end(void)
{
	later.path[0] = '\0';
	later.expected = false;
}

bool later_put_off(const char *path, mode_t mode)
{
	bool expected = later.expected;

	later.expected = false;
	if (!expected)
		return false;
	later.mode = mode;
	if (mw_strlcpy(later.path, path, sizeof(later.path)) < sizeof(later.path))
		return true;
	later.path[0] = '\0';
	return false;
}

void later_make(void)
{
	char path[PATH_MOST];
	int error = errno;

	if (later.path[0] == '\0')
		return;
	mw_strlcpy(path, later.path, sizeof(path));
	later.path[0] = '\0';
	scarcity_mkdir(path, later.mode); /* refused: counted, and so is what follows */
	errno = error;
}

static bool is_put_off(const char *path)
{
	return later.path[0] != '\0' && strcmp(path, later.path) == 0;
}

/* libclamav removes a folder by chmod, opendir, stat, rmdir; where opendir finds none it is content
 * (cli_rmdirs, 1.4). */
int chmod(const char *path, mode_t mode)
{
	if (!is_put_off(path))
		return (int)syscall(SYS_fchmodat, AT_FDCWD, path, mode);
	later.leaving = true;
	later.mode = mode;
	return 0;
}

DIR *opendir(const char *path)
{
	static __typeof__(&opendir) next;

	if (is_put_off(path) && later.leaving) {
		later.path[0] = '\0';
		errno = ENOENT;
		return NULL;
	}
	later_make();
	if (next == NULL)
		next = (__typeof__(&opendir))dlsym(RTLD_NEXT, "opendir");
	return next(path);
}

int rmdir(const char *path)
{
	if (!is_put_off(path))
		return (int)syscall(SYS_unlinkat, AT_FDCWD, path, AT_REMOVEDIR);
	later.path[0] = '\0';
	return 0;
}
