/* fuzz: common services/dkim */
/*
 * Signatures on any octets. First octet even: a DKIM-Signature value and a key record are read;
 * what is found sound keeps its promises. Odd: a whole mail is verified by libopendkim with a key
 * of which nobody has the private half, so that nothing may pass.
 */
#include <stdlib.h>

#include "keyrec.h"
#include "message.h"
#include "verify.h"

#define NOW_S 1800000000u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool promise)
{
	if (!promise)
		abort();
}

static void read_tags(struct mw_octets value)
{
	struct mw_octets rest = value;
	struct dkimsvc_tag tag;
	size_t before = rest.n;

	while (dkimsvc_tag_next(&rest, &tag) == 1) {
		require(rest.n < before && tag.name.n > 0);
		require(tag.name.p >= value.p && tag.value.p + tag.value.n <= value.p + value.n);
		before = rest.n;
	}
}

static void read_signature(struct mw_octets value)
{
	char name[DKIMSVC_DOMAIN_MAX];
	struct dkimsvc_sig sig;

	dkimsvc_sig_scan(value, NOW_S, &sig);
	require(sig.as < DKIMSVC_RESULT_COUNT && sig.as != DKIMSVC_PASS);
	require(mw_is_printable(sig.d, strlen(sig.d)) && mw_is_printable(sig.s, strlen(sig.s)));
	require(mw_is_printable(sig.i, strlen(sig.i)) && mw_is_printable(sig.a, strlen(sig.a)));
	require(mw_is_printable(sig.b, strlen(sig.b)));
	if (sig.error != NULL)
		return;
	require(sig.d[0] != '\0' && sig.s[0] != '\0' && sig.b[0] != '\0' &&
		strchr(sig.i, '@') != NULL);
	require(dkimsvc_key_name(&sig, name, sizeof(name)) && strlen(name) < DKIMSVC_DOMAIN_MAX);
}

static void read_key(struct mw_octets rdata)
{
	struct mw_dns_answer txt = { .state = MW_DNS_FOUND, .count = 2 };

	txt.records[0] = rdata;
	txt.records[1] = mw_octets_of(rdata.p + rdata.n / 2, rdata.n - rdata.n / 2);
	for (int alg = DKIMSVC_RSA_SHA256; alg <= DKIMSVC_ED25519_SHA256; alg++) {
		struct dkimsvc_key key;

		dkimsvc_key_choose(&txt, (enum dkimsvc_alg)alg, &key);
		require(key.usable == (key.text[0] != '\0'));
		require(key.usable || (key.why != NULL && key.as == DKIMSVC_PERMERROR));
	}
}

static void give_key(struct dkimsvc_checked *c)
{
	static const char ed25519[] =
		"v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=";
	static const char rsa[] =
		"v=DKIM1; k=rsa; "
		"p=MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDwIRP/UC3SBsEmGqZ9ZJW3/DkMoGeLnQg1fWn7/"
		"zYtIxN2SnFCjxOCKG9v3b4jYfcTNh5ijSsq631uBItLa7od+v/RtdC2UzJ1lWT947qR+Rcac2gbto/"
		"NMqJ0fzfVjH4OuKhi"
		"tdY9tf6mcwGjaNBcWToIMmPSPDdQPNUYckcQ2QIDAQAB";

	c->key.usable = true;
	mw_strlcpy(
		c->key.text, c->sig.alg == DKIMSVC_RSA_SHA256 ? rsa : ed25519, sizeof(c->key.text));
}

static void verify_mail(struct mw_octets octets)
{
	static struct dkimsvc_verifier *verifier;
	static const atomic_bool never;
	struct dkimsvc_checked checked[DKIMSVC_SIGNATURES_MAX];
	struct mw_job job = { .part_count = 2 };
	struct dkimsvc_message m = { 0 };
	size_t count = 0;

	job.parts[0] = mw_octets_of(octets.p, octets.n - octets.n / 4);
	job.parts[1] = mw_octets_of(octets.p + job.parts[0].n, octets.n / 4);
	if (verifier == NULL)
		require(dkimsvc_verifier_open(&verifier, NULL) == MW_OK);
	require(dkimsvc_message_open(&m, &job) == MW_OK);
	memset(checked, 0, sizeof(checked));
	for (size_t i = 0; i < m.header.count && count < DKIMSVC_SIGNATURES_MAX; i++) {
		if (m.header.fields[i].id != MW_H_DKIM_SIGNATURE)
			continue;
		checked[count].field = &m.header.fields[i];
		dkimsvc_sig_scan(
			mw_field_value(&m.header, &m.header.fields[i]), NOW_S, &checked[count].sig);
		give_key(&checked[count++]);
	}
	require(dkimsvc_verify(verifier, &m, checked, count, &never) == MW_OK);
	for (size_t i = 0; i < count; i++)
		require(checked[i].result != DKIMSVC_PASS && checked[i].reason[0] != '\0');
	dkimsvc_message_fini(&m);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct mw_octets rest;

	if (size == 0)
		return 0;
	rest = mw_octets_of(data + 1, size - 1);
	if ((data[0] & 1) != 0) {
		verify_mail(rest);
	} else {
		read_tags(rest);
		read_signature(rest);
		read_key(rest);
	}
	return 0;
}
