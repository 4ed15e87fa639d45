/*
 * Octets of a notice: what comes from a mail, a template or an admin becomes text that ends no
 * header field, no line and no MIME part but its own. Memory to memory.
 */
#ifndef SMTP_NOTICE_TEXT_H
#define SMTP_NOTICE_TEXT_H

#include "base.h"
#include "text.h"

#define NOTICE_LINE_MAX 998 /* octets without CRLF, RFC 5322 section 2.1.1 */

/* What has to be done for these octets to go as 7bit (RFC 2045 section 2.7): lines end with CRLF,
 * are not too long, and are ASCII without NUL. */
bool notice_is_7bit(struct mw_octets o);
/* The same but for octets above 0x7f. */
bool notice_is_8bit(struct mw_octets o);
/*
 * Append as one line of UTF-8: no control characters, blanks for line ends, ? for what is no
 * character (ascii: for all above 0x7e); cut at most octets, between characters.
 */
void notice_add_line(struct mw_text *out, struct mw_octets o, bool ascii, size_t most);
/* Append text of UTF-8 with CRLF line ends, sanitised likewise but for LF and tab; the last line is
 * ended. */
void notice_add_text(struct mw_text *out, struct mw_octets o, size_t most);
/* Append quoted-printable (RFC 2045 section 6.7). CRLF are line ends. */
void notice_add_quoted(struct mw_text *out, struct mw_octets o);
/*
 * Append "name: value\r\n", folded; UTF-8 in the value becomes encoded words unless utf8. A name
 * that is none, or an empty value: nothing.
 */
void notice_add_field(struct mw_text *out, const char *name, struct mw_octets value, bool utf8);
/* The same for a mailbox, "Name <address>": of the name alone. */
void notice_add_mailbox(struct mw_text *out, const char *name, const char *value, bool utf8);
/* "type;xtext" of ORCPT, or xtext of ENVID, decoded into printable text (RFC 3461 section 4);
 * utf-8's \x{...} too (RFC 6533 section 3). False: it is none. */
bool notice_add_xtext(struct mw_text *out, const char *xtext);

#endif
