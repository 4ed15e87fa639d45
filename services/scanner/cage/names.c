#include "names.h"
#include "parameter.h"
#include "words.h"

/* Names are told apart by their ends: a long one is cut at the front. Controls become '?'. */
static void add_text(struct mime_names *names, const char *text, size_t n)
{
	char *to = names->text + names->n;

	if (n > MIME_NAME_MAX - 1) {
		text += n - (MIME_NAME_MAX - 1);
		n = MIME_NAME_MAX - 1;
	}
	if (n == 0)
		return;
	if (n + 1 > sizeof(names->text) - names->n) {
		names->cut = true;
		return;
	}
	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)text[i];

		to[i] = c < 0x20 || c == 0x7f ? '?' : (char)c;
	}
	to[n] = '\0';
	if (names->n > 0 && (strcmp(names->text, to) == 0 ||
				    memmem(names->text, names->n, to - 1, n + 2) != NULL))
		return; /* the NUL before it is the last one's */
	names->n += n + 1;
	names->count++;
}

/* A NUL is shown as something, or ends the name, or is dropped. */
static void add_form(struct mime_names *names, const struct mime_text *t)
{
	struct mime_text kept;

	add_text(names, t->text, t->n);
	if (memchr(t->text, '\0', t->n) == NULL)
		return;
	add_text(names, t->text, strlen(t->text));
	mime_text_clear(&kept);
	for (size_t i = 0; i < t->n; i++)
		if (t->text[i] != '\0')
			mime_text_add(&kept, (unsigned char)t->text[i]);
	add_text(names, kept.text, kept.n);
}

/* Decoded first, as amavisd has them; then in the other ways, where they may differ; then as it is.
 */
static void add_words(struct mime_names *names, const struct mime_text *t)
{
	struct mime_text decoded;
	unsigned matter, ignored;

	if (mime_words_decode(t, MIME_WORDS_CONVERT, &decoded, &matter)) {
		add_form(names, &decoded);
		for (unsigned ways = 0; matter != 0 && ways < MIME_WORDS_WAYS; ways++)
			if ((ways & ~matter) == 0 && mime_words_decode(t, ways, &decoded, &ignored))
				add_form(names, &decoded);
	}
	add_form(names, t);
}

void mime_names_add(
	struct mime_names *names, const struct mime_text *name, enum mime_charset charset)
{
	unsigned orders = mime_charset_has_orders(charset) ? 2 : 1;

	if (names->cut) /* that is told; whoever sends a thousand names shall not have them decoded
			 */
		return;
	for (unsigned little = 0; charset != MIME_CHARSET_OCTETS && little < orders; little++) {
		struct mime_text decoded;

		mime_text_clear(&decoded);
		mime_charset_add(charset, little != 0, mw_octets_of(name->text, name->n), &decoded);
		add_words(names, &decoded);
	}
	add_words(names, name);
}

void mime_name_decode(
	const struct mime_text *name, enum mime_charset charset, struct mime_text *out)
{
	struct mime_text text;
	unsigned ignored;

	mime_text_clear(&text);
	mime_charset_add(charset, false, mw_octets_of(name->text, name->n), &text);
	if (!mime_words_decode(&text, MIME_WORDS_CONVERT, out, &ignored))
		mime_text_copy(out, &text);
}

/* ------------------------------------------------------------------ values as they stand */

/* A token with comments: RFC 2045 allows them, and not all readers take them out. */
static void add_uncommented(struct mime_names *names, struct mime_scan s)
{
	struct mime_text t;

	mime_text_clear(&t);
	while (s.p < s.end) {
		if (*s.p == '(')
			mime_skip_blanks(&s);
		else
			mime_text_add(&t, *s.p++);
	}
	while (t.n > 0 && mime_is_blank((unsigned char)t.text[t.n - 1]))
		t.text[--t.n] = '\0';
	mime_names_add(names, &t, MIME_CHARSET_OCTETS);
}

static void add_until_blank(struct mime_names *names, struct mime_scan s)
{
	struct mime_text t;

	mime_text_clear(&t);
	while (s.p < s.end && !mime_is_blank(*s.p))
		mime_text_add(&t, *s.p++);
	while (s.p < s.end && mime_is_blank(*s.p))
		s.p++;
	if (s.p < s.end)
		mime_names_add(names, &t, MIME_CHARSET_OCTETS);
}

static void add_unquoted(struct mime_names *names, struct mime_scan s)
{
	struct mime_text t;

	mime_text_clear(&t);
	for (; s.p < s.end; s.p++)
		if (*s.p != '"' && *s.p != '\r' && *s.p != '\n')
			mime_text_add(&t, *s.p);
	mime_names_add(names, &t, MIME_CHARSET_OCTETS);
}

void mime_names_add_raw(struct mime_names *names, struct mw_octets raw)
{
	struct mime_scan s = { raw.p, raw.p + raw.n }, rest;

	while (s.p < s.end && mime_is_blank(*s.p))
		s.p++;
	while (s.end > s.p && mime_is_blank(s.end[-1]))
		s.end--;
	rest = s;
	mime_skip_blanks(&rest);
	if (rest.p == rest.end)
		return;
	if (*rest.p != '"') {
		if (memchr(s.p, '(', (size_t)(s.end - s.p)) != NULL)
			add_uncommented(names, rest);
		add_until_blank(names, s);
		return;
	}
	for (rest.p++; rest.p < rest.end && *rest.p != '"'; rest.p++)
		rest.p += *rest.p == '\\' && rest.p + 1 < rest.end;
	if (rest.p + 1 < rest.end && !mime_is_blank(rest.p[1]) && rest.p[1] != '(')
		add_unquoted(names, s);
}
