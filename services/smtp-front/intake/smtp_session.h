/*
 * One client's session: octets in, replies out, a transaction for each mail. States and which verb
 * is legal where stand in one table in smtp_session.c (RFC 5321 section 4.1.4).
 */
#ifndef SMTP_SESSION_H
#define SMTP_SESSION_H

#include "front.h"

struct smtp_session;
struct smtp_listener {
	struct front *front;
	uv_tcp_t tcp;
	char address[64];
	unsigned port;
	struct smtp_listener *next;
};

struct smtp_listeners {
	struct smtp_listener *first;
	struct smtp_session *sessions;
	size_t session_count;
	struct mw_timer *tick;
	bool closing;
};

/* listener.c */
enum mw_rc listeners_open(struct front *f, const struct mw_conf *conf, struct mw_err *err_r);
/* "127.0.0.1:10024,[::1]:10024" for the ready line. */
void listeners_describe(const struct front *f, struct mw_text *out);
/* No new sessions; idle ones get 421; returns when nothing is left to the sessions' own end. */
void listeners_drain(struct front *f);
void listeners_close(struct front *f);

/* smtp_session.c: take the connection that waits at the listener. */
void smtp_session_accept(struct smtp_listener *l);
/*
 * The transaction is over: send its reply and go on. The transaction is gone for the session after
 * this. False: the client cannot be told any more.
 */
bool smtp_session_reply(struct smtp_session *s, unsigned code, const char *text);
/* What txn_new copies from a session. */
struct smtp_session_facts {
	const char *helo, *peer_ip, *local_ip, *protocol;
	unsigned peer_port, local_port;
	const struct smtp_xforward *xforward; /* NULL: none was said for this mail */
	struct policy_set *set;
	const struct policy *policy;
};
void smtp_session_facts(const struct smtp_session *s, struct smtp_session_facts *f_r);
/* Once a second: time limits. */
void smtp_session_tick(struct smtp_session *s, uint64_t now_ms);
/* 421 and close, when it is between mails; true when it was closed. */
bool smtp_session_dismiss(struct smtp_session *s);
void smtp_session_kill(struct smtp_session *s);
struct smtp_session *smtp_session_next(const struct smtp_session *s);

#endif
