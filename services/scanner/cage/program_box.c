#include "program_box.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "sandbox.h"

#define FILES_MAX 1024 /* descriptors */

/* Programs and libraries. None has secrets of ours: /etc, /var and /run are not among them. */
static const char *const system_folders[] = { "/usr", "/lib", "/lib64", "/bin", "/sbin", "/opt" };

static const char *const system_files[] = { "/dev/zero", "/dev/urandom", "/etc/ld.so.cache",
	"/etc/localtime", "/etc/ssl/openssl.cnf" };

#define FOLDERS_MAX (MW_COUNT(system_folders) + MW_COUNT(system_files) + PROGRAM_ARGUMENTS_MAX + 3)

struct folders {
	struct mw_sandbox_folder all[FOLDERS_MAX];
	size_t count;
};

/* One that is not there grants nothing. */
static void add(struct folders *f, const char *path, bool writable, bool runnable)
{
	int fd = open(path, O_PATH | O_CLOEXEC);

	if (fd >= 0)
		f->all[f->count++] = (struct mw_sandbox_folder){ fd, writable, runnable };
}

static enum mw_rc set_limits(const struct program_order *o, struct mw_err *err)
{
	const struct {
		int what;
		rlim_t most;
	} limits[] = {
		{ RLIMIT_CORE, 0 },
		{ RLIMIT_NOFILE, FILES_MAX },
		{ RLIMIT_FSIZE, o->file_size },
		{ RLIMIT_CPU, o->timeout_ms / 1000 + 1 },
		{ RLIMIT_AS, o->memory != 0 ? o->memory : RLIM_INFINITY },
	};

	for (size_t i = 0; i < MW_COUNT(limits); i++) {
		struct rlimit l = { limits[i].most, limits[i].most };

		if (setrlimit((__rlimit_resource_t)limits[i].what, &l) != 0)
			return mw_fail(err, MW_ERR_IO, "cannot set limits: %s", strerror(errno));
	}
	return MW_OK;
}

enum mw_rc program_box_enter(const struct program_order *o, const char *folder, struct mw_err *err)
{
	enum mw_sandbox_mode mode = o->strict ? MW_SANDBOX_STRICT : MW_SANDBOX_BEST_EFFORT;
	struct folders f = { .count = 0 };
	char *beside = strdup(o->program), *slash = beside != NULL ? strrchr(beside, '/') : NULL;
	enum mw_rc rc;

	if (slash == NULL)
		return mw_fail(err, MW_ERR_NOMEM, "no memory");
	slash[slash == beside] = '\0';
	add(&f, folder, true, false);
	add(&f, beside, false, true);
	add(&f, "/dev/null", true, false);
	for (size_t i = 0; i < MW_COUNT(system_files); i++)
		add(&f, system_files[i], false, false);
	for (size_t i = 0; i < MW_COUNT(system_folders); i++)
		add(&f, system_folders[i], false, true);
	for (unsigned i = 0; i < o->reads.count; i++)
		add(&f, o->reads.items[i], false, false);
	rc = set_limits(o, err);
	if (rc == MW_OK)
		rc = mw_sandbox_files(mode, f.all, f.count, err);
	return rc == MW_OK ? mw_sandbox_program(mode, err) : rc;
}
