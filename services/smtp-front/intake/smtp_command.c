#include "smtp_command.h"

#include <ctype.h>
#include <stdlib.h>
#include <strings.h>

#include "ip.h"
#include "utf8.h"

#define AUTH_VALUE_MAX                                                                             \
	500		    /* octets of MAIL's AUTH=; RFC 4954 section 11.1 adds 500 to the line  \
			     */
#define CHUNK_DIGITS_MAX 18 /* no mail has 10^18 octets */
#define XFORWARD_VALUE_MAX 255 /* octets, Postfix XFORWARD_README */

static bool refuse(struct smtp_refusal *why_r, enum smtp_reply_id id)
{
	*why_r = smtp_replies[id];
	return false;
}

enum smtp_offer smtp_offer_named(const char *keyword)
{
	static const char *const names[] = {
#define SMTP_OFFER(name, keyword) keyword,
		SMTP_OFFERS(SMTP_OFFER)
#undef SMTP_OFFER
	};
	unsigned i = 0;

	while (i < MW_COUNT(names) && strcasecmp(names[i], keyword) != 0)
		i++;
	return (enum smtp_offer)i;
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

static bool is_ascii(const char *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if ((unsigned char)p[i] >= 0x80)
			return false;
	return true;
}

/* Every octet above 0x7f is part of a UTF-8 sequence, and none is a control character (C1). */
static bool utf8_ok(const char *p, size_t n)
{
	uint32_t c;

	for (size_t i = 0, len; i < n; i += len) {
		len = mw_utf8_read((const unsigned char *)p + i, n - i, &c);
		if (len == 0 || (len == 2 && c < 0xa0))
			return false;
	}
	return true;
}

/* What an address may hold: no controls, no blanks outside quotes, not two @ outside quotes; a
 * domain when it has one. */
static bool address_ok(const char *p, size_t n)
{
	bool quoted = false;
	size_t ats = 0, last_at = 0;

	for (size_t i = 0; i < n; i++) {
		bool pair = quoted && p[i] == '\\' && i + 1 < n;
		unsigned char c = (unsigned char)p[i += pair];

		if (c < 0x20 || c == 0x7f)
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
	bool utf8, const char **addr_r, const char **rest_r, struct smtp_refusal *why_r)
{
	enum smtp_reply_id bad = null_ok ? REPLY_MAIL_ADDRESS : REPLY_RCPT_ADDRESS;
	size_t key = strlen(keyword), n;
	const char *p = args + key;

	if (strncasecmp(args, keyword, key) != 0)
		return refuse(why_r, null_ok ? REPLY_MAIL_SYNTAX : REPLY_RCPT_SYNTAX);
	while (*p == ' ') /* a common deviation; harmless */
		p++;
	if (*p != '<')
		return refuse(why_r, bad);
	p++;
	n = path_length(p);
	if (n == SIZE_MAX || (p[n + 1] != '\0' && p[n + 1] != ' '))
		return refuse(why_r, bad);
	*rest_r = p + n + 1;
	if (*p == '@') { /* a source route: to be taken off (RFC 5321 appendix C) */
		const char *colon = memchr(p, ':', n);

		if (colon == NULL)
			return refuse(why_r, bad);
		n -= (size_t)(colon + 1 - p);
		p = colon + 1;
	}
	if ((n == 0 && !null_ok) || n > SMTP_PATH_MAX || !address_ok(p, n) || !utf8_ok(p, n))
		return refuse(why_r, bad);
	if (!utf8 && !is_ascii(p, n)) /* RFC 6531 section 3.5 */
		return refuse(why_r, null_ok ? REPLY_MAIL_NOT_ASCII : REPLY_RCPT_NOT_ASCII);
	*addr_r = smtp_arena_copy(a, p, n);
	return *addr_r != NULL || refuse(why_r, REPLY_NO_MEMORY);
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

static int hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* RFC 3461 section 4: what xtext is, strictly. */
static bool is_xtext(const char *p, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (p[i] < '!' || p[i] > '~' || p[i] == '=')
			return false;
		if (p[i] != '+')
			continue;
		if (i + 2 >= n || hex(p[i + 1]) < 0 || hex(p[i + 2]) < 0 || islower(p[i + 1]) ||
			islower(p[i + 2]))
			return false;
		i += 2;
	}
	return true;
}

bool smtp_command_says_utf8(const char *args)
{
	size_t n = strcspn(args, "<");
	const char *rest, *key, *value;
	size_t key_n, value_n;

	if (args[n] == '\0')
		return false;
	rest = args + n + 1;
	n = path_length(rest);
	if (n == SIZE_MAX)
		return false;
	rest += n + 1;
	while (next_param(&rest, &key, &key_n, &value, &value_n))
		if (is(key, key_n, "SMTPUTF8"))
			return true;
	return false;
}

struct param {
	const char *key, *value;
	size_t key_n, value_n;
};

/* Each of these takes one parameter: REPLY_COUNT when it is fine, else what to say. */
static enum smtp_reply_id mail_body(const struct param *v, struct smtp_mail_params *p)
{
	if (is(v->value, v->value_n, "8BITMIME"))
		p->body = SMTP_BODY_8BITMIME;
	else if (is(v->value, v->value_n, "7BIT"))
		p->body = SMTP_BODY_7BIT;
	else
		return REPLY_BODY_SYNTAX;
	return REPLY_COUNT;
}

static enum smtp_reply_id mail_size(const struct param *v, struct smtp_mail_params *p)
{
	return parse_size(v->value, v->value_n, &p->size) ? REPLY_COUNT : REPLY_SIZE_SYNTAX;
}

static enum smtp_reply_id mail_ret(const struct param *v, struct smtp_mail_params *p)
{
	if (is(v->value, v->value_n, "FULL"))
		p->ret = SMTP_RET_FULL;
	else if (is(v->value, v->value_n, "HDRS"))
		p->ret = SMTP_RET_HDRS;
	else
		return REPLY_RET_SYNTAX;
	return REPLY_COUNT;
}

/* RFC 3461 section 4.4: encoded or not, printable it is. */
static bool is_printable_xtext(const char *p, size_t n)
{
	if (!is_xtext(p, n))
		return false;
	for (size_t i = 0; i < n; i++) {
		int c = p[i] == '+' ? hex(p[i + 1]) << 4 | hex(p[i + 2]) : p[i];

		if (c < ' ' || c > '~')
			return false;
		i += p[i] == '+' ? 2 : 0;
	}
	return true;
}

static enum smtp_reply_id mail_envid(const struct param *v, struct smtp_mail_params *p)
{
	if (v->value_n == 0 || v->value_n > SMTP_ENVID_MAX ||
		!is_printable_xtext(v->value, v->value_n))
		return REPLY_ENVID_SYNTAX;
	p->envid = v->value; /* copied once all is read */
	return REPLY_COUNT;
}

/* Who authenticated is not known to us, and not believed (RFC 4954 section 5). */
static enum smtp_reply_id mail_auth(const struct param *v, struct smtp_mail_params *p)
{
	(void)p;
	return v->value_n > 0 && v->value_n <= AUTH_VALUE_MAX && is_xtext(v->value, v->value_n)
		       ? REPLY_COUNT
		       : REPLY_AUTH_SYNTAX;
}

static enum smtp_reply_id mail_utf8(const struct param *v, struct smtp_mail_params *p)
{
	p->smtputf8 = true;
	return v->key[v->key_n] == '=' ? REPLY_UTF8_SYNTAX : REPLY_COUNT;
}

bool smtp_command_mail_params(struct smtp_arena *a, const char *rest, unsigned offers,
	struct smtp_mail_params *p_r, struct smtp_refusal *why_r)
{
	static const struct {
		const char *key;
		unsigned needs;
		enum smtp_reply_id (*take)(const struct param *v, struct smtp_mail_params *p);
	} known[] = {
		{ "SIZE", 0, mail_size },
		{ "BODY", MW_BIT(SMTP_OFFERS_8BITMIME), mail_body },
		{ "RET", MW_BIT(SMTP_OFFERS_DSN), mail_ret },
		{ "ENVID", MW_BIT(SMTP_OFFERS_DSN), mail_envid },
		{ "AUTH", 0, mail_auth },
		{ "SMTPUTF8", MW_BIT(SMTP_OFFERS_SMTPUTF8), mail_utf8 },
	};
	struct param v;
	unsigned seen = 0;
	size_t envid_n = 0;

	*p_r = (struct smtp_mail_params){ 0 };
	while (next_param(&rest, &v.key, &v.key_n, &v.value, &v.value_n)) {
		enum smtp_reply_id no;
		size_t i = 0;

		while (i < MW_COUNT(known) && !is(v.key, v.key_n, known[i].key))
			i++;
		if (i == MW_COUNT(known) || (known[i].needs & offers) != known[i].needs)
			return refuse(why_r, REPLY_MAIL_PARAMETER);
		if ((seen & MW_BIT(i)) != 0)
			return refuse(why_r, REPLY_TWICE);
		seen |= MW_BIT(i);
		no = known[i].take(&v, p_r);
		if (no != REPLY_COUNT)
			return refuse(why_r, no);
		if (p_r->envid == v.value)
			envid_n = v.value_n;
	}
	if (p_r->envid != NULL && (p_r->envid = smtp_arena_copy(a, p_r->envid, envid_n)) == NULL)
		return refuse(why_r, REPLY_NO_MEMORY);
	return true;
}

/* RFC 3461 section 4.1. */
static bool parse_notify(const char *p, size_t n, unsigned *bits_r)
{
	static const struct {
		const char *word;
		unsigned bit;
	} words[] = { { "NEVER", SMTP_NOTIFY_NEVER }, { "SUCCESS", SMTP_NOTIFY_SUCCESS },
		{ "FAILURE", SMTP_NOTIFY_FAILURE }, { "DELAY", SMTP_NOTIFY_DELAY } };
	const char *end = p + n;

	*bits_r = 0;
	for (;;) {
		const char *comma = memchr(p, ',', (size_t)(end - p));
		size_t len = (size_t)((comma != NULL ? comma : end) - p), i = 0;

		while (i < MW_COUNT(words) && !is(p, len, words[i].word))
			i++;
		if (i == MW_COUNT(words) || (*bits_r & words[i].bit) != 0)
			return false;
		*bits_r |= words[i].bit;
		if (comma == NULL)
			break;
		p = comma + 1;
	}
	return (*bits_r & SMTP_NOTIFY_NEVER) == 0 || *bits_r == SMTP_NOTIFY_NEVER;
}

/* RFC 3461 section 4.2, RFC 6533 section 3 (utf-8 as it is, where SMTPUTF8 was said). */
static bool orcpt_ok(const char *p, size_t n, bool utf8)
{
	const char *semicolon = memchr(p, ';', n);
	size_t type = semicolon != NULL ? (size_t)(semicolon - p) : 0, rest;

	if (type == 0 || n > SMTP_ORCPT_MAX)
		return false;
	for (size_t i = 0; i < type; i++)
		if (!isalnum((unsigned char)p[i]) && p[i] != '-')
			return false;
	rest = n - type - 1;
	if (rest == 0)
		return false;
	if (utf8 && is(p, type, "utf-8")) {
		for (size_t i = type + 1; i < n; i++)
			if ((unsigned char)p[i] < '!' || p[i] == 0x7f)
				return false;
		return utf8_ok(p + type + 1, rest);
	}
	return is_xtext(p + type + 1, rest);
}

bool smtp_command_rcpt_params(struct smtp_arena *a, const char *rest, unsigned offers, bool utf8,
	struct smtp_rcpt_params *p_r, struct smtp_refusal *why_r)
{
	struct param v;

	*p_r = (struct smtp_rcpt_params){ 0 };
	while (next_param(&rest, &v.key, &v.key_n, &v.value, &v.value_n)) {
		bool notify = is(v.key, v.key_n, "NOTIFY");

		if ((!notify && !is(v.key, v.key_n, "ORCPT")) ||
			(offers & MW_BIT(SMTP_OFFERS_DSN)) == 0)
			return refuse(why_r, REPLY_RCPT_PARAMETER);
		if (notify ? p_r->notify != 0 : p_r->orcpt != NULL)
			return refuse(why_r, REPLY_TWICE);
		if (notify && !parse_notify(v.value, v.value_n, &p_r->notify))
			return refuse(why_r, REPLY_NOTIFY_SYNTAX);
		if (!notify && !orcpt_ok(v.value, v.value_n, utf8))
			return refuse(why_r, REPLY_ORCPT_SYNTAX);
		if (!notify && (p_r->orcpt = smtp_arena_copy(a, v.value, v.value_n)) == NULL)
			return refuse(why_r, REPLY_NO_MEMORY);
	}
	return true;
}

bool smtp_command_bdat(const char *args, uint64_t *size_r, bool *last_r)
{
	size_t digits = strspn(args, "0123456789");
	const char *rest = args + digits;

	if (digits == 0 || digits > CHUNK_DIGITS_MAX || !parse_size(args, digits, size_r))
		return false;
	*last_r = *rest == ' ' && strcasecmp(rest + strspn(rest, " "), "LAST") == 0;
	return *last_r || *rest == '\0';
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

/* One address in one form; an empty text: it is none. */
static bool plain_address(struct smtp_arena *a, const char **addr)
{
	struct mw_ip ip;
	char text[MW_IP_TEXT_MAX];

	if (!mw_ip_parse(*addr, &ip))
		return false;
	mw_ip_format(&ip, text);
	*addr = smtp_arena_copy(a, text, strlen(text));
	return *addr != NULL;
}

static bool port_ok(const char *p)
{
	size_t n = strspn(p, "0123456789");

	return n > 0 && n <= 5 && p[n] == '\0' && strtoul(p, NULL, 10) <= 65535;
}

bool smtp_command_xforward(
	struct smtp_arena *a, const char *args, struct smtp_xforward *x, struct smtp_refusal *why_r)
{
	struct smtp_xforward all = *x;
	const struct {
		const char *key, **value;
	} known[] = {
		{ "NAME", &all.name },
		{ "ADDR", &all.addr },
		{ "PORT", &all.port },
		{ "PROTO", &all.proto },
		{ "HELO", &all.helo },
		{ "IDENT", &all.ident },
		{ "SOURCE", &all.source },
	};
	const char *rest = args, *key, *value;
	size_t key_n, value_n;
	bool any = false;

	while (next_param(&rest, &key, &key_n, &value, &value_n)) {
		size_t i = 0;

		while (i < MW_COUNT(known) && !is(key, key_n, known[i].key))
			i++;
		if (i == MW_COUNT(known) || value_n == 0 || value_n > XFORWARD_VALUE_MAX)
			return refuse(why_r, REPLY_XFORWARD_SYNTAX);
		if (is(value, value_n, "[UNAVAILABLE]")) {
			*known[i].value = NULL;
		} else {
			*known[i].value = xtext_decode(a, value, value_n);
			if (*known[i].value == NULL)
				return refuse(why_r, REPLY_NO_MEMORY);
		}
		any = true;
	}
	if (!any || (all.addr != NULL && !plain_address(a, &all.addr)) ||
		(all.port != NULL && !port_ok(all.port)))
		return refuse(why_r, REPLY_XFORWARD_SYNTAX);
	*x = all;
	return true;
}
