#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "../../../tools/status_view.h"

static struct status_view v;

static int teardown(void **state)
{
	(void)state;
	status_view_fini(&v);
	return 0;
}

static json_t *parse(const char *text)
{
	json_t *root = json_loads(text, 0, NULL);

	assert_non_null(root);
	return root;
}

/* A state with that many mails in flight, workers and alerts. */
static json_t *house(int tasks, int workers, int alerts)
{
	json_t *root = parse(
		"{\"time_ms\":1700000000000,\"totals\":{\"mails\":100,\"aborted\":2},"
		"\"rates\":{\"minute\":{\"mails\":60,\"octets\":600000,\"content\":{\"Clean\":50,"
		"\"Spam\":10},\"action\":{\"PASS\":60},\"latency_ms\":{\"p50\":12.4,\"p95\":50,"
		"\"p99\":1500}}},\"fronts\":[{\"front\":\"1\",\"up\":true,\"sessions\":7,"
		"\"in_flight\":3,\"held_octets\":5000}],\"tasks\":[],\"workers\":[],\"alerts\":[]"
		"}");

	for (int i = 0; i < tasks; i++)
		json_array_append_new(json_object_get(root, "tasks"),
			json_pack("{s:s, s:i, s:s, s:s, s:i, s:s}", "task", "00012-07", "age_ms",
				1000 * (i + 1), "state", "V", "states", "md=DV", "size", 5700,
				"client", "192.0.2.1"));
	for (int i = 0; i < workers; i++)
		json_array_append_new(json_object_get(root, "workers"),
			json_pack("{s:s, s:s, s:s, s:i, s:i, s:[{s:s, s:i, s:i}]}", "service",
				"scanner", "worker", "mx1-99-abcdef", "engine",
				"ClamAV 1.0 sig 27000", "load_permille", 255, "seen_ms_ago", 120,
				"kinds", "kind", "scan", "slots", 8, "busy", 3));
	for (int i = 0; i < alerts; i++)
		json_array_append_new(json_object_get(root, "alerts"),
			json_pack("{s:I, s:s, s:s}", "time_ms", (json_int_t)1700000000000, "event",
				"poison", "text", "mail_id=abc"));
	return root;
}

/* The first line that holds this text, or NULL. */
static const struct status_line *line_with(const char *text)
{
	for (size_t i = 0; i < v.count; i++)
		if (strstr(v.lines[i].text, text) != NULL)
			return &v.lines[i];
	return NULL;
}

static size_t lines_with(const char *text)
{
	size_t n = 0;

	for (size_t i = 0; i < v.count; i++)
		n += strstr(v.lines[i].text, text) != NULL;
	return n;
}

static void octets_are_short(void **state)
{
	static const struct {
		int64_t n;
		const char *expected;
	} rows[] = { { -1, "0" }, { 0, "0" }, { 999, "999" }, { 1000, "1.0K" }, { 1024, "1.0K" },
		{ 10188, "9.9K" }, { 10240, "10K" }, { 1023999, "1.0M" }, { 104857600, "100M" },
		{ INT64_MAX, "8.0E" } };
	char buf[16];

	(void)state;
	for (size_t i = 0; i < MW_COUNT(rows); i++)
		assert_string_equal(status_octets(buf, rows[i].n), rows[i].expected);
}

static void durations_are_short(void **state)
{
	static const struct {
		int64_t ms;
		const char *expected;
	} rows[] = { { -5, "-" }, { 0, "0ms" }, { 999, "999ms" }, { 1000, "1.0s" },
		{ 59999, "59.9s" }, { 60000, "1:00" }, { 3599999, "59:59" }, { 3600000, "1:00:00" },
		{ 86399999, "23:59:59" }, { 86400000, "1d00h" }, { INT64_MAX, "long" } };
	char buf[16];

	(void)state;
	for (size_t i = 0; i < MW_COUNT(rows); i++)
		assert_string_equal(status_duration(buf, rows[i].ms), rows[i].expected);
}

static void a_bar_has_a_character_a_second_and_a_colon_each_tenth(void **state)
{
	char buf[36];

	(void)state;
	assert_string_equal(status_bar(buf, 35, -1, 'V'), "");
	assert_string_equal(status_bar(buf, 35, 999, 'V'), "");
	assert_string_equal(status_bar(buf, 35, 12000, 'V'), "VVVVVVVVV:VV");
	assert_string_equal(status_bar(buf, 12, 12999, 'V'), "VVVVVVVVV:VV");
	assert_string_equal(status_bar(buf, 12, 13000, 'V'), "VVVVVVVVV:V>");
	assert_string_equal(
		status_bar(buf, 35, INT64_MAX, '='), "=========:=========:=========:====>");
	assert_string_equal(status_bar(buf, 0, 5000, 'V'), "");
}

static void it_shows_totals_mails_workers_and_alerts(void **state)
{
	json_t *root = house(1, 1, 1);
	const struct status_line *line;

	(void)state;
	status_view_build(&v, root, NULL, 120, 0);
	line = line_with("fronts 1/1 up");
	assert_non_null(line);
	assert_int_equal(line->look, STATUS_GOOD);
	assert_non_null(strstr(line->text, "sessions 7  in flight 3  held 4.9K"));
	assert_non_null(line_with(
		"60 mails 586K  p50 12ms p95 50ms p99 1.5s  total: 100 mails, 2 aborted"));
	assert_non_null(line_with("contents: Clean 50 Spam 10"));
	line = line_with("00012-07");
	assert_non_null(line);
	assert_non_null(strstr(line->text, " 1.0s md=DV "));
	assert_non_null(strstr(line->text, " 192.0.2.1 "));
	assert_non_null(strstr(line->text, " 5.6K V"));
	line = line_with("mx1-99-abcdef");
	assert_non_null(strstr(line->text, "scan 3/8"));
	assert_non_null(strstr(line->text, " 25% 120ms ClamAV 1.0 sig 27000"));
	assert_non_null(line_with("poison: mail_id=abc"));
	json_decref(root);
}

static void the_oldest_mail_is_first_and_an_old_one_stands_out(void **state)
{
	json_t *root = house(40, 0, 0);

	(void)state;
	status_view_build(&v, root, NULL, 80, 0);
	assert_int_equal(lines_with("00012-07"), 40);
	assert_non_null(strstr(line_with("00012-07")->text, "40.0s"));
	assert_int_equal(line_with("00012-07")->look, STATUS_WARN);
	assert_int_equal(line_with("no worker")->look, STATUS_BAD);
	json_decref(root);
}

static void it_fits_every_terminal(void **state)
{
	static const int houses[][3] = { { 0, 0, 0 }, { 3, 2, 0 }, { 100, 100, 100 }, { 100, 1, 1 },
		{ 1, 100, 0 } };

	(void)state;
	for (size_t h = 0; h < MW_COUNT(houses); h++) {
		json_t *root = house(houses[h][0], houses[h][1], houses[h][2]);

		for (unsigned rows = 1; rows <= 60; rows++) {
			for (unsigned width = 1; width <= 300; width += 13) {
				status_view_build(&v, root, "trouble", width, rows);
				assert_true(v.count <= rows);
				for (size_t i = 0; i < v.count; i++)
					assert_true(strlen(v.lines[i].text) <= v.width &&
						    v.width <= STATUS_WIDTH_MOST);
			}
		}
		json_decref(root);
	}
}

static void on_24_rows_both_tables_have_a_share_and_say_what_is_left_out(void **state)
{
	json_t *root = house(100, 100, 0);
	size_t tasks, workers;
	char more[32];

	(void)state;
	status_view_build(&v, root, NULL, 80, 24);
	tasks = lines_with("00012-07");
	workers = lines_with("mx1-99-abcdef");
	assert_true(tasks >= 7 && workers >= 7);
	assert_int_equal(v.count, 24);
	snprintf(more, sizeof(more), "... %zu younger ones", 100 - tasks);
	assert_non_null(line_with(more));
	snprintf(more, sizeof(more), "... %zu more", 100 - workers);
	assert_non_null(line_with(more));
	json_decref(root);
}

static void a_terminal_is_never_given_what_it_would_obey(void **state)
{
	json_t *root = parse("{\"tasks\":[{\"task\":\"\\u001b[2J\\u009bx\",\"client\":"
			     "\"\\u202e\\u0007\",\"state\":\"\\u001b\"}],"
			     "\"workers\":[{\"service\":\"\\r\\n\",\"engine\":\"\\u001b]0;x\"}],"
			     "\"alerts\":[{\"event\":\"\\t\",\"text\":\"\\u007f\"}],"
			     "\"rates\":{\"minute\":{\"content\":{\"\\u001b\":1}}},"
			     "\"fronts\":[{\"endpoint\":\"\\u001b\"}]}");

	(void)state;
	status_view_build(&v, root, "\x1b[31m", 100, 0);
	for (size_t i = 0; i < v.count; i++)
		assert_true(mw_is_printable(v.lines[i].text, strlen(v.lines[i].text)));
	json_decref(root);
}

static void wrong_and_missing_fields_show_as_nothing(void **state)
{
	static const char *const states[] = { "{}", "[]", "1",
		"{\"fronts\":3,\"tasks\":{},\"workers\":\"x\",\"alerts\":null,\"rates\":[],"
		"\"totals\":1,\"time_ms\":\"x\"}",
		"{\"fronts\":[1,null,[]],\"tasks\":[1,null,[],{\"age_ms\":\"x\",\"state\":3,"
		"\"size\":-5}],"
		"\"workers\":[[],{\"kinds\":[1,{}]},{\"kinds\":7}],\"alerts\":[0,{}]}",
		"{\"tasks\":[{\"age_ms\":9223372036854775807,\"size\":9223372036854775807}],"
		"\"workers\":[{\"seen_ms_ago\":-9223372036854775808,\"load_permille\":"
		"9223372036854775807}],"
		"\"alerts\":[{\"time_ms\":9223372036854775807}],\"time_ms\":-9223372036854775808,"
		"\"rates\":{\"minute\":{\"latency_ms\":{\"p50\":1e308,\"p95\":-1}}}}" };

	(void)state;
	for (size_t i = 0; i < MW_COUNT(states); i++) {
		json_t *root = json_loads(states[i], JSON_DECODE_ANY, NULL);

		assert_non_null(root);
		status_view_build(&v, root, NULL, 80, 24);
		assert_true(v.count > 0 && !v.failed);
		json_decref(root);
	}
	status_view_build(&v, NULL, "no answer", 80, 24);
	assert_int_equal(v.count, 1);
	assert_string_equal(v.lines[0].text, "no answer");
}

static void a_front_that_is_down_and_jobs_that_wait_are_told(void **state)
{
	json_t *root =
		parse("{\"fronts\":[{\"endpoint\":\"ipc:///a\",\"up\":false,\"since_ms\":61000},"
		      "{\"front\":\"2\",\"up\":true,\"queues\":[{\"kind\":\"scan\",\"waiting\":3,"
		      "\"most\":1000},"
		      "{\"kind\":\"spam\",\"waiting\":0,\"most\":1000}]}]}");

	(void)state;
	status_view_build(&v, root, NULL, 100, 24);
	assert_int_equal(line_with("fronts 1/2 up")->look, STATUS_BAD);
	assert_non_null(line_with("front ipc:///a is down for 1:01"));
	assert_non_null(line_with("front 2: 3 of at most 1000 scan jobs wait for a worker"));
	assert_null(line_with("spam jobs"));
	json_decref(root);
}

int main(void)
{
#define T(f) cmocka_unit_test_teardown(f, teardown)
	const struct CMUnitTest tests[] = {
		T(octets_are_short),
		T(durations_are_short),
		T(a_bar_has_a_character_a_second_and_a_colon_each_tenth),
		T(it_shows_totals_mails_workers_and_alerts),
		T(the_oldest_mail_is_first_and_an_old_one_stands_out),
		T(it_fits_every_terminal),
		T(on_24_rows_both_tables_have_a_share_and_say_what_is_left_out),
		T(a_terminal_is_never_given_what_it_would_obey),
		T(wrong_and_missing_fields_show_as_nothing),
		T(a_front_that_is_down_and_jobs_that_wait_are_told),
	};

	return cmocka_run_group_tests_name("status view", tests, NULL, NULL);
}
