/*
 * SMTP command lines as data: verb, paths, parameters (RFC 5321 section 4.1, RFC 1870, RFC 6152,
 * RFC 3461, RFC 6531) and XFORWARD attributes. Memory to memory; nothing here knows a socket or a
 * state.
 */
#ifndef SMTP_COMMAND_H
#define SMTP_COMMAND_H

#include "base.h"
#include "arena.h"
#include "replies.h"

#define SMTP_PATH_MAX                                                                              \
	1000 /* octets of an address; RFC 5321 4.5.3.1.3 asks for 256, peers send more */

#define SMTP_ENVID_MAX 100 /* octets, RFC 3461 section 5.4 */
#define SMTP_ORCPT_MAX 500 /* octets, RFC 3461 section 5.4 */

/* What EHLO offers, as bits; smtpd_discard_ehlo_keywords takes them away. */
#define SMTP_OFFERS(X)                                                                             \
	X(PIPELINING, "PIPELINING")                                                                \
	X(SIZE, "SIZE")                                                                            \
	X(ENHANCEDSTATUSCODES, "ENHANCEDSTATUSCODES")                                              \
	X(8BITMIME, "8BITMIME")                                                                    \
	X(SMTPUTF8, "SMTPUTF8")                                                                    \
	X(DSN, "DSN")                                                                              \
	X(CHUNKING, "CHUNKING")                                                                    \
	X(XFORWARD, "XFORWARD")                                                                    \
	X(STARTTLS, "STARTTLS")
enum smtp_offer {
#define SMTP_OFFER(name, keyword) SMTP_OFFERS_##name,
	SMTP_OFFERS(SMTP_OFFER)
#undef SMTP_OFFER
		SMTP_OFFERS_COUNT
};
#define SMTP_OFFERS_ALL (MW_BIT(SMTP_OFFERS_COUNT) - 1)
/* The bit of a keyword, whatever its case; SMTP_OFFERS_COUNT: there is none. */
enum smtp_offer smtp_offer_named(const char *keyword);

enum smtp_body_type { SMTP_BODY_NONE, SMTP_BODY_7BIT, SMTP_BODY_8BITMIME };

enum smtp_ret { SMTP_RET_NONE, SMTP_RET_FULL, SMTP_RET_HDRS }; /* RFC 3461 section 4.3 */

/* What MAIL says beside the path. */
struct smtp_mail_params {
	uint64_t size; /* 0: not said */
	enum smtp_body_type body;
	bool smtputf8; /* RFC 6531 */
	enum smtp_ret ret;
	const char *envid; /* RFC 3461 section 4.4, xtext as it came; NULL: not said */
};

/* RFC 3461 section 4.1: bits of NOTIFY; 0: not said. NEVER stands alone. */
enum {
	SMTP_NOTIFY_NEVER = 1,
	SMTP_NOTIFY_SUCCESS = 2,
	SMTP_NOTIFY_FAILURE = 4,
	SMTP_NOTIFY_DELAY = 8
};

/* What RCPT says beside the path. */
struct smtp_rcpt_params {
	unsigned notify;
	const char *orcpt; /* "type;xtext" as it came (section 4.2); NULL: not said */
};

/* XFORWARD attributes (Postfix XFORWARD_README); NULL: not said, or [UNAVAILABLE]. */
struct smtp_xforward {
	const char *name, *addr, *port, *proto, *helo, *ident, *source;
};

/* Verb of a line (without CRLF): its length in *n_r and the offset of its arguments. False: no
 * verb. */
bool smtp_command_verb(const char *line, size_t *n_r, size_t *args_r);

/*
 * args of MAIL or RCPT: "FROM:<path> params" or "TO:<path> params". The address is copied without
 * <> and without a source route; empty only when null_ok (MAIL). Octets above 0x7f only when
 * utf8_ok, and then only as UTF-8. *rest_r: the parameters.
 */
bool smtp_command_path(struct smtp_arena *a, const char *args, const char *keyword, bool null_ok,
	bool utf8_ok, const char **addr_r, const char **rest_r, struct smtp_refusal *why_r);
/* Whether SMTPUTF8 stands among MAIL's parameters, for the path before them. */
bool smtp_command_says_utf8(const char *args);
/* Parameters, as far as offers has their extensions (bits of enum smtp_offer). */
bool smtp_command_mail_params(struct smtp_arena *a, const char *rest, unsigned offers,
	struct smtp_mail_params *p_r, struct smtp_refusal *why_r);
bool smtp_command_rcpt_params(struct smtp_arena *a, const char *rest, unsigned offers, bool utf8_ok,
	struct smtp_rcpt_params *p_r, struct smtp_refusal *why_r);
/* Adds to *x (an XFORWARD may come in several commands), all or nothing; values are xtext-decoded,
 * printable, at most 255 octets; ADDR is an address without prefix, IPv4 when it was mapped. */
bool smtp_command_xforward(struct smtp_arena *a, const char *args, struct smtp_xforward *x,
	struct smtp_refusal *why_r);
/* args of BDAT (RFC 3030 section 2). False: nobody knows how long the chunk is. */
bool smtp_command_bdat(const char *args, uint64_t *size_r, bool *last_r);

#endif
