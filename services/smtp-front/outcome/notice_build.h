/*
 * A notice as octets: header section, text, and for a notification about a delivery the report of
 * RFC 3464 with what came of the original, within multipart/report (RFC 6522). Whatever is in it,
 * the result has lines of at most 998 octets and is ASCII, but for an original that goes back whole
 * and for UTF-8 in the fields of a mail that may have it (RFC 6532).
 */
#ifndef SMTP_NOTICE_BUILD_H
#define SMTP_NOTICE_BUILD_H

#include "notice_text.h"

#define NOTICE_TEXT_MAX (64 * 1024)	/* octets of a notice's text; the rest is left out */
#define NOTICE_ORIGINAL_MAX (64 * 1024) /* octets of the original's header section; the same */
#define NOTICE_FIELDS_MAX 40		/* fields that a template may bring */

struct notice {
	/* A template's expansion: fields, an empty line, text. Fields that tell what the octets are
	 * (MIME-Version, Content-*), Auto-Submitted and trace fields are not taken from it. */
	struct mw_octets text;
	const char *from; /* a mailbox; where the text has none, as the next ones */
	const char *to;	  /* an address */
	const char *subject;
	const char *message_id;	 /* with <> */
	const char *in_reply_to; /* the same, or NULL */
	const char *date;
	bool replies; /* auto-replied, to the sender of a mail; else auto-generated (RFC 3834) */
	bool utf8;    /* it goes with SMTPUTF8 */
	struct mw_octets status; /* the report, CRLF-terminated lines; empty: a plain notice */
	/* The original: its header section, or all of it when whole is set and it can go as it is.
	 */
	struct mw_octets original;
	size_t header_octets; /* of it, the header section, without the empty line */
	bool whole;
};

/* Append to *out, whose failed tells of no memory. *eight_bit_r: octets above 0x7f are in it. */
void notice_build(const struct notice *n, struct mw_text *out, bool *eight_bit_r);

#endif
