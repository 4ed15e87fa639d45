/* Names of next hops: few look-ups at once, one for a name, and a resolver that hangs or answers
 * when nobody asks any more. The resolver and the clock are the test's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>
#include "delivery/names.h"
#include "front.h"

#define KEEP_MS 60000
#define ASKS_MAX 600

/* main.c's */
void front_txn_over(struct front *f)
{
	(void)f;
}

/* ------------------------------------------------------------------ the resolver, the clock */

static struct look_up {
	uv_getaddrinfo_t *req;
	uv_getaddrinfo_cb done;
	char host[256];
} look_ups[ASKS_MAX];
static size_t look_up_count;
static int refuses; /* what uv_getaddrinfo returns */
static uint64_t now_ms;

int uv_getaddrinfo(uv_loop_t *loop, uv_getaddrinfo_t *req, uv_getaddrinfo_cb done, const char *node,
	const char *service, const struct addrinfo *hints)
{
	struct look_up *l = &look_ups[look_up_count];

	(void)loop;
	assert_null(service);
	assert_int_equal(hints->ai_socktype, SOCK_STREAM);
	if (refuses != 0)
		return refuses;
	assert_true(look_up_count < ASKS_MAX);
	*l = (struct look_up){ .req = req, .done = done };
	mw_strlcpy(l->host, node, sizeof(l->host));
	look_up_count++;
	return 0;
}

void uv_freeaddrinfo(struct addrinfo *list)
{
	free(list);
}

uint64_t uv_now(const uv_loop_t *loop)
{
	(void)loop;
	return now_ms;
}

/* The i-th look-up ends with so many addresses. */
static void resolve(size_t i, int status, size_t count)
{
	struct list {
		struct addrinfo info;
		struct sockaddr_in in;
	} *list = count > 0 ? calloc(count, sizeof(*list)) : NULL;

	for (size_t k = 0; k < count; k++) {
		list[k].in.sin_family = AF_INET;
		list[k].in.sin_addr.s_addr = htonl(0xc0000200u + (uint32_t)k); /* 192.0.2.k */
		list[k].info = (struct addrinfo){ .ai_family = AF_INET,
			.ai_addr = (struct sockaddr *)&list[k].in,
			.ai_addrlen = sizeof(list[k].in),
			.ai_next = k + 1 < count ? &list[k + 1].info : NULL };
	}
	look_ups[i].done(look_ups[i].req, status, count > 0 ? &list->info : NULL);
}

/* ------------------------------------------------------------------ who asks */

struct asker {
	struct names *names;
	struct names_question *question;
	struct names_question **cancels; /* another's, when this one is answered */
	bool asks_again;
	unsigned answers;
	int status;
	size_t count;
};

static struct mw_loop *loop;

static void answered(void *arg, int status, const struct names_addresses *a)
{
	struct asker *k = arg;

	k->question = NULL;
	k->answers++;
	k->status = status;
	k->count = a->count;
	if (k->cancels != NULL)
		names_cancel(k->cancels);
	if (k->asks_again) {
		k->asks_again = false;
		k->question = names_ask(k->names, "again.example", answered, k);
	}
}

static void ask(struct asker *k, struct names *n, const char *host)
{
	k->names = n;
	k->question = names_ask(n, host, answered, k);
	assert_non_null(k->question);
	assert_int_equal(k->answers, 0); /* never from inside */
}

static void turn(void)
{
	for (int i = 0; i < 3; i++)
		uv_run(mw_loop_uv(loop), UV_RUN_NOWAIT);
}

static struct names *begin(void)
{
	struct names *n;

	loop = mw_loop_new();
	n = names_new(loop);
	assert_non_null(n);
	names_configure(n, KEEP_MS);
	look_up_count = 0;
	refuses = 0;
	now_ms = 1000000;
	return n;
}

static void end(struct names **n_p)
{
	names_destroy(n_p);
	mw_loop_destroy(&loop);
}

/* ------------------------------------------------------------------ tests */

static void a_name_is_looked_up_once_however_many_ask(void **state)
{
	struct names *n = begin();
	struct asker k[3] = { 0 };

	(void)state;
	ask(&k[0], n, "mx.example");
	ask(&k[1], n, "MX.example");
	turn();
	ask(&k[2], n, "mx.example");
	turn();
	assert_int_equal(look_up_count, 1);
	resolve(0, 0, 2);
	turn();
	for (int i = 0; i < 3; i++) {
		assert_int_equal(k[i].answers, 1);
		assert_int_equal(k[i].status, 0);
		assert_int_equal(k[i].count, 2);
	}
	end(&n);
}

static void no_more_than_two_are_under_way(void **state)
{
	struct names *n = begin();
	struct asker k[5] = { 0 };
	char host[32];

	(void)state;
	for (int i = 0; i < 5; i++) {
		snprintf(host, sizeof(host), "h%d.example", i);
		ask(&k[i], n, host);
	}
	turn();
	for (size_t ended = 0; ended < 5; ended++) {
		assert_int_equal(look_up_count, ended + 2 < 5 ? ended + 2 : 5);
		resolve(ended, 0, 1);
		turn();
	}
	for (int i = 0; i < 5; i++)
		assert_int_equal(k[i].answers, 1);
	end(&n);
}

static void a_resolver_that_hangs_holds_up_no_known_name(void **state)
{
	struct names *n = begin();
	struct asker known = { 0 }, again = { 0 }, hang[2] = { 0 }, waits = { 0 };

	(void)state;
	ask(&known, n, "known.example");
	turn();
	resolve(0, 0, 1);
	turn();
	ask(&hang[0], n, "a.example");
	ask(&hang[1], n, "b.example");
	ask(&waits, n, "c.example");
	turn();
	ask(&again, n, "known.example");
	turn();
	assert_int_equal(again.answers, 1);
	assert_int_equal(look_up_count, 3);
	assert_int_equal(waits.answers, 0);
	end(&n);
	resolve(1, UV_EAI_AGAIN, 0); /* behind the end of all: nobody is told, nothing is left */
	resolve(2, 0, 3);
	assert_int_equal(hang[0].answers + hang[1].answers, 0);
}

static void an_answer_serves_who_asks_after_the_asker_has_gone(void **state)
{
	struct names *n = begin();
	struct asker gone = { 0 }, later = { 0 };

	(void)state;
	ask(&gone, n, "mx.example");
	turn();
	names_cancel(&gone.question);
	assert_null(gone.question);
	resolve(0, 0, 1);
	turn();
	ask(&later, n, "mx.example");
	turn();
	assert_int_equal(gone.answers, 0);
	assert_int_equal(later.answers, 1);
	assert_int_equal(look_up_count, 1);
	end(&n);
}

static void a_question_cancelled_before_its_turn_is_not_looked_up(void **state)
{
	struct names *n = begin();
	struct asker k = { 0 };

	(void)state;
	ask(&k, n, "mx.example");
	names_cancel(&k.question);
	turn();
	assert_int_equal(look_up_count, 0);
	names_cancel(&k.question); /* nothing to cancel */
	end(&n);
}

static void an_answer_serves_its_time_and_a_failure_a_tenth(void **state)
{
	static const struct {
		int status;
		uint64_t serves_ms;
	} cases[] = { { 0, KEEP_MS }, { UV_EAI_NONAME, KEEP_MS / 10 } };

	(void)state;
	for (size_t i = 0; i < MW_COUNT(cases); i++) {
		struct names *n = begin();
		struct asker k[3] = { 0 };

		ask(&k[0], n, "mx.example");
		turn();
		resolve(0, cases[i].status, cases[i].status == 0);
		turn();
		assert_int_equal(k[0].status, cases[i].status);
		now_ms += cases[i].serves_ms;
		ask(&k[1], n, "mx.example");
		turn();
		assert_int_equal(k[1].answers, 1);
		assert_int_equal(look_up_count, 1);
		now_ms++;
		ask(&k[2], n, "mx.example");
		turn();
		assert_int_equal(k[2].answers, 0);
		assert_int_equal(look_up_count, 2);
		resolve(1, 0, 1);
		turn();
		assert_int_equal(k[2].answers, 1);
		end(&n);
	}
}

/* delivery.name_time = 0: each mail asks anew, and is answered however slow the loop turns. */
static void an_answer_that_is_not_kept_serves_who_waited_for_it(void **state)
{
	struct names *n = begin();
	struct asker k[2] = { 0 }, gone = { 0 };

	(void)state;
	names_configure(n, 0);
	ask(&k[0], n, "mx.example");
	turn();
	resolve(0, 0, 1);
	now_ms += 50;
	turn();
	assert_int_equal(k[0].answers, 1);
	ask(&gone, n, "mx.example");
	turn();
	names_cancel(&gone.question);
	resolve(1, 0, 1);
	turn();
	now_ms++;
	ask(&k[1], n, "mx.example");
	turn();
	assert_int_equal(k[1].answers, 0);
	assert_int_equal(look_up_count, 3);
	resolve(2, UV_EAI_AGAIN, 0);
	now_ms++;
	turn();
	assert_int_equal(k[1].answers, 1);
	end(&n);
}

static void no_address_is_a_failure_and_more_than_enough_are_cut(void **state)
{
	static const struct {
		size_t came, told;
		int status;
	} cases[] = { { 0, 0, UV_EAI_NODATA }, { 1, 1, 0 },
		{ NAMES_ADDRESSES_MAX, NAMES_ADDRESSES_MAX, 0 },
		{ NAMES_ADDRESSES_MAX + 1, NAMES_ADDRESSES_MAX, 0 } };

	(void)state;
	for (size_t i = 0; i < MW_COUNT(cases); i++) {
		struct names *n = begin();
		struct asker k = { 0 };

		ask(&k, n, "mx.example");
		turn();
		resolve(0, 0, cases[i].came);
		turn();
		assert_int_equal(k.answers, 1);
		assert_int_equal(k.status, cases[i].status);
		assert_int_equal(k.count, cases[i].told);
		end(&n);
	}
}

static void a_look_up_that_cannot_begin_is_an_answer(void **state)
{
	struct names *n = begin();
	struct asker k = { 0 };

	(void)state;
	refuses = UV_EINVAL;
	ask(&k, n, "mx.example");
	turn();
	assert_int_equal(k.answers, 1);
	assert_int_equal(k.status, UV_EINVAL);
	assert_int_equal(k.count, 0);
	end(&n);
}

static void whoever_is_answered_may_ask_again_and_end_others(void **state)
{
	struct names *n = begin();
	struct asker first = { 0 }, second = { 0 };

	(void)state;
	ask(&first, n, "mx.example");
	ask(&second, n, "mx.example"); /* the newest is answered first */
	second.asks_again = true;
	second.cancels = &first.question;
	turn();
	resolve(0, 0, 1);
	turn();
	assert_int_equal(first.answers, 0);
	assert_int_equal(second.answers, 1);
	assert_int_equal(look_up_count, 2);
	second.cancels = NULL;
	resolve(1, UV_EAI_FAIL, 0);
	turn();
	assert_int_equal(second.answers, 2);
	assert_int_equal(second.status, UV_EAI_FAIL);
	end(&n);
}

/* 256 are remembered: with one more the oldest answer goes, and none that is waited for. */
static void the_oldest_answer_goes_for_the_newest(void **state)
{
	struct names *n = begin();
	struct asker waits = { 0 }, k;
	char host[32];

	(void)state;
	ask(&waits, n, "slow.example");
	turn();
	for (int i = 0; i < 256; i++) {
		k = (struct asker){ 0 };
		now_ms++;
		snprintf(host, sizeof(host), "h%d.example", i);
		ask(&k, n, host);
		turn();
		resolve(look_up_count - 1, 0, 1);
		turn();
		assert_int_equal(k.answers, 1);
	}
	assert_int_equal(look_up_count, 257);
	k = (struct asker){ 0 };
	ask(&k, n, "h255.example");
	turn();
	assert_int_equal(k.answers, 1);
	assert_int_equal(look_up_count, 257);
	k = (struct asker){ 0 };
	ask(&k, n, "h0.example");
	turn();
	assert_int_equal(look_up_count, 258);
	resolve(0, 0, 1);
	resolve(257, 0, 1);
	turn();
	assert_int_equal(waits.answers, 1);
	assert_int_equal(k.answers, 1);
	end(&n);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_name_is_looked_up_once_however_many_ask),
		cmocka_unit_test(no_more_than_two_are_under_way),
		cmocka_unit_test(a_resolver_that_hangs_holds_up_no_known_name),
		cmocka_unit_test(an_answer_serves_who_asks_after_the_asker_has_gone),
		cmocka_unit_test(a_question_cancelled_before_its_turn_is_not_looked_up),
		cmocka_unit_test(an_answer_serves_its_time_and_a_failure_a_tenth),
		cmocka_unit_test(an_answer_that_is_not_kept_serves_who_waited_for_it),
		cmocka_unit_test(no_address_is_a_failure_and_more_than_enough_are_cut),
		cmocka_unit_test(a_look_up_that_cannot_begin_is_an_answer),
		cmocka_unit_test(whoever_is_answered_may_ask_again_and_end_others),
		cmocka_unit_test(the_oldest_answer_goes_for_the_newest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
