/* A proxy in front of us says who the client is (haproxy_target_enabled): whom we believe it, and
 * what follows. The header itself is read by proxy_header.c. */
#ifndef SMTP_PROXY_H
#define SMTP_PROXY_H

#include "smtp_session_priv.h"

/* The session's first step: wait for the header, or refuse whoever is no trusted proxy. */
void smtp_proxy_begin(struct smtp_session *s);
/*
 * In SMTP_PROXY: octets used of those that came, 0 when the header is not whole yet. The client is
 * greeted once it is; a bad header ends the session, for what else comes could be anybody's.
 */
size_t smtp_proxy_take(struct smtp_session *s, const unsigned char *p, size_t n);

#endif
