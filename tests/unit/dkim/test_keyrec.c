/* From TXT records to the key for a signature. */
#include "help.h"

static struct dkimsvc_key choose(const char *const *texts, size_t count, enum dkimsvc_alg alg)
{
	static unsigned char rdata[MW_DNS_RECORDS_MAX][2048];
	struct mw_dns_answer txt = { .state = MW_DNS_FOUND, .count = count };
	struct dkimsvc_key key;

	for (size_t i = 0; i < count; i++)
		txt.records[i] =
			mw_octets_of(rdata[i], help_rdata(texts[i], rdata[i], sizeof(rdata[i])));
	dkimsvc_key_choose(&txt, alg, &key);
	return key;
}

static struct dkimsvc_key choose_one(const char *text, enum dkimsvc_alg alg)
{
	return choose(&text, 1, alg);
}

static void a_key_is_taken_and_its_strings_joined(void **state)
{
	char text[700];
	struct dkimsvc_key key;

	(void)state;
	memset(text, 'A', sizeof(text));
	memcpy(text, "v=DKIM1; p=", 11);
	text[sizeof(text) - 1] = '\0';
	key = choose_one(text, DKIMSVC_RSA_SHA256);
	assert_true(key.usable);
	assert_string_equal(key.text, text);
	assert_false(key.testing);
}

static void records_that_are_no_usable_key_are_permerror_with_a_reason(void **state)
{
	static const struct {
		const char *text;
		enum dkimsvc_alg alg;
		const char *why;
	} cases[] = {
		{ "v=spf1 -all", DKIMSVC_RSA_SHA256, "no valid key record" },
		{ "v=DKIM1; k=rsa", DKIMSVC_RSA_SHA256, "no valid key record" },
		{ "v=DKIM2; p=AAAA", DKIMSVC_RSA_SHA256, "no valid key record" },
		{ "p=AAAA; v=DKIM1", DKIMSVC_RSA_SHA256,
			"no valid key record" }, /* v= has to come first */
		{ "p=AAAA; p=BBBB", DKIMSVC_RSA_SHA256, "no valid key record" },
		{ "", DKIMSVC_RSA_SHA256, "no valid key record" },
		{ "v=DKIM1; p=AA\xff", DKIMSVC_RSA_SHA256, "no valid key record" },
		{ "v=DKIM1; p=", DKIMSVC_RSA_SHA256, "key revoked" },
		{ "v=DKIM1; p= ; t=y", DKIMSVC_RSA_SHA256, "key revoked" },
		{ "v=DKIM1; k=ed25519; p=AAAA", DKIMSVC_RSA_SHA256, "key of another type" },
		{ "v=DKIM1; p=AAAA", DKIMSVC_ED25519_SHA256, "key of another type" },
		{ "v=DKIM1; k=rsa; p=AAAA", DKIMSVC_ED25519_SHA256, "key of another type" },
	};

	(void)state;
	for (size_t i = 0; i < MW_COUNT(cases); i++) {
		struct dkimsvc_key key = choose_one(cases[i].text, cases[i].alg);

		assert_false(key.usable);
		assert_int_equal(key.as, DKIMSVC_PERMERROR);
		assert_string_equal(key.why, cases[i].why);
	}
	assert_true(choose_one("p=AAAA", DKIMSVC_RSA_SHA256).usable);
	assert_true(choose_one("v=DKIM1; k=ed25519; p=AAAA", DKIMSVC_ED25519_SHA256).usable);
}

static void the_test_flag_is_told(void **state)
{
	(void)state;
	assert_true(choose_one("v=DKIM1; t=y; p=AAAA", DKIMSVC_RSA_SHA256).testing);
	assert_true(choose_one("v=DKIM1; t=s:y; p=AAAA", DKIMSVC_RSA_SHA256).testing);
	assert_false(choose_one("v=DKIM1; t=s; p=AAAA", DKIMSVC_RSA_SHA256).testing);
	assert_false(choose_one("v=DKIM1; t=yes; p=AAAA", DKIMSVC_RSA_SHA256).testing);
}

static void one_key_among_other_records_is_found_and_two_are_not_chosen_from(void **state)
{
	static const char *const mixed[] = { "v=spf1 -all", "v=DKIM1; p=AAAA", "verification=xyz" };
	static const char *const two[] = { "v=DKIM1; p=AAAA", "v=DKIM1; p=BBBB" };

	(void)state;
	assert_string_equal(choose(mixed, 3, DKIMSVC_RSA_SHA256).text, "v=DKIM1; p=AAAA");
	assert_string_equal(choose(two, 2, DKIMSVC_RSA_SHA256).why, "several key records");
}

static void a_record_of_1023_octets_fits_and_one_more_does_not(void **state)
{
	char text[DKIMSVC_KEY_OCTETS_MAX + 1];

	(void)state;
	for (size_t n = DKIMSVC_KEY_OCTETS_MAX - 1; n <= DKIMSVC_KEY_OCTETS_MAX; n++) {
		memset(text, 'A', n);
		memcpy(text, "p=", 2);
		text[n] = '\0';
		assert_int_equal(
			choose_one(text, DKIMSVC_RSA_SHA256).usable, n < DKIMSVC_KEY_OCTETS_MAX);
	}
}

static void rdata_cut_at_any_octet_is_read_without_harm(void **state)
{
	unsigned char rdata[64];
	size_t n = help_rdata("v=DKIM1; p=AAAA", rdata, sizeof(rdata));

	(void)state;
	for (size_t cut = 0; cut < n; cut++) {
		unsigned char *exact = malloc(cut > 0 ? cut : 1);
		struct mw_dns_answer txt = { .state = MW_DNS_FOUND, .count = 1 };
		struct dkimsvc_key key;

		memcpy(exact, rdata, cut);
		txt.records[0] = mw_octets_of(exact, cut);
		dkimsvc_key_choose(&txt, DKIMSVC_RSA_SHA256, &key);
		assert_false(key.usable);
		free(exact);
	}
}

static void silence_is_temperror_and_absence_permerror(void **state)
{
	const struct mw_dns_answer silent = { .state = MW_DNS_FAILED,
		.why = "DNS did not answer in time" };
	const struct mw_dns_answer absent = { .state = MW_DNS_ABSENT };
	const struct mw_dns_answer flood = { .state = MW_DNS_FOUND, .too_many = true };
	struct dkimsvc_key key;

	(void)state;
	dkimsvc_key_choose(&silent, DKIMSVC_RSA_SHA256, &key);
	assert_false(key.usable);
	assert_int_equal(key.as, DKIMSVC_TEMPERROR);
	assert_string_equal(key.why, "DNS did not answer in time");
	dkimsvc_key_choose(&absent, DKIMSVC_RSA_SHA256, &key);
	assert_int_equal(key.as, DKIMSVC_PERMERROR);
	assert_string_equal(key.why, "no key for signature");
	dkimsvc_key_choose(&flood, DKIMSVC_RSA_SHA256, &key);
	assert_false(key.usable);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_key_is_taken_and_its_strings_joined),
		cmocka_unit_test(records_that_are_no_usable_key_are_permerror_with_a_reason),
		cmocka_unit_test(the_test_flag_is_told),
		cmocka_unit_test(one_key_among_other_records_is_found_and_two_are_not_chosen_from),
		cmocka_unit_test(a_record_of_1023_octets_fits_and_one_more_does_not),
		cmocka_unit_test(rdata_cut_at_any_octet_is_read_without_harm),
		cmocka_unit_test(silence_is_temperror_and_absence_permerror),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
