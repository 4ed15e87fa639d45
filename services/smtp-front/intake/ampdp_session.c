#include "ampdp_session_priv.h"

#include <stdio.h>
#include <stdlib.h>

#include "ampdp_answer.h"
#include "log.h"
#include "outcome/quarantine_stored.h"

#define HANG_UP_MS 2000	    /* a client has so long to close after our last words */
#define LAST_WORDS_MS 10000 /* and so long to read them */

static void start_reading(struct ampdp_session *s);
static void flush(struct ampdp_session *s);

/* ------------------------------------------------------------------ life and output */

static void session_closed(void *owner)
{
	struct ampdp_session *s = owner;

	intake_session_fini(&s->in);
	ampdp_reader_fini(&s->reader);
	ampdp_request_fini(&s->request);
	mw_text_fini(&s->out);
	free(s->held);
	free(s->writing);
	free(s);
}

/* Nothing of the request is left; where it ended, its folder does, too. */
static void drop_request(struct ampdp_session *s)
{
	mail_file_forget(&s->loading);
	if (s->txn != NULL)
		txn_abandon(&s->txn);
	stored_forget(&s->stored);
	ampdp_release_clean_up(s);
	ampdp_check_clean_up(s);
	ampdp_request_fini(&s->request);
}

static void session_end(struct ampdp_session *s, const char *why)
{
	if (s->state == AMPDP_GONE)
		return;
	if (s->txn != NULL)
		txn_log(s->txn, MW_INFO, "client_gone", "log_id=%s peer=%s why=%s", s->txn->log_id,
			s->in.peer_ip, why);
	s->state = AMPDP_GONE;
	drop_request(s);
	intake_session_end(&s->in);
}

static void session_kill(struct intake_session *in)
{
	session_end((struct ampdp_session *)in, "shutdown");
}

static uint64_t in_ms(const struct ampdp_session *s, uint64_t ms)
{
	return mw_loop_now_ms(s->in.front->loop) + ms;
}

/* As at the end of an SMTP session: closing with octets unread would destroy our last words. */
static void hang_up(struct ampdp_session *s)
{
	if (s->hung_up)
		return;
	s->hung_up = true;
	s->until_ms = in_ms(s, HANG_UP_MS);
	if (stream_shutdown(s->in.stream) != 0) {
		session_end(s, "closed");
		return;
	}
	stream_read(s->in.stream, true);
}

static void session_written(void *owner, int status)
{
	struct ampdp_session *s = owner;

	free(s->writing);
	s->writing = NULL;
	if (status < 0)
		session_end(s, uv_strerror(status));
	else if (s->out.n > 0)
		flush(s);
	else if (s->closing)
		hang_up(s);
	else
		start_reading(s);
}

static void flush(struct ampdp_session *s)
{
	uv_buf_t buf;
	int left;

	if (s->state != AMPDP_GONE && s->out.failed) {
		session_end(s, "out of memory");
		return;
	}
	if (s->state == AMPDP_GONE || s->writing != NULL || s->out.n == 0)
		return;
	buf = uv_buf_init(s->out.p, (unsigned)s->out.n);
	left = stream_write(s->in.stream, &buf, 1);
	if (left < 0) {
		session_end(s, uv_strerror(left));
	} else if (left == 0) {
		mw_text_clear(&s->out);
		if (s->closing)
			hang_up(s);
	} else {
		stream_read(s->in.stream, false);
		s->writing = s->out.p;
		s->out = (struct mw_text){ 0 };
	}
}

static void enter(struct ampdp_session *s, enum ampdp_state state)
{
	s->state = state;
	/* A transaction has a deadline of its own and always answers. */
	s->until_ms = state == AMPDP_BUSY ? UINT64_MAX
		      : state == AMPDP_LOADING || state == AMPDP_ASKING
			      ? in_ms(s, s->in.policy->child_timeout_ms)
			      : in_ms(s, s->in.policy->smtpd_timeout_ms);
}

void ampdp_session_load(struct ampdp_session *s, const struct mail_file_want *want,
	void (*done)(void *arg, struct mail_file_got *got))
{
	enter(s, AMPDP_LOADING);
	s->loading = mail_file_load(s->in.front, want, done, s);
	if (s->loading == NULL)
		ampdp_session_refuse(s, 451, "4.3.0", "out of memory");
}

void ampdp_session_ask(struct ampdp_session *s)
{
	enter(s, AMPDP_ASKING);
}

void ampdp_session_run(struct ampdp_session *s)
{
	enter(s, AMPDP_BUSY);
}

void ampdp_session_answered(struct ampdp_session *s)
{
	bool was_busy = s->state != AMPDP_READING;

	drop_request(s);
	enter(s, AMPDP_READING);
	if (s->in.front->intake->closing || s->requests >= s->in.front->limits.commands)
		s->closing = true;
	if (!was_busy)
		return; /* session_input goes on by itself */
	flush(s);
	start_reading(s);
}

void ampdp_session_refuse(
	struct ampdp_session *s, unsigned code, const char *enhanced, const char *text)
{
	const char *log_id = s->txn != NULL ? s->txn->log_id : NULL;

	mw_log_as(&(s->txn != NULL ? s->txn->policy : s->in.policy)->voice, MW_INFO,
		"ampdp_refused", "log_id=%s peer=%s code=%u why=%s", log_id != NULL ? log_id : "-",
		s->in.peer_ip, code, mw_quote(text));
	ampdp_answer_failure(&s->out, log_id, code, enhanced, text);
	ampdp_session_answered(s);
}

static void session_dismiss(struct intake_session *in)
{
	struct ampdp_session *s = (struct ampdp_session *)in;

	if (s->state != AMPDP_READING || s->closing)
		return;
	/* Between two requests nothing is asked, so nothing is to be said. */
	if (ampdp_reader_is_inside(&s->reader))
		ampdp_answer_failure(&s->out, NULL, 421, "4.3.2", "service is shutting down");
	s->closing = true;
	if (s->out.n == 0 && s->writing == NULL)
		hang_up(s);
	else
		flush(s);
}

static void session_tick(struct intake_session *in, uint64_t now_ms)
{
	struct ampdp_session *s = (struct ampdp_session *)in;

	if (now_ms < s->until_ms || s->state == AMPDP_GONE)
		return;
	if (s->writing != NULL || s->closing) {
		session_end(s, "timeout");
	} else if (s->state == AMPDP_LOADING || s->state == AMPDP_ASKING) {
		ampdp_session_refuse(s, 451, "4.3.0", "the mail file could not be read in time");
	} else if (ampdp_reader_is_inside(&s->reader)) {
		ampdp_answer_failure(&s->out, NULL, 421, "4.4.2", "timeout exceeded");
		s->closing = true;
		s->until_ms = now_ms + LAST_WORDS_MS;
		flush(s);
	} else {
		session_end(s, "timeout");
	}
}

/* ------------------------------------------------------------------ requests */

/* Early no, as at MAIL of SMTP. */
static bool is_too_busy(struct ampdp_session *s)
{
	struct front *f = s->in.front;
	const char *kind = dispatch_full(f->dispatch);
	char text[128];

	if (kind != NULL) {
		snprintf(text, sizeof(text),
			"too many %s jobs are waiting (checks.queue_limit), try again later", kind);
		ampdp_session_refuse(s, 451, "4.3.2", text);
		return true;
	}
	if (smtp_body_pool_is_full(&f->bodies)) {
		ampdp_session_refuse(
			s, 452, "4.3.1", "mails in flight fill front.held_octets, try again later");
		return true;
	}
	return false;
}

static void run_request(struct ampdp_session *s)
{
	static const struct {
		const char *name;
		void (*run)(struct ampdp_session *s);
	} kinds[] = {
		{ "AM.PDP", ampdp_check },
		{ "release", ampdp_release },
		{ "requeue", ampdp_release },
		{ "report", ampdp_release },
		{ "stored", ampdp_stored },
	};
	const char *name = s->request.request;

	s->requests++;
	/* What a request begins runs under the settings of now, however old the session is. */
	intake_session_refresh(&s->in);
	if (name == NULL) {
		ampdp_session_refuse(s, 450, "4.5.0", "the request names no request=");
		return;
	}
	for (size_t i = 0; i < MW_COUNT(kinds); i++)
		if (strcmp(kinds[i].name, name) == 0) {
			if (!is_too_busy(s))
				kinds[i].run(s);
			return;
		}
	ampdp_session_refuse(s, 450, "4.5.0", "this request= is not served");
}

static void refuse_octets(struct ampdp_session *s, const char *why)
{
	mw_log(MW_WARN, "ampdp_bad_request", "peer=%s why=%s", s->in.peer_ip, why);
	ampdp_answer_failure(&s->out, NULL, 450, "4.5.0", why);
	s->closing = true;
	s->until_ms = in_ms(s, LAST_WORDS_MS);
}

/* ------------------------------------------------------------------ octets */

/* Save what came behind a request that is not answered yet. Bounded by the read buffer: nothing is
 * read while octets wait. */
static void hold(struct ampdp_session *s, const char *p, size_t n)
{
	char *copy = NULL;

	if (n > 0) {
		copy = malloc(n);
		if (copy == NULL) {
			session_end(s, "out of memory");
			return;
		}
		memcpy(copy, p, n);
	}
	free(s->held);
	s->held = copy;
	s->held_n = n;
}

static void session_input(struct ampdp_session *s, const char *p, size_t n)
{
	size_t at = 0, used;

	while (at < n && !s->closing && s->state == AMPDP_READING && s->writing == NULL) {
		const char *why;
		int end = ampdp_feed(
			&s->reader, p + at, n - at, &used, ampdp_request_take, &s->request, &why);

		at += used;
		if (end < 0)
			refuse_octets(s, why);
		else if (end > 0)
			run_request(s);
		else
			s->until_ms = in_ms(s, s->in.policy->smtpd_timeout_ms);
		if (s->state == AMPDP_READING)
			flush(s);
	}
	if (s->state == AMPDP_GONE)
		return;
	if (s->closing)
		at = n;
	hold(s, p + at, n - at);
	flush(s);
	/* A client that goes away while its mail is at work has to be noticed, and that is told to
	 * readers only: so reading goes on until something has to be held. */
	if (s->state != AMPDP_GONE && s->held_n > 0)
		stream_read(s->in.stream, false);
}

static void session_octets(void *owner, const unsigned char *p, size_t n)
{
	struct ampdp_session *s = owner;

	if (s->hung_up)
		return;
	session_input(s, (const char *)p, n);
}

static void session_ended(void *owner, int status)
{
	session_end(owner, status == UV_EOF ? "end of file" : uv_strerror(status));
}

static void start_reading(struct ampdp_session *s)
{
	if (s->state == AMPDP_GONE || s->closing || s->writing != NULL)
		return;
	if (s->held_n > 0 && s->state == AMPDP_READING) {
		char *p = s->held;
		size_t n = s->held_n;

		s->held = NULL;
		s->held_n = 0;
		session_input(s, p, n);
		free(p);
	}
	if (s->state != AMPDP_GONE && !s->closing && s->writing == NULL && s->held_n == 0)
		stream_read(s->in.stream, true);
}

/* ------------------------------------------------------------------ the transaction's side */

static bool mail_over(struct txn_client *client, const struct txn *t)
{
	struct ampdp_session *s =
		(struct ampdp_session *)((char *)client - offsetof(struct ampdp_session, client));
	struct txn *own = s->txn;

	(void)t;
	if (s->state == AMPDP_GONE)
		return false;
	s->txn = NULL;
	s->over(s, own);
	ampdp_session_answered(s);
	return s->state != AMPDP_GONE;
}

/* ------------------------------------------------------------------ accept */

/* There is no greeting to refuse in: it is the answer to whatever comes. Never reject: the mail is
 * not to blame. */
static void refuse_client(struct ampdp_session *s, enum smtp_reply_id id)
{
	const struct smtp_refusal *no = &smtp_replies[id];
	const char *enhanced = no->code / 100 == 4 ? no->enhanced : "4.7.1";

	ampdp_answer_failure(
		&s->out, NULL, no->code / 100 == 4 ? no->code : 450, enhanced, no->text);
	s->closing = true;
	s->in.front->stats.refused++;
	s->until_ms = in_ms(s, LAST_WORDS_MS);
}

void ampdp_session_accept(struct listener *l)
{
	static const struct intake_session_ops ops = {
		.tick = session_tick,
		.dismiss = session_dismiss,
		.kill = session_kill,
	};
	static const struct stream_ops stream_ops = {
		.octets = session_octets,
		.ended = session_ended,
		.written = session_written,
		.closed = session_closed,
	};
	struct ampdp_session *s = calloc(1, sizeof(*s));
	enum smtp_reply_id no;

	if (s == NULL)
		return; /* the connection stays in the backlog */
	if (!intake_session_begin(&s->in, &ops, l, &stream_ops)) {
		free(s);
		return;
	}
	if (s->in.stream == NULL) {
		s->state = AMPDP_GONE;
		return;
	}
	s->client.over = mail_over;
	enter(s, AMPDP_READING);
	no = intake_refuses(&s->in);
	if (no != REPLY_COUNT)
		refuse_client(s, no);
	flush(s);
	start_reading(s);
}
