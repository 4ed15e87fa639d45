#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

#include "pool_priv.h"

/* Holders are told apart by their addresses alone. */
static int old_holder, new_holder;
#define OLD ((struct keeper *)&old_holder)
#define NEW ((struct keeper *)&new_holder)
#define LONG_MS 60000

static struct pool pool;
static struct cage cages[4];

/* Two cages of the old signatures, both warm, and two cold ones of the new. */
static int make(void **state)
{
	(void)state;
	pool = (struct pool){ .current = OLD, .coming = NEW, .coming_since_ms = 1 };
	pool.settings.cage.cages = 2;
	pool_warm_open(&pool);
	for (size_t i = 0; i < MW_COUNT(cages); i++) {
		cages[i] = (struct cage){ .pool = &pool,
			.keeper = i < 2 ? OLD : NEW,
			.fd = -1,
			.warm = i < 2,
			.next = pool.cages };
		pool.cages = &cages[i];
	}
	return 0;
}

static void new_signatures_wait_for_all_their_cages(void **state)
{
	(void)state;
	assert_false(pool_warm_enough(&pool, 2));
	cages[2].warm = true;
	assert_false(pool_warm_enough(&pool, 2));
	cages[3].warm = true;
	assert_true(pool_warm_enough(&pool, 2));
	cages[3].ended = true;
	assert_false(pool_warm_enough(&pool, 2));
}

static void after_a_while_one_warm_cage_must_do(void **state)
{
	(void)state;
	assert_false(pool_warm_enough(&pool, LONG_MS)); /* none: they die of their first mail */
	cages[2].warm = true;
	assert_true(pool_warm_enough(&pool, LONG_MS));
}

static void without_old_ones_nothing_is_waited_for(void **state)
{
	(void)state;
	pool.current = NULL;
	assert_true(pool_warm_enough(&pool, 2));
}

static void one_cold_cage_at_a_time_is_warmed(void **state)
{
	(void)state;
	cages[2].warming = true;
	cages[2].turn_count = 1;
	pool_warm(&pool, 2); /* not cages[3]: one is at it */
	assert_false(cages[3].warm || cages[3].warming);
	cages[2].warming = false;
	cages[3].turn_count = 1; /* at a mail: it gets warm by that */
	pool_warm(&pool, 2);
	assert_false(cages[3].warming);
}

/* New signatures whose cages die before their first mail must not come to work. */
static void a_cage_that_is_gone_is_not_warm(void **state)
{
	int pair[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	close(pair[1]);
	cages[2].fd = pair[0];
	cages[3].ended = true;
	pool_warm(&pool, 2);
	assert_true(cages[2].ended && !cages[2].warm);
	assert_false(pool_warm_enough(&pool, LONG_MS));
	close(pair[0]);
}

/* Mails may never cease to wait; new signatures come to work all the same. */
static void while_mails_wait_only_new_signatures_are_warmed_and_not_at_once(void **state)
{
	struct pool_job waits = { .leaves_fd = -1 };
	int pair[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	cages[2].fd = pair[0];
	cages[3].ended = true;
	cages[0].warm = false;
	pool.first = &waits;
	pool_warm(&pool, 2);
	assert_false(cages[0].warming || cages[2].warming);
	pool_warm(&pool, LONG_MS);
	assert_true(cages[2].warming && cages[2].turn_count == 1);
	assert_false(cages[0].warming);
	close(pair[0]);
	close(pair[1]);
}

static void the_mail_of_no_meaning_is_lines_of_text(void **state)
{
	(void)state;
	assert_int_equal(pool.warm_part.n, POOL_WARM_OCTETS);
	assert_memory_equal(pool.warm_part.p, "Subject: warm\r\n\r\n", 17);
	for (size_t i = 17; i < POOL_WARM_OCTETS; i++)
		assert_true(pool.warm_part.p[i] == '\n' ||
			    (pool.warm_part.p[i] > ' ' && pool.warm_part.p[i] < 0x7f));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(new_signatures_wait_for_all_their_cages, make),
		cmocka_unit_test_setup(after_a_while_one_warm_cage_must_do, make),
		cmocka_unit_test_setup(without_old_ones_nothing_is_waited_for, make),
		cmocka_unit_test_setup(one_cold_cage_at_a_time_is_warmed, make),
		cmocka_unit_test_setup(a_cage_that_is_gone_is_not_warm, make),
		cmocka_unit_test_setup(
			while_mails_wait_only_new_signatures_are_warmed_and_not_at_once, make),
		cmocka_unit_test_setup(the_mail_of_no_meaning_is_lines_of_text, make),
	};

	return cmocka_run_group_tests_name("pool_warm", tests, NULL, NULL);
}
