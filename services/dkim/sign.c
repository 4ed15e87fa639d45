#include "sign.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <dkim.h>

#include "signed_fields.h"

#define HLIST_OCTETS_MAX                                                                           \
	3500	      /* names of signed fields with their colons: below libopendkim's 4096 */
#define LINE_WIDTH 76 /* of the new field; RFC 5322 section 2.1.1 wants at most 78 */
#define BASE64_MAX(n) (((n) + 2) / 3 * 4 + 1)

/* A field that no h= can name, see verify.c: libopendkim needs one more field than h= chooses. */
#define SPARE_FIELD "x y: z"
/* The hash of a body is asked for under a signature that says nothing else. */
#define BODY_SIGNATURE                                                                             \
	"DKIM-Signature: v=1; a=rsa-sha256; c=simple/%s; d=x; s=x; h=from; bh=AAAA; b=AAAA"

#define SIGNED_NAME(name, times) { name, times },
static const struct signed_name {
	const char *name;
	unsigned times;
} default_names[] = { MW_SIGNED_FIELDS(SIGNED_NAME) };

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

/* ------------------------------------------------------------------ hashing by libopendkim */

struct dkimsvc_signer {
	DKIM_LIB *lib;
};

/* Nobody has to verify what is being made; the hashes are all that is wanted. */
static DKIM_CBSTAT no_key(DKIM *dkim, DKIM_SIGINFO *sig, u_char *buf, size_t buflen)
{
	(void)dkim;
	(void)sig;
	(void)buf;
	(void)buflen;
	return DKIM_CBSTAT_NOTFOUND;
}

enum mw_rc dkimsvc_signer_open(struct dkimsvc_signer **s_r, struct mw_err *err_r)
{
	struct dkimsvc_signer *s = calloc(1, sizeof(*s));
	/* As in verify.c: a From: that libopendkim cannot read is no reason not to hash. */
	u_int flags = DKIM_LIBFLAGS_DELAYSIGPROC | DKIM_LIBFLAGS_BADSIGHANDLES;

	*s_r = NULL;
	if (s == NULL || (s->lib = dkim_init(NULL, NULL)) == NULL) {
		free(s);
		return mw_fail(err_r, MW_ERR_NOMEM, "libopendkim does not start");
	}
	*s_r = s;
	if (dkim_libfeature(s->lib, DKIM_FEATURE_SHA256) &&
		dkim_libfeature(s->lib, DKIM_FEATURE_ED25519) &&
		dkim_options(s->lib, DKIM_OP_SETOPT, DKIM_OPTS_FLAGS, &flags, sizeof(flags)) ==
			DKIM_STAT_OK &&
		dkim_set_key_lookup(s->lib, no_key) == DKIM_STAT_OK)
		return MW_OK;
	dkimsvc_signer_close(s_r);
	return mw_fail(err_r, MW_ERR_CONF, "this libopendkim was built without SHA-256 or Ed25519");
}

void dkimsvc_signer_close(struct dkimsvc_signer **s_p)
{
	if (*s_p != NULL)
		dkim_close((*s_p)->lib);
	free(*s_p);
	*s_p = NULL;
}

static bool give(DKIM *dkim, struct mw_octets field)
{
	/* libopendkim copies and does not write; its prototype forgot to say so. */
	return dkim_header(dkim, (u_char *)(uintptr_t)field.p, field.n) == DKIM_STAT_OK;
}

/* After dkim_eoh and the body: the digests of the one signature given. */
static bool take_hashes(DKIM *dkim, unsigned char *header_r, unsigned char *body_r)
{
	void *header, *body;
	size_t header_len, body_len;
	DKIM_SIGINFO **sigs;
	int count;

	(void)dkim_eom(dkim, NULL); /* says that there is no key */
	if (dkim_getsiglist(dkim, &sigs, &count) != DKIM_STAT_OK || count != 1 ||
		dkim_sig_gethashes(sigs[0], &header, &header_len, &body, &body_len) !=
			DKIM_STAT_OK ||
		header_len != DKIMSVC_DIGEST_OCTETS || body_len != DKIMSVC_DIGEST_OCTETS)
		return false;
	if (header_r != NULL)
		memcpy(header_r, header, DKIMSVC_DIGEST_OCTETS);
	if (body_r != NULL)
		memcpy(body_r, body, DKIMSVC_DIGEST_OCTETS);
	return true;
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

static enum mw_rc hash_body(struct dkimsvc_signer *s, const struct dkimsvc_message *m, bool relaxed,
	struct dkimsvc_body_hashes *hashes, const atomic_bool *stop)
{
	char field[sizeof(BODY_SIGNATURE) + sizeof("relaxed")];
	DKIM_STAT stat;
	enum mw_rc rc = MW_ERR_NOMEM;
	DKIM *dkim;

	if (hashes->made[relaxed])
		return MW_OK;
	dkim = dkim_verify(s->lib, (const unsigned char *)"mail", NULL, &stat);
	if (dkim == NULL)
		return MW_ERR_NOMEM;
	snprintf(field, sizeof(field), BODY_SIGNATURE, relaxed ? "relaxed" : "simple");
	if (give(dkim, mw_octets_of_text(SPARE_FIELD)) && give(dkim, mw_octets_of_text(field)) &&
		dkim_eoh(dkim) == DKIM_STAT_OK)
		rc = feed_body(dkim, m, stop);
	if (rc == MW_OK && !take_hashes(dkim, NULL, hashes->digest[relaxed]))
		rc = MW_ERR_NOMEM;
	hashes->made[relaxed] = rc == MW_OK;
	(void)dkim_free(dkim);
	return rc;
}

/* ------------------------------------------------------------------ the fields to sign */

struct chosen {
	size_t count;
	const struct mw_field *fields[DKIMSVC_SIGNED_FIELDS_MAX];
	struct mw_text names; /* of h=, with colons */
};

static enum mw_rc choose_fields(const struct dkimsvc_message *m,
	const struct dkimsvc_sign_order *order, struct chosen *chosen, struct mw_err *err_r)
{
	bool from = false;

	for (size_t i = 0; i < m->header.count; i++) {
		const struct mw_field *f = &m->header.fields[i];
		struct mw_octets name = mw_field_name(&m->header, f);
		struct mw_octets field = dkimsvc_message_field(m, f);

		if (f->name_len == 0 || f->id == MW_H_DKIM_SIGNATURE ||
			memchr(name.p, ';', name.n) != NULL || ordered_times(order, name) == 0)
			continue;
		if (chosen->count == DKIMSVC_SIGNED_FIELDS_MAX)
			return mw_fail(err_r, MW_ERR_LIMIT, "too many header fields to sign");
		if (memchr(field.p, '\0', field.n) != NULL)
			return mw_fail(err_r, MW_ERR_PROTO, "NUL in a header field to sign");
		from |= f->id == MW_H_FROM;
		chosen->fields[chosen->count++] = f;
		mw_text_add(&chosen->names, chosen->names.n > 0 ? ":" : "");
		mw_text_add_octets(&chosen->names, name.p, name.n);
	}
	return from ? MW_OK : mw_fail(err_r, MW_ERR_PROTO, "no From field to sign");
}

/* Names that are signed once more than they occur, each once. */
static void oversign(const struct dkimsvc_sign_order *order, struct chosen *chosen)
{
	size_t names = order->name_count > 0 ? order->name_count : MW_COUNT(default_names);

	for (size_t i = 0; i < names; i++) {
		struct mw_octets name = order->name_count > 0
						? order->names[i]
						: mw_octets_of_text(default_names[i].name);
		bool before = false;

		for (size_t j = 0; j < i && order->name_count > 0; j++)
			before |= same_name(order->names[j], name);
		if (before || ordered_times(order, name) < 2)
			continue;
		mw_text_add(&chosen->names, ":");
		mw_text_add_octets(&chosen->names, name.p, name.n);
	}
}

static enum mw_rc hash_header(struct dkimsvc_signer *s, const struct dkimsvc_message *m,
	const struct chosen *chosen, const struct mw_text *field,
	unsigned char digest_r[DKIMSVC_DIGEST_OCTETS])
{
	DKIM_STAT stat;
	DKIM *dkim = dkim_verify(s->lib, (const unsigned char *)"mail", NULL, &stat);
	bool good = dkim != NULL && give(dkim, mw_octets_of_text(SPARE_FIELD)) &&
		    give(dkim, mw_octets_of(field->p, field->n));

	for (size_t i = 0; good && i < chosen->count; i++)
		good = give(dkim, dkimsvc_message_field(m, chosen->fields[i]));
	good = good && dkim_eoh(dkim) == DKIM_STAT_OK && take_hashes(dkim, digest_r, NULL);
	if (dkim != NULL)
		(void)dkim_free(dkim);
	return good ? MW_OK : MW_ERR_NOMEM;
}

/* ------------------------------------------------------------------ the new field */

/* Text that must not be broken, on this line if it fits, else on the next. */
static void put(struct mw_text *t, size_t *column, const char *word, size_t n, bool blank)
{
	if (*column + n + blank > LINE_WIDTH) {
		mw_text_add(t, "\r\n\t");
		*column = 8;
	} else if (blank) {
		mw_text_add(t, " ");
		(*column)++;
	}
	mw_text_add_octets(t, word, n);
	*column += n;
}

static void put_tag(struct mw_text *t, size_t *column, const char *fmt, ...) MW_PRINTF(3, 4);
static void put_tag(struct mw_text *t, size_t *column, const char *fmt, ...)
{
	char tag[DKIMSVC_DOMAIN_MAX * 2 + 16];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(tag, sizeof(tag), fmt, ap);
	va_end(ap);
	if (n < 0 || (size_t)n >= sizeof(tag))
		t->failed = true; /* orders are shorter than that */
	else
		put(t, column, tag, (size_t)n, true);
}

/* "h=From:To:Subject;", broken behind colons. */
static void put_names(struct mw_text *t, size_t *column, const struct mw_text *names)
{
	const char *p = names->p, *end = names->p + names->n, *colon;
	bool first = true;

	put(t, column, "h=", 2, true);
	for (; p < end; p = colon) {
		colon = memchr(p, ':', (size_t)(end - p));
		colon = colon != NULL ? colon + 1 : end;
		if (first) /* "h=" does not stay behind alone: a line would end in it */
			mw_text_add_octets(t, p, (size_t)(colon - p)),
				*column += (size_t)(colon - p);
		else
			put(t, column, p, (size_t)(colon - p), false);
		first = false;
	}
	mw_text_add(t, ";");
	(*column)++;
}

/* Base64 in pieces that fill the lines. */
static void put_base64(struct mw_text *t, size_t *column, const char *text)
{
	size_t left = strlen(text);

	while (left > 0) {
		size_t room = *column < LINE_WIDTH ? LINE_WIDTH - *column : 0;
		size_t n = left < room ? left : room;

		if (n > 0)
			mw_text_add_octets(t, text, n);
		text += n;
		left -= n;
		if (left > 0) {
			mw_text_add(t, "\r\n\t");
			*column = 8;
		} else {
			*column += n;
		}
	}
}

static void base64(const unsigned char *p, size_t n, char *out)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

	for (size_t i = 0; i < n; i += 3) {
		unsigned v = (unsigned)p[i] << 16 | (i + 1 < n ? (unsigned)p[i + 1] << 8 : 0) |
			     (i + 2 < n ? p[i + 2] : 0u);

		*out++ = digits[v >> 18];
		*out++ = digits[v >> 12 & 63];
		*out++ = i + 1 < n ? digits[v >> 6 & 63] : '=';
		*out++ = i + 2 < n ? digits[v & 63] : '=';
	}
	*out = '\0';
}

/* Everything up to "b=". */
static void put_tags(struct mw_text *t, size_t *column, const struct dkimsvc_sign_order *order,
	const struct mw_text *names, const unsigned char body[DKIMSVC_DIGEST_OCTETS])
{
	const struct dkimsvc_signing_key *key = order->key;
	uint64_t ttl_s = order->ttl_s != 0 ? order->ttl_s : key->ttl_s;
	char bh[BASE64_MAX(DKIMSVC_DIGEST_OCTETS)];

	mw_text_add(t, "DKIM-Signature:");
	*column = t->n;
	put_tag(t, column, "v=1;");
	put_tag(t, column, "a=%s;",
		key->alg == DKIMSVC_RSA_SHA256 ? "rsa-sha256" : "ed25519-sha256");
	put_tag(t, column, "c=%s/%s;", key->header_relaxed ? "relaxed" : "simple",
		key->body_relaxed ? "relaxed" : "simple");
	put_tag(t, column, "d=%s;", order->domain);
	put_tag(t, column, "s=%s;", key->selector);
	put_tag(t, column, "t=%llu;", (unsigned long long)order->now_s);
	if (ttl_s != 0)
		put_tag(t, column, "x=%llu;", (unsigned long long)(order->now_s + ttl_s));
	if (order->identity[0] != '\0')
		put_tag(t, column, "i=%s;", order->identity);
	put_names(t, column, names);
	base64(body, DKIMSVC_DIGEST_OCTETS, bh);
	put_tag(t, column, "bh=%s;", bh);
	put(t, column, "b=", 2, true);
}

static enum mw_rc make_field(struct dkimsvc_signer *s, const struct dkimsvc_message *m,
	const struct dkimsvc_sign_order *order, const struct chosen *chosen,
	const unsigned char *body, struct mw_text *field)
{
	unsigned char digest[DKIMSVC_DIGEST_OCTETS], sig[DKIMSVC_SIGNATURE_OCTETS_MAX];
	char text[BASE64_MAX(DKIMSVC_SIGNATURE_OCTETS_MAX)];
	struct mw_text hashed = { 0 };
	size_t column = 0, n;
	enum mw_rc rc = MW_ERR_NOMEM;

	put_tags(field, &column, order, &chosen->names, body);
	mw_text_add_octets(&hashed, field->p, field->n);
	mw_text_add(&hashed, "AAAA"); /* b= must not be empty; what it holds is not hashed */
	if (!field->failed && !hashed.failed)
		rc = hash_header(s, m, chosen, &hashed, digest);
	mw_text_fini(&hashed);
	if (rc != MW_OK)
		return rc;
	if (!dkimsvc_key_sign(order->key, digest, sig, &n))
		return MW_ERR_NOMEM;
	base64(sig, n, text);
	put_base64(field, &column, text);
	mw_text_add(field, "\r\n");
	return field->failed ? MW_ERR_NOMEM : MW_OK;
}

enum mw_rc dkimsvc_sign(struct dkimsvc_signer *s, const struct dkimsvc_message *m,
	const struct dkimsvc_sign_order *order, struct dkimsvc_body_hashes *hashes,
	struct mw_text *fields, const atomic_bool *stop, struct mw_err *err_r)
{
	bool relaxed = order->key->body_relaxed;
	struct chosen chosen = { 0 };
	struct mw_text field = { 0 };
	enum mw_rc rc;

	if (dkimsvc_message_has_bare_lf(m)) /* libopendkim would leave octets out of its hash */
		return mw_fail(
			err_r, MW_ERR_PROTO, "line feed without carriage return in the message");
	rc = choose_fields(m, order, &chosen, err_r);
	if (rc == MW_OK) {
		oversign(order, &chosen);
		if (chosen.names.n > HLIST_OCTETS_MAX)
			rc = mw_fail(err_r, MW_ERR_LIMIT, "too many header fields to sign");
	}
	if (rc == MW_OK && chosen.names.failed)
		rc = MW_ERR_NOMEM;
	if (rc == MW_OK)
		rc = hash_body(s, m, relaxed, hashes, stop);
	if (rc == MW_OK)
		rc = make_field(s, m, order, &chosen, hashes->digest[relaxed], &field);
	if (rc == MW_OK)
		mw_text_add_octets(fields, field.p, field.n);
	if (rc == MW_ERR_NOMEM || (rc == MW_OK && fields->failed))
		rc = mw_fail(err_r, MW_ERR_NOMEM, "the signature could not be made");
	mw_text_fini(&field);
	mw_text_fini(&chosen.names);
	return rc;
}
