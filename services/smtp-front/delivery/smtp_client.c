#include "client_tls.h"

#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "log.h"

#define BUFS_MAX 64 /* pieces handed to the kernel in one write */

static void try_next(struct client *c, int why);
static void client_write_commands(struct client *c);
static void client_write_body(struct client *c);
static void on_reply(struct client *c);

static void wait_for(struct client *c, enum client_state state, uint64_t ms)
{
	uint64_t now = mw_loop_now_ms(delivery_loop(c->d));

	c->state = state;
	c->until_ms = now + ms;
	if (c->run != NULL && c->run->mail->deadline_ms < c->until_ms)
		c->until_ms = c->run->mail->deadline_ms;
}

/* ------------------------------------------------------------------ results */

static void tell(struct delivery_rcpt *r, unsigned code, const char *text)
{
	struct mw_text t = { 0 };

	free(r->text);
	r->code = code;
	mw_text_add(&t, text);
	r->text = t.p; /* NULL without memory: the caller has words of its own then */
}

/* The next hop's words, with where they came from in front: "CODE ENH from MTA(hop): REPLY". */
static void tell_reply(struct client *c, struct delivery_rcpt *r, const char *dflt)
{
	/* A 3xx where none belongs says neither yes nor no, a 2xx before the final dot promises
	 * nothing: later. */
	unsigned class = c->reply.code / 100;
	unsigned code = class == 3 || (class == 2 && c->state != CLIENT_DOT) ? 451 : c->reply.code;
	char enhanced[16];
	struct mw_text t = { 0 };

	mw_text_addf(&t, "%u %s from MTA(%s): %u %s", code,
		code == c->reply.code ? smtp_reply_enhanced(&c->reply, dflt, enhanced) : "4.5.0",
		c->hop.text, c->reply.code, c->reply.text);
	tell(r, code, t.p != NULL ? t.p : "");
	r->own_words = true;
	mw_text_fini(&t);
}

void client_tell_all(
	struct delivery_run *run, unsigned code, const char *enhanced, const char *text)
{
	struct mw_text t = { 0 };

	mw_text_addf(&t, "%u %s %s", code, enhanced, text);
	for (size_t i = 0; i < run->mail->rcpt_count; i++)
		if (run->mail->rcpts[i].code == 0)
			tell(&run->mail->rcpts[i], code, t.p != NULL ? t.p : "");
	mw_text_fini(&t);
}

/* ------------------------------------------------------------------ closing */

/* Its connections are closed and its look-up is over: nothing refers to it any more. */
static void free_when_alone(struct client *c)
{
	if (c->state != CLIENT_CLOSED || c->streams > 0 || c->resolving)
		return;
	mw_text_fini(&c->out);
	uv_freeaddrinfo(c->addresses);
	mw_tls_ctx_unref(&c->tls);
	free(c);
}

static void stream_is_closed(void *owner)
{
	struct client *c = owner;

	c->streams--;
	free_when_alone(c);
}

void client_close(struct client *c, bool polite)
{
	if (c->state == CLIENT_CLOSED)
		return;
	if (polite && c->connected && !stream_is_writing(c->stream)) {
		uv_buf_t quit = uv_buf_init((char *)(uintptr_t) "QUIT\r\n", 6);

		stream_write(c->stream, &quit, 1);
	}
	c->state = CLIENT_CLOSED;
	delivery_client_gone(c);
	stream_close(&c->stream);
	free_when_alone(c);
}

void client_fail(struct client *c, unsigned code, const char *enhanced, const char *why)
{
	struct delivery_run *run = c->run;
	bool plain = run != NULL && client_tls_falls_back(c, run, why);
	char text[512];

	c->run = NULL;
	if (run != NULL)
		run->client = NULL;
	client_close(c, false);
	if (run == NULL)
		return;
	if (plain) {
		delivery_run_plain(run);
		return;
	}
	if (c->reused && !c->heard && !run->retried && !run->committed) {
		run->retried = true;
		delivery_run_again(run);
		return;
	}
	snprintf(text, sizeof(text), "from MTA(%s): %s", run->mail->hop->text, why);
	client_tell_all(run, code, enhanced, text);
	delivery_run_over(run, NULL);
}

/* The mail is over and the connection is good for another. */
static void finish(struct client *c, bool keep)
{
	struct delivery_run *run = c->run;

	c->run = NULL;
	run->client = NULL;
	if (keep && !c->surplus) {
		c->idle_since_ms = mw_loop_now_ms(delivery_loop(c->d));
		wait_for(c, CLIENT_IDLE, 0);
		delivery_client_idle(c);
	} else {
		client_close(c, true);
	}
	delivery_run_over(run, c->reused ? NULL : c);
}

/* ------------------------------------------------------------------ reading */

static void on_ended(void *owner, int status)
{
	struct client *c = owner;

	if (c->state == CLIENT_IDLE)
		client_close(c, false);
	else
		client_fail(c, 450, "4.4.2",
			status == UV_EOF ? "lost connection" : stream_strerror(c->stream, status));
}

static void on_octets(void *owner, const unsigned char *octets, size_t n)
{
	struct client *c = owner;
	const char *p = (const char *)octets;

	while (n > 0 && c->state != CLIENT_CLOSED) {
		size_t used = 0;
		int got;

		if (c->state ==
			CLIENT_IDLE) { /* nobody asked: a 421 before it closes, or nonsense */
			client_close(c, false);
			return;
		}
		got = smtp_reply_feed(&c->reply, p, n, &used);
		if (got < 0) {
			c->heard = true;
			client_fail(c, 451, "4.5.0", "reply that is not SMTP");
			return;
		}
		p += used;
		n -= used;
		if (got <= 0)
			continue;
		if (n > 0 && c->state == CLIENT_COMMANDS && c->step + 1 == c->steps) {
			/* It answers the final dot before it has got one. */
			c->heard = true;
			client_fail(c, 451, "4.5.0", "next hop spoke before the mail was sent");
			return;
		}
		if (c->state == CLIENT_STARTTLS) {
			c->heard = true;
			client_tls_reply(c, n);
			return; /* what follows is TLS's */
		}
		/* Words behind the last reply of a mail belong to nobody: this session cannot be
		 * trusted with another. */
		c->surplus = n > 0 && (c->state == CLIENT_DOT || c->state == CLIENT_RSET);
		on_reply(c);
		if (c->surplus)
			return;
	}
}

/* ------------------------------------------------------------------ writing */

static void on_written(void *owner, int status)
{
	struct client *c = owner;

	if (status < 0)
		client_fail(c, 450, "4.4.2", stream_strerror(c->stream, status));
	else if (c->state == CLIENT_BODY)
		client_write_body(c);
}

/* What cannot be written is told by the tick, never from inside delivery_send(). */
static void client_write(struct client *c, uv_buf_t *bufs, unsigned n)
{
	if (stream_write(c->stream, bufs, n) < 0)
		c->until_ms = 0;
}

static void client_line(struct client *c, const char *line)
{
	uv_buf_t buf;

	if (stream_is_writing(c->stream)) { /* a hop that answers before it has read: what libuv
			     still writes must not be touched */
		c->until_ms = 0;
		return;
	}
	mw_text_clear(&c->out);
	mw_text_addf(&c->out, "%s\r\n", line);
	if (c->out.failed) {
		c->until_ms = 0;
		return;
	}
	buf = uv_buf_init(c->out.p, (unsigned)c->out.n);
	client_write(c, &buf, 1);
}

/* ------------------------------------------------------------------ the commands of one mail */

static const char *xtext(char *buf, size_t size, const char *s)
{
	size_t n = 0;

	for (; *s != '\0' && n + 4 < size; s++) {
		unsigned char ch = (unsigned char)*s;

		if (ch > 0x20 && ch < 0x7f && ch != '+' && ch != '=')
			buf[n++] = (char)ch;
		else
			n += (size_t)snprintf(buf + n, 4, "+%02X", ch);
	}
	buf[n] = '\0';
	return buf;
}

/* One XFORWARD with what is known; "" when nothing is. Below 512 octets would need two; servers
 * take 2,048. */
static void xforward_line(const struct smtp_xforward *x, struct mw_text *out)
{
	const struct {
		const char *key, *value;
	} attributes[] = {
		{ "NAME", x->name },
		{ "ADDR", x->addr },
		{ "PORT", x->port },
		{ "PROTO", x->proto },
		{ "HELO", x->helo },
		{ "IDENT", x->ident },
		{ "SOURCE", x->source },
	};
	char value[1024];

	mw_text_add(out, "XFORWARD");
	for (size_t i = 0; i < MW_COUNT(attributes); i++) {
		const char *v = attributes[i].value;

		if (v == NULL || *v == '\0') {
			mw_text_addf(out, " %s=[UNAVAILABLE]", attributes[i].key);
			continue;
		}
		mw_text_addf(out, " %s=%s%s", attributes[i].key,
			i == 1 && strchr(v, ':') != NULL ? "IPv6:" : "",
			xtext(value, sizeof(value), v));
	}
	mw_text_add(out, "\r\n");
}

/* Steps of a mail: XFORWARD (when offered and something is known), MAIL, each RCPT, DATA. */
static size_t first_rcpt(const struct client *c)
{
	return c->steps - 1 - c->run->mail->rcpt_count;
}

static void add_command(struct client *c, size_t step)
{
	const struct delivery_mail *m = c->run->mail;
	size_t rcpt0 = first_rcpt(c);

	if (step + 1 == c->steps) {
		mw_text_add(&c->out, "DATA\r\n");
	} else if (step >= rcpt0) {
		mw_text_addf(&c->out, "RCPT TO:<%s>\r\n", m->rcpts[step - rcpt0].addr);
	} else if (step + 1 == rcpt0) {
		mw_text_addf(&c->out, "MAIL FROM:<%s>", m->sender);
		if (c->size) {
			size_t octets = 0;

			for (size_t i = 0; i < m->piece_count; i++)
				octets += m->pieces[i].n;
			mw_text_addf(&c->out, " SIZE=%zu", octets);
		}
		if (c->eightbit && m->params->body != SMTP_BODY_NONE)
			mw_text_add(&c->out, m->params->body == SMTP_BODY_8BITMIME
						     ? " BODY=8BITMIME"
						     : " BODY=7BIT");
		mw_text_add(&c->out, "\r\n");
	} else {
		xforward_line(m->xforward, &c->out);
	}
}

static void client_write_commands(struct client *c)
{
	uv_buf_t buf;

	if (stream_is_writing(c->stream)) {
		c->until_ms = 0;
		return;
	}
	mw_text_clear(&c->out);
	do
		add_command(c, c->sent_steps++);
	while (c->pipelining && c->sent_steps < c->steps);
	if (c->out.failed) {
		c->until_ms = 0;
		return;
	}
	buf = uv_buf_init(c->out.p, (unsigned)c->out.n);
	wait_for(c, CLIENT_COMMANDS, delivery_limits(c->d)->command_ms);
	client_write(c, &buf, 1);
}

static void begin_mail(struct client *c)
{
	const struct delivery_mail *m = c->run->mail;

	if (m->params->body == SMTP_BODY_8BITMIME && !c->eightbit) {
		/* RFC 6152 section 3: not to be sent on as it is; amavisd's words. */
		client_tell_all(
			c->run, 550, "5.6.3", "conversion to 7BIT required but not supported");
		wait_for(c, CLIENT_RSET, delivery_limits(c->d)->command_ms);
		client_line(c, "RSET"); /* its reply ends the mail: done() never runs inside
					   delivery_send() */
		return;
	}
	c->steps = (c->xforward && m->xforward != NULL) + 1 + m->rcpt_count + 1;
	c->step = c->sent_steps = 0;
	c->accepted = c->tempfailed = c->refused = 0;
	c->surplus = false;
	c->mail_refused = false;
	c->piece = c->piece_at = 0;
	c->dot_written = false;
	client_write_commands(c);
}

void client_take(struct client *c, struct delivery_run *run)
{
	c->run = run;
	run->client = c;
	c->heard = false;
	c->uses++;
	if (c->state != CLIENT_IDLE) {
		client_tls_prepare(c, run);
	} else {
		c->reused = true;
		begin_mail(c);
	}
}

/* ------------------------------------------------------------------ the octets */

/* The next run of octets up to a line that begins with a dot. All pieces begin at the start of a
 * line. */
static size_t run_to_dot(const unsigned char *p, size_t n, bool at_start)
{
	size_t at = 0;

	if (at_start && n > 0 && p[0] == '.')
		return 0;
	while (at < n) {
		const unsigned char *lf = memchr(p + at, '\n', n - at);

		if (lf == NULL)
			return n;
		at = (size_t)(lf - p) + 1;
		if (at < n && p[at] == '.')
			return at;
	}
	return n;
}

static uv_buf_t buf_of(const void *p, size_t n)
{
	return uv_buf_init((char *)(uintptr_t)p, (unsigned)n);
}

#define BUF_OCTETS_MAX (1u << 30) /* uv_buf_init takes an unsigned */

/* As many buffers of the mail as fit; the last of all is the final dot. */
static unsigned fill_bufs(struct client *c, uv_buf_t *bufs)
{
	const struct delivery_mail *m = c->run->mail;
	unsigned n = 0;

	while (n + 2 < BUFS_MAX && c->piece < m->piece_count) {
		struct mw_octets o = m->pieces[c->piece];
		const unsigned char *p = o.p + c->piece_at;
		size_t left = o.n - c->piece_at, take = left;

		if (m->dots && left > 0) {
			bool start = c->piece_at == 0 || p[-1] == '\n';

			if (start && p[0] == '.') {
				bufs[n++] = buf_of(".", 1); /* RFC 5321 section 4.5.2 */
				take = 1 + run_to_dot(p + 1, left - 1, false);
			} else {
				take = run_to_dot(p, left, false);
			}
		}
		if (take > BUF_OCTETS_MAX)
			take = BUF_OCTETS_MAX;
		if (take > 0)
			bufs[n++] = buf_of(p, take);
		c->piece_at += take;
		if (c->piece_at == o.n) {
			c->piece++;
			c->piece_at = 0;
		}
	}
	if (c->piece == m->piece_count) {
		bufs[n++] = buf_of(".\r\n", 3);
		c->dot_written = true;
	}
	return n;
}

static void client_write_body(struct client *c)
{
	/* libuv copies the array, not the octets; pieces outlive the run. */
	while (!stream_is_writing(c->stream) && !c->dot_written && c->until_ms != 0) {
		uv_buf_t bufs[BUFS_MAX];
		unsigned n = fill_bufs(c, bufs);

		wait_for(c, CLIENT_BODY, delivery_limits(c->d)->data_ms);
		if (c->dot_written) {
			/* From here on the next hop may have the mail although we die: see
			 * docs/operations.md. */
			c->run->committed = true;
			mw_log(MW_INFO, "delivery_committing",
				"log_id=%s mail_id=%s message_id=%s rcpts=%zu hop=%s",
				c->run->mail->log_id, c->run->mail->mail_id,
				mw_quote(c->run->mail->message_id), c->accepted, c->hop.text);
		}
		client_write(c, bufs, n);
	}
	if (c->dot_written && !stream_is_writing(c->stream) && c->until_ms != 0)
		wait_for(c, CLIENT_DOT, delivery_limits(c->d)->dot_ms);
}

/* ------------------------------------------------------------------ replies */

static bool ehlo_has(const struct client *c, const char *keyword)
{
	size_t n = strlen(keyword);

	/* The first line is the greeting's name. */
	for (const char *p = strchr(c->reply.text, '\n'); p != NULL; p = strchr(p, '\n')) {
		p++;
		if (strncasecmp(p, keyword, n) == 0 &&
			(p[n] == ' ' || p[n] == '\n' || p[n] == '\0'))
			return true;
	}
	return false;
}

static void say_hello(struct client *c, const char *verb, enum client_state state)
{
	char line[300];

	snprintf(line, sizeof(line), "%s %s", verb,
		c->run != NULL ? c->run->mail->helo_name : "localhost");
	wait_for(c, state, delivery_limits(c->d)->greeting_ms);
	client_line(c, line);
}

static void reply_banner(struct client *c)
{
	if (c->reply.code == 220)
		say_hello(c, "EHLO", CLIENT_EHLO);
	else
		client_fail(c, 450, "4.4.0", "next hop refuses the session");
}

static void reply_ehlo(struct client *c)
{
	if (c->reply.code / 100 != 2) {
		if (c->state == CLIENT_EHLO && c->reply.code / 100 == 5)
			say_hello(c, "HELO", CLIENT_HELO);
		else
			client_fail(c, 450, "4.4.0", "next hop refuses our greeting");
		return;
	}
	c->pipelining = ehlo_has(c, "PIPELINING");
	c->eightbit = ehlo_has(c, "8BITMIME");
	c->xforward = ehlo_has(c, "XFORWARD");
	c->size = ehlo_has(c, "SIZE");
	if (!client_tls_first(c, ehlo_has(c, "STARTTLS")))
		begin_mail(c);
}

void client_say(struct client *c, const char *line, enum client_state state)
{
	client_wait(c, state);
	client_line(c, line);
}

void client_wait(struct client *c, enum client_state state)
{
	wait_for(c, state, delivery_limits(c->d)->greeting_ms);
}

void client_greet(struct client *c)
{
	say_hello(c, "EHLO", CLIENT_EHLO);
}

void client_go_on(struct client *c)
{
	begin_mail(c);
}

/*
 * The client has one reply for all. A 4xx makes it send to all again, a 5xx makes it tell the
 * sender that nobody has it: neither may be said when somebody has.
 */
static bool must_stop(const struct client *c)
{
	return c->run->mail->all_or_nothing && (c->tempfailed > 0 || c->refused > 0);
}

/* All commands are answered, or the next one may not be sent: go on, or give the mail up without a
 * dot. */
static void after_commands(struct client *c, bool data_accepted)
{
	bool stop = c->accepted == 0 || must_stop(c);

	if (!stop && data_accepted) {
		wait_for(c, CLIENT_BODY, delivery_limits(c->d)->data_ms);
		client_write_body(c);
		return;
	}
	if (stop && c->accepted > 0 && c->tempfailed > 0)
		client_tell_all(
			c->run, 450, "4.5.0", "not sent: another recipient was refused for now");
	else if (stop && c->accepted > 0)
		client_tell_all(c->run, 550, "5.5.0", "not sent: another recipient was refused");
	if (data_accepted) {
		/* A dot would deliver. Dropping the connection is the only way back. */
		struct delivery_run *run = c->run;

		c->run = NULL;
		run->client = NULL;
		client_close(c, false);
		delivery_run_over(run, NULL);
		return;
	}
	wait_for(c, CLIENT_RSET, delivery_limits(c->d)->command_ms);
	client_line(c, "RSET");
}

static void reply_rcpt(struct client *c, struct delivery_rcpt *r)
{
	if (c->mail_refused)
		return;
	if (c->reply.code / 100 == 2) {
		c->accepted++;
		return;
	}
	tell_reply(c, r, ".5.0");
	c->tempfailed += r->code / 100 == 4;
	c->refused += r->code / 100 == 5;
}

static void reply_command(struct client *c)
{
	const struct delivery_mail *m = c->run->mail;
	size_t rcpt0 = first_rcpt(c), step = c->step++;
	unsigned class = c->reply.code / 100;

	if (step + 1 == c->steps) { /* DATA */
		if (c->reply.code != 354 && c->accepted > 0)
			for (size_t i = 0; i < m->rcpt_count; i++)
				if (m->rcpts[i].code == 0)
					tell_reply(c, &m->rcpts[i], ".5.0");
		if (c->reply.code != 354)
			c->accepted = 0;
		after_commands(c, c->reply.code == 354);
		return;
	}
	if (step >= rcpt0) {
		reply_rcpt(c, &m->rcpts[step - rcpt0]);
	} else if (step + 1 == rcpt0 && class != 2) { /* MAIL */
		c->mail_refused = true;
		for (size_t i = 0; i < m->rcpt_count; i++)
			tell_reply(c, &m->rcpts[i], ".1.0");
	} /* an XFORWARD that is refused costs the next hop knowledge, nobody a mail */
	wait_for(c, CLIENT_COMMANDS, delivery_limits(c->d)->command_ms);
	if (c->pipelining)
		return;
	if (c->mail_refused || (c->step + 1 == c->steps && (c->accepted == 0 || must_stop(c))))
		after_commands(c, false);
	else
		client_write_commands(c);
}

static void reply_dot(struct client *c)
{
	const struct delivery_mail *m = c->run->mail;

	for (size_t i = 0; i < m->rcpt_count; i++)
		if (m->rcpts[i].code == 0)
			tell_reply(c, &m->rcpts[i], ".6.0");
	finish(c, c->reply.code != 421);
}

static void on_reply(struct client *c)
{
	c->heard = true;
	switch (c->state) {
	case CLIENT_BANNER:
		reply_banner(c);
		break;
	case CLIENT_EHLO:
	case CLIENT_HELO:
		reply_ehlo(c);
		break;
	case CLIENT_COMMANDS:
		if (c->reply.code == 421) {
			if (c->step == 0)
				c->heard = false; /* it was closing already: this mail has not been
						     looked at */
			client_fail(c, 450, "4.4.2", "next hop closes the session");
		} else
			reply_command(c);
		break;
	case CLIENT_DOT:
		reply_dot(c);
		break;
	case CLIENT_RSET:
		finish(c, c->reply.code / 100 == 2);
		break;
	default: /* a reply while we send octets: a refusal before the end, or nonsense; both end
		    the session */
		client_fail(c, 451, "4.4.2", "next hop spoke before the end of the data");
		break;
	}
}

void client_timeout(struct client *c)
{
	static const char *const where[] = {
		[CLIENT_RESOLVE] = "looking up its name timed out",
		[CLIENT_CONNECT] = "connecting timed out",
		[CLIENT_BANNER] = "its greeting timed out",
		[CLIENT_EHLO] = "its reply to EHLO timed out",
		[CLIENT_STARTTLS] = "its reply to STARTTLS timed out",
		[CLIENT_TLS] = "its TLS handshake timed out",
		[CLIENT_HELO] = "its reply to HELO timed out",
		[CLIENT_COMMANDS] = "its reply to a command timed out",
		[CLIENT_BODY] = "sending the mail timed out",
		[CLIENT_DOT] = "its reply to the final dot timed out",
		[CLIENT_RSET] = "its reply to RSET timed out",
		[CLIENT_IDLE] = "",
		[CLIENT_CLOSED] = "",
	};

	if (c->state == CLIENT_CONNECT && c->address != NULL && c->address->ai_next != NULL) {
		try_next(c, UV_ETIMEDOUT);
		return;
	}
	client_fail(c, 450, c->state == CLIENT_CONNECT ? "4.4.1" : "4.4.2",
		c->until_ms == 0 ? "write failed" : where[c->state]);
}

/* ------------------------------------------------------------------ connecting */

static void on_connected(void *owner, int status)
{
	struct client *c = owner;

	if (status < 0) {
		try_next(c, status);
		return;
	}
	c->connected = true;
	wait_for(c, CLIENT_BANNER, delivery_limits(c->d)->greeting_ms);
	stream_read(c->stream, true);
}

/* A failure to begin is told by the tick. */
static void connect_to(struct client *c, const struct sockaddr *to)
{
	static const struct stream_ops ops = {
		.connected = on_connected,
		.octets = on_octets,
		.ended = on_ended,
		.secured = client_tls_secured,
		.written = on_written,
		.closed = stream_is_closed,
	};

	wait_for(c, CLIENT_CONNECT, delivery_limits(c->d)->connect_ms);
	c->stream = stream_new(delivery_loop(c->d), false, &ops, c);
	c->streams += c->stream != NULL;
	if (c->stream == NULL || stream_connect(c->stream, to) != 0)
		c->until_ms = 0;
}

static void try_next(struct client *c, int why)
{
	if (c->address == NULL || c->address->ai_next == NULL) {
		char text[200];

		snprintf(text, sizeof(text), "cannot connect: %s", uv_strerror(why));
		client_fail(c, 450, "4.4.1", text);
		return;
	}
	stream_close(&c->stream);
	c->address = c->address->ai_next;
	connect_to(c, c->address->ai_addr);
}

static void resolved(uv_getaddrinfo_t *req, int status, struct addrinfo *res)
{
	struct client *c = req->data;

	c->resolving = false;
	if (c->state == CLIENT_CLOSED) {
		uv_freeaddrinfo(res);
		free_when_alone(c);
		return;
	}
	if (status < 0) {
		client_fail(c, 450, "4.4.3", uv_strerror(status));
		return;
	}
	c->addresses = c->address = res;
	connect_to(c, res->ai_addr);
}

struct client *client_new(struct delivery *d, const struct next_hop *hop)
{
	struct client *c = calloc(1, sizeof(*c));

	if (c == NULL)
		return NULL;
	c->d = d;
	c->hop = *hop;
	c->resolve.data = c;
	smtp_reply_init(&c->reply);
	return c;
}

void client_start(struct client *c)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG };
	char port[8];

	if (uv_ip4_addr(c->hop.host, c->hop.port, (struct sockaddr_in *)&c->numeric) == 0 ||
		uv_ip6_addr(c->hop.host, c->hop.port, (struct sockaddr_in6 *)&c->numeric) == 0) {
		connect_to(c, (struct sockaddr *)&c->numeric);
		return;
	}
	snprintf(port, sizeof(port), "%u", c->hop.port);
	wait_for(c, CLIENT_RESOLVE, delivery_limits(c->d)->connect_ms);
	c->resolving = uv_getaddrinfo(mw_loop_uv(delivery_loop(c->d)), &c->resolve, resolved,
			       c->hop.host, port, &hints) == 0;
	if (!c->resolving)
		c->until_ms = 0;
}
