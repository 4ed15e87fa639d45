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

/* Decoders disagree about base64 that is not clean. By default other characters are skipped, and
 * behind padding a new text begins; bits of ways: */
enum {
	MIME_STOP_AT_PADDING = 1,
	MIME_STOP_AT_JUNK = 2,
	MIME_JOIN_PADDING = 4, /* padding is skipped as if it were not there */
	MIME_URL_ALPHABET = 8  /* - and _ (RFC 4648 section 5) */
};
/* What was met; PROSE: behind it stands text with blanks between words, a footer that somebody has
 * put there. */
enum { MIME_SAW_PADDING = 1, MIME_SAW_JUNK = 2, MIME_SAW_URL = 4, MIME_SAW_PROSE = 8 };
size_t mime_decode_base64(
	struct mw_octets body, unsigned ways, unsigned char *out, unsigned *saw_r);

/* Might it be base64, or quoted-printable, whatever is said about it? *sure_r: hardly anything
 * else. */
bool mime_looks_base64(struct mw_octets text);
bool mime_looks_quoted(struct mw_octets text, bool *sure_r);

#endif
