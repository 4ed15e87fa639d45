#include "keeper.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "log.h"
#include "cage_start.h"

struct keeper {
	struct mw_loop *loop;
	const struct keeper_ops *ops;
	void *arg;
	pid_t pid;
	int pidfd, control; /* control -1: released */
	struct mw_fd *pid_watch, *control_watch;
	uint64_t started_ms;
	struct keeper *next, **prev_p; /* all that live */
};

static struct keeper *all;

static void close_control(struct keeper *k)
{
	mw_fd_destroy(&k->control_watch);
	if (k->control >= 0)
		close(k->control);
	k->control = -1;
}

static void free_keeper(struct keeper *k)
{
	close_control(k);
	mw_fd_destroy(&k->pid_watch);
	if (k->pidfd >= 0)
		close(k->pidfd);
	*k->prev_p = k->next;
	if (k->next != NULL)
		k->next->prev_p = k->prev_p;
	free(k);
}

static void destroy(struct keeper *k)
{
	if (k->pid > 0) {
		kill(k->pid, SIGKILL);
		waitpid(k->pid, NULL, 0);
	}
	free_keeper(k);
}

/* ------------------------------------------------------------------ starting it */

static void control_ready(void *arg, int events);
static void pid_ready(void *arg, int events);

static enum mw_rc send_pack(struct keeper *k, struct mw_pack *b)
{
	enum mw_rc rc = b->failed ? MW_ERR_NOMEM : MW_ERR_GONE;

	if (!b->failed && k->control >= 0)
		rc = scan_send(k->control, mw_octets_of(b->p, b->n), NULL, 0, -1);
	mw_pack_fini(b);
	return rc;
}

static enum mw_rc watch(struct keeper *k, const struct scan_conf *conf)
{
	struct mw_pack b;

	k->pidfd = (int)syscall(SYS_pidfd_open, k->pid, 0);
	if (k->pidfd < 0)
		return MW_ERR_IO;
	k->pid_watch = mw_fd_new(k->loop, k->pidfd, pid_ready, k);
	k->control_watch = mw_fd_new(k->loop, k->control, control_ready, k);
	mw_fd_watch(k->pid_watch, MW_READABLE);
	mw_fd_watch(k->control_watch, MW_READABLE);
	mw_pack_init(&b);
	scan_conf_encode(&b, conf);
	return send_pack(k, &b);
}

struct keeper *keeper_start(struct mw_loop *loop, const char *program, const struct scan_conf *conf,
	const struct keeper_ops *ops, void *arg, struct mw_err *err)
{
	struct keeper *k = calloc(1, sizeof(*k));
	int pair[2] = { -1, -1 }, rc;

	if (k == NULL || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0) {
		mw_fail(err, MW_ERR_IO, "cannot start %s: %s", program, strerror(errno));
		free(k);
		return NULL;
	}
	*k = (struct keeper){ .loop = loop,
		.ops = ops,
		.arg = arg,
		.pidfd = -1,
		.control = pair[0],
		.started_ms = mw_mono_ms() };
	fcntl(pair[0], F_SETFL, O_NONBLOCK);
	rc = cage_start(&k->pid, program, NULL, pair[1]);
	close(pair[1]);
	if (rc != 0) {
		mw_fail(err, MW_ERR_IO, "cannot start %s: %s (scanner.cage_program)", program,
			strerror(rc));
		close(pair[0]);
		free(k);
		return NULL;
	}
	k->prev_p = &all;
	k->next = all;
	if (all != NULL)
		all->prev_p = &k->next;
	all = k;
	if (watch(k, conf) == MW_OK)
		return k;
	mw_fail(err, MW_ERR_IO, "cannot talk to %s", program);
	destroy(k);
	return NULL;
}

/* ------------------------------------------------------------------ what it says */

static void heed(struct keeper *k, struct mw_octets m, int fd)
{
	struct scan_engine engine;
	struct scan_born born;
	struct scan_died died;
	char text[512];

	switch (scan_message_type(m)) {
	case SCAN_MSG_ENGINE:
		if (scan_engine_decode(m, &engine) == MW_OK)
			k->ops->engine(k->arg, k, &engine);
		break;
	case SCAN_MSG_BROKEN:
		if (scan_text_decode(m, text, sizeof(text)) == MW_OK)
			k->ops->broken(k->arg, k, text);
		break;
	case SCAN_MSG_BORN:
		if (fd >= 0 && scan_born_decode(m, &born) == MW_OK) {
			fcntl(fd, F_SETFL, O_NONBLOCK);
			k->ops->born(k->arg, k, &born, fd);
			return;
		}
		break;
	case SCAN_MSG_DIED:
		if (scan_died_decode(m, &died) == MW_OK)
			k->ops->died(k->arg, k, &died);
		break;
	default:
		mw_log(MW_ERROR, "holder_bad_message", "pid=%d octets=%zu", (int)k->pid, m.n);
	}
	if (fd >= 0)
		close(fd);
}

static void control_ready(void *arg, int events)
{
	struct keeper *k = arg;
	unsigned char buf[1024];

	(void)events;
	for (int i = 0; i < MW_BATCH && k->control >= 0; i++) {
		size_t n = 0;
		int fd = -1;
		enum mw_rc rc = scan_recv(k->control, buf, sizeof(buf), &n, &fd);

		if (rc == MW_AGAIN)
			return;
		if (rc == MW_OK) {
			heed(k, mw_octets_of(buf, n), fd);
			continue;
		}
		if (fd >= 0)
			close(fd);
		/* It is dead or has lost its mind; in both cases its cages must not go on.
		 * pid_ready follows. */
		close_control(k);
		if (k->pid > 0)
			kill(k->pid, SIGKILL);
	}
}

/* The process is over. What it said before is read first: its last words tell who died of what. */
static void pid_ready(void *arg, int events)
{
	struct keeper *k = arg;
	pid_t pid = k->pid;
	int status = 0;

	(void)events;
	if (waitpid(pid, &status, WNOHANG) != pid)
		return;
	k->pid = -1; /* the number may be somebody else's from here on */
	control_ready(k, MW_READABLE);
	mw_log(MW_INFO, "holder_ended", "pid=%d signal=%d code=%d", (int)pid,
		WIFSIGNALED(status) ? WTERMSIG(status) : 0,
		WIFEXITED(status) ? WEXITSTATUS(status) : 0);
	k->ops->gone(k->arg, k);
	free_keeper(k);
}

bool keeper_wait(struct keeper *k, uint64_t ms)
{
	struct pollfd p[2] = { { k->control, POLLIN, 0 }, { k->pidfd, POLLIN, 0 } };

	if (k->control < 0)
		return false;
	if (poll(p, 2, (int)(ms < INT32_MAX ? ms : INT32_MAX)) > 0)
		control_ready(k, MW_READABLE);
	return k->control >= 0;
}

/* ------------------------------------------------------------------ what it is told */

void keeper_kill_cage(struct keeper *k, uint64_t serial)
{
	struct mw_pack b;

	mw_pack_init(&b);
	scan_number_encode(&b, SCAN_MSG_KILL, serial);
	send_pack(k, &b);
}

void keeper_drain(struct keeper *k)
{
	struct mw_pack b;

	mw_pack_init(&b);
	scan_number_encode(&b, SCAN_MSG_DRAIN, 0);
	send_pack(k, &b);
}

void keeper_release(struct keeper *k)
{
	close_control(k);
}

void keeper_kill(struct keeper *k)
{
	if (k->pid > 0)
		kill(k->pid, SIGKILL);
}

void keeper_destroy_all(const void *arg)
{
	struct keeper *next;

	for (struct keeper *k = all; k != NULL; k = next) {
		next = k->next;
		if (k->arg == arg)
			destroy(k);
	}
}

int keeper_pid(const struct keeper *k)
{
	return (int)k->pid;
}

uint64_t keeper_started_ms(const struct keeper *k)
{
	return k->started_ms;
}
