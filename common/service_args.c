/* The command line that all services share. */
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include "log_conf.h"
#include "log_syslog.h"
#include "service_priv.h"
#include "wire.h"

static void usage(FILE *out, const char *name)
{
	fprintf(out,
		"mailweir-%s [-c FILE]... [-i INSTANCE] [-d LEVEL] [--check] [--health] "
		"[--version] "
		"[--help]\n"
		"  -c, --config FILE      settings, with those of conf.d/*.lua beside it; given "
		"again: more of them, later\n"
		"                         ones override; else $MAILWEIR_CONFIG (FILE[:FILE...]), "
		"else " MW_CONF_DEFAULT "\n"
		"                         if it is there, else the built-in defaults; MAILWEIR_* "
		"variables override settings\n"
		"  -i, --instance NAME    tells processes of one service on one host apart: "
		"[a-z0-9_.-]; default 1\n"
		"  -d, --debug LEVEL      log_level for this run: 0 events, 3 and more debugging\n"
		"      --check            read the settings, tell all that is wrong, exit 0 or %d\n"
		"      --check-settings   the same, but for who could write their files, and "
		"without "
		"a word where all is right\n"
		"      --health           ask the running process whether it is well, exit 0 or 1\n"
		"      --version, --help\n"
		"Signals: TERM, INT finish what is begun, then end (twice: at once); HUP reads the "
		"settings again.\n",
		name, MW_EX_CONFIG);
}

static bool is_instance(const char *s)
{
	size_t n = strlen(s);

	return n > 0 && n < MW_NAME_MAX && s[0] != '.' &&
	       strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789_.-") == n;
}

static bool parse_level(const char *s, int *level_r)
{
	char *end;
	long level = strtol(s, &end, 10);

	if (*s == '\0' || *end != '\0' || level < -3 || level > 5)
		return false;
	*level_r = (int)level;
	return true;
}

static const char *env(const char *name)
{
	const char *s = getenv(name);

	return s != NULL && *s != '\0' ? s : NULL;
}

static bool parse_options(int argc, char **argv, const char *name, struct mw_service_args *a)
{
	static const struct option options[] = {
		{ "config", required_argument, NULL, 'c' },
		{ "instance", required_argument, NULL, 'i' },
		{ "debug", required_argument, NULL, 'd' },
		{ "check", no_argument, NULL, 'K' },
		{ "check-settings", no_argument, NULL, 'S' },
		{ "health", no_argument, NULL, 'H' },
		{ "version", no_argument, NULL, 'V' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};

	optind = 0; /* tests call this more than once */
	for (int c; (c = getopt_long(argc, argv, "c:i:d:h", options, NULL)) != -1;)
		switch (c) {
		case 'c':
			if (mw_conf_given_add(&a->config, optarg))
				break;
			fprintf(stderr, "mailweir-%s: -c: more than %d files\n", name,
				MW_CONF_GIVEN_MAX);
			return false;
		case 'i':
			a->instance = optarg;
			break;
		case 'd':
			if (parse_level(optarg, &a->level))
				break;
			fprintf(stderr,
				"mailweir-%s: -d %s: expected a whole number from -3 to 5\n", name,
				optarg);
			return false;
		case 'K':
			a->mode = MW_CHECK;
			break;
		case 'S':
			a->mode = MW_CHECK_SETTINGS;
			break;
		case 'H':
			a->mode = MW_HEALTH;
			break;
		case 'V':
			printf("mailweir-%s %s\n", name, MW_VERSION);
			a->mode = MW_SAID;
			return true;
		case 'h':
			usage(stdout, name);
			a->mode = MW_SAID;
			return true;
		default:
			usage(stderr, name);
			return false;
		}
	if (optind == argc)
		return true;
	fprintf(stderr, "mailweir-%s: %s: no argument is expected here\n", name, argv[optind]);
	return false;
}

void mw_service_args(int argc, char **argv, const char *name, struct mw_service_args *args_r)
{
	struct mw_service_args *a = args_r;

	*a = (struct mw_service_args){ .mode = MW_RUN, .level = INT_MIN };
	a->instance = env("MAILWEIR_INSTANCE");
	if (!parse_options(argc, argv, name, a)) {
		a->mode = MW_USAGE;
	} else if (!mw_conf_given_default(&a->config)) {
		fprintf(stderr, "mailweir-%s: MAILWEIR_CONFIG: more than %d files, or %zu octets\n",
			name, MW_CONF_GIVEN_MAX, sizeof(a->config.text) - 1);
		a->mode = MW_USAGE;
	} else if (a->instance != NULL && !is_instance(a->instance)) {
		fprintf(stderr,
			"mailweir-%s: instance \"%s\": expected 1 to %d of [a-z0-9_.-], no dot "
			"first\n",
			name, a->instance, MW_NAME_MAX - 1);
		a->mode = MW_USAGE;
	}
	if (a->instance == NULL)
		a->instance = "1";
}

enum mw_rc mw_service_log(
	const struct mw_service_args *args, const struct mw_conf *conf, struct mw_err *err_r)
{
	const char *path =
		mw_conf_bool(conf, "do_syslog") ? mw_conf_text(conf, "syslog.socket") : NULL;
	struct mw_log_voice voice;
	struct mw_err why = { "" };
	enum mw_rc rc = mw_log_voice_of(conf, &voice, err_r);

	if (rc != MW_OK)
		return rc;
	if (args->level != INT_MIN)
		voice.level = args->level;
	if ((!mw_log_configure(&voice, path) || (path != NULL && !mw_syslog_answers(path, &why))) &&
		args->mode == MW_RUN)
		mw_log(MW_WARN, "syslog_away",
			"socket=%s error=%s hint=\"lines go to stderr until somebody takes them "
			"there\"",
			mw_quote(path), mw_quote(why.text));
	return MW_OK;
}
