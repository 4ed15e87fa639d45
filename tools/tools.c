/* What the sub-commands share. */
#include "tools.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

void mw_tool_usage(const char *line)
{
	fprintf(stderr, "usage: mailweir %s\n", line);
}

const char *mw_tool_config_path(void)
{
	static const char path[] = "/etc/mailweir/mailweir.lua";
	const char *env = getenv("MAILWEIR_CONFIG");

	if (env != NULL && *env != '\0')
		return env;
	return access(path, F_OK) == 0 ? path : NULL;
}

struct mw_conf *mw_tool_conf(const char *path)
{
	struct mw_conf *conf = NULL;
	char *errors = NULL;

	if (mw_conf_load(path, &conf, &errors) != MW_OK)
		fputs(errors, stderr);
	free(errors);
	return conf;
}
