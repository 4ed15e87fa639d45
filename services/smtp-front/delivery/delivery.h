/*
 * The way out: one delivery is one transaction with a next hop, over a connection that is kept for
 * the next mail.
 *
 * 2xx for a recipient is told only after the next hop's 2xx to the final dot. What goes wrong
 * before that is 4xx with the reason, what the next hop says is passed on in its own words. A
 * connection that turns out to be stale before the next hop has said anything to this mail is
 * replaced once, without loss.
 */
#ifndef SMTP_DELIVERY_H
#define SMTP_DELIVERY_H

#include "conf.h"
#include "log.h"
#include "loop.h"
#include "delivery/next_hop.h"
#include "intake/smtp_command.h"
#include "tls.h"
#include "tls_level.h"

struct delivery_rcpt {
	const char *addr;
	struct smtp_rcpt_params params;
	/* A 5xx for it stops the others: nobody but the client could tell the sender, or the client
	 * sends to all again. */
	bool refusal_stops;
	bool held_back; /* by such a one: nobody has refused this recipient */
	bool waits;	/* not sent, for another one was refused for now */
	bool own_words; /* the next hop spoke of this recipient, or of the mail as a whole */
	bool dsn_known; /* and knows what RCPT says about notifications: it offers DSN */
	unsigned code;	/* 0 until told; 250 only after the final dot's 2xx */
	char *text; /* "250 2.0.0 from MTA(smtp:[host]:port): 250 2.0.0 Ok: queued as X"; malloc'ed
		     */
};

/* One mail for some recipients; borrowed until done(). */
struct delivery_mail {
	/* Tried in order until one can be talked to; a connection that is open already to any of
	 * them goes before. Nothing in them is * any more. */
	const struct next_hop *hops;
	size_t hop_count;
	struct mw_tls_ctx *tls;			   /* NULL: all hops' tls is TLS_NONE */
	const struct mw_log_voice *voice;	   /* of lines about the mail */
	const char *log_id, *mail_id, *message_id; /* for delivery_committing */
	const char *helo_name;
	const char *sender;
	const struct smtp_mail_params *params;
	const struct smtp_xforward *xforward;
	struct delivery_rcpt *rcpts;
	size_t rcpt_count;
	/* The octets in order: new fields, pieces of the header section, the body. CRLF line ends.
	 */
	const struct mw_octets *pieces;
	size_t piece_count;
	bool dots;	     /* lines may begin with a dot */
	bool no_dsn;	     /* RET, ENVID, NOTIFY and ORCPT are not passed on */
	bool all_or_nothing; /* a 4xx at RCPT stops the others: the client would send to all again
			      */
	uint64_t deadline_ms;
};

struct delivery_stats {
	uint64_t conn_new, conn_quit, conn_reuse, conn_reuse_fail, connections;
	uint64_t mails, failed, rejected, octets;
	uint64_t tls, tls_failed; /* connections, handshakes */
};

struct delivery;     /* the pools of connections */
struct delivery_run; /* one mail on its way */

enum mw_rc delivery_open(struct delivery **d_r, struct mw_loop *loop, const struct mw_conf *conf,
	struct mw_err *err_r);
void delivery_close(struct delivery **d_p);
void delivery_configure(struct delivery *d, const struct mw_conf *conf);
/* Warn of the addresses of it that this host does not have, or may not use. */
void delivery_try_source(const struct next_hop_source *from, const char *bank);
/* done() is called once, never from inside this call; rcpts are filled in then. NULL: no memory. */
struct delivery_run *delivery_send(struct delivery *d, const struct delivery_mail *mail,
	void (*done)(void *arg, bool new_connection), void *arg);
/* True when the final dot may have left: the next hop may have the mail. False for NULL. */
bool delivery_committed(const struct delivery_run *run);
/* Nobody waits any more; before the final dot the mail is not delivered. Sets *run_p to NULL. */
void delivery_cancel(struct delivery_run **run_p);
struct delivery_stats delivery_stats(const struct delivery *d);

#endif
