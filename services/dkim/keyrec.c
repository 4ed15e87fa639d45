#include "keyrec.h"

/* Join a TXT record's strings. False: cut short, too long, or octets that no key record has. */
static bool join_strings(struct mw_octets rdata, char *buf, size_t size)
{
	size_t at = 0, n = 0;

	while (at < rdata.n) {
		size_t len = rdata.p[at++];

		if (len > rdata.n - at || len >= size - n)
			return false;
		for (size_t i = 0; i < len; i++) {
			unsigned char c = rdata.p[at + i];

			if (c > 0x7e || (c < ' ' && c != '\t' && c != '\r' && c != '\n'))
				return false;
			buf[n++] = (char)c;
		}
		at += len;
	}
	buf[n] = '\0';
	return n > 0;
}

struct parsed {
	bool is_key;
	bool revoked, testing;
	bool fits; /* k= suits the signature's algorithm */
};

static bool value_is(struct mw_octets v, const char *text)
{
	return v.n == strlen(text) && memcmp(v.p, text, v.n) == 0;
}

/* Flags of t=, separated by colons: y is testing. */
static bool has_flag_y(struct mw_octets v)
{
	for (size_t i = 0; i < v.n; i++)
		if (v.p[i] == 'y' && (i == 0 || v.p[i - 1] == ':' || v.p[i - 1] == ' ') &&
			(i + 1 == v.n || v.p[i + 1] == ':' || v.p[i + 1] == ' '))
			return true;
	return false;
}

/* Tags decide whether it is a key at all: wildcard TXT records answer for every selector. */
static struct parsed parse_record(const char *text, enum dkimsvc_alg alg)
{
	struct mw_octets rest = mw_octets_of_text(text);
	struct parsed r = { .fits = alg == DKIMSVC_RSA_SHA256 }; /* k= is rsa when absent */
	struct dkimsvc_tag tag;
	size_t count = 0;
	int more;

	while ((more = dkimsvc_tag_next(&rest, &tag)) == 1 && count < DKIMSVC_TAGS_MAX) {
		if (value_is(tag.name, "v") && (count > 0 || !value_is(tag.value, "DKIM1")))
			return (struct parsed){ 0 };
		if (value_is(tag.name, "p")) {
			if (r.is_key)
				return (struct parsed){ 0 }; /* p= twice */
			r.is_key = true;
			r.revoked = tag.value.n == 0;
		} else if (value_is(tag.name, "k")) {
			r.fits = mw_octets_ieq(
				tag.value, alg == DKIMSVC_RSA_SHA256 ? "rsa" : "ed25519");
		} else if (value_is(tag.name, "t")) {
			r.testing = has_flag_y(tag.value);
		}
		count++;
	}
	if (more != 0)
		return (struct parsed){ 0 };
	return r;
}

static void refuse(struct dkimsvc_key *key, enum dkimsvc_result as, const char *why)
{
	key->usable = false;
	key->as = as;
	key->why = why;
	key->text[0] = '\0';
}

/* Several TXT records: RFC 6376 section 3.6.2.2 leaves it undefined; one key among other records is
 * clear enough. */
static void choose_among(
	const struct mw_dns_answer *txt, enum dkimsvc_alg alg, struct dkimsvc_key *key)
{
	char text[DKIMSVC_KEY_OCTETS_MAX];
	struct parsed chosen = { 0 };
	size_t keys = 0;

	for (size_t i = 0; i < txt->count; i++) {
		struct parsed one;

		if (!join_strings(txt->records[i], text, sizeof(text)))
			continue;
		one = parse_record(text, alg);
		if (!one.is_key)
			continue;
		keys++;
		chosen = one;
		memcpy(key->text, text, sizeof(text));
	}
	if (keys == 0)
		refuse(key, DKIMSVC_PERMERROR, "no valid key record");
	else if (keys > 1)
		refuse(key, DKIMSVC_PERMERROR, "several key records");
	else if (chosen.revoked)
		refuse(key, DKIMSVC_PERMERROR, "key revoked");
	else if (!chosen.fits)
		refuse(key, DKIMSVC_PERMERROR, "key of another type");
	else
		key->testing = chosen.testing;
}

void dkimsvc_key_choose(
	const struct mw_dns_answer *txt, enum dkimsvc_alg alg, struct dkimsvc_key *key_r)
{
	memset(key_r, 0, sizeof(*key_r));
	key_r->usable = true;
	if (txt->state == MW_DNS_FAILED)
		refuse(key_r, DKIMSVC_TEMPERROR, txt->why);
	else if (txt->state == MW_DNS_ABSENT)
		refuse(key_r, DKIMSVC_PERMERROR, "no key for signature");
	else if (txt->too_many)
		refuse(key_r, DKIMSVC_PERMERROR, "too many TXT records");
	else
		choose_among(txt, alg, key_r);
}
