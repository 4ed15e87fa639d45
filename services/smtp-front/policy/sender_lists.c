#include "sender_lists.h"

#include <stdio.h>
#include <stdlib.h>

#include "policy_priv.h"

#define LISTS_MAX 100000 /* of one setting, of all its recipients together */

struct sender_lists {
	unsigned refs;
	struct mw_lookup *rcpts; /* the place of a list as text */
	size_t count;
	struct mw_lookup **lists;
};

void sender_lists_unref(struct sender_lists **l_p)
{
	struct sender_lists *l = *l_p;

	*l_p = NULL;
	if (l == NULL || --l->refs > 0)
		return;
	for (size_t i = 0; i < l->count; i++)
		mw_lookup_unref(&l->lists[i]);
	mw_lookup_unref(&l->rcpts);
	free(l->lists);
	free(l);
}

/* ------------------------------------------------------------------ from settings */

/* How many lists a setting has; err_r: it is not a list of hashes. */
static enum mw_rc count_lists(
	const struct mw_val *v, const char *setting, size_t *count_r, struct mw_err *err_r)
{
	*count_r = 0;
	for (size_t i = 0; v->tag == MW_V_TABLE && i < v->count; i++) {
		const struct mw_val *hash = &v->vals[i];

		if (!v->is_array || hash->tag != MW_V_TABLE || hash->made != MW_MADE_NOT ||
			(hash->is_array && hash->count > 0))
			return mw_fail(err_r, MW_ERR_CONF,
				"%s: expected a list of tables by recipient, { { [\"user@host\"] = "
				"{ ... } } }",
				setting);
		*count_r += hash->count;
	}
	if (*count_r > LISTS_MAX)
		return mw_fail(
			err_r, MW_ERR_LIMIT, "%s: more than %d recipients", setting, LISTS_MAX);
	return MW_OK;
}

/* The same tables with the places of their lists in place of these. */
static enum mw_rc compile_rcpts(const struct mw_val *v, struct mw_lookup_options o,
	struct sender_lists *l, struct mw_err *err_r)
{
	struct mw_val places;
	size_t n = 0;
	enum mw_rc rc = MW_OK;

	if (!mw_val_copy(&places, v))
		return mw_fail(err_r, MW_ERR_NOMEM, "%s: no memory", o.name);
	for (size_t i = 0; i < places.count && rc == MW_OK; i++)
		for (size_t k = 0; k < places.vals[i].count && rc == MW_OK; k++) {
			struct mw_val *one = &places.vals[i].vals[k];
			char place[24];

			snprintf(place, sizeof(place), "%zu", n++);
			mw_val_fini(one);
			*one = (struct mw_val){ .tag = MW_V_STR, .str = strdup(place) };
			if (one->str == NULL)
				rc = mw_fail(err_r, MW_ERR_NOMEM, "%s: no memory", o.name);
		}
	o.want = MW_WANT_TEXT;
	if (rc == MW_OK)
		rc = mw_lookup_new_in(&places, &o, &l->rcpts, err_r);
	mw_val_fini(&places);
	return rc;
}

static enum mw_rc compile_lists(const struct mw_val *v, const struct mw_lookup_options *o,
	struct sender_lists *l, struct mw_err *err_r)
{
	enum mw_rc rc = MW_OK;

	for (size_t i = 0; i < v->count && rc == MW_OK; i++)
		for (size_t k = 0; k < v->vals[i].count && rc == MW_OK; k++)
			rc = mw_lookup_new_in(&v->vals[i].vals[k], o, &l->lists[l->count++], err_r);
	return rc;
}

static enum mw_rc compile(const struct mw_val *v, const struct mw_lookup_options *o, size_t count,
	struct sender_lists **l_r, struct mw_err *err_r)
{
	struct sender_lists *l = calloc(1, sizeof(*l));
	enum mw_rc rc;

	if (l == NULL || (l->lists = calloc(count, sizeof(struct mw_lookup *))) == NULL) {
		free(l);
		return mw_fail(err_r, MW_ERR_NOMEM, "%s: no memory", o->name);
	}
	l->refs = 1;
	rc = compile_rcpts(v, *o, l, err_r);
	if (rc == MW_OK)
		rc = compile_lists(v, o, l, err_r);
	if (rc != MW_OK)
		sender_lists_unref(&l);
	*l_r = l;
	return rc;
}

enum mw_rc sender_lists_compile(
	const struct policy_set *set, struct policy *p, struct mw_err *err_r)
{
	static const struct {
		const char *setting;
		size_t at;
	} rows[] = {
		{ "per_recip_whitelist_sender_lookup_tables",
			offsetof(struct policy, rcpt_white_senders) },
		{ "per_recip_blacklist_sender_lookup_tables",
			offsetof(struct policy, rcpt_black_senders) },
		{ "score_sender_maps", offsetof(struct policy, sender_scores) },
	};
	enum mw_rc rc = MW_OK;

	for (size_t i = 0; i < MW_COUNT(rows) && rc == MW_OK; i++) {
		const struct mw_val *v = mw_conf_val(p->conf, rows[i].setting);
		struct mw_lookup_options o =
			mw_lookup_options_of(p->conf, rows[i].setting, set->files);
		struct sender_lists **l = (struct sender_lists **)(void *)((char *)p + rows[i].at);
		size_t count;

		rc = count_lists(v, rows[i].setting, &count, err_r);
		if (rc != MW_OK || count == 0)
			continue;
		if (policy_shares_tables(p, &o)) {
			*l = *(struct sender_lists *const *)(const void *)((const char *)p->below +
									   rows[i].at);
			(*l)->refs++;
		} else {
			rc = compile(v, &o, count, l, err_r);
		}
	}
	return rc;
}

/* ------------------------------------------------------------------ asking */

struct asking {
	const struct sender_lists *lists;
	const char *sender;
	bool found, yes;
	int64_t milli;
};

static bool ask_list(void *arg, const struct mw_lookup_result *place)
{
	struct asking *a = arg;
	size_t i = strtoul(place->value.text != NULL ? place->value.text : "", NULL, 10);
	struct mw_lookup_result r;

	if (place->value.type != MW_VALUE_TEXT || i >= a->lists->count ||
		!mw_lookup(a->lists->lists[i], a->sender, &r))
		return true;
	if (r.value.type == MW_VALUE_BOOL && !a->found)
		a->yes = r.value.b;
	if (r.value.type == MW_VALUE_MILLI)
		a->milli += r.value.milli;
	a->found = true;
	return true;
}

bool sender_lists_ask(const struct sender_lists *l, const char *rcpt, const char *sender,
	int64_t *milli_r, bool *yes_r)
{
	struct asking a = { .lists = l, .sender = sender };
	struct mw_lookup_result r;

	if (l != NULL)
		mw_lookup_all(l->rcpts, rcpt, &r, ask_list, &a);
	*milli_r = a.milli;
	*yes_r = a.yes;
	return a.found;
}
