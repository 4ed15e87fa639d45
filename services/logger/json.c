#include "json.h"

#include <inttypes.h>

#include "utf8.h"

static void put_escape(struct mw_text *t, unsigned c)
{
	static const char from[] = "\"\\\b\t\n\f\r", to[] = "\"\\btnfr";
	const char *at = c != 0 && c < 0x80 ? strchr(from, (int)c) : NULL;

	if (at != NULL)
		mw_text_addf(t, "\\%c", to[at - from]);
	else
		mw_text_addf(t, "\\u%04X", c);
}

/* U+2028 and U+2029 end a line in JavaScript. */
static bool is_separator(const unsigned char *p, size_t length)
{
	return length == 3 && p[0] == 0xe2 && p[1] == 0x80 && (p[2] & 0xfe) == 0xa8;
}

static void put_string(struct mw_text *t, struct mw_octets o)
{
	size_t plain = 0, i = 0;

	mw_text_add_octets(t, "\"", 1);
	while (i < o.n) {
		size_t length = mw_utf8_length(o.p + i, o.n - i);
		unsigned char c = o.p[i];

		if (length > 0 && c >= 0x20 && c != '"' && c != '\\' && c != 0x7f &&
			!is_separator(o.p + i, length)) {
			i += length;
			continue;
		}
		mw_text_add_octets(t, o.p + plain, i - plain);
		if (length == 0)
			mw_text_add(t, "\xef\xbf\xbd");
		else
			put_escape(t, length == 1 ? c : 0x2000u | (o.p[i + 2] & 0x3f));
		i += length > 0 ? length : 1;
		plain = i;
	}
	mw_text_add_octets(t, o.p + plain, i - plain);
	mw_text_add_octets(t, "\"", 1);
}

void logsvc_json_begin(struct logsvc_json *j, struct mw_text *out)
{
	*j = (struct logsvc_json){ .out = out };
}

void logsvc_json_key(struct logsvc_json *j, struct mw_octets key)
{
	if (j->comma)
		mw_text_add_octets(j->out, ",", 1);
	put_string(j->out, key);
	mw_text_add_octets(j->out, ":", 1);
	j->comma = false;
}

static void member(struct logsvc_json *j, const char *key)
{
	if (key != NULL)
		logsvc_json_key(j, mw_octets_of_text(key));
	else if (j->comma)
		mw_text_add_octets(j->out, ",", 1);
	j->comma = true;
}

void logsvc_json_open(struct logsvc_json *j, const char *key, char bracket)
{
	member(j, key);
	mw_text_add_octets(j->out, &bracket, 1);
	j->comma = false;
}

void logsvc_json_close(struct logsvc_json *j, char bracket)
{
	mw_text_add_octets(j->out, bracket == '{' || bracket == '}' ? "}" : "]", 1);
	j->comma = true;
}

void logsvc_json_text(struct logsvc_json *j, const char *key, struct mw_octets value)
{
	member(j, key);
	put_string(j->out, value);
}

void logsvc_json_word(struct logsvc_json *j, const char *key, const char *value)
{
	logsvc_json_text(j, key, mw_octets_of_text(value));
}

void logsvc_json_uint(struct logsvc_json *j, const char *key, uint64_t value)
{
	member(j, key);
	mw_text_addf(j->out, "%" PRIu64, value);
}

void logsvc_json_bool(struct logsvc_json *j, const char *key, bool value)
{
	member(j, key);
	mw_text_add(j->out, value ? "true" : "false");
}

void logsvc_json_milli(struct logsvc_json *j, const char *key, int64_t milli)
{
	uint64_t size = milli < 0 ? 0 - (uint64_t)milli : (uint64_t)milli;
	unsigned part = (unsigned)(size % 1000), digits = 3;

	member(j, key);
	mw_text_addf(j->out, "%s%" PRIu64, milli < 0 ? "-" : "", size / 1000);
	if (part == 0)
		return;
	for (; part % 10 == 0; part /= 10)
		digits--;
	mw_text_addf(j->out, ".%0*u", (int)digits, part);
}

void logsvc_json_seconds(struct logsvc_json *j, const char *key, uint64_t us)
{
	uint64_t ms = us / 1000 + (us % 1000 >= 500 ? 1 : 0);

	member(j, key);
	mw_text_addf(j->out, "%" PRIu64 ".%03u", ms / 1000, (unsigned)(ms % 1000));
}
