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
	static const char *const allowed[] = { "EHLO", "STARTTLS", "NOOP", "QUIT" };

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
		smtp_session_say(s, 501, "5.5.4", "syntax: STARTTLS");
	else if (is_secured(s))
		smtp_session_say(s, 554, "5.5.1", "TLS is already active");
	else if (!smtp_tls_is_offered(s))
		smtp_session_say(
			s, 502, "5.5.1", "STARTTLS is not configured (tls_security_level_in)");
	else if (s->state != SMTP_READY || !s->esmtp)
		smtp_session_say(s, 503, "5.5.1", "STARTTLS needs EHLO and no open transaction");
	else
		smtp_session_enter(s, SMTP_TLS);
}

void smtp_tls_answer(struct smtp_session *s, size_t octets_behind)
{
	if (octets_behind == 0) {
		smtp_session_say(s, 220, "2.0.0", "Ready to start TLS");
		return;
	}
	mw_log(MW_WARN, "starttls_injection", "peer=%s port=%u octets=%zu", s->in.peer_ip,
		s->in.peer_port, octets_behind);
	s->in.front->stats.tls_in_failed++;
	smtp_session_enter(s, SMTP_READY);
	smtp_session_close_with(s, 554, "5.5.0", "nothing may follow STARTTLS before its reply");
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
	s->esmtp = false;
	smtp_session_enter(s, SMTP_START);
	if (s->in.front->intake->closing)
		smtp_session_close_with(s, 421, "4.3.2", "service is shutting down");
}

const char *smtp_tls_protocol(const struct smtp_session *s)
{
	if (!s->esmtp)
		return "SMTP";
	return is_secured(s) ? "ESMTPS" : "ESMTP";
}
