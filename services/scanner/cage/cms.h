/*
 * CMS (RFC 5652) and PKCS #7 (RFC 2315), what S/MIME sends as smime.p7m: the content of messages
 * that are signed, compressed (RFC 3274), digested or authenticated is given out, what is encrypted
 * is told. In BER as in DER: indefinite lengths, and octet strings in pieces. Also in base64 once
 * more, between lines of PEM or without them, as gpgsm and openssl read it.
 */
#ifndef SCAN_CMS_H
#define SCAN_CMS_H

#include "container.h"

extern const struct container container_cms;

/* Mail programs open a file of that name as S/MIME, whatever is in it: .p7m. */
bool cms_by_name(const char *name);

#endif
