/* What becomes of each recipient: filled in as the next hop's replies come. */
#ifndef SMTP_CLIENT_RESULTS_H
#define SMTP_CLIENT_RESULTS_H

#include "smtp_client.h"

#define RCPT_LATER 1 /* a recipient's code while it waits for another transaction of this mail */

/* The i-th recipient of the transaction under way. */
struct delivery_rcpt *client_active(const struct client *c, size_t i);
/* A result in our words. */
void client_tell(struct delivery_rcpt *r, unsigned code, const char *text);
/* The next hop's words, with where they came from in front: "CODE ENH from MTA(hop): REPLY"; dflt:
 * the enhanced code's end when it said none. */
void client_tell_reply(struct client *c, struct delivery_rcpt *r, const char *dflt);
/* The same words for every recipient of this transaction that has no answer. */
void client_tell_rest(struct client *c, const char *dflt);
/* Those that another transaction is for wait no longer: true when there are any. */
bool client_wake_later(struct client *c);
/* The reply says that the transaction has as many recipients as it may. */
bool client_too_many(const struct smtp_reply *r);

#endif
