/*
 * One client's session: octets in, replies out, a transaction for each mail. States and which verb
 * is legal where stand in one table in smtp_verbs.c (RFC 5321 section 4.1.4).
 */
#ifndef SMTP_SESSION_H
#define SMTP_SESSION_H

#include "intake.h"

/* Take the connection that waits at the listener. */
void smtp_session_accept(struct listener *l);

#endif
