/*
 * AM.PDP: a client, a milter most of all, names a file with a mail and gets back what to do with it
 * (docs/am-pdp.md); or it asks for a mail out of the quarantine. Several requests over one
 * connection, one after the other.
 */
#ifndef SMTP_AMPDP_SESSION_H
#define SMTP_AMPDP_SESSION_H

#include "intake.h"

/* Take the connection that waits at l. */
void ampdp_session_accept(struct listener *l);

#endif
