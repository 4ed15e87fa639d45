#include "sigscan.h"

#include <stdio.h>

#define LABEL_MAX 63 /* RFC 1035 section 2.3.4 */
#define NUMBER_DIGITS_MAX                                                                          \
	12 /* RFC 6376 section 3.5: longer x= may be taken for infinite; nobody means it */

const char *dkimsvc_result_name(enum dkimsvc_result result)
{
	static const char *const names[] = { "pass", "fail", "neutral", "temperror", "permerror" };

	return result < DKIMSVC_RESULT_COUNT ? names[result] : "permerror";
}

/* ------------------------------------------------------------------ octets */

static bool is_digit(unsigned char c)
{
	return c >= '0' && c <= '9';
}

static bool is_alpha(unsigned char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_alnum(unsigned char c)
{
	return is_alpha(c) || is_digit(c);
}

/* FWS as octets: whether CR and LF come in pairs was settled by fold_is_sound. */
static bool is_fws(unsigned char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static struct mw_octets trim(struct mw_octets o)
{
	while (o.n > 0 && is_fws(o.p[0]))
		o = mw_octets_of(o.p + 1, o.n - 1);
	while (o.n > 0 && is_fws(o.p[o.n - 1]))
		o.n--;
	return o;
}

/* Printable ASCII, blanks, and CRLF only where a blank follows: anything else in a field is an
 * attempt at something. */
static bool fold_is_sound(struct mw_octets o)
{
	for (size_t i = 0; i < o.n; i++) {
		unsigned char c = o.p[i];

		if (c == '\r') {
			if (i + 2 >= o.n || o.p[i + 1] != '\n' ||
				(o.p[i + 2] != ' ' && o.p[i + 2] != '\t'))
				return false;
			i++;
		} else if ((c < ' ' && c != '\t') || c > 0x7e) {
			return false;
		}
	}
	return true;
}

/* ------------------------------------------------------------------ tag lists */

int dkimsvc_tag_next(struct mw_octets *rest, struct dkimsvc_tag *tag_r)
{
	struct mw_octets o = trim(*rest);
	const unsigned char *end;
	size_t n = 0;

	if (o.n == 0)
		return 0;
	if (!is_alpha(o.p[0]))
		return -1;
	while (n < o.n && (is_alnum(o.p[n]) || o.p[n] == '_'))
		n++;
	tag_r->name = mw_octets_of(o.p, n);
	while (n < o.n && is_fws(o.p[n]))
		n++;
	if (n == o.n || o.p[n] != '=')
		return -1;
	o = mw_octets_of(o.p + n + 1, o.n - n - 1);
	end = o.n > 0 ? memchr(o.p, ';', o.n) : NULL;
	n = end != NULL ? (size_t)(end - o.p) : o.n;
	tag_r->value = trim(mw_octets_of(o.p, n));
	if (end != NULL)
		n++;
	*rest = mw_octets_of(o.p + n, o.n - n);
	return 1;
}

/* ------------------------------------------------------------------ values */

static bool octets_are(struct mw_octets o, const char *text)
{
	return o.n == strlen(text) && memcmp(o.p, text, o.n) == 0;
}

/* A domain or selector: labels of letters, digits, hyphens and underscores. Copies it into buf when
 * it is one. */
static bool take_domain(struct mw_octets o, char *buf, size_t size)
{
	size_t label = 0;

	if (o.n == 0 || o.n >= size)
		return false;
	for (size_t i = 0; i < o.n; i++) {
		if (o.p[i] == '.') {
			if (label == 0 || i + 1 == o.n)
				return false;
			label = 0;
		} else if (!is_alnum(o.p[i]) && o.p[i] != '-' && o.p[i] != '_') {
			return false;
		} else if (++label > LABEL_MAX) {
			return false;
		}
	}
	return mw_strncpy(buf, size, o.p, o.n);
}

static bool take_number(struct mw_octets o, size_t digits_max, uint64_t *v_r)
{
	uint64_t v = 0;

	if (o.n == 0 || o.n > digits_max)
		return false;
	for (size_t i = 0; i < o.n; i++) {
		if (!is_digit(o.p[i]))
			return false;
		v = v * 10 + (uint64_t)(o.p[i] - '0');
	}
	*v_r = v;
	return true;
}

static bool is_base64(struct mw_octets o)
{
	size_t n = 0;

	for (size_t i = 0; i < o.n; i++)
		if (is_alnum(o.p[i]) || o.p[i] == '+' || o.p[i] == '/' || o.p[i] == '=')
			n++;
		else if (!is_fws(o.p[i]))
			return false;
	return n > 0;
}

/* ------------------------------------------------------------------ one reader for each tag */

typedef const char *tag_reader(struct mw_octets v, struct dkimsvc_sig *sig);

static const char *read_v(struct mw_octets v, struct dkimsvc_sig *sig)
{
	(void)sig;
	return octets_are(v, "1") ? NULL : "unknown signature version";
}

static const char *read_a(struct mw_octets v, struct dkimsvc_sig *sig)
{
	if (v.n < sizeof(sig->a) && mw_is_printable(v.p, v.n))
		mw_strncpy(sig->a, sizeof(sig->a), v.p, v.n);
	if (mw_octets_ieq(v, "rsa-sha256")) {
		sig->alg = DKIMSVC_RSA_SHA256;
		return NULL;
	}
	if (mw_octets_ieq(v, "ed25519-sha256")) {
		sig->alg = DKIMSVC_ED25519_SHA256;
		return NULL;
	}
	if (mw_octets_ieq(v, "rsa-sha1")) {
		sig->as = DKIMSVC_PERMERROR; /* RFC 8301 section 3.1: must not be taken for valid */
		return "rsa-sha1 is not accepted (RFC 8301)";
	}
	return "unknown algorithm";
}

static const char *read_d(struct mw_octets v, struct dkimsvc_sig *sig)
{
	return take_domain(v, sig->d, sizeof(sig->d)) ? NULL : "invalid d=";
}

static const char *read_s(struct mw_octets v, struct dkimsvc_sig *sig)
{
	return take_domain(v, sig->s, sizeof(sig->s)) ? NULL : "invalid s=";
}

/* dkim-quoted-printable, RFC 6376 section 2.11: an "=" always begins two capital hexadecimal
 * digits. */
static const char *read_i(struct mw_octets v, struct dkimsvc_sig *sig)
{
	static const char hex[] = "0123456789ABCDEF";

	if (v.n == 0 || v.n >= DKIMSVC_IDENTITY_MAX)
		return "invalid i=";
	for (size_t i = 0; i < v.n; i++) {
		if (v.p[i] <= ' ' || v.p[i] > 0x7e)
			return "invalid i=";
		if (v.p[i] == '=' && (i + 2 >= v.n || memchr(hex, v.p[i + 1], 16) == NULL ||
					     memchr(hex, v.p[i + 2], 16) == NULL))
			return "invalid i=";
	}
	mw_strncpy(sig->i, sizeof(sig->i), v.p, v.n);
	return NULL;
}

static const char *read_c(struct mw_octets v, struct dkimsvc_sig *sig)
{
	static const char *const known[] = { "simple", "relaxed", "simple/simple", "simple/relaxed",
		"relaxed/simple", "relaxed/relaxed" };

	(void)sig;
	for (size_t i = 0; i < MW_COUNT(known); i++)
		if (mw_octets_ieq(v, known[i]))
			return NULL;
	return "unknown canonicalization";
}

static const char *read_h(struct mw_octets v, struct dkimsvc_sig *sig)
{
	size_t names = 0, octets = 0;
	bool from = false;

	(void)sig;
	for (;;) {
		const unsigned char *colon = v.n > 0 ? memchr(v.p, ':', v.n) : NULL;
		struct mw_octets name =
			trim(mw_octets_of(v.p, colon != NULL ? (size_t)(colon - v.p) : v.n));

		if (name.n == 0)
			return "invalid h=";
		for (size_t i = 0; i < name.n; i++)
			if (name.p[i] <= ' ' || name.p[i] > 0x7e)
				return "invalid h=";
		octets += name.n + 1;
		if (++names > DKIMSVC_HLIST_MAX || octets > DKIMSVC_HLIST_OCTETS_MAX)
			return "h= names too many fields";
		from |= mw_octets_ieq(name, "from");
		if (colon == NULL)
			break;
		v = mw_octets_of(colon + 1, v.n - (size_t)(colon + 1 - v.p));
	}
	return from ? NULL : "h= does not name From";
}

static const char *read_l(struct mw_octets v, struct dkimsvc_sig *sig)
{
	uint64_t octets;

	(void)sig;
	return take_number(v, 15, &octets) ? NULL : "invalid l=";
}

static const char *read_q(struct mw_octets v, struct dkimsvc_sig *sig)
{
	(void)sig;
	for (;;) {
		const unsigned char *colon = v.n > 0 ? memchr(v.p, ':', v.n) : NULL;

		if (mw_octets_ieq(
			    trim(mw_octets_of(v.p, colon != NULL ? (size_t)(colon - v.p) : v.n)),
			    "dns/txt"))
			return NULL;
		if (colon == NULL)
			return "unknown query method";
		v = mw_octets_of(colon + 1, v.n - (size_t)(colon + 1 - v.p));
	}
}

static const char *read_t(struct mw_octets v, struct dkimsvc_sig *sig)
{
	return take_number(v, NUMBER_DIGITS_MAX, &sig->t) && sig->t >= DKIMSVC_EPOCH_S
		       ? NULL
		       : "invalid t=";
}

static const char *read_x(struct mw_octets v, struct dkimsvc_sig *sig)
{
	return take_number(v, NUMBER_DIGITS_MAX, &sig->x) && sig->x > 0 ? NULL : "invalid x=";
}

static const char *read_b(struct mw_octets v, struct dkimsvc_sig *sig)
{
	size_t n = 0;

	if (!is_base64(v))
		return "invalid b=";
	for (size_t i = 0; i < v.n && n < sizeof(sig->b) - 1; i++)
		if (!is_fws(v.p[i]))
			sig->b[n++] = (char)v.p[i];
	sig->b[n] = '\0';
	return NULL;
}

static const char *read_bh(struct mw_octets v, struct dkimsvc_sig *sig)
{
	(void)sig;
	return is_base64(v) ? NULL : "invalid bh=";
}

static const struct known_tag {
	const char *name;
	tag_reader *read;
	const char *missing; /* NULL: it may be absent */
} known_tags[] = {
	{ "v", read_v, "v= is missing" },
	{ "a", read_a, "a= is missing" },
	{ "b", read_b, "b= is missing" },
	{ "bh", read_bh, "bh= is missing" },
	{ "c", read_c, NULL },
	{ "d", read_d, "d= is missing" },
	{ "h", read_h, "h= is missing" },
	{ "i", read_i, NULL },
	{ "l", read_l, NULL },
	{ "q", read_q, NULL },
	{ "s", read_s, "s= is missing" },
	{ "t", read_t, NULL },
	{ "x", read_x, NULL },
};

/* ------------------------------------------------------------------ the whole */

/* The first error is told; reading goes on, because the report wants d=, s= and b= all the same. */
static void complain(struct dkimsvc_sig *sig, const char *error)
{
	if (sig->error == NULL)
		sig->error = error;
}

static bool tag_twice(const struct dkimsvc_tag *tags, size_t count)
{
	const struct mw_octets *name = &tags[count - 1].name;

	for (size_t i = 0; i + 1 < count; i++)
		if (tags[i].name.n == name->n && memcmp(tags[i].name.p, name->p, name->n) == 0)
			return true;
	return false;
}

static void scan_tags(struct mw_octets rest, struct dkimsvc_sig *sig)
{
	struct dkimsvc_tag tags[DKIMSVC_TAGS_MAX];
	unsigned seen = 0;
	size_t count = 0;
	int more;

	while ((more = dkimsvc_tag_next(&rest, &tags[count])) == 1) {
		for (size_t i = 0; i < MW_COUNT(known_tags); i++)
			if (octets_are(tags[count].name, known_tags[i].name) &&
				(seen & MW_BIT(i)) == 0) {
				complain(sig, known_tags[i].read(tags[count].value, sig));
				seen |= MW_BIT(i);
			}
		count++;
		if (tag_twice(tags, count)) {
			complain(sig, "a tag is given twice");
			return;
		}
		if (count == DKIMSVC_TAGS_MAX) {
			complain(sig, "too many tags");
			return;
		}
	}
	if (more < 0)
		complain(sig, "malformed tag list");
	for (size_t i = 0; i < MW_COUNT(known_tags); i++)
		if ((seen & MW_BIT(i)) == 0)
			complain(sig, known_tags[i].missing);
}

/* i= has to be d= or below it, RFC 6376 section 3.5. */
static bool identity_fits(const char *i, const char *d)
{
	const char *at = strrchr(i, '@');
	size_t n, m = strlen(d);

	if (at == NULL)
		return false;
	n = strlen(at + 1);
	return n >= m && mw_ieq(at + 1 + n - m, d) && (n == m || at[n - m] == '.');
}

static void check_times(struct dkimsvc_sig *sig, uint64_t now_s)
{
	if (sig->t > now_s + DKIMSVC_CLOCK_DRIFT_S)
		complain(sig, "t= lies in the future");
	if (sig->t != 0 && sig->x != 0 && sig->x <= sig->t)
		complain(sig, "x= is not after t=");
	sig->expired = sig->x != 0 && sig->x < now_s;
}

void dkimsvc_sig_scan(struct mw_octets value, uint64_t now_s, struct dkimsvc_sig *sig_r)
{
	char name[DKIMSVC_DOMAIN_MAX];

	memset(sig_r, 0, sizeof(*sig_r));
	sig_r->as = DKIMSVC_NEUTRAL;
	if (value.n > DKIMSVC_SIG_OCTETS_MAX) {
		complain(sig_r, "signature field too long");
		return;
	}
	if (!fold_is_sound(value)) {
		complain(sig_r, "octet not allowed in a signature");
		return;
	}
	scan_tags(value, sig_r);
	if (sig_r->i[0] == '\0' && sig_r->d[0] != '\0')
		snprintf(sig_r->i, sizeof(sig_r->i), "@%s", sig_r->d);
	if (sig_r->error == NULL && !identity_fits(sig_r->i, sig_r->d))
		complain(sig_r, "i= is not within d=");
	check_times(sig_r, now_s);
	if (sig_r->error == NULL && !dkimsvc_key_name(sig_r, name, sizeof(name)))
		complain(sig_r, "name of the key too long");
}

bool dkimsvc_key_name(const struct dkimsvc_sig *sig, char *buf, size_t size)
{
	int n = snprintf(buf, size, "%s._domainkey.%s", sig->s, sig->d);

	if (n < 0 || (size_t)n >= size || (size_t)n >= DKIMSVC_DOMAIN_MAX)
		return false;
	for (char *c = buf; *c != '\0'; c++)
		if (*c >= 'A' && *c <= 'Z')
			*c = (char)(*c | 0x20);
	return true;
}
