/* STARTTLS with a next hop (RFC 3207): what tls_security_level_out makes of what it offers and
 * does. */
#ifndef SMTP_CLIENT_TLS_H
#define SMTP_CLIENT_TLS_H

#include "smtp_client.h"

/* A connection that is open already may take this mail: it was opened for the same level, under the
 * same settings, or the mail goes on in plaintext and it is plaintext. */
bool client_tls_fits(
	const struct client *c, const struct delivery_run *run, const struct next_hop *hop);
/* A new connection, for its first mail. */
void client_tls_prepare(struct client *c, const struct delivery_run *run);
/* EHLO was answered; offered: with STARTTLS. True: STARTTLS comes first, or the connection is over.
 */
bool client_tls_first(struct client *c, bool offered);
/* The reply to STARTTLS; octets_behind: of what came with it, in plaintext. */
void client_tls_reply(struct client *c, size_t octets_behind);
/* The stream's callback. */
void client_tls_secured(void *owner, const char *failed);
/* The connection fails: true when its mail goes on in plaintext, over another one. */
bool client_tls_falls_back(struct client *c, struct delivery_run *run, const char *why);

#endif
