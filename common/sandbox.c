#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "log.h"
#include "sandbox.h"

/* Rights of newer kernels than Debian 12's headers know. */
#ifndef LANDLOCK_ACCESS_FS_REFER
#define LANDLOCK_ACCESS_FS_REFER (1ULL << 13) /* ABI 2 */
#endif
#ifndef LANDLOCK_ACCESS_FS_TRUNCATE
#define LANDLOCK_ACCESS_FS_TRUNCATE (1ULL << 14) /* ABI 3 */
#endif
#define ACCESS_FS_IOCTL_DEV (1ULL << 15) /* ABI 5 */
#define ACCESS_NET_TCP (3ULL)		 /* ABI 4: bind and connect */
#define SCOPE_ALL (3ULL)		 /* ABI 6: abstract unix sockets, signals */

/* struct landlock_ruleset_attr as of ABI 6; older kernels are told its older, shorter size. */
struct ruleset {
	uint64_t fs, net, scoped;
};

enum mw_rc mw_sandbox_mode_of(const char *text, enum mw_sandbox_mode *mode_r, struct mw_err *err)
{
	if (strcmp(text, "strict") == 0)
		*mode_r = MW_SANDBOX_STRICT;
	else if (strcmp(text, "best_effort") == 0)
		*mode_r = MW_SANDBOX_BEST_EFFORT;
	else
		return mw_fail(err, MW_ERR_CONF,
			"sandbox = %s: must be \"strict\" or \"best_effort\"", mw_quote(text));
	return MW_OK;
}

/* Not there, or failed: an error or a warning. */
static enum mw_rc missing(enum mw_sandbox_mode mode, struct mw_err *err, const char *what)
{
	if (mode == MW_SANDBOX_STRICT)
		return mw_fail(err, MW_ERR_IO,
			"%s: %s (sandbox = \"best_effort\" goes on without it)", what,
			strerror(errno));
	mw_log(MW_WARN, "sandbox_incomplete", "what=%s error=%s", mw_quote(what),
		mw_quote(strerror(errno)));
	return MW_OK;
}

/* ------------------------------------------------------------------ Landlock */

int mw_landlock_abi(void)
{
	long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);

	return abi > 0 ? (int)abi : 0;
}

#define READ_RIGHTS (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)
#define WRITE_RIGHTS                                                                               \
	(READ_RIGHTS | LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_REMOVE_DIR |             \
		LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_MAKE_DIR |                     \
		LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_TRUNCATE)

#define FILE_RIGHTS                                                                                \
	(LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE |                            \
		LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_TRUNCATE)

static uint64_t rights_of_abi(int abi)
{
	uint64_t rights = (LANDLOCK_ACCESS_FS_MAKE_SYM << 1) - 1; /* ABI 1: bits 0 to 12 */

	if (abi >= 2)
		rights |= LANDLOCK_ACCESS_FS_REFER;
	if (abi >= 3)
		rights |= LANDLOCK_ACCESS_FS_TRUNCATE;
	if (abi >= 5)
		rights |= ACCESS_FS_IOCTL_DEV;
	return rights;
}

static int ruleset_new(int abi)
{
	struct ruleset r = {
		.fs = rights_of_abi(abi),
		.net = abi >= 4 ? ACCESS_NET_TCP : 0,
		.scoped = abi >= 6 ? SCOPE_ALL : 0,
	};
	size_t size = abi >= 6	 ? sizeof(r)
		      : abi >= 4 ? offsetof(struct ruleset, scoped)
				 : offsetof(struct ruleset, net);

	return (int)syscall(SYS_landlock_create_ruleset, &r, size, 0);
}

static bool ruleset_add(int rules, const struct mw_sandbox_folder *f, int abi)
{
	struct landlock_path_beneath_attr rule = {
		.parent_fd = f->fd,
		.allowed_access = (f->writable ? WRITE_RIGHTS : READ_RIGHTS) & rights_of_abi(abi),
	};
	struct stat st;

	if (f->runnable)
		rule.allowed_access |= LANDLOCK_ACCESS_FS_EXECUTE;
	if (fstat(f->fd, &st) == 0 && !S_ISDIR(st.st_mode))
		rule.allowed_access &= FILE_RIGHTS; /* the kernel refuses those of folders there */
	return syscall(SYS_landlock_add_rule, rules, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) == 0;
}

enum mw_rc mw_sandbox_files(enum mw_sandbox_mode mode, const struct mw_sandbox_folder *folders,
	size_t count, struct mw_err *err)
{
	int abi = mw_landlock_abi(), rules;
	bool ok = true;

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
		return missing(mode, err, "cannot set no_new_privs");
	if (abi == 0)
		return missing(mode, err, "this kernel has no Landlock");
	rules = ruleset_new(abi);
	if (rules < 0)
		return missing(mode, err, "Landlock makes no rule set");
	for (size_t i = 0; i < count && ok; i++)
		ok = ruleset_add(rules, &folders[i], abi);
	ok = ok && syscall(SYS_landlock_restrict_self, rules, 0) == 0;
	if (!ok)
		return close(rules), missing(mode, err, "Landlock refuses the rules");
	close(rules);
	return MW_OK;
}

/* ------------------------------------------------------------------ seccomp */

/* What nobody who is in a sandbox may even ask for: no handler runs any more. */
static const char *const deadly[] = {
	"socket",
	"socketpair",
	"connect",
	"bind",
	"listen",
	"accept",
	"accept4",
	"execve",
	"execveat",
	"fork",
	"vfork",
	"ptrace",
	"process_vm_readv",
	"process_vm_writev",
	"kill",
	"tkill",
	"unshare",
	"setns",
	"mount",
	"bpf",
	"io_uring_setup",
	"keyctl",
	"userfaultfd",
	"perf_event_open",
};

/*
 * A call that is not on the list: say which, so that a library's new habit can be told from an
 * attack, then end by a call that kills.
 */
static void name_the_call(int signum, siginfo_t *info, void *context)
{
	char line[96];
	int n = snprintf(line, sizeof(line), "sandbox_refused pid=%d syscall=%d\n", (int)getpid(),
		info->si_syscall);

	(void)signum;
	(void)context;
	if (n > 0 && write(STDERR_FILENO, line, (size_t)n) < 0)
		n = 0;
	syscall(SYS_ptrace, 0, 0, 0, 0);
	_exit(128 + SIGSYS); /* where seccomp could not be had, nobody comes here */
}

/* What fcntl may be asked for. Not F_SETOWN and F_SETSIG: they make a descriptor send a signal of
 * choice to any process of this user. */
static const int fcntl_commands[] = { F_DUPFD, F_DUPFD_CLOEXEC, F_GETFD, F_SETFD, F_GETFL, F_SETFL,
	F_ADD_SEALS, F_GET_SEALS };

static int allow_fcntl(scmp_filter_ctx f)
{
	int rc = 0;

	for (size_t i = 0; i < MW_COUNT(fcntl_commands) && rc == 0; i++)
		rc = seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(fcntl), 1,
			SCMP_A1(SCMP_CMP_EQ, (scmp_datum_t)fcntl_commands[i]));
	return rc;
}

static int filter_fill(scmp_filter_ctx f, const struct mw_sandbox_call *calls, size_t count)
{
	int rc = 0;

	for (size_t i = 0; i < MW_COUNT(deadly) && rc == 0; i++) {
		int nr = seccomp_syscall_resolve_name(deadly[i]);

		if (nr != __NR_SCMP_ERROR && nr >= 0)
			rc = seccomp_rule_add(f, SCMP_ACT_KILL_PROCESS, nr, 0);
	}
	for (size_t i = 0; i < count && rc == 0; i++) {
		int nr = seccomp_syscall_resolve_name(calls[i].name);

		if (nr == __NR_SCMP_ERROR || nr < 0)
			continue;
		if (nr == SCMP_SYS(fcntl))
			rc = allow_fcntl(f);
		else if (calls[i].fd == MW_ANY_FD)
			rc = seccomp_rule_add(f, SCMP_ACT_ALLOW, nr, 0);
		else
			rc = seccomp_rule_add(f, SCMP_ACT_ALLOW, nr, 1,
				SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)calls[i].fd));
	}
	/* Memory may be made executable by nobody: what is hostile here is data. */
	if (rc == 0)
		rc = seccomp_rule_add(
			f, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 1, SCMP_A2(SCMP_CMP_MASKED_EQ, 4, 0));
	if (rc == 0)
		rc = seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(mprotect), 1,
			SCMP_A2(SCMP_CMP_MASKED_EQ, 4, 0));
	/* glibc asks for clone3 first and takes ENOSYS for an answer; threads are clone with
	 * CLONE_THREAD. */
	if (rc == 0)
		rc = seccomp_rule_add(f, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
	/* libc asks whether a descriptor is a terminal; what else ioctl can do to one is nobody's
	 * business. */
	if (rc == 0)
		rc = seccomp_rule_add(f, SCMP_ACT_ERRNO(ENOTTY), SCMP_SYS(ioctl), 0);
	if (rc == 0)
		rc = seccomp_rule_add(f, SCMP_ACT_KILL_PROCESS, SCMP_SYS(clone), 1,
			SCMP_A0(SCMP_CMP_MASKED_EQ, 0x10000, 0));
	if (rc == 0)
		rc = seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(clone), 1,
			SCMP_A0(SCMP_CMP_MASKED_EQ, 0x10000, 0x10000));
	return rc;
}

enum mw_rc mw_sandbox_calls(enum mw_sandbox_mode mode, const struct mw_sandbox_call *calls,
	size_t count, struct mw_err *err)
{
	struct sigaction act = { .sa_sigaction = name_the_call,
		.sa_flags = SA_SIGINFO | SA_RESETHAND };
	scmp_filter_ctx f = seccomp_init(SCMP_ACT_TRAP);
	int rc;

	if (f == NULL)
		return missing(mode, err, "libseccomp does not start");
	sigemptyset(&act.sa_mask);
	sigaction(SIGSYS, &act, NULL);
	seccomp_attr_set(f, SCMP_FLTATR_CTL_NNP, 1);
	seccomp_attr_set(
		f, SCMP_FLTATR_CTL_OPTIMIZE, 2); /* a tree, not a list: each call costs less */
	rc = filter_fill(f, calls, count);
	if (rc == 0)
		rc = seccomp_load(f);
	seccomp_release(f);
	if (rc != 0) {
		errno = -rc;
		return missing(mode, err, "seccomp refuses the filter");
	}
	return MW_OK;
}

/* ------------------------------------------------------------------ other people's programs */

static const char *const foreign[] = {
	"socket",
	"ptrace",
	"process_vm_readv",
	"process_vm_writev",
	"process_madvise",
	"kill",
	"tkill",
	"rt_sigqueueinfo",
	"rt_tgsigqueueinfo",
	"pidfd_send_signal",
	"pidfd_getfd",
	"unshare",
	"setns",
	"mount",
	"umount2",
	"pivot_root",
	"chroot",
	"bpf",
	"io_uring_setup",
	"keyctl",
	"add_key",
	"request_key",
	"userfaultfd",
	"perf_event_open",
	"kexec_load",
	"init_module",
	"finit_module",
};

/* Commands of fcntl that make a descriptor send signals to other processes. */
static const int fcntl_signals[] = { F_SETOWN, F_SETOWN_EX, F_SETSIG };

static int foreign_fill(scmp_filter_ctx f)
{
	int rc = 0;

	for (size_t i = 0; i < MW_COUNT(foreign) && rc == 0; i++) {
		int nr = seccomp_syscall_resolve_name(foreign[i]);

		if (nr != __NR_SCMP_ERROR && nr >= 0)
			rc = seccomp_rule_add(f, SCMP_ACT_ERRNO(EPERM), nr, 0);
	}
	/* abort() of the program itself stays what it is; exec keeps the number. */
	if (rc == 0)
		rc = seccomp_rule_add(f, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(tgkill), 1,
			SCMP_A0(SCMP_CMP_NE, (scmp_datum_t)getpid()));
	/* Limits of others: a limit of no time at all is a signal, too. */
	if (rc == 0)
		rc = seccomp_rule_add(
			f, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(prlimit64), 1, SCMP_A0(SCMP_CMP_NE, 0));
	for (size_t i = 0; i < MW_COUNT(fcntl_signals) && rc == 0; i++)
		rc = seccomp_rule_add(f, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(fcntl), 1,
			SCMP_A1(SCMP_CMP_MASKED_EQ, 0xffffffff, (scmp_datum_t)fcntl_signals[i]));
	return rc;
}

enum mw_rc mw_sandbox_program(enum mw_sandbox_mode mode, struct mw_err *err)
{
	scmp_filter_ctx f = seccomp_init(SCMP_ACT_ALLOW);
	int rc = f != NULL ? foreign_fill(f) : -ENOMEM;

	if (rc == 0)
		rc = seccomp_load(f);
	if (f != NULL)
		seccomp_release(f);
	errno = -rc;
	return rc == 0 ? MW_OK : missing(mode, err, "seccomp cannot be had");
}
