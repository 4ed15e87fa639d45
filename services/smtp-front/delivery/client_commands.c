#include "client_commands.h"

#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "idn.h"

#define LINE_MAX_OCTETS 512
#define VALUE_MAX_OCTETS 255 /* of an attribute's xtext (Postfix XFORWARD_README) */

static const char *const attribute_names[XFORWARD_ATTRIBUTES] = { "NAME", "ADDR", "PORT", "PROTO",
	"HELO", "IDENT", "SOURCE" };

static const char *attribute_value(const struct smtp_xforward *x, unsigned i)
{
	const char *const values[XFORWARD_ATTRIBUTES] = { x->name, x->addr, x->port, x->proto,
		x->helo, x->ident, x->source };

	return values[i];
}

/* RFC 3461 section 4, at most VALUE_MAX_OCTETS of it. */
static const char *xtext(char buf[VALUE_MAX_OCTETS + 1], const char *s)
{
	size_t n = 0;

	for (; *s != '\0'; s++) {
		unsigned char ch = (unsigned char)*s;
		bool plain = ch > 0x20 && ch < 0x7f && ch != '+' && ch != '=';

		if (n + (plain ? 1 : 3) > VALUE_MAX_OCTETS)
			break;
		if (plain)
			buf[n++] = (char)ch;
		else
			n += (size_t)snprintf(buf + n, 4, "+%02X", ch);
	}
	buf[n] = '\0';
	return buf;
}

static void add_attribute(struct mw_text *out, const struct smtp_xforward *x, unsigned i)
{
	const char *v = attribute_value(x, i);
	char buf[VALUE_MAX_OCTETS + 1];

	if (v == NULL || *v == '\0')
		mw_text_addf(out, " %s=[UNAVAILABLE]", attribute_names[i]);
	else
		mw_text_addf(out, " %s=%s%s", attribute_names[i],
			i == 1 && strchr(v, ':') != NULL ? "IPv6:" : "", xtext(buf, v));
}

/* What follows an EHLO keyword, "" when nothing does, NULL when it is not offered. */
static const char *ehlo_args(const char *reply, const char *keyword)
{
	size_t n = strlen(keyword);

	/* The first line is the greeting's name. */
	for (const char *p = strchr(reply, '\n'); p != NULL; p = strchr(p, '\n')) {
		p++;
		if (strncasecmp(p, keyword, n) == 0 &&
			(p[n] == ' ' || p[n] == '\n' || p[n] == '\0'))
			return p + n + (p[n] == ' ');
	}
	return NULL;
}

void client_offers_read(struct client_offers *o_r, const char *reply)
{
	const char *size = ehlo_args(reply, "SIZE"), *xforward = ehlo_args(reply, "XFORWARD");

	*o_r = (struct client_offers){
		.pipelining = ehlo_args(reply, "PIPELINING") != NULL,
		.size = size != NULL,
		.eightbit = ehlo_args(reply, "8BITMIME") != NULL,
		.dsn = ehlo_args(reply, "DSN") != NULL,
		.smtputf8 = ehlo_args(reply, "SMTPUTF8") != NULL,
		.starttls = ehlo_args(reply, "STARTTLS") != NULL,
		/* A number that is none, or too large for us, is no limit. */
		.size_limit = size != NULL && size[0] >= '0' && size[0] <= '9'
				      ? strtoull(size, NULL, 10)
				      : 0,
		.xforward = xforward != NULL ? client_xforward_offer(xforward) : 0,
	};
}

unsigned client_xforward_offer(const char *args)
{
	unsigned bits = 0;

	while (*args != '\0' && *args != '\n') {
		size_t n = strcspn(args, " \n");

		for (unsigned i = 0; i < XFORWARD_ATTRIBUTES; i++)
			if (strlen(attribute_names[i]) == n &&
				strncasecmp(attribute_names[i], args, n) == 0)
				bits |= MW_BIT(i);
		args += n;
		args += strspn(args, " ");
	}
	return bits;
}

size_t client_xforward_plan(
	const struct smtp_xforward *x, unsigned offered, unsigned bits_r[XFORWARDS_MAX])
{
	struct mw_text one = { 0 };
	size_t count = 0, line = 0;

	for (unsigned i = 0; i < XFORWARD_ATTRIBUTES; i++) {
		if ((offered & MW_BIT(i)) == 0)
			continue;
		mw_text_clear(&one);
		add_attribute(&one, x, i);
		if (count == 0 || line + one.n + 2 > LINE_MAX_OCTETS) {
			bits_r[count++] = 0;
			line = strlen("XFORWARD");
		}
		bits_r[count - 1] |= MW_BIT(i);
		line += one.n;
	}
	mw_text_fini(&one);
	return count;
}

void client_add_xforward(struct mw_text *out, const struct smtp_xforward *x, unsigned bits)
{
	mw_text_add(out, "XFORWARD");
	for (unsigned i = 0; i < XFORWARD_ATTRIBUTES; i++)
		if ((bits & MW_BIT(i)) != 0)
			add_attribute(out, x, i);
	mw_text_add(out, "\r\n");
}

bool client_can_say(const char *addr, const struct client_offers *o)
{
	char buf[IDN_ADDRESS_MAX];

	return o->smtputf8 || idn_address(addr, buf) != NULL;
}

static void add_path(
	struct mw_text *out, const char *verb, const char *addr, const struct client_offers *o)
{
	char buf[IDN_ADDRESS_MAX];
	const char *said = o->smtputf8 ? addr : idn_address(addr, buf);

	mw_text_addf(out, "%s:<%s>", verb, said != NULL ? said : addr);
}

void client_add_mail(struct mw_text *out, const char *sender, const struct smtp_mail_params *p,
	size_t octets, const struct client_offers *o)
{
	add_path(out, "MAIL FROM", sender, o);
	if (o->size)
		mw_text_addf(out, " SIZE=%zu", octets);
	if (o->eightbit && p->body != SMTP_BODY_NONE)
		mw_text_add(out, p->body == SMTP_BODY_8BITMIME ? " BODY=8BITMIME" : " BODY=7BIT");
	if (o->smtputf8 && p->smtputf8)
		mw_text_add(out, " SMTPUTF8");
	if (o->dsn && p->ret != SMTP_RET_NONE)
		mw_text_add(out, p->ret == SMTP_RET_FULL ? " RET=FULL" : " RET=HDRS");
	if (o->dsn && p->envid != NULL)
		mw_text_addf(out, " ENVID=%s", p->envid);
	mw_text_add(out, "\r\n");
}

void client_add_rcpt(struct mw_text *out, const char *addr, const struct smtp_rcpt_params *p,
	const struct client_offers *o)
{
	static const struct {
		unsigned bit;
		const char *word;
	} words[] = { { SMTP_NOTIFY_NEVER, "NEVER" }, { SMTP_NOTIFY_SUCCESS, "SUCCESS" },
		{ SMTP_NOTIFY_FAILURE, "FAILURE" }, { SMTP_NOTIFY_DELAY, "DELAY" } };
	const char *before = " NOTIFY=";

	add_path(out, "RCPT TO", addr, o);
	for (size_t i = 0; o->dsn && i < MW_COUNT(words); i++)
		if ((p->notify & words[i].bit) != 0) {
			mw_text_addf(out, "%s%s", before, words[i].word);
			before = ",";
		}
	if (o->dsn && p->orcpt != NULL)
		mw_text_addf(out, " ORCPT=%s", p->orcpt);
	mw_text_add(out, "\r\n");
}
