/* mailweir check-config: a settings file is right, or this is all that is wrong with it. */
#include <stdio.h>
#include "lookup.h"
#include "tools.h"

/* Tables are compiled as the front compiles them, their files are read. */
static bool tables_are_right(const struct mw_conf *conf)
{
	struct mw_text errors = { 0 };
	bool right = mw_lookup_check_all(conf, &errors) == 0;

	if (!right)
		fputs(errors.p != NULL ? errors.p : "out of memory\n", stderr);
	mw_text_fini(&errors);
	return right;
}

int mw_tool_check_config(int argc, char **argv)
{
	const char *path = argc > 1 ? argv[1] : mw_tool_config_path();
	struct mw_conf *conf;

	if (argc > 2 || (argc == 2 && argv[1][0] == '-')) {
		mw_tool_usage("check-config [FILE]");
		return MW_TOOL_USAGE;
	}
	conf = mw_tool_conf(path);
	if (conf == NULL)
		return MW_TOOL_CONFIG;
	if (!tables_are_right(conf)) {
		mw_conf_destroy(&conf);
		return MW_TOOL_CONFIG;
	}
	printf("settings ok: %s\n", path != NULL ? path : "built-in defaults");
	mw_conf_destroy(&conf);
	return MW_TOOL_OK;
}
