/*
 * Next hops that tables, functions and databases name for a recipient: a text as forward_method, or
 * several between commas, tried in order. Parsed once a text and kept with the set.
 */
#ifndef SMTP_POLICY_ROUTE_H
#define SMTP_POLICY_ROUTE_H

#include "arena.h"
#include "delivery/next_hop.h"

#define POLICY_ROUTES_MAX 512 /* of one set; further ones are parsed for each mail */

struct policy_routes;

/* Is it right? _named: also for tls_security_level_out = "verify", where a path has no name that a
 * certificate could have. */
enum mw_rc policy_route_check(const char *text, struct mw_err *err_r);
enum mw_rc policy_route_check_named(const char *text, struct mw_err *err_r);
/*
 * With TLS and source address as that hop. *route_r lives as long as the routes, or the arena where
 * those are full. *routes_p is made when it is NULL. MW_ERR_CONF: err_r says what is wrong with the
 * text; MW_ERR_NOMEM.
 */
enum mw_rc policy_route(struct policy_routes **routes_p, const char *text,
	const struct next_hop *like, struct smtp_arena *a, const struct next_hops **route_r,
	struct mw_err *err_r);
void policy_routes_destroy(struct policy_routes **routes_p);

#endif
