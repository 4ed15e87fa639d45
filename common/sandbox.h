/*
 * What a process gives up for good: privileges to gain, files to open (Landlock), system calls
 * (seccomp).
 *
 * Called by a process on itself, once it has opened what it needs and before it touches anything
 * hostile, while it has one thread. Rights only shrink. All of it works as an unprivileged user and
 * as root alike.
 */
#ifndef MW_SANDBOX_H
#define MW_SANDBOX_H

#include "base.h"

/* Setting `sandbox`: strict makes a missing Landlock or seccomp an error, best_effort a warning. */
enum mw_sandbox_mode { MW_SANDBOX_STRICT, MW_SANDBOX_BEST_EFFORT };
enum mw_rc mw_sandbox_mode_of(const char *text, enum mw_sandbox_mode *mode_r, struct mw_err *err_r);

/* Landlock's version on this kernel; 0: none. */
int mw_landlock_abi(void);

/* A folder that stays open to the process, with everything beneath; or one file. */
struct mw_sandbox_folder {
	int fd;	       /* opened with O_PATH */
	bool writable; /* make, write, remove files and folders; else read */
	bool runnable; /* programs there may be executed, too */
};

/*
 * From here on nothing but these folders can be opened or made by name, nor executed unless it says
 * so; descriptors that are open stay so. Other paths get EACCES. Rights are cut to what the
 * kernel's Landlock knows; tcp is closed where it can (ABI 4). No new privileges
 * (PR_SET_NO_NEW_PRIVS) comes with it.
 */
enum mw_rc mw_sandbox_files(enum mw_sandbox_mode mode, const struct mw_sandbox_folder *folders,
	size_t count, struct mw_err *err_r);

/* One system call that stays allowed; fd >= 0: only with that number, a descriptor or a process, as
 * its first argument. Of fcntl nothing that sends signals. */
struct mw_sandbox_call {
	const char *name; /* libseccomp's; unknown ones on this machine are left out */
	int fd;
};
#define MW_ANY_FD -1

/*
 * From here on only these system calls work. Everything else ends the process by SIGSYS, after one
 * line on stderr that names the call (a refused call that a library takes for an error may become a
 * wrong result, so none is refused quietly). exec, fork, sockets, ptrace end it at once.
 */
enum mw_rc mw_sandbox_calls(enum mw_sandbox_mode mode, const struct mw_sandbox_call *calls,
	size_t count, struct mw_err *err_r);

/*
 * For a process that is about to become a program of the administrator's choice, whose calls nobody
 * can list: everything works but sockets (none can be made), signals to others, and what looks into
 * or takes over other processes or the kernel; those fail with EPERM.
 */
enum mw_rc mw_sandbox_program(enum mw_sandbox_mode mode, struct mw_err *err_r);

#endif
