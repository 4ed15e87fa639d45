/*
 * Settings: one Lua file (mailweir.lua) or several, read by every service as one program, checked
 * whole against one typed table (common/settings/ *.def), const afterwards. Names are amavisd's
 * where amavisd has the setting; what is ours alone is a field of its own table (pipeline, scanner,
 * dkim, redis, ...), written "pipeline.run_dir" here.
 *
 * Unknown names, wrong types and values out of range are all reported at once, with file, line, the
 * value, what was expected and the nearest known name. Reading again (SIGHUP) makes a new struct
 * mw_conf or fails and leaves the old one alone.
 */
#ifndef MW_CONF_H
#define MW_CONF_H

#include "base.h"
#include "text.h"

enum mw_type {
	MW_T_BOOL,
	MW_T_INT,     /* whole number, least..most */
	MW_T_MILLI,   /* number with up to three decimals (scores); kept as thousandths, least..most
			 in thousandths */
	MW_T_TEXT,    /* string of at most `most` octets */
	MW_T_LIST,    /* array of strings */
	MW_T_DESTINY, /* D_PASS D_DISCARD D_BOUNCE D_REJECT D_TEMPFAIL; see enum mw_destiny */
	MW_T_MAPS,    /* *_maps: an array of lookup tables, see lookup.h */
	MW_T_TABLE,   /* any Lua table of scalars and tables: policy_bank, interface_policy,
			 dkim_key ... */
	MW_T_HOOK     /* a function, or { run = function, on_failure = "pass" or "defer" }; most 0:
			 "defer" comes too late there */
};

/* amavisd's values. */
enum mw_destiny {
	MW_D_DISCARD = 0,
	MW_D_PASS = 1,
	MW_D_BOUNCE = -2,
	MW_D_REJECT = -3,
	MW_D_TEMPFAIL = -4
};

enum mw_scope {
	MW_S_GLOBAL, /* one value for the process */
	MW_S_BANK    /* may also stand in a policy bank */
};

struct mw_setting {
	const char *name; /* "child_timeout", "pipeline.run_dir" */
	enum mw_type type;
	enum mw_scope scope;
	const char *dflt;    /* as Lua source: "480", "\"/run/mailweir\"", "{}", "nil" for unset */
	int64_t least, most; /* for INT and MILLI; most is the longest text for TEXT, the longest
				list for LIST */
	const char *unit;    /* "s", "ms", "octets", ""... */
	const char *env;     /* a MAILWEIR_* variable that overrides it, or NULL */
	const char *meaning; /* one line for docs/settings.md */
};
extern const struct mw_setting mw_settings[];
extern const size_t mw_settings_count;

/* What made a table: its argument is then the one item, "1". */
enum mw_made {
	MW_MADE_NOT, /* an ordinary one */
	MW_MADE_RE,  /* new_RE { ... } */
	MW_MADE_READ_HASH,
	MW_MADE_READ_ARRAY,
	MW_MADE_READ_CIDR,
	MW_MADE_OPAQUE,
	MW_MADE_DNSL,
	MW_MADE_LABEL,
	MW_MADE_COUNT
};
/* "new_RE" ...: the function's name in a settings file; NULL for MW_MADE_NOT. */
const char *mw_made_name(enum mw_made made);

/* A value of the file, as a tree. Tables keep their order; array parts have keys "1", "2" ... and
 * is_array. `undef` within a table is a NIL that has a key. */
struct mw_val {
	enum { MW_V_NIL, MW_V_BOOL, MW_V_NUM, MW_V_STR, MW_V_TABLE, MW_V_FUNC } tag;
	enum mw_made made; /* TABLE */
	bool b;
	double num;
	char *str;
	size_t count;
	bool is_array;
	char **keys;
	struct mw_val *vals;
	unsigned line; /* of the statement that set it, see mw_conf_at(); 0: the default */
	struct mw_lua_reader *program; /* FUNC: to be called by conf_func.h; counted */
	int func;
};

/*
 * A place in the settings is one number, which sorts in the order of reading: which file, and the
 * line in it. In the first file it is the line itself.
 */
#define MW_CONF_LINE_BITS 21 /* a file of 1 MiB has no more lines */
#define MW_CONF_LINE(at) ((at) & ((1u << MW_CONF_LINE_BITS) - 1))
#define MW_CONF_FILE(at) ((at) >> MW_CONF_LINE_BITS)
static inline unsigned mw_conf_at(size_t file, unsigned line)
{
	return (unsigned)file << MW_CONF_LINE_BITS | line;
}
/* Field of a table value, or NULL. */
const struct mw_val *mw_val_field(const struct mw_val *table, const char *key);
const char *mw_val_text(const struct mw_val *v, const char *dflt);
int64_t mw_val_int(const struct mw_val *v, int64_t dflt);
bool mw_val_bool(const struct mw_val *v, bool dflt);
void mw_val_fini(struct mw_val *v);
/* False: no memory; *dst is then empty. */
bool mw_val_copy(struct mw_val *dst, const struct mw_val *src);
/* Append *v as Lua source, texts and tables cut (with "...") at about `most` octets. */
void mw_val_print(struct mw_text *out, const struct mw_val *v, size_t most);

/* Row of the table of settings, or NULL. */
const struct mw_setting *mw_setting_find(const char *name);
/* What its values are, for a person: "a whole number from 1 to 60 s". */
const char *mw_setting_expected(const struct mw_setting *s, char *buf, size_t size);
/* True when the value is for the services alone: a password, by the name or by that of a key in it.
 * v may be NULL. */
bool mw_setting_is_secret(const char *name, const struct mw_val *v);
/* Its values are lists of lookup tables, each under the name of a contents category, or a name of
 * the admin's. */
bool mw_setting_is_by_category(const struct mw_setting *s);
/* "D_PASS"...; NULL when it is none. */
const char *mw_destiny_name(int64_t value);

struct mw_conf;

#define MW_CONF_DEFAULT "/etc/mailweir/mailweir.lua"
#define MW_CONF_GIVEN_MAX 32 /* files named by one command line or variable */

/* The files that somebody named, in their order. Names are borrowed, or stand in text. */
struct mw_conf_given {
	size_t count;
	const char *names[MW_CONF_GIVEN_MAX];
	char text[4096];
};
/* One more; false: there is no room. */
bool mw_conf_given_add(struct mw_conf_given *given, const char *name);
/* When none was named: those of MAILWEIR_CONFIG (FILE[:FILE...]), else the default file if it or
 * its conf.d is there. False: the variable names more than there is room for. */
bool mw_conf_given_default(struct mw_conf_given *given);

/*
 * Read the files as one program: the first, the *.lua of a folder conf.d beside it in the order of
 * their names, then the others. None: built-in defaults and MAILWEIR_* variables only. On errors
 * *errors_r is one text with a line per error, to be freed by the caller; NULL otherwise.
 */
enum mw_rc mw_conf_load_given(
	const struct mw_conf_given *given, struct mw_conf **conf_r, char **errors_r);
/* The same for one file, or NULL. */
enum mw_rc mw_conf_load(const char *path, struct mw_conf **conf_r, char **errors_r);
/* One more who lets go of it by mw_conf_destroy: whoever's views have to outlive a reload. */
struct mw_conf *mw_conf_ref(const struct mw_conf *conf);
void mw_conf_destroy(struct mw_conf **conf_p);
const char *mw_conf_path(const struct mw_conf *conf); /* the first; NULL for embedded defaults */
/* The files that were read, in their order; of no view. */
size_t mw_conf_files(const struct mw_conf *conf, const char *const **paths_r);
/* The conf.d that was looked through, or NULL. */
const char *mw_conf_folder(const struct mw_conf *conf);
/* Append "FILE, FILE", or "built-in defaults". */
void mw_conf_print_files(struct mw_text *out, const struct mw_conf *conf);
/* "FILE:LINE" of a value's line, "default" of 0. Returns buf. */
const char *mw_conf_where(const struct mw_conf *conf, unsigned line, char *buf, size_t size);

/* The typed value of a known name; asking for an unknown name or another type ends the process: our
 * bug. */
bool mw_conf_bool(const struct mw_conf *conf, const char *name);
int64_t mw_conf_int(
	const struct mw_conf *conf, const char *name); /* INT, MILLI (thousandths), DESTINY */
const char *mw_conf_text(const struct mw_conf *conf, const char *name); /* NULL when unset */
/* LIST: *items_r borrowed; returns how many. */
size_t mw_conf_list(const struct mw_conf *conf, const char *name, const char *const **items_r);
/* Any: the tree. MAPS and TABLE are only had so. Never NULL (MW_V_NIL when unset). */
const struct mw_val *mw_conf_val(const struct mw_conf *conf, const char *name);
/* True when the file or the environment set it. */
bool mw_conf_is_set(const struct mw_conf *conf, const char *name);
/* Who set it: "FILE:LINE", "environment MAILWEIR_X", "policy bank NAME" or "default". Returns buf.
 */
const char *mw_conf_origin(const struct mw_conf *conf, const char *name, char *buf, size_t size);

/* Append the value as Lua source, cut at about `most` octets; a password is "(hidden)". */
void mw_conf_print(
	struct mw_text *out, const struct mw_conf *conf, const struct mw_setting *s, size_t most);
/* The built-in defaults alone. Takes the MAILWEIR_* variables of settings out of the environment:
 * read the other settings first. */
enum mw_rc mw_conf_defaults(struct mw_conf **conf_r, char **errors_r);
/* The file or the environment set it to something else than usual. */
bool mw_conf_differs(
	const struct mw_conf *conf, const struct mw_conf *defaults, const struct mw_setting *s);

/*
 * A policy bank's view: bank settings overlaid on the base, hashes merged key by key unless the
 * bank's has REPLACE = true. MYNETS sets originating before its own settings. NULL when there is no
 * such bank. Views are borrowed from conf and built at load; asked of a view, the answer is that of
 * the view's base.
 */
const struct mw_conf *mw_conf_bank(const struct mw_conf *conf, const char *bank);
/*
 * The same on top of another view, as banks are loaded one after the other: a view of the caller's,
 * who destroys it before the one below. Values that the bank does not set are the very ones below:
 * mw_conf_val tells by its pointer. MW_ERR_CONF: no such bank, or a merged hash over its limit.
 */
enum mw_rc mw_conf_overlay(const struct mw_conf *below, const char *bank, struct mw_conf **view_r,
	struct mw_err *err_r);

#endif
