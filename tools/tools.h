/* The `mailweir` command: one function a sub-command, each in a file of its own; the table is in
 * commands.c. */
#ifndef MW_TOOLS_H
#define MW_TOOLS_H

#include "conf.h"

#define MW_TOOL_OK 0
#define MW_TOOL_FAILED 1
#define MW_TOOL_USAGE 64  /* sysexits.h: EX_USAGE */
#define MW_TOOL_CONFIG 78 /* EX_CONFIG */

/* The sub-commands (commands.c); the last has no name. */
struct mw_tool {
	const char *name, *arguments, *meaning;
	int (*run)(int argc, char **argv);
	/*
	 * What a shell may complete behind the name, between blanks: `--all` stands for itself,
	 * `--bank=KIND` for an option with an argument, a KIND alone for an argument: FILE, DIR,
	 * USER, SETTING, BANK, SERVICE, VALUE (nothing is known of it). "a b|get c" has the words
	 * of `name` and, behind |, those behind `name get`.
	 */
	const char *words;
};
extern const struct mw_tool mw_tools[];

/* argv[0] is the sub-command's name. Each returns the exit code. */
int mw_tool_check_config(int argc, char **argv);
int mw_tool_config(int argc, char **argv);
int mw_tool_lookup(int argc, char **argv);
int mw_tool_import_amavisd(int argc, char **argv);
int mw_tool_explain(int argc, char **argv);
int mw_tool_reload(int argc, char **argv);
int mw_tool_completion(int argc, char **argv);
int mw_tool_keys(int argc, char **argv);
int mw_tool_status(int argc, char **argv);
int mw_tool_quarantine(int argc, char **argv);

/* What `mailweir help` says after the name: "config get NAME [--origin]". */
void mw_tool_usage(const char *line);
/* Load settings, those that the services look for when none are given, printing all errors; NULL
 * when there were any. */
struct mw_conf *mw_tool_conf(struct mw_conf_given *given);
/* As mw_tool_conf, and who could write them is checked; tells errors, or "settings ok". user: who
 * must not be able to; NULL: that is a warning. services: they are asked as well. */
struct mw_conf *mw_tool_checked(struct mw_conf_given *given, const char *user, bool services);
/* smtp-front and the scanner take the settings too; tells what they say of them on stderr. */
bool mw_tool_services_agree(const struct mw_conf_given *given);
/* One more for -c; false after telling that there is no room. */
bool mw_tool_give(struct mw_conf_given *given, const char *name);

/* Names of the services that run here, for completion: a line each. */
int mw_tool_services(void);

/* `mailweir config doc`: docs/settings.md on stdout. */
void mw_tool_config_doc(void);
/* `mailweir config table`: the same for programs. */
void mw_tool_config_table(void);

#endif
