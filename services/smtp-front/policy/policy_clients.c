/* Policy banks by the original client's address, and networks from settings. */
#include <stdlib.h>

#include "policy_priv.h"

#define OURS "MYNETS" /* of mynetworks */

/* Whoever is not known has this address: mynetworks may name it, or not. */
#define UNKNOWN_CLIENT "0.0.0.0"

static enum mw_rc add_net(struct mw_net *nets, size_t *count, const char *name, const char *text,
	struct mw_err *err_r)
{
	if (text == NULL || !mw_net_parse(text, &nets[*count]))
		return mw_fail(err_r, MW_ERR_CONF, "%s: \"%s\" is no address or network", name,
			text != NULL ? text : "");
	++*count;
	return MW_OK;
}

enum mw_rc policy_nets_compile(const struct mw_conf *conf, const char *name, struct mw_net **nets_r,
	size_t *count_r, struct mw_err *err_r)
{
	const char *const *items;
	size_t count = mw_conf_list(conf, name, &items);
	enum mw_rc rc = MW_OK;

	*nets_r = calloc(count + 1, sizeof(**nets_r));
	if (*nets_r == NULL)
		return mw_fail(err_r, MW_ERR_NOMEM, "%s: no memory", name);
	for (size_t i = 0; i < count && rc == MW_OK; i++)
		rc = add_net(*nets_r, count_r, name, items[i], err_r);
	return rc;
}

/* One { networks, banks } of client_ipaddr_policy. */
static enum mw_rc compile_pair(
	const struct mw_val *pair, struct policy_client *c, struct mw_err *err_r)
{
	static const char name[] = "client_ipaddr_policy";
	const struct mw_val *nets = pair->tag == MW_V_TABLE && pair->count == 2 && pair->is_array
					    ? &pair->vals[0]
					    : NULL;
	enum mw_rc rc = MW_OK;

	if (nets == NULL || nets->tag != MW_V_TABLE || (!nets->is_array && nets->count > 0) ||
		pair->vals[1].tag != MW_V_STR)
		return mw_fail(err_r, MW_ERR_CONF,
			"%s: expected pairs of networks and banks, as { { \"192.0.2.0/24\" }, "
			"\"MYNETS\" }",
			name);
	c->nets = calloc(nets->count + 1, sizeof(*c->nets));
	c->banks = strdup(pair->vals[1].str);
	if (c->nets == NULL || c->banks == NULL)
		return mw_fail(err_r, MW_ERR_NOMEM, "%s: no memory", name);
	for (size_t i = 0; i < nets->count && rc == MW_OK; i++)
		rc = add_net(
			c->nets, &c->net_count, name, mw_val_text(&nets->vals[i], NULL), err_r);
	return rc;
}

enum mw_rc policy_clients_compile(
	const struct mw_conf *conf, struct policy *p, struct mw_err *err_r)
{
	const struct mw_val *pairs = mw_conf_val(conf, "client_ipaddr_policy");
	size_t count = pairs->tag == MW_V_TABLE ? pairs->count : 0;
	bool ours = mw_val_field(mw_conf_val(conf, "policy_bank"), OURS) != NULL;
	enum mw_rc rc = MW_OK;

	p->clients = calloc(count + 1, sizeof(*p->clients));
	if (p->clients == NULL)
		return mw_fail(err_r, MW_ERR_NOMEM, "client_ipaddr_policy: no memory");
	for (size_t i = 0; i < count && rc == MW_OK; i++)
		rc = compile_pair(&pairs->vals[i], &p->clients[p->client_count++], err_r);
	if (count == 0 && ours) {
		struct policy_client *c = &p->clients[p->client_count++];

		c->banks = strdup(OURS);
		rc = c->banks != NULL ? policy_nets_compile(
						conf, "mynetworks", &c->nets, &c->net_count, err_r)
				      : mw_fail(err_r, MW_ERR_NOMEM, "mynetworks: no memory");
	}
	return rc;
}

void policy_clients_fini(struct policy *p)
{
	for (size_t i = 0; i < p->client_count; i++) {
		free(p->clients[i].nets);
		free(p->clients[i].banks);
	}
	free(p->clients);
}

const char *policy_banks_of_client(const struct policy *p, const char *ip)
{
	struct mw_ip parsed;

	if (!mw_ip_parse(ip != NULL ? ip : UNKNOWN_CLIENT, &parsed))
		return NULL;
	for (size_t i = 0; i < p->client_count; i++)
		if (mw_nets_find(p->clients[i].nets, p->clients[i].net_count, &parsed) == 1)
			return p->clients[i].banks;
	return NULL;
}
