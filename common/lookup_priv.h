/*
 * What the files of the lookup tables share: lookup_keys.c (under which keys), lookup_value.c (what
 * values are), lookup_hash.c, lookup_regexp.c, lookup_net.c, lookup_dnsl.c (tables), lookup_file.c
 * (tables from files), lookup_compile.c (settings become tables), lookup.c (asking). Nobody else
 * includes this.
 */
#ifndef MW_LOOKUP_PRIV_H
#define MW_LOOKUP_PRIV_H

#include "lookup.h"
#include "lookup_keys.h"
#include "pattern.h"

/* ------------------------------------------------------------------ values at rest */

/* A value as tables keep it: a million of them are 16 MB. */
struct mw_cell {
	uint8_t type; /* enum mw_value_type */
	bool b;
	bool subst;    /* text holds $n */
	uint32_t text; /* offset in the pool */
	union {
		int64_t milli;
		const struct mw_val *table;
	};
};

/* Texts of a table, NUL-terminated, one behind the other; offsets stay, addresses do not. */
struct mw_pool {
	char *p;
	size_t n, cap;
	uint32_t last; /* offset of the text added last, which the next often equals */
};

void mw_pool_fini(struct mw_pool *pool);
/* UINT32_MAX: no memory, or 4 GiB are full. */
uint32_t mw_pool_add(struct mw_pool *pool, const char *s, size_t n);

/* Make *v, a value of the settings, a cell of the wanted type. err_r: what is wrong with it. */
enum mw_rc mw_cell_of_val(struct mw_cell *c_r, const struct mw_val *v, enum mw_lookup_want want,
	struct mw_pool *pool, struct mw_err *err_r);
/* The same for a text of a file. */
enum mw_rc mw_cell_of_text(struct mw_cell *c_r, const char *text, enum mw_lookup_want want,
	struct mw_pool *pool, struct mw_err *err_r);
/* What was made is one that the setting can have, as far as that is known now. */
enum mw_rc mw_cell_checked(enum mw_rc made, const struct mw_cell *c, const struct mw_pool *pool,
	const struct mw_lookup_options *o, struct mw_err *err_r);
/* Lists say yes or no: some settings cannot do anything with that. */
bool mw_lists_answer(const struct mw_lookup_options *o);
#define MW_LISTS_DO_NOT                                                                            \
	"a list of addresses says yes or no only: expected a hash, { [\"key\"] = value }"
/* Fill r->value; a text without $n is borrowed from the pool. args: $1, $2 ...; missing ones are
 * empty. */
void mw_cell_read(const struct mw_cell *c, const struct mw_pool *pool,
	struct mw_octets (*arg)(const void *from, unsigned n), const void *from,
	struct mw_lookup_result *r);

/* ------------------------------------------------------------------ hash, list */

struct mw_hash;
struct mw_hash *mw_hash_new(void);
void mw_hash_destroy(struct mw_hash **h_p);
struct mw_pool *mw_hash_pool(struct mw_hash *h);
size_t mw_hash_count(const struct mw_hash *h);
/* The key is in its normal form. first_wins: a second entry of that key is dropped, else it
 * replaces the first. False: no memory. */
bool mw_hash_add(struct mw_hash *h, const char *key, size_t n, enum mw_key_sort sort,
	const struct mw_cell *c, bool first_wins);
/* Asked as a hash: the first key at or behind *at that exists; *at is then behind it. */
bool mw_hash_find(
	const struct mw_hash *h, struct mw_keys *k, size_t *at, struct mw_lookup_result *r);
/* Every entry in the order in which they were added; each returns false to end it. */
bool mw_hash_each(const struct mw_hash *h,
	bool (*each)(void *arg, const char *key, const struct mw_cell *c), void *arg);
/* Asked as a list: the entry added first among all that match. */
bool mw_hash_first(const struct mw_hash *h, struct mw_keys *k, enum mw_lookup_key type,
	struct mw_lookup_result *r);

/* ------------------------------------------------------------------ regexps */

struct mw_regexps;
struct mw_regexps *mw_regexps_new(size_t count);
void mw_regexps_destroy(struct mw_regexps **x_p);
struct mw_pool *mw_regexps_pool(struct mw_regexps *x);
/* err_r: what is wrong with the pattern. */
enum mw_rc mw_regexps_add(
	struct mw_regexps *x, const char *pattern, const struct mw_cell *c, struct mw_err *err_r);
bool mw_regexps_each(const struct mw_regexps *x,
	bool (*each)(void *arg, const char *key, const struct mw_cell *c), void *arg);
/* The first entry at or behind *at that matches; *at is then behind it. An entry that met a limit
 * ends the search with r->error. */
bool mw_regexps_find(const struct mw_regexps *x, struct mw_octets subject, size_t *at,
	struct mw_lookup_result *r);

/* The same with several subjects: each entry is tried on all before the next one is. At until_us it
 * ends with r->error. */
bool mw_regexps_find_any(const struct mw_regexps *x, const struct mw_octets *subjects, size_t count,
	uint64_t until_us, struct mw_lookup_result *r);
/* True, and r->error says so: it is until_us, or later. */
bool mw_lookup_is_late(uint64_t until_us, struct mw_lookup_result *r);

/* ------------------------------------------------------------------ networks */

struct mw_nets;
struct mw_nets *mw_nets_new(void);
void mw_nets_destroy(struct mw_nets **n_p);
struct mw_pool *mw_nets_pool(struct mw_nets *n);
size_t mw_nets_count(const struct mw_nets *n);
/* False: no memory. text: as it stands in the list. */
bool mw_nets_add(
	struct mw_nets *n, const struct mw_net *net, const char *text, const struct mw_cell *c);
/* The entry added first among those that contain ip; NULL lies in ::/0 alone. */
bool mw_nets_lookup(const struct mw_nets *n, const struct mw_ip *ip, struct mw_lookup_result *r);

/* ------------------------------------------------------------------ DNS lists */

struct mw_dnsl;
/* From dnsl's arguments. */
enum mw_rc mw_dnsl_new(const struct mw_val *args, struct mw_dnsl **d_r, struct mw_err *err_r);
void mw_dnsl_destroy(struct mw_dnsl **d_p);
const char *mw_dnsl_zone(const struct mw_dnsl *d);
/* False: not listed, pending, or r->error is set. */
bool mw_dnsl_ask(const struct mw_dnsl *d, const struct mw_ip *ip, struct mw_dnsl_source *src,
	struct mw_lookup_result *r);

/* ------------------------------------------------------------------ tables */

struct mw_table {
	enum mw_lookup_kind kind;
	unsigned line;
	char *source;
	union {
		struct {
			struct mw_cell cell;
			struct mw_pool pool;
		} constant;	      /* CONSTANT, OPAQUE */
		struct mw_hash *hash; /* HASH, LIST */
		struct mw_regexps *regexps;
		struct mw_nets *nets;
		struct mw_val function;
		struct mw_dnsl *dnsl;
	};
	const struct mw_lookup_file *file; /* then the answer is that of its table */
};

void mw_table_fini(struct mw_table *t);

struct mw_lookup {
	unsigned refs;
	struct mw_lookup_options options;
	char delimiters[16];
	struct mw_val maps; /* ours, when values may be tables */
	size_t count;
	struct mw_table *tables;
};

/* lookup_list.c */
/* An empty list, which for IP addresses is one of networks. False: no memory. */
bool mw_list_new(struct mw_table *list, const struct mw_lookup_options *o);
/* An entry with its "!"; err_r: what is wrong. */
enum mw_rc mw_list_add(struct mw_table *list, const char *entry, const struct mw_lookup_options *o,
	struct mw_err *err_r);
/* An entry of a hash, its key as written. */
enum mw_rc mw_hash_entry(struct mw_hash *h, const char *key, const struct mw_cell *c,
	const struct mw_lookup_options *o, struct mw_err *err_r);

/* lookup_file.c */
/* The file, read, and read again later; err_r: why it cannot be. */
enum mw_rc mw_lookup_file_get(struct mw_lookup_files *files, const char *path, enum mw_made made,
	const struct mw_lookup_options *o, const struct mw_lookup_file **file_r,
	struct mw_err *err_r);
const struct mw_table *mw_lookup_file_table(const struct mw_lookup_file *file);

#endif
