/* mailweir config table: the table of settings for programs. */
#include <stdio.h>
#include "tools.h"

static const char *const types[] = {
	[MW_T_BOOL] = "bool",
	[MW_T_INT] = "int",
	[MW_T_MILLI] = "milli",
	[MW_T_TEXT] = "text",
	[MW_T_LIST] = "list",
	[MW_T_DESTINY] = "destiny",
	[MW_T_MAPS] = "maps",
	[MW_T_TABLE] = "table",
	[MW_T_HOOK] = "hook",
};

/* A setting a line, tabs between: name, type, scope, unit, least, most (thousandths for milli),
 * default as Lua source. */
void mw_tool_config_table(void)
{
	for (size_t i = 0; i < mw_settings_count; i++) {
		const struct mw_setting *s = &mw_settings[i];

		printf("%s\t%s\t%s\t%s\t%lld\t%lld\t%s\n", s->name, types[s->type],
			s->scope == MW_S_BANK ? "bank" : "global", s->unit, (long long)s->least,
			(long long)s->most, s->dflt);
	}
}
