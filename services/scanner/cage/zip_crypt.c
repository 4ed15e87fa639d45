#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <zlib.h>

#include "zip_crypt.h"

/* ------------------------------------------------------------------ PKWARE (APPNOTE 6.1) */

#define TRADITIONAL_HEAD 12

struct traditional {
	uint32_t key[3];
};

static uint32_t crc_step(uint32_t crc, unsigned char c)
{
	return (uint32_t)get_crc_table()[(crc ^ c) & 0xff] ^ crc >> 8;
}

static void update(struct traditional *t, unsigned char c)
{
	t->key[0] = crc_step(t->key[0], c);
	t->key[1] = (t->key[1] + (t->key[0] & 0xff)) * 134775813u + 1;
	t->key[2] = crc_step(t->key[2], (unsigned char)(t->key[1] >> 24));
}

static unsigned char undo(struct traditional *t, unsigned char c)
{
	uint32_t k = (t->key[2] & 0xffff) | 2;
	unsigned char plain = (unsigned char)(c ^ ((k * (k ^ 1)) >> 8));

	update(t, plain);
	return plain;
}

/* The last octet of the head is the CRC's highest, or the time's when the CRC came later. */
static enum zip_key traditional(const struct zip_head *h, struct mw_octets packed,
	struct mw_octets password, struct grow *plain)
{
	struct traditional t = { { 0x12345678, 0x23456789, 0x34567890 } };
	unsigned char check = 0;

	if (packed.n < TRADITIONAL_HEAD)
		return ZIP_KEY_WRONG;
	for (size_t i = 0; i < password.n; i++)
		update(&t, password.p[i]);
	for (size_t i = 0; i < TRADITIONAL_HEAD; i++)
		check = undo(&t, packed.p[i]);
	if (check != h->crc >> 24 && check != h->time >> 8)
		return ZIP_KEY_WRONG;
	plain->n = 0;
	if (!grow_room(plain, packed.n))
		return ZIP_KEY_NO_MEMORY;
	for (size_t i = TRADITIONAL_HEAD; i < packed.n; i++)
		plain->p[plain->n++] = undo(&t, packed.p[i]);
	return ZIP_KEY_FITS;
}

/* ------------------------------------------------------------------ WinZip's AE-1 and AE-2 */

#define ROUNDS 1000
#define CHECK_OCTETS 2
#define MAC_OCTETS 10
#define BLOCK 16
#define BATCH 256 /* blocks of key stream made at once */

struct zip_aes zip_aes_of(const struct zip_head *h)
{
	struct mw_octets field = zip_extra(h->extra, ZIP_EXTRA_AES);
	struct zip_aes aes = { 0 };

	if (h->method != ZIP_AES || field.n < 7 || field.p[4] < 1 || field.p[4] > 3)
		return aes;
	aes.version = zip_16(field.p);
	aes.strength = field.p[4];
	aes.method = zip_16(field.p + 5);
	return aes;
}

/* Counter mode with a counter that begins at 1 and has its lowest octet first. */
static bool count_off(EVP_CIPHER_CTX *ctx, struct mw_octets in, unsigned char *out)
{
	unsigned char counters[BATCH * BLOCK], stream[BATCH * BLOCK];
	uint64_t block = 1;

	for (size_t at = 0; at < in.n;) {
		size_t left = in.n - at, n = left < sizeof(stream) ? left : sizeof(stream);
		int made = 0;

		memset(counters, 0, sizeof(counters));
		for (size_t i = 0; i * BLOCK < n; i++, block++)
			for (unsigned octet = 0; octet < 8; octet++)
				counters[i * BLOCK + octet] = (unsigned char)(block >> (8 * octet));
		if (EVP_EncryptUpdate(ctx, stream, &made, counters,
			    (int)((n + BLOCK - 1) / BLOCK * BLOCK)) != 1)
			return false;
		for (size_t i = 0; i < n; i++)
			out[at + i] = in.p[at + i] ^ stream[i];
		at += n;
	}
	return true;
}

static bool aes_decrypt(
	unsigned strength, const unsigned char *key, struct mw_octets in, unsigned char *out)
{
	const EVP_CIPHER *cipher = strength == 1   ? EVP_aes_128_ecb()
				   : strength == 2 ? EVP_aes_192_ecb()
						   : EVP_aes_256_ecb();
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	bool ok = ctx != NULL && EVP_EncryptInit_ex(ctx, cipher, NULL, key, NULL) == 1 &&
		  count_off(ctx, in, out);

	EVP_CIPHER_CTX_free(ctx);
	return ok;
}

/* Salt, two octets that tell most wrong passwords, the octets, ten of a MAC over them. */
static enum zip_key aes(const struct zip_aes *a, struct mw_octets packed, struct mw_octets password,
	struct grow *plain)
{
	size_t key = 8 + 8 * (size_t)a->strength, salt = key / 2;
	unsigned char keys[2 * 32 + CHECK_OCTETS], mac[EVP_MAX_MD_SIZE];
	struct mw_octets in;
	unsigned mac_n = 0;

	if (packed.n < salt + CHECK_OCTETS + MAC_OCTETS)
		return ZIP_KEY_WRONG;
	if (PKCS5_PBKDF2_HMAC_SHA1((const char *)password.p, (int)password.n, packed.p, (int)salt,
		    ROUNDS, (int)(2 * key + CHECK_OCTETS), keys) != 1)
		return ZIP_KEY_NO_MEMORY;
	if (memcmp(keys + 2 * key, packed.p + salt, CHECK_OCTETS) != 0)
		return ZIP_KEY_WRONG;
	in = mw_octets_of(
		packed.p + salt + CHECK_OCTETS, packed.n - salt - CHECK_OCTETS - MAC_OCTETS);
	if (HMAC(EVP_sha1(), keys + key, (int)key, in.p, in.n, mac, &mac_n) == NULL)
		return ZIP_KEY_NO_MEMORY;
	if (memcmp(mac, in.p + in.n, MAC_OCTETS) != 0)
		return ZIP_KEY_WRONG;
	if (!grow_room(plain, in.n) || !aes_decrypt(a->strength, keys, in, plain->p))
		return ZIP_KEY_NO_MEMORY;
	plain->n = in.n;
	return ZIP_KEY_FITS;
}

enum zip_key zip_decrypt(const struct zip_head *h, struct mw_octets packed,
	struct mw_octets password, struct grow *plain)
{
	struct zip_aes a = zip_aes_of(h);

	if ((h->flags & (ZIP_STRONG | ZIP_MASKED)) != 0 ||
		(h->method == ZIP_AES && a.strength == 0))
		return ZIP_KEY_WRONG; /* a cipher that is not ours */
	return a.strength != 0 ? aes(&a, packed, password, plain)
			       : traditional(h, packed, password, plain);
}
