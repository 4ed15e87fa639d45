/* Octets of a mail: memory, spool file, limits, references. */
#include "make_txn.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>

#define MEMORY 1000

static struct smtp_body_pool pool_of(const char *dir, uint64_t held_limit)
{
	struct smtp_body_pool pool;

	smtp_body_pool_init(&pool);
	smtp_body_pool_set(&pool, MEMORY, held_limit, dir);
	return pool;
}

static void fill(unsigned char *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		p[i] = (unsigned char)(i * 7 + i / 251);
}

static void octets_come_back_whole_from_memory_and_spool(void **state)
{
	static const size_t sizes[] = { 0, 1, MEMORY - 1, MEMORY, MEMORY + 1, 3 * MEMORY, 70000 };
	static const size_t pieces[] = { 1, 7, MEMORY, 70000 };
	static const size_t hints[] = { 0, 1, MEMORY, MEMORY + 1, SIZE_MAX };
	static unsigned char octets[70000];
	struct smtp_body_pool pool = pool_of("/tmp", 1u << 20);

	(void)state;
	fill(octets, sizeof(octets));
	for (size_t s = 0; s < MW_COUNT(sizes); s++)
		for (size_t p = 0; p < MW_COUNT(pieces); p++)
			for (size_t h = 0; h < MW_COUNT(hints); h++) {
				struct smtp_body *b = smtp_body_new(&pool, hints[h]);

				assert_non_null(b);
				for (size_t at = 0; at < sizes[s]; at += pieces[p])
					assert_int_equal(
						smtp_body_append(b, octets + at,
							sizes[s] - at < pieces[p] ? sizes[s] - at
										  : pieces[p],
							NULL),
						MW_OK);
				assert_int_equal(smtp_body_size(b), sizes[s]);
				assert_int_equal(smtp_body_held(&pool), sizes[s]);
				assert_int_equal(smtp_body_seal(b, NULL), MW_OK);
				assert_int_equal(smtp_body_octets(b).n, sizes[s]);
				assert_memory_equal(smtp_body_octets(b).p, octets, sizes[s]);
				smtp_body_unref(&b);
				assert_null(b);
				assert_int_equal(smtp_body_held(&pool), 0);
			}
}

/* The lowest descriptor that is free: one more than before means that one is open. */
static int next_fd(void)
{
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

	close(fd);
	return fd;
}

static void the_limit_stays_in_memory_and_one_more_goes_to_the_spool(void **state)
{
	struct smtp_body_pool pool = pool_of("/tmp", 1u << 20);
	static unsigned char octets[MEMORY + 1];
	struct smtp_body *b = smtp_body_new(&pool, 0);
	int before = next_fd();

	(void)state;
	assert_int_equal(smtp_body_append(b, octets, MEMORY, NULL), MW_OK);
	assert_int_equal(next_fd(), before);
	assert_int_equal(smtp_body_append(b, octets, 1, NULL), MW_OK);
	assert_int_equal(next_fd(), before + 1);
	assert_int_equal(smtp_body_seal(b, NULL), MW_OK);
	assert_int_equal(next_fd(), before); /* the mapping keeps the file */
	smtp_body_unref(&b);
	b = smtp_body_new(&pool, 0); /* and one that is dropped half-way */
	assert_int_equal(smtp_body_append(b, octets, MEMORY + 1, NULL), MW_OK);
	smtp_body_unref(&b);
	assert_int_equal(next_fd(), before);
}

static void no_memory_at_all_is_a_spool_file_from_the_first_octet(void **state)
{
	struct smtp_body_pool pool = pool_of("/tmp", 1u << 20);
	struct smtp_body *b;

	(void)state;
	pool.memory_octets = 0;
	b = smtp_body_new(&pool, 100);
	assert_int_equal(smtp_body_append(b, "x", 1, NULL), MW_OK);
	assert_int_equal(smtp_body_seal(b, NULL), MW_OK);
	assert_int_equal(smtp_body_octets(b).p[0], 'x');
	smtp_body_unref(&b);
	b = smtp_body_new(&pool, 0); /* an empty mail */
	assert_int_equal(smtp_body_seal(b, NULL), MW_OK);
	assert_int_equal(smtp_body_octets(b).n, 0);
	smtp_body_unref(&b);
}

static void all_bodies_together_keep_the_limit(void **state)
{
	struct smtp_body_pool pool = pool_of("/tmp", 100);
	struct smtp_body *a = smtp_body_new(&pool, 0), *b = smtp_body_new(&pool, 0);
	struct mw_err err = { "" };
	char octets[101] = "";

	(void)state;
	assert_int_equal(smtp_body_append(a, octets, 60, &err), MW_OK);
	assert_int_equal(smtp_body_append(b, octets, 40, &err), MW_OK);
	assert_int_equal(smtp_body_append(b, octets, 1, &err), MW_ERR_LIMIT);
	assert_non_null(strstr(err.text, "front.held_octets"));
	assert_int_equal(smtp_body_held(&pool), 100);
	smtp_body_unref(&a);
	assert_int_equal(smtp_body_held(&pool), 40);
	smtp_body_unref(&b);
	assert_int_equal(smtp_body_held(&pool), 0);
}

static void a_folder_that_takes_no_file_is_an_error_that_names_it(void **state)
{
	static const char *const dirs[] = { "/nonexistent/spool", "/dev/null", "/proc" };
	static unsigned char octets[MEMORY + 1];

	(void)state;
	for (size_t i = 0; i < MW_COUNT(dirs); i++) {
		struct smtp_body_pool pool = pool_of(dirs[i], 1u << 20);
		struct smtp_body *b = smtp_body_new(&pool, 0);
		struct mw_err err = { "" };

		assert_int_equal(smtp_body_append(b, octets, MEMORY, &err), MW_OK);
		assert_int_equal(smtp_body_append(b, octets, 1, &err), MW_ERR_IO);
		assert_non_null(strstr(err.text, dirs[i]));
		smtp_body_unref(&b);
		assert_int_equal(smtp_body_held(&pool), 0);
	}
}

static void a_full_disk_is_an_error_and_gives_everything_back(void **state)
{
	struct smtp_body_pool pool = pool_of("/tmp", 1u << 20);
	struct smtp_body *b = smtp_body_new(&pool, 0);
	static unsigned char octets[5000];
	struct rlimit before, small;
	struct mw_err err = { "" };
	enum mw_rc first, second;
	int fd = next_fd();

	(void)state;
	signal(SIGXFSZ, SIG_IGN);
	getrlimit(RLIMIT_FSIZE, &before);
	small = before;
	small.rlim_cur = 4096;
	setrlimit(RLIMIT_FSIZE, &small);
	first = smtp_body_append(b, octets, 4000, &err);
	second = smtp_body_append(b, octets, 1000, &err);
	setrlimit(RLIMIT_FSIZE, &before);
	assert_int_equal(first, MW_OK);
	assert_int_equal(second, MW_ERR_IO);
	assert_non_null(strstr(err.text, "/tmp"));
	smtp_body_unref(&b);
	assert_int_equal(smtp_body_held(&pool), 0);
	assert_int_equal(next_fd(), fd);
}

static void new_limits_leave_a_body_that_grows_whole(void **state)
{
	static const size_t limits[] = { 0, 10, 100 * MEMORY };

	(void)state;
	for (size_t i = 0; i < MW_COUNT(limits); i++) {
		struct smtp_body_pool pool = pool_of("/tmp", 1u << 20);
		struct smtp_body *b = smtp_body_new(&pool, 0);
		unsigned char octets[3 * MEMORY];

		fill(octets, sizeof(octets));
		for (size_t at = 0; at < sizeof(octets); at += 300) {
			assert_int_equal(smtp_body_append(b, octets + at, 300, NULL), MW_OK);
			smtp_body_pool_set(&pool, limits[i], 1u << 20, "/tmp");
		}
		assert_int_equal(smtp_body_seal(b, NULL), MW_OK);
		assert_int_equal(smtp_body_size(b), sizeof(octets));
		assert_memory_equal(smtp_body_octets(b).p, octets, sizeof(octets));
		assert_false(smtp_body_pool_is_full(&pool));
		smtp_body_pool_set(&pool, MEMORY, sizeof(octets), "/tmp");
		assert_true(smtp_body_pool_is_full(&pool));
		smtp_body_unref(&b);
		smtp_body_pool_fini(&pool);
	}
}

static void the_last_reference_frees(void **state)
{
	struct smtp_body_pool pool = pool_of("/tmp", 1u << 20);
	struct smtp_body *b = smtp_body_new(&pool, 0), *second, *lent;

	(void)state;
	assert_int_equal(smtp_body_append(b, "abc", 3, NULL), MW_OK);
	assert_int_equal(smtp_body_seal(b, NULL), MW_OK);
	second = smtp_body_ref(b);
	lent = smtp_body_ref(b); /* to ZeroMQ */
	smtp_body_unref(&b);
	assert_int_equal(smtp_body_held(&pool), 3);
	smtp_body_zmq_free(NULL, lent);
	assert_memory_equal(smtp_body_octets(second).p, "abc", 3);
	assert_int_equal(smtp_body_held(&pool), 3);
	smtp_body_unref(&second);
	assert_int_equal(smtp_body_held(&pool), 0);
	smtp_body_unref(&second); /* of none: nothing */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(octets_come_back_whole_from_memory_and_spool),
		cmocka_unit_test(the_limit_stays_in_memory_and_one_more_goes_to_the_spool),
		cmocka_unit_test(no_memory_at_all_is_a_spool_file_from_the_first_octet),
		cmocka_unit_test(all_bodies_together_keep_the_limit),
		cmocka_unit_test(a_folder_that_takes_no_file_is_an_error_that_names_it),
		cmocka_unit_test(a_full_disk_is_an_error_and_gives_everything_back),
		cmocka_unit_test(new_limits_leave_a_body_that_grows_whole),
		cmocka_unit_test(the_last_reference_frees),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
