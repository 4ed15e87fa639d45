#include "banned_rules.h"

#include <stdio.h>
#include <stdlib.h>

#include "policy_priv.h"

#define MAPS "banned_filename_maps"
#define RULES "banned_rules"
#define DEFAULT_RE "banned_filename_re"
#define NAMEPATH "banned_namepath_re"
#define DEFAULT "DEFAULT"
#define NAME_OCTETS 128 /* of a rule's name */

struct rule {
	const char *name;	     /* the settings'; NULL: a list of tables within maps */
	const struct mw_val *tables; /* that list, in a lookup's own copy of the settings */
	struct mw_lookup *lookup;
	struct rule *next;
};

struct banned_rules {
	struct rule *first, **last_p;
	char unknown[NAME_OCTETS];
};

static struct mw_lookup_options options_of(const struct policy_set *set, const char *setting)
{
	struct mw_lookup_options o = mw_lookup_options_of(set->conf, setting, set->files);

	o.key = MW_KEY_TEXT;
	o.want = MW_WANT_ANY;
	return o;
}

/* NULL: no memory, or *err_r. */
static struct rule *add_rule(struct banned_rules *rules, const struct policy_set *set,
	const char *setting, const char *name, const struct mw_val *tables, struct mw_err *err_r)
{
	struct mw_lookup_options o = options_of(set, setting);
	struct rule *r = calloc(1, sizeof(*r));

	if (r == NULL) {
		mw_fail(err_r, MW_ERR_NOMEM, "%s: no memory", setting);
		return NULL;
	}
	if (mw_lookup_new_in(tables, &o, &r->lookup, err_r) != MW_OK) {
		free(r);
		return NULL;
	}
	r->name = name;
	r->tables = tables;
	*rules->last_p = r;
	rules->last_p = &r->next;
	return r;
}

static const struct rule *rule_named(const struct banned_rules *rules, const char *name, size_t n)
{
	for (const struct rule *r = rules->first; r != NULL; r = r->next)
		if (r->name != NULL && strlen(r->name) == n && memcmp(r->name, name, n) == 0)
			return r;
	return NULL;
}

enum mw_rc banned_rules_new(
	const struct policy_set *set, struct banned_rules **rules_r, struct mw_err *err_r)
{
	const struct mw_val *named = mw_conf_val(set->conf, RULES);
	struct banned_rules *rules = calloc(1, sizeof(*rules));
	bool ok = rules != NULL;

	if (!ok)
		return mw_fail(err_r, MW_ERR_NOMEM, RULES ": no memory");
	rules->last_p = &rules->first;
	for (size_t i = 0; i < named->count && ok; i++) {
		size_t n = strlen(named->keys[i]);

		ok = n > 0 && n < NAME_OCTETS && strcspn(named->keys[i], ", \t") == n;
		if (!ok)
			mw_fail(err_r, MW_ERR_CONF,
				RULES "[\"%.80s\"]: a name has 1 to %d octets, no commas and no "
				      "blanks",
				named->keys[i], NAME_OCTETS - 1);
		ok = ok && add_rule(rules, set, RULES, named->keys[i], &named->vals[i], err_r);
	}
	if (ok && rule_named(rules, DEFAULT, strlen(DEFAULT)) == NULL)
		ok = add_rule(rules, set, DEFAULT_RE, DEFAULT, mw_conf_val(set->conf, DEFAULT_RE),
			     err_r) != NULL;
	if (!ok)
		banned_rules_destroy(&rules);
	*rules_r = rules;
	return ok ? MW_OK : MW_ERR_CONF;
}

void banned_rules_destroy(struct banned_rules **rules_p)
{
	struct banned_rules *rules = *rules_p;
	struct rule *next;

	*rules_p = NULL;
	if (rules == NULL)
		return;
	for (struct rule *r = rules->first; r != NULL; r = next) {
		next = r->next;
		mw_lookup_unref(&r->lookup);
		free(r);
	}
	free(rules);
}

/* ------------------------------------------------------------------ names */

static const char separators[] = ", \t";

/* The next name of a list; of length 0: there is no more. */
static struct mw_octets next_name(const char **rest_p)
{
	const char *p = *rest_p + strspn(*rest_p, separators);
	size_t n = strcspn(p, separators);

	*rest_p = p + n;
	return mw_octets_of(p, n);
}

/* What a policy's maps say, at load. */
struct look {
	const struct policy_set *set;
	const struct policy *p;
	struct mw_err *err_r;
	bool wrong, bans;
};

static void look_at_names(struct look *k, const char *names)
{
	struct mw_octets name = next_name(&names);

	for (; name.n > 0 && !k->wrong; name = next_name(&names)) {
		const struct rule *r =
			rule_named(k->set->banned_rules, (const char *)name.p, name.n);

		k->wrong = r == NULL;
		k->bans = k->bans || (r != NULL && !mw_lookup_is_empty(r->lookup));
		if (r == NULL)
			mw_fail(k->err_r, MW_ERR_CONF,
				"%s%s" MAPS ": there is no rule \"%.*s\" in " RULES, k->p->bank,
				*k->p->bank != '\0' ? ": " : "", (int)(name.n < 80 ? name.n : 80),
				(const char *)name.p);
	}
}

static bool look_at_entry(void *arg, const struct mw_lookup_entry *e)
{
	struct look *k = arg;

	look_at_names(k, e->text);
	return !k->wrong;
}

/* A list of tables in place of names: compiled now, to be told of now; used later. */
static bool look_at_tables(struct look *k, const struct mw_val *tables)
{
	struct mw_lookup_options o = options_of(k->set, MAPS);
	struct mw_lookup *l = NULL;

	k->wrong = mw_lookup_new_in(tables, &o, &l, k->err_r) != MW_OK;
	k->bans = true;
	mw_lookup_unref(&l);
	return !k->wrong;
}

/* Values of hashes and patterns that are tables, and what is only known when it is asked. */
static bool look_at_value(struct look *k, const struct mw_val *v)
{
	const struct mw_val *entries = v->made == MW_MADE_RE ? &v->vals[0] : v;
	bool pairs = v->made == MW_MADE_RE;

	if (v->tag == MW_V_FUNC || (v->tag == MW_V_TABLE && v->made != MW_MADE_NOT && !pairs))
		k->bans = true;
	if (v->tag == MW_V_TABLE && v->made == MW_MADE_OPAQUE && v->vals[0].tag == MW_V_TABLE)
		return look_at_tables(k, &v->vals[0]);
	if (v->tag != MW_V_TABLE || (v->made != MW_MADE_NOT && !pairs))
		return true;
	for (size_t i = 0; i < entries->count; i++) {
		const struct mw_val *value = &entries->vals[i];

		if (pairs && value->tag == MW_V_TABLE && value->count == 2)
			value = &value->vals[1];
		else if (pairs)
			continue;
		if (value->tag == MW_V_TABLE && !look_at_tables(k, value))
			return false;
	}
	return true;
}

enum mw_rc banned_policy_compile(
	const struct policy_set *set, struct policy *p, struct mw_err *err_r)
{
	const struct mw_val *maps = mw_conf_val(p->conf, MAPS);
	struct mw_lookup_options o = mw_lookup_options_of(p->conf, NAMEPATH, set->files);
	struct look k = { set, p, err_r, false, false };
	enum mw_rc rc;

	if (policy_shares_tables(p, &o)) {
		p->banned_namepath = mw_lookup_ref(p->below->banned_namepath);
	} else {
		rc = mw_lookup_new_in(
			mw_conf_val(p->conf, NAMEPATH), &o, &p->banned_namepath, err_r);
		if (rc != MW_OK)
			return rc;
	}
	mw_lookup_entries(p->banned_filename, look_at_entry, &k);
	for (size_t i = 0; i < maps->count && !k.wrong; i++)
		look_at_value(&k, &maps->vals[i]);
	p->bans = k.bans || !mw_lookup_is_empty(p->banned_namepath);
	return k.wrong ? MW_ERR_CONF : MW_OK;
}

void banned_policy_fini(struct policy *p)
{
	mw_lookup_unref(&p->banned_namepath);
}

/* ------------------------------------------------------------------ a recipient */

struct collect {
	const struct policy_set *set;
	struct banned_tables *r;
	const char *unknown;
	bool full;
};

static void add_table(struct collect *c, const struct mw_lookup *l)
{
	if (mw_lookup_is_empty(l))
		return;
	for (size_t i = 0; i < c->r->count; i++)
		if (c->r->tables[i] == l)
			return;
	c->full = c->full || c->r->count == BANNED_TABLES_MAX;
	if (!c->full)
		c->r->tables[c->r->count++] = l;
}

static void add_names(struct collect *c, const char *names)
{
	struct banned_rules *rules = c->set->banned_rules;
	struct mw_octets name = next_name(&names);

	for (; name.n > 0; name = next_name(&names)) {
		const struct rule *r = rule_named(rules, (const char *)name.p, name.n);

		if (r != NULL) {
			add_table(c, r->lookup);
		} else {
			mw_strncpy(rules->unknown, sizeof(rules->unknown), name.p, name.n);
			c->unknown = rules->unknown;
		}
	}
}

/* The values of a setting that are tables are few, and compiled when one is needed first. */
static void add_list(struct collect *c, const struct mw_val *tables)
{
	struct banned_rules *rules = c->set->banned_rules;
	struct rule *r = rules->first;
	struct mw_err err;

	while (r != NULL && r->tables != tables)
		r = r->next;
	if (r == NULL)
		r = add_rule(rules, c->set, MAPS, NULL, tables, &err);
	if (r != NULL)
		add_table(c, r->lookup);
	else
		c->full = true; /* it was compiled at load: no memory */
}

static bool add_answer(void *arg, const struct mw_lookup_result *r)
{
	struct collect *c = arg;

	if (r->value.type == MW_VALUE_TABLE)
		add_list(c, r->value.table);
	else if (r->value.type == MW_VALUE_TEXT)
		add_names(c, r->value.text);
	return !c->full;
}

bool banned_tables_of(const struct policy_set *set, const struct policy *p, const char *addr,
	const char *rulenames, struct banned_tables *tables_r, const char **unknown_r)
{
	struct collect c = { .set = set, .r = tables_r };
	struct mw_lookup_result r;

	tables_r->count = 0;
	if (rulenames != NULL)
		add_names(&c, rulenames);
	mw_lookup_all(p->banned_filename, addr, &r, add_answer, &c);
	*unknown_r = c.unknown;
	return !c.full;
}
