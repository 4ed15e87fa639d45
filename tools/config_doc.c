/* mailweir config doc: the table of settings as docs/settings.md. */
#include <stdio.h>
#include "tools.h"

/* Settings by own table; "" is the group of amavisd's plain names. */
static size_t group_length(const struct mw_setting *s)
{
	const char *dot = strchr(s->name, '.');

	return dot != NULL ? (size_t)(dot - s->name) : 0;
}

static bool same_group(const struct mw_setting *a, const struct mw_setting *b)
{
	size_t n = group_length(a);

	return n == group_length(b) && strncmp(a->name, b->name, n) == 0;
}

static bool is_first_of_group(size_t at)
{
	for (size_t i = 0; i < at; i++)
		if (same_group(&mw_settings[i], &mw_settings[at]))
			return false;
	return true;
}

/* A cell of a Markdown table: a bar would end it. */
static void cell_octets(const char *text, size_t n)
{
	for (; n > 0; text++, n--) {
		if (*text == '|')
			putchar('\\');
		putchar(*text);
	}
}

static void cell(const char *text)
{
	cell_octets(text, strlen(text));
}

#define DEFAULT_SHOWN_MAX 250

/* A long list is cut behind one of its items; `mailweir config get` shows all of it. */
static void dflt_cell(const char *dflt)
{
	size_t n = strlen(dflt);

	if (n <= DEFAULT_SHOWN_MAX) {
		cell(dflt);
		return;
	}
	n = DEFAULT_SHOWN_MAX;
	while (n > 0 && dflt[n - 1] != ',')
		n--;
	cell_octets(dflt, n);
	fputs(" ... }", stdout);
}

static void row(const struct mw_setting *s)
{
	char expected[160];

	printf("| `%s` | `", s->name);
	dflt_cell(strcmp(s->dflt, "nil") == 0 ? "unset" : s->dflt);
	printf("` | ");
	cell(mw_setting_expected(s, expected, sizeof(expected)));
	printf(" | %s | %s%s%s | ", s->scope == MW_S_BANK ? "bank" : "global",
		s->env != NULL ? "`" : "", s->env != NULL ? s->env : "", s->env != NULL ? "`" : "");
	cell(s->meaning);
	puts(" |");
}

static void group(size_t first)
{
	size_t n = group_length(&mw_settings[first]);

	if (n == 0)
		puts("\n## amavisd's names\n");
	else
		printf("\n## %.*s\n\n", (int)n, mw_settings[first].name);
	puts("| name | default | values | scope | variable | meaning |");
	puts("|---|---|---|---|---|---|");
	for (size_t i = first; i < mw_settings_count; i++)
		if (same_group(&mw_settings[i], &mw_settings[first]))
			row(&mw_settings[i]);
}

void mw_tool_config_doc(void)
{
	puts("# Settings\n\n"
	     "Written by `mailweir config doc` from `common/settings/*.def`: change it there.\n\n"
	     "Settings stand in a Lua file, `/etc/mailweir/mailweir.lua`, and in files `*.lua` of "
	     "the folder `conf.d` beside it,\n"
	     "read in the order of their names (`-c FILE`, also several times, or "
	     "`MAILWEIR_CONFIG`: see\n"
	     "[operations](operations.md#settings-files)); every service reads them all. They are "
	     "one program: a later file sees\n"
	     "what earlier ones set, and overrides it. Names are amavisd's where amavisd has the "
	     "setting; what is Mailweir's\n"
	     "alone is a field of its own table: `pipeline.run_dir = \"/run/mailweir\"` or "
	     "`pipeline = { run_dir =\n"
	     "\"/run/mailweir\" }`.\n"
	     "An unknown name, a wrong type and a value out of range are errors: `mailweir "
	     "check-config` tells all\n"
	     "of them with their files and lines, and a service with wrong settings does not start "
	     "(exit "
	     "code 78), or, at SIGHUP,\n"
	     "keeps the ones it has.\n\n"
	     "Scope: *global*, one value for the process; *bank*, may also stand in a "
	     "`policy_bank`. In a bank a value\n"
	     "replaces the base's; a table is merged into it key by key, unless it has `REPLACE = "
	     "true`. The bank\n"
	     "`MYNETS` sets `originating = true` before its own settings. A variable that is set "
	     "and not empty overrides\n"
	     "the file. `mailweir config get NAME --origin` tells a value and who set it.\n\n"
	     "A file may use `local`, functions, `if`, `for`, and of Lua's libraries `string` "
	     "(byte char format len\n"
	     "lower reverse sub upper), `table` (concat insert remove sort unpack), `math` and "
	     "assert, error, ipairs,\n"
	     "next, pairs, select, tonumber, tostring, type. A file may be 1 MiB long; all "
	     "together "
	     "have 32 MiB of memory,\n"
	     "ten million instructions and two seconds of CPU time, and may be 200 files and 8 MiB "
	     "long.");
	for (size_t i = 0; i < mw_settings_count; i++)
		if (is_first_of_group(i))
			group(i);
}
