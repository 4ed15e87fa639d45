/* What the files of the service skeleton share. Nobody else includes this. */
#ifndef MW_SERVICE_PRIV_H
#define MW_SERVICE_PRIV_H

#include <sys/un.h>
#include "service.h"

#define MW_EX_CONFIG 78 /* sysexits.h: what systemd and people take for wrong settings */

/* ---- arguments (service_args.c) ---- */

enum mw_service_mode {
	MW_RUN,
	MW_CHECK,
	MW_CHECK_SETTINGS,
	MW_HEALTH,
	MW_SAID, /* version, help: done */
	MW_USAGE
};

struct mw_service_args {
	enum mw_service_mode mode;
	struct mw_conf_given config; /* none: embedded defaults */
	const char *instance;
	int level; /* of -d; INT_MIN: not given */
};

/* Reads argv and MAILWEIR_CONFIG, MAILWEIR_INSTANCE; prints what --help, --version and mistakes
 * call for. */
void mw_service_args(int argc, char **argv, const char *name, struct mw_service_args *args_r);
/* The process's log as the settings say, the level as -d does. MW_ERR_CONF: it stays as it was. */
enum mw_rc mw_service_log(
	const struct mw_service_args *args, const struct mw_conf *conf, struct mw_err *err_r);

/* ---- who we are (service_user.c) ---- */

/*
 * Make the folders that must be there, refuse settings that the service's user could write, become
 * daemon_user when we are root, take all descriptors that the hard limit allows, and no new
 * privileges from here on. complaints: lines beyond *err_r's, about the settings files.
 */
enum mw_rc mw_service_settle(const char *name, const struct mw_conf *conf,
	struct mw_text *complaints, struct mw_err *err_r);
/* MW_ERR_CONF, and a line for each settings file, when the user that the service has or, while we
 * are root, will have could write it. */
enum mw_rc mw_service_guard(
	const struct mw_conf *conf, struct mw_text *complaints, struct mw_err *err_r);

/* ---- health (service_health.c) ---- */

#define MW_HEALTH_WAIT_MS 3000 /* --health asks no longer than this */

struct mw_health;
/* A socket in pipeline.run_dir that answers every connection with one line; say fills *why and
 * tells whether all is well. Another process of the same name and instance that is alive keeps it:
 * then *h_r is NULL and MW_OK. */
enum mw_rc mw_health_open(struct mw_health **h_r, struct mw_loop *loop, const struct mw_conf *conf,
	const char *name, const char *instance, bool (*say)(void *arg, struct mw_err *why),
	void *arg, struct mw_err *err_r);
void mw_health_close(struct mw_health **h_p);
/* --health: ask the running process, print its answer; the exit code. */
int mw_health_ask(const struct mw_conf *conf, const char *name, const char *instance);

/* ---- orders to a running process (service_control.c) ---- */

#define MW_CONTROL_WAIT_MS 30000    /* `mailweir reload` waits no longer for all answers together */
#define MW_CONTROL_ANSWER_MAX 16384 /* octets: fit any socket buffer, so nobody is waited for */
#define MW_RUN_FILE_MAX 96	    /* octets of a socket's name in run_dir */
#define MW_CONTROL_SUFFIX ".control"

struct mw_control;
/*
 * A socket NAME@INSTANCE.control in pipeline.run_dir, for our own user and root. Who sends the line
 * "reload" gets "ok ...\n" or "refused\n" and the reasons, a line each. reload returns NULL or
 * those reasons, to be freed, and appends to *said what was taken. Another living process keeps it:
 * then *c_r is NULL and MW_OK.
 */
enum mw_rc mw_control_open(struct mw_control **c_r, struct mw_loop *loop,
	const struct mw_conf *conf, const char *name, const char *instance,
	char *(*reload)(void *arg, struct mw_text *said), void *arg, struct mw_err *err_r);
void mw_control_close(struct mw_control **c_p);

/* A listening unix socket at run_dir/file; *fd_r -1 when another living process has it. */
enum mw_rc mw_run_socket_open(int *fd_r, struct sockaddr_un *a, const char *file,
	const struct mw_conf *conf, struct mw_err *err_r);

#endif
