/* Keys and certificates for tests: made in memory, written as PEM files. */
#ifndef TEST_MAKE_CERT_H
#define TEST_MAKE_CERT_H

#include <assert.h>
#include <stdio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

struct made_cert {
	EVP_PKEY *key;
	X509 *cert;
};

static inline void make_ext(X509 *cert, X509 *issuer, int nid, const char *value)
{
	X509V3_CTX ctx;
	X509_EXTENSION *ext;

	X509V3_set_ctx(&ctx, issuer, cert, NULL, NULL, 0);
	ext = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
	assert(ext != NULL);
	X509_add_ext(cert, ext, -1);
	X509_EXTENSION_free(ext);
}

/* issuer NULL: signed by itself. san: "DNS:a.example,IP:127.0.0.1", NULL for an authority. */
static inline struct made_cert make_cert(
	const char *cn, const char *san, const struct made_cert *issuer, long from_s, long until_s)
{
	struct made_cert m = { EVP_EC_gen("P-256"), X509_new() };
	static long serial;

	assert(m.key != NULL && m.cert != NULL);
	X509_set_version(m.cert, X509_VERSION_3);
	ASN1_INTEGER_set(X509_get_serialNumber(m.cert), ++serial);
	X509_gmtime_adj(X509_getm_notBefore(m.cert), from_s);
	X509_gmtime_adj(X509_getm_notAfter(m.cert), until_s);
	X509_set_pubkey(m.cert, m.key);
	X509_NAME_add_entry_by_txt(X509_get_subject_name(m.cert), "CN", MBSTRING_ASC,
		(const unsigned char *)cn, -1, -1, 0);
	if (issuer == NULL)
		issuer = &m;
	X509_set_issuer_name(m.cert, X509_get_subject_name(issuer->cert));
	if (san != NULL)
		make_ext(m.cert, issuer->cert, NID_subject_alt_name, san);
	else
		make_ext(m.cert, issuer->cert, NID_basic_constraints, "critical,CA:TRUE");
	X509_sign(m.cert, issuer->key, EVP_sha256());
	return m;
}

static inline void free_cert(struct made_cert *m)
{
	EVP_PKEY_free(m->key);
	X509_free(m->cert);
}

/* Certificates and key, each NULL when not wanted. */
static inline void write_pem(
	const char *path, const X509 *cert, const X509 *chain, const EVP_PKEY *key)
{
	FILE *f = fopen(path, "w");

	assert(f != NULL);
	if (cert != NULL)
		PEM_write_X509(f, cert);
	if (chain != NULL)
		PEM_write_X509(f, chain);
	if (key != NULL)
		PEM_write_PrivateKey(f, key, NULL, NULL, 0, NULL, NULL);
	fclose(f);
}

#endif
