/* mailweir check-config: settings files are right, or this is all that is wrong with them. */
#include <stdio.h>
#include <stdlib.h>
#include "tools.h"

int mw_tool_check_config(int argc, char **argv)
{
	struct mw_conf_given given = { 0 };
	struct mw_text files = { 0 };
	struct mw_conf *conf;

	for (int i = 1; i < argc; i++) {
		if (argv[i][0] == '-') {
			mw_tool_usage("check-config [FILE...]");
			return MW_TOOL_USAGE;
		}
		if (!mw_tool_give(&given, argv[i]))
			return MW_TOOL_USAGE;
	}
	conf = mw_tool_conf(&given);
	if (conf == NULL)
		return MW_TOOL_CONFIG;
	mw_conf_print_files(&files, conf);
	printf("settings ok: %s\n", files.p != NULL ? files.p : "");
	mw_text_fini(&files);
	mw_conf_destroy(&conf);
	return MW_TOOL_OK;
}
