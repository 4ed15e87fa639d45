#include "pdf_crypt.h"

#include "crypt.h"

#define MD5_OCTETS 16
#define HASH_OCTETS 32 /* of the passwords of revisions 5 and 6 */
#define SALT_OCTETS 8
#define ENTRY_OCTETS 48 /* O, U of revisions 5 and 6: a hash and two salts */
#define WORD_MOST 127	/* octets of a password that count there */
#define PAD_OCTETS 32
#define ROUNDS 64	/* of algorithm 2.B, at least */
#define ROUNDS_MOST 288 /* then the last octet, at most 255, ends it */
#define RC4_PASSES 20

/* What fills a password up to 32 octets (algorithm 2, step a). */
static const unsigned char pad[PAD_OCTETS] = { 0x28, 0xbf, 0x4e, 0x5e, 0x4e, 0x75, 0x8a, 0x41, 0x64,
	0x00, 0x4e, 0x56, 0xff, 0xfa, 0x01, 0x08, 0x2e, 0x2e, 0x00, 0xb6, 0xd0, 0x68, 0x3e, 0x80,
	0x2f, 0x0c, 0xa9, 0xfe, 0x64, 0x53, 0x69, 0x7a };

/* ------------------------------------------------------------------ the cipher of before AES */

/* OpenSSL has it in a module that a cage cannot load. */
static void rc4(const unsigned char *key, size_t key_n, const unsigned char *in, size_t n,
	unsigned char *out)
{
	unsigned char s[256], swap;
	unsigned i, j = 0, k = 0;

	for (i = 0; i < 256; i++)
		s[i] = (unsigned char)i;
	for (i = 0; i < 256; i++) {
		j = (j + s[i] + key[i % key_n]) & 0xff;
		swap = s[i];
		s[i] = s[j];
		s[j] = swap;
	}
	j = 0;
	for (size_t at = 0; at < n; at++) {
		k = (k + 1) & 0xff;
		j = (j + s[k]) & 0xff;
		swap = s[k];
		s[k] = s[j];
		s[j] = swap;
		out[at] = in[at] ^ s[(s[k] + s[j]) & 0xff];
	}
}

/* ------------------------------------------------------------------ revisions 2 to 4 */

static void fill_up(struct mw_octets word, unsigned char out[PAD_OCTETS])
{
	size_t n = word.n < PAD_OCTETS ? word.n : PAD_OCTETS;

	if (n != 0)
		memcpy(out, word.p, n);
	memcpy(out + n, pad, PAD_OCTETS - n);
}

/* Fifty times more, of its first octets. */
static bool stir(const struct pdf_crypt_says *s, unsigned char digest[MD5_OCTETS], size_t n)
{
	bool ok = true;

	for (unsigned i = 0; i < 50 && s->revision >= 3 && ok; i++)
		ok = crypt_hash(NULL, EVP_md5(), &(struct crypt_piece){ digest, n }, 1, digest);
	return ok;
}

/* Algorithms 2, 4 and 5: the key of a user's password that is filled up, and whether U agrees. */
static bool user_opens(struct pdf_crypt *c, const struct pdf_crypt_says *s,
	const unsigned char word[PAD_OCTETS], size_t key_n)
{
	static const unsigned char all[4] = { 0xff, 0xff, 0xff, 0xff };
	const unsigned char p[4] = { (unsigned char)s->permissions,
		(unsigned char)(s->permissions >> 8), (unsigned char)(s->permissions >> 16),
		(unsigned char)(s->permissions >> 24) };
	unsigned char key[MD5_OCTETS], check[PAD_OCTETS], one[MD5_OCTETS];
	size_t check_n = PAD_OCTETS;

	if (!crypt_hash(NULL, EVP_md5(),
		    (const struct crypt_piece[]){ { word, PAD_OCTETS }, { s->owner.p, PAD_OCTETS },
			    { p, sizeof(p) }, { s->id.p, s->id.n },
			    { all, s->revision >= 4 && s->plain_metadata ? sizeof(all) : 0 } },
		    5, key) ||
		!stir(s, key, key_n))
		return false;
	if (s->revision >= 3) {
		check_n = MD5_OCTETS;
		if (!crypt_hash(NULL, EVP_md5(),
			    (const struct crypt_piece[]){
				    { pad, PAD_OCTETS }, { s->id.p, s->id.n } },
			    2, check))
			return false;
		for (unsigned i = 0; i < RC4_PASSES; i++) {
			for (size_t k = 0; k < key_n; k++)
				one[k] = key[k] ^ (unsigned char)i;
			rc4(one, key_n, check, check_n, check);
		}
	} else
		rc4(key, key_n, pad, PAD_OCTETS, check);
	if (memcmp(check, s->user.p, check_n) != 0)
		return false;
	memcpy(c->key, key, key_n);
	c->key_n = key_n;
	return true;
}

/* Algorithm 7: what the owner's password makes of O is the user's. */
static bool owner_opens(struct pdf_crypt *c, const struct pdf_crypt_says *s,
	const unsigned char word[PAD_OCTETS], size_t key_n)
{
	unsigned char key[MD5_OCTETS], one[MD5_OCTETS], user[PAD_OCTETS];

	if (!crypt_hash(NULL, EVP_md5(), &(struct crypt_piece){ word, PAD_OCTETS }, 1, key) ||
		!stir(s, key, MD5_OCTETS))
		return false;
	memcpy(user, s->owner.p, PAD_OCTETS);
	for (unsigned i = s->revision >= 3 ? RC4_PASSES : 1; i-- > 0;) {
		for (size_t k = 0; k < key_n; k++)
			one[k] = key[k] ^ (unsigned char)i;
		rc4(one, key_n, user, PAD_OCTETS, user);
	}
	return user_opens(c, s, user, key_n);
}

static bool old_opens(struct pdf_crypt *c, const struct pdf_crypt_says *s, struct mw_octets word)
{
	size_t said = s->bits / 8, lengths[] = { 5, 0 };
	unsigned char filled[PAD_OCTETS];
	bool opens = false;

	if (s->owner.n < PAD_OCTETS || s->user.n < PAD_OCTETS)
		return false;
	if (s->version != 1 && s->revision >= 3) {
		/* Writers of version 4 disagree where the length stands; U tells. */
		lengths[0] = s->version == 4 || said < 5 || said > MD5_OCTETS ? MD5_OCTETS : said;
		lengths[1] = said >= 5 && said < MD5_OCTETS ? said : 5;
	}
	fill_up(word, filled);
	for (unsigned i = 0; i < MW_COUNT(lengths) && lengths[i] != 0 && !opens; i++)
		opens = user_opens(c, s, filled, lengths[i]) ||
			owner_opens(c, s, filled, lengths[i]);
	return opens;
}

/* ------------------------------------------------------------------ revisions 5 and 6 */

/* Algorithm 2.B, what follows the first hash. extra: U, for the owner's. */
static bool harden(struct mw_octets word, struct mw_octets extra, unsigned char k[CRYPT_HASH_MOST])
{
	unsigned char block[WORD_MOST + CRYPT_HASH_MOST + ENTRY_OCTETS];
	static unsigned char all[64 * sizeof(block)]; /* 15 KiB; one thread */
	size_t k_n = HASH_OCTETS;

	for (unsigned round = 0; round < ROUNDS_MOST; round++) {
		const EVP_MD *const kinds[] = { EVP_sha256(), EVP_sha384(), EVP_sha512() };
		size_t n = word.n + k_n + extra.n;
		unsigned sum = 0;

		if (word.n != 0)
			memcpy(block, word.p, word.n);
		memcpy(block + word.n, k, k_n);
		if (extra.n != 0)
			memcpy(block + word.n + k_n, extra.p, extra.n);
		for (unsigned i = 0; i < 64; i++)
			memcpy(all + i * n, block, n);
		if (!crypt_aes(true, k, 16, k + 16, all, 64 * n, all))
			return false;
		for (unsigned i = 0; i < 16; i++) /* 256 is 1 modulo 3, so that the sum will do */
			sum += all[i];
		if (!crypt_hash(NULL, kinds[sum % 3], &(struct crypt_piece){ all, 64 * n }, 1, k))
			return false;
		k_n = 32 + 16 * (sum % 3);
		if (round + 1 >= ROUNDS && all[64 * n - 1] + 32u <= round + 1)
			break;
	}
	return true;
}

static bool hash_word(const struct pdf_crypt_says *s, struct mw_octets word,
	const unsigned char *salt, struct mw_octets extra, unsigned char out[CRYPT_HASH_MOST])
{
	return crypt_hash(NULL, EVP_sha256(),
		       (const struct crypt_piece[]){
			       { word.p, word.n }, { salt, SALT_OCTETS }, { extra.p, extra.n } },
		       3, out) &&
	       (s->revision == 5 || harden(word, extra, out));
}

/* Algorithm 2.A: entry is U or O, sealed what UE or OE has. */
static bool entry_opens(struct pdf_crypt *c, const struct pdf_crypt_says *s, struct mw_octets word,
	struct mw_octets entry, struct mw_octets sealed, struct mw_octets extra)
{
	static const unsigned char zeros[CRYPT_BLOCK];
	unsigned char k[CRYPT_HASH_MOST];

	if (entry.n < ENTRY_OCTETS || sealed.n < sizeof(c->key))
		return false;
	if (!hash_word(s, word, entry.p + HASH_OCTETS, extra, k) ||
		memcmp(k, entry.p, HASH_OCTETS) != 0 ||
		!hash_word(s, word, entry.p + HASH_OCTETS + SALT_OCTETS, extra, k) ||
		!crypt_aes(false, k, 32, zeros, sealed.p, sizeof(c->key), c->key))
		return false;
	c->key_n = sizeof(c->key);
	return true;
}

static bool new_opens(struct pdf_crypt *c, const struct pdf_crypt_says *s, struct mw_octets word)
{
	struct mw_octets none = mw_octets_of(NULL, 0);

	if (word.n > WORD_MOST)
		word.n = WORD_MOST;
	return entry_opens(c, s, word, s->user, s->user_key, none) ||
	       (s->user.n >= ENTRY_OCTETS && entry_opens(c, s, word, s->owner, s->owner_key,
						     mw_octets_of(s->user.p, ENTRY_OCTETS)));
}

/* ------------------------------------------------------------------ passwords */

static bool opens(struct pdf_crypt *c, const struct pdf_crypt_says *s, struct mw_octets word)
{
	return s->revision >= 5 ? new_opens(c, s, word) : old_opens(c, s, word);
}

bool pdf_crypt_open(
	struct pdf_crypt *c_r, const struct pdf_crypt_says *s, struct passwords *passwords)
{
	unsigned cost = s->revision >= 5 ? PASSWORDS_COST_DEAR : PASSWORDS_COST_CHEAP;
	struct mw_octets word = mw_octets_of(NULL, 0);

	*c_r = (struct pdf_crypt){ .texts = s->texts };
	if (s->revision < 2 || s->revision > 6 || s->version < 1 || s->version == 3 ||
		s->version > 5 || (s->version == 5) != (s->revision >= 5))
		return false;
	if (passwords_afford(passwords, cost) && opens(c_r, s, word))
		return true;
	for (unsigned i = 0; passwords_next(passwords, i, cost, &word); i++)
		if (opens(c_r, s, word)) {
			passwords_fitted(passwords, i);
			c_r->by_word = true;
			return true;
		}
	return false;
}

/* ------------------------------------------------------------------ streams and texts */

/* Algorithm 1: the key of one object. */
static bool object_key(const struct pdf_crypt *c, enum pdf_cipher cipher, uint32_t number,
	uint32_t generation, unsigned char key[MD5_OCTETS], size_t *key_n)
{
	const unsigned char of[5] = { (unsigned char)number, (unsigned char)(number >> 8),
		(unsigned char)(number >> 16), (unsigned char)generation,
		(unsigned char)(generation >> 8) };

	*key_n = c->key_n + 5 < MD5_OCTETS ? c->key_n + 5 : MD5_OCTETS;
	return crypt_hash(NULL, EVP_md5(),
		(const struct crypt_piece[]){ { c->key, c->key_n }, { of, sizeof(of) },
			{ "sAlT", cipher == PDF_AES ? 4 : 0 } },
		3, key);
}

/* The vector stands in front, and as many octets as the last one says are padding. */
static enum container_end undo_aes(const unsigned char *key, size_t key_n, struct mw_octets in,
	struct budget *budget, struct doc_buf *out)
{
	size_t n = in.n >= CRYPT_BLOCK ? (in.n - CRYPT_BLOCK) / CRYPT_BLOCK * CRYPT_BLOCK : 0;
	enum container_end end;
	unsigned padding;

	if (n == 0)
		return in.n == CRYPT_BLOCK || in.n == 0 ? CONTAINER_WHOLE : CONTAINER_BROKEN;
	end = doc_room(budget, out, n);
	if (end != CONTAINER_WHOLE)
		return end;
	if (!crypt_aes(false, key, key_n, in.p, in.p + CRYPT_BLOCK, n, out->p + out->n))
		return CONTAINER_NO_MEMORY;
	padding = out->p[out->n + n - 1];
	out->n += padding >= 1 && padding <= CRYPT_BLOCK ? n - padding : n;
	return CONTAINER_WHOLE;
}

enum container_end pdf_crypt_undo(const struct pdf_crypt *c, enum pdf_cipher cipher,
	uint32_t number, uint32_t generation, struct mw_octets in, struct budget *budget,
	struct doc_buf *out)
{
	unsigned char key[MD5_OCTETS];
	enum container_end end;
	size_t key_n;

	if (c->key_n == 0)
		return CONTAINER_BROKEN;
	if (cipher == PDF_PLAIN)
		return doc_add(budget, out, in.p, in.n);
	if (cipher == PDF_AES_256)
		return c->key_n == 32 ? undo_aes(c->key, c->key_n, in, budget, out)
				      : CONTAINER_BROKEN;
	if (!object_key(c, cipher, number, generation, key, &key_n))
		return CONTAINER_NO_MEMORY;
	if (cipher == PDF_AES)
		return undo_aes(key, MD5_OCTETS, in, budget, out);
	end = doc_room(budget, out, in.n);
	if (end != CONTAINER_WHOLE || in.n == 0)
		return end;
	rc4(key, key_n, in.p, in.n, out->p + out->n);
	out->n += in.n;
	return CONTAINER_WHOLE;
}
