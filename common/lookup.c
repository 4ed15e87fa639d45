/* Asking tables. */
#include "lookup.h"

#include <stdio.h>

#include "conf_func.h"
#include "log.h"
#include "lookup_priv.h"

#define TOLD_MS 1000 /* of tables that could not answer, one in that time is told */

/* What is asked. Keys are made when the first table wants them: constants do not. */
struct question {
	const struct mw_lookup *l;
	const char *key; /* NULL: ip, not printed yet */
	const struct mw_ip *ip;
	struct mw_ip own_ip;
	struct mw_dnsl_source *dnsl;
	const char *signer;		    /* of MW_KEY_AUTHOR; NULL: none */
	char author[MW_LOOKUP_KEY_MAX + 1]; /* what stands before it, when one text holds both */
	bool *ready_p;			    /* keys are made */
	struct mw_keys *keys;
	/* Where they are, unless somebody has them for several questions. */
	bool ready;
	struct mw_keys own;
};

const char *mw_lookup_kind_name(enum mw_lookup_kind kind)
{
	static const char *const names[MW_LOOKUP_KIND_COUNT] = { "constant", "list", "hash",
		"regexps", "networks", "opaque", "function", "label", "dnsl" };

	return names[kind];
}

static void make_keys(struct question *q)
{
	const struct mw_lookup_options *o = &q->l->options;

	if (*q->ready_p)
		return;
	*q->ready_p = true;
	if (o->key == MW_KEY_AUTHOR && q->signer != NULL)
		mw_keys_of_author(q->keys, q->key, q->signer, o->delimiters, o->case_sensitive);
	else if (o->key == MW_KEY_ADDRESS || o->key == MW_KEY_AUTHOR)
		mw_keys_of_address(q->keys, q->key, o->delimiters, o->case_sensitive);
	else if (o->key == MW_KEY_IP)
		mw_keys_of_ip(q->keys, q->ip);
	else
		mw_keys_of_text(q->keys, q->key);
	if (q->key == NULL)
		q->key = q->keys->given;
}

/* ------------------------------------------------------------------ one table */

static bool ask_constant(const struct mw_table *t, size_t *at, struct mw_lookup_result *r)
{
	if ((*at)++ > 0)
		return false;
	mw_cell_read(&t->constant.cell, &t->constant.pool, NULL, NULL, r);
	return r->value.type != MW_VALUE_UNDEF;
}

static bool ask_list(
	const struct mw_table *t, struct question *q, size_t *at, struct mw_lookup_result *r)
{
	return (*at)++ == 0 && mw_hash_first(t->hash, q->keys, q->l->options.key, r);
}

static bool ask_nets(
	const struct mw_table *t, const struct question *q, size_t *at, struct mw_lookup_result *r)
{
	return (*at)++ == 0 && mw_nets_lookup(t->nets, q->ip, r);
}

static bool ask_regexps(
	const struct mw_table *t, const struct question *q, size_t *at, struct mw_lookup_result *r)
{
	/* given is raw and the suffix */
	struct mw_octets subject = mw_octets_of(q->keys->given, q->keys->raw.n + q->keys->suffix.n);

	return !q->keys->too_long && mw_regexps_find(t->regexps, subject, at, r);
}

/* What a function said, as the setting wants it. */
static void take_answer(
	const struct mw_func_answer *a, enum mw_lookup_want want, struct mw_lookup_result *r)
{
	struct mw_val v = { .tag = MW_V_NIL, .b = a->b, .num = a->num };
	struct mw_pool pool = { 0 };
	struct mw_cell cell;
	struct mw_err err;
	enum mw_rc rc;

	v.tag = a->type == MW_FUNC_BOOL ? MW_V_BOOL : a->type == MW_FUNC_NUM ? MW_V_NUM : MW_V_STR;
	v.str = (char *)(uintptr_t)a->text; /* read, not changed */
	rc = mw_cell_of_val(&cell, &v, want, &pool, &err);
	if (rc != MW_OK) {
		snprintf(r->error_text, sizeof(r->error_text), "it returned a wrong value: %.150s",
			err.text);
		r->error = r->error_text;
	} else {
		mw_cell_read(&cell, &pool, NULL, NULL, r);
		if (cell.type == MW_VALUE_TEXT) {
			mw_strlcpy(r->text, r->value.text, sizeof(r->text));
			r->value.text = r->text;
		}
	}
	mw_pool_fini(&pool);
}

static bool ask_function(
	const struct mw_table *t, const struct question *q, size_t *at, struct mw_lookup_result *r)
{
	const struct mw_lookup_limits *limits = &q->l->options.limits;
	struct mw_func_limits own = { limits->function_steps, limits->function_time_ms,
		limits->function_octets };
	struct mw_func_answer answer = { .type = MW_FUNC_NIL };
	struct mw_err err;

	if ((*at)++ > 0 || q->keys->too_long)
		return false;
	if (mw_func_call(&t->function, q->keys->given, &own, &answer, &err) != MW_OK) {
		mw_strlcpy(r->error_text, err.text, sizeof(r->error_text));
		r->error = r->error_text;
		return false;
	}
	if (answer.type == MW_FUNC_NIL)
		return false;
	take_answer(&answer, q->l->options.want, r);
	return r->error == NULL;
}

/* The next answer of the table from *at on, 0 at first. False: there is none, or r->error is set.
 */
static bool ask(
	const struct mw_table *t, struct question *q, size_t *at, struct mw_lookup_result *r)
{
	switch (t->kind) {
	case MW_LOOKUP_CONSTANT:
	case MW_LOOKUP_OPAQUE:
		return ask_constant(t, at, r);
	case MW_LOOKUP_LIST:
		return ask_list(t, q, at, r);
	case MW_LOOKUP_HASH:
		return mw_hash_find(t->hash, q->keys, at, r);
	case MW_LOOKUP_REGEXPS:
		return ask_regexps(t, q, at, r);
	case MW_LOOKUP_NETWORKS:
		return ask_nets(t, q, at, r);
	case MW_LOOKUP_FUNCTION:
		return ask_function(t, q, at, r);
	case MW_LOOKUP_DNSL:
		return (*at)++ == 0 && mw_dnsl_ask(t->dnsl, q->ip, q->dnsl, r);
	default:
		return false;
	}
}

static void tell_error(const struct question *q, const struct mw_lookup_result *r)
{
	static uint64_t told_ms, untold;
	uint64_t now = mw_mono_ms();

	if (told_ms != 0 && now - told_ms < TOLD_MS) {
		untold++;
		return;
	}
	mw_log(MW_WARN, "lookup_failed", "map=%s file=%u line=%u key=%s error=%s untold=%llu",
		q->l->options.name, MW_CONF_FILE(r->line), MW_CONF_LINE(r->line), mw_quote(q->key),
		mw_quote(r->error), (unsigned long long)untold);
	told_ms = now;
	untold = 0;
}

/* The same, with all of r said. */
static bool ask_table(struct question *q, size_t i, size_t *at, struct mw_lookup_result *r)
{
	const struct mw_table *t = &q->l->tables[i];
	bool found;

	r->value.type = MW_VALUE_UNDEF;
	r->kind = t->kind;
	r->table = (unsigned)i;
	r->line = t->line;
	r->source = t->source;
	r->key = r->error = NULL;
	if (t->kind != MW_LOOKUP_CONSTANT && t->kind != MW_LOOKUP_OPAQUE &&
		t->kind != MW_LOOKUP_NETWORKS && t->kind != MW_LOOKUP_DNSL)
		make_keys(q);
	found = ask(t->file != NULL ? mw_lookup_file_table(t->file) : t, q, at, r);
	if (r->error != NULL) {
		r->value.type = MW_VALUE_UNDEF;
		make_keys(q);
		tell_error(q, r);
	}
	return found;
}

/* ------------------------------------------------------------------ all tables */

static void question_of(struct question *q, const struct mw_lookup *l, const char *key)
{
	q->l = l;
	q->key = key;
	q->ready = false;
	q->ready_p = &q->ready;
	q->keys = &q->own;
	q->ip = NULL;
	q->dnsl = l->options.dnsl;
	q->signer = NULL;
	if (l->options.key == MW_KEY_IP && mw_ip_parse(key, &q->own_ip)) /* not of NULL */
		q->ip = &q->own_ip;
}

/* As people ask: the author, and what stands behind "/@". */
static void split_signer(struct question *q)
{
	size_t n = mw_keys_find_suffix(q->key);

	if (q->key[n] == '\0' || !mw_strncpy(q->author, sizeof(q->author), q->key, n))
		return;
	q->signer = q->key + n + 2;
	q->key = q->author;
}

static void question_of_one(struct question *q, const struct mw_lookup *l, const char *key)
{
	question_of(q, l, key);
	if (l->options.key == MW_KEY_AUTHOR)
		split_signer(q);
}

static bool first_defined(struct question *q, struct mw_lookup_result *r)
{
	for (size_t i = 0; i < q->l->count; i++) {
		size_t at = 0;

		/* A key that is there with an undefined value ends its table, not the search. */
		if (ask_table(q, i, &at, r) && r->value.type != MW_VALUE_UNDEF)
			return true;
	}
	r->value.type = MW_VALUE_UNDEF;
	r->key = NULL;
	return false;
}

const char *mw_lookup_setting(const struct mw_lookup *l)
{
	return l->options.name;
}

bool mw_lookup(const struct mw_lookup *l, const char *key, struct mw_lookup_result *r)
{
	struct question q;

	if (l->count == 0) {
		r->value.type = MW_VALUE_UNDEF;
		return false;
	}
	question_of_one(&q, l, key);
	return first_defined(&q, r);
}

void mw_asker_init(struct mw_asker *a, const char *address)
{
	a->address = address;
	a->ready = false;
}

bool mw_asker_lookup(struct mw_asker *a, const struct mw_lookup *l, struct mw_lookup_result *r)
{
	struct question q;

	question_of(&q, l, a->address);
	q.ready_p = &a->ready;
	q.keys = &a->keys;
	return first_defined(&q, r);
}

bool mw_lookup_signed(const struct mw_lookup *l, const char *address, const char *signer,
	struct mw_lookup_result *r)
{
	struct question q;

	if (l->count == 0) {
		r->value.type = MW_VALUE_UNDEF;
		return false;
	}
	question_of(&q, l, address);
	q.signer = signer;
	return first_defined(&q, r);
}

bool mw_lookup_ip(const struct mw_lookup *l, const struct mw_ip *ip, struct mw_lookup_result *r)
{
	struct question q;

	question_of(&q, l, NULL);
	q.ip = ip;
	return first_defined(&q, r);
}

bool mw_lookup_ip_dnsl(const struct mw_lookup *l, const struct mw_ip *ip,
	struct mw_dnsl_source *dnsl, struct mw_lookup_result *r)
{
	struct question q;

	question_of(&q, l, NULL);
	q.ip = ip;
	q.dnsl = dnsl;
	return first_defined(&q, r);
}

size_t mw_lookup_dns_lists(const struct mw_lookup *l)
{
	size_t count = 0;

	for (size_t i = 0; i < l->count; i++)
		count += l->tables[i].kind == MW_LOOKUP_DNSL;
	return count;
}

void mw_lookup_all(const struct mw_lookup *l, const char *key, struct mw_lookup_result *r,
	bool (*each)(void *arg, const struct mw_lookup_result *r), void *arg)
{
	struct question q;

	question_of_one(&q, l, key);
	for (size_t i = 0; i < l->count; i++)
		for (size_t at = 0; ask_table(&q, i, &at, r);)
			if (r->value.type != MW_VALUE_UNDEF && !each(arg, r))
				return;
}

/* A table that has no word about all keys at once: one after the other. */
bool mw_lookup_is_late(uint64_t until_us, struct mw_lookup_result *r)
{
	if (mw_mono_us() < until_us)
		return false;
	r->value.type = MW_VALUE_UNDEF;
	r->key = NULL;
	r->error = "its time was up";
	return true;
}

static bool ask_one_by_one(const struct mw_lookup *l, size_t i, const struct mw_octets *keys,
	size_t count, uint64_t until_us, struct mw_lookup_result *r)
{
	char key[MW_LOOKUP_KEY_MAX];
	struct question q;

	for (size_t k = 0; k < count; k++) {
		size_t at = 0;

		if (mw_lookup_is_late(until_us, r))
			return false;
		if (!mw_strncpy(key, sizeof(key), keys[k].p, keys[k].n))
			continue;
		question_of(&q, l, key);
		if (ask_table(&q, i, &at, r) || r->error != NULL) {
			r->key = r->kind == MW_LOOKUP_CONSTANT ? NULL : r->key;
			return r->error == NULL;
		}
	}
	return false;
}

bool mw_lookup_any(const struct mw_lookup *l, const struct mw_octets *keys, size_t count,
	uint64_t until_us, struct mw_lookup_result *r)
{
	struct question q;
	bool found;

	for (size_t i = 0; i < l->count; i++) {
		const struct mw_table *t = &l->tables[i];

		if (t->kind != MW_LOOKUP_REGEXPS) {
			found = ask_one_by_one(l, i, keys, count, until_us, r);
		} else {
			r->value.type = MW_VALUE_UNDEF;
			r->kind = t->kind;
			r->table = (unsigned)i;
			r->line = t->line;
			r->source = t->source;
			r->key = r->error = NULL;
			found = mw_regexps_find_any(t->regexps, keys, count, until_us, r);
			if (r->error != NULL) {
				question_of(&q, l, "");
				tell_error(&q, r);
			}
		}
		if (r->error != NULL || (found && r->value.type != MW_VALUE_UNDEF))
			return r->error == NULL;
	}
	r->value.type = MW_VALUE_UNDEF;
	r->key = r->error = NULL;
	return false;
}

void mw_lookup_trace(const struct mw_lookup *l, const char *key, struct mw_lookup_result *r,
	void (*each)(void *arg, const struct mw_lookup_result *r), void *arg)
{
	struct question q;

	question_of_one(&q, l, key);
	for (size_t i = 0; i < l->count; i++) {
		size_t at = 0;

		ask_table(&q, i, &at, r);
		each(arg, r);
		if (r->value.type != MW_VALUE_UNDEF)
			return;
	}
	r->value.type = MW_VALUE_UNDEF;
}

/* ------------------------------------------------------------------ known before */

static bool is_constant(const struct mw_table *t)
{
	return (t->kind == MW_LOOKUP_CONSTANT || t->kind == MW_LOOKUP_OPAQUE) &&
	       t->constant.cell.type != MW_VALUE_UNDEF;
}

static bool says_nothing(const struct mw_table *t)
{
	return t->kind == MW_LOOKUP_LABEL ||
	       ((t->kind == MW_LOOKUP_CONSTANT || t->kind == MW_LOOKUP_OPAQUE) && !is_constant(t));
}

bool mw_lookup_is_empty(const struct mw_lookup *l)
{
	for (size_t i = 0; i < l->count; i++)
		if (!says_nothing(&l->tables[i]))
			return false;
	return true;
}

bool mw_lookup_fixed(const struct mw_lookup *l, struct mw_value *value_r)
{
	struct mw_lookup_result r;
	size_t i = 0, at = 0;

	while (i < l->count && says_nothing(&l->tables[i]))
		i++;
	if (i == l->count || !is_constant(&l->tables[i]))
		return false;
	ask_constant(&l->tables[i], &at, &r);
	*value_r = r.value;
	return true;
}

bool mw_lookup_always_answers(const struct mw_lookup *l)
{
	for (size_t i = 0; i < l->count; i++)
		if (is_constant(&l->tables[i]))
			return true;
	return false;
}

/* ------------------------------------------------------------------ what there is */

struct texts {
	struct mw_lookup_entry item;
	const struct mw_pool *pool;
	bool (*each)(void *arg, const struct mw_lookup_entry *entry);
	void *arg;
};

static bool tell_text(void *arg, const char *key, const struct mw_cell *c)
{
	struct texts *x = arg;

	if (c->type != MW_VALUE_TEXT || c->subst)
		return true;
	x->item.text = x->pool->p + c->text;
	x->item.key = key;
	return x->each(x->arg, &x->item);
}

static bool tell_texts(const struct mw_table *t, struct texts *x)
{
	switch (t->kind) {
	case MW_LOOKUP_CONSTANT:
	case MW_LOOKUP_OPAQUE:
		x->pool = &t->constant.pool;
		return tell_text(x, NULL, &t->constant.cell);
	case MW_LOOKUP_LIST:
	case MW_LOOKUP_HASH:
		x->pool = mw_hash_pool(t->hash);
		return mw_hash_each(t->hash, tell_text, x);
	case MW_LOOKUP_REGEXPS:
		x->pool = mw_regexps_pool(t->regexps);
		return mw_regexps_each(t->regexps, tell_text, x);
	default:
		return true;
	}
}

bool mw_lookup_entries(const struct mw_lookup *l,
	bool (*each)(void *arg, const struct mw_lookup_entry *entry), void *arg)
{
	struct texts x = { .each = each, .arg = arg };
	bool more = true;

	for (size_t i = 0; i < l->count && more; i++) {
		const struct mw_table *t = &l->tables[i];

		x.item.line = t->line;
		x.item.source = t->source;
		more = tell_texts(t->file != NULL ? mw_lookup_file_table(t->file) : t, &x);
	}
	return more;
}

/* ------------------------------------------------------------------ by type */

bool mw_lookup_bool(const struct mw_lookup *l, const char *key, bool dflt)
{
	struct mw_lookup_result r;

	return mw_lookup(l, key, &r) && r.value.type == MW_VALUE_BOOL ? r.value.b : dflt;
}

int64_t mw_lookup_milli(const struct mw_lookup *l, const char *key, int64_t dflt)
{
	struct mw_lookup_result r;

	return mw_lookup(l, key, &r) && r.value.type == MW_VALUE_MILLI ? r.value.milli : dflt;
}

const char *mw_lookup_text(
	const struct mw_lookup *l, const char *key, struct mw_lookup_result *r, const char *dflt)
{
	return mw_lookup(l, key, r) && r->value.type == MW_VALUE_TEXT ? r->value.text : dflt;
}
