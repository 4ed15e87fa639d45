/* The life of a service, from arguments to exit: see service.h for its order. */
#include "service.h"

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include "http.h"
#include "log_conf.h"
#include "service_priv.h"

#define ANCHOR_MS (3600 * 1000)

struct run {
	struct mw_service s; /* first: services hand its address back */
	const struct mw_service_ops *ops;
	void *arg;
	struct mw_service_args args;
	struct mw_conf *retired; /* the settings before the last reload: borrowed texts of theirs
				    may still be in use */
	struct mw_health *health;
	struct mw_control *control;
	struct mw_signal *signals[3];
	struct mw_timer *anchor; /* a loop that waits for nothing but signals would end by itself */
	bool ready;
	uint64_t began_ms;
};

/* ------------------------------------------------------------------ health and metrics */

static bool is_well(void *arg, struct mw_err *why)
{
	struct run *r = arg;

	if (!r->ready || r->s.stopping) {
		mw_fail(why, MW_AGAIN, "%s", r->s.stopping ? "stopping" : "starting");
		return false;
	}
	return r->ops->healthy == NULL || r->ops->healthy(r->arg, &r->s, why);
}

static unsigned get_health(void *arg, const char *path, struct mw_text *body, const char **type_r)
{
	struct mw_err why = { "" };
	bool well = is_well(arg, &why);

	(void)path;
	(void)type_r;
	mw_text_addf(body, well ? "ok%s\n" : "unhealthy: %s\n", why.text);
	return well ? 200 : 503;
}

static unsigned open_files(void)
{
	DIR *dir = opendir("/proc/self/fd");
	unsigned n = 0;

	if (dir == NULL)
		return 0;
	for (struct dirent *d; (d = readdir(dir)) != NULL;)
		n += d->d_name[0] != '.';
	closedir(dir);
	return n - 1; /* but for the folder itself */
}

static unsigned get_metrics(void *arg, const char *path, struct mw_text *body, const char **type_r)
{
	struct run *r = arg;
	struct rusage used;

	(void)path;
	*type_r = "text/plain; version=0.0.4; charset=utf-8";
	getrusage(RUSAGE_SELF, &used);
	mw_text_addf(body,
		"# TYPE mailweir_info "
		"gauge\nmailweir_info{service=\"%s\",instance=\"%s\",version=\"%s\"} 1\n",
		r->s.name, r->s.instance, MW_VERSION);
	mw_text_addf(body, "# TYPE mailweir_uptime_seconds gauge\nmailweir_uptime_seconds %.3f\n",
		(double)(mw_mono_ms() - r->began_ms) / 1000);
	mw_text_addf(body,
		"# TYPE process_cpu_seconds_total counter\nprocess_cpu_seconds_total %.3f\n",
		(double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) +
			(double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6);
	mw_text_addf(body,
		"# TYPE mailweir_peak_memory_bytes gauge\nmailweir_peak_memory_bytes %lld\n",
		(long long)used.ru_maxrss * 1024);
	mw_text_addf(
		body, "# TYPE mailweir_descriptors gauge\nmailweir_descriptors %u\n", open_files());
	mw_text_addf(body,
		"# TYPE mailweir_log_dropped_total counter\nmailweir_log_dropped_total %llu\n",
		(unsigned long long)mw_log_dropped());
	if (r->ops->metrics != NULL)
		r->ops->metrics(r->arg, &r->s, body);
	return 200;
}

static const struct mw_http_route routes[] = {
	{ "/health", get_health },
	{ "/metrics", get_metrics },
	{ NULL, NULL },
};

/* ------------------------------------------------------------------ systemd, ready */

/* sd_notify's protocol is one datagram: no library for that. */
static void notify(const char *what)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	socklen_t size;
	int fd;

	if (path == NULL || (path[0] != '/' && path[0] != '@') ||
		strlen(path) >= sizeof(a.sun_path))
		return;
	mw_strlcpy(a.sun_path, path, sizeof(a.sun_path));
	size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path));
	if (path[0] == '@')
		a.sun_path[0] = '\0'; /* the abstract name space */
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0 || sendto(fd, what, strlen(what), MSG_NOSIGNAL, (struct sockaddr *)&a, size) < 0)
		mw_log(MW_WARN, "notify_failed", "reason=\"%s\"", strerror(errno));
	if (fd >= 0)
		close(fd);
}

void mw_service_ready(struct mw_service *s, const char *fmt, ...)
{
	struct run *r = (struct run *)s;
	va_list args;

	r->ready = true;
	printf("ready service=%s instance=%s", s->name, s->instance);
	if (s->http != NULL)
		printf(" http=%u", mw_http_port(s->http));
	if (fmt[0] != '\0')
		putchar(' ');
	va_start(args, fmt);
	vprintf(fmt, args);
	va_end(args);
	putchar('\n');
	fflush(stdout);
	notify("READY=1");
}

void mw_service_stop(struct mw_service *s)
{
	s->stopping = true;
	mw_loop_stop(s->loop);
}

/* ------------------------------------------------------------------ signals */

/* Each line of the errors as a log line of its own. */
static void log_errors(const char *event, char *errors)
{
	char *save = NULL;

	for (char *line = strtok_r(errors, "\n", &save); line != NULL;
		line = strtok_r(NULL, "\n", &save))
		mw_log(MW_ERROR, event, "error=%s", mw_quote(line));
}

/* Read settings that could be taken. False: *errors_r is why not, a line each, to be freed. */
static bool read_settings(struct run *r, struct mw_conf **fresh_r, char **errors_r)
{
	struct mw_text complaints = { 0 };
	struct mw_log_voice voice;
	struct mw_err err = { "" };

	if (mw_conf_load_given(&r->args.config, fresh_r, errors_r) != MW_OK)
		return false;
	if (mw_log_voice_of(*fresh_r, &voice, &err) == MW_OK &&
		mw_service_guard(*fresh_r, &complaints, &err) == MW_OK)
		return true;
	mw_text_addf(&complaints, "%s\n", err.text);
	*errors_r = complaints.p;
	mw_conf_destroy(fresh_r);
	return false;
}

/* The whole set, or the old one is kept. *errors_r: NULL, or why, a line each, to be freed. */
static void reload(struct run *r, char **errors_r)
{
	struct mw_conf *old = r->s.conf, *fresh = NULL;
	struct mw_err err = { "" };

	*errors_r = NULL;
	if (!read_settings(r, &fresh, errors_r))
		return;
	r->s.conf = fresh;
	if (r->ops->reload != NULL && r->ops->reload(r->arg, &r->s, &err) != MW_OK) {
		r->s.conf = old;
		*errors_r = strdup(err.text[0] != '\0' ? err.text : "refused");
		mw_conf_destroy(&fresh);
		return;
	}
	mw_conf_destroy(&r->retired);
	r->retired = old;
	(void)mw_service_log(&r->args, fresh, &err); /* read_settings has asked */
	mw_log(MW_INFO, "settings_reloaded", "path=%s files=%zu",
		mw_conf_path(fresh) != NULL ? mw_conf_path(fresh) : "(defaults)",
		mw_conf_files(fresh, &(const char *const *){ NULL }));
}

/* Returns NULL, or why the old settings are kept, a line each, to be freed. */
static char *reload_logged(struct run *r)
{
	char *errors, *copy;

	reload(r, &errors);
	if (errors == NULL)
		return NULL;
	copy = strdup(errors);
	if (copy != NULL)
		log_errors("reload_refused", copy);
	mw_log(MW_WARN, "settings_kept", "hint=\"correct the errors, then reload again\"");
	free(copy);
	return errors;
}

static void on_hup(void *arg, int signum)
{
	struct run *r = arg;

	(void)signum;
	if (!r->s.stopping)
		free(reload_logged(r));
}

/* The same when `mailweir reload` asks. */
static char *on_order(void *arg, struct mw_text *said)
{
	struct run *r = arg;
	char *errors;

	if (r->s.stopping || !r->ready)
		return strdup(r->s.stopping ? "it is stopping\n" : "it is still starting\n");
	errors = reload_logged(r);
	if (errors == NULL)
		mw_conf_print_files(said, r->s.conf);
	return errors;
}

static void on_term(void *arg, int signum)
{
	struct run *r = arg;

	if (r->s.stopping || r->ops->drain == NULL) {
		mw_log(MW_INFO, "stop_at_once", "signal=%d", signum);
		mw_service_stop(&r->s);
		return;
	}
	mw_log(MW_INFO, "drain_begun", "signal=%d", signum);
	r->s.stopping = true;
	notify("STOPPING=1");
	r->ops->drain(r->arg, &r->s);
}

static void on_anchor(void *arg)
{
	(void)arg;
}

static bool open_signals(struct run *r)
{
	r->anchor = mw_timer_new(r->s.loop, on_anchor, r);
	mw_timer_start(r->anchor, ANCHOR_MS, ANCHOR_MS);
	r->signals[0] = mw_signal_new(r->s.loop, SIGHUP, on_hup, r);
	r->signals[1] = mw_signal_new(r->s.loop, SIGTERM, on_term, r);
	r->signals[2] = mw_signal_new(r->s.loop, SIGINT, on_term, r);
	return r->signals[0] != NULL && r->signals[1] != NULL && r->signals[2] != NULL;
}

/* ------------------------------------------------------------------ the life */

static enum mw_rc open_doors(struct run *r, struct mw_err *err)
{
	const char *listen_on = mw_conf_text(r->s.conf, "http.listen");
	bool http = listen_on != NULL && *listen_on != '\0';
	struct mw_err why = { "" };
	enum mw_rc rc =
		http ? mw_http_open(&r->s.http, r->s.loop, listen_on, routes, r, &why) : MW_OK;

	if (rc != MW_OK)
		return mw_fail(err, rc, "http.listen: %.480s", why.text);
	rc = mw_control_open(
		&r->control, r->s.loop, r->s.conf, r->s.name, r->s.instance, on_order, r, err);
	if (rc != MW_OK)
		return rc;
	if (http && strcmp(strrchr(listen_on, ':'), ":0") != 0)
		return MW_OK;
	return mw_health_open(
		&r->health, r->s.loop, r->s.conf, r->s.name, r->s.instance, is_well, r, err);
}

/* One more SIGTERM must not turn an orderly end into a death by it. */
static void hold_signals(void)
{
	sigset_t ends;

	sigemptyset(&ends);
	sigaddset(&ends, SIGHUP);
	sigaddset(&ends, SIGTERM);
	sigaddset(&ends, SIGINT);
	pthread_sigmask(SIG_BLOCK, &ends, NULL);
}

static int live(struct run *r)
{
	struct mw_err err = { "" };
	struct mw_text complaints = { 0 };
	bool opened = false;
	enum mw_rc rc = mw_service_settle(r->s.name, r->s.conf, &complaints, &err);

	if (complaints.p != NULL)
		log_errors("settings_unsafe", complaints.p);
	mw_text_fini(&complaints);
	if (rc == MW_OK) {
		r->s.loop = mw_loop_new();
		if (r->s.loop == NULL || !open_signals(r))
			rc = mw_fail(
				&err, MW_ERR_NOMEM, "event loop: out of memory or descriptors");
	}
	if (rc == MW_OK)
		rc = open_doors(r, &err);
	if (rc == MW_OK) {
		opened = true;
		rc = r->ops->open(r->arg, &r->s, &err);
	}
	if (rc == MW_OK)
		mw_loop_run(r->s.loop);
	else
		mw_log(MW_CRIT, "start_failed", "reason=%s error=%s", mw_rc_name(rc),
			mw_quote(err.text));
	r->s.stopping = true;
	if (opened && r->ops->close != NULL)
		r->ops->close(r->arg, &r->s);
	mw_control_close(&r->control);
	mw_health_close(&r->health);
	mw_http_close(&r->s.http);
	hold_signals();
	for (size_t i = 0; i < MW_COUNT(r->signals); i++)
		mw_signal_destroy(&r->signals[i]);
	mw_timer_destroy(&r->anchor);
	mw_loop_destroy(&r->s.loop);
	if (rc == MW_OK)
		mw_log(MW_INFO, "stopped", "uptime_ms=%llu",
			(unsigned long long)(mw_mono_ms() - r->began_ms));
	return rc == MW_OK ? 0 : rc == MW_ERR_CONF ? MW_EX_CONFIG : 1;
}

/* Settings that every service understands, and that wants more than their types. False: told. */
static bool begin_log(const struct run *r)
{
	struct mw_err err = { "" };

	if (mw_service_log(&r->args, r->s.conf, &err) == MW_OK)
		return true;
	if (r->args.mode == MW_RUN)
		mw_log(MW_CRIT, "settings_wrong", "error=%s", mw_quote(err.text));
	else
		fprintf(stderr, "%s\n", err.text);
	return false;
}

static void print_warnings(struct mw_text *lines)
{
	char *save = NULL;

	for (char *line = lines->p != NULL ? strtok_r(lines->p, "\n", &save) : NULL; line != NULL;
		line = strtok_r(NULL, "\n", &save))
		fprintf(stderr, "warning: %s\n", line);
	mw_text_fini(lines);
}

/* --check, --check-settings, of settings that were read without an error. */
static int check(const struct run *r)
{
	bool all = r->args.mode == MW_CHECK;
	struct mw_text text = { 0 };
	struct mw_err err = { "" };

	/* Who is not root may not be who runs the service. */
	if (all && geteuid() == 0 && mw_service_guard(r->s.conf, &text, &err) != MW_OK) {
		fprintf(stderr, "%s%s\n", text.p != NULL ? text.p : "", err.text);
		mw_text_fini(&text);
		return MW_EX_CONFIG;
	}
	if (r->ops->check != NULL) {
		enum mw_rc rc = r->ops->check(r->arg, r->s.conf, &text, &err);

		print_warnings(&text);
		if (rc != MW_OK) {
			fprintf(stderr, "%s\n", err.text);
			return MW_EX_CONFIG;
		}
	}
	if (!all)
		return 0;
	mw_conf_print_files(&text, r->s.conf);
	printf("settings ok: %s\n", text.p != NULL ? text.p : "");
	mw_text_fini(&text);
	return 0;
}

int mw_service_main(
	int argc, char **argv, const char *name, const struct mw_service_ops *ops, void *arg)
{
	struct run r = { .ops = ops, .arg = arg, .began_ms = mw_mono_ms() };
	char *errors = NULL;
	int code;

	mw_log_open(name, MW_INFO);
	mw_service_args(argc, argv, name, &r.args);
	if (r.args.mode == MW_SAID || r.args.mode == MW_USAGE)
		return r.args.mode == MW_SAID ? 0 : 64; /* EX_USAGE */
	r.s.name = name;
	r.s.instance = r.args.instance;
	if (mw_conf_load_given(&r.args.config, &r.s.conf, &errors) != MW_OK) {
		if (r.args.mode == MW_RUN)
			log_errors("settings_wrong", errors);
		else
			fputs(errors, stderr);
		free(errors);
		return MW_EX_CONFIG;
	}
	if (!begin_log(&r)) {
		mw_conf_destroy(&r.s.conf);
		return MW_EX_CONFIG;
	}
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN); /* a file that may not grow is an error of its writer's */
	if (r.args.mode == MW_CHECK || r.args.mode == MW_CHECK_SETTINGS) {
		code = check(&r);
	} else if (r.args.mode == MW_HEALTH) {
		code = mw_health_ask(r.s.conf, name, r.args.instance);
	} else {
		code = live(&r);
	}
	mw_conf_destroy(&r.retired);
	mw_conf_destroy(&r.s.conf);
	return code;
}
