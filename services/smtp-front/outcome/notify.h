/*
 * Who is told about a mail, beside its client: administrators and recipients once it is decided and
 * kept, before anybody gets it; its sender when the next hop has spoken, before the reply. One
 * message after the other, each a mail of our own (own_mail.h). docs/notices.md.
 */
#ifndef SMTP_NOTIFY_H
#define SMTP_NOTIFY_H

#include "transaction.h"

struct notify;

/*
 * Notices about a decided mail. next() is called once, maybe before this returns: failed NULL, or
 * why the mail has to be deferred, as one of them could not be sent for now.
 */
void notify_others(struct txn *t, void (*next)(struct txn *t, const char *failed));
/*
 * The sender, of those recipients of whom no reply will tell: sets their r->dsn, or makes them
 * tempfail when the notification cannot be sent for now. next() as above, and never with a failure.
 */
void notify_sender(struct txn *t, void (*next)(struct txn *t, const char *failed));
/* The transaction is gone: what has not left does not. Sets *n_p to NULL. */
void notify_forget(struct notify **n_p);

#endif
