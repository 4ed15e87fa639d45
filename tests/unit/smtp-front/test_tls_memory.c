/* Hops whose TLS failed: remembered for a minute, and no more than so many. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>
#include "delivery/tls_memory.h"
#include "front.h"

/* main.c's */
void front_txn_over(struct front *f)
{
	(void)f;
}

static void a_hop_is_remembered_for_its_time(void **state)
{
	struct tls_memory m = { 0 };

	(void)state;
	assert_false(tls_memory_has(&m, "", 0));
	assert_false(tls_memory_has(&m, "smtp:[a]:25", 1));
	tls_memory_add(&m, "smtp:[a]:25", 1000);
	assert_true(tls_memory_has(&m, "smtp:[a]:25", 1000));
	assert_true(tls_memory_has(&m, "smtp:[a]:25", 1000 + TLS_MEMORY_MS - 1));
	assert_false(tls_memory_has(&m, "smtp:[a]:25", 1000 + TLS_MEMORY_MS));
	assert_false(tls_memory_has(&m, "smtp:[a]:26", 1000));
}

static void the_oldest_goes_for_the_newest(void **state)
{
	struct tls_memory m = { 0 };
	char hop[32];

	(void)state;
	for (unsigned i = 0; i <= TLS_MEMORY_HOPS; i++) {
		snprintf(hop, sizeof(hop), "smtp:[%u]:25", i);
		tls_memory_add(&m, hop, 1);
		tls_memory_add(&m, hop, 2); /* the same once more takes no other's place */
	}
	assert_false(tls_memory_has(&m, "smtp:[0]:25", 3));
	assert_true(tls_memory_has(&m, "smtp:[1]:25", 3));
	assert_true(tls_memory_has(&m, hop, 3));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_hop_is_remembered_for_its_time),
		cmocka_unit_test(the_oldest_goes_for_the_newest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
