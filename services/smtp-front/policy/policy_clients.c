/* Policy banks by the original client's address. */
#include <stdlib.h>

#include "policy_priv.h"

#define PAIRS "client_ipaddr_policy"
#define OURS "MYNETS" /* of mynetworks */

/* Whoever is not known has this address: mynetworks may name it, or not. */
#define UNKNOWN_CLIENT "0.0.0.0"

/* One { networks, banks } of client_ipaddr_policy. */
static enum mw_rc compile_pair(const struct mw_val *pair, const struct mw_lookup_options *o,
	struct policy_client *c, struct mw_err *err_r)
{
	bool is_pair = pair->tag == MW_V_TABLE && pair->count == 2 && pair->is_array &&
		       pair->vals[0].tag == MW_V_TABLE && pair->vals[1].tag == MW_V_STR;

	if (!is_pair)
		return mw_fail(err_r, MW_ERR_CONF,
			PAIRS ": expected pairs of networks and banks, as { { \"192.0.2.0/24\" }, "
			      "\"MYNETS\" }");
	c->banks = strdup(pair->vals[1].str);
	if (c->banks == NULL)
		return mw_fail(err_r, MW_ERR_NOMEM, PAIRS ": no memory");
	return mw_lookup_new(&pair->vals[0], o, &c->nets, err_r);
}

enum mw_rc policy_clients_compile(
	const struct policy_set *set, struct policy *p, struct mw_err *err_r)
{
	const struct mw_val *pairs = mw_conf_val(p->conf, PAIRS);
	struct mw_lookup_options o = mw_lookup_options_of(p->conf, "mynetworks", set->files);
	size_t count = pairs->tag == MW_V_TABLE ? pairs->count : 0;
	enum mw_rc rc = MW_OK;

	o.name = PAIRS;
	p->clients = calloc(count + 1, sizeof(*p->clients));
	if (p->clients == NULL)
		return mw_fail(err_r, MW_ERR_NOMEM, PAIRS ": no memory");
	for (size_t i = 0; i < count && rc == MW_OK; i++)
		rc = compile_pair(&pairs->vals[i], &o, &p->clients[p->client_count++], err_r);
	return rc;
}

void policy_clients_fini(struct policy *p)
{
	for (size_t i = 0; i < p->client_count; i++) {
		mw_lookup_unref(&p->clients[i].nets);
		free(p->clients[i].banks);
	}
	free(p->clients);
}

static bool is_in(const struct mw_lookup *nets, const struct mw_ip *ip, struct mw_lookup_result *r)
{
	return mw_lookup_ip(nets, ip, r) && r->value.b;
}

const char *policy_banks_of_client(const struct policy_set *set, const struct policy *p,
	const char *ip, struct mw_lookup_result *r)
{
	struct mw_ip parsed;

	if (!mw_ip_parse(ip != NULL ? ip : UNKNOWN_CLIENT, &parsed))
		return NULL;
	for (size_t i = 0; i < p->client_count; i++)
		if (is_in(p->clients[i].nets, &parsed, r))
			return p->clients[i].banks;
	return p->client_count == 0 && policy_has_bank(set, OURS, strlen(OURS)) &&
			       is_in(p->mynetworks, &parsed, r)
		       ? OURS
		       : NULL;
}
