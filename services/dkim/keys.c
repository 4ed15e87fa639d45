#include "keys.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

#include "log.h"

/* One file, read once however many domains sign with it. */
struct dkimsvc_key_file {
	char *path;
	EVP_PKEY *pkey;
	enum dkimsvc_alg alg;
	unsigned bits;
};

struct dkimsvc_key_ring {
	unsigned refs;
	struct dkimsvc_signing_key *keys;
	size_t count;
	struct dkimsvc_key_file *files;
	size_t file_count;
};

/* Errors of all entries, as one text for the admin. */
struct complaints {
	struct mw_err *err;
	size_t count;
	const struct mw_conf *conf; /* for the names of files; may be NULL */
};

static void complain(struct complaints *c, unsigned line, const char *fmt, ...) MW_PRINTF(3, 4);
static void complain(struct complaints *c, unsigned line, const char *fmt, ...)
{
	char text[384], where[300], *end;
	size_t used = c->err != NULL && c->count > 0 ? strlen(c->err->text) : 0;
	va_list ap;

	c->count++;
	if (c->err == NULL)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	end = c->err->text + used;
	if (c->conf != NULL)
		mw_conf_where(c->conf, line, where, sizeof(where));
	else
		snprintf(where, sizeof(where), "line %u", line);
	snprintf(end, sizeof(c->err->text) - used, "%sdkim_key at %s: %s", used > 0 ? "; " : "",
		where, text);
}

/* ------------------------------------------------------------------ key files */

static void wipe_free(char **p, size_t n)
{
	if (*p != NULL)
		OPENSSL_cleanse(*p, n);
	free(*p);
	*p = NULL;
}

static bool read_all(int fd, char *buf, size_t n)
{
	size_t at = 0;

	while (at < n) {
		ssize_t got = read(fd, buf + at, n - at);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return false;
		at += (size_t)got;
	}
	return true;
}

/* The file's octets, if nobody but owner and group can have read them. */
static char *read_private(const char *path, size_t *n_r, struct mw_err *why)
{
	int fd = open(
		path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a fifo must not hold up the start */
	char *text = NULL;
	struct stat st;

	if (fd < 0 || fstat(fd, &st) != 0)
		mw_fail(why, MW_ERR_IO, "%s", strerror(errno));
	else if (!S_ISREG(st.st_mode))
		mw_fail(why, MW_ERR_IO, "not a regular file");
	else if ((st.st_mode & S_IRWXO) != 0)
		mw_fail(why, MW_ERR_CONF,
			"its mode %04o gives it to everybody: chmod o= it, and make a new key if "
			"others had it",
			(unsigned)(st.st_mode & 07777));
	else if (st.st_size <= 0 || st.st_size > DKIMSVC_KEY_FILE_MAX)
		mw_fail(why, MW_ERR_LIMIT, "%lld octets; a key file has 1 to %d",
			(long long)st.st_size, DKIMSVC_KEY_FILE_MAX);
	else if ((text = malloc((size_t)st.st_size)) == NULL)
		mw_fail(why, MW_ERR_NOMEM, "no memory");
	else if (!read_all(fd, text, (size_t)st.st_size)) {
		wipe_free(&text, (size_t)st.st_size);
		mw_fail(why, MW_ERR_IO, "cannot be read whole");
	} else {
		*n_r = (size_t)st.st_size;
	}
	if (fd >= 0)
		close(fd);
	return text;
}

/* OpenSSL would ask the terminal. */
static int no_passphrase(char *buf, int size, int rwflag, void *arg)
{
	(void)buf;
	(void)size;
	(void)rwflag;
	(void)arg;
	return -1;
}

static bool key_type(EVP_PKEY *pkey, struct dkimsvc_key_file *file, struct mw_err *why)
{
	int bits = EVP_PKEY_get_bits(pkey);

	switch (EVP_PKEY_get_base_id(pkey)) {
	case EVP_PKEY_ED25519:
		file->alg = DKIMSVC_ED25519_SHA256;
		file->bits = 256;
		return true;
	case EVP_PKEY_RSA:
		file->alg = DKIMSVC_RSA_SHA256;
		file->bits = (unsigned)bits;
		if (bits >= DKIMSVC_RSA_BITS_MIN && bits <= DKIMSVC_RSA_BITS_MAX)
			return true;
		mw_fail(why, MW_ERR_CONF, "an RSA key of %d bits; %d to %d are allowed", bits,
			DKIMSVC_RSA_BITS_MIN, DKIMSVC_RSA_BITS_MAX);
		return false;
	default:
		mw_fail(why, MW_ERR_CONF, "neither an RSA nor an Ed25519 key");
		return false;
	}
}

static bool load_file(const char *path, struct dkimsvc_key_file *file, struct mw_err *why)
{
	BIO *in = NULL;
	bool good = false;
	size_t n = 0;
	char *text = read_private(path, &n, why);

	if (text == NULL)
		return false;
	in = BIO_new_mem_buf(text, (int)n);
	if (in != NULL)
		file->pkey = PEM_read_bio_PrivateKey(in, NULL, no_passphrase, NULL);
	if (file->pkey == NULL) {
		ERR_clear_error();
		mw_fail(why, MW_ERR_CONF, "not a private key in PEM without a passphrase");
	} else if (key_type(file->pkey, file, why)) {
		file->path = strdup(path);
		good = file->path != NULL;
		if (!good)
			mw_fail(why, MW_ERR_NOMEM, "no memory");
	}
	BIO_free(in);
	wipe_free(&text, n);
	return good;
}

static const struct dkimsvc_key_file *file_of(
	struct dkimsvc_key_ring *ring, const char *path, struct mw_err *why)
{
	struct dkimsvc_key_file *file = &ring->files[ring->file_count];

	for (size_t i = 0; i < ring->file_count; i++)
		if (strcmp(ring->files[i].path, path) == 0)
			return &ring->files[i];
	if (!load_file(path, file, why)) {
		EVP_PKEY_free(file->pkey);
		*file = (struct dkimsvc_key_file){ 0 };
		return NULL;
	}
	ring->file_count++;
	return file;
}

/* ------------------------------------------------------------------ options */

typedef const char *option_reader(const struct mw_val *v, struct dkimsvc_signing_key *key);

static const char *option_c(const struct mw_val *v, struct dkimsvc_signing_key *key)
{
	const char *text = mw_val_text(v, "");
	const char *slash = strchr(text, '/');
	size_t n = slash != NULL ? (size_t)(slash - text) : strlen(text);
	struct mw_octets header = mw_octets_of(text, n);
	const char *body = slash != NULL ? slash + 1 : "simple";

	key->header_relaxed = mw_octets_ieq(header, "relaxed");
	key->body_relaxed = mw_ieq(body, "relaxed");
	if ((!key->header_relaxed && !mw_octets_ieq(header, "simple")) ||
		(!key->body_relaxed && !mw_ieq(body, "simple")))
		return "c is relaxed or simple, for header/body: \"relaxed/simple\"";
	return NULL;
}

static const char *option_ttl(const struct mw_val *v, struct dkimsvc_signing_key *key)
{
	if (v->tag != MW_V_NUM || v->num < 0 || v->num > 1e9)
		return "ttl is a number of seconds";
	key->ttl_s = (uint64_t)v->num;
	return NULL;
}

static const char *option_k(const struct mw_val *v, struct dkimsvc_signing_key *key)
{
	return mw_ieq(mw_val_text(v, ""), key->alg == DKIMSVC_RSA_SHA256 ? "rsa" : "ed25519")
		       ? NULL
		       : "k is not the type of the key in the file";
}

static const char *option_a(const struct mw_val *v, struct dkimsvc_signing_key *key)
{
	return mw_ieq(mw_val_text(v, ""),
		       key->alg == DKIMSVC_RSA_SHA256 ? "rsa-sha256" : "ed25519-sha256")
		       ? NULL
		       : "a does not suit the key in the file (rsa-sha256, ed25519-sha256)";
}

static const char *option_h(const struct mw_val *v, struct dkimsvc_signing_key *key)
{
	(void)key;
	return strstr(mw_val_text(v, ""), "sha256") != NULL
		       ? NULL
		       : "h does not allow sha256, the only hash we sign with";
}

static const char *option_s(const struct mw_val *v, struct dkimsvc_signing_key *key)
{
	const char *text = mw_val_text(v, "");

	(void)key;
	return strchr(text, '*') != NULL || strstr(text, "email") != NULL
		       ? NULL
		       : "s does not allow email";
}

static const char *option_t(const struct mw_val *v, struct dkimsvc_signing_key *key)
{
	key->no_subdomain = strchr(mw_val_text(v, ""), 's') != NULL;
	return NULL;
}

static const char *option_none(const struct mw_val *v, struct dkimsvc_signing_key *key)
{
	(void)v;
	(void)key;
	return NULL;
}

/* amavisd's options of dkim_key, and ours (c, a, ttl). */
static const struct {
	const char *name;
	option_reader *read;
} options[] = {
	{ "c", option_c },
	{ "ttl", option_ttl },
	{ "k", option_k },
	{ "a", option_a },
	{ "h", option_h },
	{ "s", option_s },
	{ "t", option_t },
	{ "g", option_none },
	{ "n", option_none },
	{ "v", option_none },
	{ "domain", option_none },
	{ "selector", option_none },
	{ "file", option_none },
};

static const char *read_option(
	const char *name, const struct mw_val *v, struct dkimsvc_signing_key *key)
{
	for (size_t i = 0; i < MW_COUNT(options); i++)
		if (strcmp(options[i].name, name) == 0)
			return options[i].read(v, key);
	return "unknown option; known are c, ttl, a, k, h, s, t, g, n, v";
}

/* ------------------------------------------------------------------ entries */

/* Letters, digits, hyphens, underscores and dots; a wildcard only as the first label. */
static bool take_name(const char *text, bool wildcard, char *buf, size_t size)
{
	const char *p = wildcard && strncmp(text, "*.", 2) == 0 ? text + 2 : text;

	if (*p == '\0' || *p == '.' || strlen(text) >= size || text[strlen(text) - 1] == '.' ||
		strstr(p, "..") != NULL)
		return false;
	for (const char *c = p; *c != '\0'; c++)
		if (!((*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') ||
			    (*c >= '0' && *c <= '9') || *c == '-' || *c == '_' || *c == '.'))
			return false;
	mw_strlcpy(buf, text, size);
	for (char *c = buf; *c != '\0'; c++)
		if (*c >= 'A' && *c <= 'Z')
			*c = (char)(*c | 0x20);
	return true;
}

static const char *text_field(const struct mw_val *entry, const char *name)
{
	const char *text = mw_val_text(mw_val_field(entry, name), "");

	return text != NULL ? text : "";
}

static void load_entry(
	struct dkimsvc_key_ring *ring, const struct mw_val *entry, struct complaints *c)
{
	struct dkimsvc_signing_key key = { .header_relaxed = true };
	const char *path = text_field(entry, "file");
	const struct dkimsvc_key_file *file;
	struct mw_err why;

	if (!take_name(text_field(entry, "domain"), true, key.domain, sizeof(key.domain))) {
		complain(c, entry->line, "domain '%.100s' is no domain name",
			text_field(entry, "domain"));
		return;
	}
	if (!take_name(text_field(entry, "selector"), false, key.selector, sizeof(key.selector))) {
		complain(c, entry->line, "selector '%.100s' is no name",
			text_field(entry, "selector"));
		return;
	}
	if (dkimsvc_keys_find(ring, key.domain, key.selector) != NULL && key.domain[0] != '*') {
		const struct dkimsvc_signing_key *twin =
			dkimsvc_keys_find(ring, key.domain, key.selector);

		if (strcmp(twin->domain, key.domain) == 0) {
			complain(c, entry->line, "%s with selector %s has a key already",
				key.domain, key.selector);
			return;
		}
	}
	file = file_of(ring, path, &why);
	if (file == NULL) {
		complain(c, entry->line, "key file %.200s: %s", path, why.text);
		return;
	}
	key.alg = file->alg;
	key.bits = file->bits;
	key.file = file;
	for (size_t i = 0; i < entry->count; i++) {
		const char *wrong = read_option(entry->keys[i], &entry->vals[i], &key);

		if (wrong != NULL)
			complain(c, entry->line, "option %.40s: %s", entry->keys[i], wrong);
	}
	if (key.domain[0] == '*')
		mw_log(MW_WARN, "dkim_key_wildcard", "domain=%s selector=%s", key.domain,
			key.selector);
	ring->keys[ring->count++] = key;
}

/* conf: where list comes from; NULL: from no file. */
static enum mw_rc load_ring(struct dkimsvc_key_ring **ring_r, const struct mw_conf *conf,
	const struct mw_val *list, struct mw_err *err_r)
{
	size_t count = list->tag == MW_V_TABLE ? list->count : 0;
	struct dkimsvc_key_ring *ring = calloc(1, sizeof(*ring));
	struct complaints c = { .err = err_r, .conf = conf };

	*ring_r = NULL;
	if (ring == NULL)
		return mw_fail(err_r, MW_ERR_NOMEM, "no memory for %zu signing keys", count);
	ring->refs = 1;
	ring->keys = calloc(count + 1, sizeof(*ring->keys));
	ring->files = calloc(count + 1, sizeof(*ring->files));
	if (ring->keys == NULL || ring->files == NULL) {
		dkimsvc_keys_unref(&ring);
		return mw_fail(err_r, MW_ERR_NOMEM, "no memory for %zu signing keys", count);
	}
	if (count > DKIMSVC_KEYS_MAX)
		complain(&c, list->line, "%zu keys; at most %d", count, DKIMSVC_KEYS_MAX);
	for (size_t i = 0; i < count && count <= DKIMSVC_KEYS_MAX; i++)
		load_entry(ring, &list->vals[i], &c);
	if (c.count > 0) {
		dkimsvc_keys_unref(&ring);
		return MW_ERR_CONF;
	}
	*ring_r = ring;
	return MW_OK;
}

enum mw_rc dkimsvc_keys_load_val(
	struct dkimsvc_key_ring **ring_r, const struct mw_val *list, struct mw_err *err_r)
{
	return load_ring(ring_r, NULL, list, err_r);
}

enum mw_rc dkimsvc_keys_load(
	struct dkimsvc_key_ring **ring_r, const struct mw_conf *conf, struct mw_err *err_r)
{
	return load_ring(ring_r, conf, mw_conf_val(conf, "dkim_key"), err_r);
}

struct dkimsvc_key_ring *dkimsvc_keys_ref(struct dkimsvc_key_ring *ring)
{
	ring->refs++;
	return ring;
}

void dkimsvc_keys_unref(struct dkimsvc_key_ring **ring_p)
{
	struct dkimsvc_key_ring *ring = *ring_p;

	*ring_p = NULL;
	if (ring == NULL || --ring->refs > 0)
		return;
	for (size_t i = 0; ring->files != NULL && i < ring->file_count; i++) {
		EVP_PKEY_free(ring->files[i].pkey);
		free(ring->files[i].path);
	}
	free(ring->files);
	free(ring->keys);
	free(ring);
}

size_t dkimsvc_keys_count(const struct dkimsvc_key_ring *ring)
{
	return ring->count;
}

/* "*.example.org" covers what ends in ".example.org". */
static bool wildcard_covers(const char *wildcard, const char *domain)
{
	size_t n = strlen(domain), m = strlen(wildcard + 1);

	return wildcard[0] == '*' && n > m && mw_ieq(domain + n - m, wildcard + 1);
}

const struct dkimsvc_signing_key *dkimsvc_keys_find(
	const struct dkimsvc_key_ring *ring, const char *domain, const char *selector)
{
	const struct dkimsvc_signing_key *wild = NULL;

	for (size_t i = 0; i < ring->count; i++) {
		const struct dkimsvc_signing_key *key = &ring->keys[i];

		if (!mw_ieq(key->selector, selector))
			continue;
		if (mw_ieq(key->domain, domain))
			return key;
		if (wild == NULL && wildcard_covers(key->domain, domain))
			wild = key;
	}
	return wild;
}

/* ------------------------------------------------------------------ signing */

static bool sign_rsa(EVP_PKEY *pkey, const unsigned char *digest, unsigned char *sig_r, size_t *n_r)
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(pkey, NULL);
	bool good = ctx != NULL && EVP_PKEY_sign_init(ctx) == 1 &&
		    EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PADDING) == 1 &&
		    EVP_PKEY_CTX_set_signature_md(ctx, EVP_sha256()) == 1 &&
		    EVP_PKEY_sign(ctx, sig_r, n_r, digest, DKIMSVC_DIGEST_OCTETS) == 1;

	EVP_PKEY_CTX_free(ctx);
	return good;
}

static bool sign_ed25519(
	EVP_PKEY *pkey, const unsigned char *digest, unsigned char *sig_r, size_t *n_r)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	bool good = ctx != NULL && EVP_DigestSignInit(ctx, NULL, NULL, NULL, pkey) == 1 &&
		    EVP_DigestSign(ctx, sig_r, n_r, digest, DKIMSVC_DIGEST_OCTETS) == 1;

	EVP_MD_CTX_free(ctx);
	return good;
}

bool dkimsvc_key_sign(const struct dkimsvc_signing_key *key,
	const unsigned char digest[DKIMSVC_DIGEST_OCTETS],
	unsigned char sig_r[DKIMSVC_SIGNATURE_OCTETS_MAX], size_t *n_r)
{
	bool good;

	*n_r = DKIMSVC_SIGNATURE_OCTETS_MAX;
	good = key->alg == DKIMSVC_RSA_SHA256 ? sign_rsa(key->file->pkey, digest, sig_r, n_r)
					      : sign_ed25519(key->file->pkey, digest, sig_r, n_r);
	if (!good)
		ERR_clear_error();
	return good;
}
