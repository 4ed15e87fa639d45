#include "subject.h"

#include <iconv.h>
#include <stdlib.h>

#define CHARSET_MAX 40 /* octets of a charset's name */

/* One encoded word: =?charset[*language]?encoding?text?= (RFC 2047 section 2, RFC 2231 section 5).
 */
struct word {
	struct mw_octets charset, text;
	char encoding; /* B or Q */
	size_t n;      /* octets of the whole word */
};

static bool is_blank(unsigned char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* A token up to '?'; RFC 2047 forbids blanks inside an encoded word. */
static bool until_question(struct mw_octets s, size_t *at, struct mw_octets *token_r)
{
	size_t from = *at;

	while (*at < s.n && s.p[*at] != '?' && !is_blank(s.p[*at]))
		(*at)++;
	if (*at >= s.n || s.p[*at] != '?')
		return false;
	*token_r = mw_octets_of(s.p + from, *at - from);
	(*at)++;
	return true;
}

static bool word_parse(struct mw_octets s, struct word *w)
{
	struct mw_octets encoding;
	const unsigned char *star;
	size_t at = 2;

	if (s.n < 8 || s.p[0] != '=' || s.p[1] != '?' || !until_question(s, &at, &w->charset) ||
		!until_question(s, &at, &encoding) || !until_question(s, &at, &w->text) ||
		at >= s.n || s.p[at] != '=' || encoding.n != 1)
		return false;
	star = memchr(w->charset.p, '*', w->charset.n);
	if (star != NULL)
		w->charset.n = (size_t)(star - w->charset.p);
	w->encoding = (char)(encoding.p[0] & 0xdf);
	w->n = at + 1;
	return w->charset.n > 0 && w->charset.n < CHARSET_MAX &&
	       (w->encoding == 'B' || w->encoding == 'Q');
}

static int hex(unsigned char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c &= 0xdf;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static size_t decode_q(struct mw_octets s, unsigned char *to)
{
	size_t n = 0;

	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] == '=' && i + 2 < s.n && hex(s.p[i + 1]) >= 0 && hex(s.p[i + 2]) >= 0) {
			to[n++] = (unsigned char)(hex(s.p[i + 1]) << 4 | hex(s.p[i + 2]));
			i += 2;
		} else {
			to[n++] = s.p[i] == '_' ? ' ' : s.p[i];
		}
	}
	return n;
}

static int base64(unsigned char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '+' ? 62 : c == '/' ? 63 : -1;
}

static size_t decode_b(struct mw_octets s, unsigned char *to)
{
	uint32_t bits = 0;
	unsigned have = 0;
	size_t n = 0;

	for (size_t i = 0; i < s.n && s.p[i] != '='; i++) {
		int v = base64(s.p[i]);

		if (v < 0)
			continue;
		bits = bits << 6 | (uint32_t)v;
		have += 6;
		if (have >= 8) {
			have -= 8;
			to[n++] = (unsigned char)(bits >> have);
		}
	}
	return n;
}

/* iconv's names with a slash carry options: letters, digits and -_.: only. */
static bool charset_name(struct mw_octets charset, char *name)
{
	for (size_t i = 0; i < charset.n; i++) {
		unsigned char c = charset.p[i];

		if (!((c >= '0' && c <= '9') || ((c & 0xdf) >= 'A' && (c & 0xdf) <= 'Z') ||
			    (c != 0 && strchr("-_.:", c))))
			return false;
		name[i] = (char)c;
	}
	name[charset.n] = '\0';
	return true;
}

/* Octets of that charset to UTF-8; what has no meaning in it becomes U+FFFD. False: unknown
 * charset. */
static bool to_utf8(struct mw_octets charset, char *from, size_t n, struct mw_text *out)
{
	char name[CHARSET_MAX], buf[512];
	iconv_t cd;

	if (!charset_name(charset, name))
		return false;
	if (mw_ieq(name, "utf-8") || mw_ieq(name, "us-ascii")) {
		mw_text_add_octets(out, from, n); /* the JSON writer mends what is malformed */
		return true;
	}
	cd = iconv_open("UTF-8", name);
	if (cd == (iconv_t)-1)
		return false;
	while (n > 0) {
		char *to = buf;
		size_t room = sizeof(buf), before = n, rc = iconv(cd, &from, &n, &to, &room);

		mw_text_add_octets(out, buf, sizeof(buf) - room);
		if (rc == (size_t)-1 && n == before &&
			room == sizeof(buf)) { /* stuck at a bad octet */
			mw_text_add(out, "\xef\xbf\xbd");
			from++;
			n--;
		}
	}
	(void)iconv_close(cd);
	return true;
}

static bool word_decode(const struct word *w, struct mw_text *out)
{
	unsigned char *octets = malloc(w->text.n + 1);
	bool known;
	size_t n;

	if (octets == NULL)
		return false;
	n = w->encoding == 'Q' ? decode_q(w->text, octets) : decode_b(w->text, octets);
	known = to_utf8(w->charset, (char *)octets, n, out);
	free(octets);
	return known;
}

static struct mw_octets trimmed(struct mw_octets s)
{
	if (s.n > MW_SUBJECT_MAX)
		s.n = MW_SUBJECT_MAX;
	while (s.n > 0 && is_blank(s.p[0]))
		s = mw_octets_of(s.p + 1, s.n - 1);
	while (s.n > 0 && is_blank(s.p[s.n - 1]))
		s.n--;
	return s;
}

void mw_subject_decode(struct mw_octets raw, struct mw_text *out)
{
	struct mw_octets s = trimmed(raw);
	size_t i = 0, blanks = 0, words = 0;
	bool after_word = false;

	while (i < s.n) {
		struct word w;

		if (s.p[i] == '=' && words < MW_SUBJECT_WORDS_MAX &&
			word_parse(mw_octets_of(s.p + i, s.n - i), &w)) {
			size_t before = out->n;

			words++;
			/* Blanks between two encoded words belong to neither (RFC 2047
			 * section 6.2). */
			if (!after_word)
				mw_text_add_octets(out, s.p + i - blanks, blanks);
			if (word_decode(&w, out)) {
				after_word = true;
				blanks = 0;
				i += w.n;
				continue;
			}
			out->n = before;
		}
		if (is_blank(s.p[i])) {
			blanks++;
		} else {
			mw_text_add_octets(out, s.p + i - blanks, blanks + 1);
			blanks = 0;
			after_word = false;
		}
		i++;
	}
}
