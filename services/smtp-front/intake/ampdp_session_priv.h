/* A session's inside, shared by ampdp_session.c (its life and its octets) and the requests'. */
#ifndef SMTP_AMPDP_SESSION_PRIV_H
#define SMTP_AMPDP_SESSION_PRIV_H

#include "ampdp_request.h"
#include "ampdp_session.h"
#include "mail_file.h"
#include "transaction.h"

enum ampdp_state {
	AMPDP_READING, /* a request, or the wait for one */
	AMPDP_LOADING, /* its mail is read from a file */
	AMPDP_ASKING,  /* the clerk looks for what it names */
	AMPDP_BUSY,    /* the transaction runs */
	AMPDP_GONE
};

struct ampdp_session {
	struct intake_session in; /* first: the listener's side knows only this */
	struct txn_client client; /* the transaction's side */
	/* The request's part of the end: its reply goes to out. */
	void (*over)(struct ampdp_session *s, struct txn *t);
	enum ampdp_state state;
	bool closing, hung_up;
	struct ampdp_reader reader;
	struct ampdp_request request;
	struct mail_file_job *loading;
	struct clerk_ask *asking;	 /* about the copies of a mail_id */
	struct ampdp_release *releasing; /* in the request's arena; NULL */
	struct stored_job *stored;	 /* rows that the administrator asks for */
	struct txn *txn;
	const char *root, *tempdir;	   /* to be removed by us; NULL: not */
	const char *file_root, *file_name; /* of the mail of a check */
	char *held;			   /* octets behind a request that is at work */
	size_t held_n;
	char *writing; /* octets the stream still writes, NULL: none */
	struct mw_text out;
	unsigned requests;
	uint64_t until_ms;
};

/* ---- ampdp_session.c */
/* The request cannot be served: 4xx or 5xx. The session goes on to the next one. */
void ampdp_session_refuse(
	struct ampdp_session *s, unsigned code, const char *enhanced, const char *text);
/* Read a mail; done() has to set s->loading to NULL. */
void ampdp_session_load(struct ampdp_session *s, const struct mail_file_want *want,
	void (*done)(void *arg, struct mail_file_got *got));
/* Another wait that has the time of a load; the callback goes on. */
void ampdp_session_ask(struct ampdp_session *s);
/* The transaction is about to run, or to wait for its policy. */
void ampdp_session_run(struct ampdp_session *s);
/* The request's reply is in out. */
void ampdp_session_answered(struct ampdp_session *s);

/* ---- ampdp_check.c: request=AM.PDP */
void ampdp_check(struct ampdp_session *s);
/* The folder that a client leaves to us. */
void ampdp_check_clean_up(struct ampdp_session *s);
/* ---- ampdp_release.c: request=release, request=requeue */
void ampdp_release(struct ampdp_session *s);
/* What a release that is over leaves. */
void ampdp_release_clean_up(struct ampdp_session *s);
/* ---- ampdp_stored.c: request=stored, of `mailweir quarantine` */
void ampdp_stored(struct ampdp_session *s);

#endif
