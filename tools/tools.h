/* The `mailweir` command: one function a sub-command, each in a file of its own; the table is in
 * main.c. */
#ifndef MW_TOOLS_H
#define MW_TOOLS_H

#include "conf.h"

#define MW_TOOL_OK 0
#define MW_TOOL_FAILED 1
#define MW_TOOL_USAGE 64  /* sysexits.h: EX_USAGE */
#define MW_TOOL_CONFIG 78 /* EX_CONFIG */

/* argv[0] is the sub-command's name. Each returns the exit code. */
int mw_tool_check_config(int argc, char **argv);
int mw_tool_config(int argc, char **argv);
int mw_tool_lookup(int argc, char **argv);
int mw_tool_import_amavisd(int argc, char **argv);
int mw_tool_keys(int argc, char **argv);
int mw_tool_status(int argc, char **argv);

/* What `mailweir help` says after the name: "config get NAME [--origin]". */
void mw_tool_usage(const char *line);
/* MAILWEIR_CONFIG, else /etc/mailweir/mailweir.lua if it is there, else NULL: as the services look
 * for it. */
const char *mw_tool_config_path(void);
/* Load settings, printing all errors; NULL when there were any. */
struct mw_conf *mw_tool_conf(const char *path);

/* `mailweir config doc`: docs/settings.md on stdout. */
void mw_tool_config_doc(void);
/* `mailweir config table`: the same for programs. */
void mw_tool_config_table(void);

#endif
