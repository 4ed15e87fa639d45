/* What services ask of the settings: one slot for each name, and for each policy bank a copy with
 * its own on top. */
#include <stdio.h>
#include <stdlib.h>
#include "conf_priv.h"

enum origin { FROM_DEFAULT, FROM_FILE, FROM_ENV, FROM_BANK };

struct slot {
	struct mw_val *val; /* never NULL in a whole conf */
	const char **items; /* LIST: the texts */
	bool owned;	    /* val and items are this view's */
	enum origin origin;
	const char *bank; /* FROM_BANK: which; the base's */
};

struct mw_conf {
	unsigned refs;
	char **files; /* that were read; of the base alone */
	size_t file_count;
	char *folder;		    /* conf.d, when there is one */
	struct slot *slots;	    /* one for each setting */
	const struct mw_conf *base; /* of a view; NULL: this is the base */
	char *bank;		    /* name of a view */
	size_t view_count;
	struct mw_conf **views;
};

static void slot_clear(struct slot *s)
{
	if (s->owned) {
		if (s->val != NULL)
			mw_val_fini(s->val);
		free(s->val);
		free(s->items);
	}
	*s = (struct slot){ 0 };
}

/* Take *v (left empty) as the slot's value. */
static bool slot_take(
	struct slot *s, const struct mw_setting *setting, struct mw_val *v, enum origin origin)
{
	struct slot fresh = { .owned = true, .origin = origin };

	fresh.val = malloc(sizeof(*fresh.val));
	if (fresh.val != NULL) {
		*fresh.val = *v;
		*v = (struct mw_val){ .tag = MW_V_NIL };
	}
	if (fresh.val != NULL && setting->type == MW_T_LIST) {
		fresh.items = calloc(fresh.val->count + 1, sizeof(*fresh.items));
		for (size_t i = 0; fresh.items != NULL && i < fresh.val->count; i++)
			fresh.items[i] = fresh.val->vals[i].str;
	}
	if (fresh.val == NULL || (setting->type == MW_T_LIST && fresh.items == NULL)) {
		slot_clear(&fresh);
		return false;
	}
	slot_clear(s);
	*s = fresh;
	return true;
}

static struct mw_conf *conf_new(void)
{
	struct mw_conf *c = calloc(1, sizeof(*c));

	if (c == NULL)
		return NULL;
	c->refs = 1;
	c->slots = calloc(mw_settings_count + 1, sizeof(*c->slots));
	if (c->slots == NULL) {
		free(c);
		return NULL;
	}
	return c;
}

struct mw_conf *mw_conf_ref(const struct mw_conf *conf)
{
	struct mw_conf *c = (struct mw_conf *)conf; /* its values stay const: only we count */

	c->refs++;
	return c;
}

void mw_conf_destroy(struct mw_conf **conf_p)
{
	struct mw_conf *c = *conf_p;

	*conf_p = NULL;
	if (c == NULL || --c->refs > 0)
		return;
	for (size_t i = 0; i < c->view_count; i++)
		mw_conf_destroy(&c->views[i]);
	for (size_t i = 0; i < mw_settings_count; i++)
		slot_clear(&c->slots[i]);
	free(c->views);
	free(c->slots);
	free(c->bank);
	for (size_t i = 0; i < c->file_count; i++)
		free(c->files[i]);
	free(c->files);
	free(c->folder);
	free(c);
}

/* ------------------------------------------------------------------ policy banks */

struct bank_load {
	struct mw_conf *view;
	const char *bank;
	struct mw_conf_errors *errors;
};

static bool is_merge(const struct mw_setting *s, const struct mw_val *v)
{
	return s->type == MW_T_TABLE && v->tag == MW_V_TABLE && (!v->is_array || v->count == 0) &&
	       !mw_val_bool(mw_val_field(v, "REPLACE"), false);
}

/* The bank's value as it is to stand in the view: over the old hash, without the word REPLACE. */
static bool merged(const struct mw_setting *s, const struct mw_val *old, const struct mw_val *v,
	struct mw_val *r)
{
	if (s->type != MW_T_TABLE || v->tag != MW_V_TABLE)
		return mw_val_copy(r, v);
	if (is_merge(s, v) && old->tag == MW_V_TABLE) {
		if (!mw_val_copy(r, old))
			return false;
		r->line = v->line;
	} else {
		*r = (struct mw_val){ .tag = MW_V_TABLE, .line = v->line };
		if (!mw_val_set_table(r, 0))
			return false;
	}
	for (size_t i = 0; i < v->count; i++) {
		char key[128];

		if (strcmp(v->keys[i], "REPLACE") != 0 &&
			!mw_val_put(
				r, mw_setting_key(s, v->keys[i], key, sizeof(key)), &v->vals[i])) {
			mw_val_fini(r);
			return false;
		}
	}
	r->is_array = v->is_array && r->count == v->count;
	return true;
}

static void bank_setting(struct bank_load *b, const char *name, const struct mw_val *v)
{
	int i = mw_setting_index(name);
	const struct mw_setting *s = &mw_settings[i];
	struct mw_val own;
	char shown[300];

	snprintf(shown, sizeof(shown), "policy_bank.%.120s.%.120s", b->bank, name);
	if (s->scope != MW_S_BANK) {
		mw_conf_error(b->errors, v->line, "%s: this setting cannot stand in a policy bank",
			shown);
		return;
	}
	if (!merged(s, b->view->slots[i].val, v, &own)) {
		mw_conf_error(b->errors, v->line, "%s: out of memory", shown);
		return;
	}
	if (mw_setting_check(s, shown, &own, b->errors)) {
		if (!slot_take(&b->view->slots[i], s, &own, FROM_BANK))
			mw_conf_error(b->errors, v->line, "%s: out of memory", shown);
		b->view->slots[i].bank = b->view->bank;
	}
	mw_val_fini(&own);
}

/* Settings of a bank, and within it of an own table (prefix "scanner."). */
static void bank_fields(struct bank_load *b, const char *prefix, const struct mw_val *table)
{
	for (size_t i = 0; i < table->count; i++) {
		const struct mw_val *v = &table->vals[i];
		char name[300], hint[MW_HINT_MAX];

		snprintf(name, sizeof(name), "%s%s", prefix, table->keys[i]);
		if (mw_setting_index(name) >= 0) {
			bank_setting(b, name, v);
		} else if (*prefix == '\0' && v->tag == MW_V_TABLE && mw_setting_is_group(name)) {
			mw_strlcpy(name + strlen(name), ".", 2);
			bank_fields(b, name, v);
		} else {
			mw_conf_error(b->errors, v->line, "policy_bank.%s.%s: unknown setting%s",
				b->bank, name, mw_setting_hint(name, hint, sizeof(hint)));
		}
	}
}

static struct mw_conf *view_new(const struct mw_conf *below, const char *bank)
{
	struct mw_conf *view = conf_new();

	if (view == NULL)
		return NULL;
	view->base = below->base != NULL ? below->base : below;
	view->bank = strdup(bank);
	for (size_t i = 0; i < mw_settings_count; i++) {
		view->slots[i] = below->slots[i];
		view->slots[i].owned = false;
	}
	if (view->bank == NULL)
		mw_conf_destroy(&view);
	return view;
}

/* Loading MYNETS makes a mail originating, before the bank's own settings. */
static bool start_bank(struct mw_conf *view, unsigned line)
{
	int i = mw_setting_index("originating");
	struct mw_val yes = { .tag = MW_V_BOOL, .b = true, .line = line };

	if (strcmp(view->bank, "MYNETS") != 0 || i < 0 || mw_settings[i].type != MW_T_BOOL)
		return true;
	if (!slot_take(&view->slots[i], &mw_settings[i], &yes, FROM_BANK))
		return false;
	view->slots[i].bank = view->bank;
	return true;
}

/* The bank on top of the base or another view; NULL: an error was added. */
static struct mw_conf *load_bank(const struct mw_conf *below, const char *bank,
	const struct mw_val *table, struct mw_conf_errors *e)
{
	struct bank_load b = { .bank = bank, .errors = e };

	if (table->tag != MW_V_TABLE || (table->is_array && table->count > 0)) {
		mw_conf_error(e, table->line,
			"policy_bank.%s: expected a table of settings by name", bank);
		return NULL;
	}
	b.view = view_new(below, bank);
	if (b.view == NULL || !start_bank(b.view, table->line)) {
		mw_conf_error(e, table->line, "policy_bank.%s: out of memory", bank);
		mw_conf_destroy(&b.view);
		return NULL;
	}
	bank_fields(&b, "", table);
	return b.view;
}

static void load_banks(struct mw_conf *conf, struct mw_conf_errors *e)
{
	int i = mw_setting_index("policy_bank");
	const struct mw_val *banks = i >= 0 ? conf->slots[i].val : NULL;

	if (banks == NULL || banks->count == 0)
		return;
	conf->views = calloc(banks->count, sizeof(struct mw_conf *));
	if (conf->views == NULL) {
		mw_conf_error(e, banks->line, "policy_bank: out of memory");
		return;
	}
	for (size_t k = 0; k < banks->count; k++) {
		struct mw_conf *view = load_bank(conf, banks->keys[k], &banks->vals[k], e);

		if (view != NULL)
			conf->views[conf->view_count++] = view;
	}
}

/* The first name of a list of banks that is none; NULL: all are there. Its length is in *n_r. */
static const char *no_bank(const struct mw_val *banks, const char *list, size_t *n_r)
{
	char name[256];

	for (list += strspn(list, ", \t"); *list != '\0'; list += strspn(list, ", \t")) {
		*n_r = strcspn(list, ", \t");
		if (!mw_strncpy(name, sizeof(name), list, *n_r) || banks == NULL ||
			mw_val_field(banks, name) == NULL)
			return list;
		list += *n_r;
	}
	return NULL;
}

static void check_interfaces(const struct mw_conf *conf, struct mw_conf_errors *e)
{
	int i = mw_setting_index("interface_policy"), b = mw_setting_index("policy_bank");
	const struct mw_val *table = i >= 0 ? conf->slots[i].val : NULL;
	const struct mw_val *banks = b >= 0 ? conf->slots[b].val : NULL;

	for (size_t k = 0; table != NULL && k < table->count; k++) {
		const struct mw_val *v = &table->vals[k];
		size_t n = 0;
		const char *none = v->tag == MW_V_STR ? no_bank(banks, v->str, &n) : NULL;

		if (v->tag != MW_V_STR)
			mw_conf_error(e, v->line,
				"interface_policy[\"%s\"]: expected the name of a policy bank",
				table->keys[k]);
		else if (none != NULL)
			mw_conf_error(e, v->line,
				"interface_policy[\"%s\"] = \"%s\": there is no policy bank "
				"\"%.*s\"",
				table->keys[k], v->str, (int)n, none);
	}
}

/* ------------------------------------------------------------------ loading */

/* A hash whose default is one goes on top of it, as a bank's goes on top of the base's. */
static bool on_default(
	const struct mw_setting *s, const struct mw_val *dflt, struct mw_conf_raw *raw)
{
	struct mw_val own;

	if (!raw->set || s->type != MW_T_TABLE || raw->val.tag != MW_V_TABLE ||
		dflt->tag != MW_V_TABLE || dflt->is_array || dflt->count == 0)
		return true;
	if (!merged(s, dflt, &raw->val, &own))
		return false;
	mw_val_fini(&raw->val);
	raw->val = own;
	return true;
}

static void take_files(
	struct mw_conf *conf, const struct mw_conf_sources *src, struct mw_conf_errors *e)
{
	struct mw_conf_raw *raw = calloc(mw_settings_count + 1, sizeof(*raw));

	if (raw == NULL) {
		mw_conf_error(e, 0, "out of memory");
		return;
	}
	mw_conf_lua_read(src->file, src->count, raw, e);
	for (size_t i = 0; i < mw_settings_count; i++) {
		const struct mw_setting *s = &mw_settings[i];

		if (!on_default(s, conf->slots[i].val, &raw[i]))
			mw_conf_error(e, 0, "out of memory");
		else if (raw[i].set && mw_setting_check(s, s->name, &raw[i].val, e) &&
			 !slot_take(&conf->slots[i], s, &raw[i].val, FROM_FILE))
			mw_conf_error(e, 0, "out of memory");
		mw_val_fini(&raw[i].val);
	}
	free(raw);
}

/* Their names, for origins and those who look after the files. */
static bool keep_names(struct mw_conf *conf, struct mw_conf_sources *src)
{
	conf->folder = src->folder;
	src->folder = NULL;
	conf->files = calloc(src->count + 1, sizeof(*conf->files));
	if (conf->files == NULL)
		return false;
	for (size_t i = 0; i < src->count; i++)
		if ((conf->files[conf->file_count++] = strdup(src->names[i])) == NULL)
			return false;
	return true;
}

/* An empty variable counts as none: that is how compose files leave one unset. */
static void take_environment(struct mw_conf *conf, struct mw_conf_errors *e)
{
	for (size_t i = 0; i < mw_settings_count; i++) {
		const struct mw_setting *s = &mw_settings[i];
		const char *text = s->env != NULL ? getenv(s->env) : NULL;
		struct mw_val v = { .tag = MW_V_NIL };

		if (text == NULL || *text == '\0')
			continue;
		if (mw_setting_from_env(s, text, &v, e) &&
			!slot_take(&conf->slots[i], s, &v, FROM_ENV))
			mw_conf_error(e, 0, "out of memory");
		mw_val_fini(&v);
	}
}

static bool take_defaults(struct mw_conf *conf, struct mw_conf_errors *e)
{
	struct mw_val *vals = calloc(mw_settings_count + 1, sizeof(*vals));
	bool ok = vals != NULL && mw_conf_lua_defaults(vals);

	for (size_t i = 0; vals != NULL && i < mw_settings_count; i++) {
		struct mw_conf_errors ours = { 0 };

		if (ok &&
			!mw_setting_check(&mw_settings[i], mw_settings[i].name, &vals[i], &ours)) {
			fputs(ours.list[0].text, stderr);
			abort(); /* common/settings/: our bug */
		}
		ok = ok && slot_take(&conf->slots[i], &mw_settings[i], &vals[i], FROM_DEFAULT);
		mw_val_fini(&vals[i]);
	}
	free(vals);
	if (!ok)
		mw_conf_error(e, 0, "out of memory");
	return ok;
}

enum mw_rc mw_conf_load_given(
	const struct mw_conf_given *given, struct mw_conf **conf_r, char **errors_r)
{
	struct mw_conf *conf = conf_new();
	struct mw_conf_errors *e = calloc(1, sizeof(*e));
	struct mw_conf_sources *src = calloc(1, sizeof(*src));
	enum mw_rc rc = MW_ERR_NOMEM;
	char *text = NULL;

	*errors_r = NULL;
	if (conf == NULL || e == NULL || src == NULL)
		goto out;
	e->files = src->names;
	if (take_defaults(conf, e)) {
		mw_conf_sources_read(src, given, e);
		if (!keep_names(conf, src))
			mw_conf_error(e, 0, "out of memory");
		if (src->count > 0)
			take_files(conf, src, e);
		take_environment(conf, e);
		load_banks(conf, e);
		check_interfaces(conf, e);
	}
	rc = e->count == 0 ? MW_OK : MW_ERR_CONF;
	text = mw_conf_errors_take(e);
out:
	if (src != NULL)
		mw_conf_sources_fini(src);
	free(src);
	free(e);
	if (rc != MW_OK) {
		mw_conf_destroy(&conf);
		*errors_r = text != NULL ? text : strdup("out of memory\n");
		return rc;
	}
	*conf_r = conf;
	return MW_OK;
}

enum mw_rc mw_conf_load(const char *path, struct mw_conf **conf_r, char **errors_r)
{
	struct mw_conf_given given = { .count = path != NULL, .names = { path } };

	return mw_conf_load_given(&given, conf_r, errors_r);
}

/* ------------------------------------------------------------------ asking */

static const struct slot *ask(const struct mw_conf *conf, const char *name, unsigned types)
{
	int i = mw_setting_index(name);

	if (i < 0 || (MW_BIT(mw_settings[i].type) & types) == 0) {
		fprintf(stderr, "setting %s: %s\n", name,
			i < 0 ? "there is none" : "asked for as another type");
		abort(); /* our bug */
	}
	return &conf->slots[i];
}

static const struct mw_conf *base_of(const struct mw_conf *conf)
{
	return conf->base != NULL ? conf->base : conf;
}

const char *mw_conf_path(const struct mw_conf *conf)
{
	return base_of(conf)->file_count > 0 ? base_of(conf)->files[0] : NULL;
}

size_t mw_conf_files(const struct mw_conf *conf, const char *const **paths_r)
{
	*paths_r = (const char *const *)base_of(conf)->files;
	return base_of(conf)->file_count;
}

const char *mw_conf_folder(const struct mw_conf *conf)
{
	return base_of(conf)->folder;
}

void mw_conf_print_files(struct mw_text *out, const struct mw_conf *conf)
{
	conf = base_of(conf);
	if (conf->file_count == 0)
		mw_text_add(out, "built-in defaults");
	for (size_t i = 0; i < conf->file_count; i++)
		mw_text_addf(out, "%s%s", i > 0 ? ", " : "", conf->files[i]);
}

const char *mw_conf_where(const struct mw_conf *conf, unsigned line, char *buf, size_t size)
{
	if (line == 0 || MW_CONF_FILE(line) >= base_of(conf)->file_count)
		snprintf(buf, size, "default");
	else
		snprintf(buf, size, "%s:%u", base_of(conf)->files[MW_CONF_FILE(line)],
			MW_CONF_LINE(line));
	return buf;
}

bool mw_conf_bool(const struct mw_conf *conf, const char *name)
{
	return ask(conf, name, MW_BIT(MW_T_BOOL))->val->b;
}

int64_t mw_conf_int(const struct mw_conf *conf, const char *name)
{
	const struct slot *s =
		ask(conf, name, MW_BIT(MW_T_INT) | MW_BIT(MW_T_MILLI) | MW_BIT(MW_T_DESTINY));

	return mw_setting_number(&mw_settings[s - conf->slots], s->val);
}

const char *mw_conf_text(const struct mw_conf *conf, const char *name)
{
	return ask(conf, name, MW_BIT(MW_T_TEXT))->val->str;
}

size_t mw_conf_list(const struct mw_conf *conf, const char *name, const char *const **items_r)
{
	const struct slot *s = ask(conf, name, MW_BIT(MW_T_LIST));

	*items_r = s->items;
	return s->val->count;
}

const struct mw_val *mw_conf_val(const struct mw_conf *conf, const char *name)
{
	return ask(conf, name, ~0u)->val;
}

bool mw_conf_is_set(const struct mw_conf *conf, const char *name)
{
	return ask(conf, name, ~0u)->origin != FROM_DEFAULT;
}

const char *mw_conf_origin(const struct mw_conf *conf, const char *name, char *buf, size_t size)
{
	const struct slot *s = ask(conf, name, ~0u);

	switch (s->origin) {
	case FROM_DEFAULT:
		snprintf(buf, size, "default");
		break;
	case FROM_FILE:
		mw_conf_where(conf, s->val->line, buf, size);
		break;
	case FROM_ENV:
		snprintf(buf, size, "environment %s", mw_settings[s - conf->slots].env);
		break;
	case FROM_BANK:
		snprintf(buf, size, "policy bank %s, ", s->bank);
		mw_conf_where(conf, s->val->line, buf + strlen(buf), size - strlen(buf));
		break;
	}
	return buf;
}

const struct mw_conf *mw_conf_bank(const struct mw_conf *conf, const char *bank)
{
	conf = base_of(conf);
	for (size_t i = 0; i < conf->view_count; i++)
		if (strcmp(conf->views[i]->bank, bank) == 0)
			return conf->views[i];
	return NULL;
}

enum mw_rc mw_conf_overlay(const struct mw_conf *below, const char *bank, struct mw_conf **view_r,
	struct mw_err *err_r)
{
	const struct mw_conf *base = below->base != NULL ? below->base : below;
	const struct mw_val *table = mw_val_field(mw_conf_val(base, "policy_bank"), bank);
	struct mw_conf_errors *e = calloc(1, sizeof(*e));
	struct mw_conf *view;
	char *text;

	*view_r = NULL;
	if (e == NULL)
		return mw_fail(err_r, MW_ERR_NOMEM, "policy_bank.%s: out of memory", bank);
	if (table == NULL) {
		free(e);
		return mw_fail(err_r, MW_ERR_CONF, "there is no policy bank \"%s\"", bank);
	}
	e->files = base->files;
	view = load_bank(below, bank, table, e);
	text = mw_conf_errors_take(e);
	free(e);
	if (text != NULL) {
		mw_fail(err_r, MW_ERR_CONF, "%.*s", (int)strcspn(text, "\n"), text);
		mw_conf_destroy(&view);
		free(text);
		return MW_ERR_CONF;
	}
	*view_r = view;
	return view != NULL ? MW_OK : mw_fail(err_r, MW_ERR_NOMEM, "out of memory");
}
