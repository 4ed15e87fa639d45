/* mailweir: what an admin asks and does from the command line. */
#include <stdio.h>
#include "log.h"
#include "tools.h"

const struct mw_tool mw_tools[] = {
	{ "status", "[--once] [--json] ...", "mails in flight and workers, live", mw_tool_status,
		"--once --json --interval=VALUE --url=VALUE --config=FILE -c=FILE --help" },
	{ "check-config", "[--user NAME] [FILE...]",
		"read the settings, tell all that is wrong with them", mw_tool_check_config,
		"--user=USER FILE" },
	{ "config", "get NAME | dump | doc", "values of settings, and who set them", mw_tool_config,
		"get dump doc -c=FILE|get SETTING --origin --bank=BANK -c=FILE"
		"|dump --all --bank=BANK -c=FILE" },
	{ "reload", "[SERVICE[@INSTANCE]...]", "running services read their settings again",
		mw_tool_reload, "-c=FILE SERVICE" },
	{ "keys", "DIR", "make the CURVE keys of all services", mw_tool_keys, "DIR" },
	{ "completion", "bash | zsh", "what a shell needs to complete all this", mw_tool_completion,
		"bash zsh" },
	{ NULL },
};

static void help(FILE *out)
{
	fprintf(out, "usage: mailweir COMMAND [ARGUMENTS]\n\n");
	for (const struct mw_tool *t = mw_tools; t->name != NULL; t++)
		fprintf(out, "  %-12s %-28s %s\n", t->name, t->arguments, t->meaning);
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
	for (const struct mw_tool *t = mw_tools; t->name != NULL; t++)
		if (strcmp(argv[1], t->name) == 0)
			return t->run(argc - 1, argv + 1);
	fprintf(stderr, "mailweir: there is no command \"%s\"\n", argv[1]);
	help(stderr);
	return MW_TOOL_USAGE;
}
