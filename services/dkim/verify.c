#include "verify.h"

#include <stdio.h>
#include <stdlib.h>
#include <dkim.h>

/*
 * Expiry and t= in the future are judged by the scanner, so that an expired signature is still
 * verified and its key measured: libopendkim would stop there. This makes its own tests pass. No
 * larger: it computes t - drift unsigned.
 */
#define LIB_DRIFT_S ((uint64_t)DKIMSVC_EPOCH_S)

/* A field that no h= can name (a blank within its name): libopendkim's array of chosen fields has
 * no room for the step behind the last when every field is chosen and h= goes on
 * (dkim_canon_selecthdrs). */
#define SPARE_FIELD "x y: z"

struct dkimsvc_verifier {
	DKIM_LIB *lib;
};

/* What the hooks find by the handle's user context. */
struct run {
	struct dkimsvc_checked **fed; /* in the order in which libopendkim was given them */
	bool *refused;		      /* by dkim_header */
	size_t count;
};

const char *dkimsvc_verifier_version(void)
{
	static char text[48];
	uint32_t v = dkim_libversion();

	if (text[0] == '\0')
		snprintf(text, sizeof(text), "libopendkim %u.%u.%u", (v >> 24) & 0xff,
			(v >> 16) & 0xff, (v >> 8) & 0xff);
	return text;
}

/* ------------------------------------------------------------------ hooks */

static DKIM_CBSTAT on_prescreen(DKIM *dkim, DKIM_SIGINFO **sigs, int nsigs)
{
	struct run *run = dkim_get_user_context(dkim);

	for (int i = 0; i < nsigs; i++)
		if ((size_t)i >= run->count || run->refused[i] || !run->fed[i]->key.usable)
			dkim_sig_ignore(sigs[i]);
	return DKIM_CBSTAT_CONTINUE;
}

static DKIM_CBSTAT on_key(DKIM *dkim, DKIM_SIGINFO *sig, u_char *buf, size_t buflen)
{
	struct run *run = dkim_get_user_context(dkim);
	DKIM_SIGINFO **sigs;
	int nsigs;

	if (dkim_getsiglist(dkim, &sigs, &nsigs) != DKIM_STAT_OK)
		return DKIM_CBSTAT_ERROR;
	for (int i = 0; i < nsigs && (size_t)i < run->count; i++)
		if (sigs[i] == sig)
			return mw_strlcpy((char *)buf, run->fed[i]->key.text, buflen) < buflen
				       ? DKIM_CBSTAT_CONTINUE
				       : DKIM_CBSTAT_ERROR;
	return DKIM_CBSTAT_NOTFOUND;
}

/* ------------------------------------------------------------------ the library */

static bool set_lib_options(DKIM_LIB *lib)
{
	/* DELAYSIGPROC: one signature that fails early must not end the others. BADSIGHANDLES: each
	 * field given is one entry of its list, and a From: that it cannot read is none of DKIM's
	 * business. */
	u_int flags = DKIM_LIBFLAGS_DELAYSIGPROC | DKIM_LIBFLAGS_BADSIGHANDLES;
	uint64_t drift = LIB_DRIFT_S;
	u_int minimum = 0; /* dkim_minimum_key_bits is policy, and so the front's */

	return dkim_options(lib, DKIM_OP_SETOPT, DKIM_OPTS_FLAGS, &flags, sizeof(flags)) ==
		       DKIM_STAT_OK &&
	       dkim_options(lib, DKIM_OP_SETOPT, DKIM_OPTS_CLOCKDRIFT, &drift, sizeof(drift)) ==
		       DKIM_STAT_OK &&
	       dkim_options(lib, DKIM_OP_SETOPT, DKIM_OPTS_MINKEYBITS, &minimum, sizeof(minimum)) ==
		       DKIM_STAT_OK &&
	       dkim_set_key_lookup(lib, on_key) == DKIM_STAT_OK &&
	       dkim_set_prescreen(lib, on_prescreen) == DKIM_STAT_OK;
}

enum mw_rc dkimsvc_verifier_open(struct dkimsvc_verifier **v_r, struct mw_err *err_r)
{
	struct dkimsvc_verifier *v = calloc(1, sizeof(*v));
	enum mw_rc rc = MW_OK;

	*v_r = NULL;
	if (v == NULL || (v->lib = dkim_init(NULL, NULL)) == NULL)
		rc = mw_fail(err_r, MW_ERR_NOMEM, "libopendkim does not start");
	else if (!dkim_libfeature(v->lib, DKIM_FEATURE_SHA256) ||
		 !dkim_libfeature(v->lib, DKIM_FEATURE_ED25519))
		rc = mw_fail(err_r, MW_ERR_CONF, "this %s was built without SHA-256 or Ed25519",
			dkimsvc_verifier_version());
	else if (!set_lib_options(v->lib))
		rc = mw_fail(
			err_r, MW_ERR_CONF, "%s refuses our options", dkimsvc_verifier_version());
	if (rc == MW_OK)
		*v_r = v;
	else
		dkimsvc_verifier_close(&v);
	return rc;
}

void dkimsvc_verifier_close(struct dkimsvc_verifier **v_p)
{
	if (*v_p != NULL && (*v_p)->lib != NULL)
		dkim_close((*v_p)->lib);
	free(*v_p);
	*v_p = NULL;
}

/* ------------------------------------------------------------------ results */

/* libopendkim's errors that are not neutral (RFC 8601 section 2.7.1: a signature that cannot be
 * processed). */
static const struct {
	int error;
	enum dkimsvc_result result;
	const char *reason;
} sig_errors[] = {
	{ DKIM_SIGERROR_EXPIRED, DKIMSVC_FAIL, "signature expired" },
	{ DKIM_SIGERROR_TOOLARGE_L, DKIMSVC_FAIL, "l= is more than the body" },
	{ DKIM_SIGERROR_SUBDOMAIN, DKIMSVC_PERMERROR, "the key does not allow sub-domains in i=" },
	{ DKIM_SIGERROR_NOKEY, DKIMSVC_PERMERROR, "no key for signature" },
	{ DKIM_SIGERROR_DNSSYNTAX, DKIMSVC_PERMERROR, "no valid key record" },
	{ DKIM_SIGERROR_KEYFAIL, DKIMSVC_TEMPERROR, "DNS could not answer for the key" },
	{ DKIM_SIGERROR_MULTIREPLY, DKIMSVC_PERMERROR, "several key records" },
	{ DKIM_SIGERROR_KEYVERSION, DKIMSVC_PERMERROR, "unknown version of key" },
	{ DKIM_SIGERROR_KEYUNKNOWNHASH, DKIMSVC_PERMERROR, "the key allows no hash we know" },
	{ DKIM_SIGERROR_KEYHASHMISMATCH, DKIMSVC_PERMERROR, "the key does not allow this hash" },
	{ DKIM_SIGERROR_NOTEMAILKEY, DKIMSVC_PERMERROR, "the key is not for mail" },
	{ DKIM_SIGERROR_KEYTYPEMISSING, DKIMSVC_PERMERROR, "no valid key record" },
	{ DKIM_SIGERROR_KEYTYPEUNKNOWN, DKIMSVC_PERMERROR, "unknown type of key" },
	{ DKIM_SIGERROR_KEYREVOKED, DKIMSVC_PERMERROR, "key revoked" },
	{ DKIM_SIGERROR_KEYDECODE, DKIMSVC_PERMERROR, "the key cannot be decoded" },
};

static void judge_error(struct dkimsvc_checked *c, int error)
{
	const char *text = dkim_sig_geterrorstr(error);

	c->result = DKIMSVC_NEUTRAL;
	c->reason = text != NULL ? text : "signature cannot be processed";
	for (size_t i = 0; i < MW_COUNT(sig_errors); i++)
		if (sig_errors[i].error == error) {
			c->result = sig_errors[i].result;
			c->reason = sig_errors[i].reason;
		}
}

static unsigned key_bits(const struct dkimsvc_checked *c, DKIM_SIGINFO *sig, bool tried)
{
	unsigned bits = 0;

	if (c->sig.alg == DKIMSVC_ED25519_SHA256)
		return tried ? 256 : 0; /* the library knows no size of such a key */
	return dkim_sig_getkeysize(sig, &bits) == DKIM_STAT_OK ? bits : 0;
}

static void judge(struct dkimsvc_checked *c, DKIM_SIGINFO *sig)
{
	int error = dkim_sig_geterror(sig);
	bool passed = (dkim_sig_getflags(sig) & DKIM_SIGFLAG_PASSED) != 0;

	c->bits = key_bits(c, sig, passed || error == DKIM_SIGERROR_BADSIG);
	if (passed && error == DKIM_SIGERROR_OK && dkim_sig_getbh(sig) == DKIM_SIGBH_MATCH) {
		c->result = c->sig.expired ? DKIMSVC_FAIL : DKIMSVC_PASS;
		c->reason = c->sig.expired   ? "signature expired"
			    : c->key.testing ? "test mode"
					     : "";
	} else if (error == DKIM_SIGERROR_BADSIG) {
		c->result = DKIMSVC_FAIL;
		c->reason = dkim_sig_getbh(sig) == DKIM_SIGBH_MISMATCH ? "body has been altered"
								       : "signature did not verify";
	} else if (error == DKIM_SIGERROR_OK || error == DKIM_SIGERROR_UNKNOWN) {
		c->result = DKIMSVC_TEMPERROR; /* the library ran out of something: who knows */
		c->reason = "signature could not be processed";
	} else {
		judge_error(c, error);
	}
}

/* Results that need no libopendkim. True: this one does. */
static bool needs_library(struct dkimsvc_checked *c, const char *unusable_message)
{
	c->bits = 0;
	if (c->sig.error != NULL) {
		c->result = c->sig.as;
		c->reason = c->sig.error;
	} else if (unusable_message != NULL) {
		c->result = DKIMSVC_PERMERROR;
		c->reason = unusable_message;
	} else if (!c->key.usable) {
		c->result = c->key.as;
		c->reason = c->key.why;
	} else {
		return true;
	}
	return false;
}

/* ------------------------------------------------------------------ the run */

static DKIM_STAT feed_field(DKIM *dkim, struct mw_octets field)
{
	/* libopendkim copies and does not write; its prototype forgot to say so. */
	return dkim_header(dkim, (u_char *)(uintptr_t)field.p, field.n);
}

static struct dkimsvc_checked *checked_of(
	struct dkimsvc_checked *checked, size_t count, const struct mw_field *field)
{
	for (size_t i = 0; i < count; i++)
		if (checked[i].field == field)
			return checked[i].sig.error == NULL ? &checked[i] : NULL;
	return NULL; /* one too many */
}

static enum mw_rc feed_header(DKIM *dkim, const struct dkimsvc_message *m,
	struct dkimsvc_checked *checked, size_t count, struct run *run)
{
	if (feed_field(dkim, mw_octets_of_text(SPARE_FIELD)) != DKIM_STAT_OK)
		return MW_ERR_NOMEM;
	for (size_t i = 0; i < m->header.count; i++) {
		const struct mw_field *f = &m->header.fields[i];
		struct dkimsvc_checked *c = NULL;
		DKIM_STAT stat;

		if (f->name_len == 0)
			continue; /* no field: nothing can sign it */
		if (f->id == MW_H_DKIM_SIGNATURE) {
			c = checked_of(checked, count, f);
			if (c == NULL)
				continue; /* malformed, or beyond the limit: not for libopendkim */
		}
		stat = feed_field(dkim, dkimsvc_message_field(m, f));
		if (stat == DKIM_STAT_NORESOURCE || stat == DKIM_STAT_INTERNAL)
			return MW_ERR_NOMEM;
		if (c != NULL) {
			run->refused[run->count] = stat != DKIM_STAT_OK;
			run->fed[run->count++] = c;
		}
	}
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

static enum mw_rc run_library(DKIM *dkim, const struct dkimsvc_message *m,
	struct dkimsvc_checked *checked, size_t count, const atomic_bool *stop)
{
	struct dkimsvc_checked *fed[DKIMSVC_SIGNATURES_MAX];
	bool refused[DKIMSVC_SIGNATURES_MAX];
	struct run run = { .fed = fed, .refused = refused };
	DKIM_SIGINFO **sigs;
	int nsigs = 0;
	DKIM_STAT stat;
	enum mw_rc rc;

	dkim_set_user_context(dkim, &run);
	rc = feed_header(dkim, m, checked, count, &run);
	if (rc != MW_OK)
		return rc;
	stat = dkim_eoh(dkim);
	if (stat == DKIM_STAT_OK) {
		rc = feed_body(dkim, m, stop);
		if (rc != MW_OK)
			return rc;
		(void)dkim_eom(dkim, NULL);   /* the best signature's result; we ask for each */
	} else if (stat != DKIM_STAT_NOSIG) { /* NOSIG: all that it was given are ignored */
		return MW_ERR_NOMEM;
	}
	if (dkim_getsiglist(dkim, &sigs, &nsigs) != DKIM_STAT_OK || (size_t)nsigs != run.count)
		return MW_ERR_NOMEM;
	for (size_t i = 0; i < run.count; i++) {
		if (refused[i]) {
			fed[i]->result = DKIMSVC_NEUTRAL;
			fed[i]->reason = "malformed signature";
		} else if (fed[i]->key.usable) {
			judge(fed[i], sigs[i]);
		}
	}
	return MW_OK;
}

enum mw_rc dkimsvc_verify(struct dkimsvc_verifier *v, const struct dkimsvc_message *m,
	struct dkimsvc_checked *checked, size_t count, const atomic_bool *stop)
{
	const char *unusable = NULL;
	DKIM_STAT stat;
	enum mw_rc rc;
	DKIM *dkim;
	size_t left = 0;

	if (m->header_has_nul)
		unusable = "NUL in the header";
	else if (dkimsvc_message_has_bare_lf(m))
		unusable = "line feed without carriage return"; /* libopendkim would leave octets
								   out of its hash */
	for (size_t i = 0; i < count; i++)
		left += needs_library(&checked[i], unusable);
	if (left == 0)
		return MW_OK;
	dkim = dkim_verify(v->lib, (const unsigned char *)"mail", NULL, &stat);
	if (dkim == NULL)
		return MW_ERR_NOMEM;
	rc = run_library(dkim, m, checked, count, stop);
	(void)dkim_free(dkim);
	return rc;
}
