/* Keys and who gets in: key files as they must be, and real CURVE handshakes over tcp on the
 * loopback. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include "curve.h"
#include "log.h"

#define PATIENCE_MS 20000
#define SILENCE_MS 700 /* within it a peer that is let in has long been heard */

static char dir[] = "/tmp/mailweir-test-curve-XXXXXX";
static char keys[100];

static const char *in_keys(const char *name)
{
	static char path[2][300];
	static unsigned turn;

	turn ^= 1;
	snprintf(path[turn], sizeof(path[turn]), "%s/%s", keys, name);
	return path[turn];
}

static unsigned mode_of(const char *path)
{
	struct stat st;

	assert_int_equal(stat(path, &st), 0);
	return st.st_mode & 0777;
}

static void shell(const char *command)
{
	assert_int_equal(system(command), 0);
}

static int make_keys(void **state)
{
	struct mw_err err = { "" };

	(void)state;
	if (mw_curve_make_keys(keys, &err) == MW_OK)
		return 0;
	print_message("%s\n", err.text);
	return -1;
}

static int remove_keys(void **state)
{
	char command[200];

	(void)state;
	snprintf(command, sizeof(command), "rm -rf '%s'", keys);
	return system(command);
}

/* ------------------------------------------------------------------ files */

static void keys_are_made_for_their_owner_alone_and_stay(void **state)
{
	struct mw_curve *curve = NULL;
	struct mw_err err = { "" };
	char before[41];

	(void)state;
	assert_int_equal(mode_of(keys), 0700);
	assert_int_equal(mode_of(in_keys("authorised")), 0700);
	assert_int_equal(mode_of(in_keys("front.key_secret")), 0600);
	assert_int_equal(mode_of(in_keys("snmp-agent.key")), 0600);
	assert_int_equal(mode_of(in_keys("authorised/status.key")), 0600);
	assert_int_equal(mw_curve_open(&curve, keys, "scanner", &err), MW_OK);
	mw_strlcpy(before, mw_curve_public(curve), sizeof(before));
	assert_int_equal(strlen(before), 40);
	assert_int_equal(strlen(mw_curve_secret(curve)), 40);
	assert_string_not_equal(before, mw_curve_secret(curve));
	mw_curve_close(&curve);
	assert_null(curve);
	assert_int_equal(make_keys(NULL), 0);
	assert_int_equal(mw_curve_open(&curve, keys, "scanner", &err), MW_OK);
	assert_string_equal(mw_curve_public(curve), before);
	mw_curve_close(&curve);
}

static void a_missing_half_is_made_again_from_the_secret(void **state)
{
	struct mw_curve *curve = NULL;
	struct mw_err err = { "" };
	char before[41];

	(void)state;
	assert_int_equal(mw_curve_open(&curve, keys, "dkim", &err), MW_OK);
	mw_strlcpy(before, mw_curve_public(curve), sizeof(before));
	mw_curve_close(&curve);
	unlink(in_keys("dkim.key"));
	unlink(in_keys("authorised/dkim.key"));
	assert_int_equal(make_keys(NULL), 0);
	assert_int_equal(mw_curve_open(&curve, keys, "dkim", &err), MW_OK);
	assert_string_equal(mw_curve_public(curve), before);
	assert_string_equal(mw_curve_key_of(curve, "dkim"), before);
	assert_true(mw_curve_is_authorised(curve, before));
	mw_curve_close(&curve);
}

static void a_new_pair_is_authorised_in_the_place_of_the_old(void **state)
{
	struct mw_curve *curve = NULL;
	struct mw_err err = { "" };
	char before[41];

	(void)state;
	assert_int_equal(mw_curve_open(&curve, keys, "dkim", &err), MW_OK);
	mw_strlcpy(before, mw_curve_public(curve), sizeof(before));
	mw_curve_close(&curve);
	unlink(in_keys("dkim.key_secret"));
	assert_int_equal(make_keys(NULL), 0);
	assert_int_equal(mw_curve_open(&curve, keys, "dkim", &err), MW_OK);
	assert_string_not_equal(mw_curve_public(curve), before);
	assert_true(mw_curve_is_authorised(curve, mw_curve_public(curve)));
	assert_false(mw_curve_is_authorised(curve, before));
	mw_curve_close(&curve);
}

static void a_secret_that_others_can_read_is_refused(void **state)
{
	static const mode_t modes[] = { 0604, 0640, 0601, 0660, 0777 };
	struct mw_curve *curve = NULL;
	struct mw_err err;

	(void)state;
	for (size_t i = 0; i < MW_COUNT(modes); i++) {
		chmod(in_keys("front.key_secret"), modes[i]);
		assert_int_equal(mw_curve_open(&curve, keys, "front", &err), MW_ERR_CONF);
		assert_non_null(strstr(err.text, "chmod 600"));
		assert_null(curve);
	}
	chmod(in_keys("front.key_secret"), 0400);
	assert_int_equal(mw_curve_open(&curve, keys, "smtp-front", &err),
		MW_OK); /* the front by its process's name */
	mw_curve_close(&curve);
}

static void keys_that_are_not_there_or_none_are_named(void **state)
{
	struct mw_curve *curve = NULL;
	struct mw_err err;
	FILE *f;

	(void)state;
	assert_int_equal(mw_curve_open(&curve, keys, "nix", &err), MW_ERR_CONF);
	assert_non_null(strstr(err.text, "nix.key_secret: No such file"));
	f = fopen(in_keys("front.key_secret"), "w");
	fputs("curve\n    public-key = \"tooshort\"\n", f);
	fclose(f);
	unlink(in_keys("front.key"));
	assert_int_equal(mw_curve_open(&curve, keys, "front", &err), MW_ERR_CONF);
	assert_non_null(strstr(err.text, "front.key"));
	assert_int_equal(mw_curve_make_keys(keys, &err), MW_ERR_IO);
	assert_non_null(strstr(err.text, "front.key_secret"));
}

static void a_path_beyond_what_czmq_takes_is_refused(void **state)
{
	char path[400] = "/";
	struct mw_curve *curve = NULL;
	struct mw_err err;

	(void)state;
	memset(path + 1, 'a', 300);
	assert_int_equal(mw_curve_open(&curve, path, "front", &err), MW_ERR_CONF);
	assert_int_equal(mw_curve_make_keys(path, &err), MW_ERR_CONF);
}

static void keys_of_others_are_found_by_service(void **state)
{
	struct mw_curve *curve = NULL;
	struct mw_err err;

	(void)state;
	assert_int_equal(mw_curve_open(&curve, keys, "scanner", &err), MW_OK);
	assert_non_null(mw_curve_key_of(curve, "front"));
	assert_string_equal(mw_curve_key_of(curve, "smtp-front"), mw_curve_key_of(curve, "front"));
	assert_string_not_equal(mw_curve_key_of(curve, "front"), mw_curve_public(curve));
	assert_null(mw_curve_key_of(curve, "nix"));
	mw_curve_close(&curve);
}

static void what_is_no_key_in_the_authorised_folder_lets_nobody_in(void **state)
{
	struct mw_curve *curve = NULL;
	struct mw_err err;
	FILE *f = fopen(in_keys("authorised/zero.key"), "w");
	char command[300];

	(void)state;
	fputs("curve\n    public-key = \"0000000000000000000000000000000000000000\"\n", f);
	fclose(f);
	snprintf(command, sizeof(command), "head -c 4097 /dev/urandom > %s",
		in_keys("authorised/random.key"));
	shell(command);
	mkdir(in_keys("authorised/folder.key"), 0700);
	assert_int_equal(mw_curve_open(&curve, keys, "front", &err), MW_OK);
	assert_false(mw_curve_is_authorised(curve, "0000000000000000000000000000000000000000"));
	assert_false(mw_curve_is_authorised(curve, ""));
	assert_true(mw_curve_is_authorised(curve, mw_curve_public(curve)));
	mw_curve_close(&curve);
}

/* ------------------------------------------------------------------ handshakes */

struct server {
	struct mw_loop *loop;
	void *ctx, *pull;
	struct mw_curve *curve;
	struct mw_zwatch *watch;
	struct mw_timer *patience, *silence;
	char endpoint[100], heard[100];
	bool silent;
};

static void on_message(void *arg)
{
	struct server *s = arg;
	zmq_msg_t msg;

	if (mw_zrecv(s->pull, &msg) != MW_OK)
		return;
	mw_strncpy(s->heard, sizeof(s->heard), zmq_msg_data(&msg), zmq_msg_size(&msg));
	zmq_msg_close(&msg);
	mw_loop_stop(s->loop);
}

static void out_of_patience(void *arg)
{
	(void)arg;
	fail_msg("no message in %d ms", PATIENCE_MS);
}

static void on_silence(void *arg)
{
	struct server *s = arg;

	s->silent = true;
	mw_loop_stop(s->loop);
}

static void server_open(struct server *s)
{
	struct mw_err err = { "" };
	size_t n = sizeof(s->endpoint);
	int one = 1;

	*s = (struct server){ .loop = mw_loop_new(), .ctx = zmq_ctx_new() };
	assert_int_equal(mw_curve_open(&s->curve, keys, "front", &err), MW_OK);
	assert_int_equal(mw_curve_serve_zap(s->curve, s->ctx, s->loop, &err), MW_OK);
	s->pull = zmq_socket(s->ctx, ZMQ_PULL);
	zmq_setsockopt(s->pull, ZMQ_RCVHWM, &one, sizeof(one)); /* as that of jobs */
	zmq_setsockopt(s->pull, ZMQ_CURVE_SERVER, &one, sizeof(one));
	zmq_setsockopt(s->pull, ZMQ_CURVE_SECRETKEY, mw_curve_secret(s->curve), 40);
	zmq_setsockopt(s->pull, ZMQ_ZAP_DOMAIN, "mailweir", 8);
	assert_int_equal(zmq_bind(s->pull, "tcp://127.0.0.1:*"), 0);
	zmq_getsockopt(s->pull, ZMQ_LAST_ENDPOINT, s->endpoint, &n);
	s->watch = mw_zwatch_new(s->loop, s->pull, on_message, NULL, s);
	s->patience = mw_timer_new(s->loop, out_of_patience, s);
	s->silence = mw_timer_new(s->loop, on_silence, s);
}

static void server_close(struct server *s)
{
	mw_timer_destroy(&s->patience);
	mw_timer_destroy(&s->silence);
	mw_zwatch_destroy(&s->watch);
	zmq_close(s->pull);
	mw_curve_close(&s->curve);
	zmq_ctx_term(s->ctx);
	mw_loop_destroy(&s->loop);
}

/* A PUSH with these keys sends one message; public NULL: without CURVE. */
static void *push(struct server *s, const char *public, const char *secret, const char *text)
{
	void *sock = zmq_socket(s->ctx, ZMQ_PUSH);
	int linger = 0;

	zmq_setsockopt(sock, ZMQ_LINGER, &linger, sizeof(linger));
	if (public != NULL) {
		zmq_setsockopt(sock, ZMQ_CURVE_SERVERKEY, mw_curve_public(s->curve), 40);
		zmq_setsockopt(sock, ZMQ_CURVE_PUBLICKEY, public, 40);
		zmq_setsockopt(sock, ZMQ_CURVE_SECRETKEY, secret, 40);
	}
	assert_int_equal(zmq_connect(sock, s->endpoint), 0);
	assert_int_equal(zmq_send(sock, text, strlen(text), 0), strlen(text));
	return sock;
}

static void hears(struct server *s, const char *text)
{
	mw_timer_start(s->patience, PATIENCE_MS, 0);
	mw_loop_run(s->loop);
	mw_timer_stop(s->patience);
	assert_string_equal(s->heard, text);
}

static void hears_nothing(struct server *s)
{
	mw_timer_start(s->silence, SILENCE_MS, 0);
	mw_loop_run(s->loop);
	assert_true(s->silent);
	assert_string_equal(s->heard, "");
	s->silent = false;
}

static void an_authorised_key_gets_in_where_one_message_fills_the_socket(void **state)
{
	struct mw_curve *peer = NULL;
	struct mw_err err;
	struct server s;
	void *sock;

	(void)state;
	server_open(&s);
	assert_int_equal(mw_curve_open(&peer, keys, "scanner", &err), MW_OK);
	sock = push(&s, mw_curve_public(peer), mw_curve_secret(peer), "hello");
	hears(&s, "hello");
	zmq_close(sock);
	mw_curve_close(&peer);
	server_close(&s);
}

/* What the process logs while f runs; the caller frees it. */
static char *log_of(void (*f)(struct server *s), struct server *s)
{
	int saved = dup(STDERR_FILENO), fd = open("/tmp", O_TMPFILE | O_RDWR, 0600);
	char *text = calloc(1, 100000);

	assert_true(saved >= 0 && fd >= 0);
	dup2(fd, STDERR_FILENO);
	f(s);
	dup2(saved, STDERR_FILENO);
	assert_true(pread(fd, text, 99999, 0) >= 0);
	close(saved);
	close(fd);
	return text;
}

static void knock_without_authorisation(struct server *s)
{
	char public[41], secret[41];
	void *unknown[5], *plain;

	for (size_t i = 0; i < MW_COUNT(unknown); i++) {
		assert_int_equal(zmq_curve_keypair(public, secret), 0);
		unknown[i] = push(s, public, secret, "unknown");
	}
	plain = push(s, NULL, NULL, "plain");
	hears_nothing(s);
	for (size_t i = 0; i < MW_COUNT(unknown); i++)
		zmq_close(unknown[i]);
	zmq_close(plain);
}

static void an_unknown_key_and_plaintext_get_nothing_and_one_line_says_so(void **state)
{
	struct server s;
	char *log, *line;

	(void)state;
	server_open(&s);
	log = log_of(knock_without_authorisation, &s);
	line = strstr(log, "curve_refused peer=\"127.0.0.1\" key=\"");
	assert_non_null(line);
	assert_non_null(strstr(line, "reason=unknown_key"));
	assert_null(strstr(line + 1, "curve_refused")); /* at most one a second */
	free(log);
	server_close(&s);
}

static void a_key_that_is_put_into_the_folder_is_let_in_without_a_restart(void **state)
{
	char public[41], secret[41];
	struct server s;
	FILE *f;
	void *sock;

	(void)state;
	server_open(&s);
	assert_int_equal(zmq_curve_keypair(public, secret), 0);
	sock = push(&s, public, secret, "late");
	hears_nothing(&s);
	f = fopen(in_keys("authorised/late.key"), "w");
	fprintf(f, "metadata\ncurve\n    public-key = \"%s\"\n", public);
	fclose(f);
	zmq_close(sock);
	sock = push(&s, public, secret, "late");
	hears(&s, "late");
	zmq_close(sock);
	server_close(&s);
}

static void a_second_zap_in_one_context_is_refused(void **state)
{
	struct mw_curve *other = NULL;
	struct mw_err err;
	struct server s;

	(void)state;
	server_open(&s);
	assert_int_equal(mw_curve_open(&other, keys, "front", &err), MW_OK);
	assert_int_equal(mw_curve_serve_zap(other, s.ctx, s.loop, &err), MW_ERR_IO);
	mw_curve_close(&other);
	server_close(&s);
}

/* ZAP requests of our own, through the inproc socket as libzmq sends them. */
static void malformed_zap_requests_are_answered_with_400(void **state)
{
	static const struct {
		const char *frames[9];
	} wrong[] = {
		{ { "1.0", "1" } },
		{ { "2.0", "1", "mailweir", "1.2.3.4", "", "CURVE",
			"12345678901234567890123456789012" } },
		{ { "1.0", "1", "mailweir", "1.2.3.4", "", "PLAIN", "user", "password" } },
		{ { "1.0", "1", "mailweir", "1.2.3.4", "", "NULL", "x" } },
		{ { "1.0", "1", "mailweir", "1.2.3.4", "", "CURVE",
			"1234567890123456789012345678901" } },
		{ { "1.0", "1", "mailweir", "1.2.3.4", "", "CURVE",
			"123456789012345678901234567890123" } },
		{ { "1.0", "1", "mailweir", "1.2.3.4", "", "CURVE",
			"12345678901234567890123456789012" } },
		{ { "x" } },
	};
	struct server s;
	void *req;

	(void)state;
	server_open(&s);
	req = zmq_socket(s.ctx, ZMQ_REQ);
	assert_int_equal(zmq_connect(req, "inproc://zeromq.zap.01"), 0);
	for (size_t i = 0; i < MW_COUNT(wrong); i++) {
		zmq_pollitem_t said = { .socket = req, .events = ZMQ_POLLIN };
		char answer[6][100] = { "" };

		for (size_t k = 0; wrong[i].frames[k] != NULL; k++)
			assert_true(zmq_send(req, wrong[i].frames[k], strlen(wrong[i].frames[k]),
					    wrong[i].frames[k + 1] != NULL ? ZMQ_SNDMORE : 0) >= 0);
		for (int turns = 0; turns < 1000 && zmq_poll(&said, 1, 0) == 0; turns++) {
			mw_timer_start(s.silence, 20, 0);
			mw_loop_run(s.loop);
		}
		for (size_t k = 0; k < 6; k++) {
			int more = 0;
			size_t n = sizeof(more);

			assert_true(
				zmq_recv(req, answer[k], sizeof(answer[k]) - 1, ZMQ_DONTWAIT) >= 0);
			zmq_getsockopt(req, ZMQ_RCVMORE, &more, &n);
			assert_int_equal(more, k < 5);
		}
		assert_string_equal(answer[0], "1.0");
		assert_string_equal(answer[1], wrong[i].frames[1] != NULL ? "1" : "");
		assert_string_equal(answer[2], "400");
		assert_string_equal(answer[4], "");
	}
	zmq_close(req);
	server_close(&s);
}

static void czmq_installs_no_signal_handler(void **state)
{
	struct sigaction term, intr;

	(void)state;
	sigaction(SIGTERM, NULL, &term);
	sigaction(SIGINT, NULL, &intr);
	/* A background job of a shell inherits SIG_IGN: what counts is that no function stands
	 * there. */
	assert_true(term.sa_handler == SIG_DFL || term.sa_handler == SIG_IGN);
	assert_true(intr.sa_handler == SIG_DFL || intr.sa_handler == SIG_IGN);
}

static int make_dir(void **state)
{
	(void)state;
	if (mkdtemp(dir) == NULL)
		return -1;
	snprintf(keys, sizeof(keys), "%s/keys", dir);
	return 0;
}

static int remove_dir(void **state)
{
	(void)state;
	return rmdir(dir);
}

#define WITH_KEYS(f) cmocka_unit_test_setup_teardown(f, make_keys, remove_keys)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_KEYS(keys_are_made_for_their_owner_alone_and_stay),
		WITH_KEYS(a_missing_half_is_made_again_from_the_secret),
		WITH_KEYS(a_new_pair_is_authorised_in_the_place_of_the_old),
		WITH_KEYS(a_secret_that_others_can_read_is_refused),
		WITH_KEYS(keys_that_are_not_there_or_none_are_named),
		cmocka_unit_test(a_path_beyond_what_czmq_takes_is_refused),
		WITH_KEYS(keys_of_others_are_found_by_service),
		WITH_KEYS(what_is_no_key_in_the_authorised_folder_lets_nobody_in),
		WITH_KEYS(an_authorised_key_gets_in_where_one_message_fills_the_socket),
		WITH_KEYS(an_unknown_key_and_plaintext_get_nothing_and_one_line_says_so),
		WITH_KEYS(a_key_that_is_put_into_the_folder_is_let_in_without_a_restart),
		WITH_KEYS(a_second_zap_in_one_context_is_refused),
		WITH_KEYS(malformed_zap_requests_are_answered_with_400),
		WITH_KEYS(czmq_installs_no_signal_handler),
	};

	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
