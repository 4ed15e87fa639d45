#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "cage.h"
#include "log.h"
#include "triggers.h"
#include "work.h"

struct cage {
	const struct scan_conf *conf;
	struct box box;
	struct work *work;
	struct mw_pack findings, answer; /* their memory is kept */
	uint64_t mails_left;		 /* before it is old; UINT64_MAX: never */
	int leaves;			 /* where the next job's go; -1: nowhere */
	uint64_t cpu_us; /* when the last mail was done: what the next one costs starts here */
	unsigned char in[SCAN_HEADER_MAX + SCAN_INLINE_MAX];
};

static void answer(struct cage *c, const struct scan_result *r)
{
	struct pollfd p = { c->box.sock, POLLOUT, 0 };

	c->answer.n = 0;
	scan_result_encode(&c->answer, r);
	if (c->answer.failed)
		_exit(CAGE_EXIT_BAD); /* the scanner takes it for a death: the mail is not clean */
	while (scan_send(c->box.sock, mw_octets_of(c->answer.p, c->answer.n), NULL, 0, -1) ==
		MW_AGAIN)
		poll(&p, 1, -1);
}

static void leaves_end(struct cage *c)
{
	if (c->leaves >= 0)
		close(c->leaves);
	c->leaves = -1;
}

/* Exits when this cage should not be used again, after its answer, which says so. */
static void run_job(struct cage *c, const struct scan_order *o, struct mw_octets message)
{
	struct scan_result r = { .id = o->id };
	uint64_t cpu_us, most = mw_mono_ms() + o->most_ms;
	bool worn;

	box_cpu_limit(&c->box, c->cpu_us, c->conf->cpu_s);
	triggers_fire(message);
	c->findings.n = 0;
	work_leaves(c->work, c->leaves);
	r.status = work_run(c->work, message, o, o->until_ms < most ? o->until_ms : most,
		&c->findings, r.reason, &worn);
	r.engine = work_engine(c->work);
	leaves_end(c);
	if (c->findings.failed || c->findings.n > SCAN_FINDINGS_MAX) {
		r.status = MW_FAILED;
		mw_strlcpy(r.reason, c->findings.failed ? "no_memory" : "findings_too_long",
			sizeof(r.reason));
		r.engine = SCAN_ENGINE_NOT_ASKED; /* it is not the engine that failed */
		c->findings.n = 0;
		worn = true;
	}
	if (!box_clean(&c->box))
		mw_log(MW_DEBUG, "cage_folder_emptied", "job=%llu", (unsigned long long)o->id);
	if (r.status != MW_FAILED)
		r.findings = mw_octets_of(c->findings.p, c->findings.n);
	cpu_us = box_cpu_us();
	r.cpu_us = cpu_us - c->cpu_us;
	c->cpu_us = cpu_us;
	r.worn = worn || --c->mails_left == 0;
	answer(c, &r);
	if (r.worn)
		_exit(worn ? CAGE_EXIT_WORN : CAGE_EXIT_OLD);
}

static void refuse(struct cage *c, const struct scan_order *o, const char *why)
{
	struct scan_result r = { .id = o->id, .status = MW_FAILED };

	mw_strlcpy(r.reason, why, sizeof(r.reason));
	answer(c, &r);
}

/* One datagram from the scanner. */
static void take(struct cage *c, size_t n, int fd)
{
	struct scan_order o;
	struct mw_octets message;
	const unsigned char *map = NULL;

	if (scan_message_type(mw_octets_of(c->in, n)) == SCAN_MSG_LEAVES) {
		leaves_end(c); /* of a job that never came */
		c->leaves = fd;
		return;
	}
	if (scan_order_decode(mw_octets_of(c->in, n), &o, &message) != MW_OK)
		_exit(CAGE_EXIT_BAD);
	if (fd >= 0) {
		map = scan_map_sealed(fd, o.size);
		close(fd);
		message = mw_octets_of(map, map != NULL ? o.size : 0);
	}
	if (message.n != o.size)
		refuse(c, &o, fd >= 0 ? "cannot map the message" : "short job");
	else
		run_job(c, &o, message);
	if (map != NULL)
		munmap((void *)map, o.size);
}

/* Cages that were born together must not end together: each a little sooner, by its own number. */
static uint64_t mails_of_a_life(uint64_t most, const char *path)
{
	const char *serial = strrchr(path, '/');
	uint64_t spread = most / 4, n = serial != NULL ? strtoull(serial + 1, NULL, 10) : 0;

	if (most == 0)
		return UINT64_MAX;
	/* Knuth's multiplier scatters numbers that follow each other. */
	return most - (spread > 0 ? n * 2654435761u % (spread + 1) : 0);
}

static _Noreturn void serve(struct cage *c)
{
	for (;;) {
		size_t n = 0;
		int fd = -1;
		enum mw_rc rc = scan_recv(c->box.sock, c->in, sizeof(c->in), &n, &fd);

		if (rc == MW_AGAIN)
			continue;
		if (rc == MW_ERR_GONE)
			_exit(CAGE_EXIT_END);
		if (rc != MW_OK)
			_exit(CAGE_EXIT_BAD);
		take(c, n, fd);
	}
}

_Noreturn void cage_run(const struct scan_conf *conf, struct av *av, struct types *types,
	const char *path, int sock, int parent)
{
	struct cage *c = calloc(1, sizeof(*c));
	struct mw_err err = { "no memory" };
	enum mw_rc rc = MW_ERR_NOMEM;

	if (c != NULL) {
		c->conf = conf;
		c->leaves = -1;
		c->box.sock = sock;
		mw_strlcpy(c->box.path, path, sizeof(c->box.path));
		c->mails_left = mails_of_a_life(conf->mails, path);
		c->work = work_new(conf, av, types);
	}
	/* Relative: the cage stands in its folder, and a short path is walked faster, dozens of
	 * times a mail. */
	if (c != NULL && c->work != NULL && av_temp_dir(av, ".") == MW_OK)
		rc = box_enter(&c->box, conf, parent, &err);
	if (rc != MW_OK) {
		if (rc != MW_ERR_GONE)
			mw_log(MW_ERROR, "cage_cannot_start", "error=%s", mw_quote(err.text));
		_exit(CAGE_EXIT_BAD);
	}
	c->cpu_us = box_cpu_us();
	serve(c);
}
