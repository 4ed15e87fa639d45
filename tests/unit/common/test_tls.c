/* TLS between two sessions in memory, in any cuts, and the certificates that are and are not
 * believed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include "make_cert.h"
#include "tls.h"

#define DAY 86400L
#define NAME "mx.example.com"

static char folder[] = "/tmp/test_tls.XXXXXX";
static char paths[16][64];

static const char *path_of(const char *name)
{
	static unsigned next;
	char *p = paths[next++ % MW_COUNT(paths)];

	snprintf(p, sizeof(paths[0]), "%s/%s", folder, name);
	return p;
}

static void make_server(const char *name, const char *cn, const char *san,
	const struct made_cert *ca, long from_s, long until_s)
{
	struct made_cert m = make_cert(cn, san, ca, from_s, until_s);

	write_pem(path_of(name), m.cert, NULL, m.key);
	free_cert(&m);
}

static int make_files(void **state)
{
	struct made_cert ca, other, middle, leaf, odd;

	(void)state;
	if (mkdtemp(folder) == NULL)
		return -1;
	ca = make_cert("Test CA", NULL, NULL, -DAY, DAY);
	other = make_cert("Other CA", NULL, NULL, -DAY, DAY);
	middle = make_cert("Middle CA", NULL, &ca, -DAY, DAY);
	leaf = make_cert(NAME, "DNS:" NAME, &middle, -DAY, DAY);
	odd = make_cert("odd", "DNS:odd", &ca, -DAY, DAY);
	write_pem(path_of("ca.pem"), ca.cert, NULL, NULL);
	write_pem(path_of("chain.pem"), leaf.cert, middle.cert, leaf.key);
	write_pem(path_of("nochain.pem"), leaf.cert, NULL, leaf.key);
	write_pem(path_of("odd.key"), NULL, NULL, odd.key);
	make_server("good.pem", NAME, "DNS:" NAME ",IP:192.0.2.1,IP:2001:db8::1", &ca, -DAY, DAY);
	make_server("wild.pem", "w", "DNS:*.example.com", &ca, -DAY, DAY);
	make_server("expired.pem", NAME, "DNS:" NAME, &ca, -2 * DAY, -DAY);
	make_server("early.pem", NAME, "DNS:" NAME, &ca, DAY, 2 * DAY);
	make_server("self.pem", NAME, "DNS:" NAME, NULL, -DAY, DAY);
	make_server("stranger.pem", NAME, "DNS:" NAME, &other, -DAY, DAY);
	make_server("only_cn.pem", NAME, "DNS:elsewhere.example", &ca, -DAY, DAY);
	free_cert(&ca);
	free_cert(&other);
	free_cert(&middle);
	free_cert(&leaf);
	free_cert(&odd);
	return 0;
}

static int remove_files(void **state)
{
	char command[100];

	(void)state;
	snprintf(command, sizeof(command), "rm -rf %s", folder);
	return system(command);
}

/* ------------------------------------------------------------------ two ends */

struct pair {
	struct mw_tls_ctx *server_ctx, *client_ctx;
	struct mw_tls *server, *client;
	struct mw_err server_err, client_err;
};

static struct mw_tls_ctx *server_with(const char *pem)
{
	struct mw_tls_ctx *ctx;
	struct mw_err err = { "" };

	if (mw_tls_server("c", path_of(pem), "k", path_of(pem), MW_TLS_1_2, &ctx, &err) != MW_OK)
		fail_msg("%s", err.text);
	return ctx;
}

static struct pair pair_open(const char *pem, const char *name, bool verify, enum mw_tls_min min)
{
	struct pair p = { .server_ctx = server_with(pem) };

	assert_int_equal(mw_tls_client("ca", path_of("ca.pem"), min, &p.client_ctx, NULL), MW_OK);
	p.server = mw_tls_new(p.server_ctx, NULL, false);
	p.client = mw_tls_new(p.client_ctx, name, verify);
	assert_non_null(p.server);
	assert_non_null(p.client);
	return p;
}

static void pair_close(struct pair *p)
{
	mw_tls_destroy(&p->server);
	mw_tls_destroy(&p->client);
	mw_tls_ctx_unref(&p->server_ctx);
	mw_tls_ctx_unref(&p->client_ctx);
}

/* Hand over what waits at from, in pieces of `cut`; after each one the other side's handshake goes
 * on. */
static int hand_over(struct mw_tls *from, struct mw_tls *to, size_t cut, struct mw_err *err_r)
{
	size_t n, at = 0;
	char *p = mw_tls_take_out(from, &n);
	int done = 0;

	while (at < n && done == 0) {
		size_t take = n - at < cut ? n - at : cut;
		char *alone = malloc(take); /* so that a read beyond it is seen */

		memcpy(alone, p + at, take);
		at += take;
		mw_tls_feed(to, alone, take);
		done = mw_tls_handshake(to, err_r);
		assert_true(mw_tls_keep(to));
		free(alone);
	}
	assert_true(done != 0 || at == n);
	if (done > 0 && at < n) /* none of these handshakes has octets behind its end */
		fail_msg("%zu octets left", n - at);
	free(p);
	return done;
}

/* 1: both are done; -1: one has failed. */
static int shake(struct pair *p, size_t cut)
{
	int server = 0, client = mw_tls_handshake(p->client, &p->client_err);

	for (int turn = 0; turn < 10 && (server == 0 || client == 0); turn++) {
		if (mw_tls_out_size(p->client) > 0 && server == 0)
			server = hand_over(p->client, p->server, cut, &p->server_err);
		if (mw_tls_out_size(p->server) > 0 && client == 0)
			client = hand_over(p->server, p->client, cut, &p->client_err);
	}
	return server == 1 && client == 1 ? 1 : -1;
}

/* All that from has to say, as plaintext at to, in pieces of `cut`; the last read's verdict in
 * *end_r. */
static size_t carry(struct mw_tls *from, struct mw_tls *to, size_t cut, char *buf, size_t size,
	int *end_r, struct mw_err *err_r)
{
	size_t n, at = 0, got = 0;
	char *p = mw_tls_take_out(from, &n);
	int r = 0;

	while (at < n && r >= 0) {
		size_t take = n - at < cut ? n - at : cut;

		mw_tls_feed(to, p + at, take);
		at += take;
		while ((r = mw_tls_read(to, buf + got, size - got, err_r)) > 0)
			got += (size_t)r;
	}
	free(p);
	*end_r = r;
	return got;
}

static void say(struct mw_tls *from, struct mw_tls *to, const char *text)
{
	char buf[256];
	int end;

	assert_true(mw_tls_write(from, text, strlen(text), NULL));
	assert_int_equal(carry(from, to, SIZE_MAX, buf, sizeof(buf), &end, NULL), strlen(text));
	assert_memory_equal(buf, text, strlen(text));
	assert_int_equal(end, 0);
}

/* ------------------------------------------------------------------ tests */

static void a_handshake_succeeds_in_any_cut(void **state)
{
	(void)state;
	for (size_t cut = 1; cut < 3000; cut += cut < 40 ? 1 : 97) {
		struct pair p = pair_open("chain.pem", NAME, true, MW_TLS_1_2);

		if (shake(&p, cut) != 1)
			fail_msg("cut %zu: %s %s", cut, p.server_err.text, p.client_err.text);
		say(p.client, p.server, "EHLO there\r\n");
		say(p.server, p.client, "250 hello\r\n");
		pair_close(&p);
	}
}

static void what_is_used_is_described(void **state)
{
	struct pair p = pair_open("good.pem", NAME, true, MW_TLS_1_3);
	char text[MW_TLS_TEXT_MAX];

	(void)state;
	assert_int_equal(shake(&p, SIZE_MAX), 1);
	assert_string_equal(mw_tls_describe(p.server, text),
		"TLSv1.3 with cipher TLS_AES_256_GCM_SHA384 (256/256 bits)");
	pair_close(&p);
}

static void versions_are_parsed(void **state)
{
	enum mw_tls_min min;

	(void)state;
	assert_true(mw_tls_min_parse("TLSv1.2", &min) && min == MW_TLS_1_2);
	assert_true(mw_tls_min_parse("TLSv1.3", &min) && min == MW_TLS_1_3);
	assert_false(mw_tls_min_parse("TLSv1", &min));
	assert_false(mw_tls_min_parse("", &min));
}

static void certificates_are_believed_for_their_names_only(void **state)
{
	static const struct {
		const char *pem, *name, *why; /* NULL: believed */
	} cases[] = {
		{ "good.pem", NAME, NULL },
		{ "good.pem", "MX.Example.COM", NULL },
		{ "good.pem", "192.0.2.1", NULL },
		{ "good.pem", "2001:db8::1", NULL },
		{ "wild.pem", NAME, NULL },
		{ "chain.pem", NAME, NULL },
		{ "good.pem", "other.example.com", "certificate verify failed: hostname mismatch" },
		{ "good.pem", "192.0.2.2", "certificate verify failed: IP address mismatch" },
		{ "chain.pem", "192.0.2.1", "certificate verify failed: IP address mismatch" },
		{ "wild.pem", "a.b.example.com", "certificate verify failed: hostname mismatch" },
		{ "only_cn.pem", NAME, "certificate verify failed: hostname mismatch" },
		{ "expired.pem", NAME, "certificate verify failed: certificate has expired" },
		{ "early.pem", NAME, "certificate verify failed: certificate is not yet valid" },
		{ "self.pem", NAME, "certificate verify failed: self-signed certificate" },
		{ "stranger.pem", NAME,
			"certificate verify failed: unable to get local issuer certificate" },
		{ "nochain.pem", NAME,
			"certificate verify failed: unable to get local issuer certificate" },
	};

	(void)state;
	for (size_t i = 0; i < MW_COUNT(cases); i++) {
		struct pair p = pair_open(cases[i].pem, cases[i].name, true, MW_TLS_1_2);
		int done = shake(&p, SIZE_MAX);

		if (cases[i].why == NULL && done != 1)
			fail_msg("%s %s: %s", cases[i].pem, cases[i].name, p.client_err.text);
		if (cases[i].why != NULL) {
			assert_int_equal(done, -1);
			assert_string_equal(p.client_err.text, cases[i].why);
			/* The client says why it goes; the server understands. */
			assert_non_null(strstr(p.server_err.text, "alert"));
		}
		pair_close(&p);
	}
}

static void without_verification_any_certificate_will_do(void **state)
{
	static const char *const pems[] = { "self.pem", "expired.pem", "stranger.pem" };

	(void)state;
	for (size_t i = 0; i < MW_COUNT(pems); i++) {
		struct pair p = pair_open(pems[i], "elsewhere.example", false, MW_TLS_1_2);

		assert_int_equal(shake(&p, SIZE_MAX), 1);
		pair_close(&p);
	}
}

static void verification_needs_a_name(void **state)
{
	struct mw_tls_ctx *ctx;

	(void)state;
	assert_int_equal(mw_tls_client("ca", path_of("ca.pem"), MW_TLS_1_2, &ctx, NULL), MW_OK);
	assert_null(mw_tls_new(ctx, NULL, true));
	assert_null(mw_tls_new(ctx, "", true));
	mw_tls_ctx_unref(&ctx);
}

static void octets_arrive_whole_in_any_cut(void **state)
{
	static char sent[100000], got[sizeof(sent) + 1];

	(void)state;
	for (size_t i = 0; i < sizeof(sent); i++)
		sent[i] = (char)(i * 7 + i / 251);
	for (size_t cut = 1; cut < 70000; cut = cut * 5 + 1) {
		struct pair p = pair_open("good.pem", NAME, true, MW_TLS_1_2);
		int end;

		assert_int_equal(shake(&p, SIZE_MAX), 1);
		for (size_t at = 0, n; at < sizeof(sent); at += n) {
			n = sizeof(sent) - at < MW_TLS_RECORD ? sizeof(sent) - at : MW_TLS_RECORD;
			assert_true(mw_tls_write(p.client, sent + at, n, NULL));
		}
		memset(got, 0, sizeof(got));
		assert_int_equal(
			carry(p.client, p.server, cut, got, sizeof(got), &end, NULL), sizeof(sent));
		assert_memory_equal(got, sent, sizeof(sent));
		assert_int_equal(end, 0);
		assert_false(mw_tls_has_more(p.server));
		pair_close(&p);
	}
}

static void what_is_not_read_yet_can_be_kept(void **state)
{
	struct pair p = pair_open("good.pem", NAME, true, MW_TLS_1_2);
	char buf[64], *cipher;
	size_t n;

	(void)state;
	assert_int_equal(shake(&p, SIZE_MAX), 1);
	assert_true(mw_tls_write(p.client, "first ", 6, NULL));
	assert_true(mw_tls_write(p.client, "second", 6, NULL));
	cipher = mw_tls_take_out(p.client, &n);
	mw_tls_feed(p.server, cipher, n);
	assert_int_equal(mw_tls_read(p.server, buf, 3, NULL), 3);
	assert_true(mw_tls_has_more(p.server));
	assert_true(mw_tls_keep(p.server));
	memset(cipher, 0, n);
	free(cipher);
	assert_int_equal(mw_tls_read(p.server, buf + 3, 4, NULL), 4);
	assert_true(mw_tls_keep(p.server));
	assert_int_equal(mw_tls_read(p.server, buf + 7, sizeof(buf) - 7, NULL), 5);
	assert_memory_equal(buf, "first second", 12);
	assert_false(mw_tls_has_more(p.server));
	assert_int_equal(mw_tls_read(p.server, buf, sizeof(buf), NULL), 0);
	pair_close(&p);
}

static void a_clean_end_is_told_from_a_cut_one(void **state)
{
	struct pair p = pair_open("good.pem", NAME, true, MW_TLS_1_2);
	char buf[64], *last;
	size_t n;
	int end;

	(void)state;
	assert_int_equal(shake(&p, SIZE_MAX), 1);
	say(p.client, p.server, "QUIT\r\n");
	mw_tls_end(p.client);
	last = mw_tls_take_out(p.client, &n);
	for (size_t i = 0; i < n; i++) {
		assert_int_equal(mw_tls_read(p.server, buf, sizeof(buf), NULL), 0);
		mw_tls_feed(p.server, last + i, 1);
		end = mw_tls_read(p.server, buf, sizeof(buf), NULL);
		assert_int_equal(end, i + 1 < n ? 0 : MW_TLS_END);
	}
	assert_int_equal(mw_tls_read(p.server, buf, sizeof(buf), NULL), MW_TLS_END);
	free(last);
	/* The other direction is still open. */
	assert_true(mw_tls_write(p.server, "221 bye\r\n", 9, NULL));
	assert_int_equal(carry(p.server, p.client, SIZE_MAX, buf, sizeof(buf), &end, NULL), 9);
	assert_memory_equal(buf, "221 bye\r\n", 9);
	pair_close(&p);
}

static void octets_before_the_end_are_not_lost(void **state)
{
	struct pair p = pair_open("good.pem", NAME, true, MW_TLS_1_2);
	char buf[64];
	int end;

	(void)state;
	assert_int_equal(shake(&p, SIZE_MAX), 1);
	assert_true(mw_tls_write(p.client, "QUIT\r\n", 6, NULL));
	mw_tls_end(p.client);
	assert_int_equal(carry(p.client, p.server, SIZE_MAX, buf, sizeof(buf), &end, NULL), 6);
	assert_int_equal(end, MW_TLS_END);
	pair_close(&p);
}

static void a_changed_octet_ends_the_session(void **state)
{
	(void)state;
	for (size_t at = 0; at < 60; at++) {
		struct pair p = pair_open("good.pem", NAME, true, MW_TLS_1_2);
		struct mw_err err = { "" };
		char buf[64], *cipher;
		size_t n, first;
		int r;

		assert_int_equal(shake(&p, SIZE_MAX), 1);
		assert_true(mw_tls_write(p.client, "first\n", 6, NULL));
		first = mw_tls_out_size(p.client);
		assert_true(mw_tls_write(p.client, "second", 6, NULL));
		cipher = mw_tls_take_out(p.client, &n);
		if (first + at >= n || at == 3 || at == 4) { /* a length: it may just wait */
			free(cipher);
			pair_close(&p);
			continue;
		}
		cipher[first + at] ^= 0x40;
		mw_tls_feed(p.server, cipher, n);
		assert_int_equal(mw_tls_read(p.server, buf, sizeof(buf), &err), 6);
		assert_true(mw_tls_has_more(p.server));
		r = mw_tls_read(p.server, buf, sizeof(buf), &err);
		assert_int_equal(r, -1);
		assert_true(*err.text != '\0');
		assert_int_equal(mw_tls_read(p.server, buf, sizeof(buf), &err), -1);
		assert_false(mw_tls_has_more(p.server));
		assert_false(mw_tls_write(p.server, "250 ok", 6, &err));
		assert_true(mw_tls_out_size(p.server) > 0); /* an alert */
		free(cipher);
		pair_close(&p);
	}
}

static void what_is_no_handshake_is_refused(void **state)
{
	static const char *const octets[] = { "EHLO there\r\n", "GET / HTTP/1.0\r\n\r\n",
		"\x16\x03\x01\xff\xff", "\x80\x2e\x01", "\x15\x03\x03\x00\x02\x02\x28",
		"\x17\x03\x03\x00\x05hello" };

	(void)state;
	for (size_t i = 0; i < MW_COUNT(octets); i++) {
		struct pair p = pair_open("good.pem", NAME, true, MW_TLS_1_2);
		char junk[64] = { 0 };
		int done;

		memcpy(junk, octets[i],
			i < 2	 ? strlen(octets[i])
			: i == 5 ? 10
			: i == 4 ? 7
			: i == 3 ? 3
				 : 5);
		mw_tls_feed(p.server, junk, sizeof(junk));
		done = mw_tls_handshake(p.server, &p.server_err);
		if (done != -1 || *p.server_err.text == '\0')
			fail_msg("case %zu: %d", i, done);
		pair_close(&p);
	}
}

static void a_newer_minimum_meets_an_older_one(void **state)
{
	struct mw_tls_ctx *server, *client;
	struct pair p = { 0 };

	(void)state;
	assert_int_equal(mw_tls_server("c", path_of("good.pem"), "k", path_of("good.pem"),
				 MW_TLS_1_3, &server, NULL),
		MW_OK);
	assert_int_equal(mw_tls_client("ca", NULL, MW_TLS_1_2, &client, NULL), MW_OK);
	p.server = mw_tls_new(server, NULL, false);
	p.client = mw_tls_new(client, NAME, false);
	assert_int_equal(shake(&p, SIZE_MAX), 1); /* both have 1.3 */
	pair_close(&p);
	mw_tls_ctx_unref(&server);
	mw_tls_ctx_unref(&client);
}

static void contexts_outlive_their_owner_in_sessions(void **state)
{
	struct pair p = pair_open("good.pem", NAME, true, MW_TLS_1_2);

	(void)state;
	mw_tls_ctx_unref(&p.server_ctx);
	mw_tls_ctx_unref(&p.client_ctx);
	assert_int_equal(shake(&p, SIZE_MAX), 1);
	say(p.client, p.server, "still here");
	pair_close(&p);
}

static void files_that_will_not_do_are_named(void **state)
{
	static const struct {
		const char *cert, *key, *words;
	} cases[] = {
		{ "none.pem", "good.pem", "the_cert = \"" },
		{ "none.pem", "good.pem", "No such file or directory" },
		{ "good.pem", "none.pem", "the_key = \"" },
		{ "odd.key", "good.pem", "the_cert = \"" },
		{ "good.pem", "ca.pem", "the_key = \"" },
		{ "good.pem", "odd.key", "key values mismatch" },
		{ "locked.pem", "locked.pem", "without a passphrase" },
	};
	struct made_cert m = make_cert("locked", "DNS:locked", NULL, -DAY, DAY);
	FILE *f = fopen(path_of("locked.pem"), "w");
	struct mw_tls_ctx *ctx;
	struct mw_err err;

	(void)state;
	PEM_write_X509(f, m.cert);
	PEM_write_PrivateKey(
		f, m.key, EVP_aes_128_cbc(), (const unsigned char *)"secret", 6, NULL, NULL);
	fclose(f);
	free_cert(&m);
	for (size_t i = 0; i < MW_COUNT(cases); i++) {
		assert_int_equal(mw_tls_server("the_cert", path_of(cases[i].cert), "the_key",
					 path_of(cases[i].key), MW_TLS_1_2, &ctx, &err),
			MW_ERR_CONF);
		assert_null(ctx);
		if (strstr(err.text, cases[i].words) == NULL)
			fail_msg("case %zu: %s", i, err.text);
	}
	assert_int_equal(
		mw_tls_client("the_ca", path_of("odd.key"), MW_TLS_1_2, &ctx, &err), MW_ERR_CONF);
	assert_non_null(strstr(err.text, "the_ca = \""));
	assert_int_equal(mw_tls_client("the_ca", folder, MW_TLS_1_2, &ctx, &err), MW_OK);
	mw_tls_ctx_unref(&ctx);
}

static void ciphertext_that_nobody_takes_is_bounded(void **state)
{
	static const char zeros[MW_TLS_RECORD];
	struct pair p = pair_open("good.pem", NAME, true, MW_TLS_1_2);
	struct mw_err err = { "" };
	size_t written = 0;

	(void)state;
	assert_int_equal(shake(&p, SIZE_MAX), 1);
	while (written < 100 && mw_tls_write(p.client, zeros, sizeof(zeros), &err))
		written++;
	assert_int_equal(written, MW_TLS_OUT_MAX / (MW_TLS_RECORD + 22));
	assert_true(mw_tls_out_size(p.client) <= MW_TLS_OUT_MAX);
	assert_true(*err.text != '\0');
	pair_close(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_handshake_succeeds_in_any_cut),
		cmocka_unit_test(what_is_used_is_described),
		cmocka_unit_test(versions_are_parsed),
		cmocka_unit_test(certificates_are_believed_for_their_names_only),
		cmocka_unit_test(without_verification_any_certificate_will_do),
		cmocka_unit_test(verification_needs_a_name),
		cmocka_unit_test(octets_arrive_whole_in_any_cut),
		cmocka_unit_test(what_is_not_read_yet_can_be_kept),
		cmocka_unit_test(a_clean_end_is_told_from_a_cut_one),
		cmocka_unit_test(octets_before_the_end_are_not_lost),
		cmocka_unit_test(a_changed_octet_ends_the_session),
		cmocka_unit_test(what_is_no_handshake_is_refused),
		cmocka_unit_test(a_newer_minimum_meets_an_older_one),
		cmocka_unit_test(contexts_outlive_their_owner_in_sessions),
		cmocka_unit_test(files_that_will_not_do_are_named),
		cmocka_unit_test(ciphertext_that_nobody_takes_is_bounded),
	};

	return cmocka_run_group_tests(tests, make_files, remove_files);
}
