/* mailweir quarantine: what is kept, looked for, shown, let go and cared for. */
#include "quarantine.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "quarantine_audit.h"

#define USAGE                                                                                      \
	"quarantine list | search | show | release | delete | expire | verify [OPTIONS] [-c FILE]"
#define LIMIT 50 /* rows, when nobody says how many */

static const struct action {
	const char *name, *usage;
	int (*run)(struct qtool *t);
	size_t least; /* names behind the options */
	bool sql;     /* it does without files where copies are rows of a database */
} actions[] = {
	{ "list",
		"list [--category=C] [--since=T] [--before=T] [--released | --kept] [--oldest] "
		"[--limit=N] [--offset=N] [--json]",
		qtool_list, 0, true },
	{ "search",
		"search [--sender=A] [--recipient=A] [--subject=TEXT] [--category=C] [--since=T] "
		"[--before=T] [--released | --kept] "
		"[--oldest] [--limit=N] [--offset=N] [--json] [TEXT]",
		qtool_search, 0, true },
	{ "show", "show MAIL_ID [--raw] [--json]", qtool_show, 1, true },
	{ "release", "release MAIL_ID... [--recipient=A] [--requeue] [--no-scan] [--again]",
		qtool_release, 1, true },
	{ "delete", "delete MAIL_ID...", qtool_delete, 1, true },
	{ "expire", "expire [--dry-run]", qtool_expire, 0 },
	{ "verify", "verify [--quick] [--repair]", qtool_verify, 0 },
};

/* ------------------------------------------------------------------ options */

static const char *value_of(const char *arg, const char *name)
{
	size_t n = strlen(name);

	return strncmp(arg, name, n) == 0 && arg[n] == '=' ? arg + n + 1 : NULL;
}

/* "3d", "12h", "30m" before now; "2026-11-28", "2026-11-28 19:20", "2026-11-28T19:20:11" here. */
static bool time_of(const char *text, uint64_t *ms_r)
{
	static const char *const forms[] = { "%Y-%m-%d", "%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M",
		"%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S" };
	char *end;
	unsigned long long n = strtoull(text, &end, 10);
	uint64_t unit = *end == 'd' ? 86400000 : *end == 'h' ? 3600000 : *end == 'm' ? 60000 : 0;

	if (end != text && unit != 0 && end[1] == '\0' && n < 100000) {
		uint64_t now = mw_wall_ms();

		*ms_r = n * unit < now ? now - n * unit : 1;
		return true;
	}
	for (size_t i = 0; i < MW_COUNT(forms); i++) {
		struct tm tm = { .tm_isdst = -1 };
		const char *rest = strptime(text, forms[i], &tm);
		time_t at = rest != NULL && *rest == '\0' ? mktime(&tm) : -1;

		if (at > 0) {
			*ms_r = (uint64_t)at * 1000;
			return true;
		}
	}
	return false;
}

static bool number_of(const char *text, size_t *n_r)
{
	char *end;
	unsigned long long n;

	errno = 0;
	n = strtoull(text, &end, 10);
	*n_r = (size_t)n;
	return errno == 0 && *text >= '0' && *text <= '9' && *end == '\0' && n <= 10000000;
}

static bool category_of(const char *text, int *class_r)
{
	*class_r = mw_qclass_of_name(strncmp(text, "CC_", 3) == 0 ? text + 3 : text);
	return *class_r >= 0;
}

/* What has a value. -1: it is none of these; 0: the value is wrong. */
static int take_value(struct qtool *t, const char *arg)
{
	const char *v;

	if ((v = value_of(arg, "--category")) != NULL)
		return category_of(v, &t->query.class);
	if ((v = value_of(arg, "--since")) != NULL)
		return time_of(v, &t->query.since_ms);
	if ((v = value_of(arg, "--before")) != NULL)
		return time_of(v, &t->query.before_ms);
	if ((v = value_of(arg, "--limit")) != NULL)
		return number_of(v, &t->query.limit);
	if ((v = value_of(arg, "--offset")) != NULL)
		return number_of(v, &t->query.offset);
	if ((v = value_of(arg, "--sender")) != NULL)
		return (t->query.sender = v) != NULL;
	if ((v = value_of(arg, "--subject")) != NULL)
		return (t->query.subject = v) != NULL;
	if ((v = value_of(arg, "--recipient")) != NULL)
		return (t->query.rcpt = t->recipient = v) != NULL;
	return -1;
}

static bool take_flag(struct qtool *t, const char *arg)
{
	const struct {
		const char *name;
		bool *flag;
	} flags[] = {
		{ "--json", &t->json },
		{ "--raw", &t->raw },
		{ "--repair", &t->repair },
		{ "--quick", &t->quick },
		{ "--dry-run", &t->dry_run },
		{ "--again", &t->again },
		{ "--no-scan", &t->no_scan },
		{ "--requeue", &t->requeue },
		{ "--oldest", &t->query.oldest_first },
	};

	for (size_t i = 0; i < MW_COUNT(flags); i++)
		if (strcmp(flags[i].name, arg) == 0)
			return *flags[i].flag = true;
	if (strcmp(arg, "--released") == 0 || strcmp(arg, "--kept") == 0) {
		t->query.released = arg[2] == 'r';
		return true;
	}
	return false;
}

/* Only what the action's usage line names. */
static bool belongs(const struct action *a, const char *arg)
{
	size_t n = strcspn(arg, "=");

	for (const char *p = strstr(a->usage, "--"); p != NULL; p = strstr(p + 2, "--"))
		if (strncmp(p, arg, n) == 0 && strchr("=] ", p[n]) != NULL)
			return true;
	return false;
}

/* Names are gathered at the front of argv. False after telling what is wrong. */
static bool take_options(
	struct qtool *t, const struct action *a, int argc, char **argv, struct mw_conf_given *given)
{
	size_t names = 0;
	bool only_names = false;

	for (int i = 0; i < argc; i++) {
		int taken;

		if (only_names || argv[i][0] != '-' || strcmp(argv[i], "-") == 0) {
			argv[names++] = argv[i];
			continue;
		}
		if (strcmp(argv[i], "--") == 0) {
			only_names = true;
			continue;
		}
		if (strcmp(argv[i], "-c") == 0 && i + 1 < argc) {
			if (!mw_tool_give(given, argv[++i]))
				return false;
			continue;
		}
		taken = belongs(a, argv[i]) ? take_value(t, argv[i]) : -1;
		if (taken == 0)
			fprintf(stderr, "mailweir: %s: what is that?\n", argv[i]);
		if (taken == 0 || (taken < 0 && !(belongs(a, argv[i]) && take_flag(t, argv[i]))))
			return false;
	}
	t->names = argv;
	t->name_count = names;
	return names >= a->least && names <= MW_TOOL_NAMES_MAX;
}

/* ------------------------------------------------------------------ shared */

struct mw_qindex *qtool_open(const struct qtool *t, enum mw_qindex_mode mode)
{
	struct mw_qindex *q = NULL;
	struct mw_err err;

	if (mw_qindex_open(&q, t->dir, mode, &err) != MW_OK)
		fprintf(stderr,
			"mailweir: the quarantine's index cannot be had: %s\n"
			"mailweir: smtp-front makes it; \"mailweir quarantine verify --repair\" "
			"does, "
			"too\n",
			err.text);
	return q;
}

const char *qtool_time(uint64_t time_ms, char buf[32])
{
	time_t at = (time_t)(time_ms / 1000);
	struct tm tm;

	if (localtime_r(&at, &tm) == NULL || strftime(buf, 32, "%Y-%m-%d %H:%M:%S", &tm) == 0)
		mw_strlcpy(buf, "?", 32);
	return buf;
}

/* Whoever became root by sudo is known by his own name, too. */
static void say_who(char who[MW_QINDEX_WHO_MAX])
{
	const char *sudo = getenv("SUDO_USER");
	char user[MW_QINDEX_WHO_MAX];

	mw_qaudit_user((unsigned)getuid(), user);
	if (getuid() == 0 && sudo != NULL && mw_is_printable(sudo, strlen(sudo)))
		snprintf(who, MW_QINDEX_WHO_MAX, "%.50s by sudo of %.32s", user, sudo);
	else
		mw_strlcpy(who, user, MW_QINDEX_WHO_MAX);
}

static int usage(const struct action *a)
{
	char line[512];

	if (a != NULL)
		snprintf(line, sizeof(line), "quarantine %s [-c FILE]", a->usage);
	mw_tool_usage(a != NULL ? line : USAGE);
	return MW_TOOL_USAGE;
}

int mw_tool_quarantine(int argc, char **argv)
{
	struct qtool t = { .query = { .class = -1, .released = -1, .limit = LIMIT } };
	struct mw_conf_given given = { 0 };
	const struct action *a = NULL;
	int code;

	for (size_t i = 0; i < MW_COUNT(actions) && argc > 1; i++)
		if (strcmp(actions[i].name, argv[1]) == 0)
			a = &actions[i];
	if (a == NULL || !take_options(&t, a, argc - 2, argv + 2, &given))
		return usage(a);
	t.conf = mw_tool_conf(&given);
	if (t.conf == NULL)
		return MW_TOOL_CONFIG;
	t.dir = mw_conf_text(t.conf, "QUARANTINEDIR");
	say_who(t.who);
	if (*t.dir == '\0' && !(a->sql && qtool_has_sql(&t))) {
		fprintf(stderr, "mailweir: QUARANTINEDIR is not set: nothing is kept in files\n");
		code = MW_TOOL_CONFIG;
	} else {
		code = a->run(&t);
	}
	mw_conf_destroy(&t.conf);
	return code;
}
