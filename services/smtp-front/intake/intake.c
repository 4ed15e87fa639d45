#include "intake.h"

#include <stdlib.h>

#include "clients.h"
#include "log.h"

static void address_of(const struct sockaddr_storage *ss, char ip[MW_IP_TEXT_MAX], uint16_t *port_r)
{
	ip[0] = '\0';
	*port_r = 0;
	if (ss->ss_family == AF_INET6) {
		uv_ip6_name((const struct sockaddr_in6 *)ss, ip, MW_IP_TEXT_MAX);
		*port_r = ntohs(((const struct sockaddr_in6 *)ss)->sin6_port);
	} else if (ss->ss_family == AF_INET) {
		uv_ip4_name((const struct sockaddr_in *)ss, ip, MW_IP_TEXT_MAX);
		*port_r = ntohs(((const struct sockaddr_in *)ss)->sin_port);
	}
}

bool intake_session_begin(struct intake_session *s, const struct intake_session_ops *ops,
	struct listener *l, const struct stream_ops *stream_ops)
{
	struct front *f = l->front;
	struct intake *in = f->intake;
	struct sockaddr_storage peer, local;

	s->ops = ops;
	s->front = f;
	s->stream = stream_new(f->loop, l->unix_socket, stream_ops, s);
	if (s->stream == NULL)
		return false; /* the connection stays in the backlog */
	s->listener = l;
	l->refs++;
	s->set = policy_set_ref(f->policies);
	s->policy = policy_for_socket(s->set, l->address, l->port);
	s->next = in->sessions;
	s->prev_p = &in->sessions;
	if (s->next != NULL)
		s->next->prev_p = &s->next;
	in->sessions = s;
	in->session_count++;
	f->stats.sessions++;
	if (stream_accept(s->stream, &l->h.stream) != 0 ||
		stream_addresses(s->stream, &peer, &local) != 0) {
		intake_session_end(s);
		return true; /* closed() comes: the protocol frees it there */
	}
	address_of(&peer, s->peer_ip, &s->peer_port);
	address_of(&local, s->local_ip, &s->local_port);
	return true;
}

void intake_session_end(struct intake_session *s)
{
	if (s->stream == NULL)
		return;
	*s->prev_p = s->next;
	if (s->next != NULL)
		s->next->prev_p = s->prev_p;
	s->front->intake->session_count--;
	clients_leave(s->front->intake->clients, &s->counted);
	stream_close(&s->stream);
}

void intake_session_fini(struct intake_session *s)
{
	policy_set_unref(&s->set);
	if (s->listener != NULL && --s->listener->refs == 0)
		free(s->listener);
	s->listener = NULL;
}

void intake_session_refresh(struct intake_session *s)
{
	policy_set_unref(&s->set);
	s->set = policy_set_ref(s->front->policies);
	s->policy = policy_for_socket(s->set, s->listener->address, s->listener->port);
}

/* ------------------------------------------------------------------ who may come in */

bool intake_is_full(const struct front *f)
{
	return f->intake->session_count > f->limits.sessions;
}

/* A Unix socket's door is its mode and its folder's; a trusted proxy's own connection, as
 * its health checks, comes from one who could have named any client. */
static bool in_acl(const struct intake_session *s, const struct mw_ip *ip)
{
	struct mw_lookup_result r;

	return s->by_proxy || (ip == NULL && s->listener->unix_socket) ||
	       (ip != NULL && mw_lookup_ip(s->policy->acl, ip, &r) && r.value.b);
}

enum smtp_reply_id intake_refuses(struct intake_session *s)
{
	const struct front *f = s->front;
	unsigned per_client = f->limits.sessions_per_client;
	struct mw_ip ip;
	bool known = mw_ip_parse(s->peer_ip, &ip);

	if (!in_acl(s, known ? &ip : NULL)) {
		mw_log(MW_WARN, "client_refused", "peer=%s why=inet_acl", s->peer_ip);
		return REPLY_ACL;
	}
	if (intake_is_full(f))
		return REPLY_TOO_MANY_SESSIONS;
	if (!known)
		return REPLY_COUNT;
	s->counted = clients_enter(f->intake->clients, &ip);
	if (s->counted == NULL)
		return REPLY_CLOSE_NO_MEMORY;
	return per_client > 0 && clients_count(s->counted) > per_client ? REPLY_TOO_MANY_OF_CLIENT
									: REPLY_COUNT;
}
