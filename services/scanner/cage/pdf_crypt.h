/*
 * Encrypted PDF (ISO 32000-2 section 7.6, the standard security handler, revisions 2 to 6). Most
 * such documents open with the empty password: theirs is the owner's alone, who would not have
 * people print or change it, and every reader shows them. Those are read like any other; so is one
 * that opens with a word of the mail.
 */
#ifndef SCAN_PDF_CRYPT_H
#define SCAN_PDF_CRYPT_H

#include "pdf.h"

enum pdf_cipher {
	PDF_PLAIN,
	PDF_RC4,
	PDF_AES,    /* 128 bits, a key for each object */
	PDF_AES_256 /* one key for all */
};

/* What the dictionary and the trailer say. Texts are octets, without brackets and escapes. */
struct pdf_crypt_says {
	unsigned version, revision, bits; /* V, R, Length; bits 0: not said */
	uint32_t permissions;		  /* P */
	bool plain_metadata;		  /* EncryptMetadata false */
	enum pdf_cipher texts;		  /* that of streams and files may be any */
	struct mw_octets owner, user, owner_key, user_key; /* O, U, OE, UE */
	struct mw_octets id;				   /* the first of the trailer's ID */
};

struct pdf_crypt {
	enum pdf_cipher texts;
	unsigned char key[32];
	size_t key_n; /* 0: it did not open */
	bool by_word; /* with a word, not with the empty password */
};

/* Its key belongs to AES of 256 bits, not to RC4 or AES of 128. */
static inline bool pdf_crypt_is_new(const struct pdf_crypt *c)
{
	return c->key_n == sizeof(c->key);
}

/* False: no password that was tried opens it, trying them costs too much, or a handler that nobody
 * here knows. */
bool pdf_crypt_open(
	struct pdf_crypt *c_r, const struct pdf_crypt_says *says, struct passwords *passwords);
/*
 * Undo the cipher of one stream or text of an object, behind what is in *out. WHOLE; BROKEN: it
 * cannot be what the cipher made; CUT; NO_MEMORY.
 */
enum container_end pdf_crypt_undo(const struct pdf_crypt *c, enum pdf_cipher cipher,
	uint32_t number, uint32_t generation, struct mw_octets in, struct budget *budget,
	struct doc_buf *out);

#endif
