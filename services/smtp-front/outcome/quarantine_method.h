/*
 * How a copy is kept, in amavisd's method syntax: "local:virus-%m.gz" is a file below
 * QUARANTINEDIR, "bsmtp:out-%m" a file of batch SMTP (RFC 2442) with the envelope,
 * "smtp:[host]:port" and "lmtp:..." a mail to the quarantine's address, "sql:" rows of amavisd's
 * tables (storage_sql_dsn).
 */
#ifndef SMTP_QUARANTINE_METHOD_H
#define SMTP_QUARANTINE_METHOD_H

#include "delivery/next_hop.h"

enum quarantine_kind {
	QUARANTINE_NOWHERE,
	QUARANTINE_LOCAL,
	QUARANTINE_BSMTP,
	QUARANTINE_MAIL, /* smtp and lmtp */
	QUARANTINE_SQL
};

#define QUARANTINE_TEMPLATE_MAX 120 /* octets of a template; its names stay below NAME_MAX */
#define QUARANTINE_PATH_MAX 256	    /* octets that a template becomes */

struct quarantine_method {
	enum quarantine_kind kind;
	char text[256];	       /* as it was set: the same text is the same method */
	const char *template;  /* of text, for files */
	bool wants_digest;     /* it has %b */
	struct next_hops hops; /* QUARANTINE_MAIL: one; its TLS and source are the policy's */
};

/* What placeholders stand for. */
struct quarantine_names {
	const char *mail_id, *log_id;
	const char *sender; /* of the envelope; anything */
	const char *digest; /* of the body; NULL: not known, where no template wants it */
	unsigned partition_tag;
	uint64_t time_ms;
};

/* "" is nowhere. MW_ERR_CONF: err_r says what is wrong with the text; MW_ERR_NOMEM. */
enum mw_rc quarantine_method_new(
	const char *text, struct quarantine_method **m_r, struct mw_err *err_r);
void quarantine_method_destroy(struct quarantine_method **m_p);
/*
 * The template with its placeholders: %m mail_id, %n log id, %b digest of the body, %P partition
 * tag, %i time of reception, %s the sender made harmless (bsmtp alone), %% a percent sign.
 */
void quarantine_method_name(const struct quarantine_method *m, const struct quarantine_names *n,
	char name_r[QUARANTINE_PATH_MAX]);
/* Mailed there, not kept in a file: of a *_quarantine_to value. */
static inline bool quarantine_is_address(const char *to)
{
	return strchr(to, '@') != NULL;
}

#endif
