/*
 * The skeleton of a Mailweir process: arguments, settings, log, privilege drop, signals, `ready`
 * line, --health, HTTP health and metrics. Start-up order is the same everywhere: arguments,
 * settings (all wrong ones at once), engine, sockets, then one line `ready ...`; stopping runs the
 * same list backwards.
 *
 *   mailweir-NAME [-c FILE]... [-i INSTANCE] [-d LEVEL] [--check] [--health] [--version] [--help]
 */
#ifndef MW_SERVICE_H
#define MW_SERVICE_H

#include "conf.h"
#include "loop.h"
#include "text.h"

struct mw_service {
	const char *name;     /* "smtp-front" */
	const char *instance; /* -i or MAILWEIR_INSTANCE; "1" */
	struct mw_conf *conf;
	struct mw_loop *loop;
	struct mw_http *http; /* NULL when http.listen is unset */
	bool stopping;
};

struct mw_service_ops {
	/* Engine, then sockets. err_r names what, where, which limit. */
	enum mw_rc (*open)(void *arg, struct mw_service *s, struct mw_err *err_r);
	/* SIGHUP: s->conf is the new one already; return an error to keep the old one (it is put
	 * back). May be NULL. */
	enum mw_rc (*reload)(void *arg, struct mw_service *s, struct mw_err *err_r);
	/* SIGTERM or SIGINT: begin to drain and call mw_service_stop() when done; NULL: stop at
	 * once. */
	void (*drain)(void *arg, struct mw_service *s);
	void (*close)(void *arg, struct mw_service *s);
	/* Prometheus text of this service for GET /metrics, appended to *out (NUL-terminated,
	 * malloc'ed); may be NULL. */
	void (*metrics)(void *arg, struct mw_service *s, struct mw_text *out);
	/* --check, without a loop: what is wrong beyond what the settings' own check tells, and
	 * what is hardly meant, a line each, appended to *warnings. May be NULL. */
	enum mw_rc (*check)(void *arg, const struct mw_conf *conf, struct mw_text *warnings,
		struct mw_err *err_r);
	/* False with *why_r filled: GET /health says 503. May be NULL. */
	bool (*healthy)(void *arg, struct mw_service *s, struct mw_err *why_r);
};

/* Runs the whole life; returns main's exit code: 0, 1 failed, 78 (EX_CONFIG) wrong settings. */
int mw_service_main(
	int argc, char **argv, const char *name, const struct mw_service_ops *ops, void *arg);
void mw_service_stop(struct mw_service *s);
/* Say that work can be taken: one line on stdout, "ready service=NAME ..." plus READY=1 to systemd.
 */
void mw_service_ready(struct mw_service *s, const char *fmt, ...) MW_PRINTF(2, 3);

#endif
