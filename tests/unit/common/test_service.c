/* The life of a service: each test runs a small one as a child process. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>
#include "log.h"
#include "service.h"
#include "service_priv.h"

#define PATIENCE_MS 20000

static char dir[] = "/tmp/mailweir-test-service-XXXXXX";
static char config[100], run_dir[100];

/* ------------------------------------------------------------------ the service */

static bool refuse_reload, slow_drain, sick, broken;

static enum mw_rc demo_open(void *arg, struct mw_service *s, struct mw_err *err_r)
{
	(void)arg;
	if (broken)
		return mw_fail(err_r, MW_ERR_IO, "no engine");
	mw_service_ready(s, "uid=%u level=%lld", (unsigned)geteuid(),
		(long long)mw_conf_int(s->conf, "log_level"));
	return MW_OK;
}

static enum mw_rc demo_reload(void *arg, struct mw_service *s, struct mw_err *err_r)
{
	(void)arg;
	if (refuse_reload)
		return mw_fail(err_r, MW_ERR_CONF, "not now");
	printf("reloaded level=%lld\n", (long long)mw_conf_int(s->conf, "log_level"));
	fflush(stdout);
	return MW_OK;
}

static void demo_drain(void *arg, struct mw_service *s)
{
	(void)arg;
	puts("draining");
	fflush(stdout);
	if (!slow_drain)
		mw_service_stop(s);
}

static void demo_close(void *arg, struct mw_service *s)
{
	(void)arg;
	(void)s;
	puts("closed");
	fflush(stdout);
}

static void demo_metrics(void *arg, struct mw_service *s, struct mw_text *out)
{
	(void)arg;
	(void)s;
	mw_text_add(out, "demo_things 7\n");
}

static bool demo_healthy(void *arg, struct mw_service *s, struct mw_err *why_r)
{
	(void)arg;
	(void)s;
	mw_fail(why_r, MW_OK, "%s", sick ? "a dependency is down" : " 3 workers");
	return !sick;
}

static const struct mw_service_ops demo = { demo_open, demo_reload, demo_drain, demo_close,
	demo_metrics, demo_healthy };

struct child {
	pid_t pid;
	int out, err; /* its stdout and stderr */
};

static struct child start(const char *arguments)
{
	struct child c;
	int out[2], err[2];

	assert_int_equal(pipe2(out, O_CLOEXEC), 0);
	assert_int_equal(pipe2(err, O_CLOEXEC), 0);
	c.pid = fork();
	assert_true(c.pid >= 0);
	if (c.pid == 0) {
		char words[400], *argv[20] = { (char *)"mailweir-demo" }, *save = NULL;
		int argc = 1;

		dup2(out[1], STDOUT_FILENO);
		dup2(err[1], STDERR_FILENO);
		mw_strlcpy(words, arguments, sizeof(words));
		for (char *w = strtok_r(words, " ", &save); w != NULL;
			w = strtok_r(NULL, " ", &save))
			argv[argc++] = w;
		exit(mw_service_main(argc, argv, "demo", &demo, NULL));
	}
	close(out[1]);
	close(err[1]);
	c.out = out[0];
	c.err = err[0];
	return c;
}

/* Wait until the stream has said this word; what was read stays in buf. */
static void expect(int fd, const char *word)
{
	char buf[16384] = "";
	size_t n = 0;

	while (strstr(buf, word) == NULL) {
		struct pollfd p = { .fd = fd, .events = POLLIN };
		ssize_t got;

		if (n == sizeof(buf) - 1 || poll(&p, 1, PATIENCE_MS) <= 0)
			fail_msg("no \"%s\" in: %s", word, buf);
		got = read(fd, buf + n, 1); /* a time, so that the next word stays in the pipe */
		if (got <= 0)
			fail_msg("ended without \"%s\": %s", word, buf);
		n += (size_t)got;
		buf[n] = '\0';
	}
}

static int end_of(struct child *c)
{
	int status;

	assert_int_equal(waitpid(c->pid, &status, 0), c->pid);
	close(c->out);
	close(c->err);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

static int run(const char *arguments)
{
	struct child c = start(arguments);

	return end_of(&c);
}

static void write_config(const char *text)
{
	FILE *f = fopen(config, "w");

	assert_non_null(f);
	fprintf(f, "pipeline.run_dir = '%s'\n%s\n", run_dir, text);
	fclose(f);
}

static const char *with_config(const char *more)
{
	static char buf[300];

	snprintf(buf, sizeof(buf), "-c %s %s", config, more);
	return buf;
}

/* ------------------------------------------------------------------ tests */

static void a_service_says_ready_drains_on_term_and_closes(void **state)
{
	struct child c;

	(void)state;
	write_config("log_level = 2");
	c = start(with_config("-i 7"));
	expect(c.out, "ready service=demo instance=7 uid=");
	expect(c.out, "level=2\n");
	kill(c.pid, SIGTERM);
	expect(c.out, "draining\nclosed\n");
	assert_int_equal(end_of(&c), 0);
}

static void a_second_term_stops_a_drain(void **state)
{
	struct child c;

	(void)state;
	write_config("");
	slow_drain = true;
	c = start(with_config(""));
	slow_drain = false;
	expect(c.out, "ready");
	kill(c.pid, SIGTERM);
	expect(c.out, "draining");
	kill(c.pid, SIGTERM);
	expect(c.out, "closed");
	assert_int_equal(end_of(&c), 0);
}

static void hup_takes_new_settings_or_keeps_the_old_and_says_why(void **state)
{
	struct child c;

	(void)state;
	write_config("log_level = 1");
	c = start(with_config(""));
	expect(c.out, "ready");
	write_config("log_level = 0");
	kill(c.pid, SIGHUP);
	expect(c.out, "reloaded level=0\n");
	expect(c.err, "settings_reloaded");
	write_config("log_level = 99\nnix = 1");
	kill(c.pid, SIGHUP);
	expect(c.err, "log_level = 99: expected a whole number");
	expect(c.err, "nix: unknown setting");
	expect(c.err, "settings_kept");
	write_config("log_level = 2");
	kill(c.pid, SIGHUP);
	expect(c.out, "reloaded level=2\n");
	kill(c.pid, SIGTERM);
	assert_int_equal(end_of(&c), 0);
}

static void a_reload_that_the_service_refuses_changes_nothing(void **state)
{
	struct child c;

	(void)state;
	write_config("");
	refuse_reload = true;
	c = start(with_config(""));
	refuse_reload = false;
	expect(c.out, "ready");
	kill(c.pid, SIGHUP);
	expect(c.err, "reload_refused error=\"not now\"");
	kill(c.pid, SIGTERM);
	assert_int_equal(end_of(&c), 0);
}

static void health_is_asked_over_a_socket_in_run_dir(void **state)
{
	struct child c;

	(void)state;
	write_config("");
	assert_int_equal(run(with_config("--health")), 1);
	c = start(with_config(""));
	expect(c.out, "ready");
	assert_int_equal(run(with_config("--health")), 0);
	assert_int_equal(run(with_config("-i 2 --health")), 1);
	kill(c.pid, SIGTERM);
	assert_int_equal(end_of(&c), 0);
	assert_int_equal(run(with_config("--health")), 1);
}

static void an_unhealthy_service_says_so(void **state)
{
	struct child c;
	struct child h;

	(void)state;
	write_config("");
	sick = true;
	c = start(with_config(""));
	sick = false;
	expect(c.out, "ready");
	h = start(with_config("--health"));
	expect(h.out, "unhealthy: a dependency is down\n");
	assert_int_equal(end_of(&h), 1);
	kill(c.pid, SIGTERM);
	assert_int_equal(end_of(&c), 0);
}

static void the_second_of_a_name_leaves_the_health_socket_to_the_first(void **state)
{
	struct child a, b;

	(void)state;
	write_config("");
	a = start(with_config(""));
	expect(a.out, "ready");
	b = start(with_config(""));
	expect(b.err, "health_socket_taken");
	expect(b.out, "ready");
	kill(b.pid, SIGTERM);
	assert_int_equal(end_of(&b), 0);
	assert_int_equal(run(with_config("--health")), 0);
	kill(a.pid, SIGKILL);
	assert_int_equal(end_of(&a), 1000 + SIGKILL);
	a = start(with_config("")); /* what the killed one left is taken over */
	expect(a.out, "ready");
	assert_int_equal(run(with_config("--health")), 0);
	kill(a.pid, SIGTERM);
	assert_int_equal(end_of(&a), 0);
}

static unsigned free_port(void)
{
	struct sockaddr_storage a = { .ss_family = AF_INET };
	socklen_t n = sizeof(a);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	assert_int_equal(bind(fd, (struct sockaddr *)&a, 16), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &n), 0);
	close(fd);
	return (unsigned)((unsigned char *)&a)[2] << 8 | ((unsigned char *)&a)[3];
}

static void with_http_health_is_asked_there(void **state)
{
	char text[100];
	struct child c, h;

	(void)state;
	snprintf(text, sizeof(text), "http.listen = '0.0.0.0:%u'", free_port());
	write_config(text);
	assert_int_equal(run(with_config("--health")), 1);
	c = start(with_config(""));
	expect(c.out, "ready service=demo instance=1 http=");
	h = start(with_config("--health"));
	expect(h.out, "ok 3 workers\n");
	assert_int_equal(end_of(&h), 0);
	kill(c.pid, SIGTERM);
	assert_int_equal(end_of(&c), 0);
}

static void wrong_settings_end_with_78_and_all_errors(void **state)
{
	struct child c;

	(void)state;
	write_config("log_level = 99\nnix = 1");
	c = start(with_config(""));
	expect(c.err, "log_level = 99");
	expect(c.err, "nix: unknown setting");
	assert_int_equal(end_of(&c), 78);
	assert_int_equal(run(with_config("--check")), 78);
	write_config("http.listen = 'nonsense'");
	assert_int_equal(run(with_config("")), 78);
	write_config("");
	assert_int_equal(run(with_config("--check")), 0);
	assert_int_equal(run("-c /nonexistent --check"), 78);
}

static void a_start_that_fails_ends_with_1(void **state)
{
	struct child c;

	(void)state;
	write_config("");
	broken = true;
	c = start(with_config(""));
	broken = false;
	expect(c.err, "start_failed reason=io_error error=\"no engine\"");
	assert_int_equal(end_of(&c), 1);
}

static void arguments_are_checked(void **state)
{
	(void)state;
	assert_int_equal(run("--version"), 0);
	assert_int_equal(run("--help"), 0);
	assert_int_equal(run("--nonsense"), 64);
	assert_int_equal(run("-d 6"), 64);
	assert_int_equal(run("-d x"), 64);
	assert_int_equal(run("-i ../x"), 64);
	assert_int_equal(run("-i .x"), 64);
	assert_int_equal(run("-i 1234567890123456789012345678901 --version"), 0);
	assert_int_equal(run("-i 12345678901234567890123456789012 --check"), 64);
	assert_int_equal(run("extra"), 64);
}

static void systemd_is_told(void **state)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	char buf[100];
	struct child c;

	(void)state;
	snprintf(a.sun_path, sizeof(a.sun_path), "%s/notify", dir);
	assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	setenv("NOTIFY_SOCKET", a.sun_path, 1);
	write_config("");
	c = start(with_config(""));
	unsetenv("NOTIFY_SOCKET");
	assert_int_equal(recv(fd, buf, sizeof(buf), 0), 7);
	assert_memory_equal(buf, "READY=1", 7);
	kill(c.pid, SIGTERM);
	assert_int_equal(recv(fd, buf, sizeof(buf), 0), 10);
	assert_memory_equal(buf, "STOPPING=1", 10);
	assert_int_equal(end_of(&c), 0);
	close(fd);
	unlink(a.sun_path);
}

static void settings_that_everybody_may_write_are_refused(void **state)
{
	struct child c;

	(void)state;
	write_config("");
	chmod(config, 0666);
	unsetenv("MAILWEIR_ALLOW_WRITABLE_SETTINGS");
	c = start(with_config(""));
	expect(c.err, "writable by everybody");
	assert_int_equal(end_of(&c), 78);
	if (geteuid() != 0)
		setenv("MAILWEIR_ALLOW_WRITABLE_SETTINGS", "yes", 1);
	chmod(config, 0644);
}

static void root_becomes_daemon_user_with_a_folder_of_its_own(void **state)
{
	const struct passwd *nobody = getpwnam("nobody");
	char ready[60];
	struct child c;
	struct stat st;

	(void)state;
	if (geteuid() != 0 || nobody == NULL) {
		print_message("needs root and a user nobody\n");
		skip();
	}
	chmod(dir, 0755);
	strcat(run_dir, "-nobody");
	write_config("daemon_user = 'nobody'");
	c = start(with_config(""));
	snprintf(ready, sizeof(ready), "uid=%u", (unsigned)nobody->pw_uid);
	expect(c.out, ready);
	assert_int_equal(stat(run_dir, &st), 0);
	assert_int_equal(st.st_uid, nobody->pw_uid);
	assert_int_equal(st.st_mode & 0777, 0750);
	kill(c.pid, SIGHUP);
	expect(c.out, "reloaded");
	kill(c.pid, SIGTERM);
	assert_int_equal(end_of(&c), 0);
	assert_int_equal(chown(config, nobody->pw_uid, 0), 0);
	c = start(with_config(""));
	expect(c.err, "belongs to the user nobody");
	assert_int_equal(end_of(&c), 78);
	assert_int_equal(run(with_config("--check")), 78);
	assert_int_equal(chown(config, 0, nobody->pw_gid), 0);
	chmod(config, 0664);
	assert_int_equal(run(with_config("")), 78);
	assert_int_equal(chown(config, 0, 0), 0);
	chmod(config, 0644);
	write_config("daemon_user = 'no-such-user'");
	assert_int_equal(run(with_config("")), 78);
	rmdir(run_dir);
	run_dir[strlen(run_dir) - strlen("-nobody")] = '\0';
}

static void a_reload_refuses_settings_that_the_service_could_write(void **state)
{
	const struct passwd *nobody = getpwnam("nobody");
	char folder[120];
	struct child c;

	(void)state;
	if (geteuid() != 0 || nobody == NULL) {
		print_message("needs root and a user nobody\n");
		skip();
	}
	chmod(dir, 0755);
	strcat(run_dir, "-nobody");
	snprintf(folder, sizeof(folder), "%s/conf.d", dir);
	write_config("daemon_user = 'nobody' log_level = 1");
	c = start(with_config(""));
	expect(c.out, "level=1");
	assert_int_equal(chown(config, nobody->pw_uid, 0), 0);
	write_config("daemon_user = 'nobody' log_level = 2");
	kill(c.pid, SIGHUP);
	expect(c.err, "reload_refused");
	expect(c.err, "belongs to the user nobody");
	expect(c.err, "settings_kept");
	assert_int_equal(chown(config, 0, 0), 0);
	assert_int_equal(mkdir(folder, 0777), 0);
	assert_int_equal(chmod(folder, 0777), 0);
	kill(c.pid, SIGHUP);
	expect(c.err, "conf.d is writable by everybody: it could add settings");
	expect(c.err, "settings_kept");
	assert_int_equal(chmod(folder, 0700), 0); /* unreadable is an error, not "no conf.d" */
	kill(c.pid, SIGHUP);
	expect(c.err, "conf.d: cannot be read: Permission denied");
	expect(c.err, "settings_kept");
	assert_int_equal(rmdir(folder), 0);
	kill(c.pid, SIGHUP);
	expect(c.out, "reloaded level=2");
	kill(c.pid, SIGTERM);
	assert_int_equal(end_of(&c), 0);
	rmdir(run_dir);
	run_dir[strlen(run_dir) - strlen("-nobody")] = '\0';
}

static void an_owner_of_his_settings_may_be_allowed(void **state)
{
	const struct passwd *nobody = getpwnam("nobody");
	struct child c;

	(void)state;
	if (geteuid() != 0 || nobody == NULL) {
		print_message("needs root and a user nobody\n");
		skip();
	}
	chmod(dir, 0755);
	strcat(run_dir, "-nobody");
	write_config("daemon_user = 'nobody'");
	assert_int_equal(chown(config, nobody->pw_uid, 0), 0);
	setenv("MAILWEIR_ALLOW_WRITABLE_SETTINGS", "no", 1);
	assert_int_equal(run(with_config("")), 78);
	setenv("MAILWEIR_ALLOW_WRITABLE_SETTINGS", "yes", 1);
	c = start(with_config(""));
	expect(c.err, "settings_writable");
	expect(c.out, "ready");
	kill(c.pid, SIGTERM);
	assert_int_equal(end_of(&c), 0);
	unsetenv("MAILWEIR_ALLOW_WRITABLE_SETTINGS");
	assert_int_equal(chown(config, 0, 0), 0);
	rmdir(run_dir);
	run_dir[strlen(run_dir) - strlen("-nobody")] = '\0';
}

/* A connection to the control socket of the service that runs. */
static int control(void)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(snprintf(a.sun_path, sizeof(a.sun_path), "%s/demo@1.control", run_dir) <
		    (int)sizeof(a.sun_path));
	assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	return fd;
}

/* What it answers before it closes. */
static const char *answer_of(int fd)
{
	static char buf[4096];
	size_t n = 0;

	for (ssize_t got = 1; got > 0; n += (size_t)(got > 0 ? got : 0)) {
		struct pollfd p = { .fd = fd, .events = POLLIN };

		assert_int_equal(poll(&p, 1, PATIENCE_MS), 1);
		got = read(fd, buf + n, sizeof(buf) - 1 - n);
	}
	buf[n] = '\0';
	close(fd);
	return buf;
}

static void an_order_to_reload_is_answered(void **state)
{
	char expected[400];
	struct child c;
	int fd;

	(void)state;
	write_config("log_level = 1");
	c = start(with_config(""));
	expect(c.out, "level=1");
	write_config("log_level = 2");
	fd = control();
	for (const char *p = "reload\n"; *p != '\0'; p++)
		assert_int_equal(send(fd, p, 1, MSG_NOSIGNAL), 1);
	snprintf(expected, sizeof(expected), "ok %s\n", config);
	assert_string_equal(answer_of(fd), expected);
	expect(c.out, "reloaded level=2");
	write_config("log_level = 9\nnix = 1");
	fd = control();
	assert_int_equal(send(fd, "reload\n", 7, MSG_NOSIGNAL), 7);
	snprintf(expected, sizeof(expected),
		"refused\n%s:2: log_level = 9: expected a whole number from -3 to 5\n"
		"%s:3: nix: unknown setting\n",
		config, config);
	assert_string_equal(answer_of(fd), expected);
	kill(c.pid, SIGTERM);
	assert_int_equal(end_of(&c), 0);
}

static void what_is_no_order_is_refused_and_does_no_harm(void **state)
{
	static const char *const wrong[] = { "\n", "reloa\n", "reload \n", "RELOAD\n",
		"reload0123456789012345678901234" };
	int many[9];
	struct child c;
	int fd;

	(void)state;
	write_config("");
	c = start(with_config(""));
	expect(c.out, "ready");
	for (size_t i = 0; i < MW_COUNT(wrong); i++) {
		fd = control();
		assert_int_equal(send(fd, wrong[i], strlen(wrong[i]), MSG_NOSIGNAL),
			(ssize_t)strlen(wrong[i]));
		assert_string_equal(answer_of(fd), "refused\nunknown order\n");
	}
	fd = control();
	shutdown(fd, SHUT_WR); /* none at all */
	assert_string_equal(answer_of(fd), "");
	for (size_t i = 0; i < MW_COUNT(many); i++)
		many[i] = control();
	expect(c.err, "control_refused reason=\"too many at once\"");
	assert_string_equal(answer_of(many[8]), "");
	for (size_t i = 0; i < 8; i++) {
		assert_int_equal(send(many[i], "reload\n", 7, MSG_NOSIGNAL), 7);
		assert_int_equal(strncmp(answer_of(many[i]), "ok ", 3), 0);
	}
	kill(c.pid, SIGTERM);
	assert_int_equal(end_of(&c), 0);
}

static void folders_are_made_with_their_parents_or_it_is_said_why_not(void **state)
{
	char all[200];
	struct child c;
	struct stat st;

	(void)state;
	snprintf(all, sizeof(all), "%s/a/b/c", dir);
	setenv("MAILWEIR_RUN_DIR", all, 1);
	write_config("");
	c = start(with_config(""));
	expect(c.out, "ready");
	assert_int_equal(stat(all, &st), 0);
	kill(c.pid, SIGTERM);
	assert_int_equal(end_of(&c), 0);
	for (int i = 0; i < 3; i++) {
		rmdir(all);
		*strrchr(all, '/') = '\0';
	}
	setenv("MAILWEIR_RUN_DIR", config, 1);
	c = start(with_config(""));
	expect(c.err, "mailweir.lua: Not a directory");
	assert_int_equal(end_of(&c), 1);
	unsetenv("MAILWEIR_RUN_DIR");
}

static int make_dir(void **state)
{
	(void)state;
	if (mkdtemp(dir) == NULL)
		return -1;
	/* Our own user is that of the services then. */
	if (geteuid() != 0)
		setenv("MAILWEIR_ALLOW_WRITABLE_SETTINGS", "yes", 1);
	snprintf(config, sizeof(config), "%s/mailweir.lua", dir);
	snprintf(run_dir, sizeof(run_dir), "%s/run", dir);
	return 0;
}

static int remove_dir(void **state)
{
	char path[200];

	(void)state;
	snprintf(path, sizeof(path), "%s/demo-1.health", run_dir);
	unlink(path);
	rmdir(run_dir);
	unlink(config);
	return rmdir(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_service_says_ready_drains_on_term_and_closes),
		cmocka_unit_test(a_second_term_stops_a_drain),
		cmocka_unit_test(hup_takes_new_settings_or_keeps_the_old_and_says_why),
		cmocka_unit_test(a_reload_that_the_service_refuses_changes_nothing),
		cmocka_unit_test(health_is_asked_over_a_socket_in_run_dir),
		cmocka_unit_test(an_unhealthy_service_says_so),
		cmocka_unit_test(the_second_of_a_name_leaves_the_health_socket_to_the_first),
		cmocka_unit_test(with_http_health_is_asked_there),
		cmocka_unit_test(wrong_settings_end_with_78_and_all_errors),
		cmocka_unit_test(a_start_that_fails_ends_with_1),
		cmocka_unit_test(arguments_are_checked),
		cmocka_unit_test(systemd_is_told),
		cmocka_unit_test(folders_are_made_with_their_parents_or_it_is_said_why_not),
		cmocka_unit_test(settings_that_everybody_may_write_are_refused),
		cmocka_unit_test(root_becomes_daemon_user_with_a_folder_of_its_own),
		cmocka_unit_test(a_reload_refuses_settings_that_the_service_could_write),
		cmocka_unit_test(an_owner_of_his_settings_may_be_allowed),
		cmocka_unit_test(an_order_to_reload_is_answered),
		cmocka_unit_test(what_is_no_order_is_refused_and_does_no_harm),
	};

	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
