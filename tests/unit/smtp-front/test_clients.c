/* Sessions counted by client address. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "front.h"
#include "intake/clients.h"

/* main.c's, which is not linked here. */
void front_txn_over(struct front *f)
{
	(void)f;
}

#define MANY 10000

static struct mw_ip numbered(uint32_t i)
{
	struct mw_ip ip = { { 0x20, 0x01, 0x0d, 0xb8 } };

	memcpy(ip.a + 12, &i, sizeof(i));
	return ip;
}

static void each_address_is_counted_by_itself(void **state)
{
	struct clients *c = clients_new();
	struct mw_ip a = numbered(1), b = numbered(2);
	struct client *one = clients_enter(c, &a), *two = clients_enter(c, &a),
		      *other = clients_enter(c, &b);

	(void)state;
	assert_int_equal(clients_count(one), 2);
	assert_int_equal(clients_count(other), 1);
	clients_leave(c, &one);
	assert_null(one);
	assert_int_equal(clients_count(two), 1);
	clients_leave(c, &two);
	clients_leave(c, &two); /* NULL: nothing */
	two = clients_enter(c, &a);
	assert_int_equal(clients_count(two), 1);
	clients_destroy(&c);
	assert_null(c);
}

static void counts_outlive_the_tables_growth(void **state)
{
	struct clients *c = clients_new();
	struct client **of = calloc(MANY, sizeof(*of));

	(void)state;
	for (unsigned round = 1; round <= 3; round++)
		for (uint32_t i = 0; i < MANY; i++) {
			struct mw_ip ip = numbered(i);

			of[i] = clients_enter(c, &ip);
			assert_non_null(of[i]);
			assert_int_equal(clients_count(of[i]), round);
		}
	for (unsigned round = 3; round >= 1; round--)
		for (uint32_t i = 0; i < MANY; i++) {
			struct client *mine = of[i];

			assert_int_equal(clients_count(mine), round);
			clients_leave(c, &mine);
		}
	for (uint32_t i = 0; i < MANY; i++) {
		struct mw_ip ip = numbered(i);

		of[i] = clients_enter(c, &ip);
		assert_int_equal(clients_count(of[i]), 1);
	}
	free(of);
	clients_destroy(&c); /* with all of them still in: nothing leaks */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_address_is_counted_by_itself),
		cmocka_unit_test(counts_outlive_the_tables_growth),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
