/* Functions of templates: what depends on their arguments alone. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

#include "idna.h"
#include "subject.h"
#include "template_give.h"

#define WIDTH_MAX 1000 /* of a conversion of sprintf, of a line of wrap */

struct mw_octets give_copy(struct template_call *c, const void *p, size_t n)
{
	char *copy = smtp_arena_copy(c->arena, p, n);

	c->failed |= copy == NULL;
	return mw_octets_of(copy != NULL ? copy : "", copy != NULL ? n : 0);
}

/* The value is what came together in *t, which is freed. */
static void say_text(struct template_call *c, struct mw_text *t)
{
	c->failed |= t->failed;
	template_say(c, give_copy(c, t->p, t->n));
	mw_text_fini(t);
}

/* Leading digits, as Perl reads numbers; false: there are none. */
static bool number_of(struct mw_octets s, double *number_r)
{
	char text[64], *end;

	s = template_trim(s);
	mw_strncpy(text, sizeof(text), s.p, s.n);
	*number_r = strtod(text, &end);
	/* nan, inf and hexadecimal are no numbers here */
	if (end == text || strspn(text, "0123456789+-.eE") < (size_t)(end - text)) {
		*number_r = 0;
		return false;
	}
	return true;
}

/* 0 for what is no number: infinity less infinity. */
static long whole(double d)
{
	return d != d ? 0 : d > 1e15 ? 1000000000000000 : d < -1e15 ? -1000000000000000 : (long)d;
}

long give_arg_number(const struct template_call *c, size_t i, long dflt)
{
	double d;

	return i < c->argc && number_of(c->argv[i], &d) ? whole(d) : dflt;
}

/* ------------------------------------------------------------------ texts */

/* No octet of a character in UTF-8 is left alone. */
static size_t cut_at(struct mw_octets s, size_t most)
{
	if (most >= s.n)
		return s.n;
	while (most > 0 && (s.p[most] & 0xc0) == 0x80)
		most--;
	return most;
}

struct mw_octets give_cut(struct template_call *c, struct mw_octets s, size_t most)
{
	struct mw_text t = { 0 };
	struct mw_octets cut;

	if (most < 6 || s.n <= most)
		return s;
	mw_text_add_octets(&t, s.p, cut_at(s, most - 5));
	mw_text_add(&t, "[...]");
	c->failed |= t.failed;
	cut = give_copy(c, t.p, t.n);
	mw_text_fini(&t);
	return cut;
}

void give_limit(struct template_call *c, int arg)
{
	long most = give_arg_number(c, 0, 0);

	(void)arg;
	template_say(c, give_cut(c, template_arg(c, 1), most > 0 ? (size_t)most : 0));
}

static struct mw_octets next_word(struct mw_octets *rest)
{
	struct mw_octets word;

	while (rest->n > 0 && isspace(rest->p[0])) {
		rest->p++;
		rest->n--;
	}
	word = mw_octets_of(rest->p, 0);
	while (word.n < rest->n && !isspace(rest->p[word.n]))
		word.n++;
	rest->p += word.n;
	rest->n -= word.n;
	return word;
}

/* wrap(width, prefix, indent, text): words in lines, prefix in front of each, indent behind it in
 * all but the first. */
void give_wrap(struct template_call *c, int arg)
{
	long width = give_arg_number(c, 0, 76);
	struct mw_octets prefix = template_arg(c, 1), indent = template_arg(c, 2),
			 rest = template_arg(c, 3), word = next_word(&rest);
	struct mw_text t = { 0 };
	size_t begun = 0;

	(void)arg;
	width = width < 1 ? 1 : width > WIDTH_MAX ? WIDTH_MAX : width;
	mw_text_add_octets(&t, prefix.p, prefix.n);
	for (bool first = true; word.n > 0; word = next_word(&rest), first = false) {
		bool fits = t.n - begun + !first + word.n <= (size_t)width;

		if (!first && fits) {
			mw_text_add(&t, " ");
		} else if (!first) {
			mw_text_add(&t, "\n");
			begun = t.n;
			mw_text_add_octets(&t, prefix.p, prefix.n);
			mw_text_add_octets(&t, indent.p, indent.n);
		}
		mw_text_add_octets(&t, word.p, word.n);
	}
	say_text(c, &t);
}

/* ASCII letters; all other octets stay. */
void give_case(struct template_call *c, int upper)
{
	struct mw_octets s = give_copy(c, template_arg(c, 0).p, template_arg(c, 0).n);
	char *p = (char *)(uintptr_t)s.p;

	for (size_t i = 0; i < s.n; i++)
		if (upper ? p[i] >= 'a' && p[i] <= 'z' : p[i] >= 'A' && p[i] <= 'Z')
			p[i] ^= 0x20;
	template_say(c, s);
}

/* As Perl's: a negative offset counts from the end, a negative length leaves so many off. */
void give_substr(struct template_call *c, int arg)
{
	struct mw_octets s = template_arg(c, 0);
	long n = (long)s.n, at = give_arg_number(c, 1, 0), take = give_arg_number(c, 2, n);
	long end;

	(void)arg;
	if (at < 0)
		at = at + n < 0 ? 0 : at + n;
	if (at > n)
		at = n;
	end = take < 0 ? n + take : take > n - at ? n : at + take;
	template_say(c, mw_octets_of(s.p + at, end > at ? (size_t)(end - at) : 0));
}

void give_index(struct template_call *c, int arg)
{
	struct mw_octets s = template_arg(c, 0), sub = template_arg(c, 1);
	long at = give_arg_number(c, 2, 0);
	const unsigned char *found;

	(void)arg;
	at = at < 0 ? 0 : at > (long)s.n ? (long)s.n : at;
	found = sub.n == 0 ? s.p + at : memmem(s.p + at, s.n - (size_t)at, sub.p, sub.n);
	template_sayf(c, "%ld", found != NULL ? (long)(found - s.p) : -1);
}

void give_len(struct template_call *c, int arg)
{
	(void)arg;
	if (c->argc > 0)
		template_sayf(c, "%zu", c->argv[0].n);
}

void give_quote(struct template_call *c, int how)
{
	struct mw_octets s = template_arg(c, 0);
	struct mw_text t = { 0 };

	if (how == QUOTE_DOUBLE)
		mw_text_add(&t, "\"");
	for (size_t i = 0; i < s.n; i++) {
		bool blank = how == QUOTE_BLANKS && (s.p[i] == ' ' || s.p[i] == '\t');

		if (how == QUOTE_DOUBLE && s.p[i] == '"')
			mw_text_add(&t, "\"");
		if (!blank)
			mw_text_add_octets(&t, s.p + i, 1);
		else if (i == 0 || (s.p[i - 1] != ' ' && s.p[i - 1] != '\t'))
			mw_text_add(&t, "_");
	}
	if (how == QUOTE_DOUBLE)
		mw_text_add(&t, "\"");
	say_text(c, &t);
}

void give_join(struct template_call *c, int arg)
{
	struct mw_octets by = template_arg(c, 0);
	struct mw_text t = { 0 };

	(void)arg;
	for (size_t i = 1; i < c->argc; i++) {
		if (i > 1)
			mw_text_add_octets(&t, by.p, by.n);
		mw_text_add_octets(&t, c->argv[i].p, c->argv[i].n);
	}
	say_text(c, &t);
}

void give_rot13(struct template_call *c, int arg)
{
	struct mw_octets s = give_copy(c, template_arg(c, 0).p, template_arg(c, 0).n);
	char *p = (char *)(uintptr_t)s.p;

	(void)arg;
	for (size_t i = 0; i < s.n; i++)
		if (isascii(p[i]) && isalpha((unsigned char)p[i])) {
			char a = p[i] & 0x20 ? 'a' : 'A';

			p[i] = (char)(a + (p[i] - a + 13) % 26);
		}
	template_say(c, s);
}

/* RFC 4648, sections 4 and 5. */
static void add_base64(struct mw_text *t, struct mw_octets s, int how)
{
	static const char common[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
	const char *last = how == ENCODE_BASE64URL ? "-_" : "+/";

	for (size_t i = 0; i < s.n; i += 3) {
		size_t left = s.n - i < 3 ? s.n - i : 3;
		unsigned bits = (unsigned)s.p[i] << 16 |
				(left > 1 ? (unsigned)s.p[i + 1] << 8 : 0) |
				(left > 2 ? s.p[i + 2] : 0);

		for (size_t k = 0; k <= left; k++) {
			unsigned v = bits >> (18 - 6 * k) & 63;

			mw_text_add_octets(t, v < 62 ? &common[v] : &last[v - 62], 1);
		}
		for (size_t k = left; k < 3 && how == ENCODE_BASE64; k++)
			mw_text_add(t, "=");
	}
}

void give_encode(struct template_call *c, int how)
{
	static const char hex[] = "0123456789abcdef";
	struct mw_octets s = template_arg(c, 0);
	struct mw_text t = { 0 };

	for (size_t i = 0; i < s.n && how == ENCODE_HEX; i++)
		mw_text_add_octets(&t, (char[2]){ hex[s.p[i] >> 4], hex[s.p[i] & 15] }, 2);
	if (how != ENCODE_HEX)
		add_base64(&t, s, how);
	say_text(c, &t);
}

/* ------------------------------------------------------------------ numbers */

static void say_double(struct template_call *c, double d)
{
	if (d == (double)whole(d))
		template_sayf(c, "%ld", whole(d));
	else
		template_sayf(c, "%.15g", d);
}

/* Without a second argument incr and decr go by one; min and max of nothing are unset. */
void give_sum(struct template_call *c, int how)
{
	double sum = 0, d;

	if (how == SUM_ADD || how == SUM_SUBTRACT) {
		number_of(template_arg(c, 0), &sum);
		for (size_t i = 1; i < c->argc; i++) {
			number_of(c->argv[i], &d);
			sum += how == SUM_ADD ? d : -d;
		}
		if (c->argc < 2)
			sum += how == SUM_ADD ? 1 : -1;
		say_double(c, sum);
		return;
	}
	for (size_t i = 0; i < c->argc; i++) {
		number_of(c->argv[i], &d);
		if (i == 0 || (how == SUM_LEAST ? d < sum : d > sum))
			sum = d;
	}
	if (c->argc > 0)
		say_double(c, sum);
}

size_t give_milli(char *buf, size_t size, int64_t milli, size_t width, char pad)
{
	uint64_t m = milli < 0 ? (uint64_t)-milli : (uint64_t)milli;
	char number[32];
	size_t n = (size_t)snprintf(number, sizeof(number), "%s%llu", milli < 0 ? "-" : "",
		       (unsigned long long)(m / 1000)),
	       at = 0, digits = n - (milli < 0);

	if (milli < 0 && pad == '0' && at + 1 < size)
		buf[at++] = '-';
	for (size_t i = pad == '0' ? digits : n; i < width && at + 1 < size; i++)
		buf[at++] = pad;
	at += (size_t)snprintf(
		buf + at, size - at, "%s", number + (milli < 0 && pad == '0' ? 1 : 0));
	if (m % 1000 != 0) {
		at += (size_t)snprintf(buf + at, size - at, ".%03u", (unsigned)(m % 1000));
		while (buf[at - 1] == '0')
			buf[--at] = '\0';
	}
	return at;
}

/* One conversion of sprintf: flags, width and precision, within bounds. p: behind its %. */
static const unsigned char *take_spec(
	const unsigned char *p, const unsigned char *end, char spec[32], char *letter_r)
{
	size_t n = 0;
	long number = 0;

	spec[n++] = '%';
	while (p < end && n < 8 && *p != '\0' && strchr("-+ 0#", *p) != NULL)
		spec[n++] = (char)*p++;
	for (; p < end && n < 16 && (isdigit(*p) || *p == '.'); p++) {
		if (*p == '.')
			number = 0;
		else if (number <= WIDTH_MAX) /* once beyond, all further digits are left out */
			number = number * 10 + (*p - '0');
		if (number <= WIDTH_MAX)
			spec[n++] = (char)*p;
	}
	while (p < end && (*p == 'l' || *p == 'h' || *p == 'q'))
		p++;
	*letter_r = p < end ? (char)*p++ : '\0';
	spec[n] = '\0';
	return p;
}

static void add_conversion(struct mw_text *t, const char *spec, char letter, struct mw_octets arg)
{
	char whole_spec[40], text[WIDTH_MAX + 400];
	double d;

	number_of(arg, &d);
	switch (letter) {
	case 's':
		if (strcmp(spec, "%") == 0) {
			mw_text_add_octets(t, arg.p, arg.n);
			return;
		}
		mw_strncpy(text, sizeof(text), arg.p, arg.n);
		snprintf(whole_spec, sizeof(whole_spec), "%ss", spec);
		break;
	case 'd':
	case 'i':
	case 'u':
	case 'x':
	case 'X':
	case 'o':
	case 'c':
		snprintf(whole_spec, sizeof(whole_spec), "%s%s%c", spec, letter == 'c' ? "" : "l",
			letter);
		break;
	case 'e':
	case 'E':
	case 'f':
	case 'g':
	case 'G':
		snprintf(whole_spec, sizeof(whole_spec), "%s%c", spec, letter);
		break;
	default: /* none that we have: as it is written */
		mw_text_addf(t, "%s%.*s", spec, letter != '\0', &letter);
		return;
	}
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
	/* What take_spec has let through: one conversion, of a width below WIDTH_MAX. */
	if (letter == 's')
		mw_text_addf(t, whole_spec, text);
	else if (letter == 'c')
		mw_text_addf(t, whole_spec, (int)(unsigned char)whole(d));
	else if (strchr("eEfgG", letter) != NULL)
		mw_text_addf(t, whole_spec, d);
	else
		mw_text_addf(t, whole_spec, whole(d));
#pragma GCC diagnostic pop
}

void give_sprintf(struct template_call *c, int arg)
{
	struct mw_octets fmt = template_arg(c, 0);
	const unsigned char *p = fmt.p, *end = fmt.p + fmt.n;
	struct mw_text t = { 0 };
	size_t next = 1;

	(void)arg;
	while (p < end) {
		char spec[32], letter;

		if (*p != '%') {
			mw_text_add_octets(&t, p++, 1);
			continue;
		}
		if (++p < end && *p == '%') {
			mw_text_add_octets(&t, p++, 1);
			continue;
		}
		p = take_spec(p, end, spec, &letter);
		add_conversion(&t, spec, letter, template_arg(c, next++));
	}
	say_text(c, &t);
}

/* ------------------------------------------------------------------ decoding */

/* The domain of an address, or an address's, with letters of its own. */
void give_address_decode(struct template_call *c, int arg)
{
	struct mw_octets s = template_arg(c, 0);
	const unsigned char *at = s.n > 0 ? memrchr(s.p, '@', s.n) : NULL;
	size_t local = at != NULL ? (size_t)(at - s.p) + 1 : 0, tail;
	char domain[512];
	struct mw_text t = { 0 };

	(void)arg;
	tail = s.n > 0 && s.p[s.n - 1] == '>';
	mw_strncpy(domain, sizeof(domain), s.p + local, s.n - local - tail);
	mw_text_add_octets(&t, s.p, local);
	if (s.n - local - tail >= sizeof(domain) || !mw_idna_to_unicode(domain, &t))
		mw_text_add_octets(&t, s.p + local, s.n - local - tail);
	mw_text_add_octets(&t, s.p + s.n - tail, tail);
	say_text(c, &t);
}

/* mime_decode(text, most, both): in UTF-8, cut; when that changed it and both is true the text as
 * it came, too. */
void give_mime_decode(struct template_call *c, int arg)
{
	struct mw_octets raw = template_arg(c, 0);
	long given = give_arg_number(c, 1, 0);
	size_t most = given > 0 ? (size_t)given : SIZE_MAX;
	bool both = template_trim(template_arg(c, 2)).n > 0 && give_arg_number(c, 2, 1) != 0;
	struct mw_text decoded = { 0 }, t = { 0 };
	struct mw_octets shown;

	(void)arg;
	mw_subject_decode(raw, &decoded);
	shown = mw_octets_of(decoded.p != NULL ? decoded.p : "", decoded.n);
	mw_text_add_octets(&t, shown.p, cut_at(shown, most));
	raw = template_trim(raw);
	if (both && (shown.n != raw.n || memcmp(shown.p, raw.p, raw.n) != 0)) {
		mw_text_add(&t, " (raw: ");
		mw_text_add_octets(&t, raw.p, cut_at(raw, most));
		mw_text_add(&t, ")");
	}
	c->failed |= decoded.failed;
	mw_text_fini(&decoded);
	say_text(c, &t);
}
