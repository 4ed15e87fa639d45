/* STARTTLS of a client (RFC 3207): the verb, the handshake, and what may be said without it. */
#ifndef SMTP_TLS_H
#define SMTP_TLS_H

#include "smtp_session_priv.h"

/* EHLO names it: it is configured here, and not done yet. */
bool smtp_tls_is_offered(const struct smtp_session *s);
/* tls_security_level_in = "encrypt", and this verb has to wait for STARTTLS (RFC 3207 section 4).
 */
bool smtp_tls_is_missing(const struct smtp_session *s, const char *verb);
/* The verb. What it answers when it goes on is smtp_tls_answer's: the session is in SMTP_TLS then.
 */
void smtp_tls_verb(struct smtp_session *s, const char *args);
/*
 * In SMTP_TLS: say 220; but octets behind the command were said in plaintext and could have been
 * put there by anybody (section 4.2; CVE-2011-0411): the session ends then.
 */
void smtp_tls_answer(struct smtp_session *s, size_t octets_behind);
/* The 220 is written: shake hands. False: no memory. */
bool smtp_tls_begin(struct smtp_session *s);
/* The handshake is done: the session begins anew (section 4.2). */
void smtp_tls_secured(struct smtp_session *s);

#endif
