/* A command-line scanner: one runner process a mail (cage/program.h), told by its runs. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "av_client.h"
#include "av_program.h"
#include "log.h"
#include "cage_start.h"

#define LEAVE_MS 5000 /* for a runner that has nothing to do any more */
#define MARGIN_MS 500 /* before the end of the mail's time, so that the runner's word is heard */

struct process;

struct program {
	struct avs_ask *ask;
	const struct avs_task *task;
	struct process *process;
	int control;
	struct mw_fd *watch;
	enum avs_answer worst;
	char why[AVS_WHY_MAX];
	uint64_t seen; /* files of the runs so far */
	unsigned char in[PROGRAM_OUTPUT_MAX + 1024];
};

/* Until it has ended, whoever started it. */
struct process {
	struct program *owner; /* NULL: it has no use for it any more */
	pid_t pid;
	int pidfd;
	struct mw_fd *watch;
	struct mw_timer *timer;
	struct process *next, **prev_p;
};

static struct process *all;

/* ------------------------------------------------------------------ the process */

static void process_ended(void *arg, int events)
{
	struct process *p = arg;

	(void)events;
	if (waitpid(p->pid, NULL, WNOHANG) == 0)
		return;
	if (p->owner != NULL) /* what it said before may still be unread */
		p->owner->process = NULL;
	mw_fd_destroy(&p->watch);
	mw_timer_destroy(&p->timer);
	close(p->pidfd);
	*p->prev_p = p->next;
	if (p->next != NULL)
		p->next->prev_p = p->prev_p;
	free(p);
}

/* Its program goes with it: PR_SET_PDEATHSIG, and the folder is swept by the next. */
static void process_late(void *arg)
{
	struct process *p = arg;

	mw_log(MW_WARN, "av_program_hangs", "pid=%d", (int)p->pid);
	kill(p->pid, SIGKILL);
}

static struct process *process_new(struct mw_loop *loop, const char *program, int control)
{
	struct process *p = calloc(1, sizeof(*p));

	if (p == NULL)
		return NULL;
	p->pidfd = -1;
	if (cage_start(&p->pid, program, "program", control) == 0)
		p->pidfd = (int)syscall(SYS_pidfd_open, p->pid, 0);
	if (p->pidfd < 0) {
		if (p->pid > 0) {
			kill(p->pid, SIGKILL);
			waitpid(p->pid, NULL, 0);
		}
		free(p);
		return NULL;
	}
	p->watch = mw_fd_new(loop, p->pidfd, process_ended, p);
	mw_fd_watch(p->watch, MW_READABLE);
	p->timer = mw_timer_new(loop, process_late, p);
	p->prev_p = &all;
	p->next = all;
	if (all != NULL)
		all->prev_p = &p->next;
	all = p;
	return p;
}

/* ------------------------------------------------------------------ letting go */

static void program_cancel(struct avs_ask *ask)
{
	struct avs_task *t = avs_ask_task(ask);
	struct program *g = t->client;

	t->client = NULL;
	if (g == NULL)
		return;
	mw_fd_destroy(&g->watch);
	if (g->control >= 0)
		close(g->control); /* the runner ends its program, empties its folder and goes */
	if (g->process != NULL) {
		g->process->owner = NULL;
		mw_timer_start(g->process->timer, LEAVE_MS, 0);
	}
	free(g);
}

static void program_end(struct program *g, enum avs_answer answer, const char *why)
{
	struct avs_ask *ask = g->ask;
	char text[AVS_WHY_MAX];

	mw_strlcpy(text, why, sizeof(text));
	program_cancel(ask);
	avs_ask_end(ask, answer, text);
}

/* ------------------------------------------------------------------ what the runner says */

static void take_virus(void *arg, const char *name, size_t file)
{
	struct program *g = arg;

	if (file < g->task->file_count)
		avs_ask_virus(g->ask, name, file);
}

static void take_run(struct program *g, const struct program_ran *ran)
{
	char why[AVS_WHY_MAX];
	enum avs_answer answer;

	g->seen += ran->count;
	answer = avs_program_judge(g->task->entry, ran, take_virus, g, why);
	if (answer > g->worst) {
		g->worst = answer;
		mw_strlcpy(g->why, why, sizeof(g->why));
	}
}

/* False: it is over. */
static bool take_message(struct program *g, struct mw_octets m)
{
	struct program_ran ran;
	char text[AVS_WHY_MAX];

	switch (scan_message_type(m)) {
	case SCAN_MSG_RAN:
		if (program_ran_decode(m, &ran) != MW_OK)
			break;
		take_run(g, &ran);
		return true;
	case SCAN_MSG_OVER:
		if (g->worst < AVS_REFUSED && g->seen != g->task->file_count)
			program_end(g, AVS_FAILED, "not all files were looked at");
		else
			program_end(g, g->worst, g->why);
		return false;
	case SCAN_MSG_BROKEN:
		if (scan_text_decode(m, text, sizeof(text)) != MW_OK)
			break;
		program_end(g, AVS_FAILED, text);
		return false;
	default:
		break;
	}
	program_end(g, AVS_FAILED, "the runner broke the protocol");
	return false;
}

static void program_ready(void *arg, int events)
{
	struct program *g = arg;
	enum mw_rc rc = MW_OK;

	(void)events;
	for (int i = 0; i < MW_BATCH && rc == MW_OK; i++) {
		size_t n = 0;
		int fd;

		rc = scan_recv(g->control, g->in, sizeof(g->in), &n, &fd);
		if (fd >= 0)
			close(fd);
		if (rc == MW_OK && !take_message(g, mw_octets_of(g->in, n)))
			return;
	}
	if (rc != MW_OK && rc != MW_AGAIN)
		program_end(g, AVS_FAILED, "the runner died");
}

/* ------------------------------------------------------------------ what it is given */

/* Records as leaves are: the runner writes them into files. */
static int files_fd(const struct avs_task *t)
{
	int fd = scan_leaves_new();
	bool ok = fd >= 0;

	for (size_t i = 0; i < t->file_count && ok; i++) {
		const struct avs_file *f = &t->files[i];
		struct scan_leaf_head h = { f->octets, 0, SCAN_LEAF_MARK };

		ok = scan_write_all(fd, mw_octets_of(&h, sizeof(h)));
		for (unsigned k = 0; k < f->piece_count && ok; k++)
			ok = scan_write_all(fd, f->pieces[k]);
	}
	if (!ok && fd >= 0)
		close(fd);
	return ok ? fd : -1;
}

static enum mw_rc give_order(struct program *g)
{
	const struct avs_entry *e = g->task->entry;
	uint64_t now = mw_mono_ms(), left = g->task->until_ms > now + MARGIN_MS
						    ? g->task->until_ms - now - MARGIN_MS
						    : 1;
	struct program_order o = { .program = e->program,
		.temp_dir = g->task->conf->temp_dir,
		.arguments.count = e->argument_count,
		.reads.count = e->read_count,
		.timeout_ms = left < UINT32_MAX ? left : UINT32_MAX,
		.memory = e->memory,
		.file_size = g->task->conf->file_size,
		.quota = g->task->conf->quota,
		.strict = g->task->conf->strict };
	int fd = files_fd(g->task);
	struct mw_pack b;
	enum mw_rc rc;

	if (fd < 0)
		return MW_ERR_IO;
	memcpy(o.arguments.items, e->arguments, sizeof(o.arguments.items));
	memcpy(o.reads.items, e->reads, sizeof(o.reads.items));
	mw_pack_init(&b);
	program_order_encode(&b, &o);
	rc = b.failed ? MW_ERR_NOMEM : scan_send(g->control, mw_octets_of(b.p, b.n), NULL, 0, fd);
	mw_pack_fini(&b);
	close(fd);
	return rc;
}

static void program_start(struct avs_ask *ask)
{
	struct avs_task *t = avs_ask_task(ask);
	struct program *g = calloc(1, sizeof(*g));
	int pair[2] = { -1, -1 };

	if (g == NULL || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0) {
		free(g);
		avs_ask_end(ask, AVS_FAILED, "no memory or descriptors");
		return;
	}
	t->client = g;
	g->ask = ask;
	g->task = t;
	g->control = pair[0];
	fcntl(pair[0], F_SETFL, O_NONBLOCK);
	g->process = process_new(t->loop, t->conf->program, pair[1]);
	close(pair[1]);
	if (g->process != NULL)
		g->process->owner = g;
	if (g->process == NULL || give_order(g) != MW_OK) {
		program_end(g, AVS_FAILED, "cannot start mailweir-cage");
		return;
	}
	avs_ask_connected(ask);
	g->watch = mw_fd_new(t->loop, g->control, program_ready, g);
	mw_fd_watch(g->watch, MW_READABLE);
}

const struct avs_client avs_program_client = { .start = program_start, .cancel = program_cancel };
