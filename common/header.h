/*
 * Header index: where each field of a message's header section begins and ends (RFC 5322
 * section 2.2), without copying. Tolerant: a line that is no field is indexed with an empty name,
 * so that nothing is ever dropped.
 */
#ifndef MW_HEADER_H
#define MW_HEADER_H

#include "base.h"

#define MW_HEADER_FIELDS_MAX 4096	/* more: MW_ERR_LIMIT */
#define MW_HEADER_OCTETS_MAX (4u << 20) /* of the section: MW_ERR_LIMIT */

struct mw_field {
	uint32_t at;	   /* offset of the first octet of the name */
	uint32_t end;	   /* offset behind the last CRLF of its last line */
	uint16_t name_len; /* 0: not a field (no colon, or a blank before it beyond WSP) */
	uint16_t id;	   /* enum mw_field_id */
	uint32_t value;	   /* offset behind the colon */
};

/* Fields that the code asks for by id. */
enum mw_field_id {
	MW_H_OTHER,
	MW_H_RECEIVED,
	MW_H_RETURN_PATH,
	MW_H_FROM,
	MW_H_SENDER,
	MW_H_REPLY_TO,
	MW_H_TO,
	MW_H_CC,
	MW_H_BCC,
	MW_H_SUBJECT,
	MW_H_DATE,
	MW_H_MESSAGE_ID,
	MW_H_IN_REPLY_TO,
	MW_H_REFERENCES,
	MW_H_USER_AGENT,
	MW_H_X_MAILER,
	MW_H_PRECEDENCE,
	MW_H_AUTO_SUBMITTED,
	MW_H_LIST_ID,
	MW_H_LIST_POST,
	MW_H_LIST_UNSUBSCRIBE,
	MW_H_MAILING_LIST,
	MW_H_DKIM_SIGNATURE,
	MW_H_AUTHENTICATION_RESULTS,
	MW_H_MIME_AMBIGUITY_RESULTS,
	MW_H_CONTENT_TYPE,
	MW_H_CONTENT_TRANSFER_ENCODING,
	MW_H_CONTENT_ID,
	MW_H_CONTENT_DESCRIPTION,
	MW_H_CONTENT_DISPOSITION,
	MW_H_MIME_VERSION,
	MW_H_X_SPAM, /* any of X-Spam-{Status,Level,Flag,Score,Report,Checker-Version,Tests} */
	MW_H_X_VIRUS_SCANNED,
	MW_H_X_AMAVIS, /* X-Amavis-* */
	MW_H_X_QUARANTINE_ID,
	MW_H_COUNT
};

struct mw_header {
	struct mw_octets section; /* fields only; the message's first octets, borrowed */
	size_t body; /* offset of the body: behind the empty line, or the message's end */
	size_t count, cap;
	struct mw_field *fields;
};

/*
 * Index the header section of a message with CRLF line ends. h: zeroed or used before (its memory
 * is kept). MW_OK, MW_ERR_LIMIT or MW_ERR_NOMEM. The message is borrowed as long as the index is
 * used.
 */
enum mw_rc mw_header_index(struct mw_header *h, struct mw_octets message);
void mw_header_fini(struct mw_header *h);
struct mw_octets mw_field_name(const struct mw_header *h, const struct mw_field *f);
/* Raw value with its folds, without the last CRLF and without leading blanks. */
struct mw_octets mw_field_value(const struct mw_header *h, const struct mw_field *f);
/* Whose id a name of printable octets is. */
enum mw_field_id mw_field_id_of(struct mw_octets name);
/* First (top) or last field of that id; NULL: none. */
const struct mw_field *mw_header_first(const struct mw_header *h, enum mw_field_id id);
const struct mw_field *mw_header_last(const struct mw_header *h, enum mw_field_id id);
/* Copy a value unfolded (CRLF removed), blanks at both ends trimmed, cut at size - 1; returns its
 * length. */
size_t mw_field_unfold(const struct mw_header *h, const struct mw_field *f, char *buf, size_t size);

#endif
