#include "smtp_session.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "log.h"
#include "smtp_answer.h"
#include "smtp_data.h"
#include "transaction.h"

#define READ_OCTETS                                                                                \
	65536 /* one buffer for all: what is read is used up, or saved, before the next read */
#define HANG_UP_MS 2000	     /* a client has so long to close after our last words */
#define XFORWARDS_MAX 16     /* commands for one mail; seven attributes fit one or two */
#define OUT_OCTETS_MAX 65536 /* replies a client has not read; more and we stop reading from it */

enum smtp_state {
	SMTP_START, /* greeting sent */
	SMTP_READY, /* HELO or EHLO said */
	SMTP_MAIL,
	SMTP_RCPT,
	SMTP_DATA, /* octets until the final dot */
	SMTP_BUSY, /* the transaction runs; what comes meanwhile waits */
	SMTP_GONE
};
#define SMTP_COMMAND_STATES                                                                        \
	(MW_BIT(SMTP_START) | MW_BIT(SMTP_READY) | MW_BIT(SMTP_MAIL) | MW_BIT(SMTP_RCPT))
#define SMTP_GREETED (MW_BIT(SMTP_READY) | MW_BIT(SMTP_MAIL) | MW_BIT(SMTP_RCPT))

struct smtp_session {
	struct front *front;
	struct smtp_session *next, **prev_p;
	uv_tcp_t tcp;
	uv_write_t write;
	uv_shutdown_t shutdown;
	char *writing; /* octets libuv still writes, NULL: none */
	enum smtp_state state;
	bool esmtp, closing, hung_up, reading;
	char peer_ip[MW_IP_TEXT_MAX], local_ip[MW_IP_TEXT_MAX];
	uint16_t peer_port, local_port;
	char bound_ip[64]; /* the listener's, which names the bank */
	unsigned bound_port;
	struct policy_set *set; /* as of the last MAIL, or the session's start */
	const struct policy *policy;
	char *helo;
	struct smtp_arena words; /* XFORWARD of the next mail */
	struct smtp_xforward *xforward;
	unsigned xforwards;
	struct txn *txn;
	struct smtp_data data;
	enum mw_rc data_rc; /* why the mail cannot be kept: its octets are read and dropped */
	bool too_large;
	struct mw_err data_err;
	char *held; /* octets that came too early: half a line, or commands behind a busy mail */
	size_t held_n;
	struct mw_text out;
	unsigned errors, commands;
	uint64_t until_ms;
};

static void session_input(struct smtp_session *s, const unsigned char *p, size_t n);
static void start_reading(struct smtp_session *s);
static void drop_mail(struct smtp_session *s);
static void flush(struct smtp_session *s);
static void give_buffer(uv_handle_t *h, size_t hint, uv_buf_t *buf);
static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf);

struct smtp_session *smtp_session_next(const struct smtp_session *s)
{
	return s->next;
}

/* ------------------------------------------------------------------ life and output */

static void session_closed(uv_handle_t *h)
{
	struct smtp_session *s = h->data;

	policy_set_unref(&s->set);
	smtp_arena_fini(&s->words);
	mw_text_fini(&s->out);
	free(s->helo);
	free(s->held);
	free(s->writing);
	free(s);
}

static void session_end(struct smtp_session *s, const char *why)
{
	struct front *f = s->front;

	if (s->state == SMTP_GONE)
		return;
	if (s->txn != NULL)
		mw_log(MW_INFO, "client_gone", "log_id=%s peer=%s why=%s", s->txn->log_id,
			s->peer_ip, why);
	s->state = SMTP_GONE;
	if (s->txn != NULL)
		txn_abandon(&s->txn);
	*s->prev_p = s->next;
	if (s->next != NULL)
		s->next->prev_p = s->prev_p;
	f->listeners->session_count--;
	uv_close((uv_handle_t *)&s->tcp, session_closed);
}

void smtp_session_kill(struct smtp_session *s)
{
	session_end(s, "shutdown");
}

static void said_all(uv_shutdown_t *req, int status)
{
	(void)req;
	(void)status; /* the end comes with the client's, or with the tick */
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
	s->until_ms = mw_loop_now_ms(s->front->loop) + HANG_UP_MS;
	if (uv_shutdown(&s->shutdown, (uv_stream_t *)&s->tcp, said_all) != 0) {
		session_end(s, "closed");
		return;
	}
	if (!s->reading)
		uv_read_start((uv_stream_t *)&s->tcp, give_buffer, on_read);
}

static void written(uv_write_t *req, int status)
{
	struct smtp_session *s = req->data;

	free(s->writing);
	s->writing = NULL;
	if (s->state == SMTP_GONE)
		return;
	if (status < 0)
		session_end(s, uv_strerror(status));
	else if (s->closing && s->out.n == 0)
		hang_up(s);
	else if (s->out.n > 0)
		flush(s);
	else
		start_reading(s);
}

/* Everything said so far in one write: a reply is never split, and a batch of commands gets one
 * answer. */
static void flush(struct smtp_session *s)
{
	uv_buf_t buf;
	int done;

	if (s->state != SMTP_GONE && s->out.failed) {
		session_end(s,
			"out of memory"); /* a reply was lost: the next one would be taken for it */
		return;
	}
	if (s->state == SMTP_GONE || s->writing != NULL || s->out.n == 0)
		return;
	buf = uv_buf_init(s->out.p, (unsigned)s->out.n);
	done = uv_try_write((uv_stream_t *)&s->tcp, &buf, 1);
	if (done < 0 && done != UV_EAGAIN) {
		session_end(s, uv_strerror(done));
		return;
	}
	if (done >= 0 && (size_t)done == s->out.n) {
		mw_text_clear(&s->out);
		if (s->closing)
			hang_up(s);
		return;
	}
	/* The client does not read: its octets wait, and so does it. */
	uv_read_stop((uv_stream_t *)&s->tcp);
	s->reading = false;
	s->writing = s->out.p;
	buf = uv_buf_init(s->out.p + (done > 0 ? done : 0),
		(unsigned)(s->out.n - (size_t)(done > 0 ? done : 0)));
	s->out = (struct mw_text){ 0 };
	s->write.data = s;
	if (uv_write(&s->write, (uv_stream_t *)&s->tcp, &buf, 1, written) != 0)
		session_end(s, "write failed");
}

static void reply(struct smtp_session *s, unsigned code, const char *enhanced, const char *text)
{
	mw_text_addf(&s->out, "%u %s %s\r\n", code, enhanced, text);
	s->errors += code / 100 >= 4; /* refusals for now too: none may be had without end */
}

/* The one place where a state is entered: its deadline with it. */
static void enter(struct smtp_session *s, enum smtp_state state)
{
	uint64_t wait = s->policy->smtpd_timeout_ms;

	if (mw_log_wants(MW_DEBUG))
		mw_log(MW_DEBUG, "session_state", "peer=%s port=%u from=%d to=%d", s->peer_ip,
			s->peer_port, s->state, state);
	s->state = state;
	/* The transaction has a deadline of its own and always replies. */
	s->until_ms = state == SMTP_BUSY ? UINT64_MAX : mw_loop_now_ms(s->front->loop) + wait;
}

static void close_with(
	struct smtp_session *s, unsigned code, const char *enhanced, const char *text)
{
	reply(s, code, enhanced, text);
	s->closing = true;
}

bool smtp_session_dismiss(struct smtp_session *s)
{
	if ((MW_BIT(s->state) & SMTP_COMMAND_STATES) == 0)
		return false;
	drop_mail(s);
	close_with(s, 421, "4.3.2", "service is shutting down");
	flush(s);
	return true;
}

void smtp_session_tick(struct smtp_session *s, uint64_t now_ms)
{
	uint64_t drain = s->front->drain_until_ms;

	if (s->state == SMTP_DATA && drain != 0 && drain < s->until_ms)
		s->until_ms = drain;
	if (now_ms < s->until_ms || s->state == SMTP_GONE)
		return;
	if (s->writing != NULL || s->closing) { /* it does not even read our last words */
		session_end(s, "timeout");
		return;
	}
	close_with(s, 421, "4.4.2", "timeout exceeded");
	s->until_ms = now_ms + 10000;
	flush(s);
}

/* ------------------------------------------------------------------ verbs */

static void drop_mail(struct smtp_session *s)
{
	if (s->txn != NULL)
		txn_abandon(&s->txn);
	if (s->state == SMTP_MAIL || s->state == SMTP_RCPT)
		enter(s, SMTP_READY);
}

static void forget_words(struct smtp_session *s)
{
	smtp_arena_fini(&s->words);
	s->xforward = NULL;
	s->xforwards = 0;
}

static void hello(struct smtp_session *s, const char *args, bool esmtp)
{
	size_t n = strcspn(args, " ");

	if (n == 0 || n > 255 || !mw_is_printable(args, n)) {
		reply(s, 501, "5.5.4", "syntax: EHLO hostname");
		return;
	}
	drop_mail(s);
	forget_words(s);
	free(s->helo);
	s->helo = strndup(args, n);
	if (s->helo == NULL) {
		close_with(s, 421, "4.3.0", "out of memory");
		return;
	}
	s->esmtp = esmtp;
	enter(s, SMTP_READY);
	if (!esmtp) {
		mw_text_addf(&s->out, "250 %s\r\n", s->policy->localhost_name);
		return;
	}
	mw_text_addf(&s->out,
		"250-%s\r\n250-PIPELINING\r\n250-SIZE "
		"%llu\r\n250-ENHANCEDSTATUSCODES\r\n250-8BITMIME\r\n"
		"250 XFORWARD NAME ADDR PORT PROTO HELO IDENT SOURCE\r\n",
		s->policy->localhost_name, (unsigned long long)s->policy->message_size_limit);
}

static void verb_ehlo(struct smtp_session *s, const char *args)
{
	hello(s, args, true);
}

static void verb_helo(struct smtp_session *s, const char *args)
{
	hello(s, args, false);
}

static void verb_xforward(struct smtp_session *s, const char *args)
{
	struct smtp_refusal why;

	if (++s->xforwards > XFORWARDS_MAX) {
		reply(s, 503, "5.5.1", "too many XFORWARD commands for one mail");
		return;
	}
	if (s->xforward == NULL)
		s->xforward = smtp_arena_array(&s->words, 1, sizeof(*s->xforward));
	if (s->xforward == NULL)
		reply(s, 451, "4.3.0", "out of memory");
	else if (!smtp_command_xforward(&s->words, args, s->xforward, &why))
		reply(s, why.code, why.enhanced, why.text);
	else
		reply(s, 250, "2.5.0", "Ok XFORWARD");
}

/* Early no: before the client has sent its octets for nothing. */
static bool too_busy(struct smtp_session *s)
{
	const char *kind = dispatch_full(s->front->dispatch);
	char text[128];

	if (kind != NULL) {
		snprintf(text, sizeof(text),
			"too many %s jobs are waiting (checks.queue_limit), try again later", kind);
		reply(s, 451, "4.3.2", text);
		return true;
	}
	if (smtp_body_held(&s->front->bodies) >= s->front->bodies.held_limit) {
		reply(s, 452, "4.3.1", "mails in flight fill front.held_octets, try again later");
		return true;
	}
	return false;
}

static void verb_mail(struct smtp_session *s, const char *args)
{
	struct smtp_mail_params params;
	struct smtp_refusal why = { 451, "4.3.0", "out of memory" };
	const char *addr, *rest;
	char text[128];

	if (too_busy(s))
		return;
	/* What MAIL begins runs under the settings of now, however old the session is. */
	policy_set_unref(&s->set);
	s->set = policy_set_ref(s->front->policies);
	s->policy = policy_for_socket(s->set, s->bound_ip, s->bound_port);
	if (!smtp_command_path(&s->words, args, "FROM:", true, false, &addr, &rest, &why) ||
		!smtp_command_mail_params(rest, &params, &why)) {
		reply(s, why.code, why.enhanced, why.text);
		return;
	}
	if (params.size > s->policy->message_size_limit) {
		snprintf(text, sizeof(text),
			"message size exceeds smtpd_message_size_limit of %llu octets",
			(unsigned long long)s->policy->message_size_limit);
		reply(s, 552, "5.3.4", text);
		return;
	}
	s->txn = txn_new(s->front, s, addr);
	if (s->txn != NULL)
		s->txn->body = smtp_body_new(&s->front->bodies, (size_t)params.size);
	if (s->txn == NULL || s->txn->body == NULL) {
		drop_mail(s);
		reply(s, why.code, why.enhanced, why.text);
		return;
	}
	s->txn->body_type = params.body;
	enter(s, SMTP_MAIL);
	mw_text_addf(&s->out, "250 2.1.0 Sender <%s> OK\r\n", addr);
}

static void verb_rcpt(struct smtp_session *s, const char *args)
{
	struct smtp_refusal why;
	const char *addr, *rest;
	enum mw_rc rc;

	if (txn_is_full(s->txn)) { /* before anything is kept of it */
		/* 452, not 552: the client may send the rest again (RFC 5321 section 4.5.3.1.10).
		 */
		mw_text_add(&s->out, "452 4.5.3 too many recipients (smtpd_recipient_limit)\r\n");
		return;
	}
	if (!smtp_command_path(&s->txn->arena, args, "TO:", false, false, &addr, &rest, &why) ||
		!smtp_command_rcpt_params(rest, &why)) {
		reply(s, why.code, why.enhanced, why.text);
		return;
	}
	rc = txn_add_rcpt(s->txn, addr);
	if (rc != MW_OK) {
		reply(s, 451, "4.3.0", "out of memory");
	} else {
		enter(s, SMTP_RCPT);
		mw_text_addf(&s->out, "250 2.1.5 Recipient <%s> OK\r\n", addr);
	}
}

static void verb_data(struct smtp_session *s, const char *args)
{
	if (*args != '\0') {
		reply(s, 501, "5.5.4", "syntax: DATA");
		return;
	}
	smtp_data_init(&s->data);
	s->data_rc = MW_OK;
	s->too_large = false;
	s->txn->phase = TXN_DATA;
	s->txn->data_us = mw_mono_us();
	txn_state(s->txn, 'd');
	enter(s, SMTP_DATA);
	mw_text_add(&s->out, "354 End data with <CR><LF>.<CR><LF>\r\n");
}

static void verb_rset(struct smtp_session *s, const char *args)
{
	(void)args;
	drop_mail(s);
	forget_words(s);
	reply(s, 250, "2.0.0", "Ok RSET");
}

static void verb_noop(struct smtp_session *s, const char *args)
{
	(void)args;
	reply(s, 250, "2.0.0", "Ok NOOP");
}

static void verb_vrfy(struct smtp_session *s, const char *args)
{
	(void)args;
	reply(s, 252, "2.0.0", "Argument not checked");
}

static void verb_help(struct smtp_session *s, const char *args)
{
	(void)args;
	reply(s, 214, "2.0.0", "See RFC 5321 and docs/smtp in Mailweir's documentation");
}

static void verb_quit(struct smtp_session *s, const char *args)
{
	(void)args;
	drop_mail(s);
	mw_text_addf(&s->out, "221 2.0.0 %s closing transmission channel\r\n",
		s->policy->localhost_name);
	s->closing = true;
}

static void verb_refused(struct smtp_session *s, const char *args)
{
	(void)args;
	reply(s, 502, "5.5.1", "command not implemented");
}

/* Which verb is legal in which state: the only place that says so (RFC 5321 section 4.1.4). */
static const struct smtp_verb {
	const char *name;
	unsigned states;
	void (*handle)(struct smtp_session *s, const char *args);
	const char *otherwise; /* the 503's text */
} verbs[] = {
	{ "EHLO", SMTP_COMMAND_STATES, verb_ehlo, "" },
	{ "HELO", SMTP_COMMAND_STATES, verb_helo, "" },
	{ "XFORWARD", MW_BIT(SMTP_READY), verb_xforward,
		"XFORWARD needs EHLO and no open transaction" },
	{ "MAIL", MW_BIT(SMTP_READY), verb_mail,
		"MAIL needs HELO or EHLO and no open transaction" },
	{ "RCPT", MW_BIT(SMTP_MAIL) | MW_BIT(SMTP_RCPT), verb_rcpt, "need MAIL before RCPT" },
	{ "DATA", MW_BIT(SMTP_RCPT), verb_data, "need MAIL and an accepted RCPT before DATA" },
	{ "RSET", SMTP_COMMAND_STATES, verb_rset, "" },
	{ "NOOP", SMTP_COMMAND_STATES, verb_noop, "" },
	{ "VRFY", SMTP_GREETED, verb_vrfy, "need HELO or EHLO first" },
	{ "HELP", SMTP_COMMAND_STATES, verb_help, "" },
	{ "QUIT", SMTP_COMMAND_STATES, verb_quit, "" },
	{ "EXPN", SMTP_COMMAND_STATES, verb_refused, "" },
	{ "TURN", SMTP_COMMAND_STATES, verb_refused, "" },
	{ "ETRN", SMTP_COMMAND_STATES, verb_refused, "" },
	{ "STARTTLS", SMTP_COMMAND_STATES, verb_refused, "" },
	{ "AUTH", SMTP_COMMAND_STATES, verb_refused, "" },
};

static void command(struct smtp_session *s, const char *line)
{
	size_t n, args;

	if (++s->commands > s->front->limits.commands || s->errors >= s->front->limits.errors) {
		close_with(s, 421, "4.7.0",
			s->commands > s->front->limits.commands
				? "too many commands (smtpd_command_limit)"
				: "too many errors (smtpd_error_limit)");
		return;
	}
	if (!smtp_command_verb(line, &n, &args)) {
		reply(s, 500, "5.5.2", "command not recognized");
		return;
	}
	for (size_t i = 0; i < MW_COUNT(verbs); i++) {
		if (strlen(verbs[i].name) != n || strncasecmp(verbs[i].name, line, n) != 0)
			continue;
		if ((verbs[i].states & MW_BIT(s->state)) == 0)
			reply(s, 503, "5.5.1", verbs[i].otherwise);
		else
			verbs[i].handle(s, line + args);
		return;
	}
	reply(s, 500, "5.5.2", "command not recognized");
}

/* ------------------------------------------------------------------ octets */

static enum mw_rc keep_octets(void *arg, const unsigned char *p, size_t n)
{
	struct smtp_session *s = arg;

	if (s->too_large || s->data_rc != MW_OK)
		return MW_OK; /* read on to the true end, keep nothing */
	if (smtp_body_size(s->txn->body) + n > s->policy->message_size_limit)
		s->too_large = true;
	else
		s->data_rc = smtp_body_append(s->txn->body, p, n, &s->data_err);
	return MW_OK;
}

static void refuse_data(
	struct smtp_session *s, unsigned code, const char *enhanced, const char *text)
{
	mw_log(MW_INFO, "data_refused", "log_id=%s peer=%s code=%u why=%s", s->txn->log_id,
		s->peer_ip, code, text);
	txn_abandon(&s->txn);
	enter(s, SMTP_READY);
	reply(s, code, enhanced, text);
}

static void end_of_data(struct smtp_session *s)
{
	char text[160];

	forget_words(s);
	if (s->data.bare_lf) {
		s->front->stats.bare_lf++;
		refuse_data(s, 550, "5.5.2", "bare <LF> received: only <CR><LF> ends a line");
	} else if (s->too_large) {
		snprintf(text, sizeof(text),
			"message size exceeds smtpd_message_size_limit of %llu octets",
			(unsigned long long)s->policy->message_size_limit);
		refuse_data(s, 552, "5.3.4", text);
	} else if (s->data_rc != MW_OK ||
		   (s->data_rc = smtp_body_seal(s->txn->body, &s->data_err)) != MW_OK) {
		mw_log(MW_ERROR, "data_not_kept", "log_id=%s %s", s->txn->log_id, s->data_err.text);
		refuse_data(s, s->data_rc == MW_ERR_LIMIT ? 452 : 451,
			s->data_rc == MW_ERR_LIMIT ? "4.3.1" : "4.3.0",
			s->data_rc == MW_ERR_LIMIT ? "mails in flight fill front.held_octets"
						   : "cannot keep the message");
	} else {
		s->txn->dots = s->data.dots;
		enter(s, SMTP_BUSY);
		txn_run(s->txn);
	}
}

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
	size_t len = lf != NULL ? (size_t)(lf - p) : n, limit = s->front->limits.line_octets;

	if (lf == NULL && n < limit)
		return 0;
	if (len >= limit) {
		close_with(s, 500, "5.5.2", "command line too long (smtpd_line_limit)");
		return n;
	}
	if (len == 0 || p[len - 1] != '\r' || memchr(p, '\0', len) != NULL) {
		reply(s, 500, "5.5.2", "lines end with <CR><LF> and hold no NUL");
		return len + 1;
	}
	memcpy(line, p, len - 1);
	line[len - 1] = '\0';
	command(s, line);
	return len + 1;
}

static void session_input(struct smtp_session *s, const unsigned char *p, size_t n)
{
	size_t used, at = 0;
	enum mw_rc rc;

	while (at < n && !s->closing && s->state != SMTP_GONE && s->state != SMTP_BUSY) {
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
				s->until_ms = mw_loop_now_ms(s->front->loop) +
					      s->policy->smtpd_timeout_ms;
		} else {
			used = take_line(s, p + at, n - at);
			if (used == 0)
				break;
			at += used;
		}
	}
	if (s->state == SMTP_GONE)
		return;
	if (s->closing)
		at = n;
	hold(s, p + at, n - at);
	flush(s);
	if (s->state == SMTP_BUSY && s->reading) {
		/* Nothing is read while a mail is at work, but a client that goes away has to be
		 * noticed: libuv tells of that only to readers. So reading goes on while nothing is
		 * held, and what comes is held. */
		if (s->held_n > 0) {
			uv_read_stop((uv_stream_t *)&s->tcp);
			s->reading = false;
		}
	}
}

static void give_buffer(uv_handle_t *h, size_t hint, uv_buf_t *buf)
{
	static char octets[READ_OCTETS];

	(void)h;
	(void)hint;
	*buf = uv_buf_init(octets, sizeof(octets));
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
	struct smtp_session *s = stream->data;
	struct txn *before = s->txn;
	uint64_t cpu = before != NULL ? mw_mono_us() : 0;

	if (n == 0 || s->state == SMTP_GONE || (s->hung_up && n > 0))
		return;
	if (n < 0) {
		session_end(s, n == UV_EOF ? "end of file" : uv_strerror((int)n));
		return;
	}
	if (s->held_n > 0) { /* half a line: join, bounded by the line limit */
		size_t all = s->held_n + (size_t)n;
		unsigned char *joined = malloc(all);

		if (joined == NULL) {
			session_end(s, "out of memory");
			return;
		}
		memcpy(joined, s->held, s->held_n);
		memcpy(joined + s->held_n, buf->base, (size_t)n);
		s->held_n = 0;
		session_input(s, joined, all);
		free(joined);
	} else {
		session_input(s, (unsigned char *)buf->base, (size_t)n);
	}
	if (before != NULL && s->state != SMTP_GONE && s->txn == before && s->state != SMTP_BUSY)
		before->cpu_receiving_us += mw_mono_us() - cpu;
}

static void start_reading(struct smtp_session *s)
{
	if (s->state == SMTP_GONE || s->closing || s->writing != NULL)
		return;
	if (s->held_n > 0 && s->state != SMTP_BUSY) {
		char *p = s->held;
		size_t n = s->held_n;

		s->held = NULL;
		s->held_n = 0;
		session_input(s, (unsigned char *)p, n);
		free(p);
	}
	if (s->state != SMTP_GONE && !s->closing && !s->reading && s->writing == NULL &&
		!(s->state == SMTP_BUSY && s->held_n > 0)) {
		s->reading = true;
		uv_read_start((uv_stream_t *)&s->tcp, give_buffer, on_read);
	}
}

/* ------------------------------------------------------------------ the transaction's side */

bool smtp_session_reply(struct smtp_session *s, unsigned code, const char *text)
{
	bool sent;

	if (s->state == SMTP_GONE)
		return false;
	s->txn = NULL;
	smtp_answer(&s->out, text);
	if (code == 421)
		s->closing = true;
	enter(s, SMTP_READY);
	if (s->front->listeners->closing)
		close_with(s, 421, "4.3.2", "service is shutting down");
	flush(s);
	sent = s->state != SMTP_GONE;
	start_reading(s);
	return sent;
}

void smtp_session_facts(const struct smtp_session *s, struct smtp_session_facts *f_r)
{
	*f_r = (struct smtp_session_facts){ .helo = s->helo,
		.peer_ip = s->peer_ip,
		.local_ip = s->local_ip,
		.protocol = s->esmtp ? "ESMTP" : "SMTP",
		.peer_port = s->peer_port,
		.local_port = s->local_port,
		.xforward = s->xforward,
		.set = s->set,
		.policy = s->policy };
}

/* ------------------------------------------------------------------ accept */

static void address_of(const struct sockaddr_storage *ss, char ip[MW_IP_TEXT_MAX], uint16_t *port_r)
{
	if (ss->ss_family == AF_INET6) {
		uv_ip6_name((const struct sockaddr_in6 *)ss, ip, MW_IP_TEXT_MAX);
		*port_r = ntohs(((const struct sockaddr_in6 *)ss)->sin6_port);
	} else {
		uv_ip4_name((const struct sockaddr_in *)ss, ip, MW_IP_TEXT_MAX);
		*port_r = ntohs(((const struct sockaddr_in *)ss)->sin_port);
	}
}

static size_t sessions_of(const struct front *f, const char *ip)
{
	size_t n = 0;

	for (const struct smtp_session *s = f->listeners->sessions; s != NULL; s = s->next)
		n += strcmp(s->peer_ip, ip) == 0;
	return n;
}

static bool may_connect(struct smtp_session *s)
{
	struct front *f = s->front;
	unsigned per_client = f->limits.sessions_per_client;
	struct mw_ip ip;

	if (!mw_ip_parse(s->peer_ip, &ip) ||
		mw_nets_find(s->policy->acl, s->policy->acl_count, &ip) != 1) {
		close_with(s, 554, "5.7.1", "access denied (inet_acl)");
		mw_log(MW_WARN, "client_refused", "peer=%s why=inet_acl", s->peer_ip);
	} else if (f->listeners->session_count > f->limits.sessions) {
		close_with(s, 421, "4.3.2", "too many sessions (smtpd_session_limit)");
	} else if (per_client > 0 && sessions_of(f, s->peer_ip) > per_client) {
		close_with(s, 421, "4.7.0",
			"too many sessions from your address (smtpd_session_limit_per_client)");
	}
	f->stats.refused += s->closing;
	return !s->closing;
}

void smtp_session_accept(struct smtp_listener *l)
{
	struct front *f = l->front;
	struct smtp_session *s = calloc(1, sizeof(*s));
	struct sockaddr_storage peer, local;
	int peer_n = sizeof(peer), local_n = sizeof(local);

	if (s == NULL)
		return; /* the connection stays in the backlog */
	s->front = f;
	uv_tcp_init(mw_loop_uv(f->loop), &s->tcp);
	s->tcp.data = s;
	s->set = policy_set_ref(f->policies);
	mw_strlcpy(s->bound_ip, l->address, sizeof(s->bound_ip));
	s->bound_port = l->port;
	s->policy = policy_for_socket(s->set, l->address, l->port);
	s->next = f->listeners->sessions;
	s->prev_p = &f->listeners->sessions;
	if (s->next != NULL)
		s->next->prev_p = &s->next;
	f->listeners->sessions = s;
	f->listeners->session_count++;
	f->stats.sessions++;
	if (uv_accept((uv_stream_t *)&l->tcp, (uv_stream_t *)&s->tcp) != 0 ||
		uv_tcp_getpeername(&s->tcp, (struct sockaddr *)&peer, &peer_n) != 0 ||
		uv_tcp_getsockname(&s->tcp, (struct sockaddr *)&local, &local_n) != 0) {
		session_end(s, "accept failed");
		return;
	}
	address_of(&peer, s->peer_ip, &s->peer_port);
	address_of(&local, s->local_ip, &s->local_port);
	uv_tcp_nodelay(&s->tcp, 1);
	enter(s, SMTP_START);
	if (may_connect(s))
		mw_text_addf(&s->out, "220 %s ESMTP Mailweir service ready\r\n",
			s->policy->localhost_name);
	else
		s->until_ms = mw_loop_now_ms(f->loop) + 10000;
	flush(s);
	start_reading(s);
}
