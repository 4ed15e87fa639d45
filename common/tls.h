/*
 * TLS, memory to memory: ciphertext in, plaintext out, and the other way round. Nothing here knows
 * a socket or a clock; the caller moves the octets and keeps the time. The only file of ours that
 * includes <openssl/ssl.h>.
 *
 * A context is a certificate and key (server) or the authorities to believe (client), counted by
 * reference; a session keeps its own and outlives the settings it began with. TLS 1.2 at least
 * (RFC 8996), no compression, no renegotiation. An idle session holds no record buffers, and none
 * for ciphertext of ours: those exist while there is something in them.
 *
 *   feed  -> handshake until it says 1, then read until it says 0;
 *   write -> at most MW_TLS_RECORD octets a call, then take_out what is to be sent, as after
 *            every other call.
 */
#ifndef MW_TLS_H
#define MW_TLS_H

#include "base.h"

#define MW_TLS_RECORD 16384   /* octets of plaintext in one record (RFC 8446 section 5.1) */
#define MW_TLS_OUT_MAX 262144 /* ciphertext of ours that nobody takes; more ends the session */
#define MW_TLS_TEXT_MAX 96    /* room for mw_tls_describe */
#define MW_TLS_END (-2)	      /* mw_tls_read: the peer said close_notify */

struct mw_tls_ctx;
struct mw_tls;

enum mw_tls_min { MW_TLS_1_2, MW_TLS_1_3 };

/* "TLSv1.2", "TLSv1.3" */
bool mw_tls_min_parse(const char *text, enum mw_tls_min *min_r);

/*
 * A server's context. cert_file: PEM, our certificate first, then those between it and the root;
 * key_file: its key, PEM, without a passphrase. what_cert and what_key are the settings' names, for
 * the error. MW_ERR_CONF, MW_ERR_NOMEM.
 */
enum mw_rc mw_tls_server(const char *what_cert, const char *cert_file, const char *what_key,
	const char *key_file, enum mw_tls_min min, struct mw_tls_ctx **ctx_r, struct mw_err *err_r);
/*
 * A client's. ca: a file of certificates in PEM, or a folder of them by hash (openssl rehash);
 * NULL: nobody is believed, so that only sessions without verification can be had.
 */
enum mw_rc mw_tls_client(const char *what_ca, const char *ca, enum mw_tls_min min,
	struct mw_tls_ctx **ctx_r, struct mw_err *err_r);
struct mw_tls_ctx *mw_tls_ctx_ref(struct mw_tls_ctx *ctx); /* NULL stays NULL */
void mw_tls_ctx_unref(struct mw_tls_ctx **ctx_p);

/*
 * A session. A client's says name in SNI (not an address: RFC 6066 section 3); with verify the
 * handshake succeeds only when the chain leads to ca and the certificate is for that name (RFC
 * 6125), or for that address by its iPAddress. For a server name is NULL and verify false. NULL: no
 * memory, or a name that cannot be one.
 */
struct mw_tls *mw_tls_new(struct mw_tls_ctx *ctx, const char *name, bool verify);
void mw_tls_destroy(struct mw_tls **t_p);

/* Ciphertext of the peer; borrowed until it is used up or mw_tls_keep. Not while some is left. */
void mw_tls_feed(struct mw_tls *t, const void *p, size_t n);
/* Octets of the peer that mw_tls_read has not come to yet, decrypted or not. */
bool mw_tls_has_more(const struct mw_tls *t);
/* What was fed and is not used goes into memory of our own. False: no memory. */
bool mw_tls_keep(struct mw_tls *t);

/* 1: done; 0: more of the peer's octets are wanted; -1: failed, *err_r says why. */
int mw_tls_handshake(struct mw_tls *t, struct mw_err *err_r);
/* Octets put into buf; 0: more of the peer's are wanted; MW_TLS_END; -1: failed. */
int mw_tls_read(struct mw_tls *t, void *buf, size_t size, struct mw_err *err_r);
/* Encrypt n octets, 1 to MW_TLS_RECORD, as one record. False: failed. */
bool mw_tls_write(struct mw_tls *t, const void *p, size_t n, struct mw_err *err_r);
/* Say close_notify; reading goes on. */
void mw_tls_end(struct mw_tls *t);

/* Ciphertext that waits to be sent. */
size_t mw_tls_out_size(const struct mw_tls *t);
/* The same, which is the caller's from now on: free() it. NULL when there is none. */
char *mw_tls_take_out(struct mw_tls *t, size_t *n_r);

/* "TLSv1.3 with cipher TLS_AES_256_GCM_SHA384 (256/256 bits)", after the handshake. Returns buf. */
const char *mw_tls_describe(const struct mw_tls *t, char buf[MW_TLS_TEXT_MAX]);

#endif
