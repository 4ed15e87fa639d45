/* What the dkim tests share: keys made by OpenSSL, and a second, tiny signer (simple/simple) to
 * compare with. */
#ifndef TEST_DKIM_HELP_H
#define TEST_DKIM_HELP_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

#include <sys/stat.h>
#include <unistd.h>

#include "keyrec.h"
#include "keys.h"
#include "message.h"

/* d2i formats are asked for by name here, so that tests need no more of OpenSSL than this file. */
static inline EVP_PKEY *help_rsa(unsigned bits)
{
	EVP_PKEY *key = EVP_RSA_gen(bits);

	assert_non_null(key);
	return key;
}

static inline EVP_PKEY *help_ed25519(void)
{
	EVP_PKEY *key = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");

	assert_non_null(key);
	return key;
}

static inline char *help_pem(EVP_PKEY *key)
{
	BIO *bio = BIO_new(BIO_s_mem());
	char *data, *pem;
	long n;

	assert_int_equal(PEM_write_bio_PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL), 1);
	n = BIO_get_mem_data(bio, &data);
	pem = strndup(data, (size_t)n);
	BIO_free(bio);
	assert_non_null(pem);
	return pem;
}

/* A ring of one key, example.org with selector sel, by way of a file. */
static inline struct dkimsvc_key_ring *help_ring(EVP_PKEY *key)
{
	char path[] = "/tmp/mw-test-key-XXXXXX", *pem = help_pem(key);
	char domain[] = "domain", selector[] = "selector", file[] = "file", org[] = "example.org",
	     sel[] = "sel";
	char *names[] = { domain, selector, file };
	struct mw_val fields[] = { { .tag = MW_V_STR, .str = org }, { .tag = MW_V_STR, .str = sel },
		{ .tag = MW_V_STR, .str = path } };
	struct mw_val row = { .tag = MW_V_TABLE, .count = 3, .keys = names, .vals = fields };
	struct mw_val list = { .tag = MW_V_TABLE, .count = 1, .is_array = true, .vals = &row };
	struct dkimsvc_key_ring *ring;
	struct mw_err err;
	int fd = mkstemp(path);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, pem, strlen(pem)), strlen(pem));
	close(fd);
	assert_int_equal(dkimsvc_keys_load_val(&ring, &list, &err), MW_OK);
	unlink(path);
	free(pem);
	return ring;
}

static inline void help_base64(const void *p, size_t n, char *out, size_t size)
{
	assert_true(size > (n + 2) / 3 * 4);
	EVP_EncodeBlock((unsigned char *)out, p, (int)n);
}

/* The text of a key record: "v=DKIM1; k=...; p=...". */
static inline void help_record(EVP_PKEY *key, char *out, size_t size)
{
	unsigned char *der = NULL, raw[32];
	size_t n = sizeof(raw);
	char b64[2048];

	if (EVP_PKEY_get_base_id(key) == EVP_PKEY_ED25519) {
		assert_int_equal(EVP_PKEY_get_raw_public_key(key, raw, &n), 1);
		help_base64(raw, n, b64, sizeof(b64));
		snprintf(out, size, "v=DKIM1; k=ed25519; p=%s", b64);
	} else {
		int len = i2d_PUBKEY(key, &der);

		assert_true(len > 0);
		help_base64(der, (size_t)len, b64, sizeof(b64));
		snprintf(out, size, "v=DKIM1; k=rsa; p=%s", b64);
		OPENSSL_free(der);
	}
}

/* One TXT record of strings of at most 255 octets, as RDATA into buf; returns its length. */
static inline size_t help_rdata(const char *text, unsigned char *buf, size_t size)
{
	size_t n = strlen(text), at = 0, out = 0;

	do {
		size_t len = n - at < 255 ? n - at : 255;

		assert_true(out + len + 1 <= size);
		buf[out++] = (unsigned char)len;
		memcpy(buf + out, text + at, len);
		out += len;
		at += len;
	} while (at < n);
	return out;
}

static inline struct mw_job help_job(const void *p, size_t n)
{
	struct mw_job job = { .part_count = 1 };

	job.parts[0] = mw_octets_of(p, n);
	return job;
}

static inline void help_digest(
	const char *head, size_t head_len, const char *tail, unsigned char out[32])
{
	EVP_MD_CTX *md = EVP_MD_CTX_new();

	assert_int_equal(EVP_DigestInit_ex(md, EVP_sha256(), NULL), 1);
	EVP_DigestUpdate(md, head, head_len);
	EVP_DigestUpdate(md, tail, strlen(tail));
	EVP_DigestFinal_ex(md, out, NULL);
	EVP_MD_CTX_free(md);
}

static inline size_t help_sign_digest(
	EVP_PKEY *key, const unsigned char digest[32], unsigned char *sig, size_t size)
{
	size_t n = size;

	if (EVP_PKEY_get_base_id(key) == EVP_PKEY_ED25519) {
		EVP_MD_CTX *md = EVP_MD_CTX_new();

		assert_int_equal(EVP_DigestSignInit(md, NULL, NULL, NULL, key), 1);
		assert_int_equal(EVP_DigestSign(md, sig, &n, digest, 32), 1);
		EVP_MD_CTX_free(md);
	} else {
		EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(key, NULL);

		assert_int_equal(EVP_PKEY_sign_init(ctx), 1);
		assert_int_equal(EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PADDING), 1);
		assert_int_equal(EVP_PKEY_CTX_set_signature_md(ctx, EVP_sha256()), 1);
		assert_int_equal(EVP_PKEY_sign(ctx, sig, &n, digest, 32), 1);
		EVP_PKEY_CTX_free(ctx);
	}
	return n;
}

/*
 * "DKIM-Signature: TAGS bh=...; b=...\r\n" over signed_fields (octets as they are hashed: each with
 * its CRLF, in the order of h=) and the first body_len octets of body. tags ends in ";" or is cut
 * as the test likes.
 */
static inline char *help_signature(EVP_PKEY *key, const char *tags, const char *signed_fields,
	const char *body, size_t body_len)
{
	unsigned char digest[32], sig[1024];
	char bh[64], b[1500], *field = NULL, *whole = NULL;
	size_t n;

	help_digest(body, body_len, "", digest);
	help_base64(digest, sizeof(digest), bh, sizeof(bh));
	assert_true(asprintf(&field, "DKIM-Signature: %s bh=%s; b=", tags, bh) > 0);
	help_digest(signed_fields, strlen(signed_fields), field, digest);
	n = help_sign_digest(key, digest, sig, sizeof(sig));
	help_base64(sig, n, b, sizeof(b));
	assert_true(asprintf(&whole, "%s%s\r\n", field, b) > 0);
	free(field);
	return whole;
}

#endif
