/*
 * A mail of our own, on behalf of one that is on its way (its parent): a notice, a notification, a
 * copy for a quarantine that is a mailbox. It goes to a next hop without checks or hooks, is signed
 * where we have a key, has ids and a record of its own, and nothing that happens to it makes
 * another.
 */
#ifndef SMTP_OWN_MAIL_H
#define SMTP_OWN_MAIL_H

#include "transaction.h"

struct own_mail;

struct own_mail_rcpt {
	const char *addr;
	struct smtp_rcpt_params params;
};

/* All of it is copied, but for body and route. */
struct own_mail_spec {
	enum mw_own kind;   /* for the record and the counters */
	const char *sender; /* "" is the null sender */
	struct smtp_mail_params params;
	const struct own_mail_rcpt *rcpts; /* one at least; all get it, or nobody */
	size_t rcpt_count;
	const struct next_hops *route; /* lives as long as the parent's policy */
	const char *fields;	       /* on top, CRLF-terminated; "" */
	struct smtp_body *body;	       /* sealed; a reference is taken */
	size_t from;		       /* of it, the octets from here on */
	bool sign; /* by the author's domain, where there is a key; from has to be 0 then */
	/*
	 * Called once, from the loop: 2xx is the next hop's to the final dot, everything else means
	 * that nobody has it. text is whole, "250 2.0.0 from MTA(...): ...", and lives during the
	 * call.
	 */
	void (*done)(void *arg, unsigned code, const char *text);
	void *arg;
};

/* Until the parent's deadline. NULL: it could not be begun, done() is not called: as if 4xx. */
struct own_mail *own_mail_send(struct txn *parent, const struct own_mail_spec *spec);
/* The final dot may have left: somebody may get it. False for NULL. */
bool own_mail_committed(const struct own_mail *m);
/* Nobody waits any more: before the final dot it is not sent. Sets *m_p to NULL. */
void own_mail_cancel(struct own_mail **m_p);
/* transaction.c: t, which is such a mail, is gone without having been over. */
void own_mail_gone(struct txn *t);

#endif
