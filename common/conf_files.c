/* Which files the settings are, and what stands in them. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include "conf_priv.h"

#define FOLDER "conf.d"
#define SUFFIX ".lua"

/* ------------------------------------------------------------------ what was named */

bool mw_conf_given_add(struct mw_conf_given *given, const char *name)
{
	if (given->count == MW_CONF_GIVEN_MAX)
		return false;
	given->names[given->count++] = name;
	return true;
}

/* "/etc/mailweir/conf.d" of "/etc/mailweir/mailweir.lua"; NULL: no memory. */
static char *folder_beside(const char *file)
{
	const char *slash = strrchr(file, '/');
	char *path;

	if (asprintf(&path, "%.*s%s", slash != NULL ? (int)(slash - file) + 1 : 0, file, FOLDER) <
		0)
		return NULL;
	return path;
}

static bool default_is_there(void)
{
	char *folder = folder_beside(MW_CONF_DEFAULT);
	bool there =
		access(MW_CONF_DEFAULT, F_OK) == 0 || (folder != NULL && access(folder, F_OK) == 0);

	free(folder);
	return there;
}

bool mw_conf_given_default(struct mw_conf_given *given)
{
	const char *env = getenv("MAILWEIR_CONFIG");
	char *save = NULL;

	if (given->count > 0)
		return true;
	if (env == NULL || *env == '\0')
		return !default_is_there() || mw_conf_given_add(given, MW_CONF_DEFAULT);
	if (mw_strlcpy(given->text, env, sizeof(given->text)) >= sizeof(given->text))
		return false;
	for (char *name = strtok_r(given->text, ":", &save); name != NULL;
		name = strtok_r(NULL, ":", &save))
		if (!mw_conf_given_add(given, name))
			return false;
	return true;
}

/* ------------------------------------------------------------------ the list */

/* Take path, which may be NULL (no memory). False: an error was added, and no more should come. */
static bool add_file(struct mw_conf_sources *s, char *path, struct mw_conf_errors *e)
{
	if (path != NULL && s->count < MW_CONF_FILES_MAX) {
		s->names[s->count++] = path;
		return true;
	}
	if (path == NULL)
		mw_conf_error(e, 0, "out of memory");
	else
		mw_conf_error(e, 0, "%s: more than %d files of settings", path, MW_CONF_FILES_MAX);
	free(path);
	return false;
}

/* Editors and package managers leave x.lua~, .x.lua.swp, x.lua.dpkg-old. */
static int is_settings(const struct dirent *d)
{
	size_t n = strlen(d->d_name), suffix = strlen(SUFFIX);

	return d->d_name[0] != '.' && n > suffix && strcmp(d->d_name + n - suffix, SUFFIX) == 0;
}

/* In the order of their octets, whatever the locale says: it must be the same for every service. */
static int by_octets(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

/* Nobody named the folder: it must be of somebody who could as well have written the file beside
 * it. In a folder as /tmp anybody could have put it there. */
static bool is_trusted(const char *folder, const char *file, struct mw_conf_errors *e)
{
	struct stat ours, beside;

	if (stat(folder, &ours) < 0) {
		mw_conf_error(e, 0, "%s: cannot be read: %s", folder, strerror(errno));
		return false;
	}
	if (!S_ISDIR(ours.st_mode)) {
		mw_conf_error(e, 0, "%s: expected a folder of settings files", folder);
		return false;
	}
	if (ours.st_uid == 0 || ours.st_uid == geteuid() ||
		(stat(file, &beside) == 0 && beside.st_uid == ours.st_uid))
		return true;
	mw_conf_error(e, 0,
		"%s: belongs to user id %u, who owns neither %s nor this process; chown it, or "
		"move the settings to a folder of their own",
		folder, (unsigned)ours.st_uid, file);
	return false;
}

static bool add_folder(struct mw_conf_sources *s, const char *file, struct mw_conf_errors *e)
{
	char *folder = folder_beside(file), *path;
	struct dirent **found = NULL;
	struct stat st;
	bool ok = true;
	int n;

	if (folder == NULL || (lstat(folder, &st) < 0 && (errno == ENOENT || errno == ENOTDIR))) {
		if (folder == NULL)
			mw_conf_error(e, 0, "out of memory");
		free(folder);
		return true;
	}
	s->folder = folder;
	if (!is_trusted(folder, file, e))
		return true;
	n = scandir(folder, &found, is_settings, by_octets);
	if (n < 0)
		mw_conf_error(e, 0, "%s: cannot be read: %s", folder, strerror(errno));
	for (int i = 0; i < n; i++) {
		if (asprintf(&path, "%s/%s", folder, found[i]->d_name) < 0)
			path = NULL;
		if (ok)
			ok = add_file(s, path, e);
		else
			free(path);
		free(found[i]);
	}
	free(found);
	return ok;
}

/* ------------------------------------------------------------------ their texts */

/* Octets of the open file, at most `most`; false: errno, or 0 when there are more. */
static bool read_all(int fd, size_t most, struct mw_conf_source *f)
{
	ssize_t got = 1;

	f->text = malloc(most + 1);
	if (f->text == NULL) {
		errno = ENOMEM;
		return false;
	}
	while (f->n <= most && (got = read(fd, f->text + f->n, most + 1 - f->n)) > 0)
		f->n += (size_t)got;
	if (got == 0)
		return true;
	errno = got < 0 ? errno : 0;
	return false;
}

/* O_NONBLOCK: a fifo must not hold us up. */
static void read_file(
	struct mw_conf_source *f, const char *path, unsigned at, struct mw_conf_errors *e)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat st;
	bool ok = false;

	if (fd < 0 || fstat(fd, &st) < 0)
		mw_conf_error(e, at, "%s: cannot be read: %s", path, strerror(errno));
	else if (!S_ISREG(st.st_mode) || st.st_size > MW_CONF_FILE_MAX)
		mw_conf_error(
			e, at, "%s: expected a file of at most %d octets", path, MW_CONF_FILE_MAX);
	else if (!(ok = read_all(fd, MW_CONF_FILE_MAX, f)))
		mw_conf_error(e, at, "%s: cannot be read: %s", path,
			errno != 0 ? strerror(errno) : "it grew meanwhile");
	if (fd >= 0)
		close(fd);
	if (ok)
		return;
	free(f->text);
	f->text = NULL;
	f->n = 0;
}

/* malloc'ed for the largest: give back what is not used. */
static void shrink(struct mw_conf_source *f)
{
	char *less = f->text != NULL ? realloc(f->text, f->n + 1) : NULL;

	if (less != NULL)
		f->text = less;
}

static void read_files(struct mw_conf_sources *s, struct mw_conf_errors *e)
{
	size_t total = 0;

	for (size_t i = 0; i < s->count; i++) {
		read_file(&s->file[i], s->names[i], mw_conf_at(i, 0), e);
		shrink(&s->file[i]);
		total += s->file[i].n;
		if (total <= MW_CONF_TOTAL_MAX)
			continue;
		mw_conf_error(e, mw_conf_at(i, 0),
			"%s: with this one the settings are more than %d octets", s->names[i],
			MW_CONF_TOTAL_MAX);
		free(s->file[i].text);
		s->file[i].text = NULL;
		return;
	}
}

void mw_conf_sources_read(
	struct mw_conf_sources *s, const struct mw_conf_given *given, struct mw_conf_errors *e)
{
	for (size_t i = 0; i < given->count; i++)
		if (!add_file(s, strdup(given->names[i]), e) ||
			(i == 0 && !add_folder(s, given->names[0], e)))
			break;
	read_files(s, e);
}

void mw_conf_sources_fini(struct mw_conf_sources *s)
{
	for (size_t i = 0; i < s->count; i++) {
		free(s->names[i]);
		free(s->file[i].text);
	}
	free(s->folder);
	*s = (struct mw_conf_sources){ 0 };
}
