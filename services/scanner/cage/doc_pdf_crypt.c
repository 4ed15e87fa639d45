/*
 * How a PDF is encrypted, and with which keys: what its trailers, or the streams that take their
 * place, say. Of several dictionaries readers believe one, so that all that open are keys.
 */
#include "doc_pdf.h"

#define TRAILERS_MAX 64		   /* that are looked at */
#define CRYPT_DICT_MAX (64 * 1024) /* octets of each dictionary: these have some hundred */
#define CRYPT_TEXT_MAX 128	   /* octets of O and U that matter: 48 */

/* The texts of an encryption dictionary, which says refers to. */
struct crypt_texts {
	unsigned char owner[PDF_TEXT_MAX], user[PDF_TEXT_MAX], owner_key[PDF_TEXT_MAX],
		user_key[PDF_TEXT_MAX], id[PDF_TEXT_MAX];
};

static struct mw_octets crypt_text(
	struct pdf *p, struct mw_octets dict, const char *key, unsigned char buf[PDF_TEXT_MAX])
{
	struct mw_octets value;
	size_t n = pdf_doc_get(p, dict, key, &value) ? pdf_text(value, buf) : 0;

	return mw_octets_of(buf, n < CRYPT_TEXT_MAX ? n : CRYPT_TEXT_MAX);
}

/* Its lowest 32 bits: it is negative, or what that is without a sign. */
static uint32_t signed_number(struct pdf *p, struct mw_octets dict, const char *key)
{
	struct mw_octets value;
	int64_t v = 0;
	size_t i = 0;

	if (!pdf_doc_get(p, dict, key, &value) || value.n == 0)
		return 0;
	while (i < value.n && (value.p[i] == '-' || value.p[i] == '+'))
		i++;
	for (; i < value.n && value.p[i] >= '0' && value.p[i] <= '9' && v < 1ll << 40; i++)
		v = v * 10 + (value.p[i] - '0');
	return (uint32_t)(value.p[0] == '-' ? -v : v);
}

/* The cipher of a filter that the dictionary names under that key. */
static enum pdf_cipher named_cipher(
	struct pdf *p, struct mw_octets dict, const char *key, enum pdf_cipher dflt)
{
	struct mw_octets value, filters, filter;
	struct pdf_token t;
	struct pdf_lex l;

	if (!pdf_doc_get(p, dict, key, &value))
		return dflt;
	l = pdf_lex_of(doc_range(value, 0, PDF_SHORT_MAX));
	pdf_next(&l, &t);
	if (t.kind != PDF_NAME || strcmp(t.name, "Identity") == 0 ||
		!pdf_doc_get(p, dict, "CF", &filters) ||
		!pdf_doc_get(p, doc_range(filters, 0, CRYPT_DICT_MAX), t.name, &filter))
		return PDF_PLAIN;
	filter = doc_range(filter, 0, CRYPT_DICT_MAX);
	return pdf_is(filter, "CFM", "V2")	? PDF_RC4
	       : pdf_is(filter, "CFM", "AESV2") ? PDF_AES
	       : pdf_is(filter, "CFM", "AESV3") ? PDF_AES_256
						: PDF_PLAIN;
}

static struct mw_octets first_id(
	struct pdf *p, struct mw_octets trailer, unsigned char buf[PDF_TEXT_MAX])
{
	struct mw_octets value;
	struct pdf_lex l;

	if (!pdf_doc_get(p, trailer, "ID", &value))
		return mw_octets_of(NULL, 0);
	l = pdf_lex_of(doc_range(value, 0, CRYPT_DICT_MAX));
	for (struct pdf_token t = { .kind = PDF_OPEN }; t.kind != PDF_END;) {
		pdf_next(&l, &t);
		if (t.kind == PDF_TEXT)
			return mw_octets_of(buf, pdf_text(t.octets, buf));
	}
	return mw_octets_of(NULL, 0);
}

/* Each costs, and several trailers mean the same. */
static bool was_tried(struct pdf *p, const struct pdf_crypt_says *says)
{
	unsigned char both[2 * PDF_TRIED_OCTETS] = { 0 };
	size_t owner = says->owner.n < PDF_TRIED_OCTETS ? says->owner.n : PDF_TRIED_OCTETS,
	       user = says->user.n < PDF_TRIED_OCTETS ? says->user.n : PDF_TRIED_OCTETS;

	memcpy(both, says->owner.p, owner);
	memcpy(both + PDF_TRIED_OCTETS, says->user.p, user);
	for (unsigned i = 0; i < p->tried_count; i++)
		if (memcmp(p->tried[i], both, sizeof(both)) == 0)
			return true;
	if (p->tried_count < PDF_TRIED_MAX)
		memcpy(p->tried[p->tried_count++], both, sizeof(both));
	return false;
}

static void try_keys(struct pdf *p, const struct pdf_crypt_says *says)
{
	struct pdf_crypt c;

	if (p->crypt_count == PDF_CRYPTS_MAX || !pdf_crypt_open(&c, says, p->job->passwords)) {
		p->locked = true;
		return;
	}
	p->by_word = p->by_word || c.by_word;
	p->crypts[p->crypt_count++] = c;
}

/* It may be the trailer of an encrypted document. */
static void try_trailer(struct pdf *p, struct mw_octets trailer)
{
	struct pdf_crypt_says says = { 0 };
	struct crypt_texts texts;
	struct mw_octets dict, plain;
	struct pdf_lex l;

	trailer = doc_range(trailer, 0, CRYPT_DICT_MAX);
	if (!pdf_doc_get(p, trailer, "Encrypt", &dict))
		return;
	p->encrypted = true;
	dict = doc_range(dict, 0, CRYPT_DICT_MAX);
	if (!pdf_is(dict, "Filter", "Standard")) {
		p->locked = p->locked || pdf_enter(dict, &l); /* by certificates, or unheard of */
		return;
	}
	says.version = pdf_doc_number(p, dict, "V");
	says.revision = pdf_doc_number(p, dict, "R");
	says.bits = pdf_doc_number(p, dict, "Length");
	says.permissions = signed_number(p, dict, "P");
	says.plain_metadata = pdf_doc_get(p, dict, "EncryptMetadata", &plain) && plain.n >= 5 &&
			      memcmp(plain.p, "false", 5) == 0;
	says.owner = crypt_text(p, dict, "O", texts.owner);
	says.user = crypt_text(p, dict, "U", texts.user);
	says.owner_key = crypt_text(p, dict, "OE", texts.owner_key);
	says.user_key = crypt_text(p, dict, "UE", texts.user_key);
	says.id = first_id(p, trailer, texts.id);
	says.texts = says.version < 4 ? PDF_RC4 : named_cipher(p, dict, "StrF", PDF_PLAIN);
	if (!was_tried(p, &says))
		try_keys(p, &says);
}

static void try_trailers(struct pdf *p)
{
	const unsigned char *at = p->job->octets.p, *end = at + p->job->octets.n;
	unsigned left = TRAILERS_MAX;

	while (left > 0 && budget_time(p->job->budget) &&
		(at = memmem(at, (size_t)(end - at), "trailer", 7)) != NULL) {
		at += 7;
		left--;
		try_trailer(p, mw_octets_of(at, (size_t)(end - at)));
	}
	p->locked = p->locked || (left == 0 && p->encrypted); /* another may be the true one */
	left = TRAILERS_MAX;
	for (size_t i = 0; i < p->count && left > 0 && budget_time(p->job->budget); i++)
		if (p->objects[i].has_stream &&
			pdf_is(doc_range(p->objects[i].body, 0, CRYPT_DICT_MAX), "Type", "XRef")) {
			left--;
			try_trailer(p, p->objects[i].body);
		}
	p->locked = p->locked || (left == 0 && p->encrypted);
}

/* The dictionary that says how stands in a trailer, or in the stream that takes its place. Of
 * several, readers believe one, and who knows which. */
void pdf_doc_open(struct pdf *p)
{
	p->several = false;
	try_trailers(p);
	if (p->several && p->encrypted) {
		p->oldest = true;
		try_trailers(p);
		p->oldest = false;
	}
}
