#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cage.h"
#include "digest.h"
#include "folders.h"
#include "holder.h"
#include "log.h"

#define CAGES_MAX 64
#define TICK_MS 500	   /* folders are measured this often */
#define CONF_WAIT_MS 10000 /* for the scanner's first message */
#define FOLDER_MARGIN (32u << 20)
#define YOUNG_MS 200	   /* a cage that dies younger did not die of a mail */
#define QUICK_DEATHS_MAX 5 /* so many of them in a row, then births are slowed down */
#define BIRTH_DELAY_MS 100 /* doubling */
#define BIRTH_DELAY_MAX_MS 5000

struct cell {
	pid_t pid; /* 0: empty */
	uint64_t serial, born_ms;
	bool killed; /* by us */
	char path[SCAN_PATH_MAX];
};

struct holder {
	struct scan_conf conf;
	struct av *av;
	struct types *types;
	int control, signals;
	char root[SCAN_PATH_MAX]; /* this holder's folder */
	struct cell cells[CAGES_MAX];
	uint64_t serials;
	bool draining;
	unsigned quick_deaths;
	uint64_t birth_at_ms; /* no birth before */
};

/* ------------------------------------------------------------------ to the scanner */

/* The control socket is read whenever the scanner's loop turns: waiting a moment is right, losing a
 * message is not. */
static void tell(struct holder *h, const struct mw_pack *b, int fd)
{
	struct pollfd p = { h->control, POLLOUT, 0 };
	enum mw_rc rc;

	if (b->failed)
		exit(EXIT_FAILURE); /* no memory for 50 octets: start afresh */
	while ((rc = scan_send(h->control, mw_octets_of(b->p, b->n), NULL, 0, fd)) == MW_AGAIN)
		poll(&p, 1, -1);
	if (rc != MW_OK)
		exit(EXIT_SUCCESS); /* the scanner is gone; cages die with us */
}

static void tell_engine(struct holder *h, uint64_t load_ms)
{
	struct scan_engine e = { .signatures = av_signatures(h->av),
		.load_ms = load_ms,
		.project = av_is_project(h->av),
		.eicar = av_knows_eicar(h->av) };
	struct mw_pack b;

	mw_strlcpy(e.text, av_engine(h->av), sizeof(e.text));
	mw_pack_init(&b);
	scan_engine_encode(&b, &e);
	tell(h, &b, -1);
	mw_pack_fini(&b);
}

static int tell_broken(struct holder *h, const char *why)
{
	char text[400];
	struct mw_pack b;
	size_t n = mw_strlcpy(text, why, sizeof(text));

	for (size_t i = 0; i < n && i < sizeof(text) - 1; i++)
		if (text[i] < 0x20 || text[i] > 0x7e)
			text[i] = '?';
	mw_pack_init(&b);
	scan_text_encode(&b, SCAN_MSG_BROKEN, text);
	tell(h, &b, -1);
	mw_pack_fini(&b);
	return EXIT_FAILURE;
}

/* ------------------------------------------------------------------ births and deaths */

/* In the child. What the holder held must not be seen by a cage: its sockets are closed by
 * box_enter. */
static _Noreturn void child(struct holder *h, const struct cell *c, int sock, pid_t parent)
{
	sigset_t none;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	cage_run(&h->conf, h->av, h->types, c->path, sock, (int)parent);
}

static void birth(struct holder *h, struct cell *c)
{
	struct scan_born born = { .serial = ++h->serials };
	struct mw_err err = { "" };
	struct mw_pack b;
	pid_t parent = getpid();
	int pair[2];

	if (box_make_folder(c->path, h->root, born.serial, &err) != MW_OK ||
		socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0) {
		mw_log(MW_ERROR, "cage_birth", "error=%s",
			mw_quote(err.text[0] != '\0' ? err.text : strerror(errno)));
		h->birth_at_ms = mw_mono_ms() + BIRTH_DELAY_MAX_MS;
		return;
	}
	c->pid = fork();
	if (c->pid == 0)
		child(h, c, pair[1], parent);
	close(pair[1]);
	if (c->pid < 0) {
		mw_log(MW_ERROR, "cage_birth", "error=%s", mw_quote(strerror(errno)));
		c->pid = 0;
		h->birth_at_ms = mw_mono_ms() + BIRTH_DELAY_MAX_MS;
	} else {
		c->serial = born.serial;
		c->born_ms = mw_mono_ms();
		c->killed = false;
		born.pid = (uint64_t)c->pid;
		mw_pack_init(&b);
		scan_born_encode(&b, &born);
		tell(h, &b, pair[0]);
		mw_pack_fini(&b);
	}
	close(pair[0]);
}

static void births(struct holder *h)
{
	for (unsigned i = 0; i < h->conf.cages && !h->draining; i++)
		if (h->cells[i].pid == 0 && mw_mono_ms() >= h->birth_at_ms)
			birth(h, &h->cells[i]);
}

/* Cages that die as soon as they are born (no memory, a folder that vanished) must not become a
 * fork loop. */
static void slow_down(struct holder *h, const struct cell *c)
{
	uint64_t delay = BIRTH_DELAY_MS;

	if (mw_mono_ms() - c->born_ms >= YOUNG_MS) {
		h->quick_deaths = 0;
		return;
	}
	if (++h->quick_deaths < QUICK_DEATHS_MAX)
		return;
	for (unsigned i = QUICK_DEATHS_MAX; i < h->quick_deaths && delay < BIRTH_DELAY_MAX_MS; i++)
		delay *= 2;
	h->birth_at_ms = mw_mono_ms() + delay;
}

static void buried(struct holder *h, struct cell *c, int status)
{
	struct scan_died died = {
		.serial = c->serial,
		.signal = WIFSIGNALED(status) ? (uint64_t)WTERMSIG(status) : 0,
		.code = WIFEXITED(status) ? (uint64_t)WEXITSTATUS(status) : 0,
		.ours = c->killed,
	};
	struct mw_pack b;

	if (died.signal != 0 || died.code == CAGE_EXIT_BAD) {
		mw_log(MW_WARN, "cage_died", "pid=%d cage=%llu signal=%llu code=%llu by_us=%d",
			(int)c->pid, (unsigned long long)died.serial,
			(unsigned long long)died.signal, (unsigned long long)died.code, died.ours);
		slow_down(h, c);
	}
	box_empty(c->path, true);
	c->pid = 0;
	mw_pack_init(&b);
	scan_died_encode(&b, &died);
	tell(h, &b, -1);
	mw_pack_fini(&b);
}

static void bury(struct holder *h)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		for (unsigned i = 0; i < CAGES_MAX; i++)
			if (h->cells[i].pid == pid)
				buried(h, &h->cells[i], status);
}

static void end_cage(struct cell *c)
{
	c->killed = true;
	kill(c->pid, SIGKILL); /* ours and not yet waited for: the pid is nobody else's */
}

/* What a cage may take by its own counting, in whole blocks of the file system. */
static uint64_t folder_limit(const struct holder *h)
{
	return h->conf.quota + h->conf.quota / 8 + FOLDER_MARGIN;
}

static bool is_full(const struct cell *c, uint64_t limit)
{
	uint64_t named = box_usage(c->path);

	return named > limit || named + box_open_usage((int)c->pid, c->path, limit) > limit;
}

/* A folder that outgrew its quota: only a cage that writes past our own counting gets there. */
static void measure_folders(struct holder *h)
{
	uint64_t limit = folder_limit(h);

	for (unsigned i = 0; i < CAGES_MAX; i++) {
		struct cell *c = &h->cells[i];

		if (c->pid == 0 || c->killed || !is_full(c, limit))
			continue;
		mw_log(MW_WARN, "cage_folder_full", "pid=%d limit_bytes=%llu", (int)c->pid,
			(unsigned long long)limit);
		end_cage(c);
	}
}

/* ------------------------------------------------------------------ the loop */

static void heed(struct holder *h, struct mw_octets m)
{
	uint64_t serial;

	switch (scan_message_type(m)) {
	case SCAN_MSG_KILL:
		if (scan_number_decode(m, &serial) != MW_OK)
			break;
		for (unsigned i = 0; i < CAGES_MAX; i++)
			if (h->cells[i].pid != 0 && h->cells[i].serial == serial)
				end_cage(&h->cells[i]);
		return;
	case SCAN_MSG_DRAIN:
		h->draining = true;
		return;
	default:
		break;
	}
	mw_log(MW_ERROR, "holder_bad_message", "octets=%zu", m.n);
}

/* False: the scanner closed it. */
static bool control_readable(struct holder *h)
{
	unsigned char buf[4096];
	size_t n;
	int fd;

	for (;;) {
		enum mw_rc rc = scan_recv(h->control, buf, sizeof(buf), &n, &fd);

		if (fd >= 0)
			close(fd);
		if (rc != MW_OK)
			return rc == MW_AGAIN;
		heed(h, mw_octets_of(buf, n));
	}
}

static void signals_readable(struct holder *h)
{
	struct signalfd_siginfo info;

	while (read(h->signals, &info, sizeof(info)) == (ssize_t)sizeof(info))
		;
	bury(h);
}

static void loop(struct holder *h)
{
	struct pollfd p[2] = { { h->control, POLLIN, 0 }, { h->signals, POLLIN, 0 } };
	uint64_t measure_at = 0;

	for (;;) {
		births(h);
		if (poll(p, 2, h->birth_at_ms > mw_mono_ms() ? BIRTH_DELAY_MS : TICK_MS) < 0 &&
			errno != EINTR)
			return;
		if (p[1].revents != 0)
			signals_readable(h);
		if (p[0].revents != 0 && !control_readable(h))
			return;
		if (mw_mono_ms() >= measure_at) {
			measure_folders(h);
			measure_at = mw_mono_ms() + TICK_MS;
		}
	}
}

/* ------------------------------------------------------------------ start and end */

/*
 * SIGTERM to a whole process group or control group must not end cages that still have work: the
 * scanner drains, and its closing the control socket ends us. SIGCHLD is read from a descriptor.
 */
static enum mw_rc set_signals(struct holder *h)
{
	sigset_t child_ends;

	signal(SIGTERM, SIG_IGN);
	signal(SIGINT, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&child_ends);
	sigaddset(&child_ends, SIGCHLD);
	sigprocmask(SIG_SETMASK, &child_ends, NULL);
	h->signals = signalfd(-1, &child_ends, SFD_CLOEXEC | SFD_NONBLOCK);
	return h->signals >= 0 ? MW_OK : MW_ERR_IO;
}

/* Whoever dies has its descriptors closed before its children are told: there is no moment in
 * which neither PR_SET_PDEATHSIG nor this notices. */
static bool scanner_is_gone(const struct holder *h)
{
	struct pollfd p = { h->control, 0, 0 };

	return poll(&p, 1, 0) != 0;
}

static enum mw_rc get_conf(struct holder *h)
{
	unsigned char buf[4096];
	struct pollfd p = { h->control, POLLIN, 0 };
	size_t n;
	int fd;

	if (poll(&p, 1, CONF_WAIT_MS) != 1 ||
		scan_recv(h->control, buf, sizeof(buf), &n, &fd) != MW_OK)
		return MW_ERR_GONE;
	if (scan_conf_decode(mw_octets_of(buf, n), &h->conf) != MW_OK || h->conf.cages > CAGES_MAX)
		return MW_ERR_PROTO;
	mw_log_level(
		(enum mw_level)(h->conf.log_level < MW_LEVEL_COUNT ? h->conf.log_level : MW_DEBUG));
	return MW_OK;
}

static enum mw_rc load(struct holder *h, struct mw_err *err)
{
	struct av_conf av = {
		.database = h->conf.database,
		.temp_dir = h->root,
		.max_file = h->conf.max_file,
		.max_scan = h->conf.max_scan,
		.max_recursion = h->conf.engine_levels,
		.max_files = h->conf.engine_files,
	};
	uint64_t from = mw_mono_ms();
	unsigned char digest[MW_SHA256_OCTETS];
	enum mw_rc rc = folders_open(h->root, sizeof(h->root), h->conf.temp_dir, err);

	if (rc == MW_OK && (h->types = types_open(err)) == NULL)
		rc = MW_ERR_IO;
	if (rc == MW_OK)
		rc = av_open(&h->av, &av, err);
	/* Looked up once, here, where libcrypto still may open its settings. */
	if (rc == MW_OK && !mw_sha256("", 0, digest))
		mw_log(MW_WARN, "no_digests", "why=libcrypto has no SHA-256");
	if (rc == MW_OK)
		tell_engine(h, mw_mono_ms() - from);
	return rc;
}

static void end(struct holder *h)
{
	for (unsigned i = 0; i < CAGES_MAX; i++)
		if (h->cells[i].pid != 0)
			kill(h->cells[i].pid, SIGKILL);
	while (waitpid(-1, NULL, 0) > 0)
		;
	folders_close(h->root);
}

int holder_run(int control)
{
	static struct holder h;
	struct mw_err err = { "" };

	h.control = control;
	/* A holder without its scanner is nobody's: die with it, whatever it dies of. */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	/* Cages compute: one that wakes must not put off the process that hands out mails. */
	sched_setscheduler(0, SCHED_BATCH, &(struct sched_param){ 0 });
	fcntl(control, F_SETFD, FD_CLOEXEC);
	if (scanner_is_gone(&h) || set_signals(&h) != MW_OK || get_conf(&h) != MW_OK)
		return EXIT_FAILURE;
	fcntl(control, F_SETFL, O_NONBLOCK);
	/* Names in archives come as UTF-8, whatever the environment says. */
	setlocale(LC_CTYPE, "C.UTF-8");
	if (load(&h, &err) != MW_OK) {
		if (h.root[0] != '\0')
			folders_close(h.root);
		return tell_broken(&h, err.text);
	}
	loop(&h);
	end(&h);
	return EXIT_SUCCESS;
}
