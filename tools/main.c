/* mailweir: what an admin asks and does from the command line. */
#include <stdio.h>
#include "log.h"
#include "tools.h"

static void help(FILE *out)
{
	fprintf(out, "usage: mailweir COMMAND [ARGUMENTS]\n\n");
	for (const struct mw_tool *t = mw_tools; t->name != NULL; t++)
		fprintf(out, "  %-14s %-30s %s\n", t->name, t->arguments, t->meaning);
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
