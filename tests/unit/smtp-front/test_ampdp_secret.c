/* secret_id: amavisd's, of ids of several lengths, and what is none. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "make_txn.h"

#include "intake/ampdp_secret.h"

static bool is_of(const char *secret, const char *id)
{
	return ampdp_secret_is_of(secret, mw_octets_of_text(id));
}

/* base64url(MD5("secret")) is Xr4ilOzQ4PCOq3aQ0qbuaQ; the secret itself is c2VjcmV0. */
static void a_secret_belongs_to_its_id_whatever_its_length(void **state)
{
	(void)state;
	assert_true(is_of("c2VjcmV0", "Xr4ilOzQ4PCO"));
	assert_true(is_of("c2VjcmV0", "Xr4ilOzQ4PCOq3aQ"));
	assert_true(is_of("c2VjcmV0", "Xr4ilOzQ4PCOq3aQ0qbuaQ"));
	assert_true(is_of("c2VjcmV0==", "Xr4ilOzQ4PCO"));
}

static void anything_else_does_not(void **state)
{
	(void)state;
	assert_false(is_of("c2VjcmV1", "Xr4ilOzQ4PCO"));
	assert_false(is_of("c2VjcmV", "Xr4ilOzQ4PCO"));
	assert_false(is_of("", "Xr4ilOzQ4PCO"));
	assert_false(is_of("=", "Xr4ilOzQ4PCO"));
	assert_false(is_of("c2Vj cmV0", "Xr4ilOzQ4PCO"));
	assert_false(is_of("c2VjcmV0=x", "Xr4ilOzQ4PCO"));
	assert_false(is_of("c2VjcmV0", "Xr4ilOzQ4PCOx"));
	assert_false(is_of("c2VjcmV0", "Xr4"));
	assert_false(is_of("c2VjcmV0", ""));
	assert_false(is_of("c2VjcmV0", "Xr4ilOzQ4PCOq3aQ0qbuaQX"));
	assert_false(is_of("c2VjcmV0", "Xr4ilOzQ4PC "));
}

static void secrets_without_end_are_refused(void **state)
{
	char secret[4000];

	(void)state;
	memset(secret, 'A', sizeof(secret));
	secret[sizeof(secret) - 1] = '\0';
	assert_false(is_of(secret, "Xr4ilOzQ4PCO"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_secret_belongs_to_its_id_whatever_its_length),
		cmocka_unit_test(anything_else_does_not),
		cmocka_unit_test(secrets_without_end_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
