#include "decode.h"
#include "words.h"

/* =?charset?B?text?= */
struct word {
	struct mw_octets charset, text;
	bool quoted;
};

static struct mw_octets rest_from(const struct mime_text *in, size_t i)
{
	return mw_octets_of(in->text + i, in->n - i);
}

static bool begins_word(struct mw_octets s)
{
	return s.n > 1 && s.p[0] == '=' && s.p[1] == '?';
}

/* Octets of the word that s begins with; 0: none. *ends: is there a ?= that may end one? */
static size_t word_read(struct mw_octets s, struct word *w_r, bool *ends)
{
	const unsigned char *how = begins_word(s) ? memchr(s.p + 2, '?', s.n - 2) : NULL, *end;
	size_t at = how != NULL ? (size_t)(how - s.p) : s.n;
	unsigned char letter = s.n - at > 2 ? how[1] | 32 : 0;

	if (!*ends || s.n - at < 3 || how[2] != '?' || (letter != 'q' && letter != 'b'))
		return 0;
	end = memmem(how + 3, s.n - at - 3, "?=", 2);
	*ends = end != NULL;
	if (end == NULL)
		return 0;
	w_r->charset = mw_octets_of(s.p + 2, at - 2);
	w_r->text = mw_octets_of(how + 3, (size_t)(end - how - 3));
	w_r->quoted = letter == 'q';
	return (size_t)(end + 2 - s.p);
}

static bool same_kind(const struct word *a, const struct word *b)
{
	return a->quoted == b->quoted && a->charset.n == b->charset.n &&
	       memcmp(a->charset.p, b->charset.p, a->charset.n) == 0;
}

/* The encoded text of a word, or of several that are one. */
struct encoded {
	size_t n;
	unsigned char text[MIME_TEXT_MAX];
};

static void encoded_add(struct encoded *e, const struct word *w)
{
	for (size_t i = 0; i < w->text.n && e->n < sizeof(e->text); i++) {
		unsigned char c = w->text.p[i];

		e->text[e->n++] = w->quoted && c == '_' ? ' ' : c; /* and `_` as =5F */
	}
}

static void encoded_decode(const struct encoded *e, const struct word *w, unsigned ways,
	struct mime_text *out, unsigned *matter)
{
	enum mime_charset charset = mime_charset_of((const char *)w->charset.p, w->charset.n);
	unsigned char buf[MIME_TEXT_MAX];
	size_t n = mime_decode(
		w->quoted ? MIME_QUOTED : MIME_BASE64, mw_octets_of(e->text, e->n), buf);

	if (charset != MIME_CHARSET_OCTETS)
		*matter |= MIME_WORDS_CONVERT;
	if (mime_charset_has_orders(charset))
		*matter |= MIME_WORDS_LITTLE;
	mime_charset_add((ways & MIME_WORDS_CONVERT) != 0 ? charset : MIME_CHARSET_OCTETS,
		(ways & MIME_WORDS_LITTLE) != 0, mw_octets_of(buf, n), out);
}

/* Behind blanks that stand between two words; i where they do not. */
static size_t skip_between(const struct mime_text *in, size_t i)
{
	size_t next = i + strspn(in->text + i, " \t");

	return begins_word(rest_from(in, next)) ? next : i;
}

bool mime_words_decode(
	const struct mime_text *in, unsigned ways, struct mime_text *out, unsigned *matter_r)
{
	struct encoded e;
	bool ends = true;
	size_t i = 0;

	*matter_r = 0;
	if (memmem(in->text, in->n, "=?", 2) == NULL)
		return false;
	mime_text_clear(out);
	while (i < in->n) {
		struct word w, next;
		size_t n = word_read(rest_from(in, i), &w, &ends), more;

		if (n == 0) {
			mime_text_add(out, (unsigned char)in->text[i++]);
			continue;
		}
		i = skip_between(in, i + n);
		e.n = 0;
		encoded_add(&e, &w);
		while ((more = word_read(rest_from(in, i), &next, &ends)) != 0 &&
			same_kind(&w, &next)) {
			*matter_r |= MIME_WORDS_JOIN;
			if ((ways & MIME_WORDS_JOIN) == 0)
				break;
			encoded_add(&e, &next);
			i = skip_between(in, i + more);
		}
		encoded_decode(&e, &w, ways, out, matter_r);
	}
	return true;
}
