#include "spam_check.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "address.h"
#include "log.h"
#include "spamd.h"

#define RETRY_MS 200 /* before the second try when nobody listened */
#define TRIES_MAX 2
#define PIECES_MAX (2 + SPAMD_PIECES_MAX) /* request head, synthesised fields, message */
#define RESERVE_MS 50			  /* of the job's time, for the verdict to get back */

struct spam {
	struct mw_loop *loop;
	struct address to; /* nowhere: off */
	unsigned slots;
	uint64_t timeout_ms, body_limit;
	char name[200]; /* for the log */
	bool was_down;
	struct ask *asks; /* at work */
	uint64_t mails, failed;
};

/* One question to spamd. */
struct ask {
	struct spam *spam;
	struct mw_ticket *ticket;
	int fd;
	struct mw_fd *watch;
	struct mw_timer *timer; /* the time limit, or the wait before the second try */
	uint64_t until_ms;
	unsigned tries;
	bool connected, waiting, truncated;
	char head[96];
	struct mw_octets pieces[PIECES_MAX];
	size_t piece_count, piece; /* being sent: pieces[piece] on */
	size_t sent;		   /* octets of that piece */
	struct spamd_reply reply;
	struct ask *next, **prev_p;
};

/* ------------------------------------------------------------------ settings */

static enum mw_rc configure(struct spam *s, const struct mw_conf *conf, struct mw_err *err)
{
	const char *text = mw_conf_text(conf, "scanner.spamd");
	struct spam fresh = { .loop = s->loop,
		.asks = s->asks,
		.was_down = s->was_down,
		.mails = s->mails,
		.failed = s->failed };
	enum mw_rc rc = MW_OK;

	if (text != NULL && text[0] != '\0')
		rc = address_parse(&fresh.to, text, "scanner.spamd", err);
	if (rc != MW_OK)
		return rc;
	mw_strlcpy(fresh.name, text != NULL ? text : "", sizeof(fresh.name));
	fresh.slots = fresh.to.n != 0 ? (unsigned)mw_conf_int(conf, "scanner.spamd_slots") : 0;
	fresh.timeout_ms = (uint64_t)mw_conf_int(conf, "scanner.spamd_timeout");
	fresh.body_limit = (uint64_t)mw_conf_int(conf, "sa_mail_body_size_limit");
	*s = fresh;
	return MW_OK;
}

/* ------------------------------------------------------------------ one question */

static void ask_disconnect(struct ask *a)
{
	mw_fd_destroy(&a->watch);
	if (a->fd >= 0)
		close(a->fd);
	a->fd = -1;
}

static void ask_free(struct ask *a)
{
	ask_disconnect(a);
	mw_timer_destroy(&a->timer);
	spamd_reply_fini(&a->reply);
	*a->prev_p = a->next;
	if (a->next != NULL)
		a->next->prev_p = a->prev_p;
	free(a);
}

/* spamd away and back is worth a line each; every mail in between is not. */
static void tell_state(struct spam *s, bool down, const char *why)
{
	if (down == s->was_down)
		return;
	s->was_down = down;
	if (down)
		mw_log(MW_WARN, "spamd_down", "address=%s why=%s", s->name, mw_quote(why));
	else
		mw_log(MW_INFO, "spamd_up", "address=%s", s->name);
}

static void ask_fail(struct ask *a, const char *why)
{
	struct mw_ticket *ticket = a->ticket;
	char reason[MW_REASON_MAX];

	mw_strlcpy(reason, why, sizeof(reason));
	tell_state(a->spam, true, reason);
	a->spam->mails++;
	a->spam->failed++;
	ask_free(a);
	mw_worker_failed(ticket, reason);
}

static void pack_findings(struct mw_pack *b, const struct ask *a, const struct spamd_result *v)
{
	char engine[48];

	snprintf(engine, sizeof(engine), "SpamAssassin, spamd protocol %s", v->version);
	mw_pack_map(b, 7);
	mw_pack_kv_int(b, "score_milli", v->score_milli);
	mw_pack_kv_int(b, "required_milli", v->required_milli);
	mw_pack_text(b, "tests");
	mw_pack_array(b, v->test_count);
	for (size_t i = 0; i < v->test_count; i++) {
		mw_pack_array(b, 2);
		mw_pack_text(b, v->tests[i].name);
		mw_pack_int(b, v->tests[i].milli);
	}
	mw_pack_kv_text(b, "autolearn", ""); /* REPORT does not tell */
	mw_pack_kv_text(b, "engine", engine);
	mw_pack_kv_bool(b, "truncated", a->truncated);
	mw_pack_kv_octets(b, "report", mw_octets_of(v->report, v->report_n));
}

/* The reply is whole, or the connection closed. */
static void ask_finish(struct ask *a)
{
	static struct spamd_result result; /* 25 KiB; one thread */
	struct mw_err why = { "" };
	struct mw_verdict v = { .status = MW_DONE };
	struct mw_ticket *ticket = a->ticket;
	struct mw_pack b;

	if (spamd_reply_read(&a->reply, &result, &why) != MW_OK) {
		ask_fail(a, why.text);
		return;
	}
	mw_pack_init(&b);
	pack_findings(&b, a, &result);
	tell_state(a->spam, false, "");
	a->spam->mails++;
	ask_free(a);
	v.findings = mw_octets_of(b.p, b.n);
	if (b.failed)
		mw_worker_failed(ticket, "no_memory");
	else
		mw_worker_done(ticket, &v);
	mw_pack_fini(&b);
}

static void ask_connect(struct ask *a);

/* Nobody listened: once more in a moment, spamd may be starting again. */
static void ask_refused(struct ask *a, int error)
{
	char why[96];

	snprintf(why, sizeof(why), "spamd: %s", strerror(error));
	ask_disconnect(a);
	if (++a->tries >= TRIES_MAX || mw_mono_ms() + RETRY_MS >= a->until_ms) {
		ask_fail(a, why);
		return;
	}
	a->waiting = true;
	mw_timer_start(a->timer, RETRY_MS, 0);
}

static void ask_receive(struct ask *a)
{
	char buf[16384];
	ssize_t n = recv(a->fd, buf, sizeof(buf), 0);
	int taken;

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n < 0 && a->reply.n == 0) {
		ask_fail(a, "spamd: connection reset");
		return;
	}
	if (n <= 0) {
		ask_finish(a);
		return;
	}
	taken = spamd_reply_take(&a->reply, buf, (size_t)n);
	if (taken < 0)
		ask_fail(a, "spamd: reply too long or not text");
	else if (taken > 0)
		ask_finish(a);
}

/* Send what the socket takes. MW_OK: all is out; MW_AGAIN; MW_ERR_GONE. */
static enum mw_rc ask_send(struct ask *a)
{
	while (a->piece < a->piece_count) {
		struct iovec v[PIECES_MAX];
		struct msghdr m = { .msg_iov = v };
		ssize_t n;

		for (size_t i = a->piece; i < a->piece_count; i++) {
			size_t skip = i == a->piece ? a->sent : 0;

			v[m.msg_iovlen++] = (struct iovec){ (void *)(a->pieces[i].p + skip),
				a->pieces[i].n - skip };
		}
		n = sendmsg(a->fd, &m, MSG_NOSIGNAL);
		if (n < 0)
			return errno == EAGAIN || errno == EINTR ? MW_AGAIN : MW_ERR_GONE;
		for (a->sent += (size_t)n;
			a->piece < a->piece_count && a->sent >= a->pieces[a->piece].n; a->piece++)
			a->sent -= a->pieces[a->piece].n;
	}
	return MW_OK;
}

static void ask_ready(void *arg, int events)
{
	struct ask *a = arg;
	enum mw_rc rc;

	if (!a->connected) {
		int error = address_error(a->fd);

		if (error != 0) {
			ask_refused(a, error);
			return;
		}
		a->connected = true;
		mw_worker_phase(a->ticket, "spamd");
	}
	rc = ask_send(a);
	if (rc == MW_AGAIN) {
		mw_fd_watch(a->watch, MW_WRITABLE | MW_READABLE);
	} else {
		if (rc == MW_OK && a->watch != NULL)
			shutdown(a->fd, SHUT_WR);
		mw_fd_watch(a->watch, MW_READABLE);
	}
	/* A spamd that closes early may have said why: its words are read even when ours did not
	 * all go out. */
	if ((events & MW_READABLE) != 0 || rc == MW_ERR_GONE)
		ask_receive(a);
}

static void ask_connect(struct ask *a)
{
	struct spam *s = a->spam;
	int error;

	a->waiting = a->connected = false;
	a->piece = a->sent = 0;
	a->reply.n = 0;
	mw_timer_start(a->timer, a->until_ms > mw_mono_ms() ? a->until_ms - mw_mono_ms() : 1, 0);
	switch (address_connect(&s->to, &a->fd, &error)) {
	case MW_OK:
		break;
	case MW_ERR_GONE:
		ask_refused(a, error);
		return;
	default:
		ask_fail(a, "spamd: no descriptor");
		return;
	}
	a->watch = mw_fd_new(s->loop, a->fd, ask_ready, a);
	mw_fd_watch(a->watch, MW_WRITABLE);
}

static void ask_timer(void *arg)
{
	struct ask *a = arg;

	if (a->waiting)
		ask_connect(a);
	else
		ask_fail(a, "spamd: timeout");
}

/* ------------------------------------------------------------------ the check */

/* Request head, synthesised fields, then the message or what of it is given. */
static void ask_fill(struct ask *a, const struct mw_job *job)
{
	struct mw_octets headers = mw_map_octets(job->orders, "headers");
	uint64_t octets = headers.n;
	size_t n = 0;

	a->truncated =
		spamd_cut(job->parts, job->part_count, a->spam->body_limit, a->pieces + 2, &n);
	for (size_t i = 0; i < n; i++)
		octets += a->pieces[2 + i].n;
	a->pieces[0] = mw_octets_of(a->head, spamd_request_head(a->head, sizeof(a->head), octets));
	a->pieces[1] = headers;
	a->piece_count = 2 + n;
}

static enum mw_rc spam_start(void *state, const struct mw_job *job, struct mw_ticket *ticket)
{
	struct spam *s = state;
	uint64_t now = mw_mono_ms(), left = job->deadline_ms > now ? job->deadline_ms - now : 0;
	struct ask *a;

	if (s->to.n == 0)
		return MW_ERR_UNKNOWN_KIND;
	a = calloc(1, sizeof(*a));
	if (a == NULL)
		return MW_ERR_NOMEM;
	a->spam = s;
	a->ticket = ticket;
	a->fd = -1;
	a->timer = mw_timer_new(s->loop, ask_timer, a);
	left = left > RESERVE_MS ? left - RESERVE_MS : 1;
	a->until_ms = now + (left < s->timeout_ms ? left : s->timeout_ms);
	a->prev_p = &s->asks;
	a->next = s->asks;
	if (a->next != NULL)
		a->next->prev_p = &a->next;
	s->asks = a;
	ticket->user = a;
	ask_fill(a, job);
	mw_worker_phase(ticket, "connect");
	ask_connect(a);
	return MW_OK;
}

static void spam_cancel(void *state, struct mw_ticket *ticket)
{
	(void)state;
	ask_free(ticket->user);
}

static enum mw_rc spam_open(
	void **state_r, struct mw_loop *loop, const struct mw_conf *conf, struct mw_err *err)
{
	struct spam *s = calloc(1, sizeof(*s));

	*state_r = s;
	if (s == NULL)
		return mw_fail(err, MW_ERR_NOMEM, "no memory");
	s->loop = loop;
	return configure(s, conf, err);
}

static enum mw_rc spam_reload(void *state, const struct mw_conf *conf, struct mw_err *err)
{
	return configure(state, conf, err);
}

static unsigned spam_slots(const void *state)
{
	return ((const struct spam *)state)->slots;
}

static void spam_close(void **state_p)
{
	struct spam *s = *state_p;

	*state_p = NULL;
	if (s == NULL)
		return;
	while (s->asks != NULL)
		ask_free(s->asks);
	free(s);
}

static void spam_down(const void *state, struct mw_down *down)
{
	const struct spam *s = state;

	if (s->to.n != 0 && s->was_down)
		mw_down_add(down, "spamd");
}

static enum mw_rc spam_inspect(
	const struct mw_conf *conf, struct mw_text *warnings, struct mw_err *err)
{
	struct spam s = { 0 };

	(void)warnings;
	return configure(&s, conf, err);
}

static void spam_metrics(const void *state, struct mw_text *out)
{
	const struct spam *s = state;

	if (s->to.n == 0)
		return;
	mw_text_addf(out, "mailweir_spamd_up %d\n", !s->was_down);
	mw_text_addf(out,
		"mailweir_spamd_mails_total %llu\nmailweir_spamd_mails_failed_total %llu\n",
		(unsigned long long)s->mails, (unsigned long long)s->failed);
}

const struct mw_check spam_check = {
	.kind = "spam",
	.slots_of = spam_slots,
	.open = spam_open,
	.start = spam_start,
	.cancel = spam_cancel,
	.reload = spam_reload,
	.close = spam_close,
	.down = spam_down,
	.inspect = spam_inspect,
	.metrics = spam_metrics,
};
