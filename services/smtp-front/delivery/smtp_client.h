/* One connection to a next hop and its dialogue (RFC 5321); delivery.c owns the pool of them. */
#ifndef SMTP_CLIENT_H
#define SMTP_CLIENT_H

#include "client_commands.h"
#include "connect.h"
#include "delivery.h"
#include "smtp_reply.h"
#include "stream.h"
#include "text.h"

enum client_state {
	CLIENT_CONNECT, /* its name looked up, its addresses tried */
	CLIENT_BANNER,
	CLIENT_EHLO,
	CLIENT_STARTTLS,
	CLIENT_TLS, /* the handshake */
	CLIENT_HELO,
	CLIENT_COMMANDS, /* XFORWARD, MAIL, RCPT..., DATA: where in them, says step */
	CLIENT_BODY,
	CLIENT_DOT,
	CLIENT_RSET,
	CLIENT_IDLE,
	CLIENT_CLOSED
};

struct client_limits {
	uint64_t connect_ms, greeting_ms, command_ms, data_ms, dot_ms;
};

struct client;

struct delivery_run {
	struct delivery *d;
	const struct delivery_mail *mail;
	void (*done)(void *arg, bool new_connection);
	void *arg;
	struct client *client; /* NULL: waiting for one */
	unsigned tried;	       /* a bit for each of mail->hops that could not be talked to */
	bool retried;	       /* a stale connection was replaced */
	bool plain;	       /* TLS failed at level may: go on without */
	bool committed;	       /* the final dot may have left */
	struct delivery_run *next, **prev_p;
};

struct client {
	struct delivery *d;
	struct client *next, **prev_p;		 /* in the pool's list */
	struct client *idle_next, **idle_prev_p; /* in the pool's; NULL: it is not idle */
	struct hop_pool *pool;
	struct next_hop hop;
	enum client_state state;
	struct delivery_run *run;
	struct connector *connector; /* until there is a stream */
	struct stream *stream;
	bool lmtp;
	struct mw_tls_ctx *tls;
	bool plain, secured; /* no STARTTLS here; it was done */
	bool spoilt;	     /* somebody stands between us and the hop: never again in plaintext */
	bool reused, heard;  /* for this mail: an old connection; the next hop has said something */
	struct client_offers offers; /* what EHLO offered */
	uint64_t until_ms, idle_since_ms;
	unsigned uses;
	size_t steps, step, sent_steps; /* commands of this mail: all, answered, written */
	size_t xforwards;		/* of them, XFORWARD */
	unsigned xforward_bits[XFORWARDS_MAX];
	size_t *active; /* indexes of the recipients that this transaction is for */
	size_t active_count, active_cap;
	size_t later;			      /* recipients that another transaction is for */
	size_t accepted, tempfailed, refused; /* the last: those that stop */
	bool mail_refused;
	bool surplus;		/* octets came that answer nothing */
	size_t piece, piece_at; /* how far the octets are written */
	bool dot_written;
	size_t dot_rcpt; /* LMTP: the recipient that the next reply to the dot is about */
	struct mw_text out;
	struct smtp_reply reply;
};

/* pool's side (delivery.c) */
const struct client_limits *delivery_limits(const struct delivery *d);
struct mw_loop *delivery_loop(const struct delivery *d);
struct names *delivery_names(const struct delivery *d);
void delivery_client_idle(struct client *c);
/* This hop greets: it is not passed over any more. */
void delivery_hop_works(struct client *c);
/* The mail is over: rcpts are filled in. */
void delivery_run_over(struct delivery_run *run, struct client *c);
/* A stale connection: the mail goes to another one. */
void delivery_run_again(struct delivery_run *run);
/* This hop could not be talked to, and has not heard of the mail: true when the mail goes to the
 * next of its hops. */
bool delivery_hop_failed(struct delivery_run *run, struct client *c);
/* TLS failed, and this mail goes on without: it goes to another connection. */
void delivery_run_plain(struct delivery_run *run);
void delivery_client_gone(struct client *c);
void delivery_tls_stands(struct client *c);
void delivery_tls_failed(struct client *c);
/* TLS with this hop failed a moment ago. */
bool delivery_tls_is_down(const struct delivery *d, const struct next_hop *hop);

/* client's side (smtp_client.c) */
struct client *client_new(struct delivery *d, const struct next_hop *hop);
/* Connect; failures are told later, by the pool's tick. */
void client_start(struct client *c);
void client_take(struct client *c, struct delivery_run *run);
/* The time of its state is up. */
void client_timeout(struct client *c);
/* Give up the connection: the run (if any) ends with code and text; QUIT is said when polite. */
void client_fail(struct client *c, unsigned code, const char *enhanced, const char *why);
void client_close(struct client *c, bool polite);
/* For client_tls.c: say a line, or only wait, with a greeting's time; EHLO; the mail. */
void client_say(struct client *c, const char *line, enum client_state state);
void client_wait(struct client *c, enum client_state state);
void client_greet(struct client *c);
void client_go_on(struct client *c);
/* Of the mail's octets as many as fit, at most max buffers; the last of all is the final dot, and
 * then c->dot_written is set (client_octets.c). */
unsigned client_octets(struct client *c, uv_buf_t *bufs, unsigned max);
/* Fill every recipient that has no result yet (client_results.c). */
void client_tell_all(
	struct delivery_run *run, unsigned code, const char *enhanced, const char *text);

#endif
