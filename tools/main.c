/* mailweir: what an admin asks and does from the command line. */
#include <stdio.h>
#include "log.h"
#include "tools.h"

static const struct tool {
	const char *name, *arguments, *meaning;
	int (*run)(int argc, char **argv);
} tools[] = {
	{ "status", "[--once] [--json] ...", "mails in flight and workers, live", mw_tool_status },
	{ "check-config", "[--user NAME] [FILE...]",
		"read a settings file, tell all that is wrong with it", mw_tool_check_config },
	{ "config", "get NAME | dump | doc", "values of settings, and who set them",
		mw_tool_config },
	{ "reload", "[SERVICE[@INSTANCE]...]", "running services read their settings again",
		mw_tool_reload },
	{ "keys", "DIR", "make the CURVE keys of all services", mw_tool_keys },
};

static void help(FILE *out)
{
	fprintf(out, "usage: mailweir COMMAND [ARGUMENTS]\n\n");
	for (size_t i = 0; i < MW_COUNT(tools); i++)
		fprintf(out, "  %-12s %-28s %s\n", tools[i].name, tools[i].arguments,
			tools[i].meaning);
	fprintf(out, "\n  mailweir COMMAND --help tells more; mailweir --version\n");
}

int main(int argc, char **argv)
{
	mw_log_open("mailweir", MW_INFO);
	if (argc < 2) {
		help(stderr);
		return MW_TOOL_USAGE;
	}
	if (strcmp(argv[1], "--version") == 0) {
		printf("mailweir %s\n", MW_VERSION);
		return MW_TOOL_OK;
	}
	if (strcmp(argv[1], "help") == 0 || strcmp(argv[1], "--help") == 0 ||
		strcmp(argv[1], "-h") == 0) {
		help(stdout);
		return MW_TOOL_OK;
	}
	for (size_t i = 0; i < MW_COUNT(tools); i++)
		if (strcmp(argv[1], tools[i].name) == 0)
			return tools[i].run(argc - 1, argv + 1);
	fprintf(stderr, "mailweir: there is no command \"%s\"\n", argv[1]);
	help(stderr);
	return MW_TOOL_USAGE;
}
