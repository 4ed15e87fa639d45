#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>
#include <jansson.h>

#include "views.h"

#define FRONTS 3
#define ALERTS 4
#define KEEP_MS 10000

static struct statussvc_live l;

static int setup(void **state)
{
	(void)state;
	return statussvc_live_init(&l, FRONTS, ALERTS, KEEP_MS, 1000) == MW_OK ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	statussvc_live_fini(&l);
	return 0;
}

static struct mw_state_worker worker(
	const char *service, const char *name, uint32_t slots, uint32_t busy)
{
	struct mw_state_worker w = {
		.seen_ms_ago = 100, .done = 5, .load_permille = 250, .kind_count = 1
	};

	mw_strlcpy(w.service, service, sizeof(w.service));
	mw_strlcpy(w.worker, name, sizeof(w.worker));
	mw_strlcpy(w.engine, "ClamAV 1.0 sig 27000", sizeof(w.engine));
	mw_strlcpy(w.kinds[0].kind, "scan", sizeof(w.kinds[0].kind));
	w.kinds[0].slots = slots;
	w.kinds[0].busy = busy;
	return w;
}

/* Tell a snapshot with one task and these workers. */
static void tell(
	const char *endpoint, struct mw_state_worker *workers, size_t count, uint64_t now_ms)
{
	struct mw_state_task task = { .log_id = "00012-07",
		.age_ms = 1500,
		.letter = 'V',
		.states = "md=DV",
		.size = 4711,
		.client_ip = "192.0.2.1",
		.detail = "scan" };
	struct mw_state s = { .host = "mx1.example.org",
		.front = "1",
		.software = "0.1.0",
		.in_flight = 1,
		.sessions = 2,
		.tasks = &task,
		.task_count = 1,
		.workers = workers,
		.worker_count = count,
		.queue_count = 1 };

	mw_strlcpy(s.queues[0].kind, "scan", sizeof(s.queues[0].kind));
	s.queues[0].waiting = 3;
	s.queues[0].most = 1000;
	statussvc_live_state(&l, endpoint, &s, now_ms);
}

static json_t *json_at(uint64_t now_ms)
{
	struct mw_text out = { 0 };
	json_t *root;

	assert_int_equal(statussvc_json(&out, &l, now_ms, 1700000000000), MW_OK);
	root = json_loads(out.p, 0, NULL);
	assert_non_null(root);
	mw_text_fini(&out);
	return root;
}

static json_int_t int_at(json_t *o, const char *key)
{
	assert_true(json_is_integer(json_object_get(o, key)));
	return json_integer_value(json_object_get(o, key));
}

static void the_latest_snapshot_of_a_front_replaces_the_one_before(void **state)
{
	struct mw_state_worker w[2] = { worker("scanner", "a", 4, 1),
		worker("scanner", "b", 4, 0) };

	(void)state;
	tell("ipc://front-1", w, 2, 1000);
	tell("ipc://front-1", w, 1, 1500);
	assert_int_equal(l.front_count, 1);
	assert_int_equal(l.fronts[0].state.worker_count, 1);
	assert_int_equal(l.fronts[0].state_ms, 1500);
	assert_true(l.fronts[0].up);
	assert_ptr_not_equal(
		l.fronts[0].state.workers, w); /* a copy: theirs is gone after the callback */
}

static void a_front_that_went_has_no_tasks_and_is_forgotten_later(void **state)
{
	struct mw_state_worker w = worker("scanner", "a", 4, 1);
	json_t *root, *front;

	(void)state;
	tell("ipc://front-1", &w, 1, 1000);
	statussvc_live_front(&l, "ipc://front-1", false, 2000);
	assert_int_equal(statussvc_live_fronts_up(&l), 0);
	root = json_at(5000);
	front = json_array_get(json_object_get(root, "fronts"), 0);
	assert_true(json_is_false(json_object_get(front, "up")));
	assert_int_equal(int_at(front, "since_ms"), 3000);
	assert_int_equal(json_array_size(json_object_get(root, "tasks")), 0);
	assert_int_equal(json_array_size(json_object_get(root, "workers")), 0);
	json_decref(root);
	statussvc_live_expire(&l, 2000 + KEEP_MS - 1);
	assert_int_equal(l.front_count, 1);
	statussvc_live_expire(&l, 2000 + KEEP_MS);
	assert_int_equal(l.front_count, 0);
}

static void a_front_that_is_up_is_never_forgotten(void **state)
{
	(void)state;
	statussvc_live_front(&l, "ipc://front-1", true, 1000);
	statussvc_live_expire(&l, 1000000000);
	assert_int_equal(l.front_count, 1);
}

static void fronts_over_the_limit_are_counted_only_and_one_that_is_down_makes_room(void **state)
{
	char name[32];

	(void)state;
	for (int i = 0; i <= FRONTS; i++) {
		snprintf(name, sizeof(name), "ipc://front-%d", i);
		tell(name, NULL, 0, 1000);
	}
	assert_int_equal(l.front_count, FRONTS);
	assert_int_equal(l.fronts_over, 1);
	statussvc_live_front(&l, "ipc://front-1", false, 2000);
	tell("ipc://front-3", NULL, 0, 2000);
	assert_int_equal(l.front_count, FRONTS);
	assert_string_equal(l.fronts[FRONTS - 1].endpoint, "ipc://front-3");
	for (size_t i = 0; i < FRONTS; i++)
		assert_string_not_equal(l.fronts[i].endpoint, "ipc://front-1");
}

static void a_worker_of_several_fronts_is_one_with_all_its_slots(void **state)
{
	struct mw_state_worker one[2] = { worker("scanner", "b", 2, 1), worker("dkim", "z", 8, 0) };
	struct mw_state_worker two[2] = { worker("scanner", "a", 4, 4),
		worker("scanner", "b", 2, 2) };
	struct statussvc_worker *list;
	size_t count;

	(void)state;
	two[1].seen_ms_ago = 5;
	two[1].load_permille = 900;
	two[1].done = 77;
	tell("ipc://front-1", one, 2, 1000);
	tell("ipc://front-2", two, 2, 1200);
	assert_int_equal(statussvc_live_workers(&l, 1300, &list, &count), MW_OK);
	assert_int_equal(count, 3);
	assert_string_equal(list[0].latest->worker, "z");
	assert_string_equal(list[1].latest->worker, "a");
	assert_string_equal(list[2].latest->worker, "b");
	assert_int_equal(list[2].fronts, 2);
	assert_int_equal(list[2].kind_count, 1);
	assert_int_equal(list[2].kinds[0].slots, 4);
	assert_int_equal(list[2].kinds[0].busy, 3);
	assert_int_equal(list[2].seen_ms_ago, 105);
	assert_int_equal(list[2].latest->load_permille, 900);
	assert_int_equal(list[2].done, 77);
	free(list);
}

static void more_kinds_than_a_worker_can_have_are_left_out(void **state)
{
	struct mw_state_worker w[2] = { worker("scanner", "a", 1, 0),
		worker("scanner", "a", 1, 0) };
	struct statussvc_worker *list;
	size_t count;

	(void)state;
	for (int i = 0; i < MW_KINDS_MAX; i++) {
		snprintf(w[0].kinds[i].kind, sizeof(w[0].kinds[i].kind), "x%d", i);
		snprintf(w[1].kinds[i].kind, sizeof(w[1].kinds[i].kind), "y%d", i);
	}
	w[0].kind_count = w[1].kind_count = MW_KINDS_MAX;
	tell("ipc://front-1", w, 2, 1000);
	assert_int_equal(statussvc_live_workers(&l, 1000, &list, &count), MW_OK);
	assert_int_equal(count, 1);
	assert_int_equal(list[0].kind_count, MW_KINDS_MAX);
	free(list);
}

static void alerts_are_kept_up_to_the_limit_latest_first(void **state)
{
	char text[16];

	(void)state;
	assert_null(statussvc_live_alert_at(&l, 0));
	for (unsigned i = 1; i <= ALERTS + 2; i++) {
		snprintf(text, sizeof(text), "number %u", i);
		statussvc_live_alert(&l, 9, i, "poison", mw_octets_of_text(text), 1000 + i);
	}
	assert_int_equal(l.alerts_seen, ALERTS + 2);
	assert_string_equal(statussvc_live_alert_at(&l, 0)->text, "number 6");
	assert_string_equal(statussvc_live_alert_at(&l, ALERTS - 1)->text, "number 3");
	assert_null(statussvc_live_alert_at(&l, ALERTS));
}

static void text_from_outside_is_made_printable(void **state)
{
	static const char hostile[] = "\x1b[2J<b>\xff\0\n";
	struct mw_state_worker w = worker("scan\"ner\n", "a\x1b[31m\\", 1, 0);
	struct mw_text out = { 0 };
	json_t *root, *alert;

	(void)state;
	statussvc_live_alert(&l, 1, 1, "po\nison", mw_octets_of(hostile, sizeof(hostile) - 1), 1);
	tell("ipc://front-1", &w, 1, 1000);
	root = json_at(1000);
	alert = json_array_get(json_object_get(root, "alerts"), 0);
	assert_string_equal(json_string_value(json_object_get(alert, "event")), "po?ison");
	assert_string_equal(json_string_value(json_object_get(alert, "text")), "?[2J<b>???");
	json_decref(root);
	statussvc_metrics(&out, &l, 1000);
	assert_non_null(
		strstr(out.p, "mailweir_workers{service=\"scan\\\"ner?\",kind=\"scan\"} 1\n"));
	mw_text_fini(&out);
}

static void a_text_longer_than_an_alert_is_cut(void **state)
{
	char text[1000];

	(void)state;
	memset(text, 'x', sizeof(text));
	statussvc_live_alert(&l, 1, 1, "poison", mw_octets_of(text, sizeof(text)), 1);
	assert_int_equal(
		strlen(statussvc_live_alert_at(&l, 0)->text), sizeof(l.alerts[0].text) - 1);
}

static void gaps_are_counted_and_nonsense_is_not(void **state)
{
	(void)state;
	statussvc_live_gap(&l, 5, 9);
	statussvc_live_gap(&l, 9, 5);
	assert_int_equal(l.records_lost, 5);
}

static void ages_go_on_after_the_snapshot(void **state)
{
	struct mw_state_worker w = worker("scanner", "a", 4, 1);
	json_t *root, *task, *wk;

	(void)state;
	tell("ipc://front-1", &w, 1, 1000);
	root = json_at(3000);
	task = json_array_get(json_object_get(root, "tasks"), 0);
	wk = json_array_get(json_object_get(root, "workers"), 0);
	assert_int_equal(int_at(task, "age_ms"), 3500);
	assert_int_equal(int_at(wk, "seen_ms_ago"), 2100);
	assert_string_equal(json_string_value(json_object_get(task, "task")), "00012-07");
	assert_string_equal(json_string_value(json_object_get(task, "state")), "V");
	assert_string_equal(json_string_value(json_object_get(task, "states")), "md=DV");
	assert_int_equal(int_at(task, "size"), 4711);
	json_decref(root);
}

static void an_empty_house_has_every_key(void **state)
{
	static const char *const keys[] = { "version", "time_ms", "uptime_ms", "fronts_up",
		"totals", "mails", "rates", "history", "fronts", "tasks", "workers", "alerts" };
	struct mw_text out = { 0 };
	json_t *root = json_at(1000);

	(void)state;
	for (size_t i = 0; i < MW_COUNT(keys); i++)
		assert_non_null(json_object_get(root, keys[i]));
	assert_int_equal(json_array_size(json_object_get(root, "history")), STATUSSVC_SPANS);
	json_decref(root);
	statussvc_metrics(&out, &l, 1000);
	assert_non_null(strstr(out.p, "mailweir_mail_seconds_bucket{le=\"+Inf\"} 0\n"));
	mw_text_fini(&out);
}

/* Every line is a comment or NAME[{LABELS}] NUMBER, and has a TYPE above it. */
static void metrics_are_well_formed(void **state)
{
	struct mw_state_worker w = worker("scanner", "a", 4, 1);
	struct mw_record_rcpt rcpt = { .action = MW_ACT_REJECT };
	struct mw_record_elapsed total = {
		.section = mw_octets_of_text("total"), .wall_us = 2500000, .cpu_us = 1
	};
	struct mw_record r = { .ccat = MW_CCAT(MW_CC_SPAM, 0),
		.rcpts = &rcpt,
		.rcpt_count = 1,
		.elapsed = &total,
		.elapsed_count = 1 };
	struct mw_text out = { 0 };
	char *line, *rest;

	(void)state;
	tell("ipc://front-1", &w, 1, 1000);
	statussvc_counts_mail(&l.counts, &r, 1000);
	statussvc_metrics(&out, &l, 1000);
	assert_non_null(
		strstr(out.p, "\nmailweir_mails_total{content=\"Spam\",action=\"REJECT\"} 1\n"));
	assert_non_null(strstr(
		out.p, "\nmailweir_queue_waiting{front=\"ipc://front-1\",kind=\"scan\"} 3\n"));
	assert_non_null(
		strstr(out.p, "\nmailweir_worker_slots{service=\"scanner\",kind=\"scan\"} 4\n"));
	assert_non_null(strstr(out.p, "\nmailweir_mail_seconds_bucket{le=\"1\"} 0\n"));
	assert_non_null(strstr(out.p, "\nmailweir_mail_seconds_bucket{le=\"5\"} 1\n"));
	assert_non_null(strstr(out.p, "\nmailweir_mail_seconds_sum 2.500000\n"));
	for (line = strtok_r(out.p, "\n", &rest); line != NULL;
		line = strtok_r(NULL, "\n", &rest)) {
		char *space = strrchr(line, ' '), *end;

		if (line[0] == '#')
			continue;
		assert_int_equal(strncmp(line, "mailweir_", 9), 0);
		assert_non_null(space);
		(void)strtod(space + 1, &end);
		assert_true(end > space + 1 && *end == '\0');
	}
	mw_text_fini(&out);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(the_latest_snapshot_of_a_front_replaces_the_one_before),
		T(a_front_that_went_has_no_tasks_and_is_forgotten_later),
		T(a_front_that_is_up_is_never_forgotten),
		T(fronts_over_the_limit_are_counted_only_and_one_that_is_down_makes_room),
		T(a_worker_of_several_fronts_is_one_with_all_its_slots),
		T(more_kinds_than_a_worker_can_have_are_left_out),
		T(alerts_are_kept_up_to_the_limit_latest_first),
		T(text_from_outside_is_made_printable),
		T(a_text_longer_than_an_alert_is_cut),
		T(gaps_are_counted_and_nonsense_is_not),
		T(ages_go_on_after_the_snapshot),
		T(an_empty_house_has_every_key),
		T(metrics_are_well_formed),
	};

	return cmocka_run_group_tests_name("status live", tests, NULL, NULL);
}
