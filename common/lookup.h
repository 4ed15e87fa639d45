/*
 * Lookup tables: what the *_maps settings are compiled to. A setting is a list of tables; each is
 * asked in order, and the first that has a defined value for the key decides (false, 0 and "" are
 * defined). docs/policy.md teaches them.
 *
 *	constant   true, 5.5, "text"                  always
 *	list       { "!a@example.org", ".example.org" }  first entry that matches: yes, or no after
 *"!" hash       { ["a@example.org"] = 5 }          the most special key there is (lookup_keys.h)
 *	regexps    new_RE { { "^(.*)@x$", "$1" } }    first pattern that matches
 *	files      read_hash, read_array, read_cidr   the same, kept outside; read again when
 *changed networks   a list in a setting that is asked for IP addresses: first match opaque opaque {
 *... }                     always, a structured constant function   function(key) ... end Lua,
 *under limits label      label "name"                       never; stands in traces
 *	DNS lists  dnsl("zone")                       IP addresses that the zone lists
 *
 * All is compiled at load. A lookup takes no lock, makes no system call and, but for domains beyond
 * ASCII and functions, allocates nothing. Tables hold scratch memory: one thread at a time.
 */
#ifndef MW_LOOKUP_H
#define MW_LOOKUP_H

#include "conf.h"
#include "ip.h"

#define MW_LOOKUP_KEY_MAX 1024	/* octets of a key; a longer one meets constants only */
#define MW_LOOKUP_TEXT_MAX 1024 /* octets of a text value after substitution, NUL included */

/* What a setting is asked for. */
enum mw_lookup_key {
	MW_KEY_ADDRESS, /* mail addresses, as SMTP writes them without < > */
	MW_KEY_IP,
	MW_KEY_AUTHOR, /* mail addresses, alone or with "/@" and a signature's domain behind */
	MW_KEY_TEXT    /* anything else: names of viruses, of files */
};

/* What its values are. */
enum mw_lookup_want {
	MW_WANT_BOOL,
	MW_WANT_MILLI, /* numbers, in thousandths */
	MW_WANT_TEXT,
	MW_WANT_DESTINY, /* D_PASS ...: as numbers, so in thousandths too */
	MW_WANT_ANY	 /* as written: also tables */
};

enum mw_value_type { MW_VALUE_UNDEF, MW_VALUE_BOOL, MW_VALUE_MILLI, MW_VALUE_TEXT, MW_VALUE_TABLE };

struct mw_value {
	enum mw_value_type type;
	bool b;
	int64_t milli;
	const char *text;	    /* borrowed: see struct mw_lookup_result */
	const struct mw_val *table; /* borrowed from the lookup */
};

enum mw_lookup_kind {
	MW_LOOKUP_CONSTANT,
	MW_LOOKUP_LIST,
	MW_LOOKUP_HASH,
	MW_LOOKUP_REGEXPS,
	MW_LOOKUP_NETWORKS,
	MW_LOOKUP_OPAQUE,
	MW_LOOKUP_FUNCTION,
	MW_LOOKUP_LABEL,
	MW_LOOKUP_DNSL,
	MW_LOOKUP_KIND_COUNT
};
/* "constant", "list" ... */
const char *mw_lookup_kind_name(enum mw_lookup_kind kind);

/* One table's answer. What is borrowed lives until the next lookup with the same result, the next
 * mw_lookup_files_apply, or the end of the tables, whichever is first. */
struct mw_lookup_result {
	struct mw_value value;
	enum mw_lookup_kind kind;
	unsigned table;	    /* its place in the setting, from 0 */
	unsigned line;	    /* mw_conf_at() of the settings; 0: a default */
	const char *source; /* the file behind it, a label's name, a DNS list's zone; NULL */
	const char *key;    /* what in the table matched; NULL: nothing, or it always does */
	const char *error;  /* the table could not answer: that counts as undefined; NULL */
	char text[MW_LOOKUP_TEXT_MAX]; /* value.text after substitution */
	char error_text[200];
};

/* ------------------------------------------------------------------ files behind tables */

struct mw_lookup_limits {
	uint64_t file_octets; /* of one file */
	unsigned function_steps, function_time_ms;
	size_t function_octets;
};
/* lookup.* of the settings. */
struct mw_lookup_limits mw_lookup_limits_of(const struct mw_conf *conf);

/* Files that tables read, each once however many tables name it. Outlives those tables. */
struct mw_lookup_files;
struct mw_lookup_files *mw_lookup_files_new(const struct mw_lookup_limits *limits);
void mw_lookup_files_destroy(struct mw_lookup_files **files_p);
size_t mw_lookup_files_count(const struct mw_lookup_files *files);
/* Files that are wrong or gone now; their tables answer from the last good version. */
size_t mw_lookup_files_bad(const struct mw_lookup_files *files);

/*
 * Reading again what changed (device, inode, size, mtime or ctime). _look reads and may run in
 * another thread while lookups go on and tables are compiled; NULL: nothing changed. _apply swaps
 * what is good whole, tells what is not in the log, once a version, and must run where lookups do.
 */
struct mw_lookup_news;
struct mw_lookup_news *mw_lookup_files_look(const struct mw_lookup_files *files);
void mw_lookup_files_apply(struct mw_lookup_files *files, struct mw_lookup_news **news_p);

/* ------------------------------------------------------------------ DNS lists */

#define MW_DNSL_ZONE_MAX 180   /* octets of a zone: with an IPv6 address before it a name has 253 */
#define MW_DNSL_NAME_MAX 256   /* of such a name, NUL included */
#define MW_DNSL_ANSWERS_MAX 16 /* addresses in one answer */

/* What a zone says about an address. */
struct mw_dnsl_answer {
	size_t count;			 /* 0: it does not list it */
	uint32_t a[MW_DNSL_ANSWERS_MAX]; /* IPv4 addresses in host order */
};

enum mw_dnsl_state {
	MW_DNSL_KNOWN,
	MW_DNSL_PENDING, /* noted, and will be asked: for now the table says nothing */
	MW_DNSL_UNKNOWN	 /* nobody knows: the table cannot answer, which is told */
};

/* Lookups never wait: this is whom they have the answers of. */
struct mw_dnsl_source {
	/* *answer_r (KNOWN) lives until the lookup is over; *why_r (UNKNOWN) for a log line. */
	enum mw_dnsl_state (*find)(struct mw_dnsl_source *src, const struct mw_ip *ip,
		const char *zone, const struct mw_dnsl_answer **answer_r, const char **why_r);
	bool undecided; /* set when a list with failure = "defer" was unknown */
};

struct mw_dns_answer; /* resolver.h */
/* The answer to a question for A records. NULL, or why it says nothing. */
const char *mw_dnsl_read(const struct mw_dns_answer *dns, struct mw_dnsl_answer *answer_r);
/* The name to ask for in the zone; returns buf. */
const char *mw_dnsl_name(const struct mw_ip *ip, const char *zone, char buf[MW_DNSL_NAME_MAX]);

/* ------------------------------------------------------------------ settings of type MAPS */

struct mw_lookup;

struct mw_lookup_options {
	const char *name;	    /* of the setting; kept as pointer */
	const struct mw_conf *conf; /* for the places in errors, while compiling only; or NULL */
	enum mw_lookup_key key;
	enum mw_lookup_want want;
	bool banks; /* texts name policy banks of conf, or are "1" for one: others are refused */
	const char *delimiters; /* recipient_delimiter: characters, or NULL */
	bool case_sensitive;	/* localpart_is_case_sensitive */
	struct mw_lookup_limits limits;
	struct mw_lookup_files *files; /* NULL: tables from files are refused */
	bool dns_lists;		       /* false: dnsl is refused */
	struct mw_dnsl_source *dnsl;   /* of lookups that bring none; NULL: their lists are unknown
					*/
	/* What texts may be, where they are known before anybody asks: not what functions return,
	 * not those with $n. NULL: anything. err_r: what was expected. */
	enum mw_rc (*check)(const char *text, struct mw_err *err_r);
};

/* What the row of the setting says: key and value by its unit ("", "points", "texts", "networks"
 * ...: lookup_compile.c has them all). The rest is that of conf, a policy bank's view or the base.
 */
struct mw_lookup_options mw_lookup_options_of(
	const struct mw_conf *conf, const char *name, struct mw_lookup_files *files);
/* Compile a setting's value. err_r names setting, line and what is wrong. */
enum mw_rc mw_lookup_new(const struct mw_val *maps, const struct mw_lookup_options *options,
	struct mw_lookup **l_r, struct mw_err *err_r);
struct mw_lookup *mw_lookup_ref(struct mw_lookup *l);
void mw_lookup_unref(struct mw_lookup **l_p);
/* How many DNS lists are among its tables. */
size_t mw_lookup_dns_lists(const struct mw_lookup *l);
/*
 * A list of tables within a setting that has one by contents category (*_maps_by_ccat); a single
 * constant stands for a list of one. The same options.
 */
enum mw_rc mw_lookup_new_in(const struct mw_val *value, const struct mw_lookup_options *options,
	struct mw_lookup **l_r, struct mw_err *err_r);
/* Compile every MAPS setting of the base and of all banks, and throw it away: for check-config. A
 * line for each that is wrong; how many. */
size_t mw_lookup_check_all(const struct mw_conf *conf, struct mw_text *errors);

/* ------------------------------------------------------------------ asking */

/* No table that could say anything. */
bool mw_lookup_is_empty(const struct mw_lookup *l);
/* True: one answer for every key, which lives as long as l. */
bool mw_lookup_fixed(const struct mw_lookup *l, struct mw_value *value_r);
/* A table that always answers is among them: what is asked behind them never is. */
bool mw_lookup_always_answers(const struct mw_lookup *l);
/* The setting that it was compiled from. */
const char *mw_lookup_setting(const struct mw_lookup *l);
/* The first defined value. False, and r->value undefined, when there is none. r is not initialised
 * by the caller. */
bool mw_lookup(const struct mw_lookup *l, const char *key, struct mw_lookup_result *r);
/*
 * The same for an author whose mail bears a signature of that domain, be it the author's or not;
 * for MW_KEY_AUTHOR. "/@" and the domain stand behind each of the address's keys in hashes and
 * lists, and behind the whole address for patterns and functions. signer NULL: the address alone.
 * mw_lookup() is asked for both at once: "author@example.org/@signer.example".
 */
bool mw_lookup_signed(const struct mw_lookup *l, const char *address, const char *signer,
	struct mw_lookup_result *r);
/*
 * Every text that tables hold as a value, but for those with $n in them, which only a lookup
 * knows; functions have none. key: under which it stands; NULL: a constant. each returns false to
 * end it, and what it returned last is the result.
 */
struct mw_lookup_entry {
	const char *text, *key;
	unsigned line;	    /* as in struct mw_lookup_result */
	const char *source; /* the file; NULL */
};
bool mw_lookup_entries(const struct mw_lookup *l,
	bool (*each)(void *arg, const struct mw_lookup_entry *entry), void *arg);
/* All defined values in the order of the search: within hashes and regexps every key that matches.
 * each returns false to end it. */
void mw_lookup_all(const struct mw_lookup *l, const char *key, struct mw_lookup_result *r,
	bool (*each)(void *arg, const struct mw_lookup_result *r), void *arg);
/*
 * Several texts at once (MW_KEY_TEXT), as names and types of one part: in a list of patterns each
 * is tried on all of them before the next one is, other tables are asked for one after the other.
 * Whoever sends a thousand names would make of one match's limit many seconds: at until_us
 * (mw_mono_us) it is over, with r->error.
 */
bool mw_lookup_any(const struct mw_lookup *l, const struct mw_octets *keys, size_t count,
	uint64_t until_us, struct mw_lookup_result *r);
/* What each table says, up to and with the first that has a value: also "nothing", for a person. */
void mw_lookup_trace(const struct mw_lookup *l, const char *key, struct mw_lookup_result *r,
	void (*each)(void *arg, const struct mw_lookup_result *r), void *arg);

/* By type; dflt when no table says anything. */
bool mw_lookup_bool(const struct mw_lookup *l, const char *key, bool dflt);
int64_t mw_lookup_milli(const struct mw_lookup *l, const char *key, int64_t dflt);
/* Into r, or dflt. */
const char *mw_lookup_text(
	const struct mw_lookup *l, const char *key, struct mw_lookup_result *r, const char *dflt);
/* For IP addresses; a NULL ip (one that could not be read) lies only in ::/0. */
bool mw_lookup_ip(const struct mw_lookup *l, const struct mw_ip *ip, struct mw_lookup_result *r);
/* The same with the answers of DNS lists. */
bool mw_lookup_ip_dnsl(const struct mw_lookup *l, const struct mw_ip *ip,
	struct mw_dnsl_source *dnsl, struct mw_lookup_result *r);

/* Append the value as Lua writes it: true, 5.5, "text", undef. */
void mw_value_print(struct mw_text *out, const struct mw_value *v);

#endif
