#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "lines.h"
#include "redis_conf.h"

static struct logsvc_lines l;
static struct logsvc_cursor a, b;
static int came, skips;

static void more(void *arg, struct logsvc_line *line)
{
	(void)arg;
	(void)line;
	came++;
}

static void before_skip(void *arg)
{
	(void)arg;
	skips++;
}

static int fresh(void **state)
{
	(void)state;
	came = skips = 0;
	logsvc_lines_init(&l, 100);
	a = (struct logsvc_cursor){ .name = "a", .more = more };
	b = (struct logsvc_cursor){
		.name = "b", .more = more, .before_skip = before_skip, .lossy = true
	};
	logsvc_lines_add_cursor(&l, &a);
	logsvc_lines_add_cursor(&l, &b);
	return 0;
}

static int done(void **state)
{
	(void)state;
	logsvc_lines_fini(&l);
	return 0;
}

static void add(uint64_t sequence)
{
	assert_true(logsvc_lines_add(&l, 7, sequence, "key", mw_octets_of("123456789", 9), NULL));
}

static void a_position_moves_when_every_output_is_done(void **state)
{
	(void)state;
	add(1);
	add(2);
	assert_int_equal(came, 4);
	logsvc_cursor_next(&l, &a);
	logsvc_cursor_next(&l, &a);
	assert_int_equal(l.position_count, 0);
	assert_null(a.at);
	logsvc_cursor_next(&l, &b);
	assert_int_equal(l.positions[0].sequence, 1);
	logsvc_cursor_next(&l, &b);
	assert_int_equal(l.positions[0].sequence, 2);
	assert_null(l.first);
	assert_int_equal(l.octets, 0);
	add(3);
	assert_string_equal(a.at->redis_key, "key");
	assert_memory_equal(b.at->text, "123456789\n", 10);
}

static void at_the_limit_lossy_outputs_skip_and_count(void **state)
{
	(void)state;
	for (uint64_t i = 1; i <= 11; i++) {
		add(i);
		logsvc_cursor_next(&l, &a);
	}
	assert_int_equal(l.octets, 110);
	assert_true(logsvc_lines_make_room(&l));
	assert_int_equal(skips, 1);
	assert_int_equal(b.skipped, 6);
	assert_int_equal(b.untold, 6);
	assert_int_equal(b.at->sequence, 7);
	assert_int_equal(l.positions[0].sequence, 6);
	assert_true(logsvc_lines_roomy(&l));
}

static void an_output_that_must_not_lose_leaves_no_room(void **state)
{
	(void)state;
	for (uint64_t i = 1; i <= 11; i++)
		add(i);
	assert_false(logsvc_lines_make_room(&l));
	assert_int_equal(a.waiting, 11);
	assert_int_equal(a.at->sequence, 1);
}

static void positions_of_old_publishers_go_first(void **state)
{
	(void)state;
	for (uint64_t i = 1; i <= LOGSVC_POSITIONS_MAX; i++)
		logsvc_position_set(&l, i, 5);
	logsvc_position_set(&l, 1, 6);
	logsvc_position_set(&l, 1, 4); /* back is nowhere */
	logsvc_position_set(&l, 1000, 1);
	assert_int_equal(l.position_count, LOGSVC_POSITIONS_MAX);
	assert_int_equal(l.positions[0].incarnation, 3);
	assert_int_equal(l.positions[LOGSVC_POSITIONS_MAX - 2].incarnation, 1);
	assert_int_equal(l.positions[LOGSVC_POSITIONS_MAX - 2].sequence, 6);
	assert_int_equal(l.positions[LOGSVC_POSITIONS_MAX - 1].incarnation, 1000);
}

static void places_of_redis_are_parsed(void **state)
{
	static const struct {
		const char *text, *host;
		unsigned port;
	} good[] = {
		{ "127.0.0.1:6380", "127.0.0.1", 6380 },
		{ "redis.example", "redis.example", 6379 },
		{ "[::1]:1", "::1", 1 },
		{ "[::1]", "::1", 6379 },
		{ "::1", "::1", 6379 },
		{ "/run/redis.sock", "/run/redis.sock", 0 },
	};
	static const char *const bad[] = { "", ":6379", "h:", "h:0", "h:65536", "h:x", "[::1",
		"[::1]x", "h:1x" };
	struct logsvc_redis_place p;

	(void)state;
	for (size_t i = 0; i < MW_COUNT(good); i++) {
		assert_true(logsvc_redis_place_parse(good[i].text, 6379, &p));
		assert_string_equal(p.host, good[i].host);
		assert_int_equal(p.port, good[i].port);
	}
	for (size_t i = 0; i < MW_COUNT(bad); i++)
		assert_false(logsvc_redis_place_parse(bad[i], 6379, &p));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, fresh, done)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_position_moves_when_every_output_is_done),
		TEST(at_the_limit_lossy_outputs_skip_and_count),
		TEST(an_output_that_must_not_lose_leaves_no_room),
		TEST(positions_of_old_publishers_go_first),
		TEST(places_of_redis_are_parsed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
