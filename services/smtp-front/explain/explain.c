/* The command line, and what is printed in the end. */
#include "explain.h"

#include <getopt.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "log.h"
#include "policy/db.h"
#include "policy/dnsl.h"

#define EX_USAGE 64
#define EX_CONFIG 78

static void usage(FILE *out)
{
	fprintf(out,
		"usage: mailweir explain MAIL_ID [--json] [-c FILE]...   of a mail that was\n"
		"       mailweir explain --from A --to B [--to C]... [--client IP] "
		"[--port N | --socket PATH]\n"
		"         [--score N] [--size OCTETS] [--asked BANK[,BANK]] [--header NAME] "
		"[--json] "
		"[FILE...]\n"
		"  --from A         the envelope's sender and the author; <> is the null address\n"
		"  --to B           a recipient; up to %d\n"
		"  --client IP      the original client, as XFORWARD ADDR names it; else unknown\n"
		"  --port N         the port it comes in by; else the first of inet_socket_port\n"
		"  --address IP     and the address of that socket, where there are several\n"
		"  --socket PATH    or the Unix socket\n"
		"  --peer IP        who connects to us; else 127.0.0.1\n"
		"  --author A       of the From field; else the sender\n"
		"  --dkim DOMAIN    as if a valid signature of that domain were there; up to %d\n"
		"  --helo NAME      what the client calls itself\n"
		"  --asked BANKS    banks that a client of AM.PDP asks for\n"
		"  --score N        the spam score; else what is so at which score is told\n"
		"  --size OCTETS    of the mail\n"
		"  --header NAME    this header field alone\n"
		"  --json           for programs\n"
		"  -c, --config FILE, FILE  settings, as the services read them\n",
		EXPLAIN_RCPTS_MAX, EXPLAIN_SIGNERS_MAX);
}

/* ------------------------------------------------------------------ arguments */

static bool wrong(const char *option, const char *value, const char *expected)
{
	fprintf(stderr, "mailweir explain: %s %s: expected %s\n", option, value, expected);
	return false;
}

static bool number(const char *option, const char *s, uint64_t least, uint64_t most, uint64_t *n_r)
{
	char expected[80], *end;

	*n_r = strtoull(s, &end, 10);
	if (*s >= '0' && *s <= '9' && *end == '\0' && *n_r >= least && *n_r <= most)
		return true;
	snprintf(expected, sizeof(expected), "a whole number from %llu to %llu",
		(unsigned long long)least, (unsigned long long)most);
	return wrong(option, s, expected);
}

static bool score(struct explain_ask *a, const char *s)
{
	char *end;
	double points = strtod(s, &end);

	if (*s == '\0' || *end != '\0' || !(fabs(points) <= 1000000))
		return wrong("--score", s, "points from -1000000 to 1000000");
	a->has_score = true;
	a->score_milli = (int32_t)lround(points * 1000);
	return true;
}

static bool recipient(struct explain_ask *a, const char *s)
{
	if (a->to_count == EXPLAIN_RCPTS_MAX) {
		fprintf(stderr, "mailweir explain: more than %d recipients\n", EXPLAIN_RCPTS_MAX);
		return false;
	}
	a->to[a->to_count++] = s;
	return true;
}

/* A domain as d= has it (RFC 6376 section 3.5). */
static bool signer(struct explain_ask *a, const char *s)
{
	size_t n = strlen(s);

	if (a->signer_count == EXPLAIN_SIGNERS_MAX) {
		fprintf(stderr, "mailweir explain: more than %d signatures\n", EXPLAIN_SIGNERS_MAX);
		return false;
	}
	if (n == 0 || n > 253 ||
		n != strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
			       "0123456789.-_"))
		return wrong("--dkim", s, "a domain");
	a->signer[a->signer_count++] = s;
	return true;
}

static bool file(struct explain_ask *a, const char *s)
{
	if (mw_conf_given_add(&a->config, s))
		return true;
	fprintf(stderr, "mailweir explain: more than %d settings files\n", MW_CONF_GIVEN_MAX);
	return false;
}

/* A field's name (RFC 5322 section 3.6.8). */
static bool header(struct explain_ask *a, const char *s)
{
	if (*s == '\0' || strlen(s) > 100 || !mw_is_printable(s, strlen(s)) ||
		strpbrk(s, ": ") != NULL)
		return wrong("--header", s, "a field's name");
	a->header = s;
	return true;
}

static bool option(struct explain_ask *a, int c)
{
	const char **texts[] = { ['f'] = &a->from,
		['C'] = &a->client,
		['S'] = &a->socket,
		['A'] = &a->address,
		['P'] = &a->peer,
		['H'] = &a->helo,
		['B'] = &a->asked,
		['a'] = &a->author };
	uint64_t n;

	switch (c) {
	case 't':
		return recipient(a, optarg);
	case 'd':
		return signer(a, optarg);
	case 'p':
		if (!number("--port", optarg, 1, 65535, &n))
			return false;
		a->port = (unsigned)n;
		return true;
	case 's':
		return number("--size", optarg, 1, UINT64_MAX / 2, &a->size);
	case 'n':
		return score(a, optarg);
	case 'h':
		return header(a, optarg);
	case 'c':
		return file(a, optarg);
	case 'j':
		a->json = true;
		return true;
	case 'w':
		a->warnings = true;
		return true;
	default:
		if (c < 0 || c >= (int)MW_COUNT(texts) || texts[c] == NULL)
			return false;
		*texts[c] = optarg;
		return true;
	}
}

/* False: what is wrong was told, but for how it goes. */
static bool parse(struct explain_ask *a, int argc, char **argv)
{
	static const struct option options[] = {
		{ "from", required_argument, NULL, 'f' },
		{ "to", required_argument, NULL, 't' },
		{ "client", required_argument, NULL, 'C' },
		{ "port", required_argument, NULL, 'p' },
		{ "address", required_argument, NULL, 'A' },
		{ "socket", required_argument, NULL, 'S' },
		{ "peer", required_argument, NULL, 'P' },
		{ "author", required_argument, NULL, 'a' },
		{ "dkim", required_argument, NULL, 'd' },
		{ "helo", required_argument, NULL, 'H' },
		{ "asked", required_argument, NULL, 'B' },
		{ "score", required_argument, NULL, 'n' },
		{ "size", required_argument, NULL, 's' },
		{ "header", required_argument, NULL, 'h' },
		{ "json", no_argument, NULL, 'j' },
		{ "config", required_argument, NULL, 'c' },
		{ "warnings", no_argument, NULL, 'w' },
		{ NULL, 0, NULL, 0 },
	};

	optind = 0;
	for (int c; (c = getopt_long(argc, argv, "c:", options, NULL)) != -1;)
		if (c == '?' || !option(a, c))
			return false;
	for (; optind < argc; optind++)
		if (!file(a, argv[optind]))
			return false;
	if (a->warnings)
		return true;
	if (a->from == NULL || a->to_count == 0)
		fprintf(stderr, "mailweir explain: --from and --to are needed\n");
	if (a->socket != NULL && (a->port != 0 || a->address != NULL)) {
		fprintf(stderr, "mailweir explain: either --port or --socket\n");
		return false;
	}
	return a->from != NULL && a->to_count > 0;
}

/* ------------------------------------------------------------------ texts */

const char *explain_text(struct explain *x, const char *fmt, ...)
{
	char text[2048];
	const char *copy;
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	copy = smtp_arena_copy(&x->arena, text, strlen(text));
	return copy != NULL ? copy : "";
}

const char *explain_points(struct explain *x, int32_t milli)
{
	return explain_text(x, "%.10g", (double)milli / 1000);
}

/* ------------------------------------------------------------------ the command */

/* All errors are told. */
static int load(struct explain *x)
{
	struct mw_err err = { "" };
	struct mw_conf_given given = x->ask->config;
	char *errors = NULL;

	if (!mw_conf_given_default(&given)) {
		fprintf(stderr, "mailweir: MAILWEIR_CONFIG: more than %d files\n",
			MW_CONF_GIVEN_MAX);
		return EX_CONFIG;
	}
	if (mw_conf_load_given(&given, &x->conf, &errors) != MW_OK ||
		mw_conf_defaults(&x->defaults, &errors) != MW_OK) {
		fputs(errors, stderr);
		free(errors);
		return EX_CONFIG;
	}
	if (policy_set_new(x->conf, &x->set, &err) != MW_OK) {
		fprintf(stderr, "mailweir: %s\n", err.text);
		return EX_CONFIG;
	}
	return 0;
}

static int warnings(const struct explain *x)
{
	struct mw_text lines = { 0 };
	char *save = NULL;

	policy_warn_print(x->set, &lines);
	for (char *line = lines.p != NULL ? strtok_r(lines.p, "\n", &save) : NULL; line != NULL;
		line = strtok_r(NULL, "\n", &save))
		fprintf(stderr, "warning: %s\n", line);
	mw_text_fini(&lines);
	return 0;
}

static int answer(struct explain *x)
{
	struct mw_text out = { 0 };
	bool ok = explain_mail(x);

	if (ok && !(x->ask->json ? explain_json(x, &out) : explain_print(x, &out))) {
		fprintf(stderr, "mailweir: out of memory\n");
		ok = false;
	}
	if (ok)
		fwrite(out.p, 1, out.n, stdout);
	mw_text_fini(&out);
	return ok ? 0 : 1;
}

int explain_main(struct front *f, int argc, char **argv)
{
	struct explain_ask ask = { .peer = "127.0.0.1", .helo = "client.invalid" };
	struct explain x = { .ask = &ask, .front = f };
	int code;

	mw_log_open("mailweir", MW_INFO);
	if (argc == 2 && strcmp(argv[1], "--help") == 0) {
		usage(stdout);
		return 0;
	}
	if (!parse(&ask, argc, argv)) {
		usage(stderr);
		return EX_USAGE;
	}
	code = load(&x);
	if (code == 0)
		code = ask.warnings ? warnings(&x) : answer(&x);
	txn_destroy(&x.txn);
	db_destroy(&f->db);
	dnsl_destroy(&f->dnsl);
	mw_loop_destroy(&f->loop);
	policy_set_unref(&x.set);
	mw_conf_destroy(&x.defaults);
	mw_conf_destroy(&x.conf);
	smtp_arena_fini(&x.arena);
	return code;
}
