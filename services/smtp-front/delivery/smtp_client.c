#include "client_results.h"
#include "client_tls.h"

#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "log.h"

#define BUFS_MAX 64 /* pieces handed to the kernel in one write */

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

/* ------------------------------------------------------------------ closing */

static void client_free(struct client *c)
{
	mw_text_fini(&c->out);
	free(c->active);
	mw_tls_ctx_unref(&c->tls);
	free(c);
}

static void stream_is_closed(void *owner)
{
	client_free(owner);
}

/* Without a stream there is nobody who will tell of its end: *c is gone then. */
void client_close(struct client *c, bool polite)
{
	if (c->state == CLIENT_CLOSED)
		return;
	if (polite && c->stream != NULL && !stream_is_writing(c->stream)) {
		uv_buf_t quit = uv_buf_init((char *)(uintptr_t) "QUIT\r\n", 6);

		stream_write(c->stream, &quit, 1);
	}
	c->state = CLIENT_CLOSED;
	delivery_client_gone(c);
	connector_cancel(&c->connector);
	if (c->stream != NULL)
		stream_close(&c->stream);
	else
		client_free(c);
}

/* Before its greeting is over a hop has not heard of any mail: the next one of the list may be
 * tried.
 */
static bool is_at_the_door(const struct client *c)
{
	return c->state <= CLIENT_HELO;
}

void client_fail(struct client *c, unsigned code, const char *enhanced, const char *why)
{
	struct delivery_run *run = c->run;
	bool stale = c->reused && !c->heard;
	bool plain = run != NULL && client_tls_falls_back(c, run, why);
	char text[512];

	c->run = NULL;
	if (run != NULL)
		run->client = NULL;
	snprintf(text, sizeof(text), "from MTA(%s): %s", c->hop.text, why);
	if (run != NULL && !plain && is_at_the_door(c) && delivery_hop_failed(run, c)) {
		mw_log_as(run->mail->voice, MW_INFO, "hop_failed", "log_id=%s hop=%s why=%s",
			run->mail->log_id, c->hop.text, mw_quote(why));
		client_close(c, false);
		return;
	}
	client_close(c, false);
	if (run == NULL)
		return;
	if (plain) {
		delivery_run_plain(run);
		return;
	}
	if (stale && !run->retried && !run->committed) {
		run->retried = true;
		delivery_run_again(run);
		return;
	}
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

/* There are more replies than commands: which belongs to which nobody knows. What recipients of
 * this transaction were told is somebody else's. */
static void out_of_step(struct client *c, const char *why)
{
	for (size_t i = 0; i < c->active_count; i++) {
		client_active(c, i)->code = 0;
		client_active(c, i)->own_words = false;
	}
	c->heard = true;
	client_fail(c, 451, "4.5.0", why);
}

/* ------------------------------------------------------------------ reading */

/* LMTP answers the dot once for each recipient that it took (RFC 2033 section 4.2). */
static bool is_last_reply(const struct client *c)
{
	size_t left = 0;

	for (size_t i = c->dot_rcpt; c->lmtp && c->state == CLIENT_DOT && i < c->active_count; i++)
		left += client_active(c, i)->code == 0;
	return c->state == CLIENT_RSET || (c->state == CLIENT_DOT && left <= 1);
}

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
			out_of_step(c, "next hop spoke before the mail was sent");
			return;
		}
		if (c->state == CLIENT_STARTTLS) {
			c->heard = true;
			client_tls_reply(c, n);
			return; /* what follows is TLS's */
		}
		/* Words behind the last reply of a mail belong to nobody: this session cannot be
		 * trusted with another. */
		c->surplus = n > 0 && is_last_reply(c);
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

/* Steps of a mail: XFORWARD (when offered and something is known), MAIL, each RCPT, DATA. */
static size_t first_rcpt(const struct client *c)
{
	return c->xforwards + 1;
}

static size_t octets_of(const struct delivery_mail *m)
{
	size_t octets = 0;

	for (size_t i = 0; i < m->piece_count; i++)
		octets += m->pieces[i].n;
	return octets;
}

static void add_command(struct client *c, size_t step)
{
	const struct delivery_mail *m = c->run->mail;
	struct client_offers offers = c->offers;
	size_t rcpt0 = first_rcpt(c);

	offers.dsn = offers.dsn && !m->no_dsn;
	if (step + 1 == c->steps) {
		mw_text_add(&c->out, "DATA\r\n");
	} else if (step >= rcpt0) {
		const struct delivery_rcpt *r = client_active(c, step - rcpt0);

		client_add_rcpt(&c->out, r->addr, &r->params, &offers);
	} else if (step + 1 == rcpt0) {
		client_add_mail(&c->out, m->sender, m->params, octets_of(m), &offers);
	} else {
		client_add_xforward(&c->out, m->xforward, c->xforward_bits[step]);
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
	while (c->offers.pipelining && c->sent_steps < c->steps);
	if (c->out.failed) {
		c->until_ms = 0;
		return;
	}
	buf = uv_buf_init(c->out.p, (unsigned)c->out.n);
	wait_for(c, CLIENT_COMMANDS, delivery_limits(c->d)->command_ms);
	client_write(c, &buf, 1);
}

/*
 * What this next hop cannot take as it is, refused here in the words of the RFCs; recipients that
 * have an answer then are not sent. RFC 6152 section 3, RFC 6531 section 3.5, RFC 1870 section 6.
 */
static void refuse_what_cannot_go(struct client *c)
{
	const struct delivery_mail *m = c->run->mail;

	if (m->params->body == SMTP_BODY_8BITMIME && !c->offers.eightbit)
		client_tell_all(
			c->run, 550, "5.6.3", "conversion to 7BIT required but not supported");
	if (!client_can_say(m->sender, &c->offers))
		client_tell_all(c->run, 550, "5.6.7", "the next hop does not offer SMTPUTF8");
	for (size_t i = 0; i < m->rcpt_count; i++)
		if (m->rcpts[i].code == 0 && !client_can_say(m->rcpts[i].addr, &c->offers))
			client_tell(&m->rcpts[i], 553,
				"553 5.6.7 the next hop does not offer SMTPUTF8");
	if (c->offers.size_limit != 0 && octets_of(m) > c->offers.size_limit)
		client_tell_all(c->run, 552, "5.3.4",
			"message size exceeds the next hop's limit (its SIZE)");
}

/* The recipients that have no answer yet. False: no memory. */
static bool take_active(struct client *c)
{
	const struct delivery_mail *m = c->run->mail;

	c->active_count = 0;
	if (m->rcpt_count > c->active_cap) {
		size_t *more = realloc(c->active, m->rcpt_count * sizeof(*more));

		if (more == NULL)
			return false;
		c->active = more;
		c->active_cap = m->rcpt_count;
	}
	for (size_t i = 0; i < m->rcpt_count; i++)
		if (m->rcpts[i].code == 0)
			c->active[c->active_count++] = i;
	return true;
}

static bool any_refused(const struct delivery_mail *m)
{
	for (size_t i = 0; i < m->rcpt_count; i++)
		if (m->rcpts[i].code != 0 && m->rcpts[i].refusal_stops)
			return true;
	return false;
}

static void hold_back(struct delivery_run *run)
{
	const struct delivery_mail *m = run->mail;

	for (size_t i = 0; i < m->rcpt_count; i++)
		m->rcpts[i].held_back = m->rcpts[i].code == 0 || m->rcpts[i].code == RCPT_LATER;
	client_tell_all(run, 550, "5.5.0", "not sent: another recipient was refused");
}

/* The same for now. */
static void keep_waiting(struct delivery_run *run)
{
	const struct delivery_mail *m = run->mail;

	for (size_t i = 0; i < m->rcpt_count; i++)
		m->rcpts[i].waits = m->rcpts[i].code == 0 || m->rcpts[i].code == RCPT_LATER;
	client_tell_all(run, 450, "4.5.0", "not sent: another recipient was refused for now");
}

/* RFC 3461 section 5.2.2 has us tell the sender (outcome/notify.c). */
static void log_dsn(const struct client *c)
{
	const struct delivery_mail *m = c->run->mail;
	bool wanted = m->params->ret != SMTP_RET_NONE || m->params->envid != NULL;

	for (size_t i = 0; i < m->rcpt_count; i++)
		wanted |= m->rcpts[i].params.notify != 0 || m->rcpts[i].params.orcpt != NULL;
	if (wanted && !c->offers.dsn)
		mw_log_as(m->voice, MW_INFO, "dsn_not_passed_on", "log_id=%s hop=%s", m->log_id,
			c->hop.text);
}

/* One transaction with the active recipients; a mail may need several (RCPT 452). */
static void begin_transaction(struct client *c)
{
	c->steps = c->xforwards + 1 + c->active_count + 1;
	c->step = c->sent_steps = 0;
	c->accepted = c->tempfailed = c->refused = c->later = 0;
	c->surplus = false;
	c->mail_refused = false;
	c->piece = c->piece_at = 0;
	c->dot_written = false;
	c->dot_rcpt = 0;
	client_write_commands(c);
}

static void begin_mail(struct client *c)
{
	const struct delivery_mail *m = c->run->mail;

	refuse_what_cannot_go(c);
	if (any_refused(m))
		hold_back(c->run);
	if (!take_active(c))
		client_tell_all(c->run, 451, "4.3.0", "out of memory");
	if (c->active_count == 0) {
		wait_for(c, CLIENT_RSET, delivery_limits(c->d)->command_ms);
		client_line(c, "RSET"); /* its reply ends the mail: done() never runs inside
					   delivery_send() */
		return;
	}
	log_dsn(c);
	c->xforwards = m->xforward != NULL ? client_xforward_plan(m->xforward, c->offers.xforward,
						     c->xforward_bits)
					   : 0;
	begin_transaction(c);
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

static void client_write_body(struct client *c)
{
	/* libuv copies the array, not the octets; pieces outlive the run. */
	while (!stream_is_writing(c->stream) && !c->dot_written && c->until_ms != 0) {
		uv_buf_t bufs[BUFS_MAX];
		unsigned n = client_octets(c, bufs, BUFS_MAX);

		wait_for(c, CLIENT_BODY, delivery_limits(c->d)->data_ms);
		if (c->dot_written) {
			/* From here on the next hop may have the mail although we die: see
			 * docs/operations.md. */
			c->run->committed = true;
			mw_log_as(c->run->mail->voice, MW_INFO, "delivery_committing",
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

/* It closes the door, and says why. Whatever it says, the mail has not been looked at: 4xx. */
static void fail_in_its_words(struct client *c, const char *enhanced, const char *what)
{
	char why[200];

	snprintf(why, sizeof(why), "%s: %u %.120s", what, c->reply.code, c->reply.text);
	for (char *lf = strchr(why, '\n'); lf != NULL; lf = strchr(lf, '\n'))
		*lf = ' ';
	client_fail(c, 450, enhanced, why);
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
		say_hello(c, c->lmtp ? "LHLO" : "EHLO", CLIENT_EHLO);
	else
		fail_in_its_words(c, "4.4.0", "next hop refuses the session");
}

static void reply_ehlo(struct client *c)
{
	if (c->reply.code / 100 != 2) {
		/* LMTP has no greeting to fall back to. */
		if (c->state == CLIENT_EHLO && c->reply.code / 100 == 5 && !c->lmtp)
			say_hello(c, "HELO", CLIENT_HELO);
		else
			fail_in_its_words(c, "4.4.0", "next hop refuses our greeting");
		return;
	}
	client_offers_read(&c->offers, c->reply.text);
	delivery_hop_works(c);
	if (!client_tls_first(c, c->offers.starttls))
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
	say_hello(c, c->lmtp ? "LHLO" : "EHLO", CLIENT_EHLO);
}

void client_go_on(struct client *c)
{
	begin_mail(c);
}

static bool somebody_has_it(const struct delivery_mail *m)
{
	for (size_t i = 0; i < m->rcpt_count; i++)
		if (m->rcpts[i].code / 100 == 2)
			return true;
	return false;
}

/*
 * The client has one reply for all. A 4xx makes it send to all again, a 5xx makes it tell the
 * sender that nobody has it: neither may be said when somebody has. (Once an earlier batch of the
 * mail has been taken, a 5xx for one is no reason to keep it from the others.)
 */
static bool must_stop(const struct client *c)
{
	const struct delivery_mail *m = c->run->mail;

	return (m->all_or_nothing && c->tempfailed > 0) || (c->refused > 0 && !somebody_has_it(m));
}

/* A dot would deliver. Dropping the connection is the only way back. */
static void drop(struct client *c)
{
	struct delivery_run *run = c->run;

	c->run = NULL;
	run->client = NULL;
	client_close(c, false);
	delivery_run_over(run, NULL);
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
	if (client_wake_later(c) &&
		c->accepted == 0) /* DATA was refused: its words are theirs too */
		client_tell_rest(c, ".5.0");
	if (stop && c->accepted > 0 && c->tempfailed > 0)
		keep_waiting(c->run);
	else if (stop && c->accepted > 0)
		hold_back(c->run);
	if (data_accepted) {
		drop(c);
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
	/*
	 * Too many for one transaction: the ones before it go first,
	 * it and what follows in another. Should that one fail for now after this one was taken, an
	 * SMTP client sends to all again, as it does for any mixture.
	 */
	if (client_too_many(&c->reply) && c->accepted > 0) {
		r->code = RCPT_LATER;
		c->later++;
		return;
	}
	client_tell_reply(c, r, ".5.0");
	c->tempfailed += r->code / 100 == 4;
	c->refused += r->code / 100 == 5 && r->refusal_stops;
}

static void reply_data(struct client *c)
{
	bool go_on = c->reply.code == 354;

	if (c->reply.code / 100 == 2) {
		out_of_step(c, "next hop says yes to DATA");
		return;
	}
	if (!go_on && c->accepted > 0)
		client_tell_rest(c, ".5.0");
	if (!go_on)
		c->accepted = 0;
	after_commands(c, go_on);
}

static void reply_command(struct client *c)
{
	size_t rcpt0 = first_rcpt(c), step = c->step++;
	unsigned class = c->reply.code / 100;

	if (step + 1 == c->steps) {
		reply_data(c);
		return;
	}
	if (step >= rcpt0) {
		reply_rcpt(c, client_active(c, step - rcpt0));
	} else if (step + 1 == rcpt0 && class != 2) { /* MAIL */
		c->mail_refused = true;
		client_tell_rest(c, ".1.0");
	} /* an XFORWARD that is refused costs the next hop knowledge, nobody a mail */
	wait_for(c, CLIENT_COMMANDS, delivery_limits(c->d)->command_ms);
	if (c->offers.pipelining)
		return;
	if (c->mail_refused || (c->step + 1 == c->steps && (c->accepted == 0 || must_stop(c))))
		after_commands(c, false);
	else
		client_write_commands(c);
}

/* As must_stop() has it, of a batch whose final dot was refused: while nobody has the mail, nobody
 * is to get it in the next one. */
static bool batch_stops(struct client *c)
{
	const struct delivery_mail *m = c->run->mail;
	bool refused = false;

	if (somebody_has_it(m))
		return false;
	if (m->all_or_nothing && c->reply.code / 100 == 4) {
		keep_waiting(c->run);
		return true;
	}
	for (size_t i = 0; i < c->active_count; i++)
		refused |=
			client_active(c, i)->code / 100 == 5 && client_active(c, i)->refusal_stops;
	if (refused)
		hold_back(c->run);
	return refused;
}

/* The transaction is over for those that it was for: is there another batch of this mail? */
static void after_dot(struct client *c)
{
	bool keep = c->reply.code != 421 && !c->surplus;

	if (!client_wake_later(c) || !keep) {
		if (!keep)
			client_tell_all(c->run, 450, "4.4.2", "next hop closes the session");
		finish(c, keep);
		return;
	}
	if (batch_stops(c)) {
		finish(c, keep);
		return;
	}
	if (!take_active(c)) {
		client_tell_all(c->run, 451, "4.3.0", "out of memory");
		finish(c, keep);
		return;
	}
	begin_transaction(c); /* XFORWARD again: it is forgotten at the end of a transaction */
}

static void reply_dot(struct client *c)
{
	if (!c->lmtp) {
		client_tell_rest(c, ".6.0");
		after_dot(c);
		return;
	}
	while (c->dot_rcpt < c->active_count && client_active(c, c->dot_rcpt)->code != 0)
		c->dot_rcpt++;
	if (c->dot_rcpt < c->active_count)
		client_tell_reply(c, client_active(c, c->dot_rcpt++), ".6.0");
	while (c->dot_rcpt < c->active_count && client_active(c, c->dot_rcpt)->code != 0)
		c->dot_rcpt++;
	if (c->dot_rcpt == c->active_count || c->reply.code == 421)
		after_dot(c);
	else
		wait_for(c, CLIENT_DOT, delivery_limits(c->d)->dot_ms);
}

/* A refusal that does not wait for the end of the octets: its words are the mail's, no dot follows.
 */
static void refused_early(struct client *c)
{
	client_wake_later(c);
	client_tell_rest(c, ".6.0");
	client_tell_all(c->run, 450, "4.4.2", "next hop refused the mail while it was sent");
	drop(c);
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
			fail_in_its_words(c, "4.4.2", "next hop closes the session");
		} else
			reply_command(c);
		break;
	case CLIENT_DOT:
		reply_dot(c);
		break;
	case CLIENT_RSET:
		finish(c, c->reply.code / 100 == 2);
		break;
	case CLIENT_BODY:
		if (c->reply.code / 100 >= 4) {
			refused_early(c);
			break;
		}
		/* fall through */
	default: /* no yes can be meant for a mail that has no end: it ends the session */
		client_fail(c, 451, "4.4.2", "next hop spoke before the end of the data");
		break;
	}
}

void client_timeout(struct client *c)
{
	static const char *const where[] = {
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
	const char *enhanced = c->state == CLIENT_CONNECT ? "4.4.1"
			       : c->state == CLIENT_TLS	  ? "4.7.5"
							  : "4.4.2";

	client_fail(c, 450, enhanced, c->until_ms == 0 ? "write failed" : where[c->state]);
}

/* ------------------------------------------------------------------ connecting */

/* It is not from another address that this mail may come: the hop may know us by it. */
static void cannot_bind(struct client *c, int status)
{
	char text[300];

	snprintf(text, sizeof(text), "cannot connect from %s (local_client_bind_address): %s",
		c->hop.from.text, uv_strerror(status));
	if (c->run != NULL)
		mw_log_as(c->run->mail->voice, MW_WARN, "bind_failed", "log_id=%s hop=%s why=%s",
			c->run->mail->log_id, c->hop.text, mw_quote(text));
	client_fail(c, 451, "4.3.5", text);
}

static void on_connected(void *arg, struct stream *st, int status, enum connector_step step)
{
	static const struct stream_ops ops = {
		.octets = on_octets,
		.ended = on_ended,
		.secured = client_tls_secured,
		.written = on_written,
		.closed = stream_is_closed,
	};
	struct client *c = arg;
	bool looking_up = step == CONNECTOR_LOOKUP;
	char text[200];

	c->connector = NULL;
	if (st == NULL && step == CONNECTOR_BIND) {
		cannot_bind(c, status);
		return;
	}
	if (st == NULL) {
		snprintf(text, sizeof(text), "%s: %s",
			looking_up ? "cannot look up its name" : "cannot connect",
			uv_strerror(status));
		client_fail(c, 450, looking_up ? "4.4.3" : "4.4.1", text);
		return;
	}
	c->stream = st;
	stream_give(st, &ops, c);
	wait_for(c, CLIENT_BANNER, delivery_limits(c->d)->greeting_ms);
	stream_read(st, true);
}

struct client *client_new(struct delivery *d, const struct next_hop *hop)
{
	struct client *c = calloc(1, sizeof(*c));

	if (c == NULL)
		return NULL;
	c->d = d;
	c->hop = *hop;
	c->lmtp = hop->lmtp;
	smtp_reply_init(&c->reply);
	return c;
}

void client_start(struct client *c)
{
	wait_for(c, CLIENT_CONNECT, delivery_limits(c->d)->connect_ms);
	c->connector = connector_start(
		delivery_loop(c->d), delivery_names(c->d), &c->hop, on_connected, c);
	if (c->connector == NULL)
		c->until_ms = 0; /* told by the tick */
}
