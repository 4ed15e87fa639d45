/* DNS lists: how an address is asked for (RFC 5782), and what the answers mean. Who asks, and
 * remembers, is the caller's source. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

#include "lookup_priv.h"
#include "resolver.h"

#define LISTED 0x7f000002u   /* 127.0.0.2: the answer of a list that has but one (section 2.1) */
#define LOOPBACK 0x7f000000u /* answers lie in 127.0.0.0/8 (section 2.1) */
#define NOT_ANSWERED                                                                               \
	0x7fffff00u /* 127.255.255.0/24: by custom "I do not answer you", as of                    \
		       Spamhaus to public resolvers: that is no answer */

struct range {
	uint32_t net, mask;
};

struct mw_dnsl {
	char zone[MW_DNSL_ZONE_MAX + 1];
	bool negated, defers;
	size_t count;
	struct range ranges[];
};

/* ------------------------------------------------------------------ names */

static char *add_v4(char *p, const struct mw_ip *ip)
{
	return p + sprintf(p, "%u.%u.%u.%u.", ip->a[15], ip->a[14], ip->a[13], ip->a[12]);
}

/* Section 2.4: a label a nibble, the last first. */
static char *add_v6(char *p, const struct mw_ip *ip)
{
	static const char hex[] = "0123456789abcdef";

	for (size_t i = sizeof(ip->a); i-- > 0;) {
		*p++ = hex[ip->a[i] & 15];
		*p++ = '.';
		*p++ = hex[ip->a[i] >> 4];
		*p++ = '.';
	}
	return p;
}

const char *mw_dnsl_name(const struct mw_ip *ip, const char *zone, char buf[MW_DNSL_NAME_MAX])
{
	char *p = mw_ip_is_v4(ip) ? add_v4(buf, ip) : add_v6(buf, ip);

	mw_strlcpy(p, zone, MW_DNSL_NAME_MAX - (size_t)(p - buf));
	return buf;
}

const char *mw_dnsl_read(const struct mw_dns_answer *dns, struct mw_dnsl_answer *answer_r)
{
	*answer_r = (struct mw_dnsl_answer){ 0 };
	if (dns->state == MW_DNS_FAILED)
		return dns->why;
	if (dns->too_many || dns->count > MW_DNSL_ANSWERS_MAX)
		return "an answer of too many addresses";
	for (size_t i = 0; i < dns->count; i++) {
		const unsigned char *p = (const unsigned char *)dns->records[i].p;

		if (dns->records[i].n != 4)
			return "an answer that is no address";
		answer_r->a[answer_r->count++] =
			(uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
	}
	return NULL;
}

/* ------------------------------------------------------------------ from the settings */

/* Letters, digits, - and _ in labels of at most 63 octets; in lower case, without a dot behind. */
static bool zone_of(const char *text, char zone[MW_DNSL_ZONE_MAX + 1])
{
	size_t n = strlen(text), label = 0;

	if (n > 0 && text[n - 1] == '.')
		n--;
	if (n == 0 || n > MW_DNSL_ZONE_MAX)
		return false;
	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)text[i];

		if (c == '.' && label == 0)
			return false;
		if (c != '.' && !(c < 0x80 && isalnum(c)) && c != '-' && c != '_')
			return false;
		label = c == '.' ? 0 : label + 1;
		if (label > 63)
			return false;
		zone[i] = (char)tolower(c);
	}
	zone[n] = '\0';
	return label > 0;
}

static enum mw_rc add_answer(struct mw_dnsl *d, const struct mw_val *v, struct mw_err *err_r)
{
	struct mw_net net;
	struct range *r = &d->ranges[d->count];

	if (v->tag != MW_V_STR || !mw_net_parse(v->str, &net) || net.negated || net.bits < 96 + 8 ||
		!mw_ip_is_v4(&net.ip) || net.ip.a[12] != LOOPBACK >> 24)
		return mw_fail(err_r, MW_ERR_CONF,
			"dnsl: \"%.60s\": an answer is an address or network in 127.0.0.0/8",
			mw_val_text(v, "?"));
	r->mask = UINT32_MAX << (128 - net.bits);
	r->net = 0;
	for (size_t i = 12; i < 16; i++)
		r->net = r->net << 8 | net.ip.a[i];
	d->count++;
	return MW_OK;
}

static enum mw_rc read_answers(struct mw_dnsl *d, const struct mw_val *v, struct mw_err *err_r)
{
	enum mw_rc rc = MW_OK;

	if (v->tag == MW_V_STR)
		return add_answer(d, v, err_r);
	if (v->count == 0)
		return mw_fail(
			err_r, MW_ERR_CONF, "dnsl: an empty list of answers matches nothing");
	for (size_t i = 0; i < v->count && rc == MW_OK; i++)
		rc = add_answer(d, &v->vals[i], err_r);
	return rc;
}

static enum mw_rc read_options(struct mw_dnsl *d, const struct mw_val *v, struct mw_err *err_r)
{
	const char *failure = mw_val_text(mw_val_field(v, "failure"), "");

	d->defers = strcmp(failure, "defer") == 0;
	if (v->count != 1 || (!d->defers && strcmp(failure, "ignore") != 0))
		return mw_fail(err_r, MW_ERR_CONF,
			"dnsl: expected { failure = \"defer\" } or { failure = \"ignore\" }");
	return MW_OK;
}

static bool is_options(const struct mw_val *v)
{
	return v->tag == MW_V_TABLE && v->made == MW_MADE_NOT && !v->is_array;
}

static bool is_answers(const struct mw_val *v)
{
	return v->tag == MW_V_STR ||
	       (v->tag == MW_V_TABLE && v->made == MW_MADE_NOT && v->is_array);
}

/* "zone" [, "answer" or { "answer", ... }] [, { failure = ... }] */
static enum mw_rc read_arguments(struct mw_dnsl *d, const struct mw_val *args, struct mw_err *err_r)
{
	const char *text = args->count > 0 ? mw_val_text(&args->vals[0], "") : "";
	enum mw_rc rc = MW_OK;
	size_t i = 1;

	for (; *text == '!'; text++)
		d->negated = !d->negated;
	if (!zone_of(text, d->zone))
		return mw_fail(err_r, MW_ERR_CONF,
			"dnsl: \"%.100s\": expected a zone of at most %d octets, as "
			"\"list.example.org\"",
			text, MW_DNSL_ZONE_MAX);
	if (i < args->count && is_answers(&args->vals[i]))
		rc = read_answers(d, &args->vals[i++], err_r);
	else
		d->ranges[d->count++] = (struct range){ LISTED, UINT32_MAX };
	if (rc == MW_OK && i < args->count && is_options(&args->vals[i]))
		rc = read_options(d, &args->vals[i++], err_r);
	if (rc == MW_OK && i < args->count)
		rc = mw_fail(err_r, MW_ERR_CONF,
			"dnsl: expected a zone, answers and options, as dnsl(\"list.example.org\", "
			"{ \"127.0.0.2\", \"127.0.0.4/30\" }, { failure = \"defer\" })");
	return rc;
}

enum mw_rc mw_dnsl_new(const struct mw_val *args, struct mw_dnsl **d_r, struct mw_err *err_r)
{
	size_t most = 1 + (args->count > 1 ? args->vals[1].count : 0);
	struct mw_dnsl *d = calloc(1, sizeof(*d) + most * sizeof(d->ranges[0]));
	enum mw_rc rc;

	if (d == NULL)
		return mw_fail(err_r, MW_ERR_NOMEM, "no memory");
	rc = read_arguments(d, args, err_r);
	if (rc == MW_OK)
		*d_r = d;
	else
		free(d);
	return rc;
}

void mw_dnsl_destroy(struct mw_dnsl **d_p)
{
	free(*d_p);
	*d_p = NULL;
}

const char *mw_dnsl_zone(const struct mw_dnsl *d)
{
	return d->zone;
}

/* ------------------------------------------------------------------ asking */

static bool is_wanted(const struct mw_dnsl *d, uint32_t a)
{
	for (size_t i = 0; i < d->count; i++)
		if ((a & d->ranges[i].mask) == d->ranges[i].net)
			return true;
	return false;
}

/* Into text, for traces. */
static void say_address(uint32_t a, char *text, size_t size)
{
	snprintf(text, size, "%u.%u.%u.%u", a >> 24, a >> 16 & 255, a >> 8 & 255, a & 255);
}

static bool unknown(const struct mw_dnsl *d, struct mw_dnsl_source *src, const char *why,
	struct mw_lookup_result *r)
{
	if (src != NULL)
		src->undecided |= d->defers;
	snprintf(r->error_text, sizeof(r->error_text), "%.100s: %.90s", d->zone, why);
	r->error = r->error_text;
	return false;
}

bool mw_dnsl_ask(const struct mw_dnsl *d, const struct mw_ip *ip, struct mw_dnsl_source *src,
	struct mw_lookup_result *r)
{
	const struct mw_dnsl_answer *answer = NULL;
	const char *why = "nobody asks DNS lists here";
	enum mw_dnsl_state state = MW_DNSL_UNKNOWN;

	/* No list has them, and our networks are nobody's business. */
	if (ip == NULL || !mw_ip_is_public_addr(ip))
		return false;
	if (src != NULL)
		state = src->find(src, ip, d->zone, &answer, &why);
	if (state == MW_DNSL_PENDING)
		return false;
	if (state == MW_DNSL_UNKNOWN)
		return unknown(d, src, why, r);
	for (size_t i = 0; i < answer->count; i++)
		if (is_wanted(d, answer->a[i])) {
			r->value = (struct mw_value){ .type = MW_VALUE_BOOL, .b = !d->negated };
			say_address(answer->a[i], r->text, sizeof(r->text));
			r->key = r->text;
			return true;
		}
	for (size_t i = 0; i < answer->count; i++)
		if ((answer->a[i] & ~255u) == NOT_ANSWERED)
			return unknown(d, src, "it refuses to answer (127.255.255.0/24)", r);
	return false;
}
