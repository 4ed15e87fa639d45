/*
 * The signing keys: dkim_key(domain, selector, file, options) of the settings, with their files
 * read and checked.
 *
 * A ring never changes once it is loaded; SIGHUP loads another one. Signatures under way hold the
 * ring they began with. Key material is in memory of its own, wiped when the ring goes, and never
 * in a log line or an error.
 */
#ifndef DKIMSVC_KEYS_H
#define DKIMSVC_KEYS_H

#include "conf.h"
#include "sigscan.h"

#define DKIMSVC_KEYS_MAX 10000	   /* entries of dkim_key */
#define DKIMSVC_KEY_FILE_MAX 65536 /* octets of a key file */
#define DKIMSVC_RSA_BITS_MIN 1024  /* RFC 8301 section 3.2: signers must not use less */
#define DKIMSVC_RSA_BITS_MAX 8192

struct dkimsvc_signing_key {
	char domain[DKIMSVC_DOMAIN_MAX]; /* lower case; "*.example.org": any sub-domain */
	char selector[DKIMSVC_DOMAIN_MAX];
	enum dkimsvc_alg alg;
	unsigned bits;
	bool header_relaxed, body_relaxed;   /* c=; relaxed/simple unless set */
	bool no_subdomain;		     /* t=s: i= must be exactly d= */
	uint64_t ttl_s;			     /* x= is that much after t=; 0: no x= */
	const struct dkimsvc_key_file *file; /* of the ring */
};

struct dkimsvc_key_ring;
/* All wrong entries are told in one text. An empty ring is fine: then every signing job fails by
 * name. */
enum mw_rc dkimsvc_keys_load(
	struct dkimsvc_key_ring **ring_r, const struct mw_conf *conf, struct mw_err *err_r);
/* The same from the value of dkim_key. */
enum mw_rc dkimsvc_keys_load_val(
	struct dkimsvc_key_ring **ring_r, const struct mw_val *list, struct mw_err *err_r);
/* Not thread-safe: in the loop only. */
struct dkimsvc_key_ring *dkimsvc_keys_ref(struct dkimsvc_key_ring *ring);
void dkimsvc_keys_unref(struct dkimsvc_key_ring **ring_p);
size_t dkimsvc_keys_count(const struct dkimsvc_key_ring *ring);
/* The exact domain before a wildcard. NULL: none. */
const struct dkimsvc_signing_key *dkimsvc_keys_find(
	const struct dkimsvc_key_ring *ring, const char *domain, const char *selector);

#define DKIMSVC_DIGEST_OCTETS 32 /* SHA-256 */
#define DKIMSVC_SIGNATURE_OCTETS_MAX (DKIMSVC_RSA_BITS_MAX / 8)
/* Sign a SHA-256 digest: PKCS #1 v1.5, or Ed25519 over the digest (RFC 8463). Any thread. False:
 * OpenSSL failed. */
bool dkimsvc_key_sign(const struct dkimsvc_signing_key *key,
	const unsigned char digest[DKIMSVC_DIGEST_OCTETS],
	unsigned char sig_r[DKIMSVC_SIGNATURE_OCTETS_MAX], size_t *n_r);

#endif
