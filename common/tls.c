#include "tls.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

/* TLS 1.2: ephemeral keys and authenticated ciphers first, no anonymous or static key exchange. The
 * suites of TLS 1.3 are all good. */
#define CIPHERS                                                                                    \
	"ECDHE+AESGCM:ECDHE+CHACHA20:DHE+AESGCM:DHE+CHACHA20:ECDHE+AES:DHE+AES:!aNULL:!eNULL:!"    \
	"PSK:!"                                                                                    \
	"SRP"

struct mw_tls_ctx {
	SSL_CTX *ssl;
	unsigned refs;
	bool server;
};

struct mw_tls {
	SSL *ssl;
	bool failed;
	const char *why;     /* it failed behind octets that went before; not told yet */
	struct mw_octets in; /* not used yet; the caller's, or kept */
	unsigned char *kept;
	struct {
		char *p;
		size_t n, cap;
	} out;
};

bool mw_tls_min_parse(const char *text, enum mw_tls_min *min_r)
{
	bool newer = strcmp(text, "TLSv1.3") == 0;

	*min_r = newer ? MW_TLS_1_3 : MW_TLS_1_2;
	return newer || strcmp(text, "TLSv1.2") == 0;
}

/* What the library says of its first error, which is the cause of the others. */
static const char *reason(void)
{
	unsigned long e = ERR_peek_error();
	const char *text = ERR_reason_error_string(e);

	if (text == NULL && ERR_GET_LIB(e) == ERR_LIB_SYS)
		text = strerror(ERR_GET_REASON(e));
	return text != NULL ? text : "unknown error";
}

/* ------------------------------------------------------------------ octets without sockets */

static int bio_read(BIO *bio, char *buf, int size)
{
	struct mw_tls *t = BIO_get_data(bio);
	size_t n = t->in.n < (size_t)size ? t->in.n : (size_t)size;

	BIO_clear_retry_flags(bio);
	if (n == 0) {
		BIO_set_retry_read(bio);
		return -1;
	}
	memcpy(buf, t->in.p, n);
	t->in.p += n;
	t->in.n -= n;
	return (int)n;
}

static bool out_room(struct mw_tls *t, size_t n)
{
	size_t cap = t->out.cap != 0 ? t->out.cap : 4096;
	char *more;

	while (cap < t->out.n + n)
		cap *= 2;
	if (cap == t->out.cap)
		return true;
	more = cap <= MW_TLS_OUT_MAX ? realloc(t->out.p, cap) : NULL;
	if (more == NULL)
		return false;
	t->out.p = more;
	t->out.cap = cap;
	return true;
}

static int bio_write(BIO *bio, const char *p, int size)
{
	struct mw_tls *t = BIO_get_data(bio);

	BIO_clear_retry_flags(bio);
	if (!out_room(t, (size_t)size))
		return -1;
	memcpy(t->out.p + t->out.n, p, (size_t)size);
	t->out.n += (size_t)size;
	return size;
}

static long bio_ctrl(BIO *bio, int cmd, long n, void *p)
{
	(void)bio;
	(void)n;
	(void)p;
	return cmd == BIO_CTRL_FLUSH;
}

/* One for the process's life. */
static const BIO_METHOD *bio_method(void)
{
	static BIO_METHOD *m;

	if (m == NULL && (m = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK,
				  "mailweir octets")) != NULL) {
		BIO_meth_set_read(m, bio_read);
		BIO_meth_set_write(m, bio_write);
		BIO_meth_set_ctrl(m, bio_ctrl);
	}
	return m;
}

/* ------------------------------------------------------------------ contexts */

/* A key with a passphrase would ask for it at a terminal that is not there. */
static int no_passphrase(char *buf, int size, int writing, void *arg)
{
	(void)buf;
	(void)size;
	(void)writing;
	(void)arg;
	return -1;
}

static enum mw_rc ctx_new(
	bool server, enum mw_tls_min min, struct mw_tls_ctx **ctx_r, struct mw_err *err_r)
{
	struct mw_tls_ctx *ctx = calloc(1, sizeof(*ctx));

	if (ctx != NULL)
		ctx->ssl = SSL_CTX_new(server ? TLS_server_method() : TLS_client_method());
	if (ctx == NULL || ctx->ssl == NULL) {
		free(ctx);
		return mw_fail(err_r, MW_ERR_NOMEM, "no memory for TLS");
	}
	ctx->refs = 1;
	ctx->server = server;
	SSL_CTX_set_min_proto_version(
		ctx->ssl, min == MW_TLS_1_3 ? TLS1_3_VERSION : TLS1_2_VERSION);
	SSL_CTX_set_options(ctx->ssl,
		SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION | SSL_OP_CIPHER_SERVER_PREFERENCE);
	SSL_CTX_set_mode(ctx->ssl, SSL_MODE_RELEASE_BUFFERS);
	SSL_CTX_set_cipher_list(ctx->ssl, CIPHERS);
	SSL_CTX_set_default_passwd_cb(ctx->ssl, no_passphrase);
	/* Tickets are the client's to keep; a cache of ours would be memory for nothing. */
	SSL_CTX_set_session_cache_mode(ctx->ssl, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_num_tickets(ctx->ssl, 1);
	SSL_CTX_set_dh_auto(ctx->ssl, 1);
	*ctx_r = ctx;
	return MW_OK;
}

struct mw_tls_ctx *mw_tls_ctx_ref(struct mw_tls_ctx *ctx)
{
	if (ctx != NULL)
		ctx->refs++;
	return ctx;
}

void mw_tls_ctx_unref(struct mw_tls_ctx **ctx_p)
{
	struct mw_tls_ctx *ctx = *ctx_p;

	*ctx_p = NULL;
	if (ctx == NULL || --ctx->refs > 0)
		return;
	SSL_CTX_free(ctx->ssl);
	free(ctx);
}

/* The system's own words for what it refuses: the library's are less plain. */
static enum mw_rc is_readable(const char *what, const char *path, struct mw_err *err_r)
{
	FILE *f = fopen(path, "re");

	if (f == NULL)
		return mw_fail(err_r, MW_ERR_CONF, "%s = \"%s\": %s", what, path, strerror(errno));
	fclose(f);
	return MW_OK;
}

enum mw_rc mw_tls_server(const char *what_cert, const char *cert_file, const char *what_key,
	const char *key_file, enum mw_tls_min min, struct mw_tls_ctx **ctx_r, struct mw_err *err_r)
{
	struct mw_tls_ctx *ctx = NULL;
	enum mw_rc rc;

	*ctx_r = NULL;
	if ((rc = is_readable(what_cert, cert_file, err_r)) != MW_OK ||
		(rc = is_readable(what_key, key_file, err_r)) != MW_OK ||
		(rc = ctx_new(true, min, &ctx, err_r)) != MW_OK)
		return rc;
	ERR_clear_error();
	if (SSL_CTX_use_certificate_chain_file(ctx->ssl, cert_file) != 1)
		rc = mw_fail(err_r, MW_ERR_CONF, "%s = \"%s\": no certificate in PEM: %s",
			what_cert, cert_file, reason());
	else if (SSL_CTX_use_PrivateKey_file(ctx->ssl, key_file, SSL_FILETYPE_PEM) != 1)
		rc = mw_fail(err_r, MW_ERR_CONF,
			"%s = \"%s\": not this certificate's private key in PEM without a "
			"passphrase: %s",
			what_key, key_file, reason());
	ERR_clear_error();
	if (rc != MW_OK)
		mw_tls_ctx_unref(&ctx);
	*ctx_r = ctx;
	return rc;
}

enum mw_rc mw_tls_client(const char *what_ca, const char *ca, enum mw_tls_min min,
	struct mw_tls_ctx **ctx_r, struct mw_err *err_r)
{
	struct mw_tls_ctx *ctx = NULL;
	struct stat st;
	bool folder;
	enum mw_rc rc;

	*ctx_r = NULL;
	if (ca != NULL && (rc = is_readable(what_ca, ca, err_r)) != MW_OK)
		return rc;
	rc = ctx_new(false, min, &ctx, err_r);
	if (rc != MW_OK)
		return rc;
	ERR_clear_error();
	folder = ca != NULL && stat(ca, &st) == 0 && S_ISDIR(st.st_mode);
	if (ca != NULL && SSL_CTX_load_verify_locations(
				  ctx->ssl, folder ? NULL : ca, folder ? ca : NULL) != 1)
		rc = mw_fail(err_r, MW_ERR_CONF, "%s = \"%s\": no certificates in PEM: %s", what_ca,
			ca, reason());
	ERR_clear_error();
	if (rc != MW_OK)
		mw_tls_ctx_unref(&ctx);
	*ctx_r = ctx;
	return rc;
}

/* ------------------------------------------------------------------ sessions */

static bool is_address(const char *name)
{
	ASN1_OCTET_STRING *ip = a2i_IPADDRESS(name);

	ERR_clear_error();
	ASN1_OCTET_STRING_free(ip);
	return ip != NULL;
}

static bool set_name(struct mw_tls *t, const char *name, bool verify)
{
	X509_VERIFY_PARAM *param = SSL_get0_param(t->ssl);
	bool address = name != NULL && is_address(name);

	if (name != NULL && !address && SSL_set_tlsext_host_name(t->ssl, name) != 1)
		return !verify; /* no name that SNI could say: it is only a hint */
	if (!verify)
		return true;
	if (name == NULL || *name == '\0')
		return false;
	SSL_set_verify(t->ssl, SSL_VERIFY_PEER, NULL);
	X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
	return address ? X509_VERIFY_PARAM_set1_ip_asc(param, name) == 1
		       : X509_VERIFY_PARAM_set1_host(param, name, 0) == 1;
}

struct mw_tls *mw_tls_new(struct mw_tls_ctx *ctx, const char *name, bool verify)
{
	struct mw_tls *t = calloc(1, sizeof(*t));
	BIO *bio = NULL;

	if (t == NULL)
		return NULL;
	t->ssl = SSL_new(ctx->ssl);
	if (bio_method() != NULL)
		bio = BIO_new(bio_method());
	if (t->ssl == NULL || bio == NULL) {
		BIO_free(bio);
		mw_tls_destroy(&t);
		return NULL;
	}
	BIO_set_data(bio, t);
	BIO_set_init(bio, 1);
	SSL_set_bio(t->ssl, bio, bio);
	if (ctx->server)
		SSL_set_accept_state(t->ssl);
	else
		SSL_set_connect_state(t->ssl);
	if (!ctx->server && !set_name(t, name, verify))
		mw_tls_destroy(&t);
	ERR_clear_error();
	return t;
}

void mw_tls_destroy(struct mw_tls **t_p)
{
	struct mw_tls *t = *t_p;

	*t_p = NULL;
	if (t == NULL)
		return;
	SSL_free(t->ssl);
	free(t->kept);
	free(t->out.p);
	free(t);
}

void mw_tls_feed(struct mw_tls *t, const void *p, size_t n)
{
	assert(t->in.n == 0);
	free(t->kept);
	t->kept = NULL;
	t->in = mw_octets_of(p, n);
}

bool mw_tls_has_more(const struct mw_tls *t)
{
	return t->why != NULL || (!t->failed && (t->in.n > 0 || SSL_pending(t->ssl) > 0));
}

bool mw_tls_keep(struct mw_tls *t)
{
	unsigned char *copy;

	if (t->in.n == 0) {
		free(t->kept);
		t->kept = NULL;
		return true;
	}
	copy = malloc(t->in.n);
	if (copy == NULL)
		return false;
	memcpy(copy, t->in.p, t->in.n);
	free(t->kept);
	t->kept = copy;
	t->in.p = copy;
	return true;
}

/* Why an operation did not succeed: 0 more octets are wanted, MW_TLS_END, or -1. */
static int not_yet(struct mw_tls *t, int ret, struct mw_err *err_r)
{
	long verdict;

	switch (SSL_get_error(t->ssl, ret)) {
	case SSL_ERROR_WANT_READ:
		return 0;
	case SSL_ERROR_ZERO_RETURN:
		return MW_TLS_END;
	default:
		break;
	}
	t->failed = true;
	verdict = SSL_get_verify_result(t->ssl);
	if (ERR_peek_error() == 0)
		mw_fail(err_r, MW_ERR_PROTO, "out of memory, or nobody takes our octets");
	else if (ERR_GET_REASON(ERR_peek_error()) == SSL_R_CERTIFICATE_VERIFY_FAILED)
		mw_fail(err_r, MW_ERR_PROTO, "%s: %s", reason(),
			X509_verify_cert_error_string(verdict));
	else
		mw_fail(err_r, MW_ERR_PROTO, "%s", reason());
	ERR_clear_error();
	return -1;
}

int mw_tls_handshake(struct mw_tls *t, struct mw_err *err_r)
{
	int ret;

	ERR_clear_error();
	ret = SSL_do_handshake(t->ssl);
	if (ret == 1)
		return 1;
	ret = not_yet(t, ret, err_r);
	if (ret == MW_TLS_END)
		mw_fail(err_r, MW_ERR_PROTO, "the peer ends the handshake");
	return ret == 0 ? 0 : -1;
}

int mw_tls_read(struct mw_tls *t, void *buf, size_t size, struct mw_err *err_r)
{
	size_t got = 0, n;
	int ret = 0;

	assert(size > 0);
	if (t->why != NULL)
		mw_fail(err_r, MW_ERR_PROTO, "%s", t->why);
	t->why = NULL;
	if (t->failed)
		return -1;
	ERR_clear_error();
	while (got < size && (ret = SSL_read_ex(t->ssl, (char *)buf + got, size - got, &n)) == 1)
		got += n;
	if (got == 0)
		return not_yet(t, ret, err_r);
	/* What stopped it is for the next call. Only a failure has to be remembered for that. */
	if (got < size && SSL_get_error(t->ssl, ret) == SSL_ERROR_SSL) {
		t->failed = true;
		t->why = reason();
	}
	ERR_clear_error();
	return (int)got;
}

bool mw_tls_write(struct mw_tls *t, const void *p, size_t n, struct mw_err *err_r)
{
	size_t done;

	assert(n > 0 && n <= MW_TLS_RECORD);
	ERR_clear_error();
	if (!t->failed && SSL_write_ex(t->ssl, p, n, &done) == 1)
		return true;
	/* Nothing can be wanted of the peer: there is no renegotiation, and our side takes all. */
	if (!t->failed && not_yet(t, 0, err_r) != -1)
		mw_fail(err_r, MW_ERR_PROTO, "TLS session is over");
	t->failed = true;
	return false;
}

void mw_tls_end(struct mw_tls *t)
{
	if (!t->failed && SSL_is_init_finished(t->ssl))
		SSL_shutdown(t->ssl);
	ERR_clear_error();
}

size_t mw_tls_out_size(const struct mw_tls *t)
{
	return t->out.n;
}

char *mw_tls_take_out(struct mw_tls *t, size_t *n_r)
{
	char *p = t->out.p;

	*n_r = t->out.n;
	t->out.p = NULL;
	t->out.n = t->out.cap = 0;
	return p;
}

const char *mw_tls_describe(const struct mw_tls *t, char buf[MW_TLS_TEXT_MAX])
{
	const SSL_CIPHER *cipher = SSL_get_current_cipher(t->ssl);
	int most = 0, used = SSL_CIPHER_get_bits(cipher, &most);

	snprintf(buf, MW_TLS_TEXT_MAX, "%s with cipher %s (%d/%d bits)", SSL_get_version(t->ssl),
		SSL_CIPHER_get_name(cipher), used, most);
	return buf;
}
