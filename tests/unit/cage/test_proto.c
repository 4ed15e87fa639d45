#include "help.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

/* A codec under one shape, so that every cut can be tried on each. */
struct codec {
	const char *name;
	void (*encode)(struct mw_pack *b);
	enum mw_rc (*decode)(struct mw_octets m);
};

static void encode_conf(struct mw_pack *b)
{
	struct scan_conf c = test_conf();

	mw_strlcpy(c.temp_dir, "/tmp/x", sizeof(c.temp_dir));
	mw_strlcpy(c.database, "/var/lib/clamav", sizeof(c.database));
	scan_conf_encode(b, &c);
}

static enum mw_rc decode_conf(struct mw_octets m)
{
	struct scan_conf want = test_conf(), got;
	enum mw_rc rc = scan_conf_decode(m, &got);

	if (rc != MW_OK)
		return rc;
	mw_strlcpy(want.temp_dir, "/tmp/x", sizeof(want.temp_dir));
	mw_strlcpy(want.database, "/var/lib/clamav", sizeof(want.database));
	assert_memory_equal(&want, &got, sizeof(want));
	return rc;
}

static void encode_engine(struct mw_pack *b)
{
	scan_engine_encode(b, &(struct scan_engine){ "ClamAV 1/2", 7, 8, true });
}

static enum mw_rc decode_engine(struct mw_octets m)
{
	struct scan_engine e;
	enum mw_rc rc = scan_engine_decode(m, &e);

	if (rc == MW_OK)
		assert_true(strcmp(e.text, "ClamAV 1/2") == 0 && e.signatures == 7 &&
			    e.load_ms == 8 && e.project);
	return rc;
}

static void encode_born(struct mw_pack *b)
{
	scan_born_encode(b, &(struct scan_born){ 300, 70000 });
}

static enum mw_rc decode_born(struct mw_octets m)
{
	struct scan_born v;
	enum mw_rc rc = scan_born_decode(m, &v);

	if (rc == MW_OK)
		assert_true(v.serial == 300 && v.pid == 70000);
	return rc;
}

static void encode_died(struct mw_pack *b)
{
	scan_died_encode(b, &(struct scan_died){ 300, 9, 0, true });
}

static enum mw_rc decode_died(struct mw_octets m)
{
	struct scan_died v;
	enum mw_rc rc = scan_died_decode(m, &v);

	if (rc == MW_OK)
		assert_true(v.serial == 300 && v.signal == 9 && v.code == 0 && v.ours);
	return rc;
}

static void encode_result(struct mw_pack *b)
{
	static const unsigned char map[] = { 0x81, 0xa1, 'a', 0x01 };

	scan_result_encode(b, &(struct scan_result){ .id = 5,
				      .status = MW_LIMIT,
				      .reason = "why",
				      .cpu_us = 99,
				      .findings = { map, sizeof(map) },
				      .worn = true });
}

static enum mw_rc decode_result(struct mw_octets m)
{
	struct scan_result v;
	enum mw_rc rc = scan_result_decode(m, &v);

	if (rc == MW_OK) {
		assert_true(v.id == 5 && v.status == MW_LIMIT && strcmp(v.reason, "why") == 0 &&
			    v.cpu_us == 99 && v.worn);
		assert_int_equal(mw_map_int(v.findings, "a", 0), 1);
	}
	return rc;
}

static void encode_kill(struct mw_pack *b)
{
	scan_number_encode(b, SCAN_MSG_KILL, 70000);
}

static enum mw_rc decode_kill(struct mw_octets m)
{
	uint64_t n;
	enum mw_rc rc = scan_number_decode(m, &n);

	if (rc == MW_OK)
		assert_int_equal(n, 70000);
	return rc;
}

static void encode_broken(struct mw_pack *b)
{
	scan_text_encode(b, SCAN_MSG_BROKEN, "no signatures");
}

static enum mw_rc decode_broken(struct mw_octets m)
{
	char text[64];
	enum mw_rc rc = scan_text_decode(m, text, sizeof(text));

	if (rc == MW_OK)
		assert_string_equal(text, "no signatures");
	return rc;
}

static const struct codec codecs[] = {
	{ "conf", encode_conf, decode_conf },
	{ "engine", encode_engine, decode_engine },
	{ "born", encode_born, decode_born },
	{ "died", encode_died, decode_died },
	{ "result", encode_result, decode_result },
	{ "kill", encode_kill, decode_kill },
	{ "broken", encode_broken, decode_broken },
};

static void every_message_comes_back_as_it_went(void **state)
{
	(void)state;
	for (size_t i = 0; i < MW_COUNT(codecs); i++) {
		struct mw_pack b;

		mw_pack_init(&b);
		codecs[i].encode(&b);
		assert_int_equal(codecs[i].decode(mw_octets_of(b.p, b.n)), MW_OK);
		mw_pack_fini(&b);
	}
}

static void every_cut_and_every_octet_too_many_is_refused(void **state)
{
	(void)state;
	for (size_t i = 0; i < MW_COUNT(codecs); i++) {
		struct mw_pack b;

		mw_pack_init(&b);
		codecs[i].encode(&b);
		for (size_t n = 0; n < b.n; n++) {
			unsigned char *cut = malloc(n != 0 ? n : 1);

			memcpy(cut, b.p, n);
			assert_int_equal(codecs[i].decode(mw_octets_of(cut, n)), MW_ERR_PROTO);
			free(cut);
		}
		mw_pack_nil(&b);
		assert_int_equal(codecs[i].decode(mw_octets_of(b.p, b.n)), MW_ERR_PROTO);
		mw_pack_fini(&b);
	}
}

static void a_message_of_another_type_or_version_is_refused(void **state)
{
	(void)state;
	for (size_t i = 0; i < MW_COUNT(codecs); i++) {
		struct mw_pack b;

		mw_pack_init(&b);
		scan_number_encode(&b, SCAN_MSG_NONE, 1);
		if (codecs[i].decode != decode_kill) /* kill and drain have one shape */
			assert_int_equal(codecs[i].decode(mw_octets_of(b.p, b.n)), MW_ERR_PROTO);
		b.n = 0;
		codecs[i].encode(&b);
		for (size_t at = 1; at < 4; at++)
			if (b.p[at] == 1) { /* the version: the first 1 behind the array's head */
				b.p[at] = 2;
				break;
			}
		assert_int_equal(codecs[i].decode(mw_octets_of(b.p, b.n)), MW_ERR_PROTO);
		assert_int_equal(scan_message_type(mw_octets_of(b.p, b.n)), SCAN_MSG_NONE);
		mw_pack_fini(&b);
	}
}

static void octets_follow_the_header_of_a_job(void **state)
{
	struct scan_order o = { 7, 123456789, 1000, 5, true, false, true, true }, got;
	struct mw_octets rest;
	struct mw_pack b;

	(void)state;
	mw_pack_init(&b);
	scan_order_encode(&b, &o);
	mw_pack_raw(&b, mw_octets_of_text("hello"));
	assert_int_equal(scan_order_decode(mw_octets_of(b.p, b.n), &got, &rest), MW_OK);
	assert_true(got.id == 7 && got.until_ms == 123456789 && got.most_ms == 1000 &&
		    got.size == 5 && got.virus && !got.decode);
	assert_true(got.parts && got.digests);
	assert_int_equal(rest.n, 5);
	assert_memory_equal(rest.p, "hello", 5);
	mw_pack_fini(&b);
}

/* ------------------------------------------------------------------ sockets and sealed memory */

static void pair_of(int pair[2])
{
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	fcntl(pair[0], F_SETFL, O_NONBLOCK);
	fcntl(pair[1], F_SETFL, O_NONBLOCK);
}

static void a_datagram_arrives_whole_with_its_descriptor(void **state)
{
	const struct mw_octets parts[] = { { (const unsigned char *)"one", 3 },
		{ (const unsigned char *)"two", 3 } };
	int pair[2], fd, sealed = scan_seal(parts, 2);
	unsigned char buf[64];
	const unsigned char *map;
	size_t n;

	(void)state;
	pair_of(pair);
	assert_int_equal(scan_recv(pair[1], buf, sizeof(buf), &n, &fd), MW_AGAIN);
	assert_int_equal(scan_send(pair[0], mw_octets_of_text("head"), parts, 2, sealed), MW_OK);
	assert_int_equal(scan_recv(pair[1], buf, sizeof(buf), &n, &fd), MW_OK);
	assert_int_equal(n, 10);
	assert_memory_equal(buf, "headonetwo", 10);
	map = scan_map_sealed(fd, 6);
	assert_non_null(map);
	assert_memory_equal(map, "onetwo", 6);
	munmap((void *)map, 6);
	assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	close(fd);
	close(sealed);
	close(pair[0]);
	assert_int_equal(scan_recv(pair[1], buf, sizeof(buf), &n, &fd), MW_ERR_GONE);
	assert_int_equal(scan_send(pair[1], mw_octets_of_text("x"), NULL, 0, -1), MW_ERR_GONE);
	close(pair[1]);
}

static void a_datagram_longer_than_the_buffer_is_refused(void **state)
{
	int pair[2], fd;
	unsigned char buf[4];
	size_t n;

	(void)state;
	pair_of(pair);
	assert_int_equal(scan_send(pair[0], mw_octets_of_text("12345"), NULL, 0, -1), MW_OK);
	assert_int_equal(scan_recv(pair[1], buf, sizeof(buf), &n, &fd), MW_ERR_PROTO);
	close(pair[0]);
	close(pair[1]);
}

static void the_longest_datagram_goes_through(void **state)
{
	static unsigned char out[SCAN_DATAGRAM_MAX], in[SCAN_DATAGRAM_MAX];
	int pair[2], fd;
	size_t n = 0;

	(void)state;
	pair_of(pair);
	memset(out, 'x', sizeof(out));
	assert_int_equal(scan_send(pair[0], mw_octets_of(out, sizeof(out)), NULL, 0, -1), MW_OK);
	assert_int_equal(scan_recv(pair[1], in, sizeof(in), &n, &fd), MW_OK);
	assert_int_equal(n, sizeof(out));
	close(pair[0]);
	close(pair[1]);
}

static void memory_that_is_not_sealed_or_not_that_long_is_not_mapped(void **state)
{
	const struct mw_octets part = mw_octets_of_text("hello");
	int sealed = scan_seal(&part, 1), open_one = memfd_create("x", MFD_ALLOW_SEALING);

	(void)state;
	assert_int_equal(write(open_one, "hello", 5), 5);
	assert_null(scan_map_sealed(open_one, 5));
	assert_null(scan_map_sealed(sealed, 4));
	assert_null(scan_map_sealed(sealed, 6));
	assert_null(scan_map_sealed(sealed, 0));
	assert_null(scan_map_sealed(STDIN_FILENO, 5));
	assert_int_equal(write(sealed, "x", 1), -1);
	close(sealed);
	close(open_one);
}

static void leaves_are_read_back_sealed_and_no_cut_is(void **state)
{
	const struct scan_leaf_head h = { 3, 2, SCAN_LEAF_MARK };
	struct mw_octets map, rest, path, octets;
	int fd = scan_leaves_new();

	(void)state;
	for (int i = 0; i < 2; i++) {
		assert_int_equal(write(fd, &h, sizeof(h)), sizeof(h));
		assert_int_equal(write(fd, "p/abc", 5), 5);
	}
	assert_int_equal(scan_leaves_map(fd, &map), MW_OK);
	assert_true(write(fd, "x", 1) < 0);
	rest = map;
	for (int i = 0; i < 2; i++) {
		assert_int_equal(scan_leaf_next(&rest, &path, &octets), 1);
		assert_memory_equal(path.p, "p/", 2);
		assert_memory_equal(octets.p, "abc", 3);
	}
	assert_int_equal(scan_leaf_next(&rest, &path, &octets), 0);
	for (size_t n = 1; n < map.n / 2; n++) {
		rest = mw_octets_of(map.p, n);
		assert_int_equal(scan_leaf_next(&rest, &path, &octets), -1);
	}
	munmap((void *)map.p, map.n);
	close(fd);
}

static void what_was_said_before_an_end_with_something_unread_is_heard(void **state)
{
	char buf[16];
	int pair[2], fd;
	size_t n;

	(void)state;
	pair_of(pair);
	assert_int_equal(scan_send(pair[0], mw_octets_of_text("unread"), NULL, 0, -1), MW_OK);
	assert_int_equal(scan_send(pair[1], mw_octets_of_text("last"), NULL, 0, -1), MW_OK);
	close(pair[1]);
	assert_int_equal(scan_recv(pair[0], buf, sizeof(buf), &n, &fd), MW_OK);
	assert_int_equal(n, 4);
	assert_memory_equal(buf, "last", 4);
	assert_int_equal(scan_recv(pair[0], buf, sizeof(buf), &n, &fd), MW_ERR_GONE);
	close(pair[0]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(leaves_are_read_back_sealed_and_no_cut_is),
		cmocka_unit_test(every_message_comes_back_as_it_went),
		cmocka_unit_test(every_cut_and_every_octet_too_many_is_refused),
		cmocka_unit_test(a_message_of_another_type_or_version_is_refused),
		cmocka_unit_test(what_was_said_before_an_end_with_something_unread_is_heard),
		cmocka_unit_test(octets_follow_the_header_of_a_job),
		cmocka_unit_test(a_datagram_arrives_whole_with_its_descriptor),
		cmocka_unit_test(a_datagram_longer_than_the_buffer_is_refused),
		cmocka_unit_test(the_longest_datagram_goes_through),
		cmocka_unit_test(memory_that_is_not_sealed_or_not_that_long_is_not_mapped),
	};

	return cmocka_run_group_tests_name("proto", tests, NULL, NULL);
}
