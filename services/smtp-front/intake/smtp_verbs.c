/* What a client may say, and what we answer: the one table of verbs, and a function for each. */
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "policy/mail_policy.h"
#include "smtp_tls.h"

#define XFORWARDS_MAX 16 /* commands for one mail; seven attributes fit one or two */

/* What this session is offered: all but what the bank discards. */
static unsigned offers(const struct smtp_session *s)
{
	unsigned all = s->esmtp ? s->in.policy->offers : 0;

	return smtp_tls_is_offered(s) ? all : all & ~MW_BIT(SMTP_OFFERS_STARTTLS);
}

static void say_offers(struct smtp_session *s)
{
	static const struct {
		enum smtp_offer offer;
		const char *line;
	} lines[] = {
		{ SMTP_OFFERS_PIPELINING, "PIPELINING" },
		{ SMTP_OFFERS_ENHANCEDSTATUSCODES, "ENHANCEDSTATUSCODES" },
		{ SMTP_OFFERS_8BITMIME, "8BITMIME" },
		{ SMTP_OFFERS_SMTPUTF8, "SMTPUTF8" },
		{ SMTP_OFFERS_DSN, "DSN" },
		{ SMTP_OFFERS_CHUNKING, "CHUNKING" },
		{ SMTP_OFFERS_STARTTLS, "STARTTLS" },
		{ SMTP_OFFERS_XFORWARD, "XFORWARD NAME ADDR PORT PROTO HELO IDENT SOURCE" },
	};
	const struct policy *p = s->in.policy;
	size_t last;

	mw_text_addf(&s->out, "250-%s\r\n", p->localhost_name);
	last = s->out.n - strlen(p->localhost_name) - 3;
	if ((offers(s) & MW_BIT(SMTP_OFFERS_SIZE)) != 0) {
		last = s->out.n + 3;
		mw_text_addf(
			&s->out, "250-SIZE %llu\r\n", (unsigned long long)p->message_size_limit);
	}
	for (size_t i = 0; i < MW_COUNT(lines); i++)
		if ((offers(s) & MW_BIT(lines[i].offer)) != 0) {
			last = s->out.n + 3;
			mw_text_addf(&s->out, "250-%s\r\n", lines[i].line);
		}
	if (!s->out.failed)
		s->out.p[last] = ' ';
}

static void hello(struct smtp_session *s, const char *args, bool esmtp, bool lmtp)
{
	enum policy_protocol protocol = s->in.policy->protocol;
	size_t n = strcspn(args, " ");

	if (protocol == PROTOCOL_LMTP && !lmtp) { /* RFC 2033 section 4.1 */
		smtp_session_say(s, REPLY_ONLY_LMTP, NULL);
		return;
	}
	if (protocol == PROTOCOL_SMTP && lmtp) {
		smtp_session_say(s, REPLY_ONLY_SMTP, NULL);
		return;
	}
	if (n == 0 || n > 255 || !mw_is_printable(args, n)) {
		smtp_session_say(s, REPLY_HELLO_SYNTAX, NULL);
		return;
	}
	smtp_session_drop_mail(s);
	smtp_session_forget_words(s);
	free(s->helo);
	s->helo = strndup(args, n);
	if (s->helo == NULL) {
		smtp_session_close_with(s, REPLY_CLOSE_NO_MEMORY);
		return;
	}
	s->esmtp = esmtp;
	s->lmtp = lmtp;
	s->client.per_rcpt = lmtp;
	smtp_session_enter(s, SMTP_READY);
	if (esmtp)
		say_offers(s);
	else
		mw_text_addf(&s->out, "250 %s\r\n", s->in.policy->localhost_name);
}

static void verb_ehlo(struct smtp_session *s, const char *args)
{
	hello(s, args, true, false);
}

static void verb_helo(struct smtp_session *s, const char *args)
{
	hello(s, args, false, false);
}

static void verb_lhlo(struct smtp_session *s, const char *args)
{
	hello(s, args, true, true);
}

static void verb_xforward(struct smtp_session *s, const char *args)
{
	struct smtp_refusal why;

	/* Whoever may say it chooses its banks: where it is not offered it is not taken. */
	if ((s->in.policy->offers & MW_BIT(SMTP_OFFERS_XFORWARD)) == 0) {
		smtp_session_say(s, REPLY_XFORWARD_NONE, NULL);
		return;
	}
	if (++s->xforwards > XFORWARDS_MAX) {
		smtp_session_say(s, REPLY_XFORWARD_MANY, NULL);
		return;
	}
	if (s->xforward == NULL)
		s->xforward = smtp_arena_array(&s->words, 1, sizeof(*s->xforward));
	if (s->xforward == NULL)
		smtp_session_say(s, REPLY_NO_MEMORY, NULL);
	else if (!smtp_command_xforward(&s->words, args, s->xforward, &why))
		smtp_session_refuse(s, &why);
	else
		smtp_session_say(s, REPLY_XFORWARD, NULL);
}

/* Early no: before the client has sent its octets for nothing. */
static bool too_busy(struct smtp_session *s)
{
	const char *kind = dispatch_full(s->in.front->dispatch);

	if (kind != NULL)
		smtp_session_say(s, REPLY_QUEUE_FULL, kind);
	else if (smtp_body_pool_is_full(&s->in.front->bodies))
		smtp_session_say(s, REPLY_HELD_FULL, NULL);
	else
		return false;
	return true;
}

/* RFC 3848, RFC 6531 section 4.3. */
static const char *protocol_name(const struct smtp_session *s, bool utf8)
{
	static const char *const names[2][2][2] = { /* lmtp, utf8, TLS */
		{ { "ESMTP", "ESMTPS" }, { "UTF8SMTP", "UTF8SMTPS" } },
		{ { "LMTP", "LMTPS" }, { "UTF8LMTP", "UTF8LMTPS" } }
	};

	return s->esmtp ? names[s->lmtp][utf8][s->tls[0] != '\0'] : "SMTP";
}

static struct txn *begin_transaction(struct smtp_session *s, const char *sender, bool utf8)
{
	const struct txn_origin origin = { .helo = s->helo,
		.peer_ip = s->in.peer_ip,
		.local_ip = s->in.local_ip,
		.protocol = protocol_name(s, utf8),
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
	struct smtp_refusal why = smtp_replies[REPLY_NO_MEMORY];
	const char *addr, *rest;
	bool utf8, said_envid;
	char text[24];

	if (too_busy(s))
		return;
	intake_session_refresh(&s->in);
	if (smtp_tls_is_missing(s, "MAIL")) { /* since the settings of now */
		smtp_session_say(s, REPLY_TLS_REQUIRED, NULL);
		return;
	}
	utf8 = (offers(s) & MW_BIT(SMTP_OFFERS_SMTPUTF8)) != 0 && smtp_command_says_utf8(args);
	if (!smtp_command_path(&s->words, args, "FROM:", true, utf8, &addr, &rest, &why) ||
		!smtp_command_mail_params(&s->words, rest, offers(s), &params, &why)) {
		smtp_session_refuse(s, &why);
		return;
	}
	said_envid = params.envid != NULL;
	s->txn = begin_transaction(s, addr, params.smtputf8);
	if (s->txn != NULL)
		s->txn->body = smtp_body_new(&s->in.front->bodies, (size_t)params.size);
	if (s->txn != NULL && s->txn->body != NULL && params.envid != NULL)
		params.envid = smtp_arena_copy(&s->txn->arena, params.envid, strlen(params.envid));
	if (s->txn == NULL || s->txn->body == NULL || (said_envid && params.envid == NULL)) {
		smtp_session_drop_mail(s);
		smtp_session_say(s, REPLY_NO_MEMORY, NULL);
		return;
	}
	if (!mail_policy_begin(s->txn, NULL)) {
		smtp_session_drop_mail(s);
		smtp_session_say(s, REPLY_POLICY, NULL);
		return;
	}
	if (params.size > s->txn->policy->message_size_limit) {
		snprintf(text, sizeof(text), "%llu",
			(unsigned long long)s->txn->policy->message_size_limit);
		smtp_session_drop_mail(s);
		smtp_session_say(s, REPLY_TOO_LARGE, text);
		return;
	}
	s->txn->params = params;
	smtp_session_enter(s, SMTP_MAIL);
	smtp_session_say(s, REPLY_SENDER, addr);
}

static void verb_rcpt(struct smtp_session *s, const char *args)
{
	struct smtp_rcpt_params params;
	struct smtp_refusal why;
	const char *addr, *rest;
	bool utf8 = s->txn->params.smtputf8;

	if (txn_is_full(s->txn)) { /* before anything is kept of it */
		/* 452, not 552: the client may send the rest again (RFC 5321 section 4.5.3.1.10);
		 * and no error of its own. */
		smtp_session_say(s, REPLY_RCPT_FULL, NULL);
		s->errors--;
		return;
	}
	if (!smtp_command_path(&s->txn->arena, args, "TO:", false, utf8, &addr, &rest, &why) ||
		!smtp_command_rcpt_params(&s->txn->arena, rest, offers(s), utf8, &params, &why)) {
		smtp_session_refuse(s, &why);
		return;
	}
	if (txn_add_rcpt(s->txn, addr, &params) != MW_OK) {
		smtp_session_say(s, REPLY_NO_MEMORY, NULL);
	} else {
		smtp_session_enter(s, SMTP_RCPT);
		smtp_session_say(s, REPLY_RECIPIENT, addr);
	}
}

static void verb_data(struct smtp_session *s, const char *args)
{
	if (*args != '\0') {
		smtp_session_say(s, REPLY_DATA_SYNTAX, NULL);
	} else if (s->state == SMTP_MAIL) {
		smtp_session_say(s, s->lmtp ? REPLY_NO_RCPT_LMTP : REPLY_DATA_STATE, NULL);
	} else {
		smtp_session_begin_data(s);
		mw_text_add(&s->out, "354 End data with <CR><LF>.<CR><LF>\r\n");
	}
}

/* RFC 3030 section 2. Whatever is said of it, its octets come. */
static void verb_bdat(struct smtp_session *s, const char *args)
{
	enum smtp_reply_id no = REPLY_COUNT;
	uint64_t octets;
	bool last;

	if (!smtp_command_bdat(args, &octets, &last)) {
		smtp_session_say(s, REPLY_BDAT_SYNTAX, NULL);
		s->closing = true; /* where the chunk ends nobody knows */
		return;
	}
	if ((offers(s) & MW_BIT(SMTP_OFFERS_CHUNKING)) == 0)
		no = REPLY_NOT_IMPLEMENTED;
	else if (s->state == SMTP_MAIL && s->lmtp)
		no = REPLY_NO_RCPT_LMTP;
	else if (s->state != SMTP_RCPT && s->state != SMTP_CHUNKS)
		no = REPLY_BDAT_STATE;
	smtp_session_begin_chunk(s, octets, last, no);
}

static void verb_rset(struct smtp_session *s, const char *args)
{
	(void)args;
	smtp_session_drop_mail(s);
	smtp_session_forget_words(s);
	smtp_session_say(s, REPLY_RSET, NULL);
}

static void verb_noop(struct smtp_session *s, const char *args)
{
	(void)args;
	smtp_session_say(s, REPLY_NOOP, NULL);
}

static void verb_vrfy(struct smtp_session *s, const char *args)
{
	(void)args;
	smtp_session_say(s, REPLY_VRFY, NULL);
}

static void verb_help(struct smtp_session *s, const char *args)
{
	(void)args;
	smtp_session_say(s, REPLY_HELP, NULL);
}

static void verb_quit(struct smtp_session *s, const char *args)
{
	(void)args;
	smtp_session_drop_mail(s);
	smtp_session_say(s, REPLY_BYE, s->in.policy->goodbye[s->lmtp]);
	s->closing = true;
}

static void verb_refused(struct smtp_session *s, const char *args)
{
	(void)args;
	smtp_session_say(s, REPLY_NOT_IMPLEMENTED, NULL);
}

/* Which verb is legal in which state: the only place that says so (RFC 5321 section 4.1.4). */
static const struct smtp_verb {
	const char *name;
	unsigned states;
	void (*handle)(struct smtp_session *s, const char *args);
	enum smtp_reply_id otherwise;
} verbs[] = {
	{ "EHLO", SMTP_ANY_COMMAND, verb_ehlo, REPLY_COUNT },
	{ "HELO", SMTP_ANY_COMMAND, verb_helo, REPLY_COUNT },
	{ "LHLO", SMTP_ANY_COMMAND, verb_lhlo, REPLY_COUNT },
	{ "XFORWARD", MW_BIT(SMTP_READY), verb_xforward, REPLY_XFORWARD_STATE },
	{ "MAIL", MW_BIT(SMTP_READY), verb_mail, REPLY_MAIL_STATE },
	{ "RCPT", MW_BIT(SMTP_MAIL) | MW_BIT(SMTP_RCPT), verb_rcpt, REPLY_RCPT_STATE },
	{ "DATA", MW_BIT(SMTP_MAIL) | MW_BIT(SMTP_RCPT), verb_data, REPLY_DATA_STATE },
	{ "BDAT", SMTP_ANY_COMMAND, verb_bdat, REPLY_COUNT },
	{ "RSET", SMTP_ANY_COMMAND, verb_rset, REPLY_COUNT },
	{ "NOOP", SMTP_ANY_COMMAND, verb_noop, REPLY_COUNT },
	{ "VRFY", SMTP_ANY_COMMAND, verb_vrfy, REPLY_COUNT },
	{ "HELP", SMTP_ANY_COMMAND, verb_help, REPLY_COUNT },
	{ "QUIT", SMTP_ANY_COMMAND, verb_quit, REPLY_COUNT },
	{ "EXPN", SMTP_ANY_COMMAND, verb_refused, REPLY_COUNT },
	{ "TURN", SMTP_ANY_COMMAND, verb_refused, REPLY_COUNT },
	{ "ETRN", SMTP_ANY_COMMAND, verb_refused, REPLY_COUNT },
	{ "STARTTLS", SMTP_ANY_COMMAND, smtp_tls_verb, REPLY_COUNT },
	{ "AUTH", SMTP_ANY_COMMAND, verb_refused, REPLY_COUNT },
};

void smtp_verbs_run(struct smtp_session *s, const char *line)
{
	size_t n, args;

	if (++s->commands > s->in.front->limits.commands ||
		s->errors >= s->in.front->limits.errors) {
		smtp_session_close_with(s, s->commands > s->in.front->limits.commands
						   ? REPLY_TOO_MANY_COMMANDS
						   : REPLY_TOO_MANY_ERRORS);
		return;
	}
	if (!smtp_command_verb(line, &n, &args)) {
		smtp_session_say(s, REPLY_UNKNOWN, NULL);
		return;
	}
	for (size_t i = 0; i < MW_COUNT(verbs); i++) {
		if (strlen(verbs[i].name) != n || strncasecmp(verbs[i].name, line, n) != 0)
			continue;
		if (smtp_tls_is_missing(s, verbs[i].name))
			smtp_session_say(s, REPLY_TLS_REQUIRED, NULL);
		else if ((verbs[i].states & MW_BIT(s->state)) != 0)
			verbs[i].handle(s, line + args);
		else if (s->state == SMTP_CHUNKS && verbs[i].handle != verb_xforward)
			smtp_session_say(s, REPLY_DATA_AFTER_BDAT, NULL);
		else
			smtp_session_say(s, verbs[i].otherwise, NULL);
		return;
	}
	smtp_session_say(s, REPLY_UNKNOWN, NULL);
}
