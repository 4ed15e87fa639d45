#include "office_crypt.h"

#include "crypt.h"
#include "decode.h"
#include "utf8.h"

#define HEAD 8		     /* version, flags */
#define SEGMENT 4096	     /* octets of the package with one vector */
#define SIZE_OCTETS 8	     /* of the package, in front of it */
#define SALT_MOST 64	     /* octets; 16 in practice */
#define SEALED_MOST 64	     /* octets of an encrypted hash or key */
#define WORD_MOST 255	     /* units of UTF-16 of a password */
#define XML_MOST (64 * 1024) /* octets of the agile description: it has one or two thousand */
#define STANDARD_ROUNDS 50000
#define ROUNDS_A_LOOK 8192 /* between two looks at the time */
/* Rounds that cost as much as a try of a cheap cipher. */
#define ROUNDS_OF_COST 250

/* What one of the two ways says. */
struct says {
	bool agile;
	const EVP_MD *hash;	 /* of the password */
	const EVP_MD *data_hash; /* of the vectors */
	size_t hash_n, data_hash_n, key_n, data_key_n;
	uint32_t rounds;
	size_t salt_n, data_salt_n, input_n, value_n, sealed_key_n;
	unsigned char salt[SALT_MOST], data_salt[SALT_MOST];
	unsigned char input[SEALED_MOST], value[SEALED_MOST]; /* a verifier and its hash */
	unsigned char sealed_key[SEALED_MOST];
};

/* ------------------------------------------------------------------ agile: a description in XML */

/* The octets of an element's start tag, behind its name; empty when it is not there, or twice. */
static struct mw_octets element(struct mw_octets xml, const char *name)
{
	size_t n = strlen(name);
	const unsigned char *p = xml.p, *end = xml.n != 0 ? p + xml.n : p, *close;
	struct mw_octets tag = mw_octets_of(NULL, 0);

	while (xml.n != 0 && (p = memmem(p, (size_t)(end - p), name, n)) != NULL) {
		bool begins = p > xml.p && (p[-1] == '<' || p[-1] == ':');

		p += n;
		if (!begins || p == end || (*p != ' ' && *p != '\t' && *p != '\r' && *p != '\n'))
			continue;
		if (tag.n != 0)
			return mw_octets_of(NULL, 0);
		close = memchr(p, '>', (size_t)(end - p));
		tag = mw_octets_of(p, (size_t)((close != NULL ? close : end) - p));
	}
	return tag;
}

/* An attribute's value; empty when it is not there. One after the other, so that none is found in
 * another's value. */
static struct mw_octets attribute(struct mw_octets tag, const char *name)
{
	size_t n = strlen(name);
	const unsigned char *p = tag.p, *end = tag.n != 0 ? p + tag.n : p, *from, *close;

	while (p < end) {
		if (*p <= ' ') {
			p++;
			continue;
		}
		for (from = p; p < end && *p != '=';)
			p++;
		if (end - p < 2 || (p[1] != '"' && p[1] != '\''))
			break;
		close = memchr(p + 2, p[1], (size_t)(end - p - 2));
		if (close == NULL)
			break;
		if ((size_t)(p - from) == n && memcmp(from, name, n) == 0)
			return mw_octets_of(p + 2, (size_t)(close - p - 2));
		p = close + 1;
	}
	return mw_octets_of(NULL, 0);
}

/* Comments, types of their own, characters by number: no program writes them there, and readers
 * would see other elements than we do. */
static bool is_odd(struct mw_octets xml)
{
	return memmem(xml.p, xml.n, "<!", 2) != NULL || memchr(xml.p, '&', xml.n) != NULL;
}

static uint32_t number(struct mw_octets tag, const char *name)
{
	struct mw_octets text = attribute(tag, name);
	uint32_t v = 0;

	for (size_t i = 0; i < text.n && text.p[i] >= '0' && text.p[i] <= '9' && v < 100000000; i++)
		v = v * 10 + (text.p[i] - '0');
	return v;
}

/* An attribute in base64; false: it is not there, or too long. */
static bool octets_of(
	struct mw_octets tag, const char *name, unsigned char *to, size_t size, size_t *n_r)
{
	unsigned char plain[2 * SEALED_MOST];
	struct mw_octets text = attribute(tag, name);

	if (text.n == 0 || text.n > sizeof(plain))
		return false;
	*n_r = mime_decode(MIME_BASE64, text, plain);
	if (*n_r == 0 || *n_r > size)
		return false;
	memcpy(to, plain, *n_r);
	return true;
}

static const EVP_MD *hash_of(struct mw_octets tag, size_t *n_r)
{
	struct mw_octets name = attribute(tag, "hashAlgorithm");
	const EVP_MD *kind = mw_octets_ieq(name, "SHA512")   ? EVP_sha512()
			     : mw_octets_ieq(name, "SHA384") ? EVP_sha384()
			     : mw_octets_ieq(name, "SHA256") ? EVP_sha256()
			     : mw_octets_ieq(name, "SHA1") || mw_octets_ieq(name, "SHA-1")
				     ? EVP_sha1()
				     : NULL;

	*n_r = kind != NULL ? (size_t)EVP_MD_get_size(kind) : 0;
	return kind;
}

/* AES with chained blocks, and a key's length that it has; 0: something else. */
static size_t key_of(struct mw_octets tag)
{
	uint32_t bits = number(tag, "keyBits");

	return mw_octets_ieq(attribute(tag, "cipherAlgorithm"), "AES") &&
			       mw_octets_ieq(attribute(tag, "cipherChaining"), "ChainingModeCBC") &&
			       number(tag, "blockSize") == CRYPT_BLOCK &&
			       (bits == 128 || bits == 192 || bits == 256)
		       ? bits / 8
		       : 0;
}

static bool is_sealed(size_t n)
{
	return n != 0 && n % CRYPT_BLOCK == 0;
}

static bool read_agile(struct mw_octets info, struct says *s)
{
	struct mw_octets xml = doc_range(info, HEAD, XML_MOST), data = element(xml, "keyData"),
			 key = element(xml, "encryptedKey");

	s->agile = true;
	s->hash = hash_of(key, &s->hash_n);
	s->data_hash = hash_of(data, &s->data_hash_n);
	s->key_n = key_of(key);
	s->data_key_n = key_of(data);
	s->rounds = number(key, "spinCount");
	return xml.n != 0 && !is_odd(xml) && s->hash != NULL && s->data_hash != NULL &&
	       s->key_n != 0 && s->data_key_n != 0 &&
	       octets_of(key, "saltValue", s->salt, sizeof(s->salt), &s->salt_n) &&
	       octets_of(data, "saltValue", s->data_salt, sizeof(s->data_salt), &s->data_salt_n) &&
	       octets_of(key, "encryptedVerifierHashInput", s->input, sizeof(s->input),
		       &s->input_n) &&
	       octets_of(key, "encryptedVerifierHashValue", s->value, sizeof(s->value),
		       &s->value_n) &&
	       octets_of(key, "encryptedKeyValue", s->sealed_key, sizeof(s->sealed_key),
		       &s->sealed_key_n) &&
	       is_sealed(s->input_n) && is_sealed(s->value_n) && is_sealed(s->sealed_key_n) &&
	       s->value_n >= s->hash_n && s->sealed_key_n >= s->data_key_n;
}

/* ------------------------------------------------------------------ standard: a header */

#define AES_128 0x660e
#define AES_192 0x660f
#define AES_256 0x6610
#define HEADER_LEAST 32
#define STANDARD_SALT 16
#define STANDARD_SEALED 32 /* octets of the verifier's hash */

static bool read_standard(struct mw_octets info, struct says *s)
{
	uint32_t n = doc_u32(info, HEAD), kind = doc_u32(info, HEAD + 4 + 8);
	struct mw_octets verifier = doc_from(info, (size_t)HEAD + 4 + n);

	s->key_n = kind == AES_128 ? 16 : kind == AES_192 ? 24 : kind == AES_256 ? 32 : 0;
	if (n < HEADER_LEAST || s->key_n == 0 || doc_u32(verifier, 0) != STANDARD_SALT ||
		verifier.n < 4 + STANDARD_SALT + CRYPT_BLOCK + 4 + STANDARD_SEALED)
		return false;
	s->hash = EVP_sha1();
	s->hash_n = 20;
	s->rounds = STANDARD_ROUNDS;
	s->salt_n = STANDARD_SALT;
	memcpy(s->salt, verifier.p + 4, STANDARD_SALT);
	s->input_n = CRYPT_BLOCK;
	memcpy(s->input, verifier.p + 4 + STANDARD_SALT, CRYPT_BLOCK);
	s->value_n = STANDARD_SEALED;
	memcpy(s->value, verifier.p + 4 + STANDARD_SALT + CRYPT_BLOCK + 4, STANDARD_SEALED);
	return true;
}

/* ------------------------------------------------------------------ a password */

static size_t put16(unsigned char *out, uint32_t unit)
{
	out[0] = (unsigned char)unit;
	out[1] = (unsigned char)(unit >> 8);
	return 2;
}

/* UTF-8 as UTF-16, little-endian; what is not UTF-8 is taken for Latin-1. Its octets. */
static size_t word16(struct mw_octets word, unsigned char out[2 * WORD_MOST])
{
	size_t n = 0, one;

	for (size_t i = 0; i < word.n; i += one) {
		uint32_t c = 0;

		one = mw_utf8_read(word.p + i, word.n - i, &c);
		if (one == 0) {
			c = word.p[i];
			one = 1;
		}
		if (n + (c < 0x10000 ? 2 : 4) > 2 * WORD_MOST)
			break;
		if (c >= 0x10000) {
			n += put16(out + n, 0xd800 + ((c - 0x10000) >> 10));
			c = 0xdc00 + (c & 0x3ff);
		}
		n += put16(out + n, c);
	}
	return n;
}

/* The hash of a password, so many times; false: no time, or no memory. */
static bool spin(EVP_MD_CTX *ctx, const struct says *s, struct mw_octets word,
	struct budget *budget, unsigned char out[CRYPT_HASH_MOST])
{
	unsigned char wide[2 * WORD_MOST];
	size_t wide_n = word16(word, wide);
	bool ok = crypt_hash(ctx, s->hash,
		(const struct crypt_piece[]){ { s->salt, s->salt_n }, { wide, wide_n } }, 2, out);

	for (uint32_t i = 0; i < s->rounds && ok; i++) {
		const unsigned char count[4] = { (unsigned char)i, (unsigned char)(i >> 8),
			(unsigned char)(i >> 16), (unsigned char)(i >> 24) };

		ok = crypt_hash(ctx, s->hash,
			(const struct crypt_piece[]){ { count, 4 }, { out, s->hash_n } }, 2, out);
		if (i % ROUNDS_A_LOOK == ROUNDS_A_LOOK - 1)
			ok = ok && budget_time(budget);
	}
	return ok;
}

/* The key for one of three purposes, and what it opens. */
static bool agile_undo(EVP_MD_CTX *ctx, const struct says *s, const unsigned char *spun,
	const unsigned char purpose[8], const unsigned char *sealed, size_t n, unsigned char *out)
{
	unsigned char key[CRYPT_HASH_MOST], iv[CRYPT_BLOCK];

	memset(key, 0x36, sizeof(key)); /* a hash that is shorter than the key is filled up */
	memset(iv, 0x36, sizeof(iv));
	memcpy(iv, s->salt, s->salt_n < sizeof(iv) ? s->salt_n : sizeof(iv));
	return crypt_hash(ctx, s->hash,
		       (const struct crypt_piece[]){ { spun, s->hash_n }, { purpose, 8 } }, 2,
		       key) &&
	       crypt_aes(false, key, s->key_n, iv, sealed, n, out);
}

static bool agile_opens(
	EVP_MD_CTX *ctx, const struct says *s, const unsigned char *spun, unsigned char key[32])
{
	static const unsigned char for_input[8] = { 0xfe, 0xa7, 0xd2, 0x76, 0x3b, 0x4b, 0x9e,
		0x79 },
				   for_value[8] = { 0xd7, 0xaa, 0x0f, 0x6d, 0x30, 0x61, 0x34,
					   0x4e },
				   for_key[8] = { 0x14, 0x6e, 0x0b, 0xe7, 0xab, 0xac, 0xd0, 0xd6 };
	unsigned char input[SEALED_MOST], value[SEALED_MOST], plain[SEALED_MOST],
		digest[CRYPT_HASH_MOST];

	if (!agile_undo(ctx, s, spun, for_input, s->input, s->input_n, input) ||
		!agile_undo(ctx, s, spun, for_value, s->value, s->value_n, value) ||
		!crypt_hash(ctx, s->hash, (const struct crypt_piece[]){ { input, s->input_n } }, 1,
			digest) ||
		memcmp(digest, value, s->hash_n) != 0 ||
		!agile_undo(ctx, s, spun, for_key, s->sealed_key, s->sealed_key_n, plain))
		return false;
	memcpy(key, plain, s->data_key_n);
	return true;
}

static bool standard_opens(
	EVP_MD_CTX *ctx, const struct says *s, const unsigned char *spun, unsigned char key[32])
{
	static const unsigned char fills[2] = { 0x36, 0x5c };
	unsigned char last[CRYPT_HASH_MOST], block[64], both[2 * 20], input[CRYPT_BLOCK],
		value[STANDARD_SEALED], digest[CRYPT_HASH_MOST];

	if (!crypt_hash(ctx, s->hash,
		    (const struct crypt_piece[]){ { spun, s->hash_n }, { "\0\0\0", 4 } }, 2, last))
		return false;
	for (unsigned i = 0; i < 2; i++) {
		memset(block, fills[i], sizeof(block));
		for (size_t k = 0; k < s->hash_n; k++)
			block[k] ^= last[k];
		if (!crypt_hash(ctx, s->hash,
			    (const struct crypt_piece[]){ { block, sizeof(block) } }, 1, digest))
			return false;
		memcpy(both + i * s->hash_n, digest, s->hash_n);
	}
	memcpy(key, both, s->key_n);
	return crypt_aes(false, key, s->key_n, NULL, s->input, sizeof(input), input) &&
	       crypt_aes(false, key, s->key_n, NULL, s->value, sizeof(value), value) &&
	       crypt_hash(ctx, s->hash, (const struct crypt_piece[]){ { input, sizeof(input) } }, 1,
		       digest) &&
	       memcmp(digest, value, s->hash_n) == 0;
}

static bool opens(EVP_MD_CTX *ctx, const struct says *s, struct mw_octets word,
	struct budget *budget, unsigned char key[32])
{
	unsigned char spun[CRYPT_HASH_MOST];

	return spin(ctx, s, word, budget, spun) &&
	       (s->agile ? agile_opens(ctx, s, spun, key) : standard_opens(ctx, s, spun, key));
}

/* OPEN, SHOWN or LOCKED. */
static enum office_crypt find_key(EVP_MD_CTX *ctx, const struct says *s,
	struct passwords *passwords, struct budget *budget, unsigned char key[32])
{
	static const char known[] = "VelvetSweatshop"; /* [MS-OFFCRYPTO] 2.3.7.4's */
	unsigned cost = 1 + s->rounds / ROUNDS_OF_COST;
	struct mw_octets word;

	if (passwords_afford(passwords, cost) &&
		opens(ctx, s, mw_octets_of(known, sizeof(known) - 1), budget, key))
		return OFFICE_SHOWN;
	for (unsigned i = 0; passwords_next(passwords, i, cost, &word); i++)
		if (opens(ctx, s, word, budget, key)) {
			passwords_fitted(passwords, i);
			return OFFICE_OPEN;
		}
	return OFFICE_LOCKED;
}

/* ------------------------------------------------------------------ the package */

static bool undo_agile(EVP_MD_CTX *ctx, const struct says *s, const unsigned char *key,
	struct mw_octets in, unsigned char *out)
{
	bool ok = true;

	for (size_t at = 0, i = 0; at < in.n && ok; at += SEGMENT, i++) {
		const unsigned char count[4] = { (unsigned char)i, (unsigned char)(i >> 8),
			(unsigned char)(i >> 16), (unsigned char)(i >> 24) };
		unsigned char iv[CRYPT_HASH_MOST];

		ok = crypt_hash(ctx, s->data_hash,
			     (const struct crypt_piece[]){
				     { s->data_salt, s->data_salt_n }, { count, 4 } },
			     2, iv) &&
		     crypt_aes(false, key, s->data_key_n, iv, in.p + at,
			     in.n - at < SEGMENT ? in.n - at : SEGMENT, out + at);
	}
	return ok;
}

/* Its size stands in front; what is behind that is padding. */
static enum office_crypt undo_package(EVP_MD_CTX *ctx, const struct says *s,
	const unsigned char *key, struct mw_octets package, struct budget *budget,
	struct doc_buf *out)
{
	uint64_t size = doc_u32(package, 0) | (uint64_t)doc_u32(package, 4) << 32;
	struct mw_octets in = doc_from(package, SIZE_OCTETS);
	enum container_end end;

	in.n -= in.n % CRYPT_BLOCK;
	out->n = 0;
	end = doc_room(budget, out, in.n);
	if (end != CONTAINER_WHOLE)
		return end == CONTAINER_CUT ? OFFICE_CUT : OFFICE_NO_MEMORY;
	if (in.n == 0)
		return OFFICE_OPEN;
	if (!(s->agile ? undo_agile(ctx, s, key, in, out->p)
		       : crypt_aes(false, key, s->key_n, NULL, in.p, in.n, out->p)))
		return OFFICE_NO_MEMORY;
	/* A size that cuts the package short may lie: readers of zip begin at its end. */
	out->n = size <= in.n && in.n - size < SEGMENT ? (size_t)size : in.n;
	return OFFICE_OPEN;
}

enum office_crypt office_decrypt(struct mw_octets info, struct mw_octets package,
	struct passwords *passwords, struct budget *budget, struct doc_buf *out)
{
	unsigned major = doc_u16(info, 0), minor = doc_u16(info, 2);
	struct says s = { 0 };
	unsigned char key[32];
	enum office_crypt got = OFFICE_LOCKED, undone;
	EVP_MD_CTX *ctx;

	if (!(major == 4 && minor == 4
			    ? read_agile(info, &s)
			    : major >= 2 && major <= 4 && minor == 2 && read_standard(info, &s)))
		return OFFICE_LOCKED;
	ctx = EVP_MD_CTX_new();
	if (ctx == NULL)
		return OFFICE_NO_MEMORY;
	got = find_key(ctx, &s, passwords, budget, key);
	if (got != OFFICE_LOCKED) {
		undone = undo_package(ctx, &s, key, package, budget, out);
		got = undone == OFFICE_OPEN ? got : undone;
	}
	EVP_MD_CTX_free(ctx);
	return got;
}
