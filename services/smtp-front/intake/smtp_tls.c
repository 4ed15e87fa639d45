#include "smtp_tls.h"

#include <stdlib.h>

#include "log.h"

static bool is_secured(const struct smtp_session *s)
{
	return s->tls[0] != '\0';
}

bool smtp_tls_is_offered(const struct smtp_session *s)
{
	return s->in.policy->tls_in != TLS_NONE && !is_secured(s);
}

bool smtp_tls_is_missing(const struct smtp_session *s, const char *verb)
{
	static const char *const allowed[] = { "EHLO", "LHLO", "STARTTLS", "NOOP", "QUIT",
		"BDAT" /* its octets have to be read */ };

	if (s->in.policy->tls_in < TLS_ENCRYPT || is_secured(s))
		return false;
	for (size_t i = 0; i < MW_COUNT(allowed); i++)
		if (strcmp(allowed[i], verb) == 0)
			return false;
	return true;
}

void smtp_tls_verb(struct smtp_session *s, const char *args)
{
	intake_session_refresh(&s->in); /* the certificate of now */
	if (*args != '\0')
		smtp_session_say(s, REPLY_TLS_SYNTAX, NULL);
	else if (is_secured(s))
		smtp_session_say(s, REPLY_TLS_ACTIVE, NULL);
	else if (!smtp_tls_is_offered(s))
		smtp_session_say(s, REPLY_TLS_NONE, NULL);
	else if (s->state != SMTP_READY || !s->esmtp)
		smtp_session_say(s, REPLY_TLS_STATE, NULL);
	else
		smtp_session_enter(s, SMTP_TLS);
}

void smtp_tls_answer(struct smtp_session *s, size_t octets_behind)
{
	if (octets_behind == 0) {
		smtp_session_say(s, REPLY_TLS_READY, NULL);
		return;
	}
	mw_log(MW_WARN, "starttls_injection", "peer=%s port=%u octets=%zu", s->in.peer_ip,
		s->in.peer_port, octets_behind);
	s->in.front->stats.tls_in_failed++;
	smtp_session_enter(s, SMTP_READY);
	smtp_session_close_with(s, REPLY_TLS_BEHIND);
}

bool smtp_tls_begin(struct smtp_session *s)
{
	return s->in.set->tls_in != NULL &&
	       stream_start_tls(s->in.stream, s->in.set->tls_in, NULL, false);
}

void smtp_tls_secured(struct smtp_session *s)
{
	stream_tls_describe(s->in.stream, s->tls);
	s->in.front->stats.tls_in++;
	if (mw_log_wants(MW_DEBUG))
		mw_log(MW_DEBUG, "tls_in", "peer=%s port=%u tls=%s", s->in.peer_ip, s->in.peer_port,
			mw_quote(s->tls));
	/* All that was said before is forgotten: it could have been said by anybody. */
	smtp_session_forget_words(s);
	free(s->helo);
	s->helo = NULL;
	s->esmtp = s->lmtp = s->client.per_rcpt = false;
	smtp_session_enter(s, SMTP_START);
	if (s->in.front->intake->closing)
		smtp_session_close_with(s, REPLY_SHUTDOWN);
}
