#include "policy_route.h"

#include <stdlib.h>

#include "lookup.h"

#define SLOTS (4 * POLICY_ROUTES_MAX) /* a power of two */

struct route {
	char *text;
	struct next_hops hops; /* at least one */
};

struct policy_routes {
	size_t count;
	struct route list[POLICY_ROUTES_MAX];
	uint16_t slots[SLOTS]; /* place in the list + 1; 0: free */
};

static enum mw_rc parse(const char *text, enum tls_level level, struct next_hop hops[NEXT_HOPS_MAX],
	size_t *count_r, struct mw_err *err_r)
{
	char words[MW_LOOKUP_TEXT_MAX];
	const char *methods[NEXT_HOPS_MAX];
	size_t count = 0;
	char *save = NULL;
	enum mw_rc rc;

	if (mw_strlcpy(words, text, sizeof(words)) >= sizeof(words))
		return mw_fail(err_r, MW_ERR_CONF, "a next hop of more than %zu octets",
			sizeof(words) - 1);
	for (char *word = strtok_r(words, ", \t", &save); word != NULL;
		word = strtok_r(NULL, ", \t", &save)) {
		if (count == NEXT_HOPS_MAX)
			return mw_fail(err_r, MW_ERR_CONF, "more than %d next hops", NEXT_HOPS_MAX);
		methods[count++] = word;
	}
	if (count == 0)
		return mw_fail(err_r, MW_ERR_CONF, "no next hop in \"%.40s\"", text);
	rc = next_hops_parse("next hop", methods, count, hops, err_r);
	for (size_t i = 0; i < count && rc == MW_OK; i++) {
		hops[i].tls = level;
		if (level == TLS_VERIFY && next_hop_is_unix(&hops[i]))
			rc = mw_fail(err_r, MW_ERR_CONF,
				"%s has no name that a certificate could have "
				"(tls_security_level_out = \"verify\")",
				hops[i].text);
	}
	*count_r = count;
	return rc;
}

enum mw_rc policy_route_check(const char *text, struct mw_err *err_r)
{
	struct next_hop hops[NEXT_HOPS_MAX];
	size_t count;

	return parse(text, TLS_NONE, hops, &count, err_r);
}

enum mw_rc policy_route_check_named(const char *text, struct mw_err *err_r)
{
	struct next_hop hops[NEXT_HOPS_MAX];
	size_t count;

	return parse(text, TLS_VERIFY, hops, &count, err_r);
}

static uint32_t hash(const char *text, enum tls_level level)
{
	uint32_t h = 2166136261u ^ (uint32_t)level;

	for (; *text != '\0'; text++)
		h = (h ^ (unsigned char)*text) * 16777619u;
	return h;
}

/* The slot that has it, or the free one that would. */
static uint16_t *slot_for(
	struct policy_routes *routes, const char *text, const struct next_hop *like)
{
	size_t i = hash(text, like->tls) & (SLOTS - 1);

	while (routes->slots[i] != 0) {
		const struct route *r = &routes->list[routes->slots[i] - 1];

		if (r->hops.hop[0].tls == like->tls && strcmp(r->text, text) == 0 &&
			strcmp(r->hops.hop[0].from.text, like->from.text) == 0)
			break;
		i = (i + 1) & (SLOTS - 1);
	}
	return &routes->slots[i];
}

static enum mw_rc keep(struct policy_routes *routes, uint16_t *slot, const char *text,
	const struct next_hop *hops, size_t count)
{
	struct route *r = &routes->list[routes->count];

	*r = (struct route){ .text = strdup(text) };
	r->hops.hop = calloc(count, sizeof(*hops));
	if (r->text == NULL || r->hops.hop == NULL) {
		free(r->text);
		free(r->hops.hop);
		return MW_ERR_NOMEM;
	}
	memcpy(r->hops.hop, hops, count * sizeof(*hops));
	r->hops.count = count;
	*slot = (uint16_t)++routes->count;
	return MW_OK;
}

/* For one mail. */
static enum mw_rc lend(struct smtp_arena *a, const struct next_hop *hops, size_t count,
	const struct next_hops **route_r)
{
	struct next_hops *own = smtp_arena_array(a, 1, sizeof(*own));

	if (own == NULL || (own->hop = smtp_arena_array(a, count, sizeof(*hops))) == NULL)
		return MW_ERR_NOMEM;
	memcpy(own->hop, hops, count * sizeof(*hops));
	own->count = count;
	*route_r = own;
	return MW_OK;
}

enum mw_rc policy_route(struct policy_routes **routes_p, const char *text,
	const struct next_hop *like, struct smtp_arena *a, const struct next_hops **route_r,
	struct mw_err *err_r)
{
	struct policy_routes *routes = *routes_p;
	struct next_hop hops[NEXT_HOPS_MAX];
	size_t count;
	uint16_t *slot;
	enum mw_rc rc;

	if (routes == NULL)
		routes = *routes_p = calloc(1, sizeof(*routes));
	if (routes == NULL)
		return mw_fail(err_r, MW_ERR_NOMEM, "out of memory");
	slot = slot_for(routes, text, like);
	if (*slot == 0) {
		rc = parse(text, like->tls, hops, &count, err_r);
		if (rc != MW_OK)
			return rc;
		for (size_t i = 0; i < count; i++)
			hops[i].from = like->from;
		rc = routes->count < POLICY_ROUTES_MAX ? keep(routes, slot, text, hops, count)
						       : lend(a, hops, count, route_r);
		if (rc != MW_OK)
			return mw_fail(err_r, rc, "out of memory");
	}
	if (*slot != 0)
		*route_r = &routes->list[*slot - 1].hops;
	return MW_OK;
}

void policy_routes_destroy(struct policy_routes **routes_p)
{
	struct policy_routes *routes = *routes_p;

	*routes_p = NULL;
	for (size_t i = 0; routes != NULL && i < routes->count; i++) {
		free(routes->list[i].text);
		free(routes->list[i].hops.hop);
	}
	free(routes);
}
