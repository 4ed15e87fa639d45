/*
 * Delivery status notifications: of whom the sender is told, by twelve tests less one (amavisd's
 * guess at Windows machines), and the report of RFC 3464 about them. So that no backscatter leaves,
 * whoever did not send the mail, or does not want to hear of it, is not told.
 */
#ifndef SMTP_DSN_H
#define SMTP_DSN_H

#include "transaction.h"

enum dsn_fate {
	DSN_STOPS,	/* nobody has to be told, or a reply tells */
	DSN_SUPPRESSES, /* one was due, and is not sent */
	DSN_REPORTS
};

/* What the tests look at, about one recipient. */
struct dsn_case {
	unsigned class;	  /* of its code: 2, 4, 5 */
	bool reply_tells; /* the client is told of the refusal, and tells the sender */
	unsigned notify;  /* SMTP_NOTIFY_*; 0: not said */
	bool null_sender;
	bool warns;	/* it was delivered, and the sender is to know why it nearly was not */
	bool passed_on; /* the next hop knows that success is to be told */
	bool discarded;
	const char *why_not;		 /* the sender is none, or policy is against it; NULL */
	bool sender_cutoff, rcpt_cutoff; /* the score reaches that level */
	bool bulk;			 /* and something was found */
};

struct dsn_test {
	const char *name; /* for the log and for docs/notices.md */
	bool (*is)(const struct dsn_case *c);
	enum dsn_fate fate;
};
/* The first that is true decides; the last always is. */
#define DSN_TESTS 12
extern const struct dsn_test dsn_tests[DSN_TESTS];
const struct dsn_test *dsn_judge(const struct dsn_case *c);

/* The recipient of a mail whose deliveries are over. */
void dsn_case_of(struct txn *t, const struct txn_rcpt *r, struct dsn_case *c_r);
/* He is who he says: originating, or a valid signature of the envelope sender's domain. */
bool dsn_sender_is_credible(const struct txn *t);

/* Fields of the report (RFC 3464 sections 2.2, 2.3), about the recipients that are marked. Lines
 * are ASCII, or UTF-8 when utf8. */
void dsn_add_report(struct txn *t, const bool *reported, bool utf8, struct mw_text *out);

#endif
