/* Digests that others know, and their letters. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "digest.h"

/* FIPS 180-4's examples, and RFC 1321's. */
static const struct {
	const char *text, *md5, *sha256;
} known[] = {
	{ "", "d41d8cd98f00b204e9800998ecf8427e",
		"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" },
	{ "abc", "900150983cd24fb0d6963f7d28e17f72",
		"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" },
};

static void they_are_as_others_say(void **state)
{
	unsigned char digest[MW_SHA256_OCTETS];
	char text[2 * MW_SHA256_OCTETS + 1];

	(void)state;
	/* In turns: neither leaves anything for the other. */
	for (size_t i = 0; i < MW_COUNT(known); i++) {
		assert_true(mw_sha256(known[i].text, strlen(known[i].text), digest));
		mw_hex(digest, MW_SHA256_OCTETS, text);
		assert_string_equal(text, known[i].sha256);
		assert_true(mw_md5(known[i].text, strlen(known[i].text), digest));
		mw_hex(digest, MW_MD5_OCTETS, text);
		assert_string_equal(text, known[i].md5);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(they_are_as_others_say),
	};

	return cmocka_run_group_tests_name("digest", tests, NULL, NULL);
}
