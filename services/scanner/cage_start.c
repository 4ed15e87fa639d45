#include "cage_start.h"

#include <signal.h>
#include <spawn.h>

#include "cage/proto.h"

extern char **environ;

/*
 * A fork of a process with ZeroMQ's threads may only exec: posix_spawn does just that.
 *
 * In a process group of its own, for what it forks and somebody stops (SIGSTOP) before it has asked
 * to die with its parent: the kernel sends SIGCONT to stopped members of a group that its last
 * parent from outside has left, and the first thing they do then is to look who their parent is.
 */
int cage_start(pid_t *pid_r, const char *program, const char *role, int control)
{
	char *argv[] = { (char *)"mailweir-cage", (char *)role, NULL };
	posix_spawn_file_actions_t files;
	posix_spawnattr_t attr;
	sigset_t none, every;
	int rc;

	sigemptyset(&none);
	sigfillset(&every);
	posix_spawn_file_actions_init(&files);
	posix_spawnattr_init(&attr);
	posix_spawnattr_setsigmask(&attr, &none);
	posix_spawnattr_setsigdefault(&attr, &every);
	posix_spawnattr_setpgroup(&attr, 0);
	posix_spawnattr_setflags(
		&attr, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
	rc = posix_spawn_file_actions_adddup2(&files, control, SCAN_CONTROL_FD);
	if (rc == 0)
		rc = posix_spawn(pid_r, program, &files, &attr, argv, environ);
	posix_spawnattr_destroy(&attr);
	posix_spawn_file_actions_destroy(&files);
	return rc;
}
