/* From the value of a setting to tables. */
#include <stdio.h>
#include <stdlib.h>

#include "lookup_priv.h"

struct compile {
	struct mw_lookup *l;
	const struct mw_lookup_options *o;
	struct mw_err *err_r;
};

static enum mw_rc refuse(struct compile *c, const struct mw_val *v, enum mw_rc rc, const char *what)
{
	char text[400], where[300];

	mw_strlcpy(text, what, sizeof(text)); /* it may be err_r's own */
	if (MW_CONF_FILE(v->line) > 0 && c->o->conf != NULL)
		return mw_fail(c->err_r, rc, "%s, %s: %s", c->o->name,
			mw_conf_where(c->o->conf, v->line, where, sizeof(where)), text);
	if (v->line > 0)
		return mw_fail(
			c->err_r, rc, "%s, line %u: %s", c->o->name, MW_CONF_LINE(v->line), text);
	return mw_fail(c->err_r, rc, "%s: %s", c->o->name, text);
}

static enum mw_rc no_memory(struct compile *c, const struct mw_val *v)
{
	return refuse(c, v, MW_ERR_NOMEM, "no memory");
}

void mw_table_fini(struct mw_table *t)
{
	free(t->source);
	switch (t->file != NULL ? MW_LOOKUP_LABEL : t->kind) {
	case MW_LOOKUP_CONSTANT:
	case MW_LOOKUP_OPAQUE:
		mw_pool_fini(&t->constant.pool);
		break;
	case MW_LOOKUP_LIST:
	case MW_LOOKUP_HASH:
		mw_hash_destroy(&t->hash);
		break;
	case MW_LOOKUP_REGEXPS:
		mw_regexps_destroy(&t->regexps);
		break;
	case MW_LOOKUP_NETWORKS:
		mw_nets_destroy(&t->nets);
		break;
	case MW_LOOKUP_FUNCTION:
		mw_val_fini(&t->function);
		break;
	case MW_LOOKUP_DNSL:
		mw_dnsl_destroy(&t->dnsl);
		break;
	case MW_LOOKUP_LABEL:
	case MW_LOOKUP_KIND_COUNT:
		break;
	}
	*t = (struct mw_table){ .kind = MW_LOOKUP_LABEL };
}

/* ------------------------------------------------------------------ tables */

/* A value that may be a table, where the setting takes any. *v lives as long as the lookup. */
static enum mw_rc cell_of(struct compile *c, const struct mw_val *v, struct mw_pool *pool,
	struct mw_cell *cell_r, struct mw_err *err_r)
{
	if (v->tag == MW_V_TABLE && c->o->want == MW_WANT_ANY &&
		(v->made == MW_MADE_NOT || v->made == MW_MADE_RE)) {
		*cell_r = (struct mw_cell){ .type = MW_VALUE_TABLE, .table = v };
		return MW_OK;
	}
	return mw_cell_checked(
		mw_cell_of_val(cell_r, v, c->o->want, pool, err_r), cell_r, pool, c->o, err_r);
}

static enum mw_rc constant(struct compile *c, struct mw_table *t, const struct mw_val *v)
{
	struct mw_err err;
	enum mw_rc rc;

	t->constant.pool = (struct mw_pool){ 0 };
	rc = cell_of(c, v, &t->constant.pool, &t->constant.cell, &err);
	t->constant.cell.subst = false; /* nothing was matched that $1 could be */
	return rc == MW_OK ? rc : refuse(c, v, rc, err.text);
}

/* Strings from the i-th on; *i_p is then behind them. */
static enum mw_rc list(struct compile *c, struct mw_table *t, const struct mw_val *v, size_t *i_p,
	bool strings_only)
{
	struct mw_err err;
	enum mw_rc rc;

	if (!mw_list_new(t, c->o))
		return no_memory(c, v);
	for (; *i_p < v->count; (*i_p)++) {
		const struct mw_val *entry = &v->vals[*i_p];

		if (entry->tag != MW_V_STR && strings_only)
			return MW_OK;
		if (entry->tag != MW_V_STR)
			return refuse(c, entry, MW_ERR_CONF,
				"expected strings in a list of addresses, domains or networks");
		rc = mw_list_add(t, entry->str, c->o, &err);
		if (rc != MW_OK)
			return refuse(c, entry, rc, err.text);
	}
	return MW_OK;
}

static enum mw_rc hash(struct compile *c, struct mw_table *t, const struct mw_val *v)
{
	t->kind = MW_LOOKUP_HASH;
	t->hash = mw_hash_new();
	if (t->hash == NULL)
		return no_memory(c, v);
	for (size_t i = 0; i < v->count; i++) {
		struct mw_err err;
		struct mw_cell cell;
		enum mw_rc rc = cell_of(c, &v->vals[i], mw_hash_pool(t->hash), &cell, &err);

		if (rc == MW_OK)
			rc = mw_hash_entry(t->hash, v->keys[i], &cell, c->o, &err);
		if (rc != MW_OK)
			return refuse(c, &v->vals[i], rc, err.text);
	}
	return MW_OK;
}

/* "pattern", or { "pattern", value }. */
static enum mw_rc regexp(struct compile *c, struct mw_table *t, const struct mw_val *entry)
{
	static const struct mw_val yes = { .tag = MW_V_BOOL, .b = true };
	const struct mw_val *pattern = entry, *value = &yes;
	struct mw_err err, said;
	struct mw_cell cell;
	enum mw_rc rc;

	if (entry->tag == MW_V_TABLE && entry->made == MW_MADE_NOT && entry->is_array &&
		entry->count >= 1 && entry->count <= 2) {
		pattern = &entry->vals[0];
		value = entry->count == 2 ? &entry->vals[1] : &yes;
	}
	if (pattern->tag != MW_V_STR)
		return refuse(c, entry, MW_ERR_CONF,
			"new_RE: expected \"pattern\" or { \"pattern\", value }");
	rc = cell_of(c, value, mw_regexps_pool(t->regexps), &cell, &err);
	if (rc == MW_OK && (rc = mw_regexps_add(t->regexps, pattern->str, &cell, &said)) != MW_OK)
		mw_fail(&err, rc, "pattern \"%.100s\": %.200s", pattern->str, said.text);
	return rc == MW_OK ? rc : refuse(c, entry, rc, err.text);
}

static enum mw_rc regexps(struct compile *c, struct mw_table *t, const struct mw_val *v)
{
	const struct mw_val *entries = &v->vals[0];
	enum mw_rc rc = MW_OK;

	if (!entries->is_array)
		return refuse(c, v, MW_ERR_CONF, "new_RE: expected a list of patterns");
	t->kind = MW_LOOKUP_REGEXPS;
	t->regexps = mw_regexps_new(entries->count);
	if (t->regexps == NULL)
		return no_memory(c, v);
	for (size_t i = 0; i < entries->count && rc == MW_OK; i++)
		rc = regexp(c, t, &entries->vals[i]);
	return rc;
}

static enum mw_rc from_file(struct compile *c, struct mw_table *t, const struct mw_val *v)
{
	struct mw_err err;
	enum mw_rc rc;

	if (v->made == MW_MADE_READ_CIDR && c->o->key != MW_KEY_IP)
		return refuse(
			c, v, MW_ERR_CONF, "read_cidr: this setting is not asked for IP addresses");
	if (v->made != MW_MADE_READ_HASH && !mw_lists_answer(c->o))
		return refuse(c, v, MW_ERR_CONF, MW_LISTS_DO_NOT);
	if (c->o->files == NULL)
		return refuse(c, v, MW_ERR_CONF, "tables from files cannot be used here");
	t->source = strdup(v->vals[0].str);
	if (t->source == NULL)
		return no_memory(c, v);
	rc = mw_lookup_file_get(c->o->files, t->source, v->made, c->o, &t->file, &err);
	if (rc != MW_OK)
		return refuse(c, v, rc, err.text);
	t->kind = mw_lookup_file_table(t->file)->kind;
	return MW_OK;
}

static enum mw_rc dns_list(struct compile *c, struct mw_table *t, const struct mw_val *v)
{
	struct mw_err err;
	enum mw_rc rc;

	if (c->o->key != MW_KEY_IP)
		return refuse(c, v, MW_ERR_CONF,
			"dnsl: DNS lists are for settings that are asked for client addresses");
	/* A forged or missing answer would let strangers in, or keep everybody out. */
	if (!c->o->dns_lists)
		return refuse(c, v, MW_ERR_CONF,
			"dnsl: who may connect, or is believed, is not left to the DNS: see "
			"mynetworks and client_ipaddr_policy");
	rc = mw_dnsl_new(&v->vals[0], &t->dnsl, &err);
	if (rc != MW_OK)
		return refuse(c, v, rc, err.text);
	t->kind = MW_LOOKUP_DNSL;
	t->source = strdup(mw_dnsl_zone(t->dnsl));
	return t->source != NULL ? MW_OK : no_memory(c, v);
}

static enum mw_rc made(struct compile *c, struct mw_table *t, const struct mw_val *v)
{
	switch (v->made) {
	case MW_MADE_RE:
		return regexps(c, t, v);
	case MW_MADE_READ_HASH:
	case MW_MADE_READ_ARRAY:
	case MW_MADE_READ_CIDR:
		return from_file(c, t, v);
	case MW_MADE_OPAQUE:
		t->kind = MW_LOOKUP_OPAQUE;
		return constant(c, t, &v->vals[0]);
	case MW_MADE_LABEL:
		t->kind = MW_LOOKUP_LABEL;
		t->source = strdup(v->vals[0].str);
		return t->source != NULL ? MW_OK : no_memory(c, v);
	default:
		return dns_list(c, t, v);
	}
}

static enum mw_rc function(struct compile *c, struct mw_table *t, const struct mw_val *v)
{
	t->kind = MW_LOOKUP_FUNCTION;
	return mw_val_copy(&t->function, v) ? MW_OK : no_memory(c, v);
}

/* The table that begins with the i-th item; *i_p is then behind it. */
static enum mw_rc next_table(
	struct compile *c, struct mw_table *t, const struct mw_val *maps, size_t *i_p)
{
	const struct mw_val *v = &maps->vals[*i_p];
	size_t first = 0;

	t->line = v->line;
	/* Where the answer is yes or no, a string can only be an entry of a list: strings side by
	 * side are one. */
	if (v->tag == MW_V_STR && c->o->want == MW_WANT_BOOL)
		return list(c, t, maps, i_p, true);
	(*i_p)++;
	if (v->tag == MW_V_FUNC)
		return function(c, t, v);
	/* { 10 } would be "yes" to everybody, and was surely meant to be a network. */
	if (v->tag == MW_V_NUM && c->o->key == MW_KEY_IP && c->o->want == MW_WANT_BOOL)
		return refuse(c, v, MW_ERR_CONF,
			"expected networks as strings, as \"10.0.0.0/8\"; true is every address");
	if (v->tag != MW_V_TABLE) {
		t->kind = MW_LOOKUP_CONSTANT;
		return constant(c, t, v);
	}
	if (v->made != MW_MADE_NOT)
		return made(c, t, v);
	if (v->is_array && v->count > 0 && !mw_lists_answer(c->o))
		return refuse(c, v, MW_ERR_CONF, MW_LISTS_DO_NOT);
	return v->is_array ? list(c, t, v, &first, false) : hash(c, t, v);
}

/* ------------------------------------------------------------------ settings */

static enum mw_rc compile_all(struct compile *c, const struct mw_val *maps)
{
	struct mw_lookup *l = c->l;
	enum mw_rc rc = MW_OK;

	if (maps->tag == MW_V_NIL)
		return MW_OK;
	if (maps->tag != MW_V_TABLE || !maps->is_array || maps->made != MW_MADE_NOT)
		return refuse(c, maps, MW_ERR_CONF, "expected a list of lookup tables");
	if (c->o->want == MW_WANT_ANY) {
		if (!mw_val_copy(&l->maps, maps))
			return no_memory(c, maps);
		maps = &l->maps;
	}
	l->tables = calloc(maps->count + 1, sizeof(*l->tables));
	if (l->tables == NULL)
		return no_memory(c, maps);
	for (size_t i = 0; i < maps->count && rc == MW_OK;) {
		struct mw_table *t = &l->tables[l->count++];

		t->kind = MW_LOOKUP_LABEL; /* nothing to be freed yet */
		rc = next_table(c, t, maps, &i);
	}
	return rc;
}

struct bank_check {
	struct compile *c;
	const struct mw_val *banks;
	const char *last; /* the value seen before: a million entries have few that differ */
	enum mw_rc rc;
};

static bool is_bank(const struct mw_val *banks, const char *name, size_t n)
{
	char whole[256];

	return mw_strncpy(whole, sizeof(whole), name, n) && mw_val_field(banks, whole) != NULL;
}

static bool check_bank(
	struct bank_check *k, const struct mw_lookup_entry *e, const char *name, size_t n)
{
	const struct mw_val at = { .line = e->line };
	char text[400];

	if (is_bank(k->banks, name, n))
		return true;
	snprintf(text, sizeof(text), "%s%.100s%sthere is no policy bank \"%.*s\"",
		e->key != NULL ? "\"" : "", e->key != NULL ? e->key : "",
		e->key != NULL ? "\": " : "", (int)(n < 80 ? n : 80), name);
	k->rc = refuse(k->c, &at, MW_ERR_CONF, text);
	return false;
}

static bool check_entry(void *arg, const struct mw_lookup_entry *e)
{
	static const char separators[] = ", \t";
	struct bank_check *k = arg;
	const char *p = e->text + strspn(e->text, separators);

	if (strcmp(e->text, "1") == 0 || strcmp(e->text, "0") == 0 ||
		(k->last != NULL && strcmp(k->last, e->text) == 0))
		return true;
	k->last = e->text;
	while (*p != '\0') {
		size_t n = strcspn(p, separators);

		if (!check_bank(k, e, p, n))
			return false;
		p += n;
		p += strspn(p, separators);
	}
	return true;
}

/* Functions, and texts with $n in them, are only known when they are asked. */
static enum mw_rc check_banks(struct compile *c)
{
	struct bank_check k = { .c = c, .rc = MW_OK };

	if (c->o->conf == NULL)
		return MW_OK;
	k.banks = mw_conf_val(c->o->conf, "policy_bank");
	mw_lookup_entries(c->l, check_entry, &k);
	return k.rc;
}

enum mw_rc mw_lookup_new(const struct mw_val *maps, const struct mw_lookup_options *options,
	struct mw_lookup **l_r, struct mw_err *err_r)
{
	struct mw_lookup *l = calloc(1, sizeof(*l));
	struct compile c = { l, options, err_r };
	enum mw_rc rc;

	if (l == NULL)
		return mw_fail(err_r, MW_ERR_NOMEM, "%s: no memory", options->name);
	l->refs = 1;
	l->options = *options;
	l->options.delimiters = l->delimiters;
	if (options->delimiters != NULL)
		mw_strlcpy(l->delimiters, options->delimiters, sizeof(l->delimiters));
	rc = compile_all(&c, maps);
	if (rc == MW_OK && options->banks)
		rc = check_banks(&c);
	if (rc != MW_OK)
		mw_lookup_unref(&l);
	else
		*l_r = l;
	return rc;
}

enum mw_rc mw_lookup_new_in(const struct mw_val *value, const struct mw_lookup_options *options,
	struct mw_lookup **l_r, struct mw_err *err_r)
{
	bool single = value->tag != MW_V_TABLE || value->made != MW_MADE_NOT;
	char key[] = "1", *keys[] = { key };
	struct mw_val item = *value; /* borrowed, as all that is compiled */
	struct mw_val list = { .tag = MW_V_TABLE,
		.count = 1,
		.is_array = true,
		.keys = keys,
		.vals = &item,
		.line = value->line };

	return mw_lookup_new(single ? &list : value, options, l_r, err_r);
}

struct mw_lookup *mw_lookup_ref(struct mw_lookup *l)
{
	l->refs++;
	return l;
}

void mw_lookup_unref(struct mw_lookup **l_p)
{
	struct mw_lookup *l = *l_p;

	*l_p = NULL;
	if (l == NULL || --l->refs > 0)
		return;
	for (size_t i = 0; i < l->count; i++)
		mw_table_fini(&l->tables[i]);
	free(l->tables);
	mw_val_fini(&l->maps);
	free(l);
}

struct mw_lookup_limits mw_lookup_limits_of(const struct mw_conf *conf)
{
	return (struct mw_lookup_limits){
		.file_octets = (uint64_t)mw_conf_int(conf, "lookup.file_octets"),
		.function_steps = (unsigned)mw_conf_int(conf, "lookup.function_steps"),
		.function_time_ms = (unsigned)mw_conf_int(conf, "lookup.function_time"),
		.function_octets = (size_t)mw_conf_int(conf, "lookup.function_memory"),
	};
}

struct mw_lookup_options mw_lookup_options_of(
	const struct mw_conf *conf, const char *name, struct mw_lookup_files *files)
{
	static const struct {
		const char *unit;
		enum mw_lookup_key key;
		enum mw_lookup_want want;
		bool dns_lists;
	} units[] = {
		{ "", MW_KEY_ADDRESS, MW_WANT_BOOL, false },
		{ "points", MW_KEY_ADDRESS, MW_WANT_MILLI, false },
		{ "octets", MW_KEY_ADDRESS, MW_WANT_MILLI, false },
		{ "texts", MW_KEY_ADDRESS, MW_WANT_TEXT, false },
		{ "lookups by category", MW_KEY_ADDRESS, MW_WANT_BOOL, false },
		{ "texts by category", MW_KEY_ADDRESS, MW_WANT_TEXT, false },
		{ "destinies by category", MW_KEY_ADDRESS, MW_WANT_DESTINY, false },
		{ "networks", MW_KEY_IP, MW_WANT_BOOL, false },
		{ "networks, DNS lists", MW_KEY_IP, MW_WANT_BOOL, true },
		{ "banks", MW_KEY_AUTHOR, MW_WANT_TEXT, false },
		{ "rules", MW_KEY_TEXT, MW_WANT_ANY, false },
		{ "rules by name", MW_KEY_TEXT, MW_WANT_ANY, false },
		{ "banned rules", MW_KEY_ADDRESS, MW_WANT_ANY, false },
		{ "banks by name", MW_KEY_TEXT, MW_WANT_TEXT, false },
		{ "points by name", MW_KEY_TEXT, MW_WANT_MILLI, false },
		{ "by name", MW_KEY_TEXT, MW_WANT_BOOL, false },
		{ "points by sender", MW_KEY_ADDRESS, MW_WANT_MILLI, false },
		{ "senders by recipient", MW_KEY_ADDRESS, MW_WANT_BOOL, false },
	};
	const struct mw_setting *s = mw_setting_find(name);
	struct mw_lookup_options o = {
		.name = s->name,
		.conf = conf,
		.delimiters = mw_conf_text(conf, "recipient_delimiter"),
		.case_sensitive = mw_conf_bool(conf, "localpart_is_case_sensitive"),
		.limits = mw_lookup_limits_of(conf),
		.files = files,
	};

	for (size_t i = 0; i < MW_COUNT(units); i++)
		if (strcmp(units[i].unit, s->unit) == 0) {
			o.key = units[i].key;
			o.want = units[i].want;
			o.dns_lists = units[i].dns_lists;
			o.banks = strncmp(s->unit, "banks", 5) == 0;
			return o;
		}
	fprintf(stderr, "setting %s: no lookup is known for its unit\n", name);
	abort(); /* common/settings/: our bug */
}

/* ------------------------------------------------------------------ all of them */

static size_t check_one(
	const struct mw_val *v, const struct mw_lookup_options *o, struct mw_text *errors)
{
	struct mw_lookup *l = NULL;
	struct mw_err err = { "" };

	if (mw_lookup_new_in(v, o, &l, &err) == MW_OK) {
		mw_lookup_unref(&l);
		return 0;
	}
	mw_text_addf(errors, "%s\n", err.text);
	return 1;
}

static size_t check_view(
	const struct mw_conf *conf, struct mw_lookup_files *files, struct mw_text *errors)
{
	size_t wrong = 0;

	for (size_t i = 0; i < mw_settings_count; i++) {
		const struct mw_setting *s = &mw_settings[i];
		bool by_category = mw_setting_is_by_category(s);
		const struct mw_val *v = mw_conf_val(conf, s->name);
		struct mw_lookup_options o;

		if (s->type != MW_T_MAPS && !by_category)
			continue;
		o = mw_lookup_options_of(conf, s->name, files);
		if (!by_category)
			wrong += check_one(v, &o, errors);
		for (size_t k = 0; by_category && k < v->count; k++)
			wrong += check_one(&v->vals[k], &o, errors);
	}
	return wrong;
}

size_t mw_lookup_check_all(const struct mw_conf *conf, struct mw_text *errors)
{
	struct mw_lookup_limits limits = mw_lookup_limits_of(conf);
	struct mw_lookup_files *files = mw_lookup_files_new(&limits);
	const struct mw_val *banks = mw_conf_val(conf, "policy_bank");
	size_t wrong;

	if (files == NULL) {
		mw_text_add(errors, "no memory\n");
		return 1;
	}
	wrong = check_view(conf, files, errors);
	for (size_t i = 0; i < banks->count; i++) {
		struct mw_text own = { 0 };

		/* What the base has wrong every bank has. */
		if (check_view(mw_conf_bank(conf, banks->keys[i]), files, &own) > wrong) {
			mw_text_addf(errors, "policy bank %s:\n%s", banks->keys[i], own.p);
			wrong++;
		}
		mw_text_fini(&own);
	}
	mw_lookup_files_destroy(&files);
	return wrong;
}
