#include "hooks_field.h"

#include "utf8.h"

#define FOLD_AT 78	/* columns, RFC 5322 section 2.1.1 */
#define WORD_MAX 900	/* octets without a blank: a line has at most 998 */
#define CHUNK_OCTETS 45 /* of an encoded word: 60 characters of base64, with the rest below 75 */

bool hook_field_name(const char *name, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (name[i] <= ' ' || name[i] > '~' || name[i] == ':')
			return false;
	return n > 0 && n <= HOOK_FIELD_NAME_MAX;
}

/* Octets of the UTF-8 character at p; 0: it is none. Controls of the second kind (U+0080 to U+009F)
 * are none here. */
static size_t utf8_char(const unsigned char *p, size_t left)
{
	uint32_t c = 0;
	size_t n = mw_utf8_read(p, left, &c);

	return n == 2 && c < 0xa0 ? 0 : n;
}

/* What is wrong with it, or NULL. */
static const char *look_at(const unsigned char *p, size_t n, bool *ascii_r)
{
	*ascii_r = true;
	for (size_t i = 0, step; i < n; i += step) {
		step = utf8_char(p + i, n - i);
		if (step == 0)
			return "the value is neither ASCII nor UTF-8";
		if ((p[i] < ' ' && p[i] != '\t') || p[i] == 0x7f)
			return "the value has a control character in it";
		*ascii_r = *ascii_r && step == 1;
	}
	return NULL;
}

/* Break before the blanks that come before a word that does not fit any more. */
static const char *fold(const char *value, size_t n, size_t column, struct mw_text *out)
{
	for (size_t i = 0; i < n;) {
		size_t from = i, blanks;

		while (i < n && (value[i] == ' ' || value[i] == '\t'))
			i++;
		blanks = i - from;
		while (i < n && value[i] != ' ' && value[i] != '\t')
			i++;
		if (i - from > WORD_MAX)
			return "the value has a word of more than 900 octets";
		if (blanks > 0 && column + (i - from) > FOLD_AT) {
			mw_text_add(out, "\r\n");
			column = 0;
		}
		mw_text_add_octets(out, value + from, i - from);
		column += i - from;
	}
	return NULL;
}

static void add_base64(const unsigned char *p, size_t n, struct mw_text *out)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

	for (size_t i = 0; i < n; i += 3) {
		uint32_t v = (uint32_t)p[i] << 16 | (i + 1 < n ? (uint32_t)p[i + 1] << 8 : 0) |
			     (i + 2 < n ? p[i + 2] : 0);
		char four[4] = { digits[v >> 18], digits[v >> 12 & 63],
			i + 1 < n ? digits[v >> 6 & 63] : '=', i + 2 < n ? digits[v & 63] : '=' };

		mw_text_add_octets(out, four, sizeof(four));
	}
}

/* A line each, whole characters in each (RFC 2047 section 5). */
static void encode(const unsigned char *p, size_t n, struct mw_text *out)
{
	for (size_t from = 0, to; from < n; from = to) {
		to = from;
		while (to < n && to + utf8_char(p + to, n - to) - from <= CHUNK_OCTETS)
			to += utf8_char(p + to, n - to);
		mw_text_add(out, from > 0 ? "\r\n =?UTF-8?B?" : "=?UTF-8?B?");
		add_base64(p + from, to - from, out);
		mw_text_add(out, "?=");
	}
}

const char *hook_field_print(
	const char *name, const char *value, size_t n, bool utf8, struct mw_text *out)
{
	const char *wrong;
	bool ascii;

	while (n > 0 && (*value == ' ' || *value == '\t')) {
		value++;
		n--;
	}
	while (n > 0 && (value[n - 1] == ' ' || value[n - 1] == '\t'))
		n--;
	wrong = look_at((const unsigned char *)value, n, &ascii);
	if (wrong != NULL)
		return wrong;
	mw_text_addf(out, "%s: ", name);
	if (ascii || utf8)
		wrong = fold(value, n, strlen(name) + 2, out);
	else
		encode((const unsigned char *)value, n, out);
	mw_text_add(out, "\r\n");
	return wrong;
}
