/* What a client may say, and what we answer: the one table of verbs, and a function for each. */
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "smtp_tls.h"

#define XFORWARDS_MAX 16 /* commands for one mail; seven attributes fit one or two */

static void hello(struct smtp_session *s, const char *args, bool esmtp)
{
	size_t n = strcspn(args, " ");

	if (n == 0 || n > 255 || !mw_is_printable(args, n)) {
		smtp_session_say(s, 501, "5.5.4", "syntax: EHLO hostname");
		return;
	}
	smtp_session_drop_mail(s);
	smtp_session_forget_words(s);
	free(s->helo);
	s->helo = strndup(args, n);
	if (s->helo == NULL) {
		smtp_session_close_with(s, 421, "4.3.0", "out of memory");
		return;
	}
	s->esmtp = esmtp;
	smtp_session_enter(s, SMTP_READY);
	if (!esmtp) {
		mw_text_addf(&s->out, "250 %s\r\n", s->in.policy->localhost_name);
		return;
	}
	mw_text_addf(&s->out,
		"250-%s\r\n250-PIPELINING\r\n250-SIZE "
		"%llu\r\n250-ENHANCEDSTATUSCODES\r\n250-8BITMIME\r\n"
		"%s250 XFORWARD NAME ADDR PORT PROTO HELO IDENT SOURCE\r\n",
		s->in.policy->localhost_name, (unsigned long long)s->in.policy->message_size_limit,
		smtp_tls_is_offered(s) ? "250-STARTTLS\r\n" : "");
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
		smtp_session_say(s, 503, "5.5.1", "too many XFORWARD commands for one mail");
		return;
	}
	if (s->xforward == NULL)
		s->xforward = smtp_arena_array(&s->words, 1, sizeof(*s->xforward));
	if (s->xforward == NULL)
		smtp_session_say(s, 451, "4.3.0", "out of memory");
	else if (!smtp_command_xforward(&s->words, args, s->xforward, &why))
		smtp_session_say(s, why.code, why.enhanced, why.text);
	else
		smtp_session_say(s, 250, "2.5.0", "Ok XFORWARD");
}

/* Early no: before the client has sent its octets for nothing. */
static bool too_busy(struct smtp_session *s)
{
	const char *kind = dispatch_full(s->in.front->dispatch);
	char text[128];

	if (kind != NULL) {
		snprintf(text, sizeof(text),
			"too many %s jobs are waiting (checks.queue_limit), try again later", kind);
		smtp_session_say(s, 451, "4.3.2", text);
		return true;
	}
	if (smtp_body_held(&s->in.front->bodies) >= s->in.front->bodies.held_limit) {
		smtp_session_say(
			s, 452, "4.3.1", "mails in flight fill front.held_octets, try again later");
		return true;
	}
	return false;
}

static struct txn *begin_transaction(struct smtp_session *s, const char *sender)
{
	const struct txn_origin origin = { .helo = s->helo,
		.peer_ip = s->in.peer_ip,
		.local_ip = s->in.local_ip,
		.protocol = smtp_tls_protocol(s),
		.tls = s->tls,
		.peer_port = s->in.peer_port,
		.local_port = s->in.local_port,
		.xforward = s->xforward,
		.set = s->in.set,
		.policy = s->in.policy };

	return txn_new(s->in.front, &s->client, &origin, sender);
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
	intake_session_refresh(&s->in);
	if (!smtp_command_path(&s->words, args, "FROM:", true, false, &addr, &rest, &why) ||
		!smtp_command_mail_params(rest, &params, &why)) {
		smtp_session_say(s, why.code, why.enhanced, why.text);
		return;
	}
	if (params.size > s->in.policy->message_size_limit) {
		snprintf(text, sizeof(text),
			"message size exceeds smtpd_message_size_limit of %llu octets",
			(unsigned long long)s->in.policy->message_size_limit);
		smtp_session_say(s, 552, "5.3.4", text);
		return;
	}
	s->txn = begin_transaction(s, addr);
	if (s->txn != NULL)
		s->txn->body = smtp_body_new(&s->in.front->bodies, (size_t)params.size);
	if (s->txn == NULL || s->txn->body == NULL) {
		smtp_session_drop_mail(s);
		smtp_session_say(s, why.code, why.enhanced, why.text);
		return;
	}
	s->txn->params = params;
	smtp_session_enter(s, SMTP_MAIL);
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
		smtp_session_say(s, why.code, why.enhanced, why.text);
		return;
	}
	rc = txn_add_rcpt(s->txn, addr);
	if (rc != MW_OK) {
		smtp_session_say(s, 451, "4.3.0", "out of memory");
	} else {
		smtp_session_enter(s, SMTP_RCPT);
		mw_text_addf(&s->out, "250 2.1.5 Recipient <%s> OK\r\n", addr);
	}
}

static void verb_data(struct smtp_session *s, const char *args)
{
	if (*args != '\0') {
		smtp_session_say(s, 501, "5.5.4", "syntax: DATA");
		return;
	}
	smtp_session_begin_data(s);
	mw_text_add(&s->out, "354 End data with <CR><LF>.<CR><LF>\r\n");
}

static void verb_rset(struct smtp_session *s, const char *args)
{
	(void)args;
	smtp_session_drop_mail(s);
	smtp_session_forget_words(s);
	smtp_session_say(s, 250, "2.0.0", "Ok RSET");
}

static void verb_noop(struct smtp_session *s, const char *args)
{
	(void)args;
	smtp_session_say(s, 250, "2.0.0", "Ok NOOP");
}

static void verb_vrfy(struct smtp_session *s, const char *args)
{
	(void)args;
	smtp_session_say(s, 252, "2.0.0", "Argument not checked");
}

static void verb_help(struct smtp_session *s, const char *args)
{
	(void)args;
	smtp_session_say(s, 214, "2.0.0", "See RFC 5321 and docs/smtp in Mailweir's documentation");
}

static void verb_quit(struct smtp_session *s, const char *args)
{
	(void)args;
	smtp_session_drop_mail(s);
	mw_text_addf(&s->out, "221 2.0.0 %s closing transmission channel\r\n",
		s->in.policy->localhost_name);
	s->closing = true;
}

static void verb_refused(struct smtp_session *s, const char *args)
{
	(void)args;
	smtp_session_say(s, 502, "5.5.1", "command not implemented");
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
	{ "STARTTLS", SMTP_COMMAND_STATES, smtp_tls_verb, "" },
	{ "AUTH", SMTP_COMMAND_STATES, verb_refused, "" },
};

void smtp_verbs_run(struct smtp_session *s, const char *line)
{
	size_t n, args;

	if (++s->commands > s->in.front->limits.commands ||
		s->errors >= s->in.front->limits.errors) {
		smtp_session_close_with(s, 421, "4.7.0",
			s->commands > s->in.front->limits.commands
				? "too many commands (smtpd_command_limit)"
				: "too many errors (smtpd_error_limit)");
		return;
	}
	if (!smtp_command_verb(line, &n, &args)) {
		smtp_session_say(s, 500, "5.5.2", "command not recognized");
		return;
	}
	for (size_t i = 0; i < MW_COUNT(verbs); i++) {
		if (strlen(verbs[i].name) != n || strncasecmp(verbs[i].name, line, n) != 0)
			continue;
		if (smtp_tls_is_missing(s, verbs[i].name))
			smtp_session_say(s, 530, "5.7.0", "Must issue a STARTTLS command first");
		else if ((verbs[i].states & MW_BIT(s->state)) == 0)
			smtp_session_say(s, 503, "5.5.1", verbs[i].otherwise);
		else
			verbs[i].handle(s, line + args);
		return;
	}
	smtp_session_say(s, 500, "5.5.2", "command not recognized");
}
