#include <stdlib.h>

#include "charset.h"
#include "utf8.h"

#define NAME_MAX_OCTETS 40 /* of a charset's name; longer ones are nobody's */
#define MARK 0xfeff	   /* byte order mark */
#define REPLACEMENT '?'

/* ------------------------------------------------------------------ names */

static const struct {
	const char *name;
	enum mime_charset charset;
} charsets[] = {
	{ "utf16", MIME_CHARSET_UTF16 },
	{ "utf16be", MIME_CHARSET_UTF16_BIG },
	{ "utf16le", MIME_CHARSET_UTF16_LITTLE },
	{ "ucs2", MIME_CHARSET_UTF16 },
	{ "ucs2be", MIME_CHARSET_UTF16_BIG },
	{ "ucs2le", MIME_CHARSET_UTF16_LITTLE },
	{ "iso10646ucs2", MIME_CHARSET_UTF16 },
	{ "unicode", MIME_CHARSET_UTF16 },
	{ "csunicode", MIME_CHARSET_UTF16 },
	{ "unicodebig", MIME_CHARSET_UTF16_BIG },
	{ "unicodelittle", MIME_CHARSET_UTF16_LITTLE },
	{ "unicodefffe", MIME_CHARSET_UTF16_BIG },
	{ "unicodefeff", MIME_CHARSET_UTF16_LITTLE },
	{ "utf32", MIME_CHARSET_UTF32 },
	{ "utf32be", MIME_CHARSET_UTF32_BIG },
	{ "utf32le", MIME_CHARSET_UTF32_LITTLE },
	{ "ucs4", MIME_CHARSET_UTF32 },
	{ "ucs4be", MIME_CHARSET_UTF32_BIG },
	{ "ucs4le", MIME_CHARSET_UTF32_LITTLE },
	{ "iso10646ucs4", MIME_CHARSET_UTF32 },
	{ "utf7", MIME_CHARSET_UTF7 },
	{ "unicode11utf7", MIME_CHARSET_UTF7 },
	{ "csunicode11utf7", MIME_CHARSET_UTF7 },
	{ "cp65000", MIME_CHARSET_UTF7 },
	{ "cp50220", MIME_CHARSET_ISO2022 },
	{ "cp50221", MIME_CHARSET_ISO2022 },
	{ "cp50222", MIME_CHARSET_ISO2022 },
	{ "hz", MIME_CHARSET_HZ },
	{ "hzgb2312", MIME_CHARSET_HZ },
};

/* Code pages of EBCDIC; letters, digits, dots and blanks are the same in all of them. */
static bool is_ebcdic(const char *name)
{
	static const unsigned pages[] = { 37, 273, 277, 278, 280, 284, 285, 297, 424, 500, 870, 871,
		875, 880, 905, 924, 1025, 1026, 1047, 1140, 1141, 1142, 1143, 1144, 1145, 1146,
		1147, 1148, 1149 };
	size_t skip = strncmp(name, "ibm", 3) == 0 ? 3 : strncmp(name, "cp", 2) == 0 ? 2 : 0;
	char *end;
	unsigned long page;

	if (skip == 0)
		return false;
	page = strtoul(name + skip, &end, 10);
	for (size_t i = 0; *end == '\0' && i < MW_COUNT(pages); i++)
		if (page == pages[i])
			return true;
	return false;
}

enum mime_charset mime_charset_of(const char *name, size_t n)
{
	char plain[NAME_MAX_OCTETS];
	size_t m = 0;

	for (size_t i = 0; i < n && name[i] != '*'; i++) {
		if (m == sizeof(plain) - 1)
			return MIME_CHARSET_OCTETS;
		if (name[i] != '-' && name[i] != '_' && name[i] != ' ')
			plain[m++] =
				name[i] >= 'A' && name[i] <= 'Z' ? (char)(name[i] | 32) : name[i];
	}
	plain[m] = '\0';
	for (size_t i = 0; i < MW_COUNT(charsets); i++)
		if (strcmp(plain, charsets[i].name) == 0)
			return charsets[i].charset;
	if (strncmp(plain, "iso2022", 7) == 0 || strncmp(plain, "csiso2022", 9) == 0)
		return MIME_CHARSET_ISO2022;
	return is_ebcdic(plain) ? MIME_CHARSET_EBCDIC : MIME_CHARSET_OCTETS;
}

bool mime_charset_has_orders(enum mime_charset charset)
{
	return charset == MIME_CHARSET_UTF16 || charset == MIME_CHARSET_UTF32;
}

/* ------------------------------------------------------------------ Unicode */

static void add_utf8(struct mime_text *to, uint32_t c)
{
	char o[MW_UTF8_MOST];
	size_t n = mw_utf8_write(o, c);

	if (n == 0)
		n = mw_utf8_write(o, REPLACEMENT);
	for (size_t i = 0; i < n; i++)
		mime_text_add(to, (unsigned char)o[i]);
}

/* Units of UTF-16, of which two may be one character. */
struct units {
	uint32_t high; /* waits for its second; 0: none does */
	struct mime_text *to;
};

static void unit_add(struct units *u, uint32_t unit)
{
	uint32_t high = u->high;

	u->high = 0;
	if (high != 0 && unit >= 0xdc00 && unit < 0xe000) {
		add_utf8(u->to, 0x10000 + ((high - 0xd800) << 10) + (unit - 0xdc00));
		return;
	}
	if (high != 0)
		add_utf8(u->to, high);
	if (unit >= 0xd800 && unit < 0xdc00)
		u->high = unit;
	else
		add_utf8(u->to, unit);
}

static uint32_t unit_at(const unsigned char *p, size_t size, bool little)
{
	uint32_t c = 0;

	for (size_t i = 0; i < size; i++)
		c = c << 8 | p[little ? size - 1 - i : i];
	return c;
}

/* size: octets of a unit. */
static void add_wide(
	struct mw_octets octets, size_t size, bool little, bool guessed, struct mime_text *to)
{
	struct units u = { 0, to };
	size_t i = 0;

	if (octets.n >= size && guessed && unit_at(octets.p, size, !little) == MARK)
		little = !little;
	if (octets.n >= size && unit_at(octets.p, size, little) == MARK)
		i = size;
	for (; i + size <= octets.n; i += size)
		if (size == 2)
			unit_add(&u, unit_at(octets.p + i, size, little));
		else
			add_utf8(to, unit_at(octets.p + i, size, little));
}

static int base64_digit(unsigned char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* RFC 2152: units of UTF-16 in base64 between `+` and `-`, or anything else that is not base64's.
 */
static void add_utf7(struct mw_octets octets, struct mime_text *to)
{
	struct units u = { 0, to };
	size_t i = 0;

	while (i < octets.n) {
		uint32_t bits = 0;
		unsigned have = 0;
		size_t from;

		if (octets.p[i] != '+') {
			mime_text_add(to, octets.p[i++]);
			continue;
		}
		for (from = ++i; i < octets.n && base64_digit(octets.p[i]) >= 0; i++) {
			bits = bits << 6 | (uint32_t)base64_digit(octets.p[i]);
			have += 6;
			if (have >= 16) {
				have -= 16;
				unit_add(&u, bits >> have & 0xffff);
			}
		}
		if (i < octets.n && octets.p[i] == '-') {
			if (i == from)
				mime_text_add(to, '+');
			i++;
		}
	}
}

/* ------------------------------------------------------------------ escapes */

/* ISO 2022: an escape, or SO and SI, says which characters follow; those of two octets are `?`. */
static void add_iso2022(struct mw_octets octets, struct mime_text *to)
{
	bool wide = false, shifted = false;

	for (size_t i = 0; i < octets.n; i++) {
		unsigned char c = octets.p[i];

		if (c == 0x1b) {
			size_t from = i + 1, k = from;

			while (k < octets.n && octets.p[k] >= 0x20 && octets.p[k] < 0x30)
				k++;
			if (k == octets.n)
				return;
			/* `)`, `*` and the like say what SO and its kin will mean */
			if (k == from || octets.p[from] == '(' ||
				(octets.p[from] == '$' &&
					(k == from + 1 || octets.p[from + 1] == '(')))
				wide = k > from && octets.p[from] == '$';
			i = k;
		} else if (c == 0x0e || c == 0x0f) {
			shifted = c == 0x0e;
		} else if ((wide || shifted) && c > 0x20 && c != 0x7f && i + 1 < octets.n) {
			mime_text_add(to, REPLACEMENT);
			i++;
		} else {
			mime_text_add(to, c);
		}
	}
}

/* RFC 1843: GB 2312 between ~{ and ~}; ~~ is a tilde. */
static void add_hz(struct mw_octets octets, struct mime_text *to)
{
	bool wide = false;

	for (size_t i = 0; i < octets.n; i++) {
		unsigned char c = octets.p[i], next = i + 1 < octets.n ? octets.p[i + 1] : 0;

		if (c == '~' && (next == '{' || next == '}' || next == '\n')) {
			wide = next == '{';
			i++;
		} else if (wide && c > 0x20 && next != 0) {
			mime_text_add(to, REPLACEMENT);
			i++;
		} else {
			mime_text_add(to, c);
			i += c == '~' && next == '~';
		}
	}
}

static unsigned char from_ebcdic(unsigned char c)
{
	static const struct {
		unsigned char from, n, first;
	} runs[] = { { 0x81, 9, 'a' }, { 0x91, 9, 'j' }, { 0xa2, 8, 's' }, { 0xc1, 9, 'A' },
		{ 0xd1, 9, 'J' }, { 0xe2, 8, 'S' }, { 0xf0, 10, '0' }, { 0x40, 1, ' ' },
		{ 0x4b, 1, '.' }, { 0x60, 1, '-' }, { 0x61, 1, '/' }, { 0x6d, 1, '_' },
		{ 0x4d, 1, '(' }, { 0x5d, 1, ')' }, { 0x00, 1, '\0' } };

	for (size_t i = 0; i < MW_COUNT(runs); i++)
		if (c >= runs[i].from && c < runs[i].from + runs[i].n)
			return (unsigned char)(runs[i].first + (c - runs[i].from));
	return REPLACEMENT;
}

/* ------------------------------------------------------------------ all of them */

void mime_charset_add(
	enum mime_charset charset, bool little, struct mw_octets octets, struct mime_text *to)
{
	switch (charset) {
	case MIME_CHARSET_UTF16:
	case MIME_CHARSET_UTF32:
		add_wide(octets, charset == MIME_CHARSET_UTF16 ? 2 : 4, little, true, to);
		return;
	case MIME_CHARSET_UTF16_BIG:
	case MIME_CHARSET_UTF16_LITTLE:
		add_wide(octets, 2, charset == MIME_CHARSET_UTF16_LITTLE, false, to);
		return;
	case MIME_CHARSET_UTF32_BIG:
	case MIME_CHARSET_UTF32_LITTLE:
		add_wide(octets, 4, charset == MIME_CHARSET_UTF32_LITTLE, false, to);
		return;
	case MIME_CHARSET_UTF7:
		add_utf7(octets, to);
		return;
	case MIME_CHARSET_ISO2022:
		add_iso2022(octets, to);
		return;
	case MIME_CHARSET_HZ:
		add_hz(octets, to);
		return;
	case MIME_CHARSET_EBCDIC:
		for (size_t i = 0; i < octets.n; i++)
			mime_text_add(to, from_ebcdic(octets.p[i]));
		return;
	case MIME_CHARSET_OCTETS:
		break;
	}
	for (size_t i = 0; i < octets.n; i++)
		mime_text_add(to, octets.p[i]);
}
