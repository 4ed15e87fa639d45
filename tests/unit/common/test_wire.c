#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include <stdio.h>

#include "wire.h"

#define NOW_MS 1000000

static struct mw_pack b;

static int setup(void **state)
{
	(void)state;
	mw_pack_init(&b);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	mw_pack_fini(&b);
	return 0;
}

static struct mw_octets packed(void)
{
	assert_false(b.failed);
	return mw_octets_of(b.p, b.n);
}

/* ------------------------------------------------------------------ one sample of each frame */

static const struct mw_hello hello = { .service = "scanner",
	.worker = "mx1-99-abcdef",
	.endpoint = "ipc:///run/w",
	.key = "",
	.software = MW_VERSION,
	.engine = "ClamAV 1.0",
	.pid = 99,
	.kind_count = 2,
	.kinds = { { "scan", 4 }, { "spam", 65535 } } };
static const struct mw_alive alive = { .incarnation = UINT64_MAX,
	.done = 7,
	.load_permille = 950,
	.engine = "e",
	.kind_count = 1,
	.kinds = { { "scan", 2 } },
	.held_count = 2,
	.held = { { 5, 1, "virus", 40000 }, { UINT64_MAX, UINT32_MAX, "", 0 } },
	.down = { 2, { "clamd", "spamd" } } };
static const struct mw_welcome welcome = { .incarnation = 1ull << 40, .software = "0.1.0" };

static void pack_verdict(void)
{
	struct mw_pack findings;
	struct mw_verdict v = { .job = 7,
		.attempt = 2,
		.status = MW_LIMIT,
		.kind = "scan",
		.reason = "too deep",
		.wall_us = 1500,
		.cpu_us = 900 };

	mw_pack_init(&findings);
	mw_pack_map(&findings, 2);
	mw_pack_kv_int(&findings, "parts", 3);
	mw_pack_kv_text(&findings, "engine", "x");
	v.findings = mw_octets_of(findings.p, findings.n);
	mw_verdict_encode(&b, &v);
	mw_pack_fini(&findings);
}

static void pack_job(void)
{
	struct mw_pack rcpts, orders;
	struct mw_job j = { .job = 7,
		.attempt = 1,
		.kind = "scan",
		.deadline_ms = 30000,
		.log_id = "00012-07",
		.mail_id = "abcDEF",
		.size = 1ull << 35,
		.client_port = 65535 };

	mw_pack_init(&rcpts);
	mw_pack_init(&orders);
	mw_pack_array(&rcpts, 2);
	mw_pack_text(&rcpts, "b@example.com");
	mw_pack_text(&rcpts, "\xc3\xa9@example.com");
	mw_pack_map(&orders, 1);
	mw_pack_kv_bool(&orders, "virus", true);
	j.rcpts = mw_octets_of(rcpts.p, rcpts.n);
	j.orders = mw_octets_of(orders.p, orders.n);
	j.sender = mw_octets_of_text("a@example.org");
	j.helo = mw_octets_of_text("mx");
	j.client_ip = mw_octets_of_text("2001:db8::1");
	mw_job_encode(&b, &j);
	mw_pack_fini(&rcpts);
	mw_pack_fini(&orders);
}

static void pack_hello(void)
{
	mw_hello_encode(&b, &hello);
}

static void pack_alive(void)
{
	mw_alive_encode(&b, &alive);
}

static void pack_welcome(void)
{
	mw_welcome_encode(&b, &welcome);
}

static void pack_refused(void)
{
	mw_plain_encode(&b, MW_FRAME_REFUSED, "too many workers");
}

/* The decoders with one shape, so that one loop tries them all. */
union any {
	struct mw_hello hello;
	struct mw_alive alive;
	struct mw_welcome welcome;
	struct mw_verdict verdict;
	struct mw_job job;
	char why[MW_REASON_MAX];
};

static enum mw_rc read_hello(struct mw_octets f, union any *r)
{
	return mw_hello_decode(f, &r->hello);
}

static enum mw_rc read_alive(struct mw_octets f, union any *r)
{
	return mw_alive_decode(f, &r->alive);
}

static enum mw_rc read_welcome(struct mw_octets f, union any *r)
{
	return mw_welcome_decode(f, &r->welcome);
}

static enum mw_rc read_verdict(struct mw_octets f, union any *r)
{
	return mw_verdict_decode(f, &r->verdict);
}

static enum mw_rc read_plain(struct mw_octets f, union any *r)
{
	return mw_plain_decode(f, r->why, sizeof(r->why));
}

static enum mw_rc read_job(struct mw_octets f, union any *r)
{
	return mw_job_decode(f, NOW_MS, &r->job);
}

static const struct frame {
	enum mw_frame type; /* MW_FRAME_NONE: a job */
	void (*pack)(void);
	enum mw_rc (*read)(struct mw_octets f, union any *r);
	size_t most;
} frames[] = {
	{ MW_FRAME_HELLO, pack_hello, read_hello, MW_CONTROL_FRAME_MAX },
	{ MW_FRAME_ALIVE, pack_alive, read_alive, MW_CONTROL_FRAME_MAX },
	{ MW_FRAME_WELCOME, pack_welcome, read_welcome, MW_CONTROL_FRAME_MAX },
	{ MW_FRAME_VERDICT, pack_verdict, read_verdict, MW_VERDICT_FRAME_MAX },
	{ MW_FRAME_REFUSED, pack_refused, read_plain, MW_CONTROL_FRAME_MAX },
	{ MW_FRAME_NONE, pack_job, read_job, MW_JOB_HEADER_MAX },
};

/* Refused, and the result is what it was. */
static void assert_refused(const struct frame *frame, struct mw_octets octets, enum mw_rc expected)
{
	static union any got, untouched;

	memset(&got, 0x5a, sizeof(got));
	memset(&untouched, 0x5a, sizeof(untouched));
	assert_int_equal(frame->read(octets, &got), expected);
	assert_memory_equal(&got, &untouched, sizeof(got));
}

/* ------------------------------------------------------------------ every frame */

static void every_frame_is_read_by_its_own_reader_only(void **state)
{
	static union any got;

	(void)state;
	for (size_t i = 0; i < MW_COUNT(frames); i++) {
		b.n = 0;
		frames[i].pack();
		assert_int_equal(mw_frame_type(packed()), frames[i].type);
		for (size_t k = 0; k < MW_COUNT(frames); k++) {
			if (k == i)
				assert_int_equal(frames[k].read(packed(), &got), MW_OK);
			else
				assert_refused(&frames[k], packed(), MW_ERR_PROTO);
		}
	}
}

static void every_cut_frame_is_refused(void **state)
{
	(void)state;
	for (size_t i = 0; i < MW_COUNT(frames); i++) {
		b.n = 0;
		frames[i].pack();
		for (size_t n = 0; n < b.n; n++) {
			unsigned char *cut = malloc(n + (n == 0));

			assert_non_null(cut);
			memcpy(cut, b.p, n);
			assert_refused(&frames[i], mw_octets_of(cut, n), MW_ERR_PROTO);
			free(cut);
		}
	}
}

static void an_octet_too_many_is_refused(void **state)
{
	(void)state;
	for (size_t i = 0; i < MW_COUNT(frames); i++) {
		b.n = 0;
		frames[i].pack();
		mw_pack_nil(&b);
		assert_refused(&frames[i], packed(), MW_ERR_PROTO);
	}
}

/* The first octet of our frames is 0x90 + fields. */
static void more_fields_of_a_newer_peer_are_skipped_and_fewer_refused(void **state)
{
	static union any got;

	(void)state;
	for (size_t i = 0; i < MW_COUNT(frames); i++) {
		b.n = 0;
		frames[i].pack();
		mw_pack_text(&b, "new");
		mw_pack_map(&b, 1);
		mw_pack_text(&b, "k");
		mw_pack_nil(&b);
		b.p[0] += 2;
		assert_int_equal(frames[i].read(packed(), &got), MW_OK);
		b.p[0] -= 3;
		assert_refused(&frames[i], packed(), MW_ERR_PROTO);
	}
}

static void another_version_is_refused(void **state)
{
	(void)state;
	for (size_t i = 0; i < MW_COUNT(frames); i++) {
		b.n = 0;
		frames[i].pack();
		assert_int_equal(b.p[1], MW_WIRE_VERSION);
		b.p[1]++;
		assert_int_equal(mw_frame_type(packed()), MW_FRAME_NONE);
		assert_refused(&frames[i], packed(), MW_ERR_PROTO);
	}
}

static void a_frame_above_its_limit_is_refused_unread(void **state)
{
	(void)state;
	for (size_t i = 0; i < MW_COUNT(frames); i++) {
		unsigned char *big;

		b.n = 0;
		frames[i].pack();
		big = calloc(1, frames[i].most + 1);
		assert_non_null(big);
		memcpy(big, b.p, b.n);
		assert_refused(&frames[i], mw_octets_of(big, frames[i].most + 1), MW_ERR_LIMIT);
		assert_refused(&frames[i], mw_octets_of(big, frames[i].most), MW_ERR_PROTO);
		free(big);
	}
}

/* ------------------------------------------------------------------ what each one carries */

static void hello_and_alive_come_back_as_sent(void **state)
{
	static struct mw_hello h;
	static struct mw_alive a;

	(void)state;
	pack_hello();
	assert_int_equal(mw_hello_decode(packed(), &h), MW_OK);
	assert_memory_equal(&h, &hello, sizeof(h));
	b.n = 0;
	pack_alive();
	assert_int_equal(mw_alive_decode(packed(), &a), MW_OK);
	assert_memory_equal(&a, &alive, sizeof(a));
}

/* The names of what is down are the last field; a worker of before has no such field. */
static void alive_tells_what_is_down_and_need_not(void **state)
{
	static const struct mw_alive before = { .incarnation = 1 };
	static struct mw_alive a, more;

	(void)state;
	mw_alive_encode(&b, &before);
	assert_int_equal(b.p[b.n - 1], 0x90); /* an empty list */
	b.p[0]--;
	assert_int_equal(mw_alive_decode(mw_octets_of(b.p, b.n - 1), &a), MW_OK);
	assert_memory_equal(&a, &before, sizeof(a));

	for (unsigned i = 0; i < MW_DOWN_MAX + 4; i++) {
		char name[MW_DOWN_NAME_MAX + 10];

		memset(name, 'n', sizeof(name));
		snprintf(name, sizeof(name), "%u", i);
		if (i < MW_DOWN_MAX - 1)
			name[strlen(name)] = '-';
		name[sizeof(name) - 1] = '\0';
		mw_down_add(&more.down, name);
		mw_down_add(&more.down, name); /* once is enough */
	}
	assert_int_equal(more.down.count, MW_DOWN_MAX);
	assert_int_equal(strlen(more.down.names[0]), MW_DOWN_NAME_MAX - 1);
	mw_down_add(&more.down, "15");
	assert_true(mw_down_has(&more.down, "15") && !mw_down_has(&more.down, "16"));
	b.n = 0;
	mw_alive_encode(&b, &more);
	assert_int_equal(mw_alive_decode(packed(), &a), MW_OK);
	assert_memory_equal(&a, &more, sizeof(a));

	/* One more than there may be: the list's head is 0xdc 0x00 0x10. */
	for (size_t i = b.n; i-- > 2;)
		if (b.p[i - 2] == 0xdc && b.p[i - 1] == 0 && b.p[i] == MW_DOWN_MAX) {
			b.p[i]++;
			break;
		}
	mw_pack_text(&b, "x");
	assert_int_equal(mw_alive_decode(packed(), &a), MW_ERR_PROTO);
}

static void what_is_not_printable_in_a_name_is_replaced(void **state)
{
	struct mw_down d = { 0 };

	(void)state;
	mw_down_add(&d, "a\nb\xc3");
	assert_string_equal(d.names[0], "a?b?");
}

static void a_verdict_comes_back_with_findings_borrowed_from_its_frame(void **state)
{
	struct mw_verdict v;

	(void)state;
	pack_verdict();
	assert_int_equal(mw_verdict_decode(packed(), &v), MW_OK);
	assert_int_equal(v.job, 7);
	assert_int_equal(v.attempt, 2);
	assert_int_equal(v.status, MW_LIMIT);
	assert_string_equal(v.kind, "scan");
	assert_string_equal(v.reason, "too deep");
	assert_int_equal(v.wall_us, 1500);
	assert_true(v.findings.p > b.p && v.findings.p + v.findings.n == b.p + b.n);
	assert_int_equal(mw_map_int(v.findings, "parts", -1), 3);
}

static void a_verdict_without_findings_has_an_empty_map(void **state)
{
	const struct mw_verdict sent = {
		.job = 1, .kind = "scan", .status = MW_FAILED, .reason = MW_REASON_CAGE_DIED
	};
	struct mw_verdict v;

	(void)state;
	mw_verdict_encode(&b, &sent);
	assert_int_equal(mw_verdict_decode(packed(), &v), MW_OK);
	assert_int_equal(v.findings.n, 1);
	assert_int_equal(mw_map_int(v.findings, "parts", -1), -1);
}

static void a_reason_that_could_speak_smtp_in_our_name_is_refused(void **state)
{
	const struct mw_verdict sent = {
		.job = 1, .kind = "scan", .status = MW_FAILED, .reason = "x\r\n250 ok"
	};

	(void)state;
	mw_verdict_encode(&b, &sent);
	assert_refused(&frames[3], packed(), MW_ERR_PROTO);
}

static void an_unknown_status_is_refused(void **state)
{
	const struct mw_verdict sent = { .job = 1, .kind = "scan", .status = MW_STATUS_COUNT };

	(void)state;
	mw_verdict_encode(&b, &sent);
	assert_refused(&frames[3], packed(), MW_ERR_PROTO);
}

static void a_jobs_deadline_is_what_is_left_on_the_receivers_clock(void **state)
{
	struct mw_octets one;
	struct mw_cur c;
	struct mw_job j;
	size_t count;

	(void)state;
	pack_job();
	assert_int_equal(mw_job_decode(packed(), NOW_MS, &j), MW_OK);
	assert_int_equal(j.deadline_ms, NOW_MS + 30000);
	assert_int_equal(j.size, 1ull << 35);
	assert_int_equal(j.client_port, 65535);
	assert_true(mw_octets_ieq(j.sender, "a@example.org"));
	assert_int_equal(j.tls.n, 0);
	assert_int_equal(j.part_count, 0);
	assert_true(mw_map_bool(j.orders, "virus", false));
	c = mw_cur_of(j.rcpts.p, j.rcpts.n);
	assert_true(mw_cur_array(&c, &count));
	assert_int_equal(count, 2);
	assert_true(
		mw_cur_octets(&c, 1000, &one) && mw_cur_octets(&c, 1000, &one) && mw_cur_end(&c));
	assert_memory_equal(one.p, "\xc3\xa9", 2);
}

static void a_job_that_is_not_understood_still_tells_which_it_is(void **state)
{
	struct mw_job whole, j;
	size_t named = 0;

	(void)state;
	pack_job();
	assert_int_equal(mw_job_decode(packed(), NOW_MS, &whole), MW_OK);
	for (size_t n = 0; n <= packed().n; n++) {
		j = (struct mw_job){ .job = 99 };
		if (mw_job_name_decode(mw_octets_of(b.p, n), &j) != MW_OK) {
			assert_int_equal(j.job, 99);
			assert_int_equal(named, 0); /* once enough is there, more does no harm */
			continue;
		}
		named++;
		assert_int_equal(j.job, whole.job);
		assert_int_equal(j.attempt, whole.attempt);
		assert_string_equal(j.kind, whole.kind);
	}
	assert_true(named > 1);
	b.n = 0;
	pack_hello();
	assert_int_equal(mw_job_name_decode(packed(), &j), MW_ERR_PROTO);
}

static void recipients_above_the_limit_are_refused(void **state)
{
	struct mw_job j = { .job = 1, .kind = "scan", .log_id = "l", .mail_id = "m" };
	struct mw_pack rcpts;

	(void)state;
	for (size_t n = MW_RCPTS_MAX; n <= MW_RCPTS_MAX + 1; n++) {
		b.n = 0;
		mw_pack_init(&rcpts);
		mw_pack_array(&rcpts, n);
		for (size_t i = 0; i < n; i++)
			mw_pack_text(&rcpts, "a@b");
		j.rcpts = mw_octets_of(rcpts.p, rcpts.n);
		mw_job_encode(&b, &j);
		mw_pack_fini(&rcpts);
		if (n == MW_RCPTS_MAX) {
			static union any got;

			assert_int_equal(read_job(packed(), &got), MW_OK);
		} else {
			assert_refused(&frames[5], packed(), MW_ERR_PROTO);
		}
	}
}

static void kinds_and_held_jobs_above_the_limit_are_refused(void **state)
{
	(void)state;
	mw_pack_array(&b, 8);
	mw_pack_uint(&b, MW_WIRE_VERSION);
	mw_pack_uint(&b, MW_FRAME_ALIVE);
	for (int i = 0; i < 3; i++)
		mw_pack_uint(&b, 0);
	mw_pack_text(&b, "");
	mw_pack_array(&b, 0);
	mw_pack_array(&b, MW_HELD_MAX + 1);
	for (int i = 0; i <= MW_HELD_MAX; i++) {
		mw_pack_array(&b, 4);
		mw_pack_uint(&b, 1);
		mw_pack_uint(&b, 1);
		mw_pack_text(&b, "p");
		mw_pack_uint(&b, 1);
	}
	assert_refused(&frames[1], packed(), MW_ERR_PROTO);
}

/* ------------------------------------------------------------------ the cursor */

static struct mw_cur cur_of_text(const char *octets, size_t n)
{
	return mw_cur_of(octets, n);
}
#define CUR(literal) cur_of_text((literal), sizeof(literal) - 1)

static void numbers_are_read_in_every_form_and_bounded(void **state)
{
	static const struct {
		const char *octets;
		size_t n;
		int64_t v;
	} rows[] = { { "\x7f", 1, 127 }, { "\xcc\xff", 2, 255 }, { "\xcd\x00\x01", 3, 1 },
		{ "\xce\xff\xff\xff\xff", 5, UINT32_MAX },
		{ "\xcf\x7f\xff\xff\xff\xff\xff\xff\xff", 9, INT64_MAX }, { "\xd0\x05", 2, 5 },
		{ "\xe0", 1, -32 }, { "\xff", 1, -1 }, { "\xd0\x80", 2, -128 },
		{ "\xd1\x80\x00", 3, -32768 }, { "\xd2\x80\x00\x00\x00", 5, INT32_MIN },
		{ "\xd3\x80\x00\x00\x00\x00\x00\x00\x00", 9, INT64_MIN } };

	(void)state;
	for (size_t i = 0; i < MW_COUNT(rows); i++) {
		struct mw_cur c = mw_cur_of(rows[i].octets, rows[i].n), d = c;
		uint64_t u;
		int64_t v;

		assert_true(mw_cur_int(&c, &v) && mw_cur_end(&c));
		assert_true(v == rows[i].v);
		assert_int_equal(mw_cur_uint(&d, UINT64_MAX, &u), rows[i].v >= 0);
		assert_int_equal(d.failed, rows[i].v < 0);
		d = mw_cur_of(rows[i].octets, rows[i].n);
		if (rows[i].v > 0)
			assert_false(mw_cur_uint(&d, (uint64_t)rows[i].v - 1, &u));
	}
}

static void a_number_above_int64_is_no_int(void **state)
{
	struct mw_cur c = CUR("\xcf\x80\x00\x00\x00\x00\x00\x00\x00"), d = c;
	uint64_t u;
	int64_t v;

	(void)state;
	assert_false(mw_cur_int(&c, &v));
	assert_true(mw_cur_uint(&d, UINT64_MAX, &u));
	assert_true(u == 1ull << 63);
}

static void a_failed_cursor_refuses_everything_after(void **state)
{
	struct mw_cur c = CUR("\x01\x02\x03");
	struct mw_octets o;
	uint64_t u;
	bool v;

	(void)state;
	assert_false(mw_cur_bool(&c, &v));
	assert_false(mw_cur_uint(&c, 10, &u));
	assert_false(mw_cur_raw(&c, &o));
	assert_false(mw_cur_skip(&c, 0));
	assert_false(mw_cur_end(&c));
}

static void claims_beyond_the_octets_that_are_there_are_refused(void **state)
{
	static const struct {
		const char *octets;
		size_t n;
	} rows[] = { { "\xdd\xff\xff\xff\xff", 5 }, { "\xdf\xff\xff\xff\xff", 5 },
		{ "\xdb\xff\xff\xff\xff", 5 }, { "\xc6\xff\xff\xff\xff", 5 }, { "\x92\x01", 2 },
		{ "\x81\x01", 2 }, { "\xa2x", 2 }, { "\xdc\x00", 2 }, { "\xc1", 1 },
		{ "\xd4\x01\x01", 3 }, { "\xc7\x01\x01x", 4 }, { "\xcb\x00", 2 } };

	(void)state;
	for (size_t i = 0; i < MW_COUNT(rows); i++) {
		struct mw_cur c = mw_cur_of(rows[i].octets, rows[i].n);
		struct mw_octets o;

		assert_false(mw_cur_raw(&c, &o));
		assert_true(c.failed);
	}
}

static void nesting_is_bounded(void **state)
{
	unsigned char deep[32];

	(void)state;
	memset(deep, 0x91, sizeof(deep));
	for (size_t n = 1; n < sizeof(deep); n++) {
		struct mw_cur c = mw_cur_of(deep, n + 1);
		struct mw_octets o;

		deep[n] = 0xc0;
		assert_int_equal(mw_cur_raw(&c, &o), n <= 16);
		deep[n] = 0x91;
	}
}

static void text_is_printable_and_fits(void **state)
{
	struct mw_cur c = CUR("\xa3"
			      "abc"),
		      d = CUR("\xa3"
			      "a\tc"),
		      e = CUR("\xa3"
			      "a\xc3\xa9"),
		      f = CUR("\xc4\x03"
			      "abc");
	char buf[4] = "??", tight[3] = "??";

	(void)state;
	assert_true(mw_cur_text(&c, buf, sizeof(buf)));
	assert_string_equal(buf, "abc");
	assert_false(mw_cur_text(&d, buf, sizeof(buf)));
	assert_false(mw_cur_text(&e, buf, sizeof(buf)));
	assert_true(mw_cur_text(&f, buf, sizeof(buf)));
	c = CUR("\xa3"
		"abc");
	assert_false(mw_cur_text(&c, tight, sizeof(tight)));
	assert_string_equal(tight, "??");
}

static void a_map_is_looked_up_by_name_whatever_else_is_in_it(void **state)
{
	struct mw_octets map;
	struct mw_cur c;

	(void)state;
	mw_pack_map(&b, 4);
	mw_pack_text(&b, "list");
	mw_pack_array(&b, 2);
	mw_pack_text(&b, "n");
	mw_pack_nil(&b);
	mw_pack_kv_int(&b, "n", -5);
	mw_pack_kv_bool(&b, "yes", true);
	mw_pack_kv_octets(&b, "octets", mw_octets_of("\0\xff", 2));
	map = packed();
	assert_int_equal(mw_map_int(map, "n", 9), -5);
	assert_true(mw_map_bool(map, "yes", false));
	assert_int_equal(mw_map_octets(map, "octets").n, 2);
	assert_int_equal(mw_map_int(map, "nn", 9), 9);
	assert_int_equal(mw_map_int(map, "yes", 9), 9);
	assert_null(mw_map_octets(map, "n").p);
	assert_true(mw_map_find(map, "list", &c));
	assert_false(mw_map_find(mw_octets_of(map.p, 3), "n", &c));
	assert_false(mw_map_find(mw_octets_of(NULL, 0), "n", &c));
	assert_false(mw_map_find(mw_octets_of("\x93\x01\x02\x03", 4), "n", &c));
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(every_frame_is_read_by_its_own_reader_only),
		T(every_cut_frame_is_refused),
		T(an_octet_too_many_is_refused),
		T(more_fields_of_a_newer_peer_are_skipped_and_fewer_refused),
		T(another_version_is_refused),
		T(a_frame_above_its_limit_is_refused_unread),
		T(hello_and_alive_come_back_as_sent),
		T(alive_tells_what_is_down_and_need_not),
		T(what_is_not_printable_in_a_name_is_replaced),
		T(a_verdict_comes_back_with_findings_borrowed_from_its_frame),
		T(a_verdict_without_findings_has_an_empty_map),
		T(a_reason_that_could_speak_smtp_in_our_name_is_refused),
		T(an_unknown_status_is_refused),
		T(a_jobs_deadline_is_what_is_left_on_the_receivers_clock),
		T(a_job_that_is_not_understood_still_tells_which_it_is),
		T(recipients_above_the_limit_are_refused),
		T(kinds_and_held_jobs_above_the_limit_are_refused),
		T(numbers_are_read_in_every_form_and_bounded),
		T(a_number_above_int64_is_no_int),
		T(a_failed_cursor_refuses_everything_after),
		T(claims_beyond_the_octets_that_are_there_are_refused),
		T(nesting_is_bounded),
		T(text_is_printable_and_fits),
		T(a_map_is_looked_up_by_name_whatever_else_is_in_it),
	};

	return cmocka_run_group_tests_name("wire", tests, NULL, NULL);
}
