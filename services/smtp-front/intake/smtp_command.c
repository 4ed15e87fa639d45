#include "smtp_command.h"

#include <ctype.h>
#include <stdlib.h>
#include <strings.h>

#define XFORWARD_VALUE_MAX 255 /* octets, Postfix XFORWARD_README */

static bool refuse(
	struct smtp_refusal *why_r, unsigned code, const char *enhanced, const char *text)
{
	*why_r = (struct smtp_refusal){ code, enhanced, text };
	return false;
}

bool smtp_command_verb(const char *line, size_t *n_r, size_t *args_r)
{
	size_t n = 0;

	while (isalpha((unsigned char)line[n]))
		n++;
	*n_r = n;
	*args_r = n;
	while (line[*args_r] == ' ')
		(*args_r)++;
	return n > 0 && (line[n] == ' ' || line[n] == '\0');
}

/* Length of the path's inside, up to its closing >; quoted strings may hold one. SIZE_MAX: never
 * closed. */
static size_t path_length(const char *p)
{
	bool quoted = false;

	for (size_t n = 0; p[n] != '\0'; n++) {
		if (quoted && p[n] == '\\' && p[n + 1] != '\0')
			n++;
		else if (p[n] == '"')
			quoted = !quoted;
		else if (p[n] == '>' && !quoted)
			return n;
	}
	return SIZE_MAX;
}

/* What an address may hold: no controls, no blanks outside quotes, not two @ outside quotes; a
 * domain when it has one. */
static bool address_ok(const char *p, size_t n, bool utf8_ok)
{
	bool quoted = false;
	size_t ats = 0, last_at = 0;

	for (size_t i = 0; i < n; i++) {
		bool pair = quoted && p[i] == '\\' && i + 1 < n;
		unsigned char c = (unsigned char)p[i += pair];

		if (c < 0x20 || c == 0x7f || (c >= 0x80 && !utf8_ok))
			return false; /* behind a backslash too: quoted-pairSMTP is printable */
		if (pair)
			continue;
		if (c == '"') {
			quoted = !quoted;
		} else if (!quoted && (c == ' ' || c == '<' || c == '>')) {
			return false;
		} else if (!quoted && c == '@') {
			ats++;
			last_at = i;
		}
	}
	return !quoted && (ats == 0 || (ats == 1 && last_at > 0 && last_at + 1 < n));
}

bool smtp_command_path(struct smtp_arena *a, const char *args, const char *keyword, bool null_ok,
	bool utf8_ok, const char **addr_r, const char **rest_r, struct smtp_refusal *why_r)
{
	size_t key = strlen(keyword), n;
	const char *p = args + key;

	if (strncasecmp(args, keyword, key) != 0)
		return refuse(why_r, 501, "5.5.4",
			null_ok ? "syntax: MAIL FROM:<address>" : "syntax: RCPT TO:<address>");
	while (*p == ' ') /* a common deviation; harmless */
		p++;
	if (*p != '<')
		return refuse(why_r, 501, null_ok ? "5.1.7" : "5.1.3",
			"the address needs to stand in <>");
	p++;
	n = path_length(p);
	if (n == SIZE_MAX || (p[n + 1] != '\0' && p[n + 1] != ' '))
		return refuse(why_r, 501, null_ok ? "5.1.7" : "5.1.3", "bad address syntax");
	*rest_r = p + n + 1;
	if (*p == '@') { /* a source route: to be taken off (RFC 5321 appendix C) */
		const char *colon = memchr(p, ':', n);

		if (colon == NULL)
			return refuse(why_r, 501, null_ok ? "5.1.7" : "5.1.3", "bad source route");
		n -= (size_t)(colon + 1 - p);
		p = colon + 1;
	}
	if ((n == 0 && !null_ok) || n > SMTP_PATH_MAX || !address_ok(p, n, utf8_ok))
		return refuse(why_r, 501, null_ok ? "5.1.7" : "5.1.3", "bad address syntax");
	*addr_r = smtp_arena_copy(a, p, n);
	return *addr_r != NULL || refuse(why_r, 451, "4.3.0", "out of memory");
}

/* The next blank-separated KEY[=VALUE]. False: none left. */
static bool next_param(const char **rest, const char **key_r, size_t *key_n_r, const char **value_r,
	size_t *value_n_r)
{
	const char *p = *rest, *eq;
	size_t n;

	while (*p == ' ')
		p++;
	n = strcspn(p, " ");
	if (n == 0)
		return false;
	eq = memchr(p, '=', n);
	*key_r = p;
	*key_n_r = eq != NULL ? (size_t)(eq - p) : n;
	*value_r = eq != NULL ? eq + 1 : p + n;
	*value_n_r = n - (size_t)(*value_r - p);
	*rest = p + n;
	return true;
}

static bool is(const char *p, size_t n, const char *word)
{
	return strlen(word) == n && strncasecmp(p, word, n) == 0;
}

static bool parse_size(const char *p, size_t n, uint64_t *v_r)
{
	uint64_t v = 0;

	if (n == 0 || n > 19) /* RFC 1870 section 4 allows 20 digits; no mail has 10^19 octets */
		return false;
	for (size_t i = 0; i < n; i++) {
		if (!isdigit((unsigned char)p[i]))
			return false;
		v = v * 10 + (uint64_t)(p[i] - '0');
	}
	*v_r = v;
	return true;
}

bool smtp_command_mail_params(
	const char *rest, struct smtp_mail_params *p_r, struct smtp_refusal *why_r)
{
	const char *key, *value;
	size_t key_n, value_n;

	*p_r = (struct smtp_mail_params){ 0 };
	while (next_param(&rest, &key, &key_n, &value, &value_n)) {
		if (is(key, key_n, "SIZE")) {
			if (!parse_size(value, value_n, &p_r->size))
				return refuse(why_r, 501, "5.5.4", "bad SIZE value");
		} else if (is(key, key_n, "BODY")) {
			if (is(value, value_n, "8BITMIME"))
				p_r->body = SMTP_BODY_8BITMIME;
			else if (is(value, value_n, "7BIT"))
				p_r->body = SMTP_BODY_7BIT;
			else
				return refuse(why_r, 501, "5.5.4", "bad BODY value");
		} else {
			return refuse(why_r, 555, "5.5.4", "MAIL parameter not offered");
		}
	}
	return true;
}

bool smtp_command_rcpt_params(const char *rest, struct smtp_refusal *why_r)
{
	while (*rest == ' ')
		rest++;
	return *rest == '\0' || refuse(why_r, 555, "5.5.4", "RCPT parameter not offered");
}

static int hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* RFC 3461 section 4 xtext; a plus that starts no hex pair stands for itself, as Postfix reads it.
 */
static char *xtext_decode(struct smtp_arena *a, const char *p, size_t n)
{
	char *out = smtp_arena_get(a, n + 1);
	size_t at = 0;

	if (out == NULL)
		return NULL;
	for (size_t i = 0; i < n; i++) {
		if (p[i] == '+' && i + 2 < n && hex(p[i + 1]) >= 0 && hex(p[i + 2]) >= 0) {
			out[at++] = (char)(hex(p[i + 1]) * 16 + hex(p[i + 2]));
			i += 2;
		} else {
			out[at++] = p[i];
		}
	}
	out[at] = '\0';
	/* What is decoded goes into fields, records and the next hop's XFORWARD: no controls. */
	for (size_t i = 0; i < at; i++)
		if ((unsigned char)out[i] < 0x20 || out[i] == 0x7f)
			out[i] = '?';
	return out;
}

bool smtp_command_xforward(
	struct smtp_arena *a, const char *args, struct smtp_xforward *x, struct smtp_refusal *why_r)
{
	const struct {
		const char *key, **value;
	} known[] = {
		{ "NAME", &x->name },
		{ "ADDR", &x->addr },
		{ "PORT", &x->port },
		{ "PROTO", &x->proto },
		{ "HELO", &x->helo },
		{ "IDENT", &x->ident },
		{ "SOURCE", &x->source },
	};
	const char *rest = args, *key, *value;
	size_t key_n, value_n;
	bool any = false;

	while (next_param(&rest, &key, &key_n, &value, &value_n)) {
		size_t i = 0;

		while (i < MW_COUNT(known) && !is(key, key_n, known[i].key))
			i++;
		if (i == MW_COUNT(known) || value_n == 0 || value_n > XFORWARD_VALUE_MAX)
			return refuse(why_r, 501, "5.5.4", "bad XFORWARD attribute");
		if (is(value, value_n, "[UNAVAILABLE]")) {
			*known[i].value = NULL;
		} else {
			*known[i].value = xtext_decode(a, value, value_n);
			if (*known[i].value == NULL)
				return refuse(why_r, 451, "4.3.0", "out of memory");
		}
		any = true;
	}
	/* An IPv6 address comes as IPv6:addr; inside it goes without. */
	if (x->addr != NULL && strncasecmp(x->addr, "IPv6:", 5) == 0)
		x->addr += 5;
	return any || refuse(why_r, 501, "5.5.4", "syntax: XFORWARD attribute=value...");
}
