#include "sign.h"

#include <malloc.h>
#include <stdlib.h>
#include <dkim.h>

#define HLIST_OCTETS_MAX                                                                           \
	3500 /* names of signed fields with their colons: below libopendkim's 4096 */
#define FIELD_PREFIX "DKIM-Signature: "
#define LINE_OCTETS_MAX 998 /* RFC 5322 section 2.1.1 */

/*
 * How often a field is signed: 1 all there are, 2 one more that is not there. Sender, To and Cc are
 * left out: mailing lists and relays change them. RFC 6376 section 5.4.1; amavisd's
 * signed_header_fields.
 */
static const struct signed_name {
	const char *name;
	unsigned times;
} default_names[] = {
	{ "From", 2 },
	{ "Date", 2 },
	{ "Subject", 2 },
	{ "Content-Type", 2 },
	{ "Reply-To", 1 },
	{ "Message-ID", 1 },
	{ "In-Reply-To", 1 },
	{ "References", 1 },
	{ "MIME-Version", 1 },
	{ "Content-Transfer-Encoding", 1 },
	{ "Content-ID", 1 },
	{ "Content-Description", 1 },
	{ "Content-Disposition", 1 },
	{ "Content-Language", 1 },
	{ "Content-Location", 1 },
	{ "Content-Base", 1 },
	{ "Content-Features", 1 },
	{ "Content-Duration", 1 },
	{ "Content-MD5", 1 },
	{ "Content-Alternative", 1 },
	{ "Resent-Date", 1 },
	{ "Resent-From", 1 },
	{ "Resent-Sender", 1 },
	{ "Resent-Message-ID", 1 },
	{ "List-Archive", 1 },
	{ "List-Help", 1 },
	{ "List-Id", 1 },
	{ "List-Owner", 1 },
	{ "List-Post", 1 },
	{ "List-Subscribe", 1 },
	{ "List-Unsubscribe", 1 },
	{ "List-Unsubscribe-Post", 1 },
	{ "Received", 1 },
	{ "Precedence", 1 },
	{ "Original-Message-ID", 1 },
	{ "Message-Context", 1 },
	{ "Sensitivity", 1 },
	{ "Auto-Submitted", 1 },
	{ "Archived-At", 1 },
};

/* ------------------------------------------------------------------ which fields */

static unsigned default_times(struct mw_octets name)
{
	for (size_t i = 0; i < MW_COUNT(default_names); i++)
		if (mw_octets_ieq(name, default_names[i].name))
			return default_names[i].times;
	return 0;
}

static bool same_name(struct mw_octets a, struct mw_octets b)
{
	return a.n == b.n && strncasecmp((const char *)a.p, (const char *)b.p, a.n) == 0;
}

static unsigned ordered_times(const struct dkimsvc_sign_order *order, struct mw_octets name)
{
	unsigned times = mw_octets_ieq(name, "from") ? 1 : 0, given = 0;

	if (order->name_count == 0)
		return default_times(name);
	for (size_t i = 0; i < order->name_count; i++)
		given += same_name(order->names[i], name);
	return given > times ? given : times;
}

/* Names with times 2, each once, as a list that ends in NULL. */
static enum mw_rc oversigned(const struct dkimsvc_sign_order *order, const char **list, size_t most,
	char *text, size_t size)
{
	size_t count = 0, used = 0;
	size_t names = order->name_count > 0 ? order->name_count : MW_COUNT(default_names);

	for (size_t i = 0; i < names; i++) {
		struct mw_octets name = order->name_count > 0
						? order->names[i]
						: mw_octets_of_text(default_names[i].name);
		bool listed = false;

		if (ordered_times(order, name) < 2)
			continue;
		for (size_t j = 0; j < count; j++)
			listed |= mw_octets_ieq(name, list[j]);
		if (listed)
			continue;
		if (count + 1 >= most || name.n >= size - used)
			return MW_ERR_LIMIT;
		list[count++] = text + used;
		mw_strncpy(text + used, size - used, name.p, name.n);
		used += name.n + 1;
	}
	list[count] = NULL;
	return MW_OK;
}

/* ------------------------------------------------------------------ the library */

/* libopendkim keeps a copy of the key and frees it as it is. */
static void *lib_alloc(void *closure, size_t n)
{
	(void)closure;
	return malloc(n);
}

static void lib_free(void *closure, void *p)
{
	(void)closure;
	if (p != NULL)
		explicit_bzero(p, malloc_usable_size(p));
	free(p);
}

/*
 * A library handle for each signature: the list of oversigned names and the time to live are
 * settings of the handle, not of a signature. It costs a few microseconds, an RSA signature some
 * hundred.
 */
static DKIM_LIB *lib_open(const struct dkimsvc_sign_order *order, const char **names)
{
	DKIM_LIB *lib = dkim_init(lib_alloc, lib_free);
	uint64_t ttl = order->ttl_s != 0 ? order->ttl_s : order->key->ttl_s;
	u_int minimum = DKIMSVC_RSA_BITS_MIN;

	if (lib == NULL)
		return NULL;
	if (dkim_options(lib, DKIM_OP_SETOPT, DKIM_OPTS_SIGNATURETTL, &ttl, sizeof(ttl)) ==
			DKIM_STAT_OK &&
		dkim_options(lib, DKIM_OP_SETOPT, DKIM_OPTS_MINKEYBITS, &minimum,
			sizeof(minimum)) == DKIM_STAT_OK &&
		(names[0] == NULL || dkim_options(lib, DKIM_OP_SETOPT, DKIM_OPTS_OVERSIGNHDRS,
					     names, sizeof(char **)) == DKIM_STAT_OK))
		return lib;
	dkim_close(lib);
	return NULL;
}

/*
 * libopendkim 2.11 folds before b= when its value does not fit, but for Ed25519 hashes the field as
 * if b= were empty and fitted. Relaxed header canonicalization does not see folds; simple does, and
 * gets a field of one line.
 */
static bool must_be_one_line(const struct dkimsvc_signing_key *key)
{
	return key->alg == DKIMSVC_ED25519_SHA256 && !key->header_relaxed;
}

/* Only what is to be signed is given to the library: it then signs all it has, and needs no pattern
 * of names. */
static enum mw_rc feed_header(DKIM *dkim, const struct dkimsvc_message *m,
	const struct dkimsvc_sign_order *order, struct mw_err *err_r)
{
	size_t fields = 0, octets = 0;
	bool from = false;

	for (size_t i = 0; i < m->header.count; i++) {
		const struct mw_field *f = &m->header.fields[i];
		struct mw_octets name = mw_field_name(&m->header, f);
		struct mw_octets field = dkimsvc_message_field(m, f);

		if (f->name_len == 0 || f->id == MW_H_DKIM_SIGNATURE ||
			ordered_times(order, name) == 0)
			continue;
		octets += name.n + 1;
		if (++fields > DKIMSVC_SIGNED_FIELDS_MAX || octets > HLIST_OCTETS_MAX)
			return mw_fail(err_r, MW_ERR_LIMIT, "too many header fields to sign");
		if (memchr(field.p, '\0', field.n) != NULL)
			return mw_fail(err_r, MW_ERR_PROTO, "NUL in a header field to sign");
		from |= f->id == MW_H_FROM;
		if (dkim_header(dkim, (u_char *)(uintptr_t)field.p, field.n) != DKIM_STAT_OK)
			return mw_fail(err_r, MW_ERR_PROTO, "a header field that cannot be signed");
	}
	if (!from)
		return mw_fail(err_r, MW_ERR_PROTO, "no From field to sign");
	return MW_OK;
}

static enum mw_rc feed_body(DKIM *dkim, const struct dkimsvc_message *m, const atomic_bool *stop)
{
	struct dkimsvc_body_pos pos = { 0, 0 };
	struct mw_octets chunk;
	DKIM_STAT stat = DKIM_STAT_OK;

	while (stat == DKIM_STAT_OK && dkimsvc_message_chunk(m, &pos, &chunk)) {
		if (atomic_load(stop))
			return MW_ERR_GONE;
		stat = dkim_body(dkim, (u_char *)(uintptr_t)chunk.p, chunk.n);
	}
	if (stat == DKIM_STAT_OK && !dkimsvc_message_ends_in_crlf(m))
		stat = dkim_body(dkim, (u_char *)(uintptr_t) "\r\n", 2);
	return stat == DKIM_STAT_OK ? MW_OK : MW_ERR_NOMEM;
}

static enum mw_rc library_says(DKIM *dkim, DKIM_STAT stat, struct mw_err *err_r)
{
	const char *text = dkim_geterror(dkim);

	if (stat == DKIM_STAT_OK)
		return MW_OK;
	if (text == NULL || !mw_is_printable(text, strlen(text)))
		text = dkim_getresultstr(stat);
	return mw_fail(err_r, stat == DKIM_STAT_NORESOURCE ? MW_ERR_NOMEM : MW_ERR_CONF,
		"libopendkim: %.100s", text != NULL ? text : "failed");
}

static enum mw_rc run_library(DKIM *dkim, const struct dkimsvc_message *m,
	const struct dkimsvc_sign_order *order, struct mw_text *fields, const atomic_bool *stop,
	struct mw_err *err_r)
{
	enum mw_rc rc = MW_OK;
	unsigned char *field;
	size_t n;

	if (order->identity[0] != '\0')
		rc = library_says(
			dkim, dkim_set_signer(dkim, (const u_char *)order->identity), err_r);
	if (rc == MW_OK && must_be_one_line(order->key))
		rc = library_says(dkim, dkim_set_margin(dkim, 0), err_r);
	if (rc == MW_OK)
		rc = feed_header(dkim, m, order, err_r);
	if (rc == MW_OK)
		rc = library_says(dkim, dkim_eoh(dkim), err_r);
	if (rc == MW_OK)
		rc = feed_body(dkim, m, stop);
	if (rc == MW_OK)
		rc = library_says(dkim, dkim_eom(dkim, NULL), err_r);
	if (rc == MW_OK)
		rc = library_says(
			dkim, dkim_getsighdr_d(dkim, sizeof(FIELD_PREFIX) - 1, &field, &n), err_r);
	if (rc != MW_OK)
		return rc;
	if (must_be_one_line(order->key) && n > LINE_OCTETS_MAX - sizeof(FIELD_PREFIX))
		return mw_fail(err_r, MW_ERR_LIMIT, "too many header fields to sign with c=simple");
	mw_text_add(fields, FIELD_PREFIX);
	mw_text_add_octets(fields, field, n);
	mw_text_add(fields, "\r\n");
	return fields->failed ? mw_fail(err_r, MW_ERR_NOMEM, "no memory for the signature") : MW_OK;
}

enum mw_rc dkimsvc_sign(const struct dkimsvc_message *m, const struct dkimsvc_sign_order *order,
	struct mw_text *fields, const atomic_bool *stop, struct mw_err *err_r)
{
	const char *names[DKIMSVC_SIGNED_NAMES_MAX + 1];
	char text[HLIST_OCTETS_MAX];
	const struct dkimsvc_signing_key *key = order->key;
	DKIM_STAT stat = DKIM_STAT_OK;
	DKIM *dkim = NULL;
	DKIM_LIB *lib;
	enum mw_rc rc;

	if (dkimsvc_message_has_bare_lf(m)) /* libopendkim would leave octets out of its hash */
		return mw_fail(
			err_r, MW_ERR_PROTO, "line feed without carriage return in the message");
	if (oversigned(order, names, MW_COUNT(names), text, sizeof(text)) != MW_OK)
		return mw_fail(err_r, MW_ERR_LIMIT, "too many header fields to sign");
	lib = lib_open(order, names);
	if (lib != NULL)
		dkim = dkim_sign(lib, (const unsigned char *)"mail", NULL,
			(dkim_sigkey_t)(uintptr_t)key->pem, (const unsigned char *)key->selector,
			(const unsigned char *)order->domain,
			key->header_relaxed ? DKIM_CANON_RELAXED : DKIM_CANON_SIMPLE,
			key->body_relaxed ? DKIM_CANON_RELAXED : DKIM_CANON_SIMPLE,
			key->alg == DKIMSVC_RSA_SHA256 ? DKIM_SIGN_RSASHA256
						       : DKIM_SIGN_ED25519SHA256,
			(ssize_t)-1, &stat);
	if (dkim == NULL)
		rc = mw_fail(err_r, MW_ERR_NOMEM, "libopendkim makes no signature");
	else
		rc = run_library(dkim, m, order, fields, stop, err_r);
	if (dkim != NULL)
		(void)dkim_free(dkim);
	if (lib != NULL)
		dkim_close(lib);
	return rc;
}
