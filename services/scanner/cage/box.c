#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "box.h"
#include "log.h"
#include "sandbox.h"

#define WALK_FDS                                                                                   \
	16 /* descriptors nftw may hold: a folder that nests deeper is closed and opened again */
#define ENTRY_OCTETS 1024 /* what a name costs, at least */
#define TRIES 10000	  /* for a name that is not taken */

enum mw_rc box_make_folder(
	char path_r[SCAN_PATH_MAX], const char *root, uint64_t serial, struct mw_err *err)
{
	if (snprintf(path_r, SCAN_PATH_MAX, "%s/%llu", root, (unsigned long long)serial) >=
		SCAN_PATH_MAX)
		return mw_fail(err, MW_ERR_LIMIT, "scanner.temp_dir: the path is too long");
	if (mkdir(path_r, 0700) != 0 && errno != EEXIST)
		return mw_fail(err, MW_ERR_IO, "cannot make %s: %s (scanner.temp_dir)", path_r,
			strerror(errno));
	return MW_OK;
}

/* nftw passes no pointer on; holder and cages have one thread. */
static uint64_t walk_octets;

/* What cannot be looked into may be of any size. */
static int is_hidden(void)
{
	walk_octets = UINT64_MAX;
	return 1; /* enough */
}

static int add_octets(const char *path, const struct stat *st, int type, struct FTW *at)
{
	struct stat again;

	if (at->level == 0 && type == FTW_D)
		return 0;
	/* A name that was there is gone: that is not hidden. */
	if (type == FTW_DNR || (type == FTW_NS && lstat(path, &again) != 0 && errno == EACCES))
		return is_hidden();
	walk_octets += ENTRY_OCTETS;
	if (type == FTW_F)
		walk_octets += (uint64_t)st->st_blocks * 512;
	return 0;
}

uint64_t box_usage(const char *path)
{
	walk_octets = 0;
	if (nftw(path, add_octets, WALK_FDS, FTW_PHYS) < 0 &&
		(errno == ENAMETOOLONG || errno == EACCES || errno == ELOOP))
		is_hidden();
	return walk_octets;
}

/* Octets of the file system that path is on which are in use. */
static uint64_t used_there(const char *path)
{
	struct statfs fs;

	return statfs(path, &fs) == 0 ? (uint64_t)(fs.f_blocks - fs.f_bfree) * (uint64_t)fs.f_bsize
				      : 0;
}

uint64_t box_open_usage(int pid, const char *path, uint64_t least)
{
	char fds[32];
	struct stat folder, st;
	uint64_t octets = 0;
	struct dirent *e;
	DIR *d;

	if (used_there(path) < least || stat(path, &folder) != 0)
		return 0;
	snprintf(fds, sizeof(fds), "/proc/%d/fd", pid);
	d = opendir(fds);
	while (d != NULL && (e = readdir(d)) != NULL)
		if (e->d_name[0] != '.' && fstatat(dirfd(d), e->d_name, &st, 0) == 0 &&
			S_ISREG(st.st_mode) && st.st_nlink == 0 && st.st_dev == folder.st_dev)
			octets += (uint64_t)st.st_blocks * 512;
	if (d != NULL)
		closedir(d);
	return octets;
}

/* ------------------------------------------------------------------ emptying */

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
	(void)st;
	(void)type;
	if (at->level > 0)
		remove(path);
	return 0;
}

/* The next name in a folder but `.` and `..`, or NULL. */
static const char *next_name(DIR *d)
{
	struct dirent *e;

	while ((e = readdir(d)) != NULL)
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
			return e->d_name;
	return NULL;
}

/* What is in the folder `name` goes away, folders of it up into top. False: nothing could be done.
 */
static bool take_up(int top, const char *name, uint64_t *serial)
{
	int fd = -1;
	DIR *d = NULL;
	const char *inner;

	if (fchmodat(top, name, 0700, 0) == 0)
		fd = openat(top, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd >= 0)
		d = fdopendir(fd);
	if (d == NULL) {
		if (fd >= 0)
			close(fd);
		return false;
	}
	while ((inner = next_name(d)) != NULL) {
		char up[32];
		unsigned tries = TRIES;

		if (unlinkat(fd, inner, 0) == 0 || fchmodat(fd, inner, 0700, 0) != 0)
			continue;
		do /* the name may be taken */
			snprintf(up, sizeof(up), "..%llu", (unsigned long long)++*serial);
		while (renameat(fd, inner, top, up) != 0 && --tries > 0);
	}
	closedir(d);
	return unlinkat(top, name, AT_REMOVEDIR) == 0;
}

/*
 * What a walk does not reach: folders that may not be read or written, and paths too long to be
 * said. No folder is entered from another one; those that are in one are moved up first.
 */
static void empty_by_force(const char *path)
{
	int top = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *d = top >= 0 ? fdopendir(top) : NULL;
	uint64_t serial = 0;
	bool moved = true;

	if (d == NULL) {
		if (top >= 0)
			close(top);
		return;
	}
	while (moved) {
		const char *name;

		moved = false;
		rewinddir(d);
		while ((name = next_name(d)) != NULL)
			moved |= unlinkat(top, name, 0) == 0 || take_up(top, name, &serial);
	}
	closedir(d);
}

void box_empty(const char *path, bool itself)
{
	nftw(path, remove_one, WALK_FDS, FTW_PHYS | FTW_DEPTH);
	if (!itself || rmdir(path) == 0 || errno == ENOENT)
		return;
	if (chmod(path, 0700) == 0)
		empty_by_force(path);
	if (rmdir(path) != 0 && errno != ENOENT)
		mw_log(MW_ERROR, "cage_folder_stays", "path=%s error=%s", mw_quote(path),
			mw_quote(strerror(errno)));
}

bool box_clean(struct box *box)
{
	char entries[512]; /* enough to hold `.`, `..` and any third name */
	long n;

	lseek(box->dir, 0, SEEK_SET);
	n = syscall(SYS_getdents64, box->dir, entries, sizeof(entries));
	/* `.` and `..` are 24 octets each; anything more is a file or folder that was left behind
	 */
	if (n <= 48 && n >= 0)
		return true;
	box_empty(box->path, false);
	return false;
}

/* ------------------------------------------------------------------ limits */

static bool limit(int what, uint64_t soft, uint64_t hard)
{
	struct rlimit l = { soft, hard };

	return setrlimit((__rlimit_resource_t)what, &l) == 0;
}

/* Octets of address space this process has now. */
static uint64_t address_space(void)
{
	unsigned long pages = 0;
	FILE *f = fopen("/proc/self/statm", "re");

	if (f != NULL) {
		if (fscanf(f, "%lu", &pages) != 1)
			pages = 0;
		fclose(f);
	}
	return (uint64_t)pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

uint64_t box_cpu_us(void)
{
	struct timespec used = { 0 };

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
	return (uint64_t)used.tv_sec * 1000000 + (uint64_t)used.tv_nsec / 1000;
}

void box_cpu_limit(struct box *box, uint64_t used_us, uint64_t seconds)
{
	uint64_t most = used_us / 1000000 + 1 + seconds;

	/* The soft limit ends the process too (SIGXCPU); the hard one stays open, because time adds
	 * up over mails. */
	if (most != box->cpu_limit_s && limit(RLIMIT_CPU, most, RLIM_INFINITY))
		box->cpu_limit_s = most;
}

static bool set_limits(const struct scan_conf *conf)
{
	uint64_t now = address_space();

	signal(SIGXFSZ, SIG_IGN); /* a file at its limit is EFBIG, which is noticed (scarcity.h) */
	return now != 0 && limit(RLIMIT_AS, now + conf->memory, now + conf->memory) &&
	       limit(RLIMIT_FSIZE, conf->file_size, conf->file_size) &&
	       limit(RLIMIT_NOFILE, conf->files, conf->files) && limit(RLIMIT_CORE, 0, 0);
}

/* ------------------------------------------------------------------ rights */

/* All that scanning needs. What libclamav, libarchive and libc were seen to use, and no more
 * (strace, 1.4.6). */
static const char *const calls[] = {
	"read",
	"pread64",
	"readv",
	"write",
	"pwrite64",
	"writev",
	"open",
	"openat",
	"close",
	"lseek",
	"stat",
	"fstat",
	"lstat",
	"newfstatat",
	"statx",
	"fstatfs",
	"statfs",
	"access",
	"faccessat",
	"faccessat2",
	"getdents64",
	"mkdir",
	"mkdirat",
	"unlink",
	"unlinkat",
	"rmdir",
	"rename",
	"renameat",
	"renameat2",
	"ftruncate",
	"fchmod",
	"chmod",
	"fchmodat",
	"utimensat",
	"dup",
	"fcntl",
	"fsync",
	"fadvise64",
	"getcwd",
	"readlink",
	"munmap",
	"mremap",
	"madvise",
	"brk",
	"futex",
	"sched_yield",
	"sched_getaffinity",
	"set_robust_list",
	"rseq",
	"gettid",
	"getpid",
	"getuid",
	"geteuid",
	"getgid",
	"getegid",
	"uname",
	"sysinfo",
	"getrandom",
	"clock_gettime",
	"clock_getres",
	"clock_nanosleep",
	"nanosleep",
	"gettimeofday",
	"time",
	"times",
	"getrusage",
	"getrlimit",
	"setrlimit",
	"rt_sigaction",
	"rt_sigprocmask",
	"rt_sigreturn",
	"sigaltstack",
	"restart_syscall",
	"exit",
	"exit_group",
	"poll",
	"ppoll",
};

static enum mw_rc drop_rights(struct box *box, const struct scan_conf *conf, struct mw_err *err)
{
	enum mw_sandbox_mode mode = conf->strict ? MW_SANDBOX_STRICT : MW_SANDBOX_BEST_EFFORT;
	struct mw_sandbox_call allowed[MW_COUNT(calls) + 5];
	struct mw_sandbox_folder own = { .fd = open(box->path, O_PATH | O_CLOEXEC),
		.writable = true };
	size_t n = 0;
	enum mw_rc rc;

	if (own.fd < 0)
		return mw_fail(err, MW_ERR_IO, "cannot open %s: %s", box->path, strerror(errno));
	rc = mw_sandbox_files(mode, &own, 1, err);
	close(own.fd);
	if (rc != MW_OK)
		return rc;
	for (; n < MW_COUNT(calls); n++)
		allowed[n] = (struct mw_sandbox_call){ calls[n], MW_ANY_FD };
	allowed[n++] = (struct mw_sandbox_call){ "recvmsg", box->sock };
	allowed[n++] = (struct mw_sandbox_call){ "sendmsg", box->sock };
	allowed[n++] = (struct mw_sandbox_call){ "tgkill", getpid() }; /* abort() */
	/* Its own limits, as libc asks for them: those of another process of this user would end
	 * that. */
	allowed[n++] = (struct mw_sandbox_call){ "prlimit64", 0 };
	return mw_sandbox_calls(mode, allowed, n, err);
}

/* Everything but stdin, stdout, stderr and its own two is closed: other cages' sockets most of all.
 */
static void close_others(const struct box *box)
{
	int low = box->sock < box->dir ? box->sock : box->dir,
	    high = box->sock < box->dir ? box->dir : box->sock;

	if (low > 3)
		close_range(3, (unsigned)low - 1, 0);
	if (high > low + 1)
		close_range((unsigned)low + 1, (unsigned)high - 1, 0);
	close_range((unsigned)high + 1, ~0u, 0);
}

enum mw_rc box_enter(struct box *box, const struct scan_conf *conf, int parent, struct mw_err *err)
{
	box->dir = open(box->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (box->dir < 0)
		return mw_fail(err, MW_ERR_IO, "cannot open %s: %s", box->path, strerror(errno));
	close_others(box);
	/* Die with the holder; if it is dead already nobody will ever speak to us. */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		return mw_fail(err, MW_ERR_GONE, "the holder is gone");
	if (chdir(box->path) != 0 || !set_limits(conf))
		return mw_fail(err, MW_ERR_IO, "cannot set limits: %s", strerror(errno));
	return drop_rights(box, conf, err);
}
