#include "smtp_proxy.h"

#include "log.h"
#include "proxy_header.h"

/* Whoever may write to a Unix socket is trusted by its mode. */
static bool is_trusted(const struct smtp_session *s)
{
	struct mw_lookup_result r;
	struct mw_ip ip;

	return s->in.listener->unix_socket ||
	       (mw_ip_parse(s->in.peer_ip, &ip) && mw_lookup_ip(s->in.policy->proxies, &ip, &r) &&
		       r.value.b);
}

static void refuse(struct smtp_session *s, enum smtp_reply_id id, const char *why)
{
	mw_log(MW_WARN, "proxy_refused", "peer=%s port=%u why=%s", s->in.peer_ip, s->in.peer_port,
		mw_quote(why));
	s->in.front->stats.refused++;
	smtp_session_say(s, id, why);
	s->closing = true;
	s->until_ms = mw_loop_now_ms(s->in.front->loop) + SMTP_LAST_WORDS_MS;
}

void smtp_proxy_begin(struct smtp_session *s)
{
	smtp_session_enter(s, SMTP_PROXY);
	if (!is_trusted(s))
		refuse(s, REPLY_PROXY_PEER, "haproxy_trusted_networks");
	else if (intake_is_full(s->in.front))
		refuse(s, REPLY_TOO_MANY_SESSIONS, "smtpd_session_limit");
}

/* From here on the connection's ends are those that the proxy saw: inet_acl, limits, log and trace
 * speak of them. It is still the connection: whose mail it is (the original client of policy banks)
 * only XFORWARD says. */
static void believe(struct smtp_session *s, const struct proxy_header *h)
{
	if (mw_log_wants(MW_DEBUG))
		mw_log(MW_DEBUG, "proxy_header", "proxy=%s port=%u version=%u client=%d",
			s->in.peer_ip, s->in.peer_port, h->version, h->has_client);
	s->in.by_proxy = h->own;
	if (!h->has_client)
		return;
	mw_ip_format(&h->client, s->in.peer_ip);
	mw_ip_format(&h->local, s->in.local_ip);
	s->in.peer_port = h->client_port;
	s->in.local_port = h->local_port;
}

size_t smtp_proxy_take(struct smtp_session *s, const unsigned char *p, size_t n)
{
	struct proxy_header h;
	const char *why = "";
	size_t used = 0;
	int end = proxy_header_read(p, n, &h, &used, &why);

	if (end < 0) {
		refuse(s, REPLY_PROXY_HEADER, why);
		return n;
	}
	if (end > 0) {
		believe(s, &h);
		smtp_session_greet(s);
	}
	return used;
}
