/* Tables that name banks: what they may load is known when the settings are read, but for functions
 * and texts with $n. */
#include "log.h"
#include "policy_priv.h"

#define AUTHORS "author_to_policy_bank_maps"
#define VIRUSES "virus_name_to_policy_bank_maps"
#define VALUES_MAX 64 /* different ones of a table that are made at load */

struct mw_octets policy_next_bank(const char **rest_p)
{
	static const char separators[] = ", \t";
	const char *name = *rest_p + strspn(*rest_p, separators);
	size_t n = strcspn(name, separators);

	*rest_p = name + n;
	return mw_octets_of(name, n);
}

const char *policy_banks_meant(
	const struct policy_set *set, const char *value, const char *approved)
{
	if (strcmp(value, "1") == 0)
		return policy_has_bank(set, approved, strlen(approved)) ? approved : NULL;
	return value[strspn(value, ", \t")] == '\0' || strcmp(value, "0") == 0 ? NULL : value;
}

/* ------------------------------------------------------------------ what a message may load */

struct values {
	const struct policy_set *set;
	const char *approved;
	size_t count;
	const char *banks[VALUES_MAX];
};

static bool add_value(void *arg, const struct mw_lookup_entry *e)
{
	struct values *v = arg;
	const char *banks = policy_banks_meant(v->set, e->text, v->approved);

	for (size_t i = v->count; i > 0 && banks != NULL; i--)
		if (strcmp(v->banks[i - 1], banks) == 0)
			banks = NULL;
	if (banks != NULL)
		v->banks[v->count++] = banks;
	return v->count < VALUES_MAX;
}

/* p with these banks on top; p itself when the set has no room for more at load. NULL: err_r. */
static const struct policy *with_banks(struct policy_set *set, const struct policy *p,
	const char *name, const char *banks, struct mw_err *err_r)
{
	struct mw_err why = { "" };
	const struct policy *loaded = p;

	if (set->count + POLICY_BANKS_MAX <= POLICIES_MADE_MAX)
		loaded = policy_load_all(set, p, banks, &why);
	if (loaded == NULL)
		mw_fail(err_r, MW_ERR_CONF, "%s, \"%.100s\"%s%s: %s", name, banks,
			p->bank[0] != '\0' ? " on " : "", p->bank, why.text);
	return loaded;
}

static enum mw_rc compile_viruses(
	struct policy_set *set, const struct policy *p, struct mw_err *err_r)
{
	struct values v = { .set = set, .approved = BANK_OF_VIRUSES };

	mw_lookup_entries(p->virus_banks, add_value, &v);
	for (size_t i = 0; i < v.count; i++)
		if (with_banks(set, p, VIRUSES, v.banks[i], err_r) == NULL)
			return MW_ERR_CONF;
	return MW_OK;
}

enum mw_rc policy_banks_compile(
	struct policy_set *set, const struct policy *p, struct mw_err *err_r)
{
	struct values v = { .set = set, .approved = BANK_OF_AUTHORS };
	enum mw_rc rc = compile_viruses(set, p, err_r);

	mw_lookup_entries(p->author_banks, add_value, &v);
	for (size_t i = 0; i < v.count && rc == MW_OK; i++) {
		const struct policy *loaded = with_banks(set, p, AUTHORS, v.banks[i], err_r);

		if (loaded == NULL)
			rc = MW_ERR_CONF;
		else if (loaded != p)
			rc = compile_viruses(set, loaded, err_r);
	}
	return rc;
}

/* ------------------------------------------------------------------ what cannot work */
