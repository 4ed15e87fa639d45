/* Who is to be told of what, and with which text. */
#ifndef SMTP_NOTIFY_PLAN_H
#define SMTP_NOTIFY_PLAN_H

#include "template.h"
#include "transaction.h"

enum notice_kind {
	NOTICE_SENDER,
	NOTICE_SENDER_COPY, /* dsn_bcc: the same message to somebody else */
	NOTICE_ADMIN,
	NOTICE_RCPT
};

struct notify_plan {
	enum notice_kind kind;
	const char *to, *mailfrom, *hdrfrom;
	const struct txn_rcpt *rcpt; /* whom it is about; NULL: the mail */
	struct template_code *text;
};

/* All notices but the sender's, in t's arena. False: no memory. */
bool notify_plan_others(struct txn *t, struct notify_plan **plans_r, size_t *count_r);
/* They are sent: a virus among them is new no more. Before that the mail may come again. */
void notify_plan_told(struct txn *t);
/*
 * The sender's, of those recipients that *reported_r is true of; it sets r->dsn of those of whom he
 * is not told although a notification was due. None: nothing is to be told. False: no memory.
 */
bool notify_plan_sender(
	struct txn *t, bool **reported_r, struct notify_plan **plans_r, size_t *count_r);

const char *notice_kind_name(enum notice_kind kind);	/* for the log */
const char *notice_kind_prefix(enum notice_kind kind);	/* of Message-IDs */
const char *notice_kind_subject(enum notice_kind kind); /* where a text has none */

#endif
