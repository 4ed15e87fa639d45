/*
 * mailweir completion: a script for bash (and for zsh by bashcompinit) that knows the commands,
 * their options and the names of settings, written from the tables that the program runs by. What
 * only this host knows, as the policy banks there are, it asks `mailweir completion` for.
 */
#include <stdio.h>
#include "tools.h"

#define USAGE "completion bash | zsh"

/* The script, but for what stands in the tables. $words is what the command takes; behind an
 * option that takes an argument, that argument's kind. */
static const char head[] =
	"_mailweir()\n"
	"{\n"
	"\tlocal cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} words= list= w\n"
	"\tCOMPREPLY=()\n"
	"\tif [ \"$COMP_CWORD\" -eq 1 ]; then\n"
	"\t\twords=\"$_mailweir_commands help --help --version\"\n"
	"\telse\n"
	"\t\tcase \"${COMP_WORDS[1]}\" in\n";
static const char tail[] =
	"\t\tesac\n"
	"\tfi\n"
	"\tfor w in $words; do\n"
	"\t\tcase \"$w\" in\n"
	"\t\t\"$prev=\"*) words=${w#*=}; break ;;\n"
	"\t\tesac\n"
	"\tdone\n"
	"\tfor w in $words; do\n"
	"\t\tcase \"$w\" in\n"
	"\t\tFILE) compopt -o filenames 2>/dev/null\n"
	"\t\t\tlocal IFS=$'\\n'; COMPREPLY+=($(compgen -f -- \"$cur\")); unset IFS ;;\n"
	"\t\tDIR) compopt -o filenames 2>/dev/null\n"
	"\t\t\tlocal IFS=$'\\n'; COMPREPLY+=($(compgen -d -- \"$cur\")); unset IFS ;;\n"
	"\t\tUSER) COMPREPLY+=($(compgen -u -- \"$cur\")) ;;\n"
	"\t\tSETTING) list=\"$list $_mailweir_settings\" ;;\n"
	"\t\tBANK) list=\"$list $(mailweir completion banks 2>/dev/null)\" ;;\n"
	"\t\tSERVICE) list=\"$list $(mailweir completion services 2>/dev/null)\" ;;\n"
	"\t\tVALUE) ;;\n"
	"\t\t*) list=\"$list ${w%%=*}\" ;;\n"
	"\t\tesac\n"
	"\tdone\n"
	"\tCOMPREPLY+=($(compgen -W \"$list\" -- \"$cur\"))\n"
	"}\n"
	"complete -F _mailweir mailweir\n";

/* "a b|get c d|dump e": the words of the command; behind get, and behind dump, those. */
static void command(const struct mw_tool *tool)
{
	const char *p = tool->words;
	size_t n = strcspn(p, "|");

	printf("\t\t%s) words='%.*s'", tool->name, (int)n, p);
	p += n;
	if (*p == '|')
		printf("\n\t\t\tfor w in \"${COMP_WORDS[@]:2:COMP_CWORD-2}\"; do\n"
		       "\t\t\t\tcase \"$w\" in\n");
	while (*p == '|') {
		size_t name = strcspn(++p, " |");

		n = strcspn(p, "|");
		printf("\t\t\t\t%.*s) words='%.*s' ;;\n", (int)name, p, (int)(n - name), p + name);
		p += n;
	}
	printf("%s ;;\n", strchr(tool->words, '|') != NULL ? "\t\t\t\tesac\n\t\t\tdone" : "");
}

static void script(void)
{
	puts("# Completion for mailweir, written by `mailweir completion bash`.");
	printf("_mailweir_commands='");
	for (const struct mw_tool *t = mw_tools; t->name != NULL; t++)
		printf("%s%s", t == mw_tools ? "" : " ", t->name);
	printf("'\n_mailweir_settings='");
	for (size_t i = 0; i < mw_settings_count; i++)
		printf("%s%s", i == 0 ? "" : "\n", mw_settings[i].name);
	printf("'\n%s", head);
	for (const struct mw_tool *t = mw_tools; t->name != NULL; t++)
		if (t->words != NULL)
			command(t);
	fputs(tail, stdout);
}

static int banks(void)
{
	struct mw_conf *conf = mw_tool_conf(&(struct mw_conf_given){ 0 });
	const struct mw_val *table;

	if (conf == NULL)
		return MW_TOOL_CONFIG;
	table = mw_conf_val(conf, "policy_bank");
	for (size_t i = 0; i < table->count; i++)
		puts(table->keys[i]);
	mw_conf_destroy(&conf);
	return MW_TOOL_OK;
}

int mw_tool_completion(int argc, char **argv)
{
	const char *what = argc == 2 ? argv[1] : "";

	if (strcmp(what, "banks") == 0)
		return banks();
	if (strcmp(what, "services") == 0)
		return mw_tool_services();
	if (strcmp(what, "zsh") == 0) {
		puts("autoload -Uz compinit bashcompinit && compinit && bashcompinit");
	} else if (strcmp(what, "bash") != 0) {
		mw_tool_usage(USAGE);
		return MW_TOOL_USAGE;
	}
	script();
	return MW_TOOL_OK;
}
