/* Content-Transfer-Encoding undone (RFC 2045 sections 6.7, 6.8), as leniently as any reader of mail
 * would. */
#ifndef SCAN_DECODE_H
#define SCAN_DECODE_H

#include "mime.h"

/*
 * Decode body into out, which has room for body.n octets (no encoding of ours grows); returns how
 * many were written. base64: other characters are skipped, decoding goes on behind padding.
 * quoted-printable: a malformed `=` stays. MIME_IDENTITY and MIME_OTHER copy.
 */
size_t mime_decode(enum mime_encoding encoding, struct mw_octets body, unsigned char *out);

/* True when the text holds a line as `begin 644 name` (uuencode) or `=ybegin ` (yEnc): not ours to
 * decode, but noted. */
bool mime_has_uuencode(struct mw_octets text);

#endif
