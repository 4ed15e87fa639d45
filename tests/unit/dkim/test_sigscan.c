/* The scanner of signature tags: what it reads, and everything it refuses before libopendkim sees
 * it. */
#include "help.h"
#include "sigscan.h"

#define NOW_S 1800000000u
#define GOOD                                                                                       \
	"v=1; a=rsa-sha256; c=relaxed/simple; d=example.org; s=sel; t=1799999000; x=1800009000;"   \
	" i=ann@mail.example.org; h=from:subject; bh=AAAA; b=abcdEFGH ij"

static struct dkimsvc_sig scan(const char *text)
{
	struct dkimsvc_sig sig;

	dkimsvc_sig_scan(mw_octets_of_text(text), NOW_S, &sig);
	return sig;
}

static void a_usual_signature_is_read(void **state)
{
	struct dkimsvc_sig sig = scan(GOOD);
	char name[DKIMSVC_DOMAIN_MAX];

	(void)state;
	assert_null(sig.error);
	assert_string_equal(sig.d, "example.org");
	assert_string_equal(sig.s, "sel");
	assert_string_equal(sig.i, "ann@mail.example.org");
	assert_string_equal(sig.a, "rsa-sha256");
	assert_string_equal(sig.b, "abcdEFGH");
	assert_int_equal(sig.alg, DKIMSVC_RSA_SHA256);
	assert_false(sig.expired);
	assert_true(dkimsvc_key_name(&sig, name, sizeof(name)));
	assert_string_equal(name, "sel._domainkey.example.org");
}

static void folds_and_blanks_around_tags_do_not_matter(void **state)
{
	struct dkimsvc_sig sig = scan("v = 1 ;\r\n\ta=ed25519-sha256;\r\n d = Example.ORG ; s "
				      "=\r\n Sel;h=\r\n From :\r\n "
				      "Subject; bh=AA\r\n AA; b=ab\r\n\tcd \r\n efgh; ");
	char name[DKIMSVC_DOMAIN_MAX];

	(void)state;
	assert_null(sig.error);
	assert_int_equal(sig.alg, DKIMSVC_ED25519_SHA256);
	assert_string_equal(sig.b, "abcdefgh");
	assert_string_equal(sig.i, "@Example.ORG");
	assert_true(dkimsvc_key_name(&sig, name, sizeof(name)));
	assert_string_equal(name, "sel._domainkey.example.org");
}

/* %s stands for the hostile tag, in front of a signature that is good without it. */
static const char rest[] = "v=1; a=rsa-sha256; d=example.org; s=sel; h=from; bh=AAAA; b=AAAA";

static const struct {
	const char *text, *error;
} unsound[] = {
	{ "", "v= is missing" },
	{ ";", "malformed tag list" },
	{ "v=1", "a= is missing" },
	{ "v=2; a=rsa-sha256; d=example.org; s=sel; h=from; bh=AAAA; b=AAAA",
		"unknown signature version" },
	{ "v=1; a=rsa-sha1; d=example.org; s=sel; h=from; bh=AAAA; b=AAAA",
		"rsa-sha1 is not accepted (RFC 8301)" },
	{ "v=1; a=rsa-md5; d=example.org; s=sel; h=from; bh=AAAA; b=AAAA", "unknown algorithm" },
	{ "v=1; a=rsa-sha256; d=exa mple.org; s=sel; h=from; bh=AAAA; b=AAAA", "invalid d=" },
	{ "v=1; a=rsa-sha256; d=exa\r\n mple.org; s=sel; h=from; bh=AAAA; b=AAAA", "invalid d=" },
	{ "v=1; a=rsa-sha256; d=; s=sel; h=from; bh=AAAA; b=AAAA", "invalid d=" },
	{ "v=1; a=rsa-sha256; d=.example.org; s=sel; h=from; bh=AAAA; b=AAAA", "invalid d=" },
	{ "v=1; a=rsa-sha256; d=example..org; s=sel; h=from; bh=AAAA; b=AAAA", "invalid d=" },
	{ "v=1; a=rsa-sha256; d=example.org.; s=sel; h=from; bh=AAAA; b=AAAA", "invalid d=" },
	{ "v=1; a=rsa-sha256; d=example.org/x; s=sel; h=from; bh=AAAA; b=AAAA", "invalid d=" },
	{ "v=1; a=rsa-sha256; d=example.org; s=a\\.b; h=from; bh=AAAA; b=AAAA", "invalid s=" },
	{ "v=1; a=rsa-sha256; d=example.org; h=from; bh=AAAA; b=AAAA", "s= is missing" },
	{ "v=1; a=rsa-sha256; d=example.org; s=sel; h=subject; bh=AAAA; b=AAAA",
		"h= does not name From" },
	{ "v=1; a=rsa-sha256; d=example.org; s=sel; h=from:; bh=AAAA; b=AAAA", "invalid h=" },
	{ "v=1; a=rsa-sha256; d=example.org; s=sel; h=:; bh=AAAA; b=AAAA", "invalid h=" },
	{ "v=1; a=rsa-sha256; d=example.org; s=sel; h=; bh=AAAA; b=AAAA", "invalid h=" },
	{ "v=1; a=rsa-sha256; d=example.org; s=sel; h=from:x y; bh=AAAA; b=AAAA", "invalid h=" },
	{ "v=1; a=rsa-sha256; d=example.org; s=sel; h=from; bh=; b=AAAA", "invalid bh=" },
	{ "v=1; a=rsa-sha256; d=example.org; s=sel; h=from; bh=AAAA; b= ", "invalid b=" },
	{ "v=1; a=rsa-sha256; d=example.org; s=sel; h=from; bh=AAAA; b=AA*A", "invalid b=" },
	{ "v=1; a=rsa-sha256; d=example.org; s=sel; h=from; bh=AAAA", "b= is missing" },
	{ "d=example.com; v=1; a=rsa-sha256; d=example.org; s=sel; h=from; bh=AAAA; b=AAAA",
		"a tag is given twice" },
	{ "zz=1; zz=1; v=1; a=rsa-sha256; d=example.org; s=sel; h=from; bh=AAAA; b=AAAA",
		"a tag is given twice" },
	{ "=1; v=1; a=rsa-sha256; d=example.org; s=sel; h=from; bh=AAAA; b=AAAA",
		"malformed tag list" },
	{ "v 1; a=rsa-sha256; d=example.org; s=sel; h=from; bh=AAAA; b=AAAA",
		"malformed tag list" },
	{ "v=1; a=rsa-sha256; d=example.org; s=sel; h=from; bh=AAAA; b=AAAA; x",
		"malformed tag list" },
	{ "v=1; a=rsa-sha256; d=example.org; s=sel; h=from; bh=AAAA; b=AAAA;\r\nx=1",
		"octet not allowed in a signature" },
	{ "v=1; a=rsa-sha256; d=example.org; s=sel; h=from; bh=AAAA; b=AAAA\rX",
		"octet not allowed in a signature" },
	{ "v=1; a=rsa-sha256; d=example.org; s=sel; h=from; bh=AAAA; b=AAAA\r\n",
		"octet not allowed in a signature" },
	{ "v=1; a=rsa-sha256; d=ex\xc3\xa4.org; s=sel; h=from; bh=AAAA; b=AAAA",
		"octet not allowed in a signature" },
};

static void what_is_not_a_sound_signature_is_refused_with_its_reason(void **state)
{
	(void)state;
	assert_null(scan(rest).error);
	for (size_t i = 0; i < MW_COUNT(unsound); i++) {
		struct dkimsvc_sig sig = scan(unsound[i].text);

		if (sig.error == NULL || strcmp(sig.error, unsound[i].error) != 0)
			print_error("for: %s\n", unsound[i].text);
		assert_non_null(sig.error);
		assert_string_equal(sig.error, unsound[i].error);
	}
}

static void optional_tags_are_held_to_their_syntax(void **state)
{
	static const struct {
		const char *tag, *error;
	} cases[] = {
		{ "c=simple", NULL },
		{ "c=relaxed/relaxed", NULL },
		{ "c=relaxed/", "unknown canonicalization" },
		{ "c=nofws", "unknown canonicalization" },
		{ "l=0", NULL },
		{ "l=123456789012345", NULL },
		{ "l=1234567890123456",
			"invalid l=" }, /* libopendkim would make it negative further up */
		{ "l=-1", "invalid l=" },
		{ "l=", "invalid l=" },
		{ "l=1 2", "invalid l=" },
		{ "q=dns/txt", NULL },
		{ "q=ldap:dns/txt", NULL },
		{ "q=dns", "unknown query method" },
		{ "q=", "unknown query method" },
		{ "t=1800000300", NULL },
		{ "t=1800000301", "t= lies in the future" },
		{ "t=999999999", "invalid t=" },
		{ "t=1e9", "invalid t=" },
		{ "x=1800000001", NULL },
		{ "x=0", "invalid x=" },
		{ "x=9999999999999", "invalid x=" },
		{ "t=1799999999; x=1799999999", "x= is not after t=" },
		{ "i=@example.org", NULL },
		{ "i=ann@a.b.EXAMPLE.org", NULL },
		{ "i=a=20b@example.org", NULL },
		{ "i=ann@badexample.org", "i= is not within d=" },
		{ "i=ann@org", "i= is not within d=" },
		{ "i=example.org", "i= is not within d=" },
		{ "i=ann@example.org=", "invalid i=" }, /* libopendkim would read past its end */
		{ "i=ann@example.org=2", "invalid i=" },
		{ "i=ann@example.org=2g", "invalid i=" },
		{ "i=an n@example.org", "invalid i=" },
		{ "i=", "invalid i=" },
		{ "z=From:foo|Subject:bar", NULL },
		{ "r=y", NULL },
		{ "_x=1", "malformed tag list" },
	};

	(void)state;
	for (size_t i = 0; i < MW_COUNT(cases); i++) {
		char text[400];
		struct dkimsvc_sig sig;

		snprintf(text, sizeof(text), "%s; %s", cases[i].tag, rest);
		sig = scan(text);
		if ((sig.error == NULL) != (cases[i].error == NULL))
			print_error("for: %s: %s\n", cases[i].tag, sig.error);
		if (cases[i].error == NULL)
			assert_null(sig.error);
		else
			assert_string_equal(sig.error, cases[i].error);
	}
}

static void expiry_is_told_apart_from_soundness(void **state)
{
	char text[300];
	struct dkimsvc_sig sig;

	(void)state;
	snprintf(text, sizeof(text), "x=%u; %s", NOW_S - 1, rest);
	sig = scan(text);
	assert_null(sig.error);
	assert_true(sig.expired);
	snprintf(text, sizeof(text), "x=%u; %s", NOW_S, rest);
	assert_false(scan(text).expired);
}

static void every_limit_holds_at_its_edge(void **state)
{
	char big[DKIMSVC_SIG_OCTETS_MAX + 2], label[80], text[600];
	struct dkimsvc_sig sig;

	(void)state;
	memset(big, ' ', sizeof(big));
	memcpy(big, rest, strlen(rest));
	dkimsvc_sig_scan(mw_octets_of(big, DKIMSVC_SIG_OCTETS_MAX), NOW_S, &sig);
	assert_null(sig.error);
	dkimsvc_sig_scan(mw_octets_of(big, DKIMSVC_SIG_OCTETS_MAX + 1), NOW_S, &sig);
	assert_string_equal(sig.error, "signature field too long");

	for (size_t n = 63; n <= 64; n++) {
		memset(label, 'a', n);
		label[n] = '\0';
		snprintf(text, sizeof(text),
			"v=1; a=rsa-sha256; d=%s.org; s=sel; h=from; bh=AAAA; b=AAAA", label);
		sig = scan(text);
		if (n == 63)
			assert_null(sig.error);
		else
			assert_string_equal(sig.error, "invalid d=");
	}
}

static void a_name_of_253_octets_is_asked_for_and_one_of_254_is_not(void **state)
{
	char d[260] = "", text[500];

	(void)state;
	/* "sel._domainkey." is 15 octets: 238 are left. */
	for (size_t n = 238; n <= 239; n++) {
		for (size_t i = 0; i < n; i++)
			d[i] = i % 60 == 59 ? '.' : 'a';
		d[n] = '\0';
		snprintf(text, sizeof(text),
			"v=1; a=rsa-sha256; d=%s; s=sel; h=from; bh=AAAA; b=AAAA", d);
		if (n == 238)
			assert_null(scan(text).error);
		else
			assert_string_equal(scan(text).error, "name of the key too long");
	}
}

static void lists_of_tags_and_names_are_bounded(void **state)
{
	struct mw_octets o;
	struct dkimsvc_sig sig;
	char text[8000];
	size_t n;

	(void)state;
	n = (size_t)snprintf(text, sizeof(text), "%s", rest);
	for (int i = 0; i < DKIMSVC_TAGS_MAX; i++)
		n += (size_t)snprintf(text + n, sizeof(text) - n, "; t%d=", i);
	assert_string_equal(scan(text).error, "too many tags");

	for (int names = DKIMSVC_HLIST_MAX; names <= DKIMSVC_HLIST_MAX + 1; names++) {
		n = (size_t)snprintf(text, sizeof(text),
			"v=1; a=rsa-sha256; d=example.org; s=sel; bh=AAAA; b=AAAA; h=from");
		for (int i = 1; i < names; i++)
			n += (size_t)snprintf(text + n, sizeof(text) - n, ":x");
		o = mw_octets_of(text, n);
		dkimsvc_sig_scan(o, NOW_S, &sig);
		if (names == DKIMSVC_HLIST_MAX)
			assert_null(sig.error);
		else
			assert_string_equal(sig.error, "h= names too many fields");
	}
}

static void a_signature_cut_at_any_octet_is_read_without_harm(void **state)
{
	size_t n = strlen(GOOD);

	(void)state;
	for (size_t cut = 0; cut <= n; cut++) {
		char *exact =
			malloc(cut + 1); /* so that a sanitizer sees the first octet too many */
		struct dkimsvc_sig sig;

		memcpy(exact, GOOD, cut);
		exact = realloc(exact, cut > 0 ? cut : 1);
		dkimsvc_sig_scan(mw_octets_of(exact, cut), NOW_S, &sig);
		if (cut < n - 10) /* before b= has its first character */
			assert_non_null(sig.error);
		free(exact);
	}
}

static void tag_lists_are_walked(void **state)
{
	struct mw_octets list = mw_octets_of_text(" a = 1 ; b_2=x=y;c=;");
	struct dkimsvc_tag tag;

	(void)state;
	assert_int_equal(dkimsvc_tag_next(&list, &tag), 1);
	assert_int_equal(tag.name.n, 1);
	assert_memory_equal(tag.value.p, "1", tag.value.n);
	assert_int_equal(dkimsvc_tag_next(&list, &tag), 1);
	assert_memory_equal(tag.name.p, "b_2", tag.name.n);
	assert_int_equal(tag.value.n, 3);
	assert_int_equal(dkimsvc_tag_next(&list, &tag), 1);
	assert_int_equal(tag.value.n, 0);
	assert_int_equal(dkimsvc_tag_next(&list, &tag), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_usual_signature_is_read),
		cmocka_unit_test(folds_and_blanks_around_tags_do_not_matter),
		cmocka_unit_test(what_is_not_a_sound_signature_is_refused_with_its_reason),
		cmocka_unit_test(optional_tags_are_held_to_their_syntax),
		cmocka_unit_test(expiry_is_told_apart_from_soundness),
		cmocka_unit_test(every_limit_holds_at_its_edge),
		cmocka_unit_test(a_name_of_253_octets_is_asked_for_and_one_of_254_is_not),
		cmocka_unit_test(lists_of_tags_and_names_are_bounded),
		cmocka_unit_test(a_signature_cut_at_any_octet_is_read_without_harm),
		cmocka_unit_test(tag_lists_are_walked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
