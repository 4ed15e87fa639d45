/* Entries as people write them, into lists, networks and hashes. */
#include "lookup_priv.h"

bool mw_list_new(struct mw_table *list, const struct mw_lookup_options *o)
{
	list->kind = o->key == MW_KEY_IP ? MW_LOOKUP_NETWORKS : MW_LOOKUP_LIST;
	if (o->key == MW_KEY_IP)
		return (list->nets = mw_nets_new()) != NULL;
	return (list->hash = mw_hash_new()) != NULL;
}

static enum mw_rc no_memory(bool added, struct mw_err *err_r)
{
	return added ? MW_OK : mw_fail(err_r, MW_ERR_NOMEM, "no memory");
}

static enum mw_rc add_net(struct mw_table *list, const char *entry,
	const struct mw_lookup_options *o, struct mw_err *err_r)
{
	struct mw_val yes = { .tag = MW_V_BOOL };
	struct mw_net net;
	struct mw_cell cell;
	enum mw_rc rc;

	if (!mw_net_parse(entry, &net))
		return mw_fail(err_r, MW_ERR_CONF, "\"%.100s\" is no address or network", entry);
	yes.b = !net.negated;
	rc = mw_cell_of_val(&cell, &yes, o->want, mw_nets_pool(list->nets), err_r);
	return rc == MW_OK ? no_memory(mw_nets_add(list->nets, &net, entry, &cell), err_r) : rc;
}

/* A dot behind "/@" would be taken for all domains below, and no key that is asked for has one. */
static enum mw_rc check_suffix(
	const char *key, const struct mw_lookup_options *o, struct mw_err *err_r)
{
	const char *suffix = key + (o->key == MW_KEY_AUTHOR ? mw_keys_find_suffix(key) : 0);

	if (o->key == MW_KEY_AUTHOR && strncmp(suffix, "/@.", 3) == 0)
		return mw_fail(err_r, MW_ERR_CONF,
			"\"%.100s\": behind \"/@\" stands the domain of a signature, whole and "
			"without a dot in front",
			key);
	return MW_OK;
}

enum mw_rc mw_list_add(struct mw_table *list, const char *entry, const struct mw_lookup_options *o,
	struct mw_err *err_r)
{
	struct mw_val yes = { .tag = MW_V_BOOL, .b = true };
	const char *key = entry;
	char buf[MW_KEYS_TEXT_MAX];
	enum mw_key_sort sort;
	struct mw_cell cell;
	enum mw_rc rc;

	if (o->key == MW_KEY_IP)
		return add_net(list, entry, o, err_r);
	for (; *key == '!'; key++)
		yes.b = !yes.b;
	if ((rc = check_suffix(key, o, err_r)) != MW_OK)
		return rc;
	if (!mw_key_normalise(key, o->key, o->case_sensitive, buf, sizeof(buf), &sort))
		return mw_fail(
			err_r, MW_ERR_LIMIT, "an entry of more than %d octets", MW_LOOKUP_KEY_MAX);
	rc = mw_cell_of_val(&cell, &yes, o->want, mw_hash_pool(list->hash), err_r);
	if (rc != MW_OK)
		return rc;
	return no_memory(mw_hash_add(list->hash, buf, strlen(buf), sort, &cell, true), err_r);
}

enum mw_rc mw_hash_entry(struct mw_hash *h, const char *key, const struct mw_cell *c,
	const struct mw_lookup_options *o, struct mw_err *err_r)
{
	char buf[MW_KEYS_TEXT_MAX];
	enum mw_key_sort sort;
	enum mw_rc rc = check_suffix(key, o, err_r);

	if (rc != MW_OK)
		return rc;
	if (!mw_key_normalise(key, o->key, o->case_sensitive, buf, sizeof(buf), &sort))
		return mw_fail(err_r, MW_ERR_CONF,
			o->key == MW_KEY_IP ? "key \"%.100s\": expected an IP address, or the "
					      "first numbers of one"
					    : "key \"%.100s...\" is too long",
			key);
	return no_memory(mw_hash_add(h, buf, strlen(buf), sort, c, false), err_r);
}
