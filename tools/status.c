/* `mailweir status`: what mailweir-status knows, once or live. */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "status_fetch.h"
#include "status_screen.h"
#include "tools.h"

#define INTERVAL_MS_LEAST 100
#define INTERVAL_MS_MOST (3600 * 1000)
#define WIDTH_WITHOUT_TERMINAL 120

struct options {
	struct mw_conf_given config;
	const char *url;
	char url_buf[256];
	int interval_ms;
	bool once, json;
};

static volatile sig_atomic_t stop;

static void on_signal(int signum)
{
	stop = signum;
}

static int usage(FILE *to)
{
	fprintf(to, "usage: mailweir status [--once | --json] [--interval SECONDS] [--url URL] "
		    "[--config FILE]\n"
		    "  Mails in flight and workers of all fronts, as mailweir-status knows them.\n"
		    "  --once, -1      print it once; so it is too when this is no terminal\n"
		    "  --json          print the JSON of mailweir-status\n"
		    "  --interval, -i  seconds between two looks, from 0.1 (1)\n"
		    "  --url, -u       where mailweir-status answers; else $MAILWEIR_STATUS_URL, "
		    "else the setting\n"
		    "                  status.listen\n"
		    "  --config, -c    settings files for that; else $MAILWEIR_CONFIG, "
		    "else the one of the services\n"
		    "keys: q ends, any other looks again\n"
		    "states: m MAIL, d receiving, = checks begin, G mail_id, D decoding, V virus, "
		    "S spam, P pen pals,\n"
		    "        r deciding, Q quarantine, F forwarding, . done\n");
	return to == stderr ? MW_TOOL_USAGE : MW_TOOL_OK;
}

static bool parse_interval(const char *text, int *ms_r)
{
	char *end;
	double s = strtod(text, &end);

	if (end == text || *end != '\0' ||
		!(s * 1000 >= INTERVAL_MS_LEAST && s * 1000 <= INTERVAL_MS_MOST))
		return false;
	*ms_r = (int)(s * 1000);
	return true;
}

/* 0: go on; else main's exit code plus 1. */
static int parse(int argc, char **argv, struct options *o)
{
	static const struct option longs[] = {
		{ "once", no_argument, NULL, '1' },
		{ "json", no_argument, NULL, 'j' },
		{ "interval", required_argument, NULL, 'i' },
		{ "url", required_argument, NULL, 'u' },
		{ "config", required_argument, NULL, 'c' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	int c;

	*o = (struct options){ .interval_ms = 1000 };
	optind = 1;
	while ((c = getopt_long(argc, argv, "1ji:u:c:h", longs, NULL)) != -1) {
		switch (c) {
		case '1':
			o->once = true;
			break;
		case 'j':
			o->json = true;
			break;
		case 'i':
			if (parse_interval(optarg, &o->interval_ms))
				break;
			fprintf(stderr, "mailweir status: --interval wants 0.1 to 3600 seconds\n");
			return MW_TOOL_USAGE + 1;
		case 'u':
			o->url = optarg;
			break;
		case 'c':
			if (mw_tool_give(&o->config, optarg))
				break;
			return MW_TOOL_USAGE + 1;
		case 'h':
			return usage(stdout) + 1;
		default:
			return usage(stderr) + 1;
		}
	}
	return optind < argc ? usage(stderr) + 1 : 0;
}

/* An address that a server listens at as one that a client reaches it by. */
static void url_of_listen(char *buf, size_t size, const char *listen)
{
	if (strncmp(listen, "0.0.0.0:", 8) == 0)
		snprintf(buf, size, "http://127.0.0.1:%s", listen + 8);
	else if (strncmp(listen, "[::]:", 5) == 0)
		snprintf(buf, size, "http://[::1]:%s", listen + 5);
	else
		snprintf(buf, size, "http://%s", listen);
}

static const char *env(const char *name)
{
	const char *value = getenv(name);

	return value != NULL && value[0] != '\0' ? value : NULL;
}

static bool find_url(struct options *o)
{
	struct mw_conf *conf;

	if (o->url == NULL)
		o->url = env("MAILWEIR_STATUS_URL");
	if (o->url != NULL)
		return true;
	conf = mw_tool_conf(&o->config);
	if (conf == NULL)
		return false;
	url_of_listen(o->url_buf, sizeof(o->url_buf), mw_conf_text(conf, "status.listen"));
	o->url = o->url_buf;
	mw_conf_destroy(&conf);
	return true;
}

/* *state_r: to be json_decref'ed; NULL unless MW_OK. */
static enum mw_rc fetch(
	struct status_fetch *f, struct mw_text *body, json_t **state_r, struct mw_err *err_r)
{
	enum mw_rc rc = status_fetch_get(f, body, err_r);

	*state_r = NULL;
	if (rc != MW_OK)
		return rc;
	*state_r = json_loadb(body->p != NULL ? body->p : "", body->n, 0, NULL);
	if (json_is_object(*state_r))
		return MW_OK;
	json_decref(*state_r);
	*state_r = NULL;
	return mw_fail(
		err_r, MW_ERR_PROTO, "the answer is no JSON object: is that mailweir-status?");
}

static unsigned width_of_output(void)
{
	struct winsize ws;
	const char *columns = env("COLUMNS");
	int n = columns != NULL ? atoi(columns) : 0;

	if (n > 0)
		return (unsigned)n;
	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &ws) == 0 && ws.ws_col > 0)
		return ws.ws_col;
	return WIDTH_WITHOUT_TERMINAL;
}

static bool print_lines(const json_t *state)
{
	struct status_view v = { 0 };
	bool ok;

	status_view_build(&v, state, NULL, width_of_output(), 0);
	for (size_t i = 0; i < v.count; i++)
		puts(v.lines[i].text);
	ok = !v.failed;
	status_view_fini(&v);
	return ok;
}

static int run_once(const struct options *o, struct status_fetch *f)
{
	struct mw_text body = { 0 };
	struct mw_err err = { "" };
	json_t *state;
	bool ok = fetch(f, &body, &state, &err) == MW_OK;

	if (!ok)
		fprintf(stderr, "mailweir status: %s\n", err.text);
	else if (o->json)
		/* Escaped to ASCII: this may be a terminal too. */
		ok = json_dumpf(state, stdout, JSON_INDENT(2) | JSON_ENSURE_ASCII) == 0 &&
		     puts("") >= 0;
	else
		ok = print_lines(state);
	json_decref(state);
	mw_text_fini(&body);
	return ok && fflush(stdout) == 0 ? 0 : 1;
}

static void draw(const json_t *state, const char *trouble)
{
	struct status_view v = { 0 };
	unsigned width, rows;

	status_screen_size(&width, &rows);
	status_view_build(&v, state, trouble, width, rows);
	status_screen_draw(&v);
	status_view_fini(&v);
}

/* The last state stays on the screen while there is no newer one, below a line that says why. */
static void run_live(const struct options *o, struct status_fetch *f)
{
	struct mw_text body = { 0 };
	struct mw_err err = { "" };
	json_t *state = NULL, *newer;
	enum status_key key = STATUS_KEY_FETCH;
	uint64_t next_ms = 0, now_ms;

	while (stop == 0 && key != STATUS_KEY_QUIT) {
		now_ms = mw_mono_ms();
		if (key == STATUS_KEY_FETCH || now_ms >= next_ms) {
			err.text[0] = '\0';
			if (fetch(f, &body, &newer, &err) == MW_OK) {
				json_decref(state);
				state = newer;
			}
			next_ms = mw_mono_ms() + (uint64_t)o->interval_ms;
		}
		draw(state, err.text[0] != '\0' ? err.text : NULL);
		now_ms = mw_mono_ms();
		key = status_screen_wait(next_ms > now_ms ? (int)(next_ms - now_ms) : 0);
	}
	json_decref(state);
	mw_text_fini(&body);
}

int mw_tool_status(int argc, char **argv)
{
	struct sigaction action = {
		.sa_handler = on_signal
	}; /* no SA_RESTART: the wait for a key ends */
	struct status_fetch *f;
	struct options o;
	int code = parse(argc, argv, &o);

	if (code != 0)
		return code - 1;
	if (!find_url(&o))
		return MW_TOOL_CONFIG;
	f = status_fetch_new(o.url, &stop);
	if (f == NULL) {
		fprintf(stderr, "mailweir status: no memory\n");
		return 1;
	}
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	if (o.once || o.json || !status_screen_open()) {
		code = run_once(&o, f);
	} else {
		run_live(&o, f);
		status_screen_close();
	}
	status_fetch_destroy(&f);
	return code;
}
