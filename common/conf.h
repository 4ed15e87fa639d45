/*
 * Settings: one Lua file (mailweir.lua), read by every service, checked whole against one typed
 * table (common/settings/ *.def), const afterwards. Names are amavisd's where amavisd has the
 * setting; what is ours alone is a field of its own table (pipeline, scanner, dkim, redis, ...),
 * written "pipeline.run_dir" here.
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
	MW_T_MAPS,    /* *_maps: an array of lookup tables; by now constants, lists and hashes of
			 strings */
	MW_T_TABLE /* any Lua table of scalars and tables: policy_bank, interface_policy, dkim_key
		      ... */
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

/* A value of the file, as a tree. Tables keep their order; array parts have keys "1", "2" ... and
 * is_array. */
struct mw_val {
	enum { MW_V_NIL, MW_V_BOOL, MW_V_NUM, MW_V_STR, MW_V_TABLE } tag;
	bool b;
	double num;
	char *str;
	size_t count;
	bool is_array;
	char **keys;
	struct mw_val *vals;
	unsigned line; /* of the statement that set it; 0: the default */
};
/* Field of a table value, or NULL. */
const struct mw_val *mw_val_field(const struct mw_val *table, const char *key);
const char *mw_val_text(const struct mw_val *v, const char *dflt);
int64_t mw_val_int(const struct mw_val *v, int64_t dflt);
bool mw_val_bool(const struct mw_val *v, bool dflt);
/* Append *v as Lua source, texts and tables cut (with "...") at about `most` octets. */
void mw_val_print(struct mw_text *out, const struct mw_val *v, size_t most);

/* Row of the table of settings, or NULL. */
const struct mw_setting *mw_setting_find(const char *name);
/* What its values are, for a person: "a whole number from 1 to 60 s". */
const char *mw_setting_expected(const struct mw_setting *s, char *buf, size_t size);
/* Its value holds passwords, or is one: it is shown to nobody. */
bool mw_setting_is_secret(const struct mw_setting *s);
/* "D_PASS"...; NULL when it is none. */
const char *mw_destiny_name(int64_t value);

struct mw_conf;

/*
 * Read path (NULL: built-in defaults and MAILWEIR_* variables only). On errors *errors_r is one
 * text with a line per error, to be freed by the caller; NULL otherwise.
 */
enum mw_rc mw_conf_load(const char *path, struct mw_conf **conf_r, char **errors_r);
void mw_conf_destroy(struct mw_conf **conf_p);
const char *mw_conf_path(const struct mw_conf *conf); /* NULL for embedded defaults */

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

/*
 * A policy bank's view: bank settings overlaid on the base, hashes merged key by key unless the
 * bank's has REPLACE = true. MYNETS sets originating before its own settings. NULL when there is no
 * such bank. Views are borrowed from conf and built at load; asked of a view, the answer is that of
 * the view's base.
 */
const struct mw_conf *mw_conf_bank(const struct mw_conf *conf, const char *bank);

#endif
