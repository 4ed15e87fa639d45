/* Macros of a mail: what is banned in it. */
#include "template_give.h"
#include "utf8.h"

#define PARTS_MAX 2 /* parts that are named */

static const char *banned_text(const struct txn_rcpt *r, int what)
{
	const char *text = what == BANNED_KEY	    ? r->banned_key
			   : what == BANNED_COMMENT ? r->banned_comment
						    : r->banned_part;

	return r->banned ? text : NULL;
}

static int hex(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* The octets that \x{C3}\x{BC} at p stands for, at most 4 above 0x7f; o has a NUL
 * behind them. */
static size_t escaped_octets(const char *p, unsigned char o[5])
{
	size_t n = 0;

	while (n < 4 && strncmp(p, "\\x{", 3) == 0 && hex(p[3]) >= 8 && hex(p[4]) >= 0 &&
		p[5] == '}') {
		o[n++] = (unsigned char)(hex(p[3]) << 4 | hex(p[4]));
		p += 6;
	}
	return n;
}

/* A character of UTF-8 that may stand in a text for people: no control (C1), nothing that turns
 * the direction of what comes behind it (UAX 9). 0: none. */
static size_t readable(const unsigned char *o, size_t n)
{
	size_t len = mw_utf8_length(o, n);
	bool turns = len == 3 && o[0] == 0xe2 &&
		     ((o[1] == 0x80 && o[2] >= 0xa8 && o[2] <= 0xae) ||
			     (o[1] == 0x81 && o[2] >= 0xa6 && o[2] <= 0xa9));

	return turns || (len == 2 && o[0] == 0xc2 && o[1] < 0xa0) ? 0 : len;
}

/* What the check has escaped for lines and fields is UTF-8 again in a text for people. */
static const char *for_people(struct template_call *c, const char *text)
{
	struct mw_text out = { 0 };
	struct mw_octets copy;

	if (!c->scope->lines || strstr(text, "\\x{") == NULL)
		return text;
	while (*text != '\0') {
		unsigned char o[5] = { 0 };
		size_t n = readable(o, escaped_octets(text, o));

		if (n == 0) {
			mw_text_add_octets(&out, text++, 1);
			continue;
		}
		mw_text_add_octets(&out, o, n);
		text += 6 * n;
	}
	c->failed |= out.failed;
	copy = out.failed ? mw_octets_of("", 0) : give_copy(c, out.p, out.n + 1);
	mw_text_fini(&out);
	return copy.n > 0 ? (const char *)copy.p : "";
}

/* Of the first recipient for whom something is banned; parts are those of all, each once. */
void give_banned(struct template_call *c, int what)
{
	size_t count, known = 0;
	const struct txn_rcpt *r = give_scope(c, &count);
	const char *parts[PARTS_MAX];
	struct mw_text t = { 0 };

	for (size_t i = 0; i < count; i++, r++) {
		const char *text = banned_text(r, what);
		bool again = false;

		if (text == NULL)
			continue;
		text = for_people(c, text);
		if (what != BANNED_PARTS) {
			template_say_text(c, text);
			return;
		}
		for (size_t k = 0; k < known && !again; k++)
			again = strcmp(parts[k], text) == 0;
		if (again)
			continue;
		if (known == PARTS_MAX) {
			mw_text_add(&t, ", ...");
			break;
		}
		parts[known] = text;
		mw_text_addf(&t, "%s%s", known++ > 0 ? ", " : "", text);
	}
	c->failed |= t.failed;
	if (what == BANNED_PARTS && known > 0)
		template_say(c, give_copy(c, t.p, t.n));
	mw_text_fini(&t);
}
