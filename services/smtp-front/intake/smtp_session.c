#include "smtp_session_priv.h"

#include <stdio.h>
#include <stdlib.h>

#include "log.h"
#include "smtp_answer.h"
#include "smtp_proxy.h"
#include "smtp_tls.h"

#define HANG_UP_MS 2000	       /* a client has so long to close after our last words */
#define BARE_LF_ALERT_MS 60000 /* between two alerts of mail with bare LFs */
#define OUT_OCTETS_MAX 65536   /* replies a client has not read; more and we stop reading from it */

/* What comes now is held until something else has come. */
#define SMTP_WAITS (MW_BIT(SMTP_LISTS) | MW_BIT(SMTP_BUSY))

static void start_reading(struct smtp_session *s);
static void flush(struct smtp_session *s);

static bool waits(const struct smtp_session *s)
{
	return (MW_BIT(s->state) & SMTP_WAITS) != 0;
}

/* ------------------------------------------------------------------ life and output */

static void session_closed(void *owner)
{
	struct smtp_session *s = owner;

	intake_session_fini(&s->in);
	smtp_arena_fini(&s->words);
	mw_text_fini(&s->out);
	free(s->helo);
	free(s->held);
	free(s->writing);
	free(s);
}

static void session_end(struct smtp_session *s, const char *why)
{
	if (s->state == SMTP_GONE)
		return;
	if (s->txn != NULL)
		txn_log(s->txn, MW_INFO, "client_gone", "log_id=%s peer=%s why=%s", s->txn->log_id,
			s->in.peer_ip, why);
	s->state = SMTP_GONE;
	if (s->txn != NULL)
		txn_abandon(&s->txn);
	intake_session_end(&s->in);
}

static void session_kill(struct intake_session *in)
{
	session_end((struct smtp_session *)in, "shutdown");
}

/*
 * Our last words are written: say that there will be no more and wait for the client's end. Closing
 * at once, with octets of its unread, would reset the connection and could destroy the reply on its
 * way.
 */
static void hang_up(struct smtp_session *s)
{
	if (s->hung_up)
		return;
	s->hung_up = true;
	s->until_ms = mw_loop_now_ms(s->in.front->loop) + HANG_UP_MS;
	if (stream_shutdown(s->in.stream) != 0) {
		session_end(s, "closed");
		return;
	}
	stream_read(s->in.stream, true);
}

/* Its 220 is written. */
static void begin_tls(struct smtp_session *s)
{
	if (!smtp_tls_begin(s))
		session_end(s, "out of memory");
}

static void session_secured(void *owner, const char *failed)
{
	struct smtp_session *s = owner;

	if (failed != NULL) {
		mw_log(MW_WARN, "tls_failed", "peer=%s port=%u why=%s", s->in.peer_ip,
			s->in.peer_port, mw_quote(failed));
		s->in.front->stats.tls_in_failed++;
		session_end(s, failed);
		return;
	}
	smtp_tls_secured(s);
	flush(s);
	start_reading(s);
}

/* What was said while the client did not read. Where all of it goes at once nobody else reads on.
 */
static void flush_and_read(struct smtp_session *s)
{
	flush(s);
	if (s->writing == NULL && s->state != SMTP_TLS)
		start_reading(s);
}

static void session_written(void *owner, int status)
{
	struct smtp_session *s = owner;

	free(s->writing);
	s->writing = NULL;
	if (status < 0)
		session_end(s, stream_strerror(s->in.stream, status));
	else if (s->closing && s->out.n == 0)
		hang_up(s);
	else if (s->out.n > 0)
		flush_and_read(s);
	else if (s->state == SMTP_TLS)
		begin_tls(s);
	else
		start_reading(s);
}

/* Everything said so far in one write: a reply is never split, and a batch of commands gets one
 * answer. */
static void flush(struct smtp_session *s)
{
	uv_buf_t buf;
	int left;

	if (s->state != SMTP_GONE && s->out.failed) {
		session_end(s,
			"out of memory"); /* a reply was lost: the next one would be taken for it */
		return;
	}
	if (s->state == SMTP_GONE || s->writing != NULL || s->out.n == 0)
		return;
	buf = uv_buf_init(s->out.p, (unsigned)s->out.n);
	left = stream_write(s->in.stream, &buf, 1);
	if (left < 0) {
		session_end(s, stream_strerror(s->in.stream, left));
	} else if (left == 0) {
		mw_text_clear(&s->out);
		if (s->closing)
			hang_up(s);
		else if (s->state == SMTP_TLS)
			begin_tls(s);
	} else {
		/* The client does not read: its octets wait, and so does it. */
		stream_read(s->in.stream, false);
		s->writing = s->out.p;
		s->out = (struct mw_text){ 0 };
	}
}

/* The errors a session may have are those of its client: what comes too early or asks too much, for
 * now too. */
static void say(struct smtp_session *s, const struct smtp_refusal *r, const char *fill)
{
	size_t n = strcspn(r->text, "%");

	mw_text_addf(&s->out, "%u %s %.*s", r->code, r->enhanced, (int)n, r->text);
	if (r->text[n] == '%') {
		mw_text_add(&s->out, fill != NULL ? fill : "");
		mw_text_add(&s->out, r->text + n + 1);
	}
	mw_text_add(&s->out, "\r\n");
	s->errors += r->code / 100 >= 4;
}

void smtp_session_say(struct smtp_session *s, enum smtp_reply_id id, const char *fill)
{
	say(s, &smtp_replies[id], fill);
}

void smtp_session_refuse(struct smtp_session *s, const struct smtp_refusal *why)
{
	say(s, why, NULL);
}

void smtp_session_enter(struct smtp_session *s, enum smtp_state state)
{
	uint64_t wait = state == SMTP_PROXY ? s->in.policy->haproxy_timeout_ms
					    : s->in.policy->smtpd_timeout_ms;

	if (mw_log_wants(MW_DEBUG))
		mw_log(MW_DEBUG, "session_state", "peer=%s port=%u from=%d to=%d", s->in.peer_ip,
			s->in.peer_port, s->state, state);
	s->state = state;
	/* The transaction and DNS lists have deadlines of their own and always answer. */
	s->until_ms = waits(s) ? UINT64_MAX : mw_loop_now_ms(s->in.front->loop) + wait;
}

void smtp_session_close_with(struct smtp_session *s, enum smtp_reply_id id)
{
	smtp_session_say(s, id, NULL);
	s->closing = true;
}

static void session_dismiss(struct intake_session *in)
{
	struct smtp_session *s = (struct smtp_session *)in;

	if (s->closing || (MW_BIT(s->state) & (SMTP_COMMAND_STATES | MW_BIT(SMTP_PROXY))) == 0)
		return; /* behind our last words there are no more */
	smtp_session_drop_mail(s);
	smtp_session_close_with(s, REPLY_SHUTDOWN);
	flush(s);
}

static bool is_receiving(const struct smtp_session *s)
{
	return s->state == SMTP_DATA || s->state == SMTP_CHUNK || s->state == SMTP_CHUNKS;
}

static void session_tick(struct intake_session *in, uint64_t now_ms)
{
	struct smtp_session *s = (struct smtp_session *)in;
	uint64_t drain = s->in.front->drain_until_ms;

	if (is_receiving(s) && drain != 0 && drain < s->until_ms)
		s->until_ms = drain;
	if (now_ms < s->until_ms || s->state == SMTP_GONE)
		return;
	if (s->writing != NULL || s->closing ||
		s->state == SMTP_TLS) { /* it does not even read our last words */
		session_end(s, "timeout");
		return;
	}
	smtp_session_close_with(s, REPLY_TIMEOUT);
	s->until_ms = now_ms + SMTP_LAST_WORDS_MS;
	flush(s);
}

void smtp_session_drop_mail(struct smtp_session *s)
{
	if (s->txn != NULL)
		txn_abandon(&s->txn);
	if (s->state == SMTP_LISTS || s->state == SMTP_MAIL || s->state == SMTP_RCPT ||
		s->state == SMTP_CHUNKS)
		smtp_session_enter(s, SMTP_READY);
}

void smtp_session_forget_words(struct smtp_session *s)
{
	smtp_arena_fini(&s->words);
	s->xforward = NULL;
	s->xforwards = 0;
}

/* ------------------------------------------------------------------ octets */

static void begin_octets(struct smtp_session *s, bool chunks)
{
	smtp_data_init(&s->data);
	s->data.chunks = chunks;
	s->data.normalise = s->txn->policy->bare_newline == NEWLINE_NORMALISE;
	s->data_rc = MW_OK;
	s->too_large = false;
	s->txn->phase = TXN_DATA;
	s->txn->data_us = mw_mono_us();
	txn_state(s->txn, 'd');
}

void smtp_session_begin_data(struct smtp_session *s)
{
	begin_octets(s, false);
	smtp_session_enter(s, SMTP_DATA);
}

static enum mw_rc keep_octets(void *arg, const unsigned char *p, size_t n)
{
	struct smtp_session *s = arg;

	if (s->too_large || s->data_rc != MW_OK)
		return MW_OK; /* read on to the true end, keep nothing */
	if (smtp_body_size(s->txn->body) + n > s->txn->policy->message_size_limit)
		s->too_large = true;
	else
		s->data_rc = smtp_body_append(s->txn->body, p, n, &s->data_err);
	return MW_OK;
}

/*
 * LMTP answers for each recipient, whatever became of the mail (RFC 2033 section 4.2), but only at
 * its end: a chunk that is not the last has one answer, also when that is a refusal.
 */
static void refuse_data(struct smtp_session *s, enum smtp_reply_id id, const char *fill)
{
	bool early = s->state == SMTP_CHUNK && !s->chunk_last;
	size_t answers = s->lmtp && !early ? s->txn->rcpt_count : 1;
	unsigned errors = s->errors + 1;

	txn_log(s->txn, MW_INFO, "data_refused", "log_id=%s peer=%s code=%u why=%s", s->txn->log_id,
		s->in.peer_ip, smtp_replies[id].code, mw_quote(smtp_replies[id].text));
	txn_abandon(&s->txn);
	smtp_session_enter(s, SMTP_READY);
	while (answers-- > 0)
		smtp_session_say(s, id, fill);
	s->errors = errors;
}

/* Once a minute is enough for those who watch: each has its line in the log. */
static void tell_of_bare_lf(struct smtp_session *s)
{
	struct front *f = s->in.front;
	uint64_t now = mw_loop_now_ms(f->loop);

	f->stats.bare_lf++;
	txn_log(s->txn, MW_WARN, "bare_newline", "log_id=%s peer=%s", s->txn->log_id,
		s->in.peer_ip);
	if (f->bare_lf_told_ms != 0 && now - f->bare_lf_told_ms < BARE_LF_ALERT_MS)
		return;
	f->bare_lf_told_ms = now;
	mw_publish_alert(f->pub, "bare_newline",
		"peer=%s sends lines without <CR>; %llu mails so far", s->in.peer_ip,
		(unsigned long long)f->stats.bare_lf);
}

/* Lines that we and the next hop could see the end of in different places; true: refused. */
static bool refuse_odd_lines(struct smtp_session *s)
{
	enum policy_newline policy = s->txn->policy->bare_newline;

	if (s->data.bare_lf)
		tell_of_bare_lf(s);
	if (s->data.bare_lf && policy == NEWLINE_REJECT)
		refuse_data(s, REPLY_BARE_LF, NULL);
	else if (s->data.odd && policy != NEWLINE_PASS &&
		 smtp_data_hides_dot(smtp_body_octets(s->txn->body)))
		refuse_data(s, REPLY_HIDDEN_DOT, NULL);
	else
		return false;
	return true;
}

/* True: what came cannot be kept, and has been refused. */
static bool refuse_unkept(struct smtp_session *s)
{
	char text[24];

	if (s->too_large) {
		snprintf(text, sizeof(text), "%llu",
			(unsigned long long)s->txn->policy->message_size_limit);
		refuse_data(s, REPLY_TOO_LARGE, text);
		return true;
	}
	if (s->data_rc == MW_OK)
		return false;
	txn_log(s->txn, MW_ERROR, "data_not_kept", "log_id=%s %s", s->txn->log_id,
		s->data_err.text);
	refuse_data(s, s->data_rc == MW_ERR_LIMIT ? REPLY_HELD_FULL : REPLY_NOT_KEPT, NULL);
	return true;
}

static void end_of_data(struct smtp_session *s)
{
	smtp_session_forget_words(s);
	if (!s->too_large && s->data_rc == MW_OK)
		s->data_rc = smtp_body_seal(s->txn->body, &s->data_err);
	if (refuse_unkept(s) || refuse_odd_lines(s))
		return;
	s->txn->dots = s->data.dots;
	smtp_session_enter(s, SMTP_BUSY);
	txn_run(s->txn);
}

/* ------------------------------------------------------------------ BDAT (RFC 3030) */

static void end_of_chunk(struct smtp_session *s)
{
	char text[24];

	if (s->skipping) {
		smtp_session_enter(s, s->skip_to);
		smtp_session_say(s, s->skip_reply, NULL);
		return;
	}
	if (s->chunk_last) {
		if (!s->too_large && s->data_rc == MW_OK)
			s->data_rc = smtp_data_last(
				&s->data, smtp_body_size(s->txn->body), keep_octets, s);
		end_of_data(s);
		return;
	}
	if (refuse_unkept(s)) /* the chunks behind it are refused as out of order */
		return;
	smtp_session_enter(s, SMTP_CHUNKS);
	snprintf(text, sizeof(text), "%llu", (unsigned long long)s->chunk_octets);
	smtp_session_say(s, REPLY_CHUNK, text);
}

void smtp_session_begin_chunk(
	struct smtp_session *s, uint64_t octets, bool last, enum smtp_reply_id skip_reply)
{
	s->skipping = skip_reply != REPLY_COUNT;
	s->skip_reply = skip_reply;
	s->skip_to = s->state;
	if (!s->skipping && s->state == SMTP_RCPT)
		begin_octets(s, true);
	s->chunk_left = s->chunk_octets = octets;
	s->chunk_last = last;
	smtp_session_enter(s, SMTP_CHUNK);
	if (octets == 0)
		end_of_chunk(s);
}

/* Octets taken of those that are there. */
static size_t take_chunk(struct smtp_session *s, const unsigned char *p, size_t n)
{
	size_t used;
	enum mw_rc rc;

	if (n > s->chunk_left)
		n = (size_t)s->chunk_left;
	if (!s->skipping)
		smtp_data_feed(&s->data, p, n, &used, keep_octets, s, &rc);
	s->chunk_left -= n;
	if (s->chunk_left == 0)
		end_of_chunk(s);
	else
		s->until_ms = mw_loop_now_ms(s->in.front->loop) + s->in.policy->smtpd_timeout_ms;
	return n;
}

/* ------------------------------------------------------------------ lines */

/* Save what cannot be used now. Bounded by the read buffer: nothing is read while octets wait. */
static void hold(struct smtp_session *s, const unsigned char *p, size_t n)
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

/* One command line from p..p+n: octets used, 0 when it is not whole. */
static size_t take_line(struct smtp_session *s, const unsigned char *p, size_t n)
{
	static char line[65536 + 1]; /* smtpd_line_limit's most */
	const unsigned char *lf = memchr(p, '\n', n);
	size_t len = lf != NULL ? (size_t)(lf - p) : n, limit = s->in.front->limits.line_octets;

	if (lf == NULL && n < limit)
		return 0;
	if (len >= limit) {
		smtp_session_close_with(s, REPLY_LINE_LENGTH);
		return n;
	}
	if (len == 0 || p[len - 1] != '\r' || memchr(p, '\0', len) != NULL) {
		smtp_session_say(s, REPLY_LINE_END, NULL);
		return len + 1;
	}
	memcpy(line, p, len - 1);
	line[len - 1] = '\0';
	smtp_verbs_run(s, line);
	return len + 1;
}

static void session_input(struct smtp_session *s, const unsigned char *p, size_t n)
{
	size_t used, at = 0;
	enum mw_rc rc;

	while (at < n && !s->closing && s->state != SMTP_GONE && !waits(s) &&
		s->state != SMTP_TLS) {
		if (s->out.n >= OUT_OCTETS_MAX)
			flush(s);
		if (s->state == SMTP_GONE || s->writing != NULL)
			break; /* written() goes on with what is held */
		if (s->state == SMTP_DATA) {
			int end = smtp_data_feed(
				&s->data, p + at, n - at, &used, keep_octets, s, &rc);

			at += used;
			if (end > 0)
				end_of_data(s);
			else
				s->until_ms = mw_loop_now_ms(s->in.front->loop) +
					      s->in.policy->smtpd_timeout_ms;
		} else if (s->state == SMTP_CHUNK) {
			at += take_chunk(s, p + at, n - at);
		} else {
			used = s->state == SMTP_PROXY ? smtp_proxy_take(s, p + at, n - at)
						      : take_line(s, p + at, n - at);
			if (used == 0)
				break;
			at += used;
		}
	}
	if (s->state == SMTP_GONE)
		return;
	if (s->state == SMTP_TLS)
		smtp_tls_answer(s, n - at);
	if (s->closing)
		at = n;
	hold(s, p + at, n - at);
	flush(s);
	/* A client that goes away while its mail is at work has to be noticed, and that is told to
	 * readers only: so reading goes on until something has to be held. */
	if (waits(s) && s->held_n > 0)
		stream_read(s->in.stream, false);
}

/* Half a line came before: join, bounded by the line limit. */
static void join_held(struct smtp_session *s, const unsigned char *p, size_t n)
{
	size_t all = s->held_n + n;
	unsigned char *joined = malloc(all);

	if (joined == NULL) {
		session_end(s, "out of memory");
		return;
	}
	memcpy(joined, s->held, s->held_n);
	memcpy(joined + s->held_n, p, n);
	s->held_n = 0;
	session_input(s, joined, all);
	free(joined);
}

static void session_octets(void *owner, const unsigned char *p, size_t n)
{
	struct smtp_session *s = owner;
	struct txn *before = s->txn;
	uint64_t cpu = before != NULL ? mw_mono_us() : 0;

	if (s->hung_up)
		return;
	if (s->held_n > 0)
		join_held(s, p, n);
	else
		session_input(s, p, n);
	if (before != NULL && s->state != SMTP_GONE && s->txn == before && s->state != SMTP_BUSY)
		before->cpu_receiving_us += mw_mono_us() - cpu;
}

static void session_ended(void *owner, int status)
{
	struct smtp_session *s = owner;

	session_end(s, status == UV_EOF ? "end of file" : stream_strerror(s->in.stream, status));
}

static void start_reading(struct smtp_session *s)
{
	if (s->state == SMTP_GONE || s->closing || s->writing != NULL)
		return;
	if (s->held_n > 0 && !waits(s)) {
		char *p = s->held;
		size_t n = s->held_n;

		s->held = NULL;
		s->held_n = 0;
		session_input(s, (unsigned char *)p, n);
		free(p);
	}
	if (s->state != SMTP_GONE && !s->closing && s->writing == NULL &&
		!(waits(s) && s->held_n > 0))
		stream_read(s->in.stream, true);
}

void smtp_session_resume(struct smtp_session *s)
{
	if (s->in.front->intake->closing && !s->closing) { /* it could not be dismissed before */
		smtp_session_drop_mail(s);
		smtp_session_close_with(s, REPLY_SHUTDOWN);
	}
	flush(s);
	start_reading(s);
}

/* ------------------------------------------------------------------ the transaction's side */

/* One answer for each recipient that was accepted, in their order (RFC 2033 section 4.2). */
static void answer_each(struct smtp_session *s, const struct txn *t)
{
	for (size_t i = 0; i < t->rcpt_count - t->added_count; i++) {
		const struct txn_rcpt *r = &t->rcpts[i];

		if (r->told == NULL)
			smtp_session_say(s, REPLY_NO_ANSWER, t->log_id);
		else
			smtp_answer(&s->out, r->told);
	}
}

static bool mail_over(struct txn_client *client, const struct txn *t)
{
	struct smtp_session *s =
		(struct smtp_session *)((char *)client - offsetof(struct smtp_session, client));
	bool sent;

	if (s->state == SMTP_GONE)
		return false;
	s->txn = NULL;
	if (s->lmtp)
		answer_each(s, t);
	else
		smtp_answer(&s->out, t->reply);
	if (!s->lmtp && t->reply_code == 421)
		s->closing = true;
	smtp_session_enter(s, SMTP_READY);
	if (s->in.front->intake->closing && !s->closing) /* 421 once */
		smtp_session_close_with(s, REPLY_SHUTDOWN);
	flush(s);
	sent = s->state != SMTP_GONE;
	start_reading(s);
	return sent;
}

/* ------------------------------------------------------------------ accept */

void smtp_session_greet(struct smtp_session *s)
{
	enum smtp_reply_id no;

	smtp_session_enter(s, SMTP_START);
	no = intake_refuses(&s->in);
	if (no != REPLY_COUNT) {
		smtp_session_close_with(s, no);
		s->in.front->stats.refused++;
		s->until_ms = mw_loop_now_ms(s->in.front->loop) + SMTP_LAST_WORDS_MS;
		return;
	}
	mw_text_addf(&s->out, "220 %s\r\n", s->in.policy->greeting);
}

void smtp_session_accept(struct listener *l)
{
	static const struct intake_session_ops ops = {
		.tick = session_tick,
		.dismiss = session_dismiss,
		.kill = session_kill,
	};
	static const struct stream_ops stream_ops = {
		.octets = session_octets,
		.ended = session_ended,
		.secured = session_secured,
		.written = session_written,
		.closed = session_closed,
	};
	struct smtp_session *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return; /* the connection stays in the backlog */
	if (!intake_session_begin(&s->in, &ops, l, &stream_ops)) {
		free(s);
		return;
	}
	if (s->in.stream == NULL) {
		s->state = SMTP_GONE;
		return;
	}
	s->client.over = mail_over;
	if (s->in.policy->haproxy)
		smtp_proxy_begin(s);
	else
		smtp_session_greet(s);
	flush(s);
	start_reading(s);
}
