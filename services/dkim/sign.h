/*
 * Signing, from memory to memory: a message and a key in, one DKIM-Signature field out.
 *
 * libopendkim canonicalizes and hashes, as a verifier of the field that is being made; OpenSSL
 * signs the hash with a key that was loaded once. Its own signing (2.11) loads the key anew each
 * time, and for Ed25519 never frees it and hashes another folding than it prints.
 */
#ifndef DKIMSVC_SIGN_H
#define DKIMSVC_SIGN_H

#include <stdatomic.h>
#include "signed_fields.h"
#include "keys.h"
#include "message.h"
#include "text.h"

#define DKIMSVC_SIGNED_FIELDS_MAX                                                                  \
	256 /* fields that one signature covers; libopendkim cuts its list at 4096 octets */
#define DKIMSVC_SIGNED_NAMES_MAX MW_SIGNED_NAMES_MAX /* names in orders.headers */

struct dkimsvc_signer;
enum mw_rc dkimsvc_signer_open(struct dkimsvc_signer **s_r, struct mw_err *err_r);
void dkimsvc_signer_close(struct dkimsvc_signer **s_p);

/* Hashes of one body, made when first asked for: several signatures of a mail share them. Zeroed by
 * the caller. */
struct dkimsvc_body_hashes {
	bool made[2]; /* simple, relaxed */
	unsigned char digest[2][DKIMSVC_DIGEST_OCTETS];
};

struct dkimsvc_sign_order {
	const struct dkimsvc_signing_key *key;
	const char *domain;   /* d=: of the orders, as a wildcard key has none of its own */
	const char *identity; /* i=; "": none. Printable, without blanks, ";" and "=" */
	uint64_t now_s;	      /* t= */
	uint64_t ttl_s;	      /* x= after t=; 0: the key's own, which may be none */
	/*
	 * Names of the fields to sign. Named once: every instance there is. Named twice: one that
	 * is not there as well, so that none can be added. From is always signed. None given: the
	 * defaults of sign.c.
	 */
	size_t name_count;
	const struct mw_octets *names;
};

/*
 * Append "DKIM-Signature: ...", folded, ended by CRLF, to *fields. May run in any thread; one
 * signer serves many. MW_OK; MW_ERR_GONE when *stop became true; MW_ERR_PROTO for a message that
 * cannot be signed (no From, NUL in a field, a bare line feed), MW_ERR_LIMIT for too many fields;
 * MW_ERR_NOMEM otherwise. *fields is untouched unless MW_OK.
 */
enum mw_rc dkimsvc_sign(struct dkimsvc_signer *s, const struct dkimsvc_message *m,
	const struct dkimsvc_sign_order *order, struct dkimsvc_body_hashes *hashes,
	struct mw_text *fields, const atomic_bool *stop, struct mw_err *err_r);

#endif
