/* A session's inside, shared by smtp_session.c (its life and its octets) and smtp_verbs.c (what it
 * says). */
#ifndef SMTP_SESSION_PRIV_H
#define SMTP_SESSION_PRIV_H

#include "intake.h"
#include "smtp_command.h"
#include "smtp_data.h"
#include "smtp_session.h"
#include "transaction.h"

enum smtp_state {
	SMTP_PROXY, /* the header of the proxy in front of us */
	SMTP_START, /* greeting sent */
	SMTP_READY, /* HELO or EHLO said */
	SMTP_MAIL,
	SMTP_RCPT,
	SMTP_DATA,   /* octets until the final dot */
	SMTP_CHUNK,  /* octets of a BDAT, until its count */
	SMTP_CHUNKS, /* between two BDATs of one mail */
	SMTP_TLS,    /* STARTTLS accepted: nothing is said until the handshake is over */
	SMTP_LISTS, /* MAIL waits for what DNS lists say of the client; what comes meanwhile, too */
	SMTP_BUSY,  /* the transaction runs; what comes meanwhile waits */
	SMTP_GONE
};
#define SMTP_LAST_WORDS_MS 10000 /* a client has so long to read our last words */

#define SMTP_COMMAND_STATES                                                                        \
	(MW_BIT(SMTP_START) | MW_BIT(SMTP_READY) | MW_BIT(SMTP_MAIL) | MW_BIT(SMTP_RCPT))
#define SMTP_ANY_COMMAND (SMTP_COMMAND_STATES | MW_BIT(SMTP_CHUNKS))

struct smtp_session {
	struct intake_session in; /* first: the listener's side knows only this */
	struct txn_client client; /* the transaction's side */
	char *writing;		  /* octets the stream still writes, NULL: none */
	enum smtp_state state;
	bool esmtp, lmtp, closing, hung_up;
	char tls[MW_TLS_TEXT_MAX]; /* of the handshake; "" is plaintext */
	char *helo;
	struct smtp_arena words; /* XFORWARD of the next mail */
	struct smtp_xforward *xforward;
	unsigned xforwards;
	struct txn *txn;
	struct smtp_data data;
	enum mw_rc data_rc; /* why the mail cannot be kept: its octets are read and dropped */
	bool too_large;
	struct mw_err data_err;
	uint64_t chunk_left;
	bool chunk_last, skipping; /* a chunk that nobody wants has to be read all the same */
	uint64_t chunk_octets;
	enum smtp_reply_id skip_reply;
	enum smtp_state skip_to;
	char *held; /* octets that came too early: half a line, or commands behind a busy mail */
	size_t held_n;
	struct mw_text out;
	unsigned errors, commands;
	uint64_t until_ms;
};

/* ---- smtp_session.c */
/* The client is known: it is greeted, or told why not. */
void smtp_session_greet(struct smtp_session *s);
/* One reply of the table; fill: what stands for its %. */
void smtp_session_say(struct smtp_session *s, enum smtp_reply_id id, const char *fill);
void smtp_session_refuse(struct smtp_session *s, const struct smtp_refusal *why);
/* The same, and the session ends once it is read. */
void smtp_session_close_with(struct smtp_session *s, enum smtp_reply_id id);
/* The one place where a state is entered: its deadline with it. */
void smtp_session_enter(struct smtp_session *s, enum smtp_state state);
/* An open transaction ends without a mail. */
void smtp_session_drop_mail(struct smtp_session *s);
/* What MAIL waited for is known, and it has been answered. */
void smtp_session_resume(struct smtp_session *s);
/* XFORWARD's words are for one mail. */
void smtp_session_forget_words(struct smtp_session *s);
/* DATA was accepted: octets follow. */
void smtp_session_begin_data(struct smtp_session *s);
/* BDAT was: so many octets follow. skip_reply: what is said behind them instead, REPLY_COUNT: they
 * are the mail's. */
void smtp_session_begin_chunk(
	struct smtp_session *s, uint64_t octets, bool last, enum smtp_reply_id skip_reply);

/* ---- smtp_verbs.c: one command line, without its CRLF */
void smtp_verbs_run(struct smtp_session *s, const char *line);

#endif
