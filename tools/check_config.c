/* mailweir check-config: a settings file is right, or this is all that is wrong with it. */
#include <stdio.h>
#include "tools.h"

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
	printf("settings ok: %s\n", path != NULL ? path : "built-in defaults");
	mw_conf_destroy(&conf);
	return MW_TOOL_OK;
}
