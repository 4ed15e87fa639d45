/*
 * The form in which a mail leaves the quarantine: as it came, attached to a text, as text, or
 * within a feedback report (RFC 5965). Its octets stay where they are: what comes before and behind
 * them is made.
 */
#ifndef SMTP_RELEASE_FORM_H
#define SMTP_RELEASE_FORM_H

#include "quarantine_copy.h"
#include "transaction.h"

#define RELEASE_BOUNDARY_MAX 48

struct release_form {
	const char *fields; /* up to the mail's octets; in t's arena */
	const char *tail;   /* behind them */
};

struct release_want {
	enum release_format format;
	bool report;  /* it is reported, not released */
	bool requeue; /* RELEASE_RESEND: nobody has asked for it by name */
	bool eight_bit;
};

/* The mail of c for t's recipients; asked: whose wish that is, an ASCII address, NULL: nobody's.
 * MW_ERR_NOMEM. */
enum mw_rc release_form_make(struct txn *t, const struct mw_quarantine_copy *c,
	const struct release_want *want, const char *asked, struct release_form *f_r);

#endif
