/* What the sub-commands share. */
#include "tools.h"

#include <stdio.h>
#include <stdlib.h>

void mw_tool_usage(const char *line)
{
	fprintf(stderr, "usage: mailweir %s\n", line);
}

bool mw_tool_give(struct mw_conf_given *given, const char *name)
{
	if (mw_conf_given_add(given, name))
		return true;
	fprintf(stderr, "mailweir: more than %d settings files\n", MW_CONF_GIVEN_MAX);
	return false;
}

struct mw_conf *mw_tool_conf(struct mw_conf_given *given)
{
	struct mw_conf *conf = NULL;
	char *errors = NULL;

	if (!mw_conf_given_default(given))
		fprintf(stderr, "mailweir: MAILWEIR_CONFIG: more than %d files, or %zu octets\n",
			MW_CONF_GIVEN_MAX, sizeof(given->text) - 1);
	else if (mw_conf_load_given(given, &conf, &errors) != MW_OK)
		fputs(errors, stderr);
	free(errors);
	return conf;
}
