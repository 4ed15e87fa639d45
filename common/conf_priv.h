/*
 * What the files of the settings share: conf_files.c (which files there are), conf_lines.c (where
 * in the source a name stands), conf_lua.c (files become raw values), conf_check.c (raw values
 * against the table of settings), conf.c (what the services ask). Nobody else includes this.
 */
#ifndef MW_CONF_PRIV_H
#define MW_CONF_PRIV_H

#include "conf.h"

#define MW_CONF_FILE_MAX (1024 * 1024)	      /* octets of a settings file */
#define MW_CONF_FILES_MAX 200		      /* files of one load */
#define MW_CONF_TOTAL_MAX (8 * 1024 * 1024)   /* octets of all of them */
#define MW_CONF_MEMORY_MAX (32 * 1024 * 1024) /* octets that evaluating it may take */
#define MW_CONF_STEPS_MAX (10 * 1000 * 1000)  /* Lua instructions of one load */
#define MW_CONF_CPU_US_MAX                                                                         \
	(2 * 1000 * 1000) /* microseconds of one load: single library calls count little above */
#define MW_CONF_VALUES_MAX 200000 /* values in all tables together */
#define MW_CONF_DEPTH_MAX 12	  /* tables within tables */
#define MW_CONF_ERRORS_MAX 100	  /* errors told of one load */
#define MW_CONF_PATH_MAX 512	  /* octets of "name SEP key SEP key" */
#define MW_CONF_SEP '\x1f'	  /* between keys in a path: keys may hold dots */

/* ---- files (conf_files.c) ---- */

struct mw_conf_source {
	char *text; /* NULL: could not be read */
	size_t n;
};

struct mw_conf_sources {
	size_t count;
	char *names[MW_CONF_FILES_MAX];
	struct mw_conf_source file[MW_CONF_FILES_MAX];
	char *folder; /* the conf.d that was looked through; NULL: there is none */
};

struct mw_conf_errors;
/* Find and read them all; what cannot be read is an error each. */
void mw_conf_sources_read(
	struct mw_conf_sources *s, const struct mw_conf_given *given, struct mw_conf_errors *e);
void mw_conf_sources_fini(struct mw_conf_sources *s);

/* ---- errors, told together, in the order of their lines ---- */

struct mw_conf_error {
	unsigned line;
	size_t order;
	char *text;
};

struct mw_conf_errors {
	char *const *files; /* by number; NULL: no file */
	size_t count, more;
	struct mw_conf_error list[MW_CONF_ERRORS_MAX];
};

/* Line 0 of a file: not about a line of it, the text stands alone. */
void mw_conf_error(struct mw_conf_errors *e, unsigned line, const char *fmt, ...) MW_PRINTF(3, 4);
/* All of them as one text, a line each; NULL when there are none. The list is empty afterwards. */
char *mw_conf_errors_take(struct mw_conf_errors *e);

/* ---- where names stand in the source (conf_lines.c) ---- */

struct mw_conf_lines;
struct mw_conf_lines *mw_conf_lines_scan(const struct mw_conf_source *files, size_t count);
/* The program has come past that line. */
void mw_conf_lines_passed(struct mw_conf_lines *l, unsigned at);
void mw_conf_lines_destroy(struct mw_conf_lines **l_p);
/* Line on which the assignment to path begins that Lua saw ending on that line; `reported` when not
 * found. */
unsigned mw_conf_lines_statement(
	const struct mw_conf_lines *l, const char *path, unsigned reported);
/* Line of a key of the table that was set at `from`: where a later statement that was passed sets
 * just this key, else in the constructor; from when not found. order_r (may be NULL): its rank in
 * the source. */
unsigned mw_conf_lines_field(
	const struct mw_conf_lines *l, const char *path, unsigned from, size_t *order_r);

/* ---- values ---- */

bool mw_val_set_text(struct mw_val *v, const char *s, size_t n);
/* Room for count fields, all nil. */
bool mw_val_set_table(struct mw_val *v, size_t count);
/* Put a copy of src under key: replaces or appends. */
bool mw_val_put(struct mw_val *table, const char *key, const struct mw_val *src);

/* True when a function or what a function made is anywhere in it. */
bool mw_val_has_code(const struct mw_val *v);

/* ---- the program that functions belong to (conf_lua.c): it lives as long as one of them ---- */

struct mw_lua_reader *mw_conf_program_ref(struct mw_lua_reader *r);
void mw_conf_program_unref(struct mw_lua_reader **r_p);

/* ---- a file's raw values (conf_lua.c) ---- */

struct mw_conf_raw {
	bool set;
	struct mw_val val;
};

/* Evaluate the files one after the other, as one program with one budget; raw has mw_settings_count
 * slots, zeroed. Errors are appended to *e. */
void mw_conf_lua_read(const struct mw_conf_source *files, size_t count, struct mw_conf_raw *raw,
	struct mw_conf_errors *e);
/* Evaluate every setting's default. False: no memory. A default that is no Lua ends the process:
 * our bug. */
bool mw_conf_lua_defaults(struct mw_val *vals);

/* ---- the table of settings (conf_check.c) ---- */

/* Index in mw_settings, or -1. */
int mw_setting_index(const char *name);
/* True when some setting is called "name.something". */
bool mw_setting_is_group(const char *name);
#define MW_HINT_MAX 256
/* "; did you mean X?", "; amavisd's is not needed: why", or "". Returns buf. */
const char *mw_setting_hint(const char *name, char *buf, size_t size);
/* Check *v against its setting, making its one form of it (0 and 1 become booleans). False: an
 * error was added. */
bool mw_setting_check(
	const struct mw_setting *s, const char *shown, struct mw_val *v, struct mw_conf_errors *e);
/* A key of the setting's table in its one form, in buf if need be. */
const char *mw_setting_key(const struct mw_setting *s, const char *key, char *buf, size_t size);
/* Fill *v from the variable's text, checked. */
bool mw_setting_from_env(
	const struct mw_setting *s, const char *text, struct mw_val *v, struct mw_conf_errors *e);
int64_t mw_setting_number(const struct mw_setting *s, const struct mw_val *v);

#endif
